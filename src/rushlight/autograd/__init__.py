"""`torch.autograd`: taking derivatives."""

from __future__ import annotations

from rushlight import late
from rushlight.autograd import grad_mode, graph
from rushlight.autograd.anomaly import detect_anomaly, set_detect_anomaly
from rushlight.autograd.api import backward, grad
from rushlight.autograd.function import Function
from rushlight.autograd.gradcheck import gradcheck, gradgradcheck
from rushlight.autograd.variable import Variable
from rushlight.tape.modes import enable_grad, inference_mode, no_grad, set_grad_enabled

#: read when they are first asked for, to keep `import rushlight` quick
__getattr__ = late.modules("rushlight.autograd", "functional")

__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
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
