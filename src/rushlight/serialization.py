"""Saving tensors: `save` and `load` in PyTorch's own file format.

A file is a zip archive, uncompressed: `data.pkl`, a pickle in which storages are named, and `data/0`, `data/1`, ...,
their bytes, each starting at a multiple of 64. PyTorch reads what Rushlight wrote and the other way round; views that
share a storage still do after loading. Loading cannot run code: of all that a pickle may name, only the functions
and types of `_KNOWN` below, and those that the program itself has allowed, are looked up.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rushlight import late, pickle_memo
from rushlight.autograd.hooks import warn_if_has_hooks
from rushlight.buffer import Buffer, Tensor, offset, storage, strides
from rushlight.device import device
from rushlight.dtypes import ALL, BY_NAME, dtype, uint8
from rushlight.pickling import fill
from rushlight.size import Size
from rushlight.storage import STORAGE_TYPES, TypedStorage, UntypedStorage, of_buffer
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad

if TYPE_CHECKING:
    import zipfile

#: what `load` takes as `map_location`
MAP_LOCATION = Callable[[Any, str], Any] | device | str | dict[str, str] | None

# ---- what PyTorch's files name ----


def _rebuild_tensor_v2(
    storage: Any, at: int, shape: Any, steps: Any, grad: bool = False, hooks: Any = None, metadata: Any = None
) -> Tensor:
    return _rebuild_tensor_v3(storage.untyped(), at, shape, steps, grad, hooks, storage.dtype, metadata)


def _rebuild_tensor_v3(
    storage: Any, at: int, shape: Any, steps: Any, grad: bool, hooks: Any, kind: dtype, metadata: Any = None
) -> Tensor:
    t = object.__new__(Tensor)
    fill(t, storage._buffer, kind, at, tuple(shape), tuple(steps), grad)
    return t


def _rebuild_parameter(data: Tensor, grad: bool, hooks: Any) -> Tensor:
    from rushlight.nn.parameter import Parameter  # read when the first file with one is loaded

    return Parameter(data, grad)


def _rebuild_parameter_with_state(data: Tensor, grad: bool, hooks: Any, state: Any) -> Tensor:
    return _with_state(_rebuild_parameter(data, grad, hooks), state)


def _rebuild_from_type_v2(function: Callable, cls: type, args: tuple, state: Any) -> Tensor:
    return _with_state(function(*args), state)


def _with_state(t: Tensor, state: Any) -> Tensor:
    """The tensor, with the attributes that the program gave it."""
    if isinstance(state, tuple):
        state = state[0]
    t.__dict__.update(state or {})
    return t


#: types that PyTorch names on the tensor rather than on the storage
_BARE = {BY_NAME[name] for name in ("uint16", "uint32", "uint64", "complex32")}

_NAMES: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter_with_state,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type_v2,
    ("torch", "Tensor"): Tensor,
    ("torch", "Size"): Size,
    ("torch", "device"): device,
    ("torch.storage", "UntypedStorage"): UntypedStorage,
    **{("torch", kind.name): kind for kind in ALL},
    **{("torch", cls.__name__): cls for cls in STORAGE_TYPES.values()},
}
_NAME_OF = {id(thing): name for name, thing in _NAMES.items()}
_KNOWN: dict[tuple[str, str], Any] = {
    **_NAMES,
    ("torch.nn.parameter", "Parameter"): Tensor,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("builtins", "set"): set,
    ("builtins", "complex"): complex,
    ("builtins", "bytearray"): bytearray,
    ("__builtin__", "set"): set,
    ("__builtin__", "complex"): complex,
    ("__builtin__", "bytearray"): bytearray,
}


def _encoded(text: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes: as text in latin1."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("only text in latin1 stands for bytes")
    return text.encode("latin1")


_KNOWN["_codecs", "encode"] = _encoded


# ---- save ----

_PlainPickler: Any = pickle._Pickler


class Pickler(_PlainPickler):
    """Writes tensors and types under the names they have in PyTorch. The plain-Python pickler, whose steps can be changed."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.numbers: dict[tuple[int, int], int] = {}
        self.buffers: list[Buffer] = []
        self.types: list[type] = []

    def persistent_id(self, thing: Any) -> Any:
        if isinstance(thing, UntypedStorage):
            return self._storage(thing._buffer, UntypedStorage, 1)
        if isinstance(thing, TypedStorage):
            return self._storage(
                thing.untyped()._buffer, STORAGE_TYPES[thing.dtype.name], thing.element_size()
            )
        return None

    def _storage(self, buffer: Buffer, cls: type, item: int) -> tuple:
        buffer.locate()
        number = self.numbers.setdefault((buffer.address, buffer.nbytes), len(self.buffers))
        if number == len(self.buffers):
            self.buffers.append(buffer)
            self.types.append(cls)
        elif self.types[number] is not cls and buffer.nbytes:
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types: "
                f"{self.types[number].__name__} and {cls.__name__}. Save a clone() of one of them."
            )
        return "storage", cls, str(number), "cpu", buffer.nbytes // item

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Tensor) and not getattr(thing, "is_lazy", False):
            return _torch_reduce(thing)
        if isinstance(thing, dtype):
            return thing.name
        return NotImplemented

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Name a function or type; Rushlight's own under PyTorch's names."""
        known = _NAME_OF.get(id(obj))
        if known is None:
            module = getattr(obj, "__module__", None) or ""
            if module.partition(".")[0] != "rushlight":
                try:
                    super().save_global(obj, name)
                except pickle.PicklingError:
                    pickle.dumps(obj)  # the error of pickle's own implementation in C, which PyTorch uses
                    raise
                return
            known = _torch_home(obj), obj.__qualname__
        self.write(pickle.GLOBAL + f"{known[0]}\n{known[1]}\n".encode())
        self.memoize(obj)

    dispatch: ClassVar = {**_PlainPickler.dispatch, FunctionType: save_global}


def _torch_reduce(t: Tensor) -> tuple:
    """How PyTorch takes a tensor apart."""
    warn_if_has_hooks(t)
    memory = of_buffer(storage(t))
    function: Any
    args: tuple
    place: tuple = offset(t), t._a.shape, strides(t), requires_grad(t), OrderedDict()
    if t._dtype in _BARE:
        function, args = _rebuild_tensor_v3, (memory, *place, t._dtype)
    else:
        function, args = _rebuild_tensor_v2, (TypedStorage.of(memory, t._dtype), *place)
    if type(t) is not Tensor and getattr(type(t), "__name__", "") == "Parameter":
        args = t.detach(), requires_grad(t), OrderedDict()
        return (
            (_rebuild_parameter_with_state, (*args, dict(t.__dict__)))
            if t.__dict__
            else (_rebuild_parameter, args)
        )
    if t.__dict__:
        return _rebuild_from_type_v2, (function, Tensor, args, dict(t.__dict__))
    return function, args


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = pickle,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write an object, with the tensors in it, to a file that PyTorch reads too.

    Args:
        f: a path, or an object with `write`.
        _use_new_zipfile_serialization: False for the format of PyTorch before 1.6.

    Raises:
        AttributeError: `f` is neither.
        RuntimeError: the folder is missing.

    Example:
        >>> import io, rushlight as torch
        >>> file = io.BytesIO()
        >>> torch.save({"w": torch.ones(2)}, file)
        >>> torch.load(io.BytesIO(file.getvalue()))
        {'w': tensor([1., 1.])}
    """
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, "write"):
        raise AttributeError(
            f"expected 'f' to be string, path, or a file-like object with a 'write' attribute, got {type(f)}"
        )
    import zipfile  # late, as in `load`: programs that save nothing should not wait for it

    if isinstance(f, (str, os.PathLike)):
        parent = os.path.dirname(os.fspath(f))
        if parent and not os.path.isdir(parent):
            raise RuntimeError(f"Parent directory {parent} does not exist.")
    if not _use_new_zipfile_serialization:
        late.load("rushlight.old_serialization").write(obj, f, pickle_protocol)
        return _flush(f)
    text = io.BytesIO()
    pickler = Pickler(text, pickle_protocol)
    pickler.dump(obj)
    top = (
        os.path.splitext(os.path.basename(os.fspath(f)))[0]
        if isinstance(f, (str, os.PathLike))
        else "archive"
    )
    file: Any = f if isinstance(f, (str, os.PathLike)) else _Written(f)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write(archive, f"{top}/data.pkl", text.getvalue())
        _write(archive, f"{top}/.format_version", b"1")
        _write(archive, f"{top}/.storage_alignment", b"64")
        _write(archive, f"{top}/byteorder", b"little")
        for number, buffer in enumerate(pickler.buffers):
            _write(archive, f"{top}/data/{number}", memoryview(buffer.bytes()))  # type: ignore[arg-type]
        _write(archive, f"{top}/version", b"3\n")
    _flush(f)


def _flush(f: Any) -> None:
    """Let others see what was written to a file, as PyTorch does."""
    if hasattr(f, "flush"):
        f.flush()


class _Written:
    """A file that is only written to, from its place on: what compresses or sends can go back nowhere."""

    def __init__(self, f: Any) -> None:
        self.write = f.write

    def flush(self) -> None:
        """Nothing: the end of the archive is not yet that of the file."""


class _Seekable:
    """What `zipfile` wants to know of a file that can be read and looked up, and nothing else."""

    def __init__(self, f: Any) -> None:
        self.read, self.seek, self.tell = f.read, f.seek, f.tell

    def seekable(self) -> bool:
        return True


def _write(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    """One entry, whose content begins at a multiple of 64 in the file: a filler in the extra field sees to it."""
    import struct
    import zipfile

    info = zipfile.ZipInfo(name)
    start = archive.fp.tell() + 30 + len(name.encode()) + 4  # type: ignore[union-attr]
    filler = -start % 64
    info.extra = struct.pack("<2sH", b"FB", filler) + b"Z" * filler
    archive.writestr(info, content)


# ---- load ----


class Unpickler(pickle.Unpickler):
    """Looks up nothing but what is known to be harmless."""

    def __init__(self, file: Any, find_storage: Callable, **options: Any) -> None:
        super().__init__(file, **options)
        self.find_storage = find_storage

    def find_class(self, module: str, name: str) -> Any:
        found = _KNOWN.get((module, name))
        if found is None:
            found = _allowed.get(f"{module}.{name}")
        if found is None:
            raise pickle.UnpicklingError(
                "Weights only load failed. This file can still be loaded, to do so you have two options, only if you "
                f"trust its source: Unsupported global: GLOBAL {module}.{name} was not an allowed global by default. "
                f"Please use `torch.serialization.add_safe_globals([{name}])` or the "
                f"`torch.serialization.safe_globals([{name}])` context manager to allowlist this global if you trust "
                "this class/function. Rushlight never runs what a file names otherwise."
            )
        return found

    def persistent_load(self, saved: Any) -> Any:
        if not isinstance(saved, tuple) or len(saved) != 5 or saved[0] != "storage":
            raise pickle.UnpicklingError(f"a file names a {saved!r} where only storages can be")
        return self.find_storage(*saved[1:])


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what `save` wrote, or PyTorch's `save` did.

    Nothing in a file can run code, whatever `weights_only` says: types other than tensors and Python's own must be
    allowed with `torch.serialization.add_safe_globals`.

    Args:
        f: a path, or a seekable object with `read`, which is read from its place on.
        map_location: where to put tensors saved on other devices; "cpu", or anything that means it.

    Raises:
        pickle.UnpicklingError: the file names something that is not allowed.
        RuntimeError: the file is damaged, or holds tensors of another device and `map_location` does not say where to.

    Example:
        >>> import io, rushlight as torch
        >>> file = io.BytesIO()
        >>> torch.save(torch.arange(3), file)
        >>> torch.load(io.BytesIO(file.getvalue()))
        tensor([0, 1, 2])
    """
    if not isinstance(f, (str, os.PathLike)) and not (hasattr(f, "read") and hasattr(f, "seek")):
        raise AttributeError(
            f"'{type(f).__name__}' object has no attribute 'seek'. You can only torch.load from a file that is seekable. "
            "Please pre-load the data into a buffer like io.BytesIO and try to load from it instead."
        )
    if mmap and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, map_location, mmap, pickle_load_args)
    return _load(f, map_location, mmap, pickle_load_args)


def _load(f: Any, map_location: Any, mmap: bool | None, options: dict) -> Any:
    """What an open file holds from its place on."""
    import zipfile

    start = f.tell()
    begins = f.read(4)
    f.seek(start)
    if begins != b"PK\x03\x04":
        if not begins:
            raise EOFError("Ran out of input")
        if begins[:1] != b"\x80":
            raise pickle.UnpicklingError("Weights only load failed. This is no file that torch.save wrote.")
        if mmap:
            raise RuntimeError(
                "mmap can only be used with files saved with `torch.save(_use_new_zipfile_serialization=True)`, please "
                "torch.save your checkpoint with this option in order to use mmap."
            )
        return late.load("rushlight.old_serialization").read(f, map_location, options)
    try:
        with zipfile.ZipFile(f if hasattr(f, "seekable") else _Seekable(f)) as archive:
            return _read(archive, map_location, options)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise RuntimeError(f"PytorchStreamReader failed reading zip archive: {error}") from error


def _read(archive: zipfile.ZipFile, map_location: Any, options: dict) -> Any:
    names = archive.namelist()
    top = names[0].partition("/")[0] if names else ""
    swap = f"{top}/byteorder" in names and archive.read(f"{top}/byteorder") == b"big"
    storages: dict[str, Buffer] = {}

    def find_storage(cls: Any, key: Any, location: Any, count: Any) -> Any:
        kind = uint8 if cls is UntypedStorage else getattr(cls, "element", None)
        if kind is None or not isinstance(key, str) or not isinstance(count, int):
            raise pickle.UnpicklingError("a file names a storage that is none")
        check_location(location, map_location)
        item = kind.itemsize
        if key not in storages:
            memory = np.frombuffer(bytearray(archive.read(f"{top}/data/{key}")), np.uint8)
            if swap and item > 1:
                part = item // 2 if kind.is_complex else item
                memory = memory.reshape(-1, part)[:, ::-1].reshape(-1).copy()
            if count < 0 or memory.size < count * item:
                raise RuntimeError(
                    f"storage {key} has {memory.size} bytes, but {count} elements are said to be in it"
                )
            storages[key] = Buffer.of(memory)
        held = of_buffer(storages[key])
        return held if cls is UntypedStorage else TypedStorage.of(held, kind)

    before, MODES.grad = MODES.grad, False
    try:
        text = archive.read(f"{top}/data.pkl")
        pickle_memo.check(text)
        return Unpickler(io.BytesIO(text), find_storage, **options).load()
    finally:
        MODES.grad = before


def check_location(location: Any, wanted: Any) -> None:
    if isinstance(wanted, dict):
        location = wanted.get(location, location)
    elif callable(wanted) and not isinstance(wanted, device):
        location = "cpu"
    elif wanted is not None:
        location = str(wanted)
    if not isinstance(location, str) or location.partition(":")[0] in ("cpu", "meta"):
        return
    kind = location.partition(":")[0].upper()
    raise RuntimeError(
        f"Attempting to deserialize object on a {kind} device but torch.{kind.lower()}.is_available() is False. If you "
        "are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
        "storages to the CPU."
    )


# ---- what a program allows ----

_allowed: dict[str, Any] = {}


def _names(safe_globals: list) -> Iterator[tuple[str, Any]]:
    for entry in safe_globals:
        thing, name = entry if isinstance(entry, tuple) else (entry, None)
        module = thing.__module__
        if module.partition(".")[0] == "rushlight":
            module = _torch_home(thing)
        yield name or f"{module}.{thing.__qualname__}", thing


def _torch_home(thing: Any) -> str:
    """Which of PyTorch's modules has this class or function of ours."""
    if isinstance(thing, FunctionType):
        for home in ("", ".nn.functional", ".linalg", ".special", ".fft"):
            module = sys.modules.get(f"rushlight{home}")
            if getattr(module, thing.__name__, None) is thing:
                return f"torch{home}"
    return "torch" + thing.__module__.removeprefix("rushlight")


def add_safe_globals(safe_globals: list) -> None:
    """Allow files to name these functions and types; each may come with the name it has in the file.

    Example:
        >>> import fractions, rushlight as torch
        >>> torch.serialization.add_safe_globals([fractions.Fraction])
        >>> torch.serialization.clear_safe_globals()
    """
    _allowed.update(_names(safe_globals))


def get_safe_globals() -> list:
    """What `add_safe_globals` has allowed."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Allow nothing more than at the start."""
    _allowed.clear()


@contextmanager
def safe_globals(safe_globals: list) -> Iterator[None]:
    """Allow files to name these functions and types in the block."""
    before = dict(_allowed)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.serialization")
