"""Orthogonal polynomials of degree n at x, for arrays of both: DLMF chapter 18.

What they share with PyTorch's: n is cut to a whole number, those of negative degree are 0, as of one that int64 does not
hold; and what overflows becomes nan a few degrees later.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: from this degree on Chebyshev's polynomials are sines between -1 and 1
_WAVES = 7
#: steps of a recurrence from one look at whether anything is left but nan to the next
_LOOK = 256


def _degrees(n: np.ndarray) -> np.ndarray:
    """Whole numbers, -1 for what has none."""
    whole = np.isfinite(n) & (np.abs(n) < 2.0**63)
    return np.where(whole, np.trunc(n), -1.0).astype(np.int64)


def _recurrence(x: np.ndarray, n: np.ndarray, first: np.ndarray, step: Callable) -> np.ndarray:
    """The n-th of 1, first, ...: `step(k, before, now, x)` gives the one after the k-th. All arrays are flat.

    The highest degrees come first, so that those which are not done yet are always a beginning of the arrays.
    """
    order = np.argsort(-n, kind="stable")
    degrees, x = n[order], x[order]
    now = np.where(degrees > 0, first[order], np.where(degrees == 0, 1.0, 0.0))
    before = np.ones_like(now)
    for k in range(1, int(degrees[0]) if degrees.size else 0):
        left = int(np.searchsorted(-degrees, -k, side="left"))
        before[:left], now[:left] = now[:left].copy(), step(float(k), before[:left], now[:left], x[:left])
        if k % _LOOK == 0 and np.isnan(now[:left]).all():
            break
    out = np.empty_like(now)
    out[order] = now
    return out


def _polynomial(values: Callable) -> Callable:
    """A function of two float64 arrays of any shapes, from one of flat ones."""

    def compute(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        x, n = np.broadcast_arrays(x, n)
        return values(x.ravel(), _degrees(n.ravel())).reshape(x.shape)

    compute.__name__, compute.__doc__ = values.__name__, values.__doc__
    return compute


# ---- Chebyshev's: the same recurrence (DLMF 18.9.1), each from a start of its own ----


def _doubling(k: float, before: np.ndarray, now: np.ndarray, x: np.ndarray) -> np.ndarray:
    return 2 * x * now - before


def _chebyshev(first: Callable, wave: Callable, doc: str) -> Callable:
    """A kind, given its polynomial of degree 1 and, between -1 and 1, its sines.

    `wave(n, angle, size, below)` is that of |x| = cos(angle), whose sign is put right afterwards: where x is `below` 0,
    the angle would be near pi and lose its digits.
    """

    def values(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        waving = (np.abs(x) < 1) & (n >= _WAVES)
        out = np.empty_like(x)
        out[~waving] = _recurrence(x[~waving], n[~waving], first(x[~waving]), _doubling)
        x, n = x[waving], n[waving]
        size, below = np.abs(x), x < 0
        sign = np.where(below & (n % 2 == 1), -1.0, 1.0)
        out[waving] = sign * wave(n.astype(np.float64), np.arccos(size), size, below)
        return out

    values.__doc__ = doc
    return values


def _cosine(angle: np.ndarray, size: np.ndarray) -> np.ndarray:
    """cos(angle / 2), of the angle whose cosine is `size`."""
    return np.sqrt((1 + size) / 2)


def _sine(angle: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.sqrt((1 - size) / 2)


def _third(n: np.ndarray, angle: np.ndarray, size: np.ndarray, below: np.ndarray) -> np.ndarray:
    """cos((n + 1/2) angle) / cos(angle / 2); V(-x) is W(x) but for the sign (DLMF 18.5.3 and table 18.6.1)."""
    cosines = np.cos((n + 0.5) * angle) / _cosine(angle, size)
    return np.where(below, np.sin((n + 0.5) * angle) / _sine(angle, size), cosines)


_t = _chebyshev(lambda x: x, lambda n, angle, size, below: np.cos(n * angle), "The first kind, T.")
_u = _chebyshev(
    lambda x: 2 * x,
    lambda n, angle, size, below: np.sin((n + 1) * angle) / np.sqrt((1 - size) * (1 + size)),
    "The second kind, U.",
)
_v = _chebyshev(lambda x: 2 * x - 1, _third, "The third kind, V.")
_w = _chebyshev(
    lambda x: 2 * x + 1,
    lambda n, angle, size, below: _third(n, angle, size, ~below),
    "The fourth kind, W.",
)


def _shifted(values: Callable) -> Callable:
    """A kind moved from [-1, 1] to [0, 1]."""

    def moved(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        return values(2 * x - 1, n)

    moved.__doc__ = values.__doc__
    return moved


chebyshev_t, chebyshev_u, chebyshev_v, chebyshev_w = map(_polynomial, (_t, _u, _v, _w))
shifted_t, shifted_u, shifted_v, shifted_w = (_polynomial(_shifted(kind)) for kind in (_t, _u, _v, _w))


# ---- the others (DLMF 18.9.1 and table 18.9.1) ----


@_polynomial
def hermite_h(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Hermite's, of the weight exp(-x^2)."""
    return _recurrence(x, n, 2 * x, lambda k, before, now, x: 2 * (x * now - k * before))


@_polynomial
def hermite_he(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Hermite's, of the weight exp(-x^2 / 2)."""
    return _recurrence(x, n, x, lambda k, before, now, x: x * now - k * before)


@_polynomial
def laguerre(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Laguerre's."""
    return _recurrence(x, n, 1 - x, lambda k, before, now, x: ((2 * k + 1 - x) * now - k * before) / (k + 1))


@_polynomial
def legendre(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Legendre's."""
    return _recurrence(x, n, x, lambda k, before, now, x: ((2 * k + 1) * x * now - k * before) / (k + 1))
