"""Distributions sampled by rejection: how many words a sample takes is known only when it is done, so these go one by one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rushlight.streams.checks import require, require_dtype
from rushlight.streams.generator import Doubles, Generator
from rushlight.streams.rounding import cast

Array = np.ndarray

# ---- Poisson ----


def poisson(gen: Generator, rates: Array) -> Array:
    """One Poisson sample for each rate, flat, in the dtype of `rates`. Raises RuntimeError for a rate that is negative or NaN.

    >>> poisson(Generator(0), np.array([1.0, 4.0, 20.0])).tolist()
    [2.0, 5.0, 17.0]
    """
    require_dtype("poisson_cpu", rates.dtype.name, ("float16", "bfloat16", "float32", "float64"))
    flat = np.ravel(rates).astype(np.float64)
    require(bool((flat >= 0).all()), "invalid Poisson rate, expected rate to be non-negative")
    return _one_by_one(gen, flat, _poisson, rates.dtype.name)


def _poisson(rate: float, uniform: Doubles) -> int:
    if rate >= 10:
        return _poisson_by_rejection(rate, uniform)
    return _poisson_by_product(rate, uniform) if rate > 0 else 0


def _poisson_by_product(rate: float, uniform: Doubles) -> int:
    """Multiply uniforms until the product falls to exp(-rate): Knuth, TAOCP 2, section 3.4.1."""
    limit, product, count = math.exp(-rate), uniform(), 0
    while product > limit:
        product *= uniform()
        count += 1
    return count


def _poisson_by_rejection(rate: float, uniform: Doubles) -> int:
    """PTRS, the transformed rejection of W. Hoermann, Insurance: Mathematics and Economics 12 (1993)."""
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    sure = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = uniform() - 0.5
        v = uniform()
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + rate + 0.43)
        if edge >= 0.07 and v <= sure:
            return k
        if k < 0 or (edge < 0.013 and v > edge):
            continue
        squeeze = _log(v) + math.log(inverse_alpha) - math.log(a / (edge * edge) + b)
        if squeeze <= -rate + k * log_rate - math.lgamma(k + 1):
            return k


def _log(v: float) -> float:
    return math.log(v) if v > 0 else -math.inf


# ---- gamma ----


def standard_gamma(gen: Generator, alpha: Array) -> Array:
    """One gamma sample of scale 1 for each shape `alpha`, flat, in the dtype of `alpha` (float32 or float64)."""
    dtype = alpha.dtype.name
    require_dtype("gamma_cpu", dtype, ("float32", "float64"))
    samples = _one_by_one(
        gen, np.ravel(alpha), lambda a, uniform: _gamma(a, uniform, alpha.dtype.type), dtype
    )
    return np.maximum(samples, np.finfo(dtype).tiny)


def _gamma(alpha: float, uniform: Doubles, real: Callable[[float], np.floating]) -> float:
    """Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000)."""
    scale = 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = math.pow(1 - uniform(), float(real(1) / real(alpha)))
        alpha = float(real(alpha) + real(1))
    # These two constants are single precision in PyTorch's source.
    d = float(real(alpha) - np.float32(1 / 3))
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, y = 0.0, 0.0
        while y <= 0:
            x = uniform.normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - uniform()
        if u < 1.0 - _SQUEEZE * (x * x) * (x * x) or math.log(u) < 0.5 * (x * x) + d * (
            1.0 - v + math.log(v)
        ):
            return scale * d * v


_SQUEEZE = float(np.float32(0.0331))


def _one_by_one(
    gen: Generator, parameters: Array, sample: Callable[[float, Doubles], float], dtype: str
) -> Array:
    with Doubles(gen) as uniform:
        samples = [sample(parameter, uniform) for parameter in parameters.tolist()]
    return cast(np.array(samples, np.float64), dtype)
