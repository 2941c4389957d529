"""Nodes of the recorded graph, and the derivative that each kind of node runs.

A `Derivative` is made once per operation, from functions whose parameter names say what
they need: `g` is the incoming gradient, an input's name its value, `out` the result (`out1`
the second of two results, where the first is not needed), an attribute's name that attribute,
`<input>_meta` the input's shape and dtype without its value, `needs` which inputs want a
gradient. Only what is named is kept.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight.buffer import LEAF, Buffer, Tensor, storage, version
from rushlight.dtypes import FLOATING, dtype
from rushlight.tape.modes import MODES

SEQUENCE = itertools.count()
_make = object.__new__


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

    def __init_subclass__(cls) -> None:
        cls.__module__ = "builtins"  # so that a node prints as PyTorch's do: <MulBackward0 object at ...>

    #: whether backward gets a tuple of gradients, one for each output
    several = False

    def name(self) -> str:
        return type(self).__name__

    def run(self, g: Any) -> Sequence[Any]:
        """The gradients of the inputs, from that of the output."""
        raise NotImplementedError

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
    """

    __slots__ = ("base", "edge", "version", "creation")

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


# ---- derivatives ----


class _NotDifferentiable:
    """Says of an operation that its result carries no gradient."""

    def __repr__(self) -> str:
        return "NOT_DIFFERENTIABLE"


NOT_DIFFERENTIABLE: Any = _NotDifferentiable()


def parameters(function: Callable) -> tuple[str, ...]:
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


#: stands for all inputs of an operation that takes any number of them
EVERY = (-1,)


class Plan:
    """For one set of inputs that want a gradient: what to keep, and what to call with it.

    Attributes:
        keep: inputs whose value is kept.
        metas: inputs whose shape and dtype are kept.
        keep_out: whether the result is.
        calls: (input, vjp, where its arguments are).
    """

    __slots__ = ("keep", "metas", "keep_out", "calls")

    def __init__(
        self,
        keep: tuple[int, ...],
        metas: tuple[int, ...],
        keep_out: bool,
        calls: tuple[tuple[int, Callable, tuple[tuple[int, Any], ...]], ...],
    ) -> None:
        self.keep = keep
        self.metas = metas
        self.keep_out = keep_out
        self.calls = calls


#: where an argument of a vjp is found: see `OpNode.fetch`
SAVED, ALL_SAVED, META, ALL_METAS, ATTRIBUTE, OUT, OUT1, NEEDS = range(8)


class Derivative:
    """How gradients pass back through one operation.

    Args:
        name: the node's name without "Backward0".
        inputs: names of the tensor inputs; one name starting with "*" stands for all.
        vjp: one function per input (None: no gradient), or one function for all of them
            returning as many gradients.
        outputs: which outputs carry a gradient, of how many.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        vjp: Any,
        *,
        several: bool = False,
        differentiable: tuple[int, ...] | None = None,
    ) -> None:
        node_name = name if name[-1].isdigit() or name.endswith("_copy") else name + "Backward0"
        self.node = type(node_name, (OpNode,), {"__slots__": (), "derivative": self, "several": several})
        self.inputs = inputs
        self.variadic = inputs[0][1:] if inputs and inputs[0].startswith("*") else None
        self.joint = callable(vjp)
        self.vjps = (vjp,) if self.joint else tuple(vjp)
        self.several = several
        self.differentiable = differentiable
        self.plans: dict[int, Plan] = {}
        self.first: Plan | None = None  # plans[1]
        self.wanted = ~0 if self.joint else sum(1 << i for i, f in enumerate(self.vjps) if f is not None)

    def needs(self, at: int, name: str) -> bool:
        """Whether the gradient of input `at` is computed from what is called `name`."""
        vjp = self.vjps[0 if self.joint else at]
        return vjp is not None and name in parameters(vjp)

    def plan(self, mask: int) -> Plan:
        chosen = [(i, f, parameters(f)[1:]) for i, f in enumerate(self.vjps) if self.joint or f and mask >> i & 1]
        names = {name for _, _, args in chosen for name in args}
        if self.variadic:
            keep = EVERY if self.variadic in names else ()
            metas = EVERY if self.variadic + "_meta" in names else ()
        else:
            keep = tuple(i for i, name in enumerate(self.inputs) if name in names)
            metas = tuple(i for i, name in enumerate(self.inputs) if name + "_meta" in names)
        calls = tuple((i, f, tuple(self._source(name, keep, metas) for name in args)) for i, f, args in chosen)
        made = Plan(keep, metas, "out" in names or "out1" in names, calls)
        self.plans[mask] = made
        if mask == 1:
            self.first = made
        return made

    def _source(self, name: str, keep: tuple[int, ...], metas: tuple[int, ...]) -> tuple[int, Any]:
        """Where a node finds what a vjp calls `name`."""
        fixed = {"out": (OUT, 0), "out1": (OUT1, 0), "needs": (NEEDS, 0)}
        if name in fixed:
            return fixed[name]
        if self.variadic:
            if name == self.variadic:
                return ALL_SAVED, 0
            return (ALL_METAS, 0) if name == self.variadic + "_meta" else (ATTRIBUTE, name)
        if name in self.inputs:
            return SAVED, keep.index(self.inputs.index(name))
        plain = name.removesuffix("_meta")
        if plain != name and plain in self.inputs:
            return META, metas.index(self.inputs.index(plain))
        return ATTRIBUTE, name


class OpNode(Node):
    """A node that runs the derivative of a registered operation."""

    __slots__ = ("plan", "saved", "versions", "saved_metas", "attrs", "out")
    derivative: Derivative

    def run(self, g: Any) -> Sequence[Any]:
        plan = self.plan
        fetch = self.fetch
        if self.derivative.joint:
            ((_, vjp, sources),) = plan.calls
            return vjp(g, *[fetch(*source) for source in sources])
        grads: list[Any] = [None] * len(self.edges)
        for at, vjp, sources in plan.calls:
            if len(sources) == 1:
                kind, where = sources[0]
                grads[at] = vjp(g, fetch(kind, where))
            elif sources:
                grads[at] = vjp(g, *[fetch(kind, where) for kind, where in sources])
            else:
                grads[at] = vjp(g)
        return grads

    def fetch(self, kind: int, where: Any) -> Any:
        """One argument of a vjp; RuntimeError if it was freed or has been overwritten."""
        if kind == SAVED:
            if self.saved is FREED:
                raise RuntimeError(FREED_MESSAGE)
            return self._unpack(self.plan.keep[where], self.saved[where], self.versions[where])
        if kind == META:
            meta = self.saved_metas[where]
            return meta and Meta(*meta)
        if kind == ATTRIBUTE:
            return self.attrs[where]
        if kind == NEEDS:
            return tuple([edge is not None for edge in self.edges])
        if kind == ALL_METAS:
            return [meta and Meta(*meta) for meta in self.saved_metas]
        if (self.saved if kind == ALL_SAVED else self.out) is FREED:
            raise RuntimeError(FREED_MESSAGE)
        if kind == ALL_SAVED:
            return tuple([self._unpack(at, t, v) for at, (t, v) in enumerate(zip(self.saved, self.versions))])
        outs = tuple([entry and self._unpack_out(n, *entry) for n, entry in enumerate(self.out)])
        return outs[-1] if kind == OUT1 else outs if self.several else outs[0]

    def _unpack(self, at: int, t: Any, expected: int) -> Any:
        if t is None:
            return None
        if type(t) is Packed:
            return unpacked(t, self.edges[at])
        buffer = t._buf
        if (0 if buffer is None else buffer.version) != expected:
            raise RuntimeError(overwritten(t._a, t._dtype, t._buf, expected, edge_of(t)))
        if t._edge is None and isinstance(self.edges[at], Node):
            raise RuntimeError(
                "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_().This is not "
                "supported, please use out-of-place `.detach()` instead"
            )
        if MODES.grad and self.edges[at] is not edge_of(t) and self.edges[at] is not None:
            return with_edge(t._a, t._dtype, t._buf, self.edges[at])
        return t

    def _unpack_out(self, number: int, array: Any, kind: Any, buffer: Any, expected: Any) -> Any:
        if type(array) is Packed:
            return unpacked(array, (self, number) if self.several else self)
        if buffer.version != expected:
            raise RuntimeError(overwritten(array, kind, buffer, expected, self))
        return with_edge(array, kind, buffer, (self, number) if self.several else self)

    def release(self) -> None:
        if self.plan.keep or self.plan.keep_out:
            self.saved = self.out = FREED


class _Freed(tuple):
    """Stands where kept values were before backward freed them."""


FREED: Any = _Freed()


class Packed:
    """A kept tensor in the form that a pair of saved-tensor hooks gave it."""

    __slots__ = ("form", "unpacker")

    def __init__(self, form: Any, unpacker: Callable) -> None:
        self.form = form
        self.unpacker = unpacker

    def unpack(self) -> Any:
        t = self.unpacker(self.form)
        if not isinstance(t, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t)}"
            )
        return t


class Through(Node):
    """Leads to a leaf from a copy of it that came back from a saved-tensor hook."""

    __slots__ = ()

    def __init__(self, leaf: Tensor) -> None:
        start(self, (leaf,), (meta_of(leaf),))

    def run(self, g: Any) -> tuple:
        return (g,)


def unpacked(packed: Packed, edge: Any) -> Any:
    """What a hook gives back, with the place in the graph of what it was given."""
    t = packed.unpack()
    if edge is None or not MODES.grad:
        return t
    return with_edge(t._a, t._dtype, storage(t), Through(edge) if isinstance(edge, Tensor) else edge)


def packed(t: Tensor) -> Packed:
    """A kept tensor as the saved-tensor hooks that are on want it."""
    pack, unpack = SAVING[-1]
    before, MODES.grad = MODES.grad, False
    try:
        return Packed(pack(with_edge(t._a, t._dtype, storage(t), None)), unpack)
    finally:
        MODES.grad = before


FREED_MESSAGE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)


def with_edge(array: np.ndarray, kind: dtype, buffer: Buffer | None, edge: Any) -> Tensor:
    t = _make(Tensor)
    t._a, t._dtype, t._buf = array, kind, buffer
    t._edge = LEAF if isinstance(edge, Tensor) else edge
    return edge if isinstance(edge, Tensor) else t


def short_name(node: Node) -> str:
    """The operation's name, as messages have it: "Mul" for MulBackward0, "Sum1" for SumBackward1."""
    head, found, number = node.name().rpartition("Backward")
    return head + number.removeprefix("0") if found and (not number or number.isdigit()) else node.name()


def overwritten(array: np.ndarray, kind: dtype, buffer: Any, expected: int, edge: Any) -> str:
    edge, number = edge if type(edge) is tuple else (edge, 0)
    source = f", which is output {number} of {short_name(edge)}," if isinstance(edge, Node) else ""
    where = ""
    if buffer.writer is not None:
        where = f" The last write to it was at {buffer.writer[0]}, line {buffer.writer[1]}."
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{kind.legacy}Tensor {list(array.shape)}]{source} is at version {buffer.version}; "
        f"expected version {expected} instead. Hint: enable anomaly detection to find the operation that "
        f"failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False).{where}"
    )


# ---- recording ----

#: the pairs (pack, unpack) of saved-tensor hooks now on, and whether anomalies are looked for (and NaN checked)
SAVING: list[tuple[Callable, Callable]] = []
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
        edge = edge_of(x)
        if edge is None:
            return
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


def between(derivative: Derivative, edge: Any, attrs: dict, before: tuple, after: tuple) -> OpNode:
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
    if e is not None:
        e = x if e is LEAF else edge_of(x) if type(e) is ViewMeta else e
    if f is not None:
        f = y if f is LEAF else edge_of(y) if type(f) is ViewMeta else f
    mask = derivative.wanted & ((e is not None) + 2 * (f is not None))
    if not mask:
        return
    plan = derivative.plans.get(mask) or derivative.plan(mask)
    node = derivative.node()
    node.plan = plan
    node.attrs = attrs
    node.edges = (e, f) if mask == 3 else (e, None) if mask == 1 else (None, f)
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
    mask, bit, wanted = 0, 1, derivative.wanted
    for t in inputs:
        edge = None
        if t is not None and wanted & bit:
            edge = t._edge
            if edge is not None:
                edge = t if edge is LEAF else edge_of(t) if type(edge) is ViewMeta else edge
                if edge is not None:
                    mask |= bit
        edges.append(edge)
        bit <<= 1
    if not mask:
        return
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
        first = not any(source == (OUT, 0) for _, _, sources in node.plan.calls for source in sources)  # only out1
        kept = [(t._a, t._dtype, b := storage(t), b.version) for t in outs[first:]]
        node.out = (None, *kept) if first else tuple(kept)


def _special(node: Any) -> None:
    """The rare modes: saved-tensor hooks, anomaly detection."""
    if SAVING:
        if node.plan.keep:
            node.saved = [None if t is None else packed(t) for t in node.saved]
        if node.plan.keep_out:
            node.out = tuple(
                None if kept is None else (packed(with_edge(*kept[:3], None)), *kept[1:]) for kept in node.out
            )
    if ANOMALY:
        import traceback

        extra_of(node).traceback = traceback.format_stack()[:-3]
