"""Kernels of the form reduce, as code.

1. The kept places are cut into blocks, the reduced ones into chunks; a task is one chunk of one block.
2. A task goes through its chunk tile by tile and run by run, as a map does, and combines what a run computes with
   accumulators: if the last dimension is kept, one for each of a run's elements, in memory; if it is reduced, a few
   vectors in registers, which after each run are combined with those of its row in memory, so that
   the partial sums stay short (pairwise summation: Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
3. The accumulators of one kept place are combined by halving.
4. If there is one chunk, what comes after the reduction is done at once. Else the results of chunks go to scratch memory,
   and a second phase, whose tasks are the blocks, combines neighbours, then their neighbours, until one is left.

All of that is the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rushlight.codegen.body import closure, evaluate, unrolling, weight
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.monoids import combine, identity, neighbours, take_up
from rushlight.codegen.nest import FIRST, LAST, LINE_BYTES, Nest
from rushlight.codegen.plan import SAME, SPLAT, TILE, Scheme
from rushlight.codegen.reduction_plan import (
    ACCUMULATED,
    ALONG,
    REDUCE_PLAN,
    ROWS,
    element_stores,
    in_pairs,
    reduces,
)
from rushlight.codegen.registers import Register
from rushlight.codegen.run import run
from rushlight.codegen.values import SIZES, V

#: vectors that are combined before accumulators take them up
TOGETHER = 4
#: bytes of a row to ask for before they are read, where rows are read side by side: of planes that caches hold, and of those with more
#: than so many elements
NEAR, FAR, HELD = 1024, 2048, 1 << 22
#: bytes of rows of which four are read at once, where two and their accumulators would fill the first cache
WIDE = 15 << 10
#: instructions of a body that goes through rows fast enough for what lies near to be on its way
LIGHT = 6


class Reduce(Nest):
    """Writes one reduction.

    Attributes:
        reduces: the numbers of its reduce instructions.
        along: whether the last dimension is reduced.
        across: whether that of rows is.
        buffers: room for the values of a run that each reduction combines, if they are to be kept.
        halves: the same for those of one row, where rows are combined in pairs of which one is computed after the other.
        stored, finished: outputs that are elements, and those that are results, by their operands' numbers.
    """

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, REDUCE_PLAN, vector_bytes)
        b, dims = self.b, kernel.dims.rjust(2, "k")
        self.across, self.along = dims[-2] == "r", dims[-1] == "r"
        self.outer = {kind: [n for n in range(self.last - 1) if dims[n] == kind] for kind in "kr"}
        self.reduces = reduces(kernel)
        self.kinds = {r: kernel.body[r].kind for r in self.reduces}
        self.monoids = {r: str(kernel.body[r].attr) for r in self.reduces}
        self.wide = self.accumulators() if self.along else 1
        room = ROWS * self.wide * b.lanes if self.along else ACCUMULATED
        self.sums = {r: b.room(kind, 1, room) for r, kind in self.kinds.items()}
        self.results = {
            r: b.room(kind, 1, ROWS) if self.along else self.sums[r] for r, kind in self.kinds.items()
        }
        # (what takes long to compute is not written out so often as it is combined at once)
        longest = TILE if scheme.flat else ALONG
        self.buffers = {
            r: b.room(kind, 1, longest)
            for r, kind in self.kinds.items()
            if self.along and unrolling(kernel) < self.wide
        }
        apart = self.across and not self.along and not scheme.flat and not in_pairs(kernel)
        self.halves = {r: b.room(kind, 1, ACCUMULATED) for r, kind in self.kinds.items() if apart}
        elements = set(element_stores(kernel))
        every = range(len(kernel.outputs))
        self.stored = [self.inputs + n for n in every if n in elements]
        self.finished = [self.inputs + n for n in every if n not in elements]
        self.kept_tiles = self.rooms_for(scheme.kept)

    def value(self, output: int) -> int:
        """The instruction that an output's operand stores."""
        return self.kernel.outputs[output - self.inputs].value

    # ---- blocks ----

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan = self.b, self.frame, self.frame.plan
        kept = plan("kept") if self.outer["k"] else b.integer(1)
        reduced = plan("reduced") if self.outer["r"] else b.integer(1)
        with b.loop(FIRST, LAST) as task:
            rest, columns = self.block(task, "nj", self.width)
            rest, rows = self.block(rest, "ni", self.height)
            chunk, block = self.block(rest, "nk", kept)
            self.planes = self.extent(chunk, plan("bp"), reduced)
            self.rows = self.extent(rows, plan("bi"), self.height)
            self.columns = self.extent(columns, plan("bj"), self.width)
            part = b.add(b.mul(chunk, plan("ni")), rows) if self.across else chunk
            self.part = b.add(b.mul(part, plan("nj")), columns) if self.along else part
            with self.through(*self.extent(block, plan("bk"), kept), b.integer(1)) as (plane, _):
                start = [frame.address(n) for n in range(frame.count)]
                at = self.within(start, plane, self.outer["k"])
                with self.steps(not self.across, self.last - 1, at) as (i, rows, at), \
                     self.steps(not self.along, self.last, at) as (j, columns, at):  # fmt: skip
                    self.tile_of_places(at, self.place(plane, i, j), rows, columns)
        return self.module()

    @contextmanager
    def steps(self, real: bool, dim: int, at: list[V]) -> Iterator[tuple[V, V, list[V]]]:
        """Through a task's part of a dimension, tile by tile: where, how much, and the operands' addresses there;
        nothing to go through unless it is `real`."""
        if not real:
            yield self.b.integer(0), self.b.integer(1), at
            return
        (start, stop), tile = (self.columns, "tj") if dim == self.last else (self.rows, "ti")
        with self.through(start, stop, self.frame.plan(tile)) as (i, count):
            yield i, count, self.moved(at, dim, i)

    def place(self, plane: V, i: V, j: V) -> V:
        """The number of a kept place among all."""
        b = self.b
        if not self.across:
            plane = b.add(b.mul(plane, self.frame.size(self.last - 1)), i)
        if not self.along:
            plane = b.add(b.mul(plane, self.frame.size(self.last)), j)
        return plane

    def tile_of_places(self, at: list[V], place: V, rows: V, columns: V) -> None:
        """One tile of kept places, `rows` by `columns` of them from number `place` on."""
        b, plan = self.b, self.frame.plan
        count = b.mul(rows, columns)
        combining = b.ne(plan("merge"), b.integer(0))
        several = b.gt(plan("parts"), b.integer(1))
        with b.when(b.not_(combining)):
            self.accumulate(at, rows, columns)
            with b.when(several):
                self.spill(place, count)
        with b.when(combining):
            self.merge(place, count)
        with b.when(b.or_(combining, b.not_(several))):
            results = {
                r: b.select(combining, self.partial(r, b.integer(0), place), there)
                for r, there in self.results.items()
            }
            self.finish(at, results, rows, columns)

    # ---- chunks ----

    def accumulate(self, at: list[V], kept_rows: V, kept_columns: V) -> None:
        """Combine all of the chunk."""
        b = self.b
        self.clear(kept_rows, kept_columns)
        with self.through(*self.planes, b.integer(1)) as (plane, _):
            there = self.within(at, plane, self.outer["r"])
            with self.steps(self.across, self.last - 1, there) as (i, rows, there), \
                 self.steps(self.along, self.last, there) as (_, columns, there):  # fmt: skip
                first = b.eq(i, self.rows[0]) if self.across else V("true", "?")
                rows, columns = (
                    (rows if self.across else kept_rows),
                    (columns if self.along else kept_columns),
                )
                self.tile(there, rows, columns, first)
        self.fold(kept_rows, kept_columns)

    def clear(self, kept_rows: V, kept_columns: V) -> None:
        """Begin with what changes nothing."""
        b = self.b
        if self.along:
            count = b.mul(kept_rows, b.integer(self.wide * b.lanes))
        else:
            count = b.mul(self.frame.plan("joined"), b.mul(kept_rows, kept_columns))
        for r in self.reduces:
            nothing = b.const(identity(self.monoids[r], self.kinds[r]), self.kinds[r])
            self.fill(r, nothing, count)

    def fill(self, r: int, x: V, count: V) -> None:
        """(There is room for whole vectors.)"""
        b, size = self.b, SIZES[x.kind]
        with b.loop(b.integer(0), count, b.lanes) as i:
            b.store(x, b.at(self.sums[r], i, size))

    def tile(self, at: list[V], rows: V, columns: V, first: V) -> None:
        """Combine one tile, given where its operands begin."""
        b = self.b
        for n in range(self.inputs):
            self.pack(n, at[n], rows, columns, first)
        self.ahead = self.further_on()
        if self.scheme.flat:
            self.run(
                [tile or there for tile, there in zip(self.tiles, at)], b.mul(rows, columns), b.integer(0)
            )
        else:
            self.all_rows(at, rows, columns)
        for n in self.stored:
            self.unpack(n, at[n], rows, columns)

    def all_rows(self, at: list[V], rows: V, columns: V) -> None:
        """Combine the rows of a tile, several at once where they share accumulators in memory."""
        b, zero = self.b, self.b.integer(0)
        if self.across and not self.along:
            self.rows_beside(at, rows, columns)
            return
        with self.through(zero, rows, b.integer(1)) as (row, _):
            there = self.row_of_all(at, row, columns)
            if self.along and any(self.tiles):
                with b.loop(zero, columns, ALONG) as j:
                    count = b.least(b.integer(ALONG), b.sub(columns, j))
                    self.run(self.further(there, j), count, zero if self.across else row)
            else:
                self.run(there, columns, zero if self.across else row)

    def rows_beside(self, at: list[V], rows: V, columns: V) -> None:
        """Combine the rows of a tile, two of which are combined before accumulators take them up: that makes chains of additions
        short, and is less traffic between these and the cache. What takes long to compute is not written out for two rows: those
        of the first are kept in memory."""
        b, zero, one = self.b, self.b.integer(0), self.b.integer(1)
        self.ahead = self.rows_ahead()
        if self.halves:
            with b.loop(zero, rows) as row:
                second = b.ne(b.and_(row, one), zero)
                last = b.ge(b.add(row, one), rows)
                self.run_beside([self.row_of_all(at, row, columns)], columns, (second, b.or_(second, last)))
            return
        start = zero
        for together in (4, 2, 1) if self.fours() else (2, 1):
            stop = b.and_(rows, b.integer(-together))
            if together == 4:
                wide = b.gt(b.mul(columns, b.integer(self.bytes[0])), b.integer(WIDE))
                stop = b.select(wide, stop, zero)
            with b.loop(start, stop, together) as row:
                numbers = [b.add(row, b.integer(n)) for n in range(together)]
                self.run_beside([self.row_of_all(at, number, columns) for number in numbers], columns)
            start = stop

    def fours(self) -> bool:
        """Whether four rows may be read at once: of one input, by a short body."""
        return self.inputs == 1 and weight(self.kernel) <= LIGHT

    def rows_ahead(self) -> Sequence[V | None]:
        """What to ask for while rows are gone through: more of them, or if a body is longer, the next ones."""
        b, found = self.b, []
        more = None
        if weight(self.kernel) <= LIGHT and not self.halves:
            held = b.lt(b.mul(self.height, self.width), b.integer(HELD))
            more = b.select(held, b.integer(NEAR), b.integer(FAR))
        for n in range(self.inputs):
            step = self.frame.step(n, self.last - 1)
            further = more or (step if self.halves else b.mul(step, b.integer(2)))
            found.append(None if step.name == "0" else further)
        return found

    def row_of_all(self, at: list[V], row: V, columns: V) -> list[V]:
        return [self.row(n, there, row, columns) for n, there in enumerate(at)]

    def further(self, at: list[V], j: V) -> list[V]:
        """The operands' addresses so many elements further along a row."""
        return [
            self.stepped(there, n, self.last, j) if tile is None else self.b.at(there, j, self.bytes[n])
            for n, (there, tile) in enumerate(zip(at, self.tiles))
        ]

    def run(self, at: list[V], count: V, row: V) -> None:
        """Combine `count` elements, given where the operands' first are, with the accumulators of a row."""
        if self.along:
            self.run_along(at, count, row)
        else:
            self.run_beside([at], count)

    def elements(self, at: list[V]) -> tuple[list[int], dict[int, V]]:
        """The instructions that a run computes, and those that are the same for all of it."""
        kernel = self.kernel
        wanted = [kernel.body[r].args[0] for r in self.reduces] + [self.value(n) for n in self.stored]
        needed = set(closure(kernel, wanted))
        same = [n for n in self.invariant(SAME + SPLAT) if n in needed]
        return wanted, evaluate(self.b, kernel, same, self.scalars, self.repetitions(at))

    def run_beside(self, rows: list[list[V]], count: V, half: tuple[V, V] | None = None) -> None:
        """Each element with an accumulator of its own, which takes up the rows together.

        Args:
            half: of a pair of rows that come one after the other, whether this is the second, and whether no other follows.
        """
        b = self.b
        starts = [(at, *self.elements(at)) for at in rows]

        def step(i: V, mask: V | None, past: V | None, number: int) -> None:
            ahead = self.once_a_line(number) if mask is None else ()
            found: dict[int, list[V]] = {r: [] for r in self.reduces}
            for at, wanted, known in starts:
                values = evaluate(b, self.kernel, wanted, known, self.vectors(at, i, mask, ahead, 3), mask)
                for n in self.stored:
                    self.put(n, values[self.value(n)], at, i, mask, past)
                for r in self.reduces:
                    found[r].append(values[self.kernel.body[r].args[0]])
            for r, each in found.items():
                vectors = [neighbours(b, self.monoids[r], each[n : n + 2]) for n in range(0, len(each), 2)]
                # (there is room for whole vectors of accumulators, but of rows that are joined others follow; what is to be
                # stored at whole vectors of memory begins before the first)
                own = mask if self.scheme.flat or self.stored else None
                size = SIZES[self.kinds[r]]
                waits = b.at(self.halves[r], i, size) if half is not None else None
                take_up(b, self.monoids[r], vectors, b.at(self.sums[r], i, size), own, half, waits)

        run(b, count, step, self.unroll(len(rows)), self.streams(rows[0], self.stored))

    def once_a_line(self, number: int) -> Sequence[V | None]:
        """What the n-th of some vectors asks for: what lies ahead of those operands of which it begins a line of memory."""
        offsets = [number * self.span(n) for n in range(self.inputs)]
        return [None if offset % LINE_BYTES else ahead for offset, ahead in zip(offsets, self.ahead)]

    def unroll(self, rows: int) -> int:
        """Vectors at once: where rows are taken together, those of a line of memory are enough, and those left over are few."""
        light = unrolling(self.kernel)
        if rows > 1:
            span = max(map(self.span, range(self.inputs)), default=LINE_BYTES)
            return min(max(1, LINE_BYTES // span), 2, light)
        joint = self.across and not self.scheme.flat and not self.halves
        return 0 if joint else light

    def run_along(self, at: list[V], count: V, row: V) -> None:
        """All elements with a few vectors of accumulators, and these with those of the row."""
        b = self.b
        wanted, known = self.elements(at)
        past = self.aligned(at, self.stored)

        def computed(i: V, mask: V | None) -> dict[int, V]:
            values = evaluate(b, self.kernel, wanted, known, self.vectors(at, i, mask, self.ahead), mask)
            for n in self.stored:
                self.put(n, values[self.value(n)], at, i, mask, None if mask is not None else past)
            return {r: values[self.kernel.body[r].args[0]] for r in self.reduces}

        if not self.buffers:
            own = self.combined(count, computed)
        else:

            def keep(i: V, mask: V | None, *_: object) -> None:
                for r, x in computed(i, mask).items():
                    b.store(x, b.at(self.buffers[r], i, SIZES[x.kind]), mask=mask)

            def kept(i: V, mask: V | None) -> dict[int, V]:
                return {
                    r: b.load(b.at(self.buffers[r], i, SIZES[kind]), kind, mask=mask)
                    for r, kind in self.kinds.items()
                }

            run(b, count, keep, unrolling(self.kernel))
            own = self.combined(count, kept)
        for r, registers in own.items():
            for n, register in enumerate(registers):
                there = self.vector_of(r, row, n)
                x = b.load(there, self.kinds[r])
                b.store(combine(b, self.monoids[r], x, register.taken()), there)

    def combined(self, count: V, values: Callable[[V, V | None], dict[int, V]]) -> dict[int, list[Register]]:
        """Registers that have taken up `count` elements, by reductions; `values`: what gives these of vector i, and lanes that count.

        Four vectors at a time are combined before a register takes them up: that makes chains of additions short while
        loops are long, whose ends cost as much as many additions. Extremes are no chains of rounded results, and go without.
        """
        b = self.b
        own = {
            r: [Register(b, self.monoids[r], kind) for _ in range(self.wide)]
            for r, kind in self.kinds.items()
        }
        for registers in own.values():
            for register in registers:
                register.clear()
        whole = b.integer(0)
        if not {"max", "min"}.issuperset(self.monoids.values()):
            at_once = TOGETHER * self.wide
            whole = b.and_(count, b.integer(-at_once * b.lanes))
            with b.loop(b.integer(0), whole, at_once * b.lanes) as i:
                found = [values(b.add(i, b.integer(n * b.lanes)), None) for n in range(at_once)]
                for r, registers in own.items():
                    for n, register in enumerate(registers):
                        register.take_up(*[each[r] for each in found[n :: self.wide]])

        def step(i: V, mask: V | None, _: V | None, number: int) -> None:
            for r, x in values(b.add(whole, i), mask).items():
                own[r][number].take_up(x, mask=mask)

        run(b, b.sub(count, whole), step, self.wide)
        return own

    def vector_of(self, r: int, row: V, number: int) -> V:
        """The address of one of a row's vectors of accumulators."""
        b, size = self.b, SIZES[self.kinds[r]]
        index = b.add(b.mul(row, b.integer(self.wide * b.lanes)), b.integer(number * b.lanes))
        return b.at(self.sums[r], index, size)

    # ---- from accumulators to results ----

    def fold(self, kept_rows: V, kept_columns: V) -> None:
        """Combine the accumulators of each kept place."""
        b, plan = self.b, self.frame.plan
        for r in self.reduces:
            if self.along:
                with self.through(b.integer(0), kept_rows, b.integer(1)) as (row, _):
                    vectors = [b.load(self.vector_of(r, row, n), self.kinds[r]) for n in range(self.wide)]
                    x = Register(b, self.monoids[r], self.kinds[r]).folded(vectors)
                    b.store(x, b.at(self.results[r], row, SIZES[self.kinds[r]]))
            elif self.scheme.flat and self.across:
                with b.loop(b.integer(0), plan("levels")) as level:
                    half = b.lshr(plan("joined"), b.add(level, b.integer(1)))
                    count = b.mul(half, kept_columns)
                    self.join(r, [self.sums[r], b.at(self.sums[r], count, SIZES[self.kinds[r]])], count)

    def join(self, r: int, places: list[V], count: V) -> None:
        """Combine `count` accumulators at some places (a power of two), neighbours first, into those at the first."""
        b, kind = self.b, self.kinds[r]

        def step(i: V, mask: V | None, *_: object) -> None:
            there = [b.at(place, i, SIZES[kind]) for place in places]
            found = neighbours(b, self.monoids[r], [b.load(x, kind, mask=mask) for x in there])
            b.store(found, there[0], mask=mask)

        run(b, count, step, 1)

    # ---- chunks' results, and theirs ----

    def partial(self, r: int, part: V, place: V) -> V:
        """Where in scratch memory the result of a chunk for a kept place is."""
        b, plan = self.b, self.frame.plan
        number = b.add(b.mul(b.integer(self.reduces.index(r)), plan("parts")), part)
        start = b.at(self.frame.scratch(), b.mul(number, plan("places")), 8)
        return b.at(start, place, SIZES[self.kinds[r]])

    def spill(self, place: V, count: V) -> None:
        """Write the results of a chunk to scratch memory."""
        for r, there in self.results.items():
            self.copy(r, there, self.partial(r, self.part, place), count)

    def copy(self, r: int, source: V, to: V, count: V) -> None:
        b, kind = self.b, self.kinds[r]

        def step(i: V, mask: V | None, *_: object) -> None:
            x = b.load(b.at(source, i, SIZES[kind]), kind, mask=mask)
            b.store(x, b.at(to, i, SIZES[kind]), mask=mask)

        run(b, count, step, 1)

    def merge(self, place: V, count: V) -> None:
        """Combine the results of neighbouring chunks, then of neighbouring pairs, and so on: two such steps at a time."""
        b, parts = self.b, self.frame.plan("parts")
        for r in self.reduces:
            with b.loop(b.integer(0), self.frame.plan("levels")) as level:
                width = b.shl(b.integer(1), b.shl(level, b.integer(1)))
                four = b.shl(width, b.integer(2))
                last = b.mul(b.div(b.sub(parts, b.integer(1)), four), four)
                whole = b.sub(parts, b.mul(width, b.integer(3)))
                with b.loop(b.integer(0), whole, four) as part:
                    numbers = [b.add(part, b.mul(width, b.integer(n))) for n in range(TOGETHER)]
                    self.join(r, [self.partial(r, number, place) for number in numbers], count)
                # (the last four may be two or three)
                rest = b.select(b.lt(last, whole), parts, b.add(last, width))
                with b.loop(rest, parts, width) as other:
                    self.join(r, [self.partial(r, last, place), self.partial(r, other, place)], count)

    # ---- after the reduction ----

    def finish(self, at: list[V], results: dict[int, V], rows: V, columns: V) -> None:
        """Compute the outputs of a tile of kept places from their results."""
        b, kernel = self.b, self.kernel
        for n in range(self.inputs):
            self.copy_kept(n, at[n], rows, columns, True)
        here = [tile or there for tile, there in zip(self.kept_tiles, at)]
        wanted = [self.value(n) for n in self.finished]
        needed = closure(kernel, wanted, self.reduces)
        same = [n for n in self.kept_invariant() if n in needed]
        known = evaluate(b, kernel, same, self.scalars, self.repetitions(here))

        def step(i: V, mask: V | None, past: V | None, _: int) -> None:
            loaded = {
                r: b.load(b.at(results[r], i, SIZES[kind]), kind, mask=mask) for r, kind in self.kinds.items()
            }
            values = evaluate(
                b, kernel, wanted, {**known, **loaded}, self.vectors(here, i, mask, kept=True), mask
            )
            for n in self.finished:
                self.put(n, values[self.value(n)], here, i, mask, past)

        direct = all(self.kept_tiles[n] is None for n in self.finished)
        run(b, b.mul(rows, columns), step, 1, self.streams(here, self.finished) if direct else None)
        for n in self.finished:
            self.copy_kept(n, at[n], rows, columns, False)

    def kept_invariant(self) -> list[int]:
        """Instructions after the reduction that are the same for a whole tile."""
        found: list[int] = []
        for n, inst in enumerate(self.kernel.body):
            if inst.verb == "load":
                same = self.scheme.kept[inst.attr] in SAME  # type: ignore[index]
            else:
                same = inst.verb != "reduce" and all(a in found for a in inst.args)
            if same:
                found.append(n)
        return found

    def copy_kept(self, n: int, at: V, rows: V, columns: V, pack: bool) -> None:
        """Copy an operand's kept places to its tile, or back."""
        b, tile, size = self.b, self.kept_tiles[n], self.bytes[n]
        if tile is None:
            return
        there = [self.frame.step(n, self.last - 1), self.frame.step(n, self.last)]
        here = [b.mul(columns, b.integer(size)), b.integer(size)]
        to, source = ([tile, *here], [at, *there]) if pack else ([at, *there], [tile, *here])
        b.call(f"copy{size}", [to[0], source[0], rows, columns, *to[1:], *source[1:]])
