"""Triangles and diagonals of matrices: `tril`, `triu`, `diag`, `diag_embed`, `vander`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.layout import wrap_dim
from rushlight.ops.kinds.strict import same_type
from rushlight.ops.spec import primitive, public
from rushlight.ops.striding import diagonal_copy_of
from rushlight.runtime.triangles import triangle

#: elements up to which a mask is kept for the next call
_FEW = 1 << 14


def _mask(rows: int, columns: int, diagonal: int, lower: bool) -> np.ndarray:
    """Where the zeros are."""
    mask = np.tri(rows, columns, diagonal, np.bool_)
    return ~mask if lower else mask


_kept_mask = functools.lru_cache(64)(_mask)


def _triangle(name: str, node: str, lower: bool) -> Any:
    def compute(x: np.ndarray, *, diagonal: int) -> np.ndarray:
        rows, columns = x.shape[-2:]
        made = triangle(x, _clamped(diagonal, x.shape), lower)
        if made is not None:
            return made
        find = _kept_mask if rows * columns <= _FEW else _mask
        mask = find(rows, columns, _clamped(diagonal if lower else diagonal - 1, x.shape), lower)
        if x.ndim == 2 and x.flags.c_contiguous:
            out = x.copy()
            np.putmask(out, mask, np.array(0, x.dtype))
            return out
        out = np.zeros(x.shape, x.dtype)
        np.copyto(out, x, where=~mask)
        return out

    compute.__name__ = f"{name}_of"
    made = primitive(node, vjp=(lambda g, diagonal: made(g, diagonal=diagonal),))(compute)

    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        if input._a.ndim < 2:
            raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
        if isinstance(diagonal, bool) or not hasattr(diagonal, "__index__"):
            raise TypeError(
                f"{name}(): argument 'diagonal' (position 2) must be int, not {type(diagonal).__name__}"
            )
        return made(input, diagonal=diagonal.__index__())

    function.__name__ = name
    function.__doc__ = (
        f"The {'lower' if lower else 'upper'} triangle of a matrix (or of each in a batch), zeros elsewhere; `diagonal` "
        "moves the border up."
    )
    return public(function, name=name, check=same_type)


def _clamped(diagonal: int, shape: tuple[int, ...]) -> int:
    """A diagonal beyond the matrix is like the nearest outside it."""
    return max(min(diagonal, shape[-1]), -shape[-2] - 1)


tril = _triangle("tril", "Tril", lower=True)
triu = _triangle("triu", "Triu", lower=False)


# ---- diagonals ----


@primitive("DiagEmbed", vjp=(lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2),))
def diag_embed_of(x, *, offset, dim1, dim2):
    side = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], side, side), x.dtype)
    shown = out.diagonal(offset, -2, -1)
    shown.flags.writeable = True
    shown[...] = x
    return np.ascontiguousarray(np.moveaxis(out, (-2, -1), (dim1, dim2)))


@public(out=False, takes={"offset": "int"})
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension on a diagonal, zeros elsewhere.

    Raises:
        RuntimeError: `dim1` and `dim2` are the same.
        IndexError: there is no such dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.diag_embed(torch.tensor([1, 2]))
        tensor([[1, 0],
                [0, 2]])
    """
    ndim = input._a.ndim + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if input._a.ndim == 0:
        input = input.unsqueeze(0)
    return diag_embed_of(input, offset=offset, dim1=first, dim2=second)


@public(check=same_type, takes={"diagonal": "int"})
def diag(input, diagonal=0):
    """A vector's matrix with it on a diagonal; a matrix's diagonal, copied.

    Raises:
        RuntimeError: neither a vector nor a matrix.

    Example:
        >>> import rushlight as torch
        >>> torch.diag(torch.tensor([[1, 2], [3, 4]]))
        tensor([1, 4])
    """
    ndim = input._a.ndim
    if ndim == 1:
        return diag_embed_of(input, offset=diagonal, dim1=0, dim2=1)
    if ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {ndim}D")
    return diagonal_copy_of(input, diagonal)


@public(out=False)
def diagflat(input, offset=0):
    """A matrix with all elements of `input` on a diagonal."""
    return diag_embed_of(input.contiguous().view(-1), offset=offset, dim1=0, dim2=1)


@public(out=False)
def vander(x, N=None, increasing=False):
    """The powers of the elements of a vector, as columns, the highest first unless `increasing`.

    Raises:
        RuntimeError: `x` is no vector, or `N` is negative.

    Example:
        >>> import rushlight as torch
        >>> torch.vander(torch.tensor([2, 3]), 3)
        tensor([[4, 2, 1],
                [9, 3, 1]])
    """
    if x._a.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x._a.size if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    kind = (
        x.dtype if x.dtype.category > 1 else (x.to(x.dtype).cumsum(0).dtype if x._a.size else x.long().dtype)
    )
    powers = x.new_ones((x._a.size, count), dtype=kind)
    if count > 1:
        powers[:, 1:] = x.unsqueeze(-1)
        powers[:, 1:] = powers[:, 1:].clone().cumprod(1)
    return powers if increasing else powers.flip(1)


__all__ = ["diag", "diag_embed", "tril", "triu", "vander"]
