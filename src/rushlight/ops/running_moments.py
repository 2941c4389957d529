"""The running statistics of normalised channels, PyTorch's numbers to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.numerics.fused import multiply_add
from rushlight.ops.channel_passes import in_places
from rushlight.ops.normalisation import double
from rushlight.runtime.deferral import reduced
from rushlight.runtime.execute import quiet
from rushlight.tape.writes import check_write, wrote


def track(running_mean: Any, running_var: Any, x: np.ndarray, momentum: float) -> None:
    """Move the running mean and (sample) variance towards those of a batch, in place; see `batch_moments`.

    PyTorch's numbers to the bit: in single precision the variance is moved by a fused multiply and add, the mean is not.
    """
    mean, variance = quiet(batch_moments, x)
    for running, now, fused in ((running_mean, mean, False), (running_var, variance, True)):
        if running is not None:
            check_write(running, "batch_norm")
            running._a[...] = quiet(_moved, running._a, now, now.dtype.type(momentum), fused)
            wrote(running)


def _moved(a: np.ndarray, now: np.ndarray, momentum: Any, fused: bool) -> np.ndarray:
    """`(1 - momentum) a + momentum now`, where the product is rounded unless it is fused with the sum."""
    kept = now.dtype.type(1 - momentum) * a.astype(now.dtype)
    moved = double(now) * momentum + kept if fused else now * momentum + kept
    return moved.astype(a.dtype)


def batch_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the sample variance of each channel.

    PyTorch's numbers to the bit: the mean is rounded, differences and their squares too (but see
    `_squares_in_order`), and sums run through a channel in double precision from first to last.
    """
    kind = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
    found = _rounded_moments(in_places(x)) if kind == np.float32 else None
    if found is not None:
        return found
    flat = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(kind)
    count = flat.shape[1]
    mean = (_in_order(double(flat)) / count).astype(kind)
    squares = _squares_in_order(flat - mean[:, None], x[0, 0].size).astype(kind)
    return mean, squares / kind.type(max(count - 1, 1))


def _in_order(a: np.ndarray) -> np.ndarray:
    """The sum of each row, added from first to last."""
    return np.add.accumulate(a, 1)[:, -1]


def _squares_in_order(d: np.ndarray, plane: int) -> np.ndarray:
    """The sum of each row's squares, added from first to last, for rows that consist of planes.

    PyTorch's compiled loop over a plane takes elements in pairs. A last one without a partner is squared and added without
    rounding in between, where both are done in double precision.
    """
    if d.dtype != np.float64 or plane % 2 == 0:
        return _in_order(double(np.square(d)))
    total = np.zeros((len(d), 1))
    for start in range(0, d.shape[1], plane):
        pairs = np.square(d[:, start : start + plane - 1])
        total = np.add.accumulate(np.concatenate([total, pairs], 1), 1)[:, -1:]
        last = d[:, start + plane - 1 : start + plane]
        total = multiply_add(total, last, last)
    return total[:, 0]


# ---- sums in any order ----

#: relative error of one addition in double precision
_UNIT = 2.0**-53
#: additions in the longest chain of our loops at most
_CHAIN = 1024


def _rounded_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The same of float32 values (N, C, L), with sums in any order; None if they are not many.

    A sum of n terms, added from first to last, is off by at most (n - 1) units of the sum of their sizes; one whose longest chain of
    additions is shorter, by as many units as that is long (Higham, Accuracy and Stability of Numerical Algorithms, 4.2). Where all
    numbers that near round to the same float32, the order does not show; the few other channels are added from first to last.
    """
    sums = reduced(_sums, (x,), (0, 2))
    if sums is None:
        return None
    size, count = x.shape[2], x[:, 0].size
    units = (count + min(count, _CHAIN)) * _UNIT
    total, sizes = (a.ravel() for a in sums)
    mean = _rounded(total, units * sizes, count, lambda c: _in_order(_channel(x, c)))
    squares = reduced(_squares, (x, mean.reshape(1, -1, 1)), (0, 2))
    if squares is None:
        return None
    total = squares.ravel()

    def again(c: int) -> np.ndarray:
        return _squares_in_order(_channel(x, c) - mean[c], size)

    variance = _rounded(total, units * total, 1, again)
    return mean, variance / np.float32(max(count - 1, 1))


def _rounded(sums: np.ndarray, off: np.ndarray, count: int, again: Callable[[int], np.ndarray]) -> np.ndarray:
    """Sums over `count`, in float32, of which `again` gives the exact ones where rounding cannot hide that they are `off`."""
    low, high = ((a / count).astype(np.float32) for a in (sums - off, sums + off))
    for c in np.flatnonzero(~(low == high)).tolist():
        low[c] = (again(c) / count).astype(np.float32)[0]
    return low


def _channel(x: np.ndarray, c: int) -> np.ndarray:
    return x[:, c].reshape(1, -1).astype(np.float32)


def _sums(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = x.astype(np.float64)
    return np.add.reduce(wide), np.add.reduce(np.absolute(wide))


def _squares(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    apart = x.astype(np.float32) - mean
    return np.add.reduce((apart * apart).astype(np.float64))
