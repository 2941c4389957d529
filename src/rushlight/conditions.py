"""`torch._check` and its kin: conditions that a program states, and the errors where they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import bool_
from rushlight.symbolic import SymBool

__all__ = [
    "_assert",
    "_assert_async",
    "_check",
    "_check_index",
    "_check_is_size",
    "_check_not_implemented",
    "_check_tensor_all",
    "_check_tensor_all_with",
    "_check_type",
    "_check_value",
    "_check_with",
]

_UNSAID = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
    "enhancement request to PyTorch.)"
)


def _check_with(error: type[Exception], cond: Any, message: Callable[[], str] | None) -> None:
    """Raise an error of a class of the caller's unless a condition holds.

    Args:
        message: called for the error's words.

    Raises:
        TypeError: `cond` is no bool.
    """
    if not isinstance(cond, (bool, SymBool)):
        if isinstance(cond, Tensor):
            raise TypeError(
                "cond must be a bool, but got a Tensor. For tensor conditions, use torch._check_tensor_all() to assert that "
                "all elements are true."
            )
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if not cond:
        if message is not None and not callable(message):
            raise TypeError("message must be a callable")
        raise error(_UNSAID if message is None else str(message()))


def _check(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise RuntimeError unless a condition holds.

    Example:
        >>> import rushlight as torch
        >>> torch._check(torch.ones(2).dim() == 1, lambda: "expected a vector")
    """
    _check_with(RuntimeError, cond, message)


def _check_index(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise IndexError unless a condition holds."""
    _check_with(IndexError, cond, message)


def _check_not_implemented(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise NotImplementedError unless a condition holds."""
    _check_with(NotImplementedError, cond, message)


def _check_tensor_all_with(
    error: type[Exception], cond: Any, message: Callable[[], str] | None = None
) -> None:
    """Raise an error of a class of the caller's unless all elements of a tensor of bools are True.

    Raises:
        TypeError: `cond` is no tensor, or one of another type.
    """
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond._dtype is not bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond._dtype}")
    _check_with(error, bool(cond.all()), message)


def _check_tensor_all(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise RuntimeError unless all elements of a tensor of bools are True.

    Example:
        >>> import rushlight as torch
        >>> torch._check_tensor_all(torch.tensor([2, 3]) > 1, lambda: "all must be more than 1")
    """
    _check_tensor_all_with(RuntimeError, cond, message)


def _check_value(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise ValueError unless a condition holds."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise TypeError unless a condition holds."""
    _check_with(TypeError, cond, message)


def _check_is_size(i: Any, message: Callable[[], str] | None = None, *, max: Any = None) -> None:
    """Raise RuntimeError unless a number can be a size."""
    _check(i >= 0 and (max is None or i <= max), message)


def _assert(condition: Any, message: str) -> None:
    """`assert`, also where Python leaves assertions out.

    Raises:
        AssertionError: the condition does not hold.

    Example:
        >>> import rushlight as torch
        >>> torch._assert(torch.tensor(True), "never said")
    """
    if not condition:
        raise AssertionError(message)


def _assert_async(
    condition: Any, message: str = "Expected Tensor with single nonzero value, but got zero"
) -> None:
    """Raise RuntimeError unless a tensor's element is not zero.

    Raises:
        TypeError: `condition` is no tensor.
    """
    if not isinstance(condition, Tensor):
        raise errors.wrong_type("_assert_async", "input", 1, condition)
    _check(bool(condition), lambda: message)
