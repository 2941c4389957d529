"""`torch.backends`: what computes. Programs ask for those of other processors, and switch details of theirs."""

from __future__ import annotations

from rushlight.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
