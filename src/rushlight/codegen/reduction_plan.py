"""How a reduction is cut. See `reductions` for what is done with the pieces, and `plan` for the rules."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

from rushlight.codegen.body import closure, weight
from rushlight.codegen.frame import operands
from rushlight.codegen.kernel import FIXED, STEPS, UNIT, Kernel, Operand, Store
from rushlight.codegen.plan import (
    COPY,
    DIRECT,
    LINE,
    NARROW,
    NONE,
    PACKED,
    SAME,
    SHORT,
    SIDE,
    TASK,
    TILE,
    TURNED,
    Phase,
    Plan,
    Scheme,
    Steps,
    ceildiv,
    element_modes,
    power_above,
    power_below,
)
from rushlight.codegen.row_plan import few_lines, plan_few
from rushlight.codegen.values import SIZES

T = TypeVar("T", str, tuple[int, ...])

#: accumulators in memory for one reduce instruction at most: as long stretches of a row as fit in the first cache
ACCUMULATED = 4096
#: the same, where short rows are joined
JOINED = 1024
#: kept rows of a tile at most, where the last dimension is reduced
ROWS = 16
#: a row that is gone through several times is worth being one of several beside each other, if it is shorter than this
SHORT_ROW = 32
#: elements of a row, a divisor of LINE, that accumulators take up before they are combined with the row's: chains of additions
#: stay short, and float64 sums as accurate as pairwise ones
ALONG = 1024
#: instructions of a body that is computed for two rows at once
SHORT_BODY = 12
#: elements that one accumulator takes up, about, before it is combined with others: sums stay accurate
DEPTH = 128
#: elements of a tile that is sorted in registers, and its tiles in a task: the next tile's memory is on its way while one is combined
SORTED, TILES = 1024, 16
#: chunks that the reduced places are cut into, where DEPTH does not ask for more
CHUNKS = 64

REDUCE_PLAN = (
    "nk", "ni", "nj",  # blocks of kept planes, of rows and of columns; and of these, how many
    "bk", "bp", "bi", "bj",  # kept planes, reduced planes, rows and columns there are in a block
    "kept", "reduced",  # planes
    "ti", "tj",  # rows and columns of a tile
    "joined",  # accumulators of one kept place, where they lie beside each other
    "levels",  # how often accumulators are halved, or how often four chunks become one
    "parts",  # chunks
    "merge",  # whether this is the second phase
    "places",  # kept places in all
)  # fmt: skip


def reduces(kernel: Kernel) -> list[int]:
    """The reduce instructions of a kernel."""
    return [n for n, inst in enumerate(kernel.body) if inst.verb == "reduce"]


def element_stores(kernel: Kernel) -> list[int]:
    """The outputs that walk along a reduced dimension: elements, not results."""
    return [
        n
        for n, store in enumerate(kernel.outputs)
        if any(dim == "r" and walk != FIXED for dim, walk in zip(kernel.dims, store.to.walk))
    ]


def in_pairs(kernel: Kernel) -> bool:
    """Whether two rows are computed at once: elements that are stored go past the caches where they lie alike, and long bodies are
    written once."""
    return not element_stores(kernel) and weight(kernel) <= SHORT_BODY


@dataclass(frozen=True, slots=True)
class Cut:
    """Extents of blocks and tiles."""

    flat: bool
    bk: int
    bp: int
    bi: int
    bj: int
    ti: int
    tj: int


def plan_reduce(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """Cut the kept places into blocks, and the reduced ones into chunks of some DEPTH for each accumulator."""
    dims = kernel.dims.rjust(2, "k")
    across, along = dims[-2] == "r", dims[-1] == "r"
    rows, columns = sizes[-2:]
    kept = math.prod(n for n, dim in zip(sizes[:-2], dims) if dim == "k")
    reduced = math.prod(n for n, dim in zip(sizes[:-2], dims) if dim == "r")
    places = kept * (1 if across else rows) * (1 if along else columns)
    flat = (across or not along) and columns < SHORT and rows > 1
    modes = element_modes(kernel, flat, rows, columns, steps, skip=_results(kernel))
    if not places:
        return Plan(Scheme(flat, modes, ""), (), 0)
    few = few_lines(kernel, sizes, steps) if dims.endswith("rk") and "r" not in dims[:-2] and rows else None
    if few is not None:
        return plan_few(few, sizes)
    if along:
        cut = _along(across, flat, not PACKED.isdisjoint(modes), kept, reduced, rows, columns)
    else:
        cut = _beside(kernel, across, flat, modes, kept, reduced, rows, columns)
    nk, np = ceildiv(kept, cut.bk), max(1, ceildiv(reduced, cut.bp))
    ni, nj = max(1, ceildiv(rows, cut.bi)), max(1, ceildiv(columns, cut.bj))
    parts = np * (ni if across else 1) * (nj if along else 1)
    joined = cut.ti if flat and across and not along else 1
    shared = _shared(cut, kept, reduced)
    phases = [
        Phase(nk * np * ni * nj, (nk, ni, nj, *shared, joined, joined.bit_length() - 1, parts, 0, places))
    ]
    if parts > 1:
        merged = cut if along or flat else _merged(cut, parts)
        ni, nj = 1 if across else ni, 1 if along else ceildiv(columns, merged.bj)
        phases.append(
            Phase(
                nk * ni * nj,
                (
                    nk,
                    ni,
                    nj,
                    *_shared(merged, kept, reduced),
                    joined,
                    ceildiv((parts - 1).bit_length(), 2),
                    parts,
                    1,
                    places,
                ),
            )
        )
    scratch = 8 * len(reduces(kernel)) * parts * places if parts > 1 else 0
    return Plan(
        Scheme(flat, modes, _kept_modes(kernel, flat, across, along, columns, steps)), tuple(phases), scratch
    )


def _shared(cut: Cut, kept: int, reduced: int) -> tuple[int, ...]:
    return (cut.bk, cut.bp, cut.bi, cut.bj, kept, reduced, cut.ti, cut.tj)


def _merged(cut: Cut, parts: int) -> Cut:
    """The blocks of columns in which chunks are merged: as many elements as a task has, at most."""
    columns = max(LINE // 4, TASK // parts)
    return replace(cut, bj=min(cut.bj, columns), tj=min(cut.tj, columns))


def turns(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> bool:
    """Whether to exchange the last two dimensions: kept rows that are short, or whose elements lie far apart while
    those of neighbouring rows lie side by side, are better summed side by side."""
    if kernel.dims[-2:] != "kr" or sizes[-2] < 2:
        return False
    beside = along = 0
    for operand, step in zip(kernel.inputs, steps):
        size = SIZES[operand.kind]
        beside += step[-2] == size and step[-1] not in (size, 0)
        along += step[-1] == size
    return sizes[-1] < (SHORT if kernel.form == "reduce" else SHORT_ROW) or beside > along


def turned(kernel: Kernel) -> Kernel:
    """The same kernel, with the last two dimensions exchanged."""
    return replace(
        kernel,
        dims=swapped(kernel.dims),
        inputs=tuple(Operand(o.kind, swapped(o.walk)) for o in kernel.inputs),
        outputs=tuple(Store(Operand(s.to.kind, swapped(s.to.walk)), s.value) for s in kernel.outputs),
    )


def swapped(each: T) -> T:
    """The last two of a sequence exchanged."""
    if isinstance(each, str):
        return each[:-2] + each[-1].replace(UNIT, STEPS) + each[-2]
    return (*each[:-2], each[-1], each[-2])


def _results(kernel: Kernel) -> list[int]:
    """Operands that are outputs, and no elements."""
    elements = element_stores(kernel)
    return [len(kernel.inputs) + n for n in range(len(kernel.outputs)) if n not in elements]


def _along(across: bool, flat: bool, packed: bool, kept: int, reduced: int, rows: int, columns: int) -> Cut:
    """The last dimension is reduced."""
    if flat:
        ti, tj = max(1, TILE // max(1, columns)), max(1, columns)
    else:
        tj = max(1, min(columns, LINE if packed else ALONG))
        # (long rows one after the other, as memory is read best; short ones together, which end together)
        ti = 1 if across or tj < columns else max(1, min(ROWS, rows, TILE // max(1, columns)))
    bj = max(1, columns if flat else min(columns, TASK // tj * tj))
    row_length = max(1, columns)
    if across:
        bi = max(1, min(rows, max(1, TASK // row_length // ti * ti)))
        bp = max(1, TASK // (row_length * max(1, rows)))
        bk = max(1, TASK // max(1, columns * rows * reduced))
    else:
        bp = max(1, TASK // row_length)
        per_row = max(1, min(bp, reduced) * bj)
        bi = max(1, min(rows, max(ti, TASK // per_row // ti * ti)))
        bk = max(1, TASK // max(1, rows * columns * reduced))
    return Cut(flat, bk, bp, bi, bj, ti, tj)


def _beside(
    kernel: Kernel, across: bool, flat: bool, modes: str, kept: int, reduced: int, rows: int, columns: int
) -> Cut:
    """The last dimension is kept: a tile has as many accumulators as columns, or if rows are short, as elements.

    (How a tile's operands are reached is no part of the order in which an accumulator takes elements up, unless they lie
    across each other.)
    """
    packed, squares = not PACKED.isdisjoint(modes), not TURNED.isdisjoint(modes)
    longest = max(JOINED, ACCUMULATED // power_above(len(reduces(kernel))))
    if flat and across:
        ti = min(power_below(JOINED // columns), power_above(rows))
        tj = columns
    elif flat:
        ti, tj = min(rows, JOINED // columns), columns
    elif squares:
        ti = max(1, min(rows, SIDE)) if across else 1
        tj = min(columns, longest, (SORTED if NARROW in modes else TILE) // ti)
    elif packed:
        tj = min(columns, longest, LINE)
        ti = max(1, min(rows, power_below(TILE // tj))) if across else 1
    else:
        ti, tj = (max(1, rows) if across else 1), min(columns, longest)
    if across:
        tiles = ceildiv(rows, ti) if flat else rows
        least = 32 if flat else max(32, power_below(TASK // columns or 1))
        deep = min(DEPTH, max(least, ceildiv(tiles * max(1, reduced), CHUNKS)))
        bi = max(1, min(rows, deep * ti if flat else ceildiv(deep, ti) * ti if squares else deep))
        bp = max(1, deep // max(1, tiles)) if bi >= rows else 1
    else:
        bi = ti
        bp = max(1, min(DEPTH, max(32, ceildiv(reduced, CHUNKS))))
    ti = ti if flat or packed or not across else bi
    work = max(1, min(bp, reduced) * min(bi, max(1, rows)) * tj)
    bk = max(1, TASK // work) if bi >= rows and tj >= columns else 1
    return Cut(flat, bk, bp, bi, min(columns, tj * TILES) if NARROW in modes else tj, ti, tj)


def _kept_modes(kernel: Kernel, flat: bool, across: bool, along: bool, columns: int, steps: Steps) -> str:
    """How each operand is reached after the reduction."""
    wanted = [store.value for n, store in enumerate(kernel.outputs) if n not in element_stores(kernel)]
    used = {
        kernel.body[n].attr for n in closure(kernel, wanted, reduces(kernel)) if kernel.body[n].verb == "load"
    }
    results = _results(kernel)
    found = ""
    for n, operand in enumerate(operands(kernel)):
        if n in results or (n < len(kernel.inputs) and n in used):
            found += _kept_mode(operand, n in results, flat, across, along, columns, steps[n])
        else:
            found += NONE
    return found


def _kept_mode(
    operand: Operand, output: bool, flat: bool, across: bool, along: bool, columns: int, step: tuple[int, ...]
) -> str:
    size, walk = SIZES[operand.kind], operand.walk
    rows_fixed = across or walk[-2] == FIXED or not (along or flat)
    if rows_fixed and (along or walk[-1] == FIXED) and not output:
        return SAME
    if along:
        return DIRECT if across or step[-2] == size else COPY
    unit = walk[-1] == UNIT or step[-1] == size
    if across or not flat:
        return DIRECT if unit else COPY
    return DIRECT if unit and step[-2] == columns * size else COPY
