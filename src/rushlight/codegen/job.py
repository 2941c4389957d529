"""What a kernel that is written by hand is told: words of eight bytes, by name."""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.values import FLOATS, V

#: names of words that are addresses
_POINTERS = frozenset("a b c to source distances places pieces bias".split())
#: the parameters of a kernel: the words, and the tasks to do
PARAMS = [V("%params", "p"), V("%first", "q"), V("%last", "q")]


def words(b: Builder, names: tuple[str, ...]) -> dict[str, V]:
    """The words of a job, in their order."""
    return {
        name: b.load(b.at(PARAMS[0], b.integer(8 * n)), "p" if name in _POINTERS else "q", 1)
        for n, name in enumerate(names)
    }


def added(b: Builder, x: V, y: V, total: V) -> V:
    """total + x * y: of floats rounded once, of whole numbers what wraps around."""
    return b.fma(x, y, total) if x.kind in FLOATS else b.add(total, b.mul(x, y))


__all__ = ["PARAMS", "added", "words"]
