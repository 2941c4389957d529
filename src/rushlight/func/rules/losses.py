"""Losses of a batch of problems: element by element for all of them, then reduced for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.func.dispatch import At, rule
from rushlight.func.rules.dims import bound
from rushlight.func.rules.elementwise import elementwise
from rushlight.ops.loss_reduction import reduction_of


def _reduction(given: dict[str, Any]) -> str:
    if given["reduction"] == "batchmean":
        return "batchmean"
    return reduction_of(given["reduction"], given.pop("size_average", None), given.pop("reduce", None))


@rule(*[f"nn.functional.{name}" for name in (
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
    "soft_margin_loss hinge_embedding_loss poisson_nll_loss"
).split()])  # fmt: skip
def of_elements(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """A loss with a term for each element."""
    given = bound(at.name, args, kwargs)
    reduction = _reduction(given)
    first, target = given.pop("input"), given.pop("target")
    if first.shape != target.shape or first.dtype is not target.dtype:
        return NotImplemented
    given["reduction"] = "none"
    terms = elementwise(at, function, (at.out(at.full(first)), at.out(at.full(target))), given)
    if reduction == "batchmean":
        return terms.sum() / first.shape[0]
    return terms if reduction == "none" else terms.mean() if reduction == "mean" else terms.sum()


@rule("nn.functional.nll_loss", "nn.functional.cross_entropy")
def of_classes(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """A loss with a term for each class number; all examples of all entries become one long batch."""
    given = bound(at.name, args, kwargs)
    reduction = _reduction(given)
    x, target = given.pop("input"), given.pop("target")
    if given["weight"] is not None or target.dtype.is_floating_point or x.ndim < 1 or not at.size:
        return NotImplemented
    if x.ndim != target.ndim + 1 or x.shape[:1] * (x.ndim > 1) + x.shape[2:] != target.shape:
        return NotImplemented
    given["reduction"] = "none"
    inputs, targets = at.full(x), at.full(target)
    if x.ndim > 1:
        inputs, targets = inputs.flatten(0, 1), targets.flatten(0, 1)
    terms = function(inputs, targets, **given)
    terms = at.out(terms.reshape(at.size, *target.shape))
    if reduction == "none":
        return terms
    if reduction == "sum":
        return terms.sum()
    return terms.sum() / (target != given["ignore_index"]).sum()
