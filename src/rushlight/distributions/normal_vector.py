"""What normal distributions of vectors have in common, whichever way their covariance is kept."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution

__all__ = ["NormalVector"]


class NormalVector(Distribution):
    """A normal distribution of vectors around `loc`."""

    loc: Any
    #: what several of them are called
    called: str
    support = constraints.real_vector
    has_rsample = True

    mean = mode = property(lambda self: self.loc)

    def _log_det(self) -> Any:
        """The logarithm of the covariance's determinant."""
        raise NotImplementedError

    def _squared_length(self, x: Any) -> Any:
        """x^T C^-1 x of each vector, C the covariance."""
        raise NotImplementedError

    def _relative_size(self, factor: Any) -> Any:
        """The trace of C^-1 F F^T."""
        raise NotImplementedError

    def _factors(self) -> list:
        """Matrices F whose F F^T add up to the covariance."""
        raise NotImplementedError

    def log_prob(self, value: Any) -> Any:
        away = self._squared_length(self._checked(value) - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + away)

    def entropy(self) -> Any:
        h = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._log_det())
        return h.expand(self._batch_shape) if self._batch_shape else h


def squared_size(matrix: Any) -> Any:
    """The trace of M M^T."""
    return matrix.pow(2).sum((-2, -1))


def solved(lower: Any, matrix: Any) -> Any:
    """L^-1 M of triangular L, over both batches."""
    shape = torch.broadcast_shapes(lower.shape[:-2], matrix.shape[:-2])
    lower, matrix = (m.expand(*shape, *m.shape[-2:]) for m in (lower, matrix))
    return torch.linalg.solve_triangular(lower, matrix, upper=False)


def times(matrix: Any, vector: Any) -> Any:
    """M v, over both batches."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
