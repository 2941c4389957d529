"""Reflections: the QR decomposition as LAPACK keeps it, and products of its reflections."""

from __future__ import annotations

import numpy as np

from rushlight import return_types
from rushlight.dtypes import FLOATING
from rushlight.ops.kinds.reduction import same_dtype
from rushlight.ops.lapack import check_kernel
from rushlight.ops.spec import primitive, public


def _undefined(g):
    raise RuntimeError("derivative for geqrf is not implemented")


@primitive("Geqrf", vjp=(_undefined,), several=True)
def geqrf_(x):
    """R above the diagonal, the reflections' vectors below it, and their weights."""
    if not x.size:
        return x.copy(), np.zeros((*x.shape[:-2], min(x.shape[-2:])), x.dtype)
    turned, tau = np.linalg.qr(x, mode="raw")
    return np.ascontiguousarray(turned.swapaxes(-1, -2)), tau


@public(out=same_dtype)
def geqrf(input):
    """`(a, tau)`: the QR decomposition as reflections I - tau v v^H, with v below the diagonal of `a` and R in the rest.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[3., 1.], [4., 2.]])
        >>> reflections, tau = torch.geqrf(a)
        >>> torch.allclose(torch.linalg.householder_product(reflections, tau) @ reflections.triu(), a)
        True
    """
    if input._a.ndim < 2:
        raise RuntimeError(
            f"torch.geqrf: input must have at least 2 dimensions. Got {input._a.ndim} dimensions instead."
        )
    check_kernel("geqrf_cpu", input)
    return return_types.geqrf(geqrf_(input))


@public(name="linalg.householder_product")
def householder_product(input, tau):
    """The first columns of the product of the reflections I - tau v v^H, with v below the diagonal of `input`.

    Raises:
        RuntimeError: more columns than rows, or weights, than there may be.
    """
    a, t = input._a, tau._a
    if a.ndim < 2:
        raise RuntimeError("torch.linalg.householder_product: input must have at least 2 dimensions.")
    m, n = a.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if n < (t.shape[-1] if t.ndim else 0):
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if a.ndim - t.ndim != 1:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected tau to have one dimension less than input, but got tau.ndim equal "
            f"to {t.ndim} and input.ndim is equal to {a.ndim}"
        )
    if a.shape[:-2] != t.shape[:-1]:
        raise RuntimeError(
            "torch.linalg.householder_product: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(t.shape[:-1])}"
        )
    if input._dtype is not tau._dtype:
        raise RuntimeError(
            f"torch.linalg.householder_product: tau dtype {tau._dtype.legacy} does not match input dtype "
            f"{input._dtype.legacy}"
        )
    if input._dtype.category < FLOATING:
        raise NotImplementedError(f"\"orgqr_cpu\" not implemented for '{input._dtype.legacy}'")
    return _product(input, tau, m, n)


def _product(x, tau, m, n):
    """Applied to the first columns of the identity, from the last reflection to the first."""
    from rushlight.ops.sequences import eye

    q = eye(m, n, dtype=x._dtype).expand(x._a.shape)
    vectors = x.tril(-1) + eye(m, n, dtype=x._dtype)
    for k in reversed(range(tau._a.shape[-1])):
        v = vectors.narrow(-1, k, 1)
        q = q - tau.narrow(-1, k, 1).unsqueeze(-1) * (v @ (v.mH @ q))
    return q if tau._a.shape[-1] else q + x * 0  # which is recorded, though nothing depends on it
