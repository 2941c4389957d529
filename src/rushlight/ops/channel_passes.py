"""Normalisation of channels as passes over arrays of (examples, channels, places), all in double precision.

Forwards two passes sum, for the mean and for the variance about it, and a third multiplies and adds; backwards one pass sums and
another multiplies and adds. What lies between is a few numbers for each channel or group.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rushlight.buffer import new_tensor
from rushlight.dtypes import BY_NUMPY
from rushlight.graph.expr import array_of
from rushlight.runtime.casting import rounded, single
from rushlight.runtime.deferral import FROM_COSTLY, launch, reduced

_F64 = np.dtype(np.float64)


class Moments(NamedTuple):
    """What normalises: the mean, and one over the standard deviation, in float64, kept at size one."""

    mean: np.ndarray
    scale: np.ndarray


def in_places(a: Any) -> np.ndarray:
    """(N, C, ...) as (N, C, L)."""
    a = array_of(a)
    return a.reshape(*a.shape[:2], -1)


def in_groups(a: np.ndarray, groups: int) -> np.ndarray:
    """(N, C, L) as (N, groups, C / groups, L)."""
    n, c, size = a.shape
    return a.reshape(n, groups, c // groups, size)


def moments(x: np.ndarray, dims: tuple[int, ...], eps: float) -> Moments:
    """Of what lies along `dims`."""
    (total,) = _summed(_total, (x,), dims)
    count = x.size // total.size
    mean = total / count
    (squares,) = _summed(_squares, (x, mean), dims)
    return Moments(mean, 1 / np.sqrt(squares / count + eps))


def spread(x: np.ndarray, mean: np.ndarray, factor: np.ndarray, bias: Any) -> np.ndarray:
    """`(x - mean) factor + bias`, rounded once."""
    return _mapped("normalise", _spread, (x, mean, factor) if bias is None else (x, mean, factor, bias))


def gradient_sums(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, dims: tuple[int, ...]
) -> tuple[np.ndarray, ...]:
    """The sums of g, and of g (x - mean)."""
    return _summed(_gradient_sums, (x, g, mean), dims)


def gradient_spread(
    g: np.ndarray, x: np.ndarray, factor: np.ndarray, mean: np.ndarray, slope: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """`g factor - (x - mean) slope - start`, rounded once."""
    return _mapped("normalise_backward", _gradient_spread, (x, g, factor, mean, slope, start))


def scaled(g: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """`g factor`, rounded once."""
    return _mapped("scale", _scaled, (g, factor))


# ---- loops of our own, or NumPy's ----


def _summed(function: Any, arrays: tuple, dims: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """What a function of elements gives, each summed over `dims`, which stay at size one."""
    made = reduced(_SUMS[function], arrays, dims)
    if made is None:
        return tuple([np.add.reduce(part, dims, keepdims=True) for part in function(*arrays)])
    return made if type(made) is tuple else (made,)


def _mapped(name: str, function: Any, arrays: tuple) -> np.ndarray:
    """An elementwise function, rounded to the type of the first operand."""
    x = arrays[0]
    if x.dtype.char not in "fd":  # (by way of float32, whatever the size, or the bits would depend on it)
        return rounded(_mapped(name, function, tuple(map(single, arrays))), x.dtype)
    if x.size >= FROM_COSTLY:
        kinds = tuple([BY_NUMPY[a.dtype] for a in arrays])
        # (nobody else knows the tensors made here, so that their result must not wait)
        made = launch(
            name, function, tuple(map(new_tensor, arrays, kinds)), kinds, kinds[0], least=FROM_COSTLY
        )
        if made is not None:
            return array_of(made)
    out = np.empty_like(x)
    out[...] = function(*arrays)
    return out


def _total(x: np.ndarray) -> tuple:
    return (x.astype(_F64),)


def _squares(x: np.ndarray, mean: np.ndarray) -> tuple:
    apart = x.astype(_F64) - mean
    return (apart * apart,)


def _gradient_sums(x: np.ndarray, g: np.ndarray, mean: np.ndarray) -> tuple:
    wide = g.astype(_F64)
    return wide, wide * (x.astype(_F64) - mean)


def _spread(x: np.ndarray, mean: np.ndarray, factor: np.ndarray, *bias: np.ndarray) -> np.ndarray:
    made = (x.astype(_F64) - mean) * factor
    return made + bias[0] if bias else made


def _scaled(g: np.ndarray, factor: np.ndarray) -> np.ndarray:
    return g.astype(_F64) * factor


def _gradient_spread(
    x: np.ndarray,
    g: np.ndarray,
    factor: np.ndarray,
    mean: np.ndarray,
    slope: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    return g.astype(_F64) * factor - (x.astype(_F64) - mean) * slope - start


def _sums_of(function: Any) -> Any:
    """The sums of what a function of elements gives, as loops reduce."""

    def sums(*arrays: np.ndarray) -> tuple:
        return tuple([np.add.reduce(part) for part in function(*arrays)])

    return sums


_SUMS = {function: _sums_of(function) for function in (_total, _squares, _gradient_sums)}
