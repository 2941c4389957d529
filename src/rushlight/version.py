"""`torch.version`: which release this is, and which GPU libraries it was built for: none."""

from __future__ import annotations

from rushlight import __version__, late

__all__ = ["__version__", "cuda", "debug", "hip", "rocm", "xpu"]

debug = False
cuda = hip = rocm = xpu = None

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.version")
