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


def of_batch(b: Builder, base: V, number: V, inner: V, outer_step: V, inner_step: V) -> V:
    """The address of a matrix of a batch of batches."""
    outer = b.mul(b.div(number, inner), outer_step)
    return b.at(b.at(base, outer), b.mul(b.rem(number, inner), inner_step))


__all__ = ["PARAMS", "added", "of_batch", "words"]
