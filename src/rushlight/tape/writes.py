"""Writing to memory that the tape may know: who may, and what becomes of the graph.

Every in-place operation, `copy_`, `__setitem__`, `out=` and optimiser step passes here.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from rushlight import errors
from rushlight.buffer import LEAF, Tensor, new_tensor, offset, storage, strides
from rushlight.dtypes import FLOATING, int64
from rushlight.graph.expr import settle
from rushlight.layout import is_dense, may_overlap, overlaps_itself, places, span
from rushlight.memory import address
from rushlight.tape.derivative import FREED_MESSAGE
from rushlight.tape.modes import MODES
from rushlight.tape.node import (
    CUSTOM,
    INFERENCE,
    MULTIPLE,
    PLAIN,
    UNRECORDED,
    Node,
    ViewMeta,
    edge_of,
    extra_of,
    meta_of,
    requires_grad,
    short_name,
    start,
)

_HOME = __file__.rsplit("tape", 1)[0]


def check_write(t: Tensor, operation: str = "") -> None:
    """Raise what PyTorch raises if `t` may not be written to; nothing has been touched then."""
    if t._edge is not None and MODES.grad and requires_grad(t):
        check_recorded(t)
    a = t._a
    if 0 in a.strides and overlaps_itself(a.shape, a.strides):
        _check_expanded(operation)
    if not a.flags.writeable:
        raise RuntimeError(
            f"{operation or 'write'}: the tensor shows read-only memory (a NumPy array that is not writeable); "
            "clone() it to get memory of its own"
        )
    buffer = t._buf
    if buffer is None:
        return
    if buffer.watch is not None:
        settle(buffer.watch.readers)
    check_inference(t)


def check_inference(t: Tensor) -> None:
    """Raise if `t` is an inference tensor that may not be written to here."""
    buffer = t._buf
    if buffer is not None and buffer.inference and not MODES.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a "
            "normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )


#: operations that PyTorch still lets write to expanded tensors
_TO_EXPANDED = frozenset({"index_fill_", "index_put_", "masked_fill_"})


def _check_expanded(operation: str) -> None:
    if operation not in _TO_EXPANDED:
        raise errors.shown_twice()
    warnings.warn(
        f"Use of {operation} on expanded tensors is deprecated. Please clone() the tensor before performing this "
        "operation. This also applies to advanced indexing e.g. tensor[indices] = tensor",
        stacklevel=4,
    )


def check_partial_overlap(t: Tensor, other: Tensor) -> None:
    """Raise if a write to `t` would change `other` while it is being read.

    As in PyTorch, this is looked at only where both fill their memory densely; to be the same
    elements in the same order is allowed.
    """
    one, two = t._buf, other._buf
    if one is None or two is None or t is other or one.array is not two.array:
        return
    a, b = t._a, other._a
    if not a.size or not b.size or not (is_dense(a.shape, strides(t)) and is_dense(b.shape, strides(other))):
        return
    start, other_start = address(a), address(b)
    if start == other_start and a.nbytes == b.nbytes:
        partial = strides(t) != strides(other)
    else:
        partial = start < other_start + b.nbytes and other_start < start + a.nbytes
    if partial:
        raise errors.overlapping()


def check_recorded(t: Tensor) -> None:
    """Raise what PyTorch raises if a recorded write to `t` would make its graph wrong."""
    edge = t._edge
    if type(edge) is ViewMeta:
        check_creation(edge, "is being")
        base = edge.base._edge
        if (base is LEAF or base is None) and requires_grad(t):
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation."
            )
        edge = edge.edge or (LEAF if requires_grad(t) else None)
    if edge is LEAF:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")


def check_creation(view: ViewMeta, modified: str) -> None:
    """Some views may be neither written to nor found again after a write to their base."""
    creation = view.creation
    if creation == PLAIN:
        return
    edge, number = view.edge if type(view.edge) is tuple else (view.edge, 0)
    source = f"Output {number} of {short_name(edge)} is a view" if isinstance(edge, Node) else "A view"
    if creation == INFERENCE:
        how = "inference mode", "normal mode", "inference_mode"
    elif creation == UNRECORDED or not isinstance(edge, Node):
        how = "no_grad mode", "grad mode enabled", "no_grad"
    else:
        raise RuntimeError(f"{source} and {modified} modified inplace. {_REASONS[creation]}")
    made, now, block = how
    of = " of a view which" if isinstance(edge, Node) else ""
    said = f"{source}{of} was created in {made} and {modified} modified inplace {'in' if creation == INFERENCE else 'with'} {now}."
    raise RuntimeError(f"{said} {_REASONS.get(creation) or _AMBIGUOUS.format(block)}")


_AMBIGUOUS = (
    "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
    "the view and the inplace either both inside the {} block (if you don't want the inplace to be tracked) or both "
    "outside (if you want the inplace to be tracked)."
)
_REASONS = {
    MULTIPLE: "This view is the output of a function that returns multiple views. Such functions do not allow the "
    "output views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
    CUSTOM: "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
    "logic to handle view+inplace would override the custom backward associated with the custom Function, leading to "
    "incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function.",
}


def wrote(t: Tensor) -> None:
    """Note a finished write: the version that every alias sees goes up by one."""
    buffer = t._buf
    if buffer is None:
        buffer = storage(t)
    buffer.version += 1
    frame: Any = sys._getframe(2)
    code = frame.f_code
    while _OURS.get(code.co_filename) or code.co_filename not in _OURS and _is_ours(code.co_filename):
        frame = frame.f_back
        if frame is None:
            return
        code = frame.f_code
    buffer.writer = (code, frame.f_lasti)


#: file -> whether it is Rushlight's; asked at every write, so remembered
_OURS: dict[str, bool] = {}


def _is_ours(file: str) -> bool:
    _OURS[file] = found = file.startswith(_HOME)
    return found


def wrote_all(written: Sequence[tuple[Tensor, int]]) -> None:
    """Note that each of these tensors was written to so many times, from one place."""
    writer = None
    for t, writes in written:
        if not writes:
            continue
        if writer is None:
            wrote(t)
            buffer = storage(t)
            writer = buffer.writer
            buffer.version -= 1
        buffer = t._buf or storage(t)
        buffer.version += writes
        buffer.writer = writer


def rebase(t: Tensor, edge: Any) -> None:
    """The values of `t` now come from `edge`; called after `wrote`."""
    view = t._edge
    if t._dtype.category < FLOATING:
        return
    if type(view) is not ViewMeta:
        t._edge = edge
        _keep_retaining(t, view, edge)
        return
    base = view.base
    before = edge_of(base)
    if edge is None and before is None:
        view.version = t._buf.version
        return
    made = CopySlices(base, t, before, edge)
    base._edge = made
    _keep_retaining(base, before, made)
    regenerate(t, view)


def _keep_retaining(t: Tensor, before: Any, edge: Any) -> None:
    """A tensor that keeps its gradient keeps that of its newest values."""
    node, number = before if type(before) is tuple else (before, 0)
    if not isinstance(node, Node) or node.extra is None or not node.extra.retained:
        return
    held = node.extra.retained.get(number)
    if held is not None and held() is t:
        del node.extra.retained[number]
        after, number = edge if type(edge) is tuple else (edge, 0)
        extra_of(after).retained = {**(extra_of(after).retained or {}), number: held}


def regenerate(t: Tensor, view: ViewMeta) -> None:
    """Make the view's edge anew from its base, whose history has changed."""
    view.version = t._buf.version
    before = view.edge
    name = getattr(view, "replayed", "")
    kind = _replayed(name) if name else AsStridedBackward0
    view.edge = kind(view.base, t, edge_of(view.base))
    _keep_retaining(t, before, view.edge)


#: `view_as_real` for 1 and `view_as_complex` for -1, put here by the module that declares them
TURNS: dict[int, Callable] = {}


class _Region:
    """Where a view lies in its base, so that the same place can be found in a gradient.

    Attributes:
        turn: how a base-like gradient is seen as the view's type: 0 as it is, 1 a complex one as pairs of reals,
            -1 pairs of reals as a complex one.
    """

    __slots__ = ("shape", "strides", "offset", "base_shape", "base_strides", "base_dtype", "turn")

    def __init__(self, base: Tensor, t: Tensor) -> None:
        storage(base)
        self.shape, self.strides = t._a.shape, strides(t)
        self.turn = base._dtype.is_complex - t._dtype.is_complex
        self.offset = offset(t) - (offset(base) << 1 if self.turn > 0 else offset(base) >> -self.turn)
        self.base_shape, self.base_strides, self.base_dtype = base._a.shape, strides(base), base._dtype

    def same_layout(self, g: Any) -> Any:
        """A fresh copy of a base-shaped gradient, laid out as the base is."""
        out = g.new_empty_strided(self.base_shape, self.base_strides)
        out.copy_(g)
        return out

    def of(self, g: Any) -> Any:
        if self.turn:
            if self.turn < 0:
                g = g.as_strided((span(self.base_shape, self.base_strides) // 2, 2), (2, 1))
            g = TURNS[self.turn](g)
        return g.as_strided(self.shape, self.strides, self.offset)


class CopySlices(Node):
    """A base after a write through one of its views: the view's part comes from the write."""

    __slots__ = ("region",)
    region: _Region | None

    def __init__(self, base: Tensor, t: Tensor, before: Any, written: Any) -> None:
        start(self, (before, written), (meta_of(base),))
        self.region = _Region(base, t)

    def name(self) -> str:
        return "torch::autograd::CopySlices"

    def run(self, g: Any) -> tuple:
        rest = part = None
        region = self.region
        if region is None:
            raise RuntimeError(FREED_MESSAGE)
        if self.edges[1] is not None:
            part = region.of(region.same_layout(g)).clone()
        if self.edges[0] is not None:
            if 0 in region.strides and overlaps_itself(region.shape, region.strides):
                raise errors.shown_twice()
            rest = region.same_layout(g)
            region.of(rest).zero_()
        return rest, part

    def release(self) -> None:
        self.region = None


class AsStridedBackward0(Node):
    """A view found again in its base after the base was written to."""

    __slots__ = ("region", "base")

    def __init__(self, base: Tensor, t: Tensor, source: Any) -> None:
        start(self, (source,), (meta_of(t),))
        self.region = _Region(base, t)
        self.base = meta_of(base)

    def run(self, g: Any) -> tuple:
        region = self.region
        if not region.turn and may_overlap(region.shape, region.strides):
            return (self._added_up(g),)
        out = g.new_empty_strided(region.base_shape, region.base_strides, dtype=region.base_dtype).zero_()
        region.of(out).add_(g)
        return (out,)

    def _added_up(self, g: Any) -> Any:
        """Elements that are one place in memory: their gradients are added."""
        region = self.region
        at = new_tensor(places(region.shape, region.strides, region.offset).reshape(-1), int64)
        memory = g.new_zeros(span(region.base_shape, region.base_strides)).index_add(0, at, g.reshape(-1))
        return memory.as_strided(region.base_shape, region.base_strides, 0)


@functools.cache
def _replayed(name: str) -> type[AsStridedBackward0]:
    """The class of node under the name that PyTorch gives it."""
    return type(name, (AsStridedBackward0,), {"__slots__": ()})
