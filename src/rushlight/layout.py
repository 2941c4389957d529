"""Shapes, strides and offsets, in elements: pure arithmetic, no data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from rushlight.errors import WrongArgument, dim_out_of_range, size_mismatch

Shape = tuple[int, ...]
#: shape, strides and size of an element in bytes, and whether the elements are converted, by a copy, before they are used
Operand = tuple[Shape, Shape, int, bool]
#: a number; or a tensor without dimensions, converted or not
NUMBER: Operand = (), (), 1, False
_FAR = 1 << 63


class Form(NamedTuple):
    """What the windows of a convolution are like."""

    kernel: Shape
    stride: Shape
    dilation: Shape


def numel(shape: Iterable[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def contiguous_strides(shape: Sequence[int]) -> Shape:
    """Row-major strides; an empty dimension counts as one, as in PyTorch."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the end, as one counted from the start.

    Raises:
        TypeError: no int.
        IndexError: there is no such dimension.
        ValueError: a number of more than 64 bits.
    """
    if type(dim) is not int:
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise WrongArgument("dim", "int", dim)
        dim = dim.__index__()
    if -ndim <= dim < ndim:
        return dim + ndim if dim < 0 else dim
    if ndim == 0 and -1 <= dim <= 0:
        return 0
    if not -(1 << 63) <= dim < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    raise dim_out_of_range(dim, ndim)


def wrap_dims(dims: Iterable[int], ndim: int, operation: str = "") -> Shape:
    """Several dimensions, each named once, or RuntimeError."""
    wrapped = tuple(wrap_dim(dim, ndim) for dim in dims)
    if len(set(wrapped)) != len(wrapped):
        twice = next(dim for n, dim in enumerate(wrapped) if dim in wrapped[:n])
        raise RuntimeError(f"{operation}dim {twice} appears multiple times in the list of dims")
    return wrapped


def broadcast(*shapes: Shape) -> Shape:
    """The common shape, or RuntimeError with PyTorch's sentence."""
    result: Shape = ()
    for shape in shapes:
        if shape != result:
            result = _broadcast_pair(result, tuple(shape)) if result else tuple(shape)
    return result


@lru_cache(512)  # (programs have few shapes, and ask for those again and again)
def _broadcast_pair(a: Shape, b: Shape) -> Shape:
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    lead = len(longer) - len(shorter)
    joined = list(longer[:lead])
    for m, n in zip(longer[lead:], shorter):
        if m != n and m != 1 and n != 1:
            raise size_mismatch(a, b)
        joined.append(n if m == 1 else m)
    return tuple(joined)


def infer_size(shape: Sequence[int], count: int) -> Shape:
    """`shape` with its one -1 replaced so that it holds `count` elements."""
    known, unknown = 1, None
    for at, size in enumerate(shape):
        if size == -1:
            if unknown is not None:
                raise RuntimeError("only one dimension can be inferred")
            unknown = at
        elif size < 0:
            raise RuntimeError(f"invalid shape dimension {size} at index {at} of shape {list(shape)}")
        else:
            known *= size
    if unknown is None:
        if known == count:
            return tuple(shape)
    elif known and count % known == 0:
        return (*shape[:unknown], count // known, *shape[unknown + 1 :])
    elif known == 0 and count == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
            "can be any value and is ambiguous"
        )
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {count}")


def view_strides(shape: Shape, strides: Shape, new: Shape) -> Shape | None:
    """Strides that show the same elements in the same order as `new`; None if there are none.

    Runs of dimensions that lie evenly in memory are taken together, last first; each run
    must hold a whole number of new dimensions.
    """
    if numel(shape) == 0:
        return strides if shape == new else contiguous_strides(new)
    result = [0] * len(new)
    at = len(new) - 1
    base = strides[-1] if shape else 1
    held = filled = 1
    for dim in range(len(shape) - 1, -1, -1):
        held *= shape[dim]
        if dim == 0 or (shape[dim - 1] != 1 and strides[dim - 1] != held * base):
            while at >= 0 and (filled < held or new[at] == 1):
                result[at] = filled * base
                filled *= new[at]
                at -= 1
            if filled != held:
                return None
            if dim > 0:
                base, held, filled = strides[dim - 1], 1, 1
    while at >= 0:
        if new[at] != 1:
            return None
        result[at] = base
        at -= 1
    return tuple(result)


def span(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to the last one touched, both included; 0 if there are none."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides))


def overlaps_itself(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a stride of zero shows one element at several places."""
    return 0 not in shape and any(stride == 0 and size > 1 for size, stride in zip(shape, strides))


def may_overlap(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether two elements may be one place in memory: a stride does not reach past the smaller dimensions."""
    reach = 0
    for stride, size in sorted((t, s) for s, t in zip(shape, strides) if s > 1):
        if stride <= reach:
            return True
        reach += stride * (size - 1)
    return False


def places(shape: Sequence[int], strides: Sequence[int], at: int) -> np.ndarray:
    """For each element of a layout, its position in the storage."""
    found = np.full(tuple(shape), at, np.int64)
    for dim, (size, step) in enumerate(zip(shape, strides)):
        found += (np.arange(size) * step).reshape(size, *[1] * (len(shape) - dim - 1))
    return found


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements fill one block of memory, each place once, in some order.

    As in PyTorch, dimensions of size 1 and 0 do not count.
    """
    expected = 1
    for stride, size in sorted((t, s) for s, t in zip(shape, strides) if s > 1):
        if stride != expected:
            return False
        expected *= size
    return True


def dense_strides(shape: Shape, steps: Shape) -> Shape:
    """The strides themselves if they are dense, else dense ones that keep the order of the dimensions in memory.

    PyTorch's `infer_dense_strides`; an empty dimension counts as one of size 1.
    """
    return steps if is_dense(shape, steps) else iteration_strides(tuple([max(n, 1) for n in shape]), [steps])


def channels_innermost(shape: Shape, steps: Shape) -> bool:
    """Whether an image's strides say that its channels lie innermost."""
    if steps[1] == 0 or 0 in shape:
        return False
    least = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if steps[d] < least or d == 0 and least == steps[1]:
            return False
        least = steps[d] * shape[d]
    return True


def sizes(args: tuple[Any, ...], operation: str) -> Shape:
    """The sizes given as separate arguments or as one sequence: f(2, 3), f((2, 3)), f([2, 3]).

    What is no int is told by the first of them, as in PyTorch: a bool may only come later.
    """
    if args and isinstance(args[0], bool):
        raise TypeError(f"{operation}(): argument 'size' (position 1) must be tuple of ints, not bool")
    if len(args) == 1 and not _is_int(args[0]):
        args = args[0]
        if not isinstance(args, (tuple, list)):
            raise TypeError(
                f"{operation}(): argument 'size' (position 1) must be tuple of ints, not {type(args).__name__}"
            )
        if args and isinstance(args[0], bool):
            raise TypeError(
                f"{operation}(): argument 'size' (position 1) must be tuple of ints, but found element of type bool at "
                "pos 0"
            )
    return tuple(as_int(size, operation) for size in args)


def _is_int(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, (tuple, list))


def as_int(value: Any, operation: str) -> int:
    if type(value) is int:
        if -_FAR <= value < _FAR:
            return value
        raise TypeError(
            f"{operation}(): argument 'size' failed to unpack the object at pos 1 with error \"Overflow when unpacking long "
            'long"'
        )
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        raise TypeError(
            f"{operation}(): argument 'size' (position 1) must be tuple of ints, but found element of type "
            f"{type(value).__name__}"
        ) from None


# ---- fresh results of elementwise operations ----


@lru_cache(1 << 12)
def result_strides(shape: Shape, item: int, operands: tuple[Operand, ...]) -> Shape:
    """The strides, in bytes, of a fresh result of `shape` with elements of `item` bytes.

    This is TensorIterator's rule (`fast_set_up` and `reorder_dimensions` in ATen/TensorIterator.cpp), strides of dimensions
    of size 1 included, since they decide about the results that are computed next:

    1. Operands of one shape that all lie in rows, or all channels last, or densely with equal strides, give their layout.
    2. Otherwise dimensions are ordered as the operands' are. An operand that is broadcast along a dimension has no opinion
       there, nor has a number, which is an operand without dimensions.
    """
    if 0 not in shape and len(shape) > 1:
        own = [_in_elements(*operand) for operand in operands]
        wanted = _shared_layout(shape, own) or iteration_strides(
            shape, [_aligned(shape, *one) for one in own]
        )
    else:
        wanted = contiguous_strides(shape)
    return tuple([step * item for step in wanted])


def row_strides(shape: Shape, item: int, operands: tuple[Operand, ...]) -> Shape:
    """The strides, in bytes, of a fresh result that lies in rows whatever its operands are."""
    return tuple([step * item for step in contiguous_strides(shape)])


def kept_strides(shape: Shape, item: int, operands: tuple[Operand, ...]) -> Shape:
    """The strides, in bytes, of a fresh result that is made as `empty_like` its one operand."""
    sizes, strides, size, _ = operands[0]
    _, steps = _in_elements(sizes, strides, size, copied=True)
    return tuple([step * item for step in steps])


def _in_elements(sizes: Shape, strides: Shape, item: int, copied: bool) -> tuple[Shape, Shape]:
    """The shape of an operand, and its strides in elements once it is converted."""
    steps = tuple([step // item for step in strides])
    return sizes, dense_strides(sizes, steps) if copied else steps


def _shared_layout(shape: Shape, operands: list[tuple[Shape, Shape]]) -> Shape | None:
    """The layout that operands of one shape agree on; None if they do not."""
    if any(sizes != shape for sizes, _ in operands):
        return None
    if all(_lies(shape, steps, range(len(shape))[::-1]) for _, steps in operands):
        return contiguous_strides(shape)
    if len(shape) == 4 and all(_lies(shape, steps, (1, 3, 2, 0)) for _, steps in operands):
        batch, high, wide, channels = contiguous_strides([shape[dim] for dim in (0, 2, 3, 1)])
        return batch, channels, high, wide
    first = operands[0][1]
    return first if is_dense(shape, first) and all(steps == first for _, steps in operands) else None


def _lies(shape: Shape, steps: Shape, order: Iterable[int]) -> bool:
    """Whether elements fill memory, their dimensions in this order, the one that moves fastest first; sizes of 1 do not count."""
    expected = 1
    for dim in order:
        if shape[dim] != 1:
            if steps[dim] != expected:
                return False
            expected *= shape[dim]
    return True


def _aligned(shape: Shape, sizes: Shape, steps: Shape) -> Shape:
    """The strides of an operand in the dimensions of the result; 0 where it is broadcast."""
    lead = len(shape) - len(sizes)
    return (0,) * lead + tuple([0 if n == 1 != m else s for n, m, s in zip(sizes, shape[lead:], steps)])


def iteration_strides(shape: tuple[int, ...], operands: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The strides of a fresh result whose dimensions are ordered as the operands' are.

    Dimensions are sorted by stride, the first operand that has an opinion decides, and a
    broadcast dimension (stride 0) has none.
    """
    order = list(range(len(shape)))[::-1]

    def swap(a: int, b: int) -> int:
        for steps in operands:
            if steps[a] == 0 or steps[b] == 0:
                continue
            if steps[a] != steps[b]:
                return -1 if steps[a] < steps[b] else 1
            if shape[a] > shape[b]:
                return 1
        return 0

    for n in range(1, len(order)):
        at = n
        for before in range(n - 1, -1, -1):
            verdict = swap(order[before], order[at])
            if verdict > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif verdict < 0:
                break
    steps, step = [0] * len(shape), 1
    for dim in order:
        steps[dim] = step
        step *= shape[dim]
    if order == list(range(len(shape)))[::-1]:
        return contiguous_strides(shape)
    return tuple(steps)
