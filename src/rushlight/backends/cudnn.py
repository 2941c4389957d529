"""`torch.backends.cudnn`: switches that programs set; without a GPU they change nothing."""

from __future__ import annotations

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "is_available", "version"]

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether there is a cuDNN: no."""
    return False


def version() -> None:
    """cuDNN's release: there is none."""
