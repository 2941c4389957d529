"""Reading elements by integer tensors: gather, index_select, take, take_along_dim; unravel_index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes, late
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import WIDE_UNSIGNED, int32, int64, promote_types
from rushlight.layout import broadcast
from rushlight.ops.kinds.overlap import exact_out
from rushlight.ops.positions import (
    added_along,
    added_at,
    all_different,
    along,
    check_dim,
    check_flat,
    check_range,
    check_vector,
    implemented,
    in_range,
    rows,
)
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime import execute, placed
from rushlight.tape.modes import direct
from rushlight.tape.node import has_sparse_gradient
from rushlight.tape.recording import record


def _gather_vjp(g: Any, x: Any, index: Any, dim: int) -> Any:
    if direct(g) and g._a.size and g._a.ndim and x.shape:
        return added_along(g, x.shape, index._a, dim)
    return g.new_zeros(x.shape).scatter_add(dim, index, g)


def _index_select_vjp(g: Any, x_meta: Any, index: Any, dim: int) -> Any:
    if direct(g) and x_meta.shape:
        p = index._a.reshape(-1)
        if dim and all_different(p, x_meta.shape[dim]):
            out = np.zeros(x_meta.shape, g._a.dtype)
            out[rows(dim, p)] = g._a
            return new_tensor(out, g._dtype)
        return added_at(g, x_meta.shape, rows(dim, p))
    return g.new_zeros(x_meta.shape).index_add(dim, index, g)


def _take_vjp(g: Any, x_meta: Any, index: Any) -> Any:
    if direct(g) and x_meta.shape:
        flat = added_at(g, (math.prod(x_meta.shape),), (index._a,))
        return new_tensor(flat._a.reshape(x_meta.shape), g._dtype)
    return g.new_zeros(x_meta.shape).put(index, g, accumulate=True)


@primitive(
    "Gather",
    vjp=(
        lambda g, x, index, dim: _gather_vjp(g, x, index, dim),
        None,
    ),  # x: as PyTorch keeps it
)
def gather_along(x, index, *, dim):
    return _gathered(x, index, dim)


def _sparse_gather_vjp(g: Any, x_meta: Any, index: Any, dim: int) -> Any:
    """At each place that was read, in the order of reading."""
    shape = index._a.shape or (1,)
    places = np.stack([grid.reshape(-1) for grid in np.indices(shape)])
    places[dim] = index._a.reshape(-1)
    made = late.load("rushlight.sparse").of_places(execute.wrap(places), g.reshape(-1), x_meta.shape or (1,))
    return made if x_meta.shape else made.to_dense().reshape(())


@primitive("Gather", vjp=(_sparse_gather_vjp, None))
def gather_sparsely(x, index, *, dim):
    return _gathered(x, index, dim)


def _gathered(x: np.ndarray, index: np.ndarray, dim: int) -> np.ndarray:
    if index.size == 0:
        return np.empty(index.shape, x.dtype)
    if x.ndim == 0 or index.ndim == 0:
        return np.ascontiguousarray(x.reshape(-1)[index.reshape(-1)]).reshape(index.shape)
    made = placed.read(x, index, dim)
    return np.ascontiguousarray(x[along(index, dim)]) if made is None else made


#: elements from which on what is gathered is better told by dimension
_MANY = 1 << 12


def _short_gather(x: Any, dim: Any, index: Any) -> Tensor | None:
    """Of row-major matrices of one shape, by the numbers of the elements; None for anything else."""
    if type(dim) is not int or not isinstance(index, Tensor) or index._dtype is not int64:
        return None
    a, p = x._a, index._a
    if a.ndim != 2 or a.shape != p.shape or not -2 <= dim < 2 or not a.size or x._dtype in WIDE_UNSIGNED:
        return None
    if not (a.flags.c_contiguous and p.flags.c_contiguous and in_range(p, a.shape[dim])) or a.size >= _MANY:
        return None
    dim &= 1
    rows, columns = a.shape
    if dim:
        at = p + np.arange(0, a.size, columns).reshape(rows, 1)
    else:
        at = p * np.array(columns)
        at += np.arange(columns)
    out = new_tensor(a.take(at), x._dtype)
    if x._edge is not None:
        record(gather_along.derivative, (x, index), {"dim": dim}, out)
    return out


@public(check=exact_out())
def gather(input, dim, index, *, sparse_grad=False):
    """out[i, j] = input[index[i, j], j] for dim 0, and likewise for other dimensions.

    Args:
        sparse_grad: give `input` a sparse gradient, of the elements that were read.

    Raises:
        RuntimeError: `index` is not int64 or int32, has other dimensions or points outside.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
        tensor([[1, 1],
                [4, 3]])
    """
    out = None if sparse_grad else _short_gather(input, dim, index)
    if out is not None:
        return out
    index = as_tensor(index, "gather", "index", 2)
    dim = check_dim(input, dim, "gather")
    if index._dtype is not int64 and index._dtype is not int32 and index._a.size:
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    shape, p = input._a.shape, index._a
    if p.size:
        if max(p.ndim, 1) != max(len(shape), 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
        for d, n in enumerate(p.shape):
            if d != dim and n > shape[d]:
                raise RuntimeError(
                    f"Size does not match at dimension {d} expected index {list(p.shape)} to be no larger than self "
                    f"{list(shape)} apart from dimension {dim}"
                )
        implemented(input, "scatter_gather_tensor_cpu")
        check_range(p, shape[dim] if shape else 1, dim)
    if sparse_grad:
        return has_sparse_gradient(gather_sparsely(input, index, dim=dim))
    return gather_along(input, index, dim=dim)


@primitive(
    "IndexSelect",
    vjp=(_index_select_vjp, None),
)
def index_select_along(x, index, *, dim):
    if x.ndim == 0:
        return x.copy()
    return np.ascontiguousarray(x.take(index.reshape(-1), dim))


def _short_select(x: Any, dim: Any, index: Any) -> Tensor | None:
    """Slices of a row-major tensor at a vector of positions in range; None for anything else."""
    if type(dim) is not int or not isinstance(index, Tensor) or index._dtype is not int64:
        return None
    a, p = x._a, index._a
    if p.ndim != 1 or a.ndim < 2 or not -a.ndim <= dim < a.ndim or not p.size or not a.flags.c_contiguous:
        return None
    if not in_range(p, a.shape[dim]):
        return None
    out = new_tensor(a.take(p, dim), x._dtype)
    if x._edge is not None:
        record(index_select_along.derivative, (x, index), {"dim": dim % a.ndim}, out)
    return out


@public(check=exact_out("index_select(): self and result must have the same scalar type"))
def index_select(input, dim, index):
    """The slices at the positions in `index` (0-d or 1-d) along `dim`.

    Raises:
        IndexError: a position is out of range; negative ones are.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).index_select(1, torch.tensor([1, 1]))
        tensor([[2, 2],
                [4, 4]])
    """
    out = _short_select(input, dim, index)
    if out is not None:
        return out
    index = as_tensor(index, "index_select", "index", 2)
    dim = check_dim(input, dim, "index_select")
    p = check_vector(index, "index_select")
    if input._a.ndim < 2:
        implemented(input, "index_select")
    if input._a.ndim == 0 and p.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {p.size} value(s)")
    size = input._a.shape[dim] if input._a.ndim else 1
    if size == 0 and p.size:
        if input._a.ndim == 1:
            raise IndexError("index out of range in self")
        raise RuntimeError("index_select(): self indexing axis dim should be positive")
    if p.size and (p.min() < 0 or p.max() >= size):
        if dim == 0:
            raise IndexError("index out of range in self")
        bad = p[(p < 0) | (p >= size)][0]
        raise RuntimeError(f"INDICES element is out of DATA bounds, id={bad} axis_dim={size}")
    return index_select_along(input, index, dim=dim)


@primitive(
    "Take",
    vjp=(_take_vjp, None),
)
def take_flat(x, index):
    return np.asarray(x.take(index))


@public(
    check=exact_out(
        "take(): self and out expected to have the same dtype, but got self.dtype = {wanted} and out.dtype = {got}"
    )
)
def take(input, index):
    """The elements at `index`, counting row by row; the result has the index's shape.

    Raises:
        IndexError: an index outside of the tensor, or an empty tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([0, -1]))
        tensor([1, 4])
    """
    index = as_tensor(index, "take", "index", 1)
    if index._dtype is int64 and input._a.size == 0 and index._a.size:
        raise IndexError("take(): tried to take from an empty tensor")
    if index._dtype is int64 and index._a.size:
        implemented(input, "take_cpu")
    check_flat(input, index, "take")
    if index._a.size == 0:
        return take_flat(input.reshape(-1) if input._a.size else input, index)
    return take_flat(input, index)


@public(check=exact_out())
def take_along_dim(input, indices, dim=None):
    """`gather` with broadcasting, or over all elements where `dim` is None.

    Raises:
        IndexError: there is no such dimension.
        RuntimeError: the indices are not int64, or have another number of dimensions.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([[3, 1], [2, 4]])
        >>> x.take_along_dim(x.argsort(1), 1)
        tensor([[1, 3],
                [2, 4]])
    """
    indices = as_tensor(indices, "take_along_dim", "indices", 1)
    if dim is not None and not input._a.ndim and not indices._a.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if dim is None:
        return gather(input.view(-1), 0, indices.view(-1))
    if input._a.ndim != indices._a.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._a.ndim} dimensions for input, and {indices._a.ndim} dimensions for indices"
        )
    if indices._dtype is not int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {indices._dtype.legacy}"
        )
    dim = check_dim(input, dim, "take_along_dim")
    x, p = input._a.shape, indices._a.shape
    size = x[dim] if x else 1
    if size:
        indices = new_tensor(np.mod(indices._a, size), int64)
    shape = broadcast(x[:dim] + (1,) + x[dim + 1 :], p[:dim] + (1,) + p[dim + 1 :]) if x else ()
    wide = input.expand(shape[:dim] + x[dim : dim + 1] + shape[dim + 1 :])
    return gather(wide, dim, indices.expand(shape[:dim] + p[dim : dim + 1] + shape[dim + 1 :]))


@public(out=False)
def unravel_index(indices, shape):
    """Positions in a tensor of `shape` from numbers counted row by row: a tuple of tensors.

    Raises:
        TypeError: `indices` is not of an integer type, or `shape` not ints.

    Example:
        >>> import rushlight as torch
        >>> torch.unravel_index(torch.tensor([4]), (2, 3))
        (tensor([1]), tensor([1]))
    """
    if indices._dtype.category != dtypes.INTEGER:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices._dtype!r}")
    if not isinstance(shape, (int, Sequence)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    promote_types(indices._dtype, int64)
    if any(size == 0 for size in sizes) and indices._a.size:
        raise RuntimeError("ZeroDivisionError")
    a = indices._a.astype(np.int64)
    steps = [math.prod(sizes[d + 1 :]) for d in range(len(sizes))]
    if not sizes:
        return ()
    found = [execute.quiet(np.mod, a // max(step, 1), max(size, 1)) for step, size in zip(steps, sizes)]
    return execute.wrap(np.stack(found, -1)).unbind(-1)
