"""The categorical distribution, made continuous so that samples have gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.categorical import OfCategories
from rushlight.distributions.transformed_distribution import Relaxed
from rushlight.distributions.transforms import ExpTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OfCategories):
    """The logarithm of a `RelaxedOneHotCategorical`.

    C. J. Maddison, A. Mnih and Y. W. Teh, "The concrete distribution: a continuous relaxation of discrete random
    variables", arXiv 1611.00712 (2016).
    """

    support = constraints.real_vector
    has_rsample = True
    _shared = ("temperature",)

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        u = clamp_probs(torch.rand(self._extended_shape(sample_shape), dtype=self.logits.dtype))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        logits, value = broadcast_all(self.logits, self._checked(value))
        n, t = self._event_shape[0], self.temperature
        log_scale = torch.full_like(t, float(n)).lgamma() + (n - 1) * t.log()
        scores = logits - value * t
        return (scores - scores.logsumexp(dim=-1, keepdim=True)).sum(-1) + log_scale


class RelaxedOneHotCategorical(Relaxed):
    """Points of the simplex, nearer to its corners the lower the temperature; samples of `OneHotCategorical` at 0.

    Example:
        >>> import rushlight as torch
        >>> relaxed = torch.distributions.RelaxedOneHotCategorical(torch.tensor(0.5), torch.ones(4))
        >>> relaxed.rsample().shape
        torch.Size([4])
    """

    arg_constraints: ClassVar[Any] = ExpRelaxedCategorical.arg_constraints
    support = constraints.simplex
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)
