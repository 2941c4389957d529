"""Reductions and scans over dimensions: one associative combine with an identity.

What their operations share: reading `dim` and `keepdim`, accumulating without losing small
terms, the derivative's way back to the full shape, and the short paths of the methods.

Note [Accumulating]: NumPy adds float32 along an outer axis, or in a scan, in float32, and loses
everything past 2**24. So float32 and narrower are always accumulated in float64 and rounded once;
float64 along an outer axis is added in blocks, whose sums are added in turn.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import (
    FLOATING,
    INTEGER,
    complex128,
    dtype,
    float64,
    int64,
)
from rushlight.layout import wrap_dim
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM_REDUCED, reduced, scanned
from rushlight.runtime.execute import view
from rushlight.runtime.results import FEW, array
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad

_F32, _F64, _C64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.complex64)
#: terms of a float64 sum that are added one after another
_BLOCK = 16
_make = object.__new__
#: elements computed at a time where a wider copy of the input is needed
CHUNK = 1 << 20

# ---- dim and keepdim ----


class _NotGiven:
    """The default of `dim` where leaving it out is not the same as passing None."""

    def __repr__(self) -> str:
        return "None"


NOT_GIVEN: Any = _NotGiven()
#: operations with several signatures, of which PyTorch says that none fits
_OVERLOADED = frozenset(
    "sum mean prod max min any all count_nonzero std var std_mean var_mean quantile nanquantile sort argsort".split()
)


def reduced_dims(dim: Any, ndim: int, operation: str = "") -> tuple[int, ...]:
    """The dimensions that a `dim` argument names: None and () mean all of them.

    Raises:
        IndexError: a dimension out of range.
        RuntimeError: one named twice.
        TypeError: not an integer.
    """
    if dim is None or dim is NOT_GIVEN:
        return tuple(range(ndim))
    if type(dim) is int:
        return (wrap_dim(dim, ndim),) if ndim else _of_scalar(dim)
    if isinstance(dim, (tuple, list)):
        if dim and isinstance(dim[0], bool):
            raise errors.WrongArgument("dim", "tuple of ints", dim, operation in _OVERLOADED)
        dims = tuple(
            [wrap_dim(int(d) if d is True or d is False else _index(d, dim, operation), ndim) for d in dim]
        )
        for n, d in enumerate(dims):
            if d in dims[:n]:
                raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
        return (dims if ndim else ()) or tuple(range(ndim))
    dim = _index(dim, dim, operation)
    return (wrap_dim(dim, ndim),) if ndim else _of_scalar(dim)


def one_dim(dim: Any, ndim: int, operation: str) -> int:
    """The one dimension that an int `dim` names, counted from the start."""
    if type(dim) is not int:
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise errors.WrongArgument("dim", "int", dim, operation in _OVERLOADED)
        dim = dim.__index__()
    return wrap_dim(dim, ndim)


def check_keepdim(keepdim: Any, operation: str) -> bool:
    if keepdim is True or keepdim is False:
        return keepdim
    overloaded = operation in _OVERLOADED and operation not in ("sum", "prod")
    raise errors.WrongArgument("keepdim", "bool", keepdim, overloaded)


def check_no_keepdim(keepdim: Any) -> None:
    """Refuse to keep dimensions where no `dim` is given: PyTorch's sum and mean of everything have no such argument."""
    if keepdim is not False:
        raise errors.WrongArgument("keepdim", "left out", keepdim, overloaded=True)


def _of_scalar(dim: int) -> tuple[int, ...]:
    wrap_dim(dim, 0)
    return ()


def _index(dim: Any, given: Any, operation: str) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise errors.WrongArgument("dim", "tuple of ints", given, operation in _OVERLOADED)
    return dim.__index__()


def count_of(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    """How many elements go into one element of the result."""
    count = 1
    for d in dims:
        count *= shape[d]
    return count


def kept(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with the reduced dimensions at size one."""
    return tuple([1 if d in dims else n for d, n in enumerate(shape)])


def restore(t: Any, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduced tensor with its reduced dimensions back, at size one."""
    return t if keepdim or not shape else t.reshape(kept(shape, dims))


def spread(g: Any, shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> Any:
    """A reduced gradient, shown in the shape of what was reduced."""
    return restore(g, shape, dims, keepdim).expand(shape)


def spread_number(g: Any, shape: tuple[int, ...]) -> Any:
    """A gradient without dimensions, shown at every place of a shape."""
    if MODES.grad or type(g) is not Tensor or type(g._a) is not np.ndarray or g._a.ndim or 0 in shape:
        return g.expand(shape)
    shown = np.ndarray(shape, g._a.dtype, g._a, 0, (0,) * len(shape))
    if g._buf is None and sys.getrefcount(g) <= _ON_ITS_WAY and math.prod(shape) <= FEW:
        return new_tensor(shown, g._dtype)
    return view(g, shown, None, None)


#: references to a gradient that only the backward walk has: its own two, and those of its node, the derivative, the function
#: above and `getrefcount`. What shows it is no view then that anybody could tell from a copy. Later releases of CPython count otherwise.
_ON_ITS_WAY = 6 if sys.version_info < (3, 14) else 0


def check_nonempty(shape: tuple[int, ...], dim: Any, dims: tuple[int, ...], operation: str) -> None:
    """Raise if a reduction that has no identity finds no elements."""
    if 0 not in shape:
        return
    if len(dims) == len(shape) and (dim is None or dim is NOT_GIVEN or dim == () or dim == []):
        raise RuntimeError(
            f"{operation}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    for d in dims:
        if shape[d] == 0:
            raise IndexError(f"{operation}(): Expected reduction dim {d} to have non-zero size.")


# ---- accumulating ----


def added(a: np.ndarray) -> Any:
    """The sum of all elements in the accumulating type, as a loop may compute it."""
    return np.add.reduce(a, None, np.int64 if a.dtype.kind in "biu" else _F64)


def rounded_by_loops(to: np.dtype | None) -> np.dtype | None:
    """The type that a loop rounds its results to, where somebody asks for `to`: halves are rounded from float64 by NumPy, once."""
    return to if to == _F32 else None


def sum_over(
    a: np.ndarray, dims: tuple[int, ...], keepdim: bool = False, to: np.dtype | None = None
) -> np.ndarray:
    """The sum over `dims` in the accumulating type: int64, float64 or complex128; or rounded to `to` already, which the caller
    will do."""
    made = reduced(added, (a,), dims, keepdim, None, rounded_by_loops(to))
    if made is not None:
        return made
    kind = a.dtype
    if kind is _F32 and a.ndim == 2 and 0 < a.size <= FEW:
        a = a.astype(_F64, "C")
        kind = _F64
    if kind == _F64 or kind.kind == "c" and kind != _C64:
        return _blocked_sum(a, dims, keepdim)
    wide = np.int64 if kind.kind in "biu" else np.complex128 if kind == _C64 else _F64
    return np.asarray(np.add.reduce(a, dims, wide, None, keepdim))


def _blocked_sum(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """float64 sums whose error grows with the number of blocks, not of terms."""
    if a.ndim == 2 and a.dtype is _F64 and dims and 0 < a.size <= FEW and a.flags.c_contiguous:
        return _matrix_sum(a, dims, keepdim)
    if count_of(a.shape, dims) <= _BLOCK:
        return np.asarray(np.add.reduce(a, dims, None, None, keepdim))
    if len(dims) == a.ndim and a.flags.forc:
        return np.asarray(np.add.reduce(a.ravel("K"))).reshape(kept(a.shape, dims) if keepdim else ())
    for d in sorted(dims, key=lambda d: a.strides[d]):
        a = _sum_axis(a, d)
    return a if keepdim else a.reshape([n for d, n in enumerate(a.shape) if d not in dims])


#: terms up to which BLAS adds up the lines of a matrix, as its product with ones, in a third of the time that NumPy
#: takes: in blocks of four or more, so that no accuracy is lost
_SIDE = 128
_ONES = np.ones(_SIDE)
#: more elements BLAS may share among threads, and then the bits would depend on how many there are
_ONE_THREAD = 8192


def _matrix_sum(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """The sum over one or both dimensions of a row-major float64 matrix."""
    # (of both: pairwise, along memory)
    total = line_sums(a, dims[0]) if len(dims) == 1 else np.asarray(np.add.reduce(a, None))
    return total.reshape(kept(a.shape, dims)) if keepdim else total


def line_sums(a: np.ndarray, dim: int) -> np.ndarray:
    """The sums of the rows (dim 1) or columns (dim 0) of a row-major float64 matrix that is not empty."""
    rows, columns = a.shape
    if a.shape[dim] > _SIDE or (rows + 1) // 2 * columns > _ONE_THREAD:
        return _sum_axis(a, dim).reshape(-1)
    if a.size > _ONE_THREAD:
        return _sum_halves(a, dim)
    return a.dot(_ONES[:columns]) if dim else _ONES[:rows].dot(a)


def _sum_halves(a: np.ndarray, dim: int) -> np.ndarray:
    rows, columns = a.shape
    half = rows // 2
    if not dim:
        return _ONES[:half].dot(a[:half]) + _ONES[half:rows].dot(a[half:])
    total, ones = np.empty(rows), _ONES[:columns]
    a[:half].dot(ones, total[:half])
    a[half:].dot(ones, total[half:])
    return total


def own_sum(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """The sum over dimensions of a float32 or float64 array, in its own type."""
    if len(dims) == 1 and a.ndim == 2 and a.dtype is _F32 and 0 < a.size < FROM_REDUCED:
        total = line_sums(a.astype(_F64, "C"), dims[0]).astype(_F32)
        return total.reshape(kept(a.shape, dims)) if keepdim else total
    return narrowed(sum_over(a, dims, keepdim, a.dtype), a.dtype)


def own_mean(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """The mean over dimensions of a float32 or float64 array, in its own type."""
    if len(dims) == a.ndim == 2 and a.dtype is _F32 and 0 < a.size <= FEW and a.size < FROM_REDUCED:
        made = np.asarray((np.add.reduce(a.astype(_F64, "C"), None) / a.size).astype(_F32))
        return made.reshape(1, 1) if keepdim else made
    return narrowed(mean_over(a, dims, keepdim, a.dtype), a.dtype)


def _sum_axis(a: np.ndarray, d: int) -> np.ndarray:
    """Sum over one axis, kept at size one: blocks first, then the sums of the blocks."""
    n = a.shape[d]
    if n <= _BLOCK or a.strides[d] == a.itemsize:  # along contiguous memory NumPy adds pairwise
        return np.add.reduce(a, d, None, None, True)
    whole = n - n % _BLOCK
    before, after = a.shape[:d], a.shape[d + 1 :]
    head = a[(slice(None),) * d + (slice(0, whole),)]
    sums = np.add.reduce(head.reshape(*before, whole // _BLOCK, _BLOCK, *after), d + 1)
    total = _sum_axis(sums, d)
    if whole != n:
        total = total + np.add.reduce(a[(slice(None),) * d + (slice(whole, n),)], d, None, None, True)
    return total


def averaged(a: np.ndarray, count: int) -> Any:
    """The mean of all elements in the accumulating type, as a loop may compute it."""
    return np.true_divide(added(a), count)


def mean_over(
    a: np.ndarray, dims: tuple[int, ...], keepdim: bool = False, to: np.dtype | None = None
) -> np.ndarray:
    """The mean over `dims` in the accumulating type; or rounded to `to` already, which the caller will do."""
    count = count_of(a.shape, dims)
    made = reduced(averaged, (a,), dims, keepdim, {"count": count}, rounded_by_loops(to))
    return np.asarray(np.true_divide(sum_over(a, dims, keepdim), count)) if made is None else made


def _mapped(*arrays: np.ndarray, function: Callable) -> Any:
    return added(function(*arrays))


def sum_mapped(function: Callable, dims: tuple[int, ...], a: np.ndarray, *like: np.ndarray) -> np.ndarray:
    """The sum over `dims` (kept at size one) of `function(a, *like)`, which may widen: a chunk at a time."""
    made = reduced(_mapped, (a, *like), dims, True, {"function": function})
    if made is not None:
        return made
    if a.size <= CHUNK:
        return sum_over(function(a, *like), dims, True)
    across = max(range(a.ndim), key=lambda d: a.shape[d])
    step = max(1, CHUNK * a.shape[across] // a.size)
    parts = []
    for start in range(0, a.shape[across], step):
        part = (slice(None),) * across + (slice(start, start + step),)
        parts.append(
            sum_over(function(a[part], *[x[part] if x.shape[across] > 1 else x for x in like]), dims, True)
        )
    joined = np.concatenate(parts, across)
    return _sum_axis(joined, across) if across in dims else joined


def wider(kind: np.dtype) -> Any:
    """The type in which products and sums of this floating type are accumulated."""
    return np.complex128 if kind.kind == "c" else np.float64


def cast_first(a: np.ndarray, to: dtype | None) -> np.ndarray:
    """The elements in the type `dtype=` asks for, unless accumulating will widen them anyway."""
    if to is None or a.dtype == to.numpy:
        return a
    if to is float64 and a.dtype == _F32 or to is complex128 and a.dtype == _C64:
        return a
    return convert(a, to)


def narrowed(a: Any, kind: np.dtype) -> np.ndarray:
    """The accumulated values in the result's type."""
    return a if a.dtype == kind else a.astype(kind)


# ---- scans ----


def scan_along(ufunc: np.ufunc, a: np.ndarray, dim: int, kind: np.dtype, reverse: bool = False) -> np.ndarray:
    """`ufunc.accumulate` along `dim`, accumulated in a wide type, rounded once to `kind`; contiguous.

    1. A narrow type is accumulated a chunk at a time, so that no wide copy of the whole exists.
    2. Chunks are cut along the largest dimension; if that is `dim` itself, the carry is passed on.
    """
    wide = np.dtype(wider(kind)) if kind.kind not in "biu" else kind
    made = scanned(ufunc, a, dim, wide, kind, reverse)
    if made is not None:
        return made
    if reverse:
        back = (slice(None),) * dim + (slice(None, None, -1),)
        return np.ascontiguousarray(scan_along(ufunc, a[back], dim, kind)[back])
    if wide == kind:
        return ufunc.accumulate(a, dim, kind, array(a.shape, kind))
    if a.size < FEW:
        sums = a.astype(wide, "C")
        return ufunc.accumulate(sums, dim, None, sums).astype(kind)
    out = array(a.shape, kind)
    across = max(range(a.ndim), key=lambda d: a.shape[d])
    step = max(1, CHUNK * a.shape[across] // a.size)
    carry = None
    for start in range(0, a.shape[across], step):
        part = (slice(None),) * across + (slice(start, start + step),)
        sums = a[part].astype(wide)
        if across == dim and carry is not None:
            first = (slice(None),) * dim + (slice(0, 1),)
            sums[first] = ufunc(carry, sums[first])
        ufunc.accumulate(sums, dim, None, sums)
        carry = sums.take([-1], dim)
        out[part] = sums
    return out


# ---- out= ----


def same_dtype(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """Compute for `out=` tensors that must have the results' dtypes."""
    results = plain(*args, **kwargs)
    for out, result in zip(outs, results if isinstance(results, tuple) else (results,)):
        if out._dtype is not result._dtype:
            wanted, got = (t._dtype.cpp for t in (result, out))
            raise RuntimeError(f"Expected out tensor to have dtype {wanted}, but got {got} instead")
    return results


def same_scalar_type(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """As `same_dtype`, in the words of PyTorch's older kernels."""
    results = plain(*args, **kwargs)
    for out, result in zip(outs, results if isinstance(results, tuple) else (results,)):
        if out._dtype is not result._dtype:
            raise RuntimeError(f"expected scalar_type {result._dtype.legacy} but found {out._dtype.legacy}")
    return results


def dtype_of_out(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """Compute in the dtype of the `out=` tensor, as if `dtype=` had asked for it."""
    if kwargs.get("dtype") is not None:
        return same_dtype(plain, outs, args, kwargs)
    return plain(*args, **{**kwargs, "dtype": outs[0]._dtype})


# ---- dtypes ----


def check_recordable(input: Tensor, to: dtype | None) -> None:
    """RuntimeError if a gradient is wanted through a result that cannot carry one."""
    if to is not None and to.category < FLOATING and input._edge is not None and MODES.grad:
        if requires_grad(input):
            raise RuntimeError(f"Autograd not support dtype: {to.legacy}")


def lifted(function: Callable, a: np.ndarray) -> np.ndarray:
    """`function` on an array of at least one dimension: a 0-d one counts as a line of one element."""
    return function(a) if a.ndim else function(a.reshape(1)).reshape(())


def accumulated(d: dtype) -> dtype:
    """The type of a sum or product: integers and bool become int64."""
    return int64 if d.category <= INTEGER else d


def refuse_kinds(name: str, t: Tensor, *kinds: int, unsigned: bool = True) -> None:
    """NotImplementedError with PyTorch's sentence if the kernel `name` has no such dtype."""
    d = t._dtype
    if d.category in kinds or unsigned and d.category == INTEGER and not d.is_signed and d.itemsize > 1:
        raise NotImplementedError(f"\"{name}\" not implemented for '{d.legacy}'")
