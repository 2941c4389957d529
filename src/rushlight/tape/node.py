"""Nodes of the recorded graph, what hangs on them, and the edges of tensors that lead to them."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rushlight.buffer import LEAF, Tensor
from rushlight.dtypes import FLOATING, dtype

SEQUENCE = itertools.count()


class Meta(NamedTuple):
    """What is known of an input without keeping its value."""

    shape: tuple[int, ...]
    dtype: dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Node:
    """One recorded operation.

    Attributes:
        edges: for each input, who receives its gradient: None, a leaf Tensor, a Node, or
            (Node, output number).
        metas: (shape, dtype) of each output.
        extra: what few nodes have: hooks, retained gradients, where they were made.
    """

    __slots__ = ("edges", "metas", "seq", "extra", "__weakref__")

    edges: tuple
    metas: tuple
    seq: int
    extra: Extra | None

    def __init_subclass__(cls) -> None:
        cls.__module__ = "builtins"  # so that a node prints as PyTorch's do: <MulBackward0 object at ...>

    #: whether backward gets a tuple of gradients, one for each output
    several = False
    #: whether the complex gradient of a real input is brought to it by its real part; otherwise it is refused
    promotes = True

    def name(self) -> str:
        return type(self).__name__

    def run(self, g: Any) -> Sequence[Any]:
        """The gradients of the inputs, from that of the output."""
        raise NotImplementedError

    def touch(self, g: Any) -> Sequence[Any]:
        """`run` where no input's gradient is wanted."""
        return self.run(g)

    def release(self) -> None:
        """Forget what was kept for backward."""

    @property
    def next_functions(self) -> tuple:
        return tuple(_public_edge(edge) for edge in self.edges)

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's own notes on this node."""
        extra = extra_of(self)
        if extra.info is None:
            extra.info = {}
        return extra.info

    def _sequence_nr(self) -> int:
        return self.seq

    @property
    def _input_metadata(self) -> list[Meta]:
        return [Meta(*meta) for meta in self.metas]

    def __call__(self, *grads: Any) -> Any:
        """Run this node's derivative on the gradients of its outputs."""
        if len(grads) != len(self.metas):
            raise TypeError(f"expected {len(self.metas)} arguments, got {len(grads)} instead")
        found = self.run(grads if self.several else grads[0])
        return tuple(found) if len(found) > 1 else found[0]

    def register_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node ran; it may return other grad_inputs."""
        return add_hook(extra_of(self), "hooks", hook)

    def register_prehook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node runs; it may return others."""
        return add_hook(extra_of(self), "prehooks", hook)


class Extra:
    """What few nodes have.

    Attributes:
        hooks: called after the node ran; prehooks: before.
        outputs: output number -> hooks of that output tensor.
        retained: output number -> weak reference to the tensor that keeps its gradient.
        traceback: where the operation was called, under anomaly detection.
        info: the user's own notes.
    """

    __slots__ = ("hooks", "prehooks", "outputs", "retained", "traceback", "info")

    def __init__(self) -> None:
        self.hooks: dict | None = None
        self.prehooks: dict | None = None
        self.outputs: dict | None = None
        self.retained: dict | None = None
        self.traceback: list[str] | None = None
        self.info: dict | None = None


def extra_of(node: Node) -> Extra:
    if node.extra is None:
        node.extra = Extra()
    return node.extra


def has_sparse_gradient(out: Tensor) -> Tensor:
    """Says of a result that the gradients of its node may be sparse, and gives it back. (The backward walk looks more closely at
    nodes with extras, and only at these.)"""
    edge = edge_of(out)
    if isinstance(edge, Node):
        extra_of(edge)
    return out


def start(node: Any, edges: tuple, metas: tuple) -> None:
    """Fill in what every node has."""
    node.edges = edges
    node.metas = metas
    node.seq = next(SEQUENCE)
    node.extra = None


class RemovableHandle:
    """What registering a hook returns; `remove()` takes the hook away. Also a context manager."""

    _ids = itertools.count()

    def __init__(self, hooks: dict) -> None:
        self.hooks = hooks
        self.id = next(RemovableHandle._ids)

    def remove(self) -> None:
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def add_hook(owner: Any, slot: str, hook: Callable) -> RemovableHandle:
    hooks = getattr(owner, slot, None)
    if hooks is None:
        hooks = {}
        setattr(owner, slot, hooks)
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class LeafExtra:
    """What few leaves have, in their slot `_hooks`.

    Attributes:
        hooks: called with the gradient before it is added to `.grad`; after: with the leaf, after it was.
        node: weak reference to the leaf's AccumulateGrad; held: that node itself, once it has hooks.
    """

    __slots__ = ("hooks", "after", "node", "held")

    def __init__(self) -> None:
        self.hooks: dict | None = None
        self.after: dict | None = None
        self.node: Callable = lambda: None
        self.held: AccumulateGrad | None = None


def leaf_extra(leaf: Tensor) -> LeafExtra:
    extra = getattr(leaf, "_hooks", None)
    if extra is None:
        extra = leaf._hooks = LeafExtra()
    return extra


class AccumulateGrad(Node):
    """The end of a path: adds the gradient to a leaf's `.grad`. Made only for those who walk the graph."""

    __slots__ = ("variable",)

    def __init__(self, leaf: Tensor) -> None:
        start(self, (), (meta_of(leaf),))
        self.variable = leaf

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def register_hook(self, hook: Callable) -> RemovableHandle:
        leaf_extra(self.variable).held = self
        return super().register_hook(hook)

    def register_prehook(self, hook: Callable) -> RemovableHandle:
        leaf_extra(self.variable).held = self
        return super().register_prehook(hook)


def accumulator(leaf: Tensor) -> AccumulateGrad:
    """The one AccumulateGrad of a leaf, for as long as somebody holds it."""
    extra = leaf_extra(leaf)
    node = extra.node()
    if node is None:
        node = AccumulateGrad(leaf)
        extra.node = weakref.ref(node)
    return node


def _public_edge(edge: Any) -> tuple:
    if edge is None:
        return None, 0
    if isinstance(edge, Tensor):
        return accumulator(edge), 0
    if type(edge) is Nowhere:
        return None, 0
    return edge if type(edge) is tuple else (edge, 0)


def meta_of(t: Tensor) -> tuple:
    return t._a.shape, t._dtype


# ---- views ----


class ViewMeta:
    """The edge of a view: the gradient of its memory belongs to its base.

    Attributes:
        base: the tensor whose memory is shown; never itself a view.
        edge: the view's own edge as of `version`; None if it was not recorded.
        creation: how the view came to be; some kinds may not be written to.
        replayed: set for the few views that PyTorch takes again as they were taken, when the base is written to:
            the name of their node.
    """

    __slots__ = ("base", "edge", "version", "creation", "replayed")

    replayed: str

    def __init__(self, base: Tensor, edge: Any, at: int, creation: int) -> None:
        self.base = base
        self.edge = edge
        self.version = at
        self.creation = creation


#: how a view came to be: recorded or of a plain tensor; without recording; as one of several; in a custom Function
PLAIN, UNRECORDED, MULTIPLE, CUSTOM, INFERENCE = range(5)


def edge_of(t: Tensor) -> Any:
    """Who receives the gradient of `t`: None, `t` itself if it is a leaf, a Node, or (Node, number)."""
    edge = t._edge
    if type(edge) is ViewMeta:
        edge = _view_edge(t, edge)
    return t if edge is LEAF else edge


def _view_edge(t: Tensor, view: ViewMeta) -> Any:
    base_edge = view.base._edge
    if base_edge is None and (view.edge is None or view.edge is LEAF) or t._dtype.category < FLOATING:
        return view.edge
    buffer = t._buf
    if buffer is not None and view.version != buffer.version:
        from rushlight.tape.writes import check_creation, regenerate

        check_creation(view, "its base or another view of its base has been")
        regenerate(t, view)
    if view.edge is None and base_edge is not None:
        return Nowhere(t)
    return view.edge


def requires_grad(t: Tensor) -> bool:
    """Whether a gradient is recorded for `t`; for a view, also whether it is for its base."""
    edge = t._edge
    if edge is None or type(edge) is not ViewMeta:
        return edge is not None
    return edge.edge is not None or edge.base._edge is not None and t._dtype.category >= FLOATING


class Nowhere(Node):
    """The edge of a view that was not recorded, of a base that is: gradients end here, as in PyTorch."""

    __slots__ = ()

    def __init__(self, t: Tensor) -> None:
        start(self, (), (meta_of(t),))

    def run(self, g: Any) -> tuple:
        return ()


def short_name(node: Node) -> str:
    """The operation's name, as messages have it: "Mul" for MulBackward0, "Sum1" for SumBackward1."""
    head, found, number = node.name().rpartition("Backward")
    return head + number.removeprefix("0") if found and (not number or number.isdigit()) else node.name()
