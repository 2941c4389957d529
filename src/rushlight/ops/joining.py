"""Joining tensors: cat, stack, hstack, ..."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import can_cast
from rushlight.layout import channels_innermost, wrap_dim
from rushlight.ops.kinds.overlap import check_apart
from rushlight.ops.promotion import result_type
from rushlight.ops.spec import primitive, public
from rushlight.runtime.casting import convert
from rushlight.runtime.results import concatenated, in_rows, with_inner_channels
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
    if parts[0].ndim in (4, 5) and all(channels_innermost(x.shape, x.strides) for x in parts):
        return with_inner_channels(np.concatenate(parts, dim))
    return concatenated(np.concatenate, parts, dim) if len(parts) > 1 else in_rows(parts[0])


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
    if dim < xs[0].ndim == 4 and all(channels_innermost(x.shape, x.strides) for x in parts):
        joined = with_inner_channels(np.concatenate(parts, dim))
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
