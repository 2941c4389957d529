"""`backward`, `grad`, and the tensor attributes that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.autograd.engine import run_backward
from rushlight.buffer import LEAF, Tensor, new_tensor
from rushlight.tape.node import ViewMeta, edge_of, requires_grad


def _get_requires_grad(self: Tensor) -> bool:
    return requires_grad(self)


def _set_requires_grad(self: Tensor, value: bool) -> None:
    set_requires_grad(self, value)


def set_requires_grad(t: Tensor, value: bool) -> None:
    """Make a leaf collect gradients, or stop; RuntimeError for non-leaves and integers."""
    if not value and requires_grad(t) and edge_of(t) is not t:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
            "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if value and t._dtype.category < 2:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if bool(value) == requires_grad(t):
        return
    edge = LEAF if value else None
    if type(t._edge) is ViewMeta:
        t._edge.edge = edge
    else:
        t._edge = edge


def _get_grad(self: Tensor) -> Any:
    return getattr(self, "_grad", None)


def _set_grad(self: Tensor, value: Any) -> None:
    self._grad = value


def _get_grad_fn(self: Tensor) -> Any:
    edge = edge_of(self)
    if edge is None or edge is self:
        return None
    return edge[0] if type(edge) is tuple else edge


requires_grad_property = property(_get_requires_grad, _set_requires_grad, doc="Whether gradients are recorded.")
grad_property = property(_get_grad, _set_grad, doc="The gradient collected by `backward()`, or None.")
grad_fn_property = property(_get_grad_fn, doc="The node that made this tensor, or None.")


def backward(
    self: Tensor, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Send gradients from this tensor to the leaves it was computed from."""
    edge = edge_of(self)
    if gradient is None:
        gradient = new_tensor(np.ones(self._a.shape, self._a.dtype), self._dtype)
    run_backward([(edge, gradient)], bool(retain_graph) or create_graph, create_graph)
