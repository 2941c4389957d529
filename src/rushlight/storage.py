"""Storage objects: what `untyped_storage()` and `storage()` return, and how storage grows and shrinks."""

from __future__ import annotations

import gc
import mmap
import os
import sys
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight import dtypes, late
from rushlight.buffer import Buffer, Tensor, expose, new_tensor, offset, shown, storage, strides, watch
from rushlight.device import CPU, device
from rushlight.dtypes import dtype

# ---- memory ----


def location(buffer: Buffer) -> int:
    """The address of the first byte."""
    buffer.locate()
    return buffer.address if buffer.nbytes else 0


def size_of(buffer: Buffer) -> int:
    """Bytes in the storage."""
    return buffer.bytes().size


def twin(buffer: Buffer) -> Buffer:
    """Another buffer on the same memory, with a version counter of its own: what `data` gives."""
    made = Buffer.of(buffer.array)
    made.inference = buffer.inference
    made.watch = watch(buffer)
    if buffer.address >= 0:
        made.address, made.nbytes = buffer.address, buffer.nbytes
    return made


def resize(buffer: Buffer, nbytes: int, alone: bool = False) -> None:
    """Give the storage another size, keeping what fits; every tensor on it moves along.

    Args:
        alone: see `move`.
    """
    if not buffer.array.flags.writeable:
        raise RuntimeError("Trying to resize storage that is not resizable")
    try:
        memory = np.zeros(nbytes, np.uint8)
    except (ValueError, MemoryError):
        raise RuntimeError(
            f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {nbytes} bytes."
        ) from None
    move(buffer, memory, alone)


def move(buffer: Buffer, memory: np.ndarray, alone: bool = False) -> None:
    """Give the storage other memory, with what fits of its contents; every tensor on it moves along.

    1. Copy the bytes to the new memory.
    2. Find the tensors that show the buffer: they are among the objects that refer to it. (This is slow; a caller who
       holds the only tensor says `alone`, and moves it.)
    3. Let each show the new memory; one that no longer fits keeps what it had.
    """
    old = buffer.bytes()
    owners = (
        [] if alone else [t for t in gc.get_referrers(buffer) if isinstance(t, Tensor) and t._buf is buffer]
    )
    holders = [(t, strides(t), offset(t)) for t in owners]
    kept = min(memory.size, old.size)
    memory[:kept] = old[:kept]
    buffer.replace(memory)
    for t, steps, at in holders:
        try:
            t._a = shown(buffer, t._dtype.numpy, t._a.shape, steps, at)
        except RuntimeError:
            continue


# ---- the untyped storage ----

#: one storage object per buffer, for as long as somebody holds it
_OBJECTS: weakref.WeakValueDictionary[int, UntypedStorage] = weakref.WeakValueDictionary()


def of_tensor(self: Tensor) -> UntypedStorage:
    """The bytes that this tensor and its aliases share."""
    return of_buffer(storage(self))


def of_buffer(buffer: Buffer) -> UntypedStorage:
    found = _OBJECTS.get(id(buffer))
    expose(buffer)
    if found is None:
        found = object.__new__(UntypedStorage)
        found._buffer = buffer
        _OBJECTS[id(buffer)] = found
    return found


class UntypedStorage:
    """A piece of memory, in bytes: `UntypedStorage(8)`, or `tensor.untyped_storage()`.

    Example:
        >>> import rushlight as torch
        >>> x = torch.zeros(3)
        >>> x[1:].untyped_storage().data_ptr() == x.data_ptr(), x[1:].untyped_storage().nbytes()
        (True, 12)
    """

    __slots__ = ("_buffer", "__weakref__")
    _buffer: Buffer

    is_cuda = is_sparse = is_sparse_csr = is_hpu = False
    filename = None

    def __new__(cls, content: Any = 0, *, device: Any = None) -> UntypedStorage:
        if isinstance(content, int):
            if content < 0:
                raise RuntimeError(f"alloc_cpu() seems to have been called with negative number: {content}")
            memory = np.zeros(content, np.uint8)
        else:
            memory = np.array(list(content), np.uint8)
        return of_buffer(Buffer.of(memory))

    @property
    def device(self) -> device:
        return CPU

    @property
    def _cdata(self) -> int:
        return id(self._buffer)

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return location(self._buffer)

    def nbytes(self) -> int:
        """How many bytes there are."""
        return size_of(self._buffer)

    size = __len__ = nbytes

    def element_size(self) -> int:
        return 1

    def get_device(self) -> int:
        return -1

    def resizable(self) -> bool:
        return self._buffer.array.flags.writeable

    def is_shared(self) -> bool:
        return late.load("rushlight.sharing").mapping_of(self._buffer) is not None

    def is_pinned(self, device: Any = None) -> bool:
        return False

    def type(self, kind: Any = None) -> Any:
        return "torch.storage.UntypedStorage" if kind is None else TypedStorage.of(self, kind)

    def untyped(self) -> UntypedStorage:
        return self

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """A file's bytes, mapped: what is not looked at is not read.

        Args:
            shared: whether writes go to the file, which is made or grown if it has fewer bytes; else they stay here.

        Raises:
            RuntimeError: the file cannot be opened, or has fewer than `nbytes` bytes and is not shared.
        """
        try:
            with open(
                filename, "r+b" if shared and os.path.exists(filename) else "w+b" if shared else "rb"
            ) as file:
                size = os.fstat(file.fileno()).st_size
                if size < nbytes and not shared:
                    raise RuntimeError(
                        f"file {os.fspath(filename)!r} has {size} bytes, fewer than the {nbytes} asked for"
                    )
                if size < nbytes:
                    file.truncate(nbytes)
                access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
                memory: Any = mmap.mmap(file.fileno(), nbytes, access=access) if nbytes else b""
        except (OSError, ValueError) as error:
            raise RuntimeError(f"unable to map file {os.fspath(filename)!r}: {error}") from None
        return of_buffer(Buffer.of(np.frombuffer(memory, np.uint8) if nbytes else np.empty(0, np.uint8)))

    def resize_(self, size: int) -> UntypedStorage:
        """Another size, keeping what fits; tensors on this storage see it."""
        if size < 0:
            raise RuntimeError(f"negative size not allowed: {size}")
        if size != self.nbytes():
            resize(self._buffer, size)
        return self

    def clone(self) -> UntypedStorage:
        return of_buffer(Buffer.of(self._buffer.bytes().copy()))

    def cpu(self) -> UntypedStorage:
        return self

    def copy_(self, source: UntypedStorage, non_blocking: Any = None) -> UntypedStorage:
        if source.nbytes() != self.nbytes():
            raise RuntimeError(
                f"size does not match, self was {self.nbytes()} bytes but src was {source.nbytes()} bytes"
            )
        self._buffer.bytes()[...] = source._buffer.bytes()
        return self

    def fill_(self, value: int) -> UntypedStorage:
        self._buffer.bytes()[...] = value
        return self

    def tolist(self) -> list[int]:
        return self._buffer.bytes().tolist()

    def __getitem__(self, index: Any) -> Any:
        memory = self._buffer.bytes()
        if isinstance(index, slice):
            if index.step not in (None, 1):
                raise RuntimeError(
                    f"Trying to slice with a step of {index.step}, but only a step of 1 is supported"
                )
            return of_buffer(Buffer.of(memory[index]))
        if not isinstance(index, int):
            raise TypeError(f"can't index a torch.UntypedStorage with {type(index).__name__}")
        if not -memory.size <= index < memory.size:
            raise IndexError(f"index {index} out of range for storage of size {memory.size}")
        return int(memory[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, (int, slice)):
            raise TypeError(f"can't index a torch.UntypedStorage with {type(index).__name__}")
        try:
            self._buffer.bytes()[index] = value
        except IndexError as error:
            raise IndexError(str(error)) from None

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __copy__(self) -> UntypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict) -> UntypedStorage:
        return of_buffer(late.load("rushlight.pickling").copied_buffer(self._buffer, memo))

    def __reduce__(self) -> tuple:
        return UntypedStorage, (self.tolist(),)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def __repr__(self) -> str:
        numbers = "".join(f" {n}\n" for n in self.tolist())
        return f"{numbers}[torch.storage.UntypedStorage(device=cpu) of size {len(self)}]"

    def _typed(self, kind: dtype) -> TypedStorage:
        values = self._buffer.bytes().astype(kind.numpy)
        return TypedStorage.of(of_buffer(Buffer.of(values)), kind)

    def float(self) -> TypedStorage:
        return self._typed(dtypes.float32)

    def double(self) -> TypedStorage:
        return self._typed(dtypes.float64)

    def byte(self) -> TypedStorage:
        return self._typed(dtypes.uint8)


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a storage object."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


# ---- the typed storage ----


def typed_of_tensor(self: Tensor) -> TypedStorage:
    """The storage as numbers of this tensor's dtype; deprecated, like all of `TypedStorage`."""
    _deprecated()
    return TypedStorage.of(of_tensor(self), self._dtype)


def _deprecated() -> None:
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. "
        "This should only matter to you if you are using storages directly.  To access UntypedStorage directly, use "
        "tensor.untyped_storage() instead of tensor.storage()",
        stacklevel=3,
    )


class _ByElement(type):
    """`isinstance(storage, FloatStorage)` asks for the dtype."""

    def __instancecheck__(cls, instance: Any) -> bool:
        wanted = cls.__dict__.get("element")
        return type.__instancecheck__(cls, instance) or (
            wanted is not None and isinstance(instance, TypedStorage) and instance.dtype is wanted
        )


class _Casts(metaclass=_ByElement):
    """A method for each type that a storage's numbers can be turned into."""

    def _cast(self, kind: dtype) -> TypedStorage:
        raise NotImplementedError

    def bool(self) -> TypedStorage:
        return self._cast(dtypes.bool_)

    def byte(self) -> TypedStorage:
        return self._cast(dtypes.uint8)

    def char(self) -> TypedStorage:
        return self._cast(dtypes.int8)

    def short(self) -> TypedStorage:
        return self._cast(dtypes.int16)

    def int(self) -> TypedStorage:
        return self._cast(dtypes.int32)

    def long(self) -> TypedStorage:
        return self._cast(dtypes.int64)

    def half(self) -> TypedStorage:
        return self._cast(dtypes.float16)

    def bfloat16(self) -> TypedStorage:
        return self._cast(dtypes.BFLOAT16)

    def float(self) -> TypedStorage:
        return self._cast(dtypes.float32)

    def double(self) -> TypedStorage:
        return self._cast(dtypes.float64)

    def complex_float(self) -> TypedStorage:
        return self._cast(dtypes.complex64)

    def complex_double(self) -> TypedStorage:
        return self._cast(dtypes.complex128)


class TypedStorage(_Casts):
    """A storage read as numbers of one dtype; deprecated in favour of `UntypedStorage`."""

    element: dtype | None = None
    is_cuda = is_sparse = False

    def __init__(
        self,
        content: Any = 0,
        *,
        wrap_storage: Any = None,
        dtype: Any = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        self.dtype = self.element or dtype or dtypes.get_default_dtype()
        if wrap_storage is not None:
            self._untyped_storage = wrap_storage
        elif isinstance(content, int):
            self._untyped_storage = UntypedStorage(content * self.dtype.itemsize)
        else:
            values = np.array(list(content)).astype(self.dtype.numpy)
            self._untyped_storage = of_buffer(Buffer.of(values))

    @staticmethod
    def of(untyped: UntypedStorage, kind: dtype) -> TypedStorage:
        return TypedStorage(wrap_storage=untyped, dtype=kind)

    def _array(self) -> np.ndarray:
        buffer = self._untyped_storage._buffer
        return shown(buffer, self.dtype.numpy, (self.size(),), (1,), 0)

    def _as_tensor(self) -> Tensor:
        return new_tensor(self._array(), self.dtype)

    @property
    def device(self) -> device:
        return CPU

    @property
    def _cdata(self) -> int:
        return self._untyped_storage._cdata

    def untyped(self) -> UntypedStorage:
        return self._untyped_storage

    def size(self) -> int:
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    __len__ = _size = size

    def nbytes(self) -> int:
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        return self._untyped_storage.data_ptr()

    def tolist(self) -> list:
        return self._as_tensor().tolist()

    def clone(self) -> TypedStorage:
        return TypedStorage.of(self._untyped_storage.clone(), self.dtype)

    def cpu(self) -> TypedStorage:
        return self

    def is_shared(self) -> bool:
        return self._untyped_storage.is_shared()

    def resizable(self) -> bool:
        return self._untyped_storage.resizable()

    @classmethod
    def from_buffer(
        cls, buffer: Any, byte_order: str = "native", count: int = -1, offset: int = 0, *, dtype: Any = None
    ) -> TypedStorage:
        """A copy of the bytes that an object shows, from `offset` on, as `count` numbers or as many as there are.

        Args:
            byte_order: "native", "little" or "big".

        Raises:
            ValueError: the byte order is none of these; the bytes are too few, or no whole number of elements.
        """
        kind = cls.element or dtype or dtypes.get_default_dtype()
        item = kind.itemsize
        if byte_order not in ("native", "little", "big"):
            raise ValueError(f"invalid byte_order {byte_order!r} (expected 'big', 'little', or 'native')")
        memory = np.frombuffer(buffer, np.uint8, max(count, -1) * item if count >= 0 else -1, offset).copy()
        if memory.size % item:
            raise ValueError(f"size of buffer ({memory.size}) must be a multiple of element size ({item})")
        part = item // 2 if kind.is_complex else item
        if part > 1 and byte_order not in ("native", sys.byteorder):
            memory = memory.reshape(-1, part)[:, ::-1].reshape(-1).copy()
        return cls(wrap_storage=of_buffer(Buffer.of(memory)), dtype=kind)

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, size: int = 0) -> TypedStorage:
        """The first `size` numbers of a file, mapped; see `UntypedStorage.from_file`."""
        kind = cls.element or dtypes.get_default_dtype()
        return cls(wrap_storage=UntypedStorage.from_file(filename, shared, size * kind.itemsize), dtype=kind)

    def _cast(self, kind: dtype) -> TypedStorage:
        """These numbers in another type; itself, if it is that."""
        if kind is self.dtype:
            return self
        values = self._as_tensor().to(kind)
        return TypedStorage.of(of_tensor(values), kind)

    def resize_(self, size: int) -> TypedStorage:
        self._untyped_storage.resize_(size * self.dtype.itemsize)
        return self

    def fill_(self, value: Any) -> TypedStorage:
        self._as_tensor().fill_(value)
        return self

    def copy_(self, source: TypedStorage, non_blocking: Any = None) -> TypedStorage:
        self._as_tensor().copy_(source._as_tensor())
        return self

    def type(self, kind: Any = None) -> Any:
        return f"torch.{_NAMES[self.dtype.name]}Storage" if kind is None else self

    def pickle_storage_type(self) -> str:
        return f"{_NAMES[self.dtype.name]}Storage"

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not isinstance(index, int):
            raise TypeError(f"can't index a TypedStorage with {type(index).__name__}")
        if not -self.size() <= index < self.size():
            raise IndexError(f"index {index} out of range for storage of size {self.size()}")
        return self._as_tensor()[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._as_tensor()[index] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, TypedStorage) and self._cdata == other._cdata and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash(self._cdata)

    def __reduce__(self) -> tuple:
        return typed_from, (self._untyped_storage, self.dtype)

    def __repr__(self) -> str:
        numbers = "\n ".join(str(n) for n in self.tolist())
        return (
            f" {numbers}\n[torch.storage.TypedStorage(dtype={self.dtype!r}, device=cpu) of size {len(self)}]"
        )


def typed_from(untyped: UntypedStorage, kind: dtype) -> TypedStorage:
    return TypedStorage.of(untyped, kind)


_NAMES = {d.name: d.legacy for d in dtypes.ALL}


def _typed(kind: dtype) -> type[TypedStorage]:
    made: Any = _ByElement(f"{kind.legacy}Storage", (TypedStorage,), {"element": kind, "__module__": "torch"})
    made.__doc__ = f"A storage read as {kind.name} numbers; deprecated."
    return made


ByteStorage = _typed(dtypes.uint8)
CharStorage = _typed(dtypes.int8)
ShortStorage = _typed(dtypes.int16)
IntStorage = _typed(dtypes.int32)
LongStorage = _typed(dtypes.int64)
HalfStorage = _typed(dtypes.float16)
BFloat16Storage = _typed(dtypes.BFLOAT16)
FloatStorage = _typed(dtypes.float32)
DoubleStorage = _typed(dtypes.float64)
BoolStorage = _typed(dtypes.bool_)
ComplexFloatStorage = _typed(dtypes.complex64)
ComplexDoubleStorage = _typed(dtypes.complex128)

STORAGE_TYPES = {
    cls.element.name: cls
    for cls in (
        ByteStorage, CharStorage, ShortStorage, IntStorage, LongStorage, HalfStorage, BFloat16Storage, FloatStorage,
        DoubleStorage, BoolStorage, ComplexFloatStorage, ComplexDoubleStorage,
    )
    if cls.element is not None
}  # fmt: skip

__all__ = ["TypedStorage", "UntypedStorage", "is_storage", "resize"]
