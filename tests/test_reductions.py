"""Reductions, their dtypes, layouts, gradients and errors, against live PyTorch."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch as T

import rushlight as R

FLOATS = ["float32", "float64", "float16", "bfloat16"]
INTEGERS = ["bool", "uint8", "int8", "int16", "int32", "int64"]
COMPLEX = ["complex64", "complex128"]

LAYOUTS = {
    "contiguous": lambda L, x: x,
    "transposed": lambda L, x: x.transpose(0, 2).contiguous().transpose(0, 2),
    "sliced": lambda L, x: L.cat([x, x], 2)[:, :, ::2],
    "broadcast": lambda L, x: x[:, :1].expand(x.shape[0], 4, x.shape[2]),
    "one": lambda L, x: x[:1, :1, :1],
    "0-d": lambda L, x: x[0, 0, 0],
    "empty": lambda L, x: x[:, :0],
}


def values(dtype: str, seed: int = 0) -> list:
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return (rng.random((3, 4, 6)) > 0.4).tolist()
    if dtype in INTEGERS:
        return rng.integers(0, 9, (3, 4, 6)).tolist()
    if dtype in COMPLEX:
        return (rng.standard_normal((3, 4, 6)) + 1j * rng.standard_normal((3, 4, 6))).tolist()
    return rng.integers(-20, 20, (3, 4, 6)).astype(float).__truediv__(4).tolist()


def both(dtype: str, layout: str = "contiguous") -> tuple:
    data = values(dtype)
    return tuple(LAYOUTS[layout](L, L.tensor(data, dtype=getattr(L, dtype))) for L in (T, R))


def run(f, *args):
    """The result, or the builtin class of what was raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f(*args)
        except Exception as error:
            return next(c for c in type(error).__mro__ if c.__module__ == "builtins")


def numbers(t) -> np.ndarray:
    return np.array(t.detach().tolist(), dtype=complex if "complex" in str(t.dtype) else None)


def same(want, got, rtol: float = 1e-6) -> None:
    if isinstance(want, type):
        assert got is want, (want, got)
    elif isinstance(want, tuple):
        assert len(want) == len(got)
        for w, g in zip(want, got):
            same(w, g, rtol)
    else:
        assert not isinstance(got, type), got
        assert str(want.dtype) == str(got.dtype)
        assert tuple(want.shape) == tuple(got.shape)
        if want.numel():
            rtol = {"torch.float16": 2e-3, "torch.bfloat16": 1e-2}.get(str(want.dtype), rtol)
            a, b = numbers(want), numbers(got)
            if a.dtype.kind in "fc":
                np.testing.assert_allclose(b, a, rtol=rtol, atol=rtol)
            else:
                assert (a == b).all(), (a, b)


# ---- values ----

CALLS = {
    "sum": [
        "x.sum()",
        "x.sum(0)",
        "x.sum((0, 2))",
        "x.sum(-1, keepdim=True)",
        "x.sum(())",
        "x.sum(1, dtype=L.float64)",
    ],
    "mean": ["x.mean()", "x.mean(1)", "x.mean((0, -1), True)", "x.mean(0, dtype=L.float64)"],
    "prod": ["x[:2, :2, :2].prod()", "x.prod(0)", "x[..., :3].prod(-1, True)", "x.prod(1, dtype=L.float64)"],
    "any, all": ["x.any()", "x.any(1)", "x.all((0, 2))", "x.all(2, True)", "x.any(())"],
    "count": ["x.count_nonzero()", "x.count_nonzero(0)", "x.count_nonzero((1, 2))"],
    "extreme": [
        "x.amax()",
        "x.amin((0, 1))",
        "x.amax(1, True)",
        "x.max()",
        "x.min()",
        "x.max(1)",
        "x.min(-1, True)",
    ],
    "both extremes": ["x.aminmax()", "x.aminmax(dim=1)", "x.aminmax(dim=0, keepdim=True)"],
    "argument": ["x.argmax()", "x.argmin(1)", "x.argmax(2, True)", "x.argmin(None, True)"],
    "spread": [
        "x.std()",
        "x.var(1)",
        "x.std((0, 1), correction=0)",
        "x.var(0, False, True)",
        "L.std_mean(x, 1)",
    ],
    "several": ["L.var_mean(x, (0, 2), correction=2, keepdim=True)", "x.std(unbiased=False)", "x.std(False)"],
    "norm": [
        f"x.norm({p})" for p in ("2", "1", "0", "3", "0.5", "float('inf')", "-float('inf')", "-2", "'fro'")
    ],
    "norms": [
        "x.norm(2, 1)",
        "x.norm(1, (0, 1), True)",
        "x.norm(float('inf'), 2)",
        "x.norm(dim=0, dtype=L.float64)",
    ],
    "dist": ["L.dist(x, x + 1)", "L.dist(x, x * 2, 1)", "L.dist(x, x * 2, float('inf'))"],
    "nan": ["x.nansum()", "x.nansum((0, 1))", "x.nanmean(1)", "x.nanmean(1, True)"],
    "median": ["x.median()", "x.median(1)", "x.nanmedian()", "x.nanmedian(0, True)"],
    "quantile": ["x.quantile(0.3)", "x.quantile(0.7, 1)", "x.nanquantile(0.5, 2, True)"],
    "exponential": ["x.logsumexp(1)", "x.logsumexp((0, 2), True)", "x.softmax(1)", "x.log_softmax(-1)"],
    "cast first": ["x.softmax(0, dtype=L.float64)", "x.log_softmax(0, L.float32)"],
    "numpy names": ["x.sum(axis=1)", "x.mean(axis=0, keepdims=True)", "x.amax(axis=(0, 1))", "x.std(axis=1)"],
}


@pytest.mark.parametrize("family", CALLS)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + COMPLEX)
def test_values(family: str, dtype: str) -> None:
    for layout, call in itertools.product(LAYOUTS, CALLS[family]):
        if layout == "broadcast" and family == "median":
            continue  # PyTorch sorts the shared memory in place
        if layout == "0-d" and dtype in COMPLEX and family in ("nan", "both extremes"):
            continue  # two things are wrong with these calls
        t, r = both(dtype, layout)
        want = run(lambda: eval(call, {"x": t, "L": T}))
        same(want, run(lambda: eval(call, {"x": r, "L": R})))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_nan_and_infinity(dtype: str) -> None:
    rows = [
        [1.0, math.nan, 2.0],
        [math.inf, -math.inf, 1.0],
        [math.inf, 3.0, 2.0],
        [-math.inf] * 3,
        [math.nan] * 3,
    ]
    calls = [call for family in CALLS for call in CALLS[family] if "(1" not in call and "2)" not in call]
    calls.remove("L.std_mean(x, 1)")  # PyTorch's running mean of [inf, 3.] is nan
    for row in (*rows, [rows[0], rows[2]]):
        t, r = (L.tensor(row, dtype=getattr(L, dtype)) for L in (T, R))
        for call in calls:
            want = run(lambda: eval(call, {"x": t, "L": T}))
            same(want, run(lambda: eval(call, {"x": r, "L": R})))


def test_more_precise_than_float32() -> None:
    """2**24 + 1 ones: float32 alone stops counting at 2**24."""
    n = 2**24 + 64
    ones = R.ones(n)
    assert ones.sum().item() == n
    assert ones.view(-1, 2).sum(0).tolist() == [n / 2, n / 2]
    assert R.ones(2, n // 2).sum(1).tolist() == [n / 2, n / 2]
    assert ones.mean().item() == 1
    assert ones.cumsum(0)[-1].item() == n
    assert ones.view(-1, 2).cumsum(0)[-1].tolist() == [n / 2, n / 2]
    assert ones.norm(1).item() == n and ones.nansum().item() == n
    assert (ones * 3 + 1).var().item() == 0


def test_float64_adds_in_blocks() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20_000, 3)) + 1000
    exact = [math.fsum(column) for column in a.T]
    for x in (R.tensor(a.tolist(), dtype=R.float64), R.tensor(a.T.tolist(), dtype=R.float64).t()):
        np.testing.assert_allclose(x.sum(0).tolist(), exact, rtol=3e-16)


def test_half_sums_are_rounded_once() -> None:
    for dtype in (R.float16, R.bfloat16):
        assert R.ones(5000, dtype=dtype).sum().item() == R.tensor(5000.0).to(dtype).item()


def test_float16_norm_does_not_overflow_inside() -> None:
    x = R.full((4,), 200.0, dtype=R.float16)
    assert x.norm().item() == 400.0
    assert T.full((4,), 200.0, dtype=T.float16).norm().item() == 400.0


# ---- named results ----


def test_named_results() -> None:
    for call in (
        "x.max(1)",
        "x.median(0)",
        "x.sort()",
        "x.topk(2)",
        "x.cummin(0)",
        "x.aminmax()",
        "x.mode()",
        "x.kthvalue(1)",
    ):
        t, r = (eval(call, {"x": L.tensor([[1.0, 5.0], [3.0, 2.0]])}) for L in (T, R))
        assert repr(t) == repr(r)
        assert isinstance(r, tuple) and type(r).__name__ == type(t).__name__
        assert (r.n_fields, r.n_sequence_fields) == (t.n_fields, t.n_sequence_fields)
    values, indices = R.tensor([3.0, 4.0]).max(0)
    assert R.return_types.max((values, indices)).indices is indices
    with pytest.raises(TypeError):
        R.return_types.max((values,))


def test_max_of_two_tensors() -> None:
    x, y = R.tensor([1.0, 5.0]), R.tensor([3.0, 2.0])
    assert R.max(x, y).tolist() == x.max(y).tolist() == R.max(x, other=y).tolist() == [3.0, 5.0]
    assert R.min(x, y).tolist() == [1.0, 2.0]


# ---- gradients ----

DIFFERENTIABLE = [
    call
    for family in CALLS
    if family not in ("any, all", "count", "argument", "cast first")
    for call in CALLS[family]
    if "quantile" not in call
]
POINTS = {
    "smooth": [[0.3, -1.2, 2.5], [0.7, 1.9, -0.4]],
    "ties": [[1.0, 1.0, -2.0], [1.0, -2.0, -2.0]],
    "one zero": [[0.0, -1.2, 2.5], [0.7, 1.9, -0.4]],
    "zeros": [[0.0, 0.0, 2.5], [0.7, 0.0, 0.0]],
    "equal": [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]],
}


def gradients(L, call: str, data: list) -> list:
    x = L.tensor(data, dtype=L.float64, requires_grad=True)
    found = eval(call, {"x": x, "L": L})
    outs = [t for t in (found if isinstance(found, tuple) else (found,)) if t.is_floating_point()]
    total = sum(((t * t).sum() if t is outs[0] else t.sum()) for t in outs)
    names = [t.grad_fn.name() for t in outs]
    (g,) = L.autograd.grad(total, [x], create_graph=True, allow_unused=True)
    if g is None:
        return [names, None]
    second = None
    if g.requires_grad:
        (second,) = L.autograd.grad((g * g).sum(), [x], allow_unused=True)
    return [names, g.tolist(), None if second is None else second.tolist()]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("call", DIFFERENTIABLE)
def test_gradients(call: str, point: str) -> None:
    data = POINTS[point]
    if (
        "2)" in call
        and "dist" not in call
        or "(0, 2" in call
        or "(2" in call
        and "norm" not in call
        or "(1, 2" in call
    ):
        data = [data, data]
    want = run(gradients, T, call, data)
    got = run(gradients, R, call, data)
    if isinstance(want, type):
        assert got is want
        return
    assert want[0] == got[0]
    for w, g in zip(want[1:], got[1:]):
        if w is None or g is None:
            assert w is g or not np.any(w if g is None else g)
        else:
            np.testing.assert_allclose(np.array(g), np.array(w), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("correction", [1, 2, 3])
@pytest.mark.parametrize("dims", ["", "0, "])
def test_gradient_without_degrees_of_freedom(dims: str, correction: int) -> None:
    for data in ([1.0, 2.0], [1.0, 1.0], [3.0]):
        found = []
        for L in (T, R):
            x = L.tensor(data, requires_grad=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                eval(f"x.var({dims}correction={correction})", {"x": x}).backward()
            found.append(x.grad.tolist())
        np.testing.assert_array_equal(*found)


def test_indices_are_what_max_keeps() -> None:
    """Overwriting the values does not disturb backward; overwriting the indices does."""
    for L in (T, R):
        x = L.tensor([[1.0, 5.0], [3.0, 2.0]], requires_grad=True)
        values, indices = (x * 1).max(1)
        values.detach().zero_()
        values.sum().backward()
        assert x.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]
        values, indices = (x * 1).max(1)
        indices.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            values.sum().backward()


# ---- out=, errors, warnings ----

WRONG = [
    "x.sum('a')", "x.sum(1.5)", "x.sum(3)", "x.sum((0, 0))", "x.sum(0, 1)", "x.sum(0, dtype='x')", "x.sum(0, True, L.float64)",
    "x.mean(5)", "x.long().mean()", "x.mean(dtype=L.int32)", "x.prod((0, 1))", "x.prod(None)", "x.max(1.5)", "x.max(None)",
    "x.max((0, 1))", "L.max(x, keepdim=True)", "x.argmax((0,))", "x.bool().argmax()", "x.long().std()", "x.std(0, 'a')",
    "x.std(0, unbiased=True, correction=1)", "x.norm('x')", "x.norm('nuc', 0)", "x.long().norm()", "x.softmax()", "x.softmax(2)",
    "x.long().softmax(0)", "x.logsumexp()", "x.logsumexp(None)", "x.quantile(2.0)", "x.quantile(0.5, interpolation='foo')",
    "x.half().quantile(0.5)", "x.quantile(L.tensor([0.5], dtype=L.float64))", "x.median((0, 1))", "x.bool().median()",
    "(x + 1j).max()", "(x + 1j).amax()", "(x + 1j).argmin()", "(x + 1j).median()", "(x + 1j).nansum()", "x.aminmax(0)",
    "x[:0].max()", "x[:0].max(0)", "x[:0].amax()", "x[:0].amin(0)", "x[:0].argmax()", "x[:0].argmin(0)", "x[:0].median(0)",
    "x[:0].aminmax()", "x[:0].norm(float('inf'))", "x[:0].norm(-1)", "x[:0].mode(0)", "x[:0].quantile(0.5)",
    "x.requires_grad_().sum(dtype=L.int64)", "L.sum('text')", "L.amax([1.0])", "x.sum(foo=1)", "x.sum(dim=0, axis=0)",
    "L.amax(x, 0, out=L.empty(3, dtype=L.float64))", "L.argmax(x, 0, out=L.empty(3))", "L.any(x, 0, out=L.empty(3))",
    "L.max(x, 0, out=(L.empty(3), L.empty(3)))", "L.mean(x, 0, out=L.empty(3, dtype=L.int64))",
    "x.sum(keepdim=True)", "L.mean(x, keepdim=True)", "x.mean(keepdim=None)", "L.sum(x, keepdim=True, dtype=L.float64)",
]  # fmt: skip
#: wrong calls of which PyTorch says how their arguments were given
WORDED = [
    "L.sum(x, 'a')", "L.sum(x, dim='a')", "L.sum(x, keepdim=True)", "L.sum(x, 0, 'a')", "L.sum(x, 0, keepdim='a')", "x.sum('a')",
    "x.sum(keepdim=True)", "x.sum(0, keepdim='a')", "x.sum(axis='a')", "L.mean(x, [1.5])", "L.mean(x, dim=[1.5])", "x.mean([1.5])",
    "x.mean(keepdim=None)", "x.mean(0, keepdim=[])",
]  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
def test_errors(call: str) -> None:
    classes = []
    for L in (T, R):
        x = L.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        with pytest.raises(Exception) as caught:
            eval(call, {"x": x, "L": L})
        classes.append(next(c for c in caught.type.__mro__ if c.__module__ == "builtins"))
    assert classes[0] is classes[1]


@pytest.mark.parametrize("call", WORDED)
def test_how_arguments_were_given(call: str) -> None:
    said = []
    for L in (T, R):
        with pytest.raises(TypeError) as caught:
            eval(call, {"x": L.ones(2, 3), "L": L})
        said.append(str(caught.value).splitlines()[0])
    assert said[0] == said[1]


def test_out() -> None:
    for L in (T, R):
        x = L.tensor([[1, 2], [3, 4]])
        out = L.empty(2)
        assert L.sum(x, 0, out=out) is out and out.tolist() == [4.0, 6.0]
        values, indices = L.empty(0, dtype=L.int64), L.empty(0, dtype=L.int64)
        found = L.max(x, 1, out=(values, indices))
        assert values.tolist() == [2, 4] and found.indices.tolist() == [1, 1]


def test_degrees_of_freedom_warning() -> None:
    for call in ("std(x)", "var(x, 0)", "std_mean(x, correction=1)", "var_mean(x)"):
        texts = []
        for L in (T, R):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                eval(f"L.{call}", {"L": L, "x": L.tensor([1.0])})
            texts.append(str(caught[0].message).split(" (Triggered")[0])
            assert caught[0].category is UserWarning
        assert texts[0] == texts[1]
