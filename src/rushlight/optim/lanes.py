"""The elements that an update is applied to, with those methods of a tensor that updates are written with.

An update is a dozen statements. Before each of them a tensor finds out types and layouts, whether the statement is recorded and who
shares the memory. Of the parameters that are joined or cut all that is known: they are float32 or float64, row-major, alike,
and nobody's but the update's. What is computed is the same, by the same functions on arrays, to the bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.arithmetic import add_scaled
from rushlight.ops.clamping import addcdiv_values, addcmul_values, lerp_number

__all__ = ["Lane"]

_sum, _lerp = add_scaled.numpy, lerp_number.numpy
_addcmul, _addcdiv = addcmul_values.numpy, addcdiv_values.numpy


class Lane:
    """Elements side by side, all float32 or all float64. Methods do what a tensor's do, with lanes and Python's numbers.

    Attributes:
        a: the elements.
        version: how many times they were written to.
    """

    __slots__ = ("a", "version")

    def __init__(self, a: np.ndarray) -> None:
        self.a = a
        self.version = 0

    def is_complex(self) -> bool:
        return False

    def item(self) -> float:
        return self.a.item()

    # ---- results of their own ----

    def __neg__(self) -> Lane:
        return type(self)(np.negative(self.a))

    def __truediv__(self, other: Any) -> Lane:
        return type(self)(np.divide(self.a, _operand(other)))

    def __rtruediv__(self, other: float) -> Lane:
        return type(self)(np.divide(other, self.a))

    def __mul__(self, other: Any) -> Lane:
        return type(self)(np.multiply(self.a, _operand(other)))

    def add(self, other: Any, *, alpha: float = 1) -> Lane:
        made = np.add(self.a, _operand(other)) if alpha == 1 else _sum(self.a, other.a, alpha=alpha)
        return type(self)(made)

    def sub(self, other: Any) -> Lane:
        return type(self)(np.subtract(self.a, _operand(other)))

    def div(self, other: Any) -> Lane:
        return self / other

    def sqrt(self) -> Lane:
        return type(self)(np.sqrt(self.a))

    def abs(self) -> Lane:
        return type(self)(np.abs(self.a))

    def maximum(self, other: Lane) -> Lane:
        return type(self)(np.maximum(self.a, other.a))

    def addcmul(self, x: Lane, y: Lane, *, value: float = 1) -> Lane:
        return type(self)(_addcmul(self.a, x.a, y.a, value=value))

    # ---- in place ----

    def _wrote(self) -> Lane:
        self.version += 1
        return self

    def _becomes(self, values: Any) -> Lane:
        np.copyto(self.a, values)
        return self._wrote()

    def __iadd__(self, other: float) -> Lane:
        return self.add_(other)

    def __imul__(self, other: float) -> Lane:
        return self.mul_(other)

    def add_(self, other: Any, *, alpha: float = 1) -> Lane:
        if alpha != 1:
            return self._becomes(_sum(self.a, other.a, alpha=alpha))
        np.add(self.a, _operand(other), self.a)
        return self._wrote()

    def mul_(self, other: Any) -> Lane:
        np.multiply(self.a, _operand(other), self.a)
        return self._wrote()

    def div_(self, other: Any) -> Lane:
        np.divide(self.a, _operand(other), self.a)
        return self._wrote()

    def sqrt_(self) -> Lane:
        np.sqrt(self.a, self.a)
        return self._wrote()

    def copy_(self, other: Lane) -> Lane:
        return self._becomes(other.a)

    def fill_(self, value: float) -> Lane:
        return self._becomes(value)

    def lerp_(self, end: Lane, weight: float) -> Lane:
        return self._becomes(_lerp(self.a, end.a, weight=weight))

    def addcmul_(self, x: Lane, y: Lane, *, value: float = 1) -> Lane:
        return self._becomes(_addcmul(self.a, x.a, y.a, value=value))

    def addcdiv_(self, x: Lane, y: Lane, *, value: float = 1) -> Lane:
        return self._becomes(_addcdiv(self.a, x.a, y.a, value=value))


def _operand(value: Any) -> Any:
    return value.a if isinstance(value, Lane) else value
