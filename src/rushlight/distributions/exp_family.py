"""`ExponentialFamily`: distributions with density exp(<t(x), theta> - F(theta) + k(x))."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions.distribution import Distribution

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution whose entropy and divergence follow from its log-normaliser F by differentiating it.

    F. Nielsen and R. Nock, "Entropies and cross-entropies of exponential families", ICIP 2010.
    """

    @property
    def _natural_params(self) -> Any:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Any:
        """F(theta) - <theta, grad F(theta)> - E[k(x)]."""
        result = -self._mean_carrier_measure
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        normaliser = self._log_normalizer(*natural)
        slopes = torch.autograd.grad(normaliser.sum(), natural, create_graph=True)
        result = result + normaliser
        for p, slope in zip(natural, slopes, strict=True):
            result = result - (p * slope).reshape(*self._batch_shape, -1).sum(-1)
        return result
