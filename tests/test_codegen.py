"""Kernels as machine code, against what they mean (`rushlight.codegen.reference`)."""

import dataclasses
import itertools

import numpy as np
import pytest

from rushlight.codegen import program as programs
from rushlight.codegen import reference, row_plan
from rushlight.codegen.kernel import Inst, Kernel, Operand, Store, verify
from rushlight.codegen.program import program, supported
from rushlight.codegen.words import COMPARISONS, VERBS
from rushlight.native import cpu, jit, threads

pytestmark = pytest.mark.skipif(not jit.available(), reason="needs llvmlite")

RNG = np.random.default_rng(0)
FLOATS, INTEGERS = "fd", "bBhHiIqQ"
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-40, 300.0, -2.5, 2.0**31, -(2.0**63), 0.5]


# ---- making arrays and running kernels ----


def values(kind, count):
    """Numbers of every sort of a kind."""
    dtype = reference.kind_of(kind)
    if kind == "?":
        return RNG.random(count) < 0.5
    if kind in INTEGERS:
        limits = np.iinfo(dtype)
        found = RNG.integers(limits.min, limits.max, count, dtype=dtype, endpoint=True)
        small = RNG.integers(0, 9, count).astype(dtype)
        return np.where(RNG.random(count) < 0.5, found, small)
    found = RNG.standard_normal(count) * 10.0 ** RNG.integers(-2, 3, count)
    special = RNG.choice(SPECIAL, count)
    with np.errstate(all="ignore"):
        return np.where(RNG.random(count) < 0.2, special, found).astype(np.float32).astype(dtype)


def laid_out(kind, walk, shape, fill=None):
    """An array of a shape whose memory is walked through as told; in steps: now across, now with gaps."""
    real = [1 if w == "b" else n for w, n in zip(walk, shape)]
    count = int(np.prod(real))
    flat = values(kind, count) if fill is None else np.full(count, fill, reference.kind_of(kind))
    if walk[-1] == "s" and RNG.random() < 0.5:
        a = np.repeat(flat.reshape(real), 2, -1)[..., ::2]
    elif walk[-1] == "s":
        a = flat.reshape(real[::-1]).T
    elif len(walk) > 1 and RNG.random() < 0.5:  # rows with gaps between them
        wide = np.zeros([*real[:-1], real[-1] + 3], flat.dtype)
        a = wide[..., : real[-1]]
        a[...] = flat.reshape(real)
    else:
        a = flat.reshape(real)
    return np.broadcast_to(a, shape)


def steps(operand, array):
    return tuple(0 if w == "b" else s for w, s in zip(operand.walk, array.strides))


def output(operand, kernel, shape):
    """Room for a result; reduced dimensions that it does not walk have one place."""
    real = [1 if w == "b" else n for w, n in zip(operand.walk, shape)]
    return laid_out(operand.kind, operand.walk.replace("b", "c"), real, 0)


def compute(kernel, shape, inputs, outputs, scalars=()):
    operands = [*kernel.inputs, *[store.to for store in kernel.outputs]]
    program(kernel).run(
        [a.ctypes.data for a in inputs],
        [a.ctypes.data for a in outputs],
        shape,
        [steps(o, a) for o, a in zip(operands, [*inputs, *outputs])],
        scalars,
    )


def same_bits(got, wanted):
    """Equal bit by bit, except that all NaNs are one."""
    if got.dtype.kind in "fV":
        got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        got, wanted = np.nan_to_num(got, nan=0.0, posinf=None), np.nan_to_num(wanted, nan=0.0)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(wanted))
    np.testing.assert_array_equal(got, wanted)


THROUGH_AND_PAST = (False, True)


def check(kernel, shape, scalars=(), streams=THROUGH_AND_PAST):
    """A kernel gives what it means, on one thread and on three, past the caches and through them."""
    verify(kernel)
    assert supported(kernel) == ""
    inputs = [laid_out(o.kind, o.walk, shape) for o in kernel.inputs]
    results = []
    for stream, count in itertools.product(streams, (1, 3)):
        outputs = [output(store.to, kernel, shape) for store in kernel.outputs]
        threads.set_num_threads(count)
        compute(dataclasses.replace(kernel, stream=stream), shape, inputs, outputs, scalars)
        results.append(outputs)
    wanted = [np.zeros(a.shape, a.dtype) for a in results[0]]
    reference.run(kernel, inputs, wanted, scalars)
    for outputs in results:
        for got, want in zip(outputs, wanted):
            same_bits(got, want)


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


# ---- writing kernels ----


def load(kind, number):
    return Inst("load", kind, (), number)


def mapped(inputs, body, out, params="", dims=0, others=()):
    """A map with one output, the last instruction's value, walked as `out` says."""
    stores = (Store(Operand(body[-1].kind, out), len(body) - 1), *others)
    return Kernel(
        "map", "k" * len(out), tuple(Operand(*i.split()) for i in inputs), params, tuple(body), stores
    )


def axpy(kind, *walks):
    """x * scalar + y"""
    body = [
        load(kind, 0), load(kind, 1), Inst("param", kind, (), 0),
        Inst("mul", kind, (0, 2)), Inst("add", kind, (3, 1)),
    ]  # fmt: skip
    return mapped([f"{kind} {w}" for w in walks[:2]], body, walks[2], kind)


# ---- maps: sizes and layouts ----


@pytest.mark.parametrize("kind", "fdiBhq")
@pytest.mark.parametrize("size", [0, 1, 3, 15, 16, 17, 63, 64, 65, 130, 1000, 200_003])
def test_lines(kind, size):
    check(axpy(kind, "c", "c", "c"), (size,), (3,))
    check(axpy(kind, "c", "b", "c"), (size,), (3,))


@pytest.mark.parametrize("walks", [("s", "c", "c"), ("s", "s", "c"), ("c", "b", "s"), ("s", "b", "s")])
@pytest.mark.parametrize("size", [0, 1, 17, 5000, 70_001])
def test_lines_with_gaps(walks, size):
    check(axpy("f", *walks), (size,), (3,))


SHAPES = [
    (0, 5),
    (5, 0),
    (1, 1),
    (7, 1),
    (1, 7),
    (3, 3),
    (1000, 3),
    (3, 1000),
    (65, 67),
    (200, 333),
    (70_000, 2),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("x", ["sc", "ss", "bc", "sb", "bb"])
@pytest.mark.parametrize("out", ["sc", "ss"])
def test_planes(shape, x, out):
    check(axpy("f", x, "sc", out), shape, (3,))
    check(axpy("d", x, "ss", out), shape, (3,))


@pytest.mark.parametrize("kind", "bhfq")
def test_turning_every_size_of_word(kind):
    check(axpy(kind, "ss", "ss", "ss"), (130, 75), (3,))


@pytest.mark.parametrize(
    "shape", [(2, 3, 4), (5, 1, 9), (0, 3, 2), (9, 8, 70), (3000, 3, 5), (2, 3, 2, 5), (40, 2, 30, 33)]
)
@pytest.mark.parametrize("x", ["sc", "ss", "bc", "sb", "bb"])
def test_more_dimensions(shape, x):
    for lead in ("s", "b"):
        walk = (lead * len(shape))[:-2] + x
        whole = "s" * (len(shape) - 1)
        check(axpy("f", walk, whole + "c", whole + "c"), shape, (3,))


def test_in_place_and_several_outputs():
    """Every output may be an input's own memory, element for element."""
    body = (load("f", 0), load("f", 1), Inst("add", "f", (0, 1)), Inst("mul", "f", (0, 1)))
    for walk, stream in itertools.product(["sc", "ss"], [False, True]):
        stores = (Store(Operand("f", walk), 2), Store(Operand("f", walk), 3))
        kernel = Kernel("map", "kk", (Operand("f", walk),) * 2, "", body, stores, stream)
        x, y = (laid_out("f", walk, (300, 130)).copy("K") for _ in range(2))
        with np.errstate(all="ignore"):
            total, product = x + y, x * y
        compute(kernel, x.shape, [x, y], [x, y])
        same_bits(x, total)
        same_bits(y, product)


def test_outputs_of_other_kinds_past_the_caches():
    body = (load("d", 0), Inst("cast", "f", (0,)), Inst("isnan", "?", (0,)), Inst("cast", "e", (1,)))
    stores = (
        Store(Operand("f", "c"), 1),
        Store(Operand("?", "c"), 2),
        Store(Operand("e", "c"), 3),
        Store(Operand("d", "c"), 0),
    )
    check(Kernel("map", "k", (Operand("d", "c"),), "", body, stores), (100_001,))


def test_bits_do_not_depend_on_the_place_in_memory():
    """Wherever a run begins, and so whichever lane an element falls into."""
    kernel = axpy("f", "c", "c", "c")
    x = RNG.standard_normal(1000).astype("f")
    whole = np.empty_like(x)
    compute(kernel, (1000,), [x, x], [whole], (0.1,))
    for start in range(1, 40):
        part = np.empty(1001 - start, "f")[1:]
        compute(dataclasses.replace(kernel, stream=True), part.shape, [x[start:], x[start:]], [part], (0.1,))
        same_bits(part, whole[start:])


# ---- maps: verbs ----

HERE = [verb for verb in VERBS if verb in reference.VALUES.keys() - reference.FUNCTIONS.keys() - {"select"}]
ONLY_INTEGERS = {"and", "or", "xor", "shl", "shr", "rem", "not"}
ONLY_FLOATS = {"sqrt", "copysign"}


def kinds_of(verb):
    if verb in ONLY_INTEGERS:
        return INTEGERS
    return FLOATS if verb in ONLY_FLOATS else FLOATS + INTEGERS


@pytest.mark.parametrize("verb, kind", [(v, k) for v in HERE for k in kinds_of(v)])
def test_verbs(verb, kind):
    count = VERBS[verb]
    body = [load(kind, n) for n in range(count)]
    if verb in ("div", "rem", "fmod") and kind in INTEGERS:  # (defined where the divisor is neither 0 nor -1)
        body += [Inst("const", kind, (), 2), Inst("maximum", kind, (1, 2))]
        body += [Inst(verb, kind, (0, 3))]
    else:
        body += [Inst(verb, "?" if verb in COMPARISONS else kind, tuple(range(count)))]
    check(mapped([f"{kind} c"] * count, body, "c"), (1000,), streams=(False,))


@pytest.mark.parametrize("verb", ["and", "or", "xor", "not", "eq", "ne", "lt"])
def test_verbs_of_bools(verb):
    body = [load("?", n) for n in range(VERBS[verb])]
    check(
        mapped(["? c"] * VERBS[verb], [*body, Inst(verb, "?", tuple(range(VERBS[verb])))], "c"),
        (300,),
        streams=(False,),
    )


@pytest.mark.parametrize("source", FLOATS + INTEGERS + "?eE")
@pytest.mark.parametrize("kind", FLOATS + INTEGERS + "?eE")
def test_casts(source, kind):
    check(
        mapped([f"{source} c"], [load(source, 0), Inst("cast", kind, (0,))], "c"), (1000,), streams=(False,)
    )


@pytest.mark.parametrize("kind", FLOATS + INTEGERS)
def test_select_and_constants(kind):
    body = [
        load(kind, 0), Inst("const", kind, (), 7), Inst("lt", "?", (0, 1)),
        load("?", 1), Inst("and", "?", (2, 3)), Inst("select", kind, (4, 0, 1)),
    ]  # fmt: skip
    check(mapped([f"{kind} c", "? c"], body, "c"), (1000,), streams=(False,))


def test_half_computes_as_float32():
    for kind in "eE":
        body = [
            load(kind, 0), Inst("cast", "f", (0,)), Inst("square", "f", (1,)), Inst("cast", kind, (2,)),
        ]  # fmt: skip
        check(mapped([f"{kind} sc"], body, "sc"), (50, 77))


def test_every_verb_has_a_meaning():
    assert set(HERE) | {"select", "fma"} <= set(VERBS)


# ---- texts, and what is refused ----


def test_text():
    assert axpy("f", "sc", "bc", "sc").text() == "\n".join(
        [
            "map kk params f",
            "  %0 = load f32 in0 f32 sc",
            "  %1 = load f32 in1 f32 bc",
            "  %2 = param f32 0",
            "  %3 = mul f32 %0 %2",
            "  %4 = add f32 %3 %1",
            "  out0 f32 sc = %4",
        ]
    )


GOOD = axpy("f", "sc", "bc", "sc")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"form": "loop"}, "no form"),
        ({"dims": "kr"}, "dims"),
        ({"dims": ""}, "dims"),
        ({"inputs": (Operand("d", "sc"), Operand("f", "bc"))}, "loaded as another kind"),
        ({"params": "d"}, "a parameter of another kind"),
        ({"inputs": (Operand("f", "cc"), Operand("f", "bc"))}, "only the last dimension"),
        ({"inputs": (Operand("f", "c"), Operand("f", "bc"))}, "walk"),
        ({"outputs": (Store(Operand("d", "sc"), 4),)}, "of another kind than its value"),
        ({"body": (*GOOD.body[:4], Inst("add", "f", (3, 9)))}, "uses what comes later"),
        ({"body": (*GOOD.body[:4], Inst("add", "f", (3,)))}, "add of 1"),
        ({"body": (*GOOD.body[:4], Inst("lt", "f", (3, 1)))}, "lt gives f"),
        ({"body": (*GOOD.body[:4], Inst("dance", "f", (3, 1)))}, "dance of 2"),
        ({"body": (*GOOD.body[:4], Inst("select", "f", (3, 1, 1)))}, "select by f"),
        ({"body": (*GOOD.body[:4], Inst("reduce", "f", (3,), "sum"))}, "nothing to reduce over"),
    ],
)
def test_verify_rejects(change, message):
    verify(GOOD)
    with pytest.raises(AssertionError, match=message):
        verify(dataclasses.replace(GOOD, **change))


def test_constants_are_told_apart():
    """Numbers that compare equal, and a number that does not, do not confuse kernels."""
    kernels = [
        mapped(["f c"], [load("f", 0), Inst("const", "f", (), value), Inst("mul", "f", (0, 1))], "c")
        for value in (0.0, -0.0, float("nan"), float("nan"))
    ]
    assert kernels[0] != kernels[1]
    assert kernels[2] == kernels[3] and hash(kernels[2]) == hash(kernels[3])
    one, out = np.ones(1, "f"), np.zeros(1, "f")
    compute(kernels[0], (1,), [one], [out])
    assert not np.signbit(out[0])
    compute(kernels[1], (1,), [one], [out])
    assert np.signbit(out[0])


def test_verify_rejects_elements_among_results():
    body = [
        load("f", 0),
        Inst("reduce", "f", (0,), "max"),
        Inst("sub", "f", (0, 1)),
        Inst("reduce", "f", (1,), "max"),
    ]

    def reason(form, outputs):
        stores = tuple(Store(Operand("f", walk), value) for value, walk in outputs)
        kernel = Kernel(form, "kr", (Operand("f", "sc"),), "", tuple(body[: outputs[0][0] + 1]), stores)
        if supported(kernel) == "":
            verify(kernel)
        else:
            with pytest.raises(AssertionError):
                verify(kernel)
        return supported(kernel)

    assert reason("reduce", [(1, "sb")]) == ""
    assert reason("rows", [(2, "sc")]) == ""
    assert reason("reduce", [(0, "sc")]) == ""
    assert reason("reduce", [(2, "sc")]) == "%2: an element that depends on a result"
    assert reason("reduce", [(3, "sb")]) == "%2: an element that depends on a result"
    assert reason("reduce", [(0, "sb")]) == "out0: an element where a result should be"
    assert reason("rows", [(2, "sb")]) == "out0: an element where a result should be"
    assert reason("reduce", [(1, "sc")]) == "out0: a result where an element should be"


@pytest.fixture(params=[16, 32])
def narrow(request, monkeypatch):
    """As on a processor with vectors of so many bytes."""
    width = request.param
    real = jit.load

    def load_narrow(name, text, ir, *rest):
        return real(
            name,
            f"{text}\n{width}" if "map" in text or "reduce" in text or "rows" in text else text,
            ir,
            *rest,
        )

    monkeypatch.setattr(cpu, "vector_bytes", lambda: width)
    monkeypatch.setattr(programs, "_PROGRAMS", {})
    monkeypatch.setattr(jit, "load", load_narrow)


def test_narrow_vectors(narrow):
    """Code for other processors does the same."""
    check(axpy("f", "c", "b", "c"), (1003,), (3,))
    check(axpy("h", "ss", "sc", "sc"), (70, 130), (3,))
    check(axpy("d", "sc", "bc", "sc"), (300, 3), (3,))
    x = exact("f", (70, 300))
    body = [
        load("f", 0),
        Inst("cast", "d", (0,)),
        Inst("reduce", "d", (1,), "sum"),
        Inst("reduce", "f", (0,), "max"),
    ]
    for dims in ("kr", "rk", "rr"):
        kernel = reduction(dims, ["sc"], body, [(2, kept_walk(dims)), (3, kept_walk(dims))])
        for got, wanted in zip(*reduce_both_ways(kernel, x.shape, [x])):
            same_bits(got, wanted)
    for walk in ("sc", "ss"):
        a = clean(laid_out("f", walk, (40, 70)).copy("K"))
        (got,), (wanted,) = compute_rows(rowwise([walk], SOFTMAX, [(7, walk)]), [a], a.shape)
        np.testing.assert_allclose(got, wanted, rtol=3e-7)


def test_unsupported():
    halves = mapped(["e c"], [load("e", 0), Inst("square", "e", (0,))], "c")
    assert supported(halves) == "square of a half kind"


# ---- reductions ----


def reduction(dims, walks, body, outputs, kinds="f", params=""):
    """A reduction; outputs as (instruction, walk)."""
    inputs = tuple(Operand(kind, walk) for kind, walk in zip(kinds * len(walks), walks))
    stores = tuple(Store(Operand(body[value].kind, walk), value) for value, walk in outputs)
    return Kernel("reduce", dims, inputs, params, tuple(body), stores)


def kept_walk(dims):
    walk = "".join("b" if dim == "r" else "s" for dim in dims)
    return walk[:-1] + "c" if dims[-1] == "k" else walk


def exact(kind, shape):
    """Numbers whose sums are exact in any order."""
    if kind in FLOATS:
        return RNG.integers(-1000, 1000, shape).astype(kind)
    return values(kind, int(np.prod(shape))).reshape(shape)


SHAPES_TO_REDUCE = {
    "r": [(0,), (1,), (7,), (16,), (100,), (4096,), (70_001,), (300_007,)],
    "rr": [(3, 5), (70, 1000), (5000, 3), (0, 4)],
    "kr": [(1, 1), (3, 5), (0, 4), (4, 0), (100, 100), (70, 5000), (3000, 3), (2, 200_001)],
    "rk": [(1, 1), (3, 5), (0, 4), (4, 0), (100, 100), (70, 5000), (5000, 70), (30_000, 3), (7, 3), (3, 40_000)],
    "rkr": [(3, 4, 5), (20, 30, 80), (0, 3, 4), (5, 300, 2)],
    "krk": [(3, 4, 5), (20, 300, 8), (2, 50, 100), (3, 0, 4)],
    "rkk": [(3, 4, 5), (200, 3, 3), (40, 20, 100)],
    "kkr": [(3, 4, 5), (30, 2, 100)],
    "krkr": [(2, 3, 4, 5), (3, 70, 2, 90)],
    "rkrk": [(2, 3, 4, 5), (3, 2, 90, 70)],
}  # fmt: skip
CASES = [(dims, shape) for dims, shapes in SHAPES_TO_REDUCE.items() for shape in shapes]


def reduce_both_ways(kernel, shape, inputs, scalars=()):
    """Results for one and three threads, which must agree, and what they should be."""
    verify(kernel)
    assert supported(kernel) == ""
    results = []
    for count, stream in itertools.product((1, 3), (False, True)):
        threads.set_num_threads(count)
        outputs = [
            np.full([1 if w == "b" else n for w, n in zip(s.to.walk, shape)], 7).astype(
                reference.kind_of(s.to.kind)
            )
            for s in kernel.outputs
        ]
        compute(dataclasses.replace(kernel, stream=stream), shape, inputs, outputs, scalars)
        results.append(outputs)
    for outputs in results[1:]:
        for got, first in zip(outputs, results[0]):
            same_bits(got, first)
    wanted = [np.zeros_like(a) for a in results[0]]
    reference.run(kernel, inputs, wanted, scalars)
    return results[0], wanted


@pytest.mark.parametrize("dims, shape", CASES)
@pytest.mark.parametrize(
    "monoid, kind", [("sum", "f"), ("max", "d"), ("sum", "i"), ("min", "B"), ("any", "?")]
)
def test_reductions(dims, shape, monoid, kind):
    """Of contiguous and of transposed memory, and of rows with gaps."""
    real = "d" if (monoid, kind) == ("sum", "f") else kind
    body = [load(kind, 0), Inst("cast", real, (0,)), Inst("reduce", real, (1,), monoid)]
    x = exact(kind, shape)
    turned = exact(kind, shape[::-1]).T
    gaps = exact(kind, (*shape[:-1], shape[-1] + 3))[..., : shape[-1]]
    for array, last in ((x, "c"), (turned, "s"), (gaps, "c")):
        kernel = reduction(dims, ["s" * (len(dims) - 1) + last], body, [(2, kept_walk(dims))], kind)
        (got,), (wanted,) = reduce_both_ways(kernel, shape, [array])
        same_bits(got, wanted)


@pytest.mark.parametrize(
    "monoid, kind",
    [
        ("prod", "d"),
        ("prod", "q"),
        ("max", "h"),
        ("min", "f"),
        ("all", "?"),
        ("sum", "Q"),
        ("max", "?"),
        ("min", "?"),
        ("max", "Q"),
        ("min", "q"),
    ],
)
@pytest.mark.parametrize(
    "dims, shape",
    [("r", (1000,)), ("kr", (5, 70)), ("rk", (70, 5)), ("rk", (70, 300)), ("rk", (0, 5)), ("kr", (3, 0))],
)
def test_monoids(monoid, kind, dims, shape):
    body = [load(kind, 0), Inst("reduce", kind, (0,), monoid)]
    x = RNG.choice([1.0, -1.0, 2.0, 0.5], shape) if monoid == "prod" and kind == "d" else exact(kind, shape)
    kernel = reduction(dims, ["s" * (len(dims) - 1) + "c"], body, [(1, kept_walk(dims))], kind)
    (got,), (wanted,) = reduce_both_ways(kernel, shape, [x])
    same_bits(got, wanted)


@pytest.mark.parametrize("monoid", ["max", "min"])
@pytest.mark.parametrize("dims", ["kr", "rk"])
def test_nan_and_zeros_of_extremes(monoid, dims):
    """NaN wins wherever it is, and of zeros 0 is the larger, wherever it is."""
    body = [load("f", 0), Inst("reduce", "f", (0,), monoid)]
    kernel = reduction(dims, ["sc"], body, [(1, kept_walk(dims))])
    for place in (0, 1, 50, 99):
        x = np.full((100, 100), 0.0 if monoid == "min" else -0.0, "f")
        x[place, place] = -0.0 if monoid == "min" else 0.0
        x[:, 3] = x[3, :] = 1.0
        x[7, 99 - place] = np.nan
        (got,), (wanted,) = reduce_both_ways(kernel, x.shape, [x])
        np.testing.assert_array_equal(got, wanted)
        here = np.ravel(got)[place]
        assert np.isnan(here) or np.signbit(here) == (monoid == "min") or here == 1.0


MOMENTS = [
    load("f", 0), Inst("cast", "d", (0,)), load("f", 1), Inst("cast", "d", (2,)), Inst("sub", "d", (1, 3)),
    Inst("square", "d", (4,)), Inst("reduce", "d", (4,), "sum"), Inst("reduce", "d", (5,), "sum"),
    Inst("reduce", "f", (0,), "max"), Inst("param", "d", (), 0), Inst("mul", "d", (6, 9)), Inst("cast", "f", (10,)),
    Inst("add", "f", (11, 2)), Inst("sqrt", "d", (7,)), Inst("cast", "f", (4,)),
]  # fmt: skip


@pytest.mark.parametrize("dims, shape", [case for case in CASES if "k" in case[0]])
@pytest.mark.parametrize("last", "cs")
def test_several_reductions_with_kept_values_and_elements(dims, shape, last):
    """Sums and a largest element at once, of what depends on a kept value, which comes again after them; the
    elements are stored as well."""
    walk, kept = "s" * (len(dims) - 1) + last, kept_walk(dims)
    outputs = [(12, kept), (13, kept), (8, kept), (14, walk)]
    kernel = reduction(dims, [walk, kept], MOMENTS, outputs, "f", "d")
    x = exact("f", shape) if last == "c" else exact("f", shape[::-1]).T
    center = exact("f", [1 if d == "r" else n for d, n in zip(dims, shape)])
    got, wanted = reduce_both_ways(kernel, shape, [x, center], (0.25,))
    for a, b in zip(got, wanted):
        same_bits(a, b)


@pytest.mark.parametrize(
    "dims, shape", [("r", (1_000_003,)), ("kr", (3, 300_000)), ("rk", (100_000, 3)), ("rk", (3000, 200))]
)
def test_sums_are_as_good_as_pairwise(dims, shape):
    """Of float64, against exact sums; the error of NumPy's pairwise sum is the measure."""
    body = [load("d", 0), Inst("reduce", "d", (0,), "sum")]
    kernel = reduction(dims, ["s" * (len(dims) - 1) + "c"], body, [(1, kept_walk(dims))], "d")
    x = RNG.random(shape)
    (got,), (wanted,) = reduce_both_ways(kernel, shape, [x])
    axis = dims.index("r")
    pairwise = np.ascontiguousarray(np.moveaxis(x, axis, -1)).sum(-1)
    error, measure = np.abs(got - wanted).ravel(), np.abs(pairwise.ravel() - wanted.ravel())
    assert error.max() <= max(2 * measure.max(), 2 * np.spacing(wanted.max()))


def test_ones_add_up():
    """Past 2**24, where float32 would stop counting."""
    body = [load("f", 0), Inst("cast", "d", (0,)), Inst("reduce", "d", (1,), "sum")]
    kernel = reduction("r", ["b"], body, [(2, "b")])
    one, total = np.ones(1, "f"), np.zeros(1)
    program(kernel).run([one.ctypes.data], [total.ctypes.data], (1 << 27,), [(0,), (0,)])
    assert total[0] == 2.0**27


# ---- rows ----

SOFTMAX = [
    load("f", 0), Inst("reduce", "f", (0,), "max"), Inst("sub", "f", (0, 1)), Inst("exp", "f", (2,)),
    Inst("cast", "d", (3,)), Inst("reduce", "d", (4,), "sum"), Inst("cast", "f", (5,)), Inst("div", "f", (3, 6)),
]  # fmt: skip
#: (x - mean) / std * weight + bias, and the mean; the number of elements is a parameter
NORMALISED = [
    load("f", 0), Inst("cast", "d", (0,)), Inst("reduce", "d", (1,), "sum"), Inst("param", "d", (), 0),
    Inst("div", "d", (2, 3)), Inst("sub", "d", (1, 4)), Inst("square", "d", (5,)), Inst("reduce", "d", (6,), "sum"),
    Inst("div", "d", (7, 3)), Inst("const", "d", (), 1e-5), Inst("add", "d", (8, 9)), Inst("sqrt", "d", (10,)),
    Inst("div", "d", (5, 11)), Inst("cast", "f", (12,)), load("f", 1), Inst("mul", "f", (13, 14)), load("f", 2),
    Inst("add", "f", (15, 16)), Inst("cast", "f", (4,)),
]  # fmt: skip
ROWS = [
    (1, 1), (3, 5), (0, 4), (4, 0), (100, 33), (70, 5000), (3000, 3), (3000, 20), (2, 50_001), (40, 64), (3, 270_001), (1, 1 << 18),
]  # fmt: skip


def rowwise(walks, body, outputs, params=""):
    inputs = tuple(Operand("f", walk) for walk in walks)
    stores = tuple(Store(Operand(body[value].kind, walk), value) for value, walk in outputs)
    dims = "k" * (len(outputs[0][1]) - 1) + "r"
    return Kernel("rows", dims, inputs, params, tuple(body), stores)


def compute_rows(kernel, inputs, shape, scalars=()):
    """Outputs of 1 and 3 threads, past the caches and through them, which must agree; and what they should be."""
    verify(kernel)
    assert supported(kernel) == ""
    results = []
    for stream, count in itertools.product((False, True), (1, 3)):
        threads.set_num_threads(count)
        outputs = [output(store.to, kernel, shape) for store in kernel.outputs]
        compute(dataclasses.replace(kernel, stream=stream), shape, inputs, outputs, scalars)
        results.append(outputs)
    for outputs in results[1:]:
        for got, first in zip(outputs, results[0]):
            same_bits(got, first)
    wanted = [np.zeros(a.shape, a.dtype) for a in results[0]]
    reference.run(kernel, inputs, wanted, scalars)
    return results[0], wanted


def clean(array):
    """Without what has no sum."""
    base = array.base if array.base is not None else array
    base[~np.isfinite(base)] = 1
    np.clip(base, -20, 20, out=base)
    return array


@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("x, out", [("sc", "sc"), ("ss", "sc"), ("sc", "ss"), ("ss", "ss")])
def test_softmax(shape, x, out):
    kernel = rowwise([x], SOFTMAX, [(7, out)])
    a = clean(laid_out("f", x, shape).copy("K"))
    (got,), (wanted,) = compute_rows(kernel, [a], shape)
    np.testing.assert_allclose(got, wanted, rtol=3e-7)


@pytest.mark.parametrize("shape", ROWS)
@pytest.mark.parametrize("x", ["sc", "ss"])
def test_normalised_rows(shape, x):
    kernel = rowwise([x, "bc", "bc"], NORMALISED, [(17, "sc"), (18, "sb")], "d")
    a = clean(laid_out("f", x, shape).copy("K"))
    weight, bias = (clean(laid_out("f", "bc", (1, shape[1])).copy()) for _ in range(2))
    got, wanted = compute_rows(kernel, [a, weight, bias], shape, (max(1, shape[1]),))
    for one, other in zip(got, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("walk", ["sc", "ss"])
@pytest.mark.parametrize("columns", [64, 1000, 1023, 20_001])
def test_few_lines_have_the_bits_of_many(lines, walk, columns, monkeypatch):
    """Rows of few elements are computed in registers as they would be in the cache: one element after the other."""
    weight, bias = (RNG.standard_normal((1, lines)).astype("f") for _ in range(2))
    x = RNG.standard_normal((columns, lines)).astype("f")
    x = np.asfortranarray(x) if walk == "ss" else x
    x[7] = -0.0
    normalised = rowwise([walk, "bc", "bc"], NORMALISED, [(17, walk), (18, "sb")], "d")
    for stream in (False, True):
        softmax = dataclasses.replace(rowwise([walk], SOFTMAX, [(7, walk), (5, "sb")]), stream=stream)
        for kernel, given, params in ((softmax, [x], ()), (normalised, [x, weight, bias], (lines,))):
            results = []
            for written in (row_plan.WRITTEN, 0):
                monkeypatch.setattr(row_plan, "WRITTEN", written)
                monkeypatch.setattr(programs, "_PROGRAMS", {})
                outs = [np.empty_like(x), np.empty((columns, 1), kernel.outputs[1].to.kind)]
                compute(kernel, x.shape, given, outs, params)
                results.append(outs)
                monkeypatch.undo()
            for got, wanted in zip(*results):
                same_bits(got, wanted)


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("dims, walk", [("kr", "sc"), ("rk", "sc"), ("krk", "ssc")])
def test_sums_of_few_lines_have_the_bits_of_others(lines, dims, walk, monkeypatch):
    body = [
        load("f", 0), Inst("cast", "d", (0,)), Inst("reduce", "d", (1,), "sum"), Inst("reduce", "f", (0,), "prod"),
        Inst("reduce", "f", (0,), "max"), Inst("exp", "d", (1,)), Inst("reduce", "d", (5,), "sum"),
    ]  # fmt: skip
    shape = {"kr": (20_003, lines), "rk": (lines, 20_003), "krk": (7, lines, 1003)}[dims]
    kept = kept_walk(dims)
    outs = [(2, kept), (3, kept), (4, kept)]
    x = RNG.standard_normal(shape).astype("f")
    for stream, kernel in (
        (False, reduction(dims, [walk], body, [*outs, (6, kept)])),
        (True, reduction(dims, [walk], body[:5], outs)),
        (True, reduction(dims, [walk], body[:5], [*outs, (1, walk)])),
    ):
        results = []
        for written in (row_plan.WRITTEN, 0):
            monkeypatch.setattr(row_plan, "WRITTEN", written)
            monkeypatch.setattr(programs, "_PROGRAMS", {})
            made = [output(store.to, kernel, shape) for store in kernel.outputs]
            compute(dataclasses.replace(kernel, stream=stream), shape, [x], made)
            results.append(made)
            monkeypatch.undo()
        for got, wanted in zip(*results):
            same_bits(got, wanted)


def test_few_lines_by_narrow_vectors(narrow):
    for shape in ((1001, 4), (400, 7), (67, 8)):
        x = RNG.standard_normal(shape).astype("f")
        (got,), (wanted,) = compute_rows(rowwise(["sc"], SOFTMAX, [(7, "sc")]), [x], shape)
        np.testing.assert_allclose(got, wanted, rtol=3e-7)


def rowwise_of(kind, body, value):
    stores = (Store(Operand(kind, "sc"), value),)
    return Kernel("rows", "kr", (Operand(kind, "sc"),), "", tuple(body), stores)


def test_few_lines_of_whole_numbers():
    """What is divided by in lanes that nobody asked for must not be 0."""
    body = [load("i", 0), Inst("reduce", "i", (0,), "max"), Inst("div", "i", (1, 0))]
    for shape in ((1001, 4), (65, 3), (4099, 8)):
        x = RNG.integers(1, 100, shape).astype("i")
        (got,), (wanted,) = compute_rows(rowwise_of("i", body, 2), [x], shape)
        same_bits(got, wanted)


def test_rows_in_place():
    """The result may lie where the input was."""
    kernel = rowwise(["sc"], SOFTMAX, [(7, "sc")])
    for stream, shape in itertools.product((False, True), ((50, 1001), (1001, 4), (129, 8), (2, 300_000))):
        x = RNG.standard_normal(shape).astype("f")
        wanted = np.zeros_like(x)
        reference.run(kernel, [x], [wanted])
        compute(dataclasses.replace(kernel, stream=stream), x.shape, [x], [x])
        np.testing.assert_allclose(x, wanted, rtol=3e-7)


@pytest.mark.parametrize("out", ["sc", "ss"])
def test_rows_of_one_value(out):
    """An input that stays along the row, read as a row all the same."""
    body = [load("f", 0), Inst("neg", "f", (0,)), Inst("reduce", "f", (0,), "min"), Inst("sub", "f", (1, 2))]
    for shape in ((100, 1), (3, 70), (70, 3)):
        x = clean(laid_out("f", "sb", shape).copy())
        (got,), (wanted,) = compute_rows(rowwise(["sb"], body, [(3, out)]), [x[:, :1]], shape)
        same_bits(got, wanted)
