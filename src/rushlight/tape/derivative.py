"""How gradients pass back through an operation, and the node that does it.

A `Derivative` is made once per operation, from functions whose parameter names say what
they need: `g` is the incoming gradient, an input's name its value, `out` the result (`out1`
the second of two results, where the first is not needed), an attribute's name that attribute,
`<input>_meta` the input's shape and dtype without its value, `needs` which inputs want a
gradient. Only what is named is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from types import CodeType
from typing import Any

import numpy as np

from rushlight import late
from rushlight.buffer import Tensor
from rushlight.dtypes import dtype
from rushlight.tape.modes import MODES
from rushlight.tape.node import Meta, Node, edge_of, short_name
from rushlight.tape.saving import Packed, unpacked, with_edge

_new_tuple = tuple.__new__


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
        keep_out: whether the result is; keep_second: of several only those after the first.
        calls: (input, vjp, its arguments: how a node finds each, and where).
    """

    __slots__ = ("keep", "metas", "keep_out", "keep_second", "calls")

    def __init__(
        self,
        keep: tuple[int, ...],
        metas: tuple[int, ...],
        keep_out: bool,
        calls: tuple[tuple[int, Callable, tuple[tuple[Callable, Any], ...]], ...],
    ) -> None:
        self.keep = keep
        self.metas = metas
        self.keep_out = keep_out
        self.keep_second = not any(find is OpNode.output for _, _, sources in calls for find, _ in sources)
        self.calls = calls


def no_derivative(what: str) -> Callable:
    """A derivative that exists but that PyTorch does not have: asking for it is an error, in PyTorch's words."""

    def vjp(g: Any) -> Any:
        raise NotImplementedError(f"the derivative for '{what}' is not implemented.")

    return vjp


class Derivative:
    """How gradients pass back through one operation.

    Args:
        name: the node's name without "Backward0".
        inputs: names of the tensor inputs; one name starting with "*" stands for all.
        vjp: one function per input (None: no gradient), or one function for all of them
            returning as many gradients.
        several: whether the operation has several outputs.
        differentiable: which of several outputs carry a gradient.
        promotes: whether a real input may have become complex in the operation. The formulas of PyTorch that do
            not allow for it have their gradient refused by the engine.
        base: the class of its nodes, if they are more than those of other operations.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        vjp: Any,
        *,
        several: bool = False,
        differentiable: tuple[int, ...] | None = None,
        promotes: bool = True,
        base: type | None = None,
    ) -> None:
        node_name = name if name[-1].isdigit() or name.endswith("_copy") else name + "Backward0"
        facts = {"__slots__": (), "derivative": self, "several": several, "promotes": promotes}
        self.node = type(node_name, (base or OpNode,), facts)
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
        chosen = [
            (i, f, parameters(f)[1:]) for i, f in enumerate(self.vjps) if self.joint or f and mask >> i & 1
        ]
        names = {name for _, _, args in chosen for name in args}
        keep: tuple[int, ...]
        metas: tuple[int, ...]
        if self.variadic:
            keep = EVERY if self.variadic in names else ()
            metas = EVERY if self.variadic + "_meta" in names else ()
        else:
            keep = tuple(i for i, name in enumerate(self.inputs) if name in names)
            metas = tuple(i for i, name in enumerate(self.inputs) if name + "_meta" in names)
        calls = tuple(
            (i, f, tuple(self._source(name, keep, metas) for name in args)) for i, f, args in chosen
        )
        made = Plan(keep, metas, "out" in names or "out1" in names, calls)
        self.plans[mask] = made
        if mask == 1:
            self.first = made
        return made

    def _source(self, name: str, keep: tuple[int, ...], metas: tuple[int, ...]) -> tuple[Callable, Any]:
        """How a node finds what a vjp calls `name`: (method of OpNode, its argument)."""
        fixed = {"out": OpNode.output, "out1": OpNode.second_output, "needs": OpNode.needed}
        if name in fixed:
            return fixed[name], 0
        if self.variadic:
            if name == self.variadic:
                return OpNode.all_inputs, 0
            return (OpNode.all_metas, 0) if name == self.variadic + "_meta" else (OpNode.attribute, name)
        if name in self.inputs:
            return OpNode.input, keep.index(self.inputs.index(name))
        plain = name.removesuffix("_meta")
        if plain != name and plain in self.inputs:
            return OpNode.meta, metas.index(self.inputs.index(plain))
        return OpNode.attribute, name


class OpNode(Node):
    """A node that runs the derivative of a registered operation."""

    __slots__ = ("plan", "saved", "versions", "saved_metas", "attrs", "out")
    derivative: Derivative
    plan: Plan
    saved: Any
    versions: Sequence[int]
    saved_metas: Any
    attrs: Any
    out: Any

    def run(self, g: Any) -> Sequence[Any]:
        calls = self.plan.calls
        if self.derivative.joint:
            ((_, vjp, sources),) = calls
            return vjp(g, *[find(self, where) for find, where in sources])
        grads: list[Any] = [None] * len(self.edges)
        for at, vjp, sources in calls:
            if not sources:
                grads[at] = vjp(g)
            elif len(sources) == 1:
                find, where = sources[0]
                grads[at] = vjp(g, find(self, where))
            else:
                grads[at] = vjp(g, *[find(self, where) for find, where in sources])
        return grads

    def touch(self, g: Any) -> Sequence[Any]:
        """Computes nothing; that kept values were freed or overwritten is an error all the same, as in PyTorch."""
        for _, _, sources in self.plan.calls:
            for find, where in sources:
                find(self, where)
        return (None,) * len(self.edges)

    # The arguments of a vjp; RuntimeError if one was freed or has been overwritten.

    def input(self, where: int) -> Any:
        saved = self.saved
        if saved is FREED:
            raise RuntimeError(FREED_MESSAGE)
        t, version = saved[where], self.versions[where]
        if not version and type(t) is Tensor and t._buf is None and t._edge is not None and not MODES.grad:
            return t  # (nobody could write to it, and nothing is recorded: as `_unpack` would find out)
        return self._unpack(self.plan.keep[where], t, version)

    def all_inputs(self, _: Any) -> Any:
        if self.saved is FREED:
            raise RuntimeError(FREED_MESSAGE)
        return tuple([self._unpack(at, t, v) for at, (t, v) in enumerate(zip(self.saved, self.versions))])

    def meta(self, where: int) -> Any:
        meta = self.saved_metas[where]
        return meta and _new_tuple(Meta, meta)

    def all_metas(self, _: Any) -> Any:
        return [meta and Meta(*meta) for meta in self.saved_metas]

    def attribute(self, name: str) -> Any:
        if self.attrs is FREED:
            raise RuntimeError(FREED_MESSAGE)
        return self.attrs[name]

    def needed(self, _: Any) -> tuple[bool, ...]:
        return tuple([edge is not None for edge in self.edges])

    def output(self, _: Any) -> Any:
        if self.several:
            return self._outputs()
        if self.out is FREED:
            raise RuntimeError(FREED_MESSAGE)
        return self._unpack_out(0, *self.out[0])

    def second_output(self, _: Any) -> Any:
        return self._outputs()[-1]

    def _outputs(self) -> tuple:
        if self.out is FREED:
            raise RuntimeError(FREED_MESSAGE)
        return tuple([entry and self._unpack_out(n, *entry) for n, entry in enumerate(self.out)])

    def _unpack(self, at: int, t: Any, expected: int) -> Any:
        if t is None:
            return None
        if type(t) is Packed:
            return unpacked(t, self.edges[at])
        buffer = t._buf
        if (0 if buffer is None else buffer.version) != expected:
            raise RuntimeError(overwritten(t._a, t._dtype, t._buf, expected, edge_of(t)))
        edge = self.edges[at]
        if t._edge is None and edge is not None and isinstance(edge, Node):
            raise RuntimeError(
                "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_().This is not "
                "supported, please use out-of-place `.detach()` instead"
            )
        if edge is not None and MODES.grad and edge is not edge_of(t):
            return with_edge(t._a, t._dtype, t._buf, edge)
        return t

    def _unpack_out(self, number: int, array: Any, kind: Any, buffer: Any, expected: Any) -> Any:
        if type(array) is Packed:
            return unpacked(array, (self, number) if self.several else self)
        if buffer.version != expected:
            raise RuntimeError(overwritten(array, kind, buffer, expected, self))
        return with_edge(array, kind, buffer, (self, number) if self.several else self)

    def __getattr__(self, name: str) -> Any:
        """What was kept, under PyTorch's names (`_saved_self`)."""
        return late.load("rushlight.tape.saved_names").find(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *late.load("rushlight.tape.saved_names").listed(self)]

    def release(self) -> None:
        if self.plan.keep or self.plan.keep_out:
            self.saved = self.out = FREED
        if self.attrs is not None and "places" in self.attrs:  # index tensors
            self.attrs = FREED


class _Freed(tuple):
    """Stands where kept values were before backward freed them."""


FREED: Any = _Freed()


FREED_MESSAGE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)


def overwritten(array: np.ndarray, kind: dtype, buffer: Any, expected: int, edge: Any) -> str:
    edge, number = edge if type(edge) is tuple else (edge, 0)
    source = f", which is output {number} of {short_name(edge)}," if isinstance(edge, Node) else ""
    where = ""
    if buffer.writer is not None:
        where = f"\nThe last write to it was at {_place(*buffer.writer)}."
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{kind.legacy}Tensor {list(array.shape)}]{source} is at version {buffer.version}; "
        f"expected version {expected} instead. Hint: enable anomaly detection to find the operation that "
        f"failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False).{where}"
    )


def _place(code: CodeType, instruction: int) -> str:
    """File and line of an instruction (which is two bytes long)."""
    line = next(islice(code.co_positions(), instruction // 2, None))[0]
    return f"{code.co_filename}, line {line}"
