"""`torch.backends.openmp`: threads of OpenMP, which are not used."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether threads are OpenMP's: no, they are Rushlight's own."""
    return False
