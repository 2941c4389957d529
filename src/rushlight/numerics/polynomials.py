"""Polynomials on arrays, and the cutting of arrays into pieces.

The coefficients in this package are those of Chebyshev interpolants, computed with mpmath at 45
digits by `benchmarks/special_coefficients.py` and written as powers: the highest is smaller than
1e-17 of the lowest, and they fall fast enough for Horner's rule to lose no more than a unit in
the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.graph.trace import Traced, constant

#: elements worked on at a time, so that the intermediate arrays stay in the cache
BLOCK = 8192


def horner(coefficients: Sequence[float], u: Any) -> Any:
    """c0 + c1 u + c2 u^2 + ..., of an array, a number or what stands for an element of a loop."""
    if type(u) is not np.ndarray:
        return _horner_of_one(coefficients, u)
    total = np.full_like(u, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total *= u
        total += c
    return total


def _horner_of_one(coefficients: Sequence[float], u: Any) -> Any:
    numbers: Sequence[Any] = coefficients
    if type(u) is Traced:
        numbers = [constant(u, c) for c in coefficients]
    total = numbers[-1]
    for c in reversed(numbers[:-1]):
        total = total * u + c
    return total


def on_interval(coefficients: Sequence[float], x: Any, low: float, high: float) -> Any:
    """A polynomial in x mapped from [low, high] to [-1, 1]."""
    u = (2 * x - (low + high)) / (high - low)
    return horner(coefficients, float(u) if isinstance(u, float) else u)


#: up to this many elements a function of the C library is faster, one number at a time; and one of polynomials
FEW, FEW_POLYNOMIALS = 128, 24


def blockwise(f: Callable, each: Callable | None = None) -> Callable:
    """`f`, a function of flat float64 arrays, for arrays of any shape.

    Args:
        each: the same function of one Python number, if there is one.
    """
    few = FEW_POLYNOMIALS if each is f else FEW

    def compute(x: Any) -> Any:
        if type(x) is Traced:
            return f(x)
        x = np.asarray(x)
        out = np.empty_like(x)
        source = x.ravel(order="K")
        target = out.ravel(order="K")
        if each is not None and x.size <= few:
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
