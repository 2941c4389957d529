"""`torch.optim`: optimisers and the schedules of their learning rates."""

from __future__ import annotations

from rushlight import late
from rushlight.optim import lr_scheduler, optimizer, swa_utils
from rushlight.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from rushlight.optim.lbfgs import LBFGS
from rushlight.optim.matrices import Adafactor, Muon, SparseAdam
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.sgd import ASGD, SGD, Rprop
from rushlight.optim.squares import Adadelta, Adagrad, RMSprop

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "lr_scheduler",
    "optimizer",
    "swa_utils",
]

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.optim")
