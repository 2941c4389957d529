"""Views in a larger shape: strides of zero where a size of 1 is repeated."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, strides
from rushlight.deep import MOST, expanded
from rushlight.graph.expr import array_of
from rushlight.layout import broadcast
from rushlight.layout import sizes as sizes_of
from rushlight.ops.kinds.method import method
from rushlight.ops.spec import public
from rushlight.runtime.execute import restrided
from rushlight.runtime.execute import view as _view
from rushlight.tape.derivative import Derivative

EXPAND = Derivative("Expand", ("x",), (lambda g: g,))


@method
def expand(self: Tensor, *sizes: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """Dimensions of size 1 repeated, and new ones put in front, without a copy: strides of zero.

    -1 keeps a size.

    Raises:
        RuntimeError: a size that is not 1 would have to change.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([[1], [2]]).expand(2, 3).stride()
        (1, 0)
    """
    a = self._a
    if not a.ndim and len(sizes) == 1 and type(sizes[0]) is tuple:
        for n in sizes[0]:
            if type(n) is not int or n < 1:
                break
        else:  # the gradient of a sum takes this way
            return _view(
                self,
                np.ndarray(
                    sizes[0], a.dtype, a if type(a) is np.ndarray else array_of(a), 0, (0,) * len(sizes[0])
                ),
                EXPAND,
                None,
            )
    if size is None:
        array = _expanded_contiguous(
            self._a, sizes[0] if len(sizes) == 1 and type(sizes[0]) is not int else sizes
        )
        if array is not None:
            return _view(self, array, EXPAND, None)
    shape = sizes_of(sizes if size is None else (size,), "expand")
    steps = _expanded_strides(self, shape)
    shape = tuple([n if n != -1 else m for n, m in zip(shape, _padded(self._a.shape, len(shape)))])
    if len(shape) > MOST:
        return expanded(self, shape, steps)
    return _view(self, restrided(self, shape, steps), EXPAND, None)


def _expanded_contiguous(a: np.ndarray, sizes: Any) -> np.ndarray | None:
    """The common case at little cost: a row-major array, sizes without -1, no new dimension of size 1."""
    lead = len(sizes) - a.ndim if type(sizes) is tuple else -1
    if lead < 0 or not a.size or not a.flags.c_contiguous:
        return None
    for n in sizes[:lead]:
        if type(n) is not int or n < 2:
            return None
    steps = [0] * lead
    for n, m, step in zip(sizes[lead:], a.shape, a.strides):
        if n == m:
            steps.append(step)
        elif m == 1 and n > 1:
            steps.append(0)
        else:
            return None
    return np.ndarray(sizes, a.dtype, array_of(a), 0, steps)


def _padded(shape: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    return (1,) * (ndim - len(shape)) + shape


def _expanded_strides(t: Tensor, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides with which `t` shows itself in a larger shape."""
    have, steps = t._a.shape, strides(t)
    lead = len(shape) - len(have)
    if lead < 0:
        raise RuntimeError(
            f"expand({_named(t)}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(have)})"
        )
    if not have and -1 not in shape:
        return (0,) * lead
    sizes = shape[:lead] + tuple([m if n == -1 else n for n, m in zip(shape[lead:], have)])
    result = []
    for at in range(len(shape) - 1, -1, -1):
        n = shape[at]
        m, step = (have[at - lead], steps[at - lead]) if at >= lead else (1, _result_step(sizes, result, at))
        if n == -1:
            if at < lead:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {at}"
                )
            n = m
        if m != n:
            if m != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) must match the existing size ({m}) at non-singleton "
                    f"dimension {at}.  Target sizes: {list(shape)}.  Tensor sizes: {list(have)}"
                )
            step = 0
        result.append(step)
    return tuple(reversed(result))


def _result_step(shape: tuple[int, ...], done: list[int], at: int) -> int:
    """The stride PyTorch gives a new leading dimension of size 1: what comes after it, times its stride."""
    return shape[at + 1] * done[-1] if done else 1


def _named(t: Tensor) -> str:
    return f"torch.{t._dtype.legacy}Tensor{{{list(t._a.shape)}}}"


@method
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor expanded to the shape of `other`."""
    return expand(self, other._a.shape)


@public(out=False)
def broadcast_to(input, size):
    """:func:`Tensor.expand` as a function."""
    return expand(input, size)


def broadcast_to_method(self: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """:func:`Tensor.expand` by another name."""
    return expand(self, *sizes, size=size)


@public(out=False)
def broadcast_tensors(*tensors):
    """The tensors, each expanded to their common shape.

    Raises:
        TypeError: something is no tensor.
        RuntimeError: shapes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> a, b = torch.broadcast_tensors(torch.ones(2, 1), torch.zeros(3))
        >>> a.shape, b.shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for at, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {at} in argument 0, but got {type(t).__name__}")
    shape = broadcast(*[t._a.shape for t in tensors])
    return tuple([t if t._a.shape == shape else expand(t, shape) for t in tensors])
