"""Products of a matrix and a few vectors, as code.

Such a product reads each element of the matrix for a handful of multiplications, so that it takes as long as it takes to read the
matrix. That goes along memory: several rows at once, since more of memory is then under way than of one, and each vector of the
matrix is multiplied by all lines (rows or columns of the other factor) while it is in a register.

Where the elements of a sum lie side by side (`Along`), a row of sums stays in registers to the end of the rows. Where those of
the result do (`Down`), some rows are combined, and what they give is added to a stretch of results in the first cache (Dongarra, Du Croz,
Hammarling and Hanson, "An extended set of Fortran Basic Linear Algebra Subprograms", 1988, call the forms t and n).

Long sums are cut into parts whose results are added up in their order (`adding_up`). Where they are cut follows from sizes alone, so
that the bits of a result do not depend on the number of threads.
"""

from __future__ import annotations

from functools import partial

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, added, of_batch, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: addresses of the matrix, the lines and the result; sizes of the matrix, whose rows' elements lie side by side; bytes
#: from row to row, from line to line and from element to element of a line; from element to element and from line to line of
#: the result; rows and columns of the matrix that are one task, how many such stretches of columns it has, how many tasks it is; bytes from
#: one part's results to the next's; of batches as in `products`
WORDS = tuple(
    "a b c rows columns a_row b_line b_element c_element c_line high wide across parts c_part "
    "inner a_outer a_inner b_outer b_inner c_step".split()
)
#: those of adding up: to where, of which parts, how many elements, how many parts, bytes from part to part, elements of one task; how many
#: tasks a result is, bytes from one to the next of results and of their parts
ADDING = tuple("to source columns rows from_row wide across to_step from_step".split())
#: registers for sums, by the bytes of a vector: of 32 and of 16
_REGISTERS = {64: 28, 32: 12}
#: rows at once, and half as many where there are more lines than registers
_ROWS = 4
#: elements of rows that are so short that several fit in a vector
_SHORT = 4
#: bytes ahead that are asked for; of short rows, too, where each load begins within the last one's, which no processor foresees
_AHEAD = 1024
_BLOCK = [V(f"%{x}", "p") for x in "abc"] + [
    V(f"%{x}", "q") for x in ("rows", "columns", "ar", "bl", "be", "ce", "cl")
]


class _Form:
    """What both forms share: a module for a type, a number of lines, and vectors of so many bytes."""

    def __init__(self, kind: str, lines: int, vector_bytes: int) -> None:
        self.kind = kind
        self.size = SIZES[kind]
        self.lines = lines
        self.lanes = vector_bytes // self.size
        self.registers = _REGISTERS[vector_bytes]
        self.rows = _ROWS if _ROWS * lines <= self.registers else _ROWS // 2
        self.declared: set[str] = set()

    def builder(self) -> Builder:
        b = Builder(self.lanes)
        b.declared = self.declared
        b.masks = True
        return b

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some rows by some columns of one matrix."""
        blocks = self.blocks()
        b = self.builder()
        job = words(b, WORDS)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            matrix, part = b.div(task, job["parts"]), b.rem(task, job["parts"])
            a, lines = (
                of_batch(b, job[x], matrix, job["inner"], job[f"{x}_outer"], job[f"{x}_inner"]) for x in "ab"
            )
            row = b.mul(b.div(part, job["across"]), job["high"])
            column = b.mul(b.rem(part, job["across"]), job["wide"])
            self.task(b, job, [a, lines, b.at(job["c"], b.mul(matrix, job["c_step"]))], row, column)
        return b.module([*blocks, b.definition("kernel", PARAMS)])

    def elements(self, b: Builder, places: list[V], mask: V | None) -> list[V]:
        """Vectors of several rows, of as many lanes as the mask has; what follows them is asked for."""
        for place in places:
            b.prefetch(b.at(place, b.integer(_AHEAD)), 3)
        return [b.load(place, self.kind, mask.lanes if mask else 0, mask=mask) for place in places]

    def blocks(self) -> list[str]:
        raise NotImplementedError

    def task(self, b: Builder, job: dict[str, V], places: list[V], row: V, column: V) -> None:
        """What a task does, from this row and column on, of the matrix, the lines and the result at these places."""
        raise NotImplementedError

    def sizes(self, b: Builder, job: dict[str, V], row: V, column: V) -> list[V]:
        """Rows and columns of the task from there on, and the steps."""
        rows = b.least(job["high"], b.sub(job["rows"], row))
        columns = b.least(job["wide"], b.sub(job["columns"], column))
        steps = [job[word] for word in ("a_row", "b_line", "b_element", "c_element", "c_line")]
        return [rows, columns, *steps]


class Along(_Form):
    """c[line][row]: the sum of a[row][column] * b[line][column] over a task's columns."""

    def __init__(self, kind: str, lines: int, vector_bytes: int) -> None:
        super().__init__(kind, lines, vector_bytes)
        #: vectors beside each other that have sums of their own
        self.vectors = max(n for n in (1, 2, 4) if n == 1 or n * self.rows * lines <= self.registers)
        #: lanes of the vectors that hold whole short rows
        self.widths = sorted({min(_SHORT, self.lanes), self.lanes})

    def blocks(self) -> list[str]:
        return [self.block(self.rows), self.block(1), *map(self.short, self.widths)]

    def task(self, b: Builder, job: dict[str, V], places: list[V], row: V, column: V) -> None:
        a, lines, c = places
        a = b.at(b.at(a, b.mul(row, job["a_row"])), column, self.size)
        c = b.at(c, b.mul(b.div(column, job["wide"]), job["c_part"]))
        places = [a, b.at(lines, column, self.size), b.at(c, b.mul(row, job["c_element"]))]
        rows, columns, *steps = self.sizes(b, job, row, column)

        def go(widths: list[int]) -> None:
            if not widths:
                self.by_rows(b, places, rows, columns, steps)
                return
            fit = b.and_(b.le(columns, b.integer(widths[0])), b.ge(rows, b.integer(self.lanes)))
            call = partial(b.call, f"short{widths[0]}", [*places, rows, columns, *steps])
            b.either(fit, call, partial(go, widths[1:]))

        go(self.widths)

    def by_rows(self, b: Builder, places: list[V], rows: V, columns: V, steps: list[V]) -> None:
        a, lines, c = places
        a_row, _, _, c_element, _ = steps
        left = b.rem(rows, b.integer(self.rows))
        whole = b.sub(rows, left)
        b.call(f"block{self.rows}", [*places, whole, columns, *steps])
        rest = [b.at(a, b.mul(whole, a_row)), lines, b.at(c, b.mul(whole, c_element))]
        b.call("block1", [*rest, left, columns, *steps])

    def block(self, height: int) -> str:
        """`void block<height>(a, b, c, rows, columns, steps)`: so many rows at a time."""
        b = self.builder()
        a, lines, c, rows, columns, a_row, b_line, _, c_element, c_line = _BLOCK
        sums = [
            [[b.room(self.kind) for _ in range(self.vectors)] for _ in range(height)]
            for _ in range(self.lines)
        ]
        stride = self.vectors * self.lanes
        whole = b.and_(columns, b.integer(-stride))
        with b.loop(b.integer(0), rows, height) as i:
            here = b.at(a, b.mul(i, a_row))
            starts = [b.at(here, b.mul(b.integer(n), a_row)) for n in range(height)]
            for total in [total for line in sums for row in line for total in row]:
                b.store(b.const(0, self.kind), total)

            def step(p: V, left: V | None) -> None:
                for v in range(self.vectors):
                    place = b.add(p, b.integer(v * self.lanes))
                    mask = None if left is None else b.below(b.sub(left, b.integer(v * self.lanes)))
                    xs = self.elements(b, [b.at(start, place, self.size) for start in starts], mask)
                    for n, line in enumerate(sums):
                        other = b.at(b.at(lines, b.mul(b.integer(n), b_line)), place, self.size)
                        y = b.load(other, self.kind, mask=mask)
                        for x, row in zip(xs, line):
                            b.store(added(b, x, y, b.load(row[v], self.kind)), row[v])

            with b.loop(b.integer(0), whole, stride) as p:
                step(p, None)
            with b.when(b.lt(whole, columns)):
                step(whole, b.sub(columns, whole))
            to = b.at(c, b.mul(i, c_element))
            for n, line in enumerate(sums):
                totals = [self.folded(b, [b.load(total, self.kind) for total in row]) for row in line]
                self.write(
                    b, self.totals(b, totals, self.lanes), b.at(to, b.mul(b.integer(n), c_line)), c_element
                )
        return b.definition(f"block{height}", _BLOCK, internal=True)

    def folded(self, b: Builder, xs: list[V]) -> V:
        """The sum of some vectors, halves at a time."""
        while len(xs) > 1:
            xs = [b.add(x, y) for x, y in zip(xs[: len(xs) // 2], xs[len(xs) // 2 :])]
        return xs[0]

    def short(self, width: int) -> str:
        """`void short<width>(...)` as `block`, for rows that fit in so many lanes: as many at a time as a vector has lanes, which there
        must be. The last ones may be some that were done already."""
        b = self.builder()
        a, lines, c, rows, columns, a_row, b_line, _, c_element, c_line = _BLOCK
        mask, together = b.below(columns, width), self.lanes // width
        ys = []
        for n in range(self.lines):
            y = b.load(b.at(lines, b.mul(b.integer(n), b_line)), self.kind, width, mask=mask)
            ys.append(self.joined(b, [y] * together))
        with b.loop(b.integer(0), rows, self.lanes) as first:
            i = b.least(first, b.sub(rows, b.integer(self.lanes)))
            here = b.at(a, b.mul(i, a_row))
            places = [b.at(here, b.mul(b.integer(n), a_row)) for n in range(self.lanes)]
            loaded = self.elements(b, places, mask)
            xs = [self.joined(b, loaded[n : n + together]) for n in range(0, self.lanes, together)]
            to = b.at(c, b.mul(i, c_element))
            for n, y in enumerate(ys):
                totals = self.totals(b, [b.mul(x, y) for x in xs], width)
                self.write(b, totals, b.at(to, b.mul(b.integer(n), c_line)), c_element)
        return b.definition(f"short{width}", _BLOCK, internal=True)

    def joined(self, b: Builder, xs: list[V]) -> V:
        """The lanes of some vectors, one after the other."""
        while len(xs) > 1:
            xs = [b.shuffle(x, y, [*range(2 * x.lanes)]) for x, y in zip(xs[::2], xs[1::2])]
        return xs[0]

    def totals(self, b: Builder, xs: list[V], width: int) -> V:
        """The sums of so many lanes at a time of some vectors (a power of two of them), in their order, as one vector.

        Lower halves are added to upper ones, of two vectors at a time while there are two, so that no lane is idle.
        """
        while width > 1:
            width //= 2
            lanes = len(xs[:2]) * xs[0].lanes
            low = [lane for lane in range(lanes) if lane // width % 2 == 0]
            if len(low) == 1:
                return b.add(b.extract(xs[0], 0), b.extract(xs[0], 1))
            high = [lane + width for lane in low]
            pairs = [(xs[0], None)] if len(xs) == 1 else [*zip(xs[::2], xs[1::2])]
            xs = [b.add(b.shuffle(x, y, low), b.shuffle(x, y, high)) for x, y in pairs]
        return xs[0]

    def write(self, b: Builder, totals: V, to: V, step: V) -> None:
        """Write the lanes of a vector so far apart."""

        def apart() -> None:
            for i in range(totals.lanes):
                b.store(b.extract(totals, i), b.at(to, b.mul(b.integer(i), step)))

        b.either(b.eq(step, b.integer(self.size)), lambda: b.store(totals, to), apart)


class Down(_Form):
    """c[line][column]: the sum of b[line][row] * a[row][column] over a task's rows."""

    def blocks(self) -> list[str]:
        return [block(height) for height in (self.rows, 1) for block in (self.block, self.short)]

    def task(self, b: Builder, job: dict[str, V], places: list[V], row: V, column: V) -> None:
        a, lines, c = places
        a = b.at(b.at(a, b.mul(row, job["a_row"])), column, self.size)
        lines = b.at(lines, b.mul(row, job["b_element"]))
        c = b.at(b.at(c, b.mul(b.div(row, job["high"]), job["c_part"])), column, self.size)
        rows, columns, *steps = self.sizes(b, job, row, column)
        for n in range(self.lines):
            line = b.at(c, b.mul(b.integer(n), job["c_line"]))
            with b.loop(b.integer(0), columns, self.lanes) as j:
                b.store(b.const(0, self.kind), b.at(line, j, self.size), mask=b.below(b.sub(columns, j)))
        left = b.rem(rows, b.integer(self.rows))
        whole = b.sub(rows, left)
        rest = [b.at(a, b.mul(whole, job["a_row"])), b.at(lines, b.mul(whole, job["b_element"])), c, left]

        def go(name: str) -> None:
            b.call(f"{name}{self.rows}", [a, lines, c, whole, columns, *steps])
            b.call(f"{name}1", [*rest, columns, *steps])

        b.either(b.le(columns, b.integer(self.lanes)), partial(go, "short"), partial(go, "block"))

    def block(self, height: int) -> str:
        """`void block<height>(a, b, c, rows, columns, steps)`: add what rows give, so many at a time."""
        b = self.builder()
        _, _, c, rows, columns, *_, c_line = _BLOCK
        whole = b.and_(columns, b.integer(-self.lanes))
        with b.loop(b.integer(0), rows, height) as i:
            starts, factors = self.group(b, i, height)

            def step(j: V, mask: V | None) -> None:
                xs = self.elements(b, [b.at(start, j, self.size) for start in starts], mask)
                for n, ys in enumerate(factors):
                    to = b.at(b.at(c, b.mul(b.integer(n), c_line)), j, self.size)
                    total = self.combined(b, xs, ys)
                    b.store(b.add(b.load(to, self.kind, mask=mask), total), to, mask=mask)

            with b.loop(b.integer(0), whole, self.lanes) as j:
                step(j, None)
            with b.when(b.lt(whole, columns)):
                step(whole, b.below(b.sub(columns, whole)))
        return b.definition(f"block{height}", _BLOCK, internal=True)

    def short(self, height: int) -> str:
        """`void short<height>(...)`: the same, of rows that fit in one vector; results stay in registers."""
        b = self.builder()
        _, _, c, rows, columns, *_, c_line = _BLOCK
        mask = b.below(columns)
        places = [b.at(c, b.mul(b.integer(n), c_line)) for n in range(self.lines)]
        totals = [b.room(self.kind) for _ in places]
        for place, total in zip(places, totals):
            b.store(b.load(place, self.kind, mask=mask), total)
        with b.loop(b.integer(0), rows, height) as i:
            starts, factors = self.group(b, i, height)
            xs = self.elements(b, starts, mask)
            for ys, total in zip(factors, totals):
                b.store(b.add(b.load(total, self.kind), self.combined(b, xs, ys)), total)
        for place, total in zip(places, totals):
            b.store(b.load(total, self.kind), place, mask=mask)
        return b.definition(f"short{height}", _BLOCK, internal=True)

    def group(self, b: Builder, i: V, height: int) -> tuple[list[V], list[list[V]]]:
        """Where so many rows from number i on begin, and what each is multiplied by, for each line."""
        a, lines, _, _, _, a_row, b_line, b_element, _, _ = _BLOCK
        here, there = b.at(a, b.mul(i, a_row)), b.at(lines, b.mul(i, b_element))
        starts = [b.at(here, b.mul(b.integer(n), a_row)) for n in range(height)]
        factors = []
        for line in range(self.lines):
            first = b.at(there, b.mul(b.integer(line), b_line))
            places = [b.at(first, b.mul(b.integer(n), b_element)) for n in range(height)]
            factors.append([b.splat(b.load(place, self.kind, 1)) for place in places])
        return starts, factors

    def combined(self, b: Builder, xs: list[V], ys: list[V]) -> V:
        """The sum of the products of some vectors."""
        total = b.mul(xs[0], ys[0])
        for x, y in zip(xs[1:], ys[1:]):
            total = added(b, x, y, total)
        return total


def adding_up(kind: str, vector_bytes: int) -> str:
    """The module that adds up the results of parts, in their order: with the function `kernel`."""
    size = SIZES[kind]
    b = Builder(vector_bytes // size)
    b.masks = True
    job = words(b, ADDING)
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        result, start = b.div(task, job["across"]), b.mul(b.rem(task, job["across"]), job["wide"])
        to = b.at(job["to"], b.mul(result, job["to_step"]))
        source = b.at(job["source"], b.mul(result, job["from_step"]))
        total = b.room(kind)
        with b.loop(start, b.least(b.add(start, job["wide"]), job["columns"]), b.lanes) as j:
            mask = b.below(b.sub(job["columns"], j))
            b.store(b.load(b.at(source, j, size), kind, mask=mask), total)
            with b.loop(b.integer(1), job["rows"]) as i:
                x = b.load(b.at(b.at(source, b.mul(i, job["from_row"])), j, size), kind, mask=mask)
                b.store(b.add(b.load(total, kind), x), total)
            b.store(b.load(total, kind), b.at(to, j, size), mask=mask)
    return b.module([b.definition("kernel", PARAMS)])


__all__ = ["ADDING", "WORDS", "Along", "Down", "adding_up"]
