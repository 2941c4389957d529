"""Normalisation to mean 0 and variance 1 of each channel, or group of channels.

Means and variances are taken in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import float32, float64
from rushlight.graph.expr import array_of
from rushlight.layout import numel
from rushlight.ops.channel_passes import (
    Moments,
    gradient_spread,
    gradient_sums,
    in_groups,
    in_places,
    moments,
    scaled,
    spread,
)
from rushlight.ops.normalisation import AFFINE, lifted, refuse, standard, standard_gradient
from rushlight.ops.running_moments import track
from rushlight.ops.spec import primitive, public
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import MODES

#: the kinds of arguments
RUNNING = AFFINE | {"running_mean": "Tensor?", "running_var": "Tensor?", "momentum": "float"}

# ---- over batch and space ----


def _channels(t: Any, ndim: int) -> Any:
    """A value per channel, shaped to fit (N, C, ...)."""
    return None if t is None else t.reshape(1, -1, *(1,) * (ndim - 2))


def _around(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _batch_gradient(
    g: Any,
    x: Any,
    weight: Any,
    bias_meta: Any,
    mean: Any,
    variance: Any,
    needs: tuple,
    moments: Any,
    eps: float,
) -> tuple:
    """The gradients of input, weight and bias."""
    if _in_passes(g, x, weight):
        if moments is not None:
            return *quiet(_batch_gradient_values, g, x, weight, needs, moments), None, None
        return *quiet(_fixed_gradient_values, g, x, weight, needs, _fixed(mean, variance, eps)), None, None
    g, x, weight = lifted(g), lifted(x), lifted(weight)
    around = _around(x._a.ndim)
    inner = g if weight is None else g * _channels(weight, x._a.ndim)
    if moments is not None:
        to_input = standard_gradient(inner, x, around, eps) if needs[0] else None
        hat = standard(x, around, eps)[0] if needs[1] else None
    else:
        scale = _channels((variance + eps).rsqrt(), x._a.ndim)
        to_input = inner * scale if needs[0] else None
        hat = (x - _channels(mean, x._a.ndim)) * scale if needs[1] else None
    to_weight = None if hat is None else (g * hat).sum(around)
    return to_input, to_weight, g.sum(around) if needs[2] else None, None, None


def _in_passes(g: Any, x: Any, weight: Any) -> bool:
    """Whether a gradient is one of arrays, of one type, that nobody differentiates again."""
    kinds = {t._dtype for t in (g, x, weight) if t is not None}
    return not MODES.grad and len(kinds) == 1 and x._dtype in (float32, float64)


def _batch_gradient_values(g: Any, x: Any, weight: Any, needs: tuple, moments: Moments) -> tuple:
    """The same of arrays. Of the input: scale weight (g - mean(g) - hat mean(g hat))."""
    shape, values, grads = x._a.shape, in_places(x._a), in_places(g._a)
    total, along = gradient_sums(grads, values, moments.mean, (0, 2))
    to_input = None
    if needs[0]:
        count = values.size // values.shape[1]
        factor = moments.scale * _per_channel(weight, 1)
        slope = factor * moments.scale**2 * along / count
        to_input = gradient_spread(
            grads, values, factor, moments.mean, slope, factor * total / count
        ).reshape(shape)
    to_weight = (along * moments.scale).ravel() if needs[1] else None
    return _as_tensors(x._dtype, to_input, to_weight, total.ravel() if needs[2] else None)


def _fixed(mean: Any, variance: Any, eps: float) -> Moments:
    """Of running statistics."""
    scale = quiet(lambda: 1 / np.sqrt(_per_channel(variance) + eps))  # (a variance below 0 has none)
    return Moments(_per_channel(mean), scale)


def _fixed_gradient_values(g: Any, x: Any, weight: Any, needs: tuple, moments: Moments) -> tuple:
    """The same where the statistics are not those of the batch."""
    grads = in_places(g._a)
    to_input = to_weight = to_bias = None
    if needs[0]:
        to_input = scaled(grads, moments.scale * _per_channel(weight, 1)).reshape(x._a.shape)
    if needs[1] or needs[2]:
        total, along = gradient_sums(grads, in_places(x._a), moments.mean, (0, 2))
        to_weight = (along * moments.scale).ravel() if needs[1] else None
        to_bias = total.ravel() if needs[2] else None
    return _as_tensors(x._dtype, to_input, to_weight, to_bias)


def _as_tensors(kind: Any, *arrays: Any) -> tuple:
    return tuple([a if a is None else new_tensor(a.astype(kind.numpy, copy=False), kind) for a in arrays])


def _per_channel(t: Any, otherwise: Any = None) -> Any:
    """A weight or bias in float64, shaped to fit (N, C, L)."""
    return otherwise if t is None else array_of(getattr(t, "_a", t)).astype(np.float64).reshape(1, -1, 1)


@primitive("NativeBatchNorm", like_image=True, vjp=_batch_gradient)
def batch_norm_(x, weight, bias, mean, variance, *, moments, eps):
    if moments is None:
        moments = _fixed(mean, variance, eps)
    factor = moments.scale * _per_channel(weight, 1)
    return spread(in_places(x), moments.mean, factor, _per_channel(bias)).reshape(x.shape)


@public(
    name="nn.functional.batch_norm",
    out=False,
    takes=RUNNING | {"training": "bool"},
)
def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05
):
    """Mean 0 and variance 1 per channel of (N, C, ...). Ioffe and Szegedy, arXiv:1502.03167.

    In training the batch's own statistics are used, and move the running ones, in place.

    Raises:
        ValueError: one value per channel in training, or an `eps` that is negative, or 0 in training.
        RuntimeError: statistics of another size, or none where they are needed.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.batch_norm(torch.tensor([[1.], [3.]]), None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])
    """
    shape = tuple(input.size())
    if training and numel(shape[:1] + shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size torch.Size({list(shape)})"
        )
    if training and eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    return over_batch(input, running_mean, running_var, weight, bias, training, momentum, eps)


def over_batch(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """:func:`batch_norm` as PyTorch's kernels do it: of any number of values, with any `eps`.

    Raises:
        ValueError: one of the running statistics without the other.
        RuntimeError: statistics of another size, or none where they are needed.
    """
    shape = tuple(input.size())
    if training and (running_mean is None) is not (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not input._a.size:
        return _of_nothing(input, weight, bias)
    if len(shape) < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got 1)"
        )
    statistics = {"running_mean": running_mean, "running_var": running_var}
    for argument, t in (statistics | {"weight": weight, "bias": bias}).items():
        if t is not None and t._a.size != shape[1]:
            raise RuntimeError(f"{argument} should contain {shape[1]} elements not {t._a.size}")
        if t is None and not training and argument in statistics:
            raise RuntimeError(f"{argument} must be defined in evaluation mode")
    refuse("batch_norm", input)
    if training and running_mean is not None:
        track(running_mean, running_var, input._a, momentum)
    if training:
        found = quiet(moments, in_places(input._a), (0, 2), eps)
        return batch_norm_(input, weight, bias, None, None, moments=found, eps=eps)
    return batch_norm_(input, weight, bias, running_mean, running_var, moments=None, eps=eps)


def _of_nothing(x: Any, weight: Any, bias: Any) -> Any:
    made = x.clone()
    made = made if weight is None else made * weight[0]
    return made if bias is None else made + bias[0]


@public(
    name="nn.functional.instance_norm",
    out=False,
    takes=RUNNING | {"use_input_stats": "bool"},
)
def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-05,
):
    """Mean 0 and variance 1 per channel of each example of (N, C, ...). Ulyanov et al., arXiv:1607.08022.

    Raises:
        ValueError: one element a channel.
        RuntimeError: statistics are to be used and there are none.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """
    shape = tuple(input.size())
    if use_input_stats and numel(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size torch.Size({list(shape)})"
        )
    if (running_mean is None) is not (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not use_input_stats and running_mean is None:
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c = shape[:2]
    repeated = [None if t is None else t.repeat(n) for t in (weight, bias, running_mean, running_var)]
    flat = input.contiguous().view(1, n * c, *shape[2:])
    made = over_batch(
        flat, repeated[2], repeated[3], repeated[0], repeated[1], use_input_stats, momentum, eps
    )
    for running, now in ((running_mean, repeated[2]), (running_var, repeated[3])):
        if running is not None and use_input_stats:
            running.detach().copy_(now.view(n, c).mean(0))
    return made.view(shape)


def _group_dims(x: Any) -> tuple[int, ...]:
    return tuple(range(2, x._a.ndim))


def _grouped(t: Any, groups: int) -> Any:
    n, c, *rest = t._a.shape
    return t.reshape(n, groups, c // groups, *rest)


def _group_gradient(
    g: Any, x: Any, weight: Any, bias_meta: Any, needs: tuple, groups: int, moments: Any, eps: float
) -> tuple:
    """The gradients of input, weight and bias."""
    if x._a.size and _in_passes(g, x, weight):
        return quiet(_group_gradient_values, g, x, weight, needs, groups, moments)
    g, x, weight = lifted(g), lifted(x), lifted(weight)
    parts, around = _grouped(x, groups), _around(x._a.ndim)
    to_input = to_weight = None
    if needs[0]:
        inner = _grouped(g if weight is None else g * _channels(weight, x._a.ndim), groups)
        to_input = standard_gradient(inner, parts, _group_dims(parts), eps).reshape(g._a.shape)
    if needs[1]:
        hat = standard(parts, _group_dims(parts), eps)[0].reshape(g._a.shape)
        to_weight = (g * hat).sum(around)
    return to_input, to_weight, g.sum(around) if needs[2] else None


def _group_gradient_values(g: Any, x: Any, weight: Any, needs: tuple, groups: int, moments: Moments) -> tuple:
    """The same of arrays: what channels sum up to serves their weights, and their groups."""
    shape, values, grads = x._a.shape, in_places(x._a), in_places(g._a)
    mean, scale = (_of_channels(a, values.shape[1]) for a in moments)
    total, along = gradient_sums(grads, values, mean, (2,))
    to_input = None
    if needs[0]:
        factor = np.broadcast_to(_per_channel(weight, 1), scale.shape)
        count = values[0].size // groups
        slope, start = (
            scale * _of_channels(in_groups(factor * a, groups).sum((2, 3)), values.shape[1]) / count
            for a in (along * scale**2, total)
        )
        to_input = gradient_spread(grads, values, factor * scale, mean, slope, start).reshape(shape)
    to_weight = (along * scale).sum((0, 2)) if needs[1] else None
    return _as_tensors(x._dtype, to_input, to_weight, total.sum((0, 2)) if needs[2] else None)


def _of_channels(a: np.ndarray, channels: int) -> np.ndarray:
    """What each group of channels has one of, for each channel."""
    n, groups = a.shape[:2]
    return np.repeat(a.reshape(n, groups, 1), channels // groups, 1)


@primitive("NativeGroupNorm", like_image=True, vjp=_group_gradient)
def group_norm_(x, weight, bias, *, groups, moments, eps):
    if not x.size:
        return np.zeros(x.shape, x.dtype)
    mean, scale = (_of_channels(a, x.shape[1]) for a in moments)
    made = spread(in_places(x), mean, scale * _per_channel(weight, 1), _per_channel(bias))
    return made.reshape(x.shape)


@public(
    name="nn.functional.group_norm",
    out=False,
    takes=AFFINE | {"num_groups": "int"},
)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """Mean 0 and variance 1 over groups of channels of each example. Wu and He, arXiv:1803.08494.

    Raises:
        RuntimeError: fewer than two dimensions, groups that do not divide the channels, or not one weight
            a channel.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0]]), 1)
        tensor([[-1.0000,  1.0000]])
    """
    input.dim()
    shape = input._a.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for argument, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._a.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {argument} to be a vector of size equal to the number of channels in input, but got "
                f"{argument} of shape {list(t._a.shape)} and input of shape {list(shape)}"
            )
    refuse("GroupNormKernelImpl", input)
    found = None
    if input._a.size:
        found = quiet(moments, in_groups(in_places(input._a), num_groups), (2, 3), eps)
    return group_norm_(input, weight, bias, groups=num_groups, moments=found, eps=eps)
