"""Images in other sizes, large enough for kernels, against PyTorch in float64."""

import itertools

import numpy as np
import pytest
import torch

import rushlight

SIZES = {
    "nearest": [(41,), (20, 37), (5, 9, 13)],
    "nearest-exact": [(41,), (20, 37), (5, 9, 13)],
    "linear": [(41,)],
    "bilinear": [(20, 37)],
    "bicubic": [(20, 37)],
    "trilinear": [(5, 9, 13)],
}
CASES = [(mode, size) for mode, sizes in SIZES.items() for size in sizes]


def ways(mode, size):
    """Larger and smaller, by factors and by sizes, corners aligned and not."""
    aligned = [None] if mode.startswith("nearest") else [False, True]
    for factor, corners in itertools.product((2, 0.6, 1.3), aligned):
        yield {"scale_factor": factor, "align_corners": corners}
    for some, corners in itertools.product((lambda n: 3 * n + 1, lambda n: n // 2, lambda n: 1), aligned):
        yield {"size": [some(n) for n in size], "align_corners": corners}


@pytest.mark.parametrize(("mode", "size"), CASES)
@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16", "float16"])
def test_values_and_gradients(mode, size, kind):
    shape = (3, 40 if len(size) == 1 else 7, *size)
    values = np.random.default_rng(0).standard_normal(shape)
    bound = {"float64": 1e-12, "float32": 3e-6, "float16": 1e-3, "bfloat16": 8e-3}[kind]
    for given in ways(mode, size):
        y = rushlight.tensor(values).to(getattr(rushlight, kind)).requires_grad_()
        x = torch.tensor(y.detach().double().numpy()).requires_grad_()
        wanted = torch.nn.functional.interpolate(x, mode=mode, **given)
        made = rushlight.nn.functional.interpolate(y, mode=mode, **given)
        assert made.dtype is y.dtype
        np.testing.assert_allclose(
            made.detach().double().numpy(), wanted.detach().numpy(), atol=bound * 4, rtol=bound
        )
        g = rushlight.tensor(np.random.default_rng(1).standard_normal(tuple(wanted.shape))).to(y.dtype)
        wanted.backward(torch.tensor(g.double().numpy()))
        made.backward(g)
        np.testing.assert_allclose(y.grad.double().numpy(), x.grad.numpy(), atol=bound * 16, rtol=bound)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_smooth_ones(mode):
    values = np.random.default_rng(2).standard_normal((4, 8, 30, 33))
    for size in ((13, 50), (64, 20)):
        y = rushlight.tensor(values).requires_grad_()
        x = torch.tensor(values).requires_grad_()
        for t, lib in ((x, torch), (y, rushlight)):
            made = lib.nn.functional.interpolate(t, size, mode=mode, antialias=True)
            (made * made).sum().backward()
        np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-6, atol=1e-6)


def test_layouts_and_what_is_not_finite():
    values = np.random.default_rng(3).standard_normal((2, 16, 20, 21)).astype(np.float32)
    values[0, 0, 3, 4], values[1, 2, 5, 6], values[1, 3, 0, 0] = np.inf, np.nan, -0.0
    for layout, mode in itertools.product(("contiguous_format", "channels_last"), ("nearest", "bilinear")):
        made = []
        for lib in (torch, rushlight):
            t = lib.tensor(values).contiguous(memory_format=getattr(lib, layout))
            made.append(lib.nn.functional.interpolate(t, scale_factor=2, mode=mode))
        assert made[0].stride() == made[1].stride()
        np.testing.assert_allclose(made[1].numpy(), made[0].numpy(), rtol=1e-5, atol=1e-6)
        assert (np.signbit(made[1].numpy()) == np.signbit(made[0].numpy()))[1, 3, 0, 0]


def test_second_order():
    y = rushlight.rand(2, 2, 30, 31, dtype=rushlight.float64, requires_grad=True)
    assert rushlight.autograd.gradgradcheck(
        lambda t: rushlight.nn.functional.interpolate(t, size=(40, 20), mode="bilinear") ** 2,
        (y,),
        fast_mode=True,
    )


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("size", "out"), [((30, 41), (7, 9)), ((9, 10, 11), (4, 10, 3)), ((5, 6), (40, 30))])
def test_means_of_as_many_windows_as_asked_for(size, out, kind):
    name = f"adaptive_avg_pool{len(size)}d"
    y = (
        rushlight.tensor(np.random.default_rng(4).standard_normal((3, 8, *size)))
        .to(getattr(rushlight, kind))
        .requires_grad_()
    )
    x = torch.tensor(y.detach().double().numpy()).requires_grad_()
    bound = {"float64": 1e-13, "float32": 1e-6, "float16": 1e-3}[kind]
    made, wanted = getattr(rushlight.nn.functional, name)(y, out), getattr(torch.nn.functional, name)(x, out)
    np.testing.assert_allclose(
        made.detach().double().numpy(), wanted.detach().numpy(), rtol=bound, atol=bound
    )
    made.sum().backward(), wanted.sum().backward()
    np.testing.assert_allclose(y.grad.double().numpy(), x.grad.numpy(), rtol=bound, atol=bound)
