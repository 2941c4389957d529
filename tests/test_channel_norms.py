"""Normalisation of channels: values, gradients, layouts and running statistics against PyTorch, small and large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from both import assert_near, numbers

import rushlight
from rushlight.ops import running_moments

SHAPES = [(7, 16), (300, 64), (6, 4, 9), (4, 8, 5, 7), (8, 16, 16, 16), (2, 4, 3, 12, 17)]
NORMS = {
    "batch": lambda f, x, w, b: f.batch_norm(x, None, None, w, b, True),
    "evaluation": lambda f, x, w, b: f.batch_norm(x, w.detach(), w.detach() ** 2, w, b, False),
    "group": lambda f, x, w, b: f.group_norm(x, 2, w, b),
    "instance": lambda f, x, w, b: f.instance_norm(x, None, None, w, b),
}
#: (an instance has places)
CASES = [(norm, shape) for norm in NORMS for shape in SHAPES if norm != "instance" or len(shape) > 2]
#: of the largest element: some units in the last place of the type, for sums and for what is divided by a small deviation
NEAR = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}


def given(L, shape, dtype, last=False):
    """An input some way off 0, a weight and a bias."""
    draw = np.random.default_rng(sum(shape))
    x, w, b = (draw.standard_normal(s) + 2 for s in (shape, shape[1:2], shape[1:2]))
    x, w, b = (L.tensor(a).to(getattr(L, dtype)) for a in (x, w, b))
    x = x.contiguous(memory_format=L.channels_last) if last else x
    return [t.requires_grad_() for t in (x, w, b)]


def weights_like(L, out):
    return L.tensor(np.random.default_rng(1).standard_normal(tuple(out.shape))).to(out.dtype)


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize(("norm", "shape"), CASES, ids=str)
def test_values_and_gradients(norm, shape, dtype):
    found = []
    for L in (rushlight, torch):
        inputs = given(L, shape, dtype)
        out = NORMS[norm](L.nn.functional, *inputs)
        found.append([out, *L.autograd.grad(out, inputs, weights_like(L, out))])
    assert_near(*found, NEAR[dtype])
    assert [p.stride() for p in found[0]] == [q.stride() for q in found[1]]


@pytest.mark.parametrize("shape", [(4, 8, 5, 7), (8, 16, 16, 16)], ids=str)
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_channels_last(norm, shape):
    found = []
    for L in (rushlight, torch):
        inputs = given(L, shape, "float32", last=True)
        out = NORMS[norm](L.nn.functional, *inputs)
        incoming = weights_like(L, out).contiguous(memory_format=L.channels_last)
        found.append([out, *L.autograd.grad(out, inputs, incoming)])
    assert_near(*found, NEAR["float32"])
    assert [p.stride() for p in found[0]] == [q.stride() for q in found[1]]


@pytest.mark.parametrize("shape", [(3, 4, 5), (8, 16, 16, 16)], ids=str)
@pytest.mark.parametrize("norm", ["batch", "group", "evaluation"])
def test_second_order(norm, shape):
    found = []
    for L in (rushlight, torch):
        inputs = given(L, shape, "float64")
        out = NORMS[norm](L.nn.functional, *inputs)
        first = L.autograd.grad(out, inputs, weights_like(L, out), create_graph=True)
        found.append(L.autograd.grad(sum((g * g).sum() for g in first), inputs[:2]))
    assert_near(*found, NEAR["float64"])


@pytest.mark.parametrize("norm", ["batch", "group", "evaluation"])
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (1, 2)], ids=str)
def test_gradients_of_some(norm, wanted):
    """And an incoming gradient that is one number, repeated."""
    found = []
    for L in (rushlight, torch):
        inputs = [
            t.detach().requires_grad_(n in wanted) for n, t in enumerate(given(L, (8, 16, 16, 16), "float64"))
        ]
        out = NORMS[norm](L.nn.functional, *inputs)
        found.append(L.autograd.grad(out.sum(), [inputs[n] for n in wanted]))
    for mine, theirs in zip(*found):
        # (sums of 2048 terms that cancel, in PyTorch's less accurate order)
        np.testing.assert_allclose(numbers(mine), numbers(theirs), rtol=0, atol=1e-9)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_without_weights(norm):
    found = []
    for L in (rushlight, torch):
        x = given(L, (8, 16, 16, 16), "float32")[0]
        out = NORMS[norm](L.nn.functional, x, None, None)
        found.append([out, *L.autograd.grad(out, x, weights_like(L, out))])
    assert_near(*found, NEAR["float32"])


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_same_bits_on_any_threads_and_at_once(norm):
    inputs = given(rushlight, (8, 16, 32, 32), "float32")

    def made():
        out = NORMS[norm](rushlight.nn.functional, *inputs)
        grads = rushlight.autograd.grad(out, inputs, weights_like(rushlight, out))
        return [t.detach().numpy().tobytes() for t in (out, *grads)]

    expected, before = made(), rushlight.get_num_threads()
    with rushlight.eager():
        assert made() == expected
    try:
        for threads in (1, 2, 3):
            rushlight.set_num_threads(threads)
            assert made() == expected
    finally:
        rushlight.set_num_threads(before)


def test_far_from_zero():
    """Means and variances keep what float32 values hold, however far these lie from 0."""
    a = (np.random.default_rng(0).standard_normal((8, 16, 16, 16)) + 1e5).astype(np.float32)
    wide = a.astype(np.float64)
    expected = (wide - wide.mean((0, 2, 3), keepdims=True)) / np.sqrt(
        wide.var((0, 2, 3), keepdims=True) + 1e-5
    )
    out = rushlight.nn.functional.batch_norm(rushlight.tensor(a), None, None, training=True)
    np.testing.assert_allclose(out.numpy(), expected, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 4, 5), (8, 16, 16, 16), (32, 8, 33, 31)], ids=str)
@pytest.mark.parametrize("off", [0, -30])
def test_running_statistics_to_the_bit(shape, dtype, off):
    for seed in range(4):
        a = np.random.default_rng(seed).standard_normal(shape) + off
        found = []
        for L in (rushlight, torch):
            kind = getattr(L, dtype)
            moments = L.linspace(-1, 1, shape[1], dtype=kind), L.linspace(0.5, 2, shape[1], dtype=kind)
            L.nn.functional.batch_norm(L.tensor(a, dtype=kind), *moments, training=True)
            found.append(moments)
        for mine, theirs in zip(*found):
            assert mine.numpy().tobytes() == theirs.numpy().tobytes()


def test_sums_whose_order_could_show_are_added_in_order():
    """The sum lies between two float32 numbers: 1, and what single additions to it lose."""
    a = np.full((8, 4, 4096), 2.0**-60, np.float32)
    a[0, :, 0] = 1 + 2.0**-23
    a[1, :, 0] = 2.0**-24
    expected = np.add.accumulate(a.transpose(1, 0, 2).reshape(4, -1), 1, np.float64)[:, -1] / a[:, 0].size
    mean, _ = running_moments.batch_moments(a)
    assert mean.tobytes() == expected.astype(np.float32).tobytes()


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_nan_and_infinity_stay_in_their_channels(norm):
    found = []
    for L in (rushlight, torch):
        a = np.random.default_rng(0).standard_normal((8, 16, 16, 16)).astype(np.float32)
        a[0, 3, 0, 0], a[0, 12, 1, 1] = np.nan, np.inf
        moments = (L.zeros(16), L.ones(16)) if norm == "batch" else ()
        f = L.nn.functional
        out = f.batch_norm(L.tensor(a), *moments, training=True) if moments else f.group_norm(L.tensor(a), 4)
        found.append([np.isnan(t.numpy()) for t in (out, *moments)])
    for mine, theirs in zip(*found):
        assert (mine == theirs).all()


def test_nothing():
    for shape in ((0, 4, 3), (2, 4, 0)):
        x = rushlight.zeros(shape, requires_grad=True)
        for out in (
            rushlight.nn.functional.batch_norm(x, None, None, training=True),
            rushlight.nn.functional.group_norm(x, 2),
        ):
            out.sum().backward()
            assert out.shape == x.grad.shape == shape
