"""`torch.jit`, as far as a program runs the same without TorchScript: functions and modules stay what they are in Python.

What makes or reads TorchScript's own files (`save`, `load`) is missing, and says so.
"""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from rushlight import late
from rushlight.futures import Future
from rushlight.nn.modules.module import Module
from rushlight.tape.modes import no_grad

__all__ = [
    "Attribute",
    "Final",
    "Future",
    "ScriptModule",
    "TracerWarning",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "fork",
    "freeze",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "optimized_execution",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

T = TypeVar("T")


class TracerWarning(Warning):
    """What a trace would warn of, for programs that silence it: no trace leaves anything out."""


def script(
    obj: T, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None
) -> T:
    """The function, class or module as it is: it goes on running in Python.

    Example:
        >>> import rushlight as torch
        >>> @torch.jit.script
        ... def f(x):
        ...     return x + 1
        >>> f(torch.zeros(2))
        tensor([1., 1.])
    """
    return obj


def script_if_tracing(fn: T) -> T:
    """The function as it is."""
    return fn


def trace(
    func: T, example_inputs: Any = None, *args: Any, example_kwarg_inputs: Any = None, **kwargs: Any
) -> T:
    """The function or module as it is, once it has run on the example: it goes on running in Python, branches and all.

    Raises:
        RuntimeError: there is no example, or what running it raises.

    Example:
        >>> import rushlight as torch
        >>> torch.jit.trace(torch.neg, torch.ones(2))(torch.ones(1))
        tensor([-1.])
    """
    _try_out(func, example_inputs, example_kwarg_inputs)
    return func


def trace_module(mod: T, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> T:
    """The module as it is, once each of these methods has run on its example."""
    if not builtins.isinstance(inputs, dict):
        raise AttributeError("expected a dictionary of (method_name, input) pairs")
    for name, example in inputs.items():
        _try_out(mod if name == "forward" else getattr(mod, name), example, None)
    return mod


def _try_out(function: Any, args: Any, kwargs: Any) -> None:
    if args is None and kwargs is None:
        raise RuntimeError("example_kwarg_inputs should be a dict")
    args = () if args is None else args
    args = args if builtins.isinstance(args, (tuple, list)) else (args,)
    with no_grad():
        function(*args, **(kwargs or {}))


def freeze(mod: T, preserved_attrs: Any = None, optimize_numerics: bool = True) -> T:
    """The module as it is.

    Raises:
        RuntimeError: it is training.
    """
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. "
            "Please call .eval() on your module before freezing."
        )
    return mod


def optimize_for_inference(mod: T, other_methods: Any = None) -> T:
    """The module as it is."""
    return mod


def export(fn: T) -> T:
    """A method that TorchScript is to know: as it is."""
    return fn


def script_method(fn: T) -> T:
    """A method of a `ScriptModule`: as it is."""
    return fn


def interface(obj: T) -> T:
    """A class of what modules have in common: as it is."""
    return obj


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A method that TorchScript leaves to Python: as it is; called with a flag, a decorator."""
    return drop if callable(drop) else lambda fn: fn


def unused(fn: T) -> T:
    """A method that TorchScript is to replace by an error: as it is."""
    return fn


class ScriptModule(Module):
    """A module whose methods may be marked with `script_method`; a module like any other."""


def is_scripting() -> bool:
    """Whether this is TorchScript: never.

    Example:
        >>> import rushlight as torch
        >>> torch.jit.is_scripting(), torch.jit.is_tracing()
        (False, False)
    """
    return False


def is_tracing() -> bool:
    """Whether a trace is being made: never."""
    return False


# ---- types ----


class Attribute(NamedTuple):
    """A value and its type, for an attribute that TorchScript could not tell."""

    value: Any
    type: Any


def annotate(the_type: Any, the_value: T) -> T:
    """The value, which is said to have a type.

    Example:
        >>> import rushlight as torch
        >>> torch.jit.annotate(list[int], [])
        []
    """
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether `obj` is of this type, which may be `list[int]` and the like, or one of several.

    Example:
        >>> import rushlight as torch
        >>> torch.jit.isinstance([1, 2], list[int]), torch.jit.isinstance([1, "a"], list[int])
        (True, False)
    """
    import types
    import typing

    if builtins.isinstance(target_type, tuple):
        return any(isinstance(obj, kind) for kind in target_type)
    origin, inner = typing.get_origin(target_type), typing.get_args(target_type)
    if target_type is typing.Any:
        return True
    if origin is None:
        return builtins.isinstance(obj, type(None) if target_type is None else target_type)
    if origin in (typing.Union, types.UnionType):
        return any(isinstance(obj, kind) for kind in inner)
    if not builtins.isinstance(obj, origin):
        return False
    if origin is dict:
        return all(isinstance(k, inner[0]) and isinstance(v, inner[1]) for k, v in obj.items())
    if origin is tuple and inner[1:] != (Ellipsis,):
        return len(obj) == len(inner) and all(map(isinstance, obj, inner))
    return all(isinstance(value, inner[0]) for value in obj)


# ---- running ----


class _Done:
    """What `fork` gives: the result of what ran already."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def wait(self) -> Any:
        return self._value

    def value(self) -> Any:
        return self._value

    def done(self) -> bool:
        return True


def fork(func: Callable, *args: Any, **kwargs: Any) -> Any:
    """Run `func(*args, **kwargs)` now; outside of TorchScript PyTorch does so, too. `wait` gives its result."""
    return _Done(func(*args, **kwargs))


def wait(future: Any) -> Any:
    """The result of what `fork` ran.

    Example:
        >>> import rushlight as torch
        >>> torch.jit.wait(torch.jit.fork(torch.neg, torch.ones(1)))
        tensor([-1.])
    """
    return future.wait()


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """A context for TorchScript's optimiser, of no effect."""
    yield


class _Settings:
    fusion: tuple[tuple[str, int], ...] = (("STATIC", 2), ("DYNAMIC", 10))
    onednn = False


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """How TorchScript would fuse, of no effect; gives what was said before."""
    before, _Settings.fusion = list(_Settings.fusion), tuple(strategy)
    return before


def enable_onednn_fusion(enabled: bool) -> None:
    """Whether TorchScript would fuse with oneDNN, of no effect."""
    _Settings.onednn = enabled


def onednn_fusion_enabled() -> bool:
    """What `enable_onednn_fusion` was last given."""
    return _Settings.onednn


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.jit")
