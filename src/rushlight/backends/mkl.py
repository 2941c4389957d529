"""`torch.backends.mkl`: Intel's library, which is not used."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether products are computed by MKL: no, by NumPy's OpenBLAS."""
    return False
