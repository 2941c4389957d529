"""Order: sort, topk, and the values that are found by their rank.

NaN is larger than everything, as in PyTorch. Equal elements keep their order in a stable sort, and
in any sort of up to 16 or of very many elements; in between they come in PyTorch's order (`selection`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors, return_types
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BOOL, BY_NUMPY, COMPLEX, float32, float64, int64
from rushlight.layout import iteration_strides
from rushlight.ops import selection
from rushlight.ops.extremes import selected, shared_by_all
from rushlight.ops.kinds.reduction import (
    NOT_GIVEN,
    check_keepdim,
    check_nonempty,
    one_dim,
    refuse_kinds,
    same_dtype,
)
from rushlight.ops.kinds.short import SMALL, lines
from rushlight.ops.spec import primitive, public
from rushlight.runtime.casting import convert, single
from rushlight.runtime.results import laid_out
from rushlight.tape.derivative import NOT_DIFFERENTIABLE
from rushlight.tape.recording import record

#: `topk` of at least this many elements partitions before it sorts
_PARTITION = 1024


def order(a: np.ndarray, dim: int, descending: bool = False) -> np.ndarray:
    """The indices that sort `a` along `dim`, stably."""
    keys = single(a)
    if not descending:
        return np.argsort(keys, dim, "stable")
    # backwards, so that of equals the first comes out last, and then backwards again
    back = np.argsort(np.flip(keys, dim), dim, "stable")
    return np.flip(a.shape[dim] - 1 - back, dim)


def unstable_order(a: np.ndarray, dim: int, descending: bool = False) -> np.ndarray:
    """The indices that PyTorch's unstable sort gives."""
    at = order(a, dim, descending)
    if a.shape[dim] <= selection.SHORT:
        return at
    return _as_selected(a, at, dim, lambda p, rank: selection.sort(p, rank, 0, len(p)))


def _as_selected(
    a: np.ndarray, at: np.ndarray, dim: int, select: Callable, always: bool = False
) -> np.ndarray:
    """The order `at`, but in each line with equal elements as `select(positions, ranks)` leaves it."""
    if not 0 < a.size <= selection.LIMIT:
        return at
    rows = np.moveaxis(at, dim, -1)
    values = np.take_along_axis(np.moveaxis(single(a), dim, -1), rows, -1)
    ranks = np.zeros(rows.shape, np.int64)
    np.cumsum(_steps(values), -1, out=ranks[..., 1:])
    last = rows.shape[-1] - 1
    found = np.array(rows)
    for place in map(tuple, np.argwhere((ranks[..., -1] < last) | always)):
        rank = np.empty(last + 1, np.int64)
        rank[rows[place]] = ranks[place]
        positions = list(range(last + 1))
        select(positions, rank.tolist())
        found[place] = positions
    return np.moveaxis(found, -1, dim)


def _steps(values: np.ndarray) -> np.ndarray:
    """Where sorted values change; one nan is like another."""
    steps = values[..., 1:] != values[..., :-1]
    if values.dtype.kind == "f":
        steps &= ~(np.isnan(values[..., 1:]) & np.isnan(values[..., :-1]))
    return steps


def _with_values(a: np.ndarray, at: np.ndarray, dim: int) -> tuple:
    at = at.copy()
    return np.take_along_axis(a, at, dim), at


def _scattered(g: Any, x_meta: Any, out1: Any, dim: int) -> Any:
    return selected(g, x_meta, out1, dim, True)


# ---- small matrices, by Python's own numbers ----


def _ranked(line: Any, reverse: bool = False) -> list[int]:
    """The indices that sort the numbers; ValueError for those that leave it open."""
    total = sum(line)
    if len(set(line)) < len(line) or total != total:
        raise ValueError
    return sorted(range(len(line)), key=line.__getitem__, reverse=reverse)


def _short_places(
    input: Any, dim: Any, keepdim: Any, places: Callable, form: Any, attrs: dict
) -> tuple | None:
    """Values and indices of a small float matrix, with indices found line by line; None for anything else."""
    a, kind = input._a, input._dtype
    if not 0 < a.size <= SMALL or a.ndim != 2 or kind is not float32 and kind is not float64:
        return None
    if keepdim is not False or type(dim) is not int or not -2 <= dim < 2:
        return None
    dim &= 1
    found = [*lines(a, dim)]
    try:
        at = [places(line) for line in found]
    except (ValueError, IndexError):
        return None
    if type(at[0]) is int:
        values: Any = [line[n] for line, n in zip(found, at)]
    else:
        values = [[line[n] for n in some] for line, some in zip(found, at)]
    made = np.array(values, kind.numpy), np.array(at, np.int64)
    if made[0].ndim == 2 and not dim:
        made = np.array(made[0].T, order="C"), np.array(made[1].T, order="C")
    out = new_tensor(made[0], kind), new_tensor(made[1], int64)
    if input._edge is not None:
        record(form.derivative, (input,), {"dim": dim, **attrs}, out)
    return out


# ---- sort ----


def _sorted(x: np.ndarray, dim: int, descending: bool, stable: bool) -> tuple:
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    if not descending and (stable or x.shape[dim] <= selection.SHORT) and x.flags.c_contiguous:
        if x.dtype.kind in "biuf":
            values = x.copy()
            values.sort(dim, "stable")
            return values, np.ascontiguousarray(x.argsort(dim, "stable"))
    found = _with_values(x, (order if stable else unstable_order)(x, dim, descending), dim)
    return found if x.flags.c_contiguous else tuple([_laid_out_as(x, a) for a in found])


def _laid_out_as(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    return laid_out(a, iteration_strides(x.shape, [x.strides]))


@primitive("Sort", several=True, differentiable=(0,), vjp=(_scattered,))
def sort_dim(x, *, dim, descending):
    return _sorted(x, dim, descending, False)


@primitive("SortBackward1", several=True, differentiable=(0,), vjp=(_scattered,))
def sort_stable(x, *, dim, descending, stable):
    return _sorted(x, dim, descending, stable)


@primitive("Argsort", vjp=NOT_DIFFERENTIABLE)
def argsort_dim(x, *, dim, descending, stable):
    return _sorted(x, dim, descending, stable)[1]


def _sortable(input: Tensor, dim: Any, descending: Any, operation: str) -> dict:
    if not isinstance(descending, bool):
        raise errors.WrongArgument("descending", "bool", descending, True)
    dim = one_dim(dim, input._a.ndim, operation)
    if input._dtype.category == COMPLEX:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    return {"dim": dim, "descending": descending}


@public(out=same_dtype)
def sort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: Any = NOT_GIVEN) -> Any:
    """The elements in order along `dim`, and the indices they had; `stable=True` keeps equals in order.

    Example:
        >>> import rushlight as torch
        >>> values, indices = torch.tensor([3., 1., 2.]).sort()
        >>> values, indices
        (tensor([1., 2., 3.]), tensor([1, 2, 0]))
    """
    attrs = _sortable(input, dim, descending, "sort")
    if stable is NOT_GIVEN:
        return return_types.sort(sort_dim(input, **attrs))
    if stable is not None and not isinstance(stable, bool):
        raise errors.WrongArgument("stable", "bool", stable, True)
    return return_types.sort(sort_stable(input, **attrs, stable=bool(stable)))


@public(out=False, takes={"stable": "bool"})
def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: Any = False) -> Tensor:
    """The indices that sort the elements along `dim`; `stable=True` keeps equals in order.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 1., 2.]).argsort(descending=True)
        tensor([0, 2, 1])
    """
    return argsort_dim(input, **_sortable(input, dim, descending, "argsort"), stable=bool(stable))


@public(out=same_dtype)
def msort(input: Tensor) -> Tensor:
    """The elements in order along the first dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.msort(torch.tensor([3., 1., 2.]))
        tensor([1., 2., 3.])
    """
    return sort_dim(input, **_sortable(input, 0, False, "msort"))[0]


# ---- topk ----


#: lines from which a partition is faster than a sort
_SHORT_LINE = 32


def _top_of_different(lines: np.ndarray, k: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the k extreme elements of each line, in order, by a partition; and in which lines equal ones or nan leave it open."""
    keys = -lines if largest else lines
    kept = np.partition(keys, k - 1, -1)[:, :k]
    kept.sort(-1)
    chosen = np.flatnonzero(keys <= kept[:, -1:])
    line, place = np.divmod(chosen, lines.shape[1])
    clear = (np.bincount(line, minlength=len(lines)) == k) & np.all(kept[:, 1:] > kept[:, :-1], -1)
    if largest:
        last = np.maximum.reduce(lines, -1)
        clear &= last == last
    at = np.zeros(kept.shape, np.int64)
    found = place[clear[line]].reshape(-1, k)
    values = keys[clear.nonzero()[0][:, None], found]
    at[clear] = np.take_along_axis(found, np.argsort(values, -1), -1)
    return at, ~clear


def _top(a: np.ndarray, k: int, dim: int, largest: bool, in_order: bool) -> np.ndarray:
    """Indices of the k extreme elements, in order."""
    n = a.shape[dim]
    if not (_SHORT_LINE < n and 0 < 4 * k <= n and a.dtype.char in "fd"):
        return _top_of_any(a, k, dim, largest, in_order)
    rows = np.moveaxis(a, dim, -1)
    lines = rows.reshape(-1, n)
    at, unclear = _top_of_different(lines, k, largest)
    if unclear.any():
        at[unclear] = _top_of_any(lines[unclear], k, 1, largest, in_order)
    return np.moveaxis(at.reshape(*rows.shape[:-1], k), -1, dim)


def _top_of_any(a: np.ndarray, k: int, dim: int, largest: bool, in_order: bool) -> np.ndarray:
    """The same, of any elements."""
    n = a.shape[dim]
    front = (slice(None),) * dim + (slice(0, k),)
    if n < _PARTITION or k * 8 > n or not k or a.size <= selection.LIMIT:
        select = functools.partial(selection.top, k=k, in_order=in_order)
        return _as_selected(a, order(a, dim, largest), dim, select, not in_order)[front]
    keys = single(a)
    part = np.argpartition(keys, n - k if largest else k - 1, dim)
    part = np.sort(part[(slice(None),) * dim + (slice(n - k, n) if largest else slice(0, k),)], dim)
    return np.take_along_axis(part, order(np.take_along_axis(keys, part, dim), dim, largest), dim)


@primitive("Topk", several=True, differentiable=(0,), vjp=(_scattered,))
def topk_dim(x, *, k, dim, largest, in_order):
    if not x.ndim:
        return x.copy(), np.zeros((), np.int64)
    return _with_values(x, _top(single(x), k, dim, largest, in_order), dim)


@public(out=same_dtype)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest (or smallest) elements along `dim`, in order, and their indices.

    Raises:
        RuntimeError: k is negative or more than there are.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 1., 2.]).topk(2).values
        tensor([3., 2.])
    """
    if isinstance(k, bool) or not hasattr(k, "__index__"):
        raise errors.WrongArgument("k", "int", k)
    if (
        largest is True
        and sorted is True
        and type(k) is int
        and 0 < k <= (len(input._a) if input._a.ndim else 0)
    ):
        found = _short_places(
            input,
            dim,
            False,
            lambda line: _ranked(line, True)[:k],
            topk_dim,
            {"k": k, "largest": True, "in_order": True},
        )
        if found is not None and found[0]._a.shape[dim] == k:
            return return_types.topk(found)
    k, dim = k.__index__(), one_dim(dim, input._a.ndim, "topk")
    for name, flag in (("largest", largest), ("sorted", sorted)):
        if not isinstance(flag, bool):
            raise errors.WrongArgument(name, "bool", flag)
    if not 0 <= k <= (input._a.shape[dim] if input._a.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if input._dtype.category in (BOOL, COMPLEX):
        kind = (
            "topk does not support bool"
            if input._dtype.category == BOOL
            else " topk does not support complex"
        )
        raise RuntimeError(f"{kind} dtypes on CPU")
    return return_types.topk(topk_dim(input, k=k, dim=dim, largest=largest, in_order=sorted))


# ---- by rank ----


def _at_rank(a: np.ndarray, dim: int, keepdim: bool, find: Callable) -> tuple:
    """Values and indices of one element per line; `find(line last)` gives its index with that axis kept."""
    if not a.ndim:
        return a.copy(), np.zeros((), np.int64)
    if not a.size:
        shape = [1 if d == dim else n for d, n in enumerate(a.shape) if keepdim or d != dim]
        return np.empty(shape, a.dtype), np.empty(shape, np.int64)
    at = np.moveaxis(find(np.moveaxis(single(a), dim, -1)), -1, dim)
    values = np.take_along_axis(a, at, dim)
    if not keepdim:
        values, at = values.squeeze(dim), at.squeeze(dim)
    return values.copy(), at.copy()


def _of_rank(lines: np.ndarray, k: int, find: Callable) -> np.ndarray:
    """The index of the element of rank k in each line: by a partition; `find(lines, k)` where others equal it, or it is nan."""
    if lines.shape[-1] <= _SHORT_LINE or lines.dtype.char not in "fd":
        return find(lines, k)
    flat = lines.reshape(-1, lines.shape[-1])
    equal = flat == np.partition(flat, k, -1)[:, k : k + 1]
    at = equal.argmax(-1)[:, None]
    unclear = np.count_nonzero(equal, -1) != 1
    if unclear.any():
        at[unclear] = find(flat[unclear], k)
    return at.reshape(*lines.shape[:-1], 1)


def _rank(lines: np.ndarray, k: Any) -> np.ndarray:
    """The index of the element of rank k (a number, or one per line) in each line."""
    ranked = np.argsort(lines, -1, "stable")
    if np.ndim(k):
        return np.take_along_axis(ranked, k, -1)
    return ranked[..., k : k + 1]


def _selected_rank(lines: np.ndarray, k: int) -> np.ndarray:
    at = order(lines, lines.ndim - 1)
    at = _as_selected(lines, at, lines.ndim - 1, lambda p, rank: selection.quickselect(p, rank, k))
    return at[..., k : k + 1]


def _median_index(lines: np.ndarray) -> np.ndarray:
    """The lower median; the first nan if there is one."""
    at = _of_rank(lines, (lines.shape[-1] - 1) // 2, _rank)
    if lines.dtype.kind != "f":
        return at
    bad = np.isnan(lines)
    return np.where(bad.any(-1, keepdims=True), bad.argmax(-1)[..., None], at)


def _nanmedian_index(lines: np.ndarray) -> np.ndarray:
    if lines.dtype.kind != "f":
        return _median_index(lines)
    good = (~np.isnan(lines)).sum(-1, keepdims=True)
    return _rank(lines, np.maximum(good - 1, 0) // 2)


def _mode_index(lines: np.ndarray) -> np.ndarray:
    """The most frequent element, the smallest of several; the place it is last found at in PyTorch's sort."""
    ranked = unstable_order(lines, lines.ndim - 1)
    values = np.take_along_axis(lines, ranked, -1)
    place = np.arange(lines.shape[-1])
    begins = np.ones(lines.shape, bool)
    begins[..., 1:] = values[..., 1:] != values[..., :-1]
    ends = np.ones(lines.shape, bool)
    ends[..., :-1] = begins[..., 1:]
    start = np.maximum.accumulate(np.where(begins, place, 0), -1)
    best = np.where(ends, place - start + 1, 0).argmax(-1)[..., None]
    return np.take_along_axis(ranked, best, -1)


def _median_of(x: np.ndarray, find: Callable) -> np.ndarray:
    if not x.size:
        return convert(np.array(np.nan), BY_NUMPY[x.dtype])
    flat = x.reshape(-1)
    return np.array(flat[find(single(flat))[0]])


@primitive("Median", vjp=(shared_by_all,))
def median_all(x):
    if not x.size:
        return _median_of(x, _median_index)
    middle = (x.size - 1) // 2
    ordered = np.partition(single(x).reshape(-1), (middle, x.size - 1))
    last = ordered[-1]  # nan, if there is one
    return np.array(ordered[middle] if last == last else last, x.dtype)


@primitive("Nanmedian", vjp=(shared_by_all,))
def nanmedian_all(x):
    return _median_of(x, _nanmedian_index)


@primitive("MedianBackward1", several=True, differentiable=(0,), vjp=(selected,))
def median_dim(x, *, dim, keepdim):
    return _at_rank(x, dim, keepdim, _median_index)


@primitive("NanmedianBackward1", several=True, differentiable=(0,), vjp=(selected,))
def nanmedian_dim(x, *, dim, keepdim):
    return _at_rank(x, dim, keepdim, _nanmedian_index)


@primitive("Mode", several=True, differentiable=(0,), vjp=(selected,))
def mode_dim(x, *, dim, keepdim):
    return _at_rank(x, dim, keepdim, _mode_index)


@primitive("Kthvalue", several=True, differentiable=(0,), vjp=(selected,))
def kthvalue_dim(x, *, k, dim, keepdim):
    return _at_rank(x, dim, keepdim, lambda lines: _of_rank(lines, k - 1, _selected_rank))


def _line(input: Tensor, dim: Any, keepdim: Any, operation: str) -> dict:
    dim = one_dim(dim, input._a.ndim, operation)
    check_nonempty(input._a.shape, dim, (dim,) if input._a.ndim else (), operation)
    return {"dim": dim, "keepdim": check_keepdim(keepdim, operation)}


def _middle(line: Any) -> int:
    return _ranked(line)[(len(line) - 1) // 2]


@public(out=same_dtype)
def median(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False) -> Any:
    """The lower median of all elements; with `dim` the medians along it and their indices.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([4., 1., 3., 2.]).median()
        tensor(2.)
    """
    if dim is NOT_GIVEN:
        if input._a.size:
            refuse_kinds("median_cpu", input, BOOL, COMPLEX)
        return median_all(input)
    found = _short_places(input, dim, keepdim, _middle, median_dim, {"keepdim": False})
    if found is not None:
        return return_types.median(found)
    attrs = _line(input, dim, keepdim, "median")
    refuse_kinds("median_out", input, BOOL, COMPLEX)
    return return_types.median(median_dim(input, **attrs))


@public(out=same_dtype)
def nanmedian(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False) -> Any:
    """The lower median of the elements that are not nan; with `dim` along it, and the indices.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([4., float("nan"), 3., 2.]).nanmedian()
        tensor(3.)
    """
    if dim is NOT_GIVEN:
        if input._a.size:
            refuse_kinds("median_cpu", input, BOOL, COMPLEX)
        return nanmedian_all(input)
    attrs = _line(input, dim, keepdim, "nanmedian")
    refuse_kinds("median_out", input, BOOL, COMPLEX)
    return return_types.nanmedian(nanmedian_dim(input, **attrs))


@public(out=same_dtype)
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along `dim`, the smallest if there are several, and its index.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 2, 3]).mode().values
        tensor(2)
    """
    attrs = _line(input, dim, keepdim, "mode")
    if input._a.ndim and input._a.size:
        refuse_kinds("mode_cpu", input, COMPLEX)
    return return_types.mode(mode_dim(input, **attrs))


def _apart(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    results = same_dtype(plain, outs, args, kwargs)
    if any(isinstance(t, Tensor) and np.may_share_memory(t._a, out._a) for t in args for out in outs):
        raise errors.overlapping()
    return results


@public(out=_apart, takes={"k": "int", "dim": "int"})
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The k-th smallest element along `dim`, counted from 1, and its index.

    Raises:
        RuntimeError: k is less than 1 or more than there are.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 1., 2.]).kthvalue(2).values
        tensor(2.)
    """
    if isinstance(k, bool) or not hasattr(k, "__index__"):
        raise errors.WrongArgument("k", "int", k)
    if type(k) is int and k > 0:
        found = _short_places(
            input, dim, keepdim, lambda line: _ranked(line)[k - 1], kthvalue_dim, {"k": k, "keepdim": False}
        )
        if found is not None:
            return return_types.kthvalue(found)
    attrs = _line(input, dim, keepdim, "kthvalue")
    n = input._a.shape[attrs["dim"]] if input._a.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {attrs['dim']}")
    if input._a.ndim:
        refuse_kinds("kthvalue_cpu", input, BOOL, COMPLEX)
    return return_types.kthvalue(kthvalue_dim(input, k=k, **attrs))
