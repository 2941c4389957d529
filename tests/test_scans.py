"""Scans and differences against live PyTorch: values, dtypes, layouts, gradients to second order, errors."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch as T
from test_reductions import COMPLEX, FLOATS, INTEGERS, LAYOUTS, both, gradients, run, same

import rushlight as R

CALLS = {
    "sums": ["x.cumsum(0)", "x.cumsum(-1)", "x.cumsum(1, dtype=L.float64)", "L.cumsum(x, dim=1)"],
    "products": ["(x / 4).cumprod(1)", "x[..., :2].cumprod(-1)", "x.cumprod(0, dtype=L.float64)"],
    "extremes": ["x.cummax(0)", "x.cummin(-1)", "x.cummax(1)", "x.cummin(dim=1)"],
    "exponential": ["x.logcumsumexp(0)", "x.logcumsumexp(-1)"],
    "differences": [
        "x.diff()",
        "x.diff(2, 0)",
        "x.diff(1, 1, prepend=x)",
        "x.diff(9)",
        "x.diff(dim=1, append=x[:, :1])",
    ],
    "areas": [
        "L.trapezoid(x)",
        "L.trapezoid(x, dx=0.5, dim=0)",
        "L.cumulative_trapezoid(x, dim=1)",
        "L.trapz(x, x + 1)",
    ],
}


@pytest.mark.parametrize("family", CALLS)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + COMPLEX)
def test_values(family: str, dtype: str) -> None:
    for layout, call in itertools.product(LAYOUTS, CALLS[family]):
        t, r = both(dtype, layout)
        want = run(lambda: eval(call, {"x": t, "L": T}))
        rtol = 1e-2 if family == "products" and dtype in ("float16", "bfloat16") else 1e-5
        same(want, run(lambda: eval(call, {"x": r, "L": R})), rtol)


def test_strides_follow_the_input() -> None:
    for call in ("cumsum(0)", "cumprod(1)", "cummax(0)[0]", "logcumsumexp(1)"):
        t, r = (eval("L.ones(2, 3, 4).permute(2, 0, 1)." + call, {"L": L}) for L in (T, R))
        assert t.stride() == r.stride(), call


@pytest.mark.parametrize(
    "row", [[1, math.nan, 2], [math.inf, -math.inf, 1], [-math.inf, -math.inf, 3], [math.nan, math.nan, 0]]
)
def test_nan_and_infinity(row: list) -> None:
    for call in ("cumsum(0)", "cumprod(0)", "cummax(0)", "cummin(0)", "logcumsumexp(0)"):
        same(*(eval("x." + call, {"x": L.tensor(row, dtype=L.float64)}) for L in (T, R)))


def test_last_of_equals() -> None:
    for call in ("cummax(0)", "cummin(0)", "cummax(1)"):
        same(*(eval("x." + call, {"x": L.tensor([[1, 3, 3], [1, 1, 3], [2, 3, 1]])}) for L in (T, R)))


def test_numpy_flattens() -> None:
    x = R.tensor([[1, 2], [3, 4]], dtype=R.int32)
    assert x.cumsum(axis=None).tolist() == [1, 3, 6, 10]
    assert x.cumprod(axis=None).tolist() == [1, 2, 6, 24]
    assert np.cumsum(x).tolist() == [1, 3, 6, 10]
    assert x.cumsum(axis=0).tolist() == [[1, 2], [4, 6]]
    for call in ("x.cumsum()", "x.cumsum(None)", "x.cumprod()", "x.cumsum(dim=0, axis=0)"):
        with pytest.raises(TypeError):
            eval(call, {"x": x})


def test_in_place_keeps_the_dtype() -> None:
    for L in (T, R):
        x = L.tensor([1, 2, 3], dtype=L.int32)
        alias = x.view(3)
        assert x.cumsum_(0) is x and x.dtype is L.int32 and alias.tolist() == [1, 3, 6]
        assert x.cumprod_(0).tolist() == [1, 3, 18]


def test_chunks_carry_on() -> None:
    """More elements than are scanned at a time, along and across the dimension."""
    n = 3 * 2**20 + 5
    x = R.ones(n)
    assert x.cumsum(0)[[0, 2**20, -1]].tolist() == [1, 2**20 + 1, n]
    wide = R.ones(2, n).cumsum(0)
    assert wide.amin().item() == 1 and wide[1].amin().item() == 2
    tall = R.ones(n, 2).cumsum(0)
    assert tall[-1].tolist() == [n, n]
    assert R.full((n,), 1.0000001).cumprod(0)[-1].item() == pytest.approx(
        float(np.float32(1.0000001)) ** n, rel=1e-6
    )


SMOOTH = [
    "x.cumsum(0)",
    "x.cumprod(0)",
    "x.cumprod(1)",
    "x.logcumsumexp(0)",
    "x.cummax(1)",
    "x.cummin(0)",
    "x.diff()",
]
SMOOTH += [
    "x.diff(2, 1)",
    "L.trapezoid(x, dim=0)",
    "L.trapezoid(x, x * 2)",
    "L.cumulative_trapezoid(x, dx=3.0)",
]
POINTS = {
    "smooth": [[0.3, -1.2, 2.5], [0.7, 1.9, -0.4], [1.1, 0.2, 0.6]],
    "one zero": [[0.3, 0.0, 2.5], [0.0, 1.9, -0.4], [1.1, 0.2, 0.6]],
    "two zeros": [[0.0, 0.0, 2.5], [0.7, 0.0, 0.0], [0.0, 0.2, 0.0]],
    "ties": [[1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [2.0, 1.0, 1.0]],
}


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("call", SMOOTH)
def test_gradients(call: str, point: str) -> None:
    want, got = gradients(T, call, POINTS[point]), gradients(R, call, POINTS[point])
    if "trapezoid" not in call:
        assert want[0] == got[0]
    for w, g in zip(want[1:], got[1:]):
        if w is None or g is None:
            assert not np.any(w if g is None else g)
        else:
            np.testing.assert_allclose(np.array(g), np.array(w), rtol=1e-7, atol=1e-9)


def test_complex_gradients() -> None:
    for call in (
        "x.cumsum(0)",
        "x.cumprod(0)",
        "x.logcumsumexp(0)",
        "x.prod()",
        "x.logsumexp(0)",
        "x.norm()",
        "x.std()",
    ):
        found = []
        for L in (T, R):
            x = L.tensor([1 + 2j, 0.5 - 1j, -1 + 0.3j], dtype=L.complex128, requires_grad=True)
            out = eval(call, {"x": x})
            out.abs().sum().backward()
            found.append(x.grad.tolist())
        np.testing.assert_allclose(found[1], found[0], rtol=1e-8)


WRONG = [
    "x.cumsum(2)", "x.cumsum('a')", "x.cumsum(1.5)", "x.cumsum(0, L.float64)", "x.cumprod((0,))", "x.cummax(5)",
    "(x + 1j).cummax(0)", "x.long().logcumsumexp(0)", "x[0, 0].diff()", "x.diff(-1)", "x.diff(prepend=x[0])",
    "L.trapezoid(x > 0)", "L.trapezoid('a')", "L.cumsum(x, 0, out=L.empty(2), dtype=L.int64)", "x.requires_grad_().cumsum_(0)",
    "x.cummin()", "L.cummax(x, 0, out=(L.empty(2), L.empty(2)))", "L.cumulative_trapezoid(x, dx=True)",
]  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
def test_errors(call: str) -> None:
    classes = []
    for L in (T, R):
        with pytest.raises(Exception) as caught:
            eval(call, {"x": L.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "L": L})
        classes.append(next(c for c in caught.type.__mro__ if c.__module__ == "builtins"))
    assert classes[0] is classes[1]


def test_out_decides_the_dtype() -> None:
    for L in (T, R):
        out = L.empty(3, dtype=L.int64)
        assert L.cumsum(L.tensor([1.5, 1.5, 1.5]), 0, out=out) is out and out.tolist() == [1, 2, 3]
