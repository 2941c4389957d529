"""Accumulators of reductions that stay in a vector register while a loop goes on."""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.monoids import combine, fold, identity, neighbours
from rushlight.codegen.values import SIZES, V

#: kinds of whole numbers as large as floats, and how many bits of these are fraction
_WHOLE = {"f": ("i", 23), "d": ("q", 52)}


class Register:
    """A vector of accumulators.

    Of floats whose largest or smallest is wanted it holds whole numbers that are in the same order, where processors
    find the larger of these by one instruction: that of floats with NaN before all and 0 above -0 takes several. The bits of floats,
    all but the sign flipped in negative ones, are in the order of the numbers, with NaNs at both ends; those at the
    wrong end go round to the other.
    """

    def __init__(self, b: Builder, monoid: str, kind: str) -> None:
        self.b, self.monoid, self.kind = b, monoid, kind
        self.ordered = b.masks and kind in _WHOLE and monoid in ("max", "min")
        self.held, fraction = _WHOLE[kind] if self.ordered else (kind, 0)
        self.nans = (1 << fraction) - 1
        self.room = b.room(self.held)

    def clear(self) -> None:
        """Begin with what changes nothing."""
        self.put(self.nothing())

    def nothing(self) -> V:
        return self.b.const(identity(self.monoid, self.kind), self.kind)

    def put(self, x: V) -> None:
        """Begin with these."""
        self.b.store(self._to_order(x) if self.ordered else x, self.room)

    def take_up(self, *vectors: V, mask: V | None = None) -> None:
        """Combine some vectors (a power of two) with each other, neighbours first, and the accumulators with them.

        Args:
            mask: the lanes that count.
        """
        b = self.b
        if mask is not None:
            vectors = tuple([b.select(mask, x, self.nothing()) for x in vectors])
        held = [self._to_order(x) if self.ordered else x for x in vectors]
        found = neighbours(b, self.monoid, held)
        b.store(combine(b, self.monoid, b.load(self.room, self.held), found), self.room)

    def taken(self) -> V:
        """The accumulators."""
        x = self.b.load(self.room, self.held)
        return self._from_order(x) if self.ordered else x

    def folded(self, vectors: list[V]) -> V:
        """All lanes of some vectors of such accumulators (a power of two), by halving; floats whose order is wanted become whole
        numbers once, and the last of these a float."""
        if not self.ordered:
            return fold(self.b, self.monoid, vectors)
        return self._from_order(fold(self.b, self.monoid, [self._to_order(x) for x in vectors]))

    # ---- the order of floats ----

    def _to_order(self, x: V) -> V:
        b = self.b
        return self._shifted(self._flipped(b.bits(x, self.held)), self.monoid == "min")

    def _from_order(self, x: V) -> V:
        return self.b.bits(self._flipped(self._shifted(x, self.monoid == "max")), self.kind)

    def _flipped(self, x: V) -> V:
        b, bits = self.b, 8 * SIZES[x.kind]
        sign = b.shr(x, b.like(bits - 1, x))
        return b.xor(x, b.and_(sign, b.like((1 << bits - 1) - 1, x)))

    def _shifted(self, x: V, up: bool) -> V:
        """By as many places as there are NaNs of one sign: down, and what falls off the low end is highest; or up."""
        nans = self.b.like(self.nans, x)
        return self.b.add(x, nans) if up else self.b.sub(x, nans)
