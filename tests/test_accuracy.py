"""Sums, means and scans lose nothing: long ones are exact, and no error is larger than PyTorch's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

LONG = 2**27  # float32 addition alone stops at 2**24


@pytest.mark.parametrize("shape", [(LONG,), (2, LONG // 2), (LONG // 2, 2), (2**9, 2**9, 2**9)])
def test_long_sums_of_ones(shape: tuple) -> None:
    x = rushlight.ones(shape)
    assert x.sum().item() == LONG
    assert x.mean().item() == 1.0
    for dim, size in enumerate(shape):
        total, mean = x.sum(dim), x.mean(dim)
        assert (total.numpy() == size).all() and (mean.numpy() == 1).all()


@pytest.mark.parametrize(("shape", "dim"), [((LONG,), 0), ((LONG // 2, 2), 0), ((2, LONG // 2), 1)])
def test_long_scans_of_ones(shape: tuple, dim: int) -> None:
    """Every partial sum is an integer below 2**27, rounded once to float32."""
    got = np.moveaxis(rushlight.ones(shape).cumsum(dim).numpy(), dim, 0).reshape(shape[dim], -1)
    for start in range(0, shape[dim], 2**24):
        want = np.arange(start + 1, min(start + 2**24, shape[dim]) + 1).astype(np.float32)
        assert (got[start : start + 2**24] == want[:, None]).all()


def test_transposed_and_strided_long_sums() -> None:
    x = rushlight.ones(LONG // 2, 2)
    assert x.t().sum(1).tolist() == [LONG // 2, LONG // 2]
    assert x[:, 0].sum().item() == LONG // 2
    assert rushlight.ones(1).expand(LONG).sum().item() == LONG


def error(got: Any, exact: np.ndarray) -> float:
    return float(np.abs(got.numpy().astype(np.float64) - exact).max())


def exact_sum(a: np.ndarray, dim: int) -> np.ndarray:
    return np.apply_along_axis(lambda line: math.fsum(line.tolist()), dim, a)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "logsumexp", "norm", "cumsum"])
def test_no_error_is_larger_than_pytorchs(name: str, dim: int, dtype: str) -> None:
    """Against float64 (math.fsum for sums), on values of very different size."""
    rng = np.random.default_rng(0)
    a = (rng.normal(size=(300, 257)) * np.exp(rng.normal(size=(300, 257)))).astype(dtype)
    wide = torch.from_numpy(a.astype(np.float64))
    if name in ("sum", "mean"):
        exact = exact_sum(a.astype(np.float64), dim) / (a.shape[dim] if name == "mean" else 1)
    else:
        exact = getattr(wide, name)(dim=dim).numpy()
    theirs = error(getattr(torch.from_numpy(a), name)(dim=dim), exact)
    ours = error(getattr(rushlight.from_numpy(a), name)(dim=dim), exact)
    unit = np.finfo(dtype).eps * np.abs(exact).max() / 2
    assert ours <= max(theirs, unit)


@pytest.mark.parametrize("dim", [0, 1])
def test_float64_sums(dim: int) -> None:
    a = np.random.default_rng(1).normal(size=(1000, 999)) * 10.0 ** (np.arange(999) % 7)
    exact = exact_sum(a, dim)
    theirs, ours = error(torch.from_numpy(a).sum(dim), exact), error(rushlight.from_numpy(a).sum(dim), exact)
    assert ours <= max(theirs, np.finfo(np.float64).eps * np.abs(exact).max())


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "float64"])
@pytest.mark.parametrize("first", [0.0, 1e4, -3e4])
@pytest.mark.parametrize("dims", [0, 1, (0, 1)])
def test_spread_whatever_comes_first(kind, first, dims):
    """Large enough for loops, which take distances to the first element: one far from the others costs no accuracy."""
    a = np.random.default_rng(0).normal(100, 1, (700, 300))
    a[0, :] += first
    a[:, 0] += first
    x = rushlight.tensor(a).to(getattr(rushlight, kind))
    wide = x.double().numpy().astype(np.longdouble)
    axes = dims if type(dims) is tuple else (dims,)
    variance = np.var(wide, axis=axes, ddof=1)
    eps = rushlight.finfo(x.dtype).eps
    for ours, theirs in (
        (x.var(dims), variance),
        (x.std(dims, correction=0), np.std(wide, axis=axes)),
        (rushlight.var_mean(x, dims)[0], variance),
        (rushlight.var_mean(x, dims)[1], wide.mean(axes)),
        (rushlight.std_mean(x, dims)[0], np.sqrt(variance)),
    ):
        assert ours.dtype == x.dtype and ours.shape == theirs.shape
        ours = ours.double().numpy()
        close = np.abs(ours - theirs) <= (1e-9 if kind == "float64" else 0.51 * eps) * np.abs(theirs)
        assert (close | np.isposinf(ours) & (theirs > rushlight.finfo(x.dtype).max)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 350])
def test_spread_of_what_is_no_number(value, at):
    a = np.ones((700, 300), "f4")
    a[at, 7] = value
    variance = rushlight.tensor(a).var(0)
    assert variance[7].isnan() and (variance[:7] == 0).all() and (variance[8:] == 0).all()
    assert rushlight.tensor(a).std().isnan() and (rushlight.tensor(a[:, 8:]).var(1) == 0).all()


COLUMNS = {
    "even": lambda r: r.random(2100),
    "far from zero": lambda r: r.random(2100) + 1e6,
    "rising": lambda r: np.sort(r.random(2100)),
    "begins elsewhere": lambda r: np.concatenate([np.full(128, 1e9), r.random(1972)]),
    "large": lambda r: r.random(2100) * 1e150,
    "small": lambda r: r.random(2100) * 1e-140,
    "whole": lambda r: np.full(2100, 3.0),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("dim", [0, 1])
def test_spread_of_many_float64(name: str, dim: int) -> None:
    """Wherever the first elements lie, and whatever other columns hold, a variance is right to some units in the last place."""
    r = np.random.default_rng(0)
    a = r.random((2100, 520))
    a[:, ::13] = COLUMNS[name](r)[:, None]
    x = rushlight.tensor(np.ascontiguousarray(a if dim == 0 else a.T))
    for j in (0, 1, 13):
        column = [Fraction(v) for v in a[:, j]]
        mean = sum(column) / len(column)
        exact = float(sum((v - mean) ** 2 for v in column) / (len(column) - 1))
        assert abs(x.var(dim)[j].item() - exact) <= 8 * 2.0**-52 * exact
        assert abs(x.std(dim)[j].item() - math.sqrt(exact)) <= 8 * 2.0**-52 * math.sqrt(exact)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_spread_of_many_float64_with_what_is_no_number(value: float) -> None:
    a = np.random.default_rng(0).random((2100, 520))
    a[1000, 7] = value
    variance = rushlight.tensor(a).var(0).numpy()
    assert np.isnan(variance[7]) and np.isfinite(np.delete(variance, 7)).all()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("offset", [0, 1e4, 1e8])
@pytest.mark.parametrize("count", [2, 3, 4, 7, 8])
def test_variances_of_few_elements(kind: str, offset: float, count: int) -> None:
    """However far from 0 they lie: against sums of fractions."""
    a = (np.random.default_rng(count).normal(size=(count, (1 << 14) // count)) + offset).astype(kind)
    wanted = []
    for column in a.T.tolist():
        exact = [Fraction(x) for x in column]
        mean = sum(exact) / count
        wanted.append(float(sum((x - mean) ** 2 for x in exact) / (count - 1)))
    error = 0.51 * np.finfo("f4").eps if kind == "f4" else 4 * np.finfo("f8").eps
    for got in (
        rushlight.tensor(a).var(0),
        rushlight.tensor(np.ascontiguousarray(a.T)).var(1),
        rushlight.var_mean(rushlight.tensor(a), 0)[0],
    ):
        np.testing.assert_allclose(got.double().numpy(), wanted, rtol=error)


def test_variances_of_few_elements_that_are_not_finite() -> None:
    a = np.ones((4, 5000))
    a[0, :3] = np.inf, np.nan, 1e300
    got = rushlight.tensor(a).var(0)[:4].tolist()
    assert math.isnan(got[0]) and math.isnan(got[1]) and got[2:] == [math.inf, 0]
