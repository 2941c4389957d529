"""sinh, cosh, tanh, sigmoid, and the inverses of the first three."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import INF, NAN, horner, inside, scaled, whole, wide, wide_reciprocal
from rushlight.codegen.maths.exponential import LN2, LOG2_E, wide_exp, wide_expm1
from rushlight.codegen.maths.logarithms import wide_log

# ---- in float64, for float32 ----

#: (cosh(r) - 1) / r^2 and (sinh(r) / r - 1) / r^2 as polynomials in r^2 for |r| <= ln 2 / 2, to 2**-34 and 2**-37
WIDE_COSH = (0.5000000079140532, 0.04166626705703642, 0.0013946231471715703)
WIDE_SINH = (0.16666666754553952, 0.00833328895271672, 0.00019904962160438328)


def _wide_halves(k: Builder, x: V) -> tuple[V, V, V, V]:
    """sinh(r), cosh(r), and sinh and cosh of n ln 2, where x = n ln 2 + r: the addition theorems do the rest, and
    nothing of a small x is lost."""
    n, bits = whole(k, k.mul(x, k.like(LOG2_E, x)))
    r = k.fma(n, k.like(-LN2, x), x)
    z = k.mul(r, r)
    sinh = k.fma(k.mul(r, z), horner(k, WIDE_SINH, z), r)
    cosh = k.fma(z, horner(k, WIDE_COSH, z), k.like(1.0, z))
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
    """-(exp(-2x) - 1) / (exp(-2x) + 1)."""
    e = wide_expm1(k, k.mul(x, k.like(-2.0, x)))
    return k.mul(k.neg(e), wide_reciprocal(k, k.add(e, k.like(2.0, e))))


def wide_sigmoid(k: Builder, x: V) -> V:
    """1 / (1 + exp(-x)) for x >= 0, exp(x) / (1 + exp(x)) else, so that 1 + exp is between 1 and 2."""
    e = wide_exp(k, k.neg(k.abs(x)))
    y = wide_reciprocal(k, k.add(e, k.like(1.0, e)))
    return k.mul(k.select(k.lt(x, k.like(0.0, x)), e, k.like(1.0, e)), y)


def wide_asinh(k: Builder, x: V) -> V:
    """log(|x| + sqrt(x^2 + 1)); the argument of the logarithm has no more digits than 1 has, which a small x
    would miss."""
    a, z = k.abs(x), k.mul(x, x)
    near = k.fma(k.mul(a, z), horner(k, (-1 / 6, 3 / 40), z), a)
    far = wide_log(k, k.add(a, k.sqrt(k.add(z, k.like(1.0, z)))))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-8, a)), near, far), x)


def wide_acosh(k: Builder, x: V) -> V:
    return wide_log(k, k.add(x, k.sqrt(k.fma(x, x, k.like(-1.0, x)))))


def wide_atanh(k: Builder, x: V) -> V:
    a, z = k.abs(x), k.mul(x, x)
    near = k.fma(k.mul(a, z), horner(k, (1 / 3, 1 / 5), z), a)
    one = k.like(1.0, a)
    far = k.mul(wide_log(k, k.div(k.add(one, a), k.sub(one, a))), k.like(0.5, a))
    return k.copysign(k.select(k.lt(a, k.like(2.0**-8, a)), near, far), x)


# ---- the functions ----


def sinh(k: Builder, x: V) -> V:
    return k.copysign(wide(wide_sinh)(k, inside(k, x, 100.0)), x)


def cosh(k: Builder, x: V) -> V:
    return wide(wide_cosh)(k, inside(k, x, 100.0))


def tanh(k: Builder, x: V) -> V:
    return k.copysign(wide(wide_tanh)(k, inside(k, k.abs(x), 15.0)), x)


def sigmoid(k: Builder, x: V) -> V:
    return wide(wide_sigmoid)(k, inside(k, x, 110.0))


def asinh(k: Builder, x: V) -> V:
    return k.select(k.lt(k.abs(x), k.like(INF, x)), wide(wide_asinh)(k, x), x)


def acosh(k: Builder, x: V) -> V:
    y = k.select(k.lt(x, k.like(INF, x)), wide(wide_acosh)(k, x), x)
    return k.select(k.lt(x, k.like(1.0, x)), k.like(NAN, x), y)


def atanh(k: Builder, x: V) -> V:
    a = k.abs(x)
    pole = k.select(k.eq(a, k.like(1.0, a)), k.copysign(k.like(INF, x), x), k.like(NAN, x))
    return k.select(k.lt(a, k.like(1.0, a)), wide(wide_atanh)(k, x), pole)
