"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A mixture: a category is drawn, then a sample of that component, the last batch dimension of the second argument.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> mixture = D.MixtureSameFamily(
        ...     D.Categorical(torch.ones(2)), D.Normal(torch.tensor([-1.0, 1.0]), torch.ones(2))
        ... )
        >>> mixture.mean, mixture.variance
        (tensor(0.), tensor(2.))
    """

    arg_constraints: ClassVar[Any] = {}
    has_rsample = False

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        mixing, batch = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for m, n in zip(reversed(mixing), reversed(batch), strict=False):
            if m != 1 and n != 1 and m != n:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixing}) is not compatible with `component_distribution."
                    f"batch_shape`({batch})"
                )
        count, components = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if count != components:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal `component_distribution.batch_shape[-1]` "
                f"({components})"
            )
        self._mix(mixture_distribution, component_distribution)
        super().__init__(batch, component_distribution.event_shape, validate_args=validate_args)

    def _mix(self, mixture: Any, components: Any) -> None:
        self._mixture_distribution, self._component_distribution = mixture, components
        self._num_component, self._event_ndims = mixture._num_events, len(components.event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = torch.Size(batch_shape)
        components = self.component_distribution.expand(batch_shape + (self._num_component,))
        new._mix(self.mixture_distribution.expand(batch_shape), components)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    mixture_distribution = property(lambda self: self._mixture_distribution)
    component_distribution = property(lambda self: self._component_distribution)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    def _pad(self, x: Any) -> Any:
        return x.unsqueeze(-1 - self._event_ndims)

    def _weighted(self, x: Any) -> Any:
        """The mean of `x`, one value for each component, over the components."""
        weights = self.mixture_distribution.probs
        weights = weights.reshape(*weights.shape, *(1,) * self._event_ndims)
        return torch.sum(weights * x, dim=-1 - self._event_ndims)

    @property
    def mean(self) -> Any:
        return self._weighted(self.component_distribution.mean)

    @property
    def variance(self) -> Any:
        """The mean of the variances and the variance of the means."""
        parts = self.component_distribution
        return self._weighted(parts.variance) + self._weighted((parts.mean - self._pad(self.mean)).pow(2.0))

    def cdf(self, x: Any) -> Any:
        return torch.sum(
            self.component_distribution.cdf(self._pad(x)) * self.mixture_distribution.probs, dim=-1
        )

    def log_prob(self, x: Any) -> Any:
        each = self.component_distribution.log_prob(self._pad(self._checked(x)))
        return torch.logsumexp(each + torch.log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape: Any = ()) -> Any:
        with torch.no_grad():
            at = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            index = chosen.reshape(*chosen.shape, *(1,) * (self._event_ndims + 1))
            index = index.expand(*chosen.shape, 1, *self.event_shape)
            return torch.gather(drawn, at, index).squeeze(at)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
