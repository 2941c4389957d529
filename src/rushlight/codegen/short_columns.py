"""Kernels of rows of a few elements, as code: rows beside each other are gone through together, in registers.

As in `row_columns` the rows are columns here, and the last two dimensions come exchanged. There are so few lines that vectors
of all of them are in registers at once.

1. A task is a number of columns. A vector of columns is loaded from each line; where the elements of columns lie one after the
   other, as many vectors are loaded as there are lines, and sorted.
2. All passes are done to these, and the results stored: memory is read and written once, and never waited for by what is
   computed with other columns. Each column's sums take lines up in the order of `row_columns` and `reductions`.
3. What is left of a task's columns, less than a vector, is copied to the stack, where there is room for whole vectors, and goes
   through the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rushlight.codegen.body import Load, evaluate
from rushlight.codegen.copying import apart, together
from rushlight.codegen.kernel import FIXED, Inst, Kernel
from rushlight.codegen.monoids import combine, identity, neighbours
from rushlight.codegen.nest import AHEAD, FIRST, LAST, LINE_BYTES, Nest
from rushlight.codegen.plan import DIRECT, NARROW, SAME, SPLAT, power_below
from rushlight.codegen.registers import Register
from rushlight.codegen.row_plan import FEW_PLAN, FewLines
from rushlight.codegen.stages import stages
from rushlight.codegen.values import V


@dataclass(frozen=True, slots=True)
class Lines:
    """Where an operand's first element of some columns is, and how many bytes from line to line."""

    at: V
    pitch: V


class Vectors:
    """A vector of columns.

    Attributes:
        start: the number of the first.
        mask: the lanes that count.
        load: what loads a line of them.
        common: what is known that a column has one value of.
        lines: what is known of each line.
    """

    def __init__(
        self, start: V, mask: V, load: Callable[[int], Load], common: dict[int, V], lines: int
    ) -> None:
        self.start, self.mask, self.load, self.common = start, mask, load, common
        self.lines: list[dict[int, V]] = [{} for _ in range(lines)]


class ShortColumns(Nest):
    """Writes one kernel of columns of a few lines.

    Attributes:
        lines: how many.
        turns, at_once: vectors of columns, and columns, that are gone through at once.
        uniform: instructions that all columns share.
        registers: for each reduction, an accumulator.
        rooms: for each operand that goes along the columns, room for a vector of them.
    """

    def __init__(self, kernel: Kernel, scheme: FewLines, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, FEW_PLAN, vector_bytes)
        self.lines, self.turns = scheme.lines, scheme.turns
        self.at_once = self.turns * self.b.lanes
        self.stages = stages(kernel)
        self.uniform = [n for n in self.invariant(SAME) if n in self.stages.needed]
        self.registers = {
            r: Register(self.b, str(inst.attr), inst.kind)
            for r, inst in [(r, kernel.body[r]) for r in self.stages.reduces]
        }
        self.rooms = {
            n: self.b.room(operand.kind, self.b.lanes, scheme.turns * self.deep(n))
            for n, operand in enumerate(self.operands)
            if scheme.modes[n] in (DIRECT, NARROW)
        }

    def rooms_for(self, modes: str) -> list[V | None]:
        """(Nothing is packed.)"""
        return [None] * len(modes)

    def deep(self, n: int) -> int:
        """How many lines an operand has."""
        return 1 if self.operands[n].walk[-2] == FIXED else self.lines

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan = self.b, self.frame, self.frame.plan
        planes = b.integer(1) if self.last == 1 else plan("planes")
        with b.loop(FIRST, LAST) as task:
            rest, columns = self.block(task, "nj", self.width)
            start, stop = self.extent(columns, plan("bj"), self.width)
            with self.through(*self.extent(rest, plan("bp"), planes), b.integer(1)) as (plane, _):
                bases = self.within(
                    [frame.address(n) for n in range(frame.count)], plane, range(self.last - 1)
                )
                self.columns(self.moved(bases, self.last, start), b.sub(stop, start))
        return self.module()

    # ---- whole vectors, and what is left ----

    def columns(self, at: list[V], count: V) -> None:
        """Do `count` columns, given where the operands begin: first whole vectors of them, then the others."""
        b, zero, one = self.b, self.b.integer(0), self.b.integer(1)
        self.uniform_values = evaluate(b, self.kernel, self.uniform, self.scalars, self.repetitions(at))
        whole = b.and_(count, b.integer(-self.at_once))
        left = b.sub(count, whole)
        ends = self.moved(at, self.last, whole)
        first = b.select(b.eq(whole, zero), one, zero)
        parts = b.select(b.eq(left, zero), one, b.integer(2))
        with b.loop(first, parts) as part:
            after = b.ne(part, zero)
            with b.when(after):
                self.bring(ends, left)
            places = [self.lines_of(n, here, after) for n, here in enumerate(at)]
            past = self.all_aligned(places, after)
            stop = b.select(after, left, whole)
            with b.loop(zero, stop, self.at_once) as i:
                self.vectors_of(places, i, stop, past)
            with b.when(after):
                self.take_away(ends, left)

    def lines_of(self, n: int, at: V, after: V) -> Lines:
        """Where an operand's lines are: in memory or, after all whole vectors, on the stack."""
        b, pitch = self.b, self.frame.step(n, self.last - 1)
        if n not in self.rooms:
            return Lines(at, pitch)
        vector = b.integer(self.at_once * self.bytes[n])
        return Lines(b.select(after, self.rooms[n], at), b.select(after, vector, pitch))

    def bring(self, at: list[V], count: V) -> None:
        """Copy a few columns of the inputs to the stack."""
        b = self.b
        for n in range(self.inputs):
            if n in self.rooms:
                for there, here, mask in self.pieces(n, at[n], count):
                    b.store(b.load(there, self.operands[n].kind, mask=mask), here)

    def take_away(self, at: list[V], count: V) -> None:
        """Copy a few columns of the outputs to where they belong."""
        b = self.b
        for n in range(self.inputs, len(self.operands)):
            for there, here, mask in self.pieces(n, at[n], count):
                b.store(b.load(here, self.operands[n].kind), there, mask=mask)

    def pieces(self, n: int, at: V, count: V) -> Iterable[tuple[V, V, V]]:
        """The vectors of a few columns: in memory, on the stack, and which lanes there are."""
        b, size = self.b, self.bytes[n]
        woven = self.scheme.modes[n] == NARROW
        elements = b.mul(count, b.integer(self.lines)) if woven else count
        for line in range(self.deep(n)):
            start = at if woven else self.stepped(at, n, self.last - 1, b.integer(line))
            for turn in range(self.turns):
                on_stack = b.integer(line * self.at_once + turn * b.lanes)
                along = on_stack if woven else b.integer(turn * b.lanes)
                mask = b.below(b.sub(elements, along))
                yield b.at(start, along, size), b.at(self.rooms[n], on_stack, size), mask

    def all_aligned(self, places: list[Lines], after: V) -> V | None:
        """Whether all lines of all outputs begin at whole vectors in memory; None if nothing is to go past the caches."""
        b = self.b
        if not self.kernel.stream or b.lanes == 1:
            return None
        found = b.not_(after)
        for n in range(self.inputs, len(self.operands)):
            address = b.define(f"ptrtoint ptr {places[n].at.name} to i64", "q", 1)
            lines_follow = self.scheme.modes[n] == NARROW or self.deep(n) == 1
            every = address if lines_follow else b.or_(address, places[n].pitch)
            over = b.and_(every, b.integer(b.lanes * self.bytes[n] - 1))
            found = b.and_(found, b.eq(over, b.integer(0)))
        return found

    # ---- some vectors of columns ----

    def vectors_of(self, places: list[Lines], i: V, stop: V, past: V | None) -> None:
        """All passes over the columns i and following, a few vectors at once: what ends a pass is a chain of instructions that
        wait for one another. `stop`: where there are no more."""
        b, kernel, s = self.b, self.kernel, self.stages
        some = []
        for turn in range(self.turns):
            start = b.add(i, b.integer(turn * b.lanes))
            mask = b.below(b.sub(stop, start))
            some.append(
                Vectors(start, mask, self.loads(places, start), dict(self.uniform_values), self.lines)
            )
        for number in range(s.passes):
            for x in some:
                x.common = evaluate(b, kernel, s.same(number), x.common, x.load(0), x.mask)
            for line in range(self.lines):
                for x in some:
                    known = {**x.common, **x.lines[line]}
                    x.lines[line] = evaluate(b, kernel, s.wanted(number), known, x.load(line), x.mask)
            for r in s.reduced(number):
                for x in some:
                    x.common[r] = self.reduced(r, [values[kernel.body[r].args[0]] for values in x.lines])
        stores = [store for x in some for store in self.stores(places, x)]
        if past is None:
            self.write(stores, False)
        else:
            b.either(past, lambda: self.write(stores, True), lambda: self.write(stores, False))

    def reduced(self, r: int, lines: list[V]) -> V:
        """A vector of each line combined: neighbouring ones, and pairs one after the other; extremes, which have no order, all at once."""
        b, inst = self.b, self.kernel.body[r]
        monoid = str(inst.attr)
        if monoid in ("max", "min"):
            register = self.registers[r]
            register.clear()
            while lines:
                some = power_below(len(lines))
                register.take_up(*lines[:some])
                lines = lines[some:]
            return register.taken()
        x = b.const(identity(monoid, inst.kind), inst.kind)
        for n in range(0, len(lines), 2):
            x = combine(b, monoid, x, neighbours(b, monoid, lines[n : n + 2]))
        return x

    def loads(self, places: list[Lines], i: V) -> Callable[[int], Load]:
        """What loads the columns i and following of a line."""
        b = self.b
        loaded: dict[int, list[V]] = {}

        def of(line: int) -> Load:
            def load(_: int, inst: Inst) -> V:
                n: int = inst.attr  # type: ignore[assignment]
                if self.scheme.modes[n] == SPLAT:
                    there = b.at(places[n].at, b.mul(places[n].pitch, b.integer(line)))
                    return b.splat(b.load(there, inst.kind, 1))
                if n not in loaded:
                    each = [self.fetched(n, self.there(n, places[n], k, i)) for k in range(self.deep(n))]
                    loaded[n] = apart(b, each) if self.scheme.modes[n] == NARROW else each
                return loaded[n][line]

            return load

        return of

    def fetched(self, n: int, there: V) -> V:
        """A vector, after what lies ahead of it has been asked for."""
        b = self.b
        for line in range(0, self.span(n), LINE_BYTES):
            b.prefetch(b.at(there, b.integer(AHEAD + line)))
        return b.load(there, self.operands[n].kind)

    def stores(self, places: list[Lines], x: Vectors) -> list[tuple[V, V, int]]:
        """What is to be stored of some columns whose passes are done: vectors, where, and their bytes."""
        b, kernel, s = self.b, self.kernel, self.stages
        common = evaluate(b, kernel, s.same(s.passes), x.common, x.load(0), x.mask)
        found = []
        for number, store in enumerate(kernel.outputs):
            n = self.inputs + number
            lines = [values[store.value] for values in ([common] if number in s.finished else x.lines)]
            woven = self.scheme.modes[n] == NARROW
            for k, line in enumerate(together(b, lines) if woven else lines):
                found.append((line, self.there(n, places[n], k, x.start), b.lanes * self.bytes[n]))
        return found

    def there(self, n: int, place: Lines, number: int, i: V) -> V:
        """The address of a vector of columns i and following, by the number of its line, or of those woven together."""
        b, size = self.b, self.bytes[n]
        if self.scheme.modes[n] == NARROW:
            start = b.at(place.at, b.mul(i, b.integer(self.lines)), size)
            return b.at(start, b.integer(number * b.lanes), size)
        start = b.at(place.at, b.mul(place.pitch, b.integer(number))) if self.deep(n) > 1 else place.at
        return b.at(start, i, size)

    def write(self, stores: list[tuple[V, V, int]], stream: bool) -> None:
        for x, there, span in stores:
            self.b.store(x, there, span if stream else 0, stream=stream)
