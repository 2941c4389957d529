"""How a kernel of rows is cut. See `rows` for what is done with the pieces."""

from __future__ import annotations

import math

from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import FIXED, Kernel
from rushlight.codegen.plan import (
    COPY,
    DIRECT,
    OTHER,
    PACKED,
    TASK,
    Phase,
    Plan,
    Scheme,
    Steps,
    ceildiv,
    element_modes,
    power_below,
)
from rushlight.codegen.stages import stages

#: elements that a few vectors of accumulators take up before they are combined with those of the row
STRETCH = 2048
#: elements of a row that the second cache holds beside others
LONG = 1 << 15
#: columns of a block at most, and at least; elements of one operand in a block, as many as stay in the cache
COLUMNS, FEW, CELLS = 1024, 64, 1 << 18
#: columns of a block where columns are so long that a block has more than so many elements: a line of the cache
LEAST, MOST = 16, 1 << 21
#: lines that an accumulator of a column takes up before it is combined with that of the column
LINES = 128

#: rows of a group at most, and elements of these that stay in the first cache
GROUP, GROUPED = 4, 2048

#: blocks of rows; planes and rows in a block; planes; bytes of scratch memory for each thread; rows of a group
ROWS_PLAN = ("ni", "bp", "bi", "planes", "each", "together")
#: blocks of columns; planes and columns in a block; planes; columns of a tile; bytes for each thread
COLUMNS_PLAN = ("nj", "bp", "bj", "planes", "tj", "each")


def buffers(kernel: Kernel, scheme: Scheme) -> tuple[list[int], list[int]]:
    """What a task has rows of scratch memory for: operands, and instructions."""
    packed = [n for n in range(len(operands(kernel))) if scheme.modes[n] in PACKED]
    return packed, list(stages(kernel).cached)


def plan_rows(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut the rows into blocks of about TASK elements."""
    rows, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    inputs = len(kernel.inputs)
    modes = element_modes(
        kernel, False, 1, columns, steps, skip=[inputs + n for n in stages(kernel).finished]
    )
    scheme = Scheme(False, modes)
    if not (planes and rows):
        return Plan(scheme, ())
    at_once = max(1, TASK // max(1, columns))
    bi = min(rows, at_once)
    bp = max(1, at_once // rows)
    ni = ceildiv(rows, bi)
    tasks = ceildiv(planes, bp) * ni
    together = max(1, min(bi, GROUP, GROUPED // max(1, columns)))
    each = _each(sum(map(len, buffers(kernel, scheme))) * together, columns)
    return Plan(scheme, (Phase(tasks, (ni, bp, bi, planes, each, together)),), 0, each)


def _each(buffers: int, elements: int) -> int:
    """Bytes for buffers of 8-byte elements: whole lines of the cache, and some even if there are no elements."""
    return 64 * (1 + ceildiv(buffers * elements, 8)) if buffers else 0


# ---- rows beside each other ----


def blocks(kernel: Kernel, scheme: Scheme) -> tuple[list[int], list[int]]:
    """What a task has blocks of scratch memory for: operands, and instructions."""
    inputs = len(kernel.inputs)
    packed = [
        n
        for n, operand in enumerate(operands(kernel))
        if operand.walk[-2] != FIXED and scheme.modes[n] in (PACKED | {DIRECT} if n < inputs else PACKED)
    ]
    return packed, list(stages(kernel).cached)


def plan_columns(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut the columns into blocks that stay in the cache."""
    lines, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    scheme = Scheme(False, element_modes(kernel, False, lines, columns, steps).replace(OTHER, COPY))
    if not (planes and columns):
        return Plan(scheme, ())
    few = FEW if lines * FEW <= MOST else LEAST
    tj = min(columns, max(few, min(COLUMNS, power_below(max(1, CELLS // max(1, lines))))))
    bj = min(columns, tj * max(1, TASK // max(1, lines * tj)))
    bp = max(1, TASK // max(1, lines * columns))
    nj = ceildiv(columns, bj)
    each = _each(sum(map(len, blocks(kernel, scheme))), lines * tj)
    tasks = ceildiv(planes, bp) * nj
    return Plan(scheme, (Phase(tasks, (nj, bp, bj, planes, tj, each)),), 0, each)
