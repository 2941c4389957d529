"""Memory for results, laid out as NumPy would lay them out, from the pool if they are large.

A result of an elementwise operation keeps the order of dimensions of its operands. Where that order is plain, the
functions here find it and give memory for it; where it is not (operands in different orders, broadcast
dimensions inside), the result is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from rushlight.errors import OutOfMemory
from rushlight.graph.expr import array_of
from rushlight.layout import channels_innermost
from rushlight.memory import LARGE, array, empty_cache, stats, zeros
from rushlight.runtime.deferral import copied_into

#: results of fewer elements, of whatever type, are not large
FEW = LARGE // 16
#: elements for which a function of several NumPy calls is computed at a time: what lies between the calls stays in
#: the cache, and needs no memory of the result's size
STRIP = 1 << 16


def elementwise(function: Callable, kind: np.dtype, *operands: Any) -> Any:
    """`function(*operands)`, an elementwise function whose result is of type `kind`; for large operands.

    1. A ufunc writes to memory from the pool.
    2. Any other function is computed a strip at a time, where all operands lie in memory in the same order.
    """
    operands = tuple([array_of(a) for a in operands])
    arrays = [a for a in operands if type(a) is np.ndarray and a.ndim]
    if not arrays:
        return retried(function, *operands)
    if isinstance(function, np.ufunc):
        out = like(kind, *arrays) if function.nout == 1 else None
        return retried(function, *operands) if out is None else function(*operands, out=out)
    first = arrays[0]
    if not _dense(first) or any(a.shape != first.shape or a.strides != first.strides for a in arrays):
        return retried(function, *operands)
    out = like(kind, first)
    if out is None:
        return retried(function, *operands)
    flat = out.ravel("K")
    lines = [a.ravel("K") if type(a) is np.ndarray and a.ndim else a for a in operands]
    for start in range(0, flat.size, STRIP):
        part = slice(start, start + STRIP)
        flat[part] = function(
            *[line[part] if type(line) is np.ndarray and line.ndim else line for line in lines]
        )
    return out


def retried(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """`function(...)`, which writes to nothing but fresh memory; if NumPy finds none, what the pool keeps is given back first."""
    try:
        return function(*args, **kwargs)
    except OutOfMemory:
        raise
    except MemoryError:
        before = stats()
        empty_cache()
    try:
        return function(*args, **kwargs)
    except MemoryError as error:
        wanted = prod(getattr(error, "shape", ())) * getattr(error, "dtype", np.dtype(np.uint8)).itemsize
        raise OutOfMemory(wanted, before.pooled, before.in_use) from None


def _dense(a: np.ndarray) -> bool:
    """Whether the elements lie in memory without gaps, in some order of dimensions."""
    return a.flags.forc or a.transpose(sorted(range(a.ndim), key=lambda d: -a.strides[d])).flags.c_contiguous


def like(kind: np.dtype, *arrays: np.ndarray) -> np.ndarray | None:
    """Memory for the result of an elementwise operation on `arrays`, with the strides that NumPy would give it.

    None where it is small, or where its strides are left to NumPy. (NumPy goes through memory in an order that no
    operand objects to: two dimensions of a row-major array, unless broadcast, object to any other order than theirs.)
    """
    shape = arrays[0].shape
    for a in arrays:
        if a.shape != shape:
            try:
                shape = np.broadcast_shapes(*[a.shape for a in arrays])
            except ValueError:
                return None
            break
    if prod(shape) * kind.itemsize < LARGE:
        return None
    rows = [a.flags.c_contiguous for a in arrays]
    if all(rows) or any(row and a.shape == shape for row, a in zip(rows, arrays)):
        return array(shape, kind)
    steps = arrays[0].strides
    if 1 in shape or min(steps) <= 0 or any(a.shape != shape or a.strides != steps for a in arrays):
        return None
    order = sorted(range(len(shape)), key=lambda d: -steps[d])
    return array(tuple([shape[d] for d in order]), kind).transpose(
        sorted(range(len(shape)), key=order.__getitem__)
    )


def converted(a: np.ndarray, kind: np.dtype) -> np.ndarray:
    """`a.astype(kind)`: fresh memory in `a`'s order of dimensions, its elements converted as C does."""
    out = like(kind, a)
    if out is None:
        return a.astype(kind)
    np.copyto(out, a, casting="unsafe")
    return out


def copy_into(out: np.ndarray, a: Any) -> None:
    """Copy an array to other memory, for its shape and type."""
    if not copied_into(a, out):
        out[...] = a


def in_rows(a: np.ndarray) -> np.ndarray:
    """A row-major copy."""
    out = array(a.shape, a.dtype)
    copy_into(out, a)
    return out


def concatenated(join: Callable, arrays: list[np.ndarray], dim: int) -> np.ndarray:
    """`np.concatenate` or `np.stack` of arrays of one type along `dim`, row-major.

    Raises:
        ValueError: shapes that do not go together.
    """
    if sum([a.size for a in arrays]) < FEW:
        return _stacked(arrays, dim) if join is np.stack else np.ascontiguousarray(join(arrays, dim))
    first = arrays[0]
    shape = list(first.shape)
    if join is np.stack:
        shape.insert(dim if dim >= 0 else dim + first.ndim + 1, len(arrays))
    elif -first.ndim <= dim < first.ndim and all(a.ndim == first.ndim for a in arrays):
        shape[dim] = sum([a.shape[dim] for a in arrays])
    out = array(tuple(shape), first.dtype)
    if all(a.flags.c_contiguous for a in arrays):
        return join(arrays, dim, out)
    parts = _parts(out, arrays, dim, join is np.stack)
    if any(part.shape != a.shape for part, a in zip(parts, arrays)):
        return join(arrays, dim, out)
    for part, a in zip(parts, arrays):
        copy_into(part, a)
    return out


def _parts(out: np.ndarray, arrays: list[np.ndarray], dim: int, stacked: bool) -> list[np.ndarray]:
    """Where in the joined array each of the arrays belongs."""
    before: Any = (slice(None),) * (dim % out.ndim)
    if stacked:
        return [out[(*before, n)] for n in range(len(arrays))]
    parts: list[np.ndarray] = []
    at = 0
    for a in arrays:
        size = a.shape[dim] if -a.ndim <= dim < a.ndim else 0
        parts.append(out[(*before, slice(at, at + size))])
        at += size
    return parts


def _stacked(arrays: list[np.ndarray], dim: int) -> np.ndarray:
    """`np.stack` without its checks, in a third of the time."""
    shape = arrays[0].shape
    if not -len(shape) - 1 <= dim <= len(shape) or any(a.shape != shape for a in arrays):
        raise ValueError("arrays of different shapes, or a dimension out of range")
    dim %= len(shape) + 1
    out = np.empty((*shape[:dim], len(arrays), *shape[dim:]), arrays[0].dtype)
    before = (slice(None),) * dim
    for n, a in enumerate(arrays):
        out[(*before, n)] = a
    return out


def laid_out(a: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """A copy of `a` in fresh, dense memory of these strides (in elements)."""
    strides = tuple([step * a.itemsize for step in steps])
    if not a.size:
        return np.ndarray(a.shape, a.dtype, np.empty(0, a.dtype), 0, strides)
    out = array(a.shape, a.dtype, strides)
    copy_into(out, a)
    return out


__all__ = [
    "image_without_gaps",
    "FEW",
    "LARGE",
    "array",
    "concatenated",
    "converted",
    "elementwise",
    "copy_into",
    "in_rows",
    "laid_out",
    "like",
    "retried",
    "zeros",
]


def is_image(x: Any) -> bool:
    """Whether this is an image, or several, whose channels lie innermost."""
    return (
        x is not None
        and x.ndim in (4, 5)
        and not x.flags.c_contiguous
        and channels_innermost(x.shape, x.strides)
    )


def image_without_gaps(a: np.ndarray) -> np.ndarray:
    """`a`, or a copy of it if dimension 1 is not innermost in memory, or there are gaps between the elements."""
    return a if np.moveaxis(a, 1, -1).flags.c_contiguous else with_inner_channels(a)


def with_inner_channels(a: np.ndarray) -> np.ndarray:
    """A fresh array with dimension 1 innermost in memory."""
    order = (0, *range(2, a.ndim), 1)
    return np.array(a.transpose(order), order="C").transpose(0, -1, *range(1, a.ndim - 1))
