"""Batches of matrices in two dimensions or more, multiplied and recorded as one node.

PyTorch shows such operands as batches in one dimension, which takes it two nodes each, or three where one must be copied, and two
more for the product and its shape. Most programs never look at them. So there is one node, which leads straight to the operands, and
becomes the last of PyTorch's, with the others behind it, once somebody looks at where it leads or hangs something on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import float32, float64
from rushlight.graph.expr import array_of
from rushlight.memory import address
from rushlight.ops.broadcasting import EXPAND
from rushlight.ops.contractions import BMM
from rushlight.ops.kinds.contraction import batched
from rushlight.ops.linear import FoldedNode, seen
from rushlight.ops.views import CLONE, RESHAPE_ALIAS, UNSAFE_VIEW, VIEW
from rushlight.runtime.deferral import FROM
from rushlight.runtime.execute import enter, quiet
from rushlight.tape.derivative import FREED, Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import SEQUENCE
from rushlight.tape.recording import ANOMALY, between, record
from rushlight.tape.saving import SAVING

_ndarray = np.ndarray


class Folded(NamedTuple):
    """What the node knows as long as it stands for several.

    Attributes:
        steps: of each operand, what PyTorch does to it.
        inner: the size that the operands share.
    """

    steps: tuple[tuple[Derivative, ...], tuple[Derivative, ...]]
    inner: int


#: what PyTorch does to an operand in rows, to one that it can show otherwise, and to one that it has to copy
_ROWS, _ALIAS, _COPY = (EXPAND, VIEW), (EXPAND, RESHAPE_ALIAS), (EXPAND, CLONE, UNSAFE_VIEW)


#: the attributes of a node that was just run with those that it stood for, and is released with them
_WHOLE: dict[str, Any] = {}


class _Batches(FoldedNode):
    """The node; its attributes say whether it stands for several."""

    __slots__ = ()

    def run(self, g: Any) -> Sequence[Any]:
        if type(self.attrs) is not Folded:
            self.attrs = None
        elif MODES.grad:
            return self._run_unfolded(g)
        return super().run(g)

    def _run_unfolded(self, g: Any) -> Sequence[Any]:
        """The gradients of the operands by the nodes that this one stands for, so that they can be differentiated."""
        operands = self.edges
        self.unfold()
        (product,) = self.edges
        found = []
        for edge, operand, made in zip(product.edges, operands, product.run(*super().run(g))):
            while edge is not operand:
                (made,) = edge.run(made)
                (edge,) = edge.edges
            found.append(made)
        self.attrs = _WHOLE
        return found

    def release(self) -> None:
        super().release()
        if self.attrs is _WHOLE:
            self.edges[0].release()

    def unfold(self) -> None:
        """Become the last of the nodes, which leads to the others."""
        folded = self.attrs
        if type(folded) is not Folded:
            return
        shape, kind = self.metas[0]
        lead, (rows, columns) = shape[:-2], shape[-2:]
        count = 1
        for n in lead:
            count *= n
        product = between(BMM, None, None, (shape, kind), ((count, rows, columns), kind))
        product.seq = self.seq - 1
        sizes = (rows, folded.inner), (folded.inner, columns)
        at, edges = product.seq, []
        for edge, steps, size in zip(self.edges[::-1], folded.steps[::-1], sizes[::-1]):
            if edge is not None:
                before, after = ((*lead, *size), kind), ((count, *size), kind)
                for step in steps:
                    edge = between(step, edge, None, before, after if step is steps[-1] else before)
                for behind, node in enumerate(_chain(edge, len(steps))):
                    node.seq = at - 1 - behind
                at -= len(steps)
            edges.append(edge)
        product.edges = tuple(edges[::-1])
        mask = sum([1 << n for n, edge in enumerate(product.edges) if edge is not None])
        product.plan = BMM.plans.get(mask) or BMM.plan(mask)
        if self.saved is FREED:
            product.saved = FREED
        else:
            product.versions, product.saved = (
                self.versions,
                [
                    _shown(t, product.edges[n])
                    if folded.steps[n] is _COPY
                    else seen(t, v, product.edges[n], matrices)
                    for n, t, v in zip(self.plan.keep, self.saved, self.versions)
                ],
            )
        self.plan, self.edges, self.attrs = UNSAFE_VIEW.plan(1), (product,), None
        self.saved_metas = (product.metas[0],)
        self.saved, self.versions = (), ()

    def _unpack(self, at: int, t: Any, expected: int) -> Any:
        folded = self.attrs
        if type(folded) is not Folded:
            return super()._unpack(at, t, expected)
        if folded.steps[at] is not _COPY and (0 if t._buf is None else t._buf.version) != expected:
            self.unfold()  # to what the message speaks of
            return self.edges[0].input(self.edges[0].plan.keep.index(at))
        return t


def _chain(node: Any, length: int) -> list[Any]:
    """A node and those behind it."""
    found = [node]
    while len(found) < length:
        found.append(found[-1].edges[0])
    return found


def _shown(t: Tensor, edge: Any) -> Tensor:
    """A copy, as the result of the node that leads to what was copied."""
    out = new_tensor(t._a, t._dtype)
    out._edge = edge
    return out


def matrices(a: np.ndarray) -> np.ndarray:
    """All matrices of a batch, in one dimension."""
    return a if a.ndim == 3 else a.reshape(-1, *a.shape[-2:])


def _to_left(g: Any, y: Any, x_meta: Any) -> Any:
    turned = matrices(y._a).transpose(0, 2, 1)
    return new_tensor(quiet(batched, matrices(array_of(g._a)), turned).reshape(x_meta.shape), g._dtype)


def _to_right(g: Any, x: Any, y_meta: Any) -> Any:
    turned = matrices(x._a).transpose(0, 2, 1)
    return new_tensor(quiet(batched, turned, matrices(array_of(g._a))).reshape(y_meta.shape), g._dtype)


_BATCHES = Derivative("UnsafeView", ("x", "y"), (_to_left, _to_right), base=_Batches)


def at_once(x: Tensor, y: Tensor) -> Tensor | None:
    """The products of small batches of one shape and real type, as one node; None for any others."""
    a, b, kind = x._a, y._a, x._dtype
    if type(a) is not _ndarray or type(b) is not _ndarray or SAVING or ANOMALY or not MODES.grad:
        return None
    if kind is not float32 and kind is not float64 or y._dtype is not kind:
        return None
    lead = a.shape[:-2]
    if lead != b.shape[:-2] or a.shape[-1] != b.shape[-2] or not 0 < a.size < FROM or not 0 < b.size < FROM:
        return None
    left, right = matrices(a), matrices(b)
    try:
        made = enter(batched, left, right)
    except RuntimeError:
        return None
    out = new_tensor(made.reshape(*lead, *made.shape[1:]), kind)
    steps = _steps(a, left), _steps(b, right)
    if x._edge is not None:
        for _ in steps[0]:
            next(SEQUENCE)  # for the nodes that this one stands for
    if y._edge is not None:
        for _ in steps[1]:
            next(SEQUENCE)
    next(SEQUENCE)
    record(_BATCHES, (x, y), None, out)
    node: Any = out._edge
    if node is None:
        return out
    node.attrs = Folded(steps, a.shape[-1])
    if _COPY in steps:
        node.saved = list(node.saved)
        for n, at in enumerate(node.plan.keep):
            if steps[at] is _COPY:
                node.saved[n], node.versions[n] = new_tensor((left, right)[at], kind), 0
    return out


def _steps(a: np.ndarray, shown: np.ndarray) -> tuple[Derivative, ...]:
    """What PyTorch does to an operand of which NumPy has made this."""
    return _ROWS if a.flags.c_contiguous else _ALIAS if address(a) == address(shown) else _COPY


__all__ = ["at_once"]
