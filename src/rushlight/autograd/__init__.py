"""`torch.autograd`: taking derivatives."""

from __future__ import annotations

from rushlight import late
from rushlight.autograd.api import backward, grad
from rushlight.autograd.gradcheck import gradcheck, gradgradcheck  # the function stands over its module
from rushlight.tape.modes import enable_grad, inference_mode, no_grad, set_grad_enabled

#: read when they are first asked for, to keep `import rushlight` quick
__getattr__, __dir__ = late.names(
    "rushlight.autograd",
    {
        "anomaly": "detect_anomaly set_detect_anomaly",
        "function": "Function",
        "variable": "Variable",
    },
    modules="anomaly forward_ad functional grad_mode graph profiler",
)

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
