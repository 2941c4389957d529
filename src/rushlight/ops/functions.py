"""Exponentials, logarithms, circular and hyperbolic functions; sigmoid and its relatives.

All are computed in double precision and rounded once (see `in_double`). Derivatives conjugate,
as PyTorch's do: the gradient of a real loss with respect to a complex z is dL/dx + i dL/dy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, INTEGER, dtype
from rushlight.graph.trace import has_verb
from rushlight.ops.kinds.binary import NONE, ONE, binary, check_operands
from rushlight.ops.kinds.elementwise import floating, floats_only, not_implemented, unary
from rushlight.ops.kinds.pointwise import at_once, in_double, in_double_2, pointwise
from rushlight.ops.spec import public
from rushlight.tape.derivative import Derivative

_LN2, _LN10 = math.log(2), math.log(10)

# ---- exponentials ----

exp = unary(
    "exp",
    numpy=in_double(np.exp),
    dtype=floating,
    vjp=lambda g, out: g * out.conj(),
    doc="""e to the power of each element.

    Example:
        >>> import rushlight as torch
        >>> torch.exp(torch.tensor([0.0, 1.0]))
        tensor([1.0000, 2.7183])
    """,
)


@has_verb("exp2")
def _exp2(x: np.ndarray) -> np.ndarray:
    return np.exp(x * _LN2) if x.dtype.kind == "c" else np.exp2(x)


exp2 = unary(
    "exp2",
    numpy=in_double(_exp2),
    dtype=floating,
    vjp=lambda g, out: g * out.conj() * _LN2,
    doc="2 to the power of each element.",
)
expm1 = unary(
    "expm1",
    numpy=in_double(np.expm1),
    dtype=floating,
    vjp=lambda g, out: g * (out.conj() + 1),
    doc="`exp(input) - 1`, accurate near 0.",
)

# ---- logarithms ----

log = unary(
    "log",
    numpy=in_double(np.log),
    dtype=floating,
    vjp=lambda g, x: g / x.conj(),
    doc="""The natural logarithm; -inf at 0, nan below.

    Example:
        >>> import rushlight as torch
        >>> torch.log(torch.tensor([1.0, 0.0, -1.0]))
        tensor([0., -inf, nan])
    """,
)


@has_verb("log2")
def _log2(x: np.ndarray) -> np.ndarray:
    return np.log(x) / _LN2 if x.dtype.kind == "c" else np.log2(x)


log2 = unary(
    "log2",
    numpy=in_double(_log2),
    dtype=floating,
    vjp=lambda g, x: g / (x.conj() * _LN2),
    doc="The logarithm to base 2.",
)
log10 = unary(
    "log10",
    numpy=in_double(np.log10),
    dtype=floating,
    vjp=lambda g, x: g / (x.conj() * _LN10),
    doc="The logarithm to base 10.",
)
log1p = unary(
    "log1p",
    node="Log1P",
    numpy=in_double(np.log1p),
    dtype=floating,
    vjp=lambda g, x: g / (x + 1).conj(),
    doc="`log(1 + input)`, accurate near 0.",
)


def _logaddexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "c":
        # as np.logaddexp, but an operation at a time, which vectors compute; it deals with infinities
        if type(x) is not np.ndarray:
            return np.logaddexp(x, y)
        out = np.maximum(x, y) + np.log1p(np.exp(-np.abs(x - y)))
        return out if np.count_nonzero(np.isfinite(out)) == out.size else np.logaddexp(x, y)
    swap = x.real < y.real
    low, high = np.where(swap, x, y), np.where(swap, y, x)
    same = ~np.isfinite(low.real) & (low == high)
    return np.where(same, low, high + np.log1p(np.exp(low - high)))


logaddexp = binary(
    "logaddexp",
    numpy=in_double_2(_logaddexp),
    dtype=lambda d: (d, d),
    refuse=not_implemented("logaddexp_cpu", BOOL, INTEGER),
    vjp=Derivative(
        "Logaddexp",
        ("x", "y"),
        (lambda g, x, y: g / (1 + (y - x).exp()).conj(), lambda g, x, y: g / (1 + (x - y).exp()).conj()),
        promotes=False,
    ),
    numbers=NONE,
    doc="`log(exp(input) + exp(other))` without overflow.",
)
logaddexp2 = binary(
    "logaddexp2",
    numpy=in_double_2(lambda x, y: np.logaddexp2(x, y)),
    dtype=lambda d: (d, d),
    refuse=floats_only("logaddexp2_cpu"),
    vjp=(
        lambda g, x, y: g / (1 + (y - x).exp2()),
        lambda g, x, y: g / (1 + (x - y).exp2()),
    ),
    numbers=NONE,
    doc="`log2(2**input + 2**other)` without overflow.",
)

# ---- circular functions ----

sin = unary(
    "sin",
    numpy=in_double(np.sin),
    dtype=floating,
    vjp=lambda g, x: g * x.cos().conj(),
    doc="The sine, of radians.",
)
cos = unary(
    "cos",
    numpy=in_double(np.cos),
    dtype=floating,
    vjp=lambda g, x: g * -x.sin().conj(),
    doc="The cosine, of radians.",
)
tan = unary(
    "tan",
    numpy=in_double(np.tan),
    dtype=floating,
    vjp=lambda g, out: g * (1 + out * out).conj(),
    doc="The tangent, of radians.",
)
asin = unary(
    "asin",
    numpy=in_double(np.arcsin),
    dtype=floating,
    vjp=lambda g, x: g * (-x * x + 1).rsqrt().conj(),
    doc="The angle in [-pi/2, pi/2] with this sine; nan outside [-1, 1].",
)
acos = unary(
    "acos",
    numpy=in_double(np.arccos),
    dtype=floating,
    vjp=lambda g, x: g * -((-x * x + 1).rsqrt()).conj(),
    doc="The angle in [0, pi] with this cosine; nan outside [-1, 1].",
)
atan = unary(
    "atan",
    numpy=in_double(np.arctan),
    dtype=floating,
    vjp=lambda g, x: g / (x * x + 1).conj(),
    doc="The angle in (-pi/2, pi/2) with this tangent.",
)
arcsin, arccos, arctan = asin, acos, atan


def _inverse_square(x: Any, y: Any) -> Any:
    """1 / (x^2 + y^2), and 0 at the origin, where the angle has no derivative."""
    square = x * x + y * y
    return square.reciprocal().masked_fill(square == 0, 0)


atan2 = binary(
    "atan2",
    numpy=in_double_2(np.arctan2),
    dtype=floating,
    refuse=not_implemented("atan2_cpu", COMPLEX),
    vjp=(
        lambda g, x, y: g * y * _inverse_square(x, y),
        lambda g, x, y: g * -x * _inverse_square(x, y),
    ),
    numbers=NONE,
    doc="The angle of the point (other, input), in [-pi, pi].",
)
arctan2 = atan2


def _hypot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """In float64 the squares of float32 numbers neither overflow nor vanish."""
    if type(x) is np.ndarray and x.dtype.char == "f" and x.flags.c_contiguous and y.flags.c_contiguous:
        out = np.sqrt(np.square(x.astype(np.float64)) + np.square(y.astype(np.float64))).astype(x.dtype)
        if np.count_nonzero(np.isfinite(out)) == out.size:
            return out
    return _careful_hypot(x, y)


_careful_hypot = in_double_2(np.hypot)
hypot = binary(
    "hypot",
    numpy=_hypot,
    dtype=lambda d: (d, d),
    refuse=floats_only("hypot_cpu"),
    vjp=(lambda g, x, out: g * (x / out), lambda g, y, out: g * (y / out)),
    numbers=NONE,
    doc="`sqrt(input**2 + other**2)` without overflow.",
)


def _real_only(name: str) -> Any:
    def refuse(d: dtype) -> Exception | None:
        return (
            RuntimeError(f"{name} is not supported for complex tensors.") if d.category == COMPLEX else None
        )

    return refuse


deg2rad = unary(
    "deg2rad",
    node="Deg2Rad",
    numpy=lambda x: x * x.dtype.type(math.pi / 180),
    dtype=floating,
    refuse=_real_only("deg2rad"),
    vjp=lambda g: g.deg2rad(),
    doc="Degrees as radians.",
)
rad2deg = unary(
    "rad2deg",
    node="Rad2Deg",
    numpy=lambda x: x * x.dtype.type(180 / math.pi),
    dtype=floating,
    refuse=_real_only("rad2deg"),
    vjp=lambda g: g.rad2deg(),
    doc="Radians as degrees.",
)


def _sinc(x: np.ndarray) -> np.ndarray:
    scaled = x * math.pi
    return np.where(x == 0, 1, np.sin(scaled) / np.where(x == 0, 1, scaled))


def _sinc_gradient(g: Any, x: Any) -> Any:
    """d/dx sin(pi x) / (pi x) = (pi x cos(pi x) - sin(pi x)) / (pi x^2)."""
    scaled = x * math.pi
    square = x * x * math.pi
    return (g * ((scaled * scaled.cos() - scaled.sin()) / square).conj()).masked_fill(square == 0, 0)


sinc = unary(
    "sinc", numpy=in_double(_sinc), dtype=floating, vjp=_sinc_gradient, doc="`sin(pi x) / (pi x)`, 1 at 0."
)

# ---- hyperbolic functions ----

sinh = unary(
    "sinh",
    numpy=in_double(np.sinh),
    dtype=floating,
    vjp=lambda g, x: g * x.cosh().conj(),
    doc="The hyperbolic sine.",
)
cosh = unary(
    "cosh",
    numpy=in_double(np.cosh),
    dtype=floating,
    vjp=lambda g, x: g * x.sinh().conj(),
    doc="The hyperbolic cosine.",
)


def _tanh_gradient(g: Any, out: Any) -> Any:
    made = at_once(lambda x, y: x * (1 - y * y), g, out)
    return made if made is not None else g * (1 - out * out).conj()


tanh = unary(
    "tanh",
    numpy=in_double(np.tanh),
    dtype=floating,
    vjp=_tanh_gradient,
    doc="""The hyperbolic tangent.

    Example:
        >>> import rushlight as torch
        >>> torch.tanh(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7616])
    """,
)
asinh = unary(
    "asinh",
    numpy=in_double(np.arcsinh),
    dtype=floating,
    vjp=lambda g, x: g * (x * x + 1).rsqrt().conj(),
    doc="The inverse of sinh.",
)
acosh = unary(
    "acosh",
    numpy=in_double(np.arccosh),
    dtype=floating,
    vjp=lambda g, x: g * ((x - 1).rsqrt() * (x + 1).rsqrt()).conj(),
    doc="The inverse of cosh on [1, inf); nan below 1.",
)
atanh = unary(
    "atanh",
    numpy=in_double(np.arctanh),
    dtype=floating,
    vjp=lambda g, x: g * 1 / (1 - x * x).conj(),
    doc="The inverse of tanh; nan outside [-1, 1].",
)
arcsinh, arccosh, arctanh = asinh, acosh, atanh

# ---- between 0 and 1 ----


#: an array, which NumPy takes in half the time of a number
_ONE = np.array(1.0)


@has_verb("sigmoid")
def _sigmoid(x: np.ndarray) -> np.ndarray:
    y = np.negative(x, np.empty_like(x))
    np.exp(y, y)
    np.add(y, _ONE, y)
    return np.reciprocal(y, y)


def _sigmoid_gradient(g: Any, out: Any) -> Any:
    made = at_once(lambda x, y: x * ((1 - y) * y), g, out)
    return made if made is not None else g * ((1 - out) * out).conj()


sigmoid = unary(
    "sigmoid",
    numpy=in_double(_sigmoid),
    dtype=floating,
    vjp=_sigmoid_gradient,
    doc="""`1 / (1 + exp(-input))`.

    Example:
        >>> import rushlight as torch
        >>> torch.sigmoid(torch.tensor([0.0, 100.0]))
        tensor([0.5000, 1.0000])
    """,
)


def _logit_gradient(g: Any, x: Any, eps: float | None) -> Any:
    """Beyond the clamp the gradient is 0; outside [0, 1], without a clamp, nan."""
    low = 0.0 if eps is None else eps
    outside = (x < low) | (x > 1.0 - low)
    return (g / (x * (1.0 - x))).masked_fill(outside, math.nan if eps is None else 0.0)


@pointwise("Logit", rule=floating, refuse=not_implemented("logit_cpu", COMPLEX), vjp=(_logit_gradient,))
def logit_values(x, *, eps):
    kind = x.dtype
    x = x.astype("d")
    if eps is not None:
        # a nan passes; bounds that cross give the upper one
        x = np.where(x < eps, eps, np.where(x > 1 - eps, 1 - eps, x))
    return np.log(x / (1 - x)).astype(kind)


@public(takes={"eps": "float?"})
def logit(input, eps=None):
    """`log(x / (1 - x))` of `input`, clamped to [eps, 1 - eps] if `eps` is given.

    Example:
        >>> import rushlight as torch
        >>> torch.logit(torch.tensor([0.5]))
        tensor([0.])
    """
    return logit_values(input, eps=eps)


# ---- x log y ----


def _xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(y), y, np.where(x == 0, 0, x * np.log(y)))


def _xlogy_first(g: Any, x: Any, y: Any) -> Any:
    return (g * y.log()).masked_fill((x == 0) & (y <= 0), 0)


def _xlogy_second(g: Any, x: Any, y: Any) -> Any:
    return g * x / y


_xlogy_values = in_double_2(_xlogy)
_refuse_xlogy = not_implemented("xlogy_cpu", COMPLEX)


@pointwise("Xlogy", rule=floating, refuse=_refuse_xlogy, vjp=(_xlogy_first, _xlogy_second))
def xlogy_tensors(x, y):
    return _xlogy_values(x, y)


@pointwise("XlogyBackward1", rule=floating, refuse=_refuse_xlogy, vjp=(None, _xlogy_second))
def xlogy_of_number(x, y):
    return _xlogy_values(x, y)


@pointwise("XlogyBackward2", rule=floating, refuse=_refuse_xlogy, vjp=(_xlogy_first, None))
def xlogy_with_number(x, y):
    return _xlogy_values(x, y)


@public(overloaded=True)
def xlogy(input, other):
    """`input * log(other)`, which is 0 where `input` is, unless `other` is nan.

    Example:
        >>> import rushlight as torch
        >>> torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0]))
        tensor([0., 0.])
    """
    input, other = check_operands("xlogy", input, other, ONE)
    if not isinstance(input, Tensor):
        return xlogy_of_number(input, other)
    return xlogy_tensors(input, other) if isinstance(other, Tensor) else xlogy_with_number(input, other)
