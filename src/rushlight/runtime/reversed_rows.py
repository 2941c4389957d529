"""Rows turned round by kernels, where there are enough elements; see `rushlight.codegen.reversing`."""

from __future__ import annotations

import struct

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements from which on they are a kernel's
_FROM = 1 if TIER == "jit" else 1 << 13
#: elements that are one task, at least
_TASK = 1 << 15
_JOB = struct.Struct("=5q")


def reversed_rows(x: np.ndarray) -> np.ndarray | None:
    """A row-major array with its last dimension turned round, in fresh memory; None where NumPy is to do it."""
    if x.size < _FROM or not x.flags.c_contiguous or not x.ndim or x.itemsize not in (1, 2, 4, 8):
        return None
    kernel = loaded(_write, "reversing", x.itemsize)
    if kernel is None:
        return None
    columns = x.shape[-1]
    rows = x.size // columns
    out = array(x.shape, x.dtype)
    some = max(1, _TASK // columns)
    kernel.run(_JOB.pack(address(out), address(x), rows, columns, some), -(-rows // some), x.size)
    return out


def _write(size: int, vector_bytes: int) -> str:
    from rushlight.codegen.reversing import reversing

    return reversing(size, vector_bytes)


__all__ = ["reversed_rows"]
