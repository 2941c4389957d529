"""exp, exp2, expm1.

x = n ln 2 + r with |r| <= ln 2 / 2, so that exp(x) = 2**n exp(r); exp(r) is a polynomial (Tang, "Table-driven
implementation of the exponential function", ACM TOMS 15, 1989, without the table). The coefficients are minimax:
`benchmarks/maths_coefficients.py` computes them.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    at_least,
    at_most,
    by_kind,
    counted,
    exact_product,
    fast_sum,
    inside,
    polynomial,
    raised,
    scaled,
    single_raised,
    single_whole,
    whole,
    wide,
    wide_inside,
)

LOG2_E = 1.4426950408889634
#: ln 2 in two parts
LN2, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17

# ---- in float32 ----

#: ln 2 in two parts: the first of 15 bits, so that its products with whole numbers up to 2**9 are exact
SINGLE_LN2, SINGLE_LN2_LOW = 0.693145751953125, 1.4286068203094173e-06
#: (exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2, to 2**-28
SINGLE_EXP = (
    0.500000009412113,
    0.1666651899063493,
    0.04166620278407137,
    0.008368883612358722,
    0.0013950817343149693,
)


def single_exp(k: Builder, x: V) -> V:
    """x - n ln 2 is exact but for the low part of ln 2, and 1 + r is taken in two parts: what is rounded before the end is
    small, and the result within 0.8 units."""
    x = at_most(k, at_least(k, x, -104.0), 89.0)
    total, rest, n, bits = single_exp_in_parts(k, x)
    return single_raised(k, k.add(total, rest), n, bits)


def single_exp_in_parts(k: Builder, x: V) -> tuple[V, V, V, V]:
    """exp(x) = (total + rest) 2**n, to 2**-28, where the rest is up to a tenth; and n as the low bits of an int32."""
    n, bits = single_whole(k, x, LOG2_E)
    high, low = k.fma(n, k.like(-SINGLE_LN2, x), x), k.mul(n, k.like(-SINGLE_LN2_LOW, x))
    r = k.add(high, low)
    total, lost = fast_sum(k, k.like(1.0, x), high)
    return total, k.fma(k.mul(r, r), polynomial(k, SINGLE_EXP, r), k.add(lost, low)), n, bits


# ---- in float64, for float32 ----

#: (exp(r) - 1) / r for |r| <= ln 2 / 2, to 2**-32
WIDE_EXPM1 = (
    0.9999999999912991,
    0.5000000047196491,
    0.1666666685102134,
    0.0416663525247066,
    0.00833326891158991,
    0.0013941139302542612,
    0.0001991576575334703,
)
#: (2**r - 1) / r for |r| <= 1 / 2, to 2**-32
WIDE_EXP2M1 = (
    0.6931471805539261,
    0.24022650922334846,
    0.0555041092778688,
    0.009618056663495664,
    0.0013333455170610536,
    0.0001546145059870513,
    1.5309973627229907e-05,
)


def wide_reduced(k: Builder, x: V) -> tuple[V, V]:
    """exp(r) - 1, and n as the low bits of an int64."""
    n, bits = whole(k, x, LOG2_E)
    r = k.fma(n, k.like(-LN2, x), x)
    return k.mul(r, polynomial(k, WIDE_EXPM1, r)), bits


def wide_exp(k: Builder, x: V) -> V:
    """exp of a float64 of some hundreds at most, to 2**-32."""
    p, n = wide_reduced(k, x)
    return scaled(k, k.add(p, k.like(1.0, x)), n)


def wide_exp2(k: Builder, x: V) -> V:
    """2**x of a float64 of some hundreds at most, to 2**-32."""
    n, bits = whole(k, x)
    r = k.sub(x, n)
    return scaled(k, k.fma(r, polynomial(k, WIDE_EXP2M1, r), k.like(1.0, x)), bits)


def wide_expm1(k: Builder, x: V) -> V:
    """exp(x) - 1 of a float64 of some hundreds at most, to 2**-31 of the result."""
    p, n = wide_reduced(k, x)
    power = scaled(k, k.like(1.0, x), n)
    return k.fma(power, p, k.sub(power, k.like(1.0, x)))


# ---- in float64 ----

#: (exp(r) - 1 - r - r^2 / 2) / r^3 for |r| <= ln 2 / 2, to 2**-64
EXP = (
    0.16666666666666682,
    0.0416666666666667,
    0.00833333333331684,
    0.0013888888888865063,
    0.00019841269896867718,
    2.4801587365366457e-05,
    2.7557234388119288e-06,
    2.7557238432942085e-07,
    2.5112197061544408e-08,
    2.092575510939663e-09,
)


def reduced(k: Builder, x: V) -> tuple[V, V, V]:
    """r in two parts, and n as the low bits of an int64. x - n ln 2 is exact where ln 2 has 53 bits: the result is
    below 1/2, and a multiple of 2**-54."""
    n, bits = whole(k, x, LOG2_E)
    high, low = fast_sum(k, k.fma(n, k.like(-LN2, x), x), k.mul(n, k.like(-LN2_LOW, x)))
    return high, low, bits


def rest(k: Builder, r: V, low: V) -> V:
    """exp(r + low) - 1 - r, to 2**-56."""
    p = k.fma(r, polynomial(k, EXP, r), k.like(0.5, r))
    return k.fma(k.mul(r, r), p, low)


def exp_in_parts(k: Builder, r: V, low: V) -> tuple[V, V]:
    """exp(r + low) to 2**-56."""
    high, lost = fast_sum(k, k.like(1.0, r), r)
    return high, k.add(lost, rest(k, r, low))


def expm1_in_parts(k: Builder, x: V) -> tuple[V, V]:
    """(exp(x) - 1) / 2, of 2**-54 <= |x| < 709.8, to 2**-58 of it: halved, for 2**n may be beyond the largest.

    It is a third of its terms where n = 1 and r < 0, so r^2 / 2 is taken in two parts."""
    r, low, bits = reduced(k, x)
    half = k.like(0.5, x)
    power = scaled(k, half, bits)
    less = k.sub(power, half)
    lost = k.select(k.gt(power, half), k.sub(k.sub(power, less), half), k.sub(power, k.add(less, half)))
    high, more = fast_sum(k, less, k.mul(power, r))
    square, remainder = exact_product(k, r, k.mul(r, half))
    high, most = fast_sum(k, high, k.mul(power, square))
    cube = k.mul(k.mul(r, r), r)
    tail = k.fma(cube, polynomial(k, EXP, r), k.add(remainder, low))
    return high, k.fma(power, tail, k.add(k.add(most, more), lost))


def _exp(k: Builder, x: V) -> V:
    r, low, bits = reduced(k, at_most(k, at_least(k, x, -750.0), 710.0))
    return raised(k, k.add(*exp_in_parts(k, r, low)), counted(k, bits))


def _exp2(k: Builder, x: V) -> V:
    x = inside(k, x, 1100.0)
    n, bits = whole(k, x)
    r = k.sub(x, n)
    high, low = exact_product(k, r, k.like(LN2, r))
    low = k.fma(r, k.like(LN2_LOW, r), low)
    return raised(k, k.add(*exp_in_parts(k, high, low)), counted(k, bits))


def _expm1(k: Builder, x: V) -> V:
    high, low = expm1_in_parts(k, at_most(k, at_least(k, x, -40.0), 709.8))
    y = k.add(high, low)
    return k.select(k.lt(k.abs(x), k.like(2.0**-54, x)), x, k.add(y, y))


# ---- the functions ----


def _single_expm1(k: Builder, x: V) -> V:
    # (the sign of -0 would be lost)
    return k.copysign(wide(wide_expm1)(k, inside(k, x, 100.0)), x)


exp = by_kind(single_exp, _exp)
exp2 = by_kind(wide_inside(wide_exp2, 160.0), _exp2)
expm1 = by_kind(_single_expm1, _expm1)
