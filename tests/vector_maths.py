"""For the tests of `rushlight.codegen.maths`: its verbs as functions of arrays, oracles, and errors in units in the
last place."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.special

from rushlight.codegen.builder import Builder, V
from rushlight.codegen.maths import BINARY, MATHS
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
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
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


@cache
def compiled(verb: str, kind: str, lanes: int = 0) -> Callable[..., np.ndarray]:
    """The verb as a function of contiguous arrays, `lanes` elements at a time."""
    lanes = lanes or LANES[kind]
    address = llvm.linked(verb, llvm.compiled(text(verb, kind, lanes)), ("run",))["run"]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(address)

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
