"""What belongs to the same place of a result, brought together there."""

from __future__ import annotations

from typing import Any

import numpy as np

_F64 = np.dtype(np.float64)


def added_rows(g: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The sums of those `g[k]` with `rows[k]` in common, as the rows of a result of `count` rows, in g's type."""
    out = np.zeros((count, *g.shape[1:]), g.dtype)
    if rows.size:
        found, order, starts = _runs(rows)
        out[found] = np.add.reduceat(g[order], starts, 0, _F64)
    return out


def _runs(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows that occur; an order that brings together where each does, as they come; and where its run starts."""
    order = rows.argsort(kind="stable")
    sorted_ = rows[order]
    first = np.empty(rows.size, bool)
    first[0] = True
    np.not_equal(sorted_[1:], sorted_[:-1], first[1:])
    starts = first.nonzero()[0]
    return sorted_[starts], order, starts


#: elements up to which `ufunc.at` is done before another way has begun
_FEW = 256
#: elements that `ufunc.at` combines in the time that a round takes to begin
_ROUND = 256
#: how many to one place float32 adds as well as float64 would
EXACT = 2


def combine_at(ufunc: np.ufunc, a: np.ndarray, key: Any, values: np.ndarray) -> None:
    """`ufunc.at(a, key, values)`: a[key] = ufunc(a[key], values) for one place after another, so that repeated ones add up.

    `ufunc.at` does so for one element at a time, which takes it ten times as long as

    1. to combine whole rows in rounds, in each of which no row comes twice, to the same bits;
    2. if some come too often for that, or for float32 to be as good, to combine their runs first, floats in double precision;
    3. to know single elements by one number, which NumPy has a loop for.
    """
    if values.size <= _FEW or type(key) is not tuple or not all(map(_known, key)):
        ufunc.at(a, key, values)
        return
    p = key[-1]
    dim = len(key) - 1
    if type(p) is np.ndarray and p.ndim == 1 < a.ndim and not _arrays(key[:-1]):
        shape = (*a.shape[:dim], p.size, *a.shape[dim + 1 :])
        values = np.broadcast_to(values, shape)
        _combine_rows(ufunc, np.moveaxis(a, dim, 0), p % a.shape[dim], np.moveaxis(values, dim, 0))
        return
    if a.flags.c_contiguous and len(key) == a.ndim > 1 and len(_arrays(key)) == a.ndim:
        steps = [step // a.itemsize for step in a.strides]
        places: Any = sum([(k % n) * step for k, n, step in zip(key, a.shape, steps)])
        values = np.broadcast_to(values, places.shape)
        ufunc.at(a.reshape(-1), places.reshape(-1), values.reshape(-1))
        return
    ufunc.at(a, key, values)


def _known(part: Any) -> bool:
    """Whether part of an index is an array of positions, or all of a dimension."""
    if type(part) is np.ndarray:
        return part.dtype.kind == "i"
    return isinstance(part, slice) and part == slice(None)


def _arrays(key: tuple) -> list[np.ndarray]:
    return [part for part in key if type(part) is np.ndarray]


def _combine_rows(ufunc: np.ufunc, a: np.ndarray, p: np.ndarray, values: np.ndarray) -> None:
    """Combine the rows `p` of `a` with those of `values`."""
    found, order, starts = _runs(p)
    lengths = np.diff(starts, append=p.size)
    most = int(lengths.max())
    if most * _ROUND > values.size or most > EXACT and ufunc is np.add and a.dtype.char == "f":
        wide = _F64 if a.dtype.kind in "fV" else np.dtype(np.complex128) if a.dtype.kind == "c" else a.dtype
        a[found] = ufunc(a[found], ufunc.reduceat(values[order], starts, 0, wide)).astype(a.dtype, copy=False)
        return
    round_of = np.arange(p.size) - np.repeat(starts, lengths)
    by_round = order[round_of.argsort(kind="stable")]
    ends = np.bincount(round_of).cumsum()
    for start, end in zip([0, *ends[:-1]], ends):
        chosen = by_round[start:end]
        at = p[chosen]
        a[at] = ufunc(a[at], values[chosen])
