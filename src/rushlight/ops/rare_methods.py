"""Methods and attributes of tensors that few programs use, most of them PyTorch's old ones."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

from rushlight import late, storage
from rushlight.buffer import Tensor
from rushlight.buffer import storage as storage_of
from rushlight.device import sparse_coo
from rushlight.dtypes import dtype
from rushlight.layout import numel
from rushlight.ops.legacy import constructed
from rushlight.ops.views import alias

__all__ = [
    "as_subclass",
    "const_data_ptr",
    "dense_dim",
    "is_distributed",
    "new",
    "pin_memory",
    "resize",
    "resize_as",
    "sparse_dim",
    "sparse_mask",
    "to_sparse",
]


def new(self: Tensor, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """A tensor of the same type: `x.new(sizes)`, of memory as it comes, or `x.new(data)`.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2).new([1, 2])
        tensor([1., 2.])
    """
    if device is not None and args and isinstance(args[0], Tensor):
        raise RuntimeError(
            "Legacy tensor new of the form tensor.new(tensor, device=device) is not supported.  Use torch.as_tensor(...) "
            "instead."
        )
    return constructed("new", args, device, kwargs, self._dtype, True)


def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The same elements in another shape; deprecated in favour of `reshape`.

    Raises:
        RuntimeError: another number of elements.
    """
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
    if numel(shape) != self._a.size:
        raise RuntimeError(
            f"requested resize to {'x'.join(map(str, shape))} ({numel(shape)} elements in total), but the given tensor has a "
            f"size of {'x'.join(map(str, self._a.shape))} ({self._a.size} elements). autograd's resize can only change the "
            "shape of a given tensor, while preserving the number of elements. "
        )
    return self.reshape(shape)


def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """The same elements in the shape of another tensor; deprecated in favour of `reshape`."""
    warnings.warn("non-inplace resize_as is deprecated", stacklevel=2)
    return self.resize(tensor.shape)


def as_subclass(self: Tensor, cls: type) -> Any:
    """The same memory as an instance of a class derived from `Tensor`, without calling its constructor.

    Raises:
        TypeError: no class, or not derived from `Tensor`.

    Example:
        >>> import rushlight as torch
        >>> class Named(torch.Tensor): ...
        >>> isinstance(torch.ones(2).as_subclass(Named), Named)
        True
    """
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a type (got {type(cls).__name__})")
    if not issubclass(cls, Tensor):
        raise TypeError(
            "Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. "
            "Make sure your class inherits from Tensor."
        )
    same = alias(self)
    made = object.__new__(cls)
    made._a, made._dtype, made._buf, made._edge = same._a, same._dtype, storage_of(same), same._edge
    return made


@staticmethod  # type: ignore[misc]  # of `Tensor`, which takes it from here
def _make_subclass(cls: type, data: Tensor, require_grad: bool = False, **options: Any) -> Any:
    """The memory of `data`, outside its graph, as an instance of a class derived from `Tensor`: `Tensor._make_subclass`.

    Raises:
        TypeError: no class, or not derived from `Tensor`; `data` is no tensor.

    Example:
        >>> import rushlight as torch
        >>> class Named(torch.Tensor): ...
        >>> torch.Tensor._make_subclass(Named, torch.ones(2), True).requires_grad
        True
    """
    if not isinstance(data, Tensor):
        raise TypeError(
            f"_make_subclass(): argument 'data' (position 2) must be Tensor, not {type(data).__name__}"
        )
    made = as_subclass(data.detach(), cls)
    return made.requires_grad_() if require_grad else made


def to_sparse(self: Tensor, sparse_dim: Any = None, *, layout: Any = None, **options: Any) -> Any:
    """The elements that are not zero, and their places.

    Args:
        sparse_dim: how many dimensions are sparse; values have the others.

    Raises:
        NotImplementedError: another layout than `sparse_coo`.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0.0, 5.0]).to_sparse().values()
        tensor([5.])
    """
    if layout not in (None, sparse_coo):
        raise NotImplementedError(f"to_sparse: the layout {layout} is missing; sparse_coo is there")
    return late.load("rushlight.sparse").sparsified(self, sparse_dim)


def sparse_mask(self: Tensor, mask: Any) -> Any:
    """The elements at the places of a sparse tensor of the same sizes, as a sparse tensor.

    Raises:
        TypeError: `mask` is not sparse.
        RuntimeError: other sizes.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1.0, 2.0]).sparse_mask(torch.tensor([0.0, 5.0]).to_sparse()).values()
        tensor([2.])
    """
    return late.load("rushlight.coordinates").masked(self, mask)


def dense_dim(self: Tensor) -> int:
    """How many dimensions are stored without gaps: all.

    Example:
        >>> import rushlight as torch
        >>> torch.ones(2, 3).dense_dim(), torch.ones(2, 3).sparse_dim()
        (2, 0)
    """
    return self._a.ndim


def sparse_dim(self: Tensor) -> int:
    """How many dimensions are stored as a list of positions: none."""
    return 0


def is_distributed(input: Tensor) -> bool:
    """Whether several processes have a part of it: no."""
    return False


def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for who only reads: `data_ptr()`."""
    return self.data_ptr()


def pin_memory(self: Tensor, device: Any = None) -> NoReturn:
    """A copy in memory that an accelerator can read; RuntimeError, as there is none."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def storage_type(self: Tensor) -> Any:
    """The class of the old typed storage of such elements: `FloatStorage` and so on."""
    return getattr(storage, f"{self._dtype.legacy}Storage")


def _grad_dtype(self: Tensor) -> dtype:
    return self._dtype


def _name(self: Tensor) -> None:
    return None


def _volatile(self: Tensor) -> bool:
    warnings.warn(
        "volatile was removed (Variable.volatile is always False, use with torch.no_grad() instead)",
        stacklevel=2,
    )
    return False


grad_dtype_property = property(_grad_dtype, doc="The type that a gradient of this tensor has.")
name_property = property(_name, doc="None: tensors have no names.")
volatile_property = property(_volatile, doc="False; kept from the time before `no_grad`.")
