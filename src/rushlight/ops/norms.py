"""Lengths of vectors: norm, vector_norm, dist."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BOOL, BY_NUMPY, COMPLEX, FLOATING, as_dtype
from rushlight.layout import broadcast
from rushlight.ops.kinds.reduction import (
    cast_first,
    check_keepdim,
    narrowed,
    reduced_dims,
    restore,
    same_dtype,
    sum_mapped,
)
from rushlight.ops.kinds.short import short_reduction
from rushlight.ops.spec import primitive, public
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import direct

# ---- values ----


def _magnitude(a: np.ndarray) -> np.ndarray:
    """The absolute values in the accumulating type."""
    return np.abs(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))


def _squares(a: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "c":
        a = a.astype(np.complex128, copy=False)
        return a.real**2 + a.imag**2
    return np.square(a, dtype=np.float64)


def _norm(x: np.ndarray, ord: float, dims: tuple[int, ...]) -> np.ndarray:
    """The norm over `dims`, kept at size one, in float64."""
    if ord == math.inf:
        return np.maximum.reduce(np.abs(x), dims, None, None, True)
    if ord == -math.inf:
        return np.minimum.reduce(np.abs(x), dims, None, None, True)
    if ord == 2:
        return np.sqrt(sum_mapped(_squares, dims, x))
    if ord == 1:
        return sum_mapped(_magnitude, dims, x)
    if ord == 0:
        return sum_mapped(lambda a: a != a.dtype.type(0), dims, x).astype(np.float64)
    return sum_mapped(lambda a: _magnitude(a) ** ord, dims, x) ** (1.0 / ord)


# ---- derivatives ----


def _along_unit(g: np.ndarray, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """g x / out, and 0 where out is."""
    unit = np.asarray(x / out)
    if np.count_nonzero(out) < out.size:
        np.copyto(unit, 0, where=out == 0)
    return np.asarray(g * unit)


def norm_vjp(g: Any, x: Any, ord: float, out: Any, dims: tuple[int, ...]) -> Any:
    """The gradient of the norm of `x`; `g` and `out` with the reduced dimensions at size one.

    Where the norm is 0 the subgradient 0 is taken.
    """
    if ord == 0:
        return None
    if ord == 1:
        return x.sgn() * g
    if ord == 2:
        if direct(g) and x._dtype is g._dtype:
            return new_tensor(quiet(_along_unit, g._a, x._a, out._a), g._dtype)
        return g * (x / out).masked_fill(out == 0, 0)
    if math.isinf(ord):
        size = x.abs()
        mask = (size == out).logical_or(size.isnan())
        return x.sgn() * (g / mask.sum(dims, True) * mask)
    if ord < 1:
        scaled = x.sgn() * x.abs().pow(ord - 1).masked_fill(x == 0, 0)
        return scaled * g * out.pow(1 - ord)
    scaled = x.sgn() * x.abs().pow(ord - 1) if ord < 2 else x * x.abs().pow(ord - 2)
    return scaled * (g / out.pow(ord - 1)).masked_fill(out == 0, 0)


def _vector_norm_vjp(
    g: Any, x: Any, out: Any, ord: float, dims: tuple[int, ...], keepdim: bool, dtype: Any
) -> Any:
    if dtype is not None:
        x = x.to(dtype)
    g, out = (restore(t, x.shape, dims, keepdim) for t in (g, out))
    return norm_vjp(g, x, ord, out, dims)


def _dist_vjp(g: Any, x: Any, y: Any, out: Any, p: float) -> tuple:
    away = x - y
    at_x = norm_vjp(g, away, p, out, tuple(range(away.ndim)))
    return (None, None) if at_x is None else (at_x, -at_x)


# ---- operations ----


@primitive("LinalgVectorNorm", vjp=(_vector_norm_vjp,), row_major=True)
def vector_norm_dims(x, *, ord, dims, keepdim, dtype):
    out = _norm(cast_first(x, dtype), ord, dims)
    kind = dtype or BY_NUMPY[x.dtype]
    out = narrowed(out, kind.to_real().numpy)
    return out if keepdim else out.reshape([n for d, n in enumerate(x.shape) if d not in dims])


def _length(line: Any) -> float:
    return math.sqrt(math.fsum([x * x for x in line]))


def _absolute_sum(line: Any) -> float:
    return math.fsum(map(abs, line))


#: of a few numbers
_OF_LINE: dict[Any, Any] = {2: _length, 1: _absolute_sum}


def vector_norm(
    input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The `ord`-norm of all elements, or over the dimensions `dim`: what `linalg.vector_norm` computes.

    Raises:
        RuntimeError: integers; a norm without identity (negative or infinite) of no elements.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3., 4.]).norm()
        tensor(5.)
    """
    if dtype is None and ord in _OF_LINE:
        out = short_reduction(
            input, dim, keepdim, _OF_LINE[ord], vector_norm_dims, ord=float(ord), dtype=None
        )
        if out is not None:
            return out
    if input._dtype.category < FLOATING:
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {input._dtype.legacy}"
        )
    to = as_dtype(dtype, "linalg_vector_norm")
    if to is not None and (to.category < FLOATING or to.category != input._dtype.category):
        _refuse_dtype(input, to)
    a = input._a
    dims = reduced_dims(dim, a.ndim, "linalg_vector_norm")
    if ord < 0 or ord == math.inf:
        _check_identity(a.shape, dim, dims, ord)
    attrs = {"dims": dims, "keepdim": check_keepdim(keepdim, "linalg_vector_norm"), "dtype": to}
    return vector_norm_dims(input, ord=float(ord), **attrs)


def _refuse_dtype(input: Tensor, to: Any) -> None:
    kind = "complex" if input._dtype.category == COMPLEX else "real"
    if to.category < FLOATING:
        raise RuntimeError(f"linalg.vector_norm: dtype should be floating point or complex. Got {to.legacy}")
    raise RuntimeError(f"linalg.vector_norm: dtype should be {kind} for {kind} inputs, but got {to.legacy}")


def _check_identity(shape: tuple[int, ...], dim: Any, dims: tuple[int, ...], ord: float) -> None:
    named = f"{ord:g}"
    if dim is None or len(dims) == len(shape):
        if 0 in shape:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {named} norm on an empty tensor because the operation does "
                "not have an identity"
            )
    for d in dims:
        if not shape[d]:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {named} norm on the dimension {d} because this dimension is "
                "empty and the operation does not have an identity"
            )


class _NoLayout(errors.WrongArgument):
    """What PyTorch's norm, being written in Python, says of an input that is no tensor."""

    def worded(self, *call: Any) -> Any:
        return AttributeError(f"'{self.kind}' object has no attribute 'layout'")


@public(out=same_dtype, numpy_names=False)
def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The norm of all elements, or over the dimensions `dim`: a number p, "fro", or "nuc" of a matrix.

    Raises:
        AttributeError: `input` is no tensor.
        RuntimeError: there is no such norm.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[3., 4.], [0., 0.]]).norm(dim=1)
        tensor([5., 0.])
    """
    if not isinstance(input, Tensor):
        raise _NoLayout("input", "Tensor", input)
    if isinstance(p, str):
        if p == "fro" and (dim is None or not isinstance(dim, (tuple, list)) or len(dim) <= 2):
            return vector_norm(input, 2, dim, keepdim, dtype=dtype)
        dims = list(range(input._a.ndim)) if dim is None else dim if isinstance(dim, (tuple, list)) else [dim]
        from rushlight.ops.matrix_functions import matrix_norm

        return matrix_norm(input, p, dims, keepdim, dtype=dtype)
    return vector_norm(input, 2 if p is None else p, dim, keepdim, dtype=dtype)


@primitive("Dist", vjp=_dist_vjp, promotes=False)
def dist_all(x, y, *, p):
    away = np.subtract(x, y)
    out = _norm(away, p, tuple(range(away.ndim)))
    return narrowed(out, BY_NUMPY[away.dtype].to_real().numpy).reshape(())


@public(takes={"other": "Tensor", "p": "Number"})
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other.

    Example:
        >>> import rushlight as torch
        >>> torch.dist(torch.tensor([1., 1.]), torch.tensor([4., 5.]))
        tensor(5.)
    """
    if input._dtype.category == BOOL and other._dtype.category == BOOL:
        return (input - other).norm(p)
    broadcast(input._a.shape, other._a.shape)
    if not (input._a.size and other._a.size) and (p < 0 or p == math.inf):
        _check_identity((0,), None, (), p)
    return dist_all(input, other, p=float(p))


@public(out=False)
def norm_except_dim(v, pow=2, dim=0):
    """The `pow`-norms over all dimensions but `dim`, which stay at size 1; over all of them, for -1.

    Example:
        >>> import rushlight as torch
        >>> torch.norm_except_dim(torch.tensor([[3., 4.], [0., 2.]]), 2, 0)
        tensor([[5.],
                [2.]])
    """
    if dim == -1:
        return v.norm(pow)
    if dim == 0:
        return v.contiguous().view(v.size(0), -1).norm(pow, 1).view(-1, *(1,) * (v.dim() - 1))
    if dim == v.dim() - 1:
        return v.contiguous().view(-1, v.size(-1)).norm(pow, 0).view(*(1,) * (v.dim() - 1), -1)
    return norm_except_dim(v.transpose(0, dim), pow, 0).transpose(0, dim)
