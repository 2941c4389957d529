"""Kullback-Leibler divergences; importing this module fills their table."""

from rushlight.distributions import kl_between as _between  # noqa: F401
from rushlight.distributions import kl_within as _within  # noqa: F401
from rushlight.distributions.divergence import kl_divergence, register_kl

__all__ = ["kl_divergence", "register_kl"]
