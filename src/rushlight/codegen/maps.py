"""Kernels of the form map, as code: tasks are blocks, done tile by tile, tiles run by run.

A run is a stretch of elements for which every operand lies side by side, or is one element repeated. Where memory is
not like that, a tile of it is copied to where it is; `plan` says for which operands.
"""

from __future__ import annotations

from rushlight.codegen.body import evaluate, unrolling
from rushlight.codegen.kernel import Kernel
from rushlight.codegen.nest import FIRST, LAST, Nest
from rushlight.codegen.plan import LOADED, MAP_PLAN, PACKED, SAME, SPLAT, Scheme
from rushlight.codegen.run import run
from rushlight.codegen.values import V


class Map(Nest):
    """Writes one map."""

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, MAP_PLAN, vector_bytes)
        self.same = self.invariant(SAME + SPLAT)

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan = self.b, self.frame, self.frame.plan
        planes = b.integer(1) if self.last == 1 else plan("planes")
        with b.loop(FIRST, LAST) as task:
            rest, columns = self.block(task, "nj", self.width)
            block, rows = self.block(rest, "ni", self.height)
            i0, i1 = self.extent(rows, plan("bi"), self.height)
            j0, j1 = self.extent(columns, plan("bj"), self.width)
            with self.through(*self.extent(block, plan("bp"), planes), b.integer(1)) as (plane, _):
                start = [frame.address(n) for n in range(frame.count)]
                bases = self.within(start, plane, range(self.last - 1))
                with (
                    self.through(i0, i1, plan("ti")) as (i, rows),
                    self.through(j0, j1, plan("tj")) as (j, columns),
                ):
                    at = self.moved(self.moved(bases, self.last - 1, i), self.last, j)
                    self.tile(at, rows, columns, b.eq(i, i0))
        return self.module()

    def tile(self, at: list[V], rows: V, columns: V, first: V) -> None:
        """Do a tile, given where its operands begin."""
        b = self.b
        for n in range(self.inputs):
            self.pack(n, at[n], rows, columns, first)
        if self.scheme.flat:
            self.run([tile or there for tile, there in zip(self.tiles, at)], b.mul(rows, columns))
        else:
            with self.through(b.integer(0), rows, b.integer(1)) as (row, _):
                self.run([self.row(n, there, row, columns) for n, there in enumerate(at)], columns)
        for n in range(self.inputs, len(self.operands)):
            self.unpack(n, at[n], rows, columns)

    def run(self, at: list[V], count: V) -> None:
        """Do `count` elements, given where the operands' first are."""
        b, kernel = self.b, self.kernel
        known = evaluate(b, kernel, self.same, self.scalars, self.repetitions(at))

        jumping = self.jumping()
        ahead = () if jumping else self.further_on()

        def step(i: V, mask: V | None, past: V | None, _: int) -> None:
            for n in jumping:
                b.prefetch(self.element(n, at[n], b.add(i, count)))
            values = evaluate(
                b, kernel, [store.value for store in kernel.outputs], known,
                self.vectors(at, i, mask, ahead), mask,
            )  # fmt: skip
            for n, store in enumerate(kernel.outputs):
                self.put(self.inputs + n, values[store.value], at, i, mask, past)

        run(b, count, step, unrolling(kernel), self.streams(at, range(self.inputs, len(self.operands))))

    def jumping(self) -> list[int]:
        """Inputs of which a tile has a piece of each row: processors do not foresee where the next piece will be."""
        if self.scheme.flat or PACKED.isdisjoint(self.scheme.modes):
            return []
        return [n for n in range(self.inputs) if self.scheme.modes[n] in LOADED]
