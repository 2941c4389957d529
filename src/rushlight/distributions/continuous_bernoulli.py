"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.distributions.utils import (
    ProbsOrLogits,
    binary_cross_entropy,
    broadcast_all,
    clamp_probs,
    lazy_property,
    logits_to_probs,
)

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ProbsOrLogits, ExponentialFamily):
    """Numbers in [0, 1] with density in proportion to `probs**x * (1 - probs)**(1 - x)`.

    G. Loaiza-Ganem and J. P. Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders", arXiv 1907.06845 (2019).

    Args:
        lims: between these probabilities the formulas, which divide 0 by 0 at one half, give way to their Taylor series.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.ContinuousBernoulli(torch.tensor([0.25])).mean
        tensor([0.4102])
    """

    arg_constraints: ClassVar[Any] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _shared = ("_lims",)

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._give(probs, logits)
        self._lims = lims
        if probs is not None:
            # checked here, because what is moved inside would always pass
            if validate_args is not None and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self._keep("probs", clamp_probs(self.probs))
        super().__init__(self._param.shape, validate_args=validate_args)

    @lazy_property
    def probs(self) -> Any:
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _plain(self) -> Any:
        """Where the formulas hold."""
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut(self) -> Any:
        """The probabilities, and another one, whose value is not used, where the formulas do not hold."""
        return torch.where(self._plain(), self.probs, self._lims[0])

    def _log_norm(self) -> Any:
        cut, x = self._cut(), (self.probs - 0.5) ** 2
        log_norm = torch.log(torch.abs(torch.log1p(-cut) - torch.log(cut)))
        log_norm = log_norm - torch.log1p(-2 * torch.minimum(cut, 1 - cut))
        return torch.where(self._plain(), log_norm, math.log(2.0) + (4 / 3 + 104 / 45 * x) * x)

    @property
    def mean(self) -> Any:
        cut, x = self._cut(), self.probs - 0.5
        mean = cut / (2 * cut - 1) + 1 / (torch.log1p(-cut) - torch.log(cut))
        return torch.where(self._plain(), mean, 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self) -> Any:
        cut, x = self._cut(), (self.probs - 0.5) ** 2
        variance = cut * (cut - 1) / (1 - 2 * cut) ** 2 + 1 / (torch.log1p(-cut) - torch.log(cut)) ** 2
        return torch.where(self._plain(), variance, 1 / 12 - (1 / 15 - 128 / 945 * x) * x)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.icdf(torch.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype))

    def log_prob(self, value: Any) -> Any:
        logits, value = broadcast_all(self.logits, self._checked(value))
        return -binary_cross_entropy(logits, value) + self._log_norm()

    def cdf(self, value: Any) -> Any:
        value, cut = self._checked(value), self._cut()
        below = (cut**value * (1 - cut) ** (1 - value) + cut - 1) / (2 * cut - 1)
        below = torch.where(self._plain(), below, value)
        return torch.where(value <= 0, 0.0, torch.where(value >= 1, 1.0, below))

    def icdf(self, value: Any) -> Any:
        cut = self._cut()
        low, high = torch.log1p(-cut), torch.log(cut)
        quantile = (torch.log1p(-cut + value * (2 * cut - 1)) - low) / (high - low)
        return torch.where(self._plain(), quantile, value)

    def entropy(self) -> Any:
        low, high = torch.log1p(-self.probs), torch.log(self.probs)
        return self.mean * (low - high) - self._log_norm() - low

    @property
    def _natural_params(self) -> Any:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Any:
        low, high = (end - 0.5 for end in self._lims)
        plain = (x <= low) | (x > high)
        cut = torch.where(plain, x, low)
        log_norm = torch.log(torch.abs(torch.expm1(cut))) - torch.log(torch.abs(cut))
        return torch.where(plain, log_norm, 0.5 * x + x**2 / 24 - x**4 / 2880)
