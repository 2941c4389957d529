"""erf and erfc."""

from __future__ import annotations

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths.arithmetic import at_most, horner, inside, wide, wide_reciprocal
from rushlight.codegen.maths.exponential import wide_exp, wide_exp2

# ---- in float64, for float32 ----

#: erf(x) / x as a polynomial in x^2 for |x| <= 1, to 2**-35
WIDE_ERF = (
    1.12837916706321,
    -0.37612638484114996,
    0.11283782749483921,
    -0.02686544583323923,
    0.005221074632199849,
    -0.0008484704689430383,
    0.0001127047770547599,
    -9.679906559321112e-06,
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


# ---- the functions ----

erf = wide(wide_erf)


def erfc(k: Builder, x: V) -> V:
    return wide(wide_erfc)(k, inside(k, x, 10.2))
