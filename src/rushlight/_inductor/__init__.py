"""`torch._inductor`, whose settings programs set: of no effect, as Rushlight's own engine compiles."""

from __future__ import annotations

from rushlight import late
from rushlight._inductor import config

__all__ = ["config"]


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight._inductor")
