"""Modules that would be computed by several devices or processes: there is one, and everything is passed on to the module."""

from __future__ import annotations

from rushlight import late
from rushlight.nn.parallel.data_parallel import DataParallel, data_parallel
from rushlight.nn.parallel.distributed import DistributedDataParallel
from rushlight.nn.parallel.scatter_gather import gather, scatter

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel", "gather", "scatter"]

#: names that PyTorch has and this package lacks are said to be missing
__getattr__ = late.modules("rushlight.nn.parallel")
