"""What the functions are written with: polynomials, clamps, numbers in two parts, powers of two.

A float32 function but exp, sigmoid and those of `activations` is computed in float64 ("wide"), where an approximation good to 2**-31
is all it needs: what is left of its error is the last rounding, and neither subnormals nor the overflow of an intermediate need thought.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rushlight.codegen.builder import Builder, V

#: adding this leaves the nearest whole number in the low bits of a float64 (and no more than 51 bits of it)
SHIFTER = 1.5 * 2.0**52
SHIFTER_BITS = 0x4338000000000000

#: the same of float32, and 22 bits
SINGLE_SHIFTER = 1.5 * 2.0**23
SINGLE_SHIFTER_BITS = 0x4B400000

INF, NAN = math.inf, math.nan


def polynomial(k: Builder, coefficients: Sequence[float], x: V) -> V:
    """c0 + c1 x + c2 x^2 + ..., by Horner's rule; if long, by Estrin's ("Organization of computer systems: the fixed plus
    variable structure computer", 1960), which waits less."""
    terms = [k.like(c, x) for c in coefficients]
    while len(terms) > 6:
        pairs = [k.fma(odd, x, even) for even, odd in zip(terms[::2], terms[1::2])]
        terms = pairs + terms[2 * len(pairs) :]
        x = k.mul(x, x)
    total = terms[-1]
    for c in reversed(terms[:-1]):
        total = k.fma(total, x, c)
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


def whole(k: Builder, x: V, factor: float = 1.0) -> tuple[V, V]:
    """The nearest whole number to x times a factor, below 2**51, as float64 and as the low bits of an int64."""
    shift = k.like(SHIFTER, x)
    shifted = k.add(x, shift) if factor == 1.0 else k.fma(x, k.like(factor, x), shift)
    return k.sub(shifted, shift), k.bits(shifted, "q")


def single_whole(k: Builder, x: V, factor: float) -> tuple[V, V]:
    """The same of float32, below 2**22, and as the low bits of an int32."""
    shift = k.like(SINGLE_SHIFTER, x)
    shifted = k.fma(x, k.like(factor, x), shift)
    return k.sub(shifted, shift), k.bits(shifted, "i")


def single_raised(k: Builder, x: V, n: V, bits: V) -> V:
    """x 2**n of a float32 between 1/2 and 2 and an n up to 252 in size, rounded once: by one instruction where there is one,
    else in two steps, of which the first is exact. `bits`: those that `single_whole` gave with n."""
    made = k.scalef(x, n)
    if made is not None:
        return made
    count = k.sub(bits, k.like(SINGLE_SHIFTER_BITS, bits))
    half = k.shr(count, k.like(1, count))
    for part in (half, k.sub(count, half)):
        power = k.shl(k.add(part, k.like(127, part)), k.like(23, part))
        x = k.mul(x, k.bits(power, "f"))
    return x


def counted(k: Builder, bits: V) -> V:
    """The int64 of which `whole` gave the low bits."""
    return k.sub(bits, k.like(SHIFTER_BITS, bits))


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


def wide_inside(f: Callable[..., V], bound: float) -> Callable[..., V]:
    """The same of a function that is computed inside [-bound, bound] only."""
    return lambda k, x: wide(f)(k, inside(k, x, bound))


def by_kind(single: Callable[..., V], double: Callable[..., V]) -> Callable[..., V]:
    """The function that is one of these for float32 and the other for float64."""

    def function(k: Builder, *xs: V) -> V:
        return (single if xs[0].kind == "f" else double)(k, *xs)

    return function


# ---- numbers in two parts, high + low ----


def fast_sum(k: Builder, x: V, y: V) -> tuple[V, V]:
    """x + y rounded, and what the rounding lost, for |x| >= |y|, or x a multiple of the last place of y (Dekker,
    Numer. Math. 18, 1971)."""
    total = k.add(x, y)
    return total, k.add(k.sub(x, total), y)


def exact_sum(k: Builder, x: V, y: V) -> tuple[V, V]:
    """The same for any x and y (Knuth, TAOCP 2, 4.2.2)."""
    total = k.add(x, y)
    back = k.sub(total, x)
    return total, k.add(k.sub(x, k.sub(total, back)), k.sub(y, back))


def exact_product(k: Builder, x: V, y: V) -> tuple[V, V]:
    """x y rounded, and what the rounding lost."""
    product = k.mul(x, y)
    return product, k.fma(x, y, k.neg(product))


def quotient(k: Builder, x: tuple[V, V], y: tuple[V, V]) -> tuple[V, V]:
    """x / y, where low parts are below the last place of the high ones, to some 2**-100."""
    inverse = k.div(k.like(1.0, y[0]), y[0])
    q = k.mul(x[0], inverse)
    left = k.fma(k.neg(q), y[0], x[0])
    left = k.sub(k.add(left, x[1]), k.mul(q, y[1]))
    return q, k.mul(left, inverse)


def series(k: Builder, coefficients: Sequence[float], x: V, z: V) -> V:
    """x z (c0 + c1 z + ...): what an odd function is more than x."""
    return k.mul(k.mul(x, z), polynomial(k, coefficients, z))


def raised(k: Builder, x: V, n: V) -> V:
    """x 2**n, rounded once, where it may overflow or be subnormal: in two steps, of which the first is exact."""
    half = k.shr(n, k.like(1, n))
    return k.mul(k.mul(x, power_of_two(k, half)), power_of_two(k, k.sub(n, half)))


def power_of_two(k: Builder, n: V) -> V:
    """2**n of an int64 between -1022 and 1023."""
    return k.bits(k.shl(k.add(n, k.like(1023, n)), k.like(52, n)), "d")
