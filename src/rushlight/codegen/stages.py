"""The stages of a row: which instructions can be computed once the row has been gone through so many times.

A reduction over a row is known after the pass that goes through its argument; what depends on it belongs to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rushlight.codegen.body import closure, is_function
from rushlight.codegen.kernel import FIXED, Kernel


@dataclass(frozen=True)
class Stages:
    """How a kernel of the form rows is computed.

    Attributes:
        depth: for each instruction, how many reductions it has to wait for, one after the other.
        varies: whether it is different from element to element.
        row: the dimension that is a row.
    """

    kernel: Kernel
    depth: tuple[int, ...]
    varies: tuple[bool, ...]
    row: int

    @cached_property
    def needed(self) -> frozenset[int]:
        return frozenset(closure(self.kernel, [store.value for store in self.kernel.outputs]))

    @cached_property
    def stored(self) -> tuple[int, ...]:
        """Outputs that are elements."""
        return tuple(n for n, s in enumerate(self.kernel.outputs) if s.to.walk[self.row] != FIXED)

    @cached_property
    def finished(self) -> tuple[int, ...]:
        """Outputs of which a row has one."""
        return tuple(n for n, s in enumerate(self.kernel.outputs) if s.to.walk[self.row] == FIXED)

    @cached_property
    def passes(self) -> int:
        """How often a row is gone through. (Elements are stored in the last pass, when no input is needed any more:
        an output may lie in an input's memory.)"""
        stores = [self.depth[self.kernel.outputs[n].value] + 1 for n in self.stored]
        return max([*stores, *[self.depth[r] for r in self.reduces]], default=1)

    @cached_property
    def reduces(self) -> tuple[int, ...]:
        return tuple(n for n in sorted(self.needed) if self.kernel.body[n].verb == "reduce")

    def reduced(self, number: int) -> list[int]:
        """Reductions that a pass computes."""
        return [r for r in self.reduces if self.depth[r] == number + 1]

    def wanted(self, number: int) -> list[int]:
        """Instructions whose elements a pass is made for."""
        found = [self.kernel.body[r].args[0] for r in self.reduced(number)]
        if number == self.passes - 1:
            found += [self.kernel.outputs[n].value for n in self.stored]
        return found

    def same(self, number: int) -> list[int]:
        """Instructions that a row has one value of, known before a pass and not before the one before it."""
        return [
            n
            for n in sorted(self.needed)
            if not self.varies[n] and self.depth[n] == number and self.kernel.body[n].verb != "reduce"
        ]

    @cached_property
    def cached(self) -> dict[int, int]:
        """Elements that are kept in scratch memory, because a later pass would compute a mathematical function again;
        and the pass that keeps them."""
        found: dict[int, int] = {}
        for number in range(self.passes):
            for n in closure(self.kernel, self.wanted(number), [*self.reduces, *found]):
                if self.varies[n] and is_function(self.kernel.body[n].verb):
                    later = [w for p in range(number + 1, self.passes) for w in self.wanted(p)]
                    if n in closure(self.kernel, later, [*self.reduces, *found]):
                        found[n] = number
        return found


def stages(kernel: Kernel) -> Stages:
    """Of a kernel of the form rows."""
    depth: list[int] = []
    varies: list[bool] = []
    row = kernel.dims.index("r")
    for inst in kernel.body:
        here = max((depth[a] for a in inst.args), default=0)
        if inst.verb == "load":
            varies.append(kernel.inputs[inst.attr].walk[row] != FIXED)  # type: ignore[index]
        else:
            varies.append(inst.verb != "reduce" and any(varies[a] for a in inst.args))
        depth.append(here + (inst.verb == "reduce"))
    return Stages(kernel, tuple(depth), tuple(varies), row)
