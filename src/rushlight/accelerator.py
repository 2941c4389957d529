"""`torch.accelerator` on a machine without one: it says so, and what needs one raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from rushlight import late

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "empty_host_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def is_available() -> bool:
    """Whether there is an accelerator: never.

    Example:
        >>> import rushlight as torch
        >>> torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
        'cpu'
    """
    return False


def device_count() -> int:
    """How many accelerators there are: none."""
    return 0


def current_accelerator(check_available: bool = False) -> None:
    """The accelerator in use: None."""


def _needs_one(name: str, does: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError("Cannot access accelerator device when none is available.")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"{does}; RuntimeError, as there is none."
    return refuse


class device_index:
    """A context in which another accelerator is in use; RuntimeError for any but None, as there is none."""

    def __init__(self, device: int | None) -> None:
        self.idx = device

    def __enter__(self) -> None:
        if self.idx is not None:
            set_device_index(self.idx)

    def __exit__(self, *error: Any) -> None:
        pass


current_device_index = _needs_one("current_device_index", "The number of the accelerator in use")
current_device_idx = current_device_index
set_device_index = _needs_one("set_device_index", "Use another accelerator")
set_device_idx = set_device_index
get_device_capability = _needs_one("get_device_capability", "What an accelerator can do")
current_stream = _needs_one("current_stream", "An accelerator's stream of work")
set_stream = _needs_one("set_stream", "Use another stream of work")
synchronize = _needs_one("synchronize", "Wait for an accelerator")
empty_cache = _needs_one("empty_cache", "Give back an accelerator's unused memory")
empty_host_cache = _needs_one("empty_host_cache", "Give back the unused memory that an accelerator can read")
get_memory_info = _needs_one("get_memory_info", "An accelerator's free and whole memory")
memory_stats = _needs_one("memory_stats", "How an accelerator's memory is used")
memory_allocated = _needs_one("memory_allocated", "Bytes of an accelerator's memory in use")
memory_reserved = _needs_one("memory_reserved", "Bytes of an accelerator's memory that are kept")
max_memory_allocated = _needs_one("max_memory_allocated", "The most bytes that were in use")
max_memory_reserved = _needs_one("max_memory_reserved", "The most bytes that were kept")
reset_peak_memory_stats = _needs_one("reset_peak_memory_stats", "Measure the most bytes anew")
reset_accumulated_memory_stats = _needs_one("reset_accumulated_memory_stats", "Count bytes anew")

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.accelerator")
