"""pow, hypot, rsqrt."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    INF,
    NAN,
    by_kind,
    counted,
    exact_product,
    fast_sum,
    inside,
    polynomial,
    quotient,
    raised,
    wide,
)
from rushlight.codegen.maths.exponential import exp_in_parts, reduced, wide_exp2
from rushlight.codegen.maths.logarithms import LN2_REST, LN2_SHORT, split_subnormal, wide_log2

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


# ---- in float64 ----

#: log((1 + s) / (1 - s)) less 2 s + 2/3 s^3 + 2/5 s^5, over s^7, as a polynomial in s^2, to 2**-73 of the logarithm
LOG_POWER = (
    0.28571428571433155,
    0.2222222222001456,
    0.18181818605094818,
    0.15384572927043796,
    0.13335761900628398,
    0.11685068726234968,
    0.11910734195163543,
)
#: 2/3 and 2/5 in two parts
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)
TWO_FIFTHS = (0.4, -2.220446049250313e-17)


def _product(k: Builder, x: tuple[V, V], y: tuple[V, V]) -> tuple[V, V]:
    high, low = exact_product(k, x[0], y[0])
    return high, k.fma(x[0], y[1], k.fma(x[1], y[0], low))


def _sum_with(k: Builder, c: tuple[float, float], x: tuple[V, V]) -> tuple[V, V]:
    """A constant and less than that."""
    high, low = fast_sum(k, k.like(c[0], x[0]), x[0])
    return high, k.add(low, k.add(x[1], k.like(c[1], low)))


def precise_log(k: Builder, x: V) -> tuple[V, V]:
    """log of a positive number to 2**-69 of it: as `log_in_parts`, with the first three terms in two parts."""
    n, f = split_subnormal(k, x)
    s = fast_sum(k, *quotient(k, (f, k.like(0.0, f)), fast_sum(k, k.like(2.0, f), f)))
    z = _product(k, s, s)
    rest = k.mul(z[0], polynomial(k, LOG_POWER, z[0]))
    terms = _sum_with(k, TWO_FIFTHS, (rest, k.like(0.0, rest)))
    terms = _sum_with(k, TWO_THIRDS, _product(k, z, terms))
    cube = _product(k, _product(k, s, z), terms)
    high, lost = fast_sum(k, k.add(s[0], s[0]), cube[0])
    low = k.add(lost, k.fma(s[1], k.like(2.0, x), cube[1]))
    total, more = fast_sum(k, k.mul(n, k.like(LN2_SHORT, n)), high)
    return fast_sum(k, total, k.add(more, k.fma(n, k.like(LN2_REST, n), low)))


def _power(k: Builder, x: V, y: V) -> V:
    """|x|**y."""
    a, zero = k.abs(x), k.like(0.0, x)
    log, low = precise_log(k, a)
    log = k.select(k.eq(a, zero), k.like(-INF, a), k.select(k.lt(a, k.like(INF, a)), log, a))
    product, rest = exact_product(k, log, y)
    rest = k.fma(low, y, rest)
    # (1**inf is 1; a product out of range has no rest)
    product = k.select(k.eq(log, zero), zero, product)
    rest = k.select(k.lt(k.abs(product), k.like(800.0, product)), rest, zero)
    rest = k.select(k.eq(log, zero), zero, rest)
    r, r_low, bits = reduced(k, inside(k, product, 800.0))
    r, r_low = fast_sum(k, r, k.add(r_low, rest))
    return raised(k, k.add(*exp_in_parts(k, r, r_low)), counted(k, bits))


def _hypot(k: Builder, x: V, y: V) -> V:
    """With what is too large or too small for squares scaled, and the root corrected by what the squares and the
    root lost (Borges, "An improved algorithm for hypot(a, b)", arXiv 1904.09481)."""
    one, zero = k.like(1.0, x), k.like(0.0, x)
    x, y = k.abs(x), k.abs(y)
    a, b = k.select(k.gt(x, y), x, y), k.select(k.gt(x, y), y, x)
    down, up = k.gt(a, k.like(2.0**500, a)), k.lt(a, k.like(2.0**-450, a))
    scale = k.select(down, k.like(2.0**-600, x), k.select(up, k.like(2.0**600, x), one))
    back = k.select(down, k.like(2.0**600, x), k.select(up, k.like(2.0**-600, x), one))
    a, b = k.mul(a, scale), k.mul(b, scale)
    (a2, a_low), (b2, b_low) = exact_product(k, a, a), exact_product(k, b, b)
    square, lost = fast_sum(k, a2, b2)
    root = k.sqrt(square)
    left = k.add(k.fma(k.neg(root), root, square), k.add(lost, k.add(a_low, b_low)))
    better = k.add(root, k.div(left, k.add(root, root)))
    return k.mul(k.select(k.gt(root, zero), better, root), back)


# ---- the functions ----


def pow(k: Builder, x: V, y: V) -> V:
    """As C's Annex F has it: 1 for y = 0 and for x = 1, whatever the other is."""
    power = by_kind(wide(wide_power), _power)(k, x, y)
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
    length = by_kind(wide(wide_hypot), _hypot)(k, x, y)
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
