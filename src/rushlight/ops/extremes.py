"""Largest and smallest: of all elements, along dimensions, of two tensors, and running."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors, return_types
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BOOL, COMPLEX, float32, float64, int64
from rushlight.graph.expr import array_of
from rushlight.ops.kinds.reduction import (
    NOT_GIVEN,
    check_keepdim,
    check_nonempty,
    kept,
    one_dim,
    reduced_dims,
    refuse_kinds,
    restore,
    same_dtype,
)
from rushlight.ops.kinds.short import (
    SMALL,
    Loops,
    largest,
    lines,
    looped,
    short_lines,
    short_method,
    short_reduction,
    smallest,
)
from rushlight.ops.kinds.strict import real_gradient
from rushlight.ops.positions import along
from rushlight.ops.spec import primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.deferral import reduced
from rushlight.runtime.execute import quiet
from rushlight.runtime.merging import Loop
from rushlight.runtime.repeated import FEW, repeated
from rushlight.tape.derivative import NOT_DIFFERENTIABLE
from rushlight.tape.modes import direct
from rushlight.tape.recording import record, record1

_make = object.__new__
_ARGMAX, _ARGMIN = np.ndarray.argmax, np.ndarray.argmin

# Note [Ties]: where several elements are the largest, amax, aminmax and max() share the gradient
# evenly among them; max(dim) gives it to the one whose index it returns, the first.

# ---- values ----


def _shared(g: Any, x: Any, out: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    if direct(g) and x.shape:
        whole = kept(x.shape, dims)
        made = quiet(_shares, g._a.reshape(whole), np.equal(x._a, out._a.reshape(whole)), dims)
        return new_tensor(made, g._dtype)
    mask = x == restore(out, x.shape, dims, keepdim)
    return restore(g, x.shape, dims, keepdim) * mask / mask.sum(dims, True)


def _shares(g: np.ndarray, hits: np.ndarray, dims: Any) -> np.ndarray:
    """The gradient, evenly among the hits; nan where there are none: the values were written to unseen."""
    return np.asarray(hits * (g / np.add.reduce(hits, dims, g.dtype, None, True)))


def _shares_of_all(g: np.ndarray, x: np.ndarray, top: np.ndarray) -> np.ndarray:
    hits = np.equal(x, top) if top == top else np.isnan(x)
    made = np.zeros(x.shape, g.dtype)
    np.copyto(made, g / np.add.reduce(hits, None, g.dtype), where=hits)
    return made


def shared_by_all(g: Any, x: Any, out: Any) -> Any:
    """The gradient, evenly among the elements that are the largest; none if no element is any more."""
    if direct(g):
        return new_tensor(quiet(_shares_of_all, g._a, x._a, out._a), g._dtype)
    mask = x == out
    if out.isnan().item():
        mask = x.isnan()
    return g.new_zeros(x.shape).masked_fill(mask, g / mask.sum())


def _reduced(ufunc: np.ufunc, x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    made = reduced(_LOOPS[ufunc], (x,), dims, keepdim, to=x.dtype)
    if made is not None:
        return made
    return np.asarray(ufunc.reduce(x, dims, None, None, keepdim))  # type: ignore[call-arg]


#: one function for each, so that equal kernels are found again
def _greatest(a: np.ndarray) -> Any:
    return np.maximum.reduce(a)


def _least(a: np.ndarray) -> Any:
    return np.minimum.reduce(a)


_LOOPS = {np.maximum: _greatest, np.minimum: _least}
_READY = {ufunc: Loops(loop, to=lambda kind: kind) for ufunc, loop in _LOOPS.items()}


def _loop_of(ufunc: np.ufunc) -> Callable:
    def loop(a: np.ndarray, dims: tuple[int, ...] | None = None, keepdim: bool = False) -> Loop:
        return Loop(_LOOPS[ufunc], tuple(range(a.ndim)) if dims is None else dims, keepdim, a.dtype, {})

    return loop


_LARGEST, _SMALLEST = _loop_of(np.maximum), _loop_of(np.minimum)


def _of_lines(ufunc: np.ufunc) -> Callable[..., np.ndarray]:
    def reduce(a: np.ndarray, dim: int | None) -> np.ndarray:
        return ufunc.reduce(a, dim)

    return repeated(("extreme", ufunc), reduce)


#: of few elements
_SMALL = {ufunc: _of_lines(ufunc) for ufunc in _LOOPS}


@primitive("Amax", vjp=(_shared,), row_major=True, loop=_LARGEST)
def amax_dims(x, *, dims, keepdim):
    return _reduced(np.maximum, x, dims, keepdim)


@primitive("Amin", vjp=(_shared,), row_major=True, loop=_SMALLEST)
def amin_dims(x, *, dims, keepdim):
    return _reduced(np.minimum, x, dims, keepdim)


@primitive("MaxBackward1", vjp=(shared_by_all,), loop=_LARGEST)
def max_all(x):
    return _reduced(np.maximum, x, tuple(range(x.ndim)), False)


@primitive("MinBackward1", vjp=(shared_by_all,), loop=_SMALLEST)
def min_all(x):
    return _reduced(np.minimum, x, tuple(range(x.ndim)), False)


def _input_dtype(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    result = plain(*args, **kwargs)
    if outs[0]._dtype is not result._dtype:
        raise RuntimeError(
            f"Expected the dtype for input and out to match, but got {result._dtype.legacy} for input's dtype and "
            f"{outs[0]._dtype.legacy} for out's dtype."
        )
    return result


@public(out=_input_dtype)
def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element of all, or over the dimensions `dim`; nan if there is one.

    Raises:
        IndexError: a reduced dimension is empty.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 5.], [3., 2.]]).amax(1)
        tensor([5., 3.])
    """
    out = _short(np.maximum, amax_dims, input, dim, keepdim)
    if out is not None:
        return out
    return real_gradient("amax", _over(input, dim, keepdim, amax_dims, "amax", "max_values_cpu"))


@public(out=_input_dtype)
def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element of all, or over the dimensions `dim`; nan if there is one.

    Raises:
        IndexError: a reduced dimension is empty.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 5.], [3., 2.]]).amin(1)
        tensor([1., 2.])
    """
    out = _short(np.minimum, amin_dims, input, dim, keepdim)
    if out is not None:
        return out
    return real_gradient("amin", _over(input, dim, keepdim, amin_dims, "amin", "min_values_cpu"))


def _short(ufunc: np.ufunc, form: Any, input: Any, dim: Any, keepdim: Any = False) -> Tensor | None:
    """Of few elements, or as a loop of ours did before; None for anything else."""
    if input._a.size < FEW:
        return short_lines(input, dim, keepdim, _SMALL[ufunc], form)
    return looped(input, dim, keepdim, _READY[ufunc], form)


amax.method = short_method(amax, functools.partial(_short, np.maximum, amax_dims))
amin.method = short_method(amin, functools.partial(_short, np.minimum, amin_dims))


def _over(input: Tensor, dim: Any, keepdim: Any, found: Any, operation: str, kernel: str) -> Tensor:
    dims = reduced_dims(dim, input._a.ndim, operation)
    check_nonempty(input._a.shape, dim, dims, operation)
    if input._a.size:
        refuse_kinds(kernel, input, COMPLEX)
    return found(input, dims=dims, keepdim=check_keepdim(keepdim, operation))


# ---- values and where they are ----


def selected(g: Any, x_meta: Any, out1: Any, dim: int, keepdim: bool) -> Any:
    """The gradient of a result that picks elements along `dim`: each goes back to its place."""
    g = g[0]
    if x_meta.shape and direct(g):
        return new_tensor(_placed(g._a, out1._a, x_meta.shape, dim, keepdim), g._dtype)
    if not keepdim and x_meta.shape:
        g, out1 = g.unsqueeze(dim), out1.unsqueeze(dim)
    return g.new_zeros(x_meta.shape).scatter(dim, out1, g)


def _placed(g: np.ndarray, at: np.ndarray, shape: tuple, dim: int, keepdim: bool) -> np.ndarray:
    """Zeros with each gradient at its place along `dim`."""
    if len(shape) == 2 and at.size == shape[1 - dim % 2]:  # one for each line
        out = np.zeros(shape, g.dtype)
        at, each = at.reshape(-1), np.arange(at.size)
        out[(each, at) if dim % 2 else (at, each)] = g.reshape(-1)
        return out
    if not keepdim:
        g, at = np.expand_dims(g, dim), np.expand_dims(at, dim)
    out = np.zeros(shape, g.dtype)
    out[along(at, dim)] = g
    return out


def _pick(a: np.ndarray, dim: int, keepdim: bool, reach: Any, where: Callable) -> tuple:
    a = array_of(a)
    if not a.ndim:
        return a.copy(), np.zeros((), np.int64)
    if not a.size:
        shape = [1 if d == dim else n for d, n in enumerate(a.shape) if keepdim or d != dim]
        return np.empty(shape, a.dtype), np.empty(shape, np.int64)
    x = single(a)
    values = np.asarray(reach.reduce(x, dim, None, None, keepdim)).astype(a.dtype, copy=False)
    return values, np.asarray(where(x, dim, None, keepdims=keepdim))


@primitive("MaxBackward0", several=True, differentiable=(0,), vjp=(selected,), row_major=True)
def max_dim(x, *, dim, keepdim):
    return _pick(x, dim, keepdim, np.maximum, _ARGMAX)


@primitive("MinBackward0", several=True, differentiable=(0,), vjp=(selected,), row_major=True)
def min_dim(x, *, dim, keepdim):
    return _pick(x, dim, keepdim, np.minimum, _ARGMIN)


def _values_and_places(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    return (same_dtype if len(outs) > 1 else _plainly)(plain, outs, args, kwargs)


def _plainly(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    return plain(*args, **kwargs)


@public(out=_values_and_places)
def max(input: Tensor, dim: Any = NOT_GIVEN, keepdim: Any = NOT_GIVEN, *, other: Any = None) -> Any:
    """The largest element; with `dim` the largest along it and their indices; of two tensors elementwise.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([[1., 5.], [3., 2.]])
        >>> x.max()
        tensor(5.)
        >>> x.max(1).indices
        tensor([1, 0])
    """
    return _extreme(input, dim, keepdim, other, "max")


@public(out=_values_and_places)
def min(input: Tensor, dim: Any = NOT_GIVEN, keepdim: Any = NOT_GIVEN, *, other: Any = None) -> Any:
    """The smallest element; with `dim` the smallest along it and their indices; of two tensors elementwise.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([[1., 5.], [3., 2.]])
        >>> x.min()
        tensor(1.)
        >>> x.min(1).indices
        tensor([0, 1])
    """
    return _extreme(input, dim, keepdim, other, "min")


_ALL = {"max": max_all, "min": min_all}
_DIM = {"max": max_dim, "min": min_dim}
_RESULT = {"max": return_types.max, "min": return_types.min}


_OF_LINE = {"max": largest, "min": smallest}
_FIND = {"max": _ARGMAX, "min": _ARGMIN}
_INT64 = np.dtype(np.int64)


#: elements of a matrix whose extremes are found by where they are alone: to compare values once more takes as long
_MATRIX = 4096
_LINES = np.arange(_MATRIX)


def _short_extreme(input: Any, dim: int, keepdim: bool, operation: str) -> Any:
    """Of a small float matrix, without any generic layer; None for anything else."""
    a, kind = input._a, input._dtype
    if (
        not 0 < a.size <= _MATRIX
        or a.ndim != 2
        or not -2 <= dim < 2
        or kind is not float32
        and kind is not float64
    ):
        return None
    dim &= 1
    if a.size > SMALL:
        values, at = _of_matrix(array_of(a), dim, keepdim, _FIND[operation])
    elif keepdim:
        return None
    else:
        found, of_line = [*lines(a, dim)], _OF_LINE[operation]
        try:
            numbers = [*map(of_line, found)]
        except ValueError:
            return None
        values = np.array(numbers, kind.numpy)
        at = np.array([line.index(value) for line, value in zip(found, numbers)], _INT64)
    made = new_tensor(values, kind), new_tensor(at, int64)
    if input._edge is not None:
        record(_DIM[operation].derivative, (input,), {"dim": dim, "keepdim": keepdim}, made)
    return tuple.__new__(_RESULT[operation], made)


def _of_matrix(a: np.ndarray, dim: int, keepdim: bool, find: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The extremes of the lines along a dimension, and where they are: the first, or the first nan."""
    at = find(a, dim)
    each = _LINES[: len(at)]
    values = a[each, at] if dim else a[at, each]
    if keepdim:
        shape = (-1, 1) if dim else (1, -1)
        return values.reshape(shape), at.reshape(shape)
    return values, at


def _extreme(input: Tensor, dim: Any, keepdim: Any, other: Any, operation: str) -> Any:
    """The three forms of max and min, told apart by the type of the second argument."""
    if other is None and isinstance(dim, Tensor) and keepdim is NOT_GIVEN:
        other, dim = dim, NOT_GIVEN
    if other is not None:
        if dim is not NOT_GIVEN or keepdim is not NOT_GIVEN or not isinstance(other, Tensor):
            raise errors.WrongArgument("other", "int or Tensor", other, True)
        return input.maximum(other) if operation == "max" else input.minimum(other)
    if dim is NOT_GIVEN:
        if keepdim is not NOT_GIVEN:
            raise errors.WrongArgument("keepdim", "int or Tensor", keepdim, True)
        check_nonempty(input._a.shape, None, tuple(range(input._a.ndim)), operation)
        refuse_kinds(f"{operation}_all", input, COMPLEX)
        return _ALL[operation](input)
    if type(dim) is int and (keepdim is NOT_GIVEN or type(keepdim) is bool):
        made = _short_extreme(input, dim, keepdim is True, operation)
        if made is not None:
            return made
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise errors.WrongArgument("dim", "int or Tensor", dim, True)
    dim = one_dim(dim, input._a.ndim, operation)
    keepdim = check_keepdim(False if keepdim is NOT_GIVEN else keepdim, operation)
    check_nonempty(input._a.shape, dim, (dim,) if input._a.ndim else (), operation)
    if input._dtype.category == COMPLEX:
        raise RuntimeError(f"{operation}(): does not support complex input")
    refuse_kinds(f"{operation}_cpu", input)
    return _RESULT[operation](_DIM[operation](input, dim=dim, keepdim=keepdim))


def _hot(call: Callable, argument: Callable, found: Any) -> Callable:
    """The method without arguments on a small float tensor: NumPy's argmax costs a third of its maximum.reduce."""
    derivative = found.derivative
    array, ndarray = np.array, np.ndarray

    def method(self: Tensor, *args: Any, **more: Any) -> Any:
        a = self._a
        kind = self._dtype
        if args or more or not 0 < a.size <= 4096 or kind is not float32 and kind is not float64:
            return call(self, *args, **more)
        if type(a) is not ndarray:
            a = array_of(a)
        out = _make(Tensor)
        out._a = array(a.item(argument(a)), kind.numpy)
        out._dtype = kind
        out._buf = out._edge = None
        if self._edge is not None:
            record1(derivative, self, None, out)
        return out

    return method


max.method = _hot(max, _ARGMAX, max_all)
min.method = _hot(min, _ARGMIN, min_all)

# ---- both at once ----


def _aminmax_vjp(g: Any, x: Any, out: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    parts = [_shared(part, x, found, dims, keepdim) for part, found in zip(g, out) if part is not None]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


@primitive("Aminmax", several=True, vjp=(_aminmax_vjp,), row_major=True)
def aminmax_dims(x, *, dims, keepdim):
    low, high = (f.reduce(x, dims, None, None, keepdim) for f in (np.minimum, np.maximum))
    return np.asarray(low), np.asarray(high)


@public(out=same_dtype)
def aminmax(input: Tensor, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, of all or along `dim`.

    Raises:
        RuntimeError: there is no element.
        IndexError: the dimension has no element.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 1., 2.]).aminmax().min
        tensor(1.)
    """
    a = input._a
    if dim is None and keepdim is False and input._edge is None:
        both = (
            short_reduction(input, None, False, smallest, None),
            short_reduction(input, None, False, largest, None),
        )
        if both[0] is not None:
            return tuple.__new__(return_types.aminmax, both)
    if dim is None:
        if not a.size:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        dims = tuple(range(a.ndim))
        refuse_kinds("aminmax_cpu", input, COMPLEX)
    else:
        dims = (one_dim(dim, a.ndim, "aminmax"),) if a.ndim else reduced_dims(dim, 0, "aminmax")
        if dims and not a.shape[dims[0]]:
            raise IndexError(f"aminmax: Expected reduction dim {dims[0]} to have non-zero size.")
        refuse_kinds("aminmax_cpu", input, COMPLEX)
    return return_types.aminmax(aminmax_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "aminmax")))


# ---- where ----


def _where(a: np.ndarray, dim: int | None, keepdim: bool, find: Callable) -> np.ndarray:
    a = single(array_of(a))
    if dim is None:
        return np.array(find(a)).reshape((1,) * a.ndim if keepdim else ())
    if not a.ndim:
        return np.zeros((), np.int64)
    if not a.size:
        return np.empty(
            [1 if d == dim else n for d, n in enumerate(a.shape) if keepdim or d != dim], np.int64
        )
    return np.asarray(find(a, dim, None, keepdims=keepdim))


@primitive("Argmax", vjp=NOT_DIFFERENTIABLE)
def argmax_dim(x, *, dim, keepdim):
    return _where(x, dim, keepdim, _ARGMAX)


@primitive("Argmin", vjp=NOT_DIFFERENTIABLE)
def argmin_dim(x, *, dim, keepdim):
    return _where(x, dim, keepdim, _ARGMIN)


@public(out=same_dtype)
def argmax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, the first if there are several: of all, flattened, or along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 5.], [3., 2.]]).argmax(0)
        tensor([1, 0])
    """
    return _argument(input, dim, keepdim, argmax_dim, "argmax")


@public(out=same_dtype)
def argmin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, the first if there are several: of all, flattened, or along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 5.], [3., 2.]]).argmin(0)
        tensor([0, 1])
    """
    return _argument(input, dim, keepdim, argmin_dim, "argmin")


_FINDS = {"argmax": _ARGMAX, "argmin": _ARGMIN}


def _argument(input: Tensor, dim: Any, keepdim: Any, find: Any, operation: str) -> Tensor:
    kind, a = input._dtype, array_of(input._a)
    if keepdim is False and a.size and (kind is float32 or kind is float64 or kind is int64):
        if dim is None:
            return new_tensor(np.array(_FINDS[operation](a)), int64)
        if type(dim) is int and a.ndim == 2 and -2 <= dim < 2:
            return new_tensor(_FINDS[operation](a, dim), int64)
    for category, word in ((COMPLEX, "complex"), (BOOL, "bool")):
        if kind.category == category:
            raise RuntimeError(f"{operation}(): does not support {word} input")
    keepdim = check_keepdim(keepdim, operation)
    if dim is not None:
        dim = one_dim(dim, input._a.ndim, operation)
        check_nonempty(input._a.shape, dim, (dim,) if input._a.ndim else (), operation)
    elif not input._a.size:
        raise IndexError(f"{operation}(): Expected reduction dim to be specified for input.numel() == 0.")
    refuse_kinds(f"{operation}_cpu", input)
    return find(input, dim=dim, keepdim=keepdim)
