"""`torch._dynamo`, which programs ask for what `torch.compiler` has, and whose settings they set: of no effect, as nothing is traced."""

from __future__ import annotations

from typing import Any

from rushlight import late
from rushlight._dynamo import config
from rushlight.compiler import (
    OptimizedModule,
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    list_backends,
    reset,
)

__all__ = [
    "OptimizedModule",
    "allow_in_graph",
    "assume_constant_result",
    "config",
    "disable",
    "graph_break",
    "is_compiling",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "mark_static_address",
    "maybe_mark_dynamic",
    "reset",
    "reset_code_caches",
]


def graph_break(msg: str = "") -> None:
    """End the part of the program that is compiled as one: there is none.

    Example:
        >>> import rushlight as torch
        >>> torch._dynamo.config.suppress_errors = True
        >>> torch._dynamo.graph_break()
    """


def reset_code_caches() -> None:
    """Forget what was compiled: nothing."""


def mark_dynamic(t: Any, index: Any, **bounds: Any) -> None:
    """Say that a dimension's size changes from call to call: kernels serve all sizes."""


def mark_static(t: Any, index: Any = None) -> None:
    """Say that a dimension's size stays."""


def mark_static_address(t: Any, guard: bool = True) -> None:
    """Say that a tensor's memory stays where it is."""


maybe_mark_dynamic = mark_dynamic

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight._dynamo")
