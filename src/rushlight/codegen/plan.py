"""How a run is cut: the scheme (which code is needed) and the numbers that the code is told.

Both depend on sizes and steps alone, never on threads, addresses or time: the same job is always cut the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushlight.codegen.builder import SIZES
from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import FIXED, UNIT, Kernel

#: elements of a tile at most: what is packed for one operand, on the stack
TILE = 4096
#: elements of a task, about: some microseconds of work, and small beside any large array
TASK = 1 << 16
#: rows shorter than this are worth being joined to one run
SHORT = 64
#: the sides of a tile whose operands lie across each other: a square touches the fewest cache lines
SIDE = 64

#: how an operand of a tile is reached: elements side by side; the same for a run, or for the tile; copied into a
#: tile of its own, element by element or by transposing; copied once for all tiles of a plane
DIRECT, SPLAT, SAME, COPY, TURN, ONCE = "d", "s", "u", "p", "t", "o"
PACKED = frozenset(COPY + TURN + ONCE)


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the code of a kernel depends on beside the kernel.

    Attributes:
        flat: whether the rows of a tile are joined to one run.
        modes: how each operand is reached.
    """

    flat: bool
    modes: str

    def text(self) -> str:
        return f"{'flat' if self.flat else 'rows'} {self.modes}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A job, cut.

    Attributes:
        scheme: which code does it.
        tasks: how many pieces.
        numbers: what the code is told, in the order of its plan slots.
    """

    scheme: Scheme
    tasks: int
    numbers: tuple[int, ...]


def ceildiv(a: int, b: int) -> int:
    return -(-a // b)


#: plan slots of a map: extents of a task's block in planes, rows, columns; how many blocks of rows and
#: of columns; extents of a tile
MAP_PLAN = ("bp", "bi", "bj", "ni", "nj", "planes", "ti", "tj")


def plan_map(kernel: Kernel, sizes: tuple[int, ...], steps: tuple[tuple[int, ...], ...]) -> Plan:
    """Cut a domain (two dimensions at least) into blocks of about TASK elements."""
    rows, columns = sizes[-2:]
    planes = math.prod(sizes[:-2])
    if not (rows and columns and planes):
        return Plan(Scheme(False, ""), 0, ())
    flat = columns < SHORT and rows > 1
    modes = _modes(kernel, flat, rows, columns, steps)
    packed = not PACKED.isdisjoint(modes)
    if flat:
        tj, ti = columns, min(rows, TILE // columns)
    elif packed:
        tj = min(columns, SIDE if rows >= SIDE else max(SIDE, TILE // rows // SIDE * SIDE))
        ti = min(rows, TILE // tj)
    else:
        ti, tj = rows, columns
    bj = columns if columns <= TASK else TASK
    if packed and not flat:
        bj = min(columns, max(tj, 1024 // tj * tj))
    bi = min(rows, ceildiv(max(1, TASK // bj), ti) * ti) if packed or flat else min(rows, max(1, TASK // bj))
    bp = max(1, TASK // (rows * columns))
    ni, nj = ceildiv(rows, bi), ceildiv(columns, bj)
    tasks = ceildiv(planes, bp) * ni * nj
    return Plan(Scheme(flat, modes), tasks, (bp, bi, bj, ni, nj, planes, ti, tj))


def _modes(kernel: Kernel, flat: bool, rows: int, columns: int, steps: tuple[tuple[int, ...], ...]) -> str:
    found = ""
    count = len(kernel.inputs)
    for n, operand in enumerate(operands(kernel)):
        size, (down, along) = SIZES[operand.kind], steps[n][-2:]
        output = n >= count
        unit = operand.walk[-1] == UNIT or (along == size and operand.walk[-1] != FIXED)
        if operand.walk[-2:] == FIXED * 2 and not output:
            found += SAME
        elif not flat:
            if operand.walk[-1] == FIXED and not output:
                found += SPLAT
            else:
                found += DIRECT if unit or columns == 1 else TURN if down == size else COPY
        elif unit and down == columns * size:
            found += DIRECT
        else:
            found += ONCE if operand.walk[-2] == FIXED and not output else COPY
    return found
