"""Spread: standard deviation, variance, covariance, correlation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BOOL, BY_NUMPY, FLOATING, INTEGER
from rushlight.graph.expr import array_of
from rushlight.ops.kinds.reduction import (
    NOT_GIVEN,
    added,
    check_keepdim,
    count_of,
    kept,
    mean_over,
    narrowed,
    reduced_dims,
    restore,
    rounded_by_loops,
    spread,
    sum_mapped,
)
from rushlight.ops.kinds.short import SMALL, short_lines, short_method, short_reduction
from rushlight.ops.spec import primitive, public
from rushlight.runtime.deferral import reduced
from rushlight.runtime.execute import quiet
from rushlight.runtime.merging import Loop
from rushlight.runtime.repeated import LINE, repeated
from rushlight.tape.modes import direct

# ---- values: distances to a center, and their squares, in float64 ----


def _squared_distance(a: np.ndarray, center: np.ndarray) -> np.ndarray:
    away = a - center
    return away.real**2 + away.imag**2 if away.dtype.kind == "c" else away * away


def _about(a: np.ndarray, center: np.ndarray, freedom: float, root: bool) -> Any:
    """The variance of elements whose mean is known, or its root."""
    variance = added(_squared_distance(a, center)) / freedom
    return np.sqrt(variance) if root else variance


_LARGEST = float(np.finfo(np.float64).max)
#: elements of a line at most that registers hold from the first pass to the last
_FEW = 8


def _about_own_mean(a: np.ndarray, count: int, freedom: float, root: bool, center: bool) -> Any:
    wide = a.astype(np.float64)
    mean = np.add.reduce(wide) / count
    away = wide - mean
    squares = np.add.reduce(away * away)
    if a.dtype == np.float64:
        rest = np.add.reduce(away)
        # (what the mean's rounding leaves to the distances; squares may be too large for that)
        squares = np.where(squares <= _LARGEST, np.maximum(squares - rest * (rest / count), 0.0), squares)
        variance = squares / freedom
    else:  # (rounded to fewer digits: and of so few elements, divisions would take longer than memory)
        variance = squares * (1 / freedom)
    variance = np.sqrt(variance) if root else variance
    return (variance, mean) if center else variance


def _of_few(x: Any, dims: tuple[int, ...], count: int, freedom: float, root: bool, center: bool) -> Any:
    """Variance, or its root, and mean if asked for, of lines of a few elements, which are read once; None where that is no loop."""
    if not _is_few(x, dims, count):
        return None
    attrs = {"count": count, "freedom": freedom, "root": root, "center": center}
    return reduced(_about_own_mean, (x,), dims, True, attrs, None if center else rounded_by_loops(x.dtype))


def _is_few(x: Any, dims: tuple[int, ...], count: int) -> bool:
    return len(dims) == 1 and 1 < count <= _FEW and x.dtype in (np.float32, np.float64)


#: elements over which a variance may be computed in one pass
_ONE_PASS = 1 << 24


def _moments(a: np.ndarray, first: np.ndarray, count: int, freedom: float, root: bool, center: bool) -> Any:
    away = a.astype(np.float64) - first
    total, squares = np.add.reduce(away), np.add.reduce(away * away)
    mean = total / count
    variance = np.maximum(squares - total * mean, 0.0) / freedom
    variance = np.sqrt(variance) if root else variance
    return (variance, mean) if center else variance


def _in_one_pass(x: Any, dims: tuple[int, ...], count: int, freedom: float, root: bool, center: bool) -> Any:
    """Variance, or its root, and mean if asked for, of numbers narrower than float64; None where that is no loop.

    Distances are taken to the first of the elements (Chan, Golub and LeVeque, "Algorithms for computing the sample
    variance", Am. Statistician 37, 1983): what cancels is at most `count` times the result, for the square of an element's
    distance to the mean is at most `count` times the variance; and float64 has digits to spare for that.
    """
    if not _fits_one_pass(x, count):
        return None
    x = array_of(x)
    first = _first(x, dims)
    attrs = {"count": count, "freedom": freedom, "root": root, "center": center}
    made = reduced(_moments, (x, first), dims, True, attrs, None if center else rounded_by_loops(x.dtype))
    return (made[0], first + made[1]) if center and made is not None else made


def _fits_one_pass(x: Any, count: int) -> bool:
    return x.dtype.kind == "f" and x.itemsize <= 4 and 1 < count <= _ONE_PASS


#: float64 elements from which on a variance is worth being computed in one pass, and those that a first guess of the mean is made of
_WORTH, _GUESSED = 1 << 20, 128


def _near(a: np.ndarray, guess: np.ndarray, count: int, freedom: float, root: bool) -> Any:
    """Variance, or its root, from distances to a guess of the mean; and whether less than a bit of it is lost."""
    away = a - guess
    total, squares = np.add.reduce(away), np.add.reduce(away * away)
    common = total * (total / count)
    variance = np.maximum(squares - common, 0.0) / freedom
    return np.sqrt(variance) if root else variance, (common <= squares * 0.25) & (squares <= _LARGEST)


def _guess(x: Any, dims: tuple[int, ...]) -> np.ndarray | None:
    """The mean of some elements, if there are so many that it is worth to compute it first."""
    if x.dtype != np.float64 or x.size < _WORTH:
        return None
    longest = max(dims, key=lambda d: x.shape[d], default=None)
    if longest is None or x.shape[longest] < 16 * _GUESSED:
        return None
    some = [slice(0, 1 if d in dims else None) for d in range(x.ndim)]
    some[longest] = slice(0, _GUESSED)
    return mean_over(array_of(x)[tuple(some)], dims, True)


def _near_a_guess(
    x: Any, guess: np.ndarray, dims: tuple[int, ...], freedom: float, root: bool
) -> np.ndarray | None:
    """The variance of large float64 arrays, or its root, which are read once where the mean of some elements is near that of
    all: within half a deviation. Where it is not, distances are taken to the mean itself. None where that is no loop."""
    x = array_of(x)
    attrs = {"count": count_of(x.shape, dims), "freedom": freedom, "root": root}
    made = reduced(_near, (x, guess), dims, True, attrs)
    if made is None:
        return None
    variance, sound = made
    if not sound.all():
        exact = _about_mean(x, mean_over(x, dims, True), dims, freedom, root)
        np.copyto(variance, exact, where=~sound)
    return variance


def _about_mean(x: Any, center: np.ndarray, dims: tuple[int, ...], freedom: float, root: bool) -> np.ndarray:
    """The variance, or its root, of elements whose mean is known."""
    variance = reduced(_about, (x, center), dims, True, {"freedom": freedom, "root": root})
    if variance is None:
        variance = np.true_divide(sum_mapped(_squared_distance, dims, x, center), freedom)
        variance = np.sqrt(variance) if root else variance
    return variance


def _first(x: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    return x[tuple([slice(0, 1) if d in dims else slice(None) for d in range(x.ndim)])]


def _loop_of(root: bool) -> Callable:
    def loop(
        x: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool, whole: bool
    ) -> Loop | None:
        count = count_of(x.shape, dims)
        freedom = float(max(count - correction, 0))
        attrs = {"count": count, "freedom": freedom, "root": root}
        if _is_few(x, dims, count):
            # (sums beside it, alone, take up a matrix's elements in this order, too)
            attrs["center"] = False
            return Loop(_about_own_mean, dims, keepdim, x.dtype, attrs) if x.ndim == 2 else None
        guess = _guess(x, dims)
        if guess is not None:
            alone = partial(_finished_near, x, guess, dims, freedom, root, keepdim)
            return Loop(_near, dims, keepdim, x.dtype, attrs, (guess,), alone)
        if not x.size or not _fits_one_pass(x, count):
            return None
        attrs["center"] = False
        return Loop(_moments, dims, keepdim, x.dtype, attrs, (_first(x, dims),))

    return loop


def _spread(
    x: np.ndarray, dims: tuple[int, ...], correction: float, root: bool = False, mean: bool = False
) -> Any:
    """Variance, or its root, over `dims`, kept at size one, and the mean if asked for; in the accumulating type, or
    rounded already."""
    count = count_of(x.shape, dims)
    freedom = float(max(count - correction, 0))
    made = _of_few(x, dims, count, freedom, root, mean)
    if made is None:
        made = _in_one_pass(x, dims, count, freedom, root, mean)
    if made is None and not mean:
        guess = _guess(x, dims)
        made = None if guess is None else _near_a_guess(x, guess, dims, freedom, root)
    if made is not None:
        return made
    center = mean_over(x, dims, True)
    variance = _about_mean(x, center, dims, freedom, root)
    return (variance, center) if mean else variance


def _finished(a: np.ndarray, x: np.ndarray, dims: tuple[int, ...], keepdim: bool, real: bool) -> np.ndarray:
    kind = BY_NUMPY[x.dtype]
    a = narrowed(a, (kind.to_real() if real else kind).numpy)
    return a if keepdim else a.reshape([n for d, n in enumerate(x.shape) if d not in dims])


def _finished_near(
    x: np.ndarray, guess: np.ndarray, dims: tuple[int, ...], freedom: float, root: bool, keepdim: bool
) -> np.ndarray:
    variance = quiet(_near_a_guess, x, guess, dims, freedom, root)
    if variance is None:
        variance = quiet(_about_mean, x, mean_over(x, dims, True), dims, freedom, root)
    return _finished(variance, x, dims, keepdim, True)


# ---- derivatives ----


def _scaled_distance(x: np.ndarray, dims: tuple[int, ...], scale: np.ndarray) -> np.ndarray:
    away = x - mean_over(x, dims, True)
    away *= scale
    return narrowed(away, x.dtype)


def _half_quotient(g: np.ndarray, out: np.ndarray) -> np.ndarray:
    """g / (2 out), and 0 where out is."""
    made = np.asarray(g / (out * out.dtype.type(2)))
    made[out == 0] = 0
    return made


def _var_vjp(g: Any, x: Any, dims: tuple, correction: float, keepdim: bool, whole: bool) -> Any:
    freedom = count_of(x.shape, dims) - correction
    if freedom > 0 and direct(g) and x.shape:
        scale = g._a.reshape(kept(x.shape, dims)) * (2 / freedom)
        return new_tensor(quiet(_scaled_distance, x._a, dims, scale), x._dtype)
    away = x - x.mean(dims, True)
    if whole and freedom <= 0:
        return g * (x * 0).masked_fill(away == 0, math.nan).masked_fill(away != 0, math.inf)
    scale = 2 / freedom if freedom else math.inf
    return restore(g, x.shape, dims, keepdim) * scale * away


def _std_vjp(g: Any, x: Any, out: Any, dims: tuple, correction: float, keepdim: bool, whole: bool) -> Any:
    if direct(g):
        half = new_tensor(quiet(_half_quotient, g._a, out._a), g._dtype)
        return _var_vjp(half, x, dims, correction, keepdim, whole)
    g = (g / (out * 2)).masked_fill(out == 0, 0)
    return _var_vjp(g, x, dims, correction, keepdim, whole)


def _with_mean(g: Any, x: Any, part: Any, dims: tuple, keepdim: bool) -> Any:
    if g[1] is None:
        return part
    of_mean = spread(g[1], x.shape, dims, keepdim) / count_of(x.shape, dims)
    return of_mean if part is None else part + of_mean


def _var_mean_vjp(g: Any, x: Any, dims: tuple, correction: float, keepdim: bool, whole: bool) -> Any:
    part = None if g[0] is None else _var_vjp(g[0], x, dims, correction, keepdim, whole)
    return _with_mean(g, x, part, dims, keepdim)


def _std_mean_vjp(
    g: Any, x: Any, out: Any, dims: tuple, correction: float, keepdim: bool, whole: bool
) -> Any:
    part = None if g[0] is None else _std_vjp(g[0], x, out[0], dims, correction, keepdim, whole)
    return _with_mean(g, x, part, dims, keepdim)


# ---- operations ----


@primitive("Var", vjp=(_var_vjp,), row_major=True, loop=_loop_of(False))
def var_dims(x, *, dims, correction, keepdim, whole):
    return _finished(_spread(x, dims, correction), x, dims, keepdim, True)


@primitive("Std", vjp=(_std_vjp,), row_major=True, loop=_loop_of(True))
def std_dims(x, *, dims, correction, keepdim, whole):
    return _finished(_spread(x, dims, correction, True), x, dims, keepdim, True)


@primitive("VarMean", several=True, vjp=(_var_mean_vjp,), row_major=True)
def var_mean_dims(x, *, dims, correction, keepdim, whole):
    var, center = _spread(x, dims, correction, False, True)
    return _finished(var, x, dims, keepdim, True), _finished(center, x, dims, keepdim, False)


@primitive("StdMean", several=True, vjp=(_std_mean_vjp,), row_major=True)
def std_mean_dims(x, *, dims, correction, keepdim, whole):
    std, center = _spread(x, dims, correction, True, True)
    return _finished(std, x, dims, keepdim, True), _finished(center, x, dims, keepdim, False)


def _arguments(input: Tensor, dim: Any, unbiased: Any, keepdim: Any, correction: Any, operation: str) -> dict:
    """The three forms: (unbiased), (dim, unbiased, keepdim) and (dim, *, correction, keepdim)."""
    if isinstance(dim, bool):
        if unbiased is not None or correction is not None:
            raise errors.WrongArgument("unbiased", "bool", unbiased, True)
        dim, unbiased = NOT_GIVEN, dim
    if unbiased is not None and (correction is not None or not isinstance(unbiased, bool)):
        raise errors.WrongArgument("unbiased", "bool", unbiased, True)
    keepdim = check_keepdim(keepdim, operation)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    if isinstance(correction, bool) or not isinstance(correction, (int, float, np.number)):
        raise errors.WrongArgument("correction", "Number", correction, True)
    if input._dtype.category < FLOATING:
        who = operation if operation.endswith("_mean") else "std and var"
        raise RuntimeError(f"{who} only support floating point and complex dtypes")
    dims = reduced_dims(dim, input._a.ndim, operation)
    if (
        input._a.size
        and count_of(input._a.shape, dims) - correction <= 0
        or 0 in [input._a.shape[d] for d in dims]
    ):
        warnings.warn(
            f"{operation}(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
            "(input numel divided by output numel).",
            stacklevel=4,
        )
    whole = dim is NOT_GIVEN or dim is None or not input._a.ndim
    return {"dims": dims, "correction": correction, "keepdim": keepdim, "whole": whole}


def _mean_of(line: Any) -> float:
    return math.fsum(line) / len(line)


def _of_lines(a: np.ndarray, dim: int | None, root: bool) -> np.ndarray:
    """The variances of a matrix's lines, or of all of it, with n - 1 in the denominator; or their roots."""
    x, along = a.astype(np.float64, "C"), dim
    if along is None:
        x, along = x.reshape(1, -1), 1
    count = x.shape[along]
    sums = np.add.reduce(x, along, None, None, True)
    np.subtract(x, np.divide(sums, count, sums), x)
    sums = np.add.reduce(np.multiply(x, x, x), along)
    np.divide(sums, count - 1, sums)
    if root:
        np.sqrt(sums, sums)
    return narrowed(sums, a.dtype).reshape(() if dim is None else sums.shape)


_SMALL = repeated(("spread",), _of_lines)


def _short(
    input: Any, dim: Any, unbiased: Any, keepdim: Any, correction: Any, root: bool, form: Any
) -> Tensor | None:
    """Of a float matrix of few elements, with n - 1 in the denominator; None for anything else."""
    if unbiased is not None or correction is not None or type(dim) is tuple:
        return None
    a, whole = input._a, dim is NOT_GIVEN or dim is None
    if not whole and (type(dim) is not int or not -a.ndim <= dim < a.ndim):
        return None
    if not 1 < (a.size if whole else a.shape[dim]) <= LINE:
        return None
    return short_lines(input, dim, keepdim, _SMALL, form, root, correction=1, whole=whole)


def _short_with_mean(
    input: Any, dim: Any, unbiased: Any, keepdim: Any, correction: Any, root: bool
) -> tuple | None:
    if input._edge is not None or input._a.size > SMALL:
        return None
    spread = _short(input, dim, unbiased, keepdim, correction, root, None)
    return None if spread is None else (spread, short_reduction(input, dim, keepdim, _mean_of, None))


@public
def var(
    input: Tensor,
    dim: Any = NOT_GIVEN,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    """The variance of all elements, or over the dimensions `dim`: squared distances over n - correction (1).

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2., 3.]).var()
        tensor(1.)
    """
    out = _short(input, dim, unbiased, keepdim, correction, False, var_dims)
    if out is not None:
        return out
    return var_dims(input, **_arguments(input, dim, unbiased, keepdim, correction, "var"))


@public
def std(
    input: Tensor,
    dim: Any = NOT_GIVEN,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    """The standard deviation of all elements, or over the dimensions `dim`; `correction` is 1 unless given.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2., 3.]).std(0, correction=0)
        tensor(0.8165)
    """
    out = _short(input, dim, unbiased, keepdim, correction, True, std_dims)
    if out is not None:
        return out
    return std_dims(input, **_arguments(input, dim, unbiased, keepdim, correction, "std"))


def _method(function: Any, root: bool, form: Any) -> Any:
    return short_method(function, lambda x, dim: _short(x, dim, None, False, None, root, form))


var.method = _method(var, False, var_dims)
std.method = _method(std, True, std_dims)


@public(out=False)
def var_mean(
    input: Tensor,
    dim: Any = NOT_GIVEN,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> tuple[Tensor, Tensor]:
    """Variance and mean in one pass; see `var`."""
    both = _short_with_mean(input, dim, unbiased, keepdim, correction, False)
    if both is not None:
        return both
    return var_mean_dims(input, **_arguments(input, dim, unbiased, keepdim, correction, "var_mean"))


@public(out=False)
def std_mean(
    input: Tensor,
    dim: Any = NOT_GIVEN,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean in one pass; see `std`."""
    both = _short_with_mean(input, dim, unbiased, keepdim, correction, True)
    if both is not None:
        return both
    return std_mean_dims(input, **_arguments(input, dim, unbiased, keepdim, correction, "std_mean"))


# ---- several variables ----


def _weights(given: Any, observations: int, name: str) -> Tensor:
    if given._a.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {given._a.ndim} dimensions"
        )
    if (given._dtype.category == INTEGER) != (name == "fweights") or given._dtype.category > FLOATING:
        wanted = "integral" if name == "fweights" else "floating point"
        raise RuntimeError(
            f"cov(): expected {name} to have {wanted} dtype but got {name} with {given._dtype.legacy} dtype"
        )
    if given._a.size != observations:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input but got "
            f"{given._a.size} != {observations}"
        )
    if observations and (given._a < 0).any():
        raise RuntimeError(f"cov(): {name} cannot be negative")
    return given


@public(out=False, takes={"correction": "int", "fweights": "Tensor?", "aweights": "Tensor?"})
def cov(input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariances of the rows of a matrix, whose columns are observations.

    Raises:
        RuntimeError: more than two dimensions, a bool tensor, or weights that do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.cov(torch.tensor([[0., 1., 2.], [2., 1., 0.]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    if input._a.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {input._a.ndim} dimensions"
        )
    if input._dtype.category == BOOL:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    x = input if input._a.ndim == 2 else input.view(1, -1)
    observations = x._a.shape[1]
    w = None if fweights is None else _weights(fweights, observations, "fweights")
    if aweights is not None:
        a = _weights(aweights, observations, "aweights")
        w = a if w is None else w * a
    total = observations if w is None else w.sum()
    if w is not None and not total._a.any():
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    mean = (x if w is None else x * w).sum(1) / total
    if w is not None and aweights is not None and correction != 0:
        norm = total - correction * (w * aweights).sum() / total
    else:
        norm = total - correction
    if norm <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than the number of observations.",
            stacklevel=3,
        )
        norm = norm * 0
    x = x - mean.unsqueeze(1)
    return (x.mm((x if w is None else x * w).t().conj()) / norm).squeeze()


@public(out=False)
def corrcoef(input: Tensor) -> Tensor:
    """Pearson's correlation coefficients of the rows of a matrix, whose columns are observations.

    Raises:
        RuntimeError: more than two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.corrcoef(torch.tensor([[0., 1., 2.], [2., 1., 0.]]))
        tensor([[ 1., -1.],
                [-1.,  1.]])
    """
    if input._a.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {input._a.ndim} dimensions"
        )
    c = cov(input)
    if not c._a.ndim:
        return c / c
    d = c.diag()
    deviation = (d.real if d._dtype.is_complex else d).sqrt()
    c = c / deviation.view(-1, 1) / deviation.view(1, -1)
    if not c._dtype.is_complex:
        return c.clip(-1, 1)
    return c.real.clip(-1, 1) + 1j * c.imag.clip(-1, 1)
