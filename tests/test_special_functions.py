"""The special functions' own accuracy, against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from rushlight.numerics import bessel, errors, gamma
from rushlight.numerics.fused import multiply_add

EPS = np.finfo(np.float64).eps


def _scaled_erfc(x):
    return mpmath.exp(x * x) * mpmath.erfc(x)


def _quantile(p):
    return mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)


CASES = {
    "erf": (errors.erf, mpmath.erf, -6, 6, 2),
    "erfc": (errors.erfc, mpmath.erfc, -6, 26, 4),
    "erfcx": (errors.erfcx, _scaled_erfc, 0, 50, 4),
    "erfinv": (errors.erfinv, mpmath.erfinv, -1, 1, 4),
    "ndtri": (errors.ndtri, _quantile, 0.0005, 0.49, 8),
    "lgamma below 1": (gamma.lgamma, mpmath.loggamma, 0, 1, 8),
    "lgamma to 3": (gamma.lgamma, mpmath.loggamma, 1, 3, 4),
    "lgamma": (gamma.lgamma, mpmath.loggamma, 3, 200, 8),
    "digamma": (gamma.digamma, mpmath.digamma, 0, 20, 4),
    "trigamma": (lambda x: gamma.polygamma(1, x), lambda x: mpmath.psi(1, x), -5, 20, 16),
    "polygamma 3": (lambda x: gamma.polygamma(3, x), lambda x: mpmath.psi(3, x), 0, 20, 8),
    "zeta": (
        lambda x: gamma.zeta(x, np.float64(1.5)),
        lambda s: mpmath.zeta(s, mpmath.mpf(1.5)),
        1.01,
        20,
        8,
    ),
    "i0": (bessel.i0, lambda x: mpmath.besseli(0, x), -30, 30, 6),
    "i0e": (bessel.i0e, lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)), -100, 100, 4),
    "i1": (bessel.i1, lambda x: mpmath.besseli(1, x), -30, 30, 8),
    "i1e": (bessel.i1e, lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)), -100, 100, 4),
}


@pytest.mark.parametrize("name", CASES)
def test_accuracy(name):
    f, exact, low, high, units = CASES[name]
    x = np.random.default_rng(1).uniform(low, high, 300)
    got = f(x)
    with mpmath.workdps(40):
        for value, result in zip(x.tolist(), got.tolist()):
            want = exact(mpmath.mpf(value))
            assert abs(mpmath.mpf(result) - want) <= units * EPS * abs(want), (value, result)


def test_small_and_large_arrays_agree():
    x = np.random.default_rng(2).uniform(-4, 4, 1000)
    for f in (errors.erf, errors.erfc):
        few = np.concatenate([f(part) for part in np.split(x, 10)])
        np.testing.assert_allclose(f(x), few, rtol=4 * EPS)


def test_shapes_and_strides_are_kept():
    x = np.random.default_rng(3).uniform(0.1, 4, (30, 40)).T
    got = gamma.lgamma(x)
    assert got.shape == x.shape and got.strides == x.strides
    np.testing.assert_array_equal(got, gamma.lgamma(np.ascontiguousarray(x)))


def test_multiply_add_rounds_once():
    from fractions import Fraction

    rng = np.random.default_rng(4)
    x, y, z = (rng.standard_normal(500) for _ in range(3))
    want = [
        float(Fraction(a) + Fraction(b) * Fraction(c)) for a, b, c in zip(x.tolist(), y.tolist(), z.tolist())
    ]
    assert multiply_add(x, y, z).tolist() == want
