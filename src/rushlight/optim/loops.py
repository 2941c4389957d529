"""Updates as loops of our own: one pass over a parameter, its gradient and its state.

The update is called with lanes that stand for elements, and what it does to them is compiled; the numbers in it (the rate, the
corrections by the count of steps) are brought anew at each step. The statements are those of the other forms, on functions
of the same arithmetic, and so are the bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.dtypes import dtype
from rushlight.graph.assignment import Assignment
from rushlight.graph.trace import Fragment, Traced, Untraceable, char
from rushlight.optim.lanes import Lane
from rushlight.runtime.execute import quiet


class Sketch(Lane):
    """A lane of elements that are not known: what becomes of them is noted."""

    __slots__ = ()

    def _becomes(self, values: Any) -> Lane:
        if type(values) is not Traced:
            raise Untraceable("it becomes a number")
        self.a: Any = values
        return self._wrote()

    def add_(self, other: Any, *, alpha: float = 1) -> Lane:
        return self._becomes(self.add(other, alpha=alpha).a)

    def mul_(self, other: Any) -> Lane:
        return self._becomes((self * other).a)

    def div_(self, other: Any) -> Lane:
        return self._becomes((self / other).a)

    def sqrt_(self) -> Lane:
        return self._becomes(self.sqrt().a)


def sketched(
    update: Callable, kind: dtype, held: list[str], numbers: dict[str, Lane]
) -> tuple[Assignment, list[int]] | None:
    """What an update does to a parameter, a gradient and the elements held in a state, and how often it writes to each.

    None if it cannot be a loop. `numbers`, which the state holds once, are updated.
    """
    kept = char(kind.numpy)
    into = Fragment(2 + len(held))
    lanes = [Sketch(Traced(into, n, kept or "")) for n in range(into.operands)]
    p, g, *state = lanes
    try:
        quiet(update, p, g, dict(zip(held, state)) | numbers)
    except Untraceable:
        return None
    changed = tuple([n for n, lane in enumerate(lanes) if lane.version])
    if g.version or not changed or any(lanes[n].a.kind != kept for n in changed):
        return None
    into.results = [(lanes[n].a.place, lanes[n].a.kind) for n in changed]
    return Assignment("update", into, kind.numpy, changed), [lane.version for lane in lanes]


__all__ = ["sketched"]
