"""Products of small matrices by our own kernel: as accurate as BLAS, for every layout that it takes."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import rushlight
from rushlight.memory import address
from rushlight.runtime import small_products
from rushlight.runtime.deferral import TIER

WIDER = {"f": np.float64, "d": np.longdouble}

if not rushlight.runtime.deferral.can_compile() or small_products.kernel("f") is None:
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
    monkeypatch.setattr(small_products, "WORTH", 1)
    rng, choose = np.random.default_rng(0), random.Random(0)
    for _ in range(20):
        m, k, n = choose.randrange(4, 70), choose.randrange(1, 300), choose.randrange(8, 90)
        a, b = (cast(LAYOUTS[x](rng, *size), kind) for x, size in zip(layouts, ((m, k), (k, n))))
        found = small_products.product(a, b)
        assert found is not None
        compare(a, b, found)


@pytest.mark.parametrize("kind", ["f", "d"])
def test_every_number_of_rows_and_columns(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_products, "WORTH", 1)
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
    assert small_products.product(whole, whole) is None  # too much
    assert small_products.product(some.astype(np.complex64), some.astype(np.complex64)) is None
    assert (
        small_products.product(whole[:128, :128], whole[:256:2, :256:2]) is None
    )  # rows and columns with gaps
    assert small_products.product(whole, whole[:, :1]) is None  # a vector
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


def test_the_same_bits_whoever_asks() -> None:
    x, y = rushlight.randn(70, 80), rushlight.randn(90, 80)
    made = x @ y.t()
    assert rushlight.equal(made, rushlight.mm(x, y.t()))
    assert rushlight.equal(made, rushlight.nn.functional.linear(x, y))
    with rushlight.eager():
        assert rushlight.equal(made, x @ y.t())
