"""The normal distribution of vectors."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.covariance import GivenByCovariance, the_one_given
from rushlight.distributions.normal_vector import NormalVector, solved, squared_size, times
from rushlight.distributions.utils import _standard_normal

__all__ = ["MultivariateNormal"]


class MultivariateNormal(NormalVector, GivenByCovariance):
    """Normal vectors, given their mean and one of covariance, its inverse (the precision), or its Cholesky factor.

    Example:
        >>> import rushlight as torch
        >>> normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> normal.log_prob(torch.zeros(2))
        tensor(-1.8379)
    """

    called = "Multivariate Normals"
    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector,
        **GivenByCovariance.matrix_constraints,
    }

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = the_one_given(
            covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        if given is None:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        name, matrix = given
        if matrix.dim() < 2:
            told = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{told} must be at least two-dimensional, with optional leading batch dimensions"
            )
        shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand(*shape, -1)
        self._cover(name, matrix, shape, loc.shape[-1:], validate_args)

    @property
    def variance(self) -> Any:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        eps = _standard_normal(self._extended_shape(sample_shape), self.loc.dtype, self.loc.device)
        return self.loc + times(self._unbroadcasted_scale_tril, eps)

    def _log_det(self) -> Any:
        return 2 * self._half_log_det()

    def _squared_length(self, x: Any) -> Any:
        return self._relative_size(x.unsqueeze(-1))

    def _relative_size(self, factor: Any) -> Any:
        return squared_size(solved(self._unbroadcasted_scale_tril, factor))

    def _factors(self) -> list:
        return [self._unbroadcasted_scale_tril]
