"""Reflections: the QR decomposition as LAPACK keeps it, and products of its reflections."""

from __future__ import annotations

import numpy as np

from rushlight import return_types
from rushlight.dtypes import FLOATING
from rushlight.ops.kinds.reduction import same_dtype
from rushlight.ops.lapack import check_kernel, column_major
from rushlight.ops.spec import primitive, public


def _undefined(g):
    raise RuntimeError("derivative for geqrf is not implemented")


@primitive("Geqrf", vjp=(_undefined,), several=True)
def geqrf_(x):
    """R above the diagonal, the reflections' vectors below it, and their weights."""
    if not x.size:
        return x.copy(), np.zeros((*x.shape[:-2], min(x.shape[-2:])), x.dtype)
    turned, tau = np.linalg.qr(x, mode="raw")
    return column_major(turned.swapaxes(-1, -2)), tau


@public(out=same_dtype)
def geqrf(input):
    """`(a, tau)`: the QR decomposition as reflections I - tau v v^H, with v below the diagonal of `a` and R in the rest.

    Raises:
        RuntimeError: fewer than two dimensions.

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


@public(name="linalg.householder_product", takes={"tau": "Tensor"})
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
    from rushlight.ops.sequences import eye

    start = (
        eye(n, m, dtype=input._dtype).expand(*a.shape[:-2], n, m).contiguous().mT
    )  # columns in one piece, as LAPACK's
    return _reflected(input, tau, start)


@primitive("LinalgHouseholderProduct", vjp=(lambda g: None, lambda g: None, lambda g: g))
def unreflected_(x, tau, y):
    """y, where there is no reflection: recorded, though nothing depends on x and tau."""
    return column_major(y)


def _reflected(x, tau, y, adjoint=False):
    """H_1 H_2 ... H_k y, from the last reflection to the first; or H_k^H ... H_1^H y, from the first to the last."""
    from rushlight.ops.sequences import eye

    if not x._a.size or not tau._a.size:
        return unreflected_(x, tau, y)
    count = tau._a.shape[-1]
    vectors = x.tril(-1) + eye(*x._a.shape[-2:], dtype=x._dtype)
    for k in range(count) if adjoint else reversed(range(count)):
        v, weight = vectors.narrow(-1, k, 1), tau.narrow(-1, k, 1).unsqueeze(-1)
        y = y - (weight.conj() if adjoint else weight) * (v @ (v.mH @ y))
    return y


@public(takes={"tau": "Tensor", "other": "Tensor", "left": "bool", "transpose": "bool"})
def ormqr(input, tau, other, left=True, transpose=False):
    """Q `other`, where Q is the product of the reflections I - tau v v^H, with v below the diagonal of `input`.

    Args:
        left: whether Q stands on the left; else the result is `other` Q.
        transpose: whether Q^H takes the place of Q.

    Raises:
        RuntimeError: shapes or types that do not go together.

    Example:
        >>> import rushlight as torch
        >>> a = torch.tensor([[3., 1.], [4., 2.]])
        >>> reflections, tau = torch.geqrf(a)
        >>> torch.allclose(torch.ormqr(reflections, tau, a, transpose=True), reflections.triu(), atol=1e-6)
        True
    """
    _check_ormqr(input, tau, other, left)
    y = (
        other.mT.contiguous().mT if left else other.mH.contiguous()
    )  # the result's columns in one piece, as LAPACK's
    y = _reflected(input, tau, y, adjoint=bool(transpose) == bool(left))
    return y if left else y.mH


def _check_ormqr(input, tau, other, left):
    x, t, y = input._a, tau._a, other._a
    side = -2 if left else -1
    told = None
    if x.ndim < 2:
        told = "input must have at least 2 dimensions."
    elif y.ndim < 2:
        told = "other must have at least 2 dimensions."
    elif t.ndim == x.ndim - 1 and t.shape[-1] != min(y.shape[side], x.shape[-1]):
        told = f"tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
    elif y.shape[side] != x.shape[-2]:
        told = f"other.shape[{side}] must be equal to input.shape[-2]"
    elif x.ndim - t.ndim != 1:
        told = (
            f"Expected tau to have one dimension less than input, but got tau.ndim equal to {t.ndim} and input.ndim is equal "
            f"to {x.ndim}"
        )
    elif x.ndim != y.ndim:
        told = (
            f"Expected other to have the same number of dimensions as input, but got other.ndim equal to {y.ndim} and "
            f"input.ndim is equal to {x.ndim}"
        )
    elif t.shape[:-1] != x.shape[:-2]:
        told = (
            f"Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(t.shape[:-1])}"
        )
    elif y.shape[:-2] != x.shape[:-2]:
        told = f"Expected batch dimensions of other to be equal to input.shape[:-2], but got {list(y.shape[:-2])}"
    for name, other_one in (("tau", tau), ("other", other)):
        if told is None and other_one._dtype is not input._dtype:
            told = (
                f"Expected input and {name} to have the same dtype, but input has dtype{input._dtype.legacy} and {name} has "
                f"dtype {other_one._dtype.legacy}"
            )
    if told is not None:
        raise RuntimeError(f"torch.ormqr: {told}")
    check_kernel("ormqr_cpu", input)
