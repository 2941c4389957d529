"""Distributions of transformed variables."""

from __future__ import annotations

from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, home_of
from rushlight.distributions.independent import Independent
from rushlight.distributions.transforms import ComposeTransform, Transform
from rushlight.distributions.utils import _sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of f(X), X from `base_distribution` and f a transform or a list of them.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> logistic = D.TransformedDistribution(D.Uniform(0.0, 1.0), [D.SigmoidTransform().inv])
        >>> logistic.cdf(torch.tensor(0.0))
        tensor(0.5000)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(self, base_distribution: Any, transforms: Any, validate_args: bool | None = None) -> None:
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not isinstance(transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        elif not all(isinstance(t, Transform) for t in transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        self.transforms = transforms
        whole, base = ComposeTransform(transforms), base_distribution
        shape, base_dims = base.batch_shape + base.event_shape, len(base.event_shape)
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, but got {shape}."
            )
        result = torch.Size(whole.forward_shape(shape))
        needed = torch.Size(whole.inverse_shape(result))
        if shape != needed:
            base = base.expand(needed[: len(needed) - base_dims])
        more = whole.domain.event_dim - base_dims
        self.base_dist = Independent(base, more) if more > 0 else base
        gained = whole.codomain.event_dim - whole.domain.event_dim
        cut = len(result) - max(whole.codomain.event_dim, base_dims + gained)
        super().__init__(result[:cut], result[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(home_of(type(self)), _instance)
        batch_shape = torch.Size(batch_shape)
        shape = batch_shape + self.event_shape
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        new.transforms = self.transforms
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        return constraints.widened(self.transforms[-1].codomain, len(self.event_shape))

    has_rsample = property(lambda self: self.base_dist.has_rsample)

    def _through(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Any:
        with torch.no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        y, event_dim, total = self._checked(value), len(self.event_shape), 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            slope = transform.log_abs_det_jacobian(x, y)
            total = total - _sum_rightmost(slope, event_dim - transform.domain.event_dim)
            y = x
        return total + _sum_rightmost(self.base_dist.log_prob(y), event_dim - len(self.base_dist.event_shape))

    def _rising(self, value: Any) -> Any:
        """A probability, counted from the other end where the transforms fall."""
        sign = ComposeTransform(self.transforms).sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._rising(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._through(self.base_dist.icdf(self._rising(value)))


class Renewed(TransformedDistribution):
    """One of PyTorch's own, which is made anew from its parameters when it is expanded."""

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        home = home_of(type(self))
        new = self._get_checked_instance(home, _instance)
        grown = {name: getattr(self, name).expand(batch_shape) for name in self.arg_constraints}
        home.__init__(new, **grown, validate_args=False)
        new._validate_args = self._validate_args
        return new


class Relaxed(TransformedDistribution):
    """A relaxation of a discrete distribution; its parameters are those of the base."""

    temperature = property(lambda self: self.base_dist.temperature)
    probs = property(lambda self: self.base_dist.probs)
    logits = property(lambda self: self.base_dist.logits)
