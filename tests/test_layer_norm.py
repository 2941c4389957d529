"""Normalisation over the last dimensions, small and large, against PyTorch: values, gradients of both orders, layouts, bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from both import assert_near, numbers

import rushlight

#: shapes, and how many of their last dimensions are normalised
SIZES = [
    ((3, 40), 1),
    ((4, 5, 6), 2),
    ((64, 96), 1),
    ((8, 16, 33), 1),
    ((32, 8, 9, 5), 3),
    ((7, 2000), 1),
    ((6, 6, 300), 2),
]
#: of the largest element: some units in the last place of the type, for sums and for what is divided by a small deviation
NEAR = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 3e-2, "float16": 4e-3}


def given(L, size, dtype, affine=True):
    shape, count = size
    draw = np.random.default_rng(sum(shape))
    shapes = (shape, shape[-count:], shape[-count:]) if affine else (shape,)
    return [L.tensor(draw.standard_normal(s) + 2).to(getattr(L, dtype)).requires_grad_() for s in shapes]


def normalised(L, size, inputs):
    return L.nn.functional.layer_norm(inputs[0], size[0][-size[1] :], *inputs[1:])


def incoming(L, out):
    return L.tensor(np.random.default_rng(1).standard_normal(tuple(out.shape))).to(out.dtype)


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("affine", [True, False], ids=["affine", "plain"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_values_and_gradients(size, affine, dtype):
    found = []
    for L in (rushlight, torch):
        inputs = given(L, size, dtype, affine)
        out = normalised(L, size, inputs)
        with L.no_grad():
            assert (normalised(L, size, inputs) == out).all()
        found.append([out, *L.autograd.grad(out, inputs, incoming(L, out))])
    assert_near(*found, NEAR[dtype])
    assert [p.stride() for p in found[0]] == [q.stride() for q in found[1]]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_second_order(size):
    found = []
    for L in (rushlight, torch):
        inputs = given(L, size, "float64")
        out = normalised(L, size, inputs)
        first = L.autograd.grad(out, inputs, incoming(L, out), create_graph=True)
        found.append(L.autograd.grad(sum((g * g).sum() for g in first), inputs[:2]))
    for mine, theirs in zip(*found):
        bound = 1e-10 * np.abs(numbers(theirs)).max()
        np.testing.assert_allclose(numbers(mine), numbers(theirs), rtol=0, atol=bound)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)], ids=str)
@pytest.mark.parametrize("size", [((3, 40), 1), ((64, 96), 1)], ids=str)
def test_gradients_of_some(size, wanted):
    """And an incoming gradient that is one number, repeated."""
    found = []
    for L in (rushlight, torch):
        inputs = [t.detach().requires_grad_(n in wanted) for n, t in enumerate(given(L, size, "float64"))]
        out = normalised(L, size, inputs)
        found.append(L.autograd.grad(out.sum(), [inputs[n] for n in wanted]))
    assert_near(*found, NEAR["float64"])


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1)], ids=str)
def test_inputs_in_another_order(order):
    found = []
    for L in (rushlight, torch):
        x = L.tensor(np.random.default_rng(0).standard_normal((20, 30, 24))).permute(order).requires_grad_()
        out = L.nn.functional.layer_norm(x, x.shape[-1:])
        found.append([out, *L.autograd.grad(out, x, incoming(L, out))])
    assert_near(*found, NEAR["float64"])
    assert found[0][0].stride() == found[1][0].stride()


def test_gradient_is_that_of_the_call():
    """Of two calls, and of one whose input has been written to in between, which is an error."""
    for L in (rushlight, torch):
        x = L.linspace(-2, 3, 64 * 96, dtype=L.float64).reshape(64, 96).requires_grad_()
        y = x * x
        first, second = (L.nn.functional.layer_norm(t, (96,)) for t in (x, y))
        (second * first).sum().backward()
        assert x.grad.isfinite().all()
        z = x * 1
        out = L.nn.functional.layer_norm(z, (96,))
        z.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


@pytest.mark.parametrize("size", [((64, 96), 1), ((7, 2000), 1)], ids=str)
def test_same_bits_on_any_threads_and_at_once(size):
    inputs = given(rushlight, size, "float32")

    def made():
        out = normalised(rushlight, size, inputs)
        grads = rushlight.autograd.grad(out, inputs, incoming(rushlight, out))
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


def test_nothing():
    for L in (rushlight, torch):
        for shape, last in (((0, 4), (4,)), ((3, 0), (0,))):
            x, w = L.zeros(shape, requires_grad=True), L.ones(last, requires_grad=True)
            out = L.nn.functional.layer_norm(x, last, w)
            out.sum().backward()
            assert tuple(out.shape) == tuple(x.grad.shape) == shape
            assert (w.grad == 0).all()
