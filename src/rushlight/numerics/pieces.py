"""Functions that are one formula here and another there.

Each is said once and computed in three ways: on arrays, where every formula sees its own elements; on a Python number, which
is faster for a few; and as the body of a loop, which computes all formulas of an element and selects.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.graph.trace import Traced
from rushlight.numerics.polynomials import blockwise, where

__all__ = ["choose", "everywhere", "piecewise"]


def everywhere(f: Callable) -> Callable:
    """`f`, written with operators, NumPy's functions and what is below, for arrays of any shape and for loops."""
    return blockwise(f, f)


def choose(condition: Any, one: Callable, other: Callable, *operands: Any) -> Any:
    """one(*operands) where the condition holds, other(*operands) elsewhere."""
    x = operands[0]
    if isinstance(x, float):
        return (one if condition else other)(*operands)
    if isinstance(x, Traced):
        return np.where(condition, one(*operands), other(*operands))
    out = np.empty_like(x)
    for chosen, formula in ((condition, one), (~condition, other)):
        if chosen.all():
            return formula(*operands)
        if chosen.any():
            out[chosen] = formula(*(v[chosen] for v in operands))
    return out


def piecewise(formulas: dict[float, Callable], at: dict[float, float] | None = None) -> Callable:
    """A function of a flat array, a number or an element of a loop; nan below the first formula.

    Args:
        formulas: where each begins -> the formula from there on to the next.
        at: points -> the values there.
    """
    starts, points = sorted(formulas), at or {}
    spans = list(zip(starts, [*starts[1:], math.nan], strict=True))

    def of_number(x: float) -> float:
        if x in points:
            return points[x]
        n = bisect_right(starts, x) if x == x else 0
        return formulas[starts[n - 1]](x) if n else math.nan

    def of_array(x: np.ndarray) -> np.ndarray:
        out = np.full_like(x, np.nan)
        for low, high in spans:
            where((x >= low) & ~(x >= high), x, out, formulas[low])
        for point, value in points.items():
            out[x == point] = value
        return out

    def of_element(x: Traced) -> Any:
        out: Any = np.full_like(x, np.nan)  # type: ignore[call-overload]
        for low in starts:
            out = np.where(x >= low, formulas[low](x), out)  # type: ignore[operator]
        for point, value in points.items():
            out = np.where(x == point, value, out)
        return out

    def compute(x: Any) -> Any:
        if isinstance(x, float):
            return of_number(x)
        return of_element(x) if isinstance(x, Traced) else of_array(x)

    return compute
