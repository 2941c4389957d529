"""Shapes made of other views: `flatten`, `unflatten`, `ravel`, `atleast_2d`, `meshgrid`."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import promote_types
from rushlight.layout import infer_size, numel, wrap_dim
from rushlight.layout import sizes as sizes_of
from rushlight.ops.broadcasting import expand
from rushlight.ops.spec import primitive, public
from rushlight.ops.views import reshape, unsqueeze, view
from rushlight.size import Size


@public(out=False)
def flatten(input, start_dim=0, end_dim=-1):
    """Dimensions `start_dim` to `end_dim` joined into one; a view where the strides allow it.

    Raises:
        RuntimeError: `start_dim` comes after `end_dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 3, 4).flatten(1).shape
        torch.Size([2, 12])
    """
    shape = input._a.shape
    first, last = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if first == last:
        return input
    return reshape(input, (*shape[:first], numel(shape[first : last + 1]), *shape[last + 1 :]))


@public(out=False)
def ravel(input):
    """All elements in one dimension; a view where the strides allow it."""
    return reshape(input.contiguous(), (-1,)) if input._a.size else reshape(input, (0,))


@public(out=False, takes={"dim": "int", "sizes": "tuple of ints"})
def unflatten(input, dim, sizes):
    """One dimension split into several, one of which may be -1.

    Raises:
        RuntimeError: sizes whose product is another.
        NotImplementedError: a dimension is named.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(6).unflatten(0, (2, -1)).shape
        torch.Size([2, 3])
    """
    if isinstance(dim, str):
        raise NotImplementedError(
            "unflatten: named dimensions are not available; pass the number of the dimension"
        )
    shape = input._a.shape
    dim = wrap_dim(dim, len(shape))
    sizes = sizes_of((sizes,), "unflatten")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    have = shape[dim]
    try:
        sizes = infer_size(sizes, have)
    except RuntimeError as error:
        if "only one" in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({have}) in the input tensor"
        ) from None
    return view(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


# ---- at least so many dimensions ----


def _at_least(name: str, grow: Any) -> Any:
    def function(*tensors: Any) -> Any:
        if len(tensors) == 1 and not isinstance(tensors[0], (list, tuple)):
            return grow(_tensor(tensors[0], name))
        given = tensors[0] if len(tensors) == 1 else tensors
        return tuple([grow(_tensor(t, name)) for t in given])

    function.__name__ = name
    function.__doc__ = (
        f"Tensors with {name[8]} or more dimensions: those with fewer get dimensions of size 1."
    )
    return public(function, name=name, out=False)


def _tensor(value: Any, name: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): expected Tensor arguments, not {type(value).__name__}")
    return value


def _to_2d(t: Tensor) -> Tensor:
    return reshape(t, (1, 1)) if t._a.ndim == 0 else unsqueeze(t, 0) if t._a.ndim == 1 else t


def _to_3d(t: Tensor) -> Tensor:
    if t._a.ndim == 0:
        return reshape(t, (1, 1, 1))
    if t._a.ndim == 1:
        return unsqueeze(unsqueeze(t, 0), -1)
    return unsqueeze(t, -1) if t._a.ndim == 2 else t


atleast_1d = _at_least("atleast_1d", lambda t: reshape(t, (1,)) if t._a.ndim == 0 else t)
atleast_2d = _at_least("atleast_2d", _to_2d)
atleast_3d = _at_least("atleast_3d", _to_3d)


# ---- grids and combinations ----


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which all of the shapes broadcast.

    Example:
        >>> import rushlight as torch
        >>> torch.broadcast_shapes((2, 1), (3,))
        torch.Size([2, 3])
    """
    given = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    common = [1] * max(map(len, given), default=0)
    for number, shape in enumerate(given):
        for at in range(-1, -1 - len(shape), -1):
            if not hasattr(shape[at], "__index__"):
                raise TypeError(
                    f"broadcast_shapes(): sizes must be ints, but found {type(shape[at]).__name__}"
                )
            if common[at] == 1:
                if shape[at] < 0:
                    raise ValueError("Attempting to broadcast a dimension with negative length!")
                common[at] = shape[at].__index__()
            elif shape[at] not in (1, common[at]):
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {shape[at]} at {at}! Mismatching argument at index "
                    f"{number} had {shape}; but expected shape should be broadcastable to {common}"
                )
    return Size(common)


@public(out=False, takes={"indexing": "str?"})
def meshgrid(*tensors, indexing=None):
    """The coordinates of a grid: each 1-d tensor expanded along its own dimension.

    Args:
        indexing: "ij" for the order of the tensors, "xy" with the first two swapped.

    Raises:
        RuntimeError: there is no tensor, types differ, one has several dimensions, or `indexing` is
            neither "ij" nor "xy".

    Example:
        >>> import rushlight as torch
        >>> x, y = torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4]), indexing="ij")
        >>> y
        tensor([[3, 4],
                [3, 4]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            stacklevel=3,
        )
        indexing = "ij"
    for t in tensors:
        if _tensor(t, "meshgrid")._a.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                + "".join(f" {n} " for n in t._a.shape)
            )
        if t._dtype is not tensors[0]._dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = tuple([t._a.size for t in tensors])
    grids = []
    for at, t in enumerate(tensors):
        alone = tuple([-1 if i == at else 1 for i in range(len(shape))])
        grids.append(expand(view(t, alone), shape))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@public(out=False)
def cartesian_prod(*tensors):
    """All choices of one element from each 1-d tensor, as rows.

    Raises:
        RuntimeError: one of them is no vector.

    Example:
        >>> import rushlight as torch
        >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3]))
        tensor([[1, 3],
                [2, 3]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    for t in tensors:
        if _tensor(t, "cartesian_prod")._a.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t._a.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stacked([grid.flatten() for grid in meshgrid(*tensors, indexing="ij")])


def stacked(columns: list[Tensor]) -> Tensor:
    """1-d tensors as the columns of a matrix."""
    from rushlight.ops.joining import stack

    return stack(columns, 1)


@public(out=False, takes={"r": "int", "with_replacement": "bool"})
def combinations(input, r=2, with_replacement=False):
    """All choices of `r` elements of a 1-d tensor, in order, as rows.

    Raises:
        RuntimeError: the tensor is no vector, or `r` is negative.

    Example:
        >>> import rushlight as torch
        >>> torch.combinations(torch.tensor([1, 2, 3]))
        tensor([[1, 2],
                [1, 3],
                [2, 3]])
    """
    if input._a.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._a.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input._a.size), r)), np.int64).reshape(-1, r)
    return stacked([_picked(input, rows[:, at]) for at in range(r)])


def _picked(input: Tensor, places: np.ndarray) -> Tensor:
    return input.index_select(0, new_tensor(np.ascontiguousarray(places), dtypes.int64))


# ---- matrices side by side ----


@primitive("BlockDiag", vjp=lambda g, xs_meta: [_block(g, xs_meta, n) for n in range(len(xs_meta))])
def block_diag_of(*xs, kind):
    matrices = [x.reshape(1, -1) if x.ndim < 2 else x for x in xs]
    out = np.zeros((sum(m.shape[0] for m in matrices), sum(m.shape[1] for m in matrices)), kind)
    row = column = 0
    for m in matrices:
        out[row : row + m.shape[0], column : column + m.shape[1]] = m
        row, column = row + m.shape[0], column + m.shape[1]
    return out


def _block(g: Any, metas: Any, n: int) -> Any:
    sides = [(1, numel(m.shape)) if m.ndim < 2 else m.shape for m in metas]
    row, column = sum(s[0] for s in sides[:n]), sum(s[1] for s in sides[:n])
    block = g.narrow(0, row, sides[n][0]).narrow(1, column, sides[n][1])
    return block.reshape(metas[n].shape)


@public(out=False)
def block_diag(*tensors):
    """The matrices along the diagonal of a matrix of zeros; vectors and scalars count as rows.

    Raises:
        RuntimeError: one has more than two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.block_diag(torch.tensor([1]), torch.tensor([2, 3]))
        tensor([[1, 0, 0],
                [0, 2, 3]])
    """
    if not tensors:
        return new_tensor(np.zeros((1, 0), np.float32), dtypes.float32)
    for at, t in enumerate(tensors):
        if _tensor(t, "block_diag")._a.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {at} has {t._a.ndim} dimensions"
            )
    kind = tensors[0]._dtype
    for t in tensors[1:]:
        kind = promote_types(kind, t._dtype)
    return block_diag_of(*tensors, kind=kind.numpy)


__all__ = ["flatten", "meshgrid", "ravel", "unflatten"]
