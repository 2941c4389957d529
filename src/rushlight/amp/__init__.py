"""`torch.amp`: mixed precision. On the CPU as in PyTorch; for a GPU it is off, as in PyTorch without one."""

from __future__ import annotations

from rushlight import late
from rushlight.amp.autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from rushlight.amp.grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.amp")
