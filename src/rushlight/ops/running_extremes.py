"""The largest or smallest element so far, and where it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX
from rushlight.ops.kinds.reduction import (
    one_dim,
    refuse_kinds,
    same_scalar_type,
)
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.positions import added_along
from rushlight.ops.spec import primitive, public
from rushlight.runtime.running_extremes import running
from rushlight.tape.modes import direct


def _running(a: np.ndarray, dim: int, reach: Any) -> tuple:
    """The extreme so far and where it was: of equals the last, and the last nan once there is one."""
    if not a.ndim:
        return a.copy(), np.zeros((), np.int64)
    found = running(a, dim, reach is np.maximum)
    if found is not None:
        return found
    values = np.ascontiguousarray(reach.accumulate(a, dim))
    places = np.arange(a.shape[dim]).reshape([-1 if d == dim else 1 for d in range(a.ndim)])
    hits = a == values
    if a.dtype.kind not in "biu":
        hits |= np.isnan(a)
    return values, np.ascontiguousarray(np.maximum.accumulate(np.where(hits, places, 0), dim))


def _gathered(g: Any, x: Any, out1: Any, dim: int) -> Any:
    """As in PyTorch, the input is kept whole."""
    g = g[0]
    if x.shape and direct(g):
        return added_along(g, x.shape, out1._a, dim)
    return g.new_zeros(x.shape).scatter_add(dim, out1, g) if x.shape else g


@primitive("Cummax", several=True, differentiable=(0,), vjp=(_gathered,))
def cummax_dim(x, *, dim):
    return _running(x, dim, np.maximum)


@primitive("Cummin", several=True, differentiable=(0,), vjp=(_gathered,))
def cummin_dim(x, *, dim):
    return _running(x, dim, np.minimum)


@public(out=same_scalar_type)
def cummax(input: Tensor, dim: int) -> Any:
    """The largest element so far along `dim`, and its index (of equals, the last).

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 3., 2., 3.]).cummax(0).indices
        tensor([0, 1, 1, 3])
    """
    dim = one_dim(dim, input._a.ndim, "cummax")
    if input._a.ndim and input._a.size:
        refuse_kinds("cummax_cpu", input, COMPLEX)
    made = cummax_dim(input, dim=dim)
    real_gradient("cummax", made[0])
    return return_types.cummax(made)


@public(out=same_scalar_type)
def cummin(input: Tensor, dim: int) -> Any:
    """The smallest element so far along `dim`, and its index (of equals, the last).

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 1., 2., 1.]).cummin(0).indices
        tensor([0, 1, 1, 3])
    """
    dim = one_dim(dim, input._a.ndim, "cummin")
    if input._a.ndim and input._a.size:
        refuse_kinds("cummin_cpu", input, COMPLEX)
    made = cummin_dim(input, dim=dim)
    real_gradient("cummin", made[0])
    return return_types.cummin(made)
