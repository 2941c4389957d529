"""Positions in a tensor: whether they are in range, where they point along one dimension, and adding at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import WIDE_UNSIGNED, int32, int64
from rushlight.layout import iteration_strides, wrap_dim
from rushlight.memory import zeros
from rushlight.runtime import placed
from rushlight.runtime.results import laid_out


def implemented(t: Tensor, kernel: str) -> None:
    """NotImplementedError for the unsigned types that PyTorch stores but has few kernels for."""
    if t._dtype in WIDE_UNSIGNED:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


def preserved(a: np.ndarray) -> np.ndarray:
    """A copy with the dimensions in the order that they have in memory, and without gaps."""
    return a.copy() if a.flags.c_contiguous else laid_out(a, iteration_strides(a.shape, [a.strides]))


def check_dim(t: Tensor, dim: Any, name: str) -> int:
    if type(dim) is not int:
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise TypeError(f"{name}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
        dim = dim.__index__()
    return wrap_dim(dim, t._a.ndim)


def check_range(p: np.ndarray, size: int, dim: int, error: type = RuntimeError) -> None:
    """Whether all positions lie in [0, size)."""
    if p.size and not in_range(p, size):
        first = p[(p < 0) | (p >= size)].flat[0]
        raise error(f"index {first} is out of bounds for dimension {dim} with size {size}")


def in_range(p: np.ndarray, size: int) -> bool:
    """Whether all of some positions lie in [0, size)."""
    if p.size <= _FEW:
        found = p.ravel().tolist()
        return min(found) >= 0 and max(found) < size
    if p.dtype == np.int64:  # (what is negative is large without a sign)
        return bool(p.view(np.uint64).max() < size)
    return bool(p.min() >= 0 and p.max() < size)


#: positions that Python's own numbers compare faster than NumPy
_FEW = 64


def along(p: np.ndarray, dim: int) -> tuple:
    """A NumPy index that takes, at each place of `p`, position `p` along `dim`."""
    key: list[np.ndarray] = []
    for d, size in enumerate(p.shape):
        if d == dim:
            key.append(p)
        else:
            shape = [1] * p.ndim
            shape[d] = size
            key.append(np.arange(size).reshape(shape))
    return tuple(key)


def rows(dim: int, p: np.ndarray) -> tuple:
    """A NumPy index that takes the slices at the positions `p` along `dim`."""
    return (slice(None),) * dim + (p,)


def added_at(g: Any, shape: tuple[int, ...], key: Any) -> Tensor:
    """Zeros of `shape` with the gradients added at their places; on arrays, see `direct`."""
    out = zeros(shape, g._a.dtype)
    if len(key) == 1 and all_different(key[0], shape[0]):
        out[key] = g._a
    else:
        placed.combine_at(np.add, out, key, g._a)
    return new_tensor(out, g._dtype)


def added_along(g: Any, shape: tuple[int, ...], p: np.ndarray, dim: int) -> Tensor:
    """Zeros of `shape` with the gradients added at places along a dimension, which are in range; on arrays, see `direct`."""
    out = zeros(shape, g._a.dtype)
    add_along(out, p, g._a, dim)
    return new_tensor(out, g._dtype)


def add_along(a: np.ndarray, p: np.ndarray, values: np.ndarray, dim: int) -> None:
    """Add to `a` in place: a[p[i, j], j] += values[i, j] for dim 0, and likewise for other dimensions."""
    if not placed.add(a, p, values, dim):
        placed.combine_at(np.add, a, along(p, dim), values)


def all_different(p: np.ndarray, size: int) -> bool:
    """Whether no position in [-size, size) is meant twice."""
    return p.ndim == 1 and 0 < p.size <= size and int(np.bincount(p % size).max()) == 1


def check_vector(index: Tensor, name: str, kinds: tuple = (int64, int32)) -> np.ndarray:
    """The positions of a 0-d or 1-d index as a vector."""
    if index._a.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index._dtype not in kinds:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    return index._a.reshape(-1)


def check_flat(t: Tensor, index: Tensor, name: str) -> None:
    if index._dtype is not int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index._dtype.legacy}")
    p, count = index._a, t._a.size
    if p.size and not in_range(p, count) and (p.min() < -count or p.max() >= count):
        first = p[(p < -count) | (p >= count)].flat[0]
        raise IndexError(f"out of range: tried to access index {first} on a tensor of {count} elements.")
