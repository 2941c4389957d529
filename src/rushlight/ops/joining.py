"""Joining tensors, and repeating or turning their elements: cat, stack, flip, roll, repeat, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.batched import for_batches
from rushlight.buffer import Tensor, new_tensor
from rushlight.device import contiguous_format
from rushlight.dtypes import can_cast, int32, int64
from rushlight.errors import dim_out_of_range
from rushlight.layout import iteration_strides, wrap_dim, wrap_dims
from rushlight.ops.kinds.overlap import check_apart
from rushlight.ops.promotion import result_type
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.results import concatenated, in_rows, laid_out
from rushlight.tape.recording import record

# ---- cat, stack ----


def _check_out(out: Tensor, result: Tensor, inputs: Any) -> None:
    if not can_cast(result._dtype, out._dtype):
        raise TypeError(
            f"torch.cat(): input types can't be cast to the desired output type {out._dtype.legacy}"
        )
    check_apart(out, result, inputs)


def _tensors(tensors: Any, name: str) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for at, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}")
    return list(tensors)


def _int(value: Any, name: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}(): argument 'dim' (position 2) must be int, not {type(value).__name__}")
    return value.__index__()


def _is_legacy_empty(shape: tuple) -> bool:
    """A vector without elements joins with anything."""
    return shape == (0,)


def _cat_vjp(g: Any, xs_meta: Any, dim: int, needs: tuple) -> list:
    """Each input's part of the gradient."""
    grads, start = [], 0
    for meta, need in zip(xs_meta, needs):
        if _is_legacy_empty(meta.shape) and g._a.ndim != 1:
            grads.append(g.new_zeros((0,)) if need else None)
            continue
        size = meta.shape[dim]
        grads.append(g.narrow(dim, start, size) if need else None)
        start += size
    return grads


@primitive("Cat", vjp=_cat_vjp)
def cat_along(*xs, dim, kind):
    parts = [x for x in xs if not _is_legacy_empty(x.shape)] or [xs[0]]
    parts = [x if x.dtype == kind.numpy else convert(x, kind) for x in parts]
    if parts[0].ndim in (4, 5) and all(_channels_last(x.shape, x.strides) for x in parts):
        return _inner_channels(np.concatenate(parts, dim))
    return concatenated(np.concatenate, parts, dim) if len(parts) > 1 else in_rows(parts[0])


def _channels_last(shape: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Whether an image's strides say that its channels lie innermost."""
    if steps[1] == 0 or 0 in shape:
        return False
    least = 0
    for d in (1, *range(len(shape) - 1, 1, -1), 0):
        if steps[d] < least or d == 0 and least == steps[1]:
            return False
        least = steps[d] * shape[d]
    return True


def _inner_channels(a: np.ndarray) -> np.ndarray:
    """A fresh array with dimension 1 innermost in memory."""
    order = (0, *range(2, a.ndim), 1)
    return np.array(a.transpose(order), order="C").transpose(0, -1, *range(1, a.ndim - 1))


def _checked_cat(ts: list[Tensor], dim: Any) -> int:
    for at, t in enumerate(ts):
        if t._a.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {at}) cannot be concatenated")
    first = next((t._a.shape for t in ts if not _is_legacy_empty(t._a.shape)), None)
    if first is None:
        return 0
    dim = wrap_dim(dim, len(first))
    for at, t in enumerate(ts):
        shape = t._a.shape
        if _is_legacy_empty(shape):
            continue
        if len(shape) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}"
            )
        for d, (m, n) in enumerate(zip(first, shape)):
            if m != n and d != dim:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {m} but got size {n} for "
                    f"tensor number {at} in the list."
                )
    return dim


@public(check=_check_out)
def cat(tensors, dim=0):
    """The tensors one after another along `dim`; their other sizes must agree.

    Raises:
        RuntimeError: sizes or numbers of dimensions differ.
        ValueError: there is no tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.cat([torch.ones(1, 2), torch.zeros(1, 2)])
        tensor([[1., 1.],
                [0., 0.]])
    """
    made = _joined(tensors, dim, np.concatenate)
    if made is not None:
        return _recorded(made, tensors, _CAT, dim)
    ts = _tensors(tensors, "cat")
    dim = _int(dim, "cat")
    if not ts:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    dim = _checked_cat(ts, dim)
    return cat_along(*ts, dim=dim, kind=_common(ts))


_CAT: Any = cat_along.derivative


def _joined(tensors: Any, dim: Any, join: Any) -> np.ndarray | None:
    """The plain case: contiguous results of equal types, and no more than three dimensions."""
    if type(dim) is not int or type(tensors) not in (list, tuple) or not tensors:
        return None
    kind, arrays = None, []
    for t in tensors:
        if type(t) is not Tensor or kind is not None and t._dtype is not kind:
            return None
        kind, a = t._dtype, t._a
        if not a.size or a.ndim > 3:
            return None
        arrays.append(a)
    try:
        return concatenated(join, arrays, dim)
    except ValueError:
        return None


def _recorded(made: np.ndarray, tensors: Any, derivative: Any, dim: int) -> Tensor:
    out = new_tensor(made, tensors[0]._dtype)
    for t in tensors:
        if t._edge is not None:
            attrs = {"dim": dim if dim >= 0 else dim + made.ndim, "kind": out._dtype}
            record(derivative, tensors, attrs, out)
            break
    return out


def _common(ts: list[Tensor]) -> Any:
    kind = ts[0]._dtype
    for t in ts:
        if t._dtype is not kind:
            return result_type(*ts)
    return kind


@public(check=_check_out)
def concat(tensors, dim=0):
    """The same as `cat`."""
    return cat(tensors, dim)


@public(check=_check_out)
def concatenate(tensors, dim=0):
    """The same as `cat`."""
    return cat(tensors, dim)


@primitive("Stack", vjp=lambda g, dim: g.unbind(dim))
def stack_along(*xs, dim, kind):
    parts = [x if x.dtype == kind.numpy else convert(x, kind) for x in xs]
    if dim < xs[0].ndim == 4 and all(_channels_last(x.shape, x.strides) for x in parts):
        joined = _inner_channels(np.concatenate(parts, dim))
        return joined.reshape((*joined.shape[:dim], len(parts), xs[0].shape[dim], *joined.shape[dim + 1 :]))
    return concatenated(np.stack, parts, dim)


_STACK: Any = stack_along.derivative


@public(check=_check_out)
def stack(tensors, dim=0):
    """The tensors, all of one shape, one after another along a new dimension.

    Raises:
        RuntimeError: shapes differ, or there is no tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])], dim=1)
        tensor([[1, 3],
                [2, 4]])
    """
    made = _joined(tensors, dim, np.stack)
    if made is not None:
        return _recorded(made, tensors, _STACK, dim)
    ts = _tensors(tensors, "stack")
    dim = _int(dim, "stack")
    if not ts:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = ts[0]._a.shape
    dim = wrap_dim(dim, len(shape) + 1)
    for at, t in enumerate(ts):
        if t._a.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t._a.shape)} at entry {at}"
            )
    return stack_along(*ts, dim=dim, kind=_common(ts))


def _at_least(t: Tensor, ndim: int) -> Tensor:
    """`atleast_1d`, `2d` and `3d`: new dimensions where PyTorch puts them."""
    if ndim == 3:
        t = _at_least(t, 2)
        return t.unsqueeze(-1) if t._a.ndim == 2 else t
    have = t._a.ndim
    if have >= ndim:
        return t
    if have == 0:
        return t.reshape((1,) * ndim)
    return t.unsqueeze(0)


def _some(tensors: Any, name: str) -> list[Tensor]:
    ts = _tensors(tensors, name)
    if not ts:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return ts


@public(check=_check_out)
def hstack(tensors):
    """The tensors side by side: along dimension 1, or 0 for vectors.

    Example:
        >>> import rushlight as torch
        >>> torch.hstack([torch.tensor([1]), torch.tensor([2, 3])])
        tensor([1, 2, 3])
    """
    ts = [_at_least(t, 1) for t in _some(tensors, "hstack")]
    return cat(ts, 0 if ts[0]._a.ndim == 1 else 1)


@public(check=_check_out)
def vstack(tensors):
    """The tensors on top of each other; vectors are rows.

    Example:
        >>> import rushlight as torch
        >>> torch.vstack([torch.tensor([1, 2]), torch.tensor([3, 4])])
        tensor([[1, 2],
                [3, 4]])
    """
    return cat([_at_least(t, 2) for t in _some(tensors, "vstack")], 0)


@public(check=_check_out)
def row_stack(tensors):
    """The same as `vstack`."""
    return vstack(tensors)


@public(check=_check_out)
def dstack(tensors):
    """The tensors behind each other, along dimension 2."""
    return cat([_at_least(t, 3) for t in _some(tensors, "dstack")], 2)


@public(check=_check_out)
def column_stack(tensors):
    """The tensors side by side; vectors are columns.

    Example:
        >>> import rushlight as torch
        >>> torch.column_stack([torch.tensor([1, 2]), torch.tensor([3, 4])])
        tensor([[1, 3],
                [2, 4]])
    """
    ts = _some(tensors, "column_stack")
    return hstack([t if t._a.ndim > 1 else t.reshape((t._a.size, 1)) for t in ts])


# ---- turning ----


@primitive("Flip", vjp=(lambda g, dims: g.flip(dims),))
def flip_dims(x, *, dims):
    turned = x[tuple(slice(None, None, -1) if d in dims else slice(None) for d in range(x.ndim))]
    if x.flags.c_contiguous or x.ndim < 2:
        return np.array(turned, order="C")
    return laid_out(turned, iteration_strides(x.shape, [x.strides]))


@public(out=False)
def flip(input, dims):
    """A copy with the order of the elements reversed along each of `dims`.

    Raises:
        RuntimeError: a dimension is named twice.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(3).flip(0)
        tensor([2, 1, 0])
    """
    if not isinstance(dims, (tuple, list)):
        raise TypeError(
            f"flip(): argument 'dims' (position 2) must be tuple of ints, not {type(dims).__name__}"
        )
    return flip_dims(input, dims=wrap_dims(_ints(dims, "flip", "dims"), input._a.ndim))


def flip_method(self: Tensor, *given: Any, dims: Any = None) -> Tensor:
    """:func:`flip`; the dimensions may also be separate arguments."""
    a = self._a
    if (
        len(given) == 1
        and type(given[0]) is int
        and a.ndim == 2
        and a.flags.c_contiguous
        and -2 <= given[0] < 2
    ):
        dim = given[0] & 1
        out = new_tensor((a[:, ::-1] if dim else a[::-1]).copy(), self._dtype)
        if self._edge is not None:
            record(flip_dims.derivative, (self,), {"dims": (dim,)}, out)
        return out
    return flip(self, _listed(given, dims, "flip", "dims"))


def _listed(given: tuple, named: Any, name: str, argument: str) -> Any:
    """The ints that a method got one by one, as a sequence, or by name."""
    if not given:
        if named is None:
            raise TypeError(f'{name}() missing 1 required positional arguments: "{argument}"')
        return named
    return given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


@public(out=False)
def fliplr(input):
    """A copy with dimension 1 reversed."""
    if input._a.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


@public(out=False)
def flipud(input):
    """A copy with dimension 0 reversed."""
    if input._a.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


@primitive("Rot90Backward0", vjp=(lambda g, k, dims: g.rot90(-k, dims),))
def rot90_dims(x, *, k, dims):
    turned = np.rot90(x, k, dims)
    if k % 4 == 0:
        return np.array(turned, order="C")
    steps = list(iteration_strides(x.shape, [x.strides]))
    if k % 2:
        steps[dims[0]], steps[dims[1]] = steps[dims[1]], steps[dims[0]]
    return laid_out(turned, tuple(steps))


@public(out=False)
def rot90(input, k=1, dims=(0, 1)):
    """A copy turned by k quarter turns in the plane of two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1, 2], [3, 4]]).rot90()
        tensor([[2, 4],
                [1, 3]])
    """
    ndim = input._a.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    return rot90_dims(input, k=k, dims=tuple(wrap_dim(d, ndim) for d in dims))


@primitive("Roll", vjp=(lambda g, shifts, dims: g.roll([-s for s in shifts], dims),))
def roll_dims(x, *, shifts, dims):
    if not x.size:
        return np.empty(x.shape, x.dtype)
    if not dims:
        return _rolled(x.reshape(-1), shifts[0], 0).reshape(x.shape)
    for shift, dim in zip(shifts, dims):
        x = _rolled(x, shift, dim)
    return x


def _rolled(x: np.ndarray, shift: int, dim: int) -> np.ndarray:
    """A row-major copy, moved round along one dimension: what falls off the end comes first."""
    last = x.shape[dim] - shift % x.shape[dim]
    before = (slice(None),) * dim
    return np.ascontiguousarray(
        np.concatenate((x[(*before, slice(last, None))], x[(*before, slice(last))]), dim)
    )


@public(out=False)
def roll(input, shifts, dims=()):
    """A copy with the elements moved round by `shifts` along `dims`, or through all of them.

    Raises:
        RuntimeError: there are not as many shifts as dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(4).roll(1)
        tensor([3, 0, 1, 2])
    """
    if type(shifts) is int and type(dims) is int and 0 <= dims < input._a.ndim:
        return roll_dims(input, shifts=(shifts,), dims=(dims,))
    shifts = _ints(shifts, "roll", "shifts")
    dims = _ints(dims, "roll", "dims")
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims) and (dims or len(shifts) > 1):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    if dims and input._a.ndim == 0:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return roll_dims(input, shifts=shifts, dims=tuple(wrap_dim(d, input._a.ndim) for d in dims))


def _ints(value: Any, name: str, argument: str) -> tuple[int, ...]:
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            raise TypeError(
                f"{name}(): argument '{argument}' must be tuple of ints, not {type(item).__name__}"
            )
    return tuple(item.__index__() for item in items)


# ---- repeating ----


def _repeat_vjp(g: Any, x_meta: Any, repeats: tuple) -> Any:
    """The sum over the copies."""
    lead = len(repeats) - x_meta.ndim
    shape: list[int] = []
    for d, times in enumerate(repeats):
        shape += [times, 1 if d < lead else x_meta.shape[d - lead]]
    if 0 in repeats:
        return g.new_zeros(x_meta.shape)
    summed = g.reshape(shape).sum(list(range(0, 2 * len(repeats), 2))) if repeats else g
    return summed.reshape(x_meta.shape)


@primitive("Repeat", vjp=(_repeat_vjp,))
def repeat_dims(x, *, repeats):
    if x.size == 0 or 0 in repeats:
        lead = (1,) * (len(repeats) - x.ndim)
        return np.empty([n * r for n, r in zip(lead + x.shape, repeats)], x.dtype)
    lead = (1,) * (len(repeats) - x.ndim)
    sizes = lead + x.shape
    out = np.empty([n for pair in zip(repeats, sizes) for n in pair], x.dtype)
    out[...] = x.reshape([n for size in sizes for n in (1, size)])
    return out.reshape([n * r for n, r in zip(sizes, repeats)])


def repeat(input: Tensor, *given: Any, repeats: Any = None) -> Tensor:
    """`input` set beside itself as often as `repeats` says for each dimension.

    Raises:
        RuntimeError: there are fewer repeats than dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 2]).repeat(2, 2)
        tensor([[1, 2, 1, 2],
                [1, 2, 1, 2]])
    """
    repeats = _ints(_listed(given, repeats, "repeat", "repeats"), "repeat", "repeats")
    shape = input._a.shape
    if len(repeats) < len(shape):
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    padded = (1,) * (len(repeats) - len(shape)) + shape
    sizes = [n * r for n, r in zip(padded, repeats)]
    for size in sizes:
        if size < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {size}: {sizes}")
    return repeat_dims(input, repeats=repeats)


@public(out=False)
def tile(input, dims):
    """:meth:`Tensor.repeat`, with ones put before too few repeats.

    Example:
        >>> import rushlight as torch
        >>> torch.tile(torch.tensor([1, 2]), (2,))
        tensor([1, 2, 1, 2])
    """
    if not isinstance(dims, (tuple, list)):
        raise TypeError(
            f"tile(): argument 'dims' (position 2) must be tuple of ints, not {type(dims).__name__}"
        )
    return repeat(input, (1,) * (input._a.ndim - len(dims)) + tuple(dims))


def tile_method(self: Tensor, *given: Any, dims: Any = None) -> Tensor:
    """:func:`tile`; the counts may also be separate arguments."""
    return tile(self, _listed(given, dims, "tile", "dims"))


@public(out=False)
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element (or slice along `dim`) as often as `repeats`, a number or a tensor of numbers, says.

    With one argument: the positions 0, 1, ..., each as often as `input` says.

    Raises:
        RuntimeError: `repeats` is negative or does not fit the dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([7, 8]).repeat_interleave(torch.tensor([2, 1]))
        tensor([7, 7, 8])
    """
    if repeats is None:
        if input._a.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        return new_tensor(_positions(input, output_size).astype(input._dtype.numpy), input._dtype)
    if dim is None:
        input, dim = input.reshape(-1), 0
    if not isinstance(repeats, Tensor):
        return _repeat_each(input, repeats, dim, output_size)
    counts = repeats
    if counts._a.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if input._a.ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, input._a.ndim)
    size = input._a.shape[dim]
    if counts._a.size == 1:
        counts = new_tensor(np.repeat(counts._a.reshape(-1), size), counts._dtype)
    elif counts._a.shape[0] != size:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got "
            f"repeats.size(0) = {counts._a.size} and input.size({dim}) = {size}"
        )
    return input.index_select(dim, new_tensor(_positions(counts, output_size), int64))


def _positions(counts: Tensor, output_size: int | None) -> np.ndarray:
    """0, 1, ..., each as often as `counts` says."""
    if counts._dtype is not int64 and counts._dtype is not int32:
        raise NotImplementedError(f"\"repeat_interleave_cpu\" not implemented for '{counts._dtype.legacy}'")
    if (counts._a < 0).any():
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and int(counts._a.sum()) != output_size:
        raise RuntimeError("allocated size does not match required size")
    return np.repeat(np.arange(counts._a.size, dtype=np.int64), counts._a)


def _repeat_each(input: Tensor, times: Any, dim: Any, output_size: int | None) -> Tensor:
    """Every slice equally often: a new dimension, expanded, copied and merged."""
    if isinstance(times, bool) or not hasattr(times, "__index__"):
        raise TypeError(
            f"repeat_interleave(): argument 'repeats' must be int or Tensor, not {type(times).__name__}"
        )
    times = times.__index__()
    dim = wrap_dim(dim, input._a.ndim)
    if times < 0:
        raise RuntimeError("Repeats must be non-negative")
    shape = input._a.shape
    if not shape:
        raise dim_out_of_range(1, 0)
    if output_size is not None and output_size != shape[dim] * times:
        raise RuntimeError(
            f"repeat_interleave: Invalid output_size, expected {shape[dim] * times} but got {output_size}"
        )
    wide = input.unsqueeze(dim + 1).expand((*shape[: dim + 1], times, *shape[dim + 1 :]))
    merged = (*shape[:dim], shape[dim] * times, *shape[dim + 1 :])
    return wide.clone(memory_format=contiguous_format).view(merged)


# ---- classes ----


@for_batches
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each class number a vector with a one at its place; shape (*, num_classes).

    Raises:
        RuntimeError: a number is negative or not below `num_classes`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    tensor = as_tensor(tensor, "one_hot", "tensor", 1)
    a = tensor._a
    if tensor._dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if a.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return new_tensor(np.zeros((*a.shape, num_classes), np.int64), int64)
    if a.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(a.max()) + 1
    elif a.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return new_tensor((a[..., None] == np.arange(num_classes)).astype(np.int64), int64)
