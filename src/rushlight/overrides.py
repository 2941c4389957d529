"""`torch.overrides`: functions of a program's own that stand back for classes which define `__torch_function__`.

How Rushlight's own functions do so is in `rushlight.overriding`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import rushlight
from rushlight.absent import torch_names
from rushlight.buffer import Tensor
from rushlight.overriding import NoImplementation, ask, is_overriding

__all__ = [
    "TorchFunctionMode",
    "get_ignored_functions",
    "get_overridable_functions",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of these is of a class that says itself what operations on it mean; plain tensors and parameters are not.

    Example:
        >>> import rushlight as torch
        >>> torch.overrides.has_torch_function((torch.ones(1), 2.0))
        False
    """
    return any(map(is_overriding, relevant_args))


def has_torch_function_unary(arg: Any) -> bool:
    """`has_torch_function((arg,))`."""
    return is_overriding(arg)


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function(args)`."""
    return has_torch_function(args)


def _in_order(args: Iterable[Any]) -> list[Any]:
    """One argument of each class that overrides or is a tensor, from the left; but subclasses before what they derive from."""
    found: list[Any] = []
    for value in args:
        if not is_tensor_like(value) or any(type(value) is type(known) for known in found):
            continue
        at = next((n for n, known in enumerate(found) if issubclass(type(value), type(known))), len(found))
        found.insert(at, value)
    return found


def handle_torch_function(
    public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the first `__torch_function__` of the arguments makes of a call that is not NotImplemented.

    Raises:
        TypeError: all of them return NotImplemented.

    Example:
        >>> import rushlight as torch
        >>> class Named:
        ...     @classmethod
        ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
        ...         return func.__name__
        >>> def double(x):
        ...     if torch.overrides.has_torch_function((x,)):
        ...         return torch.overrides.handle_torch_function(double, (x,), x)
        ...     return x + x
        >>> double(Named()), double(torch.ones(1))
        ('double', tensor([2.]))
    """
    overloaded = _in_order(relevant_args)
    try:
        return ask(public_api, overloaded, args, kwargs)
    except NoImplementation:
        name, types = f"{public_api.__module__}.{public_api.__name__}", list(map(type, overloaded))
        raise TypeError(
            f"no implementation found for '{name}' on types that implement __torch_function__: {types}"
        ) from None


def wrap_torch_function(dispatcher: Callable) -> Callable:
    """A decorator that hands calls to `handle_torch_function`, where `dispatcher(*args, **kwargs)` gives what may override."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether this is a tensor, or of a class that defines `__torch_function__`.

    Example:
        >>> import rushlight as torch
        >>> torch.overrides.is_tensor_like(torch.ones(1)), torch.overrides.is_tensor_like(1.0)
        (True, False)
    """
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


class TorchFunctionMode:
    """A context in which `__torch_function__` of this class would be asked about every function: missing.

    Raises:
        NotImplementedError: when the context is entered.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        raise NotImplementedError(
            "torch.overrides.TorchFunctionMode: Rushlight asks no mode what functions of plain tensors mean; the nearest it has "
            "are classes derived from torch.Tensor, whose __torch_function__ is asked, and torch.profiler.profile"
        )

    def __exit__(self, *error: Any) -> None:
        pass


# ---- names ----

#: namespaces whose functions may be overridden
_NAMESPACES = (
    "torch",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.Tensor",
    "torch.linalg",
    "torch.fft",
    "torch.special",
)


def _members(namespace: str) -> Iterable[tuple[str, Any]]:
    holder = _holder(namespace)
    for name in torch_names()[namespace]:
        found = getattr(holder, name, None)
        if found is not None and not inspect.isclass(found) and not inspect.ismodule(found):
            yield name, found


@functools.cache
def get_overridable_functions() -> dict[Any, Sequence[Callable]]:
    """Namespace -> the functions in it, which classes with `__torch_function__` answer for under PyTorch."""
    ignored = get_ignored_functions()
    found: dict[Any, list[Callable]] = {}
    for namespace in _NAMESPACES:
        functions = [f for _, f in _members(namespace) if callable(f) and f not in ignored]
        found[_holder(namespace)] = functions
    return dict(found)


def _holder(namespace: str) -> Any:
    holder: Any = rushlight
    for part in namespace.split(".")[1:]:
        holder = getattr(holder, part)
    return holder


#: functions that make tensors of what are none, or are about the process
_IGNORED = (
    "arange as_tensor asarray empty empty_permuted empty_strided eye frombuffer full from_numpy get_default_dtype "
    "get_num_threads is_tensor linspace logspace load manual_seed normal ones rand randint randn randperm range save "
    "scalar_tensor seed set_default_dtype set_num_threads set_printoptions tensor tril_indices triu_indices typename zeros"
).split()


@functools.cache
def get_ignored_functions() -> set[Callable]:
    """The functions of `torch` that no `__torch_function__` is asked about."""
    return {getattr(rushlight, name) for name in _IGNORED}


@functools.cache
def _names() -> dict[int, str]:
    return {
        id(found): f"{namespace}.{name}"
        for namespace in reversed(_NAMESPACES)
        for name, found in reversed(list(_members(namespace)))
    }


def resolve_name(f: Callable) -> str | None:
    """What PyTorch calls a function: "torch.add".

    Example:
        >>> import rushlight as torch
        >>> torch.overrides.resolve_name(torch.nn.functional.relu)
        'torch.nn.functional.relu'
    """
    return _names().get(id(f))


def is_tensor_method_or_property(func: Callable) -> bool:
    """Whether this is a method of tensors, or what reads a property of theirs."""
    return (resolve_name(func) or "").startswith("torch.Tensor.") or getattr(
        func, "__name__", ""
    ) == "__get__"
