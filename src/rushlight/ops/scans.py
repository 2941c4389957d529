"""Scans: running sums, products and extremes; and what is built on neighbours along a dimension."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, BY_NUMPY, as_dtype
from rushlight.ops.kinds.reduction import (
    NOT_GIVEN,
    accumulated,
    cast_first,
    check_recordable,
    dtype_of_out,
    lifted,
    one_dim,
    refuse_kinds,
    scan_along,
)
from rushlight.ops.kinds.short import short_method, short_scan
from rushlight.ops.spec import primitive, public

# ---- linear ----


def _cumsum_vjp(g: Any, dim: int, reverse: bool) -> Any:
    return cumsum_dim(g, dim=dim, dtype=None, reverse=not reverse)


@primitive("Cumsum", vjp=(_cumsum_vjp,))
def cumsum_dim(x, *, dim, dtype, reverse=False):
    result = dtype or accumulated(BY_NUMPY[x.dtype])
    return lifted(lambda a: scan_along(np.add, cast_first(a, dtype), dim, result.numpy, reverse), x)


def _line(input: Tensor, dim: Any, axis: Any, operation: str) -> tuple[Tensor, int]:
    """What is scanned along which dimension; NumPy's axis=None scans all elements in order."""
    if axis is None and dim is NOT_GIVEN:
        return input.reshape(-1), 0
    if dim is NOT_GIVEN:
        dim = axis
    elif axis is not NOT_GIVEN:
        raise TypeError(f"{operation}() got an unexpected keyword argument 'axis'")
    if dim is NOT_GIVEN:
        raise TypeError(f'{operation}() missing 1 required positional arguments: "dim"')
    return input, one_dim(dim, input._a.ndim, operation)


@public(out=dtype_of_out)
def cumsum(input: Tensor, dim: int = NOT_GIVEN, *, dtype: Any = None, axis: Any = NOT_GIVEN) -> Tensor:
    """The running sum along `dim`; with NumPy's `axis=None`, over all elements in order.

    Integers are added in int64, float32 in float64.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 3], dtype=torch.int32).cumsum(0)
        tensor([1, 3, 6])
    """
    if dtype is None and (axis is NOT_GIVEN or dim is NOT_GIVEN):
        out = short_scan(np.add, cumsum_dim, input, dim if axis is NOT_GIVEN else axis)
        if out is not None:
            return out
    to = as_dtype(dtype, "cumsum")
    check_recordable(input, to)
    input, dim = _line(input, dim, axis, "cumsum")
    return cumsum_dim(input, dim=dim, dtype=to, reverse=False)


def _in_own_type(name: str, plain: Callable) -> Callable:
    """The in-place form of a scan: computed in the tensor's own type, also where it is one of integers."""

    def inplace(self: Tensor, dim: Any = NOT_GIVEN, *, dtype: Any = None, axis: Any = NOT_GIVEN) -> Tensor:
        to = as_dtype(dtype, name)
        if to not in (None, self._dtype):
            raise RuntimeError(
                f"Bad in-place call: input tensor dtype {self._dtype.legacy} and output tensor dtype {to.legacy} should match"
            )
        if self._a.ndim and self._a.size:
            refuse_kinds(f"{name[:-1]}_out_cpu", self, BOOL)
        return plain(self, dim, dtype=self._dtype, axis=axis)

    inplace.__name__ = name
    inplace.__qualname__ = f"Tensor.{name}"
    inplace.__doc__ = plain.__doc__
    return inplace


cumsum.method = short_method(cumsum, functools.partial(short_scan, np.add, cumsum_dim))
cumsum.inplace = cumsum.operation.inplace = _in_own_type("cumsum_", cumsum.inplace)


@primitive("Shift", vjp=(lambda g, dim, by, fill: shift(g, dim=dim, by=-by, fill=0),))
def shift(x, *, dim, by, fill):
    """The elements one place on (by=1) or back (by=-1) along `dim`, `fill` in the place left free."""
    out = np.full_like(x, fill)
    if by > 0:
        out[_part(dim, 1, None)] = x[_part(dim, 0, -1)]
    else:
        out[_part(dim, 0, -1)] = x[_part(dim, 1, None)]
    return out


def _part(dim: int, start: int, stop: int | None) -> tuple:
    return (slice(None),) * dim + (slice(start, stop),)


# ---- products ----


def _linear_scan_vjp(g: Any, a: Any, out: Any, dim: int) -> tuple:
    """s[k] = a[k] s[k-1] + b[k] transposed: the same recurrence, backwards."""
    back = shift(a, dim=dim, by=-1, fill=0).flip(dim).conj()
    at_b = linear_scan(back, g.flip(dim), dim=dim).flip(dim)
    return at_b * shift(out, dim=dim, by=1, fill=0).conj(), at_b


@primitive("LinearScan", vjp=_linear_scan_vjp)
def linear_scan(a, b, *, dim):
    """s[k] = a[k] s[k-1] + b[k] along `dim`: the derivative of a running product, zeros or not."""
    out = np.empty(a.shape, b.dtype)
    coefficients, terms, sums = (np.moveaxis(t, dim, 0) for t in (a, b, out))
    running: Any = 0
    for k in range(len(terms)):
        running = coefficients[k] * running + terms[k]
        sums[k] = running
    return out


def exclusive_product(x: Any, dim: int) -> Any:
    """For every element the product of all others along `dim`."""
    before = cumprod_dim(shift(x, dim=dim, by=1, fill=1), dim=dim, dtype=None)
    after = cumprod_dim(shift(x, dim=dim, by=-1, fill=1).flip(dim), dim=dim, dtype=None).flip(dim)
    return before * after


def _cumprod_vjp(g: Any, x: Any, out: Any, dim: int) -> Any:
    """out[j] depends on x[k] for k <= j, with derivative out[j] / x[k]: where x has zeros,
    (product before k) times s[k] = g[k] + x[k+1] s[k+1].
    """
    x = x.to(out.dtype)
    if not x._a.ndim or not x._a.size:
        return g
    if x._a.all():
        return _cumsum_vjp(g * out.conj(), dim, False) / x.conj()
    follower = shift(x, dim=dim, by=-1, fill=0).conj()
    rest = linear_scan(follower.flip(dim), g.flip(dim), dim=dim).flip(dim)
    return rest * cumprod_dim(shift(x, dim=dim, by=1, fill=1), dim=dim, dtype=None).conj()


@primitive("Cumprod", vjp=(_cumprod_vjp,), promotes=False)
def cumprod_dim(x, *, dim, dtype):
    result = dtype or accumulated(BY_NUMPY[x.dtype])
    return lifted(lambda a: scan_along(np.multiply, cast_first(a, dtype), dim, result.numpy), x)


@public(out=dtype_of_out)
def cumprod(input: Tensor, dim: int = NOT_GIVEN, *, dtype: Any = None, axis: Any = NOT_GIVEN) -> Tensor:
    """The running product along `dim`; with NumPy's `axis=None`, over all elements in order.

    Integers are multiplied in int64.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2., 3.]).cumprod(0)
        tensor([1., 2., 6.])
    """
    if dtype is None and (axis is NOT_GIVEN or dim is NOT_GIVEN):
        out = short_scan(np.multiply, cumprod_dim, input, dim if axis is NOT_GIVEN else axis)
        if out is not None:
            return out
    to = as_dtype(dtype, "cumprod")
    check_recordable(input, to)
    input, dim = _line(input, dim, axis, "cumprod")
    return cumprod_dim(input, dim=dim, dtype=to)


cumprod.method = short_method(cumprod, functools.partial(short_scan, np.multiply, cumprod_dim))
cumprod.inplace = cumprod.operation.inplace = _in_own_type("cumprod_", cumprod.inplace)
