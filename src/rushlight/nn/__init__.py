"""`torch.nn`: parameters, and the functions that layers are made of."""

from __future__ import annotations

from rushlight.nn import functional
from rushlight.nn.parameter import Parameter

__all__ = ["Parameter", "functional"]
