"""`torch.special`: types, layouts, edges, errors and gradients against PyTorch; accuracy is another file's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import torch

import rushlight

ONE = """
airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammaln i0 i0e i1 i1e log1p
log_ndtr logit modified_bessel_i0 modified_bessel_i1 modified_bessel_k0 modified_bessel_k1 ndtr ndtri psi
scaled_modified_bessel_k0 scaled_modified_bessel_k1 sinc spherical_bessel_j0
""".split()
POLYNOMIALS = """
chebyshev_polynomial_t chebyshev_polynomial_u chebyshev_polynomial_v chebyshev_polynomial_w hermite_polynomial_h
hermite_polynomial_he laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_t
shifted_chebyshev_polynomial_u shifted_chebyshev_polynomial_v shifted_chebyshev_polynomial_w
""".split()
TWO = [*POLYNOMIALS, "gammainc", "gammaincc", "xlog1py", "xlogy", "zeta"]
OTHER = "log_softmax logsumexp multigammaln polygamma round softmax".split()
#: PyTorch's own Bessel functions are right to some 1e-8, Airy's to some 1e-7, of the size 1
BESSEL = 1e-6
TOLERANCE = {"float32": 2e-6, "float64": 1e-11}
EDGES = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, -2.5, -3.0, 1e-300, 1e300]


def outcome(f, *args, **kwargs):
    """The result, or the class and the first line of the error."""
    try:
        return f(*args, **kwargs)
    except Exception as error:
        return next(c for c in type(error).__mro__ if c.__module__ == "builtins"), str(error).split("\n")[0]


def agree(mine, theirs, tolerance):
    if isinstance(theirs, tuple):
        assert mine == theirs
        return
    assert str(mine.dtype) == str(theirs.dtype) and tuple(mine.shape) == tuple(theirs.shape)
    assert mine.stride() == theirs.stride()
    np.testing.assert_allclose(mine.tolist(), theirs.tolist(), rtol=tolerance, atol=tolerance)


def test_every_name_is_tested():
    names = {name for name in dir(torch.special) if name[0] != "_"}
    assert names - {"Tensor", "common_args", "multi_dim_common", "torch"} == {*ONE, *TWO, *OTHER}
    assert {*ONE, *TWO, *OTHER} == set(rushlight.special.__all__)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", "bool uint8 int64 float16 bfloat16 float32 float64 complex64".split())
def test_types_and_layouts_of_one_operand(name, dtype):
    rng = np.random.default_rng(0)
    values = rng.uniform(-3, 3, (3, 4)).tolist()
    results = []
    for T in (torch, rushlight):
        x = T.tensor(values).to(getattr(T, dtype))
        forms = [x, x.t(), x[:, ::2], x[0, 0], x[:0]]
        results.append([outcome(getattr(T.special, name), form) for form in forms])
    for mine, theirs in zip(results[1], results[0], strict=True):
        tolerance = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-11}.get(dtype, 2e-6)
        agree(mine, theirs, max(tolerance, BESSEL) if "bessel" in name or "airy" in name else tolerance)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_edges_of_one_operand(name, dtype):
    theirs, mine = (
        getattr(T.special, name)(T.tensor(EDGES, dtype=getattr(T, dtype))) for T in (torch, rushlight)
    )
    tolerance = TOLERANCE[dtype]
    # PyTorch takes the sine of x - pi / 4, which for a large x is any number
    agree(mine, theirs, max(tolerance, BESSEL) if "bessel" in name or "airy" in name else tolerance)


@pytest.mark.parametrize("name", POLYNOMIALS)
@pytest.mark.parametrize("dtype", "bool int32 float16 bfloat16 float32 float64 complex64".split())
def test_types_of_polynomials(name, dtype):
    x = np.random.default_rng(1).uniform(-2, 2, (2, 12)).tolist()
    results = []
    for T in (torch, rushlight):
        f, given = getattr(T.special, name), T.tensor(x).to(getattr(T, dtype))
        degrees = T.arange(-2, 10)
        calls = [
            (given, degrees),
            (given, degrees.to(T.float64)),
            (given, 3),
            (given.t(), 2.7),
            (0.5, degrees),
        ]
        calls += [(given[0, 0], degrees[5]), (given[:0], degrees), (given[:, ::2], degrees[::2])]
        results.append([outcome(f, *args) for args in calls])
    for mine, theirs in zip(results[1], results[0], strict=True):
        # of degree 9 at 2 some are 1e6: PyTorch computes in the type itself
        exact = isinstance(theirs, torch.Tensor) and theirs.dtype is torch.float64
        agree(mine, theirs, 1e-11 if exact else 1e-5)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_edges_of_polynomials(name):
    x = [math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 5.0, -5.0, 0.5]
    n = [-1.0, 0.0, 1.0, 2.0, 3.0, 6.0, 7.0, 10.0, 1000.0, math.nan, math.inf, -math.inf, 2.7, -0.5, 1e30]
    results = [
        getattr(T.special, name)(T.tensor(x, dtype=T.float64)[:, None], T.tensor(n, dtype=T.float64))
        for T in (torch, rushlight)
    ]
    agree(results[1], results[0], 1e-11)
    # PyTorch's result for nan is whatever its memory held
    degrees = rushlight.arange(-1, 9)
    nan = getattr(rushlight.special, name)(rushlight.tensor(math.nan), degrees).tolist()
    assert nan[:2] == [0, 1] and all(map(math.isnan, nan[2:]))


def test_polynomials_of_mixed_degrees_are_those_of_each():
    rng = np.random.default_rng(3)
    x, n = rushlight.tensor(rng.uniform(-2, 2, (20, 30))), rushlight.tensor(rng.integers(-1, 25, (20, 30)))
    for name in POLYNOMIALS:
        f = getattr(rushlight.special, name)
        each = [[f(x[i, j], n[i, j]).item() for j in range(0, 30, 7)] for i in range(0, 20, 7)]
        np.testing.assert_array_equal(f(x, n)[::7, ::7].tolist(), each)


@pytest.mark.parametrize("name", [n for n in ONE if "bessel" in n or "airy" in n] + POLYNOMIALS)
def test_no_gradient(name):
    for T in (torch, rushlight):
        x = T.tensor([0.3, 2.0], requires_grad=True)
        f = getattr(T.special, name)
        result = f(x, 3) if name in POLYNOMIALS else f(x)
        assert not result.requires_grad
        out = T.empty(2)
        again = f(x.detach(), 3, out=out) if name in POLYNOMIALS else f(x.detach(), out=out)
        assert again is out and out.tolist() == result.tolist()


def test_words_of_errors():
    for T in (torch, rushlight):
        for name in ("bessel_j0", "chebyshev_polynomial_t"):
            f = getattr(T.special, name)
            for args in ((), ("a",), (T.ones(2), "a"), (0.5, 3), (T.ones(2), T.ones(3))):
                want = outcome(
                    getattr(torch.special, name),
                    *(torch.ones(a.shape) if hasattr(a, "shape") else a for a in args),
                )
                assert outcome(f, *args) == want, (name, args)


def test_the_gradient_of_zeta():
    grads = []
    for T in (torch, rushlight):
        x, y = T.tensor([2.0, 3.0], requires_grad=True), T.tensor([1.5, 2.5], requires_grad=True)
        out = T.special.zeta(x.detach(), y)
        grads.append(T.autograd.grad(out.sum(), y)[0].tolist())
        with pytest.raises(NotImplementedError, match="the derivative for 'zeta' is not implemented"):
            T.special.zeta(x, y).sum().backward()
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-6)


def test_large_arrays_of_float32_are_as_accurate_as_their_type():
    x = np.random.default_rng(4).uniform(0, 50, 30_000).astype("f")
    for name, exact in {
        "bessel_j0": scipy.special.j0,
        "bessel_j1": scipy.special.j1,
        "bessel_y0": scipy.special.y0,
        "bessel_y1": scipy.special.y1,
        "modified_bessel_k0": scipy.special.k0,
        "scaled_modified_bessel_k1": scipy.special.k1e,
        "airy_ai": lambda x: scipy.special.airy(x)[0],
    }.items():
        got = getattr(rushlight.special, name)(rushlight.tensor(x)).numpy()
        np.testing.assert_allclose(got, exact(x.astype("d")).astype("f"), rtol=2e-7, atol=1e-44)
