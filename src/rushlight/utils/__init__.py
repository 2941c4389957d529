"""`torch.utils`: what programs use beside tensors."""

from __future__ import annotations

from rushlight.utils import dlpack, hooks

__all__ = ["dlpack", "hooks"]
