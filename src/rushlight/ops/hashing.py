"""The bits of all elements, combined: `hash_tensor`."""

from __future__ import annotations

import numpy as np

from rushlight.dtypes import COMPLEX, uint64
from rushlight.ops.kinds.reduction import reduced_dims
from rushlight.ops.spec import primitive, public
from rushlight.tape.derivative import NOT_DIFFERENTIABLE


@primitive("HashTensor", vjp=NOT_DIFFERENTIABLE)
def xor_dims(x, *, dims, keepdim):
    wide = x.astype(
        np.float64 if x.dtype.kind not in "biu" else np.uint64 if x.dtype.kind == "u" else np.int64
    )
    return np.bitwise_xor.reduce(wide.view(np.uint64), dims, keepdims=keepdim)


def _exact(plain, outs, args, kwargs):
    for out in outs:
        if out._dtype is not uint64:
            raise RuntimeError(f"Expected result to be of dtype uint64, but got {out._dtype.legacy}")
    return plain(*args, **kwargs)


@public(out=_exact)
def hash_tensor(input, dim=(), keepdim=False, *, mode=0):
    """The exclusive or of all elements' bits, or of those along `dim`: as float64, or as integers of 64 bits.

    Raises:
        RuntimeError: a mode other than 0; nothing to combine.
        NotImplementedError: complex numbers.

    Example:
        >>> import rushlight as torch
        >>> torch.hash_tensor(torch.tensor([1, 2, 4]))
        tensor(7, dtype=torch.uint64)
    """
    if not isinstance(keepdim, bool):
        raise TypeError(f"hash_tensor(): argument 'keepdim' must be bool, not {type(keepdim).__name__}")
    if mode != 0:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    if input._dtype.category == COMPLEX:
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{input._dtype.legacy}'")
    everything = dim is None or dim == () or dim == []
    dims = reduced_dims(None if everything else dim, input._a.ndim, "hash_tensor")
    if not input._a.size:
        if everything:
            raise RuntimeError(
                "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with "
                "the 'dim' argument."
            )
        for d in dims:
            if not input._a.shape[d]:
                raise IndexError(f"hash_tensor: Expected reduction dim {d} to have non-zero size.")
    return xor_dims(input, dims=dims, keepdim=keepdim)


__all__ = ["hash_tensor"]
