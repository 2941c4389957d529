"""log, log2, log10, log1p.

x = 2**n m with m in [sqrt(1/2), sqrt(2)), so that log(x) = n ln 2 + log(1 + f) with f = m - 1, and log(x) near 1
keeps its digits.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import INF, NAN, horner, wide

LN2 = 0.6931471805599453
LOG2_E = 1.4426950408889634
LOG10_E = 0.4342944819032518

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
    return k.fma(n, k.like(LN2, x), k.mul(f, horner(k, coefficients, f)))


def wide_log2(k: Builder, x: V, coefficients: tuple[float, ...] = WIDE_LOG) -> V:
    n, f = split(k, x)
    return k.fma(k.mul(f, k.like(LOG2_E, x)), horner(k, coefficients, f), n)


def wide_log10(k: Builder, x: V) -> V:
    return k.mul(wide_log(k, x), k.like(LOG10_E, x))


def wide_log1p(k: Builder, x: V) -> V:
    """log(1 + x) of a float64 > -1, to 2**-32."""
    near = k.fma(k.mul(x, k.like(-0.5, x)), x, x)
    far = wide_log(k, k.add(x, k.like(1.0, x)))
    return k.select(k.lt(k.abs(x), k.like(2.0**-17, x)), near, far)


# ---- the functions ----


def whole_line(k: Builder, x: V, y: V, pole: float = 0.0) -> V:
    """y where x is positive; -inf at 0, inf at inf, NaN elsewhere."""
    y = k.select(k.gt(x, k.like(pole, x)), y, k.like(NAN, x))
    y = k.select(k.eq(x, k.like(pole, x)), k.like(-INF, x), y)
    return k.select(k.eq(x, k.like(INF, x)), x, y)


def log(k: Builder, x: V) -> V:
    return whole_line(k, x, wide(wide_log)(k, x))


def log2(k: Builder, x: V) -> V:
    return whole_line(k, x, wide(wide_log2)(k, x))


def log10(k: Builder, x: V) -> V:
    return whole_line(k, x, wide(wide_log10)(k, x))


def log1p(k: Builder, x: V) -> V:
    return whole_line(k, x, wide(wide_log1p)(k, x), -1.0)
