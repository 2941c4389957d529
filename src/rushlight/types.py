"""`torch.types`: names for annotations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from rushlight import device as _device
from rushlight import dtype as _dtype  # noqa: F401
from rushlight import late
from rushlight.buffer import Tensor
from rushlight.device import layout as _layout  # noqa: F401
from rushlight.size import Size
from rushlight.storage import UntypedStorage as Storage

__all__ = ["Device", "FileLike", "Number", "Size", "Storage", "Tensor"]

Number: TypeAlias = int | float | bool
Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]

# names that annotations use although they begin with an underscore
_int, _float, _bool, _complex, _str, _bytes = int, float, bool, complex, str, bytes
_Number = (int, float, bool)
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors: TypeAlias = Tensor | Sequence[Tensor | None]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.types")
