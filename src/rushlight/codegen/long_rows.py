"""Kernels of few and long rows, as code: all threads go through some of them together.

1. A phase is one pass over some rows; its tasks are chunks of these. So what a pass leaves in the cache is what the next one reads.
2. What the reductions of a chunk come to goes to scratch memory. Each task of a later pass combines those of its row, one after
   the other.
3. What a row has one value of, and is a result, is computed in a phase of its own, when all passes are done.
"""

from __future__ import annotations

from rushlight.codegen.kernel import Kernel
from rushlight.codegen.monoids import combine, identity
from rushlight.codegen.nest import AHEAD, FIRST, LAST
from rushlight.codegen.plan import Scheme
from rushlight.codegen.row_plan import LONG_PLAN
from rushlight.codegen.rows import Rows
from rushlight.codegen.values import V


class LongRows(Rows):
    """Writes one kernel of long rows."""

    def __init__(self, kernel: Kernel, scheme: Scheme, vector_bytes: int) -> None:
        super().__init__(kernel, scheme, vector_bytes, LONG_PLAN)

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b, frame, plan, s = self.b, self.frame, self.frame.plan, self.stages
        partials = b.mul(plan("partials"), b.integer(8))
        self.scratch = b.at(frame.scratch(), partials)
        with b.loop(FIRST, LAST) as task:
            row, chunk = self.split(task, plan("chunks"))
            plane, i = self.split(b.add(plan("first"), row), self.height)
            start = [frame.address(n) for n in range(frame.count)]
            at = self.moved(self.within(start, plane, range(self.last - 1)), self.last - 1, i)
            for number in range(s.passes):
                with b.when(b.eq(plan("pass"), b.integer(number))):
                    self.chunk(number, at, row, chunk)
            with b.when(b.eq(plan("pass"), b.integer(s.passes))):
                self.gather(s.passes, row)
                self.finish(at, row)
        return self.module()

    def chunk(self, number: int, at: list[V], row: V, chunk: V) -> None:
        """One pass over a chunk of a row, given where the row's operands begin."""
        b, s, length = self.b, self.stages, self.frame.plan("length")
        start = b.mul(chunk, length)
        count = b.least(length, b.sub(self.width, start))
        self.gather(number, row)
        here = self.bring(number, at, row, start, count)
        self.go_through(number, here, row, self.known(number, at, row), start, count)
        for r in s.reduced(number):
            taken = [register.taken() for register in self.all[r]]
            b.store(self.all[r][0].folded(taken), self.partial(r, row, chunk))
        if number == s.passes - 1:
            self.take_away(at, row, start, count)

    def gather(self, number: int, row: V) -> None:
        """What the reductions of a row come to that are done before a pass."""
        b, s = self.b, self.stages
        for r in [r for r in s.reduces if s.depth[r] <= number]:
            inst = self.kernel.body[r]
            b.store(b.const(identity(str(inst.attr), inst.kind), inst.kind, 1), self.result(r, row))
            with b.loop(b.integer(0), self.frame.plan("parts")) as chunk:
                found, part = (
                    b.load(x, inst.kind, 1) for x in (self.result(r, row), self.partial(r, row, chunk))
                )
                b.store(combine(b, str(inst.attr), found, part), self.result(r, row))

    def partial(self, r: int, row: V, chunk: V) -> V:
        """Where in scratch memory that is what a reduction of a chunk comes to."""
        b, plan = self.b, self.frame.plan
        number = b.add(b.mul(b.integer(self.stages.reduces.index(r)), plan("together")), row)
        return b.at(self.frame.scratch(), b.add(b.mul(number, plan("parts")), chunk), 8)

    def result(self, r: int, row: V) -> V:
        """The address of a reduction's result, of the row that a task is about."""
        return self.results[r]

    def to_ask_for(self, number: int) -> list[V]:
        """More of the row, in each pass."""
        return [self.b.integer(AHEAD)] * self.inputs
