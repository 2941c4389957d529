"""Reductions with an identity: sums, means, products, truth."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, COMPLEX, FLOATING, as_dtype, bool_, int64, uint8
from rushlight.dtypes import dtype as DType
from rushlight.layout import sizes
from rushlight.ops.kinds.reduction import (
    NOT_GIVEN,
    accumulated,
    added,
    averaged,
    cast_first,
    check_keepdim,
    check_no_keepdim,
    check_recordable,
    count_of,
    dtype_of_out,
    mean_over,
    narrowed,
    one_dim,
    own_mean,
    own_sum,
    reduced_dims,
    restore,
    spread,
    spread_number,
    sum_mapped,
    sum_over,
    wider,
)
from rushlight.ops.kinds.short import Loops, hot_reduction, method_of, short_reduction
from rushlight.ops.scans import exclusive_product
from rushlight.ops.spec import primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, filled, reduced, tensor_on
from rushlight.runtime.execute import quiet
from rushlight.runtime.merging import Loop
from rushlight.runtime.results import FEW
from rushlight.tape.derivative import NOT_DIFFERENTIABLE
from rushlight.tape.modes import direct

# ---- sum ----


def _sum(x: np.ndarray, dims: tuple[int, ...], keepdim: bool, to: DType | None) -> np.ndarray:
    result = to or accumulated(BY_NUMPY[x.dtype])
    return _rounded(sum_over(cast_first(x, to), dims, keepdim, result.numpy), result)


def _rounded(a: np.ndarray, to: DType) -> np.ndarray:
    return convert(a, to) if to is bool_ else narrowed(a, to.numpy)


def _sum_loop(
    a: np.ndarray, dtype: DType | None, dims: tuple[int, ...] | None = None, keepdim: bool = False
) -> Loop | None:
    result = int64.numpy if a.dtype.kind == "i" else a.dtype
    dims = tuple(range(a.ndim)) if dims is None else dims
    return (
        Loop(added, dims, keepdim, result, {}) if dtype is None or dtype.numpy == result == a.dtype else None
    )


@primitive("Sum", vjp=(lambda g, x_meta: spread_number(g, x_meta.shape),), promotes=False, loop=_sum_loop)
def sum_all(x, *, dtype):
    return _sum(x, tuple(range(x.ndim)), False, dtype)


@primitive(
    "SumBackward1",
    vjp=(lambda g, x_meta, dims, keepdim: spread(g, x_meta.shape, dims, keepdim),),
    row_major=True,
    promotes=False,
    loop=_sum_loop,
)
def sum_dims(x, *, dims, keepdim, dtype):
    return _sum(x, dims, keepdim, dtype)


@public(out=dtype_of_out)
def sum(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of all elements, or over the dimensions `dim`. Integers are added in int64, float32 in float64.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 2.], [3., 4.]]).sum(0)
        tensor([4., 6.])
    """
    if dtype is None:
        return sum.unworded(input, dim, keepdim)
    return _sum_general(input, dim, keepdim, dtype)


def _sum_general(input: Tensor, dim: Any, keepdim: Any, dtype: Any) -> Tensor:
    to = as_dtype(dtype, "sum")
    check_recordable(input, to)
    if dim is NOT_GIVEN:
        check_no_keepdim(keepdim)
        return sum_all(input, dtype=to)
    dims = reduced_dims(dim, input._a.ndim, "sum")
    return sum_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "sum"), dtype=to)


def _sums(lines: Iterable) -> list[float]:
    return [*map(math.fsum, lines)]


sum.method = hot_reduction(
    sum, _sum_general, sum_all, sum_dims, math.fsum, _sums, own_sum, Loops(added), builtins.sum
)
sum.unworded = sum.method.unworded


@public(out=False)
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over the dimensions along which a tensor of this size would be broadcast to the input's.

    Raises:
        RuntimeError: a tensor of this size would not be broadcast to the input's.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2, 3).sum_to_size(1, 3)
        tensor([[2., 2., 2.]])
    """
    shape, have = sizes(size, "sum_to_size"), input._a.shape
    lead = len(have) - len(shape)
    if lead < 0 or not math.prod([n in (1, m) for n, m in zip(shape, have[lead:])]):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(have)}}}.")
    dims = [*range(lead), *[lead + d for d, n in enumerate(shape) if n == 1 and have[lead + d] != 1]]
    if not shape:
        return sum(input)
    out = sum(input, dims, True) if dims else input
    return out.view(shape) if lead else out


# ---- mean ----


def _mean(x: np.ndarray, dims: tuple[int, ...], keepdim: bool, to: DType | None) -> np.ndarray:
    result = (to or BY_NUMPY[x.dtype]).numpy
    return narrowed(mean_over(cast_first(x, to), dims, keepdim, result), result)


def _mean_vjp(g: Any, x_meta: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    count = math.prod([x_meta.shape[d] for d in dims])
    return spread(g, x_meta.shape, dims, keepdim) / count


def _mean_all_vjp(g: Any, x_meta: Any) -> Any:
    count = math.prod(x_meta.shape)
    if count >= FROM and direct(g) and type(g._a) is np.ndarray and g._a.dtype.char in "fd":
        # (one division, not one for each element)
        made = filled(x_meta.shape, quiet(np.true_divide, g._a, g._a.dtype.type(count)))
        if made is not None:
            return tensor_on(made, g._dtype)
    if not 0 < count <= FEW or not direct(g) or g._a.ndim:
        return g.expand(x_meta.shape) / count
    # (a float32 is divided in float64, and rounded: as if divided at once, of whole numbers this small)
    out = np.empty(x_meta.shape, g._a.dtype)
    out.fill(g._a.item() / count)
    return new_tensor(out, g._dtype)


def _mean_loop(
    a: np.ndarray, dtype: DType | None, dims: tuple[int, ...] | None = None, keepdim: bool = False
) -> Loop | None:
    if a.dtype.kind != "f" or dtype is not None and dtype.numpy != a.dtype:
        return None
    dims = tuple(range(a.ndim)) if dims is None else dims
    return Loop(averaged, dims, keepdim, a.dtype, {"count": count_of(a.shape, dims)})


@primitive("Mean", vjp=(_mean_all_vjp,), promotes=False, loop=_mean_loop)
def mean_all(x, *, dtype):
    return _mean(x, tuple(range(x.ndim)), False, dtype)


@primitive("MeanBackward1", vjp=(_mean_vjp,), row_major=True, promotes=False, loop=_mean_loop)
def mean_dims(x, *, dims, keepdim, dtype):
    return _mean(x, dims, keepdim, dtype)


@public
def mean(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of all elements, or over the dimensions `dim`.

    Raises:
        RuntimeError: integers, unless `dtype=` is a floating type.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1., 2.], [3., 4.]]).mean(1, keepdim=True)
        tensor([[1.5000],
                [3.5000]])
    """
    if dtype is None:
        return mean.unworded(input, dim, keepdim)
    return _mean_general(input, dim, keepdim, dtype)


def _mean_general(input: Tensor, dim: Any, keepdim: Any, dtype: Any) -> Tensor:
    to = as_dtype(dtype, "mean")
    kind = to or input._dtype
    if kind.category < FLOATING:
        raise RuntimeError(
            f"mean(): could not infer output dtype. {'Input' if to is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {kind.legacy}"
        )
    if dim is NOT_GIVEN:
        check_no_keepdim(keepdim)
        return mean_all(input, dtype=to)
    dims = reduced_dims(dim, input._a.ndim, "mean")
    return mean_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "mean"), dtype=to)


def _count(shape: tuple[int, ...], dims: tuple[int, ...]) -> dict:
    return {"count": count_of(shape, dims)}


def _mean_of(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _means(lines: Iterable) -> list[float]:
    return [math.fsum(line) / len(line) for line in lines]


mean.method = hot_reduction(
    mean, _mean_general, mean_all, mean_dims, _mean_of, _means, own_mean, Loops(averaged, _count)
)
mean.unworded = mean.method.unworded


# ---- prod ----


def _product(x: np.ndarray, dim: int | None, keepdim: bool, to: DType | None) -> np.ndarray:
    result = to or accumulated(BY_NUMPY[x.dtype])
    wide = np.int64 if result.category < FLOATING else wider(result.numpy)
    x = cast_first(x, to)
    if x.ndim:
        dims = tuple(range(x.ndim)) if dim is None else (dim,)
        made = reduced(_multiplied, (x,), dims, keepdim, {"wide": np.dtype(wide)})
        if made is not None:
            return _rounded(made, result)
    axis = dim if x.ndim else None
    if axis is None and x.ndim == 2 and result.category == FLOATING and x.flags.c_contiguous:
        x = np.multiply.reduce(x, 0, wide)  # the columns first: these are vectors
    return _rounded(np.asarray(np.multiply.reduce(x, axis, wide, None, keepdim)), result)


def _multiplied(a: np.ndarray, wide: np.dtype) -> Any:
    return np.multiply.reduce(a, None, wide)


def _prod_all_vjp(g: Any, x: Any, out: Any) -> Any:
    x = x.to(out.dtype)
    if x._a.all():
        return g * (out / x).conj()
    flat = x.reshape(-1)
    return g * exclusive_product(flat, 0).reshape(x.shape).conj()


def _prod_dim_vjp(g: Any, x: Any, out: Any, dim: int, keepdim: bool) -> Any:
    if not x._a.ndim:
        return g
    x = x.to(out.dtype)
    g = restore(g, x.shape, (dim,), keepdim)
    if x._a.all():
        return g * (restore(out, x.shape, (dim,), keepdim) / x).conj()
    return g * exclusive_product(x, dim).conj()


@primitive("Prod", vjp=(_prod_all_vjp,), promotes=False)
def prod_all(x, *, dtype):
    return _product(x, None, False, dtype)


@primitive("ProdBackward1", vjp=(_prod_dim_vjp,), row_major=True, promotes=False)
def prod_dim(x, *, dim, keepdim, dtype):
    return _product(x, dim, keepdim, dtype)


@public(out=dtype_of_out)
def prod(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or over the dimension `dim`. Integers are multiplied in int64.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 3]).prod()
        tensor(6)
    """
    if dtype is None and input._edge is None and (dim is NOT_GIVEN or type(dim) is int):
        out = short_reduction(input, dim, keepdim, math.prod, None)
        if out is not None:
            return out
    to = as_dtype(dtype, "prod")
    check_recordable(input, to)
    if dim is NOT_GIVEN and not keepdim:
        return prod_all(input, dtype=to)
    dim = one_dim(dim, input._a.ndim, "prod")
    return prod_dim(input, dim=dim, keepdim=check_keepdim(keepdim, "prod"), dtype=to)


# ---- without nan ----


def _without_nan(a: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), a.dtype.type(0), a)


def _sum_of_numbers(line: Any) -> float:
    return math.fsum([x for x in line if x == x])


def _nansum_vjp(g: Any, x: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    return spread(g, x.shape, dims, keepdim) * x.isnan().logical_not()


@primitive("Nansum", vjp=(_nansum_vjp,), row_major=True)
def nansum_dims(x, *, dims, keepdim, dtype):
    total = sum_mapped(_without_nan, dims, cast_first(x, dtype))
    shape = total.shape if keepdim else [n for d, n in enumerate(x.shape) if d not in dims]
    return narrowed(total, (dtype or BY_NUMPY[x.dtype]).numpy).reshape(shape)


@public(out=dtype_of_out)
def nansum(input: Tensor, dim: Any = NOT_GIVEN, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum, taking nan for zero.

    Raises:
        RuntimeError: a complex tensor.
        NotImplementedError: a result of a type that sums are not made in.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., float("nan"), 2.]).nansum()
        tensor(3.)
    """
    if dtype is None:
        out = short_reduction(input, dim, keepdim, _sum_of_numbers, nansum_dims, dtype=None)
        if out is not None:
            return out
    to = as_dtype(dtype, "nansum")
    check_recordable(input, to)
    if COMPLEX in (input._dtype.category, (to or input._dtype).category):
        raise RuntimeError("nansum on CPU does not support complex inputs")
    if input._dtype.category < FLOATING:
        return sum(input, dim, keepdim, dtype=to)
    if to is not None and to.category < FLOATING:
        raise NotImplementedError(f"\"nansum_cpu\" not implemented for '{to.legacy}'")
    dims = reduced_dims(dim, input._a.ndim, "nansum")
    return nansum_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "nansum"), dtype=to)


@public(out=dtype_of_out)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are not nan.

    Raises:
        RuntimeError: integers.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., float("nan"), 2.]).nanmean()
        tensor(1.5000)
    """
    if input._dtype.category < FLOATING:
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {input._dtype.legacy}"
        )
    dims = reduced_dims(dim, input._a.ndim, "nanmean")
    count = input.detach().isnan().logical_not().sum(dims, check_keepdim(keepdim, "nanmean"))
    return nansum(input, dim, keepdim, dtype=dtype) / count


# ---- truth ----


def _truth(a: np.ndarray) -> np.ndarray:
    return a if a.dtype.kind in "biufc" else a != a.dtype.type(0)


@primitive("Any", vjp=NOT_DIFFERENTIABLE, row_major=True)
def any_dims(x, *, dims, keepdim):
    return _as_truth(np.logical_or.reduce(_truth(x), dims, None, None, keepdim), x)


@primitive("All", vjp=NOT_DIFFERENTIABLE, row_major=True)
def all_dims(x, *, dims, keepdim):
    return _as_truth(np.logical_and.reduce(_truth(x), dims, None, None, keepdim), x)


def _as_truth(found: Any, x: np.ndarray) -> np.ndarray:
    """bool, but uint8 for uint8, as PyTorch had it before it had bool."""
    return np.asarray(found, np.uint8 if x.dtype == uint8.numpy else np.bool_)


def _into_truth(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    if outs[0]._dtype not in (bool_, uint8):
        raise RuntimeError(
            f"{plain.__name__} only supports bool tensor for result, got: {outs[0]._dtype.legacy}"
        )
    return plain(*args, **kwargs)


def _whole_truth(input: Any, dim: Any, keepdim: Any) -> int | None:
    """How many elements of a whole tensor of bools are true; None for anything else."""
    if dim is None and keepdim is False and input._dtype is bool_:
        return int(np.count_nonzero(input._a))
    return None


@public(out=_into_truth)
def any(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether any element is not zero, of all or over the dimensions `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[0, 1], [0, 0]]).any(1)
        tensor([ True, False])
    """
    count = _whole_truth(input, dim, keepdim)
    if count is not None:
        return new_tensor(np.array(count > 0), bool_)
    dims = reduced_dims(dim, input._a.ndim, "any") if dim != () and dim != [] else ()
    return any_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "any"))


@public(out=_into_truth)
def all(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether no element is zero, of all or over the dimensions `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[0, 1], [1, 1]]).all()
        tensor(False)
    """
    count = _whole_truth(input, dim, keepdim)
    if count is not None:
        return new_tensor(np.array(count == input._a.size), bool_)
    dims = reduced_dims(dim, input._a.ndim, "all") if dim != () and dim != [] else ()
    return all_dims(input, dims=dims, keepdim=check_keepdim(keepdim, "all"))


@primitive("CountNonzero", vjp=NOT_DIFFERENTIABLE, row_major=True)
def count_dims(x, *, dims):
    return np.asarray(np.count_nonzero(_truth(x), dims), np.int64)


@public(out=False)
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not zero, of all or over the dimensions `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[0, 1], [2, 3]]).count_nonzero(0)
        tensor([1, 2])
    """
    if dim is None and input._a.dtype.kind in "biufc":
        return new_tensor(np.array(int(np.count_nonzero(input._a))), int64)
    return count_dims(input, dims=reduced_dims(dim, input._a.ndim, "count_nonzero"))


any.method = method_of(any)
all.method = method_of(all)
