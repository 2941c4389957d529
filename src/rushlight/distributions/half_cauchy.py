"""The half-Cauchy distribution."""

from __future__ import annotations

import math

import rushlight as torch
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.folded import Folded

__all__ = ["HalfCauchy"]


class HalfCauchy(Folded):
    """|X|, X from `Cauchy(0, scale)`.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.HalfCauchy(1.0).cdf(torch.tensor(0.0))
        tensor(0.)
    """

    unfolded = Cauchy
    mean = property(lambda self: torch.full(self._extended_shape(), math.inf, dtype=self.scale.dtype))
    variance = property(lambda self: self.base_dist.variance)
