"""`torch.backends`: what computes. Programs ask for those of other processors, and switch details of theirs."""

from __future__ import annotations

from rushlight.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, quantized

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "quantized"]
