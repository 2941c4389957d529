"""A run: a stretch of elements side by side, done by vectors, whatever its length.

What a vector computes does not depend on where in the run it lies: the last, partly filled one is computed by the
same instructions, with lanes masked off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rushlight.codegen.builder import SIZES, Builder, V

#: does a vector of elements: index of the first, mask of those that count (None: all), whether stores
#: go past the caches, which of the unrolled vectors it is
Step = Callable[[V, V | None, bool, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run writes: the address of its first element, and the kind."""

    address: V
    kind: str


def unrolling(weight: int) -> int:
    """How many vectors of a body with so many instructions to do at once."""
    return 4 if weight <= 8 else 2 if weight <= 24 else 1


def run(b: Builder, count: V, step: Step, unroll: int, streams: list[Target] | None = None) -> None:
    """Do `count` elements.

    Args:
        streams: outputs that should be written past the caches, as far as they lie alike in memory.
    """
    if streams and b.lanes > 1:
        _streamed(b, count, step, unroll, streams)
    else:
        _plain(b, count, step, unroll)


def _plain(b: Builder, count: V, step: Step, unroll: int) -> None:
    whole = b.and_(count, b.integer(-unroll * b.lanes))
    _whole_vectors(b, b.integer(0), whole, step, unroll, False)
    _masked_vectors(b, whole, count, step)


def _whole_vectors(b: Builder, start: V, stop: V, step: Step, unroll: int, stream: bool) -> None:
    with b.loop(start, stop, unroll * b.lanes) as i:
        for n in range(unroll):
            step(b.add(i, b.integer(n * b.lanes)), None, stream, n)


def _masked_vectors(b: Builder, start: V, stop: V, step: Step) -> None:
    with b.loop(start, stop, b.lanes) as i:
        step(i, b.below(b.sub(stop, i)), False, 0)


def _streamed(b: Builder, count: V, step: Step, unroll: int, streams: list[Target]) -> None:
    """Up to where the outputs are aligned, then whole aligned vectors past the caches, then the rest.

    Where the outputs do not become aligned together, the first part is everything.
    """
    before = _until_aligned(b, streams[0])
    together = V("true", "?")
    for target in streams[1:]:
        together = b.and_(together, b.eq(_until_aligned(b, target), before))
    before = b.least(before, count)
    whole = b.and_(b.sub(count, before), b.integer(-unroll * b.lanes))
    whole = b.select(together, whole, b.integer(0))
    end = b.add(before, whole)
    # (both partial stretches share one loop body: 0 is what comes before, 1 what comes after)
    with b.loop(b.integer(0), b.integer(2)) as part:
        after = b.ne(part, b.integer(0))
        stop = b.select(after, count, before)
        _masked_vectors(b, b.select(after, end, b.integer(0)), stop, step)
        with b.when(b.not_(after)):
            _whole_vectors(b, before, end, step, unroll, True)


def _until_aligned(b: Builder, target: Target) -> V:
    """Elements before the first vector whose address is a multiple of its size."""
    size = SIZES[target.kind]
    address = b.define(f"ptrtoint ptr {target.address.name} to i64", "q", 1)
    bytes_before = b.and_(b.sub(b.integer(0), address), b.integer(b.lanes * size - 1))
    return b.lshr(bytes_before, b.integer(size.bit_length() - 1))
