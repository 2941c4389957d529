"""Writing slices at positions along one dimension: index_add, index_copy, index_fill."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, int32, int64
from rushlight.ops.kinds.overlap import apart, exact_out
from rushlight.ops.positions import check_dim, check_range, implemented, preserved, rows
from rushlight.ops.promotion import checked_number
from rushlight.ops.scattering import combine_widely, value_of
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet
from rushlight.runtime.placed import combine_at


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
    key = rows(dim, index.reshape(-1))
    if wide:
        combine_widely(np.add, a, key, source)
    else:
        quiet(combine_at, np.add, a, key, source)


def _scaled(g: Any, alpha: Any) -> Any:
    return g if alpha is None else g * alpha.item()


@primitive(
    "IndexAdd",
    vjp=(
        lambda g: g,
        None,
        lambda g, index, dim, alpha, source: _scaled(g.index_select(dim, index), alpha).expand_as(source),
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
    _add_rows(self._a, apart(index._a, self._a), apart(source._a, self._a), dim, _alpha(alpha, self))
    return True


@public(into=_index_add_into, check=exact_out(), apart=True)
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
        raise IndexError(
            f"{name}(): Number of indices ({p.size}) should be equal to source.size(dim) ({s[dim]})"
        )
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
        lambda g, index, dim, source: g.index_select(dim, index).expand_as(
            source
        ),  # kept, as PyTorch keeps it
    ),
)
def index_copy_rows(x, index, source, *, dim):
    out = x.copy()
    _copy_rows(out, index, source, dim)
    return out


def _index_copy_into(self, dim, index, source):
    dim = _check_copy(self, dim, index, source)
    _copy_rows(self._a, apart(index._a, self._a), apart(source._a, self._a), dim)
    return True


@public(into=_index_copy_into, check=exact_out(), apart=True)
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
    promotes=False,
)
def index_fill_tensor(x, index, value, *, dim):
    out = preserved(x)
    _fill_rows(out, index, convert(value, BY_NUMPY[x.dtype]), dim)
    return out


def _positive(index: Tensor, g: Any, dim: int) -> Tensor:
    """index_fill takes negative positions; index_select does not. Each position counts once."""
    size = g._a.shape[dim] if g._a.ndim else 1
    return new_tensor(np.unique(np.mod(index._a, max(size, 1))), int64)


def _index_fill_into(self, dim, index, value):
    dim, value = _check_fill(self, dim, index, value)
    _fill_rows(self._a, apart(index._a, self._a), value, dim)
    return True


@public(out=False, into=_index_fill_into, apart=True)
def index_fill(input, dim, index, value):
    """A copy of `input` with `value` (a number or 0-d tensor) at the positions `index` along `dim`.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(3).index_fill(0, torch.tensor([0, -1]), 7)
        tensor([7., 0., 7.])
    """
    dim, number = _check_fill(input, dim, index, value)
    if isinstance(value, Tensor):
        return index_fill_tensor(input, index, value, dim=dim)
    return index_fill_number(input, index, dim=dim, value=number)
