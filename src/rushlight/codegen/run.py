"""A run: a stretch of elements side by side, done by vectors, whatever its length.

What a vector computes does not depend on where in the run it lies: the last, partly filled one is computed by the
same instructions, with lanes masked off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rushlight.codegen.builder import Builder
from rushlight.codegen.values import SIZES, V

#: does a vector of elements: index of the first, mask of those that count (None: all), whether stores
#: go past the caches (None: they do not), which of the unrolled vectors it is
Step = Callable[[V, V | None, V | None, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run writes: the address of its first element, and the kind."""

    address: V
    kind: str


def run(b: Builder, count: V, step: Step, unroll: int, streams: list[Target] | None = None) -> None:
    """Do `count` elements.

    Args:
        unroll: how many vectors at once; 0 for a body that should be written no more than once, which takes a third longer: all
            of its vectors are loaded and stored as if lanes were masked off.
        streams: outputs that should be written past the caches, as far as they lie alike in memory.
    """
    if not b.masks:
        unroll = max(1, unroll)
    if b.lanes == 1 or not streams:
        _plain(b, count, step, unroll)
    elif unroll:
        _streamed(b, count, step, unroll, streams)
    else:
        _masked_stream(b, count, step, streams)


def _plain(b: Builder, count: V, step: Step, unroll: int) -> None:
    whole = b.integer(0)
    if unroll:
        whole = b.and_(count, b.integer(-unroll * b.lanes))
        _whole_vectors(b, b.integer(0), whole, step, unroll, False)
    _masked_vectors(b, whole, count, step)


def _whole_vectors(b: Builder, start: V, stop: V, step: Step, unroll: int, stream: bool) -> None:
    past = V("true", "?") if stream else None
    with b.loop(start, stop, unroll * b.lanes) as i:
        for n in range(unroll):
            step(b.add(i, b.integer(n * b.lanes)), None, past, n)


def _masked_vectors(b: Builder, start: V, stop: V, step: Step) -> None:
    with b.loop(start, stop, b.lanes) as i:
        step(i, b.below(b.sub(stop, i)), None, 0)


def _streamed(b: Builder, count: V, step: Step, unroll: int, streams: list[Target]) -> None:
    """Up to where the outputs are aligned, then whole aligned vectors past the caches, then the rest.

    Where the outputs do not become aligned together, the first part is everything.
    """
    before, together = _alignment(b, streams)
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


def _masked_stream(b: Builder, count: V, step: Step, streams: list[Target]) -> None:
    """The same with one loop: it begins with the vector that ends where the outputs are aligned."""
    before, together = _alignment(b, streams)
    lanes, zero = b.integer(b.lanes), b.integer(0)
    start = b.select(b.eq(before, zero), zero, b.sub(before, lanes))
    with b.loop(start, count, b.lanes) as i:
        left = b.sub(count, i)
        mask = b.and_(b.below(left), b.not_(b.below(b.sub(zero, i))))
        full = b.and_(b.ge(i, zero), b.ge(left, lanes))
        step(i, mask, b.and_(full, together), 0)


def _alignment(b: Builder, streams: list[Target]) -> tuple[V, V]:
    """Elements before the outputs are aligned, and whether all are then."""
    before = _until_aligned(b, streams[0])
    together = V("true", "?")
    for target in streams[1:]:
        together = b.and_(together, b.eq(_until_aligned(b, target), before))
    return before, together


def _until_aligned(b: Builder, target: Target) -> V:
    """Elements before the first vector whose address is a multiple of its size."""
    size = SIZES[target.kind]
    address = b.define(f"ptrtoint ptr {target.address.name} to i64", "q", 1)
    bytes_before = b.and_(b.sub(b.integer(0), address), b.integer(b.lanes * size - 1))
    return b.lshr(bytes_before, b.integer(size.bit_length() - 1))
