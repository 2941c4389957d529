"""Elements set beside themselves: repeat, tile, repeat_interleave; and class numbers as vectors, one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.batched import for_batches
from rushlight.buffer import Tensor, new_tensor
from rushlight.device import contiguous_format
from rushlight.dtypes import int32, int64
from rushlight.errors import dim_out_of_range
from rushlight.layout import wrap_dim
from rushlight.ops.kinds.ints import ints, listed
from rushlight.ops.spec import as_tensor, primitive, public


def _repeat_vjp(g: Any, x_meta: Any, repeats: tuple) -> Any:
    """The sum over the copies."""
    lead = len(repeats) - x_meta.ndim
    shape: list[int] = []
    for d, times in enumerate(repeats):
        shape += [times, 1 if d < lead else x_meta.shape[d - lead]]
    if 0 in repeats:
        return g.new_zeros(x_meta.shape)
    summed = g.reshape(shape).sum(list(range(0, 2 * len(repeats), 2))) if repeats else g
    return summed.reshape(x_meta.shape)


@primitive("Repeat", vjp=(_repeat_vjp,))
def repeat_dims(x, *, repeats):
    if x.size == 0 or 0 in repeats:
        lead = (1,) * (len(repeats) - x.ndim)
        return np.empty([n * r for n, r in zip(lead + x.shape, repeats)], x.dtype)
    lead = (1,) * (len(repeats) - x.ndim)
    sizes = lead + x.shape
    out = np.empty([n for pair in zip(repeats, sizes) for n in pair], x.dtype)
    out[...] = x.reshape([n for size in sizes for n in (1, size)])
    return out.reshape([n * r for n, r in zip(sizes, repeats)])


def repeat(input: Tensor, *given: Any, repeats: Any = None) -> Tensor:
    """`input` set beside itself as often as `repeats` says for each dimension.

    Raises:
        RuntimeError: there are fewer repeats than dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    repeats = ints(listed(given, repeats, "repeat", "repeats"), "repeat", "repeats")
    shape = input._a.shape
    if len(repeats) < len(shape):
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    padded = (1,) * (len(repeats) - len(shape)) + shape
    sizes = [n * r for n, r in zip(padded, repeats)]
    for size in sizes:
        if size < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {size}: {sizes}")
    return repeat_dims(input, repeats=repeats)


@public(out=False)
def tile(input, dims):
    """:meth:`Tensor.repeat`, with ones put before too few repeats.

    Raises:
        TypeError: `dims` are no ints.

    Example:
        >>> import rushlight as torch
        >>> torch.tile(torch.tensor([1, 2]), (2,))
        tensor([1, 2, 1, 2])
    """
    if not isinstance(dims, (tuple, list)):
        raise TypeError(
            f"tile(): argument 'dims' (position 2) must be tuple of ints, not {type(dims).__name__}"
        )
    return repeat(input, (1,) * (input._a.ndim - len(dims)) + tuple(dims))


def tile_method(self: Tensor, *given: Any, dims: Any = None) -> Tensor:
    """:func:`tile`; the counts may also be separate arguments."""
    return tile(self, listed(given, dims, "tile", "dims"))


@public(out=False, takes={"dim": "int?"})
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element (or slice along `dim`) as often as `repeats`, a number or a tensor of numbers, says.

    With one argument: the positions 0, 1, ..., each as often as `input` says.

    Raises:
        RuntimeError: `repeats` is negative or does not fit the dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([7, 8]).repeat_interleave(torch.tensor([2, 1]))
        tensor([7, 7, 8])
    """
    if repeats is None:
        if input._a.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        return new_tensor(_positions(input, output_size).astype(input._dtype.numpy), input._dtype)
    if dim is None:
        input, dim = input.reshape(-1), 0
    if not isinstance(repeats, Tensor):
        return _repeat_each(input, repeats, dim, output_size)
    counts = repeats
    if counts._a.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if input._a.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, input._a.ndim)
    size = input._a.shape[dim]
    if counts._a.size == 1:
        counts = new_tensor(np.repeat(counts._a.reshape(-1), size), counts._dtype)
    elif counts._a.shape[0] != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {counts._a.size} and input.size({dim}) = {size}"
        )
    return input.index_select(dim, new_tensor(_positions(counts, output_size), int64))


def _positions(counts: Tensor, output_size: int | None) -> np.ndarray:
    """0, 1, ..., each as often as `counts` says."""
    if counts._dtype is not int64 and counts._dtype is not int32:
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{counts._dtype.legacy}'")
    if (counts._a < 0).any():
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and int(counts._a.sum()) != output_size:
        raise RuntimeError("allocated size does not match required size")
    return np.repeat(np.arange(counts._a.size, dtype=np.int64), counts._a)


def _repeat_each(input: Tensor, times: Any, dim: Any, output_size: int | None) -> Tensor:
    """Every slice equally often: a new dimension, expanded, copied and merged."""
    if isinstance(times, bool) or not hasattr(times, "__index__"):
        raise TypeError(
            f"repeat_interleave(): argument 'repeats' must be int or Tensor, not {type(times).__name__}"
        )
    times = times.__index__()
    dim = wrap_dim(dim, input._a.ndim)
    if times < 0:
        raise RuntimeError("Repeats must be non-negative")
    shape = input._a.shape
    if not shape:
        raise dim_out_of_range(1, 0)
    if output_size is not None and output_size != shape[dim] * times:
        raise RuntimeError(
            f"repeat_interleave: Invalid output_size, expected {shape[dim] * times} but got {output_size}"
        )
    wide = input.unsqueeze(dim + 1).expand((*shape[: dim + 1], times, *shape[dim + 1 :]))
    merged = (*shape[:dim], shape[dim] * times, *shape[dim + 1 :])
    return wide.clone(memory_format=contiguous_format).view(merged)


# ---- classes ----


@for_batches
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """For each class number a vector with a one at its place; shape (*, num_classes).

    Raises:
        RuntimeError: a number is negative or not below `num_classes`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    input = as_tensor(input, "one_hot", "input", 1)
    a = input._a
    if input._dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if a.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return new_tensor(np.zeros((*a.shape, num_classes), np.int64), int64)
    if a.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(a.max()) + 1
    elif a.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return new_tensor((a[..., None] == np.arange(num_classes)).astype(np.int64), int64)
