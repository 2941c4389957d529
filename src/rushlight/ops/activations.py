"""The elementwise functions of `torch.nn.functional`.

float32 is computed in double precision where a function is not exact, as in `functions`.
Parameters are numbers, read in full precision for half types.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import (
    BOOL,
    COMPLEX,
    FLOATING,
    INTEGER,
    WIDE_UNSIGNED,
    bool_,
    dtype,
    finfo,
    float64,
    uint8,
)
from rushlight.graph.trace import Traced
from rushlight.numerics.errors import ndtr
from rushlight.ops.clamping import bounded
from rushlight.ops.functions import sigmoid as sigmoid
from rushlight.ops.functions import tanh as tanh
from rushlight.ops.kinds.elementwise import not_implemented, same, unary
from rushlight.ops.kinds.pointwise import at_once, in_double, pointwise, where_kept
from rushlight.ops.spec import public
from rushlight.runtime.deferral import FROM_SERIES
from rushlight.tape.derivative import NOT_DIFFERENTIABLE
from rushlight.tape.modes import unrecorded

# ---- cut off ----


def _refuse_relu(d: dtype) -> Exception | None:
    if d is bool_:
        return RuntimeError("Boolean inputs not supported for relu")
    if d.category == COMPLEX:
        return NotImplementedError("clamp is not supported for complex types")
    return not_implemented("clamp_min_scalar_cpu", *WIDE_UNSIGNED)(d)


@pointwise(
    "PiecewiseBackward",
    rule=same,
    vjp=(
        lambda g, y, inside, slope: piecewise(g, y, inside=inside, slope=slope),
        lambda g: g.new_zeros(g.shape),
    ),
)
def piecewise(x, y, *, inside, slope):
    """The gradient x where y lies inside, times a constant slope elsewhere.

    An operation of its own, so that the gradient depends on y on the tape, as it does for
    PyTorch, though its derivative with respect to y is zero.
    """
    return np.where(inside(y), x, x * x.dtype.type(slope)) if slope else where_kept(inside(y), x)


_ZEROS = {char: np.zeros(1 << 14, char) for char in "fd"}


def _relu(x: np.ndarray) -> np.ndarray:
    zeros = _ZEROS.get(x.dtype.char) if type(x) is np.ndarray else None
    if zeros is not None and x.size <= zeros.size and x.flags.c_contiguous:
        return np.maximum(zeros[: x.size].reshape(x.shape), x)  # five times as fast as with a number
    return np.maximum(0, x)


def _above_zero(y: Any) -> Any:
    return ~(y <= 0)


def _relu_gradient(g: Any, out: Any) -> Any:
    made = at_once(lambda x, y: where_kept(_above_zero(y), x), g, out)
    return made if made is not None else piecewise(g, out, inside=_above_zero, slope=0)


relu = unary(
    "relu",
    out=False,
    numpy=_relu,
    dtype=same,
    refuse=_refuse_relu,
    vjp=_relu_gradient,
    doc="""The larger of each element and 0; its gradient at 0 is 0.

    Example:
        >>> import rushlight as torch
        >>> torch.relu(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """,
)


def relu_functional(input: Tensor, inplace: bool = False) -> Tensor:
    """`torch.nn.functional.relu`: the larger of each element and 0, in place if asked."""
    return relu.inplace(input) if inplace else relu(input)


relu_functional.__name__ = relu_functional.__qualname__ = "relu"


def _floats(kernel: str) -> Any:
    return not_implemented(kernel, BOOL, INTEGER, COMPLEX)


def _strictly_between(low: float, high: float) -> Callable:
    return lambda x: ~((x <= low) | (x >= high))


def _beyond(distance: float) -> Callable:
    return lambda x: ~((x >= -distance) & (x <= distance))


@pointwise(
    "Hardtanh",
    rule=same,
    vjp=(
        lambda g, x, min_val, max_val: piecewise(g, x, inside=_strictly_between(min_val, max_val), slope=0),
    ),
)
def hardtanh_values(x, *, min_val, max_val):
    kind = x.dtype.type
    return bounded(x, kind(min_val), kind(max_val))


@public(out=False)
def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """`input` held between two numbers; the gradient is 0 at and beyond them.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.hardtanh(torch.tensor([-2.0, 0.5]))
        tensor([-1.0000,  0.5000])
    """
    if inplace:
        return hardtanh.inplace(input, min_val, max_val)
    kind = input._dtype
    if kind is bool_:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if kind.category == INTEGER:
        if kind is uint8 and (min_val < 0 or max_val < 0):
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
        min_val, max_val = int(min_val), int(max_val)
    if kind.category == COMPLEX:
        raise NotImplementedError("clamp is not supported for complex types")
    if kind in WIDE_UNSIGNED:
        raise not_implemented("clamp_scalar_cpu", kind)(kind)
    return hardtanh_values(input, min_val=min_val, max_val=max_val)


@public(out=False)
def relu6(input, inplace=False):
    """`input` held between 0 and 6."""
    if inplace:
        return relu6.inplace(input)
    return hardtanh(input, 0.0, 6.0)


@pointwise(
    "Threshold",
    rule=same,
    refuse=not_implemented("threshold_cpu", BOOL, COMPLEX, *WIDE_UNSIGNED),
    vjp=(lambda g, x, threshold: piecewise(g, x, inside=lambda x: ~(x <= threshold), slope=0),),
)
def threshold_values(x, *, threshold, value):
    return np.where(x <= threshold, x.dtype.type(value), x)


@public(out=False)
def threshold(input, threshold, value, inplace=False):
    """`input` where it is above `threshold`, else `value`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.threshold(torch.tensor([0.1, 1.0]), 0.5, 20.0)
        tensor([20.,  1.])
    """
    if inplace:
        return threshold_inplace(input, threshold, value)
    if input._dtype.category == INTEGER:
        threshold, value = int(threshold), int(value)
    return threshold_values(input, threshold=threshold, value=value)


threshold_inplace = threshold.inplace


@pointwise(
    "Hardshrink",
    rule=same,
    refuse=_floats("hardshrink_cpu"),
    vjp=(lambda g, x, lambd: piecewise(g, x, inside=_beyond(lambd), slope=0),),
)
def hardshrink_values(x, *, lambd):
    return np.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x)


@public
def hardshrink(input, lambd=0.5):
    """`input`, but 0 between -lambd and lambd."""
    return hardshrink_values(input, lambd=lambd)


@pointwise(
    "Softshrink",
    rule=same,
    refuse=_floats("softshrink_check"),
    vjp=(lambda g, x, lambd: piecewise(g, x, inside=_beyond(lambd), slope=0),),
)
def softshrink_values(x, *, lambd):
    lambd = x.dtype.type(lambd)
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * x.dtype.type(0)))


@public
def softshrink(input, lambd=0.5):
    """`input` moved towards 0 by `lambd`, and 0 within that distance; RuntimeError if `lambd` is negative."""
    if lambd < 0:
        most = finfo(input._dtype).max if input._dtype.category == FLOATING else 0
        raise RuntimeError(
            f"lambda must be in range [0, {most:g}] for input dtype {input._dtype.legacy}, but found {lambd:g}"
        )
    return softshrink_values(input, lambd=lambd)


# ---- a slope below 0 ----


@pointwise(
    "LeakyRelu",
    rule=same,
    refuse=_floats("leaky_relu_cpu"),
    vjp=(lambda g, x, negative_slope: piecewise(g, x, inside=lambda x: x > 0, slope=negative_slope),),
)
def leaky_relu_values(x, *, negative_slope):
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


@public(out=False)
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """`input` where positive, else `negative_slope * input`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.leaky_relu(torch.tensor([-1.0, 2.0]), 0.1)
        tensor([-0.1000,  2.0000])
    """
    if inplace:
        return leaky_relu.inplace(input, negative_slope)
    return leaky_relu_values(input, negative_slope=negative_slope)


@pointwise(
    "PreluKernel",
    rule=same,
    refuse=_floats("prelu_cpu"),
    vjp=(lambda g, x, weight: prelu_gradient(g, x, weight), lambda g, x: (g * x).masked_fill(x > 0, 0)),
)
def prelu_values(x, weight):
    return np.where(x > 0, x, x * weight)


@pointwise(
    "PreluKernelBackward",
    rule=same,
    vjp=(
        lambda g, x, weight: prelu_gradient(g, x, weight),
        lambda g: g.new_zeros(g.shape),
        lambda g, grad, x: (g * grad).masked_fill(x > 0, 0),
    ),
)
def prelu_gradient(grad, x, weight):
    return np.where(x > 0, grad, grad * weight)


@public(out=False)
def prelu(input, weight):
    """`input` where positive, else `weight * input`; `weight` holds one number, or one for each channel (dimension 1).

    Example:
        >>> import rushlight as torch
        >>> torch.prelu(torch.tensor([-1.0, 2.0]), torch.tensor([0.25]))
        tensor([-0.2500,  2.0000])
    """
    if not isinstance(weight, Tensor):
        raise TypeError(
            f"prelu(): argument 'weight' (position 2) must be Tensor, not {type(weight).__name__}"
        )
    if input._dtype is not weight._dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {input._dtype.legacy} and {weight._dtype.legacy}"
        )
    count, ndim = weight._a.size, input._a.ndim
    if weight._a.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight._a.ndim}"
        )
    if count != 1:
        if ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input._a.shape[1] if ndim > 1 else 1
        if channels != count:
            raise RuntimeError(
                f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {count} and channel "
                f"size = {channels}."
            )
    if ndim == 0 and weight._a.ndim:
        weight = weight.reshape(())
    if ndim >= 2 and weight._a.ndim:
        weight = weight.view(1, count, *(1,) * (ndim - 2))
    return prelu_values(input, weight)


@pointwise(
    "RreluWithNoise",
    rule=same,
    refuse=_floats("rrelu_with_noise_out_cpu"),
    vjp=(lambda g, slope: g * slope, None),
)
def rrelu_values(x, slope):
    return x * slope


@pointwise(
    "RreluWithNoise",
    rule=same,
    refuse=_floats("leaky_relu_cpu"),
    vjp=(lambda g, x, negative_slope: piecewise(g, x, inside=lambda x: x > 0, slope=negative_slope),),
)
def rrelu_mean(x, *, negative_slope):
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


@public(out=False)
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """`leaky_relu` with random slopes from [lower, upper] in training, their mean otherwise.

    Raises:
        RuntimeError: `lower` is above `upper`.
    """
    if inplace:
        return rrelu.inplace(input, lower, upper, training)
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training:
        return rrelu_mean(input, negative_slope=(lower + upper) / 2)
    below = input._a <= 0
    slope = input.new_ones(input.shape)
    slope._a[below] = (
        input.new_empty((int(below.sum()),), dtype=float64).uniform_(lower, upper)._a.astype(slope._a.dtype)
    )
    return rrelu_values(input, slope)


# ---- exponentials below 0 ----


def _elu(x: np.ndarray, alpha: float, scale: float, input_scale: float) -> np.ndarray:
    wide = x.astype("d")
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
    @pointwise(node, rule=same, refuse=_floats("elu_cpu"), vjp=(_elu_gradient,))
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
    """`input` where positive, else `alpha * (exp(input / alpha) - 1)`; RuntimeError for an `alpha` of 0."""
    if inplace:
        return celu.inplace(input, alpha)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return celu_values(input, alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


# ---- smooth ----

_SQRT_HALF, _SQRT_2_OVER_PI = math.sqrt(0.5), math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@pointwise("GeluBackward", rule=same, vjp=NOT_DIFFERENTIABLE, least=FROM_SERIES)
def gelu_slope_values(g, x):
    """d/dx x Phi(x) = Phi(x) + x phi(x), times g."""
    kind = x.dtype
    g, x = _widened(g), _widened(x)
    return (g * (ndtr(x) + x * np.exp(x * x * -0.5) * (0.5 * _SQRT_2_OVER_PI))).astype(kind)


def _widened(x: Any) -> Any:
    """In double precision; but as it is for a kernel, whose functions of float32 are accurate, and take half the time."""
    return x if type(x) is Traced else x.astype("d")


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


@pointwise("Gelu", rule=same, refuse=_floats("GeluKernelImpl"), vjp=(_gelu_gradient,), least=FROM_SERIES)
def gelu_values(x, *, approximate):
    if approximate == "none":
        wide = _widened(x)
        return (wide * ndtr(wide)).astype(x.dtype)
    wide = x.astype("d")
    wide = 0.5 * wide * (1 + np.tanh(_SQRT_2_OVER_PI * (wide + _CUBIC * wide * wide * wide)))
    return wide.astype(x.dtype)


@public
def gelu(input, *, approximate="none"):
    """`input` times the normal distribution function; `approximate="tanh"` for its approximation.

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


_silu = unary(
    "silu",
    numpy=in_double(lambda x: x / (1 + np.exp(-x))),
    dtype=same,
    refuse=not_implemented("silu_cpu", BOOL, INTEGER),
    vjp=_silu_gradient,
)


@public(out=False)
def silu(input, inplace=False):
    """`input * sigmoid(input)`, also called swish."""
    return _silu.inplace(input) if inplace else _silu.method(input)


def _mish_gradient(g: Any, x: Any) -> Any:
    """With t = tanh(softplus(x)): t + x (1 - t^2) sigmoid(x)."""
    t = softplus(x).tanh()
    return g * (t + x * (1 - t * t) * x.sigmoid())


_mish = unary(
    "mish",
    numpy=in_double(lambda x: x * np.tanh(np.logaddexp(0, x))),
    dtype=same,
    refuse=_floats("mish_cpu"),
    vjp=_mish_gradient,
)


@public(out=False)
def mish(input, inplace=False):
    """`input * tanh(softplus(input))` (Misra, 2019)."""
    return _mish.inplace(input) if inplace else _mish.method(input)


def _softplus_gradient(g: Any, x: Any, beta: float, threshold: float) -> Any:
    scaled = x * beta
    return g.where(scaled > threshold, g * scaled.sigmoid())


@pointwise("Softplus", rule=same, refuse=_floats("softplus_cpu"), vjp=(_softplus_gradient,))
def softplus_values(x, *, beta, threshold):
    wide = x.astype("d")
    scaled = wide * beta
    return np.where(scaled > threshold, wide, np.log1p(np.exp(np.minimum(scaled, threshold))) / beta).astype(
        x.dtype
    )


@public
def softplus(input, beta=1, threshold=20):
    """`log(1 + exp(beta * input)) / beta`, and `input` itself where `beta * input` exceeds `threshold`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.softplus(torch.tensor([0.0]))
        tensor([0.6931])
    """
    return softplus_values(input, beta=beta, threshold=threshold)


logsigmoid = unary(
    "logsigmoid",
    node="LogSigmoid",
    numpy=in_double(lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))),
    dtype=same,
    refuse=_floats("log_sigmoid_cpu"),
    vjp=lambda g, x: g * (-x).sigmoid(),
    doc="`log(sigmoid(input))` without overflow.",
)


def _sixth(x: np.ndarray) -> np.ndarray:
    kind = x.dtype.type
    return bounded(x + kind(3), kind(0), kind(6))


_hardsigmoid = unary(
    "hardsigmoid",
    numpy=lambda x: _sixth(x) / x.dtype.type(6),
    dtype=same,
    refuse=_floats("hardsigmoid_cpu"),
    vjp=lambda g, x: piecewise(g / 6, x, inside=lambda x: (x > -3) & (x < 3), slope=0),
)


@public(out=False)
def hardsigmoid(input, inplace=False):
    """`(input + 3) / 6` held between 0 and 1."""
    return _hardsigmoid.inplace(input) if inplace else _hardsigmoid.method(input)


_hardswish = unary(
    "hardswish",
    numpy=lambda x: x * _sixth(x) / x.dtype.type(6),
    dtype=same,
    refuse=_floats("hardswish_cpu"),
    vjp=lambda g, x: (g * (x / 3 + 0.5)).where(x < 3, g).masked_fill(x <= -3, 0),
)


@public(out=False)
def hardswish(input, inplace=False):
    """`input * hardsigmoid(input)`."""
    return _hardswish.inplace(input) if inplace else _hardswish.method(input)


def softsign(input: Tensor) -> Tensor:
    """`input / (1 + |input|)`."""
    return input / (input.abs() + 1)


def tanhshrink(input: Tensor) -> Tensor:
    """`input - tanh(input)`."""
    return input - input.tanh()
