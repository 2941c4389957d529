"""`cummax` and `cummin` by kernels: against PyTorch, and without a compiler."""

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import running_extremes

#: lines one after another and side by side, of which vectors, blocks and tasks are not full
SHAPES = [(3000,), (37, 111), (5, 7, 300), (300, 7, 5), (2, 700, 3), (1, 2100), (2100, 1), (40, 3, 1, 41)]


def drawn(shape, kind):
    rng = np.random.default_rng([1, *shape])
    if kind.startswith("int"):
        return rng.integers(-4, 5, shape)
    values = rng.integers(-4, 5, shape) * rng.choice([1.0, 1.5], shape)
    values[rng.random(shape) < 0.01] = np.inf
    values[rng.random(shape) < 0.01] = -np.inf
    values[rng.random(shape) < 0.1] *= -0.0
    values[rng.random(shape) < 2 / shape[-1]] = np.nan
    return values


@pytest.mark.parametrize("kind", ["float32", "float64", "int32", "int64", "float16", "uint8"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_against_pytorch(name, shape, kind):
    values = drawn(shape, "int" if kind == "uint8" else kind) + (4 if kind == "uint8" else 0)
    for dim in range(len(shape)):
        wanted, found = (
            getattr(lib.tensor(values).to(getattr(lib, kind)), name)(dim) for lib in (torch, rushlight)
        )
        assert found.indices.tolist() == wanted.indices.tolist()
        assert found.values.stride() == wanted.values.stride() and found.values.dtype == getattr(
            rushlight, kind
        )
        np.testing.assert_array_equal(found.values.numpy(), wanted.values.numpy())


@pytest.mark.parametrize("kind", "fdiq")
def test_the_same_without_a_compiler(kind, monkeypatch):
    """Zeros of two signs are equal, and both are the extreme."""
    x = rushlight.tensor(drawn((60, 70), "int" if kind in "iq" else "float").astype(kind))
    made = [x.cummax(0), x.cummax(1), x.cummin(0), x.cummin(1)]
    monkeypatch.setattr(running_extremes, "_FROM", 1 << 60)
    for ours, plain in zip(made, [x.cummax(0), x.cummax(1), x.cummin(0), x.cummin(1)]):
        assert ours.indices.equal(plain.indices)
        np.testing.assert_array_equal(ours.values.numpy(), plain.values.numpy())


def test_layouts_gradients_and_nothing():
    values = np.random.default_rng(2).standard_normal((90, 80))
    found = []
    for lib in (torch, rushlight):
        x = lib.tensor(values).requires_grad_()
        for y in (x, x.t(), x[::2, ::3], x[:1].expand(50, 80)):
            made = y.cummax(1)
            (back,) = lib.autograd.grad((made.values**2).sum(), x)
            found.append((made.values.tolist(), made.indices.tolist(), back.numpy()))
    for wanted, ours in zip(found[:4], found[4:]):
        assert wanted[:2] == ours[:2]
        np.testing.assert_allclose(ours[2], wanted[2], rtol=1e-12)
    assert rushlight.zeros(0, 5).cummax(1).values.shape == (0, 5)
    assert rushlight.zeros(4000, 0).cummin(0).values.shape == (4000, 0)
