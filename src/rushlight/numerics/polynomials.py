"""Polynomials on arrays, and the cutting of arrays into pieces.

The coefficients in this package are those of Chebyshev interpolants, computed with mpmath at 45
digits by `benchmarks/special_coefficients.py` and written as powers: the highest is smaller than
1e-17 of the lowest, and they fall fast enough for Horner's rule to lose no more than a unit in
the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

#: elements worked on at a time, so that the intermediate arrays stay in the cache
BLOCK = 8192


def horner(coefficients: Sequence[float], u: np.ndarray) -> np.ndarray:
    """c0 + c1 u + c2 u^2 + ..."""
    total = np.full_like(u, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total *= u
        total += c
    return total


def on_interval(coefficients: Sequence[float], x: np.ndarray, low: float, high: float) -> np.ndarray:
    """A polynomial in x mapped from [low, high] to [-1, 1]."""
    return horner(coefficients, (2 * x - (low + high)) / (high - low))


#: up to this many elements a function of Python numbers is faster, one at a time
FEW = 128


def blockwise(f: Callable, each: Callable | None = None) -> Callable:
    """`f`, a function of flat float64 arrays, for arrays of any shape.

    Args:
        each: the same function of one Python number, if there is one.
    """

    def compute(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x)
        out = np.empty_like(x)
        source = x.ravel(order="K")
        target = out.ravel(order="K")
        if each is not None and x.size <= FEW:
            target[:] = [each(value) for value in source.tolist()]
        else:
            for start in range(0, source.size, BLOCK):
                target[start : start + BLOCK] = f(source[start : start + BLOCK])
        return out if np.shares_memory(out, target) else target.reshape(x.shape)

    compute.__name__ = f.__name__
    compute.__doc__ = f.__doc__
    return compute


def where(condition: np.ndarray, x: np.ndarray, out: np.ndarray, f: Callable) -> None:
    """Fill in f(x) for the elements that meet the condition."""
    if condition.all():
        out[...] = f(x)
    elif condition.any():
        out[condition] = f(x[condition])
