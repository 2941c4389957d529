"""`torch.backends.cudnn`: switches that programs set; without a GPU they change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = [
    "allow_tf32",
    "benchmark",
    "benchmark_limit",
    "deterministic",
    "enabled",
    "flags",
    "is_acceptable",
    "is_available",
    "set_flags",
    "version",
]

enabled = True
benchmark = False
benchmark_limit: int | None = None
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether there is a cuDNN: no."""
    return False


def is_acceptable(tensor: object) -> bool:
    """Whether cuDNN would compute with this tensor: no."""
    return False


def version() -> None:
    """cuDNN's release: there is none."""


def set_flags(
    _enabled: bool | None = None,
    _benchmark: bool | None = None,
    _benchmark_limit: int | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
    _fp32_precision: str = "none",
    _depthwise_kernel: str = "auto",
) -> tuple:
    """Set those switches that are given, and return what all were."""
    here = globals()
    before = tuple([here[name] for name in _SWITCHES])
    given = (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32)
    here.update({name: value for name, value in zip(_SWITCHES, given) if value is not None})
    return *before, "none", "auto"


_SWITCHES = "enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32"


@contextlib.contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
    depthwise_kernel: str = "auto",
) -> Iterator[None]:
    """A context in which the switches have these values.

    Example:
        >>> import rushlight as torch
        >>> with torch.backends.cudnn.flags(enabled=False):
        ...     print(torch.backends.cudnn.enabled)
        False
        >>> torch.backends.cudnn.enabled
        True
    """
    before = set_flags(enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    try:
        yield
    finally:
        globals().update(zip(_SWITCHES, before))
