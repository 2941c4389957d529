"""`torch.hub`: models that repositories describe in a `hubconf.py`, and files of weights from the net.

Repositories are read from folders (`source="local"`). Rushlight does not fetch code: what a repository on GitHub holds
has to be cloned first, and looked at.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from rushlight import absent, late

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]

#: bytes that are read at a time
_PIECE = 1 << 17
#: the beginning of a file's digest, as its name says it
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")


class _Settings:
    directory: str | None = None


def get_dir() -> str:
    """Where files from the net are kept: what `set_dir` set, or `$TORCH_HOME/hub`, by default `~/.cache/torch/hub`."""
    if _Settings.directory is not None:
        return _Settings.directory
    return os.path.join(_get_torch_home(), "hub")


def set_dir(d: str | os.PathLike) -> None:
    """Keep files from the net there."""
    _Settings.directory = os.path.expanduser(d)


def _get_torch_home() -> str:
    """The folder that `get_dir()` is in, whatever `set_dir` said: libraries keep files of their own there."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


# ---- models ----


def _config(repo: str, source: str) -> ModuleType:
    """The module that `hubconf.py` in a folder is."""
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        raise NotImplementedError(
            f"torch.hub: Rushlight does not fetch code; clone github.com/{repo.partition(':')[0]} "
            'and give its folder with source="local"'
        )
    folder = os.path.expanduser(repo)
    spec = importlib.util.spec_from_file_location("hubconf", os.path.join(folder, "hubconf.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


def _entry(module: ModuleType, model: str) -> Any:
    if not isinstance(model, str):
        raise ValueError("Invalid input: model should be a string of function name")
    missing = [name for name in getattr(module, "dependencies", ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    found = getattr(module, model, None)
    if not callable(found):
        raise RuntimeError(f"Cannot find callable {model} in hubconf")
    return found


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: Any = None,
    verbose: bool = True,
) -> Any:
    """The names of the models in a folder: the public functions of its `hubconf.py`.

    Raises:
        NotImplementedError: this is not a folder here.
    """
    module = _config(github, _source(github))
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(
    github: str, model: str, force_reload: bool = False, skip_validation: bool = False, trust_repo: Any = None
) -> str | None:
    """What a model's docstring says; NotImplementedError where there is no such folder."""
    return _entry(_config(github, _source(github)), model).__doc__


def _source(repo: str) -> str:
    return "local" if os.path.isdir(os.path.expanduser(repo)) else "github"


def load(
    repo_or_dir: str, model: str, *args: Any, source: str = "github", trust_repo: Any = None,
    force_reload: bool = False, verbose: bool = True, skip_validation: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """What `model(*args, **kwargs)` in a repository's `hubconf.py` returns.

    Raises:
        NotImplementedError: the repository is not a folder here.
        RuntimeError: it has no such model, or needs a package that is missing.
    """
    return _entry(_config(repo_or_dir, source), model)(*args, **kwargs)


# ---- files ----


def download_url_to_file(url: str, dst: Any, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetch a file.

    Args:
        hash_prefix: how the file's SHA-256 begins.
        progress: accepted for compatibility; nothing is shown.

    Raises:
        RuntimeError: the file has another digest.
    """
    target = Path(os.path.expanduser(dst))
    digest = hashlib.sha256()
    request = Request(url, headers={"User-Agent": "torch.hub"})
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        try:
            with urlopen(request) as source:
                while piece := source.read(_PIECE):
                    file.write(piece)
                    digest.update(piece)
            file.close()
            found = digest.hexdigest()
            if hash_prefix is not None and not found.startswith(hash_prefix):
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{found}")')
            shutil.move(file.name, target)
        finally:
            Path(file.name).unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True,
    check_hash: bool = False, file_name: str | None = None, weights_only: bool = False,
) -> Any:  # fmt: skip
    """What `torch.load` reads from a file on the net, which is fetched once and kept in `model_dir`.

    Args:
        check_hash: the file's name holds the beginning of its digest, which is to be right.
        file_name: its name in `model_dir`; by default the URL's.
        weights_only: accepted for compatibility; nothing in a file can run code in any case.
    """
    from rushlight.serialization import load as load_file

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        known = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, known.group(1) if known else None, progress)
    if zipfile.is_zipfile(path) and (inner := _lone_file(path)):
        with zipfile.ZipFile(path) as archive:
            path = archive.extract(inner, folder)
    return load_file(path, map_location=map_location)


def _lone_file(path: str) -> str | None:
    """The one file in an archive of the time when weights were zipped by hand; None of what `torch.save` writes."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return names[0] if len(names) == 1 else None


# ---- progress ----


class _Silent:
    """Stands for a bar of progress where the library that draws them is not installed."""

    def __init__(self, iterable: Any = None, total: Any = None, **options: Any) -> None:
        self._iterable = iterable

    def __iter__(self) -> Any:
        return iter(() if self._iterable is None else self._iterable)

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def update(self, n: float = 1) -> None:
        """Some more is done."""

    def set_description(self, *args: Any, **kwargs: Any) -> None:
        """What is being done."""

    def close(self) -> None:
        """All is done."""


def __getattr__(name: str) -> Any:
    if name != "tqdm":
        raise absent.of_module(__name__, name)
    try:
        return late.load("tqdm.auto").tqdm
    except ImportError:
        return _Silent
