"""`rushlight.profiler`: which kernels ran, how long, and how close to the speed of memory.

    with rushlight.profiler.profile() as p:
        train_one_step()
    print(p.key_averages().table())
    p.export_chrome_trace("trace.json")

Kernels are the loops of large operations; what NumPy computes (small tensors, products) is not among them, but for the regions that
`record_function` names.
"""

from __future__ import annotations

from rushlight import late
from rushlight.profiler.rows import Averages, Row, streaming_bandwidth
from rushlight.profiler.session import ProfilerActivity, profile, record_function, supported_activities
from rushlight.profiler.steps import ProfilerAction, schedule, tensorboard_trace_handler

__all__ = [
    "Averages",
    "ProfilerAction",
    "ProfilerActivity",
    "Row",
    "profile",
    "record_function",
    "schedule",
    "streaming_bandwidth",
    "supported_activities",
    "tensorboard_trace_handler",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.profiler")
