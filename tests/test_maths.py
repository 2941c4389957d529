"""Mathematical functions of compiled kernels: within one unit in the last place, exact where the result is."""

from __future__ import annotations

import ctypes
import itertools
import platform

import mpmath as mp
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from llvmlite import binding
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
    text,
)

from rushlight.codegen.maths import BINARY, MATHS

UNARY = [verb for verb in MATHS if verb not in BINARY | SUMS]
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
    assert list(MATHS) == list(ORACLES) == list(PRECISE)


@pytest.mark.parametrize("verb", UNARY)
def test_float32(verb: str) -> None:
    """A million bit patterns at even steps; `exhaustive_maths.py` takes all."""
    x = np.arange(7, 1 << 32, 4093, dtype=np.int64).astype(np.uint32).view(np.float32)
    x = np.concatenate([x, special(np.float32)])
    x = np.concatenate([x, x[: -x.size % 16]])
    error = errors_of_float32(compiled(verb, "f")(x), ORACLES[verb](x.astype(np.float64)))
    assert error.max() < 1, (x[error.argmax()], error.max())


def test_slope_of_gelu() -> None:
    """Beside its two terms (PyTorch's error reaches 8 * 2**-24 of them above -1, and all of them below); NaN where one is."""
    x = np.concatenate([np.linspace(-15, 15, 1 << 16, dtype=np.float32), special(np.float32)])
    x = x[: x.size - x.size % 16]
    wide = x.astype(np.float64)
    terms = ORACLES["ndtr"](wide), wide * np.exp(wide * wide / -2) / np.sqrt(2 * np.pi)
    size = np.abs(terms[0]) + np.abs(terms[1])
    finite = np.isfinite(x)
    for kind, unit in (("f", 6 * 2.0**-24), ("d", 2.0**-52 * (2 + np.minimum(wide * wide, 1500.0)))):
        y = compiled("gelu_slope", kind)(x.astype(kind))
        close = np.abs(y - (terms[0] + terms[1])) <= unit * size + np.finfo(kind).smallest_subnormal
        assert close[finite].all() and np.isnan(y[~finite]).all(), (x[finite & ~close], kind)
    few = np.linspace(-15, 15, 1001)
    true = np.array([float(PRECISE["gelu_slope"](mp.mpf(a))) for a in few.tolist()])
    assert np.abs(compiled("gelu_slope", "d", 1)(few) - true).max() < 1e-15


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


@pytest.mark.parametrize("verb", UNARY)
def test_float64(verb: str) -> None:
    rng = np.random.default_rng(7)
    x = domain(verb, np.concatenate([float64_samples(rng, 200), special(np.float64)]))
    y = compiled(verb, "d", 1)(x)
    error = errors_of_float64(y, [PRECISE[verb](mp.mpf(a)) for a in x.tolist()])
    place = error.argmax()
    assert error.max() < 1, (x[place], y[place], error.max())


@pytest.mark.parametrize("verb", sorted(BINARY))
def test_float64_of_two(verb: str) -> None:
    x, y = float64_pairs(np.random.default_rng(8), 400)
    x = np.abs(x) if verb == "pow" else x
    z = compiled(verb, "d", 1)(x, y)
    error = errors_of_float64(
        z, [PRECISE[verb](mp.mpf(a), mp.mpf(b)) for a, b in zip(x.tolist(), y.tolist())]
    )
    place = error.argmax()
    assert error.max() < 1, (x[place], y[place], z[place], error.max())


def same(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equal, with the sign of zero; NaN is NaN."""
    return (x == y) & (np.signbit(x) == np.signbit(y)) | np.isnan(x) & np.isnan(y)


@pytest.mark.parametrize("verb", UNARY)
def test_float64_where_there_is_no_number(verb: str) -> None:
    """NaN, infinities and zeros are where float32 has them, whose oracle knows them all."""
    x = special(np.float32)
    with np.errstate(all="ignore"):
        single, double = compiled(verb, "f")(x), compiled(verb, "d")(x.astype(np.float64))
    exact = np.isnan(single) | (x == 0) | np.isinf(x)
    assert same(single, double.astype(np.float32))[exact].all()
    assert (np.signbit(single) == np.signbit(double))[~np.isnan(single)].all()


@pytest.mark.parametrize("verb", sorted(BINARY))
def test_float64_of_two_where_there_is_no_number(verb: str) -> None:
    points = np.array(
        [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 2.0**24 + 1, 2.0**53 - 1, 2.0**53, 1e300, INF, NAN, 5e-324, 1e-300]
    )
    points = np.concatenate([points, -points])
    x, y = map(np.array, zip(*itertools.product(points, points)))
    answer, wanted = compiled(verb, "d", 1)(x, y), ORACLES[verb](x, y)
    exact = ~np.isfinite(wanted) | (wanted == 0) | (wanted == 1)
    assert exact.sum() > x.size // 5
    wrong = ~same(answer, wanted) & exact
    assert not wrong.any(), (x[wrong], y[wrong], answer[wrong], wanted[wrong])


@pytest.mark.parametrize(
    "verb", ["cos", "cosh", "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "erf"]
)
def test_symmetry(verb: str) -> None:
    """Even functions, and odd ones, are so to the last bit."""
    rng = np.random.default_rng(10)
    for kind in "fd":
        x = np.concatenate([special(np.dtype(kind).type), (rng.normal(size=1 << 16) * 3).astype(kind)])
        f = compiled(verb, kind)
        mirrored = f(-x)
        assert same(f(x), mirrored if verb in ("cos", "cosh") else -mirrored).all(), kind


EXACT = {
    "exp": ([0.0, -0.0], [1.0, 1.0]),
    "exp2": (np.arange(-1074.0, 1024.0), np.ldexp(1.0, np.arange(-1074, 1024))),
    "log": ([1.0], [0.0]),
    "log2": (np.ldexp(1.0, np.arange(-1074, 1024)), np.arange(-1074.0, 1024.0)),
    "log10": (10.0 ** np.arange(23), np.arange(23.0)),
    "sigmoid": ([0.0, -0.0, INF, -INF, 800.0], [0.5, 0.5, 1.0, 0.0, 1.0]),
    "cos": ([0.0], [1.0]),
    "acos": ([1.0, -1.0], [0.0, np.pi]),
    "atan": ([INF, 1.0], [np.pi / 2, np.pi / 4]),
    "cosh": ([0.0], [1.0]),
    "tanh": ([INF, 30.0], [1.0, 1.0]),
    "erf": ([INF, 7.0], [1.0, 1.0]),
    "erfc": ([0.0, -INF, INF, 30.0], [1.0, 2.0, 0.0, 0.0]),
    "ndtr": ([0.0, -0.0, INF, 9.0, -INF, -39.0], [0.5, 0.5, 1.0, 1.0, 0.0, 0.0]),
    "gelu": ([0.0, -0.0, -40.0, 15.0, 1e30, INF, -1e30], [0.0, -0.0, -0.0, 15.0, 1e30, INF, -0.0]),
    "gelu_tanh": ([0.0, -0.0, -30.0, 15.0, 1e30, INF, -1e30], [0.0, -0.0, -0.0, 15.0, 1e30, INF, -0.0]),
    "silu": ([0.0, -0.0, -800.0, 60.0, 1e30, INF, -1e30], [0.0, -0.0, -0.0, 60.0, 1e30, INF, -0.0]),
    "softplus": ([-INF, -800.0, 60.0, 1e30, INF], [0.0, 0.0, 60.0, 1e30, INF]),
    "rsqrt": ([4.0, 2.0**-1074, 0.0, -0.0, INF], [0.5, 2.0**537, INF, -INF, 0.0]),
}


@pytest.mark.parametrize("verb", EXACT)
def test_exact_results(verb: str) -> None:
    x, y = map(np.array, EXACT[verb])
    np.testing.assert_array_equal(compiled(verb, "d", 1)(x), y)
    representable = (x == x.astype(np.float32)) & (y == y.astype(np.float32))
    answer = compiled(verb, "f", 1)(x[representable].astype(np.float32))
    np.testing.assert_array_equal(answer, y[representable])
    assert (np.signbit(answer) == np.signbit(y[representable])).all()


def test_powers_are_exact_where_they_fit() -> None:
    base, exponent = map(np.array, zip(*[(a, n) for a in range(2, 40) for n in range(30) if a**n <= 2**53]))
    answer = compiled("pow", "d", 1)(base.astype(np.float64), exponent.astype(np.float64))
    assert answer.tolist() == [a**n for a, n in zip(base.tolist(), exponent.tolist())]


def test_cosines_of_huge_numbers() -> None:
    """Some near 2**1016, and the float64 that is nearest to a multiple of pi / 2 (Muller, "Elementary Functions",
    section 11.1)."""
    x = np.concatenate([[6381956970095103 * 2.0**797], np.ldexp(np.linspace(0.5, 1, 9), 1024 - 8)])
    y = compiled("cos", "d", 1)(x)
    assert errors_of_float64(y, [mp.cos(mp.mpf(a)) for a in x.tolist()]).max() < 1
    assert y[0] == pytest.approx(-4.68716592425462761112e-19, rel=1e-15)


@pytest.mark.parametrize("verb", MATHS)
def test_a_scalar_has_the_bits_of_a_vector(verb: str) -> None:
    rng = np.random.default_rng(6)
    for kind in "fd":
        near = rng.normal(size=(2, 2048)) * 4
        x, y = np.concatenate([near.astype(kind), [special(np.dtype(kind).type)] * 2], 1)
        y = y[::-1].copy()
        given = (x, y) if verb in BINARY else (x,)
        wanted = compiled(verb, kind)(*given)
        for lanes in (1, 4, 2 * LANES[kind]):
            n = x.size - x.size % lanes
            answer = compiled(verb, kind, lanes)(*[a[:n] for a in given])
            assert same(answer, wanted[:n]).all(), (kind, lanes)  # (which NaN it is, no instruction promises)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for older x86")
@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64"])
@pytest.mark.parametrize("verb", MATHS)
def test_other_processors_have_the_same_bits(verb: str, cpu: str) -> None:
    """With vectors of half and of a quarter of the width; without instructions for fused multiplication too."""
    if cpu == "x86-64-v3" and not {"avx2", "fma"} <= {
        f for f, has in binding.get_host_cpu_features().items() if has
    }:
        pytest.skip("this processor has no AVX2")
    rng = np.random.default_rng(9)
    for kind in "fd":
        x = np.concatenate([special(np.dtype(kind).type), (rng.normal(size=1600) * 4).astype(kind)])
        y = x[::-1].copy()
        out = np.empty_like(x)
        module = binding.parse_assembly(text(verb, kind, 16 // x.itemsize))
        machine = binding.Target.from_default_triple().create_target_machine(cpu=cpu)
        with binding.create_mcjit_compiler(module, machine) as engine:
            engine.finalize_object()
            call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(
                engine.get_function_address("run")
            )
            call(x.ctypes.data, y.ctypes.data, out.ctypes.data, x.size)
        given = (x, y) if verb in BINARY else (x,)
        assert same(out, compiled(verb, kind)(*given)).all(), kind
