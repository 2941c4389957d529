"""Layers' functions as `torch.<name>` has them: with the arguments of PyTorch's kernels, in their order."""

from __future__ import annotations

from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops import adaptive_pooling, channel_norms, layers


def _probability(p: float) -> float:
    """`p`; RuntimeError, where `nn.functional` raises ValueError, if it is none."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    return p


@for_batches
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`nn.functional.dropout`; nothing has a default.

    Example:
        >>> import rushlight as torch
        >>> torch.dropout(torch.ones(2), 0.0, True)
        tensor([1., 1.])
    """
    return layers.dropout(input, _probability(p), train)


@for_batches
def alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`nn.functional.alpha_dropout`; nothing has a default."""
    return layers.alpha_dropout(input, _probability(p), train)


@for_batches
def feature_alpha_dropout(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`nn.functional.feature_alpha_dropout`; nothing has a default."""
    return layers.feature_alpha_dropout(input, _probability(p), train)


@for_batches
def dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`dropout` in place."""
    return layers.dropout(input, _probability(p), train, True)


@for_batches
def alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`alpha_dropout` in place."""
    return layers.alpha_dropout(input, _probability(p), train, True)


@for_batches
def feature_alpha_dropout_(input: Tensor, p: float, train: bool) -> Tensor:
    """:func:`feature_alpha_dropout` in place."""
    return layers.feature_alpha_dropout(input, _probability(p), train, True)


@for_batches
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """:func:`nn.functional.embedding` with the weight first; -1 stands for no padding.

    Example:
        >>> import rushlight as torch
        >>> torch.embedding(torch.tensor([[1.], [2.]]), torch.tensor([1, 0]))
        tensor([[2.],
                [1.]])
    """
    padding = None if padding_idx < 0 else padding_idx
    return layers.embedding(indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


@for_batches
def batch_norm(
    input: Tensor,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """:func:`nn.functional.batch_norm`; `cudnn_enabled` says nothing on a CPU."""
    return channel_norms.over_batch(input, running_mean, running_var, weight, bias, training, momentum, eps)


@for_batches
def instance_norm(
    input: Tensor,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """:func:`nn.functional.instance_norm`; `cudnn_enabled` says nothing on a CPU."""
    return channel_norms.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


@for_batches
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> Any:
    """:func:`nn.functional.adaptive_max_pool1d` with the indices.

    Example:
        >>> import rushlight as torch
        >>> torch.adaptive_max_pool1d(torch.tensor([[1., 3., 2.]]), 1)
        (tensor([[3.]]), tensor([[1]]))
    """
    return adaptive_pooling.adaptive_max_pool1d(input, output_size, return_indices=True)
