"""`torch.backends.mps`: Apple's GPUs, which are not used."""

from __future__ import annotations

__all__ = ["is_available", "is_built"]


def is_built() -> bool:
    """Whether this library knows Apple's GPUs: no."""
    return False


def is_available() -> bool:
    """Whether tensors can live on Apple's GPU: never."""
    return False
