"""The generalised Pareto distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """What exceeds a high threshold: from `loc` on, with a tail index of 1 / `concentration`.

    With concentration 0 it is exponential, with -1 uniform, and bounded wherever it is negative.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
        tensor(2.)
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, torch.where(self.concentration < 0, end, math.inf))

    mode = property(lambda self: self.loc)

    @property
    def mean(self) -> Any:
        finite = self.concentration < 1
        c = torch.where(finite, self.concentration, 0.5)
        return torch.where(finite, self.loc + self.scale / (1 - c), math.nan)

    @property
    def variance(self) -> Any:
        finite = self.concentration < 0.5
        c = torch.where(finite, self.concentration, 0.25)
        return torch.where(finite, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.nan)

    def _shape(self) -> tuple[Any, Any]:
        """Where the concentration is 0, and one to divide by, which is 1 there."""
        exponential = torch.isclose(self.concentration, torch.zeros_like(self.concentration))
        return exponential, torch.where(exponential, 1.0, self.concentration)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def log_prob(self, value: Any) -> Any:
        z = (self._checked(value) - self.loc) / self.scale
        exponential, c = self._shape()
        power = 1 / c + torch.ones_like(z)
        falling = torch.where(power == 0, power, power * torch.log1p(c * z))
        return -self.scale.log() - torch.where(exponential, z, falling)

    def log_survival_function(self, value: Any) -> Any:
        """The logarithm of the probability of more than `value`."""
        z = (self._checked(value) - self.loc) / self.scale
        exponential, c = self._shape()
        return torch.where(exponential, -z, -torch.log1p(c * z) / c)

    def log_cdf(self, value: Any) -> Any:
        """The logarithm of `cdf`."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value: Any) -> Any:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: Any) -> Any:
        exponential, c = self._shape()
        log_u = torch.log1p(-value)
        away = torch.where(exponential, -log_u, torch.expm1(-c * log_u) / c)
        return self.loc + self.scale * away

    def entropy(self) -> Any:
        return (torch.log(self.scale) + self.concentration + 1).expand(self._batch_shape)
