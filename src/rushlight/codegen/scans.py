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
what came before. Both work on a span of chunks that stays in the caches, then go on to the next, so that memory is still
read once. (Blelloch, "Prefix sums and their applications", 1990, section 1.3, is the two passes.) A scan of another
scan's result has one pass more.

`scan_lines` is the loop nest where the scanned dimension is the last, `scan_columns` where another one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from rushlight.codegen import monoids
from rushlight.codegen.body import closure
from rushlight.codegen.builder import FLOATS, SIZES, Builder, V
from rushlight.codegen.frame import PARAMS, Frame, operands
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.verbs import maximum, minimum

#: elements that are combined in plain order; it decides results
CHUNK = 4096
#: bytes of input that a thread's share of a span has: half of a second-level cache
SHARE = 1 << 19
#: the most columns that a task takes at once: what is known of them stays in the first-level cache
COLUMNS = 2048
#: fewer columns than this are taken together with the rows, as one line
NARROW = 48
#: elements of a task that takes short lines one after the other, about
TASK = 1 << 16

#: plan slots. A span is the chunks from start to stop, and `room` is how many chunks it may have; what it comes to
#: lies at `totals`, what came before it at `enter`, what comes before the next at `leave`. `lines` is how many values
#: each of these has. Of columns: `pitch` is how many a panel counts for, `width` how many a task takes. Of lines: `many`
#: tasks take `run` lines a lane, one more takes `rest`, all others one.
PLAN = "level start stop room enter leave totals lines pitch width many run rest".split()

#: how an operand lies in the order of the scan: forwards or backwards side by side, one element, or anyhow
FORWARD, BACKWARD, ONE, ANYHOW = "f", "b", "o", "a"


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
    """

    nest: str
    whole: bool
    woven: bool
    runs: bool
    flip: bool
    modes: str

    def text(self) -> str:
        words = [word for word in ("whole", "woven", "runs", "flip") if getattr(self, word)]
        return " ".join([self.nest, *words, self.modes])


@dataclass(frozen=True, slots=True)
class Launch:
    """A pass over a span.

    Attributes:
        tasks: how many pieces.
        numbers: the values of PLAN; places in the scratch memory counted from its start.
    """

    tasks: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A job, cut. Nothing here changes a result.

    Attributes:
        scratch: bytes of memory through which passes tell each other what chunks come to.
        launches: to be run one after the other.
    """

    scheme: Scheme
    scratch: int
    launches: tuple[Launch, ...]


Sizes = tuple[int, ...]
Steps = tuple[tuple[int, ...], ...]


def ceildiv(a: int, b: int) -> int:
    return -(-a // b)


class Cut:
    """How a domain of two dimensions at least is cut into tasks; see Note [Passes]."""

    def __init__(self, kernel: Kernel, sizes: Sizes, steps: Steps, threads: int, vector_bytes: int) -> None:
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
        if self.columns == 1:
            return FORWARD
        return {0: ONE, self.element[n]: FORWARD}.get(self.steps[n][-1], ANYHOW)

    # ---- lines ----

    def _lines(self, modes: str, flip: bool) -> None:
        line, woven = self.length * self.columns, self.columns > 1
        everywhere = "".join(self._mode(n, range(len(self.sizes))) for n in range(len(self.element)))
        unfit = line < 64 or any(line * size % 64 for size in self.element)
        if self.chunks == 1 and unfit and set(everywhere) in ({FORWARD}, {BACKWARD}) and self._runs(line):
            self.scheme = Scheme("lines", True, woven, True, BACKWARD in everywhere, everywhere)
            return
        self.whole = ceildiv(self.panels, self.lanes)
        waste = ceildiv(self.whole, self.threads) * self.threads * self.lanes / self.panels
        self.known["lines"] = self.panels * self.columns
        self.scheme = Scheme("lines", self.chunks == 1 or waste <= 1.5, woven, False, flip, modes)

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
        parts = max(ceildiv(self.columns, COLUMNS), ceildiv(self.threads, self.panels))
        width = ceildiv(ceildiv(self.columns, parts), 16) * 16
        self.whole = self.panels * ceildiv(self.columns, width)
        waste = ceildiv(self.whole, self.threads) * self.threads / self.whole
        self.known |= {"pitch": pitch, "width": width, "lines": self.panels * pitch}
        modes = "".join(map(self._columns_mode, range(len(self.element))))
        self.scheme = Scheme("columns", self.chunks == 1 or waste <= 1.5, False, False, False, modes)

    # ---- launches ----

    def plan(self) -> Plan:
        final = max(levels(self.kernel).values()) + 1
        if self.scheme.whole:
            return Plan(self.scheme, 0, (self._launch(self.whole, level=final, stop=self.chunks),))
        read = sum(self.element[: len(self.kernel.inputs)]) * prod(self.sizes) // self.length * CHUNK
        some = self.lanes if self.scheme.nest == "lines" else 1
        room = min(max(ceildiv(self.threads * SHARE, read * some) * some, self.threads), self.chunks)
        row = 8 * len(levels(self.kernel)) * self.known["lines"]
        launches = []
        for number, start in enumerate(range(0, self.chunks, room)):
            stop = min(start + room, self.chunks)
            enter, leave = number % 2 * row, (number + 1) % 2 * row
            for level in range(final + 1):
                where = {"enter": enter, "leave": leave, "totals": 2 * row}
                launches.append(
                    self._launch(
                        self._pieces(start, stop), level=level, start=start, stop=stop, room=room, **where
                    )
                )
        return Plan(self.scheme, row * (2 + room), tuple(launches))

    def _pieces(self, start: int, stop: int) -> int:
        """Tasks of a span."""
        if self.scheme.nest == "columns":
            return self.whole * (stop - start)
        full = min(stop, self.length // CHUNK)
        return self.panels * (ceildiv(full - start, self.lanes) + (stop > full))

    def _launch(self, tasks: int, **numbers: int) -> Launch:
        return Launch(tasks, tuple((self.known | numbers).values()))


def plan(kernel: Kernel, sizes: Sizes, steps: Steps, threads: int, vector_bytes: int) -> Plan:
    """How a job is cut, for a domain of two dimensions at least."""
    if not prod(sizes):
        return Plan(Scheme("lines", True, False, False, False, ""), 0, ())
    return Cut(kernel, sizes, steps, threads, vector_bytes).plan()


def column_lanes(kernel: Kernel, vector_bytes: int) -> int:
    """Columns of a vector: a register full of the smallest elements of at least four bytes."""
    return vector_bytes // max(4, min(SIZES[operand.kind] for operand in operands(kernel)))


# ---- what the two loop nests share ----


class Nest:
    """A function that does tasks of a plan: its builder, its run-time values, its passes."""

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
        k, first, last = self.k, V("%first", "q"), V("%last", "q")
        with k.loop(first, last) as task:
            if self.scheme.whole:
                self.whole(task)
            else:
                for level in range(self.final + 1):
                    with k.when(k.eq(self.frame.plan("level"), k.integer(level))):
                        self.chunks(task, level)
        if self.kernel.stream:
            k.declared.add("declare void @llvm.x86.sse.sfence()")
            k.emit("call void @llvm.x86.sse.sfence()")
        return k.module([k.definition("kernel", [PARAMS, first, last])])

    def whole(self, task: V) -> None:
        raise NotImplementedError

    def chunks(self, task: V, level: int) -> None:
        raise NotImplementedError

    # ---- sizes and places ----

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
        back = SIZES[self.operands[number].kind] if self.scheme.modes[number] == BACKWARD else 0
        place = k.add(k.define(f"ptrtoint ptr {address.name} to i64", "q", 1), k.integer(back))
        return k.and_(place, k.integer(63))

    def scratch(self, place: str, n: int, index: V, chunk: V | None = None) -> V:
        """Where a scan's value of a line lies (in a chunk, counted from the span's first)."""
        k, plan = self.k, self.frame.plan
        scan = k.integer(list(self.levels).index(n))
        row = scan if chunk is None else k.add(k.mul(scan, plan("room")), chunk)
        start = k.at(k.at(self.frame.scratch(), plan(place)), k.mul(row, plan("lines")), 8)
        return k.at(start, index, SIZES[self.kind(n)])

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
