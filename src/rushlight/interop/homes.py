"""Where PyTorch keeps its classes: what `print(type(x))` shows of them, and which module programs import them from.

Most of Rushlight's modules are named as PyTorch's. Those that are not are listed here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from rushlight import absent

#: PyTorch's module -> Rushlight's -> the classes of the one that are in the other
PLACES = {
    "torch": {
        "device": "device layout memory_format",
        "dtypes": "dtype finfo iinfo",
        "size": "Size",
    },
    "torch._C": {"ops.lapack": "_LinAlgError", "ops.sampling": "Generator"},
    "torch.amp.autocast_mode": {"amp": "autocast"},
    "torch.amp.grad_scaler": {"amp": "GradScaler"},
    "torch.autograd.anomaly_mode": {"autograd.anomaly": "detect_anomaly set_detect_anomaly"},
    "torch.autograd.grad_mode": {"tape.modes": "enable_grad inference_mode no_grad set_grad_enabled"},
    "torch.nn.modules.batchnorm": {
        "nn.modules.normalization": "_BatchNorm BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d"
        " LazyBatchNorm2d LazyBatchNorm3d SyncBatchNorm"
    },
    "torch.nn.modules.channelshuffle": {"nn.modules.reshaping": "ChannelShuffle"},
    "torch.nn.modules.flatten": {"nn.modules.reshaping": "Flatten Unflatten"},
    "torch.nn.modules.fold": {"nn.modules.reshaping": "Fold Unfold"},
    "torch.nn.modules.instancenorm": {
        "nn.modules.normalization": "_InstanceNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d"
        " LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d"
    },
    "torch.nn.modules.pixelshuffle": {"nn.modules.reshaping": "PixelShuffle PixelUnshuffle"},
    "torch.nn.modules.activation": {"nn.modules.attention": "MultiheadAttention"},
    "torch.nn.modules.container": {"nn.modules.parameters": "ParameterDict ParameterList"},
    "torch.nn.parallel.data_parallel": {"nn.parallel": "DataParallel"},
    "torch.optim.adadelta": {"optim.squares": "Adadelta"},
    "torch.optim.adagrad": {"optim.squares": "Adagrad"},
    "torch.optim.adamax": {"optim.adam": "Adamax"},
    "torch.optim.adamw": {"optim.adam": "AdamW"},
    "torch.optim": {"optim.matrices": "Adafactor Muon"},
    "torch.optim.asgd": {"optim.sgd": "ASGD"},
    "torch.optim.lr_scheduler": {
        "optim.cycles": "CosineAnnealingWarmRestarts CyclicLR OneCycleLR",
        "optim.schedule": "ConstantLR CosineAnnealingLR ExponentialLR LambdaLR LinearLR LRScheduler MultiStepLR"
        " MultiplicativeLR PolynomialLR StepLR",
    },
    "torch.optim.nadam": {"optim.adam": "NAdam"},
    "torch.optim.radam": {"optim.adam": "RAdam"},
    "torch.optim.rmsprop": {"optim.squares": "RMSprop"},
    "torch.optim.rprop": {"optim.sgd": "Rprop"},
    "torch.optim.sparse_adam": {"optim.matrices": "SparseAdam"},
    "torch.autograd.graph": {"tape.node": "Node"},
    "torch.profiler.profiler": {"profiler": "profile"},
    "torch.storage": {"storage": "TypedStorage UntypedStorage"},
}

_HOME = {
    (f"rushlight.{ours}", name): place
    for place, sources in PLACES.items()
    for ours, names in sources.items()
    for name in names.split()
}
#: our modules that hold classes of PyTorch's other modules; the last two have tensors of kinds of their own
SOURCES = frozenset({module for module, _ in _HOME} | {"rushlight.deep", "rushlight.batched"})
#: our modules that are packages in PyTorch
_PACKAGES = ("rushlight.amp", "rushlight.nn.parallel", "rushlight.profiler")


def rename(module: ModuleType, public: bool) -> None:
    """Let the classes of one of our modules say that they are in PyTorch's; `public`: it has a module of this name."""
    own = module.__name__
    same = "torch" + own.removeprefix("rushlight") if public else ""
    for name, found in list(vars(module).items()):
        if isinstance(found, type) and (place := _place_of(found, own, name, same)):
            found.__module__ = place
    if own in _PACKAGES:
        module.__path__ = []


def _place_of(cls: type, own: str, name: str, same: str) -> str:
    if cls.__module__ == "rushlight":  # said of a class that is elsewhere
        return "torch"
    return _HOME.get((own, name), same) if cls.__module__ == own else ""


def find(place: str, name: str) -> Any:
    """What a module of PyTorch's has of others of ours.

    Raises AttributeError: it has no such name.
    """
    for ours, names in PLACES.get(place, {}).items():
        if name in names.split():
            return getattr(import_module(f"rushlight.{ours}"), name)
    raise absent.of_module(place, name, place)


class Place(ModuleType):
    """A module of PyTorch's that is none of ours: it has the classes that PyTorch keeps there."""

    def __getattr__(self, name: str) -> Any:
        return find(self.__name__, name)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *" ".join(PLACES[self.__name__].values()).split()})
