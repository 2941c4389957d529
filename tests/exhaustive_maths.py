"""Compare functions with their oracles: of float32 at every float32, of float64 at millions of numbers.

    python tests/exhaustive_maths.py float32 [names]
    python tests/exhaustive_maths.py float64 [names]

prints, for each function, the largest error in units in the last place, and where it is. A minute for each. The
oracle of float64 is C's `long double`, where that has 64 bits (x86); erf and erfc, which NumPy does not have for it, are
compared with mpmath, at fewer numbers.
"""

from __future__ import annotations

import sys

import mpmath as mp
import numpy as np
from vector_maths import (
    LANES,
    ORACLES,
    PRECISE,
    SUMS,
    compiled,
    domain,
    errors_of_float32,
    errors_of_float64,
    float64_pairs,
    float64_samples,
    loop,
)

from rushlight.codegen.builder import Builder
from rushlight.codegen.maths import BINARY
from rushlight.codegen.values import V

CHUNK = 1 << 18
#: functions that are even, and odd: their values at negative numbers must mirror those at positive ones
EVEN, ODD = {"cos", "cosh"}, {"sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf"}


def _error_text() -> str:
    """A loop: out[i] = |y[i] - true[i]| in units in the last place of true[i] as float32."""
    k = Builder(LANES["d"])
    y, true, out, n = V("%y", "p"), V("%true", "p"), V("%out", "p"), V("%n", "q")
    with k.loop(k.integer(0), n, k.lanes) as i:
        t = k.load(k.at(true, i, 8), "d")
        exponent = k.and_(k.bits(t, "q"), k.const(0x7FF << 52, "q"))
        least = k.const(1023 - 126 << 52, "q")
        exponent = k.select(k.gt(exponent, least), exponent, least)
        unit = k.bits(k.sub(exponent, k.const(23 << 52, "q")), "d")
        k.store(k.div(k.abs(k.sub(k.cast(k.load(k.at(y, i, 4), "f"), "d"), t)), unit), k.at(out, i, 8))
    return k.function("run", [y, true, out, n])


_compare = loop(_error_text())


def largest_of(y: np.ndarray, true: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`errors_of_float32`; in usual cases, where all are small numbers or all are rounded right, by less work."""
    _compare(y.ctypes.data, true.ctypes.data, out.ctypes.data, y.size)
    if out.max() < 1 and y.all():
        return out
    rounded = true.astype(np.float32)
    right = (y.view(np.int32) == rounded.view(np.int32)) | (np.isnan(y) & np.isnan(rounded))
    return np.full(y.size, 0.5) if right.all() else errors_of_float32(y, true)


def largest_error(name: str) -> tuple[float, np.float32]:
    """Over all 2**32 bit patterns."""
    f, oracle = compiled(name, "f"), ORACLES[name]
    worst, where = 0.0, np.float32(0)
    x64, true, out = np.empty((3, CHUNK))
    y = np.empty(CHUNK, np.float32)
    mirrored = name in EVEN | ODD
    with np.errstate(all="ignore"):
        for start in range(0, 1 << (31 if mirrored else 32), CHUNK):
            x = np.arange(start, start + CHUNK, dtype=np.int64).astype(np.uint32).view(np.float32)
            x64[:] = x
            true[:] = oracle(x64)
            error = largest_of(f(x, out=y), true, out)
            place = error.argmax()
            if error[place] > worst:
                worst, where = error[place], x[place]
            if mirrored:
                image = y if name in EVEN else -y
                assert np.array_equal(f(-x).view(np.int32), image.view(np.int32)) or np.isnan(y).any()
    return worst, where


#: the same functions of `long double`
LONG = {
    name: ORACLES[name]
    for name in ORACLES
    if name not in ("sigmoid", "erf", "erfc", "ndtr", "gelu", "gelu_tanh", "silu")
}


def long_sigmoid(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


LONG["sigmoid"] = long_sigmoid
LONG["silu"] = lambda x: x * long_sigmoid(x)


def largest_error_of_float64(name: str) -> tuple[float, list[np.float64]]:
    """Over samples of every kind, 4 million of them (20,000 for mpmath)."""
    f, rng, worst, where = compiled(name, "d"), np.random.default_rng(), 0.0, [np.float64(0)]
    count = 20_000 if name in LONG else 400
    with np.errstate(all="ignore"):
        for _ in range(20 if name in LONG else 5):
            xs = float64_pairs(rng, count) if name in BINARY else (domain(name, float64_samples(rng, count)),)
            xs = tuple(np.abs(x) if name == "pow" and n == 0 else x for n, x in enumerate(xs))
            xs = tuple(x[: x.size - x.size % LANES["d"]].copy() for x in xs)
            y = f(*xs)
            error = errors_by_long_double(name, xs, y) if name in LONG else errors_by_mpmath(name, xs, y)
            place = error.argmax()
            if error[place] > worst:
                worst, where = error[place], [x[place] for x in xs]
    return worst, where


def errors_by_long_double(name: str, xs: tuple[np.ndarray, ...], y: np.ndarray) -> np.ndarray:
    """Of finite results, and of infinite ones that are wrong by more than the rounding of the largest number."""
    true = LONG[name](*[x.astype(np.longdouble) for x in xs])
    unit = np.ldexp(np.longdouble(1), np.maximum(np.frexp(np.abs(true))[1] - 1, -1022) - 52)
    error = (np.abs(y - true) / unit).astype(np.float64)
    beyond = np.isinf(y) & (np.abs(true) >= np.finfo(np.float64).max)
    error[beyond | (np.isinf(true) & (y == true))] = 0
    error[np.isnan(error)] = np.inf
    return error


def errors_by_mpmath(name: str, xs: tuple[np.ndarray, ...], y: np.ndarray) -> np.ndarray:
    return errors_of_float64(y, [PRECISE[name](mp.mpf(x)) for x in xs[0].tolist()])


def main(kind: str, names: list[str]) -> None:
    left_out = SUMS if kind == "float64" else BINARY | SUMS
    for name in names or [name for name in ORACLES if name not in left_out]:
        worst, where = largest_error(name) if kind == "float32" else largest_error_of_float64(name)
        print(f"{name:8} {worst:.4f} at {where!r}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
