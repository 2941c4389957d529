"""sin, cos, tan.

The argument is reduced by multiples of pi or pi / 2 (Cody and Waite, "Software Manual for the Elementary
Functions", 1980, with fused multiply-adds as in Boldo, Daumas and Li, "Formally verified argument reduction with a
fused multiply-add", IEEE TC 58, 2009). Lanes with huge arguments are reduced by as many digits of 1 / pi as they need
(Payne and Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18, 1983), which happens only
where a vector has one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import (
    NAN,
    by_kind,
    exact_product,
    exact_sum,
    fast_sum,
    polynomial,
    quotient,
    series,
    whole,
    wide,
)

#: pi in parts of 53 bits
PI = (3.141592653589793, 1.2246467991473532e-16, -2.9947698097183397e-33)
ONE_BY_PI = 0.3183098861837907

# ---- huge arguments ----


@cache
def pi_bits(bits: int) -> int:
    """pi 2**bits, by Machin's formula."""

    def arctan_of_inverse(n: int) -> int:
        term = total = (1 << bits + 32) // n
        k = 3
        while term:
            term //= -n * n
            total += term // k
            k += 2
        return total

    return (16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)) >> 32


#: digits taken at a time: with a shift of less than a byte they fit a load of 64 bits, and they are exact as float64
CHUNK = 48


def turns(k: Builder, x: V, digits: int, first: int, last: int, parts: int) -> tuple[V, list[V]]:
    """x / pi less multiples of 2, as a product: x is a whole number m of so many binary digits times 2**e; of 2**e / pi
    less its multiples of 2, which m makes multiples of 2 again, the first digits come in parts.

    Args:
        first, last: the exponents e that there are, for numbers beyond which the result is NaN.
    """
    pattern = k.bits(x, "q")
    biased = k.lshr(k.shl(pattern, k.like(1, pattern)), k.like(53, pattern))
    e = k.sub(biased, k.like(1022 + digits, pattern))
    fraction = k.and_(pattern, k.like(-(1 << 63) | (1 << 52) - 1, pattern))
    m = k.bits(k.or_(fraction, k.like(1022 + digits << 52, pattern)), "d")
    known = k.and_(k.ge(e, k.like(first, e)), k.le(e, k.like(last, e)))
    m = k.select(known, m, k.like(NAN, m))
    return m, _digits(k, k.select(known, e, k.like(last, e)), last, parts)


def _digits(k: Builder, e: V, last: int, parts: int) -> list[V]:
    """The first digits of 2**e / pi less its multiples of 2, for e <= last. 1 / pi is a table, a whole number whose
    lowest digit is the last that the largest exponent needs; a part is a load of 8 bytes and a shift."""
    lowest = last + CHUNK * parts - 1
    inverse = (1 << 2 * lowest + 64) // pi_bits(lowest + 64)
    table = k.table(inverse.to_bytes(lowest // 8 + 9, "little"), "B")
    found = []
    for part in range(parts):
        at = k.sub(k.like(CHUNK * (parts - 1 - part) + last, e), e)
        loaded = k.gather(table, k.lshr(at, k.like(3, at)), "q")
        bits = k.and_(k.lshr(loaded, k.and_(at, k.like(7, at))), k.like((1 << CHUNK) - 1, at))
        # (under the exponent of 2**52 they are the number that they are)
        value = k.bits(k.or_(bits, k.like(1075 << 52, bits)), "d")
        value = k.sub(value, k.like(2.0**52, value))
        found.append(k.mul(value, k.like(2.0 ** (1 - CHUNK * (part + 1)), value)))
    return found


# ---- in float64, for float32 ----

#: (sin(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 2, to 2**-35 of the sine
WIDE_SIN = (
    -0.1666666663175638,
    0.008333331324055577,
    -0.0001984089409298358,
    2.752661436364684e-06,
    -2.3909107560780744e-08,
)
#: (tan(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 4, to 2**-33 of the tangent
WIDE_TAN = (
    0.33333331690604745,
    0.13333417027241434,
    0.053953726559883786,
    0.02199067878587963,
    0.008310048799646657,
    0.005034397477483559,
    -0.0006379952351744339,
    0.0020584343089827067,
)
#: above this the multiple of pi has too many bits for a float64 less a few
WIDE_HUGE = 2.0**30


def wide_reduced(k: Builder, x: V, step: float, start: float) -> tuple[V, V]:
    """x - (n + start) step pi, at most half a step, and the low bits of n; x is a float32 in a float64."""
    r, bits = k.room("d", x.lanes), k.room("q", x.lanes)
    n, counted = _nearest_step(k, x, step, start)
    k.store(k.fma(n, k.like(-PI[1] * step, x), k.fma(n, k.like(-PI[0] * step, x), x)), r)
    k.store(counted, bits)
    huge = k.ge(k.abs(x), k.like(WIDE_HUGE, x))
    with k.when(k.any(huge)):
        far, far_bits = _wide_reduced_huge(k, x, step, start)
        k.store(k.select(huge, far, k.load(r, "d", x.lanes)), r)
        k.store(k.select(huge, far_bits, k.load(bits, "q", x.lanes)), bits)
    return k.load(r, "d", x.lanes), k.load(bits, "q", x.lanes)


def _nearest_step(k: Builder, x: V, step: float, start: float) -> tuple[V, V]:
    """n + start, and the low bits of n."""
    if not start:
        return whole(k, x, ONE_BY_PI / step)
    n, bits = whole(k, k.fma(x, k.like(ONE_BY_PI / step, x), k.like(-start, x)))
    return k.add(n, k.like(start, n)), bits


def _wide_reduced_huge(k: Builder, x: V, step: float, start: float) -> tuple[V, V]:
    """The same of |x| >= 2**30, which is a number of 24 bits times 2**e."""
    m, (high, low) = turns(k, x, 24, 30 - 23, 127 - 23, 2)
    m = k.mul(m, k.like(1 / step, m))
    steps, lost = exact_product(k, m, high)
    n, bits = whole(k, k.sub(steps, k.like(start, x)))
    part = k.add(k.sub(steps, k.add(n, k.like(start, x))), k.fma(m, low, lost))
    # (no float32 is so near a multiple of pi / 2 that the second part of pi would count)
    return k.mul(part, k.like(PI[0] * step, x)), bits


def wide_sine(k: Builder, r: V, bits: V) -> V:
    """sin(r) with the sign changed if `bits` is odd."""
    z = k.mul(r, r)
    y = k.bits(k.fma(k.mul(r, z), polynomial(k, WIDE_SIN, z), r), "q")
    return k.bits(k.xor(y, k.shl(bits, k.like(63, bits))), "d")


def wide_sin(k: Builder, x: V) -> V:
    return wide_sine(k, *wide_reduced(k, x, 1.0, 0.0))


def wide_cos(k: Builder, x: V) -> V:
    """cos(r + (n + 1/2) pi) is -sin(r), its sign changed n times."""
    r, bits = wide_reduced(k, x, 1.0, 0.5)
    return wide_sine(k, k.neg(r), bits)


def wide_tan(k: Builder, x: V) -> V:
    r, bits = wide_reduced(k, x, 0.5, 0.0)
    z = k.mul(r, r)
    y = k.fma(k.mul(r, z), polynomial(k, WIDE_TAN, z), r)
    odd = k.ne(k.and_(bits, k.like(1, bits)), k.like(0, bits))
    return k.select(odd, k.div(k.like(-1.0, y), y), y)


# ---- in float64 ----

#: (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4, to 2**-58 and 2**-64
SIN = (
    -0.16666666666666632,
    0.008333333333322479,
    -0.00019841269829844034,
    2.7557313700852117e-06,
    -2.5050759110491977e-08,
    1.5896835711193948e-10,
)
COS = (
    0.0416666666666666,
    -0.001388888888887447,
    2.480158728966639e-05,
    -2.755731439890147e-07,
    2.087572891096767e-09,
    -1.1359911161436157e-11,
)
#: above this the multiple of pi / 2 has so many bits that its product with the third part would count
HUGE = 2.0**40


def reduced(k: Builder, x: V) -> tuple[V, V, V]:
    """x - n pi / 2 in two parts, and the low bits of n."""
    high, low, bits = k.room("d", x.lanes), k.room("d", x.lanes), k.room("q", x.lanes)
    n, counted = whole(k, x, 2 * ONE_BY_PI)
    # 1. exact: a multiple of the last place of pi / 2, below 1
    first = k.fma(n, k.like(-PI[0] / 2, x), x)
    # 2. what n times the second part, and its rounding, leave
    second, lost = exact_product(k, n, k.like(PI[1] / 2, x))
    near, error = fast_sum(k, first, k.neg(second))
    # 3. the rest
    rest = k.fma(n, k.like(-PI[2] / 2, x), k.sub(error, lost))
    for part, room in zip(fast_sum(k, near, rest), (high, low)):
        k.store(part, room)
    k.store(counted, bits)
    huge = k.ge(k.abs(x), k.like(HUGE, x))
    with k.when(k.any(huge)):
        for part, room in zip(_reduced_huge(k, x), (high, low, bits)):
            k.store(k.select(huge, part, k.load(room, part.kind, x.lanes)), room)
    return k.load(high, "d", x.lanes), k.load(low, "d", x.lanes), k.load(bits, "q", x.lanes)


def _reduced_huge(k: Builder, x: V) -> tuple[V, V, V]:
    """The same of |x| >= 2**40, which is a number of 53 bits times 2**e."""
    m, parts = turns(k, x, 53, 40 - 52, 1023 - 52, 4)
    quarters = k.mul(m, k.like(2.0, m))
    (a, a_low), (b, b_low), (c, c_low) = [exact_product(k, quarters, part) for part in parts[:3]]
    # 1. less multiples of 4, of which the last two bits of n know nothing
    a = k.fma(k.rint(k.mul(a, k.like(0.25, a))), k.like(-4.0, a), a)
    # 2. the first terms, some 2**7 and with digits down to 2**-60, give n
    a, a_lost = exact_sum(k, a, a_low)
    b, b_lost = exact_sum(k, a, b)
    n, bits = whole(k, b)
    b = k.sub(b, n)
    # 3. all others are below 2**-40
    d, d_lost = exact_sum(k, a_lost, b_lost)
    c, more = exact_sum(k, c, b_low)
    d, most = exact_sum(k, c, d)
    rest = k.fma(quarters, parts[3], k.add(k.add(k.add(c_low, d_lost), more), most))
    high, low = exact_sum(k, b, d)
    high, low = fast_sum(k, high, k.add(low, rest))
    # 4. times pi / 2
    r, lost = exact_product(k, high, k.like(PI[0] / 2, high))
    lost = k.fma(high, k.like(PI[1] / 2, high), k.fma(low, k.like(PI[0] / 2, low), lost))
    return *fast_sum(k, r, lost), bits


def sine(k: Builder, r: V, low: V) -> tuple[V, V]:
    """sin(r + low), with r^3 / 6 of an r^2 in two parts."""
    z, lost = exact_product(k, r, r)
    cosine = k.fma(z, k.like(-0.5, z), k.like(1.0, z))
    low = k.fma(k.mul(r, lost), k.like(-1 / 6, r), k.mul(low, cosine))
    return r, k.add(series(k, SIN, r, z), low)


def cosine(k: Builder, r: V, low: V) -> tuple[V, V]:
    """cos(r + low), with r^2 / 2 in two parts."""
    half, lost = exact_product(k, r, k.mul(r, k.like(0.5, r)))
    z = k.mul(r, r)
    high, rest = fast_sum(k, k.like(1.0, r), k.neg(half))
    tail = k.fma(k.mul(z, z), polynomial(k, COS, z), k.neg(k.fma(r, low, lost)))
    return high, k.add(rest, tail)


def _chosen(k: Builder, odd: V, x: tuple[V, V], y: tuple[V, V]) -> tuple[V, V]:
    return k.select(odd, x[0], y[0]), k.select(odd, x[1], y[1])


def _is_odd(k: Builder, bits: V) -> V:
    return k.ne(k.and_(bits, k.like(1, bits)), k.like(0, bits))


def _sine_of_quadrant(k: Builder, r: V, low: V, bits: V) -> V:
    """sin(r + n pi / 2)."""
    y = k.bits(k.add(*_chosen(k, _is_odd(k, bits), cosine(k, r, low), sine(k, r, low))), "q")
    sign = k.shl(k.and_(bits, k.like(2, bits)), k.like(62, bits))
    return k.bits(k.xor(y, sign), "d")


def _sin(k: Builder, x: V) -> V:
    y = _sine_of_quadrant(k, *reduced(k, x))
    return k.select(k.lt(k.abs(x), k.like(2.0**-27, x)), x, y)


def _cos(k: Builder, x: V) -> V:
    r, low, bits = reduced(k, x)
    return _sine_of_quadrant(k, r, low, k.add(bits, k.like(1, bits)))


def _tan(k: Builder, x: V) -> V:
    r, low, bits = reduced(k, x)
    s, c = fast_sum(k, *sine(k, r, low)), fast_sum(k, *cosine(k, r, low))
    odd = _is_odd(k, bits)
    minus = k.neg(c[0]), k.neg(c[1])
    y = k.add(*quotient(k, _chosen(k, odd, minus, s), _chosen(k, odd, s, c)))
    return k.select(k.lt(k.abs(x), k.like(2.0**-27, x)), x, y)


# ---- the functions ----


def _with_zero(f: Callable[..., V]) -> Callable[..., V]:
    """f, but the sign of -0, which a reduction loses, stays."""
    return lambda k, x: k.select(k.eq(x, k.like(0.0, x)), x, f(k, x))


sin = by_kind(_with_zero(wide(wide_sin)), _sin)
cos = by_kind(wide(wide_cos), _cos)
tan = by_kind(_with_zero(wide(wide_tan)), _tan)
