"""The positions of elements that are not zero, as many as are asked for: `nonzero_static`."""

from __future__ import annotations

import numpy as np

from rushlight.ops.kinds.reduction import same_scalar_type
from rushlight.ops.spec import primitive, public
from rushlight.tape.derivative import NOT_DIFFERENTIABLE


@primitive("NonzeroStatic", vjp=NOT_DIFFERENTIABLE)
def some_positions(x, *, size, fill_value):
    out = np.full((size, x.ndim), fill_value, np.int64)
    if x.ndim:
        found = np.argwhere(x)[:size]
        out[: len(found)] = found
    return out


@public(out=same_scalar_type, takes={"size": "int", "fill_value": "int"})
def nonzero_static(input, *, size, fill_value=-1):
    """The first `size` positions of elements that are not zero, (size, ndim), filled up with `fill_value`.

    Raises:
        RuntimeError: a negative size.

    Example:
        >>> import rushlight as torch
        >>> torch.nonzero_static(torch.tensor([1, 0, 2]), size=3)
        tensor([[ 0],
                [ 2],
                [-1]])
    """
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    return some_positions(input, size=int(size), fill_value=int(fill_value))


__all__ = ["nonzero_static"]
