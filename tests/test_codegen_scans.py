"""Scans as machine code, against what they mean, exact sums, and NumPy's accumulations."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from rushlight.codegen import reference, scans
from rushlight.codegen.kernel import Inst, Kernel, Operand, Store, verify
from rushlight.codegen.program import Program, supported
from rushlight.codegen.scans import CHUNK
from rushlight.native import cpu, jit, threads

pytestmark = pytest.mark.skipif(not jit.available(), reason="needs llvmlite")

RNG = np.random.default_rng(0)
MONOIDS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
#: of elements, of accumulators, of results: as cumsum, cumprod, cummax and cummin of all types have them
KINDS = [
    "fdf",
    "ddd",
    "EfE",
    "efe",
    *["?qq", "bqq", "Bqq", "hqq", "iqq", "qqq"],
    "fff",
    "iii",
    "bbb",
    "BBB",
    "QQQ",
]


@pytest.fixture(autouse=True)
def _on(monkeypatch):
    """Has jobs cut for as many threads as there are."""
    before = threads.get_num_threads()
    monkeypatch.setattr(cpu, "threads", threads.get_num_threads)
    yield
    threads.set_num_threads(before)


# ---- making kernels, arrays and results ----


def dims_of(shape, dim):
    return "".join("s" if d == dim else "k" for d in range(len(shape)))


def scan(kinds, dims, monoid="sum"):
    """Load, cast, scan, cast, store."""
    loaded, kind, stored = kinds
    body = (
        Inst("load", loaded, (), 0),
        Inst("cast", kind, (0,)),
        Inst("scan", kind, (1,), monoid),
        Inst("cast", stored, (2,)),
    )
    walk = "s" * len(dims)
    return Kernel("scan", dims, (Operand(loaded, walk),), "", body, (Store(Operand(stored, walk), 3),))


def values(kind, shape):
    dtype = reference.kind_of(kind)
    if kind == "?":
        return RNG.random(shape) < 0.5
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    return RNG.standard_normal(shape).astype(np.float32).astype(dtype)


def compute(kernel, inputs, outputs, scalars=()):
    arrays = [*inputs, *outputs]
    Program(kernel).run(
        [a.ctypes.data for a in inputs],
        [a.ctypes.data for a in outputs],
        outputs[0].shape,
        [a.strides for a in arrays],
        scalars,
    )


def check(kernel, inputs, outputs, scalars=(), counts=(1, 2)):
    """A kernel gives the bits that it means, on any number of threads, past the caches and through them."""
    verify(kernel)
    assert supported(kernel) == ""
    wanted = [np.zeros(a.shape, a.dtype) for a in outputs]
    reference.run(kernel, inputs, wanted, scalars)
    for stream, count in itertools.product((False, True), counts):
        threads.set_num_threads(count)
        for out in outputs:
            out[...] = 0
        compute(dataclasses.replace(kernel, stream=stream), inputs, outputs, scalars)
        for got, want in zip(outputs, wanted):
            same_bits(got, want)
    return wanted


def same_bits(got, wanted):
    """Equal bit by bit, except that all NaNs are one."""
    if got.dtype.kind in "fV":
        got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
        np.testing.assert_array_equal(np.signbit(got[got == got]), np.signbit(wanted[wanted == wanted]))
    np.testing.assert_array_equal(got, wanted)


def scheme(kernel, shape, strides, count):
    """How a job is cut on so many threads."""
    if len(shape) == 1:
        shape, strides = (1, *shape), [(0, *s) for s in strides]
    return scans.Cut(kernel, shape, tuple(map(tuple, strides)), count, cpu.vector_bytes()).scheme


# ---- shapes and layouts ----

SHAPES = [
    ((0,), 0), ((1,), 0), ((15,), 0), ((16,), 0), ((1000,), 0), ((CHUNK,), 0), ((CHUNK + 1,), 0), ((40_003,), 0),
    ((3, 0), 0), ((3, 0), 1), ((0, 3), 0), ((0, 3), 1), ((1, 1), 0), ((1, 1), 1),
    ((5, 7), 0), ((5, 7), 1), ((3, 9001), 1), ((37, 5000), 1), ((20_000, 3), 1), ((2000, 64), 1), ((9, 100), 1),
    ((9001, 2), 0), ((50_001, 5), 0), ((9001, 47), 0), ((9001, 48), 0), ((100, 600), 0), ((4200, 2100), 0),
    ((4, 5000, 3), 1), ((20_000, 4, 3), 1), ((3, 50, 70), 1), ((6, 2, 3), 0), ((5000, 3, 2), 0), ((2, 3, 4, 5), 2),
    ((2, 3, 9001), 2), ((30, 20, 10), 2),
]  # fmt: skip


@pytest.mark.parametrize("shape, dim", SHAPES)
@pytest.mark.parametrize("back", [False, True])
def test_shapes(shape, dim, back):
    way = tuple(slice(None, None, -1 if back and d == dim else 1) for d in range(len(shape)))
    x, out = values("f", shape), np.empty(shape, np.float32)
    check(scan("fdf", dims_of(shape, dim)), [x[way]], [out[way]], counts=(1, 2, 5))


def test_the_shapes_take_every_way():
    ways = set()
    for (shape, dim), back, count in itertools.product(SHAPES, (False, True), (1, 2, 5)):
        if math.prod(shape):
            strides = np.flip(np.empty(shape, np.float32), dim if back else ()).strides
            s = scheme(scan("fdf", dims_of(shape, dim)), shape, [strides] * 2, count)
            ways.add((s.nest, s.whole, s.woven, s.runs))
    assert ways == {
        ("lines", True, False, False), ("lines", False, False, False), ("lines", True, True, False),
        ("lines", False, True, False), ("lines", True, False, True), ("lines", True, True, True),
        ("columns", True, False, False), ("columns", False, False, False),
    }  # fmt: skip


LAYOUTS = {
    "transposed": lambda shape: np.empty(shape[::-1], np.float32).T,
    "with gaps": lambda shape: np.empty([n + 3 for n in shape], np.float32)[tuple(slice(n) for n in shape)],
    "every other": lambda shape: np.empty([2 * n for n in shape], np.float32)[
        (slice(None, None, 2),) * len(shape)
    ],
    "all backwards": lambda shape: np.empty(shape, np.float32)[(slice(None, None, -1),) * len(shape)],
    "one row": lambda shape: np.broadcast_to(np.empty(shape[1:], np.float32), shape),
    "one column": lambda shape: np.broadcast_to(np.empty((*shape[:-1], 1), np.float32), shape),
}


@pytest.mark.parametrize("shape, dim", [((5, 7), 0), ((5, 7), 1), ((3, 9001), 1), ((9001, 3), 0), ((9001, 60), 0),
                                        ((4, 3000, 5), 1), ((2000, 9), 1), ((300, 70), 0),
     ((2, 40, 5000), 2)])  # fmt: skip
@pytest.mark.parametrize("of_input", LAYOUTS)
@pytest.mark.parametrize("of_output", [name for name in LAYOUTS if "one" not in name])
def test_layouts(shape, dim, of_input, of_output):
    x, out = LAYOUTS[of_input](shape), LAYOUTS[of_output](shape)
    numbers = values("f", shape)
    if x.flags.writeable:
        x[...] = numbers
    else:
        x = np.broadcast_to(numbers[:1] if of_input == "one row" else numbers[..., :1], shape)
    check(scan("fdf", dims_of(shape, dim)), [x], [out], counts=(1, 3))


@pytest.mark.parametrize(
    "shape, dim", [((40_003,), 0), ((37, 5000), 1), ((9001, 5), 0), ((9001, 60), 0), ((2000, 9), 1)]
)
def test_in_place(shape, dim):
    x = values("f", shape)
    wanted = np.empty_like(x)
    reference.run(scan("fdf", dims_of(shape, dim)), [x], [wanted])
    for count in (1, 3):
        out = x.copy()
        threads.set_num_threads(count)
        compute(scan("fdf", dims_of(shape, dim)), [out], [out])
        same_bits(out, wanted)


@pytest.mark.parametrize("gap", range(1, 16))
def test_memory_that_is_not_aligned(gap):
    x, room = values("f", 9001), np.zeros(9001 + 16, np.float32)
    check(scan("fdf", "s"), [x], [room[gap : gap + 9001]], counts=(2,))
    assert not room[:gap].any() and not room[gap + 9001 :].any()


# ---- kinds and values ----


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("monoid", MONOIDS)
@pytest.mark.parametrize(
    "shape, dim", [((9001,), 0), ((9, 100), 1), ((9001, 3), 0), ((300, 70), 0), ((2000, 9), 1)]
)
def test_kinds(kinds, monoid, shape, dim):
    x = values(kinds[0], shape)
    out = np.empty(shape, reference.kind_of(kinds[2]))
    check(scan(kinds, dims_of(shape, dim), monoid), [x], [out], counts=(1, 3))
    if kinds in ("qqq", "QQQ", "iii", "bbb", "BBB") or monoid in ("max", "min") and kinds in ("fff", "ddd"):
        np.testing.assert_array_equal(out, MONOIDS[monoid].accumulate(x, dim, out.dtype))


@pytest.mark.parametrize("monoid", ["any", "all"])
@pytest.mark.parametrize("shape, dim", [((9001,), 0), ((9, 100), 1), ((9001, 3), 0), ((300, 70), 0)])
def test_truth(monoid, shape, dim):
    x = RNG.random(shape) < (0.001 if monoid == "any" else 0.999)
    out = np.empty(shape, bool)
    check(scan("???", dims_of(shape, dim), monoid), [x], [out], counts=(1, 3))
    accumulate = {"any": np.logical_or, "all": np.logical_and}[monoid].accumulate
    np.testing.assert_array_equal(out, accumulate(x, dim))


@pytest.mark.parametrize("shape, dim", [((20_000,), 0), ((20_000, 3), 0), ((20_000, 50), 0), ((100, 9), 1)])
@pytest.mark.parametrize("monoid", MONOIDS)
def test_special_values(shape, dim, monoid):
    special = np.float32([0.0, -0.0, 1.0, -1.0, 1e-40, 300.0, np.inf, -np.inf, np.nan])
    x = RNG.choice(special, shape, p=[0.3, 0.3, 0.1, 0.1, 0.1, 0.1 - 3e-4, 1e-4, 1e-4, 1e-4])
    out = np.empty(shape, np.float32)
    for kinds in ("fdf", "fff"):
        check(scan(kinds, dims_of(shape, dim), monoid), [x], [out], counts=(1, 2))
    if monoid in ("max", "min"):
        same_bits(out, MONOIDS[monoid].accumulate(x, dim))


def test_a_sum_of_negative_zeros_is_zero():
    out = np.empty(3, np.float32)
    compute(scan("fdf", "s"), [np.full(3, -0.0, np.float32)], [out])
    assert not np.signbit(out).any()


@pytest.mark.parametrize("shape, dim", [((100_003,), 0), ((30_000, 4), 0), ((20_000, 50), 0), ((4, 9001), 1)])
@pytest.mark.parametrize("kind", "fd")
def test_sums_are_accurate(shape, dim, kind):
    x = (RNG.standard_normal(shape) * 10.0 ** RNG.integers(-3, 4, shape)).astype(kind)
    out = np.empty(shape, np.float64)
    compute(scan(kind + "dd", dims_of(shape, dim)), [x], [out])
    lines, sums = (
        np.moveaxis(x, dim, -1).reshape(-1, shape[dim]),
        np.moveaxis(out, dim, -1).reshape(-1, shape[dim]),
    )
    for place in (0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 5, shape[dim] - 1):
        exact = np.array([math.fsum(line[: place + 1].tolist()) for line in lines])
        bound = (
            np.array([math.fsum(abs(line[: place + 1]).tolist()) for line in lines]) * 2.0**-53 * 2 * CHUNK
        )
        assert (abs(sums[:, place] - exact) <= bound).all()


def test_ones_are_counted_exactly():
    """In float32, a running sum of ones would stop at 2 ** 24."""
    count = (1 << 25) + 5
    out = np.empty(count, np.float64)
    compute(scan("fdd", "s"), [np.broadcast_to(np.float32(1), count)], [out])
    assert (out == np.arange(1, count + 1)).all()


# ---- bodies ----


def load(kind, number):
    return Inst("load", kind, (), number)


def body_with_everything(dims):
    """x * w summed before each element, scaled; and the largest x so far, as another kind."""
    walk = "s" * len(dims)
    body = (
        load("f", 0),
        load("f", 1),
        Inst("mul", "f", (0, 1)),
        Inst("cast", "d", (2,)),
        Inst("scan", "d", (3,), "sum"),
        Inst("sub", "d", (4, 3)),
        Inst("param", "d", (), 0),
        Inst("mul", "d", (5, 6)),
        Inst("cast", "f", (7,)),
        Inst("scan", "f", (0,), "max"),
        Inst("const", "f", (), 0.5),
        Inst("ge", "?", (9, 10)),
    )
    outputs = (Store(Operand("f", walk), 8), Store(Operand("?", walk), 11), Store(Operand("d", walk), 4))
    return Kernel("scan", dims, (Operand("f", walk), Operand("f", walk)), "d", body, outputs)


BODIES = [
    ((9001,), 0),
    ((37, 5000), 1),
    ((9, 100), 1),
    ((9001, 3), 0),
    ((9001, 60), 0),
    ((4, 90, 5), 1),
    ((2000, 9), 1),
]


@pytest.mark.parametrize("shape, dim", BODIES)
@pytest.mark.parametrize("weights", ["full", "along", "across", "one"])
def test_several_inputs_and_outputs(shape, dim, weights):
    x, across = values("f", shape), [1 if d == dim else n for d, n in enumerate(shape)]
    of = {"full": shape, "across": across, "one": [1] * len(shape),
          "along": [n if d == dim else 1 for d, n in enumerate(shape)]}  # fmt: skip
    w = np.broadcast_to(values("f", of[weights]), shape)
    outputs = [np.empty(shape, kind) for kind in "f?d"]
    check(body_with_everything(dims_of(shape, dim)), [x, w], outputs, (2.5,), counts=(1, 3))


@pytest.mark.parametrize("shape, dim", BODIES)
@pytest.mark.parametrize("back", [False, True])
def test_a_scan_of_a_scan(shape, dim, back):
    dims, walk = dims_of(shape, dim), "s" * len(shape)
    body = (
        load("f", 0),
        Inst("cast", "d", (0,)),
        Inst("scan", "d", (1,), "sum"),
        Inst("mul", "d", (2, 1)),
        Inst("scan", "d", (3,), "max"),
        Inst("scan", "d", (4,), "sum"),
        Inst("add", "d", (5, 2)),
    )
    kernel = Kernel("scan", dims, (Operand("f", walk),), "", body, (Store(Operand("d", walk), 6),))
    x, out = values("f", shape), np.empty(shape)
    if back:
        x, out = np.flip(x, dim), np.flip(out, dim)
    check(kernel, [x], [out], counts=(1, 3))


def running_extreme(kind, dims, monoid):
    """The extreme so far, and where it was: of equals the last, and the last NaN once there is one."""
    walk = "s" * len(dims)
    body = (
        load(kind, 0),
        Inst("scan", kind, (0,), monoid),
        Inst("eq", "?", (0, 1)),
        Inst("isnan", "?", (0,)),
        Inst("or", "?", (2, 3)),
        Inst("place", "q"),
        Inst("const", "q", (), 0),
        Inst("select", "q", (4, 5, 6)),
        Inst("scan", "q", (7,), "max"),
    )
    outputs = (Store(Operand(kind, walk), 1), Store(Operand("q", walk), 8))
    return Kernel("scan", dims, (Operand(kind, walk),), "", body, outputs)


@pytest.mark.parametrize("shape, dim", BODIES)
@pytest.mark.parametrize("monoid", ["max", "min"])
@pytest.mark.parametrize("kind", "fi")
def test_running_extremes_and_their_places(shape, dim, monoid, kind):
    x = RNG.integers(-50, 50, shape).astype(reference.kind_of(kind))
    if kind == "f":
        x[RNG.random(shape) < 1e-3] = np.nan
    found = [np.empty(shape, x.dtype), np.empty(shape, np.int64)]
    check(running_extreme(kind, dims_of(shape, dim), monoid), [x], found, counts=(1, 3))
    lines, values, places = (np.moveaxis(a, dim, -1).reshape(-1, shape[dim]) for a in (x, *found))
    assert (np.take_along_axis(lines, places, -1).tobytes()) == values.tobytes()
    np.testing.assert_array_equal(values, MONOIDS[monoid].accumulate(lines, -1))
    compute(running_extreme(kind, dims_of(shape, dim), monoid), [np.flip(x, dim)], found)
    same_bits(found[0], MONOIDS[monoid].accumulate(np.flip(x, dim), dim))


@pytest.mark.parametrize("shape, dim", BODIES)
@pytest.mark.parametrize("kinds", ["fdf", "?q?", "EfE"])
def test_a_long_body(shape, dim, kinds):
    """x plus or minus twice itself, again and again: before and after the scan."""
    dims, walk, (loaded, kind, stored) = dims_of(shape, dim), "s" * len(shape), kinds
    body = [load(loaded, 0), Inst("cast", kind, (0,))]
    for n in range(scans.LIGHT):
        body.append(Inst("sub" if n % 3 else "add", kind, (len(body) - 1, 1)))
    body.append(Inst("scan", kind, (len(body) - 1,), "sum"))
    for _ in range(3):
        body.append(Inst("sub", kind, (len(body) - 1, 1)))
    body.append(Inst("cast", stored, (len(body) - 1,)))
    operands = Operand(loaded, walk), Operand(stored, walk)
    kernel = Kernel("scan", dims, operands[:1], "", tuple(body), (Store(operands[1], len(body) - 1),))
    x, out = values(loaded, shape), np.empty(shape, reference.kind_of(stored))
    check(kernel, [x], [out], counts=(1, 3))
    check(kernel, [np.flip(x, dim)], [np.flip(out, -1)], counts=(2,))


@pytest.mark.parametrize("shape, dim", BODIES)
def test_division_of_what_is_not_there(shape, dim):
    """Integer division traps on zero: what lies beside the elements must not be divided by."""
    dims, walk = dims_of(shape, dim), "s" * len(shape)
    body = (
        load("i", 0),
        load("i", 1),
        Inst("div", "i", (0, 1)),
        Inst("cast", "q", (2,)),
        Inst("scan", "q", (3,), "sum"),
    )
    kernel = Kernel("scan", dims, (Operand("i", walk),) * 2, "", body, (Store(Operand("q", walk), 4),))
    x, y = (RNG.integers(1, 1000, shape, dtype=np.int32) for _ in range(2))
    check(kernel, [x, y], [np.empty(shape, np.int64)], counts=(1, 3))
