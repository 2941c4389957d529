"""Scans along a dimension that is not the last: vectors whose lanes are neighbouring columns.

A task takes some columns of a panel (what the last dimension and the scanned one span) and walks down the rows, a few
at a time. Accumulators of all its columns lie on the stack, in the first-level cache.
"""

from __future__ import annotations

from rushlight.codegen.body import evaluate, weight
from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.scans import (
    ANYHOW,
    CHUNK,
    COLUMNS,
    FEW_ROWS,
    LIGHT,
    ONE,
    ROWS,
    TURN,
    TURN_BACK,
    TURNS,
    Scan,
    Scheme,
    Span,
    column_lanes,
    transposed,
)
from rushlight.codegen.values import SIZES, V


class Columns(Scan):
    """The loop nest."""

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, column_lanes(kernel, vector_bytes))
        k = self.k
        self.turns = not TURNS.isdisjoint(scheme.modes)
        most = self.lanes if self.turns else ROWS if weight(kernel) <= LIGHT else FEW_ROWS
        self.group = min(most, scheme.short or most)
        self.local, self.carry = (
            {n: k.room(self.kind(n), 1, COLUMNS) for n in self.levels} for _ in range(2)
        )

    # ---- tasks ----

    def whole(self, task: V) -> None:
        """A block of columns, chunk after chunk."""
        k = self.k
        self.block(task)
        self.fill(self.carry)
        with k.loop(k.integer(0), self.frame.plan("chunks")) as chunk:
            self.fill(self.local)
            start = k.mul(chunk, k.integer(CHUNK))
            self.stretch(self.final, start, self.k.least(k.add(start, k.integer(CHUNK)), self.length))
            with k.loop(k.integer(0), self.count, self.lanes) as column:
                for n in self.levels:
                    carry, local = self.state(self.carry, n, column), self.state(self.local, n, column)
                    kind = self.kind(n)
                    k.store(self.combine(n, k.load(carry, kind), k.load(local, kind)), carry)

    def pieces(self, start: V, stop: V) -> V:
        k = self.k
        panels = k.div(self.frame.plan("lines"), self.frame.plan("pitch"))
        return k.mul(k.mul(panels, self.blocks()), k.sub(stop, start))

    def chunks(self, task: V, level: int, span: Span) -> None:
        """A block of columns of one chunk."""
        k = self.k
        chunks = k.sub(span.stop, span.start)
        self.block(k.div(task, chunks))
        step = k.rem(task, chunks)
        for n in self.carried(level):
            self.enter(n, span, step, leave=self.levels[n] == level - 1)
        self.fill(self.local)
        start = k.mul(k.add(span.start, step), k.integer(CHUNK))
        self.stretch(level, start, k.least(k.add(start, k.integer(CHUNK)), self.length))
        for n in self.counted(level):
            with k.loop(k.integer(0), self.count, self.lanes) as column:
                total = k.load(self.state(self.local, n, column), self.kind(n))
                k.store(total, self.total(n, span.number, step, k.add(self.line, column)))

    def enter(self, n: int, span: Span, step: V, leave: bool) -> None:
        """What comes before a chunk, from what came before the span and what its chunks come to. The last of them leaves
        that for the next span."""
        k, kind, number = self.k, self.kind(n), span.number
        with k.loop(k.integer(0), self.count, self.lanes) as column:
            line, carry = k.add(self.line, column), self.state(self.carry, n, column)
            k.store(self.identity(n), carry)
            with k.when(k.gt(span.start, k.integer(0))):
                k.store(k.load(self.before(n, number, line), kind), carry)
            with k.loop(k.integer(0), step) as chunk:
                total = k.load(self.total(n, number, chunk, line), kind)
                k.store(self.combine(n, k.load(carry, kind), total), carry)
            if leave:
                following = k.add(number, k.integer(1))
                with k.when(k.eq(k.add(step, k.integer(1)), k.sub(span.stop, span.start))):
                    total = k.load(self.total(n, number, step, line), kind)
                    k.store(self.combine(n, k.load(carry, kind), total), self.before(n, following, line))

    # ---- places ----

    def blocks(self) -> V:
        """How many blocks of columns a panel has."""
        k, width = self.k, self.frame.plan("width")
        return k.div(k.add(self.frame.size(self.dims - 1), k.sub(width, k.integer(1))), width)

    def block(self, number: V) -> None:
        """Note where a block of columns begins, and how many columns it has."""
        k, columns, width, blocks = (
            self.k,
            self.frame.size(self.dims - 1),
            self.frame.plan("width"),
            self.blocks(),
        )
        panel, first = k.div(number, blocks), k.mul(k.rem(number, blocks), width)
        self.count = self.k.least(width, k.sub(columns, first))
        self.line = k.add(k.mul(panel, self.frame.plan("pitch")), first)
        kept = [d for d in range(self.dims - 1) if d != self.at]
        self.base, self.unfit = [], k.integer(0)
        for n, address in enumerate(self.addresses):
            offset = k.add(self.offset(n, panel, kept), k.mul(first, self.steps[n][self.dims - 1]))
            self.base.append(k.at(address, offset))
            if n in self.outputs:
                pitch = self.steps[n][self.dims - 1 if self.scheme.modes[n] in TURNS else self.at]
                self.unfit = k.or_(self.unfit, k.or_(self.misfit(n, self.base[n]), pitch))
        self.unfit = k.and_(self.unfit, k.integer(63))

    def fill(self, states: dict[int, V]) -> None:
        with self.k.loop(self.k.integer(0), self.count, self.lanes) as column:
            for n in self.levels:
                self.k.store(self.identity(n), self.state(states, n, column))

    def state(self, states: dict[int, V], n: int, column: V) -> V:
        return self.k.at(states[n], column, SIZES[self.kind(n)])

    # ---- loops ----

    def stretch(self, level: int, start: V, stop: V) -> None:
        """Rows, within a chunk: most of them a few at a time in whole vectors; then the columns that are left over, and
        the rows."""
        k, zero = self.k, self.k.integer(0)
        some = k.sub(stop, k.rem(k.sub(stop, start), k.integer(self.group)))
        whole = k.sub(self.count, k.rem(self.count, k.integer(self.lanes)))
        with k.loop(start, some, self.group) as row:
            starts = self.starts(level, row, self.group)
            with k.loop(zero, whole, self.lanes) as column:
                self.vectors(level, starts, row, self.group, column, None)
        with k.loop(zero, k.integer(2)) as turn:
            columns_left = k.eq(turn, zero)
            first, last = k.select(columns_left, start, some), k.select(columns_left, some, stop)
            with k.when(k.or_(k.not_(columns_left), k.lt(whole, self.count))), k.loop(first, last) as row:
                starts = self.starts(level, row, 1)
                with k.loop(k.select(columns_left, whole, zero), self.count, self.lanes) as column:
                    self.vectors(level, starts, row, 1, column, k.sub(self.count, column))

    def starts(self, level: int, row: V, rows: int) -> dict[int, list[V]]:
        """Where some rows begin."""
        k = self.k
        return {
            n: [
                k.at(self.base[n], k.mul(k.add(row, k.integer(i)), self.steps[n][self.at]))
                for i in range(rows)
            ]
            for n in (*self.loads(level), *(self.outputs if level == self.final else ()))
        }

    def vectors(
        self, level: int, starts: dict[int, list[V]], row: V, rows: int, column: V, count: V | None
    ) -> None:
        """Some rows of as many columns as there are lanes, or of the first `count`."""
        k = self.k
        mask = None if count is None else k.below(count)
        local = {n: self.state(self.local, n, column) for n in self.scans(level)}
        state = {n: k.load(at, self.kind(n)) for n, at in local.items()}
        carry = {n: k.load(self.state(self.carry, n, column), self.kind(n)) for n in self.carried(level)}
        outputs: dict[int, list[V]] = {n: [] for n in self.outputs}
        turned = {
            n: self.read_turned(n, starts[n][0], column) for n in self.turned(count) if n in self.loads(level)
        }
        for i in range(rows):

            def load(_: int, inst: Inst, i: int = i) -> V:
                if inst.verb == "param":
                    return self.scalars[inst.attr]  # type: ignore[index]
                if inst.verb == "place":
                    return k.splat(k.add(row, k.integer(i)))
                if inst.attr in turned:
                    return turned[inst.attr][i]  # type: ignore[index]
                return self.read(inst.attr, starts[inst.attr][i], column, count, mask)  # type: ignore[index, arg-type]

            values: dict[int, V] = {}
            for n in local:
                (x,) = self.kernel.body[n].args
                values = evaluate(k, self.kernel, [x], values, load, mask)
                state[n] = self.combine(n, state[n], values[x])
                if n in carry:
                    values[n] = self.combine(n, carry[n], state[n])
            if level == self.final:
                values = evaluate(k, self.kernel, self.wanted(level), values, load, mask)
                for n, store in zip(self.outputs, self.kernel.outputs):
                    outputs[n].append(values[store.value])
        for n, at in local.items():
            k.store(state[n], at)
        if level == self.final:
            self.write_all(outputs, starts, column, count, mask)

    # ---- memory ----

    def read(self, number: int, row: V, column: V, count: V | None, mask: V | None) -> V:
        k, kind, mode = self.k, self.operands[number].kind, self.scheme.modes[number]
        if mode == ONE:
            return k.splat(k.load(row, kind, 1))
        if mode in ANYHOW + TURN + TURN_BACK:
            found = k.const(0, kind) if kind not in "eE" else V("zeroinitializer", kind, self.lanes)
            for lane in range(self.lanes):
                found = k.insert(found, k.load(self.element(number, row, column, lane, count), kind, 1), lane)
            return found
        return k.load(k.at(row, column, SIZES[kind]), kind, mask=mask)

    def write_all(
        self,
        outputs: dict[int, list[V]],
        starts: dict[int, list[V]],
        column: V,
        count: V | None,
        mask: V | None,
    ) -> None:
        """Past the caches if that is asked for, and nothing lies askew."""
        k = self.k
        if not self.kernel.stream or count is not None:
            self.write(outputs, starts, column, count, mask, False)
            return
        fit = k.eq(self.unfit, k.integer(0))
        for stream in (True, False):
            with k.when(fit if stream else k.not_(fit)):
                self.write(outputs, starts, column, count, mask, stream)

    def write(
        self,
        outputs: dict[int, list[V]],
        starts: dict[int, list[V]],
        column: V,
        count: V | None,
        mask: V | None,
        stream: bool,
    ) -> None:
        k = self.k
        for n, values in outputs.items():
            kind, mode = self.operands[n].kind, self.scheme.modes[n]
            if n in self.turned(count):
                self.write_turned(n, values, starts[n][0], column, stream)
                continue
            for x, row in zip(values, starts[n]):
                if mode in ANYHOW + TURN + TURN_BACK:
                    self.scatter(n, x, row, column, count)
                else:
                    align = min(self.lanes * SIZES[kind], 64) if stream else SIZES[kind]
                    k.store(x, k.at(row, column, SIZES[kind]), align, stream, mask)

    # ---- columns side by side ----

    def turned(self, count: V | None) -> list[int]:
        """The operands of which square tiles are transposed: not where a tile is not whole."""
        return [n for n, mode in enumerate(self.scheme.modes) if mode in TURNS] if count is None else []

    def parts(self, n: int, row: V, column: V) -> list[V]:
        """The lowest addresses of a tile's columns."""
        k, back = self.k, self.scheme.modes[n] == TURN_BACK
        lowest = k.at(row, k.integer(1 - self.group if back else 0), SIZES[self.operands[n].kind])
        step = self.steps[n][self.dims - 1]
        return [k.at(lowest, k.mul(k.add(column, k.integer(lane)), step)) for lane in range(self.lanes)]

    def read_turned(self, n: int, row: V, column: V) -> list[V]:
        """A vector of columns for each row of a tile."""
        k, kind = self.k, self.operands[n].kind
        columns = [k.load(part, self.stored(n), 0, SIZES[kind]) for part in self.parts(n, row, column)]
        rows = [self.meant(x, kind) for x in transposed(k, columns)]
        return rows[::-1] if self.scheme.modes[n] == TURN_BACK else rows

    def write_turned(self, n: int, rows: list[V], row: V, column: V, stream: bool) -> None:
        k, size = self.k, SIZES[self.operands[n].kind]
        rows = [self.moved(x) for x in rows]
        columns = transposed(k, rows[::-1] if self.scheme.modes[n] == TURN_BACK else rows)
        align = min(self.group * size, 64) if stream else size
        for x, part in zip(columns, self.parts(n, row, column)):
            k.store(x, part, align, stream)

    # ---- columns that lie anyhow ----

    def scatter(self, n: int, x: V, row: V, column: V, count: V | None) -> None:
        k = self.k
        for lane in range(self.lanes):
            with k.when(k.lt(k.integer(lane), count if count is not None else k.integer(self.lanes))):
                k.store(k.extract(x, lane), self.element(n, row, column, lane, count))

    def element(self, number: int, row: V, column: V, lane: int, count: V | None) -> V:
        """A lane's address; the last column's where there is none."""
        k = self.k
        index = (
            k.integer(lane) if count is None else self.k.least(k.integer(lane), k.sub(count, k.integer(1)))
        )
        return k.at(row, k.mul(k.add(column, index), self.steps[number][self.dims - 1]))
