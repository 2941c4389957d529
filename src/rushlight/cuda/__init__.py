"""`torch.cuda` as it is in PyTorch without CUDA: it says that there is none, and what needs a GPU raises."""

from __future__ import annotations

from typing import Any

from rushlight import late

__all__ = [
    "amp",
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "seed",
    "seed_all",
    "synchronize",
]

#: read when it is first asked for
__getattr__, __dir__ = late.names("rushlight.cuda", {}, modules="amp")


def is_available() -> bool:
    """Whether tensors can live on a GPU: never.

    Example:
        >>> import rushlight as torch
        >>> "cuda" if torch.cuda.is_available() else "cpu"
        'cpu'
    """
    return False


def device_count() -> int:
    """How many GPUs there are: none."""
    return 0


def is_initialized() -> bool:
    """Whether a GPU has been used: never."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU knows bfloat16: there is no GPU."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator, were there one; the CPU's is left as it is."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all GPUs, of which there are none."""
    int(seed)


def seed() -> None:
    """Seed the GPU's generator at random, were there one."""


def seed_all() -> None:
    """Seed the generators of all GPUs at random, of which there are none."""


def empty_cache() -> None:
    """Give back a GPU's unused memory; nothing here. (The pool of this process is `rushlight.memory`'s.)"""


def memory_allocated(device: Any = None) -> int:
    """Bytes of a GPU's memory in use: 0."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes of a GPU's memory that were in use: 0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """Bytes of a GPU's memory that are kept: 0."""
    return 0


def _no_gpu() -> AssertionError:
    return AssertionError("Torch not compiled with CUDA enabled")


def synchronize(device: Any = None) -> None:
    """Wait for a GPU; AssertionError, as there is none."""
    raise _no_gpu()


def current_device() -> int:
    """The GPU in use; AssertionError, as there is none."""
    raise _no_gpu()


def get_device_name(device: Any = None) -> str:
    """A GPU's name; AssertionError, as there is none."""
    raise _no_gpu()


def get_device_properties(device: Any = None) -> Any:
    """What a GPU is; AssertionError, as there is none."""
    raise _no_gpu()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """What a GPU can do; AssertionError, as there is none."""
    raise _no_gpu()
