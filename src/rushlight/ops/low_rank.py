"""The largest singular values and principal components of a matrix, from its product with a random one; and its largest eigenvalues.

N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", arXiv:0909.4061, algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any

from rushlight.batched import asking
from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, get_default_dtype
from rushlight.ops.cholesky import cholesky
from rushlight.ops.contractions import adjoint
from rushlight.ops.factorizations import eigh, qr, svd
from rushlight.ops.linear_algebra import solve_triangular
from rushlight.ops.sampling import randn

__all__ = ["lobpcg", "pca_lowrank", "svd_lowrank"]


def _range(A: Tensor, q: int, niter: int) -> Tensor:
    """An orthonormal basis of nearly the span of A's first `q` singular vectors."""
    kind: Any = A._dtype if A._dtype.category >= FLOATING else get_default_dtype()
    made = A @ randn(A._a.shape[-1], q, dtype=kind)
    for _ in range(niter):
        made = A @ qr(adjoint(A) @ qr(made).Q).Q
    return qr(made).Q


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of nearly the `q` largest singular values of A - M, with A - M = U diag(S) V^H as far as they go.

    Args:
        q: somewhat more than the rank that is expected.
        niter: how often to multiply with A A^H, for singular values that decay slowly.
        M: what to take off A, of a shape that broadcasts; none by default.

    Example:
        >>> import rushlight as torch
        >>> a = torch.outer(torch.tensor([3.0, 4.0, 0.0]), torch.tensor([1.0, 0.0]))
        >>> torch.svd_lowrank(a, q=1)[1]
        tensor([5.])
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    A = A if M is None else A - M.broadcast_to(A.shape)
    wide = A._a.shape[-2] < A._a.shape[-1]
    A = adjoint(A) if wide else A
    basis = _range(A, q, niter)
    u, s, vh = svd(adjoint(basis) @ A, full_matrices=False)
    u, v = basis @ u, adjoint(vh)
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """(U, S, V) of nearly the `q` largest singular values of A with its columns' means taken off: V are the principal directions.

    Args:
        q: by default 6, or what there is; center: whether the means are taken off; niter: as for :func:`svd_lowrank`.

    Raises:
        ValueError: `q` is more than there is, or `niter` is negative.

    Example:
        >>> import rushlight as torch
        >>> points = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
        >>> torch.pca_lowrank(points, q=1)[2].abs()
        tensor([[0.7071],
                [0.7071]])
    """
    m, n = A._a.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(dim=(-2,), keepdim=True) if center else A, q, niter)


@asking
def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: dict | None = None,
    ortho_fparams: dict | None = None,
    ortho_bparams: dict | None = None,
) -> tuple[Tensor, Tensor]:
    """The `k` largest (or smallest) eigenvalues of A x = l B x for symmetric A and positive definite B, and vectors with x^T B x = 1.

    PyTorch iterates from X, with the preconditioner iK, at most `niter` times until the residuals are below `tol`. Here LAPACK
    finds all of them, to the precision of the type, whatever these say: a block method pays where A is too large for that.

    Raises:
        AssertionError: A is not square.
        ValueError: A has fewer rows than three times as many as vectors are wanted.
        NotImplementedError: `tracker`, which is to be called at each iteration.

    Example:
        >>> import rushlight as torch
        >>> torch.lobpcg(torch.diag(torch.tensor([1.0, 5.0, 3.0])), k=1)[0]
        tensor([5.])
    """
    if tracker is not None:
        raise NotImplementedError("lobpcg: there are no iterations here to call the tracker at; leave it out")
    if A.shape[-2] != A.shape[-1]:
        raise AssertionError(f"A must be square, got shape {A.shape}")
    k = (1 if X is None else X.shape[-1]) if k is None else k
    wanted = X.shape[-1] if X is not None else k if n is None else n
    if A.shape[-1] < 3 * wanted:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={A.shape[-1]}) is smaller than 3 x the number of "
            f"requested eigenpairs (={wanted})"
        )
    A = A.to_dense()
    if B is None:
        values, vectors = eigh(A)
    else:
        # With B = L L^T and y = L^T x, L^-1 A L^-T y = l y.
        lower = cholesky(B.to_dense())
        left = solve_triangular(lower, A, upper=False)
        values, turned = eigh(solve_triangular(lower, adjoint(left), upper=False))
        vectors = solve_triangular(adjoint(lower), turned, upper=True)
    if largest is None or largest:
        values, vectors = values.flip(-1), vectors.flip(-1)
    return values[..., :k], vectors[..., :k]
