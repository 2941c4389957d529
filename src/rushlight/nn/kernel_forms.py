"""Functions of `torch` itself that are layers' functions with the arguments of PyTorch's kernels, in their order."""

from __future__ import annotations

from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.errors import wrong_type
from rushlight.nn.grids import affine_grid, grid_sample
from rushlight.nn.indexed_pooling import max_pool1d_with_indices as _indexed
from rushlight.ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


@for_batches
def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """:func:`nn.functional.affine_grid`; nothing has a default.

    Example:
        >>> import rushlight as torch
        >>> torch.affine_grid_generator(torch.eye(2, 3)[None], (1, 1, 1, 2), True)[0, 0]
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """
    return affine_grid(theta, size, align_corners)


@for_batches
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """:func:`nn.functional.grid_sample`: modes 0 bilinear, 1 nearest, 2 bicubic; outside 0 zeros, 1 border, 2 reflection."""
    return grid_sample(input, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners)


@for_batches
def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """:func:`grid_sampler` of (N, C, H, W).

    Raises:
        RuntimeError: other dimensions.
    """
    return grid_sampler(
        _of_rank(input, 4, "grid_sampler_2d"), grid, interpolation_mode, padding_mode, align_corners
    )


@for_batches
def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """:func:`grid_sampler` of (N, C, D, H, W).

    Raises:
        RuntimeError: other dimensions.
    """
    return grid_sampler(
        _of_rank(input, 5, "grid_sampler_3d"), grid, interpolation_mode, padding_mode, align_corners
    )


def _of_rank(t: Tensor, rank: int, name: str) -> Tensor:
    if not isinstance(t, Tensor):
        raise wrong_type(name, "input", 1, t)
    if t.dim() != rank:
        raise RuntimeError(
            f"grid_sampler(): expected {rank}D input and grid with same number of dimensions, but got input with sizes "
            f"{list(t.shape)}"
        )
    return t


@for_batches
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    """:func:`nn.functional.max_pool1d` with the positions.

    Example:
        >>> import rushlight as torch
        >>> torch.max_pool1d_with_indices(torch.tensor([[1., 3., 2.]]), 3)
        (tensor([[3.]]), tensor([[1]]))
    """
    return _indexed(input, kernel_size, stride, padding, dilation, ceil_mode)


def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Tensor:
    """:func:`nn.functional.conv1d` to `conv3d` by the input's dimensions, or `conv_transpose1d` to `3d`.

    Example:
        >>> import rushlight as torch
        >>> torch.convolution(torch.ones(1, 1, 3), torch.ones(1, 1, 2), None, [1], [0], [1], False, [0], 1)
        tensor([[[2., 2.]]])
    """
    rank = weight.dim() - 2
    forms = (conv_transpose1d, conv_transpose2d, conv_transpose3d) if transposed else _PLAIN
    if not 1 <= rank <= 3:
        raise RuntimeError(f"convolution: weight should have 3 to 5 dimensions, but has {weight.dim()}")
    if transposed:
        return forms[rank - 1](input, weight, bias, stride, padding, output_padding, groups, dilation)
    return forms[rank - 1](input, weight, bias, stride, padding, dilation, groups)


_PLAIN = (conv1d, conv2d, conv3d)


@for_batches
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """The convolution of (time, batch, channels) with a weight of (width, channels in, channels out).

    Raises:
        RuntimeError: other dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.conv_tbc(torch.ones(3, 1, 1), torch.ones(2, 1, 1), torch.zeros(1)).flatten()
        tensor([2., 2.])
    """
    for name, t, shape in (
        ("Input", input, "time, batch, in_channel"),
        ("Weight tensor", weight, "kernel_width, in_channels, out_channels."),
    ):
        if t.dim() != 3:
            raise RuntimeError(f"{name} must have 3 dims: {shape}")
    if bias.dim() != 1:
        raise RuntimeError("Bias must be 1-D")
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad).permute(2, 0, 1)
