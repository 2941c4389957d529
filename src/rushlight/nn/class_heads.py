"""`nn.functional.linear_cross_entropy`: a linear layer and its cross entropy, without all logits in memory at once."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

from rushlight import dtypes
from rushlight.batched import Batched
from rushlight.buffer import Tensor
from rushlight.dtypes import dtype
from rushlight.ops.class_losses import cross_entropy
from rushlight.ops.joining import cat
from rushlight.ops.layers import linear

__all__ = ["LinearCrossEntropyOptions", "linear_cross_entropy"]


@dataclass(slots=True, frozen=True)
class LinearCrossEntropyOptions:
    """How :func:`linear_cross_entropy` takes the batch in pieces, whose logits are computed again in backward.

    Attributes:
        batch_chunk_size: rows of a piece; by default as many as `chunking_method` says: "aspect_ratio" gives as many as make
            the piece's logits about as large as the input, "aspect_ratio:N" an N-th of that, "auto" a half, None all.
        allow_retain_graph, acc_policy, acc_dtype: checked, and of no effect: backward may be repeated, and products and sums
            have the accuracy they have everywhere.

    Raises:
        ValueError: values that are none of these.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.LinearCrossEntropyOptions(batch_chunk_size=64).batch_chunk_size
        64
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: dtype | None = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method not in (None, "auto") and _factor(str(self.chunking_method)) is None:
            raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        floats = (dtypes.float16, dtypes.BFLOAT16, dtypes.float32, dtypes.float64)
        if self.acc_dtype is not None and self.acc_dtype not in floats:
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, torch.float64}, got "
                f"{self.acc_dtype!r}. Pass acc_dtype=None to let the op pick automatically."
            )


def _rows(options: LinearCrossEntropyOptions, batch: int, features: int, classes: int) -> int:
    """How many rows a piece has.

    Raises:
        ValueError: the size and the method disagree.
    """
    size, method = options.batch_chunk_size, options.chunking_method
    if method == "auto":
        method = "aspect_ratio:2" if size is None else None
    if method is None:
        return max(min(batch if size is None else size, batch), 1)
    share = math.ceil(batch / math.ceil(classes / features))
    wanted = min((1 << (share - 1).bit_length()) // (_factor(method) or 1), batch)
    if size not in (None, wanted):
        raise ValueError(
            f"batch_chunk_size (={size}) and chunking_method ('{method}') give different chunk sizes ({size} vs "
            f"{wanted}); pass only one."
        )
    return max(wanted, 1)


def _factor(method: str) -> int | None:
    """N of "aspect_ratio:N"; None for anything else."""
    name, colon, factor = method.partition(":")
    factor = factor if colon else "1"
    return int(factor) if name == "aspect_ratio" and factor.isdigit() and int(factor) else None


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """`cross_entropy(linear(input, linear_weight, linear_bias), target)`.

    Args:
        input: (N, features) or (features); linear_weight: (classes, ..., features).
        options: how to take the batch in pieces; all at once, if None.

    Raises:
        RuntimeError: shapes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> x, w, t = torch.ones(2, 3), torch.zeros(4, 3), torch.tensor([0, 3])
        >>> torch.nn.functional.linear_cross_entropy(x, w, t)
        tensor(1.3863)
    """
    classes, inner = linear_weight.shape[0], tuple(linear_weight.shape[1:-1])
    _check(input, linear_weight, linear_bias)
    shape = (*input.shape[:-1], classes, *inner)
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    settings = {"weight": weight, "ignore_index": ignored}
    batched = any(isinstance(t, Batched) for t in (input, linear_weight, target, linear_bias))
    # (under vmap it is taken whole: pieces are checkpoints, which know nothing of batches)
    if options is not None and not batched and _in_pieces(inner, reduction, label_smoothing, target):
        return _piecewise(input, linear_weight, target, linear_bias, settings, reduction, options)
    flat = linear_weight.reshape(-1, linear_weight.shape[-1])
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, flat, bias).reshape(shape)
    return cross_entropy(logits, target, reduction=reduction, label_smoothing=label_smoothing, **settings)


def _check(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    inner = tuple(weight.shape[1:-1])
    told = None
    if input.dim() not in (1, 2):
        told = f"expected input with dimensionality 1 or 2, got {input.dim()}"
    elif weight.dim() < 2:
        told = f"expected linear_weight with dimensionality at least 2, got {weight.dim()}"
    elif input.shape[-1] != weight.shape[-1]:
        told = (
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{input.shape[-1]} and {weight.shape[-1]}, respectively"
        )
    elif bias is not None and tuple(bias.shape) != (weight.shape[0], *inner):
        told = f"expected linear_bias shape {(weight.shape[0], *inner)}, got {tuple(bias.shape)}"
    elif inner and input.dim() == 1:
        told = (
            f"K-dimensional loss defined by linear_weight shape {tuple(weight.shape)} requires batched input, "
            f"(N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )
    if told is not None:
        raise RuntimeError(told)


def _in_pieces(inner: tuple, reduction: str, smoothing: float, target: Tensor) -> bool:
    """Whether the loss can be taken in pieces; warns if not."""
    if not inner and reduction in ("mean", "sum", "none") and not smoothing and target.dtype == dtypes.int64:
        return True
    warnings.warn(
        "linear_cross_entropy: ``options`` ignored; chunked path needs reduction in {'mean','sum','none'}, label_smoothing == 0,"
        f" target.dtype == int64, out_features == (). Got reduction={reduction!r}, label_smoothing={smoothing}, "
        f"target.dtype={target.dtype}, out_features={inner}.",
        stacklevel=3,
    )
    return False


def _piecewise(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    settings: dict[str, Any],
    reduction: str,
    options: LinearCrossEntropyOptions,
) -> Tensor:
    """Each piece is a checkpoint: of its logits nothing is kept."""
    from rushlight.utils.checkpoint import checkpoint  # few programs need it

    single = input.dim() == 1
    rows, targets = (input.unsqueeze(0), target.unsqueeze(0)) if single else (input, target)
    size = _rows(options, rows.shape[0], rows.shape[1], linear_weight.shape[0])

    def loss(x: Tensor, t: Tensor) -> Tensor:
        how = "none" if reduction == "none" else "sum"
        return cross_entropy(linear(x, linear_weight, bias), t, reduction=how, **settings)

    losses = [
        checkpoint(loss, x, t, use_reentrant=False) for x, t in zip(rows.split(size), targets.split(size))
    ]
    if reduction == "none":
        whole = cat(losses) if len(losses) > 1 else losses[0]
        return whole.squeeze(0) if single else whole
    total = losses[0]
    for part in losses[1:]:
        total = total + part
    return total if reduction == "sum" else total / _counted(targets, settings).to(total.dtype)


def _counted(targets: Tensor, settings: dict[str, Any]) -> Tensor:
    """The number, or weight, of the targets that are not ignored."""
    counts = targets != settings["ignore_index"]
    weight = settings["weight"]
    if weight is None:
        return counts.sum()
    return (weight[targets.masked_fill(~counts, 0)] * counts).sum()
