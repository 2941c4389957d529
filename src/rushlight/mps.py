"""`torch.mps`, for Apple's GPUs: there is none, and what needs one raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from rushlight import late

__all__ = [
    "current_allocated_memory",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "get_rng_state",
    "is_available",
    "manual_seed",
    "seed",
    "set_rng_state",
    "synchronize",
]


def is_available() -> bool:
    """Whether there is such a GPU: never.

    Example:
        >>> import rushlight as torch
        >>> torch.mps.is_available()
        False
    """
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator, were there one; the CPU's is left as it is."""
    int(seed)


def _needs_one(name: str, native: str, does: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(f"Cannot execute {native}() without MPS backend.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"{does}; RuntimeError, as there is none."
    return refuse


synchronize = _needs_one("synchronize", "deviceSynchronize", "Wait for the GPU")
empty_cache = _needs_one("empty_cache", "emptyCache", "Give back the GPU's unused memory")
seed = _needs_one("seed", "getDefaultGenerator", "Seed the GPU's generator at random")
get_rng_state = _needs_one("get_rng_state", "getDefaultGenerator", "The state of the GPU's generator")
set_rng_state = _needs_one("set_rng_state", "getDefaultGenerator", "Go on from a state")
current_allocated_memory = _needs_one(
    "current_allocated_memory", "getCurrentAllocatedMemory", "Bytes of tensors on the GPU"
)
driver_allocated_memory = _needs_one(
    "driver_allocated_memory", "getDriverAllocatedMemory", "Bytes that the process has of the GPU"
)

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.mps")
