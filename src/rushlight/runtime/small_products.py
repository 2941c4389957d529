"""Products of matrices whose second factor fits in the cache, by a kernel, where it takes less time than BLAS; and of batches of them.

See `rushlight.codegen.products`. A task is some rows of one product, so that all threads share a batch, too. What is larger goes to
`large_products`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np

from rushlight.graph.expr import array_of
from rushlight.memory import address, array, maker
from rushlight.runtime.deferral import TIER, can_compile

_CHARS = {np.dtype(name): char for name, char in zip(("f4", "f8", "i4", "i8"), "fdiq")}
#: multiplications from which on a product is worth a kernel, one of several rows and columns of which there are few, and those that
#: are worth a task
WORTH, LEAST = (1, 1) if TIER == "jit" else (1 << 18, 1 << 16)
_TASK = 1 << 19
#: elements of the second factor that stay in the cache
_HELD = 1 << 16
#: rows or columns that are so few that the product takes little longer than to read the other factor; rows that a task has a multiple of
_FEW, _BLOCK = 7, 8
#: rows of products that are so flat that to lay out the second factor takes longer than to read it unevenly, which processors do
#: well up to so many bytes, and not where rows compete for the same places in the cache, being a multiple of so many apart; bytes of
#: its panels
_FLAT, _NEAR, _SAME, _PANEL = 24, 1 << 22, 4096, 128
#: rows and columns of products that are so small that the depth is cut, and what the pieces' depth is a multiple of; rows or columns
#: that are so few that to read the other factor several times takes less
_SIDE, _STEP, _LOW = 128, 128, 15
_JOB, _TURNING, _THREE, _TWO = map(struct.Struct, ("=20q", "=10q", "=3q", "=2q"))


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The product of two matrices that fit, of one type; None where BLAS is to compute it."""
    a, b = array_of(a), array_of(b)
    kind = _CHARS.get(a.dtype)
    plan = _PLANS.get((a.shape, a.strides, b.shape, b.strides, kind))
    if plan is not None:
        return plan(a, b)
    (m, k), n = a.shape, b.shape[1]
    few = min(m, n)
    if kind is None or m * k * n < (LEAST if 1 < few <= _FEW else WORTH) or not can_compile():
        return None
    if few <= _FEW:
        return _narrow().product(a, b, kind)
    if k * n > _HELD:
        if max(m, n) <= (_SIDE if few > _LOW else _LOW * (b.strides[1] == b.itemsize)):
            return _deep(a, b, kind)
        if not _flat(m, b):
            return (_narrow() if m <= _FLAT or n <= _LOW else _large()).product(a, b, kind)
    return _products(a, b, kind, (1, 1), (0, 0), (0, 0))


def times_vector(a: np.ndarray, x: np.ndarray, least: int = WORTH) -> np.ndarray | None:
    """The product of a matrix of so many elements and a vector, of one type; None where BLAS is to compute it."""
    kind = _CHARS.get(a.dtype)
    if kind is None or a.size < least or not can_compile():
        return None
    return _narrow().times_vector(array_of(a), array_of(x), kind)


def _deep(a: np.ndarray, b: np.ndarray, kind: str) -> np.ndarray | None:
    """The product of two matrices of few rows and columns, and of great depth: cut across that, and added up in its order."""
    (m, k), n = a.shape, b.shape[1]
    depth = _HELD // (2 * max(m, n) * _STEP) * _STEP
    parts, whole = k // depth, k - k % depth
    x = a[:, :whole].reshape(m, parts, depth).swapaxes(0, 1)
    y = b[:whole].reshape(parts, depth, n)
    made = _products(x, y, kind, (1, parts), (0, x.strides[0]), (0, y.strides[0]))
    if made is None:
        return None
    total = np.add.reduce(made, 0, a.dtype)
    if whole < k:
        rest = _products(a[:, whole:], b[whole:], kind, (1, 1), (0, 0), (0, 0))
        assert rest is not None  # else there were no parts
        np.add(total, rest, out=total)
    return total


def _flat(m: int, b: np.ndarray) -> bool:
    """Whether a product of so many rows reads its second factor where it is, a few columns at a time."""
    row, column = b.strides
    return column == b.itemsize and m <= _FLAT and row % _SAME != 0 and b.nbytes <= _NEAR


def batch(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The products of batches of matrices, as many and of one type; None where BLAS is to compute them."""
    a, b = array_of(a), array_of(b)
    kind = _CHARS.get(a.dtype)
    plan = _PLANS.get((a.shape, a.strides, b.shape, b.strides, kind))
    if plan is not None:
        return plan(a, b)
    (m, k), n, lead = a.shape[-2:], b.shape[-1], a.shape[:-2]
    if kind is None or b.shape[:-1] != (*lead, k) or len(lead) > 2:
        return None
    if m * k * n * prod(lead) < WORTH or not can_compile():
        return None
    if min(m, n) <= _FEW:
        return _narrow().product(a, b, kind)
    if k * n > _HELD:
        return _one_by_one(a, b, kind)
    one = (1,) * (2 - len(lead))
    return _products(a, b, kind, (*one, *lead), (*one, *a.strides[:-2]), (*one, *b.strides[:-2]))


def _one_by_one(a: np.ndarray, b: np.ndarray, kind: str) -> np.ndarray | None:
    """The products of batches of large matrices."""
    out = array((*a.shape[:-1], b.shape[-1]), a.dtype)
    for at in np.ndindex(a.shape[:-2]):
        if _large().product(a[at], b[at], kind, out[at]) is None:
            return None
    return out


def _products(
    a: np.ndarray,
    b: np.ndarray,
    kind: str,
    counts: tuple[int, ...],
    a_steps: tuple[int, ...],
    b_steps: tuple[int, ...],
) -> np.ndarray | None:
    """Products of so many batches of so many matrices, from each of which to the next it is so many bytes."""
    plan = _plan(a, b, kind, counts, a_steps, b_steps)
    if plan is None:
        return None
    if len(_PLANS) >= _MOST_PLANS:
        _PLANS.clear()
    _PLANS[a.shape, a.strides, b.shape, b.strides, kind] = plan
    return plan(a, b)


#: what multiplies factors of these shapes and strides that a kernel multiplied before, and how many of those are kept
_PLANS: dict[tuple, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {}
_MOST_PLANS = 1024


def _plan(
    a: np.ndarray,
    b: np.ndarray,
    kind: str,
    counts: tuple[int, ...],
    a_steps: tuple[int, ...],
    b_steps: tuple[int, ...],
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """What multiplies factors like these; None if there is no kernel for them."""
    kernels = _kernels()
    multiply, run = kernels.products(kind), kernels.run
    if multiply is None:
        return None
    (m, k), n, item = a.shape[-2:], b.shape[-1], a.itemsize
    inner = counts[1]
    number, work = counts[0] * inner, m * k * n
    b_row, b_column = b.strides[-2:]
    turn = None
    if b_column != item or b_row < n * item:
        turn = kernels.turning(item)
        if b_row != item or turn is None:
            return None
        room, size = maker((number, k, n), a.dtype), k * n * item
        words = _TURNING.pack(0, 0, k, n, n * item, b_column, inner, size, *b_steps)[_TWO.size :]
        b_row, b_steps = n * item, (inner * size, size)
    high, wide = _part(m, k, n, _PANEL // item)
    across = -(-n // wide)
    parts = -(-m // high) * across
    sizes = (m, k, n, *a.strides[-2:], b_row, n * item, high, wide, across, parts, inner)
    told = _JOB.pack(0, 0, 0, *sizes, *a_steps, *b_steps, m * n * item)[_THREE.size :]
    made, tasks, works = maker((*a.shape[:-1], n), a.dtype), parts * number, work * number

    def multiplied(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if turn is not None:
            source, b = b, room()
            run(turn, _TWO.pack(address(b), address(source)) + words, number, works)
        out = made()
        run(multiply, _THREE.pack(address(a), address(b), address(out)) + told, tasks, works)
        return out

    return multiplied


@cache
def _kernels() -> Any:
    """What is imported when the first product is worth a kernel."""
    return import_module("rushlight.runtime.product_kernels")


@cache
def _narrow() -> Any:
    return import_module("rushlight.runtime.narrow_products")


@cache
def _large() -> Any:
    return import_module("rushlight.runtime.large_products")


def _part(m: int, k: int, n: int, panel: int) -> tuple[int, int]:
    """How many rows and columns of a product are a task: some rows, or of a flat one some panels. (No element depends on it.)"""
    if m * k * n < 2 * _TASK:
        return m, n
    if m > _FLAT:
        return max(1, _TASK // (k * n * _BLOCK)) * _BLOCK, n
    return m, max(1, _TASK // (m * k * panel)) * panel


def successive(
    a: np.ndarray, a_places: np.ndarray, b: np.ndarray, out: np.ndarray, out_places: np.ndarray
) -> Callable[[int], None] | None:
    """What computes the n-th of products that follow from one another: of a matrix like `a` at the n-th of these addresses, and `b`,
    to memory like `out` at the n-th of those. None where BLAS is to do it.

    All of them have to stay where they are; `b` and the results lie in rows.
    """
    kind = _CHARS.get(a.dtype)
    (m, k), n = a.shape, b.shape[1]
    if kind is None or not m * k * n or k * n > _HELD or not can_compile():
        return None
    if not b.flags.c_contiguous or not out.flags.c_contiguous or a.dtype != b.dtype or a.dtype != out.dtype:
        return None
    multiply = _kernels().products(kind)
    if multiply is None:
        return None
    run, item = multiply.call, a.itemsize
    jobs = np.zeros((len(a_places), 20), np.int64)
    jobs[:, 3:15] = (m, k, n, *a.strides, n * item, n * item, m, n, 1, 1, 1)
    jobs[:, 0], jobs[:, 1], jobs[:, 2] = a_places, address(b), out_places
    first, size = address(jobs), jobs.strides[0]

    def at(number: int, jobs: np.ndarray = jobs) -> None:
        run(first + number * size, 0, 1)

    return at


__all__ = ["LEAST", "WORTH", "batch", "product", "successive", "times_vector"]
