"""Python functions of single elements, written back: `apply_`, `map_`, `map2_`. Slow; for what no operation does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, FLOATING
from rushlight.ops.construct import tensor
from rushlight.tape.node import requires_grad

__all__ = ["apply_", "map2_", "map_"]


def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what the function gives for it.

    Raises:
        RuntimeError: the tensor requires grad.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2.]).apply_(lambda v: v * 10)
        tensor([10., 20.])
    """
    return _written(self, "apply_", callable)


def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what the function gives for it and the other tensor's.

    Raises:
        RuntimeError: a tensor requires grad, or the shapes do not broadcast.
        TypeError: the other is of another type.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2.]).map_(torch.tensor([10., 20.]), lambda a, b: a + b)
        tensor([11., 22.])
    """
    return _written(self, "map_", callable, tensor)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what the function gives for it and the two other tensors'."""
    return _written(self, "map2_", callable, x, y)


def _written(self: Tensor, name: str, function: Callable, *others: Tensor) -> Tensor:
    for t in (self, *others):
        if requires_grad(t):
            raise RuntimeError(
                f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
            )
    for which, t in zip(("'other'",) if len(others) == 1 else ("argument 'x'", "argument 'y'"), others):
        if t._dtype is not self._dtype:
            raise TypeError(f"{name}: expected {self.type()} for {which} (got {t.type()})")
    columns = [t.expand(self._a.shape).reshape(-1).tolist() for t in (self, *others)]
    convert = _CONVERT.get(self._dtype.category, int)
    values = [_number(convert, function(*row)) for row in zip(*columns)]
    return self.copy_(tensor(values, dtype=self._dtype).reshape(self._a.shape))


def _number(convert: Callable, value: Any) -> Any:
    if isinstance(value, (str, bytes)):  # of which Python's types would read a number
        kind = type(value).__name__
        raise TypeError(
            f"'{kind}' object cannot be interpreted as an integer"
            if convert is int
            else f"must be real number, not {kind}"
        )
    return convert(value)


_CONVERT: dict[Any, Callable] = {BOOL: bool, FLOATING: float, COMPLEX: complex}
