"""`torch.nn`: parameters, layers, losses, containers, and the functions that layers are made of."""

from __future__ import annotations

from rushlight import late
from rushlight.nn import functional, init, modules, parallel, parameter, utils
from rushlight.nn.class_heads import LinearCrossEntropyOptions
from rushlight.nn.modules import *
from rushlight.nn.modules import __all__ as _layers
from rushlight.nn.parallel import DataParallel
from rushlight.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = [
    *_layers,
    "Buffer",
    "DataParallel",
    "LinearCrossEntropyOptions",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "modules",
    "parallel",
    "parameter",
    "utils",
]

#: reads these when they are asked for; names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.nn", "attention", "grad")
