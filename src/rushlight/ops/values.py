"""From tensors to Python's and NumPy's own values: `item`, `tolist`, `numpy`, `int(t)`, `len(t)`, iteration."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, expose, storage
from rushlight.dtypes import BFLOAT16, INTEGER, WIDE, complex32
from rushlight.ops.kinds.method import method
from rushlight.ops.promotion import NUMBERS
from rushlight.runtime.casting import convert
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad


def item(self: Tensor) -> Any:
    """The one element as a Python number.

    Raises:
        RuntimeError: the tensor has more or fewer elements than one.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([2.5]).item()
        2.5
    """
    try:
        a = self._a
    except AttributeError:
        raise errors.wrong_self("item", self) from None
    if a.size != 1:
        raise RuntimeError(f"a Tensor with {a.size} elements cannot be converted to Scalar")
    kind = self._dtype
    if kind is BFLOAT16:
        return float(a.item())
    return complex(*a.item()) if kind is complex32 else a.item()


@method
def tolist(self: Tensor) -> Any:
    """The elements as nested lists of Python numbers; a number for a 0-d tensor."""
    a = self._a
    return (convert(a, WIDE[self._dtype]) if self._dtype in WIDE else a).tolist()


@method
def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """The elements as a NumPy array on the same memory.

    Args:
        force: detach first (and resolve conjugates), instead of raising.

    Raises:
        RuntimeError: the tensor requires grad, and gradients are recorded.
        TypeError: bfloat16 or complex32, which NumPy does not have.

    Example:
        >>> import rushlight as torch
        >>> x = torch.zeros(2)
        >>> x.numpy()[0] = 5
        >>> x
        tensor([5., 0.])
    """
    if not force and MODES.grad and requires_grad(self):
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self._dtype is BFLOAT16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    if self._dtype is complex32:
        raise TypeError("Got unsupported ScalarType ComplexHalf")
    expose(storage(self))
    return self._a[...]


# ---- numbers ----


def to_int(self: Tensor) -> int:
    return int(_real(self, "int64_t"))


def to_float(self: Tensor) -> float:
    _warn_of_gradient(self)
    return float(_real(self, "double"))


def to_complex(self: Tensor) -> complex:
    _warn_of_gradient(self)
    return complex(_single(self))


def _warn_of_gradient(t: Tensor) -> None:
    if t._edge is not None and t._a.size == 1 and MODES.grad and requires_grad(t):
        warnings.warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
            "Consider using tensor.detach() first.",
            stacklevel=3,
        )


def _single(t: Tensor) -> Any:
    if t._a.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return item(t)


def _real(t: Tensor, kind: str) -> Any:
    value = _single(t)
    if isinstance(value, complex):
        if value.imag != 0:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return value.real
    return value


def to_bool(self: Tensor) -> bool:
    a = self._a
    if a.size != 1:
        if a.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    return bool(a.item() if self._dtype is not complex32 else item(self))


def to_index(self: Tensor) -> int:
    if self._dtype.category > INTEGER or self._a.size != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self._a.item())


# ---- sequences ----


def length(self: Tensor) -> int:
    if self._a.ndim == 0:
        raise TypeError("len() of a 0-d tensor")
    return len(self._a)


def iterate(self: Tensor) -> Iterator[Tensor]:
    if self._a.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def reverse(self: Tensor) -> Tensor:
    return self.flip(0) if self._a.ndim else self


def contains(self: Tensor, element: Any) -> bool:
    """Whether an element equals the number (or any element the tensor, broadcast)."""
    if isinstance(element, (Tensor, *NUMBERS)):
        same: Any = self == element
        return bool(same.any())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


__all__ = ["item", "numpy", "tolist"]
