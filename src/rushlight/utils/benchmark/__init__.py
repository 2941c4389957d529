"""`torch.utils.benchmark`: how long statements take, and tables that compare them."""

from __future__ import annotations

from rushlight import late
from rushlight.utils.benchmark.compare import Compare
from rushlight.utils.benchmark.measurement import (
    Measurement,
    TaskSpec,
    select_unit,
    trim_sigfig,
    unit_to_english,
)
from rushlight.utils.benchmark.timer import Timer, timer

__all__ = [
    "Compare",
    "Measurement",
    "TaskSpec",
    "Timer",
    "select_unit",
    "timer",
    "trim_sigfig",
    "unit_to_english",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.utils.benchmark")
