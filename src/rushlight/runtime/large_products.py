"""Products of large matrices by kernels, where these take less time than BLAS; see `rushlight.codegen.panels`.

Both factors are laid out, some megabytes of them at a time, then multiplied; both on all threads.
"""

from __future__ import annotations

import struct

import numpy as np

from rushlight.codegen.panels import DEPTH, HEIGHT, VECTORS
from rushlight.memory import address, array
from rushlight.native import threads
from rushlight.runtime.product_kernels import VECTOR, laying, run, tiles

_JOB, _LAYING = struct.Struct("=12q"), struct.Struct("=12q")
#: rows, columns and depth from which on laying out the factors is little beside multiplying them
_LEAST = 16
#: bytes that both factors' panels take at a time
_ROOM = 1 << 24
#: the panels that are laid out, and the rows and columns of the product that are made, as one task at most; tasks that each thread
#: should have, so that none waits for long. What a task reads fits in the second cache.
_BESIDE, _ROWS, _COLUMNS, _TASKS = 8, 192, 256, 4


def product(a: np.ndarray, b: np.ndarray, kind: str, out: np.ndarray | None = None) -> np.ndarray | None:
    """The product of two matrices of one type, in fresh memory or in the rows of `out`; None where BLAS is to compute it."""
    (m, k), n = a.shape, b.shape[1]
    item = a.itemsize
    if min(m, n, k) < _LEAST or item not in a.strides or item not in b.strides:
        return None
    multiply = tiles(kind)
    if multiply is None or laying(item) is None:
        return None
    width = VECTORS * VECTOR // item
    if out is None:
        out = array((m, n), a.dtype)
    rows, columns = m + -m % HEIGHT, n + -n % width
    part = min(k, max(DEPTH, _ROOM // ((rows + columns) * item) // DEPTH * DEPTH))
    room = array((rows + columns, part), a.dtype)
    first = address(room)
    second = first + rows * part * item
    wanted = _TASKS * threads.get_num_threads()
    high, wide, tasks = _tasks(m, n, width, wanted)
    for start in range(0, k, part):
        depth = min(part, k - start)
        lay(first, a.T[start:], m, depth, HEIGHT)
        lay(second, b[start:], n, depth, width)
        words = (first, second, address(out), m, n, depth, n * item, rows, columns, start, high, wide)
        run(multiply, _JOB.pack(*words), tasks, m * n * depth)
    return out


def lay(to: int, factors: np.ndarray, lines: int, depth: int, panel: int) -> None:
    """Lay out a factor, of which so many places of the first dimension, or several, which follow one another where they go, too."""
    kernel, item = laying(factors.itemsize), factors.itemsize
    assert kernel is not None  # else nobody would have come so far
    number = len(factors) if factors.ndim == 3 else 1
    from_depth, from_line = factors.strides[-2:]
    some = panel * max(1, min(_BESIDE, lines * number // (panel * _TASKS * threads.get_num_threads())))
    padded, parts = lines + -lines % panel, -(-lines // some)
    steps = (padded * depth * item, factors.strides[0] if factors.ndim == 3 else 0)
    job = _LAYING.pack(
        to, address(factors), lines, depth, from_line, from_depth, panel, some, padded, parts, *steps
    )
    run(kernel, job, parts * number, lines * depth * number * _LEAST)


def _tasks(m: int, n: int, width: int, wanted: int) -> tuple[int, int, int]:
    """How many rows and columns of the product a task has, and how many tasks there are. (No element depends on it.)"""
    high, wide = _ROWS, _COLUMNS
    while (tasks := -(-m // high) * -(-n // wide)) < wanted:
        if wide > 2 * width:
            wide //= 2
        elif high > HEIGHT:
            high = high // 2 // HEIGHT * HEIGHT
        else:
            break
    return high, wide, tasks


__all__ = ["lay", "product"]
