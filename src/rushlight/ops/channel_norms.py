"""Normalisation to mean 0 and variance 1 of each channel, or group of channels.

Means and variances are taken in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY
from rushlight.graph.expr import array_of
from rushlight.layout import numel
from rushlight.numerics.fused import multiply_add
from rushlight.ops.normalisation import (
    AFFINE,
    affine,
    double,
    lifted,
    refuse,
    standard,
    standard_gradient,
    standardized,
)
from rushlight.ops.spec import primitive, public
from rushlight.runtime.deferral import FROM_COSTLY, launch
from rushlight.runtime.execute import quiet
from rushlight.tape.writes import check_write, wrote

#: the kinds of arguments
RUNNING = AFFINE | {"running_mean": "Tensor?", "running_var": "Tensor?", "momentum": "float"}

# ---- over batch and space ----


def _channels(t: Any, ndim: int) -> Any:
    """A value per channel, shaped to fit (N, C, ...)."""
    return None if t is None else t.reshape(1, -1, *(1,) * (ndim - 2))


def _around(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _batch_hat(x: Any, mean: Any, variance: Any, training: bool, eps: float) -> Any:
    if training:
        return standard(x, _around(x._a.ndim), eps)[0]
    return (x - _channels(mean, x._a.ndim)) * _channels((variance + eps).rsqrt(), x._a.ndim)


def _batch_gradient(g: Any, x: Any, weight: Any, mean: Any, variance: Any, training: bool, eps: float) -> Any:
    g, x, weight = lifted(g), lifted(x), lifted(weight)
    ndim = x._a.ndim
    g = g if weight is None else g * _channels(weight, ndim)
    if training:
        return standard_gradient(g, x, _around(ndim), eps)
    return g * _channels((variance + eps).rsqrt(), ndim)


def _channels_in_one(x: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Elements less their channel's mean, and so on, read once and written once; None where that is no loop of ours."""
    given = [array_of(a) for a in (x, mean, variance, weight, bias) if a is not None]
    kinds = tuple([BY_NUMPY[a.dtype] for a in given])
    attrs = {"eps": eps, "weighted": weight is not None}
    # (nobody else knows the tensors made here, so that their result must not wait)
    operands = tuple(map(new_tensor, given, kinds))
    made = launch("batch_norm", _channel_values, operands, kinds, kinds[0], attrs, least=FROM_COSTLY)
    return array_of(made)


def _channel_values(x: Any, mean: Any, variance: Any, *given: Any, eps: float, weighted: bool) -> Any:
    hat = x.astype(np.float64) - mean.astype(np.float64)
    hat = hat * (1 / np.sqrt(variance.astype(np.float64) + eps))
    if weighted:
        hat = hat * given[0]
    return hat + given[-1] if len(given) > weighted else hat


@primitive(
    "NativeBatchNorm",
    like_image=True,
    vjp=(
        _batch_gradient,
        lambda g, x, mean, variance, training, eps: (
            lifted(g) * _batch_hat(lifted(x), mean, variance, training, eps)
        ).sum(_around(g._a.ndim)),
        lambda g: g.sum(_around(g._a.ndim)),
        None,
        None,
    ),
)
def batch_norm_(x, weight, bias, mean, variance, *, training, eps):
    per_channel = (1, -1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else a.reshape(per_channel) for a in (weight, bias))
    if (
        not training and x.size >= FROM_COSTLY and x.dtype.char in "fd"
    ):  # (kernels round float64 to halves twice)
        moments = mean.reshape(per_channel), variance.reshape(per_channel)
        made = _channels_in_one(x, *moments, weight, bias, eps)
        if made is not None:
            return made
    if training:
        hat = standardized(x, _around(x.ndim), eps)
    else:
        hat = double(x) - double(mean).reshape(per_channel)
        hat = hat * (1 / np.sqrt(double(variance).reshape(per_channel) + eps))
    return affine(hat, weight, bias, x.dtype)


def _track(running_mean: Any, running_var: Any, x: np.ndarray, momentum: float) -> None:
    """Move the running mean and (sample) variance towards those of a batch, in place; see `_batch_moments`.

    PyTorch's numbers to the bit: in single precision the variance is moved by a fused multiply and add, the mean is not.
    """
    mean, variance = quiet(_batch_moments, x)
    for running, now, fused in ((running_mean, mean, False), (running_var, variance, True)):
        if running is not None:
            check_write(running, "batch_norm")
            running._a[...] = quiet(_moved, running._a, now, now.dtype.type(momentum), fused)
            wrote(running)


def _moved(a: np.ndarray, now: np.ndarray, momentum: Any, fused: bool) -> np.ndarray:
    """`(1 - momentum) a + momentum now`, where the product is rounded unless it is fused with the sum."""
    kept = now.dtype.type(1 - momentum) * a.astype(now.dtype)
    moved = double(now) * momentum + kept if fused else now * momentum + kept
    return moved.astype(a.dtype)


def _batch_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the sample variance of each channel.

    PyTorch's numbers to the bit: the mean is rounded, differences and their squares too (but see
    `_squares_in_order`), and sums run through a channel in double precision from first to last.
    """
    kind = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
    flat = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(kind)
    count = flat.shape[1]
    mean = (_in_order(double(flat)) / count).astype(kind)
    squares = _squares_in_order(flat - mean[:, None], x[0, 0].size).astype(kind)
    return mean, squares / kind.type(max(count - 1, 1))


def _in_order(a: np.ndarray) -> np.ndarray:
    """The sum of each row, added from first to last."""
    return np.add.accumulate(a, 1)[:, -1]


def _squares_in_order(d: np.ndarray, plane: int) -> np.ndarray:
    """The sum of each row's squares, added from first to last, for rows that consist of planes.

    PyTorch's compiled loop over a plane takes elements in pairs. A last one without a partner is squared and added without
    rounding in between, where both are done in double precision.
    """
    if d.dtype != np.float64 or plane % 2 == 0:
        return _in_order(double(np.square(d)))
    total = np.zeros((len(d), 1))
    for start in range(0, d.shape[1], plane):
        pairs = np.square(d[:, start : start + plane - 1])
        total = np.add.accumulate(np.concatenate([total, pairs], 1), 1)[:, -1:]
        last = d[:, start + plane - 1 : start + plane]
        total = multiply_add(total, last, last)
    return total[:, 0]


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
        _track(running_mean, running_var, input._a, momentum)
    mean, variance = (None, None) if training else (running_mean, running_var)
    return batch_norm_(input, weight, bias, mean, variance, training=training, eps=eps)


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


def _group_gradient(g: Any, x: Any, weight: Any, groups: int, eps: float) -> Any:
    g, x, weight = lifted(g), lifted(x), lifted(weight)
    g = g if weight is None else g * _channels(weight, x._a.ndim)
    g, x = _grouped(g, groups), _grouped(x, groups)
    made = standard_gradient(g, x, _group_dims(x), eps)
    n, count, width, *rest = made._a.shape
    return made.reshape(n, count * width, *rest)


def _group_weight_gradient(g: Any, x: Any, groups: int, eps: float) -> Any:
    g, x = lifted(g), _grouped(lifted(x), groups)
    hat = standard(x, _group_dims(x), eps)[0].reshape(g._a.shape)
    return (g * hat).sum(_around(g._a.ndim))


@primitive(
    "NativeGroupNorm",
    like_image=True,
    vjp=(_group_gradient, _group_weight_gradient, lambda g: g.sum(_around(g._a.ndim))),
)
def group_norm_(x, weight, bias, *, groups, eps):
    n, c, *rest = x.shape
    parts = x.reshape(n, groups, c // groups, *rest)
    hat = standardized(parts, tuple(range(2, parts.ndim)), eps).reshape(x.shape)
    per_channel = (1, -1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else a.reshape(per_channel) for a in (weight, bias))
    return affine(hat, weight, bias, x.dtype)


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
    return group_norm_(input, weight, bias, groups=num_groups, eps=eps)
