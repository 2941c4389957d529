"""asin, acos, atan, atan2.

Arcs are folded to where a polynomial in the square is short: atan to [0, 1] by atan(1/x) = pi/2 - atan(x), asin to
[0, 1/2] by asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) (Cody and Waite, 1980).
"""

from __future__ import annotations

import math

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    INF,
    at_most,
    by_kind,
    exact_sum,
    fast_sum,
    polynomial,
    quotient,
    series,
    wide,
)

# ---- in float64, for float32 ----

#: (atan(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= 1, to 2**-34
WIDE_ATAN = (
    -0.33333332235908114,
    0.199999322263623,
    -0.14284251334180084,
    0.11095206100102727,
    -0.08988808156643298,
    0.07269427957459436,
    -0.054705248275626554,
    0.03470551284163412,
    -0.016472056521646582,
    0.004999555978389642,
    -0.0007113462535494375,
)
#: (asin(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= 1/2, to 2**-32
WIDE_ASIN = (
    0.16666659883910848,
    0.07500510259182182,
    0.04451583229285072,
    0.031816791650984506,
    0.014405318498539436,
    0.03756186541339539,
)


def _series(k: Builder, coefficients: tuple[float, ...], x: V, z: V) -> V:
    return k.fma(k.mul(x, z), polynomial(k, coefficients, z), x)


def wide_atan(k: Builder, x: V) -> V:
    a = k.abs(x)
    large = k.gt(a, k.like(1.0, a))
    t = k.select(large, k.div(k.like(-1.0, a), a), a)
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


# ---- in float64 ----

#: (atan(t) / t - 1) / t^2 as a polynomial in t^2 for |t| <= tan(pi / 8), to 2**-59
ATAN = (
    -0.333333333333332,
    0.1999999999995381,
    -0.14285714280219314,
    0.11111110784605632,
    -0.0909089779062832,
    0.07692060794669191,
    -0.0666311052927549,
    0.05847935369519738,
    -0.0503950648466418,
    0.038069527093033004,
    -0.01791246438813175,
)
#: (asin(x) / x - 1) / x^2 as a polynomial in x^2 for |x| <= 1/2, to 2**-60
ASIN = (
    0.16666666666666763,
    0.0749999999997013,
    0.04464285717525167,
    0.030381942677125774,
    0.02237221584789529,
    0.01735159665985344,
    0.013981003092258134,
    0.011397433057972878,
    0.010788454246103188,
    0.0036757898605859576,
    0.02178102856439317,
    -0.02110185203242838,
    0.03269204925752557,
)
PI_LOW = 1.2246467991473532e-16
#: tan(pi / 8) and tan(3 pi / 8)
FLAT, STEEP = 0.4142135623730950, 2.414213562373095


def _from(k: Builder, high: V, low: V, y: tuple[V, V]) -> V:
    """high + low + y, where high is at least y's high part, or 0."""
    total, lost = fast_sum(k, high, y[0])
    return k.add(total, k.add(lost, k.add(low, y[1])))


def _arc(k: Builder, t: V, low: V) -> tuple[V, V]:
    """atan(t + low) for |t| <= tan(pi / 8)."""
    z = k.mul(t, t)
    return t, k.add(k.fma(k.neg(z), low, low), series(k, ATAN, t, z))


def _part_of_pi(k: Builder, x: V, *choices: tuple[V, float]) -> tuple[V, V]:
    """pi times the factor of the first condition that holds, else 0, in two parts."""
    high = low = k.like(0.0, x)
    for condition, factor in reversed(choices):
        high = k.select(condition, k.like(math.pi * factor, x), high)
        low = k.select(condition, k.like(PI_LOW * factor, x), low)
    return high, low


def _atan(k: Builder, x: V) -> V:
    """By atan(x) = pi / 4 + atan((x - 1) / (x + 1)) in the middle, pi / 2 - atan(1 / x) beyond."""
    a, one, zero = k.abs(x), k.like(1.0, x), k.like(0.0, x)
    a = at_most(k, a, 2.0**60)
    steep, flat = k.gt(a, k.like(STEEP, a)), k.lt(a, k.like(FLAT, a))
    above, above_low = exact_sum(k, a, k.neg(one))
    below, below_low = exact_sum(k, a, one)
    above = k.select(flat, a, k.select(steep, k.neg(one), above))
    below = k.select(flat, one, k.select(steep, a, below))
    straight = k.or_(steep, flat)
    t = quotient(
        k, (above, k.select(straight, zero, above_low)), (below, k.select(straight, zero, below_low))
    )
    high, low = _part_of_pi(k, a, (steep, 0.5), (k.not_(flat), 0.25))
    y = _from(k, high, low, _arc(k, *t))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-28, a)), a, y), x)


def _defined_quotient(k: Builder, low: V, high: V) -> tuple[V, V]:
    """Numbers whose quotient is low / high, but 1 for inf / inf, 0 for 0 / 0, and 0 or NaN for others over inf."""
    zero, one = k.like(0.0, low), k.like(1.0, low)
    equal, infinite = k.eq(low, high), k.eq(high, k.like(INF, high))
    over = k.select(infinite, k.mul(low, zero), low)
    over = k.select(equal, k.select(k.eq(low, zero), zero, one), over)
    return over, k.select(k.or_(equal, infinite), one, high)


def _scaled(k: Builder, low: V, high: V) -> tuple[V, V]:
    """Numbers of the same quotient, neither too large nor too small for sums and remainders."""
    down, up = k.gt(high, k.like(2.0**500, high)), k.lt(high, k.like(2.0**-400, high))
    scale = k.select(up, k.like(2.0**600, high), k.like(1.0, high))
    scale = k.select(down, k.like(2.0**-600, high), scale)
    return k.mul(low, scale), k.mul(high, scale)


def _arc_of_quotient(k: Builder, s: V, c: V) -> tuple[V, tuple[V, V]]:
    """Whether atan(s / c), which is at most pi / 4, was not folded, and how much it is more than 0 or pi / 4."""
    zero, flat = k.like(0.0, s), k.le(s, k.mul(c, k.like(FLAT, c)))
    above, above_low = exact_sum(k, s, k.neg(c))
    below, below_low = exact_sum(k, s, c)
    over = k.select(flat, s, above), k.select(flat, zero, above_low)
    under = k.select(flat, c, below), k.select(flat, zero, below_low)
    return flat, _arc(k, *quotient(k, over, under))


def _atan2(k: Builder, y: V, x: V) -> V:
    """atan of the smaller of |y|, |x| over the larger, which is folded once more, and put into its octant."""
    a, b = k.abs(y), k.abs(x)
    steep, left = k.gt(a, b), k.lt(k.bits(x, "q"), k.const(0, "q", x.lanes))
    low, high = _defined_quotient(k, k.select(steep, b, a), k.select(steep, a, b))
    s, c = _scaled(k, low, high)
    flat, arc = _arc_of_quotient(k, s, c)
    # 1. from the multiple of pi that the fold began at, there or back
    sharp = k.not_(flat)
    multiple = _part_of_pi(k, x, (k.and_(left, sharp), 0.75), (sharp, 0.25), (steep, 0.5), (left, 1.0))
    sign = k.select(k.xor(steep, left), k.like(-1.0, x), k.like(1.0, x))
    result = _from(k, *multiple, (k.mul(arc[0], sign), k.mul(arc[1], sign)))
    # 2. a tiny quotient is its own arc, rounded once where it is subnormal
    tiny = k.and_(k.not_(k.or_(steep, left)), k.lt(s, k.mul(c, k.like(2.0**-40, c))))
    return k.copysign(k.select(tiny, k.div(low, high), result), y)


def _folded(k: Builder, x: V) -> tuple[V, V, V]:
    """asin of |x|, or of sqrt((1 - |x|) / 2) where |x| > 1/2, in two parts, and where that is."""
    a, zero = k.abs(x), k.like(0.0, x)
    large = k.gt(a, k.like(0.5, a))
    half = k.fma(a, k.like(-0.5, a), k.like(0.5, a))
    root = k.sqrt(half)
    lost = k.div(k.fma(k.neg(root), root, half), k.add(root, root))
    lost = k.select(k.and_(large, k.gt(root, zero)), lost, zero)
    z, s = k.select(large, half, k.mul(a, a)), k.select(large, root, a)
    return s, k.add(series(k, ASIN, s, z), lost), large


def _asin(k: Builder, x: V) -> V:
    s, rest, large = _folded(k, x)
    minus = k.like(-2.0, x)
    far = _from(k, k.like(math.pi / 2, x), k.like(PI_LOW / 2, x), (k.mul(s, minus), k.mul(rest, minus)))
    y = k.select(large, far, k.add(s, rest))
    return k.copysign(k.select(k.lt(s, k.like(2.0**-28, s)), k.select(large, y, s), y), x)


def _acos(k: Builder, x: V) -> V:
    s, rest, large = _folded(k, x)
    negative = k.lt(x, k.like(0.0, x))
    # pi / 2 - asin(x); 2 asin(root); pi - 2 asin(root)
    factor = k.select(
        large, k.select(negative, k.like(-2.0, x), k.like(2.0, x)), k.copysign(k.like(1.0, x), k.neg(x))
    )
    high, low = _part_of_pi(k, x, (k.not_(large), 0.5), (negative, 1.0))
    return _from(k, high, low, (k.mul(s, factor), k.mul(rest, factor)))


# ---- the functions ----

asin = by_kind(wide(wide_asin), _asin)
acos = by_kind(wide(wide_acos), _acos)
atan = by_kind(wide(wide_atan), _atan)
atan2 = by_kind(wide(wide_atan2), _atan2)
