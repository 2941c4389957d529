"""`torch.distributed.algorithms`: what processes of a group do together."""

from __future__ import annotations

from rushlight import late

#: read when it is first asked for; names that PyTorch has and this package lacks are said to be missing
__getattr__ = late.modules("rushlight.distributed.algorithms", "join")
