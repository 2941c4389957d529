"""Fractional max pooling: windows whose starts are drawn at random. B. Graham, arXiv:1412.6071."""

from __future__ import annotations

from typing import Any

import numpy as np

import rushlight
from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.runtime.execute import quiet, wrap


@for_batches
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The largest of each of `output_size` windows of (N, C, H, W) or (C, H, W), whose steps are drawn at random.

    Args:
        output_ratio: the output's size as a part of the input's, instead of `output_size`.
        return_indices: give `(output, indices)`, the positions in the flattened image.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.fractional_max_pool2d(torch.ones(1, 1, 5, 5), 2, output_size=3).shape
        torch.Size([1, 1, 3, 3])
    """
    return _pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@for_batches
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """As :func:`fractional_max_pool2d`, for (N, C, T, H, W) or (C, T, H, W)."""
    return _pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def _pool(
    rank: int, x: Tensor, kernel: Any, size: Any, ratio: Any, return_indices: bool, samples: Tensor | None
) -> Any:
    name = f"fractional_max_pool{rank}d"
    if size is None and ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if x.dim() not in (rank + 1, rank + 2):
        raise RuntimeError(f"{name}: Expected {rank + 1}D or {rank + 2}D tensor, but got: {list(x.shape)}")
    kernel = _each(kernel, rank)
    if size is None:
        size = [int(n * r) for n, r in zip(x.shape[-rank:], _each(ratio, rank))]
    size = _each(size, rank)
    single = x.dim() == rank + 1
    images = x.unsqueeze(0) if single else x
    if samples is None:
        samples = rushlight.rand(*images.shape[:2], rank, dtype=x.dtype)
    _check_windows(name, images.shape[-rank:], kernel, size)
    indices = wrap(quiet(_largest, images.detach().numpy(), samples.detach().numpy(), kernel, size))
    values = images.flatten(-rank).gather(-1, indices.flatten(-rank)).reshape(indices.shape)
    if single:
        values, indices = values.squeeze(0), indices.squeeze(0)
    return (values, indices) if return_indices else values


def _each(value: Any, rank: int) -> tuple:
    return (value,) * rank if isinstance(value, (int, float)) else tuple(value)


def _check_windows(name: str, shape: Any, kernel: tuple, size: tuple) -> None:
    for n, k, out in zip(shape, kernel, size):
        if out + k - 1 > n:
            raise RuntimeError(f"{name}(): pool size {k} too large relative to input size {n}")


def _starts(sample: Any, n: int, out: int, kernel: int) -> np.ndarray:
    """Where the windows begin: a random walk of steps that are `alpha` long on average (section 3 of the paper)."""
    starts = np.full(out, n - kernel)
    if out > 1:
        alpha = sample.dtype.type(n - kernel) / sample.dtype.type(out - 1)
        steps = (np.arange(out - 1).astype(sample.dtype) + sample) * alpha
        starts[:-1] = steps.astype(np.int64) - int(sample * alpha)
    return starts


def _largest(images: np.ndarray, samples: np.ndarray, kernel: tuple, size: tuple) -> np.ndarray:
    """The flat position of the largest element of each window; NaN counts as larger than any."""
    rank = len(size)
    places = np.arange(int(np.prod(images.shape[2:]))).reshape(images.shape[2:])
    found = np.empty((*images.shape[:2], *size), np.int64)
    order = (1, 0) if rank == 2 else (0, 1, 2)  # the first sample is for the width in two dimensions
    for n, c in np.ndindex(images.shape[:2]):
        rows = [
            _starts(samples[n, c, at], images.shape[2 + d], size[d], kernel[d])[:, None]
            + np.arange(kernel[d])
            for d, at in enumerate(order)
        ]
        grid = np.ix_(*[r.reshape(-1) for r in rows])
        windows = [
            image[grid].reshape([m for r in rows for m in r.shape]) for image in (images[n, c], places)
        ]
        axes = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2))
        values, where = (w.transpose(axes).reshape(*size, -1) for w in windows)
        best = np.where(np.isnan(values), np.inf, values).argmax(-1)
        found[n, c] = np.take_along_axis(where, best[..., None], -1)[..., 0]
    return found
