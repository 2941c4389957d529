"""exp, exp2, expm1.

x = n ln 2 + r with |r| <= ln 2 / 2, so that exp(x) = 2**n exp(r); exp(r) is a polynomial (Tang, "Table-driven
implementation of the exponential function", ACM TOMS 15, 1989, without the table). The coefficients are minimax:
`benchmarks/maths_coefficients.py` computes them.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import horner, inside, scaled, whole, wide

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453

# ---- in float64, for float32 ----

#: (exp(r) - 1) / r for |r| <= ln 2 / 2, to 2**-32
WIDE_EXPM1 = (
    0.9999999999913092,
    0.500000004715566,
    0.1666666685086187,
    0.041666352705963965,
    0.008333268948756679,
    0.0013941124217890309,
    0.00019915744248555388,
)
#: (2**r - 1) / r for |r| <= 1 / 2, to 2**-32
WIDE_EXP2M1 = (
    0.6931471805539164,
    0.24022650922606947,
    0.05550410927860541,
    0.009618056605453047,
    0.0013333455088114779,
    0.00015461473810041693,
    1.5309996563645918e-05,
)


def wide_reduced(k: Builder, x: V) -> tuple[V, V]:
    """exp(r) - 1, and n as the low bits of an int64."""
    n, bits = whole(k, k.mul(x, k.like(LOG2_E, x)))
    r = k.fma(n, k.like(-LN2, x), x)
    return k.mul(r, horner(k, WIDE_EXPM1, r)), bits


def wide_exp(k: Builder, x: V) -> V:
    """exp of a float64 of some hundreds at most, to 2**-32."""
    p, n = wide_reduced(k, x)
    return scaled(k, k.add(p, k.like(1.0, x)), n)


def wide_exp2(k: Builder, x: V) -> V:
    """2**x of a float64 of some hundreds at most, to 2**-32."""
    n, bits = whole(k, x)
    r = k.sub(x, n)
    return scaled(k, k.fma(r, horner(k, WIDE_EXP2M1, r), k.like(1.0, x)), bits)


def wide_expm1(k: Builder, x: V) -> V:
    """exp(x) - 1 of a float64 of some hundreds at most, to 2**-31 of the result."""
    p, n = wide_reduced(k, x)
    power = scaled(k, k.like(1.0, x), n)
    return k.fma(power, p, k.sub(power, k.like(1.0, x)))


# ---- the functions ----


def exp(k: Builder, x: V) -> V:
    return wide(wide_exp)(k, inside(k, x, 110.0))


def exp2(k: Builder, x: V) -> V:
    return wide(wide_exp2)(k, inside(k, x, 160.0))


def expm1(k: Builder, x: V) -> V:
    # (the sign of -0 would be lost)
    return k.copysign(wide(wide_expm1)(k, inside(k, x, 100.0)), x)
