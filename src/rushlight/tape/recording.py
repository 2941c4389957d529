"""Recording: what hangs a node on the result of an operation. On the path of every operation, so it is short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.buffer import LEAF, Tensor, storage
from rushlight.dtypes import FLOATING
from rushlight.tape.derivative import EVERY, Derivative, OpNode
from rushlight.tape.modes import MODES
from rushlight.tape.node import SEQUENCE, Nowhere, ViewMeta, edge_of, extra_of
from rushlight.tape.saving import SAVING, packed, with_edge

#: not empty while anomalies are looked for (and NaN checked)
ANOMALY: list[bool] = []


def record1(derivative: Derivative, x: Tensor, attrs: dict | None, out: Tensor) -> None:
    """`record` for one input and one output, which is most of what is recorded."""
    edge = x._edge
    kind = out._dtype
    if edge is None or kind.category < FLOATING or not MODES.grad:
        return
    if edge is LEAF:
        edge = x
    elif type(edge) is ViewMeta:
        if edge.edge is None and edge.base._edge is None:  # (as most views of what needs no gradient)
            return
        edge = edge_of(x)
        if edge is None:
            return
    if type(edge) is Nowhere:
        edge, plan = None, derivative.plans.get(0) or derivative.plan(0)
    else:
        plan = derivative.first or derivative.plan(1)
    node = derivative.node()
    node.plan = plan
    node.attrs = attrs
    node.edges = (edge,)
    node.seq = next(SEQUENCE)
    node.extra = None
    node.metas = ((out._a.shape, kind),)
    if plan.keep:
        _keep(node, (x,))
    elif plan.metas:
        node.saved_metas = ((x._a.shape, x._dtype),)
    edge = out._edge
    if edge is None:
        out._edge = node
    else:
        edge.edge = node
    if plan.keep_out:
        buffer = out._buf or storage(out)
        node.out = ((out._a, kind, buffer, buffer.version),)
    if SAVING or ANOMALY:
        _special(node)


def between(derivative: Derivative, edge: Any, attrs: dict | None, before: tuple, after: tuple) -> OpNode:
    """The node of one step, for several views that are taken at once: shapes and dtypes as `metas` holds them."""
    node = derivative.node()
    node.plan = derivative.first or derivative.plan(1)
    node.attrs = attrs
    node.edges = (edge,)
    node.seq = next(SEQUENCE)
    node.extra = None
    node.metas = (after,)
    node.saved_metas = (before,)
    if SAVING or ANOMALY:
        _special(node)
    return node


def record2(derivative: Derivative, x: Any, y: Any, attrs: dict | None, out: Tensor) -> None:
    """`record` for two inputs (either may be None) and one output."""
    kind = out._dtype
    if kind.category < FLOATING or not MODES.grad:
        return
    e = None if x is None else x._edge
    f = None if y is None else y._edge
    ends = False
    if e is not None:
        if e is LEAF:
            e = x
        elif type(e) is ViewMeta:
            e = None if e.edge is None and e.base._edge is None else edge_of(x)
            if type(e) is Nowhere:
                e, ends = None, True
    if f is not None:
        if f is LEAF:
            f = y
        elif type(f) is ViewMeta:
            f = None if f.edge is None and f.base._edge is None else edge_of(y)
            if type(f) is Nowhere:
                f, ends = None, True
    if f is None:
        mask = 0 if e is None else derivative.wanted & 1
    else:
        mask = derivative.wanted & (2 if e is None else 3)
    if not mask and not ends:
        return
    try:
        plan = derivative.plans[mask]
    except KeyError:
        plan = derivative.plan(mask)
    node = derivative.node()
    node.plan = plan
    node.attrs = attrs
    node.edges = (e, f) if mask == 3 else (e, None) if mask == 1 else (None, f) if mask else (None, None)
    node.seq = next(SEQUENCE)
    node.extra = None
    node.metas = ((out._a.shape, kind),)
    keep = plan.keep
    if keep:
        _keep(node, (x, y) if len(keep) == 2 else (y,) if keep[0] else (x,))
    if plan.metas:
        node.saved_metas = [((x, y)[i]._a.shape, (x, y)[i]._dtype) for i in plan.metas]
    out._edge = node
    if plan.keep_out:
        buffer = out._buf or storage(out)
        node.out = ((out._a, kind, buffer, buffer.version),)
    if SAVING or ANOMALY:
        _special(node)


def record(derivative: Derivative, inputs: Sequence[Any], attrs: dict | None, out: Any) -> None:
    """Hang a node on `out` (a tensor, or a tuple of them) if an input wants a gradient."""
    if not MODES.grad or not derivative.several and out._dtype.category < FLOATING:
        return
    edges = []
    mask, bit, wanted, ends = 0, 1, derivative.wanted, False
    for t in inputs:
        edge = None
        if t is not None and wanted & bit:
            edge = t._edge
            if edge is not None:
                edge = t if edge is LEAF else edge_of(t) if type(edge) is ViewMeta else edge
                if type(edge) is Nowhere:
                    edge, ends = None, True
                elif edge is not None:
                    mask |= bit
        edges.append(edge)
        bit <<= 1
    if not mask and not ends:
        return
    if attrs is not None and "places" in attrs:  # index tensors
        for t in getattr(attrs["places"], "tensors", ()):
            if t._buf is not None and t._buf.inference:
                raise RuntimeError(NOT_SAVED_MESSAGE)
    plan = derivative.plans.get(mask) or derivative.plan(mask)
    node = derivative.node()
    node.plan = plan
    node.attrs = attrs
    node.edges = tuple(edges)
    node.seq = next(SEQUENCE)
    node.extra = None
    if plan.keep:
        _keep(node, inputs if plan.keep == EVERY else [inputs[i] for i in plan.keep])
    if plan.metas:
        chosen = inputs if plan.metas == EVERY else [inputs[i] for i in plan.metas]
        node.saved_metas = [None if t is None else (t._a.shape, t._dtype) for t in chosen]
    if derivative.several:
        node.metas = tuple([(t._a.shape, t._dtype) for t in out])
        _attach_several(node, derivative, out)
    else:
        node.metas = ((out._a.shape, out._dtype),)
        edge = out._edge
        if type(edge) is ViewMeta:
            edge.edge = node
        else:
            out._edge = node
        if plan.keep_out:
            buffer = storage(out)
            node.out = ((out._a, out._dtype, buffer, buffer.version),)
    if SAVING or ANOMALY:
        _special(node)


def _keep(node: Any, saved: Sequence[Any]) -> None:
    node.saved = saved
    node.versions = versions = []
    for t in saved:
        buffer = None if t is None else t._buf
        if buffer is None:
            versions.append(0)
        else:
            if buffer.inference:
                raise RuntimeError(NOT_SAVED_MESSAGE)
            versions.append(buffer.version)


NOT_SAVED_MESSAGE = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
    "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
    "autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
)


def _attach_several(node: Any, derivative: Derivative, outs: Any) -> None:
    chosen = derivative.differentiable
    for number, t in enumerate(outs):
        if t._dtype.category >= FLOATING and (chosen is None or number in chosen):
            if type(t._edge) is ViewMeta:
                t._edge.edge = (node, number)
            else:
                t._edge = (node, number)
    if node.plan.keep_out:
        first = node.plan.keep_second
        kept = [(t._a, t._dtype, b := storage(t), b.version) for t in outs[first:]]
        node.out = (None, *kept) if first else tuple(kept)


def _special(node: Any) -> None:
    """The rare modes: saved-tensor hooks, anomaly detection."""
    if SAVING:
        if node.plan.keep:
            node.saved = [None if t is None else packed(t) for t in node.saved]
        if node.plan.keep_out:
            node.out = tuple(
                kept and (packed(with_edge(kept[0], kept[1], kept[2], None)), *kept[1:]) for kept in node.out
            )
    if ANOMALY:
        import traceback

        extra_of(node).traceback = traceback.format_stack()[:-3]
