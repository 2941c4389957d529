"""Triangles of matrices by kernels, where there are enough elements; see `rushlight.codegen.triangles`."""

from __future__ import annotations

import math
import struct

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements from which on they are a kernel's, and elements of a row
_FROM, _LONG = (1, 1) if TIER == "jit" else (1 << 14, 32)
#: elements that are one task, at least
_TASK = 1 << 15
_JOB = struct.Struct("=10q")


def triangle(x: np.ndarray, diagonal: int, lower: bool) -> np.ndarray | None:
    """The triangle of each matrix up to (or from) a diagonal, in rows; None where NumPy is to make it."""
    *lead, rows, columns = x.shape
    item = x.itemsize
    if x.size < _FROM or columns < _LONG or item not in (1, 2, 4, 8) or x.strides[-1] != item:
        return None
    if len(lead) > 1 and not x.flags.c_contiguous:
        return None
    kernel = loaded(_write, "triangles", item)
    if kernel is None:
        return None
    out = array(x.shape, x.dtype)
    some = max(1, _TASK // columns)
    count = math.prod(lead)
    from_matrix = x.strides[0] if len(lead) == 1 else x.strides[-2] * rows
    words = (
        address(out),
        address(x),
        count,
        rows,
        columns,
        some,
        diagonal + lower,
        int(lower),
        from_matrix,
        x.strides[-2],
    )
    kernel.run(_JOB.pack(*words), -(-count * rows // some), x.size)
    return out


def _write(size: int, vector_bytes: int) -> str:
    from rushlight.codegen.triangles import triangles

    return triangles(size, vector_bytes)


__all__ = ["triangle"]
