"""erf and erfc."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    at_least,
    at_most,
    by_kind,
    counted,
    exact_product,
    fast_sum,
    horner,
    power_of_two,
    raised,
    series,
    wide,
    wide_inside,
    wide_reciprocal,
)
from rushlight.codegen.maths.error_function_tables import ERF_ROWS, ERFC_ROWS
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
    near = k.mul(a, horner(k, WIDE_ERF, k.mul(a, a)))
    far = k.sub(k.like(1.0, a), wide_exp2(k, k.neg(horner(k, WIDE_ERF_TAIL, a))))
    return k.copysign(k.select(k.lt(a, k.like(1.0, a)), near, far), x)


def wide_erfc(k: Builder, x: V) -> V:
    a = k.abs(x)
    t = wide_reciprocal(k, k.fma(a, k.like(1 / 3, a), k.like(1.0, a)))
    tail = k.mul(k.mul(t, horner(k, WIDE_ERFC, t)), wide_exp(k, k.neg(k.mul(a, a))))
    return k.select(k.lt(x, k.like(0.0, x)), k.sub(k.like(2.0, tail), tail), tail)


# ---- in float64 ----

#: (erf(x) / x - 2 / sqrt(pi)) / x^2 as a polynomial in x^2 for |x| <= 1/2, to 2**-60
ERF = (
    -0.37612638903183754,
    0.1128379167095522,
    -0.02686617064513895,
    0.005223977624773089,
    -0.0008548326818245282,
    0.00012055306442398809,
    -1.4923782811219283e-05,
    1.6387475265683594e-06,
    -1.4762315712600805e-07,
)
TWO_BY_ROOT_PI = (1.1283791670955126, 1.533545961316588e-17)


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
    """A series below 1/2, a row of a table for each eighth above; 1 from 5.93 on."""
    a = k.abs(x)
    z = k.mul(a, a)
    high, low = exact_product(k, a, k.like(TWO_BY_ROOT_PI[0], a))
    near = k.add(high, k.fma(a, k.like(TWO_BY_ROOT_PI[1], a), k.add(low, series(k, ERF, a, z))))
    inside = at_most(k, at_least(k, a, 0.5), 5.99)
    # (under the exponent of 2**49, what is above the last place counts eighths)
    shifted = k.add(k.sub(inside, k.like(0.0625, a)), k.like(1.5 * 2.0**49, a))
    middle = k.add(k.sub(shifted, k.like(1.5 * 2.0**49, a)), k.like(0.0625, a))
    row = k.sub(k.bits(shifted, "q"), k.const((1023 + 49 << 52) + (1 << 51) + 4, "q", x.lanes))
    row = k.select(k.isnan(x), k.like(0, row), row)
    far = k.add(*_from_row(k, ERF_ROWS, row, k.sub(inside, middle)))
    far = k.select(k.gt(a, k.like(5.95, a)), k.like(1.0, a), far)
    y = k.select(k.lt(a, k.like(0.5, a)), near, far)
    return k.copysign(k.select(k.isnan(x), x, y), x)


def _erfc(k: Builder, x: V) -> V:
    """exp(-x^2), of x^2 in two parts, times a row of a table of what changes slowly."""
    a = at_most(k, k.abs(x), 27.5)
    # 1. the row: the exponent of |x| + 1/2 and the three digits after the first
    bits = k.bits(k.add(a, k.like(0.5, a)), "q")
    row = k.sub(k.lshr(bits, k.like(49, bits)), k.like(1022 << 3, bits))
    row = k.select(k.isnan(x), k.like(0, row), row)
    middle = k.bits(k.or_(k.and_(bits, k.like(-1 << 49, bits)), k.like(1 << 48, bits)), "d")
    slow = _from_row(k, ERFC_ROWS, row, k.sub(a, k.sub(middle, k.like(0.5, a))))
    # 2. exp(-x^2)
    square, lost = exact_product(k, a, a)
    r, low, n = reduced(k, k.neg(square))
    fast = fast_sum(k, *exp_in_parts(k, *fast_sum(k, r, k.sub(low, lost))))
    # 3. their product p 2**n, or 2 less it
    high, low = exact_product(k, fast[0], slow[0])
    low = k.fma(fast[0], slow[1], k.fma(fast[1], slow[0], low))
    n = counted(k, n)
    power = power_of_two(k, k.select(k.lt(n, k.like(-1000, n)), k.like(-1000, n), n))
    two = k.like(2.0, x)
    total, lost = fast_sum(k, two, k.neg(k.mul(high, power)))
    left = k.add(total, k.fma(k.neg(low), power, lost))
    y = k.select(k.lt(x, k.like(0.0, x)), left, raised(k, k.add(high, low), n))
    return k.select(k.isnan(x), x, y)


# ---- the functions ----

erf = by_kind(wide(wide_erf), _erf)
erfc = by_kind(wide_inside(wide_erfc, 10.2), _erfc)
