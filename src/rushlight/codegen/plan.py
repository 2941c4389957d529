"""How a run is cut: the scheme (which code is needed) and the numbers that the code is told.

Both depend on sizes and steps alone, never on threads, addresses or time: the same job is always cut the same way.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from rushlight.codegen.copying import FEW
from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import FIXED, UNIT, Kernel, Operand
from rushlight.codegen.values import SIZES

#: elements of a tile at most: what is packed for one operand, on the stack
TILE = 4096
#: elements of a task, about: some microseconds of work, and small beside any large array
TASK = 1 << 16
#: elements of a stretch, of long rows that have an operand in common: it stays in the cache from one row to the next
STRETCH = 1 << 13
#: rows shorter than this are worth being joined to one run
SHORT = 64
#: rows or columns, at least, of a tile whose operands lie across each other: so many of a cache line's elements are used at once
SIDE = 64
#: bytes of such a tile's rows, where it has as many: of 4-byte elements half as many rows of twice the length take a sixth less time than
#: a square
ROW_BYTES = 512
#: columns of a tile whose operands are copied as they come
LINE = 1024

#: vectors of accumulators, where the last dimension is reduced: enough to hide an addition's latency, and as many whatever
#: is computed on the way, so that a sum has the same bits fused or not
ACCUMULATORS = 4

#: bytes before the pieces of scratch memory that threads have of their own, and pieces at most
SLOTS = 64

#: how an operand of a tile is reached: elements side by side; every other element; the same for a run, or for the tile; copied into a
#: tile of its own, element by element, by transposing, or, if there are few rows or columns, by sorting; one row that is copied for all of them; not at all
DIRECT, OTHER, SPLAT, SAME, COPY, TURN, NARROW, ONCE, NONE = "d", "e", "s", "u", "p", "t", "n", "o", "-"
#: those that are loaded from where they lie
LOADED = frozenset(DIRECT + OTHER)
PACKED = frozenset(COPY + TURN + NARROW + ONCE)
#: those that lie across each other
TURNED = frozenset(TURN + NARROW)

#: bytes between an operand's elements, for each operand (inputs, then outputs) along each dimension
Steps = tuple[tuple[int, ...], ...]


class Described(Protocol):
    """What code depends on beside the kernel: comparable, and equal if it prints alike."""

    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the code of a kernel depends on beside the kernel.

    Attributes:
        flat: whether the rows of a tile are joined to one run.
        modes: how each operand is reached.
        kept: the same, for what is done after a reduction.
    """

    flat: bool
    modes: str
    kept: str = ""

    def text(self) -> str:
        return f"{'flat' if self.flat else 'rows'} {self.modes} {self.kept}"


@dataclass(frozen=True, slots=True)
class Phase:
    """Tasks that may be done in any order, after those of the phase before.

    Attributes:
        tasks: how many.
        numbers: what the code is told, in the order of its plan slots.
    """

    tasks: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A job, cut.

    Attributes:
        scheme: which code does it.
        phases: in order.
        scratch: bytes of memory that it needs meanwhile.
        each: bytes that each thread needs.
    """

    scheme: Described
    phases: tuple[Phase, ...]
    scratch: int = 0
    each: int = 0


def ceildiv(a: int, b: int) -> int:
    return -(-a // b)


def power_below(n: int) -> int:
    """The largest power of two up to n."""
    return 1 << n.bit_length() - 1


def power_above(n: int) -> int:
    """The smallest power of two from n on."""
    return 1 << (n - 1).bit_length()


#: plan slots of a map: extents of a task's block in planes, rows, columns; how many blocks of rows and
#: of columns; extents of a tile
MAP_PLAN = ("bp", "bi", "bj", "ni", "nj", "planes", "ti", "tj")


def plan_map(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut a domain (two dimensions at least) into blocks of about TASK elements."""
    rows, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    if not (rows and columns and planes):
        return Plan(Scheme(False, ""), ())
    flat = columns < SHORT and rows > 1
    modes = element_modes(kernel, flat, rows, columns, steps)
    packed = not PACKED.isdisjoint(modes)
    if flat:
        tj, ti = columns, min(rows, TILE // columns)
    elif not TURNED.isdisjoint(modes):
        least = min(256, max(SIDE, ROW_BYTES // max(SIZES[o.kind] for o in kernel.inputs)))
        tj = min(columns, max(least, TILE // rows // SIDE * SIDE))
        ti = min(rows, TILE // tj)
    elif packed:
        tj = min(columns, LINE)
        ti = min(rows, TILE // tj)
    else:
        ti, tj = rows, columns
    bj = columns if columns <= TASK else TASK
    if bj < columns and any(rows > 1 and step[-2] == 0 for step in steps[: len(kernel.inputs)]):
        bj = max(STRETCH, TASK // rows)
    if packed and not flat:
        bj = min(columns, max(tj, 1024 // tj * tj))
    bi = min(rows, ceildiv(max(1, TASK // bj), ti) * ti) if packed or flat else min(rows, max(1, TASK // bj))
    bp = max(1, TASK // (rows * columns))
    ni, nj = ceildiv(rows, bi), ceildiv(columns, bj)
    tasks = ceildiv(planes, bp) * ni * nj
    return Plan(Scheme(flat, modes), (Phase(tasks, (bp, bi, bj, ni, nj, planes, ti, tj)),))


def element_modes(
    kernel: Kernel, flat: bool, rows: int, columns: int, steps: Steps, skip: Collection[int] = ()
) -> str:
    """How each operand is reached; those in `skip` are not."""
    count = len(kernel.inputs)
    return "".join(
        NONE if n in skip else _mode(operand, n >= count, flat, rows, columns, steps[n][-2:])
        for n, operand in enumerate(operands(kernel))
    )


def _mode(operand: Operand, output: bool, flat: bool, rows: int, columns: int, step: tuple[int, ...]) -> str:
    size, walk, (down, along) = SIZES[operand.kind], operand.walk[-2:], step
    if walk == FIXED * 2 and not output:
        return SAME
    unit = walk[-1] == UNIT or (walk[-1] != FIXED and along == size)
    stays = down == 0 and not output
    if flat:
        if unit and down == columns * size:
            return DIRECT
        return ONCE if stays else COPY
    if walk[-1] == FIXED and not output:
        return SPLAT
    if unit or columns == 1:
        return DIRECT
    if stays:
        return ONCE
    if along == 2 * size and size >= 4 and not output:
        return OTHER
    if down != size or rows == 1:
        return COPY
    return NARROW if columns in FEW or (rows in FEW and along == rows * size) else TURN
