"""`torch.library`: operations of a program's own, written in Python, with derivatives of their own; `torch.ops` finds them by name.

What compiled libraries add to PyTorch cannot be loaded, and what a program says of their operations is kept and never asked for.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rushlight.autograd.function import Function
from rushlight.buffer import Tensor
from rushlight.tape.modes import is_grad_enabled, no_grad

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "impl",
    "infer_schema",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_vmap",
]

#: "namespace::operation" -> the operation
_OPERATIONS: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operation of a program's own: what `custom_op` makes. Calling it runs the kernel.

    Args:
        name: "namespace::operation".
        kernel: computes it, outside of the graph; None until one is registered.
        mutates_args: the names of the arguments that it writes to.
    """

    def __init__(self, name: str, kernel: Callable | None = None, mutates_args: Iterable[str] = ()) -> None:
        self._qualname = name
        self._namespace, _, self._name = name.partition("::")
        self._kernel = kernel
        self._mutates = () if isinstance(mutates_args, str) else tuple(mutates_args)
        self._backward: Callable | None = None
        self._setup: Callable | None = None
        if kernel is not None:
            functools.update_wrapper(self, kernel)
        _OPERATIONS[name] = self

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def register_kernel(self, device_types: Any, fn: Callable | None = None, /) -> Callable:
        """Say how tensors of these devices are computed; what is for other devices than the CPU is kept by nobody."""
        if fn is None:
            return lambda fn: self.register_kernel(device_types, fn)
        kinds = (
            [device_types] if isinstance(device_types, str) or device_types is None else list(device_types)
        )
        if None in kinds or "cpu" in kinds:
            self._kernel = fn
        return fn

    def register_fake(self, fn: Callable, /) -> Callable:
        """Say what sizes and types come out. Nothing asks: operations are computed, not traced."""
        return fn

    def register_vmap(self, func: Callable | None = None) -> Callable:
        """Say how a batch is computed. Not asked: `vmap` of such an operation says that it does not work."""
        return (lambda func: func) if func is None else func

    def register_autograd(self, backward: Callable, /, *, setup_context: Callable | None = None) -> None:
        """Say what the gradients are.

        Args:
            backward: called with a context and the gradients of what came out; gives those of what went in.
            setup_context: called with the context, `inputs` and `output`, to save what `backward` needs.
        """
        self._backward, self._setup = backward, setup_context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._kernel is None:
            raise NotImplementedError(
                f"There were no tensor arguments to this function, or no kernel for the CPU is registered for {self._qualname}; "
                "register one with torch.library.impl or register_kernel"
            )
        args, named = _in_order(self._kernel, args, kwargs)
        if is_grad_enabled() and any(_requires_grad(value) for value in (*args, *named.values())):
            return _WithGradient.apply(self, named, *args)
        return self._run(args, named)

    def _run(self, args: tuple, named: dict[str, Any]) -> Any:
        assert self._kernel is not None
        with no_grad():
            out = self._kernel(*args, **named)
        given = [value for value in (*args, *named.values()) if isinstance(value, Tensor)]
        for part in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(part, Tensor) and any(_share(part, value) for value in given):
                raise RuntimeError(
                    f"{self._qualname} (with implementation in {self._kernel.__module__}): The output of this custom operator (1) "
                    "must not also be an input to this custom operator and (2) may not alias any inputs to this custom operator or "
                    "other returns. The most common way to trigger this error is if we have y = custom_op(x) and y and x are the "
                    "same Tensor. Please instead return a clone of the offending output tensor(s) (e.g. return x.clone()) or "
                    "refactor the custom operator to not return y."
                )
        return out


def _share(x: Tensor, y: Tensor) -> bool:
    return x.numel() > 0 and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()


def _requires_grad(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_requires_grad, value))
    return isinstance(value, Tensor) and value.requires_grad


def _in_order(function: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict[str, Any]]:
    """The arguments by position, defaults included, and those that are only known by name."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


class _WithGradient(Function):
    @staticmethod
    def forward(ctx: Any, operation: CustomOpDef, named: dict[str, Any], *args: Any) -> Any:
        ctx.operation = operation
        out = operation._run(args, named)
        written = [value for name, value in _named(operation, args) if name in operation._mutates]
        if written:
            ctx.mark_dirty(*written)
        if operation._setup is not None:
            extra = {"keyword_only_inputs": named} if named else {}
            operation._setup(ctx=ctx, inputs=args, output=out, **extra)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        operation = ctx.operation
        if operation._backward is None:
            raise RuntimeError(
                f"Trying to backward through {operation._qualname.replace('::', '.')}.default but no autograd formula was registered. "
                "Please use register_autograd to add one."
            )
        found = operation._backward(ctx, *gradients)
        return None, None, *(found if isinstance(found, tuple) else (found,))


def _named(operation: CustomOpDef, args: tuple) -> list[tuple[str, Any]]:
    assert operation._kernel is not None
    return list(zip(inspect.signature(operation._kernel).parameters, args, strict=False))


def custom_op(
    name: str, fn: Callable | None = None, /, *, mutates_args: Any, device_types: Any = None, schema: str | None = None,
    tags: Any = None,
) -> Any:  # fmt: skip
    """An operation of a program's own, also as a decorator.

    Args:
        name: "namespace::operation"; `torch.ops.namespace.operation` is the operation from then on.
        mutates_args: the names of the arguments that the function writes to.

    Raises:
        ValueError: the name has no namespace, or `schema` is not given and cannot be told from the annotations.

    Example:
        >>> import rushlight as torch
        >>> @torch.library.custom_op("shop::twice", mutates_args=())
        ... def twice(x: torch.Tensor) -> torch.Tensor:
        ...     return x * 2
        >>> twice.register_autograd(lambda ctx, g: g * 2)
        >>> x = torch.ones(2, requires_grad=True)
        >>> torch.ops.shop.twice(x).sum().backward()
        >>> x.grad
        tensor([2., 2.])
    """
    _check_name(name)
    if fn is None:
        return lambda fn: custom_op(
            name, fn, mutates_args=mutates_args, device_types=device_types, schema=schema
        )
    made = CustomOpDef(name, None, mutates_args)
    made.register_kernel(device_types, fn)
    functools.update_wrapper(made, fn)
    return made


def _check_name(name: str) -> None:
    if name.count("::") != 1:
        raise ValueError(
            f"torch.library.custom_op(<name>, ...): expected <name> to be of the form 'namespace::name', got {name!r}"
            if "::" not in name
            else f"Expected `qualname` to be of the form 'namespace::name', got {name!r}"
        )


def _operation(op: Any) -> CustomOpDef:
    """The operation of this name; one that nobody has defined yet, as those of compiled libraries are not, is defined without a kernel."""
    if isinstance(op, CustomOpDef):
        return op
    name = op if isinstance(op, str) else op.operation._qualname
    return _OPERATIONS.get(name) or CustomOpDef(name)


def register_kernel(
    op: Any, device_types: Any, func: Callable | None = None, /, *, lib: Any = None
) -> Callable:
    """Say how tensors of these devices are computed; a decorator without `func`."""
    return _operation(op).register_kernel(device_types, func)


def register_fake(op: Any, func: Callable | None = None, /, **options: Any) -> Callable:
    """Say what sizes and types come out; a decorator without `func`. Nothing asks."""
    return (lambda func: func) if func is None else func


impl_abstract = register_fake


def register_autograd(
    op: Any, backward: Callable, /, *, setup_context: Callable | None = None, lib: Any = None
) -> None:
    """Say what an operation's gradients are; see `CustomOpDef.register_autograd`."""
    _operation(op).register_autograd(backward, setup_context=setup_context)


def register_vmap(op: Any, func: Callable | None = None, /, *, lib: Any = None) -> Callable:
    """Say how a batch is computed; a decorator without `func`. Not asked."""
    return (lambda func: func) if func is None else func


register_torch_dispatch = register_autocast = register_vmap


def define(qualname: str, schema: str, *, lib: Any = None, tags: Sequence[Any] = ()) -> None:
    """An operation without a kernel; `impl` gives it one.

    Example:
        >>> import rushlight as torch
        >>> torch.library.define("shop::third", "(Tensor x) -> Tensor")
        >>> @torch.library.impl("shop::third", "cpu")
        ... def third(x):
        ...     return x / 3
        >>> torch.ops.shop.third(torch.tensor(6.0))
        tensor(2.)
    """
    _check_name(qualname)
    CustomOpDef(qualname)


#: the kinds of kernels that serve tensors on the CPU
_SERVING = frozenset("cpu CPU default CompositeImplicitAutograd CompositeExplicitAutograd".split())


def impl(qualname: str, types: Any, func: Callable | None = None, *, lib: Any = None) -> Any:
    """Say how an operation is computed for these kinds of devices; a decorator without `func`."""
    if func is None:
        return lambda func: impl(qualname, types, func)
    kinds = {types} if isinstance(types, str) else set(types)
    if kinds & _SERVING:
        _operation(qualname)._kernel = func
    return func


class Library:
    """Operations of one namespace: what `define` and `impl` do, by their names in it.

    Example:
        >>> import rushlight as torch
        >>> lib = torch.library.Library("store", "DEF")
        >>> lib.define("half(Tensor x) -> Tensor")
        'half'
        >>> lib.impl("half", lambda x: x / 2, "CPU")
        >>> torch.ops.store.half(torch.tensor(6.0))
        tensor(3.)
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """An operation without a kernel; gives its name."""
        name = schema.partition("(")[0].strip()
        CustomOpDef(f"{self.ns}::{name}")
        return name

    def impl(
        self, op_name: Any, fn: Callable, dispatch_key: str = "", *, with_keyset: bool = False,
        allow_override: bool = False,
    ) -> None:  # fmt: skip
        """Say how an operation is computed."""
        name = op_name if isinstance(op_name, str) else op_name.operation._name
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        impl(f"{self.ns}::{name.rpartition('::')[2]}", key, fn)


# ---- schemas ----

_KINDS = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str",
    Tensor | None: "Tensor?", int | None: "SymInt?", float | None: "float?", bool | None: "bool?", str | None: "str?",
    Sequence[int]: "SymInt[]", list[int]: "SymInt[]", Sequence[float]: "float[]", list[float]: "float[]",
    Sequence[Tensor]: "Tensor[]", list[Tensor]: "Tensor[]", Sequence[bool]: "bool[]", list[bool]: "bool[]",
}  # fmt: skip


def infer_schema(function: Callable, /, *, mutates_args: Any, op_name: str | None = None) -> str:
    """A function's arguments and result in PyTorch's notation, as its annotations say.

    Raises:
        ValueError: an argument has no annotation, or one that operations do not take.

    Example:
        >>> import rushlight as torch
        >>> def f(x: torch.Tensor, n: int = 2) -> torch.Tensor: ...
        >>> torch.library.infer_schema(f, mutates_args=())
        '(Tensor x, SymInt n=2) -> Tensor'
    """
    import typing

    hints = typing.get_type_hints(function)
    shown: list[str] = []
    for number, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if name not in hints:
            raise ValueError(
                f"infer_schema(func): Parameter {name} must have a type annotation. Got func with signature {inspect.signature(function)})"
            )
        kind = _kind(hints[name], f"Parameter {name}")
        if mutates_args == "unknown" and kind.startswith("Tensor") or name in mutates_args:
            kind = kind.replace("Tensor", f"Tensor(a{number}!)")
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        default = "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
        shown.append(f"{kind} {name}{default}")
    returned = hints.get("return", type(None))
    parts = typing.get_args(returned) if typing.get_origin(returned) is tuple else None
    if returned is type(None):
        out = "()"
    elif parts is not None:
        out = f"({', '.join(_kind(part, 'Return') for part in parts)})"
    else:
        out = _kind(returned, "Return")
    return f"{op_name or ''}({', '.join(shown)}) -> {out}"


def _kind(hint: Any, what: str) -> str:
    for known, name in _KINDS.items():
        if hint == known:
            return name
    raise ValueError(
        f"infer_schema(func): {what} has unsupported type {hint}. The valid types are: {list(_KINDS)}."
    )


def _default(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
