"""Matrices as products of simpler ones: QR, singular values, eigenvalues, LU."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX, FLOATING, int32
from rushlight.ops import lapack
from rushlight.ops.contractions import adjoint
from rushlight.ops.joining import cat
from rushlight.ops.lapack import (
    LinAlgError,
    batch_element,
    check_float,
    check_kernel,
    check_matrix,
    check_square,
    check_tensor,
    column_major,
)
from rushlight.ops.linear_algebra import solve_, triangular_
from rushlight.ops.spec import primitive, public
from rushlight.runtime.execute import wrap

_NOT_FINITE = "The algorithm failed to converge because the input matrix contained non-finite values."


def _halve_diagonal(t: Any) -> Any:
    return t - (t.diagonal(0, -2, -1) * 0.5).diag_embed()


# ---- QR ----


def _qr_vjp(g: Any, out: Any, mode: str) -> tuple:
    """Walter and Lehmann, arXiv:1009.6112; wide matrices after Roberts and Roberts, arXiv:2009.10071."""
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
            "linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    (to_q, to_r), (q, r) = g, out
    m, n = q._a.shape[-2], r._a.shape[-1]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        )
    if to_q is None and to_r is None:
        return (None,)
    inner: Any = 0
    if to_r is not None:
        inner = to_r @ adjoint(r)
    if to_q is not None:
        inner = inner - adjoint(q) @ to_q
    if m >= n:
        upper = inner.triu()
        made = q @ _halve_diagonal(upper + adjoint(upper))
        made = made if to_q is None else made + to_q
        return (triangular_(adjoint(r), made, upper=False, left=False, unitriangular=False),)
    inner = -inner
    made = q @ _halve_diagonal((inner - adjoint(inner)).tril())
    made = triangular_(adjoint(r.narrow(-1, 0, m)), made, upper=False, left=False, unitriangular=False)
    made = _widen(made, n)
    return (made if to_r is None else made + q @ to_r,)


def _widen(t: Any, n: int) -> Any:
    """The matrix with zero columns added on the right."""
    zeros = t.new_zeros(*t._a.shape[:-1], n - t._a.shape[-1])
    return cat((t, zeros), -1)


@primitive("LinalgQr", vjp=_qr_vjp, several=True)
def qr_(x, *, mode):
    m, n = x.shape[-2:]
    if mode == "r":
        return np.zeros(0, x.dtype), column_major(np.linalg.qr(x, "r"))
    q, r = np.linalg.qr(x, mode)
    if mode == "complete" and n == 0 or not x.size:
        k = m if mode == "complete" else min(m, n)
        q = np.broadcast_to(np.eye(m, k, dtype=x.dtype), (*x.shape[:-2], m, k))
    return column_major(q), column_major(r)


@public(name="linalg.qr")
def qr(A, mode="reduced"):
    """An orthonormal Q and an upper triangular R with A = Q R.

    Raises:
        RuntimeError: an unknown mode, not a matrix, not floating.

    Example:
        >>> import rushlight as torch
        >>> q, r = torch.linalg.qr(torch.tensor([[3., 1.], [4., 2.]]))
        >>> r[0, 0].abs()
        tensor(5.)
    """
    check_matrix("linalg.qr", A)
    check_float("linalg.qr", A, low=True)
    check_kernel("geqrf_cpu", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return lapack.qr(qr_(A, mode=mode))


@public(name="qr")
def torch_qr(input, some=True):
    """Q and R: :func:`linalg.qr`."""
    return lapack.old_qr(qr(input, "reduced" if some else "complete"))


# ---- singular values ----


def _svd_vjp(g: Any, out: Any, full_matrices: bool) -> tuple:
    """Wan and Zhang, arXiv:1909.02659, with skew(X) = X - X^H and E[j, k] = s_k^2 - s_j^2."""
    to_u, to_s, to_vh = g
    u, s, vh = out
    m, n = u._a.shape[-2], vh._a.shape[-1]
    k = min(m, n)
    if full_matrices:
        u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
        to_u = None if to_u is None else to_u.narrow(-1, 0, k)
        to_vh = None if to_vh is None else to_vh.narrow(-2, 0, k)
    if to_u is None and to_vh is None:
        return (None,) if to_s is None else ((u * to_s.unsqueeze(-2)) @ vh,)
    by_u = None if to_u is None else _skew(adjoint(u) @ to_u)
    by_v = None if to_vh is None else _skew(vh @ adjoint(to_vh))
    squares = s * s
    gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1)
    gaps = gaps + wrap(np.eye(k, dtype=s._a.dtype))
    if by_u is not None and by_v is not None:
        inner = (by_u * s.unsqueeze(-2) + s.unsqueeze(-1) * by_v) / gaps
    elif by_u is not None:
        inner = (by_u / gaps) * s.unsqueeze(-2)
    else:
        inner = s.unsqueeze(-1) * (by_v / gaps)
    if to_s is not None:
        inner = inner + to_s.diag_embed()
    if u._dtype.category == COMPLEX and by_u is not None and by_v is not None:
        inner = inner + (by_u.diagonal(0, -2, -1) / (2 * s)).diag_embed()
    if m > k and to_u is not None:
        scaled = to_u / s.unsqueeze(-2)
        return ((u @ inner + scaled - u @ (adjoint(u) @ scaled)) @ vh,)
    if n > k and to_vh is not None:
        scaled = to_vh / s.unsqueeze(-1)
        return (u @ (inner @ vh + scaled - (scaled @ adjoint(vh)) @ vh),)
    return (u @ inner @ vh,)


def _skew(t: Any) -> Any:
    return t - adjoint(t)


@primitive("LinalgSvd", vjp=_svd_vjp, several=True)
def svd_(x, *, full_matrices):
    try:
        u, s, vh = np.linalg.svd(x, full_matrices=full_matrices)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.svd: " + _NOT_FINITE) from None
    return column_major(u), np.ascontiguousarray(s), column_major(vh)


@public(name="linalg.svd", takes={"full_matrices": "bool"})
def svd(A, full_matrices=True, *, driver=None):
    """U, singular values in descending order, and V^H, with A = U diag(S) V^H.

    Raises:
        LinAlgError: the matrix holds infinities or NaNs.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.svd(torch.tensor([[0., 2.], [1., 0.]])).S
        tensor([2., 1.])
    """
    check_matrix("linalg.svd", A)
    check_float("linalg.svd", A, low=True)
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    check_kernel("linalg_svd_cpu", A)
    check_finite("linalg.svd", A)
    return lapack.svd(svd_(A, full_matrices=bool(full_matrices)))


def check_finite(name: str, t: Tensor) -> None:
    a = t._a
    if a.size and not np.isfinite(a).all():
        bad = ~np.isfinite(a).all(axis=(-2, -1))
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise LinAlgError(f"{name}: {batch_element(index, a.shape[:-2])}{_NOT_FINITE}")


@public(name="svd", takes={"some": "bool", "compute_uv": "bool"})
def torch_svd(input, some=True, compute_uv=True):
    """U, S and V: like :func:`linalg.svd`, with V rather than V^H."""
    u, s, vh = svd(input, full_matrices=not some)
    if not compute_uv:
        m, n = input._a.shape[-2:]
        lead = input._a.shape[:-2]
        return lapack.old_svd((input.new_zeros(*lead, m, m), s, input.new_zeros(*lead, n, n).mT))
    return lapack.old_svd((u, s, adjoint(vh)))


@public(name="linalg.svdvals")
def svdvals(A, *, driver=None):
    """Singular values in descending order.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.svdvals(torch.tensor([[0., 2.], [1., 0.]]))
        tensor([2., 1.])
    """
    return svd(A, full_matrices=False, driver=driver)[1]


# ---- eigenvalues ----


def _eigh_vjp(g: Any, out: Any, UPLO: str) -> tuple:
    to_values, to_vectors = g
    values, v = out
    if to_vectors is None:
        return (None,) if to_values is None else ((v * to_values.unsqueeze(-2)) @ adjoint(v),)
    gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
    eye = wrap(np.eye(values._a.shape[-1], dtype=bool))
    inner = (adjoint(v) @ to_vectors / gaps.masked_fill(eye, 1)).masked_fill(eye, 0)
    if to_values is not None:
        inner = inner + to_values.diag_embed()
    return (v @ inner @ adjoint(v),)


@primitive("LinalgEigh", vjp=_eigh_vjp, several=True)
def eigh_(x, *, UPLO):
    try:
        values, vectors = np.linalg.eigh(x, UPLO)
    except np.linalg.LinAlgError:
        raise LinAlgError("linalg.eigh: " + _NOT_FINITE) from None
    return np.ascontiguousarray(values), column_major(vectors)


@public(name="linalg.eigh", takes={"UPLO": "str"})
def eigh(input, UPLO="L"):
    """Eigenvalues in ascending order and orthonormal eigenvectors of Hermitian matrices.

    Only the triangle that `UPLO` names is looked at.

    Raises:
        RuntimeError: `UPLO` is neither "L" nor "U", or these are no square matrices of floats.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.eigh(torch.tensor([[2., 0.], [0., 1.]])).eigenvalues
        tensor([1., 2.])
    """
    check_square("linalg.eigh", input)
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    check_kernel("linalg_eigh_cpu", input)
    check_finite("linalg.eigh", input)
    return lapack.eigh(eigh_(input, UPLO=UPLO.upper()))


@public(name="linalg.eigvalsh", takes={"UPLO": "str"})
def eigvalsh(input, UPLO="L"):
    """Eigenvalues of Hermitian matrices in ascending order."""
    return eigh(input, UPLO)[0]


def _eig_vjp(g: Any, out: Any, x_meta: Any) -> tuple:
    """Boeddeker et al., arXiv:1701.00392."""
    to_values, to_vectors = g
    values, v = out
    if to_values is None and to_vectors is None:
        return (None,)
    made = None
    if to_vectors is not None:
        inner = adjoint(v) @ to_vectors
        length = inner.diagonal(0, -2, -1).real.to(v._dtype).unsqueeze(-2)
        gaps = (values.unsqueeze(-2) - values.unsqueeze(-1)).conj()
        eye = wrap(np.eye(values._a.shape[-1], dtype=bool))
        inner = inner - (adjoint(v) @ v) * length
        made = (inner / gaps.masked_fill(eye, 1)).masked_fill(eye, 0)
    if to_values is not None:
        diagonal = to_values.diag_embed()
        made = diagonal if made is None else made + diagonal
    made = solve_(adjoint(v), made @ adjoint(v), vector=False, left=True, name="linalg.solve")
    return (made if x_meta.dtype.category == COMPLEX else made.real,)


@primitive("LinalgEig", vjp=_eig_vjp, several=True)
def eig_(x):
    values, vectors = np.linalg.eig(x)
    kind = np.complex64 if x.dtype in (np.float32, np.complex64) else np.complex128
    return values.astype(kind), column_major(vectors.astype(kind))


def _check_eig(name: str, t: Any) -> None:
    check_square(name, t)
    if t._dtype.category < FLOATING:
        raise RuntimeError(f"Unknown Complex ScalarType for {t._dtype.legacy}")
    check_kernel("linalg_eig_out_cpu", t)
    if not np.isfinite(t._a).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


@public(name="linalg.eig")
def eig(input):
    """Eigenvalues (complex, in no order) and eigenvectors of square matrices.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.eig(torch.tensor([[2., 0.], [0., 1.]])).eigenvalues
        tensor([2.+0.j, 1.+0.j])
    """
    _check_eig("linalg.eig", input)
    return lapack.eig(eig_(input))


@public(name="linalg.eigvals")
def eigvals(input):
    """Eigenvalues of square matrices, complex, in no order."""
    _check_eig("linalg.eigvals", input)
    return eig_(input)[0]


# ---- LU ----


def lu_gradient(to_l: Any, to_u: Any, p: Any, l: Any, u: Any) -> Any:
    """The gradient of A = P L U; wide and tall matrices have a square part and a rest.

    Square: P L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H.
    """
    m, n = l._a.shape[-2], u._a.shape[-1]
    k = min(m, n)
    l1, u1 = l.narrow(-2, 0, k), u.narrow(-1, 0, k)
    low = None if to_l is None else adjoint(l1) @ to_l.narrow(-2, 0, k)
    high = None if to_u is None else to_u.narrow(-1, 0, k) @ adjoint(u1)
    rest_u = to_u.narrow(-1, k, n - k) if n > k and to_u is not None else None
    rest_l = to_l.narrow(-2, k, m - k) if m > k and to_l is not None else None
    if rest_u is not None:
        off = rest_u @ adjoint(u.narrow(-1, k, n - k))
        low = -off if low is None else low - off
    if rest_l is not None:
        off = adjoint(l.narrow(-2, k, m - k)) @ rest_l
        high = -off if high is None else high - off
    inner = None if low is None else low.tril(-1)
    if high is not None:
        inner = high.triu() if inner is None else inner + high.triu()
    made = triangular_(adjoint(u1), inner, upper=False, left=False, unitriangular=False)
    if n > k:
        right = rest_u if rest_u is not None else made.new_zeros(*made._a.shape[:-1], n - k)
        made = cat((made, right), -1)
    made = triangular_(adjoint(l1), made, upper=True, left=True, unitriangular=True)
    if m > k:
        below = (
            triangular_(adjoint(u1), rest_l, upper=False, left=False, unitriangular=False)
            if rest_l is not None
            else made.new_zeros(*made._a.shape[:-2], m - k, n)
        )
        made = cat((made, below), -2)
    return p @ made if p is not None else made


def _parts(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, n = a.shape[-2:]
    k = min(m, n)
    lower = np.tril(a[..., :, :k], -1)
    np.einsum("...ii->...i", lower[..., :k, :])[...] = 1
    return lower, np.triu(a[..., :k, :])


def permutation_matrix(pivots: np.ndarray, m: int, kind: np.dtype) -> np.ndarray:
    order = lapack.permutation(pivots, m)
    out = np.zeros((*order.shape, m), kind)
    np.put_along_axis(out, order[..., None, :], 1, -2)
    return out


@primitive(
    "LinalgLu",
    vjp=lambda g, out, pivot: (
        None
        if g[1] is None and g[2] is None
        else lu_gradient(g[1], g[2], out[0] if pivot else None, out[1], out[2]),
    ),
    several=True,
    differentiable=(1, 2),
)
def lu_(x, *, pivot):
    packed, pivots, _ = lapack.lu(x, pivot)
    lower, upper = _parts(packed)
    p = permutation_matrix(pivots, x.shape[-2], x.dtype) if pivot else np.zeros(0, x.dtype)
    return p, lower, upper


def check_factored(name: str, t: Any) -> None:
    check_tensor(name, "input", 1, t)
    if t._a.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(t._a.shape)} instead"
        )


def _check_lu(name: str, t: Any) -> None:
    check_factored(name, t)
    check_kernel("lu_cpu", t)


@public(name="linalg.lu", takes={"pivot": "bool"})
def lu(A, *, pivot=True):
    """A permutation P, a unit lower triangular L and an upper triangular U with A = P L U.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.lu(torch.tensor([[0., 1.], [2., 4.]])).U
        tensor([[2., 4.],
                [0., 1.]])
    """
    _check_lu("linalg.lu", A)
    return lapack.lu_result(lu_(A, pivot=bool(pivot)))


def _lu_factor_vjp(g: Any, out: Any, pivot: bool) -> tuple:
    if g[0] is None:
        return (None,)
    packed, pivots, _ = out
    m, n = packed._a.shape[-2:]
    k = min(m, n)
    eye = wrap(np.eye(m, k, dtype=packed._a.dtype))
    l, u = packed.narrow(-1, 0, k).tril(-1) + eye, packed.narrow(-2, 0, k).triu()
    p = wrap(permutation_matrix(pivots._a, m, packed._a.dtype)) if pivot else None
    return (lu_gradient(g[0].narrow(-1, 0, k).tril(-1), g[0].narrow(-2, 0, k).triu(), p, l, u),)


@primitive("LinalgLuFactorEx", vjp=_lu_factor_vjp, several=True, differentiable=(0,))
def lu_factor_(x, *, pivot):
    packed, pivots, info = lapack.lu(x, pivot)
    return column_major(packed), np.asarray(pivots, np.int32), np.asarray(info, np.int32)


@public(name="linalg.lu_factor_ex", takes={"pivot": "bool"})
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """L and U in one matrix, row exchanges, and for each matrix 0 or the first zero on U's diagonal."""
    _check_lu("torch.lu_factor_ex", A)
    made = lu_factor_(A, pivot=bool(pivot))
    if check_errors:
        _check_info("torch.linalg.lu_factor_ex", made[2]._a)
    return lapack.lu_factor_ex(made)


def _check_info(name: str, info: np.ndarray) -> None:
    if not info.any():
        return
    index = tuple(int(i) for i in np.argwhere(info)[0]) if info.ndim else ()
    at = int(info[index])
    raise RuntimeError(
        f"{name}: {batch_element(index, info.shape)}U[{at},{at}] is zero and using it on lu_solve would result in a "
        "division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
        "linalg.lu_factor_ex(A, pivot)"
    )


@public(name="linalg.lu_factor", takes={"pivot": "bool"})
def lu_factor(A, *, pivot=True):
    """L and U in one matrix, and the row exchanges, counted from 1.

    Raises:
        RuntimeError: a zero on U's diagonal.
    """
    _check_lu("torch.lu_factor", A)
    packed, pivots, info = lu_factor_(A, pivot=bool(pivot))
    _check_info("torch.linalg.lu_factor", info._a)
    return lapack.lu_factor((packed, pivots))


def _check_solve(LU: Any, pivots: Any, B: Any, left: bool) -> None:
    if B._a.ndim < 2:
        raise RuntimeError("linalg.lu_solve: The input tensor B must have at least 2 dimensions.")
    n = LU._a.shape[-1]
    rows, columns = B._a.shape[-2:]
    if pivots._dtype is not int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    if LU._dtype is not B._dtype:
        raise RuntimeError(
            f"linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type {LU._dtype.legacy} and B of "
            f"type {B._dtype.legacy} instead"
        )
    if n != (rows if left else columns):
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({n}x{n} and {rows}x{columns})"
        )
    if pivots._a.ndim == 0 or pivots._a.shape[-1] != n:
        raise RuntimeError(
            "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if pivots._a.shape[:-1] != LU._a.shape[:-2]:
        raise RuntimeError("linalg.lu_solve: batch dimensions of LU and pivots should be the same")
    check_kernel("linalg.lu_solve_cpu", LU)
    if pivots._a.size and (pivots._a.min() < 1 or pivots._a.max() > n):
        raise RuntimeError("linalg.lu_solve: pivots should be between 1 and the size of the matrix")


_turn = adjoint


@public(name="linalg.lu_solve", takes={"adjoint": "bool", "left": "bool"})
def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """X of A X = B (or X A = B) from the factors of :func:`linalg.lu_factor`."""
    for at, (argument, t) in enumerate((("LU", LU), ("pivots", pivots), ("B", B)), 1):
        check_tensor("linalg.lu_solve", argument, at, t)
    check_float("torch.linalg.lu_solve", LU, low=True)
    check_square("torch.linalg.lu_solve", LU)
    _check_solve(LU, pivots, B, left)
    m = LU._a.shape[-1]
    p = wrap(permutation_matrix(pivots._a, m, LU._a.dtype))
    options = {"left": True}
    turned = adjoint if left else not adjoint
    b = B if left else _turn(B)
    if turned:
        made = triangular_(_turn(LU), b, upper=False, unitriangular=False, **options)
        made = triangular_(_turn(LU), made, upper=True, unitriangular=True, **options)
        made = (made.mT @ p.mT).mT  # (columns contiguous, as LAPACK leaves them)
    else:
        made = triangular_(LU, p.mT @ b, upper=False, unitriangular=True, **options)
        made = triangular_(LU, made, upper=True, unitriangular=False, **options)
    return made if left else _turn(made)


__all__ = ["eig", "lu", "qr", "svd"]
