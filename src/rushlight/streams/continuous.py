"""Distributions with a density, each by the inverse of its distribution function, except the log-normal."""

from __future__ import annotations

import math

import numpy as np

from rushlight.streams.checks import (
    COMPLEX_PARTS,
    FLOATS,
    LARGEST,
    SCALAR_TYPES,
    number,
    numpy_dtype,
    require,
    require_dtype,
)
from rushlight.streams.generator import Generator
from rushlight.streams.normals import normal
from rushlight.streams.rounding import cast, exp, fma32, fma64, in_chunks, log1p, single_log1p, tan

Array = np.ndarray
#: so many numbers are computed one by one, without arrays
FEW = 16


def uniform(gen: Generator, size: int, dtype: str = "float32", low: float = 0.0, high: float = 1.0) -> Array:
    """`size` samples of the uniform distribution on [low, high); real and imaginary part for complex dtypes.

    Raises RuntimeError for low > high and for bounds or a range beyond the dtype.

    >>> uniform(Generator(0), 2).tolist()
    [0.49625658988952637, 0.7682217955589294]
    """
    if dtype in COMPLEX_PARTS:
        return uniform(gen, 2 * size, COMPLEX_PARTS[dtype], low, high).view(numpy_dtype(dtype))
    require_dtype("check_uniform_bounds", dtype, FLOATS)
    _check_bounds(dtype, low, high)
    if dtype == "float64":
        x = in_chunks(lambda u: fma64(u, high - low, low), gen.doubles(size))
        return np.where(x == high, low, x)
    x = gen.floats(size)
    if (low, high) != (0, 1):
        first, last = np.float32(low), np.float32(high)
        x = in_chunks(lambda u: fma32(u, last - first, first), x)
    elif dtype == "float32":
        return x
    x = cast(x, dtype)
    closed, open_end = cast(np.array([low, high]), dtype)
    # Rounding may reach the open end, which is replaced by the closed one.
    return np.where(x == open_end, closed, x)


def exponential(gen: Generator, size: int, dtype: str = "float32", rate: float = 1.0) -> Array:
    """`size` samples of the exponential distribution: -log(1 - u) / rate. Raises RuntimeError unless rate > 0.

    These are the numbers PyTorch gives where it uses its own generator; on Intel processors it calls MKL's instead.

    >>> exponential(Generator(0), 2).tolist()
    [3.508326292037964, 1.2303847074508667]
    """
    require(rate > 0, f"exponential_ expects lambda > 0.0, but found lambda={number(rate)}")
    require(dtype in FLOATS, _continuous("Exponential", SCALAR_TYPES[dtype][0]))
    factor = -1.0 / rate
    if size <= FEW:
        return cast(np.array([factor * math.log1p(-gen.double()) for _ in range(size)]), dtype)
    x = -gen.doubles(size)
    if dtype == "float64":
        return factor * log1p(x)
    return cast(in_chunks(lambda part: single_log1p(part, factor), x), dtype)


def cauchy(
    gen: Generator, size: int, dtype: str = "float32", median: float = 0.0, sigma: float = 1.0
) -> Array:
    """`size` samples of the Cauchy distribution. Raises RuntimeError unless sigma > 0."""
    require(sigma > 0, f"cauchy_ expects sigma > 0.0, but found sigma={number(sigma)}")
    require(dtype in FLOATS, _continuous("Cauchy", SCALAR_TYPES[dtype][1]))
    return cast(fma64(tan(math.pi * (gen.doubles(size) - 0.5)), sigma, median), dtype)


def log_normal(
    gen: Generator, size: int, dtype: str = "float32", mean: float = 1.0, std: float = 2.0
) -> Array:
    """`size` samples whose logarithm is N(mean, std**2), always from the stream of pairs. Raises RuntimeError unless std > 0."""
    require(std > 0, f"log_normal_ expects std > 0.0, but found std={number(std)}")
    require_dtype("log_normal_cpu", dtype, FLOATS)
    return cast(exp(normal(gen, size, "float64", mean, std, contiguous=False)), dtype)


def _continuous(name: str, dtype: str) -> str:
    return f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you specified {dtype}"


def _check_bounds(dtype: str, low: float, high: float) -> None:
    scalar_type, cpp_type = SCALAR_TYPES[dtype]
    largest = LARGEST[dtype]
    for name, bound in (("from", low), ("to", high)):
        require(-largest <= bound <= largest, f"{name} is out of bounds for {cpp_type}")
    require(
        low <= high,
        f"uniform_ expects to return a [from, to) range, but found from={number(low)} > to={number(high)}",
    )
    require(
        high - low <= largest,
        f"uniform_ expects to-from <= std::numeric_limits<{scalar_type}>::max(), but found to={number(high)} and from={number(low)}"
        " which result in to-from to exceed the limit",
    )
