"""`torch._C`: the few names of PyTorch's compiled core that public programs use."""

from __future__ import annotations

from enum import Flag, auto
from typing import Any

from rushlight import late
from rushlight.buffer import Tensor as TensorBase
from rushlight.buffer import as_plain as _disabled_torch_function_impl
from rushlight.ops.lapack import LinAlgError as _LinAlgError
from rushlight.ops.sampling import Generator, default_generator
from rushlight.overriding import DisableTorchFunction, DisableTorchFunctionSubclass
from rushlight.size import Size

__all__ = [
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "DispatchKey",
    "DispatchKeySet",
    "Generator",
    "Size",
    "TensorBase",
    "_LinAlgError",
    "_disabled_torch_function_impl",
    "_get_tracing_state",
    "_log_api_usage_once",
    "default_generator",
]


def _get_tracing_state() -> Any:
    """What a running trace knows: None, there is none.

    Example:
        >>> import rushlight as torch
        >>> torch._C._get_tracing_state() is None
        True
    """
    return None


def _log_api_usage_once(event: str) -> None:
    """Count that something is used: nobody counts."""


class DispatchKey(Flag):
    """Whose turn it can be to compute an operation in PyTorch; these libraries name, and nothing is dispatched by them."""

    CPU = auto()
    CUDA = auto()
    Meta = auto()
    AutogradCPU = auto()
    AutogradCUDA = auto()
    AutocastCPU = auto()
    AutocastCUDA = auto()
    AutocastXPU = auto()
    CompositeImplicitAutograd = auto()


class DispatchKeySet:
    """Several of them.

    Example:
        >>> import rushlight as torch
        >>> from rushlight._C import DispatchKey, DispatchKeySet
        >>> both = DispatchKeySet(DispatchKey.CPU) | DispatchKeySet(DispatchKey.Meta)
        >>> both.has(DispatchKey.Meta), both.has(DispatchKey.CUDA)
        (True, False)
    """

    def __init__(self, keys: DispatchKey) -> None:
        self._keys = keys

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys | other._keys)

    def has(self, key: DispatchKey) -> bool:
        """Whether this is one of them."""
        return key in self._keys


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight._C")
