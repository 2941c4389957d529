"""What a tensor's handle shows: `data`, `set_`, `resize_`, `detach_` and the in-place forms of views."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np

from rushlight.buffer import LEAF, Tensor, new_tensor, offset, shown, storage
from rushlight.device import contiguous_format, preserve_format
from rushlight.dtypes import FLOATING, dtype
from rushlight.layout import contiguous_strides, span
from rushlight.layout import sizes as sizes_in
from rushlight.ops import striding, views
from rushlight.ops.creation import check_shape, format_strides, like_strides
from rushlight.ops.kinds.method import method
from rushlight.ops.properties import is_view
from rushlight.storage import TypedStorage, UntypedStorage, size_of, twin
from rushlight.storage import resize as resize_storage
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import ViewMeta, edge_of, requires_grad
from rushlight.tape.recording import between
from rushlight.tape.writes import check_recorded, wrote

# ---- data ----


def _get_data(self: Tensor) -> Tensor:
    """The same memory outside the graph, with a version counter of its own: backward does not see writes to it."""
    out = new_tensor(self._a, self._dtype)
    out._buf = twin(storage(self))
    return out


def _set_data(self: Tensor, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
    if requires_grad(self) and value._dtype.category < FLOATING:
        raise RuntimeError(
            "data set to a tensor that requires gradients must be floating point or complex dtype"
        )
    before = storage(self)
    buffer = twin(storage(value))
    buffer.version = before.version
    self._a, self._dtype, self._buf = value._a, value._dtype, buffer


def _del_data(self: Tensor) -> None:
    raise RuntimeError("Deleting tensor data is not allowed. Delete tensor instead!")


data_property = property(
    _get_data,
    _set_data,
    _del_data,
    doc="The memory without the graph; assign to it to change what a tensor shows.",
)


@method
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor out of the graph: it becomes a leaf that does not require grad.

    Raises:
        RuntimeError: the tensor is a view.
    """
    if MODES.inference:
        return self  # as in PyTorch, where the graph is out of reach there
    if is_view(self):
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for training, "
            "and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() cannot be "
            "called on these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in "
            "torch/optim/optimizer.py as the solution."
        )
    self._edge = None
    return self


# ---- other memory, other sizes ----


@method
def set_(
    self: Tensor, source: Any = None, storage_offset: Any = None, size: Any = None, stride: Any = None
) -> Tensor:
    """Show other memory: a tensor's, or a storage's at an offset with sizes and strides.

    Raises:
        RuntimeError: another dtype, or a layout outside the storage.
    """
    if source is None:
        source = new_tensor(np.empty(0, self._dtype.numpy), self._dtype)
    if isinstance(source, Tensor):
        if source._dtype is not self._dtype:
            raise RuntimeError(
                f"Could not set tensor of type {_c_type(source._dtype)} to a tensor of type {_c_type(self._dtype)}"
            )
        if size is None:
            return _show(self, source._a, storage(source))
        buffer = storage(source)
    elif isinstance(source, (UntypedStorage, TypedStorage)):
        if isinstance(source, TypedStorage) and source.dtype is not self._dtype:
            raise RuntimeError(
                f"Expected a Storage of type {_c_type(self._dtype)} or an UntypedStorage, but got type "
                f"{source.dtype.legacy} for argument 1 'storage'"
            )
        buffer = (source.untyped() if isinstance(source, TypedStorage) else source)._buffer
    else:
        raise TypeError(
            f"set_(): argument 'source' (position 1) must be Tensor or Storage, not {type(source).__name__}"
        )
    item = self._dtype.itemsize
    shape = (size_of(buffer) // item,) if size is None else sizes_in((size,), "set_")
    steps = contiguous_strides(shape) if stride is None else sizes_in((stride,), "set_")
    at = storage_offset or 0
    check_shape(shape, self._dtype)
    if len(steps) != len(shape):
        raise RuntimeError("mismatch in length of strides and shape")
    need = (at + span(shape, steps)) * item
    if at >= 0 and need > size_of(buffer) and all(step >= 0 for step in steps):
        resize_storage(buffer, need)
    return _show(self, shown(buffer, self._dtype.numpy, shape, steps, at), buffer)


def _c_type(kind: dtype) -> str:
    return {"float32": "float", "float64": "double", "int32": "int", "int64": "long long"}.get(
        kind.name, kind.name
    )


def _show(t: Tensor, a: np.ndarray, buffer: Any) -> Tensor:
    if requires_grad(t) and MODES.grad:
        check_recorded(t)
    t._a, t._buf = a, buffer
    if type(t._edge) is ViewMeta:
        t._edge = None
    wrote(t)
    return t


@method
def resize_(self: Tensor, *sizes: Any, size: Any = None, memory_format: Any = None) -> Tensor:
    """Take other sizes; the storage grows if it must, and keeps its elements. New elements are zero.

    Raises:
        RuntimeError: the tensor requires grad.
    """
    if requires_grad(self):
        raise RuntimeError("cannot resize variables that require grad")
    shape = sizes_in(sizes if size is None else (size,), "resize_")
    if any(n < 0 for n in shape):
        raise RuntimeError("numel: integer multiplication overflow")
    check_shape(shape, self._dtype)
    wanted = memory_format if memory_format not in (None, preserve_format) else contiguous_format
    if shape == self._a.shape and memory_format is None:
        return self
    return take_layout(self, shape, format_strides(shape, wanted))


def take_layout(t: Tensor, shape: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    """Show the storage, from where the tensor starts, in another layout; the storage grows if it must."""
    buffer = storage(t)
    at = offset(t)
    need = (at + span(shape, steps)) * t._dtype.itemsize
    if need > size_of(buffer):
        resize_storage(buffer, need, alone=sys.getrefcount(buffer) <= 3)
    t._a = shown(buffer, t._dtype.numpy, shape, steps, at)
    buffer.version += 1
    return t


@method
def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """:func:`resize_` to the sizes of another tensor."""
    resize_(self, the_template._a.shape)
    if memory_format is not None:
        wanted = (
            like_strides(the_template)
            if memory_format is preserve_format
            else format_strides(self._a.shape, memory_format)
        )
        take_layout(self, self._a.shape, wanted)
    return self


# ---- views in place ----

#: node of a view -> its name when the view was taken in place
_NAMES = {
    "TransposeBackward0": "TransposeBackward1",
    "SqueezeBackward0": "SqueezeBackward3",
    "SqueezeBackward1": "SqueezeBackward4",
    "SqueezeBackward2": "SqueezeBackward5",
    "UnsqueezeBackward0": "UnsqueezeBackward1",
    "AsStridedBackward0": "AsStridedBackward1",
    "TBackward0": "TBackward1",
}


@functools.cache
def _in_place_derivative(derivative: Derivative) -> Derivative:
    return Derivative(_NAMES[derivative.node.__name__], derivative.inputs, derivative.vjps)


def _in_place(name: str, view: Any) -> Any:
    """`x.name_(...)`: the handle itself shows what the view shows.

    No element changes, so a view's base keeps its history; only this handle gets another node.
    """

    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if MODES.grad and requires_grad(self):
            check_recorded(self)
        source = edge_of(self)
        before = new_tensor(self._a, self._dtype)
        before._buf = storage(self)
        before._edge = LEAF if isinstance(source, Tensor) else source
        shown = view(before, *args, **kwargs)
        self._a = shown._a
        wrote(self)
        if source is not None and MODES.grad:
            made: Any = shown._edge.edge
            after = self._a.shape, self._dtype
            _turn(
                self,
                between(
                    _in_place_derivative(made.derivative),
                    source,
                    made.attrs,
                    (before._a.shape, self._dtype),
                    after,
                ),
            )
        return self

    inplace.__name__ = f"{name}_"
    inplace.__qualname__ = f"Tensor.{name}_"
    inplace.__doc__ = f"In-place form of :func:`{name}`: this tensor itself shows its memory that way."
    return inplace


def _turn(t: Tensor, node: Any) -> None:
    """Hang the node on this handle."""
    view = t._edge
    if type(view) is ViewMeta:
        view.edge, view.version = node, storage(t).version
    else:
        t._edge = node


def _t_in_place(x: Tensor) -> Tensor:
    if x._a.ndim > 2:
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {x._a.ndim}D")
    return views.t(x)


t_ = _in_place("t", _t_in_place)
transpose_ = _in_place("transpose", views.transpose)
swapaxes_ = _in_place("swapaxes", views.swapaxes)
swapdims_ = _in_place("swapdims", views.swapdims)
squeeze_ = _in_place("squeeze", views.squeeze)
unsqueeze_ = _in_place("unsqueeze", views.unsqueeze)
as_strided_ = _in_place("as_strided", striding.as_strided)

__all__ = ["data_property", "detach_", "resize_", "set_"]
