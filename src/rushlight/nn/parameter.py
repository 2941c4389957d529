"""`Parameter`: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from rushlight.buffer import LEAF, Tensor, new_tensor, storage
from rushlight.dtypes import FLOATING, float32


class Parameter(Tensor):
    """A leaf tensor that wants a gradient, on the memory of `data`.

    Raises:
        RuntimeError: integers cannot require gradients.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Parameter(torch.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            import numpy as np

            data = new_tensor(np.empty(0, np.float32), float32)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {type(data).__name__}")
        if requires_grad and data._dtype.category < FLOATING:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        made = object.__new__(cls)
        made._a, made._dtype, made._buf = data._a, data._dtype, storage(data)
        made._edge = LEAF if requires_grad else None
        return made

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        pass

    def __deepcopy__(self, memo: dict) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]


__all__ = ["Parameter"]
