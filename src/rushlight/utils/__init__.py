"""`torch.utils`: what programs use beside tensors."""

from __future__ import annotations

from rushlight import late

#: read when they are first asked for, to keep `import rushlight` quick
__getattr__, __dir__ = late.names(
    "rushlight.utils", {}, modules="_pytree benchmark checkpoint data dlpack hooks model_zoo"
)

__all__ = ["benchmark", "checkpoint", "data", "dlpack", "hooks", "model_zoo"]
