"""`grid_sample` against PyTorch: values and both gradients, of few points and of as many as a kernel reads."""

import itertools

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import point_sampled

BOUND = {"float32": 2e-5, "float64": 1e-12, "float16": 1e-2, "bfloat16": 8e-2}


def sampled(lib, image, grid, kind, compute, mode, padding, corners):
    x, points = (
        lib.tensor(a).to(getattr(lib, kind)).to(getattr(lib, compute)).requires_grad_() for a in (image, grid)
    )
    made = lib.nn.functional.grid_sample(x, points, mode, padding, corners)
    g = lib.tensor(np.random.default_rng(1).integers(-3, 4, tuple(made.shape))).to(made.dtype)
    return [t.detach().double().numpy() for t in (made, *lib.autograd.grad(made, (x, points), g))]


def compared(image, grid, kind, *given):
    wide = kind if kind.endswith(("32", "64")) else "float32"
    wanted, found = (
        sampled(torch, image, grid, kind, wide, *given),
        sampled(rushlight, image, grid, kind, kind, *given),
    )
    for right, ours in zip(wanted, found):
        np.testing.assert_allclose(
            ours, right, rtol=BOUND[kind], atol=BOUND[kind] * max(1, np.abs(right).max())
        )


SETTINGS = [
    *itertools.product(["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [False, True])
]


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("given", SETTINGS)
def test_planes(given, kind):
    rng = np.random.default_rng(0)
    for channels, points in ((3, (4, 5)), (5, (31, 33)), (9, (40, 16))):
        image = rng.standard_normal((2, channels, 8, 11))
        # (far from where the nearest pixel changes, and slopes do, by rounding alone)
        grid = (rng.integers(-40, 40, (2, *points, 2)) + 0.37) / 29
        compared(image, grid, kind, *given)


@pytest.mark.parametrize("given", [s for s in SETTINGS if s[0] != "bicubic"])
def test_volumes(given):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((2, 6, 5, 6, 7))
    for points in ((2, 3, 2), (9, 10, 11)):
        compared(image, (rng.integers(-40, 40, (2, *points, 3)) + 0.37) / 29, "float32", *given)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_half_types(mode, kind):
    rng = np.random.default_rng(3)
    image = rng.standard_normal((2, 3, 9, 9))  # (positions are exact)
    compared(image, rng.integers(-8, 8, (2, 30, 31, 2)) / 8 + 1 / 64, kind, mode, "zeros", True)


def test_points_outside_and_pixels_that_are_no_numbers():
    rng = np.random.default_rng(4)
    image = rng.standard_normal((1, 6, 7, 7)).astype("f")
    image[0, 1, 2, 3], image[0, 2, 4, 4] = np.nan, np.inf
    grid = rng.uniform(-3, 3, (1, 50, 40, 2)).astype("f")
    for padding in ("zeros", "border", "reflection"):
        wanted, found = (
            lib.nn.functional.grid_sample(lib.tensor(image), lib.tensor(grid), "bilinear", padding, False)
            for lib in (torch, rushlight)
        )
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-5)
    grid[0, 3, 4] = np.nan
    grid[0, 5, 6] = 1e30
    made = rushlight.nn.functional.grid_sample(
        rushlight.tensor(image), rushlight.tensor(grid), align_corners=False
    )
    assert made[0, :, 3, 4].isnan().all() and (made[0, :, 5, 6] == 0).all()


def test_layouts():
    rng = np.random.default_rng(5)
    image, grid = rng.standard_normal((2, 9, 16, 16)), rng.uniform(-1, 1, (2, 20, 30, 2))
    given = {"align_corners": False}
    wanted = rushlight.nn.functional.grid_sample(rushlight.tensor(image), rushlight.tensor(grid), **given)
    last = rushlight.tensor(image).contiguous(memory_format=rushlight.channels_last)
    turned = rushlight.tensor(grid.swapaxes(1, 2).copy()).transpose(1, 2)
    one = rushlight.tensor(image[:1]).expand(2, -1, -1, -1)
    for x, points in ((last, turned), (rushlight.tensor(image), turned)):
        assert rushlight.nn.functional.grid_sample(x, points, **given).equal(wanted)
    made = rushlight.nn.functional.grid_sample(one, rushlight.tensor(grid), **given)
    assert made[0].equal(wanted[0])


def test_nothing_to_read():
    for image, grid in (
        ((0, 2, 3, 3), (0, 4, 4, 2)),
        ((2, 0, 3, 3), (2, 4, 4, 2)),
        ((2, 3, 3, 3), (2, 0, 4, 2)),
    ):
        for lib in (torch, rushlight):
            x, points = lib.ones(image, requires_grad=True), lib.zeros(grid, requires_grad=True)
            made = lib.nn.functional.grid_sample(x, points, align_corners=False)
            assert tuple(made.shape) == (image[0], image[1], *grid[1:3])
            made.sum().backward()
            assert x.grad.shape == image and points.grad.shape == grid


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_gradients_of_gradients(mode):
    rng = np.random.default_rng(6)
    x = rushlight.tensor(rng.standard_normal((1, 2, 4, 4))).requires_grad_()
    points = rushlight.tensor((rng.integers(-4, 4, (1, 3, 2, 2)) + 0.4) / 5).requires_grad_()
    f = rushlight.nn.functional.grid_sample
    assert rushlight.autograd.gradcheck(lambda x, p: f(x, p, mode, align_corners=False), (x, points))
    assert rushlight.autograd.gradgradcheck(lambda x, p: f(x, p, mode, align_corners=False), (x, points))
    assert type(f(x, points, mode, align_corners=False).grad_fn).__name__ == "GridSampler2DBackward0"


def test_within_vmap():
    x, points = rushlight.randn(3, 2, 4, 5, 5), rushlight.rand(3, 2, 6, 6, 2) * 2 - 1
    f = rushlight.nn.functional.grid_sample
    made = rushlight.vmap(lambda x, p: f(x, p, align_corners=False))(x, points)
    assert made.equal(rushlight.stack([f(a, p, align_corners=False) for a, p in zip(x, points)]))


def test_kernels_have_numpys_results(monkeypatch):
    rng = np.random.default_rng(7)
    images, weights = (
        rng.standard_normal((2, 7, 60)).astype("f"),
        rng.standard_normal((3, 2, 500)).astype("f"),
    )
    places = rng.integers(-5, 60, (3, 2, 500)).astype("i")
    values = rng.standard_normal((2, 7, 500)).astype("f")

    def made():
        return (
            point_sampled.read(images, places, weights),
            point_sampled.put(values, places, weights, 60),
            point_sampled.weigh(images, values, places),
        )

    kernels = made()
    monkeypatch.setattr(point_sampled, "_FROM", 1 << 60)
    for ours, plain in zip(kernels, made()):
        np.testing.assert_allclose(ours, plain, rtol=2e-5, atol=2e-5)
