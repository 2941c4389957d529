"""Tensors from sizes: `zeros`, `ones`, `full`, `empty`, their `_like` and `new_` forms."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from rushlight import dtypes, late, layout
from rushlight.batched import for_batches
from rushlight.buffer import Tensor, strides
from rushlight.buffer import new_tensor as bare
from rushlight.deep import MOST, from_core, is_refusal, refusal
from rushlight.device import (
    ELSEWHERE,
    MetaAsked,
    channels_last,
    channels_last_3d,
    check_device,
    check_layout,
    contiguous_format,
    memory_format,
    preserve_format,
)
from rushlight.dtypes import as_dtype, dtype, get_default_dtype
from rushlight.errors import OutOfMemory
from rushlight.ops.construct import copied, no_pinned_memory, warn_copy_construct, with_grad
from rushlight.ops.scalars import number_of, scalar
from rushlight.ops.writing import resize
from rushlight.runtime import results
from rushlight.runtime.casting import convert
from rushlight.tape.writes import check_write, wrote

_LIMIT = (1 << 63) - 1


# ---- memory ----


def allocate(shape: tuple[int, ...], kind: dtype, make: Any = np.empty) -> np.ndarray:
    """A fresh array, or what PyTorch raises for a shape that no memory can have."""
    if kind is dtypes.complex32 and make is np.ones:
        return convert(allocate(shape, dtypes.complex64, make), kind)
    try:
        if prod(shape) < results.FEW:
            return make(shape, kind.numpy)
        if make is np.zeros:
            return results.zeros(shape, kind.numpy)
        a = results.array(shape, kind.numpy)
        if make is np.ones:
            a.fill(1)
        return a
    except OutOfMemory as error:
        check_shape(shape, kind)
        raise RuntimeError(str(error)) from None  # PyTorch's class, exactly
    except (ValueError, MemoryError, OverflowError):
        check_shape(shape, kind)
        raise no_memory(layout.numel(shape) * kind.itemsize) from None


def check_shape(shape: tuple[int, ...], kind: dtype) -> None:
    for size in shape:
        if size < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {size}: {list(shape)}")
        if size > _LIMIT:
            raise RuntimeError("Overflow when unpacking long long")
    if layout.numel(shape) * kind.itemsize > _LIMIT:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    if 0 in shape and layout.numel(size or 1 for size in shape[1:]) > _LIMIT:
        raise RuntimeError("Stride calculation overflowed")
    if len(shape) > 64:
        raise refusal()


def _no_negative_zeros(shape: tuple[int, ...]) -> None:
    """`zeros` has a sentence of its own."""
    if any(size < 0 for size in shape):
        raise RuntimeError("zeros: Dimension size must be non-negative.")


def no_memory(nbytes: int) -> RuntimeError:
    return RuntimeError(
        f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {nbytes} bytes. Error code 12 (Cannot "
        "allocate memory)"
    )


def strided(shape: tuple[int, ...], steps: tuple[int, ...], kind: dtype) -> np.ndarray:
    """A fresh, uninitialised array with exactly these strides (in elements)."""
    if any(step < 0 for step in steps):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(steps)}"
        )
    check_shape(shape, kind)
    reach = layout.span(shape, steps)
    if reach * kind.itemsize > _LIMIT:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and strides={list(steps)}"
        )
    memory = allocate((reach,), kind)
    item = kind.itemsize
    return np.ndarray(shape, kind.numpy, memory, 0, tuple([step * item for step in steps]))


# ---- what all factories share ----


def _made(a: np.ndarray, kind: dtype, requires_grad: Any) -> Tensor:
    made = bare(a, kind)
    return with_grad(made, requires_grad) if requires_grad else made


def _shape(args: tuple, size: Any, operation: str) -> tuple[int, ...]:
    if size is not None:
        if args:
            raise TypeError(f"{operation}() received sizes both by position and by keyword")
        args = (size,)
    for n in args:
        if type(n) is not int or n > _LIMIT:
            break
    else:
        if args:
            return args
    if not args:
        raise TypeError(
            f"{operation}() received an invalid combination of arguments - expected (tuple of ints size, *, ...)"
        )
    return layout.sizes(args, operation)


def without_data(
    shape: tuple[int, ...], asked: Any, default: dtype, requires_grad: Any, operation: str
) -> Tensor:
    """A tensor on the meta device."""
    kind = default if asked is None else as_dtype(asked, operation)
    return late.load("rushlight.meta").made(shape, kind, bool(requires_grad))


def place(dtype: Any, layout: Any, device: Any, pin_memory: Any, operation: str) -> dtype | None:
    """Check the arguments every factory has; the dtype, if one was given."""
    if device is not None or ELSEWHERE.place is not None:
        check_device(ELSEWHERE.place if device is None else device, operation)
    if layout is not None:
        check_layout(layout, operation)
    if pin_memory:
        raise no_pinned_memory()
    return as_dtype(dtype, operation) if dtype is not None else None


def into_out(out: Any, made: Tensor, asked: dtype | None, operation: str, in_order: bool = False) -> Tensor:
    """Give a factory's result to `out=`, resized; its dtype must be the one asked for, if any was.

    Args:
        in_order: whether an `out` of as many elements keeps its shape, and takes them in its order.
    """
    if not isinstance(out, Tensor):
        raise TypeError(f"{operation}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if asked is not None and asked is not out._dtype:
        raise RuntimeError(
            f"dtype {asked.legacy} does not match dtype of out parameter ({out._dtype.legacy})"
        )
    values = made._a
    if in_order and out._a.size == values.size:
        values = values.reshape(out._a.shape)
    elif out._a.shape != values.shape:
        resize(out, values.shape)
    check_write(out, operation)
    np.copyto(out._a, values, casting="unsafe")
    wrote(out)
    return out


def _factory(name: str, make: Any, doc: str) -> Any:
    """`name(*size, ...)`: memory that `make(shape, numpy_dtype)` fills."""

    def create(
        *args: Any,
        size: Any = None,
        out: Any = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: Any = False,
        requires_grad: Any = False,
        names: Any = None,
        memory_format: Any = None,
    ) -> Tensor:
        try:
            asked = place(dtype, layout, device, pin_memory, name)
        except MetaAsked:
            return without_data(_shape(args, size, name), dtype, get_default_dtype(), requires_grad, name)
        shape = _shape(args, size, name)
        kind = asked or (out._dtype if isinstance(out, Tensor) else get_default_dtype())
        try:
            a = allocate(shape, kind, make)
        except RuntimeError as error:
            if is_refusal(error):
                return from_core(lambda core: create(core, dtype=kind, requires_grad=requires_grad), shape)
            if make is np.zeros:
                _no_negative_zeros(shape)
            raise
        if memory_format is not None and memory_format is not contiguous_format:
            a = _ordered(a, kind, memory_format)
        if out is not None:
            return into_out(out, bare(a, kind), asked, name)
        return _made(a, kind, requires_grad)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = doc
    return create


zeros = _factory(
    "zeros",
    np.zeros,
    """A tensor of zeros of the given sizes: `zeros(2, 3)`, `zeros((2, 3))`, `zeros(size=(2, 3))`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, dtype=torch.int64)
        tensor([0, 0])
    """,
)
ones = _factory(
    "ones",
    np.ones,
    """A tensor of ones of the given sizes; see :func:`zeros`.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(3)
        tensor([1., 1., 1.])
    """,
)
empty = _factory(
    "empty",
    np.empty,
    """A tensor of the given sizes whose elements are whatever the memory holds.

    Example:
        >>> import rushlight as torch
        >>> torch.empty(2, 0).shape
        torch.Size([2, 0])
    """,
)


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = False,
    requires_grad: Any = False,
    names: Any = None,
) -> Tensor:
    """A tensor of the given sizes, every element `fill_value`, whose kind of number gives the dtype.

    Example:
        >>> import rushlight as torch
        >>> torch.full((2,), 7)
        tensor([7, 7])
    """
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    value = number_of(fill_value, "full", "fill_value")
    try:
        asked = place(dtype, layout, device, pin_memory, "full")
    except MetaAsked:
        return without_data(_shape((), size, "full"), dtype, dtypes.of_number(value), requires_grad, "full")
    shape = _shape((), size, "full")
    kind = asked or (out._dtype if isinstance(out, Tensor) else dtypes.of_number(value))
    if len(shape) > MOST:
        return from_core(lambda core: with_grad(bare(filled(core, value, kind), kind), requires_grad), shape)
    made = bare(filled(shape, value, kind), kind)
    return into_out(out, made, asked, "full") if out is not None else with_grad(made, requires_grad)


def filled(shape: tuple[int, ...], value: Any, kind: dtype) -> np.ndarray:
    a = allocate(shape, kind)
    a[...] = scalar(value, kind)
    return a


# ---- strides of one's choice ----


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = False,
    requires_grad: Any = False,
) -> Tensor:
    """An uninitialised tensor with exactly these sizes and strides.

    Raises:
        RuntimeError: `size` and `stride` differ in length, or are negative.

    Example:
        >>> import rushlight as torch
        >>> torch.empty_strided((2, 3), (1, 2)).stride()
        (1, 2)
    """
    kind = place(dtype, layout, device, pin_memory, "empty_strided") or get_default_dtype()
    return _made(strided(*_size_and_stride(size, stride, "empty_strided"), kind), kind, requires_grad)


def _size_and_stride(size: Any, stride: Any, operation: str) -> tuple[tuple, tuple]:
    shape, steps = layout.sizes((size,), operation), layout.sizes((stride,), operation)
    if len(shape) != len(steps):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})"
        )
    return shape, steps


def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Tensor:
    """An uninitialised dense tensor whose dimensions lie in memory in the order `physical_layout`, outermost first."""
    shape = layout.sizes((size,), "empty_permuted")
    order = layout.sizes((physical_layout,), "empty_permuted")
    if len(shape) != len(order):
        raise RuntimeError(
            f"Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = {len(shape)} "
            f"is not equal to len(physical_layout) = {len(order)}"
        )
    for dim in order:
        if not 0 <= dim < len(shape):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(shape) - 1}, but got {dim} at index "
                f"{order.index(dim)}).  NB: negative dims not currently supported"
            )
    if len(set(order)) != len(order):
        raise RuntimeError("Duplicate dim not allowed")
    steps = [0] * len(shape)
    for dim, step in zip(order, layout.contiguous_strides([shape[dim] for dim in order])):
        steps[dim] = step
    return empty_strided(shape, tuple(steps), **options)


# ---- memory formats ----


def format_strides(shape: tuple[int, ...], wanted: Any) -> tuple[int, ...]:
    """The strides of a dense tensor of this shape in a memory format."""
    if wanted is contiguous_format:
        return layout.contiguous_strides(shape)
    ranks = {channels_last: 4, channels_last_3d: 5}
    if wanted not in ranks:
        raise RuntimeError(f"unsupported memory format {wanted!r}")
    if len(shape) != ranks[wanted]:
        raise RuntimeError(f"required rank {ranks[wanted]} tensor to use {wanted.name} format")
    steps, step = [0] * len(shape), 1
    for dim in (1, *range(len(shape) - 1, 1, -1), 0):
        steps[dim], step = step, step * shape[dim]
    return tuple(steps)


def told_by_strides(t: Tensor) -> Any:
    """The memory format that the strides tell of: a channels-last one, or else contiguous_format, also where both fit."""
    shape, steps = t._a.shape, strides(t)
    kind = {4: channels_last, 5: channels_last_3d}.get(len(shape), contiguous_format)
    if kind is contiguous_format or steps[1] == 0:
        return contiguous_format
    least = 0
    for dim in (1, *range(len(shape) - 1, 1, -1), 0):
        # The channels lie closest together; where there is but one of them (or one column, and one batch), rows come first.
        if shape[dim] == 0 or steps[dim] < least or dim == 0 and least == steps[1]:
            return contiguous_format
        least = steps[dim] * max(shape[dim], 1)
    return kind


def like_strides(t: Tensor, wanted: Any = None) -> tuple[int, ...]:
    """The strides of a new tensor shaped like `t`: by default t's own if dense, else its order of dimensions."""
    shape = t._a.shape
    if wanted is None or wanted is preserve_format:
        steps = strides(t)
        return layout.dense_strides(shape, steps)
    if not isinstance(wanted, memory_format):
        raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {type(wanted).__name__}")
    return format_strides(shape, wanted)


def _ordered(a: np.ndarray, kind: dtype, wanted: Any) -> np.ndarray:
    """A contiguous fresh array, its memory arranged anew in a format."""
    if wanted is preserve_format:
        return a
    made = strided(a.shape, format_strides(a.shape, wanted), kind)
    made[...] = a
    return made


# ---- like another tensor ----


def _like(name: str, fill: Any, doc: str) -> Any:
    def create(
        input: Any,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: Any = False,
        requires_grad: Any = False,
        memory_format: Any = None,
    ) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
            )
        kind = place(dtype, layout, device, pin_memory, name) or input._dtype
        try:
            a = empty_as(input, kind, memory_format)
        except RuntimeError as error:
            if not is_refusal(error):
                raise
            return from_core(
                lambda core: create(input.flat, dtype=kind, requires_grad=requires_grad), input.sizes
            )
        if fill is not None:
            a.fill(fill if kind is not dtypes.complex32 else scalar(fill, kind)[()])
        return _made(a, kind, requires_grad)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = doc
    return for_batches(create)


def empty_as(t: Tensor, kind: dtype, wanted: Any = None) -> np.ndarray:
    """Fresh memory shaped like `t`, with its strides where they are dense."""
    a = t._a
    made = np.empty(a.shape, kind.numpy) if a.size < results.FEW else results.array(a.shape, kind.numpy)
    if (
        wanted is contiguous_format
        or wanted is None
        and a.flags.c_contiguous
        and (a.ndim == 0 or a.size and 1 not in a.shape)
    ):
        return made
    return strided(a.shape, like_strides(t, wanted), kind)


empty_like = _like("empty_like", None, "An uninitialised tensor of the shape, strides and dtype of `input`.")
zeros_like = _like(
    "zeros_like", 0, "Zeros of the shape, strides and dtype of `input`, unless others are given."
)
ones_like = _like("ones_like", 1, "Ones of the shape, strides and dtype of `input`, unless others are given.")


@for_batches
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = False,
    requires_grad: Any = False,
    memory_format: Any = None,
) -> Tensor:
    """`fill_value` everywhere, in the shape, strides and dtype of `input`."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"full_like(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    kind = place(dtype, layout, device, pin_memory, "full_like") or input._dtype
    a = empty_as(input, kind, memory_format)
    a[...] = scalar(number_of(fill_value, "full_like", "fill_value"), kind)
    return _made(a, kind, requires_grad)


# ---- tensor.new_* ----


def _new(name: str, make: Any, doc: str) -> Any:
    def create(
        self: Tensor,
        *args: Any,
        size: Any = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: Any = False,
        requires_grad: Any = False,
    ) -> Tensor:
        kind = place(dtype, layout, device, pin_memory, name) or self._dtype
        return _made(allocate(_shape(args, size, name), kind, make), kind, requires_grad)

    create.__name__ = name
    create.__qualname__ = f"Tensor.{name}"
    create.__doc__ = doc
    return create


new_empty = _new("new_empty", np.empty, "An uninitialised tensor of the given sizes and this tensor's dtype.")
new_zeros = _new("new_zeros", np.zeros, "Zeros of the given sizes and this tensor's dtype.")
new_ones = _new("new_ones", np.ones, "Ones of the given sizes and this tensor's dtype.")


def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = False,
    requires_grad: Any = False,
    names: Any = None,
) -> Tensor:
    """`fill_value` in the given sizes and this tensor's dtype."""
    kind = place(dtype, layout, device, pin_memory, "new_full") or self._dtype
    value = number_of(fill_value, "new_full", "fill_value")
    return _made(filled(_shape((), size, "new_full"), value, kind), kind, requires_grad)


def new_empty_strided(
    self: Tensor,
    size: Any,
    stride: Any,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = False,
    requires_grad: Any = False,
) -> Tensor:
    """An uninitialised tensor with exactly these sizes and strides, and this tensor's dtype."""
    kind = place(dtype, layout, device, pin_memory, "new_empty_strided") or self._dtype
    return _made(strided(*_size_and_stride(size, stride, "new_empty_strided"), kind), kind, requires_grad)


def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of `data`, in this tensor's dtype unless another is given."""
    check_device(device, "new_tensor")
    if isinstance(data, Tensor):
        warn_copy_construct("tensor.new_tensor(sourceTensor)")
    return with_grad(copied(data, as_dtype(dtype, "new_tensor") or self._dtype), requires_grad)


__all__ = ["empty", "full", "ones", "zeros"]
