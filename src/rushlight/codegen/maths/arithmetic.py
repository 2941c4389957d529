"""What the functions are written with: polynomials, clamps, numbers in two parts, powers of two.

A float32 function is computed in float64 ("wide"), where an approximation good to 2**-31 is all it needs: what is
left of its error is the last rounding, and neither subnormals nor the overflow of an intermediate need thought.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rushlight.codegen.builder import Builder, V

#: adding this leaves the nearest whole number in the low bits of a float64 (and no more than 51 bits of it)
SHIFTER = 1.5 * 2.0**52

INF, NAN = math.inf, math.nan


def horner(k: Builder, coefficients: Sequence[float], x: V) -> V:
    """c0 + c1 x + c2 x^2 + ..."""
    total = k.like(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        total = k.fma(total, x, k.like(c, x))
    return total


def at_least(k: Builder, x: V, low: float) -> V:
    """The larger; NaN stays NaN."""
    return k.select(k.lt(x, k.like(low, x)), k.like(low, x), x)


def at_most(k: Builder, x: V, high: float) -> V:
    """The smaller; NaN stays NaN."""
    return k.select(k.gt(x, k.like(high, x)), k.like(high, x), x)


def inside(k: Builder, x: V, bound: float) -> V:
    """x brought into [-bound, bound], where all that is beyond has the result that the bound has."""
    return at_most(k, at_least(k, x, -bound), bound)


def whole(k: Builder, x: V) -> tuple[V, V]:
    """The nearest whole number, of |x| < 2**51, as float64 and as the low bits of an int64."""
    shifted = k.add(x, k.like(SHIFTER, x))
    return k.sub(shifted, k.like(SHIFTER, x)), k.bits(shifted, "q")


def scaled(k: Builder, x: V, n: V) -> V:
    """x 2**n, if both are normal: the low bits of `n` are added to the exponent of x."""
    bits = k.bits(x, "q")
    return k.bits(k.add(bits, k.shl(n, k.like(52, n))), "d")


def wide(f: Callable[..., V]) -> Callable[..., V]:
    """A float32 function from one that computes in float64."""

    def narrow(k: Builder, *xs: V) -> V:
        assert {x.kind for x in xs} == {"f"}, xs
        return k.cast(f(k, *[k.cast(x, "d") for x in xs]), "f")

    return narrow


def wide_reciprocal(k: Builder, x: V) -> V:
    """1 / x to 2**-46: a division of float32 and one step of Newton's, for x that is normal as float32."""
    seed = k.cast(k.div(k.const(1.0, "f", x.lanes), k.cast(x, "f")), "d")
    return k.fma(seed, k.fma(k.neg(x), seed, k.like(1.0, x)), seed)
