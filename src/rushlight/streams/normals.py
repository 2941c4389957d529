"""Normal samples: Box and Muller, "A note on the generation of random normal deviates", Ann. Math. Stat. 29 (1958), in PyTorch's two versions.

Note [Two normal streams]
Fewer than 16 elements, or an output that is not contiguous, take pairs of double uniforms one after the other; the second half of a pair is held back
in the generator for the next call. From 16 contiguous elements on, uniforms fill the output first, and each group of 16 is then transformed in place,
the first eight with the last eight; when the size is no multiple of 16 the last 16 elements are drawn again, over what was there (of the 16-bit
floats only the whole groups are drawn before that). Nothing is held back. float32 and the 16-bit floats do this second transformation with single
precision polynomials, which are written out here with the same roundings.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rushlight import late
from rushlight.streams.checks import COMPLEX_PARTS, FLOATS, number, numpy_dtype, require, require_dtype
from rushlight.streams.generator import Generator, next_normal
from rushlight.streams.rounding import cast, fma32, fma64, log, log1p, sine_and_cosine

Array = np.ndarray
F = np.float32

GROUP = 16
CHUNK = 1024  # groups transformed together: their intermediate arrays stay in the cache


def normal(
    gen: Generator,
    size: int,
    dtype: str = "float32",
    mean: float = 0.0,
    std: float = 1.0,
    *,
    contiguous: bool = True,
) -> Array:
    """`size` samples of N(mean, std**2); a complex sample has independent parts of variance std**2 / 2.

    `contiguous` says whether the output tensor is (PyTorch's numbers depend on it, see Note [Two normal streams]). Raises RuntimeError for std < 0.

    >>> normal(Generator(0), 2).tolist()
    [1.5409960746765137, -0.293428897857666]
    """
    require(std >= 0, f"normal expects std >= 0.0, but found std {number(std)}")
    if size == 0:
        return cast(np.empty(0), dtype)
    if dtype in COMPLEX_PARTS:
        parts = normal(gen, 2 * size, COMPLEX_PARTS[dtype], mean, std / math.sqrt(2), contiguous=contiguous)
        return parts.view(numpy_dtype(dtype))
    require_dtype("normal_kernel_cpu", dtype, FLOATS)
    if size < GROUP or not contiguous:
        return cast(fma64(_in_pairs(gen, size), std, mean), dtype)
    if dtype == "float64":
        return _in_groups(gen.doubles, size, size, lambda u: _transformed64(u, mean, std))
    drawn_first = size if dtype == "float32" else size - size % GROUP
    return cast(
        _in_groups(gen.floats, drawn_first, size, lambda u: _transformed32(u, F(mean), F(std))), dtype
    )


# ---- one after the other ----


def _in_pairs(gen: Generator, size: int) -> Array:
    """Standard normal doubles, the odd one held back in the generator; of a few no arrays are made."""
    if size < GROUP:
        return np.array([next_normal(gen, gen.double) for _ in range(size)])
    held = [] if gen.held_normal is None else [gen.held_normal]
    missing = size - len(held)
    samples = _pairs(gen.doubles(missing + missing % 2).reshape(-1, 2))
    samples = np.concatenate([np.array(held), samples])
    gen.held_normal = float(samples[-1]) if missing % 2 else None
    return samples[:size]


def _pairs(u: Array) -> Array:
    radius = np.sqrt(-2.0 * log1p(-u[:, 1]))
    sine, cosine = sine_and_cosine(2.0 * math.pi * u[:, 0])
    return np.stack([radius * cosine, radius * sine], axis=1).ravel()


# ---- in groups of sixteen ----


def _in_groups(
    draw: Callable[[int], Array], drawn_first: int, size: int, transformed: Callable[[Array], Array]
) -> Array:
    whole = size - size % GROUP
    drawn = draw(drawn_first)
    if whole < size:
        drawn = np.concatenate([drawn[:whole], draw(GROUP)])
    groups = drawn.reshape(-1, GROUP)
    for start in range(0, len(groups), CHUNK):
        groups[start : start + CHUNK] = transformed(groups[start : start + CHUNK])
    return drawn if whole == size else np.concatenate([drawn[: size - GROUP], drawn[whole:]])


def _transformed64(u: Array, mean: float, std: float) -> Array:
    radius = np.sqrt(-2.0 * log((1.0 - u[:, :8]).ravel()))
    sine, cosine = sine_and_cosine((2.0 * math.pi * u[:, 8:]).ravel())
    halves = fma64(radius * cosine, std, mean), fma64(radius * sine, std, mean)
    return np.concatenate([half.reshape(-1, 8) for half in halves], axis=1)


def _transformed32(u: Array, mean: np.float32, std: np.float32) -> Array:
    """By arrays, until so many were drawn that it is worth while to compile a loop."""
    _drawn[0] += u.size
    if _drawn[0] >= (_MADE_FROM if "llvmlite.binding" in sys.modules else _COMPILED_FROM):
        transform = _loop()
        if transform is not None and transform(u, mean, std):
            return u
    radius = np.sqrt(F(-2) * _log(F(1) - u[:, :8]))
    sine, cosine = _sine_and_cosine(TWO_PI * u[:, 8:])
    return np.concatenate([fma32(radius * cosine, std, mean), fma32(radius * sine, std, mean)], axis=1)


#: how many were drawn, about
_drawn = [0]
#: from how many on the compiler is loaded for a loop's sake; and a loop made, where the compiler is there (64 calls for 32 numbers,
#: which take 120 µs each by arrays and 15 by the loop, are the time in which it is made)
_COMPILED_FROM, _MADE_FROM = 1 << 15, 1 << 11


@cache
def _loop() -> Callable[[Array, np.float32, np.float32], bool] | None:
    """`normal_loops.transform`, where there is a compiler."""
    if not late.load("rushlight.native.jit").available():
        return None
    return late.load("rushlight.streams.normal_loops").transform


# ---- single precision polynomials ----

# Note [Cephes in eight lanes]
# The logarithm and the sine/cosine are those of S. Moshier's Cephes library (logf.c, sinf.c), as J. Pommier and G. Garberoglio vectorised them.
# They are a bit off a correctly rounded result now and then, so every rounding counts. A product that only feeds one sum was fused with it by
# the compiler (see Note [Fused multiply-add]); a product used twice was not.

LOG = [F(c) for c in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1)]
LOG += [F(c) for c in (-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)]
LN2_HIGH, LN2_LOW, ROOT_HALF = F(0.693359375), F(-2.12194440e-4), F(0.707106781186547524)
SIN = [F(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)]
COS = [F(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)]
QUARTER_PI = [F(c) for c in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)]
FOUR_OVER_PI, TWO_PI = F(1.27323954473516), F(2 * math.pi)


def _log(x: Array) -> Array:
    """Natural logarithm of float32 in [2**-24, 1]."""
    # 1. x = m * 2**e with m in [sqrt(1/2), sqrt(2)); continue with m - 1.
    bits = x.view(np.int32)
    e = ((bits >> 23) - 126).astype(F)
    m = ((bits & 0x007FFFFF) | 0x3F000000).view(F)
    small = m < ROOT_HALF
    e -= small
    x = (m - F(1)) + np.where(small, m, F(0))
    # 2. log(1 + x) = x - x**2 / 2 + x**3 * P(x), and e * ln 2 in two parts.
    z = x * x
    y = fma32(_polynomial(LOG, x) * x, z, e * LN2_LOW)
    y -= z * F(0.5)
    return fma32(e, LN2_HIGH, x + y)


def _sine_and_cosine(x: Array) -> tuple[Array, Array]:
    """Sine and cosine of float32 in [0, 2*pi]."""
    # 1. Take off the nearest even multiple j of pi/4, in three parts.
    j = ((x * FOUR_OVER_PI).astype(np.int32) + 1) & ~1
    for part in QUARTER_PI:
        x = fma32(j.astype(F), part, x)
    # 2. Both polynomials on [-pi/4, pi/4].
    z = x * x
    cosine = fma32(_polynomial(COS, z) * z, z, z * F(-0.5)) + F(1)
    sine = fma32(_polynomial(SIN, z) * z, x, x)
    # 3. The octant says which is which, and the signs.
    straight = (j & 2) == 0
    s, c = np.where(straight, sine, cosine), np.where(straight, cosine, sine)
    return np.where(j & 4, -s, s), np.where((j + 2) & 4, -c, c)


def _polynomial(coefficients: list[np.float32], x: Array) -> Array:
    """Horner's scheme, each step rounded once."""
    y: Any = coefficients[0]
    for c in coefficients[1:]:
        y = fma32(y, x, c)
    return y
