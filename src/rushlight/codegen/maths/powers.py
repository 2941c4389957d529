"""pow, hypot, rsqrt."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import INF, NAN, inside, wide
from rushlight.codegen.maths.exponential import wide_exp2
from rushlight.codegen.maths.logarithms import wide_log2

# ---- in float64, for float32 ----

#: log(1 + f) / f for 1 + f in [sqrt(1/2), sqrt(2)), to 2**-41: the exponent multiplies the error
WIDE_LOG_POWER = (
    1.0000000000002736,
    -0.49999999998638367,
    0.3333333330713329,
    -0.2500000039571991,
    0.20000004337213634,
    -0.166666355945497,
    0.1428543500550721,
    -0.12500941409765792,
    0.11119837935372497,
    -0.0999001262776467,
    0.08951474985518743,
    -0.08292131625918385,
    0.08742927375288088,
    -0.08561160069909639,
    0.04377915067978327,
)


def wide_power(k: Builder, x: V, y: V) -> V:
    """|x|**y, of float32 in float64."""
    a = k.abs(x)
    log = wide_log2(k, a, WIDE_LOG_POWER)
    log = k.select(k.eq(a, k.like(0.0, a)), k.like(-INF, a), k.select(k.lt(a, k.like(INF, a)), log, a))
    # (1**inf is 1)
    product = k.select(k.eq(log, k.like(0.0, log)), log, k.mul(log, y))
    return wide_exp2(k, inside(k, product, 200.0))


def wide_hypot(k: Builder, x: V, y: V) -> V:
    return k.sqrt(k.fma(x, x, k.mul(y, y)))


# ---- the functions ----


def pow(k: Builder, x: V, y: V) -> V:
    """As C's Annex F has it: 1 for y = 0 and for x = 1 whatever the other is."""
    power = wide(wide_power)(k, x, y)
    return signed_power(k, x, y, power)


def signed_power(k: Builder, x: V, y: V, power: V) -> V:
    """x**y from |x|**y."""
    half = k.mul(y, k.like(0.5, y))
    integer = k.eq(k.floor(y), y)
    odd = k.and_(integer, k.ne(k.floor(half), half))
    zero, one = k.like(0.0, x), k.like(1.0, x)
    power = k.select(odd, k.copysign(power, x), power)
    real = k.or_(k.or_(k.ge(x, zero), integer), k.or_(k.eq(x, k.like(-INF, x)), k.isnan(x)))
    power = k.select(real, power, k.like(NAN, x))
    return k.select(k.or_(k.eq(y, zero), k.eq(x, one)), one, power)


def hypot(k: Builder, x: V, y: V) -> V:
    """sqrt(x^2 + y^2); inf if either is, whatever the other is."""
    length = wide(wide_hypot)(k, x, y)
    infinite = k.or_(k.eq(k.abs(x), k.like(INF, x)), k.eq(k.abs(y), k.like(INF, y)))
    return k.select(infinite, k.like(INF, x), length)


def rsqrt(k: Builder, x: V) -> V:
    """1 / sqrt(x) is wrong by up to 1.5 units: two roundings, of which what is left over corrects the second."""
    tiny, lift = {"f": (2.0**-100, 2.0**40), "d": (2.0**-900, 2.0**200)}[x.kind]
    small = k.lt(x, k.like(tiny, x))
    z = k.select(small, k.mul(x, k.like(lift, x)), x)
    s = k.sqrt(z)
    y = k.div(k.like(1.0, s), s)
    # 1 / sqrt(s^2 + d) = 1 / s - d / (2 s^3) + ..., and 1 / s = y + y (1 - s y)
    d = k.fma(k.neg(s), s, z)
    left = k.fma(k.mul(d, k.like(-0.5, d)), k.mul(y, y), k.fma(k.neg(s), y, k.like(1.0, y)))
    better = k.fma(y, left, y)
    better = k.mul(better, k.select(small, k.like(lift**0.5, x), k.like(1.0, x)))
    regular = k.and_(k.gt(z, k.like(0.0, z)), k.lt(z, k.like(INF, z)))
    return k.select(regular, better, y)
