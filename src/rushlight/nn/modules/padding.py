"""Padding layers: more elements around the last one, two or three dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.pooling import times
from rushlight.nn.modules.stateless import NEEDED, Stateless

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Stateless):
    """`padding` is one width for all sides, or a tuple: before and after, last dimension first."""

    settings = {"padding": NEEDED}
    shown = "{padding}"
    count: ClassVar[int]
    mode: ClassVar[str]

    def prepare(self) -> None:
        self.padding = times(self.padding, 2 * self.count)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)


# ---- one value ----


class _ConstantPad(_Pad):
    settings = {"padding": NEEDED, "value": NEEDED}
    shown = "padding={padding}, value={value}"

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)


class ConstantPad1d(_ConstantPad):
    """`value` around the last dimension."""

    count = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two dimensions."""

    count = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three dimensions."""

    count = 3


class ZeroPad1d(ConstantPad1d):
    """Zeros around the last dimension."""

    shown = "{padding}"

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)


class ZeroPad2d(ConstantPad2d):
    """Zeros around the last two dimensions."""

    shown = "{padding}"

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)


class ZeroPad3d(ConstantPad3d):
    """Zeros around the last three dimensions."""

    shown = "{padding}"

    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)


# ---- the input's own values ----


class ReflectionPad1d(_Pad):
    """The last dimension mirrored at its ends."""

    count, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The last two dimensions mirrored at their ends."""

    count, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The last three dimensions mirrored at their ends."""

    count, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The last dimension with its ends repeated."""

    count, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The last two dimensions with their ends repeated."""

    count, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The last three dimensions with their ends repeated."""

    count, mode = 3, "replicate"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self.count + 1, self.count + 2):
            raise ValueError(
                f"expected {self.count + 1}D or {self.count + 2}D input (got {input.dim()}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """The last dimension going round.

    Raises:
        ValueError: an input of other dimensions than (C, L) or (N, C, L).
    """

    count = 1


class CircularPad2d(_CircularPad):
    """The last two dimensions going round.

    Raises:
        ValueError: an input of other dimensions than (C, H, W) or (N, C, H, W).
    """

    count = 2


class CircularPad3d(_CircularPad):
    """The last three dimensions going round.

    Raises:
        ValueError: an input of other dimensions than (C, D, H, W) or (N, C, D, H, W).
    """

    count = 3
