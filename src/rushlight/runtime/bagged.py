"""Rows of a table summed bag by bag, by a kernel where there are enough; see `rushlight.codegen.bags`."""

from __future__ import annotations

import struct

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements of all rows together from which on they are a kernel's, and that are one task at least
_FROM, _TASK = 1 if TIER == "jit" else 1 << 12, 1 << 15
_JOB = struct.Struct("=9q")


def summed(table: np.ndarray, rows: np.ndarray, bounds: np.ndarray, mean: bool) -> np.ndarray:
    """The sums, or means, of the rows of a matrix numbered `rows[bounds[k] : bounds[k + 1]]`, for each k; 0 of none.

    Args:
        rows, bounds: int64, which the caller knows to be inside.
    """
    found = _by_kernel(table, rows, bounds, mean)
    if found is not None:
        return found
    lengths = np.diff(bounds)
    out = np.zeros((lengths.size, table.shape[1]))
    some = lengths > 0
    if rows.size and some.any():
        out[some] = np.add.reduceat(table[rows], bounds[:-1][some], 0, np.float64)
    return (out / np.maximum(lengths, 1)[:, None] if mean else out).astype(table.dtype)


def _by_kernel(table: np.ndarray, rows: np.ndarray, bounds: np.ndarray, mean: bool) -> np.ndarray | None:
    width, kind = table.shape[1], table.dtype.char
    if kind not in "fd" or rows.size * width < _FROM:
        return None
    kernel = loaded(_write, "bags", kind, mean)
    if kernel is None:
        return None
    if width > 1 and table.strides[1] != table.itemsize:
        table = np.ascontiguousarray(table)
    rows, bounds = np.ascontiguousarray(rows), np.ascontiguousarray(bounds)
    count = bounds.size - 1
    out = array((count, width), table.dtype)
    some = max(1, _TASK * count // (rows.size * width))
    where = address(table), address(out), address(rows), address(bounds)
    job = _JOB.pack(*where, len(table), table.strides[0], count, some, width)
    kernel.run(job, -(-count // some), rows.size * width)
    return out


def _write(kind: str, mean: bool, vector_bytes: int) -> str:
    from rushlight.codegen.bags import bags

    return bags(kind, mean, vector_bytes)


__all__ = ["summed"]
