"""Sums of the rows of a matrix that belong to the same row of the result."""

from __future__ import annotations

import numpy as np

_F64 = np.dtype(np.float64)


def added_rows(g: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """The sums of those `g[k]` with `rows[k]` in common, as the rows of a result of `count` rows, in g's type.

    1. Bring equal row numbers together, in the order in which they come.
    2. Add up each run in float64.

    `np.add.at` adds to the result one element at a time, which takes it ten times as long.
    """
    out = np.zeros((count, *g.shape[1:]), g.dtype)
    if rows.size:
        order = rows.argsort(kind="stable")
        sorted_ = rows[order]
        first = np.empty(rows.size, bool)
        first[0] = True
        np.not_equal(sorted_[1:], sorted_[:-1], first[1:])
        starts = first.nonzero()[0]
        out[sorted_[starts]] = np.add.reduceat(g[order], starts, 0, _F64)
    return out
