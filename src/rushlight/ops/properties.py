"""What is known of a tensor without looking at its elements: shape, strides, memory, place in the graph."""

from __future__ import annotations

from typing import Any

from rushlight import errors
from rushlight.buffer import Tensor, expose, storage, strides, version
from rushlight.buffer import offset as offset_of
from rushlight.device import CPU
from rushlight.device import strided as strided_layout
from rushlight.dtypes import COMPLEX, FLOATING
from rushlight.graph.expr import array_of
from rushlight.layout import wrap_dim
from rushlight.memory import address
from rushlight.ops.kinds.method import method
from rushlight.size import Size
from rushlight.tape.node import ViewMeta

_tuple = tuple.__new__


# ---- sizes ----


def get_shape(self: Tensor) -> Size:
    return _tuple(Size, self._a.shape)


@method
def size(self: Tensor, dim: Any = None) -> Any:
    """The shape, or the size of one dimension."""
    if dim is None:
        return _tuple(Size, self._a.shape)
    shape = self._a.shape
    return shape[_some_dim(dim, len(shape), "size")]


def _some_dim(dim: Any, ndim: int, operation: str) -> int:
    if not hasattr(dim, "__index__"):
        raise TypeError(f"{operation}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
    if ndim == 0:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return wrap_dim(dim.__index__(), ndim)


def dim(self: Tensor) -> int:
    """The number of dimensions."""
    try:
        return self._a.ndim
    except AttributeError:
        raise errors.wrong_self("dim", self) from None


def numel(input: Tensor) -> int:
    """The number of elements."""
    return _checked(input, "numel")._a.size


@method
def stride(self: Tensor, dim: Any = None) -> Any:
    """Elements to step in memory from one index to the next: for each dimension, or for one."""
    if dim is None:
        return strides(self)
    return strides(self)[_some_dim(dim, self._a.ndim, "stride")]


# ---- memory ----


@method
def storage_offset(self: Tensor) -> int:
    """Elements from the start of the storage to the first one."""
    return offset_of(self)


@method
def data_ptr(self: Tensor) -> int:
    """The address of the first element; 0 for a tensor without elements or memory."""
    a = array_of(self._a)
    if a.size == 0:
        return 0
    expose(storage(self))
    return address(a)


@method
def element_size(self: Tensor) -> int:
    """Bytes per element."""
    return self._dtype.itemsize


def get_nbytes(self: Tensor) -> int:
    return self._a.size * self._dtype.itemsize


def get_itemsize(self: Tensor) -> int:
    return self._dtype.itemsize


# ---- type and place ----


def get_dtype(self: Tensor) -> Any:
    return self._dtype


def get_device_attribute(self: Tensor) -> Any:
    return CPU


def get_layout(self: Tensor) -> Any:
    return strided_layout


def get_ndim(self: Tensor) -> int:
    return self._a.ndim


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating point numbers."""
    return _checked(input, "is_floating_point")._dtype.category == FLOATING


def _checked(value: Any, operation: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{operation}(): argument 'input' (position 1) must be Tensor, not {type(value).__name__}"
        )
    return value


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex."""
    return _checked(input, "is_complex")._dtype.category == COMPLEX


def is_signed(input: Tensor) -> bool:
    """Whether the element type has negative values."""
    return _checked(input, "is_signed")._dtype.is_signed


def get_device(self: Tensor) -> int:
    """The number of the tensor's device: -1, the CPU."""
    return -1


def _no(self: Tensor) -> bool:
    return False


def _yes(self: Tensor) -> bool:
    return True


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor."""
    return isinstance(obj, Tensor)


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero; RuntimeError if there are more or none."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return input._a.shape == other._a.shape


@method
def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both show the same memory in the same layout."""
    same = storage(self) is storage(tensor) and self._a.shape == tensor._a.shape
    return same and strides(self) == strides(tensor) and offset_of(self) == offset_of(tensor)


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return input._buf is not None and input._buf.inference


@method
def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions as they lie in memory, outermost first.

    Args:
        ambiguity_check: whether to refuse memory that may be read in several orders; or the memory formats of which
            it must have exactly one.

    Raises:
        RuntimeError: there are several orders, and they are refused.

    Example:
        >>> import rushlight as torch
        >>> torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last).dim_order()
        (0, 2, 3, 1)
    """
    steps, shape = strides(self), self._a.shape
    order = tuple(sorted(range(len(steps)), key=lambda dim: (-steps[dim], dim)))
    if isinstance(ambiguity_check, bool):
        doubtful = ambiguity_check and (1 in shape or len(set(steps)) < len(steps))
    else:
        doubtful = sum(self.is_contiguous(memory_format=wanted) for wanted in ambiguity_check) != 1
    if doubtful:
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats."
        )
    return order


def is_pinned(self: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned for an accelerator: it is not."""
    return False


def itself(self: Tensor) -> Tensor:
    """The tensor: what was asked for, it already is."""
    return self


def never_method(input: Tensor) -> bool:
    """False: no tensor here is lazily conjugated or negated."""
    return False


# ---- the graph ----


def get_version(self: Tensor) -> int:
    if self._buf is not None and self._buf.inference:
        raise RuntimeError("Inference tensors do not track version counter.")
    return version(self)


def get_base(self: Tensor) -> Tensor | None:
    return self._edge.base if is_view(self) else None


def is_view(self: Tensor) -> bool:
    """Whether autograd knows the tensor as a view; of tensors made in inference mode it knows nothing."""
    return type(self._edge) is ViewMeta and not self._buf.inference


shape = property(get_shape, doc="The sizes of the dimensions.")
dtype = property(get_dtype, doc="The element type.")
device = property(get_device_attribute, doc="Where the memory is: the CPU.")
layout = property(get_layout, doc="How elements are stored: strided.")
ndim = property(get_ndim, doc="The number of dimensions.")
nbytes = property(get_nbytes, doc="Bytes that the elements take.")
itemsize = property(get_itemsize, doc="Bytes per element.")
version_property = property(get_version, doc="How often the memory was written to.")
base = property(get_base, doc="The tensor whose memory this view shows, or None.")
never = property(_no, doc="False: Rushlight's tensors are dense, strided and on the CPU.")
always = property(_yes, doc="True: Rushlight's tensors are on the CPU.")
