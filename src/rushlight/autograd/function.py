"""`Function`: an operation with a derivative of the user's own.

The context that `forward` and `backward` get is the node itself, as in PyTorch. Its class, one for each Function,
is made with the Function and named after it: `ScaleBackward` for `class Scale(Function)`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.batched import TAKE_OVER, Batched
from rushlight.buffer import LEAF, Buffer, Tensor, new_tensor, storage
from rushlight.dtypes import FLOATING, dtype
from rushlight.runtime import execute
from rushlight.tape.derivative import FREED, FREED_MESSAGE, overwritten
from rushlight.tape.modes import MODES
from rushlight.tape.node import (
    CUSTOM,
    UNRECORDED,
    Node,
    Nowhere,
    ViewMeta,
    edge_of,
    meta_of,
    requires_grad,
    start,
)
from rushlight.tape.recording import NOT_SAVED_MESSAGE
from rushlight.tape.saving import SAVING, packed, unpacked, with_edge
from rushlight.tape.writes import check_recorded, rebase, wrote

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]


class FunctionCtx:
    """What a Function's forward may say about itself, to its `ctx`."""

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs or outputs for backward, where `ctx.saved_tensors` gives them back."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`, which is never called: duals go through `backward`."""
        for t in tensors:
            if not isinstance(t, Tensor) and t is not None:
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on "
                    "ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Say which inputs were modified in place; they must be returned too."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Say which outputs carry no gradient."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Say whether backward gets zeros (the default) or None for outputs without a gradient."""
        self.materialize_grads = value


class BackwardCFunction(Node, FunctionCtx):
    """The node of a Function, and its context. One gradient in for each output, one out for each tensor input."""

    several = True
    promotes = False
    _forward_cls: Any
    materialize_grads = True
    to_save: Any = None
    dirty_tensors: Any = None
    non_differentiable: Any = None
    needs_input_grad: tuple = ()

    _saved: Any = ()
    _is_tensor: tuple = ()

    def name(self) -> str:
        return type(self).__name__

    # ---- what is kept ----

    @property
    def saved_tensors(self) -> tuple:
        """What was saved; RuntimeError if it was freed or overwritten since."""
        if self._saved is FREED:
            raise RuntimeError(FREED_MESSAGE)
        return tuple([None if kept is None else kept.get(self) for kept in self._saved])

    @property
    def saved_variables(self) -> tuple:
        warnings.warn(
            "'saved_variables' is deprecated; use 'saved_tensors'", DeprecationWarning, stacklevel=2
        )
        return self.saved_tensors

    def release(self) -> None:
        self._saved = FREED

    # ---- backward ----

    def apply(self, *grads: Any) -> Any:
        """The user's backward, or vjp."""
        return _user_backward(self._forward_cls)(self, *grads)

    def run(self, g: Any) -> Sequence[Any]:
        grads = list(g)
        if self.materialize_grads:
            for at, (shape, kind) in enumerate(self.metas):
                if grads[at] is None and kind is not None:
                    grads[at] = new_tensor(np.zeros(shape, kind.numpy), kind)
        found = self.apply(*grads)
        return self._checked(found if isinstance(found, tuple) else (found,))

    def _checked(self, found: tuple) -> list:
        """One gradient for each tensor input: None for other inputs, and Nones may trail."""
        count = len(self._is_tensor)
        if len(found) > count and all(g is None for g in found[count:]):
            found = found[:count]
        if len(found) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {count}, got {len(found)})"
            )
        grads = []
        for at, (g, wanted) in enumerate(zip(found, self._is_tensor)):
            if not wanted:
                if g is not None:
                    raise RuntimeError(
                        f"function {self.name()} returned a gradient different than None at position {at + 1}, but the "
                        "corresponding forward input was not a Variable"
                    )
                continue
            if g is not None and not isinstance(g, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(g).__name__})")
            grads.append(g)
        return grads


def _user_backward(cls: Any) -> Callable:
    if cls.backward is not Function.backward and cls.vjp is not Function.vjp:
        raise RuntimeError(
            "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
            "of them."
        )
    return cls.vjp if cls.vjp is not Function.vjp else cls.backward


class _Kept:
    """A saved tensor: its array and version, and whose gradient it carries."""

    __slots__ = ("array", "kind", "buffer", "version", "edge", "number")

    def __init__(self, t: Tensor, number: int | None) -> None:
        self.array: np.ndarray = t._a
        self.kind: dtype = t._dtype
        self.buffer: Buffer = storage(t)
        self.version = self.buffer.version
        self.edge = None if number is not None else edge_of(t)
        self.number = number

    def get(self, node: BackwardCFunction) -> Tensor:
        edge = self.edge if self.number is None else (node, self.number)
        if self.buffer.version != self.version:
            raise RuntimeError(overwritten(self.array, self.kind, self.buffer, self.version, edge))
        return with_edge(self.array, self.kind, self.buffer, edge)


class _KeptPacked:
    """A saved tensor that went through saved-tensor hooks."""

    __slots__ = ("packed", "edge", "number")

    def __init__(self, kept: _Kept) -> None:
        self.packed = packed(with_edge(kept.array, kept.kind, kept.buffer, None))
        self.edge, self.number = kept.edge, kept.number

    def get(self, node: BackwardCFunction) -> Tensor:
        return unpacked(self.packed, self.edge if self.number is None else (node, self.number))


BackwardCFunction.__module__ = __name__  # of which `Node` says that it is Python's own


# ---- the user's class ----


class FunctionMeta(type):
    """Gives each Function its class of nodes."""

    def __init__(cls, name: str, bases: tuple, attrs: dict) -> None:
        made = type(name + "Backward", (BackwardCFunction,), {"_forward_cls": cls})
        made.__module__ = "torch.autograd.function"
        cls._backward_cls = made
        super().__init__(name, bases, attrs)


class Function(metaclass=FunctionMeta):
    """An operation with a derivative of your own: subclass it, write `forward` and `backward`, call `apply`.

    `forward(ctx, *args)` computes, unrecorded; or `forward(*args)` does, and `setup_context(ctx, inputs, output)`
    saves. `backward(ctx, *grad_outputs)` returns one gradient (or None) for each argument of forward.

    Example:
        >>> import rushlight as torch
        >>> class Double(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return x * 2
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         return g * 2
        >>> x = torch.ones(2, requires_grad=True)
        >>> Double.apply(x)
        tensor([2., 2.], grad_fn=<DoubleBackward>)
    """

    _backward_cls: Any
    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future version "
            "of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd "
            "function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result. To be overridden."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> Any:
        """Save for backward, if `forward` takes no `ctx`. May be overridden."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of forward's arguments from those of its results. To be overridden (or `vjp`)."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """How directions pass on, which is never asked for: duals go through `backward`. May be overridden."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """How to do it for a batch: `(output, out_dims)` from the batches of `args`. May be overridden."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run forward, and record the node whose derivative is backward."""
        has_setup = cls.setup_context is not Function.setup_context
        if has_setup:
            import inspect

            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        node = cls._backward_cls.__new__(cls._backward_cls)
        inputs = (*args, *kwargs.values()) if kwargs else args
        tensors = [t for t in inputs if isinstance(t, Tensor)]
        if any(isinstance(t, Batched) for t in tensors):
            return TAKE_OVER.function("Function.apply", cls.apply, args, kwargs)
        node._is_tensor = tuple([isinstance(t, Tensor) for t in inputs])
        node.needs_input_grad = tuple([isinstance(t, Tensor) and requires_grad(t) for t in inputs])
        recorded = MODES.grad and any(node.needs_input_grad)
        edges = tuple(map(_receiver, tensors)) if recorded else (None,) * len(tensors)
        start(node, edges, ())
        before, MODES.grad = MODES.grad, False
        try:
            if has_setup:
                output = cls.forward(*args, **kwargs)
                cls.setup_context(node, args, output)
            else:
                output = cls.forward(node, *args, **kwargs)
        finally:
            MODES.grad = before
        return _wrapped(node, tensors, output, recorded)


def _receiver(t: Tensor) -> Any:
    edge = edge_of(t)
    return None if type(edge) is Nowhere else edge


class InplaceFunction(Function):
    """A Function that remembers whether it works in place; kept for old programs."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


# ---- what comes out of forward ----


def _wrapped(node: BackwardCFunction, inputs: list[Tensor], output: Any, recorded: bool) -> Any:
    """The outputs, hung on the node.

    1. An input returned as it is becomes a view of itself, so that the input keeps its own history.
    2. A modified input takes the node as its history, through its base if it is a view.
    3. Any other output takes the node as its history; a view of an input may not be written to afterwards.
    """
    outputs = output if isinstance(output, tuple) else (output,)
    dirty = _same(node.dirty_tensors, "mark_dirty")
    plain = _same(node.non_differentiable, "mark_non_differentiable")
    given = {id(t) for t in inputs}
    _check_dirty(node, dirty, given, outputs)
    node.metas = tuple([meta_of(t) if isinstance(t, Tensor) else ((), None) for t in outputs])
    made: list[Any] = []
    for number, t in enumerate(outputs):
        if not isinstance(t, Tensor):
            made.append(t)
            continue
        differentiable = recorded and id(t) not in plain and t._dtype.category >= FLOATING
        is_input, is_dirty = id(t) in given, id(t) in dirty
        if is_dirty:
            wrote(t)
        if not differentiable:
            t = _plain(t, is_input, is_dirty)
        elif is_dirty:
            if MODES.grad:
                check_modified(t)
            rebase(t, (node, number))
        else:
            t = execute.view(t, t._a, None, None) if is_input else t
            _hang(t, node, number)
        made.append(t)
    if recorded:
        _keep(node, made, outputs)
    else:
        node._saved = FREED
    return tuple(made) if isinstance(output, tuple) else made[0]


def _plain(t: Tensor, is_input: bool, is_dirty: bool) -> Tensor:
    """An output that carries no gradient; inputs keep theirs."""
    if requires_grad(t):
        if is_input:
            return execute.alias(t)
        if type(t._edge) is not ViewMeta:
            t._edge = None
    elif is_input and not is_dirty:
        return execute.view(t, t._a, None, None, UNRECORDED)
    return t


def _hang(t: Tensor, node: Node, number: int) -> None:
    if type(t._edge) is ViewMeta:
        t._edge.edge = (node, number)
        t._edge.creation = CUSTOM
        t._edge.version = storage(t).version
    else:
        t._edge = (node, number)


def check_modified(t: Tensor) -> None:
    if t._edge is LEAF:
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    check_recorded(t)


def _same(marked: Sequence[Any] | None, method: str) -> set[int]:
    found = set()
    for t in marked or ():
        if not isinstance(t, Tensor):
            raise RuntimeError(
                f"{method} can only accept variables, but argument is of type {type(t).__name__}"
            )
        found.add(id(t))
    return found


def _check_dirty(node: BackwardCFunction, dirty: set[int], given: set[int], outputs: Sequence[Any]) -> None:
    if not dirty <= given:
        warnings.warn(
            "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated should "
            "be passed to ctx.mark_dirty().",
            stacklevel=4,
        )
    if not dirty <= {id(t) for t in outputs}:
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function."
        )


def _keep(node: BackwardCFunction, made: Sequence[Any], outputs: Sequence[Any]) -> None:
    numbers = {id(t): number for number, t in enumerate(outputs) if isinstance(t, Tensor)}
    numbers |= {id(t): number for number, t in enumerate(made) if isinstance(t, Tensor)}
    saved: list[Any] = []
    for at, t in enumerate(node.to_save or ()):
        if t is not None and not isinstance(t, Tensor):
            raise TypeError(
                f"save_for_backward can only save variables, but argument {at} is of type {type(t).__name__}"
            )
        if t is None:
            saved.append(None)
            continue
        if t._buf is not None and t._buf.inference:
            raise RuntimeError(NOT_SAVED_MESSAGE)
        number = numbers.get(id(t))
        if number is not None and made[number] is not outputs[number]:
            number = None  # an input returned as it is, and saved as the input that it is
        kept = _Kept(t, number)
        if number is not None and edge_of(made[number]) is None:
            kept.number = None
        saved.append(_KeptPacked(kept) if SAVING else kept)
    node._saved = tuple(saved)
    if node.to_save is not None:
        node.to_save = None
    node.dirty_tensors = node.non_differentiable = None


# ---- derivatives that have none ----


class Error(Node):
    """Stands behind gradients that cannot be differentiated again."""

    __slots__ = ("message",)
    several = True

    def __init__(self, message: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        start(self, tuple([edge_of(t) for t in inputs]), tuple([meta_of(t) for t in outputs]))
        self.message = message

    def run(self, g: Any) -> Sequence[Any]:
        raise RuntimeError(self.message)


def once_differentiable(fn: Callable) -> Callable:
    """Mark a Function's backward as one whose result cannot be differentiated again.

    Example:
        >>> import rushlight as torch
        >>> class Halve(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return x / 2
        ...     @staticmethod
        ...     @torch.autograd.function.once_differentiable
        ...     def backward(ctx, g):
        ...         return g / 2
    """

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        before, MODES.grad = MODES.grad, False
        try:
            outputs = fn(ctx, *args, **kwargs)
        finally:
            MODES.grad = before
        recorded = [t for t in args if isinstance(t, Tensor) and requires_grad(t)]
        if not MODES.grad or not recorded:
            return outputs
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        aliases = [execute.alias(t) for t in several if t is not None]
        message = "trying to differentiate twice a function that was marked with @once_differentiable"
        node = Error(message, recorded, aliases)
        for number, t in enumerate(aliases):
            t._edge = (node, number)
        left = iter(aliases)
        made = tuple([None if t is None else next(left) for t in several])
        return made if isinstance(outputs, tuple) else made[0]

    return wrapper
