"""Convolutions by our own kernels: as accurate as their depth allows, for every form and layout."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

import rushlight
from rushlight.layout import Form
from rushlight.runtime import product_kernels, windows

torch = pytest.importorskip("torch")
if not rushlight.runtime.deferral.can_compile() or product_kernels.products("f") is None:
    pytest.skip("no kernel of products here", allow_module_level=True)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """No product is too small for a kernel."""
    for name in ("_WORTH", "_WINDOWS", "_ROWS"):
        monkeypatch.setattr(windows, name, 1)


def close(found: np.ndarray, wanted: np.ndarray, depth: int) -> None:
    """As far off as sums of so many products of numbers around 1 may be."""
    assert found.shape == wanted.shape
    assert abs(found - wanted).max(initial=0) <= 4 * (depth + 8) * np.finfo(found.dtype).eps


def compare(x: np.ndarray, w: np.ndarray, b: np.ndarray, form: Form, padding: tuple, groups: int) -> None:
    """All three products against PyTorch's in float64."""
    dims, kernel = x.ndim - 2, math.prod(form.kernel)
    tx, tw, tb = [torch.tensor(a.astype("d")).requires_grad_() for a in (x, w, b)]
    convolve = getattr(torch.nn.functional, f"conv{dims}d")
    y = convolve(tx, tw, tb, form.stride, padding, form.dilation, groups)
    g = np.random.default_rng(1).standard_normal(tuple(y.shape)).astype(x.dtype)
    y.backward(torch.tensor(g.astype("d")))
    found = windows.convolved(x, w, b, form, padding, tuple(y.shape[2:]), groups)
    assert found is not None and found.dtype == x.dtype
    close(found, y.detach().numpy(), w.shape[1] * kernel)
    found = windows.transposed(g, w, None, form, padding, x.shape[2:], groups)
    assert found is not None
    close(found, tx.grad.numpy(), len(w) // groups * kernel)
    found = windows.correlated(x, g, form, padding, groups)
    assert found is not None
    close(found, tw.grad.numpy(), g.size // g.shape[1])


@pytest.mark.parametrize("seed", range(60))
def test_random_forms(seed: int, always: None) -> None:
    choose, rng = random.Random(seed), np.random.default_rng(seed)
    dims, kind, groups = choose.choice((1, 2, 2, 3)), choose.choice("fd"), choose.choice((1, 1, 2, 3))
    form = Form(
        *[tuple(choose.randrange(1, most) for _ in range(dims)) for most in (6 if dims < 3 else 4, 4, 3)]
    )
    padding = tuple(choose.randrange(4) for _ in range(dims))
    least = [d * (k - 1) + 1 for k, d in zip(form.kernel, form.dilation)]
    size = tuple(choose.randrange(n, n + (20 if dims < 3 else 5)) for n in least)
    inner, outer = choose.randrange(1, 10), choose.randrange(3, 40)
    x = rng.standard_normal((choose.randrange(1, 5), inner * groups, *size)).astype(kind)
    w = rng.standard_normal((outer * groups, inner, *form.kernel)).astype(kind)
    compare(x, w, rng.standard_normal(outer * groups).astype(kind), form, padding, groups)


@pytest.mark.parametrize("size", [7, 10, 14, 15, 16, 17, 28, 32, 33, 48])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_rows_of_every_length(size: int, stride: int, always: None) -> None:
    """Vectors of windows that are whole, in pieces, every other element, or anywhere."""
    rng = np.random.default_rng(size)
    x, w = rng.standard_normal((2, 3, size, size)), rng.standard_normal((9, 3, 3, 3))
    for kind in "fd":
        form = Form((3, 3), (stride, stride), (1, 1))
        compare(x.astype(kind), w.astype(kind), rng.standard_normal(9).astype(kind), form, (1, 1), 1)


def test_layouts(always: None) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype("f") for shape in ((2, 20, 20, 8), (16, 3, 3, 8), (32,)))
    last, strange = x.transpose(0, 3, 1, 2), rng.standard_normal((40, 40, 8, 2)).astype("f").T[..., ::2, 1::2]
    form = Form((3, 3), (1, 1), (1, 1))
    for image in (last, strange, np.broadcast_to(last[:1], last.shape), last[:, :, ::-1]):
        for padding in ((0, 0), (2, 1)):
            compare(image, w.transpose(0, 3, 1, 2), b[::2], form, padding, 1)


def test_weights_with_gaps(always: None) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(shape).astype("f") for shape in ((4, 16, 16, 16), (32, 16, 1, 2), (32,)))
    for weights in (w[..., ::2], w[::2, :, :, 1:], rng.standard_normal((1, 1, 16, 32)).astype("f").T):
        compare(x, weights, b[: len(weights)], Form((1, 1), (1, 1), (1, 1)), (0, 0), 1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads: int) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 16, 30, 30)).astype("f"), rng.standard_normal((24, 16, 3, 3)).astype("f")
    form, before = Form((3, 3), (2, 2), (1, 1)), rushlight.get_num_threads()

    def run() -> list:
        y = windows.convolved(x, w, None, form, (1, 1), (15, 15), 1)
        return [
            y,
            windows.transposed(y, w, None, form, (1, 1), (30, 30), 1),
            windows.correlated(x, y, form, (1, 1), 1),
        ]

    wanted = run()
    rushlight.set_num_threads(threads)
    try:
        for found, one in zip(run(), wanted):
            np.testing.assert_array_equal(found, one)
    finally:
        rushlight.set_num_threads(before)


def test_what_is_not_finite() -> None:
    """A nan of the image is seen by the windows that have it, and by no others."""
    x = np.ones((1, 8, 20, 20), np.float32)
    x[0, 3, 10, 10] = np.nan
    w = np.ones((16, 8, 3, 3), np.float32)
    y = rushlight.nn.functional.conv2d(rushlight.tensor(x), rushlight.tensor(w)).isnan()
    wanted = np.zeros((18, 18), bool)
    wanted[8:11, 8:11] = True
    np.testing.assert_array_equal(y[0].numpy(), np.broadcast_to(wanted, (16, 18, 18)))


def test_second_order_and_modules() -> None:
    """What the public functions make of them: a transposed convolution with strides, and gradients of gradients."""
    rng = np.random.default_rng(3)
    values = [rng.standard_normal(shape) for shape in ((3, 8, 12, 12), (8, 10, 4, 4), (10,), (3, 10, 24, 24))]

    def run(T: object) -> list:
        x, w, b, g = [T.tensor(v).requires_grad_() for v in values]
        y = T.nn.functional.conv_transpose2d(x, w, b, stride=2, padding=1)
        first = T.autograd.grad(y, (x, w, b), g, create_graph=True)
        second = T.autograd.grad(sum((f**2).sum() for f in first), (x, w, g))
        return [t.detach().numpy() for t in (y, *first, *second)]

    for found, wanted in zip(run(rushlight), run(torch)):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-9)


@pytest.mark.parametrize("seed", range(25))
def test_channels_with_kernels_of_their_own(seed: int, always: None) -> None:
    choose, rng = random.Random(seed), np.random.default_rng(seed)
    dims, kind, channels = choose.choice((1, 2, 2, 3)), choose.choice("fd"), choose.randrange(3, 12)
    form = Form(*[tuple(choose.randrange(1, most) for _ in range(dims)) for most in (5, 4, 3)])
    padding = tuple(choose.randrange(3) for _ in range(dims))
    size = tuple(choose.randrange(9, 30 if dims < 3 else 13) for _ in range(dims))
    x = rng.standard_normal((choose.randrange(1, 5), channels, *size)).astype(kind)
    w, b = rng.standard_normal((channels, 1, *form.kernel)).astype(kind), rng.standard_normal(channels)
    compare(x, w, b.astype(kind), form, padding, channels)


def test_kernels_with_more_elements_than_there_is_room_for() -> None:
    x, w = rushlight.ones(2, 4, 30, 30), rushlight.ones(4, 1, 12, 12).requires_grad_()
    y = rushlight.nn.functional.conv2d(x, w, groups=4)
    y.sum().backward()
    assert (y == 144).all() and (w.grad == 2 * 19 * 19).all()
