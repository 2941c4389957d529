"""Functions of `torch.nn.functional` that are short programs of public operations."""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops.bags import summed_bags
from rushlight.ops.layers import embedding
from rushlight.ops.loss_reduction import reduction_of
from rushlight.ops.margin_losses import check_classes, check_ranks, check_samples
from rushlight.ops.pooling import avg_pool3d
from rushlight.ops.spec import all_tensors, as_tensor

__all__ = [
    "channel_shuffle",
    "embedding_bag",
    "lp_pool3d",
    "multilabel_margin_loss",
    "triplet_margin_with_distance_loss",
]


@for_batches
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of (N, C, *), dealt out over `groups`. arXiv:1707.01083.

    Raises:
        RuntimeError: `groups` does not divide the channels.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.channel_shuffle(torch.arange(4).view(1, 4, 1), 2).flatten()
        tensor([0, 2, 1, 3])
    """
    as_tensor(input, "channel_shuffle", "input", 1)
    if input.dim() <= 2:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}"
        )
    batch, channels, *rest = input.shape
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    dealt = input.reshape(batch, groups, channels // groups, *rest)
    return dealt.transpose(1, 2).reshape(input.shape)


@for_batches
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of `weight` in each bag: rows of a matrix, or runs that start at `offsets`.

    Raises:
        ValueError: indices and offsets that do not go together, or an unknown mode.
        NotImplementedError: weights for another mode than "sum".

    Example:
        >>> import rushlight as torch
        >>> rows = torch.tensor([[1.0], [10.0], [100.0]])
        >>> torch.nn.functional.embedding_bag(torch.tensor([[0, 1], [1, 2]]), rows, mode="sum")
        tensor([[ 11.],
                [110.]])
    """
    if weight.dim() == 1 or weight.dtype in (rushlight.int32, rushlight.int64) and input.is_floating_point():
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    input, offsets, per_sample_weights = _flat_bags(input, offsets, per_sample_weights)
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and (scale_grad_by_freq or sparse):
        which = "scaling the gradient by the frequency" if scale_grad_by_freq else "sparse weights"
        raise ValueError(f"max mode does not support {which}")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    starts = offsets[:-1] if include_last_offset else offsets
    bags = starts.numel()
    if padding_idx is not None:
        count = weight.size(0)
        if not -count <= padding_idx < count:
            raise RuntimeError(
                f"padding_idx must be within the number of embeddings, {-count} through {count - 1}, but got {padding_idx}"
            )
        padding_idx %= count
    _check_bags(input, offsets, weight)
    if per_sample_weights is not None and per_sample_weights.dtype != weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 'per_sample_weights'; "
            f"but type {weight.type()} does not equal {per_sample_weights.type()} (while checking arguments for "
            "embedding_bag)"
        )
    plain = per_sample_weights is None and max_norm is None and not sparse
    if plain and mode != "max" and weight.is_floating_point():
        made = summed_bags(input, weight, starts, padding_idx, mode == "mean", scale_grad_by_freq)
        if made is not None:
            return made
    rows = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    bag = (
        rushlight.searchsorted(
            starts.contiguous(), rushlight.arange(input.numel(), dtype=starts.dtype), right=True
        )
        - 1
    )
    if padding_idx is not None:
        kept = (input != padding_idx).nonzero().squeeze(1)
        rows, bag = rows[kept], bag[kept]
        per_sample_weights = None if per_sample_weights is None else per_sample_weights[kept]
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(1)
    if mode == "max":
        index = bag.unsqueeze(1).expand(-1, rows.size(1))
        blank = rows.new_zeros((bags, rows.size(1)))
        return blank.scatter_reduce(0, index, rows, "amax", include_self=False)
    total = rows.new_zeros((bags, rows.size(1))).index_add(0, bag, rows)
    if mode == "sum":
        return total
    return total / rushlight.bincount(bag, minlength=bags).clamp_min(1).unsqueeze(1).to(total.dtype)


def _check_bags(input: Tensor, offsets: Tensor, weight: Tensor) -> None:
    """RuntimeError for what is no position, or no start of a bag."""
    for t in (input, offsets):
        if t.dtype not in (rushlight.int32, rushlight.int64):
            raise RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
                f"but got {t.type()} instead (while checking arguments for embedding_bag)"
            )
    if offsets.numel() and offsets[0]:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
            f"However, got {offsets[0]}"
        )
    _check_starts(offsets.numpy(), input.numel())
    rows, numbers = weight.size(0), input.numpy()
    if numbers.size and (numbers.min() < 0 or numbers.max() >= rows):
        at = ((numbers < 0) | (numbers >= rows)).argmax()
        raise RuntimeError(
            f"Index {at} of input takes value {numbers[at]} which is not in the valid range [0, {rows})"
        )


def _check_starts(starts: Any, count: int) -> None:
    """RuntimeError unless bags of `count` positions begin one after the other."""
    if starts.size and starts[-1] > count:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of {starts[-1]}"
        )
    if (starts[1:] < starts[:-1]).any():
        at = int((starts[1:] < starts[:-1]).argmax())
        raise RuntimeError(
            f"embedding_bag: offsets must not decrease, but offsets[{at}] is {starts[at]} and offsets[{at + 1}] is "
            f"{starts[at + 1]}"
        )


def _flat_bags(input: Tensor, offsets: Any, weights: Any) -> tuple[Tensor, Tensor, Any]:
    """Indices in one row, and where each bag starts."""
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        step = max(input.size(1), 1)
        starts = rushlight.arange(0, input.size(0) * step, step, dtype=input.dtype)
        return input.reshape(-1), starts, None if weights is None else weights.reshape(-1)
    if input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if not isinstance(offsets, Tensor):
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return input, offsets, weights


@for_batches
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of (N, C, D, H, W).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.lp_pool3d(torch.ones(1, 1, 2, 2, 2), 1, 2).item()
        8.0
    """
    window = (kernel_size,) * 3 if isinstance(kernel_size, int) else kernel_size
    means = avg_pool3d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (means.sign() * means.abs().relu()).mul(math.prod(window)).pow(1.0 / norm_type)


@for_batches
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The sum over pairs of a target class j and another i of max(0, 1 - x[j] + x[i]), over the number of classes.

    Each row of `target` lists classes, up to its first -1.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    all_tensors("multilabel_margin_loss", input=input, target=target)
    check_samples(input)
    if input.shape != target.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    check_classes("multilabel_margin_loss_forward_out_frame", input, target)
    if target.numel() and not (target.min() >= -1 and target.max() < (input.size(-1) if input.dim() else 1)):
        raise RuntimeError("argument #2 'target' is out of range")
    single = input.dim() < 2
    x, y = (input.reshape(1, -1), target.reshape(1, -1)) if single else (input, target)
    listed = (y < 0).cumsum(1) == 0
    classes = x.size(1)
    chosen = rushlight.zeros(x.size(0), classes + 1, dtype=rushlight.bool)
    chosen = chosen.scatter(1, y.masked_fill(~listed, classes), True)[:, :classes]
    scores = x.gather(1, y.masked_fill(~listed, 0))
    margins = (1 - scores.unsqueeze(2) + x.unsqueeze(1)).clamp_min(0)
    counted = listed.unsqueeze(2) & ~chosen.unsqueeze(1)
    losses = margins.masked_fill(~counted, 0).sum((1, 2)) / classes
    losses = losses.squeeze(0) if single else losses
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


@for_batches
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for a distance of the caller's.

    Raises:
        ValueError: an unknown reduction, or a margin that is not positive.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    check_ranks(anchor.ndim, positive.ndim, negative.ndim)
    distance = rushlight.pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    losses = (margin + near - far).clamp_min(0)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
