"""The special functions' own accuracy, against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import rushlight
from rushlight.numerics import airy, bessel, cylinder, error_inverses, errors, gamma, macdonald, orthogonal
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
    "erfinv": (error_inverses.erfinv, mpmath.erfinv, -1, 1, 4),
    "erfinv near 1": (error_inverses.erfinv, mpmath.erfinv, 1 - 1e-9, 1, 4),
    "ndtri": (error_inverses.ndtri, _quantile, 0.0005, 0.49, 4),
    "ndtri above": (error_inverses.ndtri, _quantile, 0.51, 1, 4),
    "ndtri near 0": (error_inverses.ndtri, _quantile, 0, 1e-12, 4),
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


CASES |= {
    "k0": (macdonald.k0, lambda x: mpmath.besselk(0, x), 0, 2, 8),
    "k0 far": (macdonald.k0, lambda x: mpmath.besselk(0, x), 2, 600, 4),
    "k1": (macdonald.k1, lambda x: mpmath.besselk(1, x), 0, 2, 6),
    "k1 far": (macdonald.k1, lambda x: mpmath.besselk(1, x), 2, 600, 4),
    "k0e": (macdonald.k0e, lambda x: mpmath.besselk(0, x) * mpmath.exp(x), 0, 20, 8),
    "k1e": (macdonald.k1e, lambda x: mpmath.besselk(1, x) * mpmath.exp(x), 0, 20, 6),
    "k0e far": (macdonald.k0e, lambda x: mpmath.besselk(0, x) * mpmath.exp(x), 20, 1e4, 4),
    "j0 up to 5": (cylinder.j0, lambda x: mpmath.besselj(0, x), -5, 5, 8),
    "j1 up to 5": (cylinder.j1, lambda x: mpmath.besselj(1, x), -5, 5, 8),
    "spherical j0": (cylinder.spherical_j0, lambda x: mpmath.sin(x) / x, -100, 100, 4),
    "airy": (airy.ai, mpmath.airyai, 0, 100, 4),
}

#: function, exact, interval, error in units of the last place of the function's size there: these have roots, near which
#: digits cancel
SWINGING = {
    "j0": (cylinder.j0, lambda x: mpmath.besselj(0, x), 5, 1000, 4),
    "j1": (cylinder.j1, lambda x: mpmath.besselj(1, x), 5, 1000, 4),
    "y0": (cylinder.y0, lambda x: mpmath.bessely(0, x), 0.3, 1000, 4),
    "y1": (cylinder.y1, lambda x: mpmath.bessely(1, x), 0.9, 1000, 4),
    "j0 far out": (cylinder.j0, lambda x: mpmath.besselj(0, x), 1e9, 1e12, 4),
    "y1 far out": (cylinder.y1, lambda x: mpmath.bessely(1, x), 1e9, 1e12, 4),
    "airy to -6": (airy.ai, mpmath.airyai, -6, 0, 4),
    "airy below": (airy.ai, mpmath.airyai, -1000, -6, 4),
    "airy far below": (airy.ai, mpmath.airyai, -1e10, -1e9, 4),
}


@pytest.mark.parametrize("name", SWINGING)
def test_accuracy_of_what_swings(name):
    f, exact, low, high, units = SWINGING[name]
    x = np.random.default_rng(1).uniform(low, high, 300)
    size = np.abs(x) ** -0.25 if name.startswith("airy") else np.sqrt(2 / np.pi / x)
    with mpmath.workdps(60):
        for value, result, scale in zip(x.tolist(), f(x).tolist(), size.tolist()):
            want = exact(mpmath.mpf(value))
            assert abs(mpmath.mpf(result) - want) <= units * EPS * min(scale, 1.0), (value, result)


def _chebyshev_first(x, n):
    return mpmath.cos(n * mpmath.acos(x))


def _chebyshev_second(x, n):
    angle = mpmath.acos(x)
    return mpmath.sin((n + 1) * angle) / mpmath.sin(angle)


def _chebyshev_third(x, n):
    angle = mpmath.acos(x)
    return mpmath.cos((n + 0.5) * angle) / mpmath.cos(angle / 2)


#: function, exact
POLYNOMIALS = {
    "chebyshev t": (orthogonal.chebyshev_t, _chebyshev_first),
    "chebyshev u": (orthogonal.chebyshev_u, _chebyshev_second),
    "chebyshev v": (orthogonal.chebyshev_v, _chebyshev_third),
    "chebyshev w": (orthogonal.chebyshev_w, lambda x, n: (-1) ** n * _chebyshev_third(-x, n)),
    "shifted t": (orthogonal.shifted_t, lambda x, n: _chebyshev_first(2 * x - 1, n)),
    "shifted u": (orthogonal.shifted_u, lambda x, n: _chebyshev_second(2 * x - 1, n)),
    "shifted v": (orthogonal.shifted_v, lambda x, n: _chebyshev_third(2 * x - 1, n)),
    "shifted w": (orthogonal.shifted_w, lambda x, n: (-1) ** n * _chebyshev_third(1 - 2 * x, n)),
    "hermite h": (orthogonal.hermite_h, lambda x, n: mpmath.hermite(n, x)),
    "hermite he": (
        orthogonal.hermite_he,
        lambda x, n: mpmath.hermite(n, x / mpmath.sqrt(2)) / mpmath.sqrt(2) ** n,
    ),
    "laguerre": (orthogonal.laguerre, lambda x, n: mpmath.laguerre(n, 0, x)),
    "legendre": (orthogonal.legendre, lambda x, n: mpmath.legendre(n, x)),
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_accuracy_of_polynomials(name):
    f, exact = POLYNOMIALS[name]
    rng = np.random.default_rng(2)
    x, n = rng.uniform(-2, 2, 300), rng.integers(0, 30, 300)
    ends = np.abs(f(np.array([[-2.0], [2.0]]), n.astype("d")))
    size = ends.max(0)  # the largest value, or nearly
    with mpmath.workdps(60):
        for value, degree, result, most in zip(x.tolist(), n.tolist(), f(x, n).tolist(), size.tolist()):
            want = mpmath.re(exact(mpmath.mpf(value), degree))
            # each of the steps rounds a value that the later ones make no larger than the last one is somewhere
            allowed = 4 * (degree + 1) * EPS * max(abs(want), min(abs(most), (degree + 1) ** 2))
            if "hermite" in name or name == "laguerre":
                allowed = 4 * (degree + 1) * EPS * max(abs(want), abs(most))
            assert abs(mpmath.mpf(result) - want) <= allowed, (value, degree, result)


def test_polynomials_of_high_degree():
    x, n = np.array([0.3, -0.3, 0.999999, -0.999999]), np.float64(100_001)
    with mpmath.workdps(60):
        for name in ("chebyshev t", "chebyshev u", "chebyshev v", "chebyshev w"):
            f, exact = POLYNOMIALS[name]
            for value, result in zip(x.tolist(), f(x, n).tolist()):
                want = mpmath.re(exact(mpmath.mpf(value), int(n)))
                # the phase n * angle is rounded to n units, and U, V, W are divided by the sine of the angle
                allowed = 2 * n * EPS / np.sqrt(1 - abs(value))
                assert abs(mpmath.mpf(result) - want) <= allowed, (name, value, result)


@pytest.mark.parametrize("name", CASES)
def test_accuracy(name):
    f, exact, low, high, units = CASES[name]
    x = np.random.default_rng(1).uniform(low, high, 300)
    got = f(x)
    with mpmath.workdps(40):
        for value, result in zip(x.tolist(), got.tolist()):
            want = exact(mpmath.mpf(value))
            assert abs(mpmath.mpf(result) - want) <= units * EPS * abs(want), (value, result)


def test_quantiles_of_the_smallest_probabilities():
    p = np.array([5e-324, 1e-310, 1e-300, 1e-150, 1e-30])
    with mpmath.workdps(400):
        for value, result in zip(p.tolist(), error_inverses.ndtri(p).tolist()):
            back = mpmath.ncdf(mpmath.mpf(result))
            # from x to the probability an error grows by x times the density over the probability, some x^2
            assert abs(back / mpmath.mpf(value) - 1) <= 4 * EPS * result**2


def test_small_and_large_arrays_agree():
    x = np.random.default_rng(2).uniform(-4, 4, 1000)
    for f in (errors.erf, errors.erfc):
        few = np.concatenate([f(part) for part in np.split(x, 10)])
        np.testing.assert_allclose(f(x), few, rtol=4 * EPS)


PIECES = {
    "lgamma": (gamma.lgamma, rushlight.lgamma, -5, 30),
    "digamma": (gamma.digamma, rushlight.digamma, -5, 30),
    "trigamma": (gamma.trigamma, lambda x: rushlight.polygamma(1, x), -5, 30),
    "erfinv": (error_inverses.erfinv, rushlight.erfinv, -1, 1),
    "ndtri": (error_inverses.ndtri, rushlight.special.ndtri, 0, 1),
    "erfcx": (errors.erfcx, rushlight.special.erfcx, -5, 50),
    "i0e": (bessel.i0e, rushlight.special.i0e, -30, 30),
    "i1e": (bessel.i1e, rushlight.special.i1e, -30, 30),
    "j0": (cylinder.j0, rushlight.special.bessel_j0, -30, 30),
    "j1": (cylinder.j1, rushlight.special.bessel_j1, -30, 30),
    "y0": (cylinder.y0, rushlight.special.bessel_y0, -1, 30),
    "y1": (cylinder.y1, rushlight.special.bessel_y1, -1, 30),
    "spherical j0": (cylinder.spherical_j0, rushlight.special.spherical_bessel_j0, -30, 30),
    "k0": (macdonald.k0, rushlight.special.modified_bessel_k0, -1, 10),
    "k1": (macdonald.k1, rushlight.special.modified_bessel_k1, -1, 10),
    "k0e": (macdonald.k0e, rushlight.special.scaled_modified_bessel_k0, -1, 10),
    "k1e": (macdonald.k1e, rushlight.special.scaled_modified_bessel_k1, -1, 10),
    "airy": (airy.ai, rushlight.special.airy_ai, -40, 250),
}


@pytest.mark.parametrize("name", PIECES)
def test_numbers_arrays_and_loops_agree(name):
    f, public, low, high = PIECES[name]
    x = np.random.default_rng(5).uniform(low, high, (1 << 19) + 5)
    x[:14] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-300, 1 - 1e-16, 5e-324, 8.0]
    with np.errstate(all="ignore"):
        arrays = f(x)
        numbers = np.concatenate([f(part) for part in np.split(x[:400], 40)])
    loops = public(rushlight.tensor(x)).numpy()
    # the logarithms and sines of NumPy, of the C library and of our loops differ by a unit in the last place
    size = 8 * EPS * np.maximum(np.abs(arrays), 1)
    for other, to in ((numbers, 400), (loops, x.size)):
        same = (arrays[:to] == other) | (np.isnan(arrays[:to]) & np.isnan(other))
        with np.errstate(all="ignore"):
            assert (same | (np.abs(arrays[:to] - other) <= size[:to])).all()


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
