"""Kernels of rows whose elements lie far apart, as code: rows beside each other are gone through together.

Seen as the memory lies, the rows of such a kernel are columns, and its last two dimensions come exchanged.

1. A task is a number of columns, done a block at a time. A block's inputs are copied to scratch memory, where they
   stay in the cache (the places that a column has in memory often compete for a few lines of the cache).
2. Each pass goes through the block line by line. Each column has an accumulator; those of some lines are
   combined with those of all lines before so that sums stay accurate.
3. What has one value for a column is computed once for each, between the passes.
"""

from __future__ import annotations

from collections.abc import Iterable

from rushlight.codegen.body import closure, evaluate, unrolling
from rushlight.codegen.kernel import FIXED, Kernel
from rushlight.codegen.monoids import combine, identity, neighbours, take_up
from rushlight.codegen.nest import COPIERS, FIRST, LAST, Nest
from rushlight.codegen.plan import DIRECT, SAME, SPLAT, Scheme
from rushlight.codegen.reduction_plan import in_pairs
from rushlight.codegen.row_plan import COLUMNS, COLUMNS_PLAN, LINES, blocks
from rushlight.codegen.run import run
from rushlight.codegen.stages import stages
from rushlight.codegen.values import SIZES, V


class RowColumns(Nest):
    """Writes one kernel of columns.

    Attributes:
        blocks: the numbers of the blocks of scratch memory, for operands and for cached instructions.
        uniform: instructions that all columns share.
        halves: room for what each reduction combines of a line, where lines are combined in pairs of which one is computed after the
            other.
        per_column: for instructions that a column has one value of, and that elements or results need: where they are.
    """

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, COLUMNS_PLAN, vector_bytes)
        b = self.b
        self.stages = stages(kernel)
        operands, cached = blocks(kernel, scheme)
        self.packed = {n: number for number, n in enumerate(operands)}
        self.cached = {n: len(operands) + number for number, n in enumerate(cached)}
        self.uniform = [n for n in self.invariant(SAME) if n in self.stages.needed]
        self.own = {r: b.room(kernel.body[r].kind, 1, COLUMNS) for r in self.stages.reduces}
        self.halves = {r: b.room(kernel.body[r].kind, 1, COLUMNS) for r in self.own if not in_pairs(kernel)}
        self.per_column = {n: b.room(kernel.body[n].kind, 1, COLUMNS) for n in self.exported()}
        self.edges = {n: b.room(o.kind, 1, COLUMNS) for n, o in enumerate(self.operands) if self.edge(n)}

    def edge(self, n: int) -> bool:
        """Whether an operand has one element for each column, and these do not lie side by side."""
        return self.operands[n].walk[-2] == FIXED and self.scheme.modes[n] not in DIRECT + SAME

    def exported(self) -> list[int]:
        """Instructions that a column has one value of, and that something else needs."""
        s, body = self.stages, self.kernel.body
        single = {n for n in s.needed if not s.varies[n] and n not in self.uniform}
        found = {a for n in s.needed if s.varies[n] or s.depth[n] > 0 for a in body[n].args} & single
        return sorted(found | set(s.reduces) | {self.kernel.outputs[n].value for n in s.finished} & single)

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan = self.b, self.frame, self.frame.plan
        planes = b.integer(1) if self.last == 1 else plan("planes")
        blocked = self.packed or self.cached
        self.scratch = self.take_slot() if blocked else frame.scratch()
        with b.loop(FIRST, LAST) as task:
            rest, columns = self.block(task, "nj", self.width)
            j0, j1 = self.extent(columns, plan("bj"), self.width)
            with self.through(*self.extent(rest, plan("bp"), planes), b.integer(1)) as (plane, _):
                start = [frame.address(n) for n in range(frame.count)]
                bases = self.within(start, plane, range(self.last - 1))
                with self.through(j0, j1, plan("tj")) as (j, count):
                    self.columns(self.moved(bases, self.last, j), count)
        if blocked:
            self.leave_slot()
        return self.module()

    # ---- a block of columns ----

    def columns(self, at: list[V], count: V) -> None:
        """Do `count` columns, given where their operands begin."""
        s = self.stages
        for n in range(self.inputs):
            self.bring(n, at[n], count)
        here = [self.edges.get(n, there) for n, there in enumerate(at)]
        self.uniform_values = evaluate(self.b, self.kernel, self.uniform, self.scalars, self.repetitions(at))
        self.between(0, here, count)
        for number in range(s.passes):
            self.go_through(number, here, count)
            self.between(number + 1, here, count)
        for n in range(self.inputs, len(self.operands)):
            self.take_away(n, at[n], count)

    def place(self, number: int, count: V) -> V:
        """Where a block of scratch memory is; each has room for elements of 8 bytes."""
        b = self.b
        return b.at(self.scratch, b.mul(b.mul(self.height, self.frame.plan("tj")), b.integer(number)), 8)

    def bring(self, n: int, at: V, count: V) -> None:
        """Copy an input's block, or what it has for each column, to where its elements lie side by side."""
        b, size, mode = self.b, self.bytes[n], self.scheme.modes[n]
        down, along = self.frame.step(n, self.last - 1), self.frame.step(n, self.last)
        pitch, unit = b.mul(count, b.integer(size)), b.integer(size)
        if n in self.edges:
            b.call(f"copy{size}", [self.edges[n], at, b.integer(1), count, pitch, unit, down, along])
        elif n in self.packed:
            name = "lines" if mode == DIRECT else COPIERS.get(mode, "copy")
            to = self.place(self.packed[n], count)
            b.call(f"{name}{size}", [to, at, self.height, count, pitch, unit, down, along])

    def take_away(self, n: int, at: V, count: V) -> None:
        """Copy an output's block, or what it has for each column, to where it belongs."""
        b, size, mode = self.b, self.bytes[n], self.scheme.modes[n]
        down, along = self.frame.step(n, self.last - 1), self.frame.step(n, self.last)
        pitch, unit = b.mul(count, b.integer(size)), b.integer(size)
        if n in self.edges:
            b.call(f"copy{size}", [at, self.edges[n], b.integer(1), count, down, along, pitch, unit])
        elif n in self.packed and mode in COPIERS:
            source = self.place(self.packed[n], count)
            b.call(f"{COPIERS[mode]}{size}", [at, source, count, self.height, along, down, unit, pitch])
        elif n in self.packed:
            source = self.place(self.packed[n], count)
            b.call(f"copy{size}", [at, source, self.height, count, down, along, pitch, unit])

    # ---- what a column has one value of ----

    def between(self, number: int, here: list[V], count: V) -> None:
        """Compute what is known of each column before a pass, and was not before the one before it."""
        b, s, kernel = self.b, self.stages, self.kernel
        values = [n for n in s.same(number) if n in self.per_column]
        stores = [n for n in s.finished if s.depth[kernel.outputs[n].value] == number]
        if not (values or stores):
            return
        wanted = [*values, *[kernel.outputs[n].value for n in stores]]
        earlier = [n for n in self.per_column if n not in values]

        def step(i: V, mask: V | None, *_: object) -> None:
            known = {**self.uniform_values, **self.loaded(earlier, wanted, i)}
            found = evaluate(b, kernel, wanted, known, self.vectors(here, i, mask), mask)
            for n in values:
                b.store(found[n], b.at(self.per_column[n], i, SIZES[kernel.body[n].kind]))
            for n in stores:
                m = self.inputs + n
                b.store(found[kernel.outputs[n].value], b.at(here[m], i, self.bytes[m]), mask=mask)

        run(b, count, step, 1)

    def loaded(self, single: Iterable[int], wanted: list[int], i: V) -> dict[int, V]:
        """Values of columns i and following that are known, as far as `wanted` needs them. (There is room for whole vectors.)"""
        b, body = self.b, self.kernel.body
        single = list(single)
        direct = set(wanted) | {
            a for n in closure(self.kernel, wanted, [*single, *self.uniform]) for a in body[n].args
        }
        return {
            n: b.load(b.at(self.per_column[n], i, SIZES[body[n].kind]), body[n].kind)
            for n in single
            if n in direct
        }

    # ---- passes ----

    def go_through(self, number: int, here: list[V], count: V) -> None:
        """One pass over a block: some lines, and again."""
        b, s = self.b, self.stages
        reduced = s.reduced(number)
        for r in reduced:
            self.fill(r, self.per_column[r], count)
        with b.loop(b.integer(0), self.height, LINES) as first:
            stop = b.least(b.add(first, b.integer(LINES)), self.height)
            for r in reduced:
                self.fill(r, self.own[r], count)
            if self.halves:
                with b.loop(first, stop) as line:
                    second = b.ne(b.and_(line, b.integer(1)), b.integer(0))
                    last = b.or_(second, b.ge(b.add(line, b.integer(1)), stop))
                    self.lines(number, [line], here, count, (second, last))
            else:
                several = b.add(first, b.and_(b.sub(stop, first), b.integer(-2)))
                with b.loop(first, several, 2) as line:
                    self.lines(number, [line, b.add(line, b.integer(1))], here, count)
                with b.loop(several, stop) as line:
                    self.lines(number, [line], here, count)
            for r in reduced:
                self.join(r, count)

    def fill(self, r: int, to: V, count: V) -> None:
        b, inst = self.b, self.kernel.body[r]
        nothing = b.const(identity(str(inst.attr), inst.kind), inst.kind)
        with b.loop(b.integer(0), count, b.lanes) as i:
            b.store(nothing, b.at(to, i, SIZES[inst.kind]))

    def join(self, r: int, count: V) -> None:
        """Combine the accumulators of some lines with those of all before."""
        b, inst = self.b, self.kernel.body[r]

        with b.loop(b.integer(0), count, b.lanes) as i:
            there, own = (b.at(x, i, SIZES[inst.kind]) for x in (self.per_column[r], self.own[r]))
            x = combine(b, str(inst.attr), b.load(there, inst.kind), b.load(own, inst.kind))
            b.store(x, there)

    def lines(
        self, number: int, lines: list[V], here: list[V], count: V, half: tuple[V, V] | None = None
    ) -> None:
        """One pass over a line of a block, or two, which are combined before their columns' accumulators take them up.

        Args:
            half: of a pair of lines that come one after the other, whether this is the second, and whether no other follows.
        """
        b, s, kernel = self.b, self.stages, self.kernel
        reduced = s.reduced(number)
        wanted = s.wanted(number)
        stores = [self.inputs + n for n in s.stored] if number == s.passes - 1 else []
        places = [self.line(line, here, count) for line in lines]
        cached = [self.cached_line(line, count) for line in lines]
        single = [n for n in self.per_column if s.depth[n] <= number and n not in reduced]
        needed = closure(kernel, wanted, [*single, *self.uniform])
        splat = {
            n
            for n in needed
            if kernel.body[n].verb == "load" and self.scheme.modes[kernel.body[n].attr] == SPLAT
        }  # type: ignore[index]
        repeated = [evaluate(b, kernel, splat, {}, self.repetitions(at)) for at in places]
        aligned = [self.aligned(at, stores) for at in places]

        def step(i: V, mask: V | None, *_: object) -> None:
            columns = {**self.uniform_values, **self.loaded(single, wanted, i)}
            found: dict[int, list[V]] = {r: [] for r in reduced}
            for at, kept, same, past in zip(places, cached, repeated, aligned):
                there = {n: b.at(x, i, SIZES[kernel.body[n].kind]) for n, x in kept.items()}
                earlier = {
                    n: b.load(there[n], kernel.body[n].kind, mask=mask)
                    for n, when in s.cached.items() if when < number and n in needed
                }  # fmt: skip
                values = evaluate(
                    b, kernel, wanted, {**columns, **same, **earlier}, self.vectors(at, i, mask), mask
                )
                for n, when in s.cached.items():
                    if when == number:
                        b.store(values[n], there[n], mask=mask)
                for n in stores:
                    self.put(
                        n,
                        values[kernel.outputs[n - self.inputs].value],
                        at,
                        i,
                        mask,
                        past if mask is None else None,
                    )
                for r in reduced:
                    found[r].append(values[kernel.body[r].args[0]])
            for r, vectors in found.items():
                monoid, size = str(kernel.body[r].attr), SIZES[kernel.body[r].kind]
                waits = b.at(self.halves[r], i, size) if half is not None else None
                pair = [neighbours(b, monoid, vectors)]
                take_up(b, monoid, pair, b.at(self.own[r], i, size), half=half, waits=waits)

        unroll = 1 if len(lines) > 1 or not in_pairs(kernel) else 0
        run(b, count, step, min(unroll, unrolling(kernel)))

    def line(self, line: V, here: list[V], count: V) -> list[V]:
        """Where the operands of a line begin."""
        b = self.b
        found = [self.stepped(at, n, self.last - 1, line) for n, at in enumerate(here)]
        for n, number in self.packed.items():
            found[n] = b.at(self.place(number, count), b.mul(line, count), self.bytes[n])
        return found

    def cached_line(self, line: V, count: V) -> dict[int, V]:
        """Where a line's cached instructions are."""
        b = self.b
        return {
            n: b.at(self.place(number, count), b.mul(line, count), SIZES[self.kernel.body[n].kind])
            for n, number in self.cached.items()
        }
