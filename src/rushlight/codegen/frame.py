"""What a kernel is told at run time, and where: one block of 8-byte slots.

In this order: addresses of the first elements (inputs, then outputs), the address of scratch memory, scalars, sizes of
the domain, byte steps of each operand along each dimension, the numbers of the plan. The first three change from run to run.

Domains have two dimensions at least: a single one is the second, and the first has size 1.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.kernel import FIXED, Kernel, Operand
from rushlight.codegen.values import V

PARAMS = V("%params", "p")


def operands(kernel: Kernel) -> list[Operand]:
    """Inputs, then outputs, walks padded to two dimensions."""
    found = [*kernel.inputs, *[store.to for store in kernel.outputs]]
    return [Operand(o.kind, o.walk.rjust(2, FIXED)) for o in found]


class Frame:
    """Reads the slots of a kernel; each is loaded once, at the function's entry."""

    def __init__(self, b: Builder, kernel: Kernel, plan: tuple[str, ...]) -> None:
        self.b = b
        self.params = kernel.params
        self.count = len(kernel.inputs) + len(kernel.outputs)
        self.dims = max(2, len(kernel.dims))
        self.padded = self.dims - len(kernel.dims)
        self.walks = [operand.walk for operand in operands(kernel)]
        self.sizes_at = self.count + 1 + len(kernel.params)
        self.steps_at = self.sizes_at + self.dims
        self.plan_at = {name: self.steps_at + self.count * self.dims + n for n, name in enumerate(plan)}
        self.seen: dict[int, V] = {}

    def _slot(self, slot: int, kind: str) -> V:
        if slot not in self.seen:
            place, value = self.b.fresh("p"), self.b.fresh("s")
            kind_there = {"q": "i64", "p": "ptr"}[kind]
            self.b.entry.append(f"  {place} = getelementptr i64, ptr {PARAMS.name}, i64 {slot}")
            self.b.entry.append(f"  {value} = load {kind_there}, ptr {place}")
            self.seen[slot] = V(value, kind)
        return self.seen[slot]

    def address(self, operand: int) -> V:
        return self._slot(operand, "p")

    def scratch(self) -> V:
        return self._slot(self.count, "p")

    def scalar(self, number: int) -> V:
        """A run-time scalar; to be called where its value is first needed, at the function's entry."""
        place = self.b.at(PARAMS, self.b.integer(self.count + 1 + number), 8)
        return self.b.load(place, self.params[number], 1)

    def size(self, dim: int) -> V:
        if dim < self.padded:
            return self.b.integer(1)
        return self._slot(self.sizes_at + dim, "q")

    def step(self, operand: int, dim: int) -> V:
        """Bytes from one element to the next; a literal 0 where the kernel says that there are none."""
        if self.walks[operand][dim] == FIXED:
            return self.b.integer(0)
        return self._slot(self.steps_at + operand * self.dims + dim, "q")

    def plan(self, name: str) -> V:
        return self._slot(self.plan_at[name], "q")
