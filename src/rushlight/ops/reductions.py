"""Reductions: sum, mean and the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import ALL, FLOATING, dtype, float32, float64, int64
from rushlight.ops.kinds.reduction import reduced_dims
from rushlight.ops.spec import as_dtype, primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet

_F64, _F32 = np.dtype(np.float64), np.dtype(np.float32)
#: float sums of at most this many terms are added exactly (math.fsum) and rounded once
_EXACT = 64


def expand_reduced(g: Any, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    """A reduced gradient, shown in the shape of what was reduced."""
    if not keepdim and shape:
        dims = reduced_dims(dim, len(shape))
        g = g.reshape(tuple(1 if d in dims else n for d, n in enumerate(shape)))
    return g.expand(shape)


def _sum_all(a: np.ndarray) -> Any:
    """The sum of a floating array, accumulated in float64."""
    if a.size <= _EXACT:
        try:
            return math.fsum(a.ravel().tolist())
        except (OverflowError, ValueError):
            pass
    return quiet(np.add.reduce, a, None, _F64)


@primitive("Sum", vjp=(lambda g, x_meta: g.expand(x_meta.shape),))
def sum_all(x):
    if x.dtype is _F32 or x.dtype is _F64:
        return np.array(_sum_all(x), x.dtype)
    return np.asarray(x.sum(dtype=np.int64 if x.dtype.kind in "biu" else None))


@primitive("SumBackward1", vjp=(lambda g, x_meta, dim, keepdim: expand_reduced(g, x_meta.shape, dim, keepdim),))
def sum_dims(x, *, dim, keepdim):
    if x.dtype is _F32:
        return np.asarray(np.add.reduce(x, dim, _F64, None, keepdim), _F32)
    return np.asarray(np.add.reduce(x, dim, np.int64 if x.dtype.kind in "biu" else None, None, keepdim))


@public
def sum(input, dim=None, keepdim=False, *, dtype=None):
    """Sum over all elements, or over the dimensions `dim`."""
    if dtype is not None:
        input = input.to(as_dtype(dtype, "sum"))
    if dim is None and not keepdim:
        return sum_all(input)
    return sum_dims(input, dim=reduced_dims(dim, input._a.ndim, "sum"), keepdim=keepdim)


__all__ = ["ALL", "FLOATING", "Tensor", "convert", "dtype", "float32", "float64", "int64", "new_tensor", "sum"]
