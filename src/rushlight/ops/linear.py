"""input @ weight^T + bias, recorded as one node.

PyTorch records the product, the turned weight, and the rows of an input of more dimensions, each as a node. Most programs never
look at them, and a node costs as much as a small operation. So there is one, which leads straight to input and weight, and
which becomes the product's, with the others behind it, once somebody looks at where it leads or hangs something on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor, storage
from rushlight.dtypes import float32, float64
from rushlight.graph.expr import array_of
from rushlight.ops.affine import PRODUCTS, add_mm
from rushlight.ops.contractions import adjoint_times, in_columns, mm
from rushlight.ops.kinds.contraction import product
from rushlight.ops.views import TURNED, VIEW
from rushlight.runtime.execute import enter, quiet
from rushlight.tape.derivative import FREED, Derivative, OpNode
from rushlight.tape.modes import MODES
from rushlight.tape.node import PLAIN, SEQUENCE, RemovableHandle, ViewMeta
from rushlight.tape.recording import ANOMALY, between, record
from rushlight.tape.saving import SAVING

_make = object.__new__
_ndarray = np.ndarray


class FoldedNode(OpNode):
    """A node that stands for several, and becomes the last of these once somebody looks."""

    __slots__ = ()

    @property
    def next_functions(self) -> tuple:
        self.unfold()
        return super().next_functions

    def register_hook(self, hook: Callable) -> RemovableHandle:
        self.unfold()
        return super().register_hook(hook)

    def __call__(self, *grads: Any) -> Any:
        self.unfold()
        return super().__call__(*grads)

    def unfold(self) -> None:
        """Become the last of the nodes, which leads to the others."""
        raise NotImplementedError


class _Linear(FoldedNode):
    """The node; as long as it stands for several, it has no attributes."""

    __slots__ = ()

    def unfold(self) -> None:
        """Become the product's node, which leads to those of the views."""
        if self.attrs is not None:
            return
        (rows, columns), kind = self.metas[0]
        bias, x, weight = self.edges
        mask = sum([1 << at for at, edge in enumerate(self.edges) if edge is not None])
        if x is not None:
            shape = _shape(x)
            if len(shape) != 2:
                x = between(VIEW, x, None, (shape, kind), ((rows, shape[-1]), kind))
                x.seq = self.seq - 2
        if weight is not None:
            inner = _shape(weight)[1]
            weight = between(TURNED, weight, None, ((columns, inner), kind), ((inner, columns), kind))
            weight.seq = self.seq - 1
        plan = add_mm.derivative.plans.get(mask) or add_mm.derivative.plan(mask)
        if self.plan.keep and self.saved is not FREED:
            self.saved = [
                seen(t, version, x, _rows) if at == 1 else seen(t, version, weight, np.transpose)
                for at, t, version in zip(self.plan.keep, self.saved, self.versions)
            ]
        self.plan, self.edges, self.attrs = plan, (bias, x, weight), PRODUCTS[False, True]

    def _unpack(self, at: int, t: Any, expected: int) -> Any:
        if self.attrs is None and (0 if t._buf is None else t._buf.version) != expected:
            self.unfold()  # to what the message speaks of
            return self.input(self.plan.keep.index(at))
        return super()._unpack(at, t, expected)


def _shape(edge: Any) -> tuple[int, ...]:
    """Of the tensor that an edge is of."""
    if isinstance(edge, Tensor):
        return edge._a.shape
    node, number = edge if type(edge) is tuple else (edge, 0)
    return node.metas[number][0]


def seen(t: Tensor, version: int, edge: Any, see: Callable) -> Tensor:
    """The view of a kept tensor, as it was taken when the memory was at that version; rows need none."""
    if see is _rows and t._a.ndim == 2:
        return t
    view = new_tensor(see(array_of(t._a)), t._dtype)
    view._buf = storage(t)
    base = t._edge.base if type(t._edge) is ViewMeta else t
    view._edge = ViewMeta(base, edge, version, PLAIN)
    return view


def _rows(a: np.ndarray) -> np.ndarray:
    return a.reshape(-1, a.shape[-1])


def _to_input(g: Any, weight: Any, x_meta: Any) -> Any:
    if not MODES.grad and type(g) is Tensor:
        return new_tensor(quiet(product, g._a, weight._a).reshape(x_meta.shape), g._dtype)
    made = mm(g, weight)
    return made if made._a.shape == x_meta.shape else made.reshape(x_meta.shape)


def _to_weight(g: Any, x: Any) -> Any:
    if not MODES.grad and type(g) is Tensor:
        return new_tensor(quiet(product, array_of(g._a).T, _rows(x._a)), g._dtype)
    return adjoint_times(x.reshape(-1, x._a.shape[-1]), g, True).t()


_LINEAR = Derivative("Addmm", ("bias", "x", "weight"), (lambda g: g, _to_input, _to_weight), base=_Linear)


def at_once(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor | None:
    """The rows of input @ weight^T + bias for small real operands of one type in rows; None for any others."""
    a, b, c, kind = x._a, weight._a, bias._a, x._dtype
    if type(a) is not _ndarray or type(b) is not _ndarray or type(c) is not _ndarray or SAVING or ANOMALY:
        return None
    if kind is not float32 and kind is not float64 or weight._dtype is not kind or bias._dtype is not kind:
        return None
    if b.ndim != 2 or not a.size or not b.size or a.shape[-1] != b.shape[1] or c.shape != b.shape[:1]:
        return None
    if not b.flags.c_contiguous:  # the gradient of such a weight lies otherwise
        return None
    if a.ndim != 2:
        if a.ndim < 2 or not a.flags.c_contiguous:
            return None
        a = _rows(a)
    elif in_columns(a):
        return None
    try:
        made = enter(product, a, b.T)
        enter(np.add, made, c, made)
    except RuntimeError:
        return None
    out = _make(Tensor)
    out._a = made
    out._dtype = kind
    out._buf = out._edge = None
    if MODES.grad and (x._edge is not None or weight._edge is not None or bias._edge is not None):
        next(SEQUENCE), next(SEQUENCE)  # for the nodes of the views
        record(_LINEAR, (bias, x, weight), None, out)
    return out


__all__ = ["at_once", "seen"]
