"""`torch.backends.cpu`: what the CPU can do."""

from __future__ import annotations

from rushlight.native.cpu import vector_bytes

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """The widest vectors that are used: "AVX512", "AVX2" or "DEFAULT".

    Example:
        >>> import rushlight as torch
        >>> torch.backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "DEFAULT")
        True
    """
    return {64: "AVX512", 32: "AVX2"}.get(vector_bytes(), "DEFAULT")
