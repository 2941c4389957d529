"""Reading and writing by index: `x[i, :, mask]` and `x[i] = v`.

An index is taken in two steps, as PyTorch takes it. Ints, slices, None and `...` make views,
one after another, each with a node of its own; tensors, lists and masks are gathered at the
end, by `rushlight.ops.places` (reading) and `rushlight.ops.scattering` (writing).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor, new_tensor, offset, strides
from rushlight.deep import MOST
from rushlight.ops import places, scattering
from rushlight.ops.promotion import checked_number
from rushlight.ops.spec import primitive
from rushlight.ops.views import UNSQUEEZE, alias, unsqueeze
from rushlight.runtime import execute
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import edge_of, requires_grad
from rushlight.tape.recording import between
from rushlight.tape.writes import check_write, wrote

_view = execute.view

# ---- basic views ----


@primitive("SelectBackward", vjp=(lambda g, dim, index: select(g, dim, index),))
def select_backward(g, *, shape, dim, index):
    """Zeros of `shape`, with `g` at `index` along `dim`."""
    out = np.zeros(shape, g.dtype)
    out[(slice(None),) * dim + (index,)] = g
    return out


@primitive("SliceBackward", vjp=(lambda g, dim, part: slice_view(g, dim, *part.indices(g._a.shape[dim])),))
def slice_backward(g, *, shape, dim, part):
    """Zeros of `shape`, with `g` at the slice `part` along `dim`."""
    out = np.zeros(shape, g.dtype)
    out[(slice(None),) * dim + (part,)] = g
    return out


_SELECT = Derivative(
    "Select",
    ("x",),
    (lambda g, x_meta, dim, index: select_backward(g, shape=x_meta.shape, dim=dim, index=index),),
)
_SLICE = Derivative(
    "Slice",
    ("x",),
    (lambda g, x_meta, dim, part: slice_backward(g, shape=x_meta.shape, dim=dim, part=part),),
)


def select(x: Tensor, dim: int, index: int, position: int | None = None) -> Tensor:
    """The view at one index of a dimension (counted from 0), which is dropped; IndexError out of range."""
    a = x._a
    size = a.shape[dim] if a.ndim else 0
    if not -size <= index < size:
        if a.ndim == 0 and index == 0:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to "
                "convert a 0-dim tensor to a number"
            )
        at = dim if position is None else position
        raise IndexError(f"index {index} is out of bounds for dimension {at} with size {size}")
    index += size if index < 0 else 0
    if a.size:
        shown = a[(slice(None),) * dim + (index, ...)]
    else:
        shape, steps = a.shape, strides(x)
        shown = execute.restrided(
            x, shape[:dim] + shape[dim + 1 :], steps[:dim] + steps[dim + 1 :], offset(x) + index * steps[dim]
        )
    return _view(x, shown, _SELECT, {"dim": dim, "index": index})


def slice_view(x: Tensor, dim: int, start: int, stop: int, step: int) -> Tensor:
    """The view of `start:stop:step` along a dimension; all three are ints, `step` is positive."""
    a = x._a
    if a.ndim == 0:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    size = a.shape[dim]
    start = max(start + size, 0) if start < 0 else min(start, size)
    stop = max(stop + size, start) if stop < 0 else max(min(stop, size), start)
    if a.size and stop > start:
        shown = a[(slice(None),) * dim + (slice(start, stop, step),)]
    else:
        shape, steps = list(a.shape), list(strides(x))
        at = offset(x) + start * steps[dim]
        shape[dim] = -((start - stop) // step)
        steps[dim] *= step
        shown = execute.restrided(x, tuple(shape), tuple(steps), at)
    return _view(x, shown, _SLICE, {"dim": dim, "part": slice(start, stop, step)})


# ---- what an index may hold ----


def _bounds(index: slice) -> tuple[int, int, int]:
    """A slice's start, stop and step as ints; absent ones are those of PyTorch."""
    step = 1 if index.step is None else _slice_int(index.step)
    if step == 0:
        raise ValueError("slice step cannot be zero")
    if step < 0:
        raise ValueError("step must be greater than zero")
    start = 0 if index.start is None else _slice_int(index.start)
    stop = _FAR if index.stop is None else _slice_int(index.stop)
    return start, stop, step


_FAR = 2**63 - 1


def _slice_int(value: Any) -> int:
    if type(value) is not int:
        try:
            value = value.__index__()
        except AttributeError:
            raise TypeError("slice indices must be integers or None or have an __index__ method") from None
    return max(-_FAR, min(value, _FAR))


def _is_int(value: Any) -> bool:
    return type(value) is int or isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _as_int(value: Any) -> int:
    value = int(value)
    if not -(2**63) <= value <= _FAR:
        raise ValueError("Overflow when unpacking long long")
    return value


def _is_sequence(value: Any) -> bool:
    """What C calls a sequence: it has a length and items by position, and is no dictionary or set."""
    return isinstance(value, (Sequence, np.ndarray)) or (
        hasattr(type(value), "__getitem__")
        and hasattr(type(value), "__len__")
        and not hasattr(type(value), "keys")
    )


def _as_items(index: Any) -> tuple:
    """The index of each dimension: a tuple as it is; a list only if it holds more than numbers."""
    if isinstance(index, tuple):
        return tuple(index)
    if isinstance(index, (Tensor, np.ndarray)) or not _is_sequence(index) or len(index) >= 32:
        return (index,)
    items = tuple(index)
    if any(item is None or item is ... or isinstance(item, slice) or _is_sequence(item) for item in items):
        _warn_sequence()
        return items
    return (index,)


def _warn_sequence() -> None:
    import warnings

    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; "
        "use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, "
        "x[torch.tensor(seq)], which will result either in an error or a different result",
        UserWarning,
        stacklevel=5,
    )


def _as_index(value: Any) -> Tensor:
    """A list, range or array as an index tensor: masks stay masks, numbers become int64."""
    a = _as_array(value)
    if a.dtype == np.bool_ or a.dtype == np.uint8:
        return new_tensor(np.array(a), dtypes.from_numpy_dtype(a.dtype))
    return new_tensor(np.array(a.astype(np.int64)), dtypes.int64)


def _as_array(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray):
        dtypes.from_numpy_dtype(value.dtype)
        return value
    if isinstance(value, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
    if type(value) is range and len(value) and -_FAR < value[0] < _FAR and -_FAR < value[-1] < _FAR:
        return np.arange(value.start, value.stop, value.step, np.int64)
    try:
        a = np.array(value if type(value) is list and {*map(type, value)} == {int} else _numbers(value, 0))
    except ValueError as error:
        raise ValueError(f"expected sequence of equal lengths ({error})") from None
    if a.dtype.kind not in "biufc":
        raise TypeError(f"new(): invalid data type '{a.dtype.name}'")
    return a


def _numbers(value: Any, depth: int) -> Any:
    """Nested sequences with the tensors in them as arrays; TypeError for what is no number."""
    if isinstance(value, Tensor):
        return value._a
    if isinstance(value, (bool, int, float, complex, np.number, np.bool_, np.ndarray)):
        return value
    if isinstance(value, (str, bytes)) or not _is_sequence(value):
        raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
    if depth > 64:
        raise ValueError("too many dimensions 'list'")
    return [_numbers(item, depth + 1) for item in value]


def _not_an_index(value: Any) -> IndexError:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {name})"
    )


def _dims_given(items: tuple) -> int:
    """How many dimensions an index names."""
    count = 0
    for item in items:
        if isinstance(item, Tensor):
            count += item._a.ndim if item._dtype in places.MASKS else 1
        elif not (item is None or item is ... or isinstance(item, bool)):
            count += 1
    return count


def _walk(x: Tensor, items: tuple) -> tuple[Tensor, list[Tensor | None]]:
    """Take the basic part of an index; what is left are the index tensors, by dimension of the view."""
    given = _dims_given(items)
    if given > x._a.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x._a.ndim}")
    out, dim, found = x, 0, []
    for position, item in enumerate(items):
        if item is None:
            out = unsqueeze(out, dim)
            dim += 1
        elif item is ...:
            dim += x._a.ndim - given
        elif isinstance(item, slice):
            start, stop, step = _bounds(item)
            if start != 0 or step != 1 or stop < out._a.shape[dim]:
                out = slice_view(out, dim, start, stop, step)
            dim += 1
        elif _is_int(item):
            out = select(out, dim, _as_int(item), position)
        elif isinstance(item, Tensor) and _counts_as_int(item):
            out = select(out, dim, int(item._a), position)
        else:
            if (
                isinstance(item, bool)
                or isinstance(item, Tensor)
                and item._a.ndim == 0
                and item._dtype in places.MASKS
            ):
                out = unsqueeze(out, dim)
                item = _one_or_none(bool(item))
            elif not isinstance(item, Tensor):
                item = _tensor_index(item)
                if isinstance(item, int) or _counts_as_int(item):
                    out = select(out, dim, int(item._a) if isinstance(item, Tensor) else item, position)
                    continue
            found += [None] * (dim - len(found)) + [item]
            dim += 1
    return out, found


def _counts_as_int(index: Tensor) -> bool:
    kind = index._dtype
    return index._a.ndim == 0 and kind.category == dtypes.INTEGER and kind is not dtypes.uint8


def _one_or_none(chosen: bool) -> Tensor:
    """True as an index chooses the new dimension's one place, False none."""
    return new_tensor(np.zeros(int(chosen), np.int64), dtypes.int64)


def _tensor_index(item: Any) -> Any:
    """A sequence as an index tensor, anything with `__index__` as an int."""
    if isinstance(item, dict) or isinstance(item, (np.number, np.bool_)) or not _is_sequence(item):
        try:
            return _as_int(item.__index__())
        except (AttributeError, TypeError):
            raise _not_an_index(item) from None
    return _as_index(item)


# ---- reading ----


@asking
def getitem(self: Tensor, index: Any) -> Tensor:
    """`x[index]`: a view for ints, slices, None and `...`; a copy where lists, tensors or masks choose.

    Raises:
        IndexError: an index is out of range, there are too many, or a mask's shape differs.

    Example:
        >>> import rushlight as torch
        >>> x = torch.arange(6).reshape(2, 3)
        >>> x[1], x[:, [0, 2]], x[x > 3]
        (tensor([3, 4, 5]), tensor([[0, 2],
                [3, 5]]), tensor([4, 5]))
    """
    kind = type(index)
    try:
        a = self._a
        if kind is int:
            shown = a[index, ...]
            if shown.size:
                if self._edge is None:
                    return _view(self, shown, None, None)
                return _view(self, shown, _SELECT, {"dim": 0, "index": index % len(a)})
        elif kind is slice:
            if index.step is None:
                shown = a[index]
                if shown.size:
                    if self._edge is None:
                        return _view(self, shown, None, None)
                    if type(index.start) in _CONSTANT and type(index.stop) in _CONSTANT:
                        return _view(self, shown, _SLICE, {"dim": 0, "part": index})
        elif kind is tuple:
            if type(index[-1]) is Tensor:
                out = places.chosen_at(self, index)
                if out is not None:
                    return out
            if self._edge is None:
                if _is_plain(index):
                    shown = a[index if ... in index else (*index, ...)]
                    if shown.size:
                        return _view(self, shown, None, None)
            elif a.size and MODES.grad:
                out = _recorded_views(self, index)
                if out is not None:
                    return out
        elif kind is Tensor:
            out = places.chosen(self, index)
            if out is not None:
                return out
        elif index is None and a.size and a.flags.c_contiguous and a.ndim < MOST and 1 not in a.shape:
            return _view(self, a.reshape((1, *a.shape)), UNSQUEEZE, {"dim": 0})
    except (IndexError, TypeError, NeedsBatching):
        pass  # the careful way below says what is wrong
    except AttributeError:
        if isinstance(self, Tensor):
            raise
        raise TypeError(
            "descriptor '__getitem__' requires a 'torch._C.TensorBase' object but received a "
            f"'{type(self).__name__}'"
        ) from None
    try:
        return _read(self, index)
    except NeedsBatching:
        pass
    return TAKE_OVER.function("__getitem__", getitem, (self, index), {})


_CONSTANT = frozenset({int, type(None)})


def _recorded_views(x: Tensor, index: tuple) -> Tensor | None:
    """Ints and `:` on the tape: one view of memory, and a node for each int; None for anything else."""
    steps: list[tuple[int, int]] = []
    dim = 0
    for item in index:
        if type(item) is int:
            steps.append((dim, item))
        elif type(item) is slice and item.start is item.stop is item.step is None:
            dim += 1
        else:
            return None
    edge = edge_of(x)
    if not steps or edge is None:
        return None
    a, kind = x._a, x._dtype
    shown = a[(*index, ...)]
    shape = a.shape
    for dim, item in steps:
        rest = shape[:dim] + shape[dim + 1 :]
        edge = between(_SELECT, edge, {"dim": dim, "index": item % shape[dim]}, (shape, kind), (rest, kind))
        shape = rest
    out = _view(x, shown, None, None)
    out._edge.edge = edge
    return out


def _is_plain(index: tuple) -> bool:
    """Whether NumPy understands an index as PyTorch does: ints, slices without step, and `...`."""
    dots = 0
    for item in index:
        if type(item) is not int:
            if item is ...:
                dots += 1
            elif type(item) is not slice or item.step is not None:
                return False
    return dots < 2 and len(index) > 0


def _read(x: Tensor, index: Any) -> Tensor:
    if index is None:
        return unsqueeze(x, 0)
    if index is ...:
        return alias(x)
    if _is_int(index):
        return select(x, 0, _as_int(index))
    if isinstance(index, slice):
        return slice_view(x, 0, *_bounds(index))
    out, indices = _walk(x, _as_items(index))
    if not indices:
        return alias(out) if out is x else out
    return places.index(out, places=places.Places(out, indices))


# ---- writing ----


@asking
def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`: writes to this tensor's memory; `value` is a number or a tensor that broadcasts.

    Raises:
        IndexError: as for reading.
        RuntimeError: the shape does not broadcast, or the tensor may not be written to.
        TypeError: the value is neither number nor tensor.

    Example:
        >>> import rushlight as torch
        >>> x = torch.zeros(2, 2)
        >>> x[0] = torch.tensor([1., 2.])
        >>> x[x == 0] = 7
        >>> x
        tensor([[1., 2.],
                [7., 7.]])
    """
    try:
        if not _assign(self, index, value):
            _put(self, index, value)
        return
    except NeedsBatching:
        pass
    TAKE_OVER.function("__setitem__", setitem, (self, index, value), {})


def _put(self: Tensor, index: Any, value: Any) -> None:
    """The careful way of writing: views first, then what is gathered."""
    value = _as_value(self, value)
    if index is False:
        return
    if index is ...:
        target, indices = self, []
        if value._a.shape == self._a.shape:
            self.copy_(value)
            return
    elif index is None or index is True:
        target, indices = unsqueeze(self, 0), []
    elif _is_int(index):
        target, indices = select(self, 0, _as_int(index)), []
    elif isinstance(index, slice) and self._a.ndim == 0:
        target, indices = slice_view(self, 0, *_bounds(index)), []
    else:
        target, indices = _walk(self, _as_items(index))
    if indices:
        check_write(target, "index_put_")
        if value._a.ndim and value._a.shape[0] == 1:
            value = _without_leading_ones(value)
        scattering.put_places(target, places.Places(target, indices), value)
    else:
        _copy_to(target, value)


def _assign(x: Tensor, index: Any, value: Any) -> bool:
    """The plain cases, off the tape: NumPy's own assignment. False, and nothing written, for all others."""
    a, kind = x._a, type(index)
    if x._edge is not None and requires_grad(x) or 0 in a.strides:
        return False
    if kind is tuple:
        if not _is_plain(index):
            return False
    elif kind is Tensor:
        if x._dtype in dtypes.WIDE_UNSIGNED:
            return False
        if index._dtype is dtypes.bool_:
            if index._a.shape != a.shape or not a.ndim:
                return False
        elif index._dtype is not dtypes.int64 or not index._a.ndim:
            return False
        index = index._a
    elif kind is not int and (kind is not slice or index.step is not None):
        return False
    if type(value) is Tensor:
        if value._dtype is not x._dtype or value._edge is not None and requires_grad(value) and MODES.grad:
            return False
        value = value._a
        if kind is Tensor and index.dtype == np.bool_ and value.ndim or np.may_share_memory(a, value):
            return False
    elif type(value) is float:
        if x._dtype not in _WIDE or not -1e38 < value < 1e38:
            return False
    elif type(value) is not int or not 0 <= value < 128:
        return False
    check_write(x, "__setitem__")
    try:
        a[index] = value
    except (IndexError, ValueError, TypeError):
        return False
    wrote(x)
    return True


_WIDE = frozenset({dtypes.float32, dtypes.float64})


def _as_value(x: Tensor, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float, complex, np.integer)):
        value = _as_int(value) if _is_int(value) else value
        return new_tensor(np.asarray(checked_number(value, x._dtype), x._dtype.numpy), x._dtype)
    raise TypeError(f"can't assign a {_type_name(value)} to a torch.{x._dtype.legacy}Tensor")


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _without_leading_ones(value: Tensor) -> Tensor:
    shape = value._a.shape
    lead = next((at for at, size in enumerate(shape) if size != 1), len(shape))
    return value.view(shape[lead:])


def _copy_to(target: Tensor, value: Tensor) -> None:
    if value._a.shape == target._a.shape:
        target.copy_(value)
        return
    if 0 in target._a.strides:
        check_write(target, "copy_")
    if value._a.ndim == 0:
        target.fill_(value)
    else:
        target.copy_(_without_leading_ones(value).expand(target._a.shape))


def delitem(self: Tensor, index: Any) -> None:
    """Always TypeError: a tensor's elements cannot be taken out."""
    raise TypeError("Tensor does not support deleting items")
