"""Reading elements by integer tensors and masks: `x[idx]`, gather, index_select, take, nonzero, ..."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor, version
from rushlight.dtypes import int32, int64, promote_types
from rushlight.layout import broadcast, contiguous_strides, iteration_strides, wrap_dim
from rushlight.ops.kinds.overlap import exact_out
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime import execute
from rushlight.runtime.results import laid_out
from rushlight.tape.derivative import NOT_DIFFERENTIABLE
from rushlight.tape.modes import direct
from rushlight.tape.recording import record

MASKS = frozenset({dtypes.bool_, dtypes.uint8})
_INDICES = frozenset({int64, int32}) | MASKS
_ALL = slice(None)
STORED = frozenset({dtypes.uint16, dtypes.uint32, dtypes.uint64})


def implemented(t: Tensor, kernel: str) -> None:
    """NotImplementedError for the unsigned types that PyTorch stores but has few kernels for."""
    if t._dtype in STORED:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


# ---- index tensors ----


def _broadcast(positions: list[np.ndarray]) -> tuple[int, ...]:
    try:
        return broadcast(*[p.shape for p in positions])
    except RuntimeError:
        shapes = ", ".join(str(list(p.shape)) for p in positions)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None


class Places:
    """Where index tensors point in a tensor: one array of positions for each indexed dimension.

    Attributes:
        of: the shape of the tensor indexed.
        shape: the shape of the result.
        key: the index as NumPy takes it.
    """

    __slots__ = ("of", "shape", "key", "tensors", "versions", "mask", "_found", "result_at", "chosen")

    def __init__(self, x: Tensor, indices: Sequence[Tensor | None]) -> None:
        self.of = x._a.shape
        self.tensors = tuple(t for t in indices if t is not None)
        self.versions = [version(t) for t in self.tensors]
        first = indices[0]
        if len(indices) == 1 and first is not None and first._dtype is int64 and self.of:
            found = [first._a] + [None] * (len(self.of) - 1)
            dims, kept = [0], self.of[1:]
            self.chosen, self.result_at = first._a.shape, 0
        else:
            found = self._positions(indices)
            self.chosen = _broadcast([p for p in found if p is not None])
            found += [None] * (len(self.of) - len(found))
            dims = [d for d, p in enumerate(found) if p is not None]
            kept = tuple([n for n, p in zip(self.of, found) if p is None])
            self.result_at = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
        self.shape = (*kept[: self.result_at], *self.chosen, *kept[self.result_at :])
        self._found = found
        self.key = tuple([_ALL if p is None else p for p in found])
        if 0 not in self.chosen and 0 in [self.of[d] for d in dims]:
            raise IndexError("index is out of bounds for dimension with size 0")
        whole = self.tensors[0]._a if len(self.tensors) == 1 else None
        self.mask = (
            whole if whole is not None and whole.dtype == np.bool_ and whole.shape == self.of else None
        )

    def _positions(self, indices: Sequence[Tensor | None]) -> list[np.ndarray | None]:
        """int64 positions by dimension; a mask stands for as many dimensions as it has."""
        for t in self.tensors:
            if t._dtype not in _INDICES:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        found: list[np.ndarray | None] = []
        for given in indices:
            if given is None:
                found.append(None)
            elif given._dtype in MASKS:
                found += self._mask_positions(given, len(found))
            else:
                found.append(given._a if given._dtype is int64 else given._a.astype(np.int64))
        if len(found) > len(self.of):
            raise IndexError(f"too many indices for tensor of dimension {len(self.of)} (got {len(found)})")
        return found

    def _mask_positions(self, t: Tensor, first: int) -> tuple[np.ndarray, ...]:
        if t._dtype is dtypes.uint8:
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
                UserWarning,
                stacklevel=6,
            )
        for j, size in enumerate(t._a.shape):
            if first + j >= len(self.of):
                raise IndexError(f"too many indices for tensor of dimension {len(self.of)}")
            if size != self.of[first + j]:
                raise IndexError(
                    f"The shape of the mask {list(t._a.shape)} at index {j} does not match the shape of the indexed "
                    f"tensor {list(self.of)} at index {first + j}"
                )
        if t._a.ndim == 0:
            raise IndexError("a mask without dimensions cannot be used as an index here; use unsqueeze(0)")
        return t._a.nonzero()

    def check(self) -> None:
        """IndexError for the first position that is out of range."""
        for dim, p in enumerate(self._found):
            if p is not None and p.size:
                size = self.of[dim]
                bad = (p < -size) | (p >= size)
                if bad.any():
                    raise IndexError(
                        f"index {p[bad].flat[0]} is out of bounds for dimension {dim} with size {size}"
                    )

    def fresh(self) -> None:
        """RuntimeError if an index tensor was written to since."""
        for t, expected in zip(self.tensors, self.versions):
            if version(t) != expected:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[torch.{t._dtype.legacy}Tensor {list(t._a.shape)}] is at version {version(t)}; expected version "
                    f"{expected} instead."
                )

    def strides(self, a: np.ndarray) -> tuple[int, ...] | None:
        """How a result of reading `a` lies in memory (in elements); None if contiguous."""
        arrays = [p for p in self._found if p is not None]
        if a.flags.c_contiguous and all(p.flags.c_contiguous for p in arrays):
            return None
        kept = [step for step, p in zip(a.strides, self._found) if p is None]
        at, lead = self.result_at, len(self.shape) - self.result_at - len(self.chosen)
        source = (*kept[:at], *(0,) * len(self.chosen), *kept[at:])
        others = []
        for p in arrays:
            steps = np.broadcast_to(p, self.chosen).strides
            others.append((0,) * at + steps + (0,) * lead)
        return iteration_strides(self.shape, [source, *others])

    def linear(self) -> np.ndarray:
        """The number of every element chosen, counted row by row; the positions are in range."""
        total = np.zeros((1,) * len(self.shape), np.int64)
        at, after = 0, len(self.chosen)
        steps = contiguous_strides(self.of)
        for dim, p in enumerate(self._found):
            size, step = self.of[dim], steps[dim]
            if p is None:
                place = at if at < self.result_at else at + after
                shape = [1] * len(self.shape)
                shape[place] = size
                total = total + (np.arange(size, dtype=np.int64) * step).reshape(shape)
                at += 1
            else:
                lead = len(self.shape) - self.result_at - after
                part = np.where(p < 0, p + size, p) * step
                total = total + part.reshape((1,) * (after - p.ndim) + p.shape + (1,) * lead)
        return np.broadcast_to(total, self.shape)


def _zeros_like_input(g: Any, x_meta: Any) -> Any:
    return g.new_zeros(x_meta.shape)


def _index_vjp(g: Any, x_meta: Any, places: Places) -> Any:
    from rushlight.ops.scattering import index_put_places

    places.fresh()
    if direct(g):
        if places.mask is None:
            return _added_at(g, x_meta.shape, places.key)
        out = np.zeros(x_meta.shape, g._a.dtype)
        out[places.mask] = g._a
        return new_tensor(out, g._dtype)
    return index_put_places(_zeros_like_input(g, x_meta), g, places=places, accumulate=True)


@primitive("Index", vjp=(_index_vjp,))
def index(x, *, places):
    """The elements that index tensors choose, as a fresh array."""
    if 0 in places.shape:
        return laid_out(
            np.empty(places.shape, x.dtype), places.strides(x) or contiguous_strides(places.shape)
        )
    if places.mask is not None:
        out = x[places.mask]
    else:
        try:
            out = x[places.key]
        except IndexError:
            places.check()
            raise
    out = np.asarray(out)
    steps = places.strides(x)
    if steps is None:
        if out.base is not None and not out.flags.owndata and np.may_share_memory(out, x):
            return out.copy()
        return np.ascontiguousarray(out) if out.ndim else out.copy()
    return laid_out(out, steps)


def chosen(x: Tensor, at: Tensor) -> Tensor | None:
    """x[at] in the plain cases: a mask of x's shape, or rows of a contiguous x by number; else None."""
    a, p = x._a, at._a
    if not p.ndim or not a.ndim:
        return None
    if at._dtype is dtypes.bool_:
        if p.shape != a.shape:
            return None
        made = a[p]
    elif at._dtype is int64 and a.size and a.flags.c_contiguous and p.flags.c_contiguous:
        made = a.take(p, 0)
    else:
        return None
    out = new_tensor(made, x._dtype)
    if x._edge is not None:
        record(_INDEX, (x,), {"places": Places(x, (at,))}, out)
    return out


def chosen_at(x: Tensor, key: tuple) -> Tensor | None:
    """x[i, j] and x[:, j] of a row-major matrix and vectors of positions; None for anything else."""
    a = x._a
    if len(key) != 2 or a.ndim != 2 or not a.size or not a.flags.c_contiguous:
        return None
    first, second = key
    if type(second) is not Tensor or second._dtype is not int64 or second._a.ndim != 1:
        return None
    if type(first) is slice and first == _ALL:
        made, indices = a.take(second._a, 1), (None, second)
    elif type(first) is Tensor and first._dtype is int64 and first._a.shape == second._a.shape:
        made, indices = a[first._a, second._a], key
    else:
        return None
    out = new_tensor(made, x._dtype)
    if x._edge is not None:
        record(_INDEX, (x,), {"places": Places(x, indices)}, out)
    return out


_INDEX: Any = index.derivative


def preserved(a: np.ndarray) -> np.ndarray:
    """A copy with the dimensions in the order that they have in memory, and without gaps."""
    return a.copy() if a.flags.c_contiguous else laid_out(a, iteration_strides(a.shape, [a.strides]))


# ---- along one dimension ----


def check_dim(t: Tensor, dim: Any, name: str) -> int:
    if type(dim) is not int:
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise TypeError(f"{name}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
        dim = dim.__index__()
    return wrap_dim(dim, t._a.ndim)


def check_range(p: np.ndarray, size: int, dim: int, error: type = RuntimeError) -> None:
    """Whether all positions lie in [0, size)."""
    if p.size and not in_range(p, size):
        first = p[(p < 0) | (p >= size)].flat[0]
        raise error(f"index {first} is out of bounds for dimension {dim} with size {size}")


def in_range(p: np.ndarray, size: int) -> bool:
    """Whether all of some positions lie in [0, size)."""
    if p.size <= _FEW:
        found = p.ravel().tolist()
        return min(found) >= 0 and max(found) < size
    return bool(p.min() >= 0 and p.max() < size)


#: positions that Python's own numbers compare faster than NumPy
_FEW = 64


def along(p: np.ndarray, dim: int) -> tuple:
    """A NumPy index that takes, at each place of `p`, position `p` along `dim`."""
    key: list[np.ndarray] = []
    for d, size in enumerate(p.shape):
        if d == dim:
            key.append(p)
        else:
            shape = [1] * p.ndim
            shape[d] = size
            key.append(np.arange(size).reshape(shape))
    return tuple(key)


def _added_at(g: Any, shape: tuple[int, ...], key: Any) -> Tensor:
    """Zeros of `shape` with the gradients added at their places; on arrays, see `direct`."""
    out = np.zeros(shape, g._a.dtype)
    if len(key) == 1 and _all_different(key[0], shape[0]):
        out[key] = g._a
    else:
        np.add.at(out, key, g._a)
    return new_tensor(out, g._dtype)


def _all_different(p: np.ndarray, size: int) -> bool:
    """Whether no position in [-size, size) is meant twice."""
    return p.ndim == 1 and 0 < p.size <= size and int(np.bincount(p % size).max()) == 1


def _added_flat(g: Any, shape: tuple[int, ...], p: np.ndarray, dim: int) -> Tensor:
    """The same at places along one dimension, by the numbers of the elements, which NumPy adds faster."""
    after = math.prod(shape[dim + 1 :])
    before = np.arange(math.prod(shape[:dim])).reshape(-1, 1, 1) * (shape[dim] * after)
    flat = p.reshape(-1, p.shape[dim], after) * after + before + np.arange(after)
    out = np.zeros(math.prod(shape), g._a.dtype)
    np.add.at(out, flat.reshape(-1), g._a.reshape(-1))
    return new_tensor(out.reshape(shape), g._dtype)


def _gather_vjp(g: Any, x: Any, index: Any, dim: int) -> Any:
    if direct(g) and g._a.size and g._a.ndim and x.shape:
        rows = index._a.shape[:dim] == x.shape[:dim]
        if rows and index._a.shape[dim + 1 :] == x.shape[dim + 1 :]:
            return _added_flat(g, x.shape, index._a, dim)
        return _added_at(g, x.shape, along(index._a, dim))
    return _zeros_like_input(g, x).scatter_add(dim, index, g)


def _index_select_vjp(g: Any, x_meta: Any, index: Any, dim: int) -> Any:
    if direct(g) and x_meta.shape:
        p = index._a.reshape(-1)
        if dim and _all_different(p, x_meta.shape[dim]):
            out = np.zeros(x_meta.shape, g._a.dtype)
            out[(*(_ALL,) * dim, p)] = g._a
            return new_tensor(out, g._dtype)
        return _added_at(g, x_meta.shape, (*(_ALL,) * dim, p))
    return _zeros_like_input(g, x_meta).index_add(dim, index, g)


def _take_vjp(g: Any, x_meta: Any, index: Any) -> Any:
    if direct(g) and x_meta.shape:
        flat = _added_at(g, (math.prod(x_meta.shape),), (index._a,))
        return new_tensor(flat._a.reshape(x_meta.shape), g._dtype)
    return _zeros_like_input(g, x_meta).put(index, g, accumulate=True)


@primitive(
    "Gather",
    vjp=(
        lambda g, x, index, dim: _gather_vjp(g, x, index, dim),
        None,
    ),  # x: as PyTorch keeps it
)
def gather_along(x, index, *, dim):
    if index.size == 0:
        return np.empty(index.shape, x.dtype)
    if x.ndim == 0 or index.ndim == 0:
        return np.ascontiguousarray(x.reshape(-1)[index.reshape(-1)]).reshape(index.shape)
    return np.ascontiguousarray(x[along(index, dim)])


def _short_gather(x: Any, dim: Any, index: Any) -> Tensor | None:
    """Of row-major matrices of one shape, by the numbers of the elements; None for anything else."""
    if type(dim) is not int or not isinstance(index, Tensor) or index._dtype is not int64:
        return None
    a, p = x._a, index._a
    if a.ndim != 2 or a.shape != p.shape or not -2 <= dim < 2 or not a.size or x._dtype in STORED:
        return None
    if not (a.flags.c_contiguous and p.flags.c_contiguous and in_range(p, a.shape[dim])):
        return None
    dim &= 1
    rows, columns = a.shape
    if dim:
        at = p + np.arange(0, a.size, columns).reshape(rows, 1)
    else:
        at = p * np.array(columns)
        at += np.arange(columns)
    out = new_tensor(a.take(at), x._dtype)
    if x._edge is not None:
        record(gather_along.derivative, (x, index), {"dim": dim}, out)
    return out


@public(check=exact_out())
def gather(input, dim, index, *, sparse_grad=False):
    """out[i, j] = input[index[i, j], j] for dim 0, and likewise for other dimensions.

    Raises:
        RuntimeError: `index` is not int64 or int32, has other dimensions or points outside.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
        tensor([[1, 1],
                [4, 3]])
    """
    out = _short_gather(input, dim, index)
    if out is not None:
        return out
    index = as_tensor(index, "gather", "index", 2)
    dim = check_dim(input, dim, "gather")
    if index._dtype is not int64 and index._dtype is not int32 and index._a.size:
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    shape, p = input._a.shape, index._a
    if p.size:
        if max(p.ndim, 1) != max(len(shape), 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
        for d, n in enumerate(p.shape):
            if d != dim and n > shape[d]:
                raise RuntimeError(
                    f"Size does not match at dimension {d} expected index {list(p.shape)} to be no larger than self "
                    f"{list(shape)} apart from dimension {dim}"
                )
        implemented(input, "scatter_gather_tensor_cpu")
        check_range(p, shape[dim] if shape else 1, dim)
    return gather_along(input, index, dim=dim)


def check_vector(index: Tensor, name: str, kinds: tuple = (int64, int32)) -> np.ndarray:
    """The positions of a 0-d or 1-d index as a vector."""
    if index._a.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    if index._dtype not in kinds:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    return index._a.reshape(-1)


@primitive(
    "IndexSelect",
    vjp=(_index_select_vjp, None),
)
def index_select_along(x, index, *, dim):
    if x.ndim == 0:
        return x.copy()
    return np.ascontiguousarray(x.take(index.reshape(-1), dim))


def _short_select(x: Any, dim: Any, index: Any) -> Tensor | None:
    """Slices of a row-major tensor at a vector of positions in range; None for anything else."""
    if type(dim) is not int or not isinstance(index, Tensor) or index._dtype is not int64:
        return None
    a, p = x._a, index._a
    if p.ndim != 1 or a.ndim < 2 or not -a.ndim <= dim < a.ndim or not p.size or not a.flags.c_contiguous:
        return None
    if not in_range(p, a.shape[dim]):
        return None
    out = new_tensor(a.take(p, dim), x._dtype)
    if x._edge is not None:
        record(index_select_along.derivative, (x, index), {"dim": dim % a.ndim}, out)
    return out


@public(check=exact_out("index_select(): self and result must have the same scalar type"))
def index_select(input, dim, index):
    """The slices at the positions in `index` (0-d or 1-d) along `dim`.

    Raises:
        IndexError: a position is out of range; negative ones are.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).index_select(1, torch.tensor([1, 1]))
        tensor([[2, 2],
                [4, 4]])
    """
    out = _short_select(input, dim, index)
    if out is not None:
        return out
    index = as_tensor(index, "index_select", "index", 2)
    dim = check_dim(input, dim, "index_select")
    p = check_vector(index, "index_select")
    if input._a.ndim < 2:
        implemented(input, "index_select")
    if input._a.ndim == 0 and p.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {p.size} value(s)")
    size = input._a.shape[dim] if input._a.ndim else 1
    if size == 0 and p.size:
        if input._a.ndim == 1:
            raise IndexError("index out of range in self")
        raise RuntimeError("index_select(): self indexing axis dim should be positive")
    if p.size and (p.min() < 0 or p.max() >= size):
        if dim == 0:
            raise IndexError("index out of range in self")
        bad = p[(p < 0) | (p >= size)][0]
        raise RuntimeError(f"INDICES element is out of DATA bounds, id={bad} axis_dim={size}")
    return index_select_along(input, index, dim=dim)


@primitive(
    "Take",
    vjp=(_take_vjp, None),
)
def take_flat(x, index):
    return np.asarray(x.take(index))


def check_flat(t: Tensor, index: Tensor, name: str) -> None:
    if index._dtype is not int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {index._dtype.legacy}")
    p, count = index._a, t._a.size
    if p.size and not in_range(p, count) and (p.min() < -count or p.max() >= count):
        first = p[(p < -count) | (p >= count)].flat[0]
        raise IndexError(f"out of range: tried to access index {first} on a tensor of {count} elements.")


@public(
    check=exact_out(
        "take(): self and out expected to have the same dtype, but got self.dtype = {wanted} and out.dtype = {got}"
    )
)
def take(input, index):
    """The elements at `index`, counting row by row; the result has the index's shape.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([0, -1]))
        tensor([1, 4])
    """
    index = as_tensor(index, "take", "index", 1)
    if index._dtype is int64 and input._a.size == 0 and index._a.size:
        raise IndexError("take(): tried to take from an empty tensor")
    if index._dtype is int64 and index._a.size:
        implemented(input, "take_cpu")
    check_flat(input, index, "take")
    if index._a.size == 0:
        return take_flat(input.reshape(-1) if input._a.size else input, index)
    return take_flat(input, index)


@public(check=exact_out())
def take_along_dim(input, indices, dim=None):
    """`gather` with broadcasting, or over all elements where `dim` is None.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([[3, 1], [2, 4]])
        >>> x.take_along_dim(x.argsort(1), 1)
        tensor([[1, 3],
                [2, 4]])
    """
    indices = as_tensor(indices, "take_along_dim", "indices", 1)
    if dim is not None and not input._a.ndim and not indices._a.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if dim is None:
        return gather(input.view(-1), 0, indices.view(-1))
    if input._a.ndim != indices._a.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input._a.ndim} dimensions for input, and {indices._a.ndim} dimensions for indices"
        )
    if indices._dtype is not int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {indices._dtype.legacy}"
        )
    dim = check_dim(input, dim, "take_along_dim")
    x, p = input._a.shape, indices._a.shape
    size = x[dim] if x else 1
    if size:
        indices = new_tensor(np.mod(indices._a, size), int64)
    shape = broadcast(x[:dim] + (1,) + x[dim + 1 :], p[:dim] + (1,) + p[dim + 1 :]) if x else ()
    wide = input.expand(shape[:dim] + x[dim : dim + 1] + shape[dim + 1 :])
    return gather(wide, dim, indices.expand(shape[:dim] + p[dim : dim + 1] + shape[dim + 1 :]))


# ---- by mask ----


def check_mask(mask: Any, name: str) -> Tensor:
    mask = as_tensor(mask, name, "mask", 1)
    if mask._dtype is not dtypes.bool_:
        raise RuntimeError(f"{name}: expected BoolTensor for mask")
    return mask


@primitive(
    "MaskedSelect",
    vjp=(lambda g, x_meta, mask: masked_select_backward(g, x_meta, mask), None),
)
def masked_select_of(x, mask):
    shape = broadcast(x.shape, mask.shape)
    return np.broadcast_to(x, shape)[np.broadcast_to(mask, shape)]


def masked_select_backward(g: Any, x_meta: Any, mask: Tensor) -> Any:
    shape = broadcast(x_meta.shape, mask._a.shape)
    return g.new_zeros(shape).masked_scatter(mask, g)


@public(check=exact_out("masked_select(): self and result must have the same scalar type"))
def masked_select(input, mask):
    """The elements where `mask` is True, as a vector; shapes broadcast.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2, 3]).masked_select(torch.tensor([True, False, True]))
        tensor([1, 3])
    """
    mask = check_mask(mask, "masked_select")
    implemented(input, "masked_select")
    return masked_select_of(input, mask)


@primitive("Nonzero", vjp=NOT_DIFFERENTIABLE)
def nonzero_positions(x):
    found = np.array(np.nonzero(x), np.int64) if x.ndim else np.zeros((0, int(bool(x))), np.int64)
    count = found.shape[1]
    if found.size:
        return found.T
    return np.ndarray((count, x.ndim), np.int64, found, 0, (8, 8 * count))


@public(check=exact_out("nonzero: Expected out tensor to have scalar type {wanted} but got scalar type{got}"))
def nonzero(input, *, as_tuple=False):
    """The positions of the elements that are not zero: (n, ndim), or a tuple of ndim vectors.

    Example:
        >>> import rushlight as torch
        >>> torch.nonzero(torch.tensor([[0, 1], [2, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    implemented(input, "nonzero_count_cpu")
    if as_tuple:
        return nonzero_positions(input if input._a.ndim else input.unsqueeze(0)).unbind(1)
    return nonzero_positions(input)


@public(out=False)
def argwhere(input):
    """The positions of the elements that are not zero: (n, ndim)."""
    return nonzero(input)


@public(out=False)
def unravel_index(indices, shape):
    """Positions in a tensor of `shape` from numbers counted row by row: a tuple of tensors.

    Raises:
        TypeError: `indices` is not of an integer type, or `shape` not ints.

    Example:
        >>> import rushlight as torch
        >>> torch.unravel_index(torch.tensor([4]), (2, 3))
        (tensor([1]), tensor([1]))
    """
    if indices._dtype.category != dtypes.INTEGER:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices._dtype!r}")
    if not isinstance(shape, (int, Sequence)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for size in sizes:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
    if any(size < 0 for size in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    promote_types(indices._dtype, int64)
    if any(size == 0 for size in sizes) and indices._a.size:
        raise RuntimeError("ZeroDivisionError")
    a = indices._a.astype(np.int64)
    steps = [math.prod(sizes[d + 1 :]) for d in range(len(sizes))]
    if not sizes:
        return ()
    found = [execute.quiet(np.mod, a // max(step, 1), max(size, 1)) for step, size in zip(steps, sizes)]
    return execute.wrap(np.stack(found, -1)).unbind(-1)
