"""`torch.backends.mkldnn`: oneDNN, which is not used; its switches change nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["deterministic", "enabled", "flags", "is_available"]

enabled = True
deterministic = False


def is_available() -> bool:
    """Whether layers are computed by oneDNN: no."""
    return False


@contextlib.contextmanager
def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> Iterator[None]:
    """A context in which the switches have these values."""
    here = globals()
    before = here["enabled"], here["deterministic"]
    here["enabled"], here["deterministic"] = enabled, deterministic
    try:
        yield
    finally:
        here["enabled"], here["deterministic"] = before
