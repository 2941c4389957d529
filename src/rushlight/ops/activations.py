"""Activations made of straight pieces, and products of them: relu, hardtanh, leaky_relu, hardswish, ..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.batched import TAKE_OVER, NeedsBatching, asking
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
from rushlight.ops.clamping import bounded
from rushlight.ops.kinds.elementwise import floats_only, not_implemented, same, unary
from rushlight.ops.kinds.pointwise import at_once, pointwise, where_kept
from rushlight.ops.scalars import scalar
from rushlight.ops.spec import public

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


@asking
def relu_functional(input: Tensor, inplace: bool = False) -> Tensor:
    """`torch.nn.functional.relu`: the larger of each element and 0, in place if asked."""
    try:
        return relu.inplace(input) if inplace else relu(input)
    except NeedsBatching:
        return TAKE_OVER.function("relu", relu_functional, (input,), {"inplace": inplace})


relu_functional.__name__ = relu_functional.__qualname__ = "relu"
relu_functional.__module__ = "rushlight.nn.functional"


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

    Raises:
        ValueError: `min_val` above `max_val`.
        RuntimeError: a bool tensor, or an unsigned one with negative limits.
        NotImplementedError: a complex tensor.

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


@public(out=False, takes={"threshold": "Number", "value": "Number"})
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
        kind = input._dtype
        threshold, value = scalar(int(threshold), kind).item(), scalar(int(value), kind).item()
    return threshold_values(input, threshold=threshold, value=value)


threshold_inplace = threshold.inplace


@pointwise(
    "Hardshrink",
    rule=same,
    refuse=floats_only("hardshrink_cpu"),
    vjp=(lambda g, x, lambd: piecewise(g, x, inside=_beyond(lambd), slope=0),),
)
def hardshrink_values(x, *, lambd):
    return np.where((x >= -lambd) & (x <= lambd), x.dtype.type(0), x)


@public(takes={"lambd": "Number"})
def hardshrink(input, lambd=0.5):
    """`input`, but 0 between -lambd and lambd."""
    return hardshrink_values(input, lambd=lambd)


@pointwise(
    "Softshrink",
    rule=same,
    refuse=floats_only("softshrink_check"),
    vjp=(lambda g, x, lambd: piecewise(g, x, inside=_beyond(lambd), slope=0),),
)
def softshrink_values(x, *, lambd):
    lambd = x.dtype.type(lambd)
    return np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, x * x.dtype.type(0)))


@public(takes={"lambd": "Number"})
def softshrink(input, lambd=0.5):
    """`input` moved towards 0 by `lambd`, and 0 within that distance.

    Raises:
        RuntimeError: `lambd` is negative, or larger than the type holds.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.softshrink(torch.tensor([-2.0, 0.3, 2.0]))
        tensor([-1.5000,  0.0000,  1.5000])
    """
    if input._dtype.category == FLOATING:
        most = finfo(input._dtype).max
        if not 0 <= lambd <= most:
            raise RuntimeError(
                f"lambda must be in range [0, {most:g}] for input dtype {input._dtype.legacy}, but found {lambd:g}"
            )
    return softshrink_values(input, lambd=lambd)


# ---- a slope below 0 ----


@pointwise(
    "LeakyRelu",
    rule=same,
    refuse=floats_only("leaky_relu_cpu"),
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
    refuse=floats_only("prelu_cpu"),
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

    Raises:
        TypeError: `weight` is no tensor.
        RuntimeError: types differ, or there are not as many weights as channels.

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
    refuse=floats_only("rrelu_with_noise_out_cpu"),
    vjp=(lambda g, slope: g * slope, None),
)
def rrelu_values(x, slope):
    return x * slope


@pointwise(
    "RreluWithNoise",
    rule=same,
    refuse=floats_only("leaky_relu_cpu"),
    vjp=(lambda g, x, negative_slope: piecewise(g, x, inside=lambda x: x > 0, slope=negative_slope),),
)
def rrelu_mean(x, *, negative_slope):
    return np.where(x > 0, x, x * x.dtype.type(negative_slope))


@public(out=False, takes={"lower": "Number", "upper": "Number", "training": "bool"})
def rrelu(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
    """`leaky_relu` with random slopes from [lower, upper] in training, their mean otherwise.

    Raises:
        RuntimeError: `lower` is above `upper`.
    """
    if inplace:
        return rrelu.inplace(input, lower, upper, training)
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    input = input.contiguous()  # (and so are PyTorch's results)
    if not training:
        return rrelu_mean(input, negative_slope=(lower + upper) / 2)
    below = input._a <= 0
    slope = input.new_ones(input.shape)
    slope._a[below] = (
        input.new_empty((int(below.sum()),), dtype=float64).uniform_(lower, upper)._a.astype(slope._a.dtype)
    )
    return rrelu_values(input, slope)


# ---- rising from -3 to 3 ----


def _sixth(x: np.ndarray) -> np.ndarray:
    kind = x.dtype.type
    return bounded(x + kind(3), kind(0), kind(6))


_hardsigmoid = unary(
    "hardsigmoid",
    numpy=lambda x: _sixth(x) / x.dtype.type(6),
    dtype=same,
    refuse=floats_only("hardsigmoid_cpu"),
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
    refuse=floats_only("hardswish_cpu"),
    vjp=lambda g, x: (g * (x / 3 + 0.5)).where(x < 3, g).masked_fill(x <= -3, 0),
)


@public(out=False)
def hardswish(input, inplace=False):
    """`input * hardsigmoid(input)`."""
    return _hardswish.inplace(input) if inplace else _hardswish.method(input)
