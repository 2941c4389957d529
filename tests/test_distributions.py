"""Distributions against PyTorch's: the same streams, values, gradients, errors and words."""

from __future__ import annotations

import copy
import importlib
import math
import pickle
import warnings

import numpy as np
import pytest
import scipy.special
import torch
from both import same

import rushlight

#: A density is a sum of a few terms up to ten times as large as itself, each of them rounded to float32 (6e-8) in its own
#: order here and there: some 100 roundings of the largest term.
VALUES = 2e-5
#: A sample is one to three functions of the same words, each within a few units in the last place (1.2e-7).
SAMPLES = 2e-6
#: The same for float64 (2.2e-16).
SAMPLES_64 = 1e-12
#: The diagonal of a correlation matrix's factor is the root of 1 less a sum of squares, which is right to 6e-8.
CORRELATION = 2.5e-4
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
    "Uniform within 0 and 1": (lambda D, p: D.Uniform(p / 2, p / 2 + 0.3), P),
    "Uniform above 3": (lambda D, a: D.Uniform(a + 3, 2 * a + 3.5), A),
    "Uniform of a wide range": (lambda D, a: D.Uniform(-a, a + 1), A),
    "Pareto of finite variance": (lambda D, a, b: D.Pareto(a, b + 2), A, B),
    "ContinuousBernoulli": (lambda D, p: D.ContinuousBernoulli(p), P),
    "ContinuousBernoulli of logits": (lambda D, a: D.ContinuousBernoulli(logits=a), A),
    "RelaxedBernoulli": (lambda D, a, p: D.RelaxedBernoulli(a, p), [0.7], P),
    "RelaxedBernoulli of logits": (lambda D, a, b: D.RelaxedBernoulli(a, logits=b), [0.7], A),
    "RelaxedOneHotCategorical": (lambda D, t, a: D.RelaxedOneHotCategorical(t, a), 0.7, [A, B]),
    "RelaxedOneHotCategorical of logits": (
        lambda D, t, a: D.RelaxedOneHotCategorical(t, logits=a),
        0.7,
        A,
    ),
    "VonMises": (lambda D, a, b: D.VonMises(a, b), A, B),
    "Kumaraswamy": (lambda D, a, b: D.Kumaraswamy(a, b), A, B),
    "FisherSnedecor": (lambda D, a, b: D.FisherSnedecor(a + 2, 2 * b + 2), A, B),
    "GeneralizedPareto": (lambda D, a, b, c: D.GeneralizedPareto(a, b, c), A, B, [-0.7, 0.0, 0.3]),
    "LKJCholesky": (lambda D, a: D.LKJCholesky(3, a), A),
    "LKJCholesky of 2": (lambda D, a: D.LKJCholesky(2, a), 1.5),
    "Wishart": (lambda D, s: D.Wishart(4, s), SQUARE),
    "Wishart in batches": (lambda D, a, s: D.Wishart(a + 2, scale_tril=s.tril()), A, SQUARE),
    "Wishart of precision": (lambda D, s: D.Wishart(4.5, precision_matrix=s), SQUARE),
    "LowRankMultivariateNormal": (
        lambda D, m, w, d: D.LowRankMultivariateNormal(m, w, d),
        [0.1, 0.2],
        [[1.0], [0.5]],
        [0.5, 2.0],
    ),
    "LowRankMultivariateNormal in batches": (
        lambda D, m, w, d: D.LowRankMultivariateNormal(m, w, d),
        [[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]],
        [[1.0, 0.2], [0.5, 0.3], [0.1, 0.9]],
        A,
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


def same_samples(name, mine, theirs):
    agree(mine, theirs, CORRELATION if name.startswith("LKJ") else SAMPLES)


def drawn(distribution, T, method="sample"):
    T.manual_seed(3)
    return getattr(distribution, method)((4,))


@pytest.mark.parametrize("name", MADE)
def test_samples_come_from_the_same_stream(name):
    (theirs, _), (mine, _) = both(name)
    want, got = drawn(theirs, torch), drawn(mine, rushlight)
    same_samples(name, got, want)
    assert torch.rand(1).item() == rushlight.rand(1).item()  # no more and no fewer words were used


@pytest.mark.parametrize("name", MADE)
def test_samples_of_float64_come_from_the_same_stream(name):
    make, *values = MADE[name]
    drawn_from = [
        make(T.distributions, *(T.tensor(v, dtype=T.float64) for v in values)) for T in (torch, rushlight)
    ]
    want, got = drawn(drawn_from[0], torch), drawn(drawn_from[1], rushlight)
    agree(got, want, SAMPLES_64)


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
    if name.startswith("Wishart"):  # PyTorch overwrites a mask that it needs; the next test is of these
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (want * torch.tensor(weights)).sum().backward()
        return
    (want * torch.tensor(weights)).sum().backward()
    (got * rushlight.tensor(weights)).sum().backward()
    for t, r in zip(there, here, strict=True):
        if t.grad is not None:
            agree(r.grad, t.grad, SAMPLE_SLOPES)


def test_samples_of_a_wishart_distribution_have_the_slopes_of_their_differences():
    factor = rushlight.tensor([[1.2, 0.0], [0.3, 0.8]], dtype=rushlight.float64)
    freedom = rushlight.tensor([3.5, 5.0], dtype=rushlight.float64)

    def drawn_from(df, scale_tril):
        rushlight.manual_seed(7)
        return rushlight.distributions.Wishart(df, scale_tril=scale_tril.tril()).rsample((3,))

    factor.requires_grad_()
    assert rushlight.autograd.gradcheck(lambda scale_tril: drawn_from(freedom, scale_tril), (factor,))


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
def test_pickled_and_copied(name):
    _, (mine, _) = both(name)
    value = drawn(mine, rushlight).detach()
    with rushlight.no_grad():
        make, *values = MADE[name]
        plain = make(rushlight.distributions, *map(rushlight.tensor, values))
        for again in (pickle.loads(pickle.dumps(plain)), copy.deepcopy(plain)):
            assert repr(again) == repr(plain) and drawn(again, rushlight).tolist() == value.tolist()
            assert again.log_prob(value).tolist() == mine.log_prob(value).tolist()


@pytest.mark.parametrize("name", MADE)
def test_expanded(name):
    (theirs, _), (mine, _) = both(name)
    shape = (2, *theirs.batch_shape)
    theirs, mine = theirs.expand(shape), mine.expand(shape)
    assert (
        tuple(mine.batch_shape) == tuple(theirs.batch_shape) and type(mine).__name__ == type(theirs).__name__
    )
    want, got = drawn(theirs, torch), drawn(mine, rushlight)
    same_samples(name, got, want)
    agree(mine.log_prob(rushlight.tensor(want.tolist())), theirs.log_prob(want))


def _families():
    """Name -> the classes that the distribution is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {
            name: make(torch.distributions, *map(torch.tensor, values))
            for name, (make, *values) in MADE.items()
        }
    return {name: type(distribution).__mro__ for name, distribution in made.items()}


FAMILIES = _families()
#: every two distributions above for whose families PyTorch knows the divergence, and two for which it does not
PAIRS = [
    *[
        (p, q)
        for p in MADE
        for q in MADE
        if any(a in FAMILIES[p] and b in FAMILIES[q] for a, b in torch.distributions.kl._KL_REGISTRY)
        # PyTorch adds up the batch here; see below
        and ("Wishart in batches" not in (p, q) or p == q)
    ],
    ("StudentT", "Normal"),
    ("VonMises", "VonMises"),
]


def test_every_pair_of_families_with_a_divergence_is_tested():
    # a normal vector is one family here, however its covariance is given
    tested = {(a, b) for p, q in PAIRS for a in FAMILIES[p] for b in FAMILIES[q]}
    assert set(torch.distributions.kl._KL_REGISTRY) <= tested


@pytest.mark.parametrize("p,q", PAIRS)
def test_divergences(p, q):
    results = []
    for T in (torch, rushlight):
        D = T.distributions
        make, *values = MADE[p]
        other, *others = MADE[q]
        first = make(D, *[T.tensor(v) for v in values])
        second = other(D, *[T.tensor(v) for v in others])
        result = outcome(lambda a=first, b=second, K=D.kl_divergence: K(a, b))
        if isinstance(result, tuple):  # PyTorch's sentences have the indentation of its source in them
            result = tuple(" ".join(words.split()) for words in result)
        results.append(result)
    agree(results[1], results[0])


def test_divergences_of_wishart_batches_are_those_of_their_elements():
    scale, freedom = [[2.0, 0.3], [0.3, 1.0]], [3.5, 4.5, 6.0]
    D = rushlight.distributions
    mine = D.kl_divergence(
        D.Wishart(rushlight.tensor(freedom), rushlight.tensor(scale)), D.Wishart(5, rushlight.eye(2))
    )
    D = torch.distributions
    theirs = [
        D.kl_divergence(D.Wishart(df, torch.tensor(scale)), D.Wishart(5, torch.eye(2))) for df in freedom
    ]
    agree(mine, torch.stack(theirs))


@pytest.mark.parametrize("concentration", [1e-7, 1e-3, 0.5, 20.0, 500.0])
def test_angles_of_extreme_concentrations(concentration):
    theirs, mine = (T.distributions.VonMises(T.tensor(0.3), concentration) for T in (torch, rushlight))
    same_samples("VonMises", drawn(mine, rushlight), drawn(theirs, torch))
    # PyTorch's own figures are no oracle: its Bessel functions are right to 1e-7 of their size, its variance is the
    # difference of two such
    scale = scipy.special.i0e(concentration)
    density = np.exp(concentration * (np.cos(1.0 - 0.3) - 1)) / (2 * np.pi * scale)
    np.testing.assert_allclose(mine.log_prob(rushlight.tensor(1.0)).item(), np.log(density), rtol=VALUES)
    spread = 1 - scipy.special.i1e(concentration) / scale
    np.testing.assert_allclose(mine.variance.item(), spread, atol=VALUES)


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
    "three ways to give a covariance": lambda D, T: D.Wishart(3, T.eye(2), scale_tril=T.eye(2)),
    "too few degrees of freedom": lambda D, T: D.Wishart(1, T.eye(2)),
    "a vector as covariance": lambda D, T: D.Wishart(3, T.ones(2)),
    "a correlation of one": lambda D, T: D.LKJCholesky(1),
    "a factor of another size": lambda D, T: D.LowRankMultivariateNormal(T.zeros(2), T.ones(3, 1), T.ones(2)),
    "a factor that is a vector": lambda D, T: D.LowRankMultivariateNormal(T.zeros(2), T.ones(2), T.ones(2)),
    "a diagonal of another size": lambda D, T: D.LowRankMultivariateNormal(
        T.zeros(2), T.ones(2, 1), T.ones(3)
    ),
    "batches that do not fit": lambda D, T: D.LowRankMultivariateNormal(
        T.zeros(3, 2), T.ones(4, 2, 1), T.ones(2)
    ),
    "a probability below 0": lambda D, T: D.ContinuousBernoulli(T.tensor([-0.5]), validate_args=True),
    "an angle of no concentration": lambda D, T: D.VonMises(0.0, T.tensor([0.0])),
    "no success": lambda D, T: D.Geometric(T.tensor([0.0])),
    "no rule": lambda D, T: D.kl_divergence(D.Cauchy(0.0, 1.0), D.Normal(0.0, 1.0)),
    "no transform": lambda D, T: D.TransformedDistribution(D.Normal(0.0, 1.0), 3),
    "a part that is none": lambda D, T: D.CatTransform([D.ExpTransform(), 3]),
    "parts without lengths": lambda D, T: D.CatTransform([D.ExpTransform()], lengths=[1, 2]),
    "parts of another length": lambda D, T: D.CatTransform([D.ExpTransform()], lengths=[2])(T.zeros(3)),
    "parts of a missing dimension": lambda D, T: D.CatTransform([D.ExpTransform()], dim=1).inv(T.zeros(3)),
    "more slices": lambda D, T: D.StackTransform([D.ExpTransform()]).log_abs_det_jacobian(
        T.zeros(2), T.zeros(2)
    ),
    "a slope of no dimension": lambda D, T: D.StackTransform([D.ExpTransform()], 2).log_abs_det_jacobian(
        T.zeros(2), T.zeros(2)
    ),
    "no triangle": lambda D, T: D.CorrCholeskyTransform()(T.zeros(4)),
    "the shape of no triangle": lambda D, T: D.CorrCholeskyTransform().forward_shape((4,)),
    "the shape of no square": lambda D, T: D.CorrCholeskyTransform().inverse_shape((4, 3)),
    "a diagonal outside": lambda D, T: D.utils.tril_matrix_to_vec(T.zeros(2, 2), 2),
    "no way there": lambda D, T: D.biject_to(D.constraints.boolean),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors(case):
    torch.distributions.Distribution.set_default_validate_args(
        True
    )  # (torch.compile switches it off for good)
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
    "parts of one dimension": lambda D, T: D.CatTransform(
        [D.ExpTransform(), D.SigmoidTransform()], dim=-1, lengths=[1, 2]
    ),
    "parts of a batch": lambda D, T: D.CatTransform([D.ExpTransform(), D.TanhTransform()], dim=0),
    "parts of events": lambda D, T: D.CatTransform([D.IndependentTransform(D.ExpTransform(), 1)] * 2, dim=0),
    "parts with caches": lambda D, T: D.CatTransform([D.ExpTransform(), D.TanhTransform()]).with_cache(),
    "slices": lambda D, T: D.StackTransform([D.ExpTransform(), D.identity_transform], dim=0),
    "slices of the last dimension": lambda D, T: D.StackTransform(
        [D.ExpTransform(), D.identity_transform, D.SoftplusTransform()], dim=-1
    ),
    "correlations": lambda D, T: D.CorrCholeskyTransform(),
    "reshape": lambda D, T: D.ReshapeTransform((3,), (3, 1)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    x = [[0.3, -0.7, 1.1], [0.2, 0.1, -0.4]]
    results = []
    for T in (torch, rushlight):
        f = TRANSFORMS[name](T.distributions, T)
        y = f(T.tensor(x))
        facts = [repr(f), bool(f.bijective), repr(f.domain), repr(f.codomain)]
        facts += [tuple(f.forward_shape(T.Size((2, 3)))), tuple(f.inverse_shape(y.shape))]
        results.append([y, f.inv(y), f.log_abs_det_jacobian(T.tensor(x), y), *facts])
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


def test_transform_to_parts_and_correlations():
    x = [[0.3, -0.7, 0.5], [0.2, 0.1, -1.0]]
    for way in ("biject_to", "transform_to"):
        results = []
        for T in (torch, rushlight):
            C, to = T.distributions.constraints, getattr(T.distributions, way)
            mixed = C.cat([C.positive, C.unit_interval], dim=1, lengths=[2, 1])
            sliced = C.stack([C.real, C.positive], dim=0)
            made = [(c, to(c)(T.tensor(x))) for c in (C.corr_cholesky, mixed, sliced)]
            assert all(c.check(y).all() for c, y in made)
            results.append([y for _, y in made])
        for mine, theirs in zip(results[1], results[0], strict=True):
            agree(mine, theirs)


@pytest.mark.parametrize("diag", [-2, -1, 0, 1])
def test_triangles_as_vectors(diag):
    from rushlight.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix

    matrix = np.random.default_rng(0).normal(size=(2, 4, 4)).tolist()
    vector = tril_matrix_to_vec(rushlight.tensor(matrix), diag)
    theirs = torch.distributions.utils.tril_matrix_to_vec(torch.tensor(matrix), diag)
    agree(vector, theirs)
    agree(vec_to_tril_matrix(vector, diag), torch.distributions.utils.vec_to_tril_matrix(theirs, diag))


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


@pytest.mark.parametrize("k", [0.0, -math.inf, math.inf, math.nan, 1e30])
def test_von_mises_comes_to_an_end(k):
    rushlight.manual_seed(0)
    drawn = rushlight.distributions.VonMises(
        rushlight.tensor(1.0), rushlight.tensor(k), validate_args=False
    ).sample((1000,))
    if k == 0:
        assert drawn.abs().max() <= math.pi
        assert abs(drawn.cos().mean()) < 0.1
        assert abs(drawn.sin().mean()) < 0.1
    else:
        assert drawn.isnan().all() if math.isnan(k) else (drawn == 1).all()


def test_samples_of_parameters_that_are_none():
    nan, inf = rushlight.tensor([math.nan]), rushlight.tensor([math.inf])
    assert rushlight.binomial(nan, rushlight.tensor([0.5])).isnan()
    assert rushlight.binomial(inf, rushlight.tensor([0.5])).isnan()
    assert rushlight.poisson(inf).isinf()
    assert (
        rushlight._standard_gamma(-inf)
        == rushlight.finfo(rushlight.float32).tiny
        == rushlight._standard_gamma(nan)
    )
    with pytest.raises(RuntimeError, match="std >= 0"):
        rushlight.normal(nan, nan)
    for weight, told in ((nan, "entry < 0"), (inf, "infinity or NaN"), (-inf, "entry < 0")):
        with pytest.raises(RuntimeError, match=told):
            rushlight.multinomial(rushlight.cat([weight, rushlight.ones(1)]), 3, True)


def test_wishart_of_a_row_of_freedoms() -> None:
    same(lambda T: T.distributions.Wishart(T.tensor([3.0]), covariance_matrix=T.eye(2)).mean)


def test_divergences_of_classes_of_another_library() -> None:
    class Foreign: ...

    class Own(rushlight.distributions.Normal): ...

    @rushlight.distributions.register_kl(Own, Foreign)
    def rule(p, q):
        return 3

    assert rushlight.distributions.kl_divergence(Own(0.0, 1.0), Foreign()) == 3
    same(lambda T: T.distributions.register_kl(3, T.distributions.Normal), text=False)
