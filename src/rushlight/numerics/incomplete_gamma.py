"""The incomplete gamma functions, regularised: P(a, x), which rises from 0 to 1, and Q = 1 - P.

1. Around x = a, for large a, Temme's uniform expansion (DLMF 8.12.3, 8.12.7).
2. Elsewhere P's power series (DLMF 8.7.1) below x = a + 1, Legendre's continued fraction of Q (DLMF 8.9.2) above.
3. Both have the factor x^a e^-x / Gamma(a + 1), whose exponent is taken by its distance from x = a, so that nothing
   cancels: A. R. DiDonato and A. H. Morris, ACM TOMS 12 (1986).
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np

from rushlight.numerics.errors import _erfc as erfc
from rushlight.numerics.gamma import lgamma
from rushlight.numerics.polynomials import horner

Array = np.ndarray

_TINY = np.finfo(np.float64).tiny
_STEPS = 2000
#: from here on the expansion is used around x = a
_LARGE = 20.0
_AROUND = 0.3
_ORDERS, _TERMS = 14, 26


def lower(a: Array, x: Array) -> Array:
    """P(a, x), the lower one."""
    return _regularised(a, x, upper=False)


def upper(a: Array, x: Array) -> Array:
    """Q(a, x), the upper one."""
    return _regularised(a, x, upper=True)


def _regularised(a: Array, x: Array, upper: bool) -> Array:
    a, x = (np.array(v, np.float64) for v in np.broadcast_arrays(a, x))
    out = np.full(a.shape, np.nan)
    with np.errstate(all="ignore"):
        known = (a >= 0) & (x >= 0) & ((a > 0) | (x > 0)) & ~(np.isinf(a) & np.isinf(x))
        none = known & ((x == 0) | np.isinf(a)) & (a != 0)
        whole = known & ((a == 0) | np.isinf(x)) & ~none
        out[none], out[whole] = (1.0, 0.0) if upper else (0.0, 1.0)
        rest = known & ~none & ~whole
        out[rest] = _inside(a[rest], x[rest], upper)
    return out


def _inside(a: Array, x: Array, upper: bool) -> Array:
    """For finite, positive a and x."""
    out = np.empty(a.shape)
    around = (a > _LARGE) & (np.abs(x - a) < _AROUND * a)
    below = ~around & (x < a + 1) & ~((x < 1) & (x > 1.1 * a) & upper)
    above = ~around & ~below
    out[around] = _temme(a[around], x[around], upper)
    p = _series(a[below], x[below])
    out[below] = 1 - p if upper else p
    small = above & (x < 1.1)
    far = above & ~small
    q = _complement_of_series(a[small], x[small])
    out[small] = q if upper else 1 - q
    q = _fraction(a[far], x[far])
    out[far] = q if upper else 1 - q
    return out


# ---- the common factor ----


def _factor(a: Array, x: Array) -> Array:
    """x^a e^-x / Gamma(a + 1)."""
    plain = np.exp(a * np.log(x) - x - lgamma(a + 1))
    large = a > 10
    if not large.any():
        return plain
    b = a[large]
    mu = (x[large] - b) / b
    scaled = np.exp(b * _log_less(mu)) / np.sqrt(2 * math.pi * b) * np.exp(-_stirling_rest(b))
    plain[large] = scaled
    return plain


def _log_less(mu: Array) -> Array:
    """log(1 + mu) - mu."""
    plain = np.log1p(mu) - mu
    near = np.abs(mu) < 0.3
    if near.any():
        m = mu[near]
        # log(1 + m) = 2 artanh(t), t = m / (2 + m), and m = 2 t / (1 - t)
        t = m / (2 + m)
        tail = np.zeros_like(t)
        for k in range(13, 0, -1):
            tail = tail * t * t + 2 / (2 * k + 1)
        plain[near] = tail * t**3 - t * m
    return plain


def _stirling_rest(a: Array) -> Array:
    """log Gamma(a + 1) less Stirling's formula (DLMF 5.11.1), for a above 10."""
    z = 1 / (a * a)
    return horner((1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156), z) / a


# ---- series and fraction ----


def _series(a: Array, x: Array) -> Array:
    term = np.ones_like(x)
    total = term.copy()
    for n in range(1, _STEPS):
        term = term * (x / (a + n))
        total += term
        if not (term > total * 1e-17).any():
            break
    return np.minimum(_factor(a, x) * total, 1.0)


def _complement_of_series(a: Array, x: Array) -> Array:
    """Q for small a and x, where 1 - P would cancel: 1 - x^a / Gamma(a + 1), and the series of what is left."""
    whole = a * np.log(x) - lgamma(a + 1)
    term = np.ones_like(x)
    total = np.zeros_like(x)
    for n in range(1, 40):
        term = term * (-x / n)
        total += term / (a + n)
    return -np.expm1(whole) - a * np.exp(whole) * total


def _fraction(a: Array, x: Array) -> Array:
    """Legendre's continued fraction, from the front, by the modified method of Lentz."""
    b = x + 1 - a
    c = np.full_like(x, 1 / _TINY)
    d = 1 / b
    value = d.copy()
    for n in range(1, _STEPS):
        step = -n * (n - a)
        b = b + 2
        d = step * d + b
        d = 1 / np.where(np.abs(d) < _TINY, _TINY, d)
        c = b + step / c
        c = np.where(np.abs(c) < _TINY, _TINY, c)
        change = d * c
        moving = np.abs(change - 1) > 4e-16  # what has arrived must not gather rounding errors
        if not moving.any():
            break
        value = np.where(moving, value * change, value)
    return np.minimum(_factor(a, x) * a * value, 1.0)


# ---- around x = a ----


def _temme(a: Array, x: Array, upper: bool) -> Array:
    mu = (x - a) / a
    half_square = -_log_less(mu)
    eta = np.copysign(np.sqrt(2 * half_square), mu)
    sign = 1.0 if upper else -1.0
    series = np.zeros_like(a)
    for coefficients in reversed(_expansion()):
        series = series / a + horner(coefficients, eta)
    rest = np.exp(-a * half_square) / np.sqrt(2 * math.pi * a) * series
    return 0.5 * erfc(sign * eta * np.sqrt(a / 2)) + sign * rest


@functools.cache
def _expansion() -> tuple[tuple[float, ...], ...]:
    """The Taylor coefficients in eta of Temme's c_0, c_1, ... (DLMF 8.12.8 to 8.12.12).

    1. mu = lambda - 1 as a series in eta, from mu mu' = eta (1 + mu).
    2. c_0 = 1 / mu - 1 / eta, and eta c_k = c_(k-1)' + eta / mu times a number that keeps c_k finite at 0.
    """
    count = _TERMS + 2 * _ORDERS + 4
    mu = [Fraction(0), Fraction(1)]
    for n in range(2, count):
        # the coefficient of eta^n in mu mu' is (n + 1) / 2 times that of mu^2 at n + 1
        known = sum((mu[i] * mu[n + 1 - i] for i in range(2, n)), Fraction(0))
        mu.append((mu[n - 1] * 2 / (n + 1) - known) / 2)
    inverse = _reciprocal(mu[1:])  # eta / mu
    c = inverse[1:]
    found = [c]
    for _ in range(1, _ORDERS):
        slope = [c[i + 1] * (i + 1) for i in range(len(c) - 1)]
        c = [s - slope[0] * m for s, m in zip(slope, inverse)][1:]
        found.append(c)
    return tuple(tuple(float(value) for value in row[:_TERMS]) for row in found)


def _reciprocal(series: list[Fraction]) -> list[Fraction]:
    out = [1 / series[0]]
    for n in range(1, len(series)):
        out.append(-sum((series[i] * out[n - i] for i in range(1, n + 1)), Fraction(0)) / series[0])
    return out
