"""Scans along lines of memory: vectors whose lanes are lines, or chunks of one line.

A tile is a stretch of each lane's line: it is loaded along the lines, transposed in registers, scanned by one vector
operation a place, transposed back and stored along the lines. What is left of a line at its end is copied to a tile
of its own. Lanes that have no line repeat the last one that has: they read, compute and write the same.

A line is the scanned dimension, or several columns of it woven together (if they are the last dimension, and few): then
there is an accumulator for each column in turn. A lane may have several short lines, one after the other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from rushlight.codegen.body import HALVES, evaluate, weight
from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.nest import LINE_BYTES
from rushlight.codegen.scans import (
    ANYHOW,
    BACKWARD,
    CHUNK,
    LIGHT,
    NARROW,
    ONE,
    Scan,
    Scheme,
    Span,
    transposed,
)
from rushlight.codegen.values import SIZES, V

#: bytes of each lane's line to ask for before they are read
AHEAD = 1024


class Lines(Scan):
    """The loop nest. `unit`: places of a tile, a line of the cache full."""

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, 1 if scheme.alone else max(4, vector_bytes // 8))
        k, one = self.k, self.k.integer(1)
        smallest = min(SIZES[operand.kind] for operand in self.operands)
        self.unit = max(self.lanes, min(16, 64 // smallest))
        self.columns = self.frame.size(self.dims - 1) if scheme.woven else one
        self.counting = scheme.woven or scheme.runs
        # (converting a half takes so many instructions that they are not written out for every place)
        self.light = weight(kernel) <= LIGHT and all(o.kind not in HALVES for o in self.operands)
        self.row, self.column, self.unfit = (k.room("q", 1) for _ in range(3))
        self.first = k.room("q")
        count = NARROW if scheme.woven else 1
        self.local, self.carry = (
            {n: k.room(self.kind(n), count=count) for n in self.levels} for _ in range(2)
        )
        self.lane, self.home = ([k.room("p", 1, self.lanes) for _ in self.operands] for _ in range(2))
        self.spare = [k.room(self.stored(n), self.unit, self.lanes) for n in range(len(self.operands))]

    # ---- tasks ----

    def whole(self, task: V) -> None:
        """As many lines as there are lanes, or runs of lines; chunk after chunk."""
        k = self.k
        first, active, run = self.share(task) if self.scheme.runs else self.few(task)
        self.point(first, active, run, k.integer(0), along=False)
        self.fill(self.carry, list(self.levels))
        rows = k.mul(self.length, run) if self.scheme.runs else self.length
        chunk_rows = rows if self.scheme.runs else k.integer(CHUNK)
        with k.loop(k.integer(0), self.frame.plan("chunks")) as chunk:
            start = k.mul(chunk, chunk_rows)
            self.stretch(self.final, start, self.k.least(k.add(start, chunk_rows), rows))
            with k.loop(k.integer(0), self.columns) as column:
                for n in self.levels:
                    carry, local = self.state(self.carry, n, column), self.state(self.local, n, column)
                    k.store(self.combine(n, k.load(carry, self.kind(n)), k.load(local, self.kind(n))), carry)

    def few(self, task: V) -> tuple[V, V, V]:
        """The first line, how many lanes have one, and how many each has."""
        k, lanes = self.k, self.k.integer(self.lanes)
        first, lines = k.mul(task, lanes), k.div(self.frame.plan("lines"), self.columns)
        return first, self.k.least(lanes, k.sub(lines, first)), k.integer(1)

    def share(self, task: V) -> tuple[V, V, V]:
        """See `few`."""
        k, lanes, plan = self.k, self.k.integer(self.lanes), self.frame.plan
        many, run, rest, one = plan("many"), plan("run"), plan("rest"), k.integer(1)
        taken = k.mul(k.mul(many, run), lanes)
        extra = k.cast(k.gt(rest, k.integer(0)), "q")
        single = k.sub(task, k.add(many, extra))
        last = k.add(k.add(taken, k.mul(rest, lanes)), k.mul(single, lanes))
        is_main, is_single = k.lt(task, many), k.ge(single, k.integer(0))
        first = k.select(is_main, k.mul(k.mul(task, run), lanes), k.select(is_single, last, taken))
        each = k.select(is_main, run, k.select(is_single, one, rest))
        return first, self.k.least(lanes, k.div(k.sub(self.lines(), first), each)), each

    def lines(self) -> V:
        return self.k.div(self.frame.plan("lines"), self.columns)

    def pieces(self, start: V, stop: V) -> V:
        k = self.k
        full, groups = self.groups(start, stop)
        return k.mul(self.lines(), k.add(groups, k.cast(k.gt(stop, full), "q")))

    def groups(self, start: V, stop: V) -> tuple[V, V]:
        """Where a span's whole chunks end, and how many tasks they are for one line."""
        k = self.k
        full = k.least(stop, k.div(self.length, k.integer(CHUNK)))
        count = k.add(k.sub(full, start), k.integer(self.lanes - 1))
        return full, k.div(count, k.integer(self.lanes))

    def chunks(self, task: V, level: int, span: Span) -> None:
        """As many whole chunks of a line as there are lanes; or its last, if that is shorter."""
        k, lanes = self.k, self.k.integer(self.lanes)
        full, groups = self.groups(span.start, span.stop)
        pieces = k.add(groups, k.cast(k.gt(span.stop, full), "q"))
        line, piece = k.div(task, pieces), k.rem(task, pieces)
        is_full = k.lt(piece, groups)
        chunk = k.select(is_full, k.add(span.start, k.mul(piece, lanes)), full)
        active = k.select(is_full, k.least(lanes, k.sub(full, chunk)), k.integer(1))
        row = k.mul(chunk, k.integer(CHUNK))
        self.point(line, active, k.integer(CHUNK), row, along=True)
        step = k.sub(chunk, span.start)
        with k.loop(k.integer(0), self.columns) as column:
            index = k.add(k.mul(line, self.columns), column)
            for n in self.carried(level):
                carry = self.state(self.carry, n, column)
                k.store(self.identity(n), carry)
                with self.only(self.storing):
                    self.enter(n, index, carry, span, step, active, leave=self.levels[n] == level - 1)
        self.stretch(level, k.integer(0), k.least(k.sub(self.length, row), k.integer(CHUNK)))
        summing = None if self.storing is None else k.not_(self.storing)
        with self.only(summing), k.loop(k.integer(0), self.columns) as column:
            index = k.add(k.mul(line, self.columns), column)
            for n in self.counted(level if self.storing is None else 0):
                local = self.state(self.local, n, column)
                with k.loop(k.integer(0), active) as lane:
                    value = k.load(k.at(local, lane, SIZES[self.kind(n)]), self.kind(n), 1)
                    k.store(value, self.total(n, span.number, k.add(step, lane), index))

    def enter(self, n: int, index: V, carry: V, span: Span, step: V, active: V, leave: bool) -> None:
        """What comes before each lane's chunk, from what came before the span and what its chunks come to. The last of
        them leaves that for the next span."""
        k, kind = self.k, self.kind(n)
        run, before = k.room(kind, 1), k.room(kind, 1)

        def on(chunk: V) -> None:
            total = k.load(self.total(n, span.number, chunk, index), kind, 1)
            k.store(self.combine(n, k.load(run, kind, 1), total), run)

        k.store(self.identity(n, 1), run)
        with k.when(k.gt(span.start, k.integer(0))):
            k.store(k.load(self.before(n, span.number, index), kind, 1), run)
        with k.loop(k.integer(0), step) as chunk:
            on(chunk)
        with k.loop(k.integer(0), k.integer(self.lanes)) as lane:
            with k.when(k.lt(lane, active)):
                k.store(k.load(run, kind, 1), before)
                on(k.add(step, lane))
            k.store(k.load(before, kind, 1), k.at(carry, lane, SIZES[kind]))
        if leave:
            following = k.add(span.number, k.integer(1))
            with k.when(k.eq(k.add(step, active), k.sub(span.stop, span.start))):
                k.store(k.load(run, kind, 1), self.before(n, following, index))

    def only(self, condition: V | None) -> AbstractContextManager[None]:
        """What happens only if a condition holds, where there is one."""
        return nullcontext() if condition is None else self.k.when(condition)

    # ---- places ----

    def point(self, line: V, active: V, apart: V, row: V, along: bool) -> None:
        """Note where each lane's part begins: parts are some lines apart, or some rows apart along one."""
        k = self.k
        k.store(k.integer(0), self.unfit)
        with k.loop(k.integer(0), k.integer(self.lanes)) as lane:
            ahead = k.mul(self.k.least(lane, k.sub(active, k.integer(1))), apart)
            outer, place = (line, k.add(row, ahead)) if along else (k.add(line, ahead), row)
            k.store(place, k.at(self.first, lane, 8))
            for n in range(len(self.operands)):
                offset = k.add(self.offset(n, outer, range(self.at)), k.mul(place, self.steps[n][self.at]))
                address = k.at(self.addresses[n], offset)
                k.store(address, k.at(self.lane[n], lane, 8))
                if n in self.outputs:
                    k.store(k.or_(k.load(self.unfit, "q", 1), self.misfit(n, address)), self.unfit)

    def place(self, n: int, lane: V, index: V) -> V:
        """The lowest address of a lane's part of the tile at some place."""
        k, size = self.k, SIZES[self.operands[n].kind]
        start = k.load(k.at(self.lane[n], lane, 8), "p", 1)
        if self.scheme.modes[n] != BACKWARD:
            return k.at(start, index, size)
        return k.at(start, k.sub(k.integer(1 - self.unit), index), size)

    def state(self, states: dict[int, V], n: int, column: V) -> V:
        """The accumulators of a column, lane by lane."""
        if not self.scheme.woven:
            return states[n]
        return self.k.at(states[n], self.k.mul(column, self.k.integer(self.lanes)), SIZES[self.kind(n)])

    def fill(self, states: dict[int, V], scans: list[int]) -> None:
        with self.k.loop(self.k.integer(0), self.columns) as column:
            for n in scans:
                self.k.store(self.identity(n), self.state(states, n, column))

    # ---- loops ----

    def stretch(self, level: int, first_row: V, stop_row: V) -> None:
        """All lanes from one row to another, within a chunk or a run."""
        k, unit = self.k, self.k.integer(self.unit)
        self.fill(self.local, list(self.scans(level)))
        k.store(first_row if not self.scheme.runs else k.integer(0), self.row)
        k.store(k.integer(0), self.column)
        stop = k.mul(stop_row, self.columns)
        with k.loop(k.mul(first_row, self.columns), stop, self.unit) as at:
            left = k.sub(stop, at)
            short = k.lt(left, unit)
            with k.when(short):
                self.move_out(level, at, left)
            self.tile(level, at, stop_row)
            if level == self.final:
                with self.only(self.storing), k.when(short):
                    self.move_back(left)

    def tile(self, level: int, at: V, stop_row: V) -> None:
        """`unit` places; what lies behind the last row is not looked at."""
        inputs = {n: self.read(n, at) for n in self.loads(level)}
        places = self.places_in_turn if self.light else self.places_in_loop
        made = places(level, inputs, at, stop_row)
        with self.only(self.storing):
            for n, vectors in made.items():
                if self.scheme.modes[n] != ANYHOW:
                    self.write(n, vectors, at)

    def places_in_turn(
        self, level: int, inputs: dict[int, list[V]], at: V, stop_row: V
    ) -> dict[int, list[V]]:
        """The places of a tile, their values in registers."""
        found: dict[int, list[V]] = {n: [] for n in self.outputs} if level == self.final else {}
        for q in range(self.unit):
            here = {n: vectors[q] for n, vectors in inputs.items() if vectors}
            values = self.one(level, here, self.k.add(at, self.k.integer(q)), stop_row)
            for n, vectors in found.items():
                vectors.append(values[n])
        return found

    def places_in_loop(
        self, level: int, inputs: dict[int, list[V]], at: V, stop_row: V
    ) -> dict[int, list[V]]:
        """The same by a loop, for bodies that are long; its values on the stack."""
        k = self.k
        kept = {n: self.row_of(vectors) for n, vectors in inputs.items() if vectors}
        made = {n: k.room(self.stored(n), self.lanes, self.unit) for n in self.outputs}
        with k.loop(k.integer(0), k.integer(self.unit)) as q:
            vector = k.mul(q, k.integer(self.lanes))
            here = {
                n: k.load(k.at(room, vector, SIZES[self.operands[n].kind]), self.operands[n].kind)
                for n, room in kept.items()
            }
            for n, value in self.one(level, here, k.add(at, q), stop_row).items():
                k.store(value, k.at(made[n], vector, SIZES[value.kind]))
        if level != self.final:
            return {}
        return {n: self.row_from(room, self.stored(n)) for n, room in made.items()}

    def row_of(self, vectors: list[V]) -> V:
        k, kind = self.k, vectors[0].kind
        room = k.room(kind, self.lanes, self.unit)
        for q, x in enumerate(vectors):
            k.store(x, k.at(room, k.integer(q * self.lanes), SIZES[kind]))
        return room

    def row_from(self, room: V, kind: str) -> list[V]:
        k = self.k
        return [k.load(k.at(room, k.integer(q * self.lanes), SIZES[kind]), kind) for q in range(self.unit)]

    def one(self, level: int, inputs: dict[int, V], place: V, stop_row: V) -> dict[int, V]:
        """One place of all lanes: what of it is stored, output by output."""
        k = self.k
        row = k.load(self.row, "q", 1) if self.counting else place
        column = k.load(self.column, "q", 1)

        def load(_: int, inst: Inst) -> V:
            if inst.verb == "param":
                return self.scalars[inst.attr]  # type: ignore[index]
            if inst.verb == "place":
                return k.add(k.splat(row), k.load(self.first, "q"))
            if inst.attr in inputs:
                return inputs[inst.attr]  # type: ignore[index]
            return self.gather(inst.attr, k.least(row, k.sub(stop_row, k.integer(1))), column)  # type: ignore[arg-type]

        values: dict[int, V] = {}
        for n in self.scans(level):
            (x,) = self.kernel.body[n].args
            values = evaluate(k, self.kernel, [x], values, load)
            values[n] = self.advance(n, values[x], row, column, n in self.carried(level))
        stored = {}
        if level == self.final:
            values = evaluate(k, self.kernel, self.wanted(level), values, load)
            for n, store in zip(self.outputs, self.kernel.outputs):
                stored[n] = self.moved(values[store.value])
                if self.scheme.modes[n] == ANYHOW:
                    with self.only(self.storing), k.when(k.lt(row, stop_row)):
                        self.scatter(n, stored[n], row, column)
        self.count(row, column)
        return stored

    def advance(self, n: int, x: V, row: V, column: V, carried: bool) -> V:
        """One place of a scan."""
        k, local, kind = self.k, self.state(self.local, n, column), self.kind(n)
        old = k.load(local, kind)
        if self.scheme.runs:
            old = k.select(k.splat(k.eq(row, k.integer(0))), self.identity(n), old)
        new = self.combine(n, old, x)
        k.store(new, local)
        return self.combine(n, k.load(self.state(self.carry, n, column), kind), new) if carried else new

    def count(self, row: V, column: V) -> None:
        """Go on to the next place."""
        k, zero, one = self.k, self.k.integer(0), self.k.integer(1)
        if not self.counting:
            return
        on = k.add(row, one)
        if self.scheme.woven:
            next_column = k.add(column, one)
            over = k.eq(next_column, self.columns)
            k.store(k.select(over, zero, next_column), self.column)
            on = k.select(over, on, row)
        if self.scheme.runs:
            on = k.select(k.eq(on, self.length), zero, on)
        k.store(on, self.row)

    # ---- ends of lines ----

    def move_out(self, level: int, at: V, count: V) -> None:
        """Let the lanes point to a tile where the first `count` places are what is left of their lines."""
        k = self.k
        k.store(k.integer(1), self.unfit)
        for n in (*self.loads(level), *(self.outputs if level == self.final else ())):
            mode, size, stored = self.scheme.modes[n], SIZES[self.operands[n].kind], self.stored(n)
            if mode in (ANYHOW, ONE):
                continue
            with k.loop(k.integer(0), k.integer(self.lanes)) as lane:
                address, spare = self.place(n, lane, at), self.in_spare(n, lane)
                k.store(address, k.at(self.home[n], lane, 8))
                if n not in self.outputs:
                    first = k.at(address, k.integer(self.unit - 1 if mode == BACKWARD else 0), size)
                    there = self.there(n, count)
                    x = k.load(address, stored, self.unit, size, there)
                    filled = k.select(there, x, k.splat(k.load(first, stored, 1), self.unit))
                    k.store(filled, spare, size)  # (what no one asked for must not trap either)
                moved = k.sub(self.number(spare), self.number(address))
                start = k.load(k.at(self.lane[n], lane, 8), "p", 1)
                k.store(k.at(start, moved), k.at(self.lane[n], lane, 8))

    def move_back(self, count: V) -> None:
        """What the tile holds, to where it belongs."""
        k = self.k
        for n in self.outputs:
            if self.scheme.modes[n] != ANYHOW:
                size = SIZES[self.operands[n].kind]
                with k.loop(k.integer(0), k.integer(self.lanes)) as lane:
                    x = k.load(self.in_spare(n, lane), self.stored(n), self.unit, size)
                    k.store(x, k.load(k.at(self.home[n], lane, 8), "p", 1), size, mask=self.there(n, count))

    def in_spare(self, n: int, lane: V) -> V:
        return self.k.at(
            self.spare[n], self.k.mul(lane, self.k.integer(self.unit)), SIZES[self.operands[n].kind]
        )

    def there(self, n: int, count: V) -> V:
        """Which elements of a lane's part are the first `count` places."""
        k = self.k
        if self.scheme.modes[n] != BACKWARD:
            return k.below(count, self.unit)
        return k.not_(k.below(k.sub(k.integer(self.unit), count), self.unit))

    def number(self, address: V) -> V:
        return self.k.define(f"ptrtoint ptr {address.name} to i64", "q", 1)

    # ---- memory ----

    def read(self, n: int, at: V) -> list[V]:
        """A vector of lanes for each place of a tile; nothing of operands that lie anyhow."""
        k, mode, size = self.k, self.scheme.modes[n], SIZES[self.operands[n].kind]
        if mode == ANYHOW:
            return []
        if mode == ONE:
            return [self.gather(n, k.integer(0), k.integer(0))] * self.unit
        starts = [self.place(n, k.integer(lane), at) for lane in range(self.lanes)]
        self.ask(n, starts)
        found = []
        for part in self.parts(n):
            rows = [k.load(k.at(start, k.integer(part), size), self.stored(n), 0, size) for start in starts]
            columns = transposed(k, rows)
            found += columns[::-1] if mode == BACKWARD else columns
        return [self.meant(x, self.operands[n].kind) for x in found]

    def ask(self, n: int, starts: list[V]) -> None:
        """Ask for what lies ahead of each lane's part of a tile: so many lines at once are more than processors look ahead for."""
        k, size = self.k, SIZES[self.operands[n].kind]
        ahead = -AHEAD if self.scheme.modes[n] == BACKWARD else AHEAD
        for start in starts:
            for line in range(0, self.unit * size, LINE_BYTES):
                k.prefetch(k.at(start, k.integer(ahead + line)), 3)

    def write(self, n: int, vectors: list[V], at: V) -> None:
        """Vectors of lanes, one for each place of a tile."""
        k, back, size = self.k, self.scheme.modes[n] == BACKWARD, SIZES[self.operands[n].kind]
        starts = [self.place(n, k.integer(lane), at) for lane in range(self.lanes)]
        rows = []
        for number, part in enumerate(self.parts(n)):
            columns = vectors[number * self.lanes : (number + 1) * self.lanes]
            made = transposed(k, columns[::-1] if back else columns)
            rows += [(row, k.at(start, k.integer(part), size)) for row, start in zip(made, starts)]
        fit = k.eq(k.load(self.unfit, "q", 1), k.integer(0))
        may_stream = self.kernel.stream and self.lanes > 1
        for stream in (True, False) if may_stream else (False,):
            with k.when((fit if stream else k.not_(fit)) if may_stream else V("true", "?")):
                for row, address in rows:
                    k.store(row, address, self.lanes * size if stream else size, stream)

    def parts(self, n: int) -> list[int]:
        """Where a tile's squares begin, in the order of the scan."""
        found = list(range(0, self.unit, self.lanes))
        return found[::-1] if self.scheme.modes[n] == BACKWARD else found

    def element(self, n: int, lane: int, row: V, column: V) -> V:
        k = self.k
        start = k.load(k.at(self.lane[n], k.integer(lane), 8), "p", 1)
        offset = k.mul(row, self.steps[n][self.at])
        if self.scheme.woven:
            offset = k.add(offset, k.mul(column, self.steps[n][self.dims - 1]))
        return k.at(start, offset)

    def gather(self, n: int, row: V, column: V) -> V:
        k, found = self.k, self.k.const(0, self.stored(n))
        for lane in range(self.lanes):
            x = k.load(self.element(n, lane, row, column), self.stored(n), 1)
            found = k.insert(found, x, lane) if self.lanes > 1 else x
        return self.meant(found, self.operands[n].kind)

    def scatter(self, n: int, x: V, row: V, column: V) -> None:
        for lane in range(self.lanes):
            self.k.store(self.k.extract(x, lane), self.element(n, lane, row, column))
