"""`torch.utils`: what programs use beside tensors."""

from __future__ import annotations

from rushlight.utils import dlpack, hooks


def __getattr__(name: str) -> object:
    """`data` is loaded when it is first asked for."""
    if name == "data":
        from importlib import import_module

        return import_module("rushlight.utils.data")
    raise AttributeError(f"module 'rushlight.utils' has no attribute '{name}'")


__all__ = ["data", "dlpack", "hooks"]
