"""`torch.xpu`, for Intel's GPUs: there is none."""

from __future__ import annotations

from typing import Any

from rushlight import late

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
]


def is_available() -> bool:
    """Whether there is such a GPU: never.

    Example:
        >>> import rushlight as torch
        >>> "xpu" if torch.xpu.is_available() else "cpu"
        'cpu'
    """
    return False


def is_initialized() -> bool:
    """Whether one is in use: never."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether it computes in bfloat16: no."""
    return False


def device_count() -> int:
    """How many there are: none."""
    return 0


def manual_seed(seed: Any) -> None:
    """Seed the GPU's generator, were there one; the CPU's is left as it is."""
    int(seed)


def manual_seed_all(seed: Any) -> None:
    """Seed the generators of all GPUs, were there any."""
    int(seed)


def empty_cache() -> None:
    """Give back the GPU's unused memory: there is none."""


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.xpu")
