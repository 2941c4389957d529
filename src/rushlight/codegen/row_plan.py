"""How a kernel of rows is cut. See `rows` for what is done with the pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushlight.codegen.body import weight
from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import FIXED, Kernel
from rushlight.codegen.plan import (
    COPY,
    DIRECT,
    NARROW,
    OTHER,
    PACKED,
    SAME,
    SPLAT,
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
from rushlight.codegen.values import SIZES

#: elements that a few vectors of accumulators take up before they are combined with those of the row
STRETCH = 2048
#: elements of a row that the second cache holds beside others
LONG = 1 << 15
#: lines at most, and of all of them instructions, that are written out so that they are in registers at once; columns at least
MOST_LINES, WRITTEN, ENOUGH = 8, 320, 64
#: how operands of these may be reached
IN_REGISTERS = frozenset(DIRECT + NARROW + SAME + SPLAT)
#: columns of a block at most, and at least; elements of one operand in a block, as many as stay in the cache
COLUMNS, FEW, CELLS = 1024, 64, 1 << 18
#: columns of a block where columns are so long that a block has more than so many elements: a line of the cache
LEAST, MOST = 16, 1 << 21
#: lines that an accumulator of a column takes up before it is combined with that of the column
LINES = 128

#: rows of a group at most, and elements of these that stay in the first cache
GROUP, GROUPED = 4, 2048

#: elements from which on rows are long enough for all threads to go through them together, and rows that are few enough; elements of
#: their chunks, and of some of them that caches hold
LONGEST, FEW_ROWS, CHUNK, HELD = 1 << 17, 4, 1 << 15, 1 << 18

#: blocks of rows; planes and rows in a block; planes; bytes of scratch memory for each thread; rows of a group
ROWS_PLAN = ("ni", "bp", "bi", "planes", "each", "together")
#: of long rows: the first; the pass; its chunks, those of a pass over all of a row, and their elements; rows in a phase; numbers of
#: scratch memory for what chunks come to
LONG_PLAN = ("first", "pass", "chunks", "parts", "length", "together", "partials")
#: blocks of columns; planes and columns in a block; planes; columns of a tile; bytes for each thread
COLUMNS_PLAN = ("nj", "bp", "bj", "planes", "tj", "each")
#: the same, of columns of a few lines
FEW_PLAN = ("nj", "bp", "bj", "planes")


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
    if columns >= LONGEST and planes * rows <= FEW_ROWS:
        return _plan_long(kernel, modes, planes * rows, columns)
    at_once = max(1, TASK // max(1, columns))
    bi = min(rows, at_once)
    bp = max(1, at_once // rows)
    ni = ceildiv(rows, bi)
    tasks = ceildiv(planes, bp) * ni
    together = max(1, min(bi, GROUP, GROUPED // max(1, columns)))
    each = _each(sum(map(len, buffers(kernel, scheme))) * together, columns)
    return Plan(scheme, (Phase(tasks, (ni, bp, bi, planes, each, together)),), 0, each)


@dataclass(frozen=True, slots=True)
class LongScheme(Scheme):
    """What code for long rows depends on."""

    def text(self) -> str:
        return f"long {self.modes}"


def _plan_long(kernel: Kernel, modes: str, rows: int, columns: int) -> Plan:
    """Phases of one pass over some rows each, and of one more if rows have results."""
    scheme, s = LongScheme(False, modes), stages(kernel)
    together = max(1, HELD // columns)
    parts = ceildiv(columns, CHUNK)
    partials = ceildiv(len(s.reduces) * together * parts, 8) * 8
    phases = []
    for first in range(0, rows, together):
        some = min(together, rows - first)
        for number in range(s.passes + bool(s.finished)):
            chunks = parts if number < s.passes else 1
            phases.append(Phase(some * chunks, (first, number, chunks, parts, CHUNK, together, partials)))
    buffered = sum(map(len, buffers(kernel, scheme))) * together * columns
    return Plan(scheme, tuple(phases), 8 * (partials + buffered))


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


@dataclass(frozen=True, slots=True)
class FewLines(Scheme):
    """What code for columns of a few lines depends on, too.

    Attributes:
        lines: how many.
        turns: vectors of columns that are gone through at once.
    """

    lines: int = 0
    turns: int = 0

    def text(self) -> str:
        return f"{self.lines} lines {self.turns} turns {self.modes}"


def few_lines(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> FewLines | None:
    """How columns of a few lines are done in registers; None where there are too many, or they do not lie well."""
    lines, columns = sizes[-2:]
    turns = min(2, WRITTEN // max(1, lines * weight(kernel)))
    if lines > MOST_LINES or not turns or columns < ENOUGH:
        return None
    modes = ""
    for operand, step, mode in zip(
        operands(kernel), steps, element_modes(kernel, False, lines, columns, steps)
    ):
        size = SIZES[operand.kind]
        woven = operand.walk[-2] != FIXED and step[-2:] == (size, lines * size)
        modes += NARROW if woven else mode
    return FewLines(False, modes, "", lines, turns) if IN_REGISTERS.issuperset(modes) else None


def plan_few(scheme: FewLines, sizes: tuple[int, ...]) -> Plan:
    """Cut columns of a few lines into blocks."""
    columns, planes = sizes[-1], math.prod(sizes[:-2])
    at_once = TASK // scheme.lines
    bj = min(columns, at_once // ENOUGH * ENOUGH)
    bp = max(1, at_once // columns)
    nj = ceildiv(columns, bj)
    return Plan(scheme, (Phase(ceildiv(planes, bp) * nj, (nj, bp, bj, planes)),))


def plan_columns(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut the columns into blocks that stay in the cache, or in registers."""
    lines, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    few = few_lines(kernel, sizes, steps) if planes and lines else None
    if few is not None:
        return plan_few(few, sizes)
    scheme = Scheme(False, element_modes(kernel, False, lines, columns, steps).replace(OTHER, COPY))
    if not (planes and columns):
        return Plan(scheme, ())
    least = FEW if lines * FEW <= MOST else LEAST
    tj = min(columns, max(least, min(COLUMNS, power_below(max(1, CELLS // max(1, lines))))))
    bj = min(columns, tj * max(1, TASK // max(1, lines * tj)))
    bp = max(1, TASK // max(1, lines * columns))
    nj = ceildiv(columns, bj)
    each = _each(sum(map(len, blocks(kernel, scheme))), lines * tj)
    tasks = ceildiv(planes, bp) * nj
    return Plan(scheme, (Phase(tasks, (nj, bp, bj, planes, tj, each)),), 0, each)
