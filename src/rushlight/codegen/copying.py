"""Copying a rectangle of elements between memories of different steps: to tiles, and back.

Elements that lie evenly among a few others are chosen from whole vectors (`_picked`, `narrow`), squares are turned in
registers (`turn`); what is left goes an element at a time.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.run import run
from rushlight.codegen.values import V

#: words of one, two, four and eight bytes
_WORDS = {1: "B", 2: "H", 4: "I", 8: "Q"}
#: bytes to ask for before they are read; of elements woven together twice a tile, which is computed with in between
AHEAD, AHEAD_WOVEN = 4096, 8192
#: steps, in elements, for which vectors are loaded with what lies between: beyond these there is too much of it
FEW = (2, 3, 4)
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


def copy(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void copy<size>(to, from, rows, columns, to_row, to_column, from_row, from_column)`, a line at a time."""
    b = _builder(size, vector_bytes, declared)
    to, source, rows, columns, to_row, to_column, from_row, from_column = _PARAMS
    done = b.room("q", 1)
    beyond = _beyond(b, b.mul(columns, from_column), from_row)
    with b.loop(b.integer(0), rows) as i:
        here, there = b.at(to, b.mul(i, to_row)), b.at(source, b.mul(i, from_row))
        b.store(b.integer(0), done)
        for step in (1, *FEW):
            with b.when(_are(b, (to_column, size), (from_column, step * size))):
                b.store(_picked(b, size, here, there, columns, step, beyond), done)
        _line(b, size, here, there, b.load(done, "q", 1), columns, to_column, from_column)
    return b.definition(f"copy{size}", _PARAMS, internal=True)


def _builder(size: int, vector_bytes: int, declared: set[str]) -> Builder:
    """Of a function whose vectors are words of `size` bytes; what the module has to declare is added to `declared`."""
    b = Builder(min(16, max(1, vector_bytes // size)))
    b.declared = declared
    return b


def _are(b: Builder, *facts: tuple[V, int]) -> V:
    """Whether numbers have these values."""
    found = V("true", "?")
    for x, value in facts:
        found = b.and_(found, b.eq(x, b.integer(value)))
    return found


def _beyond(b: Builder, length: V, pitch: V) -> V:
    """The bytes from what is read of a line to what is to be asked for: further on, or as far down where lines are short.
    (Processors look ahead along a line, but not from the end of one to the beginning of another.)"""
    ahead = b.integer(AHEAD)
    is_long = b.or_(b.ge(length, ahead), b.le(length, b.integer(0)))
    lines = b.add(b.div(ahead, b.select(is_long, ahead, length)), b.integer(1))
    return b.select(is_long, ahead, b.mul(lines, pitch))


def _picked(b: Builder, size: int, to: V, source: V, count: V, step: int, beyond: V) -> V:
    """Copy every so many elements to where they lie side by side; gives how many. (Not the last ones: beyond these a
    vector may reach what is nobody's.)"""
    whole = b.and_(b.sub(count, b.integer(int(step > 1))), b.integer(-b.lanes))
    with b.loop(b.integer(0), whole, b.lanes) as j:
        there = b.at(source, b.mul(j, b.integer(step * size)))
        places = [b.at(there, b.integer(n * b.lanes * size)) for n in range(step)]
        for place in places:
            b.prefetch(b.at(place, beyond))
        vectors = _vectors(b, size, places)
        chosen = _chosen(b, vectors, [step * lane for lane in range(b.lanes)])
        b.store(chosen, b.at(to, j, size))
    return whole


def _vectors(b: Builder, size: int, places: list[V]) -> list[V]:
    return [b.load(place, _WORDS[size]) for place in places]


def _chosen(b: Builder, vectors: list[V], places: list[int]) -> V:
    """Elements of some vectors, by their places in all."""
    found = vectors[0]
    if found.lanes == 1:
        return vectors[places[0]]
    for n, vector in enumerate(vectors[1:], 1):
        lanes = []
        for lane, place in enumerate(places):
            own, at = divmod(place, found.lanes)
            earlier = at if n == 1 and own == 0 else lane
            lanes.append(found.lanes + at if own == n else earlier)
        found = b.shuffle(found, vector, lanes)
    return found


def _line(b: Builder, size: int, to: V, source: V, start: V, count: V, to_step: V, from_step: V) -> None:
    """What is left of a line: four elements at a time, then one."""
    most = b.add(start, b.and_(b.sub(count, start), b.integer(-4)))
    for first, stop, many in ((start, most, 4), (most, count, 1)):
        with b.loop(first, stop, many) as j:
            for n in range(many):
                at = b.add(j, b.integer(n))
                x = b.load(b.at(source, b.mul(at, from_step)), _WORDS[size], 1)
                b.store(x, b.at(to, b.mul(at, to_step)))


def edge(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void edge<size>(...)` as `copy`, for few elements: one by one."""
    b = _builder(size, vector_bytes, declared)
    to, source, rows, columns, to_row, to_column, from_row, from_column = _PARAMS
    with b.loop(b.integer(0), rows) as i:
        here, there = b.at(to, b.mul(i, to_row)), b.at(source, b.mul(i, from_row))
        _line(b, size, here, there, b.integer(0), columns, to_column, from_column)
    return b.definition(f"edge{size}", _PARAMS, internal=True)


def narrow(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void narrow<size>(...)` as `turn`, where the shorter side is one of `FEW` and the elements of the longer one are
    woven together, without gaps, here or there."""
    b = _builder(size, vector_bytes, declared)
    to, source, rows, columns, to_row, _, from_row, from_column = _PARAMS
    unit = b.integer(size)
    done_rows, done_columns = b.room("q", 1), b.room("q", 1)
    b.store(b.integer(0), done_rows)
    b.store(b.integer(0), done_columns)
    for few in FEW:
        with b.when(_are(b, (rows, few), (from_column, few * size))):
            whole = b.and_(columns, b.integer(-b.lanes))
            with b.loop(b.integer(0), whole, b.lanes) as j:
                _woven(
                    b, size, few, b.at(source, b.mul(j, from_column)), unit, b.at(to, j, size), to_row, False
                )
            b.store(whole, done_columns)
        left = b.load(done_columns, "q", 1)
        with b.when(_are(b, (left, 0), (columns, few), (to_row, few * size))):
            whole = b.and_(rows, b.integer(-b.lanes))
            with b.loop(b.integer(0), whole, b.lanes) as i:
                _woven(
                    b, size, few, b.at(source, i, size), from_column, b.at(to, b.mul(i, to_row)), unit, True
                )
            b.store(whole, done_rows)
    row, column = b.load(done_rows, "q", 1), b.load(done_columns, "q", 1)
    here = b.at(b.at(to, b.mul(row, to_row)), column, size)
    there = b.at(b.at(source, b.mul(row, from_row)), b.mul(column, from_column))
    b.call(f"edge{size}", [here, there, b.sub(rows, row), b.sub(columns, column), *_PARAMS[4:]])
    return b.definition(f"narrow{size}", _PARAMS, internal=True)


def _woven(
    b: Builder, size: int, few: int, source: V, source_step: V, to: V, to_step: V, weave: bool
) -> None:
    """Vectors woven together, or taken apart; one side has a few vectors one after the other, the other so many lines."""
    vector = b.integer(b.lanes * size)
    steps = (source_step, vector) if weave else (vector, to_step)
    places = [b.at(source, b.mul(b.integer(n), steps[0])) for n in range(few)]
    for place in places:
        b.prefetch(b.at(place, b.integer(AHEAD_WOVEN)))
    vectors = _vectors(b, size, places)
    for n, x in enumerate(together(b, vectors) if weave else apart(b, vectors)):
        b.store(x, b.at(to, b.mul(b.integer(n), steps[1])))


def apart(b: Builder, vectors: list[V]) -> list[V]:
    """Of as many vectors as columns are woven together in them, the columns."""
    few, lanes = len(vectors), vectors[0].lanes
    if few == 1 or lanes == 1:
        return vectors
    if few % 2:
        return [_chosen(b, vectors, [lane * few + n for lane in range(lanes)]) for n in range(few)]
    pairs = list(zip(vectors[::2], vectors[1::2]))
    even, odd = (
        apart(b, [b.shuffle(x, y, [*range(first, 2 * lanes, 2)]) for x, y in pairs]) for first in (0, 1)
    )
    return [x for pair in zip(even, odd) for x in pair]


def together(b: Builder, columns: list[V]) -> list[V]:
    """The vectors in which columns are woven together."""
    few, lanes = len(columns), columns[0].lanes
    if few == 1 or lanes == 1:
        return columns
    if few % 2:
        places = [number % few * lanes + number // few for number in range(few * lanes)]
        return [_chosen(b, columns, places[n * lanes : (n + 1) * lanes]) for n in range(few)]
    even, odd = together(b, columns[::2]), together(b, columns[1::2])
    halves = [
        [place for lane in range(first, first + lanes // 2) for place in (lane, lanes + lane)]
        for first in (0, lanes // 2)
    ]
    return [b.shuffle(x, y, half) for x, y in zip(even, odd) for half in halves]


def lines(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void lines<size>(...)` as `copy`, for elements that lie side by side along the rows, here and there."""
    b = Builder(vector_bytes // size)
    b.declared = declared
    b.masks = vector_bytes >= 64
    to, source, rows, columns, to_row, _, from_row, _ = _PARAMS
    beyond = _beyond(b, b.mul(columns, b.integer(size)), from_row)
    with b.loop(b.integer(0), rows) as i:
        here, there = b.at(to, b.mul(i, to_row)), b.at(source, b.mul(i, from_row))

        def step(j: V, mask: V | None, *_: object) -> None:
            b.prefetch(b.at(b.at(there, j, size), beyond))
            x = b.load(b.at(there, j, size), _WORDS[size], mask=mask)
            b.store(x, b.at(here, j, size), mask=mask)

        run(b, columns, step, 1)
    return b.definition(f"lines{size}", _PARAMS, internal=True)


def turn(size: int, vector_bytes: int, declared: set[str]) -> str:
    """`void turn<size>(...)` as `copy`, for elements that lie side by side down the columns where they come from, and
    along the rows where they go: squares are turned in registers, edges go an element at a time."""
    b = _builder(size, vector_bytes, declared)
    to, source, rows, columns, to_row, _, from_row, from_column = _PARAMS
    side = b.lanes
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
    b.call(f"edge{size}", rest_of_columns)
    b.call(f"edge{size}", rest_of_rows)
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
