"""The half-normal distribution."""

from __future__ import annotations

import math

from rushlight.distributions.folded import Folded
from rushlight.distributions.normal import Normal

__all__ = ["HalfNormal"]


class HalfNormal(Folded):
    """|X|, X from `Normal(0, scale)`.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.HalfNormal(1.0).cdf(torch.tensor(0.0))
        tensor(0.)
    """

    unfolded = Normal
    mean = property(lambda self: self.scale * math.sqrt(2 / math.pi))
    variance = property(lambda self: self.scale.pow(2) * (1 - 2 / math.pi))
