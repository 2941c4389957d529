"""Writing elements by integer tensors and masks: index_put, scatter, index_add, masked_fill, where, ..."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import int32, int64
from rushlight.ops.gathering import (
    MASKS,
    Places,
    along,
    check_dim,
    check_flat,
    check_range,
    implemented,
    preserved,
)
from rushlight.ops.kinds.overlap import apart, check_overlap, exact_out
from rushlight.ops.promotion import NUMBERS, checked_number
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.execute import quiet

_ALL = slice(None)

# ---- what every write shares ----


def combine_at(ufunc: np.ufunc, a: np.ndarray, key: Any, values: np.ndarray) -> None:
    """a[key] = ufunc(a[key], values), one after another, in order, so that repeated places add up."""
    quiet(ufunc.at, a, key, values)


def combine_widely(ufunc: np.ufunc, a: np.ndarray, key: Any, values: np.ndarray) -> None:
    """`combine_at`, but half types are combined in float32 and rounded once."""
    if a.dtype not in _HALVES:
        return combine_at(ufunc, a, key, values)
    wide = a.astype(np.float32)
    combine_at(ufunc, wide, key, values.astype(np.float32))
    a[...] = wide.astype(a.dtype)


_HALVES = frozenset({dtypes.float16.numpy, dtypes.bfloat16.numpy})


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
    """Write to `a` in place."""
    if 0 in places.shape:
        return
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
        combine_at(np.add, a.reshape(-1), places.linear().reshape(-1), values.reshape(-1))
    else:
        combine_at(np.add, a, places.key, values)


def _put_values_vjp(g: Any, places: Places) -> Any:
    from rushlight.ops.gathering import index

    places.fresh()
    return index(g, places=places)


def _put_vjp(g: Any, places: Places, accumulate: bool) -> Any:
    places.fresh()
    return g if accumulate else index_put_places(g, g.new_zeros(()), places=places, accumulate=False)


@primitive("IndexPut", vjp=(_put_vjp, _put_values_vjp))
def index_put_places(x, values, *, places, accumulate):
    out = preserved(x)
    _put(out, places, values, accumulate)
    return out


def _check_put(x: Tensor, places: Places, values: Tensor, accumulate: bool) -> Tensor:
    """The values in x's type; RuntimeError for a wrong type or shape."""
    if not accumulate and values._a.size == 1 and len(places.tensors) == 1 and places.tensors[0]._dtype in MASKS:
        return _as_fill(x, places.tensors[0], values)
    if values._dtype is not x._dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {x._dtype.legacy} for the destination "
            f"and {values._dtype.legacy} for the source."
        )
    shape, wanted = values._a.shape, places.shape
    if len(shape) > len(wanted) or any(m not in (1, n) for m, n in zip(reversed(shape), reversed(wanted))):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(shape)} cannot be broadcast to indexing result of shape "
            f"{list(wanted)}"
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
        value = value.to(x._dtype)
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
    check_overlap(self, values, *places.tensors)
    _put(self._a, places, apart(values._a, self._a), accumulate)
    return True


@public(out=False, into=_put_into)
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
    return a[tuple(_ALL if d == dim else slice(n) for d, n in enumerate(p.shape))]


def scatter_at(a: np.ndarray, p: np.ndarray, values: Any, dim: int, ufunc: np.ufunc | None) -> None:
    """Write to `a` in place: a[p[i, j], j] = values[i, j] for dim 0, or combined by `ufunc`."""
    if p.size == 0:
        return
    if p.ndim == 0 or a.ndim == 0:
        a, p, dim = a.reshape(-1), p.reshape(-1), 0
        values = values.reshape(-1) if values.ndim else values
    if values.ndim:
        values = values[tuple(slice(n) for n in p.shape)]
    key = along(p, dim)
    if ufunc is None:
        a[key] = values
    else:
        combine_widely(ufunc, a, key, values)


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
    raise RuntimeError("derivative for aten::scatter_ with reduce is not implemented; use scatter_reduce instead")


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
    check_overlap(self, index, *(() if src is None else (src,)))
    scatter_at(self._a, apart(index._a, self._a), number if src is None else apart(src._a, self._a), dim, ufunc)
    return True


@public(into=_scatter_into, check=exact_out())
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
    check_overlap(self, index, src)
    scatter_at(self._a, apart(index._a, self._a), apart(src._a, self._a), dim, np.add)
    return True


@public(into=_scatter_add_into, check=exact_out())
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


# ---- along one dimension: rows ----


def rows(dim: int, p: np.ndarray) -> tuple:
    return (_ALL,) * dim + (p,)


def check_rows(t: Tensor, dim: Any, index: Any, source: Any, name: str) -> int:
    """What index_add and index_reduce ask of their arguments."""
    index = as_tensor(index, name, "index", 2)
    source = as_tensor(source, name, "source", 3)
    dim = check_dim(t, dim, name)
    p, kind = index._a, index._dtype
    if p.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {p.ndim} with type: {kind.legacy} and size: "
            f"{list(p.shape)}"
        )
    if kind is not int64 and kind is not int32:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index but got: {kind.legacy}")
    if source._dtype is not t._dtype:
        raise RuntimeError(
            f"{name}(): self ({t._dtype.legacy}) and source ({source._dtype.legacy}) must have the same scalar type"
        )
    x, s = t._a.shape, source._a.shape
    if len(s) > 0 and dim >= len(s):
        raise RuntimeError(
            f"{name}(): Indexing dim {dim} is out of bounds of the source tensor with dim {len(s)}"
        )
    count = s[dim] if s else 1
    if p.size > 1 and not s:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if p.size != count and (s or p.size):
        if not x and s:
            raise _other_shape(x, s)
        raise RuntimeError(
            f"{name}(): Number of indices ({p.size}) should be equal to source.size(dim): ({count}), for dim: {dim}"
        )
    if x[:dim] + x[dim + 1 :] != s[:dim] + s[dim + 1 :] or bool(x) != bool(s) and len(x) != len(s):
        raise _other_shape(x, s)
    size = x[dim] if x else 1
    if name == "index_add_" and len(x) > 1 and t._a.size == 0:
        return dim
    if name == "index_add_":
        implemented(t, name if len(x) < 2 else "scatter_gather_tensor_cpu")
    if len(x) <= 1 and p.size and (p.min() < 0 or p.max() >= size):
        raise IndexError("index out of range in self")
    check_range(p, size, dim)
    return dim


def _other_shape(x: tuple, s: tuple) -> RuntimeError:
    return RuntimeError(
        "source tensor shape must match self tensor shape, excluding the specified dimension. "
        f"Got self.shape = {list(x)} source.shape = {list(s)}"
    )


def _add_rows(a: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int, alpha: Any) -> None:
    if not a.size:
        return
    if alpha is not None:
        source = quiet(np.multiply, source, alpha)
    if a.ndim == 0:
        a[...] = quiet(np.add, a, source.reshape(()))
        return
    # PyTorch takes the way of scatter_add, which adds half types in float32, in these cases only
    wide = a.ndim > 1 and dim in (0, a.ndim - 1) and alpha is None and index.dtype == np.int64
    (combine_widely if wide else combine_at)(np.add, a, rows(dim, index.reshape(-1)), source)


def _scaled(g: Any, alpha: Any) -> Any:
    return g if alpha is None else g * alpha.item()


@primitive(
    "IndexAdd",
    vjp=(
        lambda g: g,
        None,
        lambda g, index, dim, alpha, source_meta: _scaled(g.index_select(dim, index), alpha).expand(source_meta.shape),
    ),
)
def index_add_rows(x, index, source, *, dim, alpha):
    out = x.copy()
    _add_rows(out, index, source, dim, alpha)
    return out


def _alpha(alpha: Any, t: Tensor) -> Any:
    return None if type(alpha) in (int, float) and alpha == 1 else np.asarray(checked_number(alpha, t._dtype))


def _index_add_into(self, dim, index, source, *, alpha=1):
    dim = check_rows(self, dim, index, source, "index_add_")
    check_overlap(self, index, source)
    _add_rows(self._a, apart(index._a, self._a), apart(source._a, self._a), dim, _alpha(alpha, self))
    return True


@public(into=_index_add_into, check=exact_out())
def index_add(input, dim, index, source, *, alpha=1):
    """A copy of `input` with `alpha` times the slices of `source` added at the positions `index` along `dim`.

    Raises:
        IndexError, RuntimeError: a position is out of range, or shapes or types do not match.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 2).index_add(0, torch.tensor([1, 1]), torch.ones(2, 2))
        tensor([[0., 0.],
                [2., 2.]])
    """
    dim = check_rows(input, dim, index, source, "index_add_")
    return index_add_rows(input, index, source, dim=dim, alpha=_alpha(alpha, input))


def _check_copy(t: Tensor, dim: Any, index: Any, source: Any) -> int:
    name = "index_copy_"
    index = as_tensor(index, "index_copy", "index", 2)
    source = as_tensor(source, "index_copy", "source", 3)
    dim = check_dim(t, dim, "index_copy")
    x, s, p = t._a.shape, source._a.shape, index._a
    if p.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {p.ndim})")
    if not s and p.size != 1:
        raise IndexError(f"{name}(): When source is scalar, index should have one element (got {p.size})")
    if len(s) != len(x) and s and x:
        raise IndexError(
            f"{name}(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({len(s)}), destination dimensionality ({len(x)})"
        )
    if index._dtype is not int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index._dtype.legacy}")
    if t._dtype is not source._dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) {t._dtype.legacy} and "
            f"(source) {source._dtype.legacy}"
        )
    mine, theirs = x[:dim] + x[dim + 1 :], s[:dim] + s[dim + 1 :]
    if mine != theirs:
        said = " ".join(map(str, mine)), " ".join(map(str, theirs))
        raise RuntimeError(
            f"{name}(): Source/destination tensor must have same slice shapes. Destination slice shape: {said[0]} at "
            f"dimension {dim} and source slice shape: {said[1]} at dimension 0."
        )
    if s and p.size != s[dim]:
        raise IndexError(f"{name}(): Number of indices ({p.size}) should be equal to source.size(dim) ({s[dim]})")
    implemented(t, "index_copy_cpu")
    size = x[dim] if x else 1
    if p.size and (p.min() < 0 or p.max() >= size):
        bad = p[(p < 0) | (p >= size)].flat[0]
        raise IndexError(f"{name}(): index {bad} is out of bounds for dimension {dim} with size {size}")
    return dim


def _copy_rows(a: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int) -> None:
    if a.ndim == 0:
        if source.size:
            a[...] = source.reshape(-1)[-1]
    else:
        a[rows(dim, index.reshape(-1))] = source


@primitive(
    "IndexCopy",
    vjp=(
        lambda g, dim, index: g.index_fill(dim, index, 0),
        None,
        lambda g, index, dim, source_meta: g.index_select(dim, index).expand(source_meta.shape),
    ),
)
def index_copy_rows(x, index, source, *, dim):
    out = x.copy()
    _copy_rows(out, index, source, dim)
    return out


def _index_copy_into(self, dim, index, source):
    dim = _check_copy(self, dim, index, source)
    check_overlap(self, index, source)
    _copy_rows(self._a, apart(index._a, self._a), apart(source._a, self._a), dim)
    return True


@public(into=_index_copy_into, check=exact_out())
def index_copy(input, dim, index, source):
    """A copy of `input` with the slices of `source` at the positions `index` along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(3).index_copy(0, torch.tensor([2, 0]), torch.tensor([5., 6.]))
        tensor([6., 0., 5.])
    """
    return index_copy_rows(input, index, source, dim=_check_copy(input, dim, index, source))


def _check_fill(t: Tensor, dim: Any, index: Any, value: Any) -> tuple[int, Any]:
    index = as_tensor(index, "index_fill", "index", 2)
    dim = check_dim(t, dim, "index_fill")
    if index._dtype is not int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index._a.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, (complex, np.complexfloating)) and not t._dtype.is_complex:
        raise RuntimeError("index_fill_(): Converting complex Scalar to non-complex type is not supported")
    value = value_of(
        value,
        t,
        "index_fill",
        "index_fill_ only supports a 0-dimensional value tensor, but got tensor with {} dimension(s).",
    )
    implemented(t, "index_fill_cpu")
    size, p = (t._a.shape[dim] if t._a.ndim else 1), index._a
    if p.size and (p.min() < -size or p.max() >= size):
        bad = p[(p < -size) | (p >= size)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for dimension {dim} with size {size}")
    return dim, value


def _fill_rows(a: np.ndarray, index: np.ndarray, value: Any, dim: int) -> None:
    if index.size:
        if a.ndim:
            a[rows(dim, index.reshape(-1))] = value
        else:
            a[...] = value


@primitive("IndexFillBackward0", vjp=(lambda g, dim, index: g.index_fill(dim, index, 0), None))
def index_fill_number(x, index, *, dim, value):
    out = preserved(x)
    _fill_rows(out, index, value, dim)
    return out


@primitive(
    "IndexFillBackward1",
    vjp=(
        lambda g, dim, index: g.index_fill(dim, index, 0),
        None,
        lambda g, dim, index: g.index_select(dim, _positive(index, g, dim)).sum(),
    ),
)
def index_fill_tensor(x, index, value, *, dim):
    out = preserved(x)
    _fill_rows(out, index, value, dim)
    return out


def _positive(index: Tensor, g: Any, dim: int) -> Tensor:
    """index_fill takes negative positions; index_select does not. Each position counts once."""
    size = g._a.shape[dim] if g._a.ndim else 1
    return new_tensor(np.unique(np.mod(index._a, max(size, 1))), int64)


def _index_fill_into(self, dim, index, value):
    dim, value = _check_fill(self, dim, index, value)
    check_overlap(self, index)
    _fill_rows(self._a, apart(index._a, self._a), value, dim)
    return True


@public(out=False, into=_index_fill_into)
def index_fill(input, dim, index, value):
    """A copy of `input` with `value` (a number or 0-d tensor) at the positions `index` along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(3).index_fill(0, torch.tensor([0, -1]), 7)
        tensor([7., 0., 7.])
    """
    dim, number = _check_fill(input, dim, index, value)
    if isinstance(value, Tensor):
        return index_fill_tensor(input, index, value if value._dtype is input._dtype else value.to(input._dtype), dim=dim)
    return index_fill_number(input, index, dim=dim, value=number)


# ---- counted through all dimensions ----


def _put_flat(a: np.ndarray, index: np.ndarray, source: np.ndarray, accumulate: bool) -> None:
    flat = a.reshape(-1) if a.flags.c_contiguous else a.flat
    p, source = index.reshape(-1), source.reshape(-1)
    if not p.size:
        return
    if not accumulate:
        flat[p] = source
    elif a.flags.c_contiguous:
        combine_at(np.add, flat, p, source)
    else:
        combine_at(np.add, a, np.unravel_index(np.mod(p, a.size), a.shape), source)


@primitive(
    "Put",
    vjp=(
        lambda g, index, accumulate, source_meta: g
        if accumulate
        else g.put(index, g.new_zeros(source_meta.shape), accumulate=False),
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
    check_overlap(self, index, source)
    _put_flat(self._a, apart(index._a, self._a), apart(source._a, self._a), accumulate)
    return True


@public(out=False, into=_put_flat_into)
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
