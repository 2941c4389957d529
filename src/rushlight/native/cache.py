"""Compiled kernels on disk: a file per kernel, named by what it was made from, trusted only when all is as we left it.

Note [Trust]: what is read here is run as machine code. So the directory must belong to this user and be writable by
nobody else, and so must each file; both are asked of the opened file descriptors, not of paths that may change in between.
A checksum over name and content finds what broke by itself: a full disk, a crash, a bad copy.

Note [Silence]: a cache that cannot be used costs time and nothing else. Whatever is odd about it, reading answers None
and writing does nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["LIMIT", "Usage", "directory", "get", "put", "usage"]

#: bytes that all entries may take together, but for the last few; those unused for longest go first
LIMIT = 64 << 20

#: format version, length of the content, SHA-256 of name and content
_HEADER = struct.Struct("<8sIQ32s")
_MAGIC = b"\x89rushlt\n"
_VERSION = 1
_SUFFIX = ".kernel"
_LARGEST = 16 << 20
#: seconds after which a use is noted again, and after which an unfinished file is nobody's
_HOUR = 3600.0
#: links are not followed, a pipe is not waited for, children inherit nothing, bytes stay bytes; where the system has it
_FLAGS = 0
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)

#: Counting thousands of entries takes longer than compiling a kernel, so only a write whose name begins like this does:
#: one in 256, whichever processes write.
_COUNTS = "00"


class Usage(NamedTuple):
    """What the directory holds."""

    entries: int
    nbytes: int


# ---- where ----


def directory() -> Path | None:
    """Where kernels are kept: `RUSHLIGHT_CACHE`, or the user's cache directory; None if that is switched off (empty or 0)."""
    chosen = os.environ.get("RUSHLIGHT_CACHE")
    if chosen is not None:
        return Path(chosen).absolute() if chosen not in ("", "0") else None
    try:
        import platformdirs
    except ImportError:
        return None
    path = platformdirs.user_cache_path("rushlight", appauthor=False)
    return path if path.is_absolute() else None  # a user without a home


class _Folder:
    """The directory, opened and found to be ours alone. Files are reached through its descriptor where the system can."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd: int | None = None
        if os.open in os.supports_dir_fd:
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _check(os.stat(path) if self.fd is None else os.fstat(self.fd))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)

    def open(self, name: str, flags: int) -> int:
        return os.open(self.at(name), flags | _FLAGS, 0o600, dir_fd=self.fd)

    def at(self, name: str) -> str:
        return name if self.fd is not None else str(self.path / name)

    def rename(self, old: str, new: str) -> None:
        os.replace(self.at(old), self.at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self.at(name), dir_fd=self.fd)

    def touch(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.utime(self.at(name), dir_fd=self.fd)

    def files(self) -> list[os.DirEntry[str]]:
        with os.scandir(self.path if self.fd is None else self.fd) as found:
            return [entry for entry in found if entry.name.endswith((_SUFFIX, ".part"))]


def _check(facts: os.stat_result) -> None:
    """Refuse what another user owns or may write to; see Note [Trust].

    Raises:
        PermissionError: so it is.
    """
    if hasattr(os, "geteuid") and (facts.st_uid != os.geteuid() or facts.st_mode & 0o022):
        raise PermissionError("owned or writable by another user")


@contextlib.contextmanager
def _opened(make: bool = False) -> Iterator[_Folder]:
    """The directory. OSError if there is none, or none to be trusted."""
    path = directory()
    if path is None:
        raise FileNotFoundError("the cache is switched off")
    if make:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = _Folder(path)
    try:
        yield folder
    finally:
        folder.close()


# ---- entries ----


def get(key: str) -> bytes | None:
    """The content kept under `key`, if it is whole and ours."""
    name = key + _SUFFIX
    try:
        with _opened() as folder:
            with open(folder.open(name, os.O_RDONLY), "rb") as file:
                facts = os.fstat(file.fileno())
                _check(facts)
                if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
                    return None
                content = _unpacked(key, file.read())
            if content is not None and time.time() - facts.st_mtime > _HOUR:
                folder.touch(name)
            return content
    except (OSError, ValueError):
        return None


def put(key: str, content: bytes) -> None:
    """Keep `content` under `key`. Others see the whole file or none."""
    whole = _packed(key, content)
    if len(whole) > _LARGEST:
        return
    try:
        with _opened(make=True) as folder:
            _write(folder, key + _SUFFIX, whole)
            if key.startswith(_COUNTS):
                _trim(folder)
    except (OSError, ValueError):
        pass


def _packed(key: str, content: bytes) -> bytes:
    return _HEADER.pack(_MAGIC, _VERSION, len(content), _digest(key, content)) + content


def _unpacked(key: str, whole: bytes) -> bytes | None:
    if len(whole) < _HEADER.size:
        return None
    magic, version, length, digest = _HEADER.unpack_from(whole)
    content = whole[_HEADER.size :]
    sound = (magic, version, length, digest) == (_MAGIC, _VERSION, len(content), _digest(key, content))
    return content if sound else None


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + content).digest()


def _write(folder: _Folder, name: str, whole: bytes) -> None:
    """Under a name of this process first, then renamed. OSError if that fails, and nothing is left behind."""
    part = f"{os.urandom(8).hex()}.part"
    try:
        with open(folder.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(whole)
        folder.rename(part, name)
    except BaseException:
        folder.remove(part)
        raise


# ---- how much ----


def _trim(folder: _Folder) -> None:
    """Remove what others left unfinished, and the entries unused for longest, down to 7/8 of the limit once it is passed."""
    entries = []
    for file in folder.files():
        with contextlib.suppress(OSError):  # another process removed it
            facts = file.stat(follow_symlinks=False)
            if file.name.endswith(_SUFFIX):
                entries.append((facts.st_mtime, facts.st_size, file.name))
            elif time.time() - facts.st_mtime > _HOUR:
                folder.remove(file.name)
    total = sum(size for _, size, _ in entries)
    if total <= LIMIT:
        return
    for _, size, name in sorted(entries):
        folder.remove(name)
        total -= size
        if total <= LIMIT * 7 // 8:
            return


def usage() -> Usage:
    """How many entries the directory holds, and their bytes; none if it cannot be used."""
    try:
        with _opened() as folder:
            sizes = [
                file.stat(follow_symlinks=False).st_size
                for file in folder.files()
                if file.name.endswith(_SUFFIX)
            ]
            return Usage(len(sizes), sum(sizes))
    except (OSError, ValueError):
        return Usage(0, 0)
