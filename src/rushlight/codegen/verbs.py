"""What each verb of a body computes, written with a builder: one row a verb, for scalars and vectors alike.

Arithmetic is that of the kind: integers wrap, nothing is contracted. Half kinds are for memory only: they are
loaded, cast and stored, and computed with as float32.
"""

from __future__ import annotations

from collections.abc import Callable

from rushlight.codegen.builder import Builder
from rushlight.codegen.values import FLOATS, SIGNED, SIZES, V

Emission = Callable[..., V]


# ---- choice ----


def maximum(b: Builder, x: V, y: V) -> V:
    """The larger; NaN if either is; of two zeros the second, as x86's instruction and NumPy choose."""
    chosen = b.gt(x, y)
    return b.select(b.or_(chosen, b.isnan(x)) if x.kind in FLOATS else chosen, x, y)


def minimum(b: Builder, x: V, y: V) -> V:
    chosen = b.lt(x, y)
    return b.select(b.or_(chosen, b.isnan(x)) if x.kind in FLOATS else chosen, x, y)


def fmax(b: Builder, x: V, y: V) -> V:
    """The larger; the other one if one is NaN."""
    chosen = b.gt(x, y)
    return b.select(b.or_(chosen, b.isnan(y)) if x.kind in FLOATS else chosen, x, y)


def fmin(b: Builder, x: V, y: V) -> V:
    chosen = b.lt(x, y)
    return b.select(b.or_(chosen, b.isnan(y)) if x.kind in FLOATS else chosen, x, y)


def sign(b: Builder, x: V) -> V:
    """-1, 0 or 1; 0 of NaN, as PyTorch has it."""
    zero, one = b.like(0, x), b.like(1, x)
    above = b.select(b.gt(x, zero), one, zero)
    if x.kind not in FLOATS | SIGNED:
        return above
    return b.select(b.lt(x, zero), b.like(-1, x), above)


# ---- arithmetic ----


def fmod(b: Builder, x: V, y: V) -> V:
    """What division rounded towards zero leaves, exactly; of integers where that is defined."""
    return _fmod(b, x, y) if x.kind in FLOATS else b.rem(x, y)


#: quotients that are exact but for their fraction, by kind
_EXACT = {"f": 2.0**23, "d": 2.0**52}


def _fmod(b: Builder, x: V, y: V) -> V:
    """Of floats; C's function takes a lane at a time, and is called for quotients that are too large, and for nan.

    1. The rounded quotient's whole part n is right or, where rounding reached the next whole number, one too large.
    2. x - n y is a multiple of the smaller operand's last place and below y in size, so a fused operation gives it exactly.
    3. Below 0 it shows that n was too large.
    """
    size, by = b.abs(x), b.abs(y)
    whole = b.trunc(b.div(size, by))
    rest = b.fma(b.neg(whole), by, size)
    rest = b.select(b.lt(rest, b.like(0, rest)), b.add(rest, by), rest)
    close = b.and_(b.lt(whole, b.like(_EXACT[x.kind], whole)), b.eq(rest, rest))
    found = b.room(x.kind, x.lanes)
    b.store(b.copysign(rest, x), found)
    with b.when(b.any(b.not_(close))):
        b.store(b.frem(x, y), found)
    return b.load(found, x.kind, x.lanes)


def _within(b: Builder, x: V, y: V) -> V:
    """Whether y is a shift that a word of x's kind can make."""
    width = b.like(8 * SIZES[x.kind], y)
    inside = b.lt(y, width)
    return b.and_(inside, b.ge(y, b.like(0, y))) if y.kind in SIGNED else inside


def shl(b: Builder, x: V, y: V) -> V:
    """To the left; by more than there are bits, or by a negative number, nothing is left."""
    inside, zero = _within(b, x, y), b.like(0, x)
    return b.select(inside, b.shl(x, b.select(inside, y, zero)), zero)


def shr(b: Builder, x: V, y: V) -> V:
    """To the right; by more than there are bits, or by a negative number, only the sign is left."""
    inside = _within(b, x, y)
    if x.kind in SIGNED:
        return b.shr(x, b.select(inside, y, b.like(8 * SIZES[x.kind] - 1, x)))
    zero = b.like(0, x)
    return b.select(inside, b.shr(x, b.select(inside, y, zero)), zero)


def isnan(b: Builder, x: V) -> V:
    return b.isnan(x) if x.kind in FLOATS else b.const(False, "?", x.lanes)


def _whole(rounding: Emission) -> Emission:
    """A rounding, which leaves integers as they are."""
    return lambda b, x: rounding(b, x) if x.kind in FLOATS else x


#: verb -> what computes it, from the builder and the arguments
EMISSIONS: dict[str, Emission] = {
    "add": Builder.add,
    "sub": Builder.sub,
    "mul": Builder.mul,
    "div": Builder.div,
    "rem": Builder.rem,
    "fmod": fmod,
    "copysign": Builder.copysign,
    "maximum": maximum,
    "minimum": minimum,
    "fmax": fmax,
    "fmin": fmin,
    "and": Builder.and_,
    "or": Builder.or_,
    "xor": Builder.xor,
    "shl": shl,
    "shr": shr,
    "lt": Builder.lt,
    "le": Builder.le,
    "gt": Builder.gt,
    "ge": Builder.ge,
    "eq": Builder.eq,
    "ne": Builder.ne,
    "neg": Builder.neg,
    "abs": Builder.abs,
    "sign": sign,
    "not": Builder.not_,
    "isnan": isnan,
    "sqrt": Builder.sqrt,
    "floor": _whole(Builder.floor),
    "ceil": _whole(Builder.ceil),
    "trunc": _whole(Builder.trunc),
    "rint": _whole(Builder.rint),
    "square": lambda b, x: b.mul(x, x),
    "select": Builder.select,
    "fma": Builder.fma,
}
