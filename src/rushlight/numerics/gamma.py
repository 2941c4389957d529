"""The logarithm of the gamma function, its derivatives, and Hurwitz's zeta function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.numerics.pieces import choose, everywhere, piecewise
from rushlight.numerics.polynomials import horner, on_interval

#: log gamma(x) / ((x - 1) (x - 2)) on [1, 3]
LGAMMA_NEAR = (
    0.42278433509846713,
    -0.10031730167435392,
    0.03296500062115574,
    -0.012384192193371025,
    0.004998641164703877,
    -0.00210813083396774,
    0.0009153769220606788,
    -0.00040570739724578336,
    0.0001825526419770573,
    -8.309512956943704e-05,
    3.816886281372433e-05,
    -1.7661650808739293e-05,
    8.22234752455359e-06,
    -3.847458853109349e-06,
    1.8074596187759183e-06,
    -8.52458942285471e-07,
    4.0556328878243737e-07,
    -1.9297722928130984e-07,
    8.745972665553573e-08,
    -4.0989550123057675e-08,
    2.6247261052647403e-08,
    -1.3413634707814583e-08,
    -7.603161817335483e-10,
    1.030238221872331e-09,
    4.927878685807133e-09,
    -2.721351987124904e-09,
    -1.3899445166243788e-09,
    7.781579910180084e-10,
    4.2453673576592675e-10,
    -2.2029817508594804e-10,
)

#: the same on [1/2, 1]
LGAMMA_LOW = (
    0.6504990445801452,
    -0.08808985033300351,
    0.018380335451527254,
    -0.004514237527713213,
    0.0012002398216789194,
    -0.00033396381823125977,
    9.568996637185131e-05,
    -2.798859353017238e-05,
    8.313450803895454e-06,
    -2.499207646494148e-06,
    7.586319006314289e-07,
    -2.3213319613538686e-07,
    7.152031742093564e-08,
    -2.216069130885206e-08,
    6.88176341763145e-09,
    -2.150444419765808e-09,
    6.973377225426157e-10,
    -2.2099229323896754e-10,
    5.3236510221137564e-11,
    -1.62707540006302e-11,
    1.2150341235422767e-11,
    -3.980731859547929e-12,
)

#: log gamma(x) on [3, 8]
LGAMMA_MIDDLE = (
    3.9578139676187165,
    4.027732871454377,
    0.6229449593425865,
    -0.10314830083671965,
    0.02553807401672843,
    -0.007563969760424914,
    0.002481750739252266,
    -0.0008698740141974956,
    0.00031923444870724513,
    -0.0001211613671272377,
    4.717387003760538e-05,
    -1.8736393318226595e-05,
    7.560901732840908e-06,
    -3.0913821208663793e-06,
    1.2773842872976166e-06,
    -5.309228233999001e-07,
    2.22692658251224e-07,
    -9.700728763548304e-08,
    4.162307717709667e-08,
    -1.4069171474956058e-08,
    5.668969859654879e-09,
    -5.686880476132719e-09,
    2.6722944988799287e-09,
    6.913054975483274e-10,
    -3.7538082452461755e-10,
    -4.528773990510162e-10,
    2.0901230812449484e-10,
)

#: B(2k) / (2k (2k - 1)), of Stirling's series (DLMF 5.11.1)
STIRLING = (
    0.08333333333333333,
    -0.002777777777777778,
    0.0007936507936507937,
    -0.0005952380952380953,
    0.0008417508417508417,
    -0.0019175269175269176,
    0.00641025641025641,
    -0.029550653594771242,
    0.17964437236883057,
    -1.3924322169059011,
)

#: digamma(x) / (x - root) on [1, 2]
DIGAMMA_NEAR = (
    0.9510558760318328,
    -0.21181371064073024,
    0.06013562106019684,
    -0.01855061538173984,
    0.005936795278301761,
    -0.001935066664735652,
    0.0006368880303865817,
    -0.00021074841288961643,
    6.995018825112794e-05,
    -2.3258232466707952e-05,
    7.741234508636364e-06,
    -2.578134894751126e-06,
    8.589060721930695e-07,
    -2.8620904099739414e-07,
    9.543298288278275e-08,
    -3.181266980138485e-08,
    1.0527692435026686e-08,
    -3.5032218996509724e-09,
    1.2469984616707403e-09,
    -4.197772636734229e-10,
    8.734528429142953e-11,
    -2.7468150389464952e-11,
    2.918622732168261e-11,
    -1.0015117602062808e-11,
)

#: where digamma is 0, in two parts
ROOT, ROOT_TAIL = 1.4616321449683622, 9.549995429965697e-17

#: B(2k) / (2k), of the asymptotic series of digamma (DLMF 5.11.2)
DIGAMMA_FAR = (
    0.08333333333333333,
    -0.008333333333333333,
    0.003968253968253968,
    -0.004166666666666667,
    0.007575757575757576,
    -0.021092796092796094,
    0.08333333333333333,
    -0.4432598039215686,
    3.0539543302701198,
    -26.456212121212122,
)

#: B(2k) / (2k)!, of the Euler-Maclaurin formula
ZETA_B = (
    0.08333333333333333,
    -0.001388888888888889,
    3.306878306878307e-05,
    -8.267195767195768e-07,
    2.08767569878681e-08,
    -5.284190138687493e-10,
    1.3382536530684679e-11,
    -3.3896802963225827e-13,
    8.586062056277845e-15,
    -2.174868698558062e-16,
    5.5090028283602295e-18,
    -1.3954464685812522e-19,
)

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def _stirling(x: Any) -> Any:
    """For x >= 8."""
    series = horner(STIRLING, 1 / (x * x)) / x
    return (x - 0.5) * np.log(x) - x + _HALF_LOG_2PI + series


def _near(x: Any) -> Any:
    return (x - 1) * (x - 2) * on_interval(LGAMMA_NEAR, x, 1.0, 3.0)


_lgamma_positive = piecewise(
    {
        0.0: lambda x: _near(x + 1) - np.log(x),
        0.5: lambda x: (x - 1) * (x - 2) * on_interval(LGAMMA_LOW, x, 0.5, 1.0),
        1.0: _near,
        3.0: lambda x: on_interval(LGAMMA_MIDDLE, x, 3.0, 8.0),
        8.0: _stirling,
    },
    at={0.0: math.inf, math.inf: math.inf},
)


def _lgamma_reflected(x: Any, up: Any) -> Any:
    """gamma(x) gamma(1 - x) = pi / sin(pi x); infinite at whole numbers and at -inf."""
    distance = np.abs(x - np.rint(x))
    sine = np.log(np.sin(math.pi * distance) / math.pi)
    whole = (distance == 0) | np.isinf(x)
    return np.where(whole, np.inf, -(np.log(-x) + sine) - up)


@everywhere
def lgamma(x: Any) -> Any:
    """log |gamma(x)|; infinite at 0, at negative whole numbers and at infinities."""
    up = _lgamma_positive(np.abs(x))
    return choose(x < 0, _lgamma_reflected, lambda x, up: up, x, up) + 0.0  # of the roots 1 and 2, no -0.0


# ---- digamma ----


def _digamma_far(x: Any) -> Any:
    """The asymptotic series, for x >= 10."""
    square = 1 / (x * x)
    return np.log(x) - 0.5 / x - square * horner(DIGAMMA_FAR, square)


def _digamma_middle(x: Any) -> Any:
    """psi(x) = psi(x + 1) - 1 / x, seven times."""
    before: Any = 0.0
    for k in range(6, -1, -1):
        before = before + 1 / (x + k)
    return _digamma_far(x + 7) - before


def _digamma_near(x: Any) -> Any:
    return ((x - ROOT) - ROOT_TAIL) * on_interval(DIGAMMA_NEAR, x, 1.0, 2.0)


_digamma_positive = piecewise(
    {
        0.0: lambda x: _digamma_near(x + 1) - 1 / x,
        1.0: _digamma_near,
        2.0: lambda x: _digamma_near(x - 1) + 1 / (x - 1),
        3.0: _digamma_middle,
        10.0: _digamma_far,
    },
    at={0.0: -math.inf, math.inf: math.inf},
)


def _mirrored(condition: Any, x: Any) -> Any:
    return choose(condition, lambda x: 1 - x, lambda x: x, x)


def _digamma_reflected(x: Any, up: Any) -> Any:
    """psi(x) = psi(1 - x) - pi / tan(pi x); +inf at -0.0, nan at whole numbers and at -inf."""
    fraction = x - np.rint(x)
    reflected = up - math.pi / np.tan(math.pi * fraction)
    return np.where(x == 0, np.inf, np.where(fraction == 0, np.nan, reflected))


@everywhere
def digamma(x: Any) -> Any:
    """The derivative of log gamma(x): -inf at 0, +inf at -0.0, nan at negative whole numbers."""
    below = np.signbit(x)
    up = _digamma_positive(_mirrored(below, x))
    return choose(below, _digamma_reflected, lambda x, up: up, x, up)


# ---- zeta and polygamma ----

#: the recurrence takes at most so many steps for negative arguments
_STEPS = 100_000


def zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz's zeta: the sum of (q + k)^-s over k >= 0, by the Euler-Maclaurin formula (DLMF 25.11.5)."""
    s, q = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(q, np.float64))
    total = np.zeros(q.shape)
    a = q.copy()
    for step in range(_STEPS):
        low = a <= 10
        if step >= 10 and not low.any():
            break
        total = total + np.where(low, a**-s, 0)
        a = np.where(low, a + 1, a)
    total = total + a ** (1 - s) / (s - 1) + 0.5 * a**-s
    rising, power = s, a ** (-s - 1)
    for k, b in enumerate(ZETA_B):
        total = total + b * rising * power
        rising = rising * (s + 2 * k + 1) * (s + 2 * k + 2)
        power = power / (a * a)
    total = np.where((q <= 0) & (q != np.floor(q)) & (s != np.floor(s)), np.nan, total)
    total = np.where((q <= 0) & (q == np.floor(q)), np.inf, total)
    total = np.where(np.isinf(q) & (q > 0) & (s > 1), 0.0, total)
    total = np.where(s == 1, np.inf, np.where(s < 1, np.nan, total))
    return np.where(np.isnan(s) | np.isnan(q), np.nan, total)


#: B(2k), of the asymptotic series of trigamma (DLMF 5.15.8)
TRIGAMMA_FAR = (
    0.16666666666666666,
    -0.03333333333333333,
    0.023809523809523808,
    -0.03333333333333333,
    0.07575757575757576,
    -0.2531135531135531,
    1.1666666666666667,
    -7.092156862745098,
    54.971177944862156,
    -529.1242424242424,
)


def _trigamma_positive(x: Any) -> Any:
    """By psi'(x) = psi'(x + 1) + 1 / x^2, ten times, then the asymptotic series; from the smallest term up."""
    y = x + 10
    square = 1 / (y * y)
    total = 1 / y + 0.5 * square + square / y * horner(TRIGAMMA_FAR, square)
    for k in range(9, -1, -1):
        total = total + 1 / ((x + k) * (x + k))
    return total


def _trigamma_reflected(x: Any, up: Any) -> Any:
    """DLMF 5.15.6."""
    sine = np.sin(math.pi * np.abs(x - np.rint(x)))
    return math.pi / sine * (math.pi / sine) - up


@everywhere
def trigamma(x: Any) -> Any:
    """The second derivative of log gamma(x), by reflection below one half."""
    low = x < 0.5
    up = _trigamma_positive(_mirrored(low, x))
    return choose(low, _trigamma_reflected, lambda x, up: up, x, up)


def polygamma(n: int, x: np.ndarray) -> np.ndarray:
    """The derivative of order n + 1 of log gamma(x): (-1)^(n+1) n! zeta(n + 1, x)."""
    if n == 0:
        return digamma(x)
    if n == 1:
        return trigamma(x)
    factorial = math.exp(math.lgamma(n + 1)) if n > 20 else float(math.factorial(n))
    return (1.0 if n % 2 else -1.0) * factorial * zeta(np.asarray(n + 1.0), x)
