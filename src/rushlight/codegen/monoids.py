"""What reductions and scans combine with: an associative operation, and what it leaves unchanged."""

from __future__ import annotations

import math

from rushlight.codegen.builder import Builder
from rushlight.codegen.values import FLOATS, SIGNED, SIZES, V


def combine(b: Builder, monoid: str, x: V, y: V) -> V:
    """Of largest and smallest elements, NaN goes before all, and 0 is above -0, so that order does not matter."""
    match monoid:
        case "sum":
            return b.add(x, y)
        case "prod":
            return b.mul(x, y)
        case "max" | "min" if x.kind in FLOATS:
            return b.maximum(x, y) if monoid == "max" else b.minimum(x, y)
        case "any":
            return b.or_(x, y)
        case "all":
            return b.and_(x, y)
    first = b.gt(x, y) if monoid == "max" else b.lt(x, y)
    return b.select(first, x, y)


def fold(b: Builder, monoid: str, vectors: list[V]) -> V:
    """All lanes of some vectors (a power of two), by halving: first the vectors, then their lanes."""
    while len(vectors) > 1:
        half = len(vectors) // 2
        vectors = [combine(b, monoid, x, y) for x, y in zip(vectors[:half], vectors[half:])]
    (x,) = vectors
    while x.lanes > 2:
        half = x.lanes // 2
        x = combine(
            b, monoid, b.shuffle(x, None, [*range(half)]), b.shuffle(x, None, [*range(half, x.lanes)])
        )
    return combine(b, monoid, b.extract(x, 0), b.extract(x, 1)) if x.lanes == 2 else x


def neighbours(b: Builder, monoid: str, vectors: list[V]) -> V:
    """Some vectors (a power of two) as one: neighbours are combined, then neighbouring pairs, and so on."""
    while len(vectors) > 1:
        vectors = [combine(b, monoid, x, y) for x, y in zip(vectors[::2], vectors[1::2])]
    return vectors[0]


def take_up(
    b: Builder,
    monoid: str,
    vectors: list[V],
    there: V,
    mask: V | None = None,
    half: tuple[V, V] | None = None,
    waits: V | None = None,
) -> None:
    """Combine vectors, one after the other, with the accumulators at an address.

    Args:
        half: if there is but one vector, the half of a pair that is combined first: whether it is the second, and whether no other
            follows; `waits`: where the first waits for the second.
    """

    def combined(vectors: list[V]) -> None:
        found = b.load(there, vectors[0].kind, mask=mask)
        for x in vectors:
            found = combine(b, monoid, found, x)
        b.store(found, there, mask=mask)

    if half is None or waits is None:
        combined(vectors)
        return
    (x,), (second, last) = vectors, half
    nothing = b.const(identity(monoid, x.kind), x.kind)

    def both() -> None:
        first = b.select(b.splat(second), b.load(waits, x.kind, mask=mask), nothing)
        combined([combine(b, monoid, first, x)])

    b.either(last, both, lambda: b.store(x, waits, mask=mask))


def identity(monoid: str, kind: str) -> float | int | bool:
    """What changes nothing when combined."""
    bounds = {"max": limits(kind)[0], "min": limits(kind)[1]}
    return bounds[monoid] if monoid in bounds else {"sum": 0, "prod": 1, "any": False, "all": True}[monoid]


def limits(kind: str) -> tuple[float | int | bool, float | int | bool]:
    """The smallest and the largest value of a kind."""
    if kind in FLOATS:
        return -math.inf, math.inf
    if kind == "?":
        return False, True
    bits = 8 * SIZES[kind]
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if kind in SIGNED else (0, (1 << bits) - 1)
