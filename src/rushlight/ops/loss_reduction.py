"""What losses share: how the values of single elements become the loss, and how arguments are brought together."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.layout import broadcast, numel
from rushlight.ops.kinds.elementwise import in_order
from rushlight.runtime import deferral


def reduction_of(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction asked for, also by PyTorch's two older arguments."""
    if size_average is None and reduce is None:
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{reduction} is not a valid value for reduction")
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    chosen = "none" if not reduce else "mean" if size_average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' instead.",
        stacklevel=4,
    )
    return chosen


def reduced_by(
    function: Callable, arrays: tuple[np.ndarray, ...], reduction: str, kind: np.dtype, **attrs: Any
) -> np.ndarray:
    """`function(*arrays, **attrs)`, element by element, as `reduced` reduces it: for large arrays in one loop."""
    if reduction != "none":
        a = arrays[0]
        dims = tuple(range(a.ndim))
        total = deferral.reduced(_added, arrays, dims, False, {"function": function, **attrs})
        if total is not None:
            return np.asarray(total / a.size if reduction == "mean" else total).astype(kind)
    return reduced(function(*arrays, **attrs), reduction, kind, *arrays)


def _added(*arrays: np.ndarray, function: Callable, **attrs: Any) -> Any:
    return np.add.reduce(function(*arrays, **attrs), None, np.float64)


def reduced(values: np.ndarray, reduction: str, kind: np.dtype, *arrays: np.ndarray) -> np.ndarray:
    """Values of these arrays reduced in double precision, and rounded to `kind`."""
    if reduction == "none":
        return in_order(values.astype(kind), *arrays)
    total = values.sum(dtype=np.complex128 if values.dtype.kind == "c" else np.float64)
    if reduction == "mean":
        total = total / values.size if values.size else np.nan
    return np.asarray(total).astype(kind)


def share(g: Any, shape: tuple[int, ...], reduction: str) -> Any:
    """The gradient of each value that `reduced` took together."""
    if reduction == "none":
        return g
    g = g.expand(shape)
    return g / numel(shape) if reduction == "mean" else g


def reduce_tensor(t: Any, reduction: str) -> Any:
    """`reduced` for tensors."""
    return t if reduction == "none" else t.mean() if reduction == "mean" else t.sum()


def same_shape(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Both broadcast to one shape, with PyTorch's warning if that changes something."""
    if isinstance(input, Tensor) and isinstance(target, Tensor) and input._a.shape == target._a.shape:
        return input, target
    b, a = tuple(target.size()), tuple(input.size())
    if a == b:
        return input, target
    warnings.warn(
        f"Using a target size (torch.Size({list(b)})) that is different to the input size (torch.Size({list(a)})). "
        "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=4,
    )
    shape = broadcast(a, b)
    return input.expand(shape), target.expand(shape)


def one_dtype(x: Any, y: Any) -> tuple[Any, Any]:
    if x._dtype is y._dtype:
        return x, y
    from rushlight.ops.promotion import result_type

    kind = result_type(x, y)
    return tuple(t if t._dtype is kind else t.to(kind) for t in (x, y))
