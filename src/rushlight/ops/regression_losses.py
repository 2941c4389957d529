"""Losses of numbers: how far a prediction is from its target, or how likely a target is by a predicted density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import FLOATING
from rushlight.ops.loss_reduction import one_dtype, reduce_tensor, reduced_by, reduction_of, same_shape, share
from rushlight.ops.spec import all_tensors, primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import direct

# ---- of the difference ----


def _of_difference(node: str, values: Callable, slope: Callable, plain: bool = False) -> Any:
    """A loss that is a function of input - target: its values, and its slope as tensors; or also, if it is `plain`, as arrays."""

    def of_both(x, y, *, width):
        return values(x - y, width)

    def loss(x, y, *, reduction, width):
        kind = x.dtype
        if kind.itemsize == 2:
            x, y = single(x), single(y)
        return reduced_by(of_both, (x, y), reduction, kind, width=width)

    def at_x(g, x, y, reduction, width):
        if reduction == "mean" and direct(g):  # (one number, which need not be shown at all places)
            if plain and type(x._a) is type(y._a) is np.ndarray and x._dtype is y._dtype is g._dtype:
                return new_tensor(quiet(values_at_x, g._a, x._a, y._a, width), g._dtype)
            return slope(x - y, width) * (g / x._a.size)
        return share(g, x._a.shape, reduction) * slope(x - y, width)

    def values_at_x(g, x, y, width):
        return np.asarray(slope(x - y, width) * (g / x.size))

    loss.__name__ = node
    return primitive(node, vjp=(at_x, lambda g, x, y, reduction, width: -at_x(g, x, y, reduction, width)))(
        loss
    )


_mse = _of_difference("MseLoss", lambda d, width: d * d, lambda d, width: 2 * d, plain=True)


def _smooth(d: np.ndarray, width: float) -> np.ndarray:
    size = np.abs(d)
    with np.errstate(all="ignore"):
        return np.where(size < width, 0.5 * size * size / width if width else 0, size - 0.5 * width)


_smooth_l1 = _of_difference(
    "SmoothL1Loss",
    _smooth,
    lambda d, width: (d / width).clamp(-1, 1) if width else d.sign(),
)
_huber = _of_difference(
    "HuberLoss",
    lambda d, width: np.where(np.abs(d) <= width, 0.5 * d * d, width * (np.abs(d) - 0.5 * width)),
    lambda d, width: d.clamp(-width, width),
)


def _floating(kernel: str, t: Tensor) -> None:
    if t._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


@public(name="nn.functional.mse_loss", out=False)
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of the squared differences.

    Raises:
        ValueError: weights of another size.
        RuntimeError: shapes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.mse_loss(torch.tensor([1., 2.]), torch.tensor([1., 4.]))
        tensor(2.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    x, y = one_dtype(*same_shape("mse_loss", input, target))
    if weight is not None:
        if weight._a.shape != input._a.shape:
            raise ValueError("Weights and input must have the same size.")
        weighted = (x - y).square() * weight
        if reduction == "mean":
            return weighted.sum() / weight.sum()
        return reduce_tensor(weighted, reduction)
    _floating("mse_cpu", x)
    return _mse(x, y, reduction=reduction, width=0)


@public(name="nn.functional.l1_loss", out=False)
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of the absolute differences."""
    reduction = reduction_of(reduction, size_average, reduce)
    x, y = same_shape("l1_loss", input, target)
    made = (x - y).abs()
    if weight is not None:
        if reduction == "mean":
            return (made * weight).sum() / weight.sum()
        made = made * weight
    return reduce_tensor(made, reduction)


@public(name="nn.functional.smooth_l1_loss", out=False)
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Squares of differences below `beta`, absolute differences beyond. Girshick, arXiv:1504.08083.

    Raises:
        RuntimeError: `beta` is negative.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.smooth_l1_loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0]))
        tensor(1.5000)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    x, y = same_shape("smooth_l1_loss", input, target)
    if beta == 0:
        return reduce_tensor((x - y).abs(), reduction)
    x, y = one_dtype(x, y)
    _floating("smooth_l1_cpu", x)
    return _smooth_l1(x, y, reduction=reduction, width=float(beta))


@public(name="nn.functional.huber_loss", out=False, takes={"delta": "float"})
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Half the squares of differences up to `delta`, and their tangents beyond. Huber, 1964.

    Raises:
        RuntimeError: `delta` is not above 0.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.huber_loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0]))
        tensor(1.5000)
    """
    reduction = reduction_of(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    x, y = one_dtype(*same_shape("huber_loss", input, target))
    _floating("huber_cpu", x)
    if weight is not None:
        made = _huber(x, y, reduction="none", width=float(delta)) * weight
        return made.sum() / weight.sum() if reduction == "mean" else reduce_tensor(made, reduction)
    return _huber(x, y, reduction=reduction, width=float(delta))


# ---- of a density ----


@public(
    name="nn.functional.poisson_nll_loss",
    out=False,
    takes={"log_input": "bool", "full": "bool", "eps": "float"},
)
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction="mean"
):
    """exp(x) - y x for a rate given by its logarithm; `full` adds Stirling's approximation of log y!."""
    chosen = reduction_of(reduction, size_average, reduce)
    all_tensors("poisson_nll_loss", input=input, target=target)
    made = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        made = made + stirling.masked_fill(target <= 1, 0)
    return reduce_tensor(made, chosen)


@public(name="nn.functional.gaussian_nll_loss", out=False)
def gaussian_nll_loss(input, target, var, full=False, eps=1e-06, reduction="mean"):
    """(log var + (x - y)^2 / var) / 2, with variances of at least `eps`.

    Raises:
        ValueError: a variance is negative or of a size that does not fit, or there is no such
            `reduction`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.gaussian_nll_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
        tensor(2.)
    """
    if not isinstance(var, Tensor):
        var = input.new_full(input._a.shape, var)
    if var._a.size and (var._a < 0).any():
        raise ValueError("var has negative entry/entries")
    if var._a.shape != input._a.shape:
        if input._a.shape[:-1] == var._a.shape:
            var = var.unsqueeze(-1)
        elif input._a.shape[:-1] != var._a.shape[:-1] or var._a.shape[-1] != 1:
            if input._a.ndim != var._a.ndim or any(
                n not in (1, m) for m, n in zip(input._a.shape, var._a.shape)
            ):
                raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    detached = var.detach()
    np.maximum(detached._a, detached._a.dtype.type(eps), out=detached._a)
    made = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        made = made + 0.5 * math.log(2 * math.pi)
    return reduce_tensor(made, reduction)
