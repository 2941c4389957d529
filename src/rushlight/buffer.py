"""Storage, and the bare handle that the user's tensors are.

`Tensor` is declared here, at the bottom of the house, so that every layer can make and
recognise one; `rushlight.tensor` gives it its methods.
"""

from __future__ import annotations

import weakref
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import late
from rushlight.dtypes import dtype
from rushlight.graph.expr import Pending, settle
from rushlight.memory import address, lent_alone

_BYTE = np.dtype(np.uint8)


class Watch:
    """What is to be known of some memory before it is written to, or read later; buffers on one memory share it.

    Attributes:
        readers: the pending arrays (weakly) that are to read it; see `rushlight.graph.expr`.
        exposed: whether others can write to it unseen (NumPy, DLPack), so that nobody may read it later.
    """

    __slots__ = ("readers", "exposed")

    def __init__(self) -> None:
        self.readers: list[weakref.ref] = []
        self.exposed = False


class Buffer:
    """One piece of storage: the identity that views share.

    Attributes:
        version: how many times the memory was written to; what backward checks.
        writer: where the last write came from: the code, and the instruction in it.
        array: the array that first showed this memory; keeps it alive.
        watch: who is to read the memory later, and who may write to it unseen; None where nobody does either.
    """

    __slots__ = (
        "version",
        "writer",
        "array",
        "address",
        "nbytes",
        "_bytes",
        "inference",
        "watch",
        "__weakref__",
    )

    version: int
    writer: tuple[CodeType, int] | None
    array: np.ndarray
    address: int
    nbytes: int
    inference: bool
    watch: Watch | None
    _bytes: np.ndarray

    @staticmethod
    def of(array: np.ndarray) -> Buffer:
        """A new buffer for the memory that `array` shows. (Not `__init__`, which would cost twice the time.)"""
        buffer = Buffer()
        buffer.version = 0
        buffer.writer = None
        buffer.array = array
        buffer.address = -1
        buffer.inference = False
        buffer.watch = None
        return buffer

    def locate(self) -> None:
        """Find address and size: once, when someone first asks."""
        if self.address < 0:
            low, high = np.lib.array_utils.byte_bounds(self.array)
            if self.array.size == 0:
                high = low
            self.address, self.nbytes = low, high - low

    def bytes(self) -> np.ndarray:
        """The whole memory as a flat uint8 array."""
        try:
            return self._bytes
        except AttributeError:
            pass
        array = self.array
        if array.flags.c_contiguous and array.size:
            self._bytes = array.reshape(-1).view(_BYTE)
        else:
            self.locate()
            self._bytes = np.asarray(_Memory(self))
        return self._bytes

    def replace(self, array: np.ndarray) -> None:
        """Take other memory; the tensors that show the old must be given the new by the caller."""
        self.array = array
        self.address = -1
        try:
            del self._bytes
        except AttributeError:
            pass


def watch(buffer: Buffer, views: int = 0) -> Watch:
    """The buffer's watch, made on first use; `views` of its array's memory exist that are tensors'."""
    found = buffer.watch
    if found is None:
        found = buffer.watch = Watch()
        if type(buffer.array) is Pending:
            found.readers = buffer.array.readers
        else:
            found.exposed = not lent_alone(buffer.array, views)
    return found


def is_guarded(buffer: Buffer) -> bool:
    """Whether a write needs `check_write` first: others may be about to read the memory, or it is an inference tensor's."""
    return buffer.watch is not None or buffer.inference


def expose(buffer: Buffer) -> None:
    """Note that others are about to get this memory, and may write to it unseen: who reads it does so now."""
    found = buffer.watch
    if found is None:
        found = buffer.watch = Watch()
        if type(buffer.array) is Pending:
            found.readers = buffer.array.readers
    found.exposed = True
    if found.readers:
        settle(found.readers)


class _Memory:
    """NumPy's array interface for the memory of a buffer; what shows it keeps the buffer's array alive."""

    def __init__(self, buffer: Buffer) -> None:
        self.array = buffer.array
        self.__array_interface__ = {
            "shape": (buffer.nbytes,),
            "typestr": "|u1",
            "data": (buffer.address, not buffer.array.flags.writeable),
            "version": 3,
        }


def as_plain(*call: Any) -> Any:
    """The `__torch_function__` of classes whose tensors are treated as plain ones: parameters, and kinds of Rushlight's own."""
    return NotImplemented


def _by_default(cls: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """`Tensor.__torch_function__`: what an operation on tensors of a class of a program's own gives; see `rushlight.overriding`."""
    return late.load("rushlight.overriding").by_default(cls, func, types, args, kwargs or {})


class Tensor:
    """A handle on elements in memory: see `rushlight.tensor` for what it can do."""

    # _a     the elements: an ndarray whose shape and strides are the tensor's layout
    # _dtype the element type
    # _buf   the Buffer, or None until somebody shares or writes the memory
    # _edge  who receives the gradient: None (nobody), LEAF (this tensor's .grad), a Node,
    #        (Node, output number), or a ViewMeta, which has to be asked
    __slots__ = ("_a", "_dtype", "_buf", "_edge", "_grad", "_hooks", "__weakref__", "__dict__")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__torch_function__ is not as_plain:
            late.load("rushlight.overriding").prepare(cls)

    __torch_function__: Any = classmethod(_by_default)

    if TYPE_CHECKING:  # what `rushlight.tensor` assigns, for those who cannot run it

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
        def __delattr__(self, name: str) -> None: ...

        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __floordiv__: Any
        __rfloordiv__: Any
        __mod__: Any
        __rmod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __rmatmul__: Any
        __and__: Any
        __rand__: Any
        __or__: Any
        __ror__: Any
        __xor__: Any
        __rxor__: Any
        __lshift__: Any
        __rshift__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __neg__: Any
        __pos__: Any
        __abs__: Any
        __invert__: Any
        __getitem__: Any
        __setitem__: Any
        __iter__: Any
        __len__: Any
        __bool__: Any
        __int__: Any
        __float__: Any
        __index__: Any


class _Leaf:
    """The edge of a tensor that collects its gradient itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "LEAF"


LEAF = _Leaf()


def new_tensor(array: np.ndarray, kind: dtype) -> Tensor:
    """A tensor that owns `array`, which must be fresh memory of the type `kind`."""
    t = object.__new__(Tensor)
    t._a = array
    t._dtype = kind
    t._buf = None
    t._edge = None
    return t


def storage(t: Tensor) -> Buffer:
    """The tensor's buffer, made on first use."""
    buffer = t._buf
    if buffer is None:
        buffer = t._buf = Buffer.of(t._a)
    return buffer


def version(t: Tensor) -> int:
    buffer = t._buf
    return 0 if buffer is None else buffer.version


def strides(t: Tensor) -> tuple[int, ...]:
    """Strides in elements. NumPy leaves those of an empty array at zero; PyTorch does not."""
    a = t._a
    if a.size == 0 and not any(a.strides):
        from rushlight.layout import contiguous_strides

        return contiguous_strides(a.shape)
    item = a.itemsize
    return tuple([step // item for step in a.strides])


def offset(t: Tensor) -> int:
    """Elements from the start of the storage to the tensor's first."""
    if t._buf is None or t._buf.array is t._a:
        return 0
    t._buf.locate()
    return (address(t._a) - t._buf.address) // t._a.itemsize if t._a.size else _empty_offset(t)


def _empty_offset(t: Tensor) -> int:
    assert t._buf is not None
    inside = address(t._a) - t._buf.address
    return inside // t._a.itemsize if 0 <= inside <= t._buf.nbytes else 0


def shown(buffer: Buffer, kind: np.dtype, shape: tuple, steps: tuple, at: int) -> np.ndarray:
    """An array of exactly this layout (in elements) on the buffer's memory.

    This is the one place where a layout becomes a pointer, so the bounds are checked here.
    """
    item = kind.itemsize
    memory = buffer.bytes()
    reach = 1 + sum((n - 1) * s for n, s in zip(shape, steps)) if 0 not in shape else 0
    if at < 0 or any(s < 0 for s in steps) or (at + reach) * item > memory.size and reach:
        raise RuntimeError(
            f"setStorage: sizes {list(shape)}, strides {list(steps)}, storage offset {at}, and itemsize {item} "
            f"requiring a storage size of {(at + reach) * item} are out of bounds for storage of size {memory.size}"
        )
    if reach == 0:
        at = min(at, memory.size // item)
    return np.ndarray(shape, kind, memory, at * item, tuple([s * item for s in steps]))
