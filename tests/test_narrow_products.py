"""Products of a matrix and a few vectors by kernels of our own: right for every layout, size and number of threads."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

import rushlight
from rushlight.native import cpu
from rushlight.runtime import narrow_products, own_kernels, product_kernels, small_products

if not rushlight.runtime.deferral.can_compile() or product_kernels.narrow("f", True, 1) is None:
    pytest.skip("no kernel of narrow products here", allow_module_level=True)

CHARS = {"float32": "f", "float64": "d", "int32": "i", "int64": "q"}
#: a matrix of m rows and n columns that lies in rows, in columns, with gaps, turned around
LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.T.copy().T,
    "part": lambda x: np.pad(x, ((1, 2), (3, 5)))[1 : 1 + len(x), 3 : 3 + x.shape[1]],
    "turned part": lambda x: np.pad(x.T, ((1, 2), (3, 5)))[1 : 1 + x.shape[1], 3 : 3 + len(x)].T,
    "backwards": lambda x: x[::-1].copy()[::-1],
    "every second row": lambda x: x.repeat(2, 0)[::2],
}


@pytest.fixture
def narrower_vectors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Vectors of half the width, as on processors with AVX2 alone."""
    kernels = (product_kernels.narrow, product_kernels.adding_up)
    monkeypatch.setattr(cpu, "vector_bytes", lambda: 32)
    monkeypatch.setattr(own_kernels, "_LOADED", {})
    monkeypatch.setattr(narrow_products, "_PLANS", {})
    for kernel in kernels:
        kernel.cache_clear()
    yield
    for kernel in kernels:
        kernel.cache_clear()


def numbers(rng: np.random.Generator, m: int, n: int, kind: str) -> np.ndarray:
    if kind.startswith("int"):
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, (m, n), kind, endpoint=True)
    return rng.standard_normal((m, n)).astype(kind)


def compare(a: np.ndarray, b: np.ndarray, found: np.ndarray | None) -> None:
    """Floats against wider ones: additions follow one another in chains of a quarter of the depth at most; whole numbers wrap around."""
    assert found is not None and found.dtype == a.dtype and found.flags.c_contiguous
    if a.dtype.kind == "i":
        np.testing.assert_array_equal(found, a @ b)
        return
    kind = np.float64 if a.dtype == np.float32 else np.longdouble
    wide_a, wide_b = a.astype(kind), b.astype(kind)
    chain = (a.shape[-1] / 4 + 16) * np.finfo(a.dtype).eps
    assert (abs(found - wide_a @ wide_b) <= chain * (abs(wide_a) @ abs(wide_b))).all()


def go_through(kind: str, layouts: tuple[str, str], cases: int) -> None:
    rng, choose = np.random.default_rng(0), random.Random(0)
    edges = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129]
    for _ in range(cases):
        few = choose.randrange(1, 8)
        many, k = (choose.choice([choose.choice(edges), choose.randrange(1, 600)]) for _ in range(2))
        m, n = choose.choice([(few, many), (many, few)])
        a, b = (LAYOUTS[x](numbers(rng, *size, kind)) for x, size in zip(layouts, ((m, k), (k, n))))
        compare(a, b, narrow_products.product(a, b, CHARS[kind]))


@pytest.mark.parametrize("kind", CHARS)
@pytest.mark.parametrize("layouts", [*itertools.product(LAYOUTS, LAYOUTS)], ids=" ".join)
def test_every_layout(kind: str, layouts: tuple[str, str]) -> None:
    go_through(kind, layouts, 25)


@pytest.mark.parametrize("kind", CHARS)
def test_narrower_vectors(kind: str, narrower_vectors: None) -> None:
    for layouts in itertools.product(LAYOUTS, ("rows", "turned part")):
        go_through(kind, layouts, 8)


@pytest.mark.parametrize("kind", CHARS)
@pytest.mark.parametrize(
    "shape", [(3, 150_000), (150_000, 3), (700, 900), (1, 40_001), (5000, 16), (9, 9000)]
)
def test_sums_that_are_cut(kind: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    a = numbers(rng, *shape, kind)
    for lines in (1, 2, 3, 7):
        x = numbers(rng, shape[1], lines, kind)
        compare(a, x, narrow_products.product(a, x, CHARS[kind]))
        x = numbers(rng, lines, shape[0], kind)
        compare(x, a, narrow_products.product(x, a, CHARS[kind]))
        x, turned = numbers(rng, shape[0], lines, kind), a.copy().T
        compare(turned, x, narrow_products.product(turned, x, CHARS[kind]))


def test_more_lines_than_registers_hold() -> None:
    rng = np.random.default_rng(2)
    for kind, lines, (m, k) in itertools.product(CHARS, (8, 9, 13, 15), ((40, 70), (30, 40_000))):
        w, x = numbers(rng, m, k, kind), numbers(rng, lines, k, kind)
        for a, b in ((x, w.T), (w, x.T), (x, np.asfortranarray(w.T)), (np.asfortranarray(w), x.T)):
            compare(a, b, narrow_products.product(a, b, CHARS[kind]))
    w, x = numbers(rng, 300, 500, "float32"), numbers(rng, 12, 500, "float32")
    compare(x, w.T, small_products.product(x, w.T))


@pytest.mark.parametrize("kind", CHARS)
def test_vectors(kind: str) -> None:
    rng = np.random.default_rng(3)
    for layout, (m, n) in itertools.product(
        LAYOUTS, ((1, 1), (1, 300), (300, 1), (130, 257), (1030, 70), (3, 50_000))
    ):
        a, x = LAYOUTS[layout](numbers(rng, m, n, kind)), numbers(rng, n, 3, kind)
        for y in (x[:, 0].copy(), x[:, 1], x[::-1, 2]):
            compare(a, y, narrow_products.times_vector(a, y, CHARS[kind]))


def test_repeated_elements() -> None:
    rng = np.random.default_rng(4)
    row, x = rng.standard_normal(300), rng.standard_normal(300)
    rows = np.broadcast_to(row, (200, 300))
    compare(rows, x, narrow_products.times_vector(rows, x, "d"))
    compare(rows.T, x[:200], narrow_products.times_vector(rows.T, x[:200], "d"))
    one = np.broadcast_to(np.float64(3), 300)
    compare(rows, one, narrow_products.times_vector(rows, one, "d"))
    compare(rows.T, one[:200], narrow_products.times_vector(rows.T, one[:200], "d"))


def test_what_is_not_finite() -> None:
    for m, n in ((70, 90), (600, 5), (5, 600)):
        a, x = np.ones((m, n), np.float32), np.ones(n, np.float32)
        a[1, 2], a[2, 0], a[3, n - 1], a[4, 1], x[4] = np.inf, np.nan, -np.inf, np.inf, 0.0
        a[4, 3], a[0, 4] = -np.inf, np.inf
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(narrow_products.times_vector(a, x, "f"), a @ x)
            turned = np.asfortranarray(a)
            np.testing.assert_array_equal(narrow_products.times_vector(turned, x, "f"), a @ x)


def test_long_sums_are_as_right_as_fsum_says() -> None:
    rng = np.random.default_rng(5)
    a, x = rng.standard_normal((3, 100_000)), rng.standard_normal(100_000)
    found = narrow_products.times_vector(a, x, "d")
    for row, total in zip(a, found):
        products = [p * q for p, q in zip(row.tolist(), x.tolist())]
        assert abs(total - math.fsum(products)) < 1e-11


def test_what_is_left_to_blas() -> None:
    whole = np.ones((1000, 1200), np.float32)
    assert small_products.times_vector(whole[::2, ::2], whole[0, ::2]) is None  # gaps in both directions
    assert small_products.times_vector(whole.astype(np.complex64), whole[0].astype(np.complex64)) is None
    assert small_products.product(whole[:2].astype(np.float16), whole[:2].astype(np.float16).T) is None
    with pytest.raises(RuntimeError, match="size mismatch"):
        rushlight.mv(rushlight.ones(1000, 1200), rushlight.ones(1000))


@pytest.mark.parametrize("lead", [(3,), (1,), (2, 5), (400,)])
@pytest.mark.parametrize("turned", [*itertools.product((False, True), repeat=2)])
def test_batches(lead: tuple[int, ...], turned: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_products, "WORTH", 1)
    rng = np.random.default_rng(6)
    for kind, (m, k, n) in itertools.product(
        ("f", "d"), ((1, 30, 41), (3, 3, 3), (64, 70, 1), (2, 9000, 5), (1, 1, 1))
    ):
        a, b = (
            rng.standard_normal((*lead, m, k)).astype(kind),
            rng.standard_normal((*lead, k, n)).astype(kind),
        )
        if turned[0]:
            a = a.swapaxes(-1, -2).copy().swapaxes(-1, -2)
        if turned[1]:
            b = b.swapaxes(-1, -2).copy().swapaxes(-1, -2)
        found = small_products.batch(a, b)
        assert found is not None and found.shape == (*lead, m, n)
        for at in np.ndindex(*lead):
            compare(a[at], b[at], found[at])


def results() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    made = []
    for kind, (m, n) in itertools.product(CHARS, ((1000, 700), (3, 90_000), (90_000, 3))):
        a, x = numbers(rng, m, n, kind), numbers(rng, n, 3, kind)
        made += [
            narrow_products.times_vector(a, x[:, 0], CHARS[kind]),
            narrow_products.product(a, x, CHARS[kind]),
        ]
        turned = np.asfortranarray(a)
        made += [narrow_products.times_vector(turned, x[:, 0], CHARS[kind])]
        made += [narrow_products.product(turned, x, CHARS[kind])]
    return made


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads: int) -> None:
    wanted, before = results(), rushlight.get_num_threads()
    rushlight.set_num_threads(threads)
    try:
        for found, one in zip(results(), wanted):
            np.testing.assert_array_equal(found, one)
    finally:
        rushlight.set_num_threads(before)


def test_the_same_bits_whoever_asks() -> None:
    w, x = rushlight.randn(700, 800), rushlight.randn(800)
    made = w @ x
    assert rushlight.equal(made, rushlight.mv(w, x))
    assert rushlight.equal(made, rushlight.mm(w, x[:, None])[:, 0])
    assert rushlight.equal(made, x @ w.t())
    assert rushlight.equal(made, rushlight.nn.functional.linear(x, w))
    assert rushlight.equal(made, rushlight.mv(w, x, out=rushlight.empty(700)))
    assert rushlight.equal(made, rushlight.addmv(rushlight.zeros(700), w, x))
    assert rushlight.equal(made, rushlight.mv(w * 1, x + 0))  # of operands that wait
    with rushlight.eager():
        assert rushlight.equal(made, w @ x)


def test_added_to_a_vector() -> None:
    t, w, x = rushlight.randn(700).double(), rushlight.randn(700, 800).double(), rushlight.randn(800).double()
    plain = (w.numpy() * x.numpy()).sum(1)
    for beta, alpha in ((1, 1), (2, -3), (0.5, 0)):
        found = rushlight.addmv(t, w, x, beta=beta, alpha=alpha)
        np.testing.assert_allclose(found.numpy(), beta * t.numpy() + alpha * plain, atol=1e-10)
    nothing = rushlight.full((700,), math.nan).double()
    np.testing.assert_allclose(rushlight.addmv(nothing, w, x, beta=0).numpy(), plain, atol=1e-10)


def test_gradients() -> None:
    rng = np.random.default_rng(8)
    for rows in (1, 2, 3):
        w, x = rng.standard_normal((600, 700)), rng.standard_normal((rows, 700))
        weight, given = rushlight.tensor(w, requires_grad=True), rushlight.tensor(x, requires_grad=True)
        g = rng.standard_normal((rows, 600))
        rushlight.nn.functional.linear(given, weight).backward(rushlight.tensor(g))
        np.testing.assert_allclose(given.grad.numpy(), g @ w, atol=1e-11)
        np.testing.assert_allclose(weight.grad.numpy(), g.T @ x, atol=1e-11)
    w, x, g = rng.standard_normal((600, 700)), rng.standard_normal(700), rng.standard_normal(600)
    matrix, vector = rushlight.tensor(w, requires_grad=True), rushlight.tensor(x, requires_grad=True)
    (matrix @ vector).backward(rushlight.tensor(g))
    np.testing.assert_allclose(matrix.grad.numpy(), np.outer(g, x))
    np.testing.assert_allclose(vector.grad.numpy(), g @ w, atol=1e-11)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "int64"])
def test_whole_numbers_wrap_around(kind: str) -> None:
    limits, rng = np.iinfo(kind), np.random.default_rng(9)
    a, x = (rng.integers(limits.min, limits.max, size, kind, endpoint=True) for size in ((300, 700), (700,)))
    exact = [sum(p * q for p, q in zip(row.tolist(), x.tolist())) for row in a]
    found = rushlight.tensor(a) @ rushlight.tensor(x)
    long = rushlight.tensor(a).reshape(-1).dot(rushlight.tensor(x).repeat(300))
    many = rushlight.tensor(a).reshape(3, 100, 700) @ rushlight.tensor(x)
    assert found.numpy().dtype == kind and long.dtype is many.dtype is found.dtype
    for n, total in enumerate(exact):
        for one in (found[n], many[n // 100, n % 100]):
            assert (int(one) - total) % (1 << limits.bits) == 0
    assert (int(long) - sum(exact)) % (1 << limits.bits) == 0


def test_what_is_empty() -> None:
    assert rushlight.mv(rushlight.ones(0, 5), rushlight.ones(5)).shape == (0,)
    assert rushlight.mv(rushlight.ones(5, 0), rushlight.ones(0)).tolist() == [0.0] * 5
    assert rushlight.mm(rushlight.ones(1, 0), rushlight.ones(0, 7)).tolist() == [[0.0] * 7]
    assert rushlight.mm(rushlight.ones(0, 3), rushlight.ones(3, 1)).shape == (0, 1)
    assert rushlight.bmm(rushlight.ones(0, 1, 9), rushlight.ones(0, 9, 1)).shape == (0, 1, 1)
