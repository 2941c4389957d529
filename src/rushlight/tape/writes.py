"""Writing to memory that the tape may know: who may, and what becomes of the graph.

Every in-place operation, `copy_`, `__setitem__`, `out=` and optimiser step passes here.
"""

from __future__ import annotations

import sys
from typing import Any

from rushlight.buffer import LEAF, Tensor, offset, storage, strides
from rushlight.layout import overlaps_itself
from rushlight.tape.modes import MODES
from rushlight.tape.node import MULTIPLE, UNRECORDED, Node, ViewMeta, edge_of, meta_of, requires_grad, start

_HOME = __file__.rsplit("tape", 1)[0]


def check_write(t: Tensor, operation: str = "") -> None:
    """Raise what PyTorch raises if `t` may not be written to; nothing has been touched then."""
    if t._edge is not None and MODES.grad:
        _check_recorded(t)
    a = t._a
    if 0 in a.strides and overlaps_itself(a.shape, a.strides):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location. Please clone() the tensor before performing the operation."
        )
    if not a.flags.writeable:
        raise RuntimeError(
            f"{operation or 'write'}: the tensor shows read-only memory (a NumPy array that is not writeable); "
            "clone() it to get memory of its own"
        )
    if t._buf is not None and t._buf.inference and not MODES.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )


def _check_recorded(t: Tensor) -> None:
    edge = t._edge
    if edge is LEAF or type(edge) is ViewMeta and edge.edge is LEAF:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if type(edge) is not ViewMeta:
        return
    if edge.creation == MULTIPLE and requires_grad(t):
        node, number = edge.edge if type(edge.edge) is tuple else (edge.edge, 0)
        raise RuntimeError(
            f"Output {number} of {node.name() if node is not None else 'a function'} is a view and is being modified "
            "inplace. This view is the output of a function that returns multiple views. Such functions do not allow "
            "the output views to be modified inplace. You should replace the inplace operation by an out-of-place one."
        )
    if edge.base._edge is LEAF:
        raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    if edge.creation == UNRECORDED and edge.base._edge is not None:
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Given that this "
            "use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view "
            "and the inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both "
            "outside (if you want the inplace to be tracked)."
        )


def wrote(t: Tensor) -> None:
    """Note a finished write: the version that every alias sees goes up by one."""
    buffer = t._buf
    if buffer is None:
        buffer = storage(t)
    buffer.version += 1
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HOME):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is not None:
        buffer.writer = (frame.f_code.co_filename, frame.f_lineno)


def rebase(t: Tensor, edge: Any) -> None:
    """The values of `t` now come from `edge`; called after `wrote`."""
    view = t._edge
    if type(view) is not ViewMeta:
        t._edge = edge
        return
    base = view.base
    before = edge_of(base)
    if edge is None and before is None:
        view.version = t._buf.version
        return
    base._edge = CopySlices(base, t, before, edge)
    regenerate(t, view)


def regenerate(t: Tensor, view: ViewMeta) -> None:
    """Make the view's edge anew from its base, whose history has changed."""
    view.version = t._buf.version
    source = edge_of(view.base)
    view.edge = None if source is None else AsStridedBackward0(view.base, t, source)


class _Region:
    """Where a view lies in its base, so that the same place can be found in a gradient."""

    __slots__ = ("shape", "strides", "offset", "base_shape", "base_strides")

    def __init__(self, base: Tensor, t: Tensor) -> None:
        storage(base)
        self.shape, self.strides = t._a.shape, strides(t)
        self.offset = offset(t) - offset(base)
        self.base_shape, self.base_strides = base._a.shape, strides(base)

    def same_layout(self, g: Any) -> Any:
        """A fresh copy of a base-shaped gradient, laid out as the base is."""
        out = g.new_empty_strided(self.base_shape, self.base_strides)
        out.copy_(g)
        return out

    def of(self, g: Any) -> Any:
        return g.as_strided(self.shape, self.strides, self.offset)


class CopySlices(Node):
    """A base after a write through one of its views: the view's part comes from the write."""

    __slots__ = ("region",)

    def __init__(self, base: Tensor, t: Tensor, before: Any, written: Any) -> None:
        start(self, (before, written), (meta_of(base),))
        self.region = _Region(base, t)

    def run(self, g: Any) -> tuple:
        rest = part = None
        if self.edges[1] is not None:
            part = self.region.of(self.region.same_layout(g)).clone()
        if self.edges[0] is not None:
            rest = self.region.same_layout(g)
            self.region.of(rest).zero_()
        return rest, part


class AsStridedBackward0(Node):
    """A view found again in its base after the base was written to."""

    __slots__ = ("region", "base")

    def __init__(self, base: Tensor, t: Tensor, source: Any) -> None:
        start(self, (source,), (meta_of(t),))
        self.region = _Region(base, t)
        self.base = meta_of(base)

    def run(self, g: Any) -> tuple:
        region = self.region
        out = g.new_empty_strided(region.base_shape, region.base_strides).zero_()
        region.of(out).add_(g)
        return (out,)
