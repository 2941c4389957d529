"""The largest or smallest element so far by kernels, where there are enough; see `rushlight.codegen.running_extremes`."""

from __future__ import annotations

import math
import struct

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements from which on they are a kernel's, and that are one task at least
_FROM, _TASK = 1 if TIER == "jit" else 1 << 11, 1 << 15
#: lines side by side that one task follows, at most
_WIDE = 256
_JOB = struct.Struct("=8q")


def running(a: np.ndarray, dim: int, largest: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """The extreme so far along a dimension and where it is: of equals the last, and the last nan once there is one; None where NumPy is to
    find them."""
    kind = "q" if a.dtype == np.int64 else a.dtype.char
    if kind not in "fdiq" or a.size < _FROM or a.shape[dim] >= 1 << 31:
        return None
    outer, along, inner = math.prod(a.shape[:dim]), a.shape[dim], math.prod(a.shape[dim + 1 :])
    kernel = loaded(_write, "running extremes", kind, largest, inner > 1)
    if kernel is None:
        return None
    a = np.ascontiguousarray(a)
    values, places = array(a.shape, a.dtype), array(a.shape, np.dtype(np.int64))
    some = min(inner, _WIDE) if inner > 1 else max(8, _TASK // along // 8 * 8)
    parts = -(-inner // some) if inner > 1 else 1
    tasks = outer * parts if inner > 1 else -(-outer // some)
    job = _JOB.pack(address(a), address(values), address(places), outer, along, inner, some, parts)
    kernel.run(job, tasks, a.size)
    return values, places


def _write(kind: str, largest: bool, across: bool, vector_bytes: int) -> str:
    from rushlight.codegen.running_extremes import running_extremes

    return running_extremes(kind, largest, across, vector_bytes)


__all__ = ["running"]
