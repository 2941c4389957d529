"""`torch.overrides`: functions of a program's own that stand back for classes which define `__torch_function__`.

Rushlight's functions do not look for the protocol: of an argument that is no tensor they say so.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import rushlight
from rushlight.absent import torch_names
from rushlight.buffer import Tensor

__all__ = [
    "get_ignored_functions",
    "get_overridable_functions",
    "handle_torch_function",
    "has_torch_function",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]


def _overrides(value: Any) -> bool:
    return not isinstance(value, Tensor) and hasattr(type(value), "__torch_function__")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of these is of a class that defines `__torch_function__`; tensors are not.

    Example:
        >>> import rushlight as torch
        >>> torch.overrides.has_torch_function((torch.ones(1), 2.0))
        False
    """
    return any(map(_overrides, relevant_args))


def has_torch_function_unary(arg: Any) -> bool:
    """`has_torch_function((arg,))`."""
    return _overrides(arg)


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
    types = tuple(map(type, overloaded))
    for value in overloaded:
        if isinstance(value, Tensor):  # which do not know what to do with classes of others
            continue
        result = value.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(
        f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}"
    )


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
    return isinstance(inp, Tensor) or _overrides(inp)


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
