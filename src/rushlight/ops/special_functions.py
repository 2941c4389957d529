"""The error function, gamma and its derivatives, Bessel functions: `torch.special`.

The numbers come from `rushlight.numerics`, in float64; float32 and halves are rounded from it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX, REDUCED, bool_
from rushlight.errors import wrong_type
from rushlight.numerics import bessel, error_inverses, errors, gamma
from rushlight.ops.kinds.binary import ONE, check_operands
from rushlight.ops.kinds.elementwise import floating, not_implemented, unary
from rushlight.ops.kinds.pointwise import pointwise
from rushlight.ops.spec import public
from rushlight.ops.widening import wide
from rushlight.ops.writing import make_inplace
from rushlight.runtime.deferral import FROM_PIECES, FROM_SERIES
from rushlight.tape.derivative import no_derivative

_SQRT_PI = math.sqrt(math.pi)


# ---- the error function ----

erf = unary(
    "erf",
    numpy=wide(errors.erf),
    least=FROM_SERIES,
    dtype=floating,
    refuse=not_implemented("erf_vml_cpu", COMPLEX),
    vjp=lambda g, x: 2.0 / _SQRT_PI * (-(x * x)).exp() * g,
    doc="""The error function, `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0.

    Example:
        >>> import rushlight as torch
        >>> torch.erf(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8427])
    """,
)
erfc = unary(
    "erfc",
    numpy=wide(errors.erfc),
    least=FROM_SERIES,
    dtype=floating,
    refuse=not_implemented("erfc_vml_cpu", COMPLEX),
    vjp=lambda g, x: -2.0 / _SQRT_PI * (-(x * x)).exp() * g,
    doc="`1 - erf(input)`, accurate where that is small.",
)
erfinv = unary(
    "erfinv",
    numpy=wide(error_inverses.erfinv),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("erfinv_vml_cpu", COMPLEX),
    vjp=lambda g, out: 0.5 * _SQRT_PI * (out * out).exp() * g,
    doc="The inverse of `erf` on [-1, 1]; nan outside.",
)
erfcx = unary(
    "special_erfcx",
    node="SpecialErfcx",
    numpy=wide(errors.erfcx),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("erfcx_cpu", COMPLEX, *REDUCED),
    vjp=lambda g, x, out: (2.0 * x * out - 2.0 / _SQRT_PI) * g,
    doc="`exp(input**2) * erfc(input)`.",
)

# ---- the normal distribution ----


ndtr = unary(
    "special_ndtr",
    node="MulBackward1",
    numpy=wide(errors.ndtr),
    least=FROM_SERIES,
    dtype=floating,
    refuse=not_implemented("erf_vml_cpu", COMPLEX),
    vjp=lambda g, x: (-0.5 * x * x).exp() * g / math.sqrt(2 * math.pi),
    doc="The normal distribution function: the probability of a value up to `input`.",
)
ndtri = unary(
    "special_ndtri",
    node="SpecialNdtri",
    numpy=wide(error_inverses.ndtri),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("ndtri_cpu", COMPLEX, *REDUCED),
    vjp=lambda g, out: g * math.sqrt(2 * math.pi) * (out * out / 2).exp(),
    doc="The quantile of the normal distribution; nan outside [0, 1].",
)


def _log_ndtr(x: np.ndarray) -> np.ndarray:
    scaled = x * math.sqrt(0.5)
    below = np.log(errors.erfcx(-scaled) / 2) - scaled * scaled
    return np.where(x < -1, below, np.log1p(-errors.erfc(scaled) / 2))


log_ndtr = unary(
    "special_log_ndtr",
    node="SpecialLogNdtr",
    numpy=wide(_log_ndtr),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("log_ndtr_cpu", COMPLEX, *REDUCED),
    vjp=lambda g, x: g / erfcx(x * -math.sqrt(0.5)) * math.sqrt(2 / math.pi),
    doc="The logarithm of `ndtr`, accurate far below 0.",
)

# ---- gamma ----

lgamma = unary(
    "lgamma",
    numpy=wide(gamma.lgamma),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("lgamma_vml_cpu", COMPLEX),
    vjp=lambda g, x: g * x.digamma(),
    doc="""The logarithm of the absolute value of the gamma function.

    Example:
        >>> import rushlight as torch
        >>> torch.lgamma(torch.tensor([1.0, 4.0]))
        tensor([0.0000, 1.7918])
    """,
)
digamma = unary(
    "digamma",
    numpy=wide(gamma.digamma),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("digamma", COMPLEX),
    vjp=lambda g, x: g * x.polygamma(1),
    doc="The derivative of `lgamma`.",
)


@pointwise(
    "Polygamma",
    rule=floating,
    refuse=not_implemented("polygamma", COMPLEX),
    vjp=(lambda g, x, n: g * x.polygamma(n + 1),),
    least=FROM_PIECES,
)
def polygamma_values(x, *, n):
    return gamma.polygamma(n, x.astype("d")).astype(x.dtype)


@public
def polygamma(n, input):
    """The derivative of order `n` of `digamma`.

    Raises:
        RuntimeError: `n` is negative.

    Example:
        >>> import rushlight as torch
        >>> torch.polygamma(1, torch.tensor([1.0]))
        tensor([1.6449])
    """
    if isinstance(n, Tensor) or not hasattr(n, "__index__"):
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    if not isinstance(input, Tensor):
        raise wrong_type("polygamma", "input", 2, input)
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return polygamma_values(input, n=int(n))


def polygamma_method(self: Tensor, n: int) -> Tensor:
    """See `torch.polygamma`."""
    return polygamma(n, self)


polygamma_inplace = make_inplace("polygamma", polygamma_method, None)


def _orders(p: int) -> list[float]:
    return [-0.5 * k for k in range(p)]


def _mvlgamma_gradient(g: Any, x: Any, p: int) -> Any:
    total = x.digamma()
    for shift in _orders(p)[1:]:
        total = total + (x + shift).digamma()
    return g * total


@pointwise("Mvlgamma", rule=floating, vjp=(_mvlgamma_gradient,), least=FROM_PIECES)
def mvlgamma_values(x, *, p):
    wide = x.astype("d")
    total = sum(gamma.lgamma(wide + shift) for shift in _orders(p))
    return (total + p * (p - 1) / 4 * math.log(math.pi)).astype(x.dtype)


@public(takes={"p": "int"})
def mvlgamma(input, p):
    """The logarithm of the multivariate gamma function of dimension `p` (elements above (p - 1) / 2).

    Raises:
        TypeError: `p` is no int.
        RuntimeError: `p` is below 1, or a bool tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.mvlgamma(torch.tensor([3.0]), 2)
        tensor([1.5502])
    """
    if isinstance(p, bool) or not hasattr(p, "__index__"):
        raise TypeError(f"mvlgamma(): argument 'p' (position 2) must be int, not {type(p).__name__}")
    if input._dtype is bool_:
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    error = not_implemented("mvlgamma", COMPLEX)(input._dtype)
    if error is not None or input._dtype.name in ("uint16", "uint32", "uint64"):
        raise error or not_implemented("add_stub", input._dtype)(input._dtype)
    # (PyTorch sums the terms along a dimension of their own, and results of sums lie in rows)
    return mvlgamma_values(input.contiguous(), p=int(p))


# ---- zeta, entropy, x log1p y ----

_refuse_zeta = not_implemented("zeta_cpu", COMPLEX, *REDUCED)


@pointwise(
    "SpecialZeta",
    rule=floating,
    refuse=_refuse_zeta,
    vjp=(no_derivative("zeta"), lambda g, x, y: g * -x * zeta(x + 1, y)),
)
def zeta_values(x, y):
    return gamma.zeta(x.astype("d"), y.astype("d")).astype(x.dtype)


@public(name="special_zeta", overloaded=True)
def zeta(input, other):
    """Hurwitz's zeta function: the sum of `(other + k)**-input` over k = 0, 1, ..."""
    return zeta_values(*check_operands("special_zeta", input, other, ONE))


def _entropy(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, -x * np.log(x), np.where(x == 0, 0, np.where(np.isnan(x), x, -np.inf)))


entr = unary(
    "special_entr",
    node="SpecialEntr",
    numpy=wide(_entropy),
    dtype=floating,
    refuse=not_implemented("entr_cpu", COMPLEX),
    vjp=lambda g, x: g * (-(x.log()) - 1).masked_fill(x < 0, math.nan),
    doc="`-input * log(input)`, 0 at 0 and -inf below.",
)


def _xlog1py(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    x, y = x.astype("d"), y.astype("d")
    return np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log1p(y)))


@pointwise(
    "SpecialXlog1Py",
    rule=floating,
    refuse=not_implemented("xlog1py_cpu", COMPLEX),
    vjp=(
        lambda g, x, y: (g * y.log1p()).masked_fill((x == 0) & (y <= -1), 0),
        lambda g, x, y: g * x / (y + 1),
    ),
)
def xlog1py_values(x, y):
    return _xlog1py(x, y).astype(x.dtype)


@public(name="special_xlog1py", overloaded=True)
def xlog1py(input, other):
    """`input * log1p(other)`, which is 0 where `input` is, unless `other` is nan."""
    return xlog1py_values(*check_operands("special_xlog1py", input, other, ONE))


# ---- Bessel functions ----

i0 = unary(
    "i0",
    numpy=wide(bessel.i0),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("i0_vml_cpu", COMPLEX),
    vjp=lambda g, x: g * i1(x),
    doc="The modified Bessel function of order 0.",
)
i0e = unary(
    "special_i0e",
    node="SpecialI0E",
    numpy=wide(bessel.i0e),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("i0e_cpu", COMPLEX),
    vjp=lambda g, x, out: g * (i1e(x) - x.sgn() * out),
    doc="`exp(-|input|) * i0(input)`.",
)


def _i1_gradient(g: Any, x: Any, out: Any) -> Any:
    """I1' = I0 - I1 / x, one half at 0."""
    near = x.abs() <= 2.220446049250313e-16
    safe = x.masked_fill(near, 1.0)
    return g * (i0(safe) - out / safe).masked_fill(near, 0.5)


def _i1e_gradient(g: Any, x: Any, out: Any) -> Any:
    near = x.abs() <= 2.220446049250313e-16
    safe = x.masked_fill(near, 1.0)
    return g * (i0e(safe) - out * (safe.sgn() + safe.reciprocal())).masked_fill(near, 0.5)


i1 = unary(
    "special_i1",
    node="SpecialI1Backward0",
    numpy=wide(bessel.i1),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("i1_cpu", COMPLEX),
    vjp=_i1_gradient,
    doc="The modified Bessel function of order 1.",
)
i1e = unary(
    "special_i1e",
    node="SpecialI1E",
    numpy=wide(bessel.i1e),
    least=FROM_PIECES,
    dtype=floating,
    refuse=not_implemented("i1e_cpu", COMPLEX),
    vjp=_i1e_gradient,
    doc="`exp(-|input|) * i1(input)`.",
)
