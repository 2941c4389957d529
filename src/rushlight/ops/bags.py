"""Rows of a table, summed or averaged in bags: `embedding_bag` where nothing is done to the rows first."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import int64
from rushlight.ops.layers import embedding_gradient
from rushlight.ops.spec import primitive
from rushlight.runtime import bagged


def _gradient(
    g: Any, rows: Any, table_meta: Any, bounds: np.ndarray, mean: bool, scale_grad_by_freq: bool
) -> Any:
    """What each row of a bag gets, added up where rows are the same."""
    lengths = np.diff(bounds)
    if mean:
        g = g / new_tensor(np.maximum(lengths, 1)[:, None].astype(g._a.dtype), g._dtype)
    each = g.index_select(0, new_tensor(np.repeat(np.arange(lengths.size), lengths), int64))
    return embedding_gradient(each, rows, table_meta, -1, scale_grad_by_freq, False)


@primitive("EmbeddingBag", vjp=(_gradient, None))
def bag_sums(table, rows, *, bounds, mean, scale_grad_by_freq):
    return bagged.summed(table, rows, bounds, mean)


def bounds_of(starts: np.ndarray, count: int) -> np.ndarray | None:
    """Where bags of `count` rows begin and end; None where they do not follow one another."""
    bounds = np.append(starts, count).astype(np.int64)
    return bounds if bounds[0] == 0 and (np.diff(bounds) >= 0).all() else None


def without(rows: np.ndarray, bounds: np.ndarray, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are no padding, and where bags of them begin and end."""
    kept = rows != padding
    return rows[kept], np.append(0, kept.cumsum())[bounds]


def summed_bags(
    rows: Tensor, table: Tensor, starts: Tensor, padding: int | None, mean: bool, scale_grad_by_freq: bool
) -> Tensor | None:
    """The sums, or means, of bags of rows; None where bags do not follow one another."""
    bounds = bounds_of(starts.numpy(), rows.numel()) if starts.numel() else None
    if bounds is None:
        return None
    numbers = rows.numpy().astype(np.int64, copy=False)
    if padding is not None:
        numbers, bounds = without(numbers, bounds, padding)
    chosen = new_tensor(numbers, int64)
    return bag_sums(table, chosen, bounds=bounds, mean=mean, scale_grad_by_freq=scale_grad_by_freq)


__all__ = ["bag_sums", "summed_bags"]
