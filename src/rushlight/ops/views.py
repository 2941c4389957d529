"""Views: other shapes and strides on the same memory."""

from __future__ import annotations

from typing import Any

import rushlight.layout as layout
from rushlight.buffer import Tensor, strides
from rushlight.ops.spec import public
from rushlight.runtime import execute
from rushlight.tape.node import Derivative

_VIEW = Derivative("View", ("x",), (lambda g, x_meta: g.reshape(x_meta.shape),))
_EXPAND = Derivative("Expand", ("x",), (lambda g: g,))
_T = Derivative("T", ("x",), (lambda g: g.t(),))
_SELECT = Derivative("Select", ("x",), (lambda g, x_meta, dim, index: g.new_zeros(x_meta.shape).select_write(g, dim, index),))


@public(out=False)
def view(input, *shape):
    shape = layout.infer_size(layout.sizes(shape, "view"), input._a.size)
    a = input._a
    if a.flags.c_contiguous and a.size:
        return execute.view(input, a.reshape(shape), _VIEW, None)
    steps = layout.view_strides(a.shape, strides(input), shape)
    if steps is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return execute.view(input, execute.restrided(input, shape, steps), _VIEW, None)


@public(out=False)
def reshape(input, *shape):
    return view(input, *shape)


@public(out=False)
def expand(input, *sizes):
    shape = layout.sizes(sizes, "expand")
    a = input._a
    steps = (0,) * (len(shape) - a.ndim) + tuple(0 if n == 1 and m != 1 else s for n, m, s in zip(a.shape, shape[len(shape)-a.ndim:], strides(input)))
    return execute.view(input, execute.restrided(input, shape, steps), _EXPAND, None)


@public(out=False)
def t(input):
    return execute.view(input, input._a.T, _T, None)


def detach(input: Tensor) -> Tensor:
    """A tensor on the same memory that is not part of the graph."""
    return execute.alias(input)


__all__ = ["Any", "view"]
