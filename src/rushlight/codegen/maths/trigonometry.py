"""sin, cos, tan.

The argument is reduced by multiples of pi or pi / 2 (Cody and Waite, "Software Manual for the Elementary
Functions", 1980, with fused multiply-adds as in Boldo, Daumas and Li, "Formally verified argument reduction with a
fused multiply-add", IEEE TC 58, 2009). Lanes with huge arguments are reduced by as many digits of 1 / pi as they need
(Payne and Hanek, "Radian reduction for trigonometric functions", SIGNUM Newsletter 18, 1983), which happens only
where a vector has one.
"""

from __future__ import annotations

from functools import cache

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import NAN, horner, whole, wide, wide_reciprocal

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


@cache
def digits_of_one_by_pi(first: int, last: int, parts: int) -> tuple[tuple[float, ...], ...]:
    """For each exponent e, 2**e / pi less its multiples of 2, as the sum of that many float64: one table for each."""
    bits = last + 54 * parts + 64
    inverse = (1 << 2 * bits) // pi_bits(bits)
    rows = []
    for e in range(first, last + 1):
        rest = (inverse << e) % (2 << bits)
        row = []
        for _ in range(parts):
            row.append(rest / (1 << bits))  # (Python divides integers correctly rounded)
            n, d = row[-1].as_integer_ratio()
            rest -= (n << bits) // d
        rows.append(row)
    return tuple(zip(*rows))


# ---- in float64, for float32 ----

#: (sin(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 2, to 2**-35 of the sine
WIDE_SIN = (
    -0.1666666662610026,
    0.008333331106513662,
    -0.00019840867930890455,
    2.7525369774182802e-06,
    -2.3888645598325676e-08,
)
#: (tan(r) / r - 1) / r^2 as a polynomial in r^2 for |r| <= pi / 4, to 2**-33 of the tangent
WIDE_TAN = (
    0.33333331695108603,
    0.13333416822629185,
    0.05395375774869274,
    0.021990454918067687,
    0.008310903199302895,
    0.005032614455063024,
    -0.00063607531924391,
    0.002057600239102131,
)
#: above this the multiple of pi has too many bits for a float64 less a few
WIDE_HUGE = 2.0**30


def wide_reduced(k: Builder, x: V, step: float, start: float) -> tuple[V, V]:
    """x - (n + start) step pi, at most half a step, and the low bits of n; x is a float32 in a float64."""
    r, bits = k.room("d", x.lanes), k.room("q", x.lanes)
    n, counted = whole(k, k.fma(x, k.like(ONE_BY_PI / step, x), k.like(-start, x)))
    n = k.add(n, k.like(start, n)) if start else n
    k.store(k.fma(n, k.like(-PI[1] * step, x), k.fma(n, k.like(-PI[0] * step, x), x)), r)
    k.store(counted, bits)
    huge = k.ge(k.abs(x), k.like(WIDE_HUGE, x))
    with k.when(k.any(huge)):
        far, far_bits = _wide_reduced_huge(k, x, step, start)
        k.store(k.select(huge, far, k.load(r, "d", x.lanes)), r)
        k.store(k.select(huge, far_bits, k.load(bits, "q", x.lanes)), bits)
    return k.load(r, "d", x.lanes), k.load(bits, "q", x.lanes)


def _wide_reduced_huge(k: Builder, x: V, step: float, start: float) -> tuple[V, V]:
    """The same of |x| >= 2**30: x is a whole number m of 24 bits times 2**e, and m (2**e / pi) is wanted to 60
    binary places."""
    first, last = 30 - 23, 127 - 23
    high, low = digits_of_one_by_pi(first, last, 2)
    pattern = k.bits(x, "q")
    exponent = k.sub(
        k.lshr(k.shl(pattern, k.like(1, pattern)), k.like(53, pattern)), k.like(1023 + 23, pattern)
    )
    known = k.and_(k.ge(exponent, k.like(first, pattern)), k.le(exponent, k.like(last, pattern)))
    row = k.select(known, k.sub(exponent, k.like(first, pattern)), k.like(0, pattern))
    fraction = k.and_(pattern, k.like(-(1 << 63) | (1 << 52) - 1, pattern))
    m = k.bits(k.or_(fraction, k.like(1023 + 23 << 52, pattern)), "d")
    m = k.mul(m, k.like(1 / step, m))
    t = k.gather(k.table(high, "d"), row, "d")
    steps = k.mul(m, t)
    rest = k.fma(m, t, k.neg(steps))
    n, bits = whole(k, k.sub(steps, k.like(start, x)))
    rest = k.fma(m, k.gather(k.table(low, "d"), row, "d"), rest)
    part = k.add(k.sub(steps, k.add(n, k.like(start, x))), rest)
    # (no float32 is so near a multiple of pi / 2 that the second part of pi would count)
    r = k.mul(part, k.like(PI[0] * step, x))
    return k.select(k.gt(exponent, k.like(last, pattern)), k.like(NAN, x), r), bits


def wide_sine(k: Builder, r: V, bits: V) -> V:
    """sin(r) with the sign changed if `bits` is odd."""
    z = k.mul(r, r)
    y = k.bits(k.fma(k.mul(r, z), horner(k, WIDE_SIN, z), r), "q")
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
    y = k.fma(k.mul(r, z), horner(k, WIDE_TAN, z), r)
    odd = k.ne(k.and_(bits, k.like(1, bits)), k.like(0, bits))
    return k.select(odd, k.neg(wide_reciprocal(k, y)), y)


# ---- the functions ----


def sin(k: Builder, x: V) -> V:
    # (the sign of -0 would be lost)
    return k.select(k.eq(x, k.like(0.0, x)), x, wide(wide_sin)(k, x))


cos = wide(wide_cos)


def tan(k: Builder, x: V) -> V:
    return k.select(k.eq(x, k.like(0.0, x)), x, wide(wide_tan)(k, x))
