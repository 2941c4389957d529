"""Scans: every element combined with those before it along one dimension, from memory to memory.

Note [Association]: floating-point results depend on the values and the length of a line alone: not on where the line
lies in memory, how many threads there are or what they were given. So a line is always cut in chunks of `CHUNK` elements,
and

    local[i] = local[i - 1] . x[i]                  within a chunk, in order, from the identity
    carry[c + 1] = carry[c] . local[last of c]      over the chunks, in order, from the identity
    out[i] = carry[chunk of i] . local[i]

A line that fits in a chunk is combined in plain order. Both loop nests compute exactly this, in parallel over lines, over
chunks, or both.

Note [Passes]: where there are lines enough, a thread takes some of them from end to end, and memory is read once. Where
there are few and long ones, chunks are the unit: one pass finds what each chunk comes to, a second one scans it from
what came before. (Blelloch, "Prefix sums and their applications", 1990, section 1.3.) A scan of another scan's result
has one pass more: pass p sums up the chunks of the scans of level p, and the final pass writes.

All passes work on a span of chunks that stays in the caches, so that memory is still read once. They overlap: turn t does
pass p of span t - p, for every p at once. So a pass finds what an earlier one left in an earlier turn, and what a turn
leaves must last for as many turns as there are passes: such memory is had once for each pass, in rotation. Tasks of
a turn depend on no other of the same turn.

`scan_lines` is the loop nest where the scanned dimension is the last, `scan_columns` where another one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from rushlight.codegen import monoids
from rushlight.codegen.body import closure
from rushlight.codegen.builder import Builder
from rushlight.codegen.frame import PARAMS, Frame, operands
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.nest import FIRST, LAST
from rushlight.codegen.plan import Phase, Plan, Steps, ceildiv, power_below
from rushlight.codegen.values import FLOATS, SIGNED, SIZES, V
from rushlight.codegen.verbs import maximum, minimum
from rushlight.native import cpu

#: elements that are combined in plain order; it decides results
CHUNK = 4096
#: bytes of input that a thread's share of a span has: most of a second-level cache
SHARE = 3 << 18
#: the most columns that a task takes at once: what is known of them stays in the first-level cache
COLUMNS = 2048
#: rows of columns that are done at once, for short and for long bodies: accumulators are loaded and stored once for so many
ROWS, FEW_ROWS = 8, 2
#: fewer columns than this are taken together with the rows, as one line
NARROW = 48
#: instructions of a body that is short enough to be written out many times
LIGHT = 12
#: instructions that a final pass may do in vain where it is code of another pass too
FEW_MORE = 3
#: a line of so many chunks is scanned element by element, if it is the only one: vectors would pay for lanes they lack
ALONE = 3
#: elements of a task that takes short lines one after the other, about
TASK = 1 << 16

#: plan slots. Of chunks: the number of this turn, and how many chunks there are, and in a span. `lines` is how many
#: values each chunk comes to. Of columns: `pitch` is how many a panel counts for, `width` how many a task takes. Of lines:
#: `many` tasks take `run` lines a lane, one more takes `rest`, all others one.
PLAN = "turn chunks span lines pitch width many run rest".split()

#: columns of a task where the columns of an input, or of an output, are side by side instead of rows: each is a stream
#: of its own, of which processors read few ahead
READ_ACROSS, WRITE_ACROSS = 16, 64

#: how an operand lies along a line, or along a row of columns: forwards or backwards side by side, one element, or
#: anyhow; of columns also: each is side by side, forwards or backwards
FORWARD, BACKWARD, ONE, ANYHOW, TURN, TURN_BACK = "f", "b", "o", "a", "t", "u"
TURNS = frozenset(TURN + TURN_BACK)
#: what a kind is in memory, for moving it about
STORED = {"?": "B", "e": "H", "E": "H"}


# ---- the algebra ----


def combine(k: Builder, monoid: str, x: V, y: V) -> V:
    """x, which came first, with y. Of equal floats (zeros of either sign) the last is kept, as PyTorch does."""
    if monoid in ("max", "min") and x.kind in FLOATS:
        return maximum(k, x, y) if monoid == "max" else minimum(k, x, y)
    return monoids.combine(k, monoid, x, y)


def levels(kernel: Kernel) -> dict[int, int]:
    """The scans of a body, each with how many others its value has gone through."""
    depth: list[int] = []
    found = {}
    for n, inst in enumerate(kernel.body):
        before = max([depth[a] for a in inst.args], default=0)
        if inst.verb == "scan":
            found[n] = before
            before += 1
        depth.append(before)
    return found


# ---- the plan ----


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the code depends on beside the kernel.

    Attributes:
        nest: "lines" or "columns".
        whole: whether tasks are lines from end to end, instead of chunks.
        woven: whether the last dimension is taken together with the scanned one before it, as one line.
        runs: whether a lane takes short lines one after the other.
        flip: whether all dimensions but the scanned one are taken from behind.
        modes: how each operand lies along a line, or along the last dimension.
        alone: whether there is one line only, and it is short.
        short: of columns, how many rows are done at once, if there are too few for the usual number.
    """

    nest: str
    whole: bool
    woven: bool
    runs: bool
    flip: bool
    modes: str
    alone: bool = False
    short: int = 0

    def text(self) -> str:
        words = [word for word in ("whole", "woven", "runs", "flip", "alone") if getattr(self, word)]
        return " ".join([self.nest, *words, self.modes, *[f"short {self.short}"] * (self.short > 0)])


class Cut:
    """How a domain of two dimensions at least is cut into tasks; see Note [Passes]."""

    def __init__(
        self, kernel: Kernel, sizes: tuple[int, ...], steps: Steps, threads: int, vector_bytes: int
    ) -> None:
        self.kernel, self.sizes, self.steps, self.threads = kernel, sizes, steps, threads
        self.at = len(sizes) - len(kernel.dims) + kernel.dims.index("s")
        self.length, self.chunks = sizes[self.at], ceildiv(sizes[self.at], CHUNK)
        self.element = [SIZES[operand.kind] for operand in operands(kernel)]
        self.known = dict.fromkeys(PLAN, 0)
        self.columns = 1 if self.at == len(sizes) - 1 else sizes[-1]
        self.panels = prod(sizes) // (self.length * self.columns)
        self.lanes = max(4, vector_bytes // 8)
        modes, flip = self._along_lines()
        woven = self.at == len(sizes) - 2 and self.columns < NARROW and ANYHOW not in modes
        if self.at == len(sizes) - 1 or woven:
            self._lines(modes, flip)
        else:
            self.lanes = column_lanes(kernel, vector_bytes)
            self._columns()

    # ---- how operands lie ----

    def _along_lines(self) -> tuple[str, bool]:
        """The modes of operands along lines, and whether these are to be flipped."""
        here = range(self.at, len(self.sizes))
        modes = "".join(self._mode(n, here) for n in range(len(self.element)))
        flip = BACKWARD in modes and self.columns > 1
        return (modes.replace(FORWARD, ANYHOW) if flip else modes), flip

    def _mode(self, n: int, dims: Sequence[int]) -> str:
        """How an operand lies along some dimensions taken together, of which the scanned one may go backwards."""
        dims = [d for d in dims if self.sizes[d] > 1]
        expected, steps = self.element[n], [self.steps[n][d] for d in dims]
        if dims and not any(steps):
            return ONE
        forward = backward = True
        for d, step in zip(dims[::-1], steps[::-1]):
            forward = forward and step == expected
            backward = backward and step == (-expected if d == self.at else expected)
            expected *= self.sizes[d]
        return FORWARD if forward else BACKWARD if backward else ANYHOW

    def _columns_mode(self, n: int) -> str:
        size, down, along = self.element[n], self.steps[n][self.at], self.steps[n][-1]
        if self.columns == 1:
            return FORWARD
        turned = {size: TURN, -size: TURN_BACK}.get(down, ANYHOW)
        return {0: ONE, size: FORWARD}.get(along, turned)

    # ---- lines ----

    def _lines(self, modes: str, flip: bool) -> None:
        line, woven = self.length * self.columns, self.columns > 1
        everywhere = "".join(self._mode(n, range(len(self.sizes))) for n in range(len(self.element)))
        unfit = line < 64 or any(line * size % 64 for size in self.element)
        if self.chunks == 1 and unfit and set(everywhere) in ({FORWARD}, {BACKWARD}) and self._runs(line):
            self.scheme = Scheme("lines", True, woven, True, BACKWARD in everywhere, everywhere)
            return
        alone = self.panels == 1 and self.chunks <= ALONE
        self.lanes = 1 if alone else self.lanes
        self.whole = ceildiv(self.panels, self.lanes)
        waste = ceildiv(self.whole, self.threads) * self.threads * self.lanes / self.panels
        self.known["lines"] = self.panels * self.columns
        whole = alone or self.chunks == 1 or waste <= 1.5
        self.scheme = Scheme("lines", whole, woven, False, flip, modes, alone)

    def _runs(self, line: int) -> bool:
        """Give each lane short lines one after the other, if there are enough of them."""
        together, per_task = 64 // min(*self.element, 64), self.lanes * 64
        run = min(ceildiv(TASK, self.lanes * line), self.panels // per_task) // together * together
        if not run:
            return False
        many = self.panels // (run * self.lanes)
        left = self.panels - many * run * self.lanes
        rest = left // (self.lanes * together) * together
        self.whole = many + bool(rest) + ceildiv(left - rest * self.lanes, self.lanes)
        self.known |= {"many": many, "run": run, "rest": rest, "lines": self.panels * self.columns}
        return True

    # ---- columns ----

    def _columns(self) -> None:
        pitch = ceildiv(self.columns, self.lanes) * self.lanes
        modes = "".join(map(self._columns_mode, range(len(self.element))))
        inputs, outputs = modes[: len(self.kernel.inputs)], modes[len(self.kernel.inputs) :]
        most = COLUMNS if TURNS.isdisjoint(outputs) else WRITE_ACROSS
        most = most if TURNS.isdisjoint(inputs) else READ_ACROSS
        parts = max(ceildiv(self.columns, most), ceildiv(self.threads, self.panels))
        width = ceildiv(ceildiv(self.columns, parts), 16) * 16
        self.whole = self.panels * ceildiv(self.columns, width)
        waste = ceildiv(self.whole, self.threads) * self.threads / self.whole
        self.known |= {"pitch": pitch, "width": width, "lines": self.panels * pitch}
        short = power_below(self.length) if self.length < ROWS and TURNS.isdisjoint(modes) else 0
        whole = self.chunks == 1 or waste <= 1.5
        self.scheme = Scheme("columns", whole, False, False, False, modes, False, short)

    # ---- phases ----

    def plan(self) -> Plan:
        self.known["chunks"] = self.chunks
        if self.scheme.whole:
            return Plan(self.scheme, (Phase(self.whole, tuple(self.known.values())),))
        scans = levels(self.kernel)
        passes = max(scans.values()) + 2
        read = sum(self.element[: len(self.kernel.inputs)]) * prod(self.sizes) // self.length * CHUNK
        some = self.lanes if self.scheme.nest == "lines" else 1
        span = min(max(ceildiv(self.threads * SHARE, read * some) * some, self.threads), self.chunks)
        spans = ceildiv(self.chunks, span)
        pieces = [
            self._pieces(start, min(start + span, self.chunks)) for start in range(0, self.chunks, span)
        ]
        turns = []
        for turn in range(spans + passes - 1):
            numbers = tuple((self.known | {"turn": turn, "span": span}).values())
            turns.append(Phase(sum(pieces[max(0, turn - passes + 1) : turn + 1]), numbers))
        scratch = 8 * passes * len(scans) * (span + 1) * self.known["lines"]
        return Plan(self.scheme, tuple(turns), scratch)

    def _pieces(self, start: int, stop: int) -> int:
        """Tasks of a span."""
        if self.scheme.nest == "columns":
            return self.whole * (stop - start)
        full = min(stop, self.length // CHUNK)
        return self.panels * (ceildiv(full - start, self.lanes) + (stop > full))


def plan_scan(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> Plan:
    """How a job is cut, for a domain of two dimensions at least."""
    if not prod(sizes):
        return Plan(Scheme("lines", True, False, False, False, ""), ())
    return Cut(kernel, sizes, steps, cpu.threads(), cpu.vector_bytes()).plan()


def crosses(kernel: Kernel, sizes: tuple[int, ...], steps: Steps) -> bool:
    """Whether to exchange the last two dimensions: lines whose elements lie far apart, while those of neighbouring
    lines lie side by side, are better scanned as columns; and columns as lines, if only these lie side by side."""
    if len(sizes) < 2 or sizes[-2] < 16 or sizes[-1] < 16:
        return False
    kept, scanned = (-2, -1) if kernel.dims[-2:] == "ks" else (-1, -2)
    rows, lines = [], []
    for operand, step in zip(operands(kernel), steps):
        rows.append(step[kept] == SIZES[operand.kind])
        lines.append(abs(step[scanned]) == SIZES[operand.kind])
    if kernel.dims[-2:] == "ks":
        return any(row and not line for row, line in zip(rows, lines))
    return kernel.dims[-2:] == "sk" and any(lines) and not any(rows)


def column_lanes(kernel: Kernel, vector_bytes: int) -> int:
    """Columns of a vector: a register full of the smallest elements of at least four bytes."""
    return vector_bytes // max(4, min(SIZES[operand.kind] for operand in operands(kernel)))


# ---- what the two loop nests share ----


def transposed(k: Builder, rows: list[V]) -> list[V]:
    """As many vectors as these have lanes, a power of two: blocks off the diagonal are exchanged, of one element, of
    two, and so on (Eklundh, "A fast computer method for matrix transposing", 1972).

    Narrow elements are widened meanwhile: exchanging these takes processors, and LLVM, several times as long.
    """
    kind = rows[0].kind
    if SIZES[kind] < 4:
        wide = "i" if kind in SIGNED else "I"
        return [k.cast(x, kind) for x in transposed(k, [k.cast(row, wide) for row in rows])]
    n, rows, half = len(rows), list(rows), 1
    while half < n:
        upper = [j if not j & half else n + j - half for j in range(n)]
        lower = [j + half if not j & half else n + j for j in range(n)]
        for i in range(n):
            if not i & half:
                x, y = rows[i], rows[i + half]
                rows[i], rows[i + half] = k.shuffle(x, y, upper), k.shuffle(x, y, lower)
        half *= 2
    return rows


class Span(NamedTuple):
    """Chunks that a pass goes over: their number, the first, and the one after the last."""

    number: V
    start: V
    stop: V


class Scan:
    """A function that does tasks of a plan: its builder, its run-time values, its passes.

    Attributes:
        storing: whether a task of either pass is one of the final one; None where code is that of one pass.
    """

    storing: V | None = None

    def __init__(self, kernel: Kernel, scheme: Scheme, lanes: int) -> None:
        self.kernel, self.scheme, self.lanes = kernel, scheme, lanes
        self.k = k = Builder(lanes)
        self.frame = Frame(k, kernel, tuple(PLAN))
        self.operands = operands(kernel)
        self.outputs = range(len(kernel.inputs), len(self.operands))
        self.dims = self.frame.dims
        self.at = self.dims - len(kernel.dims) + kernel.dims.index("s")
        self.length = self.frame.size(self.at)
        self.levels = levels(kernel)
        self.final = max(self.levels.values()) + 1
        self.scalars = [k.splat(self.frame.scalar(n), lanes) for n in range(len(kernel.params))]
        numbers = range(len(self.operands))
        self.steps = [[self.frame.step(n, d) for d in range(self.dims)] for n in numbers]
        self.addresses = [self.frame.address(n) for n in numbers]
        if scheme.flip:
            for n in numbers:
                self._flip(n)

    def _flip(self, n: int) -> None:
        """Take the dimensions that are not scanned from behind."""
        k, one = self.k, self.k.integer(1)
        for d in range(self.dims):
            if d != self.at:
                back = k.mul(k.sub(self.frame.size(d), one), self.steps[n][d])
                self.addresses[n] = k.at(self.addresses[n], back)
                self.steps[n][d] = k.neg(self.steps[n][d])

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        k = self.k
        with k.loop(FIRST, LAST) as task:
            if self.scheme.whole:
                self.whole(task)
            elif self.alike():
                self.either(task)
            else:
                for level in reversed(range(self.final + 1)):
                    task = self.passed(task, level)
        if self.kernel.stream:
            k.fence()
        return k.module([k.definition("kernel", [PARAMS, FIRST, LAST])])

    def span(self, level: int) -> tuple[Span, V]:
        """The span that a pass is over in this turn, and how many tasks that is."""
        k, plan, zero = self.k, self.frame.plan, self.k.integer(0)
        number = k.sub(plan("turn"), k.integer(level))
        start = k.mul(number, plan("span"))
        stop = k.least(k.add(start, plan("span")), plan("chunks"))
        there = k.and_(k.ge(number, zero), k.lt(start, plan("chunks")))
        return Span(number, start, stop), k.select(there, self.pieces(start, stop), zero)

    def passed(self, task: V, level: int) -> V:
        """Do a task if it is one of this pass; else its number among the others."""
        k = self.k
        span, count = self.span(level)
        with k.when(k.and_(k.ge(task, k.integer(0)), k.lt(task, count))):
            self.chunks(task, level, span)
        return k.sub(task, count)

    def alike(self) -> bool:
        """Whether summing up chunks and the final pass are best done by the same code, told at run time which of the two it is: if
        what both read is the same, and the second computes little more."""
        if self.scheme.nest != "lines" or self.final != 1 or self.loads(0) != self.loads(1):
            return False
        return len(closure(self.kernel, self.wanted(1), closure(self.kernel, self.wanted(0)))) <= FEW_MORE

    def either(self, task: V) -> None:
        """A task of one of two passes that are alike."""
        k = self.k
        last, count = self.span(self.final)
        first, _ = self.span(0)
        self.storing = k.lt(task, count)
        span = Span(*[k.select(self.storing, x, y) for x, y in zip(last, first)])
        self.chunks(k.select(self.storing, task, k.sub(task, count)), self.final, span)

    def whole(self, task: V) -> None:
        """A task of lines from end to end."""
        raise NotImplementedError

    def pieces(self, start: V, stop: V) -> V:
        """How many tasks a span is; see `Cut._pieces`."""
        raise NotImplementedError

    def chunks(self, task: V, level: int, span: Span) -> None:
        """A task of a pass over a span."""
        raise NotImplementedError

    # ---- places ----

    def offset(self, operand: int, outer: V, dims: Sequence[int]) -> V:
        """Bytes to a place, counted over some dimensions."""
        k, total = self.k, self.k.integer(0)
        for d in reversed(dims):
            index = outer
            if d != dims[0]:
                index, outer = k.rem(outer, self.frame.size(d)), k.div(outer, self.frame.size(d))
            total = k.add(total, k.mul(index, self.steps[operand][d]))
        return total

    def misfit(self, number: int, address: V) -> V:
        """Not 0 if an output's address keeps it from being written past the caches."""
        k = self.k
        back = SIZES[self.operands[number].kind] if self.scheme.modes[number] in BACKWARD + TURN_BACK else 0
        place = k.add(k.define(f"ptrtoint ptr {address.name} to i64", "q", 1), k.integer(back))
        return k.and_(place, k.integer(63))

    def before(self, n: int, span: V, index: V) -> V:
        """Where that lies which a line comes to before a span."""
        return self._scratch(n, span, self.k.integer(0), index)

    def total(self, n: int, span: V, chunk: V, index: V) -> V:
        """Where that lies which a line comes to in a chunk of a span."""
        return self._scratch(n, span, self.k.add(chunk, self.k.integer(1)), index)

    def _scratch(self, n: int, span: V, row: V, index: V) -> V:
        k, plan = self.k, self.frame.plan
        rows = k.add(plan("span"), k.integer(1))
        turn = k.rem(span, k.integer(self.final + 1))
        number = k.add(k.mul(turn, k.integer(len(self.levels))), k.integer(list(self.levels).index(n)))
        row = k.mul(k.add(k.mul(number, rows), row), plan("lines"))
        return k.at(k.at(self.frame.scratch(), row, 8), index, SIZES[self.kind(n)])

    # ---- the body ----

    def carried(self, level: int) -> list[int]:
        """The scans whose results a pass uses."""
        return [n for n in self.levels if self.levels[n] < level]

    def counted(self, level: int) -> list[int]:
        """The scans whose chunks a pass sums up."""
        return [n for n in self.levels if self.levels[n] == level]

    def wanted(self, level: int) -> list[int]:
        """The instructions whose values a pass is for."""
        return [store.value for store in self.kernel.outputs] if level == self.final else self.counted(level)

    def loads(self, level: int) -> list[int]:
        """The inputs that a pass reads."""
        body = self.kernel.body
        found = {body[n].attr for n in closure(self.kernel, self.wanted(level)) if body[n].verb == "load"}
        return [number for number in range(len(self.kernel.inputs)) if number in found]

    def scans(self, level: int) -> Iterator[int]:
        """The scans that a pass carries on, in order."""
        needed = closure(self.kernel, self.wanted(level))
        return (n for n in needed if n in self.levels)

    def identity(self, n: int, lanes: int = 0) -> V:
        inst = self.kernel.body[n]
        return self.k.const(monoids.identity(inst.attr, inst.kind), inst.kind, lanes or self.lanes)  # type: ignore[arg-type]

    def combine(self, n: int, x: V, y: V) -> V:
        return combine(self.k, self.kernel.body[n].attr, x, y)  # type: ignore[arg-type]

    def kind(self, n: int) -> str:
        return self.kernel.body[n].kind

    # ---- memory ----

    def stored(self, n: int) -> str:
        """The kind of an operand, for moving it about."""
        return STORED.get(self.operands[n].kind, self.operands[n].kind)

    def meant(self, x: V, kind: str) -> V:
        """What was stored, as the kind that it is."""
        return self.k.cast(x, "?") if kind == "?" else self.k.bits(x, kind) if kind in STORED else x

    def moved(self, x: V) -> V:
        """A value as it is stored."""
        return self.k.cast(x, "B") if x.kind == "?" else self.k.bits(x, "H") if x.kind in STORED else x
