"""What loop nests share: blocks of the domain, and tiles whose operands are brought to lie side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rushlight.codegen.body import Load, is_long, lanes, largest
from rushlight.codegen.builder import Builder
from rushlight.codegen.copying import copy, edge, lines, narrow, turn
from rushlight.codegen.frame import PARAMS, Frame, operands
from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.plan import (
    ACCUMULATORS,
    LOADED,
    NARROW,
    ONCE,
    OTHER,
    PACKED,
    SLOTS,
    TILE,
    TURN,
    TURNED,
    Scheme,
)
from rushlight.codegen.run import Target
from rushlight.codegen.values import SIZES, V

FIRST, LAST = V("%first", "q"), V("%last", "q")
#: bytes of a line of memory, as caches have it
LINE_BYTES = 64
#: bytes of a run to ask for before they are read
AHEAD = 2048
#: the functions that bring operands of some modes to where their elements lie side by side; others are copied
COPIERS = {TURN: "turn", NARROW: "narrow"}


class Nest:
    """Writes the loops of one kernel.

    Attributes:
        b: the builder, whose lanes are those of the body.
        operands: inputs, then outputs.
        bytes: of an element of each operand.
        tiles: for each operand, where it is packed, or None if it is not.
        scalars: values of the instructions that are run-time scalars.
        last: the number of the last dimension; that of rows is one less.
        height, width: their sizes.
    """

    def __init__(self, kernel: Kernel, scheme: Scheme, plan: tuple[str, ...], vector_bytes: int) -> None:
        self.kernel, self.scheme, self.vector_bytes = kernel, scheme, vector_bytes
        self.b = Builder(lanes(kernel, vector_bytes))
        self.b.masks = vector_bytes >= 64
        self.frame = Frame(self.b, kernel, plan)
        self.last = self.frame.dims - 1
        self.height, self.width = self.frame.size(self.last - 1), self.frame.size(self.last)
        self.operands = operands(kernel)
        self.inputs = len(kernel.inputs)
        self.bytes = [SIZES[operand.kind] for operand in self.operands]
        self.tiles = self.rooms_for(scheme.modes)
        self.scalars = {
            n: self.b.splat(self.frame.scalar(inst.attr))  # type: ignore[arg-type]
            for n, inst in enumerate(kernel.body)
            if inst.verb == "param"
        }

    def accumulators(self) -> int:
        """How many vectors of accumulators a row has: as many accumulators, and combined in the same order, whatever the lanes."""
        return max(1, ACCUMULATORS * (self.vector_bytes // largest(self.kernel)) // self.b.lanes)

    def rooms_for(self, modes: str) -> list[V | None]:
        """A tile for each operand that is packed."""
        return [
            self.b.room(operand.kind, 1, TILE) if mode in PACKED else None
            for operand, mode in zip(self.operands, modes)
        ]

    def module(self) -> str:
        """The text of the LLVM module, when the nest is written."""
        if self.kernel.stream:
            self.b.fence()
        copiers = self._copiers()
        return self.b.module([*copiers, self.b.definition("kernel", [PARAMS, FIRST, LAST])])

    def _copiers(self) -> list[str]:
        """The functions that copy which the nest calls, and those that these call."""
        needed = {"turn": (turn, edge), "narrow": (narrow, edge), "copy": (copy,), "lines": (lines,)}
        found: dict[tuple[Any, int], str] = {}
        for called in sorted(self.b.called):
            for write in needed[called[:-1]]:
                size = int(called[-1])
                if (write, size) not in found:
                    found[write, size] = write(size, self.vector_bytes, self.b.declared)
        return list(found.values())

    # ---- scratch memory ----

    def take_slot(self) -> V:
        """The start of a piece of scratch memory that nobody uses at the moment.

        There is one for each thread. Scratch memory begins with a word whose bits are set for pieces in use.
        """
        b, one = self.b, self.b.integer(1)
        again, some, done = b.label("again"), b.label("some"), b.label("done")
        b.jump(again)
        b.begin(again)
        taken = b.define(f"load atomic i64, ptr {self.frame.scratch().name} monotonic, align 8", "q", 1)
        free = b.not_(taken)
        b.branch(b.ne(free, b.integer(0)), some, again)
        b.begin(some)
        self.slot = b.trailing_zeros(free)
        ours = b.or_(taken, b.shl(one, self.slot))
        swapped = b.fresh("swap")
        b.emit(
            f"{swapped} = cmpxchg ptr {self.frame.scratch().name}, i64 {taken.name}, i64 {ours.name} acquire monotonic"
        )
        b.branch(b.define(f"extractvalue {{ i64, i1 }} {swapped}, 1", "?", 1), done, again)
        b.begin(done)
        return b.at(b.at(self.frame.scratch(), b.integer(SLOTS)), b.mul(self.slot, self.frame.plan("each")))

    def leave_slot(self) -> None:
        """Let others use the piece."""
        b = self.b
        others = b.not_(b.shl(b.integer(1), self.slot))
        b.define(f"atomicrmw and ptr {self.frame.scratch().name}, i64 {others.name} release", "q", 1)

    # ---- blocks ----

    def extent(self, number: V, extent: V, size: V) -> tuple[V, V]:
        """Where a block begins and ends."""
        if size.name == "1":
            return self.b.integer(0), size
        start = self.b.mul(number, extent)
        return start, self.b.least(self.b.add(start, extent), size)

    @contextmanager
    def through(self, start: V, stop: V, tile: V) -> Iterator[tuple[V, V]]:
        """Tile by tile: where, and how much."""
        b = self.b
        if (start.name, stop.name) == ("0", "1"):
            yield start, stop
            return
        with b.loop(start, stop, tile) as i:
            yield i, b.least(tile, b.sub(stop, i))

    def block(self, task: V, count: str, size: V) -> tuple[V, V]:
        """What is left of a task's number, and the number of its block of a dimension."""
        return (task, self.b.integer(0)) if size.name == "1" else self.split(task, self.frame.plan(count))

    def split(self, number: V, count: V) -> tuple[V, V]:
        """Quotient and remainder."""
        return self.b.div(number, count), self.b.rem(number, count)

    def within(self, bases: list[V], plane: V, dims: Iterable[int]) -> list[V]:
        """The operands' addresses at the place whose number among the places of `dims` is `plane`."""
        waiting = list(dims)
        while waiting:
            dim = waiting.pop()
            plane, index = self.split(plane, self.frame.size(dim)) if waiting else (plane, plane)
            bases = self.moved(bases, dim, index)
        return bases

    def moved(self, bases: list[V], dim: int, index: V) -> list[V]:
        """The operands' addresses so many places further along a dimension."""
        return [self.stepped(at, n, dim, index) for n, at in enumerate(bases)]

    def stepped(self, at: V, operand: int, dim: int, index: V) -> V:
        step = self.frame.step(operand, dim)
        return at if step.name == "0" else self.b.at(at, self.b.mul(index, step))

    # ---- tiles ----

    def row(self, n: int, at: V, row: V, columns: V) -> V:
        """The address of an operand's row in a tile that begins at `at`, or in its packed copy."""
        tile = self.tiles[n]
        if tile is None:
            return self.stepped(at, n, self.last - 1, row)
        if self.scheme.modes[n] == ONCE:
            return tile
        return self.b.at(tile, self.b.mul(row, columns), self.bytes[n])

    def pack(self, n: int, at: V, rows: V, columns: V, first: V) -> None:
        """Copy an operand's tile, if it must be, to where its elements lie side by side."""
        b, mode, tile, size = self.b, self.scheme.modes[n], self.tiles[n], self.bytes[n]
        if tile is None:
            return
        if mode == ONCE:
            rows = b.integer(1)
        down, along = self.frame.step(n, self.last - 1), self.frame.step(n, self.last)
        args = [tile, at, rows, columns, b.mul(columns, b.integer(size)), b.integer(size), down, along]
        if mode == ONCE and self.scheme.flat:
            with b.when(first):
                b.call(f"copy{size}", args)
                self.repeat(tile, size, columns)
        else:
            b.call(f"{COPIERS.get(mode, 'copy')}{size}", args)

    def repeat(self, tile: V, size: int, count: V) -> None:
        """Fill a tile with its first `count` elements, which are doubled until it is full."""
        b, unit, room = self.b, self.b.integer(size), self.b.integer(TILE)
        with b.loop(b.integer(0), b.integer(TILE.bit_length() - 1)) as level:
            filled = b.least(b.shl(count, level), room)
            more = b.least(filled, b.sub(room, filled))
            pitch = b.mul(more, unit)
            b.call(
                f"lines{size}", [b.at(tile, filled, size), tile, b.integer(1), more, pitch, unit, pitch, unit]
            )

    def unpack(self, n: int, at: V, rows: V, columns: V) -> None:
        """Copy an output's tile to where it belongs."""
        b, mode, tile, size = self.b, self.scheme.modes[n], self.tiles[n], self.bytes[n]
        if tile is None:
            return
        down, along = self.frame.step(n, self.last - 1), self.frame.step(n, self.last)
        pitch, unit = b.mul(columns, b.integer(size)), b.integer(size)
        if mode in TURNED:  # (what is a row here is a column there)
            b.call(f"{COPIERS[mode]}{size}", [at, tile, columns, rows, along, down, unit, pitch])
        else:
            b.call(f"copy{size}", [at, tile, rows, columns, down, along, pitch, unit])

    # ---- elements ----

    def repetitions(self, at: list[V]) -> Load:
        """Loads one element of an operand, for all lanes."""
        return lambda _, inst: self.b.splat(self.b.load(at[inst.attr], inst.kind, 1))  # type: ignore[index]

    def vectors(
        self,
        at: list[V],
        i: V,
        mask: V | None,
        ahead: Sequence[V | None] = (),
        level: int = 2,
        kept: bool = False,
    ) -> Load:
        """Loads elements i and following of an operand's run.

        Args:
            ahead: for each operand, how many bytes further on is what is to be asked for, if anything. A long body has few loads under
                way at a time, too few to hide what memory takes, and not every processor looks ahead by itself (virtual
                ones often may not).
            level: of the caches, to which it is brought.
            kept: whether operands lie as they do after a reduction.
        """
        b = self.b

        def load(_: int, inst: Inst) -> V:
            n: int = inst.attr  # type: ignore[assignment]
            if kept:
                return b.load(b.at(at[n], i, self.bytes[n]), inst.kind, mask=mask)
            place = self.element(n, at[n], i)
            further = ahead[n] if ahead else None
            if further is not None and self.scheme.modes[n] in LOADED:
                for line in range(0, self.span(n), LINE_BYTES):
                    b.prefetch(b.at(b.at(place, further), b.integer(line)), level)
            if self.scheme.modes[n] == OTHER and b.lanes > 1:
                return self.every_other(place, inst.kind, mask)
            return b.load(place, inst.kind, mask=mask)

        return load

    def element(self, n: int, at: V, i: V) -> V:
        """The address of element i of an operand's run."""
        i = self.b.shl(i, self.b.integer(1)) if self.scheme.modes[n] == OTHER else i
        return self.b.at(at, i, self.bytes[n])

    def span(self, n: int) -> int:
        """Bytes from one vector of an operand to the next."""
        return self.b.lanes * self.bytes[n] * (2 if self.scheme.modes[n] == OTHER else 1)

    def every_other(self, place: V, kind: str, mask: V | None) -> V:
        """Every other element: of two vectors, of which the second ends with the last one that is wanted."""
        b, lanes = self.b, self.b.lanes
        masks: list[V | None] = [None, None]
        if mask is not None:
            none = b.const(False, "?")
            masks = [
                b.shuffle(mask, none, [k // 2 if k % 2 == 0 else lanes for k in range(first, first + lanes)])
                for first in (0, lanes - 1)
            ]
        low, high = (
            b.load(b.at(place, b.integer(first), SIZES[kind]), kind, mask=masks[turn])
            for turn, first in enumerate((0, lanes - 1))
        )
        return b.shuffle(low, high, [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)])

    def further_on(self) -> Sequence[V | None]:
        """What to ask for while a run is gone through, see `vectors`: where a body is long, or reads more than it needs."""
        modes, further = self.scheme.modes[: self.inputs], self.b.integer(AHEAD)
        return [further if is_long(self.kernel) or mode == OTHER else None for mode in modes]

    def put(self, n: int, x: V, at: list[V], i: V, mask: V | None, past: V | None) -> None:
        """Store elements i and following of an output's run; `past`: whether past the caches."""
        b, size = self.b, self.bytes[n]
        there = b.at(at[n], i, size)
        if past is None or self.tiles[n] is not None:
            b.store(x, there, mask=mask)
        elif past.name == "true":
            b.store(x, there, x.lanes * size, stream=True)
        else:
            b.either(
                past,
                lambda: b.store(x, there, x.lanes * size, stream=True),
                lambda: b.store(x, there, mask=mask),
            )

    def streams(self, at: list[V], stores: Iterable[int]) -> list[Target]:
        """Outputs of a run, by their operands' numbers, that go past the caches."""
        return [
            Target(at[n], self.operands[n].kind)
            for n in stores
            if self.kernel.stream and self.tiles[n] is None
        ]

    def aligned(self, at: list[V], stores: Iterable[int]) -> V | None:
        """Whether the outputs of a run begin at whole vectors; None if nothing is to go past the caches.

        (A run along a reduced dimension begins with its first element wherever that lies, because which
        accumulator an element meets must not depend on addresses.)
        """
        b, streams = self.b, self.streams(at, stores)
        if not streams or b.lanes == 1:
            return None
        found = V("true", "?")
        for target in streams:
            address = b.define(f"ptrtoint ptr {target.address.name} to i64", "q", 1)
            over = b.and_(address, b.integer(b.lanes * SIZES[target.kind] - 1))
            found = b.and_(found, b.eq(over, b.integer(0)))
        return found

    def invariant(self, modes: str) -> list[int]:
        """Instructions whose operands are one element, repeated for a whole run."""
        found: list[int] = []
        for n, inst in enumerate(self.kernel.body):
            if inst.verb == "load":
                same = self.scheme.modes[inst.attr] in modes  # type: ignore[index]
            else:
                same = inst.verb not in ("reduce", "scan") and all(a in found for a in inst.args)
            if same:
                found.append(n)
        return found
