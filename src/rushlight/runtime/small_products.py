"""Products of small matrices by a kernel, where it takes less time than BLAS; see `rushlight.codegen.products`.

Measured on one core of an AMD EPYC with AVX-512, against the OpenBLAS of NumPy's wheels, float32: 5 µs instead of 11 for
64 x 64 x 128, 18 instead of 39 for 128 x 128 x 128.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache

import numpy as np

from rushlight.graph.expr import array_of
from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER, can_compile

_CHARS = {np.dtype(np.float32): "f", np.dtype(np.float64): "d"}
#: multiplications from which on a product is worth a kernel, and up to which it is done without BLAS; elements of the second factor
#: that stay in the cache
WORTH, _TO, _HELD = 1 if TIER == "jit" else 1 << 18, 1 << 23, 1 << 16
#: rows and columns of a product, of which fewer leave too many lanes of a vector, or registers, idle
_ROWS, _COLUMNS = 4, 8
#: bytes of the vectors that the kernel is written for
_VECTOR = 64
_JOB, _TURNING = struct.Struct("=10q"), struct.Struct("=6q")


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The product of two matrices that fit, of one type; None where BLAS is to compute it."""
    (m, k), n = a.shape, b.shape[1]
    kind, item = _CHARS.get(a.dtype), a.itemsize
    if not WORTH <= m * k * n <= _TO or m < _ROWS or n < _COLUMNS or k * n > _HELD:
        return None
    if kind is None or not can_compile():
        return None
    a, b = array_of(a), array_of(b)
    b_row, b_column = b.strides
    turned = b_column != item
    if turned and b_row != item or not turned and b_row < n * item:
        return None
    run = kernel(kind)
    if run is None:
        return None
    out = array((m, n), a.dtype)
    second = address(b)
    if turned:
        turn = turning(item)
        if turn is None:
            return None
        room = np.empty(k * n, a.dtype)
        turn(_TURNING.pack(address(room), second, k, n, n * item, b_column), 0, 1)
        second, b_row = address(room), n * item
    run(_JOB.pack(address(a), second, address(out), m, k, n, *a.strides, b_row, n * item), 0, 1)
    return out


def successive(
    a: np.ndarray, a_places: np.ndarray, b: np.ndarray, out: np.ndarray, out_places: np.ndarray
) -> Callable[[int], None] | None:
    """What computes the n-th of products that follow from one another: of a matrix like `a` at the n-th of these addresses, and `b`,
    to memory like `out` at the n-th of those. None where BLAS is to do it.

    All of them have to stay where they are; `b` and the results lie in rows.
    """
    kind = _CHARS.get(a.dtype)
    (m, k), n = a.shape, b.shape[1]
    if kind is None or not 0 < m * k * n <= _TO or k * n > _HELD or not can_compile():
        return None
    if not b.flags.c_contiguous or not out.flags.c_contiguous or a.dtype != b.dtype or a.dtype != out.dtype:
        return None
    run = kernel(kind)
    if run is None:
        return None
    item = a.itemsize
    jobs = np.empty((len(a_places), 10), np.int64)
    jobs[:, 3:] = (m, k, n, *a.strides, n * item, n * item)
    jobs[:, 0], jobs[:, 1], jobs[:, 2] = a_places, address(b), out_places
    first, size = address(jobs), jobs.strides[0]

    def at(number: int, jobs: np.ndarray = jobs) -> None:
        run(first + number * size, 0, 1)

    return at


@cache
def kernel(kind: str) -> Callable[[int | bytes, int, int], None] | None:
    """The kernel, on processors for whose vectors it is written."""
    from rushlight.codegen.products import Products

    return _loaded(f"products {kind} {_VECTOR}", lambda: Products(kind, _VECTOR).text())


@cache
def turning(size: int) -> Callable[[int | bytes, int, int], None] | None:
    """The kernel that turns a factor of so large elements."""
    from rushlight.codegen import products

    return _loaded(f"products turning {size} {_VECTOR}", lambda: products.turning(size, _VECTOR))


def _loaded(text: str, ir: Callable[[], str]) -> Callable[[int | bytes, int, int], None] | None:
    from rushlight.native import cpu, jit, threads

    if cpu.vector_bytes() < _VECTOR:
        return None
    try:
        function = jit.load("products", text, ir)
    except RuntimeError:  # LLVM cannot compile it here
        return None
    return threads.kernel(function.address)


__all__ = ["WORTH", "product", "successive"]
