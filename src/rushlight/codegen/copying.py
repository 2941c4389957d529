"""Copying a rectangle of elements between memories of different steps: to tiles, and back."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.run import run

#: words of one, two, four and eight bytes
_WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}
#: bytes to ask for before they are read
AHEAD = 4096
_PARAMS = [
    V("%to", "p"),
    V("%from", "p"),
    V("%rows", "q"),
    V("%columns", "q"),
    V("%to_row", "q"),
    V("%to_column", "q"),
    V("%from_row", "q"),
    V("%from_column", "q"),
]


def copy(size: int) -> str:
    """`void copy<size>(to, from, rows, columns, to_row, to_column, from_row, from_column)`, an element at a time."""
    b = Builder(1)
    to, source, rows, columns, to_row, to_column, from_row, from_column = _PARAMS
    with b.loop(b.integer(0), rows) as i:
        here, there = b.at(to, b.mul(i, to_row)), b.at(source, b.mul(i, from_row))
        _line(b, size, here, there, columns, to_column, from_column)
    return b.definition(f"copy{size}", _PARAMS, internal=True)


def _line(b: Builder, size: int, to: V, source: V, count: V, to_step: V, from_step: V) -> None:
    """Four elements at a time, then one."""
    most = b.and_(count, b.integer(-4))
    for start, stop, many in ((b.integer(0), most, 4), (most, count, 1)):
        with b.loop(start, stop, many) as j:
            for n in range(many):
                at = b.add(j, b.integer(n))
                x = b.load(b.at(source, b.mul(at, from_step)), _WORDS[size])
                b.store(x, b.at(to, b.mul(at, to_step)))


def lines(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void lines<size>(...)` as `copy`, for elements that lie side by side along the rows, here and there; what the
    module has to declare for it is added to `declared`."""
    b = Builder(vector_bytes // size)
    b.declared = declared
    b.masks = vector_bytes >= 64
    to, source, rows, columns, to_row, _, from_row, _ = _PARAMS
    # (processors look ahead along a line, but not from the end of one to the beginning of another)
    ahead = b.add(b.div(b.integer(AHEAD), b.mul(columns, b.integer(size))), b.integer(1))
    beyond = b.mul(ahead, from_row)
    with b.loop(b.integer(0), rows) as i:
        here, there = b.at(to, b.mul(i, to_row)), b.at(source, b.mul(i, from_row))

        def step(j: V, mask: V | None, *_: object) -> None:
            b.prefetch(b.at(b.at(there, j, size), beyond))
            x = b.load(b.at(there, j, size), _WORDS[size], mask=mask)
            b.store(x, b.at(here, j, size), mask=mask)

        run(b, columns, step, 0)
    return b.definition(f"lines{size}", _PARAMS, internal=True)


def turn(size: int, vector_bytes: int) -> str:
    """`void turn<size>(...)` as `copy`, for elements that lie side by side down the columns where they come from, and
    along the rows where they go: squares are turned in registers."""
    side = min(16, vector_bytes // size)
    b = Builder(side)
    to, source, rows, columns, to_row, _to_column, from_row, from_column = _PARAMS
    down, along = b.and_(rows, b.integer(-side)), b.and_(columns, b.integer(-side))
    beyond = b.mul(columns, from_column)
    with b.loop(b.integer(0), along, side) as j:
        with b.loop(b.integer(0), down, side) as i:
            here = b.at(b.at(to, b.mul(i, to_row)), j, size)
            there = b.at(b.at(source, b.mul(j, from_column)), i, size)
            _square(b, size, here, there, to_row, from_column, beyond)
    rest_of_columns = [
        b.at(to, along, size),
        b.at(source, b.mul(along, from_column)),
        down,
        b.sub(columns, along),
        *_PARAMS[4:],
    ]
    rest_of_rows = [
        b.at(to, b.mul(down, to_row)),
        b.at(source, b.mul(down, from_row)),
        b.sub(rows, down),
        columns,
        *_PARAMS[4:],
    ]
    b.call(f"copy{size}", rest_of_columns)
    b.call(f"copy{size}", rest_of_rows)
    return b.definition(f"turn{size}", _PARAMS, internal=True)


def _square(b: Builder, size: int, to: V, source: V, to_row: V, from_column: V, beyond: V) -> None:
    """Interleaving the first half of the rows with the second, log2(side) times, is transposing.

    `beyond`: bytes to where the next rectangle will probably be, which is asked for.
    """
    side = b.lanes
    places = [b.at(source, b.mul(b.integer(n), from_column)) for n in range(side)]
    for place in places:
        b.prefetch(b.at(place, beyond))
    rows = [b.load(place, _WORDS[size]) for place in places]
    first = [lane for n in range(side // 2) for lane in (n, side + n)]
    second = [side // 2 + lane for lane in first]
    for _ in range(side.bit_length() - 1):
        pairs = list(zip(rows[: side // 2], rows[side // 2 :]))
        rows = [b.shuffle(x, y, lanes) for x, y in pairs for lanes in (first, second)]
    for n, row in enumerate(rows):
        b.store(row, b.at(to, b.mul(b.integer(n), to_row)))
