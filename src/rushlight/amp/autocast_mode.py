"""`torch.autocast`: operations in it choose their precision."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from rushlight import dtypes, late
from rushlight.device import device
from rushlight.dtypes import dtype
from rushlight.ops.autocasting import STATE, cast, changed

__all__ = [
    "autocast",
    "clear_autocast_cache",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
]

_NOT_HERE = "CUDA is not available or torch_xla is imported. Disabling autocast."
_NOT_SUPPORTED = (
    "In CPU autocast, but the target dtype is not supported. Disabling autocast.\n"
    "CPU Autocast only supports dtypes of torch.bfloat16, torch.float16 currently."
)


class autocast:
    """A context, or decorator, in which products of float32 are computed in bfloat16, and losses in float32.

    Args:
        device_type: "cpu"; with "cuda" a warning says that there is none, and nothing changes.
        dtype: float16 instead of bfloat16.
        enabled: whether anything changes; within another `autocast`, False ends it.

    Raises:
        RuntimeError: no such type of device.

    Example:
        >>> import rushlight as torch
        >>> with torch.autocast("cpu"):
        ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        torch.bfloat16
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type).__name__}` object instead."
            )
        self.device = device(device_type).type
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        if enabled and self.device == "cuda":
            warnings.warn(_NOT_HERE, stacklevel=2)
            enabled = False
        elif enabled and self.device != "cpu":
            raise RuntimeError(f"User specified an unsupported autocast device_type '{self.device}'")
        elif enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(_NOT_SUPPORTED, stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._before: list[tuple] = []

    def __enter__(self) -> autocast:
        if self.device == "cpu":
            self._before.append(changed(self.fast_dtype if self._enabled else None, self.fast_dtype))
        return self

    def __exit__(self, *error: Any) -> None:
        if self.device == "cpu":
            changed(*self._before.pop())

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call


# ---- what is on ----


def is_autocast_available(device_type: str) -> bool:
    """Whether there is an autocast for this type of device: for the CPU.

    Example:
        >>> import rushlight as torch
        >>> torch.amp.is_autocast_available("cpu")
        True
    """
    return device(device_type).type == "cpu"


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether operations choose their precision; without an argument, those on a GPU: never."""
    return device_type is not None and device(device_type).type == "cpu" and STATE.fast is not None


def is_autocast_cpu_enabled() -> bool:
    """Whether operations on the CPU choose their precision."""
    return STATE.fast is not None


def get_autocast_dtype(device_type: str) -> dtype:
    """The type that `autocast` computes in, or would.

    Example:
        >>> import rushlight as torch
        >>> torch.get_autocast_dtype("cpu"), torch.get_autocast_dtype("cuda")
        (torch.bfloat16, torch.float16)
    """
    kind = device(device_type).type
    if kind == "cpu":
        return STATE.chosen or dtypes.bfloat16
    return dtypes.bfloat16 if kind in ("xla", "hpu") else dtypes.float16


def get_autocast_cpu_dtype() -> dtype:
    """The type that `autocast("cpu")` computes in, or would."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> dtype:
    """The type that `autocast("cuda")` would compute in."""
    return get_autocast_dtype("cuda")


def is_autocast_cache_enabled() -> bool:
    """Whether weights that autocast has converted may be kept."""
    return True


def clear_autocast_cache() -> None:
    """Forget converted weights; none are kept."""


# ---- functions that know of it ----


def _checked(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """Let a Function's `forward` remember the autocast that it ran in; without `fwd`, a decorator.

    Args:
        cast_inputs: in autocast, convert the tensors given to it to this type, and run it without autocast.
    """
    _checked(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = on and cast_inputs is None
        if not on or cast_inputs is None:
            return fwd(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            named = {name: cast(value, cast_inputs) for name, value in kwargs.items()}
            return fwd(ctx, *cast(args, cast_inputs), **named)

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Let a Function's `backward` run in the autocast of its forward; without `bwd`, a decorator."""
    _checked(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype):
            return bwd(ctx, *args, **kwargs)

    return backward


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.amp.autocast_mode")
