"""Kernels of the form map, as code: tasks are blocks, done tile by tile, tiles run by run.

A run is a stretch of elements for which every operand lies side by side, or is one element repeated. Where memory is
not like that, a tile of it is copied to where it is; `plan` says for which operands.
"""

from __future__ import annotations

from rushlight.codegen.body import evaluate, largest
from rushlight.codegen.builder import SIZES, Builder, V
from rushlight.codegen.copying import copy, turn
from rushlight.codegen.frame import PARAMS, Frame, operands
from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.plan import MAP_PLAN, ONCE, PACKED, SAME, SPLAT, TILE, TURN, Scheme
from rushlight.codegen.run import Target, run, unrolling

_FIRST, _LAST = V("%first", "q"), V("%last", "q")


def map_module(kernel: Kernel, scheme: Scheme, vector_bytes: int) -> str:
    """The text of an LLVM module with the function `kernel`."""
    return Map(kernel, scheme, vector_bytes).text()


class Map:
    """Writes one map.

    Attributes:
        invariant: instructions that are the same for a whole run.
    """

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        self.kernel, self.scheme = kernel, scheme
        self.vector_bytes = vector_bytes
        self.b = Builder(max(1, vector_bytes // largest(kernel)))
        self.frame = Frame(self.b, kernel, MAP_PLAN)
        self.operands = operands(kernel)
        self.inputs = len(kernel.inputs)
        self.sizes = [SIZES[o.kind] for o in self.operands]
        self.tiles = [
            self.b.room(o.kind, 1, TILE) if mode in PACKED else None
            for o, mode in zip(self.operands, scheme.modes)
        ]
        self.invariant = self._invariant()

    def _invariant(self) -> list[int]:
        found: list[int] = []
        for n, inst in enumerate(self.kernel.body):
            if inst.verb == "load":
                same = self.scheme.modes[inst.attr] in SAME + SPLAT  # type: ignore[index]
            else:
                same = all(a in found for a in inst.args)
            if same:
                found.append(n)
        return found

    # ---- blocks ----

    def text(self) -> str:
        b, plan = self.b, self.frame.plan
        self.scalars = {
            n: b.splat(self.frame.scalar(inst.attr))  # type: ignore[arg-type]
            for n, inst in enumerate(self.kernel.body)
            if inst.verb == "param"
        }
        with b.loop(_FIRST, _LAST) as task:
            rest, columns = b.div(task, plan("nj")), b.rem(task, plan("nj"))
            planes, rows = b.div(rest, plan("ni")), b.rem(rest, plan("ni"))
            p0, p1 = self._extent(planes, plan("bp"), plan("planes"))
            i0, i1 = self._extent(rows, plan("bi"), self.frame.size(self.frame.dims - 2))
            j0, j1 = self._extent(columns, plan("bj"), self.frame.size(self.frame.dims - 1))
            with b.loop(p0, p1) as plane:
                bases = self._plane(plane)
                with b.loop(i0, i1, plan("ti")) as i, b.loop(j0, j1, plan("tj")) as j:
                    self.tile(
                        bases,
                        i,
                        b.least(b.add(i, plan("ti")), i1),
                        j,
                        b.least(b.add(j, plan("tj")), j1),
                        b.eq(i, i0),
                    )
        if self.kernel.stream:
            self._fence()
        return b.module([*self._copiers(), b.definition("kernel", [PARAMS, _FIRST, _LAST])])

    def _extent(self, number: V, extent: V, size: V) -> tuple[V, V]:
        start = self.b.mul(number, extent)
        return start, self.b.least(self.b.add(start, extent), size)

    def _plane(self, plane: V) -> list[V]:
        """The address of each operand's first element in a plane."""
        b, frame = self.b, self.frame
        found = [frame.address(n) for n in range(frame.count)]
        for dim in reversed(range(frame.dims - 2)):
            index = b.rem(plane, frame.size(dim)) if dim else plane
            plane = b.div(plane, frame.size(dim)) if dim else plane
            found = [self._stepped(at, n, dim, index) for n, at in enumerate(found)]
        return found

    def _stepped(self, at: V, operand: int, dim: int, index: V) -> V:
        step = self.frame.step(operand, dim)
        return at if step.name == "0" else self.b.at(at, self.b.mul(index, step))

    def _fence(self) -> None:
        """Stores past the caches are ordered by nothing else."""
        self.b.declared.add("declare void @llvm.x86.sse.sfence()")
        self.b.emit("call void @llvm.x86.sse.sfence()")

    def _copiers(self) -> list[str]:
        found = []
        modes = list(zip(self.sizes, self.scheme.modes))
        for size in (1, 2, 4, 8):
            used = {mode for s, mode in modes if s == size} & PACKED
            found += [copy(size)] if used else []
            found += [turn(size, self.vector_bytes)] if TURN in used else []
        return found

    # ---- tiles ----

    def tile(self, bases: list[V], i: V, i1: V, j: V, j1: V, first: V) -> None:
        """Do rows i to i1 and columns j to j1 of a plane."""
        b, dims = self.b, self.frame.dims
        rows, columns = b.sub(i1, i), b.sub(j1, j)
        there = [
            self._stepped(self._stepped(at, n, dims - 2, i), n, dims - 1, j) for n, at in enumerate(bases)
        ]
        for n in range(self.inputs):
            self._pack(n, there[n], rows, columns, first)
        if self.scheme.flat:
            self.run([t or at for t, at in zip(self.tiles, there)], b.mul(rows, columns))
        else:
            with b.loop(b.integer(0), rows) as row:
                self.run([self._row(n, at, row, columns) for n, at in enumerate(there)], columns)
        for n in range(self.inputs, len(self.operands)):
            self._unpack(n, there[n], rows, columns)

    def _row(self, n: int, at: V, row: V, columns: V) -> V:
        tile = self.tiles[n]
        if tile is None:
            return self._stepped(at, n, self.frame.dims - 2, row)
        return self.b.at(tile, self.b.mul(row, columns), self.sizes[n])

    def _pack(self, n: int, at: V, rows: V, columns: V, first: V) -> None:
        b, mode, tile, size = self.b, self.scheme.modes[n], self.tiles[n], self.sizes[n]
        if tile is None:
            return
        down, along = self.frame.step(n, self.frame.dims - 2), self.frame.step(n, self.frame.dims - 1)
        args = [tile, at, rows, columns, b.mul(columns, b.integer(size)), b.integer(size), down, along]
        if mode == ONCE:
            with b.when(first):
                b.call(f"copy{size}", args)
        else:
            b.call(f"turn{size}" if mode == TURN else f"copy{size}", args)

    def _unpack(self, n: int, at: V, rows: V, columns: V) -> None:
        b, mode, tile, size = self.b, self.scheme.modes[n], self.tiles[n], self.sizes[n]
        if tile is None:
            return
        down, along = self.frame.step(n, self.frame.dims - 2), self.frame.step(n, self.frame.dims - 1)
        pitch, unit = b.mul(columns, b.integer(size)), b.integer(size)
        if mode == TURN:  # (what is a row here is a column there)
            b.call(f"turn{size}", [at, tile, columns, rows, along, down, unit, pitch])
        else:
            b.call(f"copy{size}", [at, tile, rows, columns, down, along, pitch, unit])

    # ---- runs ----

    def run(self, at: list[V], count: V) -> None:
        """Do `count` elements, of which each operand's first is given."""
        b, kernel = self.b, self.kernel
        known = evaluate(b, kernel, self.invariant, self.scalars, lambda n, inst: self._repeated(at, inst))

        def step(i: V, mask: V | None, stream: bool, number: int) -> None:
            def load(n: int, inst: Inst) -> V:
                m: int = inst.attr  # type: ignore[assignment]
                return b.load(b.at(at[m], i, self.sizes[m]), inst.kind, mask=mask)

            values = evaluate(b, kernel, [store.value for store in kernel.outputs], known, load, mask)
            for n, store in enumerate(kernel.outputs):
                m = self.inputs + n
                past = stream and self.tiles[m] is None
                size = self.sizes[m]
                b.store(
                    values[store.value], b.at(at[m], i, size), b.lanes * size if past else size, past, mask
                )

        streams = [
            Target(at[self.inputs + n], store.to.kind)
            for n, store in enumerate(kernel.outputs)
            if kernel.stream and self.tiles[self.inputs + n] is None
        ]
        run(b, count, step, unrolling(len(kernel.body)), streams)

    def _repeated(self, at: list[V], inst: Inst) -> V:
        """One element in all lanes."""
        return self.b.splat(self.b.load(at[inst.attr], inst.kind, 1))  # type: ignore[index]
