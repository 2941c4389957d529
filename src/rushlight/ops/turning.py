"""Turning the order of elements round: flip, rot90, roll."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.layout import iteration_strides, wrap_dim, wrap_dims
from rushlight.ops.kinds.ints import ints, listed
from rushlight.ops.spec import primitive, public
from rushlight.runtime.results import laid_out
from rushlight.runtime.reversed_rows import reversed_rows
from rushlight.tape.recording import record


@primitive("Flip", vjp=(lambda g, dims: g.flip(dims),))
def flip_dims(x, *, dims):
    if x.ndim - 1 in dims:
        found = reversed_rows(x)
        if found is not None:
            others = tuple([d for d in dims if d != x.ndim - 1])
            return np.flip(found, others).copy() if others else found
    turned = x[tuple(slice(None, None, -1) if d in dims else slice(None) for d in range(x.ndim))]
    if x.flags.c_contiguous or x.ndim < 2:
        return np.array(turned, order="C")
    return laid_out(turned, iteration_strides(x.shape, [x.strides]))


@public(out=False)
def flip(input, dims):
    """A copy with the order of the elements reversed along each of `dims`.

    Raises:
        RuntimeError: a dimension is named twice.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(3).flip(0)
        tensor([2, 1, 0])
    """
    if not isinstance(dims, (tuple, list)):
        raise TypeError(
            f"flip(): argument 'dims' (position 2) must be tuple of ints, not {type(dims).__name__}"
        )
    return flip_dims(input, dims=wrap_dims(ints(dims, "flip", "dims"), input._a.ndim))


def flip_method(self: Tensor, *given: Any, dims: Any = None) -> Tensor:
    """:func:`flip`; the dimensions may also be separate arguments."""
    a = self._a
    if (
        len(given) == 1
        and type(given[0]) is int
        and a.ndim == 2
        and a.flags.c_contiguous
        and -2 <= given[0] < 2
    ):
        dim = given[0] & 1
        found = reversed_rows(a) if dim else None
        out = new_tensor((a[:, ::-1] if dim else a[::-1]).copy() if found is None else found, self._dtype)
        if self._edge is not None:
            record(flip_dims.derivative, (self,), {"dims": (dim,)}, out)
        return out
    return flip(self, listed(given, dims, "flip", "dims"))


@public(out=False)
def fliplr(input):
    """A copy with dimension 1 reversed.

    Raises:
        RuntimeError: fewer than two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.fliplr(torch.tensor([[1, 2]]))
        tensor([[2, 1]])
    """
    if input._a.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


@public(out=False)
def flipud(input):
    """A copy with dimension 0 reversed.

    Raises:
        RuntimeError: no dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.flipud(torch.tensor([1, 2]))
        tensor([2, 1])
    """
    if input._a.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


@primitive("Rot90Backward0", vjp=(lambda g, k, dims: g.rot90(-k, dims),))
def rot90_dims(x, *, k, dims):
    turned = np.rot90(x, k, dims)
    if k % 4 == 0:
        return np.array(turned, order="C")
    steps = list(iteration_strides(x.shape, [x.strides]))
    if k % 2:
        steps[dims[0]], steps[dims[1]] = steps[dims[1]], steps[dims[0]]
    return laid_out(turned, tuple(steps))


@public(out=False, takes={"k": "int", "dims": "tuple of ints"})
def rot90(input, k=1, dims=(0, 1)):
    """A copy turned by k quarter turns in the plane of two dimensions.

    Raises:
        RuntimeError: `dims` are not two different dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).rot90()
        tensor([[2, 4],
                [1, 3]])
    """
    ndim = input._a.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    return rot90_dims(input, k=k, dims=tuple(wrap_dim(d, ndim) for d in dims))


@primitive("Roll", vjp=(lambda g, shifts, dims: g.roll([-s for s in shifts], dims),))
def roll_dims(x, *, shifts, dims):
    if not x.size:
        return np.empty(x.shape, x.dtype)
    if not dims:
        return _rolled(x.reshape(-1), shifts[0], 0).reshape(x.shape)
    for shift, dim in zip(shifts, dims):
        x = _rolled(x, shift, dim)
    return x


def _rolled(x: np.ndarray, shift: int, dim: int) -> np.ndarray:
    """A row-major copy, moved round along one dimension: what falls off the end comes first."""
    last = x.shape[dim] - shift % x.shape[dim]
    before = (slice(None),) * dim
    return np.ascontiguousarray(
        np.concatenate((x[(*before, slice(last, None))], x[(*before, slice(last))]), dim)
    )


@public(out=False)
def roll(input, shifts, dims=()):
    """A copy with the elements moved round by `shifts` along `dims`, or through all of them.

    Raises:
        RuntimeError: there are not as many shifts as dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(4).roll(1)
        tensor([3, 0, 1, 2])
    """
    if type(shifts) is int and type(dims) is int and 0 <= dims < input._a.ndim:
        return roll_dims(input, shifts=(shifts,), dims=(dims,))
    shifts = ints(shifts, "roll", "shifts")
    dims = () if dims is None else ints(dims, "roll", "dims")
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims) and (dims or len(shifts) > 1):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if dims and input._a.ndim == 0:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return roll_dims(input, shifts=shifts, dims=tuple(wrap_dim(d, input._a.ndim) for d in dims))
