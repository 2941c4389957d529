"""Products of small matrices by our own kernel: as accurate as BLAS, for every layout that it takes."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import rushlight
from rushlight.memory import address
from rushlight.runtime import large_products, product_kernels, small_products
from rushlight.runtime.deferral import TIER

WIDER = {"f": np.float64, "d": np.longdouble}

if not rushlight.runtime.deferral.can_compile() or product_kernels.products("f") is None:
    pytest.skip("no kernel of products here", allow_module_level=True)


def bound(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What an element may be off: products and sums in chains of `DEPTH`, each rounding a part of what was added up."""
    from rushlight.codegen.products import DEPTH

    chain = min(DEPTH, a.shape[1]) + a.shape[1] // DEPTH + 1
    return chain * np.finfo(a.dtype).eps * (abs(a).astype(np.float64) @ abs(b).astype(np.float64))


def compare(a: np.ndarray, b: np.ndarray, found: np.ndarray) -> None:
    kind = WIDER[a.dtype.char]
    wanted = a.astype(kind) @ b.astype(kind)
    assert found.dtype == a.dtype and found.flags.c_contiguous
    assert (abs(found - wanted) <= bound(a, b)).all()


def worth_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kernels make the smallest products."""
    monkeypatch.setattr(small_products, "WORTH", 1)
    monkeypatch.setattr(small_products, "LEAST", 1)


LAYOUTS = {
    "rows": lambda rng, m, n: rng.standard_normal((m, n)),
    "columns": lambda rng, m, n: rng.standard_normal((n, m)).T,
    "part": lambda rng, m, n: rng.standard_normal((m + 2, n + 5))[1:-1, 3:-2],
    "turned part": lambda rng, m, n: rng.standard_normal((n + 2, m + 5))[1:-1, 3:-2].T,
}


def cast(a: np.ndarray, kind: str) -> np.ndarray:
    """The same layout in another type."""
    whole = a if a.base is None else a.base
    made = whole.astype(kind)
    offset = (a.__array_interface__["data"][0] - whole.__array_interface__["data"][0]) // 8
    steps = [step // 8 * made.itemsize for step in a.strides]
    return np.ndarray(a.shape, kind, made, offset * made.itemsize, steps)


@pytest.mark.parametrize("kind", ["f", "d"])
@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, LAYOUTS)])
def test_every_layout(kind: str, layouts: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    worth_nothing(monkeypatch)
    rng, choose = np.random.default_rng(0), random.Random(0)
    for _ in range(20):
        m, k, n = choose.randrange(4, 70), choose.randrange(1, 300), choose.randrange(8, 90)
        a, b = (cast(LAYOUTS[x](rng, *size), kind) for x, size in zip(layouts, ((m, k), (k, n))))
        found = small_products.product(a, b)
        assert found is not None
        compare(a, b, found)


@pytest.mark.parametrize("kind", ["f", "d"])
@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, LAYOUTS)])
def test_factors_that_are_laid_out(
    kind: str, layouts: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_products, "_ROOM", 1 << 18)  # so that not all of the depth is laid out at once
    rng, choose = np.random.default_rng(3), random.Random(3)
    for _ in range(12):
        m, k, n = choose.randrange(16, 250), choose.randrange(16, 900), choose.randrange(16, 330)
        a, b = (cast(LAYOUTS[x](rng, *size), kind) for x, size in zip(layouts, ((m, k), (k, n))))
        found = large_products.product(a, b, kind)
        assert found is not None
        compare(a, b, found)


def test_flat_products() -> None:
    rng = np.random.default_rng(4)
    for m, k, n in itertools.product((4, 7, 9, 16, 17, 24, 25), (150, 260), (512, 500, 517)):
        a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
        found = small_products.product(a, b)
        assert found is not None
        compare(a, b, found)


@pytest.mark.parametrize("kind", ["f", "d", "i", "q"])
@pytest.mark.parametrize(
    "layouts", [*itertools.product(("rows", "columns"), ("rows", "turned part"))], ids=" ".join
)
def test_great_depth(kind: str, layouts: tuple[str, str]) -> None:
    rng = np.random.default_rng(6)
    shapes = [
        (10, 7000, 11),
        (16, 5000, 100),
        (33, 4096, 33),
        (128, 1100, 128),
        (14, 3000, 70),
        (90, 20_000, 9),
    ]
    for m, k, n in [*shapes, (20, 3000, 600)]:
        a, b = (cast(1000 * LAYOUTS[x](rng, *size), kind) for x, size in zip(layouts, ((m, k), (k, n))))
        found = small_products.product(a, b)
        if kind in "iq":
            np.testing.assert_array_equal(found, a @ b)
            assert found.dtype == a.dtype
        else:
            compare(a, b, found)


@pytest.mark.parametrize("kind", ["f", "d"])
def test_every_number_of_rows_and_columns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    worth_nothing(monkeypatch)
    rng = np.random.default_rng(1)
    for m, n in itertools.product(range(4, 21), range(8, 68)):
        a, b = rng.standard_normal((m, 9)).astype(kind), rng.standard_normal((9, n)).astype(kind)
        compare(a, b, small_products.product(a, b))


def test_what_is_not_finite() -> None:
    a, b = np.ones((64, 64), np.float32), np.ones((64, 64), np.float32)
    a[3, 5], b[7, 9], a[10, 0], b[0, 11] = np.inf, np.nan, 0.0, np.inf
    with np.errstate(all="ignore"):
        wanted = a @ b
    np.testing.assert_array_equal(small_products.product(a, b), wanted)


@pytest.mark.skipif(TIER == "jit", reason="no product is too small then")
def test_what_is_left_to_blas() -> None:
    whole = np.ones((600, 600), np.float32)
    some = whole[:64, :64]
    assert small_products.product(some[:, :8], some[:8]) is None  # too little work
    assert small_products.product(some.astype(np.complex64), some.astype(np.complex64)) is None
    assert (
        small_products.product(whole[:128, :128], whole[:256:2, :256:2]) is None
    )  # rows and columns with gaps
    repeated = np.broadcast_to(np.ones(128, np.float32), (128, 128))
    found = small_products.product(repeated, some.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(found, np.full((128, 128), 128.0))


@pytest.mark.parametrize("kind", ["f", "d"])
def test_one_after_another(kind: str) -> None:
    rng = np.random.default_rng(2)
    many, b = rng.standard_normal((5, 7, 30)).astype(kind), rng.standard_normal((30, 41)).astype(kind)
    outs = np.full((5, 7, 41), np.nan, kind)
    places = [address(x) + np.arange(5) * x.strides[0] for x in (many, outs)]
    multiply = small_products.successive(many[0], places[0], b, outs[0], places[1])
    assert multiply is not None
    for t in (3, 0, 4, 1):
        multiply(t)
    for t in (3, 0, 4, 1):
        compare(many[t], b, outs[t])
    assert np.isnan(outs[2]).all()
    assert small_products.successive(many[0], places[0], b[:, :40], outs[0], places[1]) is None  # with gaps


def batches(kind: str, layout: str, lead: tuple[int, ...], m: int, n: int) -> np.ndarray:
    """Matrices of a layout, in batches that do not follow one another in memory."""
    rng = np.random.default_rng(m * n)
    if layout == "columns":
        return rng.standard_normal((*lead, n, m)).astype(kind).swapaxes(-1, -2)
    if layout == "heads":  # as of `x.view(batch, time, heads, size).transpose(1, 2)`
        return rng.standard_normal((lead[0], m, *lead[1:], n)).astype(kind).swapaxes(1, -2)
    return rng.standard_normal((*lead, m, n)).astype(kind)


@pytest.mark.parametrize("kind", ["f", "d"])
@pytest.mark.parametrize("lead", [(3,), (1,), (2, 5), (40,)])
@pytest.mark.parametrize("layouts", [*itertools.product(("rows", "columns", "heads"), repeat=2)])
def test_batches(
    kind: str, lead: tuple[int, ...], layouts: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worth_nothing(monkeypatch)
    for m, k, n in ((4, 1, 8), (13, 30, 41), (64, 300, 70)):
        if len(lead) == 1 and "heads" in layouts:
            continue
        a, b = (batches(kind, x, lead, *size) for x, size in zip(layouts, ((m, k), (k, n))))
        found = small_products.batch(a, b)
        assert found is not None and found.shape == (*lead, m, n)
        for at in np.ndindex(*lead):
            compare(a[at], b[at], found[at])


def test_batches_of_large_matrices() -> None:
    rng = np.random.default_rng(5)
    a = rng.standard_normal((2, 3, 40, 300)).astype(np.float32)
    b = rng.standard_normal((2, 3, 500, 300)).astype(np.float32).swapaxes(-1, -2)
    found = small_products.batch(a, b)
    for at in np.ndindex(2, 3):
        compare(a[at], b[at], found[at])


def test_repeated_matrices_and_what_is_no_batch() -> None:
    a = np.random.default_rng(0).standard_normal((1, 64, 64)).astype(np.float32)
    many = np.broadcast_to(a, (9, 64, 64))
    found = small_products.batch(many, many)
    for n in range(9):
        compare(a[0], a[0], found[n])
    assert small_products.batch(many, a) is None  # NumPy is to repeat one
    assert small_products.batch(many, many.astype(np.float64)) is None
    five = np.ones((2, 2, 2, 64, 64), np.float32)
    assert small_products.batch(five, five) is None


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads: int) -> None:
    rng = np.random.default_rng(0)
    before = rushlight.get_num_threads()
    shapes = [
        (700, 100, 200),
        (17, 600, 900),
        (600, 90, 650),
        (130, 700, 260),
        (40, 9000, 30),
        (12, 900, 800),
    ]
    factors = [(rng.standard_normal((m, k)), rng.standard_normal((k, n))) for m, k, n in shapes]
    many = rng.standard_normal((30, 64, 64))
    wanted = [small_products.product(a, b) for a, b in factors], small_products.batch(many, many)
    rushlight.set_num_threads(threads)
    try:
        for (a, b), one in zip(factors, wanted[0]):
            np.testing.assert_array_equal(small_products.product(a, b), one)
        np.testing.assert_array_equal(small_products.batch(many, many), wanted[1])
    finally:
        rushlight.set_num_threads(before)


def test_the_same_bits_whoever_asks() -> None:
    x, y = rushlight.randn(70, 80), rushlight.randn(90, 80)
    made = x @ y.t()
    assert rushlight.equal(made, rushlight.mm(x, y.t()))
    assert rushlight.equal(made, rushlight.nn.functional.linear(x, y))
    with rushlight.eager():
        assert rushlight.equal(made, x @ y.t())


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64"])
@pytest.mark.parametrize(
    "shapes", [((70, 90), (90, 40)), ((30, 700), (700, 300)), ((6, 40, 50), (6, 50, 33))]
)
def test_whole_numbers_wrap_around(kind: str, shapes: tuple) -> None:
    """Against Python's own numbers, of which the lowest bits are kept."""
    limits, rng = np.iinfo(kind), np.random.default_rng(0)
    a, b = (rng.integers(limits.min, limits.max, shape, kind, endpoint=True) for shape in shapes)
    found = (rushlight.tensor(a) @ rushlight.tensor(b)).numpy()
    assert found.dtype == kind
    for at in [*np.ndindex(found.shape)][:: found.size // 97]:
        column = b[(*at[:-2], slice(None), at[-1])]
        exact = sum(int(x) * int(y) for x, y in zip(a[at[:-1]], column))
        assert (int(found[at]) - exact) % (1 << limits.bits) == 0
