"""The von Mises distribution."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles around `loc`, with density in proportion to exp(concentration * cos(angle - loc)).

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.VonMises(0.0, 1.0).log_prob(torch.tensor(0.0))
        tensor(-1.0738)
    """

    arg_constraints: ClassVar[Any] = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = mode = property(lambda self: self.loc)

    @property
    def variance(self) -> Any:
        """The circular variance: 1 minus the length of the mean of the samples as points of the unit circle."""
        return 1 - torch.special.i1e(self.concentration) / torch.special.i0e(self.concentration)

    def log_prob(self, value: Any) -> Any:
        # log I0(k) = log(i0e(k)) + k, which does not overflow
        k, around = self.concentration, torch.cos(self._checked(value) - self.loc) - 1
        return k * around - math.log(2 * math.pi) - torch.special.i0e(k).log()

    def sample(self, sample_shape: Any = ()) -> Any:
        """By rejection from a wrapped Cauchy distribution, in float64: small concentrations would loop for ever in float32.

        D. J. Best and N. I. Fisher, "Efficient simulation of the von Mises distribution", Applied Statistics 28 (1979).
        """
        with torch.no_grad():
            loc, k = self.loc.double(), self.concentration.double()
            r = _wrapped(k)
            x, done = _without_rejection(k, self._extended_shape(sample_shape))
            while not done.all():
                u1, u2, u3 = torch.rand((3, *x.shape), dtype=torch.float64).unbind()
                z = torch.cos(math.pi * u1)
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accepted = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
                # what was accepted before is drawn again, as PyTorch does: both streams give the same numbers
                x = torch.where(accepted, (u3 - 0.5).sign() * f.acos(), x)
                done = done | accepted
            return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)


def _without_rejection(k: Any, shape: Any) -> tuple[Any, Any]:
    """Angles of those concentrations of which rejection would never accept one, and which these are.

    Without concentration all angles are as likely; where the proposal's r is 1 to the last digit, all are `loc`.
    """
    k = k.expand(shape)
    spread = _wrapped(k).abs()
    even = k.abs() < 1e-300
    done = even | spread.isinf() | ~(spread > 1)
    x = torch.zeros(shape, dtype=torch.float64)
    if done.any():
        anywhere = (2 * torch.rand(shape, dtype=torch.float64) - 1) * math.pi
        x = torch.where(even, anywhere, x).masked_fill(k.isnan(), math.nan)
    return x, done


def _wrapped(k: Any) -> Any:
    """The parameter r of the proposal; its expansion to second order where k is small and the formula cancels."""
    tau = 1 + (1 + 4 * k**2).sqrt()
    rho = (tau - (2 * tau).sqrt()) / (2 * k)
    return torch.where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))
