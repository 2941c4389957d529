"""Updates as loops of our own: one pass over a parameter, its gradient and its state.

The update is called with lanes that stand for elements, and what it does to them is compiled; the numbers in it (the rate, the
corrections by the count of steps) are brought anew at each step. Where they follow from settings and the count of steps by
plain arithmetic, this is noted, too, and as long as the settings stay the update itself need not be called again. The
statements are those of the other forms, on functions of the same arithmetic, and so are the bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rushlight.dtypes import dtype
from rushlight.graph.assignment import Assignment
from rushlight.graph.fragment import Fragment, Untraceable, char
from rushlight.graph.trace import Later, Traced
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

    def addcdiv_(self, x: Lane, y: Lane, *, value: Any = 1) -> Lane:
        if type(value) is not Later:
            return super().addcdiv_(x, y, value=value)
        return self._becomes(self.a + value * x.a / y.a)


class Count:
    """The count of steps, of which an update may only say that there is one more, and ask for it then."""

    __slots__ = ("counted",)

    def __init__(self) -> None:
        self.counted = False

    def __iadd__(self, other: Any) -> Count:
        if self.counted or type(other) is not int or other != 1:
            raise Untraceable("it does not count steps one by one")
        self.counted = True
        return self

    def item(self) -> Later:
        if not self.counted:
            raise Untraceable("it asks for the count before")
        return Later(lambda count: count)

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"it uses .{name} of the count")


def sketched(
    update: Callable, kind: dtype, held: list[str], numbers: Mapping[str, Lane | Count]
) -> tuple[Assignment, list[int]] | None:
    """What an update does to a parameter, a gradient and the elements held in a state, and how often it writes to each.

    None if it cannot be a loop. `numbers`, which the state holds once, are updated.
    """
    kept = char(kind.numpy)
    into = Fragment(2 + len(held))
    lanes = [Sketch(Traced(into, n, kept or "")) for n in range(into.operands)]
    p, g, *state = lanes
    try:
        quiet(update, p, g, {**dict(zip(held, state)), **numbers})
    except Untraceable:
        return None
    changed = tuple([n for n, lane in enumerate(lanes) if lane.version])
    if g.version or not changed or any(lanes[n].a.kind != kept for n in changed):
        return None
    into.results = [(lanes[n].a.place, lanes[n].a.kind) for n in changed]
    return Assignment("update", into, kind.numpy, changed), [lane.version for lane in lanes]


def noted(
    update: Callable, kind: dtype, held: list[str], numbers: list[str]
) -> tuple[Assignment, list[int]] | None:
    """The same for an update whose numbers follow from its settings and the count of steps; None for any other."""
    if numbers not in ([], ["step"]):
        return None
    counts = {name: Count() for name in numbers}
    found = sketched(update, kind, held, counts)
    return found if all(count.counted for count in counts.values()) else None


__all__ = ["noted", "sketched"]
