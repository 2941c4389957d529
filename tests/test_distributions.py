"""Distributions against PyTorch's: the same streams, values, gradients, errors and words."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import scipy.special
import torch

import rushlight

#: A density is a sum of a few terms up to ten times as large as itself, each of them rounded to float32 (6e-8) in its own
#: order here and there: some 100 roundings of the largest term.
VALUES = 2e-5
#: A sample is one to three functions of the same words, each within a few units in the last place (1.2e-7).
SAMPLES = 2e-6
#: A slope of a density differentiates terms that cancel (digamma against log, near 0 against near 1): ten times as much.
SLOPES = 2e-4
#: A quantile near an end is as steep as the density is small.
QUANTILES = 2e-4
#: The derivative of a gamma sample by its shape is PyTorch's own approximation, to three or four digits.
SAMPLE_SLOPES = 5e-4
#: Continued fractions and series stop at 1e-15 of their sum; up to 100 terms are rounded to float64 (1.1e-16) each.
INCOMPLETE_GAMMA = 2e-13

A, B = [0.5, 1.5, 3.0], [1.0, 0.7, 2.5]
P = [0.2, 0.5, 0.9]
SQUARE = [[2.0, 0.3], [0.3, 1.0]]


def _t(T, values):
    return T.tensor(values, requires_grad=True)


#: name -> what makes the distribution from a library's `distributions` and from tensors
MADE = {
    "Normal": (lambda D, a, b: D.Normal(a, b), A, B),
    "Laplace": (lambda D, a, b: D.Laplace(a, b), A, B),
    "Cauchy": (lambda D, a, b: D.Cauchy(a, b), A, B),
    "Uniform": (lambda D, a, b: D.Uniform(a, a + b), A, B),
    "Exponential": (lambda D, a: D.Exponential(a), A),
    "Gamma": (lambda D, a, b: D.Gamma(a, b), A, B),
    "Chi2": (lambda D, a: D.Chi2(a), A),
    "Beta": (lambda D, a, b: D.Beta(a, b), A, B),
    "Dirichlet": (lambda D, a: D.Dirichlet(a), [A, B]),
    "StudentT": (lambda D, a, b: D.StudentT(a + 1.7, b, a), A, B),
    "Poisson": (lambda D, a: D.Poisson(a), A),
    "Poisson of large rates": (lambda D, a: D.Poisson(a * 20), A),
    "Bernoulli": (lambda D, p: D.Bernoulli(p), P),
    "Bernoulli of logits": (lambda D, a: D.Bernoulli(logits=a), A),
    "Geometric": (lambda D, p: D.Geometric(p), P),
    "Binomial": (lambda D, p: D.Binomial(7, p), P),
    "Binomial of large counts": (lambda D, p: D.Binomial(100, p), P),
    "NegativeBinomial": (lambda D, p: D.NegativeBinomial(4, p), P),
    "Categorical": (lambda D, a: D.Categorical(a), [A, B]),
    "Categorical of logits": (lambda D, a: D.Categorical(logits=a), A),
    "OneHotCategorical": (lambda D, a: D.OneHotCategorical(a), [A, B]),
    "OneHotCategoricalStraightThrough": (lambda D, a: D.OneHotCategoricalStraightThrough(a), [A, B]),
    "Multinomial": (lambda D, a: D.Multinomial(9, a), A),
    "Independent": (lambda D, a, b: D.Independent(D.Normal(a, b), 1), A, B),
    "MultivariateNormal": (lambda D, m, s: D.MultivariateNormal(m, s), [0.1, 0.2], SQUARE),
    "MultivariateNormal of precision": (
        lambda D, m, s: D.MultivariateNormal(m, precision_matrix=s),
        [[0.1, 0.2], [1.0, 2.0]],
        SQUARE,
    ),
    "LogNormal": (lambda D, a, b: D.LogNormal(a, b), A, B),
    "HalfNormal": (lambda D, a: D.HalfNormal(a), A),
    "HalfCauchy": (lambda D, a: D.HalfCauchy(a), A),
    "Gumbel": (lambda D, a, b: D.Gumbel(a, b), A, B),
    "Weibull": (lambda D, a, b: D.Weibull(a, b), A, B),
    "Pareto": (lambda D, a, b: D.Pareto(a, b), A, B),
    "InverseGamma": (lambda D, a, b: D.InverseGamma(a, b), A, B),
    "LogisticNormal": (lambda D, a, b: D.LogisticNormal(a, b), A, B),
    "MixtureSameFamily": (
        lambda D, a, b: D.MixtureSameFamily(D.Categorical(b), D.Normal(a, b)),
        A,
        B,
    ),
    "TransformedDistribution": (
        lambda D, a, b: D.TransformedDistribution(
            D.Uniform(a * 0, a * 0 + 1), [D.SigmoidTransform().inv, D.AffineTransform(a, b)]
        ),
        A,
        B,
    ),
}


def both(name):
    make, *values = MADE[name]
    for T in (torch, rushlight):
        inputs = [_t(T, v) for v in values]
        yield make(T.distributions, *inputs), inputs


def outcome(function):
    """The tensor, or the class and words of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function()
        except Exception as error:
            return type(error).__name__, str(error)


def agree(mine, theirs, tolerance=VALUES):
    if isinstance(theirs, tuple):
        assert mine == theirs
        return
    assert tuple(mine.shape) == tuple(theirs.shape) and str(mine.dtype) == str(theirs.dtype)
    np.testing.assert_allclose(mine.tolist(), theirs.tolist(), rtol=tolerance, atol=tolerance)


def drawn(distribution, T, method="sample"):
    T.manual_seed(3)
    return getattr(distribution, method)((4,))


@pytest.mark.parametrize("name", MADE)
def test_samples_come_from_the_same_stream(name):
    (theirs, _), (mine, _) = both(name)
    want, got = drawn(theirs, torch), drawn(mine, rushlight)
    agree(got, want, SAMPLES)
    assert torch.rand(1).item() == rushlight.rand(1).item()  # no more and no fewer words were used


@pytest.mark.parametrize("name", MADE)
def test_reparameterised_samples_have_the_same_gradients(name):
    (theirs, there), (mine, here) = both(name)
    assert bool(mine.has_rsample) == bool(theirs.has_rsample)
    if not theirs.has_rsample:
        assert outcome(lambda: mine.rsample())[0] == outcome(lambda: theirs.rsample())[0]
        return
    want, got = drawn(theirs, torch, "rsample"), drawn(mine, rushlight, "rsample")
    agree(got, want, SAMPLES)
    weights = np.random.default_rng(0).normal(size=tuple(want.shape)).tolist()
    (want * torch.tensor(weights)).sum().backward()
    (got * rushlight.tensor(weights)).sum().backward()
    for t, r in zip(there, here, strict=True):
        if t.grad is not None:
            agree(r.grad, t.grad, SAMPLE_SLOPES)


@pytest.mark.parametrize("name", MADE)
def test_probabilities_and_their_gradients(name):
    (theirs, there), (mine, here) = both(name)
    value = drawn(theirs, torch)
    again = rushlight.tensor(value.tolist())
    want = theirs.log_prob(value)
    got = mine.log_prob(again)
    agree(got, want)
    want.sum().backward()
    got.sum().backward()
    for t, r in zip(there, here, strict=True):
        if t.grad is not None:
            agree(r.grad, t.grad, SLOPES)
    for method in ("cdf",):
        agree(outcome(lambda: getattr(mine, method)(again)), outcome(lambda: getattr(theirs, method)(value)))
    share = [0.1, 0.5, 0.8][: value.shape[-1]]
    agree(
        outcome(lambda: mine.icdf(rushlight.tensor(share))),
        outcome(lambda: theirs.icdf(torch.tensor(share))),
        QUANTILES,
    )


@pytest.mark.parametrize("name", MADE)
def test_moments_entropy_shapes_and_repr(name):
    (theirs, _), (mine, _) = both(name)
    for what in ("mean", "mode", "variance", "stddev"):
        want = outcome(lambda: getattr(theirs, what))
        got = outcome(lambda: getattr(mine, what))
        if isinstance(want, tuple):
            assert got[0] == want[0]
        else:
            agree(got, want)
    want = outcome(theirs.entropy)
    if isinstance(want, tuple):
        assert outcome(mine.entropy)[0] == want[0]
    else:
        agree(mine.entropy(), want)
    assert tuple(mine.batch_shape) == tuple(theirs.batch_shape)
    assert tuple(mine.event_shape) == tuple(theirs.event_shape)
    assert repr(mine) == repr(theirs)
    shown = {key: repr(value) for key, value in theirs.arg_constraints.items()}
    assert {key: repr(value) for key, value in mine.arg_constraints.items()} == shown
    if theirs.has_enumerate_support:
        agree(mine.enumerate_support(), theirs.enumerate_support())


@pytest.mark.parametrize("name", MADE)
def test_expanded(name):
    (theirs, _), (mine, _) = both(name)
    shape = (2, *theirs.batch_shape)
    theirs, mine = theirs.expand(shape), mine.expand(shape)
    assert (
        tuple(mine.batch_shape) == tuple(theirs.batch_shape) and type(mine).__name__ == type(theirs).__name__
    )
    want, got = drawn(theirs, torch), drawn(mine, rushlight)
    agree(got, want, SAMPLES)
    agree(mine.log_prob(got), theirs.log_prob(want))


PAIRS = [
    *[(name, name) for name in MADE if name not in ("MixtureSameFamily", "StudentT", "NegativeBinomial")],
    ("Uniform", "Normal"),
    ("Normal", "Laplace"),
    ("Laplace", "Normal"),
    ("Normal", "Uniform"),
    ("Gamma", "Exponential"),
    ("Exponential", "Gamma"),
    ("Poisson", "Bernoulli"),
    ("Bernoulli", "Poisson"),
    ("StudentT", "Normal"),
]


@pytest.mark.parametrize("p,q", PAIRS)
def test_divergences(p, q):
    results = []
    for T in (torch, rushlight):
        D = T.distributions
        make, *values = MADE[p]
        other, *others = MADE[q]
        first = make(D, *[T.tensor(v) for v in values])
        second = other(D, *[T.tensor(v) for v in others])
        results.append(outcome(lambda a=first, b=second, K=D.kl_divergence: K(a, b)))
    agree(results[1], results[0])


WRONG = {
    "a scale below 0": lambda D, T: D.Normal(0.0, T.tensor([-1.0, 1.0])),
    "nan": lambda D, T: D.Normal(T.tensor(float("nan")), 1.0),
    "neither probs nor logits": lambda D, T: D.Bernoulli(),
    "both": lambda D, T: D.Categorical(T.ones(2), T.ones(2)),
    "a number of categories": lambda D, T: D.Categorical(T.tensor(1.0)),
    "a probability above 1": lambda D, T: D.Bernoulli(T.tensor([1.5])),
    "high below low": lambda D, T: D.Uniform(T.tensor([2.0]), 1.0),
    "outside the support": lambda D, T: D.Exponential(T.tensor([1.0])).log_prob(T.tensor([-1.0])),
    "half a count": lambda D, T: D.Poisson(T.tensor([1.0])).log_prob(T.tensor([0.5])),
    "another shape": lambda D, T: D.Normal(T.zeros(3), T.ones(3)).log_prob(T.zeros(2)),
    "a number as value": lambda D, T: D.Normal(0.0, 1.0).log_prob(1.0),
    "a text as parameter": lambda D, T: D.Normal("a", 1.0),
    "a covariance that is none": lambda D, T: D.MultivariateNormal(T.zeros(2), -T.eye(2)),
    "two covariances": lambda D, T: D.MultivariateNormal(T.zeros(2), T.eye(2), T.eye(2)),
    "a list as count": lambda D, T: D.Multinomial([1], T.ones(2)),
    "too many dims": lambda D, T: D.Independent(D.Normal(0.0, 1.0), 1),
    "no success": lambda D, T: D.Geometric(T.tensor([0.0])),
    "no rule": lambda D, T: D.kl_divergence(D.Cauchy(0.0, 1.0), D.Normal(0.0, 1.0)),
    "no transform": lambda D, T: D.TransformedDistribution(D.Normal(0.0, 1.0), 3),
    "no way there": lambda D, T: D.biject_to(D.constraints.boolean),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors(case):
    want = outcome(lambda: WRONG[case](torch.distributions, torch))
    got = outcome(lambda: WRONG[case](rushlight.distributions, rushlight))
    assert isinstance(want, tuple) and got == want


def test_validation_can_be_switched_off():
    assert rushlight.distributions.Normal(0.0, -1.0, validate_args=False).stddev.item() == -1


TRANSFORMS = {
    "exp": lambda D, T: D.ExpTransform(),
    "sigmoid": lambda D, T: D.SigmoidTransform(),
    "tanh": lambda D, T: D.TanhTransform(),
    "softplus": lambda D, T: D.SoftplusTransform(),
    "affine": lambda D, T: D.AffineTransform(1.0, T.tensor([2.0, -3.0, 0.5])),
    "affine of vectors": lambda D, T: D.AffineTransform(1.0, T.tensor([2.0, -3.0, 0.5]), event_dim=1),
    "composed": lambda D, T: D.ComposeTransform([D.ExpTransform(), D.PowerTransform(T.tensor(2.0))]),
    "inverse": lambda D, T: D.SoftplusTransform().inv.inv,
    "independent": lambda D, T: D.IndependentTransform(D.ExpTransform(), 1),
    "stick": lambda D, T: D.StickBreakingTransform(),
    "cumulative": lambda D, T: D.CumulativeDistributionTransform(D.Normal(0.0, 1.0)),
    "reshape": lambda D, T: D.ReshapeTransform((3,), (3, 1)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    x = [[0.3, -0.7, 1.1], [0.2, 0.1, -0.4]]
    results = []
    for T in (torch, rushlight):
        f = TRANSFORMS[name](T.distributions, T)
        y = f(T.tensor(x))
        results.append([y, f.inv(y), f.log_abs_det_jacobian(T.tensor(x), y), repr(f), repr(f.domain)])
    for mine, theirs in zip(results[1][:3], results[0][:3], strict=True):
        agree(mine, theirs)
    assert results[1][3:] == results[0][3:]


CONSTRAINTS = ["real", "positive", "nonnegative", "unit_interval", "simplex", "lower_cholesky", "real_vector"]


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_transform_to_a_constraint(name):
    x = [[0.3, -0.7], [0.2, 0.1]]
    results = []
    for T in (torch, rushlight):
        c = getattr(T.distributions.constraints, name)
        y = T.distributions.transform_to(c)(T.tensor(x))
        assert c.check(y).all()
        results.append((y, repr(c)))
    agree(results[1][0], results[0][0])
    assert results[1][1] == results[0][1]


def test_modules_have_the_names_that_programs_import():
    for module, names in rushlight.distributions._HOMES.items():
        for name in names.split():
            theirs = getattr(importlib.import_module(f"torch.distributions.{module}"), name)
            mine = getattr(importlib.import_module(f"rushlight.distributions.{module}"), name)
            assert mine is getattr(rushlight.distributions, name) and theirs is getattr(
                torch.distributions, name
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binomial_samples_bit_for_bit(dtype):
    rng = np.random.default_rng(0)
    for seed in range(10):
        counts, shares = rng.integers(0, 200, 40).astype(dtype), rng.random(40).astype(dtype)
        torch.manual_seed(seed)
        rushlight.manual_seed(seed)
        want = torch.binomial(torch.tensor(counts), torch.tensor(shares))
        got = rushlight.binomial(rushlight.tensor(counts), rushlight.tensor(shares))
        np.testing.assert_array_equal(got.numpy(), want.numpy())


def test_incomplete_gamma_functions():
    rng = np.random.default_rng(0)
    for low, high in ((0.01, 5), (5, 50), (50, 5000)):
        a = rng.uniform(low, high, 500)
        x = a * np.exp(rng.normal(0, 1 / np.sqrt(a + 1)))
        for mine, exact in (
            (rushlight.igamma, scipy.special.gammainc),
            (rushlight.igammac, scipy.special.gammaincc),
        ):
            np.testing.assert_allclose(
                mine(rushlight.tensor(a), rushlight.tensor(x)).numpy(), exact(a, x), rtol=INCOMPLETE_GAMMA
            )
    ends = ([0.0, 0, -1, np.inf, 2, 2, np.inf], [0.0, 1, 1, 2, np.inf, -1, np.inf])
    for name in ("igamma", "igammac"):
        want = getattr(torch, name)(*map(torch.tensor, ends))
        np.testing.assert_array_equal(
            getattr(rushlight, name)(*map(rushlight.tensor, ends)).numpy(), want.numpy()
        )
