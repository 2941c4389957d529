"""erf, erfc and the normal distribution function."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    at_most,
    by_kind,
    counted,
    exact_product,
    fast_sum,
    polynomial,
    power_of_two,
    raised,
    scaled,
    wide,
    wide_inside,
)
from rushlight.codegen.maths.erfc_table import ERFC_ROWS
from rushlight.codegen.maths.exponential import exp_in_parts, reduced, wide_exp, wide_exp2

# ---- in float64, for float32 ----

#: erf(x) / x as a polynomial in x^2 for |x| <= 1, to 2**-35
WIDE_ERF = (
    1.12837916706321,
    -0.37612638484114996,
    0.11283782749483921,
    -0.026865445833239236,
    0.005221074632199867,
    -0.0008484704689430628,
    0.00011270477705477627,
    -9.679906559325486e-06,
)
#: -log2(erfc(x)) as a polynomial in x for 1 <= x <= 4, to 2**-35 of erf
WIDE_ERF_TAIL = (
    -0.0002712733551860995,
    1.6296371379680685,
    0.913543304049474,
    0.1564148312958913,
    -0.036367755515696445,
    0.006065873852031546,
    -0.0006367083674012002,
    3.128704688480849e-05,
)
#: exp(x^2) erfc(x) / t as a polynomial in t = 3 / (3 + x) for 0 <= x <= 10.2, to 2**-35 (the substitution is that of
#: Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", Math. Comp. 36, 1981)
WIDE_ERFC = (
    0.1880672647316265,
    0.18795246568829935,
    0.1789652665206205,
    0.14697263878971076,
    0.17346548436067205,
    -0.06029893707894012,
    0.41206786063686107,
    -0.5573457835339524,
    0.664558527855724,
    -0.4897651590724819,
    0.1825632259470154,
    -0.02720285484047537,
)


def wide_erf(k: Builder, x: V) -> V:
    a = at_most(k, k.abs(x), 4.0)
    near = k.mul(a, polynomial(k, WIDE_ERF, k.mul(a, a)))
    far = k.sub(k.like(1.0, a), wide_exp2(k, k.neg(polynomial(k, WIDE_ERF_TAIL, a))))
    return k.copysign(k.select(k.lt(a, k.like(1.0, a)), near, far), x)


def wide_erfc(k: Builder, x: V) -> V:
    a = k.abs(x)
    t = k.div(k.like(3.0, a), k.add(a, k.like(3.0, a)))
    tail = k.mul(k.mul(t, polynomial(k, WIDE_ERFC, t)), wide_exp(k, k.neg(k.mul(a, a))))
    return k.select(k.lt(x, k.like(0.0, x)), k.sub(k.like(2.0, tail), tail), tail)


def wide_ndtr(k: Builder, x: V) -> V:
    return k.mul(wide_erfc(k, k.mul(x, k.like(-ROOT_HALF[0], x))), k.like(0.5, x))


# ---- in float64 ----

#: (erf(x) / x - 2 / sqrt(pi)) / x^2 as a polynomial in x^2 for |x| <= 0.85, to 2**-61
ERF = (
    -0.3761263890318375,
    0.11283791670954732,
    -0.026866170645015282,
    0.0052239776238010216,
    -0.0008548326890728633,
    0.00012055326288592543,
    -1.4925430073904748e-05,
    1.6457295069968833e-06,
    -1.6296113244115385e-07,
    1.4161680494774006e-08,
    -8.761564184464268e-10,
)
#: -log(erfc(1 + t)) as a polynomial in t for -0.15 <= t <= 5, to 2**-60 of erf
ERF_TAIL = (
    1.8496055099332482,
    2.6389675142347913,
    0.8431072563584859,
    0.04156109804650536,
    -0.010033825434314166,
    0.001977903022255696,
    -0.00023732471136862145,
    -2.6270385638393737e-05,
    2.714122630703463e-05,
    -9.577713520127844e-06,
    2.0193551443993663e-06,
    -1.035205604793011e-07,
    -1.2647415294963478e-07,
    6.806301212250366e-08,
    -2.154520031755257e-08,
    4.879588159466848e-09,
    -8.03585489192406e-10,
    9.196780763053553e-11,
    -6.545719237296928e-12,
    2.1776902579378691e-13,
)
TWO_BY_ROOT_PI = (1.1283791670955126, 1.533545961316588e-17)
ROOT_HALF = (0.7071067811865476, -4.833646656726457e-17)


def _from_row(k: Builder, rows: tuple[tuple[float, ...], ...], row: V, d: V) -> tuple[V, V]:
    """The polynomial of a row at d, in two parts."""
    width = len(rows[0])
    table = k.table([c for row in rows for c in row], "d")
    at = k.mul(row, k.like(8 * width, row))
    high, low, *more = [k.gather(table, k.add(at, k.like(8 * n, at)), "d") for n in range(width)]
    total = more[-1]
    for c in reversed(more[:-1]):
        total = k.fma(total, d, c)
    high, lost = fast_sum(k, high, k.mul(d, total))
    return high, k.add(low, lost)


def _erf(k: Builder, x: V) -> V:
    """A series below 0.85, 1 - exp(-p(x - 1)) above."""
    a = at_most(k, k.abs(x), 6.0)
    # 1. 2/sqrt(pi) x and x^3 times the first coefficient in two parts each, as these are large and of two signs
    z, z_low = exact_product(k, a, a)
    cube, cube_low = exact_product(k, a, z)
    high, low = exact_product(k, a, k.like(TWO_BY_ROOT_PI[0], a))
    low = k.fma(a, k.like(TWO_BY_ROOT_PI[1], a), low)
    second, lost = exact_product(k, cube, k.like(ERF[0], a))
    low = k.add(k.fma(k.fma(a, z_low, cube_low), k.like(ERF[0], a), low), lost)
    high, lost = fast_sum(k, high, second)
    rest = k.mul(k.mul(cube, z), polynomial(k, ERF[1:], z))
    near = k.add(high, k.add(rest, k.add(low, lost)))
    # 2. the exponent in two parts, where it is not large
    t = k.sub(a, k.like(1.0, a))
    p, lost = fast_sum(k, k.like(ERF_TAIL[0], t), k.mul(t, polynomial(k, ERF_TAIL[1:], t)))
    r, r_low, n = reduced(k, k.neg(p))
    one = k.like(1.0, a)
    power = scaled(k, one, n)
    fast, fast_low = exp_in_parts(k, r, k.sub(r_low, lost))
    total, lost = fast_sum(k, one, k.neg(k.mul(fast, power)))
    far = k.add(total, k.fma(k.neg(fast_low), power, lost))
    return k.copysign(k.select(k.ge(a, k.like(0.85, a)), far, near), x)


def _erfc(k: Builder, x: V) -> V:
    a = at_most(k, k.abs(x), 27.4)  # (where erfc is 0, and the last row is)
    return _tail(k, x, k.lt(x, k.like(0.0, x)), (a, k.like(0.0, x)), exact_product(k, a, a), 2.0)


def half_in_parts(k: Builder, z: V) -> tuple[tuple[V, V], tuple[V, V]]:
    """z / sqrt(2) in two parts, and its square, which is better known than they are."""
    a, low = exact_product(k, z, k.like(ROOT_HALF[0], z))
    low = k.fma(z, k.like(ROOT_HALF[1], z), low)
    return (a, low), exact_product(k, z, k.mul(z, k.like(0.5, z)))


def _ndtr(k: Builder, x: V) -> V:
    """erfc(a) / 2 of a = -x / sqrt(2)."""
    z = at_most(k, k.abs(x), 38.6)  # (where it is 0)
    return _tail(k, x, k.gt(x, k.like(0.0, x)), *half_in_parts(k, z), 1.0)


def _tail(k: Builder, x: V, mirrored: V, a: tuple[V, V], square: tuple[V, V], whole: float) -> V:
    """erfc(a) whole / 2, or `whole` less it; NaN where x is."""
    high, low, n = tail_in_parts(k, a, square, whole)
    power = power_of_two(k, k.select(k.lt(n, k.like(-1000, n)), k.like(-1000, n), n))
    total, lost = fast_sum(k, k.like(whole, x), k.neg(k.mul(high, power)))
    left = k.add(total, k.fma(k.neg(low), power, lost))
    y = k.select(mirrored, left, raised(k, k.add(high, low), n))
    return k.select(k.isnan(x), x, y)


def tail_in_parts(k: Builder, a: tuple[V, V], square: tuple[V, V], whole: float) -> tuple[V, V, V]:
    """erfc(a) whole / 2 as (high + low) 2**n: exp(-a^2) times a row of a table of what changes slowly."""
    # 1. the row: the exponent of a + 1/2 and the three digits after the first
    bits = k.bits(k.add(a[0], k.like(0.5, a[0])), "q")
    row = k.sub(k.lshr(bits, k.like(49, bits)), k.like(1022 << 3, bits))
    row = k.select(k.isnan(a[0]), k.like(0, row), row)
    middle = k.bits(k.or_(k.and_(bits, k.like(-1 << 49, bits)), k.like(1 << 48, bits)), "d")
    slow = _from_row(k, ERFC_ROWS, row, k.add(k.sub(a[0], k.sub(middle, k.like(0.5, middle))), a[1]))
    # 2. exp(-a^2) whole / 2
    r, low, n = reduced(k, k.neg(square[0]))
    fast = fast_sum(k, *exp_in_parts(k, *fast_sum(k, r, k.sub(low, square[1]))))
    # 3. their product
    high, low = exact_product(k, fast[0], slow[0])
    low = k.fma(fast[0], slow[1], k.fma(fast[1], slow[0], low))
    n = counted(k, n)
    return high, low, n if whole == 2.0 else k.sub(n, k.like(1, n))


# ---- the functions ----

erf = by_kind(wide(wide_erf), _erf)
erfc = by_kind(wide_inside(wide_erfc, 10.2), _erfc)
#: the probability that a number drawn from the normal distribution is at most x
ndtr = by_kind(wide_inside(wide_ndtr, 14.4), _ndtr)
