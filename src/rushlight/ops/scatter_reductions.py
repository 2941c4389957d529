"""Reductions into places: scatter_reduce and index_reduce, by prod, mean, amax, amin (and sum)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX
from rushlight.ops.kinds.overlap import apart, exact_out
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.masking import where
from rushlight.ops.positions import implemented
from rushlight.ops.rows import check_rows, rows
from rushlight.ops.scattering import check_scatter, scatter_at
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.execute import quiet

_COMBINE = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _identity(reduce: str, kind: np.dtype) -> Any:
    """What a place holds that does not count itself."""
    if reduce in ("sum", "mean"):
        return np.zeros((), kind)
    if reduce == "prod":
        return np.ones((), kind)
    if kind.kind == "b":
        return np.asarray(reduce == "amin")
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return np.asarray(limits.min if reduce == "amax" else limits.max, kind)
    return np.asarray(-np.inf if reduce == "amax" else np.inf).astype(kind)


def _divide(total: np.ndarray, count: np.ndarray) -> None:
    """Sums become means in place; integers are rounded down."""
    count = np.maximum(count, 1)
    if total.dtype.kind in "biu":
        total[...] = np.floor_divide(total, count)
    else:
        total[...] = quiet(np.divide, total, count.astype(total.dtype))


# ---- scatter_reduce ----


def _scatter_reduce(
    a: np.ndarray, p: np.ndarray, src: np.ndarray, dim: int, reduce: str, include_self: bool
) -> None:
    """Write to `a` in place."""
    if not p.size:
        return
    if not include_self:
        scatter_at(a, p, _identity(reduce, a.dtype), dim, None)
    scatter_at(a, p, src, dim, _COMBINE[reduce])
    if reduce == "mean":
        count = np.full(a.shape, int(include_self))
        scatter_at(count, p, np.ones(p.shape, np.int64), dim, np.add)
        _divide(a, count)


def _scatter_reduce_vjp(
    g: Any, x: Any, index: Any, src: Any, out: Any, dim: int, reduce: str, include_self: bool
) -> tuple:
    def gather(t: Any) -> Any:
        return t.gather(dim, index)

    def spread(t: Any, values: Any) -> Any:
        return t.scatter_add(dim, index, values)

    def again(t: Any, values: Any) -> Any:
        return t.scatter_reduce(dim, index, values, reduce, include_self=include_self)

    for_x, for_src = _reduced_vjp(g, x, src, out, reduce, include_self, gather, spread, again)
    if not include_self:
        for_x = for_x.scatter(dim, index, 0)
    return for_x, None, for_src


def _reduced_vjp(
    g: Any, x: Any, src: Any, out: Any, reduce: str, include_self: bool, gather: Any, spread: Any, again: Any
) -> tuple:
    """The gradients of x and src; `gather` reads where src went, `spread` adds there, `again` reduces anew."""
    if reduce == "sum":
        return g, gather(g)
    if reduce == "mean":
        count = spread(
            g.new_ones(g._a.shape) if include_self else g.new_zeros(g._a.shape), src.new_ones(src._a.shape)
        )
        count = count.masked_fill(count == 0, 1)
        return g / count, gather(g) / gather(count)
    if reduce == "prod":
        return _prod_vjp(g, x, src, out, gather, spread, again)
    # amax, amin: equal shares to all that reach the extreme
    value = gather(out)
    mine, theirs = (x == out).to(x._dtype), (src == value).to(src._dtype)
    share = g / spread(mine, theirs)
    return mine * share, theirs * gather(share)


def _prod_vjp(g: Any, x: Any, src: Any, out: Any, gather: Any, spread: Any, again: Any) -> tuple:
    """The product of the others; where a factor is zero it is computed without it."""
    x_one = x.masked_fill(x == 0, 1)
    for_x = g * again(x_one, src).conj() / x_one.conj()
    zero = src == 0
    zeros = gather(spread(x.new_zeros(x._a.shape), zero.to(x._dtype)))
    single = zero & (zeros == 1)
    without = again(x, src.masked_fill(single, 1))
    for_src = where(
        single,
        gather(g * without.conj()),
        gather(g * out.conj()) / src.masked_fill(zero, 1).conj(),
    )
    return for_x, for_src


@primitive("ScatterReduce", vjp=_scatter_reduce_vjp)
def scatter_reduce_along(x, index, src, *, dim, reduce, include_self):
    out = x.copy()
    _scatter_reduce(out, index, src, dim, reduce, include_self)
    return out


def _refuse(reduce: str, t: Tensor, kernel: str) -> None:
    """Means of bools and extremes of complex numbers are not defined."""
    implemented(t, "scatter_gather_tensor_cpu" if reduce in ("sum", "prod") else kernel)
    kind = t._dtype
    if reduce == "mean" and kind.category == BOOL or reduce[:2] == "am" and kind.category == COMPLEX:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{kind.legacy}'")


def _check_reduce(name: str, reduce: Any, known: tuple[str, ...]) -> None:
    if not isinstance(reduce, str):
        raise TypeError(f"{name}(): argument 'reduce' must be str, not {type(reduce).__name__}")
    if reduce not in known:
        if name == "scatter_reduce":
            raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
        raise RuntimeError(
            f"{name}(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        )


_SCATTER = ("sum", "prod", "mean", "amax", "amin")
_INDEX = ("prod", "mean", "amax", "amin")


def _scatter_reduce_into(self, dim, index, src, reduce, *, include_self=True):
    _check_reduce("scatter_reduce", reduce, _SCATTER)
    src = as_tensor(src, "scatter_reduce_", "src", 3)
    _refuse(reduce, self, f"scatter_gather_tensor_cpu_reduce_{reduce}")
    dim = check_scatter("scatter_reduce", self, dim, index, src)
    _scatter_reduce(self._a, apart(index._a, self._a), apart(src._a, self._a), dim, reduce, include_self)
    return True


@public(into=_scatter_reduce_into, check=exact_out(), apart=True, takes={"include_self": "bool"})
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """A copy of `input` in which out[index[i, j], j] is reduced with src[i, j] for dim 0, and so on.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the values of `input` count where something is written.

    Raises:
        RuntimeError: `index` points outside, has other dimensions, or is larger than `src`.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([1., 2., 3.])
        >>> torch.zeros(2).scatter_reduce(0, torch.tensor([0, 0, 1]), x, "amax")
        tensor([2., 3.])
    """
    _check_reduce("scatter_reduce", reduce, _SCATTER)
    src = as_tensor(src, "scatter_reduce", "src", 3)
    _refuse(reduce, input, f"scatter_gather_tensor_cpu_reduce_{reduce}")
    dim = check_scatter("scatter_reduce", input, dim, index, src)
    out = scatter_reduce_along(input, index, src, dim=dim, reduce=reduce, include_self=include_self)
    return real_gradient("scatter_reduce", out)


# ---- index_reduce ----


def _index_reduce(
    a: np.ndarray, p: np.ndarray, source: np.ndarray, dim: int, reduce: str, include_self: bool
) -> None:
    """Write to `a` in place."""
    p = p.reshape(-1)
    if not p.size:
        return
    if a.ndim == 0:
        a, source, dim = a.reshape(1), source.reshape(-1), 0
    key = rows(dim, p)
    if not include_self:
        a[key] = _identity(reduce, a.dtype)
    quiet(_COMBINE[reduce].at, a, key, source)
    if reduce == "mean":
        count = np.full(a.shape[dim], int(include_self))
        np.add.at(count, p, 1)
        _divide(a, count.reshape((-1,) + (1,) * (a.ndim - dim - 1)))


def _index_reduce_vjp(
    g: Any, x: Any, index: Any, source: Any, out: Any, dim: int, reduce: str, include_self: bool
) -> tuple:
    def gather(t: Any) -> Any:
        return t.index_select(dim, index)

    def spread(t: Any, values: Any) -> Any:
        return t.index_add(dim, index, values)

    def again(t: Any, values: Any) -> Any:
        return t.index_reduce(dim, index, values, reduce, include_self=include_self)

    for_x, for_source = _reduced_vjp(g, x, source, out, reduce, include_self, gather, spread, again)
    if not include_self:
        for_x = for_x.index_fill(dim, index.long(), 0)
    return for_x, None, for_source


@primitive("IndexReduce", vjp=_index_reduce_vjp)
def index_reduce_rows(x, index, source, *, dim, reduce, include_self):
    out = x.copy()
    _index_reduce(out, index, source, dim, reduce, include_self)
    return out


def _check_index_reduce(t: Tensor, dim: Any, index: Any, source: Any, reduce: Any) -> int:
    _check_reduce("index_reduce", reduce, _INDEX)
    if t._a.ndim < 2 and t._dtype.category in (BOOL, COMPLEX):
        raise NotImplementedError(f"\"index_func_\" not implemented for '{t._dtype.legacy}'")
    if t._a.ndim < 2:
        implemented(t, "index_func_")
    elif reduce != "prod":
        _refuse(reduce, t, {"amax": "maximum_cpu", "amin": "minimum_cpu", "mean": "div_floor_cpu"}[reduce])
    return check_rows(t, dim, index, source, "index_reduce")


_warned: list[bool] = []


def _warn_beta() -> None:
    if not _warned:
        _warned.append(True)
        warnings.warn(
            "index_reduce() is in beta and the API may change at any time.", UserWarning, stacklevel=4
        )


def _index_reduce_into(self, dim, index, source, reduce, *, include_self=True):
    dim = _check_index_reduce(self, dim, index, source, reduce)
    _warn_beta()
    _index_reduce(self._a, apart(index._a, self._a), apart(source._a, self._a), dim, reduce, include_self)
    return True


@public(into=_index_reduce_into, check=exact_out(), apart=True, takes={"include_self": "bool"})
def index_reduce(input, dim, index, source, reduce, *, include_self=True):
    """A copy of `input` in which the slices at the positions `index` along `dim` are reduced with those of `source`.

    Args:
        reduce: "prod", "mean", "amax" or "amin".
        include_self: whether the values of `input` count where something is written.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2).index_reduce(0, torch.tensor([0, 0]), torch.tensor([2., 3.]), "prod")
        tensor([6., 1.])
    """
    dim = _check_index_reduce(input, dim, index, source, reduce)
    _warn_beta()
    return real_gradient(
        "index_reduce",
        index_reduce_rows(input, index, source, dim=dim, reduce=reduce, include_self=include_self),
    )
