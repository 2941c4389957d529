"""What programs print of a GPU's memory: there is none, and nothing is used of it."""

from __future__ import annotations

import warnings
from typing import Any

from rushlight.cuda import max_memory_reserved, memory_reserved

__all__ = [
    "max_memory_cached",
    "memory_cached",
    "memory_snapshot",
    "memory_summary",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
]


def _renamed(old: str, new: str) -> None:
    warnings.warn(f"`torch.cuda.{old}` has been renamed to `torch.cuda.{new}`", FutureWarning, stacklevel=3)


def memory_cached(device: Any = None) -> int:
    """An older name of `memory_reserved`."""
    _renamed("memory_cached", "memory_reserved")
    return memory_reserved(device)


def max_memory_cached(device: Any = None) -> int:
    """An older name of `max_memory_reserved`."""
    _renamed("max_memory_cached", "max_memory_reserved")
    return max_memory_reserved(device)


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """That there is no GPU whose memory could be used, as a sentence for logs.

    Example:
        >>> import rushlight as torch
        >>> print(torch.cuda.memory_summary())
        No CUDA GPUs are available: no memory of theirs is used.
    """
    return "No CUDA GPUs are available: no memory of theirs is used."


def memory_snapshot(mempool_id: Any = None) -> list:
    """The pieces of memory in use: none."""
    return []


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Begin to count anew: there is nothing to count."""


def reset_max_memory_allocated(device: Any = None) -> None:
    """Begin to look for the most memory in use anew: there is none."""


def reset_max_memory_cached(device: Any = None) -> None:
    """Begin to look for the most memory kept anew: there is none."""
