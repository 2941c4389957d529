"""The error function and its relatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.graph.trace import has_verb
from rushlight.numerics.pieces import everywhere, piecewise
from rushlight.numerics.polynomials import blockwise, on_interval, where

#: erf(x) / x as a polynomial in x^2 on [0, 1]
ERF_SMALL = (
    0.9654687386698673,
    -0.1405360890227171,
    0.019852496688983708,
    -0.0022854855611441132,
    0.00021751715604160108,
    -1.7537169441124826e-05,
    1.223382738352401e-06,
    -7.51156928660089e-08,
    4.11580059766496e-09,
    -2.035228404899467e-10,
    9.167606746069445e-12,
    -3.8078827395263415e-13,
    1.454817075960679e-14,
)

#: exp(x^2) erfc(x) (1 + 2 x) as a polynomial in t = 4 / (4 + x) on [0, 1]
ERFCX = (
    1.2329951186255526,
    0.1396211168405625,
    0.015379652102620026,
    -0.0680970542546904,
    -0.10103906603632413,
    -0.09373283499843826,
    -0.06633036581166812,
    -0.03716751553592911,
    -0.016197734065728945,
    -0.005031969992669933,
    -0.0007577732210512849,
    0.0001992567757633648,
    0.00015062131406268513,
    2.4398944545280832e-05,
    -1.1220772697788498e-05,
    -5.709206053072183e-06,
    2.9094470866632674e-07,
    8.249198427508354e-07,
    7.888177117406594e-08,
    -1.1009737295274889e-07,
    -2.1868462576141457e-08,
    1.4709550868669278e-08,
    3.950879254166685e-09,
    -1.7903326159489847e-09,
    -5.377133821031794e-10,
    1.374652989001164e-10,
    4.180821739675544e-11,
)

_SQRT_PI = math.sqrt(math.pi)


def _scaled_tail(x: Any) -> Any:
    """exp(x^2) erfc(x) for x >= 0."""
    return on_interval(ERFCX, 4 / (4 + x), 0.0, 1.0) * 0.5 / (0.5 + x)


def _gauss(x: np.ndarray) -> np.ndarray:
    """exp(-x^2): the square of a number of 53 bits needs 106, so x is cut in two."""
    high = x.astype(np.float32).astype(np.float64)
    return np.exp(-high * high) * np.exp((high - x) * (high + x))


def _tail(x: np.ndarray) -> np.ndarray:
    """erfc(x) for x >= 0; 0 from where it underflows."""
    x = np.minimum(x, 30.0)
    return _gauss(x) * _scaled_tail(x)


def _near(x: np.ndarray) -> np.ndarray:
    return x * on_interval(ERF_SMALL, x * x, 0.0, 1.0)


def _erf(x: np.ndarray) -> np.ndarray:
    size = np.abs(x)
    out = x.copy()
    where(size < 1, x, out, _near)
    where(size >= 1, x, out, lambda x: np.copysign(1 - _tail(np.abs(x)), x))
    return out


def _erfc(x: np.ndarray) -> np.ndarray:
    out = x.copy()
    where(np.abs(x) < 0.5, x, out, lambda x: 1 - _near(x))
    where(x >= 0.5, x, out, _tail)
    where(x <= -0.5, x, out, lambda x: 2 - _tail(-x))
    return out


#: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, within 2 ULP
erf = has_verb("erf")(blockwise(_erf, math.erf))
#: 1 - erf(x), accurate in the tail
erfc = has_verb("erfc")(blockwise(_erfc, math.erfc))


@has_verb("ndtr")
def ndtr(x: np.ndarray) -> np.ndarray:
    """The probability that a number drawn from the normal distribution is at most x."""
    return 0.5 * erfc(x * -math.sqrt(0.5))


_erfcx = piecewise(
    {-math.inf: lambda x: 2 * np.exp(x * x) - _scaled_tail(-x), 0.0: _scaled_tail},
    at={-math.inf: math.inf},
)


@everywhere
def erfcx(x: Any) -> Any:
    """exp(x^2) erfc(x)."""
    return _erfcx(x)
