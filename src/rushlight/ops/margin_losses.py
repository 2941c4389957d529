"""Losses of pairs and margins: zero once what should be apart is far enough apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import bool_, can_cast, default_float, float32, float64, int64
from rushlight.layout import broadcast
from rushlight.ops.arithmetic import neg
from rushlight.ops.kinds.binary import check_fits
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.loss_reduction import reduce_tensor, reduced, reduction_of, share
from rushlight.ops.spec import all_tensors, primitive, public


def _margin_result(t: Any, reduction: str, size_average: Any, reduce: Any) -> Any:
    return reduce_tensor(t, reduction_of(reduction, size_average, reduce))


@public(name="nn.functional.hinge_embedding_loss", out=False, takes={"margin": "float"})
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where the target is 1, max(0, margin - x) where it is -1."""
    all_tensors("hinge_embedding_loss", input=input, target=target)
    zeros = input.new_zeros(())
    # (the margin in the input's type: that of integers loses its fraction)
    apart = (input.new_full((), margin) - input).clamp_min(0).where(target != 1, zeros)
    near = input.where(target != -1, zeros)
    return _margin_result(apart + near, reduction, size_average, reduce)


@public(name="nn.functional.margin_ranking_loss", out=False, takes={"margin": "float"})
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -y (x1 - x2) + margin).

    Raises:
        RuntimeError: the tensors differ in their number of dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.margin_ranking_loss(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0]))
        tensor(2.)
    """
    ranks = [t.dim() for t in (input1, input2, target)]
    if len(set(ranks)) > 1:
        sizes = [f"{list(t._a.shape)}" for t in (input1, input2, target)]
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"torch.Size({sizes[0]}), input2: torch.Size({sizes[1]}), target: torch.Size({sizes[2]}) "
        )
    made = (-target * (input1 - input2) + margin).clamp_min(0)
    return _margin_result(made, reduction, size_average, reduce)


@public(name="nn.functional.cosine_embedding_loss", out=False, takes={"margin": "float"})
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    Raises:
        RuntimeError: shapes that do not go together, or a target of more than one dimension.

    Example:
        >>> import rushlight as torch
        >>> x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> torch.nn.functional.cosine_embedding_loss(x, y, torch.tensor([1]))
        tensor(1.)
    """
    all_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    ranks = (input1._a.ndim, input2._a.ndim)
    if not (target._a.ndim == 1 and ranks == (2, 2) or target._a.ndim == 0 and ranks == (1, 1)):
        if target._a.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        wanted = (
            "1D target tensor expects 2D input tensors"
            if target._a.ndim
            else "0D target tensor expects 1D input tensors"
        )
        raise RuntimeError(
            f"{wanted}, but found inputs with sizes {list(input1._a.shape)} and {list(input2._a.shape)}."
        )
    eps = 1e-12
    squares = ((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    zeros = cosine.new_zeros(())
    made = (1 - cosine).where(target == 1, zeros) + (cosine - margin).clamp_min(0).where(target == -1, zeros)
    return _margin_result(made, reduction, size_average, reduce)


def check_ranks(anchor: int, positive: int, negative: int) -> None:
    if not anchor == positive == negative:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor}D, positive {positive}D, and negative {negative}D inputs"
        )


@public(name="nn.functional.triplet_margin_loss", out=False)
def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-06,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, |anchor - positive| - |anchor - negative| + margin). Balntas et al., BMVC 2016.

    Raises:
        ValueError: `margin` is not above 0.

    Example:
        >>> import rushlight as torch
        >>> anchor, far = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
        >>> torch.nn.functional.triplet_margin_loss(anchor, far, anchor)
        tensor(6.0000)
    """
    all_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    check_ranks(*[t._a.ndim for t in (anchor, positive, negative)])
    from rushlight.ops.distances import pairwise_distance

    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return _margin_result((margin + near - far).clamp_min(0), reduction, size_average, reduce)


@primitive(
    "SoftMarginLoss",
    vjp=(lambda g, x, y, reduction: share(g, x._a.shape, reduction) * (-y) * (-y * x).sigmoid(), None),
)
def _soft_margin(x, y, *, reduction):
    if x.dtype.kind == "c":
        return reduced(np.log(1 + np.exp(-y * x)), reduction, x.dtype, x, y)
    z = -y.astype(np.float64) * x
    return reduced(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0), reduction, x.dtype, x, y)


def _check_soft_margin(input: Tensor, target: Tensor) -> None:
    """What PyTorch's steps refuse, each of which writes to memory like the input's."""
    kind = input._dtype
    neg.elementwise.types(kind)
    for step in (target._dtype, default_float(kind)):
        if not can_cast(step, kind):
            raise errors.cannot_cast(step, kind)
    check_fits(input._a.shape, broadcast(input._a.shape, target._a.shape))
    if target.requires_grad:
        raise RuntimeError(
            "The function 'soft_margin_loss' is not differentiable with respect to argument 'target'. This input "
            "cannot have requires_grad True."
        )


@public(name="nn.functional.soft_margin_loss", out=False)
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-y x)) for targets 1 and -1, which are taken in the input's type and shape."""
    all_tensors("soft_margin_loss", input=input, target=target)
    chosen = reduction_of(reduction, size_average, reduce)
    _check_soft_margin(input, target)
    y = target.to(input._dtype).expand(input._a.shape)
    return real_gradient("soft_margin_loss", _soft_margin(input, y, reduction=chosen))


@public(name="nn.functional.multilabel_soft_margin_loss", out=False)
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Binary cross entropy of each class with logits, the mean over classes."""
    from rushlight.ops.smooth_activations import logsigmoid

    made = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    made = made if weight is None else made * weight
    dim = input._a.ndim - 1
    return _margin_result(made.sum(dim) / input._a.shape[dim], reduction, size_average, reduce)


def check_samples(x: Any) -> None:
    """RuntimeError unless these are the classes of one example, or of any number of examples."""
    shape = x._a.shape
    if len(shape) > 2 or shape and shape[-1] == 0:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}"
        )


def check_classes(kernel: str, x: Any, target: Any) -> None:
    if x._dtype not in (float32, float64):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{x._dtype.legacy}'")
    if target._dtype is not int64:
        raise RuntimeError(f"expected scalar type Long but found {target._dtype.legacy}")


@public(name="nn.functional.multi_margin_loss", out=False)
def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """The mean over classes of max(0, margin - x[y] + x[i])^p, without the right one.

    Raises:
        ValueError: `p` is neither 1 nor 2, or the weights are no vector.
        RuntimeError: sizes or types that do not fit, or a target that is no class.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.multi_margin_loss(torch.tensor([[0.0, 2.0]]), torch.tensor([0]))
        tensor(1.5000)
    """
    chosen = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    all_tensors("multi_margin_loss", input=input, target=target)
    check_samples(input)
    flat = input._a.ndim < 2
    x = input.reshape(1, -1) if flat else input
    y = target.reshape(-1)
    if target._a.ndim > 1 or y._a.size != x._a.shape[0]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{x._a.shape[0]}], but got {list(target._a.shape)}. "
            f"Input has shape {list(input._a.shape)}."
        )
    if weight is not None and weight._a.size != x._a.shape[1]:
        raise RuntimeError(
            f"inconsistent weight size, expected {x._a.shape[1]} but got {list(weight._a.shape)}"
        )
    check_classes("multi_margin_loss_cpu_kernel", x, y)
    if weight is not None and weight._dtype is not x._dtype:
        raise RuntimeError(f"expected scalar type {x._dtype.legacy} but found {weight._dtype.legacy}")
    if y._a.size and ((y._a < 0) | (y._a >= x._a.shape[1])).any():
        raise RuntimeError("target out of range")
    right = x.gather(1, y.unsqueeze(1))
    made = (margin - right + x).clamp_min(0)
    made = made if p == 1 else made * made
    if weight is not None:
        made = made * weight.gather(0, y).unsqueeze(1)
    mask = np.zeros(x._a.shape, bool)
    mask[np.arange(y._a.size), y._a] = True
    made = made.masked_fill(new_tensor(mask, bool_), 0).sum(1) / x._a.shape[1]
    made = reduce_tensor(made, chosen)
    return made.reshape(()) if flat and chosen == "none" and not target._a.ndim else made
