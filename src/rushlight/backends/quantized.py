"""`torch.backends.quantized`: kernels for quantised tensors, of which there are none."""

from __future__ import annotations

__all__ = ["engine", "supported_engines"]

#: the library in use
engine = "none"
#: those that could be
supported_engines = ["none"]
