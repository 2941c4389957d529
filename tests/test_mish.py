"""`mish` and its gradients at every size of argument, where its terms overflow or cancel."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

import rushlight

ARGUMENTS = [
    0.0,
    -0.0,
    1e-30,
    -1e-8,
    0.5,
    -1.2,
    -5.0,
    20.0,
    22.3,
    39.9,
    40.1,
    44.0,
    100.0,
    1e30,
    -40.0,
    -80.0,
    -1e30,
]
BEYOND = {"float32": [], "float64": [178.0, 299.0, 301.0, 354.0, 709.0, 1e300, -700.0]}


def exact(x: float) -> tuple[float, float]:
    """The value and the slope."""
    with mpmath.workprec(300):
        wide = mpmath.mpf(x)
        t = mpmath.tanh(mpmath.log1p(mpmath.exp(wide)))
        slope = t + wide * (1 - t * t) / (1 + mpmath.exp(-wide))
        return float(wide * t), float(slope)


@pytest.mark.parametrize("dtype", BEYOND)
@pytest.mark.parametrize("repeats", [1, 1 << 14], ids=["small", "large"])
def test_against_mpmath(dtype, repeats):
    a = np.array(ARGUMENTS + BEYOND[dtype], dtype)
    x = rushlight.tensor(np.repeat(a, repeats), requires_grad=True)
    y = rushlight.nn.functional.mish(x)
    (slope,) = rushlight.autograd.grad(y.sum(), x)
    eps, tiny = np.finfo(dtype).eps, float(np.finfo(dtype).tiny)
    for got, wanted in zip((y, slope), zip(*map(exact, a.tolist()))):
        values = got.detach().numpy()[::repeats]
        np.testing.assert_allclose(
            values, wanted, rtol=4 * eps, atol=max(2 * eps if got is slope else 0, tiny)
        )


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_second_order(dtype):
    found = []
    for L, kind in ((rushlight, dtype), (torch, "float64")):  # (PyTorch's second order of halves overflows)
        x = L.tensor([-30.0, -3.0, -0.5, 0.0, 1.0, 8.0, 25.0, 38.0, 50.0], dtype=getattr(L, kind))
        x.requires_grad_()
        (first,) = L.autograd.grad(L.nn.functional.mish(x).sum(), x, create_graph=True)
        assert first.dtype is x.dtype
        second = L.autograd.grad(first.sum(), x)
        found.append([t.detach().double().numpy() for t in (first, *second)])
    near = {"float64": 1e-13, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    for mine, theirs in zip(*found):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=near)


def test_what_is_no_number_stays_so():
    x = rushlight.tensor([float("nan"), float("inf"), -float("inf")])
    assert rushlight.nn.functional.mish(x)[:2].tolist()[1] == float("inf")
    assert rushlight.nn.functional.mish(x)[0].isnan()
