"""asin, acos, atan, atan2.

Arcs are folded to where a polynomial in the square is short: atan to [0, 1] by atan(1/x) = pi/2 - atan(x), asin to
[0, 1/2] by asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) (Cody and Waite, 1980).
"""

from __future__ import annotations

import math

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import at_most, horner, wide, wide_reciprocal

# ---- in float64, for float32 ----

#: (atan(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= 1, to 2**-34
WIDE_ATAN = (
    -0.33333332235908114,
    0.199999322263623,
    -0.14284251334180087,
    0.1109520610010273,
    -0.08988808156643309,
    0.07269427957459465,
    -0.054705248275627075,
    0.03470551284163471,
    -0.01647205652164701,
    0.0049995559783898155,
    -0.0007113462535494683,
)
#: (asin(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= 1/2, to 2**-32
WIDE_ASIN = (
    0.16666659883910848,
    0.07500510259182182,
    0.04451583229285071,
    0.03181679165098458,
    0.014405318498539378,
    0.03756186541339523,
)


def _series(k: Builder, coefficients: tuple[float, ...], x: V, z: V) -> V:
    return k.fma(k.mul(x, z), horner(k, coefficients, z), x)


def wide_atan(k: Builder, x: V) -> V:
    a = at_most(k, k.abs(x), 2.0**60)
    large = k.gt(a, k.like(1.0, a))
    t = k.select(large, k.neg(wide_reciprocal(k, a)), a)
    y = _series(k, WIDE_ATAN, t, k.mul(t, t))
    return k.copysign(k.select(large, k.add(y, k.like(math.pi / 2, y)), y), x)


def wide_atan2(k: Builder, y: V, x: V) -> V:
    a, b = k.abs(y), k.abs(x)
    steep = k.gt(a, b)
    quotient = k.div(k.select(steep, b, a), k.select(steep, a, b))
    # (0 / 0 is 0, inf / inf is 1)
    equal = k.select(k.eq(a, k.like(0.0, a)), a, k.like(1.0, a))
    quotient = k.select(k.eq(a, b), equal, quotient)
    arc = _series(k, WIDE_ATAN, quotient, k.mul(quotient, quotient))
    arc = k.select(steep, k.sub(k.like(math.pi / 2, arc), arc), arc)
    left = k.lt(k.bits(x, "q"), k.const(0, "q", x.lanes))
    return k.copysign(k.select(left, k.sub(k.like(math.pi, arc), arc), arc), y)


def _wide_folded(k: Builder, x: V) -> tuple[V, V]:
    """asin of |x|, or of sqrt((1 - |x|) / 2) where |x| > 1/2, and where that is."""
    a = k.abs(x)
    large = k.gt(a, k.like(0.5, a))
    half = k.fma(a, k.like(-0.5, a), k.like(0.5, a))
    z = k.select(large, half, k.mul(a, a))
    return _series(k, WIDE_ASIN, k.select(large, k.sqrt(half), a), z), large


def wide_asin(k: Builder, x: V) -> V:
    y, large = _wide_folded(k, x)
    return k.copysign(k.select(large, k.fma(y, k.like(-2.0, y), k.like(math.pi / 2, y)), y), x)


def wide_acos(k: Builder, x: V) -> V:
    y, large = _wide_folded(k, x)
    negative = k.lt(x, k.like(0.0, x))
    twice = k.add(y, y)
    far = k.select(negative, k.sub(k.like(math.pi, y), twice), twice)
    return k.select(large, far, k.sub(k.like(math.pi / 2, y), k.copysign(y, x)))


# ---- the functions ----

asin, acos, atan, atan2 = wide(wide_asin), wide(wide_acos), wide(wide_atan), wide(wide_atan2)
