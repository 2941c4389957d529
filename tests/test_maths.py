"""Mathematical functions of compiled kernels: within one unit in the last place, exact where the result is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("llvmlite")
from vector_maths import LANES, ORACLES, compiled, errors_of_float32

from rushlight.codegen.maths import BINARY, MATHS

UNARY = [verb for verb in MATHS if verb not in BINARY]
INF, NAN = np.inf, np.nan
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def special(dtype: type) -> np.ndarray:
    """Zeros, infinities, NaN, the ends of the ranges, whole and half numbers, powers, and the neighbours of all."""
    info = np.finfo(dtype)
    x = [0.0, 1.0, 0.5, 2.0, 3.0, 5.0, 10.0, 100.0, 1000.0, 88.72284, 103.9721, 709.7827, 745.1332, 1e15, INF]
    x += [
        info.max,
        info.tiny,
        info.smallest_subnormal,
        info.eps,
        1 / info.eps,
        np.pi / 4,
        np.pi / 2,
        np.pi,
        np.e,
    ]
    x += [1.5, 2.5, 10.0546875, 27.226, 1e5, 2.0**24, 2.0**30, 2.0**40, 2.0**53, 2.0**63, 2.0**100]
    x = np.array(x, dtype)
    x = np.concatenate([x, np.nextafter(x, dtype(0)), np.nextafter(x, dtype(INF))])
    x = np.concatenate([x, -x, np.full(-2 * x.size % 16, NAN, dtype)])
    return x


def test_every_function_has_an_oracle() -> None:
    assert list(MATHS) == list(ORACLES)


@pytest.mark.parametrize("verb", UNARY)
def test_float32(verb: str) -> None:
    """A million bit patterns at even steps; `exhaustive_maths.py` takes all."""
    x = np.arange(7, 1 << 32, 4093, dtype=np.int64).astype(np.uint32).view(np.float32)
    x = np.concatenate([x, special(np.float32)])
    x = np.concatenate([x, x[: -x.size % 16]])
    error = errors_of_float32(compiled(verb, "f")(x), ORACLES[verb](x.astype(np.float64)))
    assert error.max() < 1, (x[error.argmax()], error.max())


def pairs(dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """Special points with special points, random bits with random bits, and near numbers with near numbers."""
    rng = np.random.default_rng(5)
    points = special(dtype)
    x, y = map(np.array, zip(*itertools.product(points, points)))
    bits = {4: np.uint32, 8: np.uint64}[points.itemsize]
    random = rng.integers(0, np.iinfo(bits).max, (2, 1 << 18), bits).view(dtype)
    near = rng.normal(size=(2, 1 << 18)).astype(dtype) * dtype(3)
    small = np.array(list(itertools.product(range(-20, 21), range(-20, 21))), dtype).T
    x = np.concatenate([x, random[0], near[0], np.abs(near[0]), small[0]])
    y = np.concatenate([y, random[1], near[1], near[1], small[1]])
    spare = -x.size % 16
    return np.concatenate([x, x[:spare]]), np.concatenate([y, y[:spare]])


@pytest.mark.parametrize("verb", sorted(BINARY))
def test_float32_of_two(verb: str) -> None:
    x, y = pairs(np.float32)
    true = ORACLES[verb](x.astype(np.float64), y.astype(np.float64))
    error = errors_of_float32(compiled(verb, "f")(x, y), true)
    place = error.argmax()
    assert error.max() < 1, (x[place], y[place], error.max())


@pytest.mark.parametrize("verb", MATHS)
def test_a_scalar_has_the_bits_of_a_vector(verb: str) -> None:
    rng = np.random.default_rng(6)
    for kind in "f":
        near = rng.normal(size=(2, 2048)) * 4
        x, y = np.concatenate([near.astype(kind), [special(np.dtype(kind).type)] * 2], 1)
        y = y[::-1].copy()
        given = (x, y) if verb in BINARY else (x,)
        bits = f"i{x.itemsize}"
        wanted = compiled(verb, kind)(*given).view(bits)
        for lanes in (1, 4, 2 * LANES[kind]):
            n = x.size - x.size % lanes
            answer = compiled(verb, kind, lanes)(*[a[:n] for a in given]).view(bits)
            np.testing.assert_array_equal(answer, wanted[:n], f"{verb} {kind} {lanes}")
