"""The normal distribution of vectors whose covariance is a diagonal matrix and a few directions."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.normal_vector import NormalVector, solved, squared_size, times
from rushlight.distributions.utils import _standard_normal, lazy_property

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(NormalVector):
    """Normal vectors with covariance W W^T + D: W (`cov_factor`) has few columns, D is the diagonal `cov_diag`.

    Determinant and inverse are taken of the small matrix K = I + W^T D^-1 W only: by the determinant lemma
    det(W W^T + D) = det(K) det(D), by Woodbury's identity (W W^T + D)^-1 = D^-1 - D^-1 W K^-1 W^T D^-1.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> normal = D.LowRankMultivariateNormal(torch.zeros(2), torch.tensor([[1.0], [0.0]]), torch.ones(2))
        >>> normal.covariance_matrix
        tensor([[2., 0.],
                [0., 1.]])
    """

    called = "Low Rank Multivariate Normals"
    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    _shared = ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril")

    def __init__(self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None) -> None:
        _check_shapes(loc, cov_factor, cov_diag)
        try:
            wide = torch.broadcast_tensors(loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1))
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_factor, self.cov_diag = wide[0][..., 0], wide[1], wide[2][..., 0]
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = torch.linalg.cholesky(_plus_identity(self._weighted() @ cov_factor))
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=validate_args)

    def _weighted(self) -> Any:
        """W^T D^-1."""
        return self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)

    def _whole(self, value: Any) -> Any:
        return value.expand(self._batch_shape + self._event_shape + value.shape[-1:])

    @lazy_property
    def variance(self) -> Any:
        variance = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return variance.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance."""
        # of S (I + S^-1 W W^T S^-1) S, S the root of D: the matrix in the middle has no eigenvalue below 1
        # (C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, section 3.4.3)
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        relative = self._unbroadcasted_cov_factor / root
        return self._whole(root * torch.linalg.cholesky(_plus_identity(relative @ relative.mT)))

    @lazy_property
    def covariance_matrix(self) -> Any:
        """The covariance."""
        w = self._unbroadcasted_cov_factor
        return self._whole(w @ w.mT + self._unbroadcasted_cov_diag.diag_embed())

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance."""
        a = solved(self._capacitance_tril, self._weighted())
        return self._whole(self._unbroadcasted_cov_diag.reciprocal().diag_embed() - a.mT @ a)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        along = _standard_normal(shape[:-1] + self.cov_factor.shape[-1:], self.loc.dtype, self.loc.device)
        each = self._unbroadcasted_cov_diag.sqrt() * _standard_normal(shape, self.loc.dtype, self.loc.device)
        return self.loc + times(self._unbroadcasted_cov_factor, along) + each

    def _log_det(self) -> Any:
        roots = self._capacitance_tril.diagonal(dim1=-2, dim2=-1)
        return 2 * roots.log().sum(-1) + self._unbroadcasted_cov_diag.log().sum(-1)

    def _squared_length(self, x: Any) -> Any:
        return self._relative_size(x.unsqueeze(-1))

    def _relative_size(self, factor: Any) -> Any:
        plain = squared_size(factor / self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1))
        return plain - squared_size(solved(self._capacitance_tril, self._weighted() @ factor))

    def _factors(self) -> list:
        return [self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag.sqrt().diag_embed()]


def _check_shapes(loc: Any, cov_factor: Any, cov_diag: Any) -> None:
    if loc.dim() < 1:
        raise ValueError("loc must be at least one-dimensional.")
    event_shape = loc.shape[-1:]
    if cov_factor.dim() < 2:
        raise ValueError(
            "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
        )
    if cov_factor.shape[-2:-1] != event_shape:
        raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
    if cov_diag.shape[-1:] != event_shape:
        raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")


def _plus_identity(matrix: Any) -> Any:
    return matrix + torch.eye(matrix.shape[-1], dtype=matrix.dtype)
