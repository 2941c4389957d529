"""Sorting, ranks, distinct values and counts against live PyTorch, places of equal elements included."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch as T
from test_reductions import COMPLEX, FLOATS, INTEGERS, LAYOUTS, both, gradients, run, same

import rushlight as R
from rushlight.ops import selection

CALLS = {
    "sort": [
        "x.sort()",
        "x.sort(0, True)",
        "x.sort(stable=True, dim=1)",
        "x.argsort(1)",
        "x.argsort(descending=True)",
        "x.msort()",
    ],
    "topk": ["x.topk(2)", "x.topk(1, 0)", "x.topk(3, 1, False)", "x.topk(2, -1, True, False)", "x.topk(0)"],
    "rank": ["x.kthvalue(1)", "x.kthvalue(2, 1)", "x.kthvalue(1, 0, True)", "x.mode()", "x.mode(1, True)"],
    "unique": ["x.unique()", "x.unique(return_inverse=True, return_counts=True)", "x.unique(dim=1)"],
    "unique slices": ["x.unique(True, True, True, 0)", "x.unique_consecutive(dim=-1)"],
    "neighbours": [
        "x.unique_consecutive()",
        "x.unique_consecutive(True, True)",
        "x.unique_consecutive(dim=0, return_counts=True)",
    ],
    "places": ["L.searchsorted(x.flatten().sort()[0], x)", "L.searchsorted(x.sort()[0], x, right=True)"],
    "buckets": [
        "L.bucketize(x, x.flatten().unique())",
        "L.bucketize(2, x.flatten().unique(), out_int32=True)",
    ],
    "counts": [
        "x.flatten().bincount()",
        "L.bincount(x.flatten(), x.flatten() * 0.5)",
        "x.flatten().bincount(minlength=20)",
    ],
    "histogram": ["x.histc()", "x.histc(5, -2, 3)", "L.histc(x, bins=3, min=1, max=2)"],
    "several variables": ["L.cov(x[0])", "L.corrcoef(x[0])", "L.cov(x[0], correction=0)", "L.cov(x[0, 0])"],
}


@pytest.mark.parametrize("family", CALLS)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + COMPLEX)
def test_values(family: str, dtype: str) -> None:
    for layout, call in itertools.product(LAYOUTS, CALLS[family]):
        if family == "histogram" and dtype not in ("float32", "float64"):
            continue  # bins are counted in the element type; the bounds of integers are checked first
        t, r = both(dtype, layout)
        want = run(lambda: eval(call, {"x": t, "L": T}))
        same(want, run(lambda: eval(call, {"x": r, "L": R})), 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_nan_is_the_largest(dtype: str) -> None:
    row = [2.0, math.nan, -math.inf, 1.0, math.nan, math.inf, 1.0]
    calls = [
        "sort()",
        "sort(descending=True)",
        "argsort()",
        "topk(3)",
        "topk(3, largest=False)",
        "median(0)",
        "nanmedian(0)",
    ]
    calls += [
        "median()",
        "nanmedian()",
        "kthvalue(2)",
        "kthvalue(7)",
        "unique()",
        "unique(return_counts=True)",
    ]
    calls += ["quantile(0.5)", "nanquantile(0.25)", "msort()"] if dtype != "float16" else []
    for call in calls:
        same(*(eval("x." + call, {"x": L.tensor(row, dtype=getattr(L, dtype))}) for L in (T, R)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 16, 17, 40, 300, 5000])
@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8", "bool"])
def test_equal_elements(dtype: str, n: int) -> None:
    """The indices of equal elements are PyTorch's, in unstable sorts too."""
    rng = np.random.default_rng(n)
    for _ in range(3):
        data = rng.integers(0, 2 if dtype == "bool" else max(2, min(200, n // 3)), n).tolist()
        t, r = (L.tensor(data).to(getattr(L, dtype)) for L in (T, R))
        calls = [
            "sort()",
            "sort(descending=True)",
            "sort(stable=True)",
            "sort(descending=True, stable=True)",
            "mode()",
            "argsort()",
        ]
        if dtype != "bool":
            calls += [
                f"topk({k}, largest={most}, sorted={order})"
                for k in {1, n // 2, n}
                for most in (0 == 0, 0 == 1)
                for order in (True, False)
            ]
            calls += [f"kthvalue({k})" for k in {1, n // 2 + 1, n}] + ["median(0)"]
        for call in calls:
            same(eval("x." + call, {"x": t}), eval("x." + call, {"x": r}))


def test_many_lines_with_ties() -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 5, (20, 3, 30)).tolist()
    for call in ("sort(0)", "sort(2)", "topk(7, 2)", "kthvalue(9, 2)", "mode(0)", "mode(2)"):
        same(*(eval("x." + call, {"x": L.tensor(data)}) for L in (T, R)))


def test_heap() -> None:
    """What sort and nth_element fall back to when their partitions degenerate."""
    rank = np.random.default_rng(3).permutation(401).tolist()
    p = list(range(401))
    selection.partial_sort(p, rank, 0, 401, 401)
    assert [rank[i] for i in p] == sorted(rank)
    p = list(range(401))
    selection.partial_sort(p, rank, 0, 30, 401)
    assert [rank[i] for i in p[:30]] == sorted(rank)[:30]


def test_stable_beyond_the_limit() -> None:
    data = np.random.default_rng(2).integers(0, 50, 40_000).tolist()
    r = R.tensor(data).sort()
    assert r.indices.tolist() == R.tensor(data).sort(stable=True).indices.tolist()
    assert r.values.tolist() == sorted(data)
    values, indices = R.tensor(data).topk(20)
    assert values.tolist() == sorted(data, reverse=True)[:20]
    assert [data[i] for i in indices.tolist()] == values.tolist()


GRADIENTS = [
    "x.sort()",
    "x.sort(0, True)",
    "x.topk(2)",
    "x.msort()",
    "x.kthvalue(2, 1)",
    "x.mode()",
    "x.median(0)",
    "x.quantile(0.4)",
]
GRADIENTS += [
    "x.quantile(0.4, 1)",
    "x.nanquantile(L.tensor([0.2, 0.9], dtype=L.float64), 0)",
    "L.cov(x)",
    "L.corrcoef(x)",
]
GRADIENTS += [
    "x.sort(stable=True)",
    "x.quantile(0.5, interpolation='nearest')",
    "x.quantile(0.5, interpolation='midpoint')",
]


@pytest.mark.parametrize("call", GRADIENTS)
def test_gradients(call: str) -> None:
    for data in ([[0.3, -1.2, 2.5], [0.7, 1.9, -0.4]], [[1.0, 1.0, 2.0], [2.0, 1.0, 1.0]]):
        if "corrcoef" in call and data[0][0] == 1.0:
            continue
        want, got = gradients(T, call, data), gradients(R, call, data)
        if "quantile" not in call:
            assert want[0] == got[0]
        for w, g in zip(want[1:], got[1:]):
            if w is None or g is None:
                assert not np.any(w if g is None else g)
            else:
                np.testing.assert_allclose(np.array(g), np.array(w), rtol=1e-7, atol=1e-9)


def test_unique_has_no_derivative() -> None:
    for L in (T, R):
        out = L.tensor([1.0, 2.0, 1.0], requires_grad=True).unique()
        assert out.requires_grad
        with pytest.raises(NotImplementedError, match="_unique2"):
            out.sum().backward()


def test_searchsorted_sorter() -> None:
    for L in (T, R):
        x = L.tensor([5.0, 1.0, 3.0])
        assert L.searchsorted(x, L.tensor([2.0, 5.0]), sorter=x.argsort()).tolist() == [1, 2]
        assert L.searchsorted(x.sort()[0], 3.0, side="right").item() == 2


WRONG = [
    "x.sort(2)", "x.sort('a')", "x.sort(0, 'yes')", "(x + 1j).sort()", "x.topk(9)", "x.topk(-1)", "x.topk('a')", "x.topk(1, 5)",
    "x.bool().topk(1)", "x.kthvalue(0)", "x.kthvalue(9)", "x.kthvalue(1, 7)", "x.mode(3)", "L.sort([1])", "L.topk(x, 1, sorted=1)",
    "L.searchsorted(x, x[0])", "L.searchsorted(x[0], x, side='foo')", "L.searchsorted(x[0], x, side='left', right=True)",
    "L.bucketize(x, x)", "x.bincount()", "x[0].bincount()", "(-x[0].long()).bincount()", "x[0].long().bincount(x)",
    "x[0].long().bincount(minlength=-1)", "x.long().histc()", "x.histc(0)", "x.histc(3, 5, 1)", "(x / 0).histc()", "x.unique(dim=4)",
    "L.cov(x[None])", "L.cov(x > 0)", "L.cov(x, fweights=x[0])", "L.cov(x, aweights=x[0].long())", "L.cov(x, aweights=-x[0])",
    "L.cov(x, fweights=L.tensor([1]))", "L.sort(x, out=(L.empty(0), L.empty(0)))", "L.searchsorted(x[0], x, out=L.empty(0))",
    "L.kthvalue(x[0], 1, out=(x[0], L.empty(0, dtype=L.int64)))", "x.msort(1)", "L.searchsorted('a', x)",
]  # fmt: skip


@pytest.mark.parametrize("call", WRONG)
def test_errors(call: str) -> None:
    classes = []
    for L in (T, R):
        with pytest.raises(Exception) as caught:
            eval(call, {"x": L.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "L": L})
        classes.append(next(c for c in caught.type.__mro__ if c.__module__ == "builtins"))
    assert classes[0] is classes[1]


def _lines(kind):
    """Large lines: of different elements, and some with equal ones and nan."""
    values = np.random.default_rng(11).standard_normal((40, 300)).astype(kind)
    values[3] = np.round(values[3])
    values[5, :20] = values[5, 0]
    values[7, 9] = np.nan
    values[8, 5:250] = np.nan
    values[9] = np.nan
    values[11, 4] = np.inf
    values[12, :3] = -np.inf
    return values


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("dim", [0, 1])
def test_ranks_of_large_lines(kind, dim):
    values = _lines(kind) if dim else np.ascontiguousarray(_lines(kind).T)
    x, y = T.tensor(values), R.tensor(values)
    for k in (1, 2, 10, 70, 299):
        for largest in (True, False):
            wanted, made = (t.topk(k, dim, largest) for t in (x, y))
            np.testing.assert_array_equal(made.values.numpy(), wanted.values.numpy())
            assert made.indices.tolist() == wanted.indices.tolist()
        wanted, made = (t.kthvalue(k, dim) for t in (x, y))
        np.testing.assert_array_equal(made.values.numpy(), wanted.values.numpy())
        found = np.take_along_axis(values, made.indices.unsqueeze(dim).numpy(), dim)
        np.testing.assert_array_equal(found, made.values.unsqueeze(dim).numpy())
    wanted, made = (t.median(dim) for t in (x, y))
    np.testing.assert_array_equal(made.values.numpy(), wanted.values.numpy())
    found = np.take_along_axis(values, made.indices.unsqueeze(dim).numpy(), dim)
    np.testing.assert_array_equal(found, made.values.unsqueeze(dim).numpy())


@pytest.mark.parametrize("kind", ["int64", "int32", "int8", "uint8", "float32", "bool"])
def test_distinct_elements_of_many(kind):
    draws = np.random.default_rng(12).integers(-100, 28, (50, 60))
    far = np.array([-(2**63), 2**63 - 1, 5, 5])
    for values in (draws, np.zeros((0, 3), np.int64), *([far] if kind == "int64" else [])):
        x = T.tensor(values.tolist(), dtype=T.int64).reshape(values.shape).to(getattr(T, kind))
        y = R.tensor(values.tolist(), dtype=R.int64).reshape(values.shape).to(getattr(R, kind))
        for name in ("unique", "unique_consecutive"):
            wanted = getattr(T, name)(x, return_inverse=True, return_counts=True)
            made = getattr(R, name)(y, return_inverse=True, return_counts=True)
            assert [t.tolist() for t in made] == [t.tolist() for t in wanted]
            assert [str(t.dtype) for t in made] == [str(t.dtype) for t in wanted]
            assert [tuple(t.shape) for t in made] == [tuple(t.shape) for t in wanted]
