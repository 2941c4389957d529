"""Distributions sampled by rejection: how many words a sample takes is known only when it is done, so these go one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.streams.checks import name_of, require, require_dtype
from rushlight.streams.generator import Doubles, Generator
from rushlight.streams.rounding import cast

Array = np.ndarray

# ---- Poisson ----


def poisson(gen: Generator, rates: Array) -> Array:
    """One Poisson sample for each rate, flat, in the dtype of `rates`. Raises RuntimeError for a rate that is negative or NaN.

    >>> poisson(Generator(0), np.array([1.0, 4.0, 20.0])).tolist()
    [2.0, 5.0, 17.0]
    """
    require_dtype("poisson_cpu", name_of(rates.dtype), ("float16", "bfloat16", "float32", "float64"))
    flat = np.ravel(rates).astype(np.float64)
    require(bool((flat >= 0).all()), "invalid Poisson rate, expected rate to be non-negative")
    return _one_by_one(gen, flat, _poisson, name_of(rates.dtype))


def _poisson(rate: float, uniform: Doubles) -> float:
    if rate == math.inf:
        return rate
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
    dtype = name_of(alpha.dtype)
    require_dtype("gamma_cpu", dtype, ("float32", "float64"))
    samples = _one_by_one(
        gen, np.ravel(alpha), lambda a, uniform: _gamma(a, uniform, alpha.dtype.type), dtype
    )
    return np.fmax(samples, np.finfo(dtype).tiny)  # (nan too, as in PyTorch)


def _gamma(alpha: float, uniform: Doubles, real: Callable[[float], np.floating]) -> float:
    """Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26 (2000)."""
    if not alpha > 0:
        return 0.0 if alpha == 0 else math.nan
    scale = 1.0
    if alpha < 1:
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


def dirichlet(gen: Generator, alpha: Array) -> Array:
    """One point of the simplex for each row of concentrations `alpha`, flat: gamma samples in float64, over their sum.

    Raises NotImplementedError for dtypes other than float32 and float64.
    """
    dtype = name_of(alpha.dtype)
    require_dtype("dirichlet", dtype, ("float32", "float64"))
    rows = alpha.reshape(-1, alpha.shape[-1] if alpha.size else 1)
    with Doubles(gen, alpha.size) as uniform:
        samples = [_gamma(a, uniform, np.float64) for a in rows.ravel().tolist()]
    gammas = np.fmax(np.array(samples, np.float64), np.finfo(np.float64).tiny).reshape(rows.shape)
    shares = (gammas / _row_sums(gammas)).astype(alpha.dtype)
    limits = np.finfo(dtype)
    return np.clip(shares, limits.tiny, limits.dtype.type(1) - limits.epsneg).ravel()


def _row_sums(rows: Array) -> Array:
    """Sums of rows of doubles in the order in which PyTorch adds with vectors of four; up to 255 columns.

    Four vectors (numbers, in rows shorter than one) are summed side by side, then with one another, then lane by lane.
    """
    count = rows.shape[1]
    lanes = 4 if count >= 4 else 1
    vectors = rows[:, : count // lanes * lanes].reshape(len(rows), count // lanes, lanes)
    fours = vectors.shape[1] // 4 * 4
    partial = np.add.reduce(vectors[:, :fours].reshape(len(rows), fours // 4, 4, lanes), axis=1)
    for at in range(fours, vectors.shape[1]):
        partial[:, 0] += vectors[:, at]
    total = partial[:, 0] + partial[:, 1] + partial[:, 2] + partial[:, 3]
    if lanes == 1:
        return total
    sums = np.zeros((len(rows), 1))
    for column in (*rows[:, count // lanes * lanes :].T, *total.T):
        sums[:, 0] += column
    return sums


# ---- binomial ----


def binomial(gen: Generator, counts: Array, probs: Array) -> Array:
    """One binomial sample for each pair of a count and a probability, flat, in their dtype (float32 or float64)."""
    dtype = name_of(counts.dtype)
    require_dtype("binomial_cpu", dtype, ("float32", "float64"))
    real = counts.dtype.type
    with Doubles(gen, counts.size) as uniform:
        samples = [_binomial(n, p, uniform, real) for n, p in zip(counts.ravel(), probs.ravel())]
    return np.array(samples, dtype)


def _binomial(count: Any, prob: Any, uniform: Doubles, real: Any) -> Any:
    if count != count or count == math.inf:  # (of which no sample would ever be accepted)
        return math.nan
    if count <= 0 or prob <= 0:
        return 0
    if prob >= 1:
        return count
    if prob <= 0.5:
        return _successes(count, prob, uniform, real)
    if prob > 0.5:
        return count - _successes(count, real(1) - prob, uniform, real)
    return math.nan


def _successes(count: Any, prob: Any, uniform: Doubles, real: Any) -> Any:
    if count * prob >= 10:
        return _binomial_by_rejection(count, prob, uniform, real)
    return _binomial_by_waits(count, prob, uniform, real)


def _binomial_by_waits(count: Any, prob: Any, uniform: Doubles, real: Any) -> int:
    """Add up waits for a success, which are geometric: L. Devroye, Non-Uniform Random Variate Generation (1986), X.4.3."""
    rate = float(real(math.log1p(-float(prob))))
    spent, successes = 0.0, 0
    while True:
        spent += math.ceil(_log(uniform()) / rate) if rate else math.inf
        if spent > count:
            return successes
        successes += 1


def _binomial_by_rejection(count: Any, prob: Any, uniform: Doubles, real: Any) -> Any:
    """BTRS, the transformed rejection of W. Hoermann, J. Statist. Comput. Simul. 46 (1993).

    What PyTorch's kernel keeps in the type of its operands (`real`) is rounded to it here.
    """
    one = real(1)
    spread = float(np.sqrt(count * prob * (one - prob)))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * float(prob)
    c = float(count * prob) + 0.5
    sure = 0.92 - 4.2 / b
    odds = float(prob / (one - prob))
    alpha = (2.83 + 5.1 / b) * spread
    mode = float(np.floor((count + one) * prob))
    n, above = float(count), float(count + one)
    while True:
        u = uniform() - 0.5
        v = uniform()
        edge = 0.5 - abs(u)
        k = float(real(math.floor((2 * a / edge + b) * u + c))) if edge else -1.0
        if k < 0 or k > n:
            continue
        if edge >= 0.07 and v <= sure:
            return k
        left = float(real(count - real(k)) + one)
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
            + above * math.log((n - mode + 1) / left)
            + (k + 0.5) * math.log(odds * left / float(real(k) + one))
            + _stirling_rest(mode)
            + _stirling_rest(n - mode)
            - _stirling_rest(k)
            - _stirling_rest(float(count - real(k)))
        )
        if _log(v * alpha / (a / (edge * edge) + b)) <= bound:
            return k


def _stirling_rest(k: float) -> float:
    """What Stirling's formula lacks of log(k!): a table, then its series."""
    if k < len(_STIRLING_RESTS):
        return _STIRLING_RESTS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


_STIRLING_RESTS = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _one_by_one(
    gen: Generator, parameters: Array, sample: Callable[[float, Doubles], float], dtype: str
) -> Array:
    with Doubles(gen, parameters.size) as uniform:
        samples = [sample(parameter, uniform) for parameter in parameters.tolist()]
    return cast(np.array(samples, np.float64), dtype)
