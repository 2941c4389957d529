"""Kernels of the form rows, as code: a row is gone through several times while it is in the cache.

1. A task is a number of rows, done by groups: of short rows a few, of others one.
2. Each pass computes the reductions that can be known by then (`stages`), with a few vectors of accumulators as
   `reductions` has it. The last pass stores the elements. A pass goes through all rows of a group before the next one begins:
   what ends a row is a chain of instructions that wait for one another, and meanwhile the processor is at the next row.
3. What a pass has computed is computed again by the next if that is cheap, and kept in scratch memory if it is not. Rows
   whose elements do not lie side by side are copied there first.
"""

from __future__ import annotations

from rushlight.codegen.body import closure, evaluate, unrolling
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.nest import AHEAD, FIRST, LAST, Nest
from rushlight.codegen.plan import Scheme
from rushlight.codegen.registers import Register
from rushlight.codegen.row_plan import GROUP, LONG, ROWS_PLAN, STRETCH, buffers
from rushlight.codegen.run import run
from rushlight.codegen.stages import stages
from rushlight.codegen.values import SIZES, V


class Rows(Nest):
    """Writes one kernel of rows.

    Attributes:
        packed, cached: the numbers of the rows of scratch memory, for packed operands and for cached instructions.
        results: for each reduction, those of the rows of a group.
    """

    def __init__(
        self, kernel: Kernel, scheme: Scheme, vector_bytes: int, plan: tuple[str, ...] = ROWS_PLAN
    ) -> None:
        super().__init__(kernel, scheme, plan, vector_bytes)
        self.stages = stages(kernel)
        self.wide = self.accumulators()
        self.own = self.registers()
        self.all = self.registers()
        self.results = {r: self.b.room(kernel.body[r].kind, 1, GROUP) for r in self.stages.reduces}
        packed, cached = buffers(kernel, scheme)
        self.packed = {n: number for number, n in enumerate(packed)}
        self.cached = {n: len(packed) + number for number, n in enumerate(cached)}

    def registers(self) -> dict[int, list[Register]]:
        """Vectors of accumulators, for each reduction."""
        insts = {r: self.kernel.body[r] for r in self.stages.reduces}
        return {
            r: [Register(self.b, str(inst.attr), inst.kind) for _ in range(self.wide)]
            for r, inst in insts.items()
        }

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan = self.b, self.frame, self.frame.plan
        planes = b.integer(1) if self.last == 1 else plan("planes")
        buffered = self.packed or self.cached
        self.scratch = self.take_slot() if buffered else frame.scratch()
        with b.loop(FIRST, LAST) as task:
            rest, rows = self.block(task, "ni", self.height)
            i0, i1 = self.extent(rows, plan("bi"), self.height)
            with self.through(*self.extent(rest, plan("bp"), planes), b.integer(1)) as (plane, _):
                start = [frame.address(n) for n in range(frame.count)]
                bases = self.within(start, plane, range(self.last - 1))
                with self.through(i0, i1, plan("together")) as (i, count):
                    self.group(self.moved(bases, self.last - 1, i), count)
        if buffered:
            self.leave_slot()
        return self.module()

    def buffer(self, number: int, row: V) -> V:
        """A row of scratch memory, of a row of a group; each has room for elements of 8 bytes."""
        b = self.b
        number_of_all = b.add(b.mul(b.integer(number), self.frame.plan("together")), row)
        return b.at(self.scratch, b.mul(number_of_all, self.width), 8)

    # ---- rows ----

    def group(self, at: list[V], count: V) -> None:
        """Do some rows, given where the operands of the first begin."""
        for number in range(self.stages.passes):
            with self.b.loop(self.b.integer(0), count) as row:
                self.row_of(number, self.moved(at, self.last - 1, row), row)

    def row_of(self, number: int, at: list[V], row: V) -> None:
        """One pass over a row of a group, given where its operands begin."""
        b, s, zero = self.b, self.stages, self.b.integer(0)
        here = self.bring(number, at, row, zero, self.width)
        self.go_through(number, here, row, self.known(number, at, row), zero, self.width)
        for r in s.reduced(number):
            taken = [register.taken() for register in self.all[r]]
            b.store(self.all[r][0].folded(taken), self.result(r, row))
        if number == s.passes - 1:
            self.finish(at, row)
            self.take_away(at, row, zero, self.width)

    def bring(self, number: int, at: list[V], row: V, start: V, count: V) -> list[V]:
        """Where a row's operands begin, after `count` elements of those that must be copied have been, before the first pass."""
        here = list(at)
        for n, place in self.packed.items():
            here[n] = self.buffer(place, row)
            if n < self.inputs and number == 0:
                self.copy(n, here[n], at[n], start, count, True)
        return here

    def finish(self, at: list[V], row: V) -> None:
        """Store what a row has one value of, when all passes are done."""
        known = self.known(self.stages.passes, at, row)
        for n in self.stages.finished:
            self.b.store(self.b.extract(known[self.kernel.outputs[n].value], 0), at[self.inputs + n])

    def take_away(self, at: list[V], row: V, start: V, count: V) -> None:
        """Copy `count` elements of a row's outputs to where they belong."""
        for n, place in self.packed.items():
            if n >= self.inputs:
                self.copy(n, at[n], self.buffer(place, row), start, count, False)

    def result(self, r: int, row: V) -> V:
        """The address of a reduction's result for a row of a group."""
        return self.b.at(self.results[r], row, SIZES[self.kernel.body[r].kind])

    def known(self, number: int, at: list[V], row: V) -> dict[int, V]:
        """What a row has one value of, as far as it is known before a pass."""
        b, body, s = self.b, self.kernel.body, self.stages
        reduced = [r for r in s.reduces if s.depth[r] <= number]
        results = {r: b.splat(b.load(self.result(r, row), body[r].kind, 1)) for r in reduced}
        same = [n for before in range(number + 1) for n in s.same(before)]
        return evaluate(b, self.kernel, same, {**self.scalars, **results}, self.repetitions(at))

    def copy(self, n: int, to: V, source: V, start: V, count: V, pack: bool) -> None:
        """Copy elements of a row, given where it begins, to scratch memory or back."""
        b, size = self.b, self.bytes[n]
        zero, unit, step = b.integer(0), b.integer(size), self.frame.step(n, self.last)
        steps = [unit, step] if pack else [step, unit]
        to, source = (b.at(x, b.mul(start, each)) for x, each in zip((to, source), steps))
        b.call(f"copy{size}", [to, source, b.integer(1), count, zero, steps[0], zero, steps[1]])

    def go_through(self, number: int, at: list[V], row: V, known: dict[int, V], start: V, count: V) -> None:
        """One pass over `count` elements of a row: in stretches that are short enough for their sums to stay accurate, if there are
        any."""
        b, s = self.b, self.stages
        for r in s.reduced(number):
            self.clear(self.all[r])
        if not s.reduced(number):
            there = [self.element(n, x, start) for n, x in enumerate(at)]
            self.stretch(number, there, row, start, count, known)
            return
        stop = b.add(start, count)
        with b.loop(start, stop, STRETCH) as j:
            for r in s.reduced(number):
                self.clear(self.own[r])
            there = [self.element(n, x, j) for n, x in enumerate(at)]
            self.stretch(number, there, row, j, b.least(b.integer(STRETCH), b.sub(stop, j)), known)
            for r in s.reduced(number):
                for own, whole in zip(self.own[r], self.all[r]):
                    whole.take_up(own.taken())

    def to_ask_for(self, number: int) -> list[V]:
        """What to ask for in a pass (see `vectors`): in the first more of the row, in the second the next row, unless rows
        are so long that what comes first in one is gone when its end is reached."""
        b = self.b
        more = [b.integer(AHEAD)] * self.inputs
        if number != 1:
            return [] if number else more
        is_long = b.gt(self.width, b.integer(LONG))
        steps = [
            b.mul(self.frame.step(n, self.last - 1), self.frame.plan("together")) for n in range(self.inputs)
        ]
        return [b.select(is_long, m, step) for m, step in zip(more, steps)]

    def clear(self, registers: list[Register]) -> None:
        for register in registers:
            register.clear()

    def stretch(self, number: int, at: list[V], row: V, j: V, count: V, known: dict[int, V]) -> None:
        """One pass over `count` elements from number j on, given where the operands' first are."""
        b, s, kernel = self.b, self.stages, self.kernel
        reduced, last = s.reduced(number), number == s.passes - 1
        rows = {n: b.at(self.buffer(k, row), j, SIZES[kernel.body[n].kind]) for n, k in self.cached.items()}
        stores = [self.inputs + n for n in s.stored] if last else []
        kept = [n for n, when in s.cached.items() if when == number]
        earlier = [n for n, when in s.cached.items() if when < number]
        wanted = s.wanted(number)
        needed = set(closure(kernel, wanted, known))

        def step(i: V, mask: V | None, past: V | None, turn: int) -> None:
            there = {n: b.at(rows[n], i, SIZES[kernel.body[n].kind]) for n in rows}
            loaded = {n: b.load(there[n], kernel.body[n].kind, mask=mask) for n in earlier if n in needed}
            values = evaluate(b, kernel, wanted, {**known, **loaded}, self.vectors(at, i, mask, ahead), mask)
            for n in kept:
                b.store(values[n], there[n], mask=mask)
            for n in stores:
                self.put(
                    n,
                    values[kernel.outputs[n - self.inputs].value],
                    at,
                    i,
                    mask,
                    past if not reduced else None if mask is not None else aligned,
                )
            for r in reduced:
                self.own[r][turn].take_up(values[kernel.body[r].args[0]], mask=mask)

        ahead = self.to_ask_for(number)
        aligned = self.aligned(at, stores) if reduced else None
        run(
            b,
            count,
            step,
            self.wide if reduced else unrolling(kernel),
            [] if reduced else self.streams(at, stores),
        )
