"""For the tests of `rushlight.codegen.maths`: its verbs as functions of arrays, oracles, and errors in units in the
last place."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache

import mpmath as mp
import numpy as np
import scipy.special

from rushlight.codegen.builder import Builder
from rushlight.codegen.maths import BINARY, MATHS
from rushlight.codegen.values import V
from rushlight.native import llvm

#: vectors that fill the widest registers of any target
LANES = {"f": 16, "d": 8}

#: float64 functions written by others, good to a few units in its last place: 2**-27 of a unit of float32
ORACLES: dict[str, Callable[..., np.ndarray]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sigmoid": scipy.special.expit,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "ndtr": scipy.special.ndtr,
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "gelu_slope": lambda x: scipy.special.ndtr(x) + x * np.exp(x * x / -2) / math.sqrt(2 * math.pi),
    "gelu_tanh": lambda x: x * scipy.special.expit(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
    "silu": lambda x: x * scipy.special.expit(x),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
}


#: functions that are sums of terms of two signs, whose error is small beside these only: 0 between them costs all digits
SUMS = {"gelu_slope"}


#: digits enough for a difference from float64 to be exact, where the function takes any
mp.mp.prec = 160


def _sigmoid(x: mp.mpf) -> mp.mpf:
    return 1 / (1 + mp.exp(-x))


def _erfc(x: mp.mpf) -> mp.mpf:
    return mp.erfc(x) if x < 28 else mp.mpf(0)


def _ndtr(x: mp.mpf) -> mp.mpf:
    return _erfc(-x / mp.sqrt(2)) / 2


def _pow(x: mp.mpf, y: mp.mpf) -> mp.mpf:
    """For x > 0; y log(x) within what exp takes."""
    return mp.exp(max(-2000, min(2000, y * mp.log(x))))


#: functions at 160 bits; sines of large numbers take their bits into account by themselves
PRECISE: dict[str, Callable[..., mp.mpf]] = {
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x, 2),
    "log10": mp.log10,
    "log1p": mp.log1p,
    "sigmoid": _sigmoid,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "erf": mp.erf,
    "erfc": _erfc,
    "ndtr": _ndtr,
    "gelu": lambda x: x * _ndtr(x),
    "gelu_slope": lambda x: _ndtr(x) + x * mp.npdf(x),
    "gelu_tanh": lambda x: x * _sigmoid(mp.sqrt(8 / mp.pi) * (x + mp.mpf("0.044715") * x**3)),
    "silu": lambda x: x * _sigmoid(x),
    "softplus": lambda x: mp.log1p(mp.exp(x)) if x < 200 else x,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "pow": _pow,
    "atan2": mp.atan2,
    "hypot": mp.hypot,
}


def text(verb: str, kind: str, lanes: int) -> str:
    """A loop over whole vectors: out[i] = verb(x[i]) or verb(x[i], y[i])."""
    k = Builder(lanes)
    x, y, out, n = V("%x", "p"), V("%y", "p"), V("%out", "p"), V("%n", "q")
    size = np.dtype(kind).itemsize
    with k.loop(k.integer(0), n, lanes) as i:
        given = [k.load(k.at(p, i, size), kind) for p in ((x, y) if verb in BINARY else (x,))]
        k.store(MATHS[verb](k, *given), k.at(out, i, size))
    return k.function("run", [x, y, out, n])


def loop(ir: str) -> Callable[[int, int, int, int], None]:
    """The function `run` of a module, of three addresses and a length."""
    address = llvm.linked("run", llvm.compiled(ir), ("run",))["run"]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(address)


@cache
def compiled(verb: str, kind: str, lanes: int = 0) -> Callable[..., np.ndarray]:
    """The verb as a function of contiguous arrays, `lanes` elements at a time."""
    lanes = lanes or LANES[kind]
    call = loop(text(verb, kind, lanes))

    def run(x: np.ndarray, y: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
        assert x.dtype == kind and x.flags.c_contiguous and x.size % lanes == 0
        assert y is None or (y.dtype == kind and y.flags.c_contiguous and y.size == x.size)
        out = np.empty_like(x) if out is None else out
        call(x.ctypes.data, 0 if y is None else y.ctypes.data, out.ctypes.data, x.size)
        return out

    return run


def errors_of_float32(y: np.ndarray, true: np.ndarray) -> np.ndarray:
    """How far float32 results are from those of an oracle in float64, in units in the last place of these; infinite
    where NaN, an infinity or the sign of zero is wrong."""
    exponent = np.clip(np.abs(true).view(np.int64) >> 52, 1023 - 126, 1023 + 127)
    unit = (exponent - 23 << 52).view(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(y - true) / unit
        rounded = true.astype(np.float32)
    same = y.view(np.int32) == rounded.view(np.int32)
    infinite = ~same & (np.isinf(y) | np.isinf(rounded))
    error[infinite & (np.abs(true) < 2.0**128 - 2.0**103)] = 1.0  # one side rounds up, the other down
    error[infinite & (np.abs(true) >= 2.0**128 - 2.0**103)] = np.inf
    error[(y == 0) & (true == 0) & ~same] = np.inf
    error[np.isnan(error)] = np.inf
    error[(same & np.isinf(y)) | (np.isnan(y) & np.isnan(true))] = 0.0
    return error


def errors_of_float64(y: np.ndarray, true: list[mp.mpf]) -> np.ndarray:
    """How far finite float64 results are from those of `PRECISE`, in units in the last place of these. A result beyond
    the largest number by less than half a unit counts like one inside."""
    return np.array([_error_of_float64(mp.mpf(a), b) for a, b in zip(y.tolist(), true)])


def _error_of_float64(y: mp.mpf, true: mp.mpf) -> float:
    exponent = max(mp.frexp(true)[1] - 1, -1022) if true else -1022
    if mp.isinf(y):
        y = mp.sign(y) * mp.mpf(2) ** 1024
        true = mp.sign(true) * min(abs(true), mp.mpf(2) ** 1024)
        exponent = 1023
    return float(abs(y - true) / mp.mpf(2) ** (exponent - 52))


def domain(verb: str, x: np.ndarray) -> np.ndarray:
    """Those numbers for which a function of one has a finite result, or one that is finite but for the range."""
    inside = np.isfinite(x)
    if verb in ("log", "log2", "log10", "rsqrt"):
        inside &= x > 0
    if verb in ("asin", "acos", "atanh"):
        inside &= np.abs(x) <= 1
    if verb in ("exp", "exp2", "expm1", "sinh", "cosh"):
        inside &= np.abs(x) <= 2000
    if verb == "atanh":
        inside &= np.abs(x) < 1
    if verb == "log1p":
        inside &= x > -1
    if verb == "acosh":
        inside &= x >= 1
    return x[inside]


def float64_samples(rng: np.random.Generator, count: int) -> np.ndarray:
    """So many of each: random bits; numbers near 0, near 1, of some hundreds, of all small sizes; whole numbers; the
    neighbours of multiples of pi / 2."""
    multiples = np.round(np.exp2(rng.uniform(0, 45, count))) * (np.pi / 2)
    return np.concatenate(
        [
            rng.integers(0, 1 << 64, count, np.uint64).view(np.float64),
            rng.normal(size=count) * 3,
            rng.uniform(-1, 1, count),
            rng.uniform(-750, 750, count),
            rng.uniform(-6, 28, count),
            1 + rng.normal(size=count) * np.exp2(rng.uniform(-52, 0, count)),
            rng.normal(size=count) * np.exp2(rng.uniform(-60, 10, count)),
            np.round(rng.normal(size=count) * 100),
            multiples,
            np.nextafter(multiples, 0),
        ]
    )


def float64_pairs(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random bits; near numbers; numbers of like size; powers that neither vanish nor overflow, of numbers of all sizes
    and of numbers near 1."""
    x = np.stack(
        [
            rng.integers(0, 1 << 64, count, np.uint64).view(np.float64),
            rng.normal(size=count) * 3,
            rng.integers(0, 1 << 64, count, np.uint64).view(np.float64),
            np.exp(rng.normal(size=count) * 5),
            np.exp2(rng.uniform(-1074, 1023, count)),
            1 + rng.normal(size=count) * np.exp2(rng.uniform(-52, -3, count)),
        ]
    )
    with np.errstate(all="ignore"):
        exponents = rng.uniform(-745, 710, (3, count)) / np.log(x[3:])
        like = x[2] * np.exp2(rng.uniform(-70, 70, count))
    y = np.concatenate(
        [
            rng.integers(0, 1 << 64, count, np.uint64).view(np.float64)[None],
            rng.normal(size=(1, count)) * 3,
            like[None],
            exponents,
        ]
    )
    finite = np.isfinite(x) & np.isfinite(y)
    return x[finite], y[finite]
