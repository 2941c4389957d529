"""gelu, silu and softplus, which networks apply to every number, each as one function.

float32 is computed in float32, on twice as many lanes as float64 has; what is rounded on the way is kept in low parts where it counts.
All are within a unit in the last place but the slope of gelu, which has a root: its error is small beside its terms.
"""

from __future__ import annotations

import math

import numpy as np

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    at_least,
    at_most,
    by_kind,
    exact_product,
    exact_sum,
    fast_sum,
    inside,
    polynomial,
    raised,
    scaled,
    single_raised,
    single_whole,
)
from rushlight.codegen.maths.error_function import half_in_parts, ndtr, tail_in_parts
from rushlight.codegen.maths.exponential import (
    LOG2_E,
    SINGLE_EXP,
    SINGLE_LN2,
    SINGLE_LN2_LOW,
    exp,
    exp_in_parts,
    reduced,
    single_exp_in_parts,
)
from rushlight.codegen.maths.hyperbolic import sigmoid_in_parts, single_sigmoid_in_parts
from rushlight.codegen.maths.logarithms import log_in_parts


def _beyond(k: Builder, x: V) -> V:
    """What these functions are far from 0: x above it, -0 below; NaN of minus infinity, as 0 times that is."""
    return k.mul(x, k.select(k.gt(x, k.like(0.0, x)), k.like(1.0, x), k.like(0.0, x)))


# ---- x times the normal distribution function ----

#: from here on gelu(-x) is 0, and gelu(x) is x
SINGLE_GELU_ENDS, GELU_ENDS = 14.5, 38.7
#: (ndtr(x) - 1 / 2) / x as a polynomial in x^2 for -0.46 <= x <= 0.7, to 2**-28 of gelu; the constant is a float32
SINGLE_NEAR = (
    0.3989422917366028,
    -0.0664906425922277,
    0.009975063328266849,
    -0.001188984374019912,
    0.0001101045462559354,
)
#: a exp(a^2 / 2) (1 - ndtr(a)) as a polynomial in t - FAR_MIDDLE, where t = 1 / (a + FAR_SHIFT), for 0.455 <= a <= 14.5, to 2**-28
FAR_SHIFT, FAR_MIDDLE = 3.5625, 0.15625
SINGLE_FAR = (
    0.3613729923414744,
    -0.8500536223813412,
    -8.192145081936147,
    -45.258592461312155,
    -151.8851364237576,
    -231.80220187288384,
    322.49582383051194,
    1743.997015416281,
    -681.8572627878546,
    -10368.594666935924,
)
#: exp(a^2 / 2) (1 - ndtr(a)) / t as a polynomial in t - MIDDLE, where t = 1 / (a + SHIFT), for 0 <= a <= 14.5, to 2**-26
SHIFT, MIDDLE = 2.5, 0.22941176593303680
SINGLE_MILLS = (
    0.773252387318889,
    2.3585438836008246,
    3.1463408180457026,
    -2.2975362710253666,
    -9.047056127279662,
    10.84533272647735,
    26.13432520324062,
    -72.47097113912197,
    -40.12374777282275,
    307.161016748442,
)
#: the density of the normal distribution at 0
PEAK = 1 / math.sqrt(2 * math.pi)


def _single_gelu(k: Builder, x: V) -> V:
    """max(x, 0) - a (1 - ndtr(a)), a = |x|: exp(-a^2 / 2) times what changes slowly, as in `wide_erfc`, of which all is kept but its last
    rounding. Where that is too large a part of x, x / 2 and a series."""
    a = at_most(k, k.abs(x), SINGLE_GELU_ENDS)
    # 1. exp(-a^2 / 2) = 2**n (1 + r + rest)
    r, low, n, bits = _single_gauss(k, a)
    both = k.add(r, low)
    rest = k.fma(k.mul(both, both), polynomial(k, SINGLE_EXP, both), low)
    # 2. what changes slowly, of t with what its rounding lost; two coefficients are so large that their roundings count, too
    d, d_low = fast_sum(k, k.like(FAR_SHIFT, a), a)
    t = k.div(k.like(1.0, a), d)
    off = k.fma(k.neg(t), d_low, k.fma(k.neg(t), d, k.like(1.0, a)))
    away = k.sub(t, k.like(FAR_MIDDLE, a))
    v = k.fma(t, off, away)
    v_low = k.fma(t, off, k.sub(away, v))
    curve, curve_low = _line(k, SINGLE_FAR[2], v, polynomial(k, SINGLE_FAR[3:], v))
    slope, slope_low = _line(k, SINGLE_FAR[1], v, curve, 2.0**-23)
    slope_low = k.fma(v, curve_low, slope_low)
    slow, slow_low = _line(k, SINGLE_FAR[0], v, slope)
    steep = k.fma(k.like(2.0, v), slope, k.like(-SINGLE_FAR[1], v))  # about the derivative
    slow_low = k.fma(v_low, steep, k.fma(v, slope_low, slow_low))
    # 3. their product, the smallest terms first
    product, lost = exact_product(k, slow, r)
    tail, more = fast_sum(k, slow, product)
    lost = k.add(lost, k.fma(slow, rest, k.fma(slow_low, r, slow_low)))
    tail = k.add(tail, k.add(more, lost))
    far = k.sub(_beyond(k, x), single_raised(k, tail, n, bits))
    # 4. the series
    z = k.mul(x, x)
    near = k.fma(z, polynomial(k, SINGLE_NEAR, z), k.mul(x, k.like(0.5, x)))
    is_near = k.lt(k.abs(k.sub(x, k.like(0.12, x))), k.like(0.58, x))
    return k.copysign(k.select(is_near, near, far), x)


def _single_gauss(k: Builder, a: V) -> tuple[V, V, V, V]:
    """r in two parts and n, where -a^2 / 2 = n ln 2 + r; and n as the low bits of an int32."""
    half = k.like(-0.5, a)
    square, lost = exact_product(k, a, a)
    z = k.mul(square, half)
    n, bits = single_whole(k, z, LOG2_E)
    low = k.fma(n, k.like(-SINGLE_LN2_LOW, a), k.mul(lost, half))
    return k.fma(n, k.like(-SINGLE_LN2, a), z), low, n, bits


def _line(k: Builder, c: float, v: V, slope: V, grid: float = 0.0) -> tuple[V, V]:
    """c + v slope in two parts, where it is of the size of c.

    Args:
        grid: what c is rounded to, where the sum may be more than twice c, or its difference from c would be rounded.
    """
    high = round(c / grid) * grid if grid else float(np.float32(c))
    total = k.fma(v, slope, k.like(high, v))
    return total, k.add(k.fma(v, slope, k.sub(k.like(high, v), total)), k.like(c - high, v))


def _less_tail(k: Builder, x: V, tail: tuple[V, V], ends: float) -> V:
    """max(x, 0) less a number in two parts, with the sign of x."""
    outside = _beyond(k, x)
    total, lost = fast_sum(k, outside, k.neg(tail[0]))
    y = k.copysign(k.sub(total, k.sub(tail[1], lost)), x)
    return k.select(k.lt(k.abs(x), k.like(ends, x)), y, outside)


def _gelu(k: Builder, x: V) -> V:
    z = at_most(k, k.abs(x), GELU_ENDS)
    high, low, n = tail_in_parts(k, *half_in_parts(k, z), 1.0)
    tail, more = exact_product(k, z, high)
    low = k.fma(z, low, more)
    outside = _beyond(k, x)
    total, lost = fast_sum(k, outside, k.neg(raised(k, tail, n)))
    y = k.copysign(k.sub(total, k.sub(raised(k, low, n), lost)), x)
    return k.select(k.lt(k.abs(x), k.like(GELU_ENDS, x)), y, outside)


def _single_gelu_slope(k: Builder, x: V) -> V:
    """exp(-a^2 / 2) (m - a PEAK), where m is Mills' ratio times PEAK, below 0; 1 less that above."""
    a = at_most(k, k.abs(x), SINGLE_GELU_ENDS)
    r, low, n, bits = _single_gauss(k, a)
    r = k.add(r, low)
    one = k.like(1.0, a)
    fast = k.fma(r, k.fma(r, polynomial(k, SINGLE_EXP, r), one), one)
    t = k.div(one, k.add(a, k.like(SHIFT, a)))
    slow = k.mul(t, polynomial(k, SINGLE_MILLS, k.sub(t, k.like(MIDDLE, t))))
    below = single_raised(k, k.mul(k.fma(a, k.like(-PEAK, a), slow), fast), n, bits)
    y = k.select(k.gt(x, k.like(0.0, x)), k.sub(one, below), below)
    return k.fma(x, k.like(0.0, x), y)  # (NaN at infinities, as 0 times those is)


def _gelu_slope(k: Builder, x: V) -> V:
    fast = exp(k, k.mul(k.mul(x, x), k.like(-0.5, x)))
    return k.fma(x, k.mul(fast, k.like(PEAK, x)), ndtr(k, x))


# ---- x times a sigmoid ----

#: from here on silu(-x) is 0, and silu(x) is x
SINGLE_SILU_ENDS, SILU_ENDS = 109.0, 753.0


def _single_times_sigmoid(k: Builder, x: V, z: V, low: V | None = None) -> V:
    """x sigmoid(z + low)."""
    inverse, off, unit = single_sigmoid_in_parts(k, z, low)
    y, lost = exact_product(k, x, inverse)
    y = k.copysign(k.mul(k.add(y, k.fma(y, off, lost)), unit), x)
    return k.select(k.lt(k.abs(z), k.like(SINGLE_SILU_ENDS, z)), y, _beyond(k, x))


def _times_sigmoid(k: Builder, x: V, z: V, low: V | None = None) -> V:
    (high, rest), unit = sigmoid_in_parts(k, z)
    if low is not None:  # by the derivative
        rest = k.fma(k.mul(high, k.sub(k.like(1.0, z), high)), low, rest)
    y, lost = exact_product(k, x, high)
    y = k.copysign(k.mul(k.add(y, k.fma(x, rest, lost)), unit), x)
    return k.select(k.lt(k.abs(z), k.like(SILU_ENDS, z)), y, _beyond(k, x))


_times = by_kind(_single_times_sigmoid, _times_sigmoid)

#: twice the coefficients of the argument of tanh in gelu's approximation, c x + d x^3, each in two parts
CURVE = {
    "f": ((1.5957691669464111, -4.534068042105272e-08), (0.07135481387376785, 2.3988323959931355e-09)),
    "d": ((1.5957691216057308, -9.96930880911092e-17), (0.07135481627260025, -6.175149918155315e-19)),
}


def silu(k: Builder, x: V) -> V:
    """x / (1 + exp(-x))."""
    return _times(k, x, x)


def gelu_tanh(k: Builder, x: V) -> V:
    """x (1 + tanh(u)) / 2 = x sigmoid(2 u), where 2 u = c x + d x^3 in two parts: sigmoids of large numbers need all of it."""
    (c, c_low), (d, d_low) = CURVE[x.kind]
    near = inside(k, x, 100.0)
    square, lost = exact_product(k, near, near)
    cubic, more = exact_product(k, square, k.like(d, x))
    more = k.fma(lost, k.like(d, x), k.fma(square, k.like(d_low, x), more))
    factor, lost = exact_sum(k, k.like(c, x), cubic)
    lost = k.add(lost, k.add(more, k.like(c_low, x)))
    z, low = exact_product(k, near, factor)
    return _times(k, x, z, k.fma(near, lost, low))


# ---- log(1 + exp(x)) ----

#: below the first of these, softplus(x) is exp(x); above the second, x
SINGLE_SOFTPLUS_ENDS, SOFTPLUS_ENDS = (-20.0, 30.0), (-40.0, 60.0)
#: (log((1 + s) / (1 - s)) / s - 2) / s^2 as a polynomial in s^2 for 0 <= s <= 1 / 3, to 2**-32
SINGLE_LOG = (
    0.6666667559523539,
    0.39998879687165684,
    0.28616843403004916,
    0.21427988178442964,
    0.24300078776126302,
)


def _single_softplus(k: Builder, x: V) -> V:
    """max(x, 0) + log(1 + e), e = exp(-|x|), the logarithm as a series in s = e / (2 + e) (Sun's fdlibm, e_log.c)."""
    low_end, high_end = SINGLE_SOFTPLUS_ENDS
    total, rest, n, bits = single_exp_in_parts(k, k.neg(at_most(k, k.abs(x), 104.0)))
    total, rest = fast_sum(k, total, rest)
    e, e_low = single_raised(k, total, n, bits), single_raised(k, rest, n, bits)
    d, d_low = fast_sum(k, k.like(2.0, x), e)
    inverse = k.div(k.like(1.0, x), d)
    s = k.mul(e, inverse)
    left = k.fma(k.neg(s), k.add(d_low, e_low), k.add(k.fma(k.neg(s), d, e), e_low))
    s_low = k.mul(left, inverse)
    square = k.mul(s, s)
    more = k.fma(k.mul(s, square), polynomial(k, SINGLE_LOG, square), k.add(s_low, s_low))
    return _with_ends(k, x, (k.add(s, s), more), low_end, e, high_end)


def _softplus(k: Builder, x: V) -> V:
    """The same; of e above sqrt(2) - 1, log(1 + e) = log(2) + log(1 + (e - 1) / 2)."""
    low_end, high_end = SOFTPLUS_ENDS
    r, r_low, bits = reduced(k, k.neg(at_most(k, k.abs(x), high_end)))
    high, low = exp_in_parts(k, r, r_low)
    one, zero = k.like(1.0, x), k.like(0.0, x)
    power = scaled(k, one, bits)
    high, low = fast_sum(k, k.mul(high, power), k.mul(low, power))
    less, lost = fast_sum(k, k.neg(one), high)
    half = k.like(0.5, x)
    large = k.gt(high, k.like(math.sqrt(2) - 1, x))
    f = k.select(large, k.mul(less, half), high)
    f_low = k.select(large, k.mul(k.add(lost, low), half), low)
    parts = log_in_parts(k, k.select(large, one, zero), (f, f_low))
    return _with_ends(k, x, parts, low_end, exp(k, at_most(k, x, 0.0)), high_end)


def _with_ends(k: Builder, x: V, parts: tuple[V, V], low_end: float, below: V, high_end: float) -> V:
    """max(x, 0) and a number in two parts; `below` the low end, and x above the high one."""
    total, lost = exact_sum(k, at_least(k, x, 0.0), parts[0])
    y = k.add(total, k.add(lost, parts[1]))
    y = k.select(k.lt(x, k.like(low_end, x)), below, y)
    return k.select(k.gt(x, k.like(high_end, x)), x, y)


# ---- the functions ----

gelu = by_kind(_single_gelu, _gelu)
gelu_slope = by_kind(_single_gelu_slope, _gelu_slope)
softplus = by_kind(_single_softplus, _softplus)
