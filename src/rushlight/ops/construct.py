"""Tensors from Python and NumPy values: `tensor`, `as_tensor`, `asarray`, `from_numpy`, `frombuffer`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from rushlight import dtypes, late, layout, memory
from rushlight.buffer import LEAF, Tensor, new_tensor
from rushlight.deep import MOST, core, deepened
from rushlight.device import ELSEWHERE, MetaAsked, check_device
from rushlight.dtypes import COMPLEX, FLOATING, INTEGER, as_dtype, dtype, from_numpy_dtype, promote_types
from rushlight.ops.kinds.method import warn_once
from rushlight.ops.promotion import NUMBERS
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet

#: PyTorch's bound on the depth of nested sequences
_MAX_DEPTH = 128
_SMALL = 1 << 62

_PLAIN_TYPES = {bool: dtypes.bool_, int: dtypes.int64}


# ---- the functions ----


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor holding a copy of `data`: a number, nested sequences of numbers, an array or a tensor.

    Raises:
        ValueError: the sequences are ragged, or an integer does not fit in 64 bits.
        TypeError: an element is a string or the like.
        RuntimeError: an element has no dtype, or does not fit in the one that was asked for.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]])
        tensor([[1, 2],
                [3, 4]])
    """
    try:
        check_device(ELSEWHERE.place if device is None else device, "tensor")
    except MetaAsked:
        made = copied(data, as_dtype(dtype, "tensor")).to("meta")
        return made.requires_grad_() if requires_grad else made
    if pin_memory:
        raise no_pinned_memory()
    if isinstance(data, Tensor):
        warn_copy_construct()
    made = copied(data, as_dtype(dtype, "tensor"))
    return with_grad(made, requires_grad) if requires_grad else made


def warn_copy_construct(instead: str = "torch.tensor(sourceTensor)") -> None:
    warnings.warn(
        "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
        f"sourceTensor.detach().clone().requires_grad_(True), rather than {instead}.",
        stacklevel=3,
    )


def copied(data: Any, kind: dtype | None) -> Tensor:
    """New memory with the values of anything `tensor` accepts."""
    if isinstance(data, Tensor):
        return _fresh(data._a, kind or data._dtype)
    if isinstance(data, np.ndarray):
        return _fresh(_checked_array(data, negative=True), kind or from_numpy_dtype(data.dtype))
    return nested(data, kind)


def _fresh(a: np.ndarray, kind: dtype) -> Tensor:
    """A copy, of type `kind`; dense strides are kept."""
    item = a.itemsize
    steps = tuple([step // item for step in a.strides]) if a.size else layout.contiguous_strides(a.shape)
    steps = layout.dense_strides(a.shape, steps)
    # (memory whose vectors lie in one line of the caches each: loops go through it a quarter faster)
    made = memory.array(a.shape, kind.numpy, tuple([step * kind.itemsize for step in steps]))
    made[...] = a if a.dtype == kind.numpy else quiet(convert, a, kind)
    return new_tensor(made, kind)


def no_pinned_memory() -> RuntimeError:
    return RuntimeError(
        "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is available on this "
        "system."
    )


def with_grad(t: Tensor, requires_grad: Any) -> Tensor:
    """The same new tensor, as a leaf that collects its gradient if asked."""
    if requires_grad:
        if requires_grad is not True:
            raise TypeError(f"argument 'requires_grad' must be bool, not {type(requires_grad).__name__}")
        if t._dtype.category < FLOATING:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        t._edge = LEAF
    return t


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor: itself if it is one of that dtype, sharing memory with an array, else a copy.

    Example:
        >>> import numpy as np, rushlight as torch
        >>> a = np.zeros(2)
        >>> t = torch.as_tensor(a)
        >>> a[0] = 5.0
        >>> t
        tensor([5., 0.], dtype=torch.float64)
    """
    check_device(device, "as_tensor")
    kind = as_dtype(dtype, "as_tensor")
    if isinstance(data, Tensor):
        return data if kind is None or kind is data._dtype else data.to(kind)
    if isinstance(data, np.ndarray):
        shared = from_numpy(data)
        return shared if kind is None or kind is shared._dtype else shared.to(kind)
    return nested(data, kind)


def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """`obj` as a tensor, sharing its memory unless `copy=True`; `copy=False` forbids a copy.

    A tensor stays in its graph, with a warning if `requires_grad` does not say so; False takes it out. Tensors, NumPy arrays, NumPy scalars, DLPack exporters, buffers (bytes, bytearray, memoryview) and sequences are accepted.

    Raises:
        ValueError: a copy is needed but was forbidden.
    """
    check_device(device, "asarray")
    kind = as_dtype(dtype, "asarray")
    if copy is False and isinstance(obj, np.generic):
        raise RuntimeError(
            "can't alias NumPy scalars. Either remove copy=False or transform it in a ndarray. "
        )
    shared = _shared(obj, kind)
    if shared is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return with_grad(nested(obj, kind), bool(requires_grad))
    if kind is not None and kind is not shared._dtype:
        if copy is False:
            raise ValueError(
                f"can't alias tensor with dtype '{shared._dtype.legacy}' into dtype '{kind.legacy}'."
            )
        shared = shared.to(kind)
    elif copy:
        shared = shared.clone()
    if isinstance(obj, Tensor):
        return _in_its_graph(shared, requires_grad)
    return with_grad(shared, bool(requires_grad))


def _in_its_graph(t: Tensor, wanted: bool | None) -> Tensor:
    if wanted is None:
        if t.requires_grad:
            warnings.warn(_STAYS, stacklevel=3)
        return t
    if t.requires_grad == bool(wanted):
        return t
    return t.requires_grad_(bool(wanted)) if t.is_leaf else t.detach()


_STAYS = (
    "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. Pass "
    "requires_grad=False explicitly to get the old behavior and silence this warning."
)


def _shared(obj: Any, kind: dtype | None) -> Tensor | None:
    """A tensor on the memory of `obj`, or None if it has none of its own."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if isinstance(obj, np.generic):
        return from_numpy(np.asarray(obj))
    if hasattr(obj, "__dlpack__"):
        return from_numpy(np.from_dlpack(obj))
    if type(obj).__name__ == "PyCapsule":
        return late.load("rushlight.interop.dlpack").from_dlpack(obj)
    if isinstance(obj, (bytes, bytearray, memoryview)):
        return frombuffer(obj, dtype=kind or dtypes.get_default_dtype())
    return None


def scalar_tensor(
    s: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A 0-d tensor of the default dtype (not that of the number)."""
    check_device(device, "scalar_tensor")
    kind = as_dtype(dtype, "scalar_tensor") or (
        dtypes.default_complex()
        if isinstance(s, (complex, np.complexfloating))
        else dtypes.get_default_dtype()
    )
    if isinstance(s, Tensor):
        s = s.item()
    return with_grad(nested(s, kind), requires_grad)


# ---- NumPy arrays and buffers ----


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor on the array's own memory: writes on either side show on the other.

    An array that is not writeable gives a tensor whose memory cannot be written to (and a warning).

    Raises:
        TypeError: not an array, or of a type that tensors do not have.
        ValueError: negative strides, strides that are no multiple of the element size, or foreign byte order.

    Example:
        >>> import numpy as np, rushlight as torch
        >>> torch.from_numpy(np.arange(3.0))
        tensor([0., 1., 2.], dtype=torch.float64)
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    a = _checked_array(ndarray)
    if not a.flags.writeable:
        warn_once(_READ_ONLY)
    kind = from_numpy_dtype(a.dtype)
    return new_tensor(a.view(np.ndarray) if type(a) is not np.ndarray else a[...], kind)


_READ_ONLY = (
    "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means writing to this "
    "tensor will result in undefined behavior. You may want to copy the array to protect its data or make it writable "
    "before converting it to a tensor. This type of warning will be suppressed for the rest of this program. (In "
    "Rushlight, writing to the tensor raises RuntimeError.)"
)


def _checked_array(a: np.ndarray, negative: bool = False) -> np.ndarray:
    """The array if a tensor can show its memory as it is; `negative` strides only where it is copied."""
    if not a.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
            "currently not supported."
        )
    from_numpy_dtype(a.dtype)
    if a.size and any(step < 0 for step in a.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
            "currently supported. (You can probably work around this by making a copy of your array  with array.copy().) "
        )
    item = a.itemsize
    if a.size and any(step % item for step in a.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory."
        )
    return a


def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """A 1-d tensor on the memory of an object with Python's buffer protocol.

    Args:
        count: how many elements; -1 for as many as there are.
        offset: bytes to skip.

    Raises:
        ValueError: the bytes from `offset` on are not a whole number of elements, or too few.

    Example:
        >>> import rushlight as torch
        >>> torch.frombuffer(bytearray([1, 0, 2, 0]), dtype=torch.int16)
        tensor([1, 2], dtype=torch.int16)
    """
    kind = as_dtype(dtype, "frombuffer")
    if kind is None:
        raise TypeError("frombuffer(): argument 'dtype' must be torch.dtype, not NoneType")
    try:
        memory = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    size, item = memory.nbytes, kind.itemsize
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % item:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
            f"({item})"
        )
    if count < 0:
        count = (size - offset) // item
    if offset + count * item > size:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({size} bytes)"
        )
    if memory.readonly:
        warn_once(_READ_ONLY.replace("NumPy array", "buffer"))
    flat = memory.cast("B") if memory.ndim != 1 or memory.format != "B" else memory
    return with_grad(new_tensor(np.ndarray((count,), kind.numpy, flat, offset), kind), requires_grad)


# ---- nested sequences ----


def nested(data: Any, kind: dtype | None) -> Tensor:
    """A tensor from a number or nested sequences.

    1. The sizes are those of the first elements, as PyTorch takes them.
    2. Level by level the sequences are joined, their lengths checked, down to a flat list.
    3. The dtype is the common one of the elements, unless it is given.
    4. The elements are stored, each checked to fit.
    """
    plain = type(data)
    if plain is float and kind is None:
        kind = dtypes.get_default_dtype()
        return new_tensor(quiet(_array, data, kind), kind)
    if plain is bool and kind is None:
        return new_tensor(np.asarray(data), dtypes.bool_)
    if plain is int and kind is None and -_SMALL < data < _SMALL:
        return new_tensor(np.asarray(data), dtypes.int64)
    if plain is list and kind is None and set(map(type, data)) == {float}:
        kind = dtypes.get_default_dtype()
        return new_tensor(quiet(_array, data, kind), kind)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{plain.__name__}'")
    shape = _sizes(data)
    if kind is None:
        kind = _infer(data)
    if 0 in shape:
        if len(shape) > MOST:
            return deepened(new_tensor(np.empty(0, kind.numpy), kind), shape)
        return new_tensor(np.empty(shape, kind.numpy), kind)
    elements = [data]
    for depth, size in enumerate(shape):
        elements = _joined(elements, size, depth)
    stored = _stored(elements, kind)
    if len(shape) > MOST:
        return deepened(new_tensor(stored.reshape(core(shape)), kind), shape)
    return new_tensor(stored.reshape(shape), kind)


def is_sequence(value: Any) -> bool:
    """What PyTorch counts as a sequence: it has items by number, and is no mapping or set."""
    kind = type(value)
    if kind in (list, tuple, range):
        return True
    if kind in (int, float, bool, complex) or isinstance(value, dict):
        return False
    return hasattr(kind, "__getitem__") and not isinstance(value, (np.generic, type))


def _sizes(data: Any) -> tuple[int, ...]:
    """The length at each depth, following first elements."""
    sizes: list[int] = []
    while is_sequence(data):
        if isinstance(data, Tensor):  # inside a sequence a tensor counts as a number
            break
        if isinstance(data, np.ndarray):
            if data.ndim == 0:
                raise TypeError("len() of unsized object")
            sizes.extend(data.shape)
            break
        try:
            length = len(data)
            first = data[0] if length else None
        except Exception as error:
            raise ValueError(
                f"could not determine the shape of object type '{type(data).__name__}'"
            ) from error
        sizes.append(length)
        if len(sizes) > _MAX_DEPTH or (isinstance(data, str) and length and first == data):
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        if length == 0:
            break
        data = first
    return tuple(sizes)


def _items(value: Any, size: int, depth: int) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        items: Sequence[Any] = value
    elif isinstance(value, np.ndarray) and value.ndim:
        items = [value[i, ...] for i in range(len(value))]
    elif is_sequence(value) and not isinstance(value, (Tensor, np.ndarray)):
        length = len(value)
        items = [value[i] for i in range(length)] if length == size else range(length)
    else:
        raise TypeError("not a sequence")
    if len(items) != size:
        raise ValueError(f"expected sequence of length {size} at dim {depth} (got {len(items)})")
    return items


def _joined(elements: list, size: int, depth: int) -> list:
    if set(map(type, elements)) <= {list, tuple} and set(map(len, elements)) <= {size}:
        return list(chain.from_iterable(elements))
    return list(chain.from_iterable(_items(value, size, depth) for value in elements))


# ---- the dtype of the elements ----


def _infer(data: Any) -> dtype:
    """The common dtype of everything inside; iterative per level, so depth costs no stack."""
    found: dtype | None = None
    level = [data]
    for _ in range(_MAX_DEPTH + 2):
        kinds = set(map(type, level))
        inner = [k for k in kinds if k in (list, tuple, range)]
        for plain in kinds.difference(inner):
            if plain is float:
                more: dtype | None = dtypes.get_default_dtype()
            elif plain is complex:
                more = dtypes.default_complex()
            else:
                more = _PLAIN_TYPES.get(plain)
            if more is None:
                found = _infer_odd([v for v in level if type(v) is plain], found)
            else:
                found = more if found is None else promote_types(found, more)
        deeper = [v for v in level if type(v) in (list, tuple, range) or _foreign(v)]
        if not deeper:
            return found or dtypes.get_default_dtype()
        if any(len(v) == 0 for v in deeper):
            found = promote_types(found or dtypes.get_default_dtype(), dtypes.get_default_dtype())
        level = list(chain.from_iterable(_read(v) for v in deeper))
    if _holds_itself(data):
        raise TypeError("new(): self-referential lists are incompatible")
    raise ValueError(f"too many dimensions '{type(data).__name__}'")


def _holds_itself(data: Any) -> bool:
    """Whether a list is among its own elements."""
    return any(value is data for value in _read(data))


def _foreign(value: Any) -> bool:
    """A sequence of a type that is not Python's own."""
    if type(value) in (int, float, bool, complex) or isinstance(
        value, (Tensor, np.ndarray, np.generic, str, bytes)
    ):
        return False
    return is_sequence(value)


def _read(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple, range)) else [value[i] for i in range(len(value))]


def _infer_odd(values: list, found: dtype | None) -> dtype | None:
    for value in values:
        if isinstance(value, Tensor):
            more = value._dtype
        elif isinstance(value, (np.ndarray, np.generic)):
            more = from_numpy_dtype(value.dtype)
        elif isinstance(value, bool):
            more = dtypes.bool_
        elif isinstance(value, float):
            more = dtypes.get_default_dtype()
        elif isinstance(value, int):
            more = dtypes.int64
        elif isinstance(value, complex):
            more = dtypes.default_complex()
        elif isinstance(value, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
        elif is_sequence(value):
            continue
        else:
            raise RuntimeError(f"Could not infer dtype of {type(value).__name__}")
        found = more if found is None else promote_types(found, more)
    return found


# ---- storing them ----


def _stored(elements: list, kind: dtype) -> np.ndarray:
    """The elements as a flat array of `kind`; raises if one does not fit."""
    types = set(map(type, elements))
    if kind.category == FLOATING and types <= {float, bool}:
        return quiet(_array, elements, kind)
    if kind is dtypes.int64 and types <= {int, bool}:
        try:
            return np.array(elements, np.int64)
        except OverflowError:
            raise ValueError("Overflow when unpacking long long") from None
    if kind is dtypes.bool_ and types <= {bool}:
        return np.array(elements, np.bool_)
    return quiet(_array, [_unit(value, kind) for value in elements], kind)


def _array(values: Any, kind: dtype) -> np.ndarray:
    if kind in dtypes.REDUCED:
        return np.array(values, np.float32).astype(kind.numpy)
    if kind is dtypes.complex32:
        return convert(np.array(values, np.complex64), kind)
    return np.array(values, kind.numpy)


def _unit(value: Any, kind: dtype) -> Any:
    """One element as the Python number that `kind` stores."""
    if isinstance(value, Tensor):
        value = _of_tensor(value, kind)
    elif isinstance(value, (np.ndarray, np.generic)) and (kind.category > INTEGER or not _not_whole(value)):
        value = value.item()
    if kind.category == dtypes.BOOL:
        if isinstance(value, np.bool_) or isinstance(value, NUMBERS) and not isinstance(value, np.generic):
            return bool(value)
        return bool(value.__index__() if hasattr(value, "__index__") else _not_integer(value))
    if kind.category == INTEGER:
        return _unit_integer(value, kind)
    if kind.category == COMPLEX:
        return complex(value)
    if isinstance(value, complex):
        raise TypeError("must be real number, not complex")
    return float(value)


def _not_whole(value: Any) -> bool:
    """A NumPy value that Python does not take for an integer (float64 is Python's float, and passes)."""
    return isinstance(value, np.generic) and not isinstance(value, (np.integer, np.float64))


def _of_tensor(value: Tensor, kind: dtype) -> Any:
    if kind.category <= INTEGER:
        return value.__index__()
    if value._a.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return float(value) if kind.category == FLOATING else value.item()


def _unit_integer(value: Any, kind: dtype) -> int:
    if isinstance(value, float) and kind is dtypes.uint64:
        raise TypeError("an integer is required")
    if isinstance(value, float):
        number = int(value) if value - value == 0 else None
    else:
        number = value.__index__() if hasattr(value, "__index__") else _not_integer(value)
    if kind is dtypes.uint64 and number is not None:
        if number < 0:
            raise OverflowError("can't convert negative int to unsigned")
        if number >= 1 << 64:
            raise OverflowError("int too big to convert")
        return number
    if number is not None and not isinstance(value, float) and not -(1 << 63) <= number < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    low, high = limits(kind)
    if number is None or not (low <= number <= high or (low == 0 and -high - 1 <= number < 0)):
        raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    return number & high if low == 0 else number


def _not_integer(value: Any) -> int:
    raise TypeError(f"'{type(value).__name__}' object cannot be interpreted as an integer")


def limits(kind: dtype) -> tuple[int, int]:
    """The least and greatest value of an integer type."""
    found = np.iinfo(kind.numpy)
    return int(found.min), int(found.max)


__all__ = [
    "as_tensor",
    "asarray",
    "from_numpy",
    "frombuffer",
    "scalar_tensor",
    "tensor",
    "with_grad",
]
