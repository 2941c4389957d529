"""Arithmetic that rounds where compiled code rounds: fused multiply-add, the C library's functions, and casts.

Note [Fused multiply-add]
PyTorch's kernels are compiled for AVX2 or AVX-512, and the compiler turns `a * b + c` into one instruction that rounds once. NumPy has no such
operation, so it is built here: for float32 from float64, whose product of two float32 is exact; for float64 from error-free transformations.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rushlight.streams.checks import numpy_dtype

Array = np.ndarray

CHUNK = 8192  # elements of a long array taken at a time, so that intermediate arrays stay in the cache


def in_chunks(function: Callable[[Array], Array], x: Array) -> Array:
    """`function`, elementwise, over a flat array, chunk by chunk and in place."""
    for start in range(0, x.size, CHUNK):
        x[start : start + CHUNK] = function(x[start : start + CHUNK])
    return x


# ---- float32 ----


def fma32(a: Array | np.float32, b: Array | np.float32, c: Array | np.float32) -> Array:
    """`a * b + c` in float32, rounded once."""
    product = np.multiply(a, b, dtype=np.float64)
    total = np.add(product, c, dtype=np.float64)
    # Rounding to 53 and then to 24 bits is rounding once, unless the 53 bits end exactly halfway between two float32.
    halfway = (total.view(np.int64) & 0x1FFFFFFF) == 0x10000000
    if halfway.any():
        _leave_the_middle(total, product, np.broadcast_to(c, total.shape), np.nonzero(halfway))
    return total.astype(np.float32)


def _leave_the_middle(total: Array, product: Array, c: Array, where: tuple[Array, ...]) -> None:
    """Move the sums in `where` that were rounded onto a midpoint back to the side they came from."""
    middle = total[where]
    error = _sum_error(product[where], c[where].astype(np.float64), middle)
    if error.any():
        total[where] = np.where(error == 0, middle, np.nextafter(middle, np.copysign(np.inf, error)))


# ---- float64 ----


def fma64(a: Array, b: float, c: float) -> Array:
    """`a * b + c` in float64, rounded once: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE TC 57 (2008)."""
    if c == 0 or b == 1:
        return a * b + c
    with np.errstate(over="ignore", invalid="ignore"):
        high, low = _exact_product(a, b)
        middle = low + c
        middle_error = _sum_error(low, c, middle)
        top = high + middle
        top_error = _sum_error(high, middle, top)
        out = top + _sum_to_odd(top_error, middle_error)
        # Splitting overflows some 2**27 below the largest double.
        return np.where(np.isfinite(out), out, a * b + c)


def _sum_error(x: Array, y: Array | float, total: Array) -> Array:
    """What `total`, the rounded sum of x and y, lacks (Knuth's TwoSum)."""
    back = total - x
    return (x - (total - back)) + (y - back)


def _exact_product(a: Array, b: float) -> tuple[Array, Array]:
    """The product in two parts (Dekker, with Veltkamp's splitting)."""
    a_high, a_low = _halves(a)
    b_high, b_low = _halves(np.asarray(b, np.float64))
    product = a * b
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(x: Array) -> tuple[Array, Array]:
    scaled = 134217729.0 * x
    high = scaled - (scaled - x)
    return high, x - high


def _sum_to_odd(x: Array, y: Array) -> Array:
    """The sum rounded to odd: an inexact result gets an odd last bit, so that rounding it again is right."""
    total = np.asarray(x + y)
    error = _sum_error(x, y, total)
    even = (total.view(np.int64) & 1) == 0
    return np.where((error != 0) & even, np.nextafter(total, np.copysign(np.inf, error)), total)


# ---- the C library ----

# Note [The C library's functions]
# In double precision PyTorch calls the C library. So does Python's math module; NumPy does not (it has its own vector code, one bit off now and
# then). A value costs some 40 ns this way. Sine and cosine come together, in C, from the complex exponential of i*theta.


def log(x: Array) -> Array:
    """The C library's log of x >= 0."""
    return np.where(x == 0, -np.inf, _each(math.log, np.where(x == 0, 1.0, x)))


def log1p(x: Array) -> Array:
    """The C library's log1p of x > -1."""
    return _each(math.log1p, x)


def exp(x: Array) -> Array:
    """The C library's exp."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = np.exp(x.astype(np.complex128)).real
    # From here on the complex exponential multiplies in two steps.
    large = x > 709
    out[large] = _each(_exp_or_inf, x[large])
    return out


def _exp_or_inf(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def tan(x: Array) -> Array:
    """The C library's tan."""
    return _each(math.tan, x)


def sine_and_cosine(x: Array) -> tuple[Array, Array]:
    """The C library's sin and cos of x."""
    turn = np.zeros(x.shape, np.complex128)
    turn.imag = x
    np.exp(turn, out=turn)
    return turn.imag, turn.real


def _each(function: Callable[[float], float], x: Array) -> Array:
    return np.fromiter(map(function, x.tolist()), np.float64, x.size)


def single_log1p(x: Array, factor: float) -> Array:
    """`factor * log1p(x)`, whose rounding to float32 is that of the C library's log1p.

    NumPy's faster log1p is a few units off in the last of 53 places, which matters only near the middle between two float32; there it is replaced.
    """
    product = factor * np.log1p(x)
    beyond_middle = np.abs((product.view(np.int64) & 0x1FFFFFFF) - 0x10000000)
    doubtful = (beyond_middle < 64) | (np.abs(product) < np.finfo(np.float32).tiny)
    if doubtful.any():
        product[doubtful] = factor * log1p(x[doubtful])
    return product


# ---- casts ----


def cast(x: Array, dtype: str) -> Array:
    """`x` in another dtype as C++ casts it: to 16-bit floats by way of float32, to small integers by wrapping."""
    target = numpy_dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype in ("float16", "bfloat16"):
            x = x.astype(np.float32)
        elif target.kind in "iu" and x.dtype.kind == "f":
            x = x.astype(np.int64)
        return x.astype(target, copy=False)
