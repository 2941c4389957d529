"""Exponentials that are reduced: softmax, log_softmax, logsumexp and the running logcumsumexp.

All subtract the largest element first, so that nothing overflows; sums are accumulated in float64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import (
    BOOL,
    COMPLEX,
    FLOATING,
    INTEGER,
    as_dtype,
    default_float,
    finfo,
    float32,
    float64,
)
from rushlight.ops.kinds.reduction import (
    check_keepdim,
    lifted,
    line_sums,
    narrowed,
    one_dim,
    reduced_dims,
    refuse_kinds,
    restore,
    same_dtype,
    same_scalar_type,
    sum_mapped,
    sum_over,
)
from rushlight.ops.kinds.short import Loops, again, short_method
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.spec import primitive, public
from rushlight.runtime.deferral import FROM_MAPPED, FROM_REDUCED, reduced
from rushlight.runtime.execute import enter
from rushlight.runtime.repeated import FEW, LINE, repeated
from rushlight.tape.recording import record1

_make = object.__new__
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def _single(a: np.ndarray) -> np.ndarray:
    """Half types are computed in float32."""
    return a.astype(_F32) if a.dtype.kind not in "fc" or a.itemsize == 2 else a


def _below_largest(a: np.ndarray, dim: int) -> np.ndarray:
    return a - np.maximum.reduce(a, dim, None, None, True)


def _shares(parts: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Of a total in float64. Narrower parts are multiplied with its inverse, which rounding them hides: a division takes as
    long as an exponential."""
    return parts / total if parts.dtype == _F64 else parts * (1 / total)


def _softmax_row(x: np.ndarray) -> np.ndarray:
    parts = np.exp(x - np.maximum.reduce(x))
    return _shares(parts, np.add.reduce(parts, None, np.float64))


def _log_softmax_row(x: np.ndarray) -> np.ndarray:
    below = x - np.maximum.reduce(x)
    return below - np.log(np.add.reduce(np.exp(below), None, np.float64))


def _softmax(a: np.ndarray, dim: int) -> np.ndarray:
    if not a.size:
        return a.copy()
    made = reduced(_softmax_row, (a,), (dim % a.ndim,), to=a.dtype, least=FROM_MAPPED)
    if made is not None:
        return made
    out = np.ascontiguousarray(_below_largest(_single(a), dim))
    np.exp(out, out)
    return narrowed(_shares(out, sum_over(out, (dim,), True)), a.dtype)


def _log_softmax(a: np.ndarray, dim: int) -> np.ndarray:
    if not a.size:
        return a.copy()
    made = reduced(_log_softmax_row, (a,), (dim % a.ndim,), to=a.dtype, least=FROM_MAPPED)
    if made is not None:
        return made
    out = np.ascontiguousarray(_below_largest(_single(a), dim))
    np.subtract(out, np.log(sum_mapped(np.exp, (dim,), out)), out, casting="unsafe")
    return narrowed(out, a.dtype)


# ---- derivatives: operations of their own, so that a gradient costs one call ----


def _softmax_gradient_row(y: np.ndarray, dz: np.ndarray) -> np.ndarray:
    part = np.multiply(dz, y, dtype=np.float64)
    return part - y * np.add.reduce(part)


def _log_softmax_gradient_row(y: np.ndarray, dz: np.ndarray) -> np.ndarray:
    return dz - np.exp(y) * np.add.reduce(dz, None, np.float64)


@primitive(
    "SoftmaxBackward",
    vjp=(
        lambda g, y, dim: g * y - y * (g * y).sum(dim, True),
        lambda g, dz, y, dim: g * dz - (g * y).sum(dim, True) * dz - g * (dz * y).sum(dim, True),
    ),
)
def softmax_gradient(dz, y, *, dim):
    """y (dz - sum(y dz)), where y is the softmax."""
    if not y.size:
        return dz.copy()
    made = (
        reduced(_softmax_gradient_row, (y, dz), (dim % y.ndim,), to=y.dtype, least=FROM_MAPPED)
        if y.ndim
        else None
    )
    if made is not None:
        return made
    part = np.multiply(dz, y, dtype=_accumulating(y))
    part -= y * _sums(part, dim)
    return narrowed(part, y.dtype)


@primitive(
    "LogSoftmaxBackward",
    vjp=(
        lambda g, y, dim: g - (g * y.exp()).sum(dim, True),
        lambda g, dz, y, dim: -g * y.exp() * dz.sum(dim, True),
    ),
)
def log_softmax_gradient(dz, y, *, dim):
    """dz - exp(y) sum(dz), where y is the log_softmax."""
    if not y.size:
        return dz.copy()
    made = (
        reduced(_log_softmax_gradient_row, (y, dz), (dim % y.ndim,), to=y.dtype, least=FROM_MAPPED)
        if y.ndim
        else None
    )
    if made is not None:
        return made
    wide, part = dz.astype(_accumulating(y)), y.astype(_accumulating(y))  # (which NumPy would do in pieces)
    np.exp(part, part)
    part *= _sums(wide, dim)
    np.subtract(wide, part, part)
    return narrowed(part, y.dtype)


def _accumulating(a: np.ndarray) -> Any:
    return a.dtype if a.dtype.kind == "c" else np.float64


def _sums(a: np.ndarray, dim: int) -> np.ndarray:
    return sum_over(a, (dim,), True) if a.ndim else a


@primitive("Softmax", vjp=(lambda g, out, dim: softmax_gradient(g, out, dim=dim),))
def softmax_dim(x, *, dim):
    return lifted(lambda a: _softmax(a, dim), x)


@primitive("LogSoftmax", vjp=(lambda g, out, dim: log_softmax_gradient(g, out, dim=dim),))
def log_softmax_dim(x, *, dim):
    return lifted(lambda a: _log_softmax(a, dim), x)


#: between these no sum of exponentials in float64 has lost anything that float32 would show, so that the largest need not
#: be subtracted first
_LEAST, _MOST = 1e-250, 1e300


def _sums_of_powers(powers: np.ndarray, dim: int) -> np.ndarray:
    """The sums of float64 exponentials along `dim`, to be broadcast with them.

    Raises:
        OverflowError: for these the largest must be subtracted first.
    """
    sums = line_sums(powers, dim)
    if not (np.minimum.reduce(sums) > _LEAST and np.maximum.reduce(sums) < _MOST):
        raise OverflowError
    return sums.reshape(-1, 1) if dim else sums


def _short_softmax(a: np.ndarray, dim: int) -> np.ndarray:
    powers = a.astype(_F64)
    np.exp(powers, powers)
    return np.divide(powers, _sums_of_powers(powers, dim), powers).astype(_F32)


def _short_log_softmax(a: np.ndarray, dim: int) -> np.ndarray:
    wide = a.astype(_F64)
    sums = _sums_of_powers(np.exp(wide), dim)
    return np.subtract(wide, np.log(sums, sums), wide).astype(_F32)


def _below(a: np.ndarray, dim: int) -> np.ndarray:
    """The elements less the largest of their line, in float64."""
    wide = a.astype(_F64, "C")
    return np.subtract(wide, np.maximum.reduce(wide, dim, None, None, True), wide)


def _small_softmax(a: np.ndarray, dim: int) -> np.ndarray:
    powers = _below(a, dim)
    np.exp(powers, powers)
    np.divide(powers, np.add.reduce(powers, dim, None, None, True), powers)
    return narrowed(powers, a.dtype)


def _small_log_softmax(a: np.ndarray, dim: int) -> np.ndarray:
    below = _below(a, dim)
    sums = np.add.reduce(np.exp(below), dim, None, None, True)
    return narrowed(np.subtract(below, np.log(sums, sums), below), a.dtype)


class _Ways(NamedTuple):
    """How matrices are computed: of few elements; of more, float32 and float64; and the loops of large arrays, whose calls keep the
    dimension, along which all is reduced."""

    few: Callable
    narrow: Callable
    wide: Callable
    loops: Loops


_SOFTMAX = _Ways(
    repeated(("softmax", False), _small_softmax),
    _short_softmax,
    _softmax,
    Loops(_softmax_row, to=lambda kind: kind),
)
_LOG_SOFTMAX = _Ways(
    repeated(("softmax", True), _small_log_softmax),
    _short_log_softmax,
    _log_softmax,
    Loops(_log_softmax_row, to=lambda kind: kind),
)


def _short(ways: _Ways, whole: Any, input: Any, dim: Any) -> Tensor | None:
    """Of a small float32 or float64 matrix, or as a loop of ours did before, without any generic layer; None for
    anything else."""
    if type(input) is not Tensor or type(dim) is not int:
        return None
    kind = input._dtype
    if kind is not float32 and kind is not float64:
        return None
    a = input._a
    size = a.size
    if size >= FROM_REDUCED:
        made, dims = again(input, dim, True, ways.loops)
        if made is None:
            return None
        (dim,) = dims
    elif not size or a.ndim != 2 or not -2 <= dim < 2:
        return None
    else:
        dim &= 1
        try:
            if size < FEW and a.shape[dim] <= LINE:
                made = ways.few((dim,), a)
            elif a.flags.c_contiguous:
                made = enter(ways.narrow if kind is float32 else ways.wide, a, dim)
            else:
                return None
        except (RuntimeError, OverflowError):
            return None
    out = _make(Tensor)
    out._a = made
    out._dtype = kind
    out._buf = out._edge = None
    if input._edge is not None:
        record1(whole.derivative, input, {"dim": dim}, out)
    return out


def _prepared(input: Tensor, dim: Any, dtype: Any, operation: str, kernel: str) -> tuple[Tensor, int]:
    to = as_dtype(dtype, operation)
    if to is not None and to is not input._dtype:
        input = input.to(to)
    dim = one_dim(dim, input._a.ndim, operation)
    if input._a.size:
        refuse_kinds(kernel, input, BOOL, INTEGER, COMPLEX)
    return input, dim


@public(out=same_dtype)
def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) divided by its sum along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0., 0.]).softmax(0)
        tensor([0.5000, 0.5000])
    """
    if dtype is None:
        out = _short(_SOFTMAX, softmax_dim, input, dim)
        if out is not None:
            return out
    input, dim = _prepared(input, dim, dtype, "softmax", "softmax_kernel_impl")
    return real_gradient("_softmax", softmax_dim(input, dim=dim))


@public(out=same_dtype)
def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of softmax, without its loss of small terms.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0., 0.]).log_softmax(0)
        tensor([-0.6931, -0.6931])
    """
    if dtype is None:
        out = _short(_LOG_SOFTMAX, log_softmax_dim, input, dim)
        if out is not None:
            return out
    input, dim = _prepared(input, dim, dtype, "log_softmax", "log_softmax_kernel_impl")
    return real_gradient("_log_softmax", log_softmax_dim(input, dim=dim))


softmax.method = short_method(softmax, functools.partial(_short, _SOFTMAX, softmax_dim))
log_softmax.method = short_method(log_softmax, functools.partial(_short, _LOG_SOFTMAX, log_softmax_dim))

# ---- logsumexp ----


def _largest_finite(a: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """The largest (real part), kept at size one, and zero where that is infinite."""
    top = np.maximum.reduce(a.real, dims, None, None, True, initial=-np.inf)
    return np.where(np.isinf(top), np.zeros_like(top), top)


def _logsumexp_vjp(g: Any, x: Any, out: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    out = restore(out, x.shape, dims, keepdim)
    return restore(g, x.shape, dims, keepdim) * (x - out).exp().conj()


@primitive("Logsumexp", vjp=(_logsumexp_vjp,), row_major=True)
def logsumexp_dims(x, *, dims, keepdim):
    a = _single(x)
    top = _largest_finite(a, dims)
    out = np.log(sum_mapped(lambda part, high: np.exp(part - high), dims, a, top)) + top
    out = out if keepdim else out.reshape([n for d, n in enumerate(x.shape) if d not in dims])
    return narrowed(np.asarray(out), x.dtype)


def _into_floating(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    kind = outs[0]._dtype
    if kind.category < FLOATING:
        raise RuntimeError(
            f"logsumexp(): Expected floating point type for result tensor, but got: {kind.legacy}"
        )
    return plain(*args, **kwargs)


@public(out=_into_floating)
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) over the dimensions `dim`, without overflow. Integers are taken as floats.

    Raises:
        TypeError: `dim` is no dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1000., 1000.]).logsumexp(0)
        tensor(1000.6932)
    """
    if dim is None:
        raise errors.WrongArgument("dim", "tuple of ints", dim)
    if dim in ((), []) and input._a.ndim and not keepdim:
        raise RuntimeError(f"output with shape [] doesn't match the broadcast shape {[1] * input._a.ndim}")
    if input._dtype.category < FLOATING:
        input = input.to(default_float(input._dtype))
    dims = reduced_dims(dim, input._a.ndim, "logsumexp")
    return logsumexp_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "logsumexp"))


# ---- logcumsumexp ----


def _log_add(x: Any, y: Any) -> Any:
    """log(exp(x) + exp(y)) for complex x and y, from the one with the larger real part."""
    swap = x.real < y.real
    low, high = np.where(swap, x, y), np.where(swap, y, x)
    both_infinite = (low == high) & np.isinf(high.real)
    return np.where(both_infinite, high, high + np.log1p(np.exp(low - high)))


def _logcumsumexp(a: np.ndarray, dim: int) -> np.ndarray:
    if a.dtype.kind != "c":
        return np.logaddexp.accumulate(a, dim, np.float64)
    out = a.astype(np.complex128)
    lines = np.moveaxis(out, dim, 0)
    for k in range(1, len(lines)):
        lines[k] = _log_add(lines[k - 1], lines[k])
    return out


def _logcumsumexp_vjp(g: Any, x: Any, out: Any, dim: int) -> Any:
    """sum over j >= k of g[j] exp(x[k] - out[j]): the two signs of g apart, each as logarithms."""
    if not x._a.ndim or not x._a.size:
        return g
    if x._dtype.category == COMPLEX:
        log_g = g.conj().log()
        return (_reversed(log_g - out, dim) + x).exp().conj()
    nothing = g.new_full((), finfo(g._dtype).min)  # not -inf, whose difference with itself is nan
    positive = g.abs().log().where(g > 0, nothing)
    negative = g.abs().log().where(g < 0, nothing)
    return (_reversed(positive - out, dim) + x).exp() - (_reversed(negative - out, dim) + x).exp()


def _reversed(x: Any, dim: int) -> Any:
    return x.flip(dim).logcumsumexp(dim).flip(dim)


@primitive("Logcumsumexp", vjp=(_logcumsumexp_vjp,))
def logcumsumexp_dim(x, *, dim):
    return lifted(lambda a: _logcumsumexp(a, dim).astype(a.dtype, "C"), x)


@public(out=same_scalar_type)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log(cumsum(exp(x))) along `dim`, without overflow.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2).logcumsumexp(0)
        tensor([0.0000, 0.6931])
    """
    dim = one_dim(dim, input._a.ndim, "logcumsumexp")
    refuse_kinds("logcumsumexp_out_cpu", input, BOOL, INTEGER)
    return logcumsumexp_dim(input, dim=dim)
