"""`torch.distributions`: probability distributions, what is known of them, samples, and how to make new ones of old.

Every name is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import Any

from rushlight import late

#: where each name is
_HOMES = {
    "AbsTransform": "transforms",
    "AffineTransform": "transforms",
    "Bernoulli": "bernoulli",
    "Beta": "beta",
    "Binomial": "binomial",
    "Categorical": "categorical",
    "Cauchy": "cauchy",
    "Chi2": "chi2",
    "ComposeTransform": "transforms",
    "CumulativeDistributionTransform": "transforms",
    "Dirichlet": "dirichlet",
    "Distribution": "distribution",
    "ExpTransform": "transforms",
    "Exponential": "exponential",
    "ExponentialFamily": "exp_family",
    "Gamma": "gamma",
    "Geometric": "geometric",
    "Gumbel": "gumbel",
    "HalfCauchy": "half_cauchy",
    "HalfNormal": "half_normal",
    "Independent": "independent",
    "IndependentTransform": "transforms",
    "InverseGamma": "inverse_gamma",
    "Laplace": "laplace",
    "LogNormal": "log_normal",
    "LogisticNormal": "logistic_normal",
    "LowerCholeskyTransform": "transforms",
    "MixtureSameFamily": "mixture_same_family",
    "Multinomial": "multinomial",
    "MultivariateNormal": "multivariate_normal",
    "NegativeBinomial": "negative_binomial",
    "Normal": "normal",
    "OneHotCategorical": "one_hot_categorical",
    "OneHotCategoricalStraightThrough": "one_hot_categorical",
    "Pareto": "pareto",
    "Poisson": "poisson",
    "PositiveDefiniteTransform": "transforms",
    "PowerTransform": "transforms",
    "ReshapeTransform": "transforms",
    "SigmoidTransform": "transforms",
    "SoftmaxTransform": "transforms",
    "SoftplusTransform": "transforms",
    "StickBreakingTransform": "transforms",
    "StudentT": "studentT",
    "TanhTransform": "transforms",
    "Transform": "transforms",
    "TransformedDistribution": "transformed_distribution",
    "Uniform": "uniform",
    "Weibull": "weibull",
    "biject_to": "constraint_registry",
    "identity_transform": "transforms",
    "kl_divergence": "kl",
    "register_kl": "kl",
    "transform_to": "constraint_registry",
}

_MODULES = ("constraints", "utils", *sorted(set(_HOMES.values())))
_name = late.names(__name__, _HOMES)
_module = late.modules(__name__, *_MODULES)


def __getattr__(name: str) -> Any:
    return _module(name) if name in _MODULES else _name(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})


__all__ = [*_HOMES]
