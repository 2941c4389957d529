"""Files in the format of PyTorch before 1.6, which `torch.save(..., _use_new_zipfile_serialization=False)` still writes.

Such a file is a row of pickles - a magic number, the format's version, facts about the machine, the object, the keys of its
storages - and then, for each key in turn, the number of its elements in eight bytes and the elements. The object comes before its
data, so storages get memory when they are named, and are filled at the end; no more is taken than the file is long.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import pickle_memo
from rushlight.buffer import Buffer
from rushlight.dtypes import uint8
from rushlight.serialization import Pickler, Unpickler, check_location
from rushlight.storage import TypedStorage, UntypedStorage, of_buffer
from rushlight.tape.modes import MODES

__all__ = ["MAGIC", "read", "write"]

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001

# ---- write ----


class _OldPickler(Pickler):
    """Writes storages as the old format names them."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.items: list[int] = []

    def _storage(self, buffer: Buffer, cls: type, item: int) -> tuple:
        named = super()._storage(buffer, cls, item)
        if len(self.items) < len(self.buffers):
            self.items.append(item)
        return *named, None  # (no view of another storage)


def write(obj: Any, f: Any, protocol: int) -> None:
    """Write an object to a path or a file."""
    if isinstance(f, (str, os.PathLike)):
        with open(f, "wb") as file:
            write(obj, file, protocol)
        return
    text = io.BytesIO()
    pickler = _OldPickler(text, protocol)
    pickler.dump(obj)
    machine = {
        "protocol_version": _VERSION,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    for value in (MAGIC, _VERSION, machine):
        pickle.dump(value, f, protocol)
    f.write(text.getvalue())
    keys = sorted(map(str, range(len(pickler.buffers))))
    pickle.dump(keys, f, protocol)
    for key in keys:
        buffer, item = pickler.buffers[int(key)], pickler.items[int(key)]
        f.write(struct.pack("<q", buffer.nbytes // item))
        f.write(memoryview(buffer.bytes()))  # type: ignore[arg-type]


# ---- read ----


class _OldUnpickler(Unpickler):
    def persistent_load(self, saved: Any) -> Any:
        if isinstance(saved, tuple) and len(saved) == 4 and saved[0] == "module":
            return saved[1]  # a class, which was looked up already, and its source
        if isinstance(saved, tuple) and len(saved) == 6 and saved[5] is not None:
            raise pickle.UnpicklingError("a file names a part of a storage, as PyTorch before 0.2 did")
        return super().persistent_load(saved[:5] if isinstance(saved, tuple) else saved)


class _Storages:
    """The storages that an object names, in memory that is not filled yet."""

    def __init__(self, room: int, map_location: Any) -> None:
        self.room = room
        self.map_location = map_location
        self.held: dict[str, tuple[Buffer, int, int, bool]] = {}

    def find(self, cls: Any, key: Any, location: Any, count: Any) -> Any:
        kind = uint8 if cls is UntypedStorage else getattr(cls, "element", None)
        if kind is None or not isinstance(key, str) or not isinstance(count, int) or count < 0:
            raise pickle.UnpicklingError("a file names a storage that is none")
        check_location(location, self.map_location)
        if key not in self.held:
            self.room -= count * kind.itemsize
            if self.room < 0:
                raise RuntimeError(
                    f"storage {key} is said to have {count} elements, more than the file holds"
                )
            buffer = Buffer.of(np.zeros(count * kind.itemsize, np.uint8))
            self.held[key] = buffer, count, kind.itemsize, kind.is_complex
        elif self.held[key][1] * self.held[key][2] < count * kind.itemsize:
            raise pickle.UnpicklingError(f"storage {key} is named with two sizes")
        held = of_buffer(self.held[key][0])
        return held if cls is UntypedStorage else TypedStorage.of(held, kind)

    def fill(self, key: Any, f: Any, swap: bool) -> None:
        if key not in self.held:
            raise pickle.UnpicklingError(f"a file has data for {key!r}, which nothing names")
        buffer, count, item, is_complex = self.held[key]
        (found,) = struct.unpack("<q", _exactly(f, 8))
        if found != count:
            raise RuntimeError(f"storage {key} has {found} elements, but {count} are said to be in it")
        data = np.frombuffer(_exactly(f, count * item), np.uint8)
        part = item // 2 if is_complex else item
        buffer.bytes()[...] = data.reshape(-1, part)[:, ::-1].reshape(-1) if swap and part > 1 else data


def _exactly(f: Any, count: int) -> bytes:
    data = f.read(count)
    if len(data) != count:
        raise RuntimeError("unexpected EOF. The file might be corrupted.")
    return data


def _no_storage(*named: Any) -> Any:
    raise pickle.UnpicklingError("a file names a storage where there can be none")


def read(f: Any, map_location: Any, options: dict) -> Any:
    """What `write` wrote, or PyTorch did, to a seekable file, which is left behind it: another may follow.

    Raises:
        pickle.UnpicklingError: it is no such file, or names what is not allowed.
        RuntimeError: it is damaged.
    """
    start, data = f.tell(), f.read()
    outside, f, storages = f, io.BytesIO(data), _Storages(len(data), map_location)

    def load(find_storage: Callable = _no_storage) -> Any:
        pickle_memo.check(data, f.tell())
        return _OldUnpickler(f, find_storage, **options).load()

    if load() != MAGIC:
        raise pickle.UnpicklingError("Weights only load failed. This is no file that torch.save wrote.")
    version, machine = load(), load()
    if version != _VERSION or not isinstance(machine, dict):
        raise RuntimeError(f"Invalid protocol version: {version}")
    before, MODES.grad = MODES.grad, False
    try:
        found = load(storages.find)
    finally:
        MODES.grad = before
    keys = load()
    if not isinstance(keys, list) or len(keys) != len(storages.held):
        raise pickle.UnpicklingError("a file's list of storages is not that of its object")
    for key in keys:
        storages.fill(key, f, machine.get("little_endian") is False)
    outside.seek(start + f.tell())
    return found
