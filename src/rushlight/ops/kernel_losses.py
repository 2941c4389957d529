"""Losses as `torch.<name>` has them: reductions are numbers (0 none, which is the default there, 1 mean, 2 sum)."""

from __future__ import annotations

from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops import class_losses, margin_losses, regression_losses

_REDUCTIONS = ("none", "mean", "sum")


def _reduced(values: Tensor, reduction: int) -> Tensor:
    """The values of single elements, reduced."""
    return (values, values.mean(), values.sum())[reduction] if reduction else values


@for_batches
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Any = None, pos_weight: Any = None, reduction: int = 0
) -> Tensor:
    """:func:`nn.functional.binary_cross_entropy_with_logits`.

    Example:
        >>> import rushlight as torch
        >>> torch.binary_cross_entropy_with_logits(torch.zeros(2), torch.ones(2), reduction=1)
        tensor(0.6931)
    """
    return class_losses.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_REDUCTIONS[reduction], pos_weight=pos_weight
    )


@for_batches
def kl_div(input: Tensor, target: Tensor, reduction: int = 0, *, log_target: bool = False) -> Tensor:
    """:func:`nn.functional.kl_div`; the mean is over all elements.

    Example:
        >>> import rushlight as torch
        >>> torch.kl_div(torch.zeros(2), torch.ones(2), 2)
        tensor(0.)
    """
    return _reduced(class_losses.kl_div(input, target, reduction="none", log_target=log_target), reduction)


@for_batches
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """:func:`nn.functional.poisson_nll_loss`; nothing has a default."""
    return regression_losses.poisson_nll_loss(
        input, target, log_input, full, eps=eps, reduction=_REDUCTIONS[reduction]
    )


@for_batches
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """:func:`nn.functional.cosine_embedding_loss`."""
    return margin_losses.cosine_embedding_loss(
        input1, input2, target, margin, reduction=_REDUCTIONS[reduction]
    )


@for_batches
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0) -> Tensor:
    """:func:`nn.functional.hinge_embedding_loss`."""
    return margin_losses.hinge_embedding_loss(input, target, margin, reduction=_REDUCTIONS[reduction])


@for_batches
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """:func:`nn.functional.margin_ranking_loss`."""
    return margin_losses.margin_ranking_loss(input1, input2, target, margin, reduction=_REDUCTIONS[reduction])


@for_batches
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 0,
) -> Tensor:
    """:func:`nn.functional.triplet_margin_loss`."""
    return margin_losses.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_REDUCTIONS[reduction]
    )
