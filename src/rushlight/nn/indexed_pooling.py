"""Pooling that always gives the positions, too, under the names that PyTorch has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.nn import fractional
from rushlight.ops import adaptive_pooling, pooling

__all__ = [
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d_with_indices",
    "max_pool1d_with_indices",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
]


def _with_positions(name: str, pool: Callable) -> Callable:
    def pooled(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        return pool(input, kernel_size, stride, padding, dilation, ceil_mode, True)

    pooled.__name__ = pooled.__qualname__ = f"{name}_with_indices"
    pooled.__doc__ = f":func:`{name}` with the positions."
    return for_batches(pooled)


max_pool1d_with_indices = _with_positions("max_pool1d", pooling.max_pool1d)
max_pool2d_with_indices = _with_positions("max_pool2d", pooling.max_pool2d)
max_pool3d_with_indices = _with_positions("max_pool3d", pooling.max_pool3d)


@for_batches
def adaptive_max_pool1d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool1d` with the positions."""
    return adaptive_pooling.adaptive_max_pool1d(input, output_size, True)


@for_batches
def adaptive_max_pool2d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool2d` with the positions."""
    return adaptive_pooling.adaptive_max_pool2d(input, output_size, True)


@for_batches
def adaptive_max_pool3d_with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """:func:`adaptive_max_pool3d` with the positions."""
    return adaptive_pooling.adaptive_max_pool3d(input, output_size, True)


@for_batches
def fractional_max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """:func:`fractional_max_pool2d` with the positions."""
    return fractional.fractional_max_pool2d(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )


@for_batches
def fractional_max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """:func:`fractional_max_pool3d` with the positions."""
    return fractional.fractional_max_pool3d(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )
