"""The largest singular values and principal components of a matrix, from its product with a random one.

N. Halko, P. G. Martinsson and J. A. Tropp, "Finding structure with randomness", arXiv:0909.4061, algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, get_default_dtype
from rushlight.ops.contractions import adjoint
from rushlight.ops.factorizations import qr, svd
from rushlight.ops.sampling import randn

__all__ = ["pca_lowrank", "svd_lowrank"]


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
