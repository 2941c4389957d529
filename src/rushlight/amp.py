"""`torch.amp`: mixed precision, for programs that ask for it on a GPU; here it is off, as in PyTorch without one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from rushlight import dtypes, late
from rushlight.device import device
from rushlight.dtypes import dtype

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_NOT_HERE = "CUDA is not available or torch_xla is imported. Disabling autocast."


class autocast:
    """A context, or decorator, in which PyTorch chooses the precision of operations; disabled where there is no GPU.

    Raises:
        NotImplementedError: it is enabled for the CPU, where PyTorch would compute in bfloat16.

    Example:
        >>> import rushlight as torch
        >>> with torch.autocast("cpu", enabled=False):
        ...     (torch.ones(1, 1) @ torch.ones(1, 1)).dtype
        torch.float32
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type).__name__}` object instead."
            )
        kind = device(device_type).type
        if enabled and kind == "cuda":
            warnings.warn(_NOT_HERE, stacklevel=2)
        elif enabled:
            raise NotImplementedError(
                f"autocast({device_type!r}) is not implemented; convert the model and its inputs, as in "
                "model.bfloat16(), or pass enabled=False"
            )
        self.device, self.fast_dtype = kind, dtype

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call


def is_autocast_available(device_type: str) -> bool:
    """Whether there is an autocast for this type of device."""
    device(device_type)
    return False


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether operations choose their precision themselves: never."""
    return False


def get_autocast_dtype(device_type: str) -> dtype:
    """The type that `autocast` would compute in.

    Example:
        >>> import rushlight as torch
        >>> torch.get_autocast_dtype("cpu"), torch.get_autocast_dtype("cuda")
        (torch.bfloat16, torch.float16)
    """
    return dtypes.bfloat16 if device(device_type).type in ("cpu", "xla", "hpu") else dtypes.float16


def get_autocast_cpu_dtype() -> dtype:
    """The type that `autocast("cpu")` would compute in."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> dtype:
    """The type that `autocast("cuda")` would compute in."""
    return get_autocast_dtype("cuda")


def is_autocast_cpu_enabled() -> bool:
    """Whether operations on the CPU choose their precision themselves: never."""
    return False


def is_autocast_cache_enabled() -> bool:
    """Whether weights that autocast has converted would be kept."""
    return True


def clear_autocast_cache() -> None:
    """Forget converted weights, of which there are none."""


def _as_it_is(function: Any, device_type: Any, again: Callable) -> Any:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    return again if function is None else function


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: Any = None) -> Any:
    """A Function's `forward`, to be told of autocast, which is never on: as it is; without it, a decorator."""
    return _as_it_is(fwd, device_type, functools.partial(custom_fwd, device_type=device_type))


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """A Function's `backward`, to run under the autocast of its forward: as it is; without it, a decorator."""
    return _as_it_is(bwd, device_type, functools.partial(custom_bwd, device_type=device_type))


class GradScaler:
    """Scales losses so that half-precision gradients do not vanish; disabled where there is no GPU, it passes all through.

    Raises:
        NotImplementedError: it is enabled for the CPU.

    Example:
        >>> import rushlight as torch
        >>> torch.amp.GradScaler("cpu", enabled=False).scale(torch.tensor(2.0))
        tensor(2.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device == "cuda":
            warnings.warn(
                "torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2
            )
        elif enabled:
            raise NotImplementedError(
                f"GradScaler({device!r}) is not implemented; pass enabled=False and train in float32 or bfloat16"
            )

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: no gradient was scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)`."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: there is no scale."""

    def get_scale(self) -> float:
        """The scale, 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled: never."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Nothing to save."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing: a disabled scaler has no state."""


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.amp")
