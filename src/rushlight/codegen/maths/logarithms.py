"""log, log2, log10, log1p.

x = 2**n m with m in [sqrt(1/2), sqrt(2)), so that log(x) = n ln 2 + log(1 + f) with f = m - 1, and log(x) near 1
keeps its digits.
"""

from __future__ import annotations

from collections.abc import Callable

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    INF,
    NAN,
    SHIFTER,
    at_most,
    by_kind,
    counted,
    exact_product,
    exact_sum,
    fast_sum,
    polynomial,
    power_of_two,
    quotient,
    series,
    wide,
)

LN2 = 0.6931471805599453
LOG2_E, LOG2_E_LOW = 1.4426950408889634, 2.0355273740931033e-17
LOG10_E, LOG10_E_LOW = 0.4342944819032518, 1.098319650216765e-17
#: of 42 bits, so that products with exponents are exact, and the rest
LN2_SHORT, LN2_REST = 0.6931471805598903, 5.497923018708371e-14
LOG10_2_SHORT, LOG10_2_REST = 0.30102999566395283, 2.8363394551044964e-14

#: the bits of sqrt(1/2), and of 2**52, whose low bits count in ones
ROOT_HALF = 0x3FE6A09E667F3BCD
COUNTER = 0x4330000000000000

# ---- in float64, for float32 ----

#: log(1 + f) / f for 1 + f in [sqrt(1/2), sqrt(2)), to 2**-33
WIDE_LOG = (
    1.000000000035782,
    -0.5000000033321244,
    0.3333333147620612,
    -0.24999933172224403,
    0.2000011563707192,
    -0.16670490849361774,
    0.14285458840350695,
    -0.12410394243044105,
    0.11021473577662186,
    -0.10882536135832362,
    0.10733271637538823,
    -0.05982157788997902,
)


def split(k: Builder, x: V) -> tuple[V, V]:
    """n and m - 1 of a positive normal float64."""
    bits = k.bits(x, "q")
    above = k.sub(bits, k.like(ROOT_HALF, bits))
    exponent = k.and_(above, k.like(-1 << 52, bits))
    m = k.bits(k.sub(bits, exponent), "d")
    # (n + 1100 is positive: as the low bits of 2**52, it is a float64 without a conversion, which AVX2 lacks)
    counted = k.lshr(k.add(above, k.like(1100 << 52, bits)), k.like(52, bits))
    n = k.sub(k.bits(k.or_(counted, k.like(COUNTER, bits)), "d"), k.like(2.0**52 + 1100, x))
    return n, k.sub(m, k.like(1.0, x))


def wide_log(k: Builder, x: V, coefficients: tuple[float, ...] = WIDE_LOG) -> V:
    """log of a positive normal float64, to 2**-33."""
    n, f = split(k, x)
    return k.fma(n, k.like(LN2, x), k.mul(f, polynomial(k, coefficients, f)))


def wide_log2(k: Builder, x: V, coefficients: tuple[float, ...] = WIDE_LOG) -> V:
    n, f = split(k, x)
    return k.fma(k.mul(f, k.like(LOG2_E, x)), polynomial(k, coefficients, f), n)


def wide_log10(k: Builder, x: V) -> V:
    return k.mul(wide_log(k, x), k.like(LOG10_E, x))


def wide_log1p(k: Builder, x: V) -> V:
    """log(1 + x) of a float64 > -1, to 2**-32."""
    near = k.fma(k.mul(x, k.like(-0.5, x)), x, x)
    far = wide_log(k, k.add(x, k.like(1.0, x)))
    return k.select(k.lt(k.abs(x), k.like(2.0**-17, x)), near, far)


# ---- in float64 ----

#: (log((1 + s) / (1 - s)) / s - 2) / s^2 as a polynomial in s^2 for (1 + s) / (1 - s) in [sqrt(1/2), sqrt(2)), to 2**-66
LOG = (
    0.6666666666666666,
    0.4000000000000492,
    0.2857142856941251,
    0.22222222606737166,
    0.18181778374935062,
    0.15386987960207624,
    0.13252168939860356,
    0.13234580876275603,
)


def log_of_one_plus(k: Builder, f: V, low: V | None = None) -> tuple[V, V]:
    """log(1 + f + low) to 2**-59 of it, by s = f / (2 + f) (Sun's fdlibm, e_log.c), with s in two parts."""
    low = k.like(0.0, f) if low is None else low
    d = fast_sum(k, k.like(2.0, f), f)
    s, s_low = quotient(k, (f, low), (d[0], k.add(d[1], low)))
    tail = series(k, LOG, s, k.mul(s, s))
    return k.add(s, s), k.add(k.add(s_low, s_low), tail)


def split_subnormal(k: Builder, x: V) -> tuple[V, V]:
    """`split`, of subnormal numbers as well."""
    small = k.lt(x, k.like(2.0**-1022, x))
    n, f = split(k, k.select(small, k.mul(x, k.like(2.0**54, x)), x))
    return k.select(small, k.sub(n, k.like(54.0, n)), n), f


def log_in_parts(k: Builder, n: V, f: tuple[V, V]) -> tuple[V, V]:
    """n ln 2 + log(1 + f) to 2**-59 of it."""
    high, low = log_of_one_plus(k, *f)
    total, lost = fast_sum(k, k.mul(n, k.like(LN2_SHORT, n)), high)
    return total, k.add(lost, k.fma(n, k.like(LN2_REST, n), low))


def split_in_parts(k: Builder, high: V, low: V) -> tuple[V, tuple[V, V]]:
    """`split` of high + low, where low is nothing beside a high of more than 2**100."""
    n, f = split(k, high)
    down = k.neg(at_most(k, n, 200.0))
    bits = k.bits(k.add(down, k.like(SHIFTER, down)), "q")
    return n, fast_sum(k, f, k.mul(low, power_of_two(k, counted(k, bits))))


def _log(k: Builder, x: V) -> V:
    n, f = split_subnormal(k, x)
    return whole_line(k, x, k.add(*log_in_parts(k, n, (f, k.like(0.0, f)))))


def _in_base(k: Builder, y: tuple[V, V], factor: float, rest: float) -> tuple[V, V]:
    """y times a factor in two parts."""
    high, low = exact_product(k, y[0], k.like(factor, y[0]))
    return high, k.add(low, k.fma(y[0], k.like(rest, high), k.mul(y[1], k.like(factor, high))))


def _log2(k: Builder, x: V) -> V:
    n, f = split_subnormal(k, x)
    high, low = _in_base(k, log_of_one_plus(k, f), LOG2_E, LOG2_E_LOW)
    total, lost = fast_sum(k, n, high)
    return whole_line(k, x, k.add(total, k.add(lost, low)))


def _log10(k: Builder, x: V) -> V:
    n, f = split_subnormal(k, x)
    high, low = _in_base(k, log_of_one_plus(k, f), LOG10_E, LOG10_E_LOW)
    total, lost = fast_sum(k, k.mul(n, k.like(LOG10_2_SHORT, n)), high)
    return whole_line(k, x, k.add(total, k.add(lost, k.fma(n, k.like(LOG10_2_REST, n), low))))


def _log1p(k: Builder, x: V) -> V:
    n, f = split_in_parts(k, *exact_sum(k, k.like(1.0, x), x))
    y = k.add(*log_in_parts(k, n, f))
    y = k.select(k.lt(k.abs(x), k.like(2.0**-54, x)), x, y)
    return whole_line(k, x, y, -1.0)


# ---- the functions ----


def whole_line(k: Builder, x: V, y: V, pole: float = 0.0) -> V:
    """y where x is beyond the pole; -inf at it, inf at inf, NaN elsewhere."""
    y = k.select(k.gt(x, k.like(pole, x)), y, k.like(NAN, x))
    y = k.select(k.eq(x, k.like(pole, x)), k.like(-INF, x), y)
    return k.select(k.eq(x, k.like(INF, x)), x, y)


def _single(f: Callable[..., V], pole: float = 0.0) -> Callable[..., V]:
    return lambda k, x: whole_line(k, x, wide(f)(k, x), pole)


log = by_kind(_single(wide_log), _log)
log2 = by_kind(_single(wide_log2), _log2)
log10 = by_kind(_single(wide_log10), _log10)
log1p = by_kind(_single(wide_log1p, -1.0), _log1p)
