"""Writing elements by integer tensors: index_put, scatter, put, and what all such writes share."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, int32, int64
from rushlight.ops.kinds.overlap import apart, exact_out
from rushlight.ops.places import MASKS, Places
from rushlight.ops.places import index as read_places
from rushlight.ops.positions import along, check_dim, check_flat, check_range, implemented, preserved
from rushlight.ops.promotion import NUMBERS, checked_number
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime import placed
from rushlight.runtime.casting import convert, rounded, single
from rushlight.runtime.execute import quiet
from rushlight.runtime.placed import combine_at

# ---- what every write shares ----


def combine_widely(ufunc: np.ufunc, a: np.ndarray, key: Any, values: np.ndarray) -> None:
    """`combine_at`, but half types are combined in float32 and rounded once."""
    if dtypes.BY_NUMPY[a.dtype] not in dtypes.REDUCED:
        return quiet(combine_at, ufunc, a, key, values)
    wide = single(a)
    quiet(combine_at, ufunc, wide, key, single(values))
    a[...] = rounded(wide, a.dtype)


def value_of(value: Any, t: Tensor, name: str, message: str) -> np.ndarray:
    """A number or 0-d tensor as a NumPy value of t's type; RuntimeError if it has dimensions."""
    if isinstance(value, Tensor):
        if value._a.ndim:
            raise RuntimeError(message.format(value._a.ndim))
        return checked_number(value._a[()], t._dtype)
    if not isinstance(value, NUMBERS):
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({type(value).__name__}) where a number or "
            "a Tensor was expected"
        )
    return checked_number(value, t._dtype)


# ---- by index tensors ----


def _put(a: np.ndarray, places: Places, values: np.ndarray, accumulate: bool) -> None:
    """Write to `a` in place; values of another type are converted."""
    if 0 in places.shape:
        return
    if values.dtype != a.dtype:
        values = convert(values, BY_NUMPY[a.dtype])
    if places.mask is not None and not accumulate:
        a[places.mask] = values
        return
    if not accumulate:
        try:
            a[places.key] = values
        except IndexError:
            places.check()
            raise
        return
    places.check()
    if a.flags.c_contiguous:
        values = np.broadcast_to(values, places.shape)
        if not placed.add_rows(a, places.key, values):
            quiet(combine_at, np.add, a.reshape(-1), places.linear().reshape(-1), values.reshape(-1))
    else:
        quiet(combine_at, np.add, a, places.key, values)


def _put_values_vjp(g: Any, places: Places) -> Any:
    places.fresh()
    return read_places(g, places=places)


def _put_vjp(g: Any, places: Places, accumulate: bool) -> Any:
    places.fresh()
    return g if accumulate else index_put_places(g, g.new_zeros(()), places=places, accumulate=False)


@primitive("IndexPut", vjp=(_put_vjp, _put_values_vjp), promotes=False)
def index_put_places(x, values, *, places, accumulate):
    out = preserved(x)
    _put(out, places, values, accumulate)
    return out


def _check_put(x: Tensor, places: Places, values: Tensor, accumulate: bool) -> Tensor:
    """The values in x's type; RuntimeError for a wrong type or shape."""
    if (
        not accumulate
        and values._a.size == 1
        and len(places.tensors) == 1
        and places.tensors[0]._dtype in MASKS
    ):
        return _as_fill(x, places.tensors[0], values)
    shape, wanted = values._a.shape, places.shape
    if len(shape) > len(wanted) or any(m not in (1, n) for m, n in zip(reversed(shape), reversed(wanted))):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(shape)} cannot be broadcast to indexing result of shape "
            f"{list(wanted)}"
        )
    if values._dtype is not x._dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {x._dtype.legacy} for the destination "
            f"and {values._dtype.legacy} for the source."
        )
    implemented(x, "index_put")
    return values


def _as_fill(x: Tensor, mask: Tensor, value: Tensor) -> Tensor:
    """One value for a mask is `masked_fill`, which converts the value and wants the mask to be of bools."""
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    implemented(x, "masked_fill")
    if value._dtype is not x._dtype:
        checked_number(value._a.reshape(())[()], x._dtype)
    return value.reshape(()) if value._a.ndim else value


def _places_of(x: Tensor, indices: Any, name: str) -> Places:
    if isinstance(indices, Tensor) or not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not {type(indices).__name__}"
        )
    for at, t in enumerate(indices):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}")
    if not indices:
        raise RuntimeError("index_put: no index was given")
    if len(indices) > max(x._a.ndim, 0):
        raise IndexError(f"too many indices for tensor of dimension {x._a.ndim} (got {len(indices)})")
    return Places(x, indices)


def _put_into(self, indices, values, accumulate=False):
    places = indices if isinstance(indices, Places) else _places_of(self, indices, "index_put_")
    values = _check_put(self, places, as_tensor(values, "index_put_", "values", 2), accumulate)
    _put(self._a, places, apart(values._a, self._a), accumulate)
    return True


@public(out=False, into=_put_into, apart=True, takes={"accumulate": "bool"})
def index_put(input, indices, values, accumulate=False):
    """A copy of `input` with `values` written (or added) where the index tensors point.

    Raises:
        IndexError: an index is out of range, or the indices do not broadcast.
        RuntimeError: the values' type is not the input's, or their shape does not broadcast.

    Example:
        >>> import rushlight as torch
        >>> i = torch.tensor([0, 0, 2])
        >>> torch.zeros(3).index_put((i,), torch.ones(3), accumulate=True)
        tensor([2., 0., 1.])
    """
    values = as_tensor(values, "index_put", "values", 2)
    places = indices if isinstance(indices, Places) else _places_of(input, indices, "index_put")
    values = _check_put(input, places, values, accumulate)
    return index_put_places(input, values, places=places, accumulate=accumulate)


index_put_ = index_put.inplace


def put_places(x: Tensor, places: Places, values: Tensor) -> None:
    """x[places] = values, on the tape."""
    index_put.inplace(x, places, values)


# ---- along one dimension: scatter ----


def _region(a: np.ndarray, p: np.ndarray, dim: int) -> np.ndarray:
    """The part of `a` in which positions `p` along `dim` lie."""
    return a[tuple(slice(None) if d == dim else slice(n) for d, n in enumerate(p.shape))]


def scatter_at(a: np.ndarray, p: np.ndarray, values: Any, dim: int, ufunc: np.ufunc | None) -> None:
    """Write to `a` in place: a[p[i, j], j] = values[i, j] for dim 0, or combined by `ufunc`."""
    if p.size == 0:
        return
    if p.ndim == 0 or a.ndim == 0:
        a, p, dim = a.reshape(-1), p.reshape(-1), 0
        values = values.reshape(-1) if values.ndim else values
    if values.ndim:
        values = values[tuple(slice(n) for n in p.shape)]
    if ufunc is None:
        if not placed.write(a, p, np.asarray(values, a.dtype), dim):
            a[along(p, dim)] = values
    elif dtypes.BY_NUMPY[a.dtype] in dtypes.REDUCED:
        wide = single(a)
        scatter_at(wide, p, single(values), dim, ufunc)
        a[...] = rounded(wide, a.dtype)
    elif not (ufunc is np.add and placed.add(a, p, values, dim)):
        quiet(combine_at, ufunc, a, along(p, dim), values)


def check_scatter(name: str, t: Tensor, dim: Any, index: Any, src: Any = None) -> int:
    index = as_tensor(index, name, "index", 2)
    dim = check_dim(t, dim, name)
    if index._dtype is not int64 and index._dtype is not int32 and index._a.size:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    if src is not None and src._dtype is not t._dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    p, shape = index._a, t._a.shape
    if p.size == 0:
        return dim
    if max(p.ndim, 1) != max(len(shape), 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    if src is not None and max(p.ndim, 1) != max(src._a.ndim, 1):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    sizes, have = p.shape or (1,), shape or (1,)
    given = (src._a.shape or (1,)) if src is not None else sizes
    if any(n > have[d] and d != dim or n > given[d] for d, n in enumerate(sizes)):
        than = f" and to be no larger size than src {list(src._a.shape)}" if src is not None else ""
        raise RuntimeError(
            f"Expected index {list(p.shape)} to be no larger than self {list(shape)} apart from dimension {dim}{than}"
        )
    implemented(t, "scatter_gather_scalar_cpu" if src is None else "scatter_gather_tensor_cpu")
    check_range(p, have[dim], dim)
    return dim


@primitive(
    "ScatterBackward0",
    vjp=(
        lambda g, dim, index: g.scatter(dim, index, 0),
        None,
        lambda g, dim, index: g.gather(dim, index),
    ),
)
def scatter_src(x, index, src, *, dim):
    out = x.copy()
    scatter_at(out, index, src, dim, None)
    return out


@primitive("ScatterBackward1", vjp=(lambda g, dim, index: g.scatter(dim, index, 0), None))
def scatter_value(x, index, *, dim, value):
    out = x.copy()
    scatter_at(out, index, value, dim, None)
    return out


def _no_gradient(g: Any) -> Any:
    raise RuntimeError(
        "derivative for aten::scatter_ with reduce is not implemented; use scatter_reduce instead"
    )


@primitive("NotImplemented0", vjp=(_no_gradient, None, _no_gradient))
def scatter_combined(x, index, src, *, dim, ufunc):
    out = x.copy()
    scatter_at(out, index, src, dim, ufunc)
    return out


def _scatter_args(src: Any, value: Any, t: Tensor) -> Any:
    given = value if src is None else src
    if isinstance(given, Tensor):
        return given, None
    if not isinstance(given, NUMBERS):
        raise TypeError(
            "scatter() received an invalid combination of arguments - got "
            f"(int, Tensor, {type(given).__name__}), but expected one of:\n * (int dim, Tensor index, Tensor src)\n"
            " * (int dim, Tensor index, Number value)"
        )
    return None, np.asarray(checked_number(given, t._dtype))


_COMBINE = {"add": np.add, "multiply": np.multiply}


def _combiner(reduce: str) -> np.ufunc:
    if reduce not in _COMBINE:
        raise RuntimeError("reduce argument must be either add or multiply.")
    return _COMBINE[reduce]


def _scatter_into(self, dim, index, src=None, *, value=None, reduce=None):
    src, number = _scatter_args(src, value, self)
    ufunc = None if reduce is None else _combiner(reduce)
    dim = check_scatter("scatter", self, dim, index, src)
    scatter_at(
        self._a, apart(index._a, self._a), number if src is None else apart(src._a, self._a), dim, ufunc
    )
    return True


@public(into=_scatter_into, check=exact_out(), apart=True)
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """A copy of `input` with out[index[i, j], j] = src[i, j] for dim 0, and likewise for other dimensions.

    Args:
        src: a tensor at least as large as `index`, or a number.
        reduce: "add" or "multiply" instead of replacing (without gradient).

    Raises:
        RuntimeError: `index` points outside, has other dimensions, or is larger than `src`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 3).scatter(1, torch.tensor([[0], [2]]), 5)
        tensor([[5., 0., 0.],
                [0., 0., 5.]])
    """
    src, number = _scatter_args(src, value, input)
    ufunc = None if reduce is None else _combiner(reduce)
    dim = check_scatter("scatter", input, dim, index, src)
    if ufunc is not None:
        if src is None:
            src = new_tensor(np.broadcast_to(number, index._a.shape), input._dtype)
        elif src is not None:
            warnings.warn(
                "The reduce argument of torch.scatter with Tensor src is deprecated and will be removed in a future "
                "PyTorch release. Use torch.scatter_reduce instead for more reduction options.",
                UserWarning,
                stacklevel=3,
            )
        return scatter_combined(input, index, src, dim=dim, ufunc=ufunc)
    if src is None:
        return scatter_value(input, index, dim=dim, value=number)
    return scatter_src(input, index, src, dim=dim)


@primitive("ScatterAdd", vjp=(lambda g: g, None, lambda g, dim, index: g.gather(dim, index)))
def scatter_add_along(x, index, src, *, dim):
    out = x.copy()
    scatter_at(out, index, src, dim, np.add)
    return out


def _scatter_add_into(self, dim, index, src):
    src = as_tensor(src, "scatter_add_", "src", 3)
    dim = check_scatter("scatter", self, dim, index, src)
    scatter_at(self._a, apart(index._a, self._a), apart(src._a, self._a), dim, np.add)
    return True


@public(into=_scatter_add_into, check=exact_out(), apart=True)
def scatter_add(input, dim, index, src):
    """A copy of `input` with out[index[i, j], j] += src[i, j] for dim 0, and likewise for other dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(3).scatter_add(0, torch.tensor([0, 0, 2]), torch.ones(3))
        tensor([2., 0., 1.])
    """
    src = as_tensor(src, "scatter_add", "src", 3)
    dim = check_scatter("scatter", input, dim, index, src)
    return scatter_add_along(input, index, src, dim=dim)


# ---- counted through all dimensions ----


def _put_flat(a: np.ndarray, index: np.ndarray, source: np.ndarray, accumulate: bool) -> None:
    flat = a.reshape(-1) if a.flags.c_contiguous else a.flat
    p, source = index.reshape(-1), source.reshape(-1)
    if not p.size:
        return
    if not accumulate:
        flat[p] = source
    elif a.flags.c_contiguous:
        quiet(combine_at, np.add, a.reshape(-1), p, source)
    else:
        quiet(combine_at, np.add, a, np.unravel_index(np.mod(p, a.size), a.shape), source)


@primitive(
    "Put",
    vjp=(
        lambda g, index, accumulate, source_meta: (
            g if accumulate else g.put(index, g.new_zeros(source_meta.shape), accumulate=False)
        ),
        None,
        lambda g, index, source_meta: g.take(index).reshape(source_meta.shape),
    ),
)
def put_elements(x, index, source, *, accumulate):
    out = preserved(x)
    _put_flat(out, index, source, accumulate)
    return out


def _check_put_flat(t: Tensor, index: Any, source: Any) -> None:
    index, source = as_tensor(index, "put_", "index", 1), as_tensor(source, "put_", "source", 2)
    if index._dtype is not int64:
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {index._dtype.legacy}")
    if t._dtype is not source._dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {t._dtype.legacy} and "
            f"source.dtype = {source._dtype.legacy}"
        )
    if index._a.size != source._a.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._a.size}, index.numel() = {index._a.size}"
        )
    if t._a.size == 0 and index._a.size:
        raise IndexError("put_(): Tried to put elements into an empty tensor")
    if index._a.size:
        implemented(t, "take_put_cpu")
    check_flat(t, index, "put_")


def _put_flat_into(self, index, source, accumulate=False):
    _check_put_flat(self, index, source)
    _put_flat(self._a, apart(index._a, self._a), apart(source._a, self._a), accumulate)
    return True


@public(out=False, into=_put_flat_into, apart=True, takes={"accumulate": "bool"})
def put(input, index, source, accumulate=False):
    """A copy of `input` with the elements of `source` at `index`, counting row by row.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 2).put(torch.tensor([1, -1]), torch.tensor([5., 6.]))
        tensor([[0., 5.],
                [0., 6.]])
    """
    _check_put_flat(input, index, source)
    return put_elements(input, index, source, accumulate=accumulate)
