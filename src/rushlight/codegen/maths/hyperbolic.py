"""sinh, cosh, tanh, sigmoid, and the inverses of the first three."""

from __future__ import annotations

from collections.abc import Callable

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    INF,
    NAN,
    at_most,
    by_kind,
    counted,
    exact_product,
    exact_sum,
    fast_sum,
    inside,
    polynomial,
    power_of_two,
    quotient,
    scaled,
    series,
    single_raised,
    whole,
    wide,
    wide_inside,
)
from rushlight.codegen.maths.exponential import (
    LN2,
    LOG2_E,
    exp_in_parts,
    expm1_in_parts,
    reduced,
    single_exp_in_parts,
    wide_expm1,
)
from rushlight.codegen.maths.logarithms import LOG, log_in_parts, split_in_parts, wide_log

# ---- in float32 ----


def single_sigmoid_in_parts(k: Builder, x: V, low: V | None = None) -> tuple[V, V, V]:
    """1 / (1 + exp(-x)) of a float32 and what its low part adds to it, as an inverse, by how much of it that is too small, and a unit.
    What the rounded inverse lacks is found from the terms of the sum, the largest first, so that little is rounded. All are taken
    2**-32 times as large, which the unit makes good: no exponential that counts is beyond the largest number."""
    small = k.like(2.0**-32, x)
    total, rest, n, bits = single_exp_in_parts(k, k.neg(inside(k, x, 110.0)))
    if low is not None:
        rest = k.fma(k.neg(k.add(total, rest)), low, rest)
    n, bits = k.sub(n, k.like(32.0, n)), k.sub(bits, k.like(32, bits))
    high, low = single_raised(k, total, n, bits), single_raised(k, rest, n, bits)
    inverse = k.div(k.like(1.0, x), k.add(small, k.add(high, low)))
    larger = k.gt(high, small)
    left = k.like(1.0, x)
    for term in (k.select(larger, high, small), k.select(larger, small, high), low):
        left = k.fma(k.neg(inverse), term, left)
    return inverse, left, small


def _single_sigmoid(k: Builder, x: V) -> V:
    inverse, left, unit = single_sigmoid_in_parts(k, x)
    return k.mul(k.fma(left, inverse, inverse), unit)


# ---- in float64, for float32 ----

#: (cosh(r) - 1) / r^2 and (sinh(r) / r - 1) / r^2 as polynomials in r^2 for |r| <= ln 2 / 2, to 2**-34 and 2**-37
WIDE_COSH = (0.5000000079140532, 0.04166626705703642, 0.0013946231471715703)
WIDE_SINH = (0.16666666754553952, 0.00833328895271672, 0.00019904962160438328)


def _wide_halves(k: Builder, x: V) -> tuple[V, V, V, V]:
    """sinh(r), cosh(r), and sinh and cosh of n ln 2, where x = n ln 2 + r: the addition theorems do the rest, and
    nothing of a small x is lost."""
    n, bits = whole(k, x, LOG2_E)
    r = k.fma(n, k.like(-LN2, x), x)
    z = k.mul(r, r)
    sinh = k.fma(k.mul(r, z), polynomial(k, WIDE_SINH, z), r)
    cosh = k.fma(z, polynomial(k, WIDE_COSH, z), k.like(1.0, z))
    half = k.like(0.5, x)
    up, down = scaled(k, half, bits), scaled(k, half, k.neg(bits))
    return sinh, cosh, k.sub(up, down), k.add(up, down)


def wide_sinh(k: Builder, x: V) -> V:
    sinh, cosh, whole_sinh, whole_cosh = _wide_halves(k, x)
    return k.fma(whole_cosh, sinh, k.mul(whole_sinh, cosh))


def wide_cosh(k: Builder, x: V) -> V:
    sinh, cosh, whole_sinh, whole_cosh = _wide_halves(k, x)
    return k.fma(whole_sinh, sinh, k.mul(whole_cosh, cosh))


def wide_tanh(k: Builder, x: V) -> V:
    """(exp(2x) - 1) / (exp(2x) + 1)."""
    e = wide_expm1(k, k.add(x, x))
    return k.div(e, k.add(e, k.like(2.0, e)))


def wide_asinh(k: Builder, x: V) -> V:
    """log(|x| + sqrt(x^2 + 1)); the argument of the logarithm has no more digits than 1 has, which a small x
    would miss."""
    a, z = k.abs(x), k.mul(x, x)
    near = k.fma(k.mul(a, z), polynomial(k, (-1 / 6, 3 / 40), z), a)
    far = wide_log(k, k.add(a, k.sqrt(k.add(z, k.like(1.0, z)))))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-8, a)), near, far), x)


def wide_acosh(k: Builder, x: V) -> V:
    return wide_log(k, k.add(x, k.sqrt(k.fma(x, x, k.like(-1.0, x)))))


def wide_atanh(k: Builder, x: V) -> V:
    a, z = k.abs(x), k.mul(x, x)
    near = k.fma(k.mul(a, z), polynomial(k, (1 / 3, 1 / 5), z), a)
    one = k.like(1.0, a)
    far = k.mul(wide_log(k, k.div(k.add(one, a), k.sub(one, a))), k.like(0.5, a))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-8, a)), near, far), x)


# ---- in float64 ----

#: (sinh(r) / r - 1) / r^2 and (cosh(r) - 1) / r^2 as polynomials in r^2 for |r| <= ln 2 / 2, to 2**-62 and 2**-58
SINH = (
    0.16666666666666677,
    0.008333333333321381,
    0.00019841269886838685,
    2.755724342058533e-06,
    2.510933449195116e-08,
)
COSH = (
    0.5000000000000013,
    0.04166666666651041,
    0.0013888888948383252,
    2.4801488468501763e-05,
    2.763182636045229e-07,
)


def _halves(k: Builder, x: V) -> tuple[tuple[V, V], V, tuple[V, V], tuple[V, V]]:
    """Of x = n ln 2 + r >= 0: sinh(r) in two parts, cosh(r) - 1, and half the sinh and cosh of n ln 2, for a whole one
    may be beyond the largest."""
    r, low, bits = reduced(k, x)
    z = k.mul(r, r)
    n = counted(k, bits)
    # (2**-n is nothing beside 2**n long before it is subnormal)
    n = k.select(k.gt(n, k.like(60, n)), k.like(60, n), n)
    quarter = k.like(0.25, x)
    up, down = scaled(k, quarter, bits), scaled(k, quarter, k.neg(n))
    rest = k.add(series(k, SINH, r, z), low)
    return (r, rest), k.mul(z, polynomial(k, COSH, z)), fast_sum(k, up, k.neg(down)), fast_sum(k, up, down)


def _sinh(k: Builder, x: V) -> V:
    a = k.abs(x)
    (r, rest), cosh, (whole_sinh, least), (whole_cosh, _) = _halves(k, at_most(k, a, 710.5))
    product, lost = exact_product(k, whole_cosh, r)
    high, more = fast_sum(k, whole_sinh, product)
    lost = k.add(lost, least)
    low = k.fma(whole_sinh, cosh, k.fma(whole_cosh, rest, k.add(more, lost)))
    y = k.add(high, low)
    return k.copysign(k.select(k.lt(a, k.like(2.0**-28, x)), a, k.add(y, y)), x)


def _cosh(k: Builder, x: V) -> V:
    (r, rest), cosh, (whole_sinh, _), (whole_cosh, least) = _halves(k, at_most(k, k.abs(x), 710.5))
    product, lost = exact_product(k, whole_sinh, r)
    high, more = fast_sum(k, whole_cosh, product)
    lost = k.add(lost, least)
    low = k.fma(whole_cosh, cosh, k.fma(whole_sinh, rest, k.add(more, lost)))
    y = k.add(high, low)
    return k.add(y, y)


def _tanh(k: Builder, x: V) -> V:
    """-h / (1 + h), h = (exp(-2x) - 1) / 2."""
    a = k.abs(x)
    high, low = fast_sum(k, *expm1_in_parts(k, k.mul(at_most(k, a, 20.0), k.like(-2.0, a))))
    below, lost = fast_sum(k, k.like(1.0, high), high)
    y = k.add(*quotient(k, (k.neg(high), k.neg(low)), (below, k.add(lost, low))))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-28, a)), a, y), x)


def sigmoid_in_parts(k: Builder, x: V) -> tuple[tuple[V, V], V]:
    """1 / (1 + exp(-x)) for x >= 0, exp(x) / (1 + exp(x)) else, in two parts, and a unit: exp(x) below 2**-700 is taken 2**600 times as
    large, so that no part of it is subnormal."""
    one, zero = k.like(1.0, x), k.like(0.0, x)
    r, low, bits = reduced(k, k.neg(at_most(k, k.abs(x), 760.0)))
    n = counted(k, bits)
    tiny = k.lt(n, k.like(-700, n))
    power = power_of_two(k, k.select(tiny, k.add(n, k.like(600, n)), n))
    high, low = fast_sum(k, *exp_in_parts(k, r, low))
    high, low = k.mul(high, power), k.mul(low, power)
    total, lost = fast_sum(k, one, high)
    negative = k.lt(x, zero)
    above = k.select(negative, high, one), k.select(negative, low, zero)
    parts = quotient(k, above, (total, k.add(lost, low)))
    return parts, k.select(k.and_(tiny, negative), k.like(2.0**-600, x), one)


def _sigmoid(k: Builder, x: V) -> V:
    parts, unit = sigmoid_in_parts(k, x)
    return k.mul(k.add(*parts), unit)


def _root(k: Builder, high: V, low: V) -> tuple[V, V]:
    """sqrt(high + low)."""
    s = k.sqrt(high)
    left = k.add(k.fma(k.neg(s), s, high), low)
    # (the root of 0 is 0)
    return s, k.div(left, k.select(k.eq(s, k.like(0.0, s)), k.like(1.0, s), k.add(s, s)))


#: from here on x^2 + 1 is x^2
LARGE = 2.0**30


def _log_of_sum(k: Builder, x: V, root: tuple[V, V]) -> V:
    """log(x + root), where large x stand for 2 x."""
    large = k.gt(x, k.like(LARGE, x))
    zero, one = k.like(0.0, x), k.like(1.0, x)
    high, lost = exact_sum(k, x, k.select(large, zero, root[0]))
    n, f = split_in_parts(k, *fast_sum(k, high, k.add(lost, k.select(large, zero, root[1]))))
    return k.add(*log_in_parts(k, k.add(n, k.select(large, one, zero)), f))


def _asinh(k: Builder, x: V) -> V:
    a = k.abs(x)
    square, lost = exact_product(k, a, a)
    high, more = exact_sum(k, square, k.like(1.0, a))
    y = _log_of_sum(k, a, _root(k, high, k.add(more, lost)))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-28, a)), a, y), x)


def _acosh(k: Builder, x: V) -> V:
    """With x^2 - 1 = (x - 1) (x + 1), of which the first factor is exact."""
    less = k.sub(x, k.like(1.0, x))
    more, lost = exact_sum(k, x, k.like(1.0, x))
    square, rest = exact_product(k, less, more)
    return _log_of_sum(k, x, _root(k, square, k.fma(less, lost, rest)))


def _atanh(k: Builder, x: V) -> V:
    """The series of the logarithm where it holds; log((1 + x) / (1 - x)) / 2 else."""
    a, one = k.abs(x), k.like(1.0, x)
    near = k.fma(k.mul(a, k.mul(a, a)), k.mul(polynomial(k, LOG, k.mul(a, a)), k.like(0.5, a)), a)
    ratio = quotient(k, fast_sum(k, one, a), fast_sum(k, one, k.neg(a)))
    far = k.add(*log_in_parts(k, *split_in_parts(k, *fast_sum(k, *ratio))))
    y = k.select(k.lt(a, k.like(0.17, a)), near, k.mul(far, k.like(0.5, far)))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-28, a)), a, y), x)


# ---- the functions ----


def _odd(f: Callable[..., V], bound: float) -> Callable[..., V]:
    """A float32 function from one of float64 for x >= 0."""
    return lambda k, x: k.copysign(wide_inside(f, bound)(k, k.abs(x)), x)


sinh = by_kind(_odd(wide_sinh, 100.0), _sinh)
cosh = by_kind(wide_inside(wide_cosh, 100.0), _cosh)
tanh = by_kind(_odd(wide_tanh, 15.0), _tanh)
sigmoid = by_kind(_single_sigmoid, _sigmoid)


def asinh(k: Builder, x: V) -> V:
    y = by_kind(wide(wide_asinh), _asinh)(k, x)
    return k.select(k.lt(k.abs(x), k.like(INF, x)), y, x)


def acosh(k: Builder, x: V) -> V:
    y = by_kind(wide(wide_acosh), _acosh)(k, x)
    y = k.select(k.lt(x, k.like(INF, x)), y, x)
    return k.select(k.lt(x, k.like(1.0, x)), k.like(NAN, x), y)


def atanh(k: Builder, x: V) -> V:
    a = k.abs(x)
    pole = k.select(k.eq(a, k.like(1.0, a)), k.copysign(k.like(INF, x), x), k.like(NAN, x))
    return k.select(k.lt(a, k.like(1.0, a)), by_kind(wide(wide_atanh), _atanh)(k, x), pole)
