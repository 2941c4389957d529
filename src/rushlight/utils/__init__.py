"""`torch.utils`: what programs use beside tensors."""

from __future__ import annotations

from rushlight import late
from rushlight.utils import dlpack, hooks

#: read when they are first asked for, to keep `import rushlight` quick
__getattr__ = late.modules("rushlight.utils", "data")

__all__ = ["data", "dlpack", "hooks"]
