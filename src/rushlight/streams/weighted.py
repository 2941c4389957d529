"""Draws from a list of categories."""

from __future__ import annotations

import numpy as np

from rushlight.streams.checks import FLOATS, SCALAR_TYPES, name_of, require
from rushlight.streams.continuous import exponential
from rushlight.streams.generator import Generator, memory_order

Array = np.ndarray


def multinomial(gen: Generator, weights: Array, samples: int, replacement: bool = False) -> Array:
    """`samples` category numbers (int64) for each row of `weights` (1-D or 2-D), drawn in proportion to the weights.

    Raises RuntimeError for weights that are negative, not finite or sum to nothing, and for more samples than categories without replacement.

    >>> multinomial(Generator(0), np.array([1.0, 2.0, 3.0, 4.0], np.float32), 2).tolist()
    [2, 1]
    """
    _check_request(weights, samples, replacement)
    rows = np.atleast_2d(weights)
    if rows.shape[0] == 0:
        return np.empty((0, samples), np.int64)
    # A single sample is drawn by the faster method, whatever was said about replacement.
    again = replacement and samples > 1
    _check_weights(rows, again)
    out = (_with_replacement if again else _without_replacement)(gen, rows, samples)
    return out if weights.ndim == 2 else out[0]


def _with_replacement(gen: Generator, rows: Array, samples: int) -> Array:
    """Look a uniform double up in the cumulative weights, which add up in the precision of the weights (at least single)."""
    sums = np.cumsum(_at_least_single(rows), axis=1)
    require(bool((sums[:, -1] > 0).all()), "invalid multinomial distribution (sum of probabilities <= 0)")
    sums /= sums[:, -1:]
    sums[:, -1] = 1
    u = gen.doubles(len(rows) * samples).reshape(len(rows), samples)
    return np.stack([np.searchsorted(row.astype(np.float64), x) for row, x in zip(sums, u)])


def _without_replacement(gen: Generator, rows: Array, samples: int) -> Array:
    """The largest of weight / exponential: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", IPL 97 (2006)."""
    dtype = name_of(rows.dtype)
    waits = exponential(gen, rows.size, dtype)
    by_column = memory_order(rows.shape, rows.strides) == (1, 0)
    waits = waits.reshape(rows.shape[::-1]).T if by_column else waits.reshape(rows.shape)
    keys = (_at_least_single(rows) / _at_least_single(waits)).astype(rows.dtype)
    keys = _at_least_single(keys)
    if samples == 1:
        return keys.argmax(axis=1)[:, None]
    return np.argsort(-keys, axis=1, kind="stable")[:, :samples].copy()


def _at_least_single(x: Array) -> Array:
    return x if x.dtype == np.float64 else x.astype(np.float32)


def _check_request(weights: Array, samples: int, replacement: bool) -> None:
    require(weights.ndim in (1, 2), "prob_dist must be 1 or 2 dim")
    dtype = name_of(weights.dtype)
    require(
        dtype in FLOATS,
        f"multinomial only supports floating-point dtypes for input, got: {SCALAR_TYPES[dtype][0]}",
    )
    require(samples > 0, "cannot sample n_sample <= 0 samples")
    categories = weights.shape[-1]
    require(
        replacement or samples <= categories,
        "cannot sample n_sample > prob_dist.size(-1) samples without replacement",
    )
    require(categories <= 2**24, "number of categories cannot exceed 2^24")


def _check_weights(rows: Array, again: bool) -> None:
    require(
        rows.size > 0,
        "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity.",
    )
    wide = _at_least_single(rows)
    highest = wide.max(axis=1)  # nan, where there is one
    if again:
        wrong = "invalid multinomial distribution (encountering probability entry "
        require(bool(wide.min() >= 0), f"{wrong}< 0)")
        require(bool(highest.max() < np.inf), f"{wrong}= infinity or NaN)")
    require(
        bool(wide.min() >= 0 and highest.max() < np.inf),
        "probability tensor contains either `inf`, `nan` or element < 0",
    )
    require(bool(highest.min() > 0), "invalid multinomial distribution (sum of probabilities <= 0)")
