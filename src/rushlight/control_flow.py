"""`torch.cond`: a choice between two functions, which the value of a tensor makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor

__all__ = ["cond"]


def cond(pred: Any, true_fn: Callable, false_fn: Callable, operands: tuple | list = ()) -> Any:
    """`true_fn(*operands)` if `pred` holds, else `false_fn(*operands)`; PyTorch's compiler keeps both in its graph.

    Args:
        pred: a bool, or a tensor of one element.

    Raises:
        RuntimeError: `pred` has more elements, or none.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor([1.0, 2.0])
        >>> torch.cond(x.sum() > 2, lambda x: x * 10, lambda x: -x, (x,))
        tensor([10., 20.])
    """
    if isinstance(pred, Tensor) and pred.numel() != 1:
        raise RuntimeError(f"Expected pred to be bool or single-element tensor, but got {pred}.")
    return (true_fn if pred else false_fn)(*operands)
