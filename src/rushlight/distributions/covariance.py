"""Covariances, given by themselves, by their inverse (the precision) or by their Cholesky factor."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import lazy_property

__all__ = ["GivenByCovariance", "the_one_given"]


def _from_precision(precision: Any) -> Any:
    """The Cholesky factor of the inverse: the precision is factored from its last row up, and that inverted."""
    flipped = torch.linalg.cholesky(torch.flip(precision, (-2, -1)))
    upper = torch.flip(flipped, (-2, -1)).mT
    return torch.linalg.solve_triangular(
        upper, torch.eye(precision.shape[-1], dtype=precision.dtype), upper=False
    )


class GivenByCovariance(Distribution):
    """What distributions with a covariance have in common; they compute with its Cholesky factor."""

    matrix_constraints: ClassVar[Any] = {
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    _shared = ("_unbroadcasted_scale_tril",)

    def _cover(self, name: str, matrix: Any, batch_shape: Any, event_shape: Any, validate: Any) -> None:
        """Keep what was given under its name, then, once it is checked, its factor."""
        self.__dict__[name] = matrix.expand(*batch_shape, -1, -1)
        super().__init__(batch_shape, event_shape, validate_args=validate)
        factor = {"covariance_matrix": torch.linalg.cholesky, "precision_matrix": _from_precision}.get(name)
        self._unbroadcasted_scale_tril = matrix if factor is None else factor(matrix)

    def _whole(self, matrix: Any) -> Any:
        return matrix.expand(self._batch_shape + matrix.shape[-2:])

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance."""
        return self._whole(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        """The covariance."""
        return self._whole(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance."""
        return self._whole(torch.cholesky_inverse(self._unbroadcasted_scale_tril))

    def _half_log_det(self) -> Any:
        return self._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def the_one_given(**ways: Any) -> tuple[str, Any] | None:
    """The name and the value of the only argument that is not None, if it is the only one."""
    given = [(name, matrix) for name, matrix in ways.items() if matrix is not None]
    return given[0] if len(given) == 1 else None
