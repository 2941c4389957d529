"""Activations with exponentials in them: elu, gelu, silu, mish, softplus, ...

float32 is computed in double precision where a function is not exact, as in `functions`.
Parameters are numbers, read in full precision for half types.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, FLOATING, INTEGER, REDUCED, float32, float64
from rushlight.graph.trace import Traced, has_verb
from rushlight.layout import wrap_dim
from rushlight.numerics.errors import ndtr
from rushlight.ops.joining import cat
from rushlight.ops.kinds.elementwise import floats_only, not_implemented, same, unary
from rushlight.ops.kinds.pointwise import in_double, pointwise
from rushlight.ops.spec import as_one_node, public
from rushlight.runtime.deferral import FROM_SERIES
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative
from rushlight.tape.modes import unrecorded

# ---- exponentials below 0 ----


def _widened(x: Any) -> Any:
    """In double precision; but as it is for a kernel, whose functions of float32 are accurate, and take half the time."""
    return x if type(x) is Traced else x.astype("d")


def _elu(x: np.ndarray, alpha: float, scale: float, input_scale: float) -> np.ndarray:
    wide = _widened(x) if input_scale == 1 else x.astype("d")
    below = np.expm1(np.minimum(wide, 0) * input_scale) * (alpha * scale)
    return np.where(wide < 0, below, wide * scale).astype(x.dtype)


def _elu_curvature(g: Any, x: Any, y: Any, alpha: float, scale: float, input_scale: float) -> Any:
    curve = g * x * (alpha * scale * input_scale * input_scale) * (y * input_scale).exp()
    return curve.masked_fill((y < 0).logical_not(), 0)


@pointwise(
    "EluBackward",
    rule=same,
    vjp=(
        lambda g, y, alpha, scale, input_scale: elu_slope(
            g, y, alpha=alpha, scale=scale, input_scale=input_scale
        ),
        _elu_curvature,
    ),
)
def elu_slope(x, y, *, alpha, scale, input_scale):
    """The gradient x through elu at y."""
    below = (alpha * scale * input_scale) * np.exp(y.astype("d") * input_scale)
    return np.where(y <= 0, x * below, x * scale).astype(x.dtype)


def _elu_gradient(g: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    return elu_slope(g, x, alpha=alpha, scale=scale, input_scale=input_scale)


def _elu_kind(node: str) -> Any:
    @pointwise(node, rule=same, refuse=floats_only("elu_cpu"), vjp=(_elu_gradient,))
    def elu_values(x, *, alpha, scale, input_scale):
        return _elu(x, alpha, scale, input_scale)

    return elu_values


elu_values = _elu_kind("Elu")
celu_values = _elu_kind("Celu")


@public(out=False)
def elu(input, alpha=1.0, inplace=False):
    """`input` where positive, else `alpha * (exp(input) - 1)` (Clevert and others, 2015).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.elu(torch.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """
    if inplace:
        return elu.inplace(input, alpha)
    return elu_values(input, alpha=alpha, scale=1.0, input_scale=1.0)


@public(out=False)
def selu(input, inplace=False):
    """`elu` with the constants that keep mean 0 and variance 1 (Klambauer and others, 2017)."""
    if inplace:
        return selu.inplace(input)
    return elu_values(input, alpha=1.6732632423543772, scale=1.0507009873554805, input_scale=1.0)


@public(out=False)
def celu(input, alpha=1.0, inplace=False):
    """`input` where positive, else `alpha * (exp(input / alpha) - 1)`.

    Raises:
        RuntimeError: `alpha` is 0.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.celu(torch.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """
    if inplace:
        return celu.inplace(input, alpha)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return celu_values(input, alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


# ---- smooth ----

_SQRT_HALF, _SQRT_2_OVER_PI = math.sqrt(0.5), math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@has_verb("gelu_slope")
def _gelu_slope(x: np.ndarray) -> np.ndarray:
    """d/dx x Phi(x) = Phi(x) + x phi(x)."""
    return ndtr(x) + x * np.exp(x * x * -0.5) * (0.5 * _SQRT_2_OVER_PI)


@pointwise("GeluBackward", rule=same, vjp=NOT_DIFFERENTIABLE, least=FROM_SERIES)
def gelu_slope_values(g, x):
    """The gradient g through gelu at x."""
    return (_widened(g) * _gelu_slope(_widened(x))).astype(x.dtype)


def _gelu_gradient(g: Any, x: Any, approximate: str) -> Any:
    """See `gelu_slope_values`; of the tanh form likewise."""
    if approximate == "none":
        if unrecorded(g):
            return gelu_slope_values(g, x)
        below = 0.5 * (1 + (x * _SQRT_HALF).erf())
        return g * (below + x * (x * x * -0.5).exp() * (0.5 * _SQRT_2_OVER_PI))
    inner = _SQRT_2_OVER_PI * (x + _CUBIC * x * x * x)
    t = inner.tanh()
    slope = _SQRT_2_OVER_PI * (1 + 3 * _CUBIC * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


@has_verb("gelu")
def _gelu(x: np.ndarray) -> np.ndarray:
    return x * ndtr(x)


@has_verb("gelu_tanh")
def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    """(1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)), where nothing cancels."""
    return x / (1 + np.exp((-2 * _SQRT_2_OVER_PI) * (x + _CUBIC * x * x * x)))


@pointwise("Gelu", rule=same, refuse=floats_only("GeluKernelImpl"), vjp=(_gelu_gradient,), least=FROM_SERIES)
def gelu_values(x, *, approximate):
    function = _gelu if approximate == "none" else _gelu_tanh
    return function(_widened(x)).astype(x.dtype)


@public(takes={"approximate": "str"})
def gelu(input, *, approximate="none"):
    """`input` times the normal distribution function; `approximate="tanh"` for its approximation.

    Raises:
        RuntimeError: `approximate` is neither "none" nor "tanh".

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.gelu(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    return gelu_values(input, approximate=approximate)


def _silu_gradient(g: Any, x: Any) -> Any:
    s = x.sigmoid()
    return g * (s * (1 + x * (1 - s))).conj()


@has_verb("silu")
def _silu_values(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


_silu = unary(
    "silu",
    numpy=in_double(_silu_values),
    dtype=same,
    refuse=not_implemented("silu_cpu", BOOL, INTEGER),
    vjp=_silu_gradient,
)


@public(out=False)
def silu(input, inplace=False):
    """`input * sigmoid(input)`, also called swish."""
    return _silu.inplace(input) if inplace else _silu.method(input)


def _lifted(x: Any) -> Any:
    """Half types in float32."""
    return x.to(float32) if x._dtype in REDUCED else x


#: from here on tanh(softplus(x)) is 1, in double precision too; and exp(x) can be squared
_MISH_ENDS = 40.0


def _mish(x: np.ndarray) -> np.ndarray:
    """With e = exp(x) and n = e (e + 2) = (1 + e)^2 - 1: tanh(log(1 + e)) = n / (n + 2), where nothing cancels."""
    e = np.exp(np.minimum(x, _MISH_ENDS))
    n = e * (e + 2)
    return x * (n / (n + 2))


def _mish_gradient(g: Any, x: Any) -> Any:
    """t + x (1 - t^2) sigmoid(x), where t = n / (n + 2): see `_mish`. Where exp(x) is cut off, n is finite, and its square is not."""
    wide = _lifted(x)
    e = wide.clamp(max=300.0 if x._dtype is float64 else _MISH_ENDS).exp()
    n = e * (e + 2)
    slope = n / (n + 2) + wide * (4 * e * (1 + e) / (n + 2).square())
    return g * slope.to(x._dtype)


_mish_values = unary(
    "mish",
    numpy=in_double(_mish),
    dtype=same,
    refuse=floats_only("mish_cpu"),
    vjp=_mish_gradient,
)


@public(out=False)
def mish(input, inplace=False):
    """`input * tanh(softplus(input))` (Misra, 2019)."""
    return _mish_values.inplace(input) if inplace else _mish_values.method(input)


def _softplus_gradient(g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = x * beta
    return g.where(scaled > threshold, g * scaled.sigmoid())


@has_verb("softplus")
def _log_of_one_more(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@pointwise("Softplus", rule=same, refuse=floats_only("softplus_cpu"), vjp=(_softplus_gradient,))
def softplus_values(x, *, beta, threshold):
    if beta == 1:
        wide = _widened(x)
        return np.where(wide > threshold, wide, _log_of_one_more(wide)).astype(x.dtype)
    wide = x.astype("d")
    scaled = wide * beta
    return np.where(scaled > threshold, wide, _log_of_one_more(scaled) / beta).astype(x.dtype)


@public(takes={"beta": "Number", "threshold": "Number"})
def softplus(input, beta=1, threshold=20):
    """`log(1 + exp(beta * input)) / beta`, and `input` itself where `beta * input` exceeds `threshold`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.softplus(torch.tensor([0.0]))
        tensor([0.6931])
    """
    return softplus_values(input, beta=beta, threshold=threshold)


_logsigmoid = unary(
    "logsigmoid",
    node="LogSigmoid",
    numpy=in_double(lambda x: -_log_of_one_more(-x), single_in_kernels=True),
    dtype=same,
    refuse=floats_only("log_sigmoid_cpu"),
    vjp=lambda g, x: g * (-x).sigmoid(),
)


@public
def logsigmoid(input):
    """`log(sigmoid(input))` without overflow; the result lies in rows."""
    return _logsigmoid.method(input.contiguous())


@for_batches
def softsign(input: Tensor) -> Tensor:
    """`input / (1 + |input|)`."""
    return input / (input.abs() + 1)


@for_batches
def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    return input - input.tanh()


# ---- gated ----


def _glu(x: Any, dim: int) -> Any:
    a, b = x.chunk(2, dim)
    return a * b.sigmoid()


def _glu_gradient(g: Any, x: Any, dim: int) -> Any:
    a, b = x.chunk(2, dim)
    s = b.sigmoid()
    return cat([g * s, g * a * (s * (1 - s))], dim)


_GLU = Derivative("Glu", ("x",), (_glu_gradient,))


@public(name="nn.functional.glu", out=False, takes={"dim": "int"})
def glu(input, dim=-1):
    """a * sigmoid(b) for the halves a and b of the input along `dim`. Dauphin et al., arXiv:1612.08083.

    Raises:
        RuntimeError: a 0-d input, or one of an odd size.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.glu(torch.tensor([4.0, 0.0]))
        tensor([2.])
    """
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    shape = input._a.shape
    dim = wrap_dim(dim, len(shape))
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"glu_cpu\" not implemented for '{input._dtype.legacy}'")
    if shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {shape[dim]}")
    if not shape[dim]:
        return input.clone()
    return as_one_node(_GLU, input, _glu, dim=dim)
