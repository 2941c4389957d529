"""The single precision transformation of `normals` as a loop of our own: the same roundings in the same order.

A kernel has no instruction for the exponent of a number; it is the whole part of its logarithm to base 2, put right where
that is rounded to the next whole number. Its multiples of pi / 4 are whole numbers in floats.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from rushlight.graph.assignment import Assignment
from rushlight.graph.fragment import Fragment
from rushlight.graph.trace import Traced, instruction
from rushlight.memory import address
from rushlight.streams import normals

F = np.float32
#: what stands for an array takes part in arithmetic and in NumPy's functions, of which its type says nothing
Values = Any
#: groups that are transformed together: few lengths, so that few loops are planned, and the last stays in the cache
_LENGTHS = (1, 8, 64, 512)
_HALF = normals.GROUP // 2


def transform(groups: np.ndarray, mean: np.float32, std: np.float32) -> bool:
    """Transform groups of 16 uniform numbers (n, 16) in place; False if there is no loop for it."""
    loop = _loop(float(mean), float(std))
    for start in range(0, len(groups), _LENGTHS[-1]):
        part = groups[start : start + _LENGTHS[-1]]
        n = len(part)
        halves = np.empty((2, next(length for length in _LENGTHS if length >= n), _HALF), F)
        if n < halves.shape[1]:
            halves[:, n:] = 0.5  # a number like others
        halves[0, :n] = part[:, :_HALF]
        halves[1, :n] = part[:, _HALF:]
        operands = list(halves.reshape(2, -1))
        if not loop.ready(operands):
            return False
        start_of = address(halves)
        loop.run(operands, [start_of, start_of + operands[0].nbytes])
        part[:, :_HALF] = halves[0, :n]
        part[:, _HALF:] = halves[1, :n]
    return True


@lru_cache(64)
def _loop(mean: float, std: float) -> Assignment:
    """For each mean and deviation the numbers of one loop."""
    into = Fragment(2)
    u: Values = Traced(into, 0, "f")
    v: Values = Traced(into, 1, "f")
    radius = np.sqrt(_const(u, -2) * _log(_const(u, 1) - u))
    sine, cosine = _sine_and_cosine(_const(u, normals.TWO_PI) * v)
    made = [_fma(radius * part, std, mean) for part in (cosine, sine)]
    into.results = [(t.place, t.kind) for t in made]
    return Assignment("normal", into, np.dtype(F), (0, 1))


def _const(like: Values, value: Any) -> Values:
    return Traced(like.into, like.into.emit("const", "f", (), float(F(value))), "f")


def _fma(x: Values, y: Any, z: Any) -> Values:
    return instruction("fma", x, x, y, z)


def _polynomial(coefficients: list[np.float32], x: Values) -> Values:
    y = _const(x, coefficients[0])
    for c in coefficients[1:]:
        y = _fma(y, x, _const(x, c))
    return y


def _log(x: Values) -> Values:
    one, two, none = _const(x, 1), _const(x, 2), _const(x, 0)
    below = np.floor(np.log2(x))
    power = np.exp2(below)
    below = np.where(x < power, below - one, np.where(x >= two * power, below + one, below))
    e = below + one
    m = x * np.exp2(-e)
    small = m < _const(x, normals.ROOT_HALF)
    e = np.where(small, e - one, e)
    t = (m - one) + np.where(small, m, none)
    z = t * t
    y = _fma(_polynomial(normals.LOG, t) * t, z, e * _const(x, normals.LN2_LOW))
    y = y - z * _const(x, 0.5)
    return _fma(e, _const(x, normals.LN2_HIGH), t + y)


def _sine_and_cosine(x: Values) -> tuple[Values, Values]:
    half, one, two = _const(x, 0.5), _const(x, 1), _const(x, 2)
    quarter = np.floor((np.trunc(x * _const(x, normals.FOUR_OVER_PI)) + one) * half)  # of a turn, 0 to 4
    eighths = quarter * two
    for part in normals.QUARTER_PI:
        x = _fma(eighths, _const(x, part), x)
    z = x * x
    cosine = _fma(_polynomial(normals.COS, z) * z, z, z * _const(x, -0.5)) + one
    sine = _fma(_polynomial(normals.SIN, z) * z, x, x)
    straight = quarter - two * np.floor(quarter * half) < half
    s, c = np.where(straight, sine, cosine), np.where(straight, cosine, sine)
    s = np.where((quarter >= two) & (quarter < _const(x, 4)), -s, s)
    return s, np.where((quarter >= one) & (quarter < _const(x, 3)), -c, c)


__all__ = ["transform"]
