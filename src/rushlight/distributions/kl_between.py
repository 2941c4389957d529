"""Divergences of one family from another: -H(p) - E[log q(x)], x from p.

The expectation takes but a few facts about p, according to q: its mean and variance, the mean of log x, or that of
exp(-x).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import rushlight as torch
from rushlight.distributions.bernoulli import Bernoulli
from rushlight.distributions.beta import Beta
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.continuous_bernoulli import ContinuousBernoulli
from rushlight.distributions.divergence import register_kl
from rushlight.distributions.exponential import Exponential
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.gumbel import Gumbel
from rushlight.distributions.laplace import Laplace
from rushlight.distributions.normal import Normal
from rushlight.distributions.pareto import Pareto
from rushlight.distributions.poisson import Poisson
from rushlight.distributions.uniform import Uniform
from rushlight.distributions.utils import EULER

__all__: list[str] = []


def _crossed(*families: type, of: type) -> Callable:
    """Register the divergence of `of` from each of the families, given how to compute the mean of log q under p."""

    def declare(mean_log: Callable) -> Callable:
        def rule(p: Any, q: Any) -> Any:
            return -p.entropy() - mean_log(p, q)

        for family in families:
            register_kl(family, of)(rule)
        return mean_log

    return declare


def _only(possible: Any, divergence: Any) -> Any:
    """Infinite where p reaches values that q does not."""
    return torch.where(possible, divergence, math.inf)


# ---- q known by powers of x ----


@_crossed(Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform, of=Normal)
def _(p: Any, q: Any) -> Any:
    squares = p.variance + (p.mean - q.loc).pow(2)
    return -0.5 * math.log(2 * math.pi) - q.scale.log() - squares / (2 * q.scale.pow(2))


@_crossed(Beta, ContinuousBernoulli, Gamma, Pareto, of=Exponential)
def _by_exponential(p: Any, q: Any) -> Any:
    return q.rate.log() - q.rate * p.mean


@_crossed(Beta, of=ContinuousBernoulli)
def _by_continuous_bernoulli(p: Any, q: Any) -> Any:
    return p.mean * q.logits + torch.log1p(-q.probs) + q._log_norm()


@register_kl(Normal, Laplace)
def _(p: Any, q: Any) -> Any:
    # E|x - loc|: the mean of a folded normal variable
    away = p.loc - q.loc
    scaled = away / p.scale
    folded = math.sqrt(2 / math.pi) * p.scale * torch.exp(-0.5 * scaled.pow(2))
    mean = folded + away * torch.erf(math.sqrt(0.5) * scaled)
    return -torch.log(p.scale / q.scale) + mean / q.scale - 0.5 * (1 + math.log(0.5 * math.pi))


@register_kl(Bernoulli, Poisson)
def _(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


# ---- q known by log x ----


@functools.singledispatch
def _mean_of_log(p: Any) -> Any:
    """E[log x]."""
    raise NotImplementedError


@_mean_of_log.register
def _(p: Beta) -> Any:
    return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()


@_mean_of_log.register
def _(p: Exponential) -> Any:
    return -EULER - p.rate.log()


@_mean_of_log.register
def _(p: Pareto) -> Any:
    return p.scale.log() + p.alpha.reciprocal()


@_mean_of_log.register
def _(p: Uniform) -> Any:
    return _mean_log_between(p.low, p.high)


def _mean_log_between(low: Any, high: Any) -> Any:
    return (torch.xlogy(high, high) - torch.xlogy(low, low)) / (high - low) - 1


@_crossed(Beta, Exponential, Pareto, of=Gamma)
def _by_gamma(p: Any, q: Any) -> Any:
    shape = q.concentration
    normaliser = shape * q.rate.log() - shape.lgamma()
    return normaliser + (shape - 1) * _mean_of_log(p) - q.rate * p.mean


# ---- q known by exp(-x) ----


@functools.singledispatch
def _mean_of_exp(p: Any, loc: Any, scale: Any) -> Any:
    """E[exp((loc - x) / scale)]."""
    raise NotImplementedError


@_mean_of_exp.register
def _(p: Normal, loc: Any, scale: Any) -> Any:
    return torch.exp((loc - p.loc) / scale + 0.5 * (p.scale / scale).pow(2))


@_mean_of_exp.register
def _(p: Exponential, loc: Any, scale: Any) -> Any:
    product = p.rate * scale
    return torch.exp(loc / scale) * product / (product + 1)


@_mean_of_exp.register
def _(p: Gamma, loc: Any, scale: Any) -> Any:
    return torch.exp(loc / scale) * (1 + (p.rate * scale).reciprocal()).pow(-p.concentration)


@_mean_of_exp.register
def _(p: Uniform, loc: Any, scale: Any) -> Any:
    ends = torch.exp((loc - p.low) / scale) - torch.exp((loc - p.high) / scale)
    return scale / (p.high - p.low) * ends


@_crossed(Exponential, Gamma, Normal, Uniform, of=Gumbel)
def _(p: Any, q: Any) -> Any:
    return (q.loc - p.mean) / q.scale - _mean_of_exp(p, q.loc, q.scale) - q.scale.log()


# ---- where a support has ends ----


@register_kl(Beta, Uniform)
def _(p: Any, q: Any) -> Any:
    return _only((q.low <= 0) & (q.high >= 1), (q.high - q.low).log() - p.entropy())


@register_kl(ContinuousBernoulli, Uniform)
def _(p: Any, q: Any) -> Any:
    # PyTorch calls the divergence infinite also where both supports have an end in common
    return _only((q.low < 0) & (q.high > 1), (q.high - q.low).log() - p.entropy())


@register_kl(Uniform, ContinuousBernoulli)
def _(p: Any, q: Any) -> Any:
    # as above
    return _only((p.low > 0) & (p.high < 1), -p.entropy() - _by_continuous_bernoulli(p, q))


@register_kl(Uniform, Beta)
def _(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    normaliser = (a + b).lgamma() - a.lgamma() - b.lgamma()
    logs = (a - 1) * _mean_of_log(p) + (b - 1) * _mean_log_between(1 - p.high, 1 - p.low)
    return _only((p.low >= 0) & (p.high <= 1), -p.entropy() - normaliser - logs)


@register_kl(Uniform, Exponential)
def _(p: Any, q: Any) -> Any:
    return _only(p.low >= 0, -p.entropy() - _by_exponential(p, q))


@register_kl(Uniform, Gamma)
def _(p: Any, q: Any) -> Any:
    return _only(p.low >= 0, -p.entropy() - _by_gamma(p, q))


@register_kl(Uniform, Pareto)
def _(p: Any, q: Any) -> Any:
    mean_log = q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_of_log(p)
    return _only(p.low >= q.scale, -p.entropy() - mean_log)


# ---- where p reaches values that q does not, whatever the parameters ----


def _infinite(p: Any, q: Any) -> Any:
    return torch.full_like(getattr(p, next(iter(p.arg_constraints))), math.inf)


def _out_of_reach(reaching: tuple, others: tuple) -> None:
    for p in reaching:
        for q in others:
            register_kl(p, q)(_infinite)


_out_of_reach((Normal, Laplace, Gumbel), (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform))
_out_of_reach((Exponential, Gamma), (Beta, ContinuousBernoulli, Pareto, Uniform))
_out_of_reach((Pareto,), (Beta, ContinuousBernoulli, Uniform))
_out_of_reach((Beta, ContinuousBernoulli), (Pareto,))
_out_of_reach((Poisson,), (Bernoulli, Binomial))
