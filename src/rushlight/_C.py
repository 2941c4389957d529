"""`torch._C`: the few names of PyTorch's compiled core that public programs use."""

from __future__ import annotations

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


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight._C")
