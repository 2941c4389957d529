"""Views with strides of their own: `as_strided`, `diagonal`, `unfold`; and copies with such a part replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor, strides
from rushlight.buffer import offset as offset_of
from rushlight.layout import dense_strides, may_overlap, span, wrap_dim
from rushlight.layout import places as places_of
from rushlight.layout import sizes as sizes_of
from rushlight.memory import array
from rushlight.ops.indexing import slice_view
from rushlight.ops.kinds.method import method
from rushlight.ops.kinds.strict import real_gradient, same_type
from rushlight.ops.spec import primitive, public
from rushlight.runtime import execute
from rushlight.runtime.execute import restrided, within
from rushlight.tape.derivative import Derivative
from rushlight.tape.recording import record

_view = execute.view


# ---- as_strided ----


class Geometry(tuple):
    """(shape, strides, offset) of one tensor on a storage."""

    __slots__ = ()

    def places(self) -> np.ndarray:
        return places_of(*self)


def _reach(*geometries: Geometry) -> int:
    return max(at + span(shape, steps) for shape, steps, at in geometries)


@primitive(
    "AsStridedBackward", vjp=(lambda g, source, shown: as_strided_gather(g, source=source, shown=shown),)
)
def as_strided_backward(g, *, source, shown):
    """A gradient of `shown`, added up where its elements lie in `source`.

    Where several elements of the source are one place in memory, each gets an equal share.
    """
    places = source.places()
    memory = np.zeros(_reach(source, shown), g.dtype)
    np.add.at(memory, shown.places(), g)
    if may_overlap(source[0], source[1]):
        count = np.zeros(memory.shape, g.real.dtype)
        np.add.at(count, places, 1)
        memory /= np.maximum(count, 1)
    return memory[places]


@primitive("AsStrided", vjp=(lambda g, source, shown: as_strided_backward(g, source=source, shown=shown),))
def as_strided_gather(x, *, source, shown):
    """What `shown` shows of an x laid out as `source`; zero outside it."""
    memory = np.zeros(_reach(source, shown), x.dtype)
    memory[source.places()] = x
    return memory[shown.places()]


_AS_STRIDED = Derivative(
    "AsStrided", ("x",), (lambda g, source, shown: as_strided_backward(g, source=source, shown=shown),)
)


def _geometry(t: Tensor, shape: tuple, steps: tuple, at: int) -> dict:
    """Both layouts, with the offsets counted from the smaller one."""
    start = offset_of(t)
    low = min(start, at)
    source = Geometry((t._a.shape, strides(t), start - low))
    return {"source": source, "shown": Geometry((shape, steps, at - low))}


def _layout(input: Tensor, size: Any, stride: Any, storage_offset: Any) -> tuple:
    shape, steps = sizes_of((size,), "as_strided"), sizes_of((stride,), "as_strided")
    at = offset_of(input) if storage_offset is None else storage_offset.__index__()
    if len(shape) != len(steps):
        raise RuntimeError(
            f"mismatch in length of strides and shape: size has {len(shape)} entries, stride {len(steps)}"
        )
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    if any(step < 0 for step in steps):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(steps)}"
        )
    if at < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {at}")
    if len(shape) > 64:
        raise RuntimeError("as_strided: a tensor has at most 64 dimensions here")
    return shape, steps, at


def _inside(a: np.ndarray, size: Any, stride: Any) -> np.ndarray | None:
    """A layout that stays inside a row-major array, from its first element; None if it may not."""
    if (
        type(size) is not tuple
        or type(stride) is not tuple
        or len(size) != len(stride)
        or not a.flags.c_contiguous
    ):
        return None
    for n in (*size, *stride):
        if type(n) is not int or n < 0:
            return None
    return within(a, size, stride)


@public(out=False, takes={"size": "tuple of ints", "stride": "tuple of ints", "storage_offset": "int?"})
def as_strided(input, size, stride, storage_offset=None):
    """A view of the storage with sizes, strides and an offset of one's choice, all in elements.

    Raises:
        RuntimeError: negative or unequally many sizes and strides, or elements outside the storage.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(6).as_strided((2, 2), (2, 1), 1)
        tensor([[1, 2],
                [3, 4]])
    """
    if storage_offset is None and input._edge is None:
        array = _inside(input._a, size, stride)
        if array is not None:
            return _view(input, array, _AS_STRIDED, None)
    shape, steps, at = _layout(input, size, stride, storage_offset)
    array = restrided(input, shape, steps, at)
    attrs = None if input._edge is None else _geometry(input, shape, steps, at)
    return _view(input, array, _AS_STRIDED, attrs)


# ---- diagonal ----


def _diagonal_of(a: np.ndarray, offset: int, dim1: int, dim2: int) -> np.ndarray:
    shown = a.diagonal(offset, dim1, dim2)
    shown.flags.writeable = a.flags.writeable
    return shown


@primitive("DiagonalBackward", vjp=(lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2),))
def diagonal_backward(g, *, shape, offset, dim1, dim2):
    """Zeros of `shape` with g on the diagonal."""
    out = np.zeros(shape, g.dtype)
    _diagonal_of(out, offset, dim1, dim2)[...] = g
    return out


_DIAGONAL = Derivative(
    "Diagonal",
    ("x",),
    (
        lambda g, x_meta, offset, dim1, dim2: diagonal_backward(
            g, shape=x_meta.shape, offset=offset, dim1=dim1, dim2=dim2
        ),
    ),
)
_DIAGONAL_COPY = Derivative("DiagonalBackward0_copy", ("x",), _DIAGONAL.vjps)


def _diagonal_dims(ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return first, second


@public(out=False, takes={"offset": "int"})
def diagonal(input, offset=0, dim1=0, dim2=1):
    """The view of a diagonal between two dimensions, which come last as one; `offset` counts along `dim2`.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(9).view(3, 3).diagonal(1)
        tensor([1, 5])
    """
    a = input._a
    dim1, dim2 = _diagonal_dims(a.ndim, dim1, dim2)
    length = max(min(a.shape[dim1] + min(offset, 0), a.shape[dim2] - max(offset, 0)), 0)
    if a.size and length:
        shown = _diagonal_of(a, offset, dim1, dim2)
    else:
        steps = strides(input)
        kept = [dim for dim in range(a.ndim) if dim not in (dim1, dim2)]
        shape = (*[a.shape[dim] for dim in kept], length)
        to = (*[steps[dim] for dim in kept], steps[dim1] + steps[dim2])
        shown = restrided(input, shape, to)
    return _view(input, shown, _DIAGONAL, {"offset": offset, "dim1": dim1, "dim2": dim2})


def diagonal_copy_of(input: Tensor, offset: int) -> Tensor:
    """The main or another diagonal of a matrix as a copy."""
    out = new_tensor(np.array(input._a.diagonal(offset)), input._dtype)
    record(_DIAGONAL_COPY, (input,), {"offset": offset, "dim1": 0, "dim2": 1}, out)
    return out


# ---- unfold ----


@primitive("UnfoldBackward", vjp=(lambda g, dim, size, step: g.unfold(dim, size, step),))
def unfold_backward(g, *, shape, dim, size, step):
    """Zeros of `shape` to which each window of g has been added."""
    out = np.zeros(shape, g.dtype)
    if not shape:
        return np.asarray(g.reshape(-1).sum(dtype=g.dtype)) if g.size else out
    count = g.shape[dim]
    along = np.moveaxis(out, dim, -1)
    windows = np.moveaxis(g, dim, -2)
    for at in range(size):
        along[..., at : at + (count - 1) * step + 1 : step] += windows[..., at]
    return out


_UNFOLD = Derivative(
    "Unfold",
    ("x",),
    (
        lambda g, x_meta, dim, size, step: unfold_backward(
            g, shape=x_meta.shape, dim=dim, size=size, step=step
        ),
    ),
)


@method
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The view of all windows of `size` along a dimension, `step` apart; the window is a new last dimension.

    Raises:
        RuntimeError: a size that does not fit, or a step that is not positive.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(4).unfold(0, 2, 1)
        tensor([[0, 1],
                [1, 2],
                [2, 3]])
    """
    shape, steps = self._a.shape, strides(self)
    dim = wrap_dim(dimension, len(shape))
    length = shape[dim] if shape else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not shape:
        shown = restrided(self, (size,), (1,))
    else:
        count = (length - size) // step + 1
        shown = restrided(
            self,
            (*shape[:dim], count, *shape[dim + 1 :], size),
            (*steps[:dim], step * steps[dim], *steps[dim + 1 :], steps[dim]),
        )
    return _view(self, shown, _UNFOLD, {"dim": dim, "size": size, "step": step})


# ---- a copy with a part replaced ----


def _check_part(name: str, part: tuple, src: Any) -> None:
    if not isinstance(src, Tensor):
        raise errors.wrong_type(f"{name}_scatter", "src", 2, src)
    if part != src._a.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the {name} of self. src size = {list(src._a.shape)}, {name} size = "
            f"{list(part)}"
        )


def _copied(x: np.ndarray) -> np.ndarray:
    """A copy with the same strides, gaps included; with dense ones where a dimension repeats its elements."""
    item = x.itemsize
    steps = tuple([step // item for step in x.strides])
    if any(step == 0 and n > 1 for n, step in zip(x.shape, steps)):
        steps = dense_strides(x.shape, steps)
    memory = array((span(x.shape, steps),), x.dtype)
    out = np.ndarray(x.shape, x.dtype, memory, 0, tuple([step * item for step in steps]))
    out[...] = x
    return out


def _without(g: Any, part: Any) -> Any:
    """g with zeros in the part that `part` shows."""
    rest = g.clone()
    part(rest).zero_()
    return rest


@primitive(
    "SelectScatter",
    vjp=(
        lambda g, dim, index: _without(g, lambda x: x.select(dim, index)),
        lambda g, dim, index: g.select(dim, index),
    ),
)
def select_scatter_of(x, y, *, dim, index):
    out = _copied(x)
    out[(slice(None),) * dim + (index,)] = y
    return out


@public(takes={"dim": "int", "index": "int"})
def select_scatter(input, src, dim, index):
    """A copy of `input` with `src` at one index of a dimension.

    Raises:
        IndexError: the index is outside of the dimension.
        RuntimeError: `src` has another shape than what it replaces.

    Example:
        >>> import rushlight as torch
        >>> torch.select_scatter(torch.zeros(2, 2), torch.ones(2), 0, 1)
        tensor([[0., 0.],
                [1., 1.]])
    """
    shape = input._a.shape
    dim = wrap_dim(dim, len(shape))
    if not -shape[dim] <= index < shape[dim]:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension {dim}"
        )
    _check_part("slice", shape[:dim] + shape[dim + 1 :], src)
    return real_gradient("select_scatter", select_scatter_of(input, src, dim=dim, index=index % shape[dim]))


@primitive(
    "SliceScatter",
    vjp=(
        lambda g, dim, start, stop, step: _without(g, lambda x: slice_view(x, dim, start, stop, step)),
        lambda g, dim, start, stop, step: slice_view(g, dim, start, stop, step),
    ),
)
def slice_scatter_of(x, y, *, dim, start, stop, step):
    out = _copied(x)
    out[(slice(None),) * dim + (slice(start, stop, step),)] = y
    return out


@public(check=same_type, takes={"dim": "int", "start": "int?", "end": "int?", "step": "int"})
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of `input` with `src` at `start:end:step` of a dimension.

    Raises:
        RuntimeError: the step is not above 0, or `src` has another shape than what it replaces.

    Example:
        >>> import rushlight as torch
        >>> torch.slice_scatter(torch.zeros(4), torch.ones(2), 0, 1, 3)
        tensor([0., 1., 1., 0.])
    """
    shape = input._a.shape
    dim = wrap_dim(dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    start, stop, step = slice(start, end, step).indices(shape[dim])
    stop = max(stop, start)
    _check_part("slice", (*shape[:dim], len(range(start, stop, step)), *shape[dim + 1 :]), src)
    return real_gradient(
        "slice_scatter", slice_scatter_of(input, src, dim=dim, start=start, stop=stop, step=step)
    )


@primitive(
    "DiagonalScatter",
    vjp=(
        lambda g, offset, dim1, dim2: _without(g, lambda x: x.diagonal(offset, dim1, dim2)),
        lambda g, offset, dim1, dim2: g.diagonal(offset, dim1, dim2),
    ),
    promotes=False,
)
def diagonal_scatter_of(x, y, *, offset, dim1, dim2):
    out = _copied(x)
    _diagonal_of(out, offset, dim1, dim2)[...] = y
    return out


@public(takes={"offset": "int"})
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of `input` with `src` on a diagonal."""
    dim1, dim2 = _diagonal_dims(input._a.ndim, dim1, dim2)
    _check_part("diagonal", input._a.diagonal(offset, dim1, dim2).shape, src)
    return diagonal_scatter_of(input, src, offset=offset, dim1=dim1, dim2=dim2)


@primitive(
    "AsStridedScatter",
    vjp=(
        # PyTorch's own choice: the replaced part, not the rest, is what the input's gradient shows
        lambda g, source, shown: as_strided_backward(
            as_strided_gather(g, source=source, shown=shown), source=source, shown=shown
        ),
        lambda g, source, shown: as_strided_gather(g, source=source, shown=shown),
    ),
    promotes=False,
)
def as_strided_scatter_of(x, y, *, source, shown):
    memory = np.zeros(_reach(source, shown), x.dtype)
    memory[source.places()] = x
    memory[shown.places()] = y
    return memory[source.places()]


@public(takes={"size": "tuple of ints", "stride": "tuple of ints", "storage_offset": "int?"})
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of `input` with `src` at the places that `as_strided` shows."""
    shape, steps, at = _layout(input, size, stride, storage_offset)
    restrided(input, shape, steps, at)
    _check_part("slice", shape, src)
    return as_strided_scatter_of(input, src, **_geometry(input, shape, steps, at))


__all__ = ["as_strided", "diagonal", "unfold"]
