"""Unpooling: what max pooling found, put back to where it found it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, int64
from rushlight.layout import numel
from rushlight.ops.pooling import tuple_of
from rushlight.ops.spec import as_tensor, primitive, public


def _output_size(input: Tensor, kernel: tuple, stride: tuple, padding: tuple, asked: Any) -> tuple:
    """The sizes of the planes; `asked` may be a stride off what the windows say, as several sizes pool to one."""
    count = len(kernel)
    shape = tuple(input.size())[-count:]
    usual = tuple([(n - 1) * s + k - 2 * p for n, s, k, p in zip(shape, stride, kernel, padding)])
    if asked is None:
        return usual
    asked = tuple(asked)
    if len(asked) == count + 2:
        asked = asked[2:]
    if len(asked) != count:
        raise ValueError(
            f"output_size should be a sequence containing {count} or {count + 2} elements, "
            f"but it has a length of '{len(asked)}'"
        )
    for d, (n, u, s) in enumerate(zip(asked, usual, stride)):
        if not u - s < n < u + s:
            raise ValueError(f'invalid output_size "{asked}" (dim {d} must be between {u - s} and {u + s})')
    return asked


def _check(name: str, input: Any, indices: Any, count: int, stride: tuple) -> None:
    as_tensor(indices, name, "indices", 2)
    rank, planes = len(input._a.shape), max(count, 2)  # (a line is unpooled as a plane)
    line = [1] * (planes - count)
    shape, places = list(input._a.shape) + line, list(indices._a.shape) + line
    if indices._dtype is not int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices._dtype.legacy}")
    if rank not in (count + 1, count + 2):
        raise RuntimeError(
            f"Input to max_unpooling{planes}d should be a {planes + 1}d or {planes + 2}d Tensor, "
            f"but got a tensor with {rank + len(line)} dimensions."
        )
    if shape != places:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({shape}) "
            f"but got indices tensor with shape: {places}"
        )
    if count == 3 and min(stride) <= 0:
        raise RuntimeError(f"strides should be greater than zero, but got stride: {list(stride)}")
    for d in range(rank - count - 1, rank):
        if shape[d] == 0 and (d or rank == count + 1):
            raise RuntimeError(
                f"max_unpooling{planes}d_forward_out_cpu(): Expected input to have non-zero size for non-batch "
                f"dimensions, but got {shape} with dimension {d} being empty."
            )
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"max_unpool{planes}d\" not implemented for '{input._dtype.legacy}'")


def _max_unpool(
    count: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, size: Any
) -> Any:
    name = f"max_unpool{count}d"
    kernel = tuple_of(kernel, count, "kernel_size", name)
    stride = kernel if stride is None else tuple_of(stride, count, "stride", name)
    padding = tuple_of(padding, count, "padding", name)
    size = _output_size(input, kernel, stride, padding, size)
    _check(name, input, indices, count, stride)
    places = indices._a
    if places.size:
        beyond = places.max() if places.min() >= 0 else places.min()
        if not 0 <= beyond < numel(size):
            planes = "x".join(map(str, (*size, 1) if count == 1 else size))
            raise RuntimeError(
                f"Found an invalid max index: {int(beyond)} (output volumes are of size {planes})"
            )
    if count == 1:  # (a line is unpooled as a plane)
        input, indices, size = input.unsqueeze(-1), indices.unsqueeze(-1), (*size, 1)
    made = _UNPOOL[len(size)](input, indices, size=tuple(size))
    return made.squeeze(-1) if count == 1 else made


def _taken_back(g: Any, places: Tensor, size: tuple[int, ...]) -> Any:
    lead = g._a.shape[: -len(size)]
    return g.reshape(*lead, -1).gather(-1, places.reshape(*lead, -1)).reshape(places._a.shape)


def _unpooling(node: str) -> Any:
    def unpool(x, places, *, size):
        lead = x.shape[: -len(size)]
        flat = np.zeros((*lead, numel(size)), x.dtype)
        pooled = *lead, numel(x.shape[-len(size) :])
        np.put_along_axis(flat, places.reshape(pooled), x.reshape(pooled), -1)
        return flat.reshape(*lead, *size)

    unpool.__name__ = node
    return primitive(node, vjp=(_taken_back, None), like_image=True)(unpool)


_UNPOOL = {count: _unpooling(f"MaxUnpool{count}D") for count in (2, 3)}


@public(name="nn.functional.max_unpool1d", out=False)
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest put back to their places, zeros elsewhere; see :func:`max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@public(name="nn.functional.max_unpool2d", out=False)
def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest put back to their places, zeros elsewhere.

    Args:
        indices: where in its plane each is, as `max_pool2d(..., return_indices=True)` gives it.
        output_size: the planes' sizes, where the windows do not cover them; less than a stride from what they cover.

    Raises:
        RuntimeError: indices of another shape or dtype, or outside the planes.
        ValueError: planes that the windows cannot have come from.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.max_unpool2d(torch.tensor([[[4.]]]), torch.tensor([[[3]]]), 2)
        tensor([[[0., 0.],
                 [0., 4.]]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@public(name="nn.functional.max_unpool3d", out=False)
def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """The largest put back to their places, zeros elsewhere; see :func:`max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)
