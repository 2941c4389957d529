"""`torch.compile` and `torch.compiler`, for programs that ask to be compiled: here that is no mode of its own.

Large computations are fused and compiled while a program runs, whether it asks or not, so `compile` has only to give back
something that PyTorch's callers can use as they use its result: a function, or a module around the module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rushlight import late
from rushlight.nn.modules.module import Module

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "nested_compile_region",
    "reset",
    "set_stance",
]

_BACKENDS = ("aot_eager", "cudagraphs", "eager", "inductor", "openxla", "tvm")
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """The function `model` itself, or a module around the module `model`, as PyTorch gives one; without it, a decorator.

    Args:
        backend, mode, options, ...: checked, and of no effect: the engine fuses and compiles without being asked.

    Raises:
        RuntimeError: `mode` and `options` both, an unknown mode or backend.
        NotImplementedError: a backend of the program's own: there is no graph to give to it.

    Example:
        >>> import rushlight as torch
        >>> @torch.compile
        ... def f(x):
        ...     return (x * 2).sum()
        >>> f(torch.ones(3))
        tensor(6.)
    """
    _check(backend, mode, options)
    if model is None:
        return lambda model: compile(model, backend=backend, mode=mode, options=options, disable=disable)
    if not callable(model):
        raise RuntimeError(f"torch.compile: expected a function or a module, but got {type(model).__name__}")
    return OptimizedModule(model) if isinstance(model, Module) and not disable else model


def _check(backend: Any, mode: str | None, options: dict | None) -> None:
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if callable(backend):
        raise NotImplementedError(
            "torch.compile: Rushlight compiles while a program runs and has no graph to give to a backend of the program's "
            "own; leave backend= out"
        )
    if backend is not None and backend not in _BACKENDS:
        raise RuntimeError(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available backends."
        )


class OptimizedModule(Module):
    """A module around another one: its parameters are called `_orig_mod.weight` and so on; all else is the other's."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._orig_mod = module
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes."""
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        own = "_modules" not in self.__dict__ or name in ("_orig_mod", "training") or name in self.__dict__
        if own:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})

    def __len__(self) -> int:
        return len(self._orig_mod)  # type: ignore[arg-type]


# ---- torch.compiler ----


def _itself(fn: Callable) -> Callable:
    return fn


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Leave a function uncompiled: the function as it is; without it, a decorator."""
    return _itself if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """Let a function be part of a graph unseen: the function as it is."""
    return fn


def assume_constant_result(fn: Callable) -> Callable:
    """Say that a function always gives the same: the function as it is."""
    return fn


def nested_compile_region(fn: Any = None, **options: Any) -> Any:
    """Compile a function once wherever it is used: the function as it is; without it, a decorator."""
    return _itself if fn is None else fn


def is_compiling() -> bool:
    """Whether the program is being traced rather than run: never.

    Example:
        >>> import rushlight as torch
        >>> torch.compiler.is_compiling()
        False
    """
    return False


def is_dynamo_compiling() -> bool:
    """Whether the program is being traced rather than run: never."""
    return False


def is_exporting() -> bool:
    """Whether the program is being exported: never."""
    return False


def reset() -> None:
    """Forget what was traced: nothing."""


def cudagraph_mark_step_begin() -> None:
    """Say that a new step of a GPU's graph begins: there is none."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """Backends that `compile` may be given by name; none of them is used."""
    return [name for name in _BACKENDS if name not in ("aot_eager", "eager") or not exclude_tags]


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def set_stance(stance: str = "default", *, skip_guard_eval_unsafe: bool = False, **options: Any) -> Any:
    """Say how eagerly to compile: a statement, context or decorator of no effect."""
    return _nothing()


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.compiler")
