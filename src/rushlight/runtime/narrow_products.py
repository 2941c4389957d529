"""Products of a matrix and a few vectors, by kernels that read the matrix at the speed of memory; and of batches of them.

See `rushlight.codegen.narrow`. How a product is cut into parts, whose sums are added up, follows from its sizes alone.
"""

from __future__ import annotations

import struct
from math import prod
from typing import NamedTuple

import numpy as np

from rushlight.layout import contiguous_strides
from rushlight.memory import address, array
from rushlight.runtime.own_kernels import Kernel
from rushlight.runtime.product_kernels import adding_up, narrow

#: multiplications from which on a job is worth several threads
_SHARED = 1 << 17
#: bytes of a matrix that are worth a task; of one factor's line, and of several, that stay in a cache; of results that stay in the first
_TASK, _ONE, _SEVERAL, _HELD = 1 << 17, 1 << 17, 1 << 15, 3 << 13
#: rows that are combined at once; rows that are worth a part; the most parts, and the most rows of one where there are tasks enough
_BLOCK, _PART, _PARTS, _LONG = 4, 128, 64, 1024
#: bytes of a line of the cache, at which the results of a part begin
_LINE = 64
#: columns of which a part has a multiple; results of parts that are added up as one task
_STEP, _ADDED = 64, 1 << 12
#: lines that are multiplied at once
_MOST = 7
#: addresses, and what is told besides
_PLACES, _SIZES = struct.Struct("=3q"), struct.Struct("=18q")
_TWO_PLACES, _ADDING = struct.Struct("=2q"), struct.Struct("=7q")


class _Plan(NamedTuple):
    """What follows from types, sizes and strides of a matrix (rows, depth), of lines (lines, depth) and of their product (lines, rows).

    Attributes:
        kernel: what multiplies; `sizes`: what it is told besides where all that lies; `tasks`, `work`: those of its job.
        copies: whether the lines are to be laid in rows first.
        moved: whether the product is to be made elsewhere, line by line, and then put where it belongs.
        add: what adds up the results of parts, if there are several, and the shape of these; what it is told; its tasks and work.
    """

    kernel: Kernel
    sizes: bytes
    tasks: int
    work: int
    copies: bool
    moved: bool
    add: tuple[Kernel, tuple[int, ...], bytes, int, int] | None

    def run(self, matrix: np.ndarray, lines: np.ndarray, out: np.ndarray) -> None:
        if self.copies:
            lines = np.ascontiguousarray(lines)
        made = array(out.shape, out.dtype) if self.moved else out
        if self.add is None:
            self.multiply(matrix, lines, address(made))
        else:
            add, shape, sizes, tasks, work = self.add
            parts = array(shape, out.dtype)
            first = -(-address(parts) // _LINE) * _LINE
            self.multiply(matrix, lines, first)
            add.run(_TWO_PLACES.pack(address(made), first) + sizes, tasks, work, _SHARED)
        if self.moved:
            out[...] = made

    def multiply(self, matrix: np.ndarray, lines: np.ndarray, to: int) -> None:
        job = _PLACES.pack(address(matrix), address(lines), to) + self.sizes
        self.kernel.run(job, self.tasks, self.work, _SHARED)


#: plans, or None where BLAS is to multiply, by all that they follow from; forgotten all at once when there are many
_PLANS: dict[tuple, _Plan | None] = {}
_MOST_PLANS = 1024


def times_vector(a: np.ndarray, x: np.ndarray, kind: str) -> np.ndarray | None:
    """The product of a matrix and a vector of one type; None where BLAS is to compute it."""
    key: tuple = (kind, a.shape, a.strides, x.strides)
    try:
        plan = _PLANS[key]
    except KeyError:
        plan = _remembered(
            key, kind, _Layout(a.shape, a.strides), _Layout((1, *x.shape), (0, *x.strides)), None, a.itemsize
        )
    if plan is None:
        return None
    out = array(a.shape[:1], a.dtype)
    plan.run(a, x, out)
    return out


def product(a: np.ndarray, b: np.ndarray, kind: str) -> np.ndarray | None:
    """The product of two matrices of one type, or of as many in batches of one or two dimensions; None where BLAS is to compute it.

    Of more lines than registers hold, some are multiplied at a time.
    """
    out = array((*a.shape[:-1], b.shape[-1]), a.dtype)
    if a.shape[-2] < b.shape[-1]:  # the second factor is the matrix, the rows of the first are the lines
        matrix, lines, to = b.swapaxes(-1, -2), a, out
    else:
        matrix, lines, to = a, b.swapaxes(-1, -2), out.swapaxes(-1, -2)
    number = lines.shape[-2]
    some = -(-number // -(-number // _MOST))
    for start in range(0, number, some):
        here = slice(start, start + some)
        if not _multiplied(matrix, lines[..., here, :], to[..., here, :], kind):
            return None
    return out


def _multiplied(matrix: np.ndarray, lines: np.ndarray, out: np.ndarray, kind: str) -> bool:
    """Whether the product of a matrix (rows, depth) and of lines (lines, depth) is now in `out` (lines, rows)."""
    key = (kind, matrix.shape, matrix.strides, lines.shape, lines.strides, out.strides)
    try:
        plan = _PLANS[key]
    except KeyError:
        layouts = _Layout(matrix.shape, matrix.strides), _Layout(lines.shape, lines.strides)
        plan = _remembered(key, kind, *layouts, out.strides, matrix.itemsize)
    if plan is None:
        return False
    plan.run(matrix, lines, out)
    return True


class _Layout(NamedTuple):
    """How matrices, or batches of them, lie in memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def batch(self) -> tuple[int, int]:
        """Bytes from one outer batch to the next, and from one matrix."""
        outer, inner = (0, 0, *self.strides[:-2])[-2:]
        return outer, inner


def _remembered(
    key: tuple, kind: str, matrix: _Layout, lines: _Layout, to: tuple[int, ...] | None, item: int
) -> _Plan | None:
    if len(_PLANS) >= _MOST_PLANS:
        _PLANS.clear()
    plan = _PLANS[key] = _planned(kind, matrix, lines, to or (0, item), item)
    return plan


def _planned(kind: str, matrix: _Layout, lines: _Layout, to: tuple[int, ...], item: int) -> _Plan | None:
    """How to multiply a matrix and lines that lie like these; the strides of the product are `to`."""
    (length, depth), (row, step), number = matrix.shape[-2:], matrix.strides[-2:], lines.shape[-2]
    along = row != item if depth == 1 else step == item
    kernel, add = narrow(kind, along, number) if along or row == item else None, adding_up(kind)
    if kernel is None or add is None:
        return None
    copies = along and lines.strides[-1] != item
    if copies:
        lines = _Layout(lines.shape, tuple([item * n for n in contiguous_strides(lines.shape)]))
    rows, columns, a_row = (length, depth, row) if along else (depth, length, step)
    high, wide, parts = (_along if along else _down)(rows, columns, number, item)
    size = number * length
    # (sums down columns are written by vectors; those of parts, and of batches, are to lie without gaps)
    whole = len(to) == 2 or to[-3] == size * item
    in_lines = whole and to[-1] == item and (number == 1 or to[-2] == length * item)
    in_rows = whole and to[-2] == item and to[-1] == number * item
    moved = not (in_lines or along and (in_rows or parts == 1 and len(to) == 2))
    c_line, c_element = (length * item, item) if moved else to[-2:]
    across, count = -(-columns // wide), prod(matrix.shape[:-2])
    padded = size if parts == 1 else size + -size % _STEP
    part, tasks = padded * item, -(-rows // high) * across
    sizes = _SIZES.pack(
        *(rows, columns, a_row, *lines.strides[-2:], c_element, c_line, high, wide, across, tasks, part),
        *(matrix.shape[-3] if len(to) > 2 else 1, *matrix.batch(), *lines.batch(), parts * part),
    )
    adding = None
    if parts > 1:
        some = -(-size // _ADDED)
        told = _ADDING.pack(size, parts, part, _ADDED, some, size * item, parts * part)
        adding = (add, (count * parts * padded + _LINE // item,), told, some * count, padded * parts * count)
    return _Plan(kernel, sizes, tasks * count, rows * columns * count, copies, moved, adding)


def _along(rows: int, columns: int, lines: int, item: int) -> tuple[int, int, int]:
    """Rows and columns of a task, and into how many parts sums are cut: sums along rows."""
    parts = -(-columns * item * lines // (_ONE if lines == 1 else _SEVERAL))
    wide = -(-columns // (parts * _STEP)) * _STEP
    return max(1, _TASK // (wide * item * _BLOCK)) * _BLOCK, wide, -(-columns // wide)


def _down(rows: int, columns: int, lines: int, item: int) -> tuple[int, int, int]:
    """The same of sums down columns."""
    across = -(-columns * item * lines // _HELD)
    wide = -(-columns // (across * _STEP)) * _STEP
    few = across < _PARTS // 4 and rows * columns >= _SHARED
    parts = min(_PARTS, max(1, rows // (_PART if few else _LONG)))
    high = -(-rows // (parts * _BLOCK)) * _BLOCK
    return high, wide, -(-rows // high)


__all__ = ["product", "times_vector"]
