"""Where PyTorch keeps its classes: what `print(type(x))` shows of them, and which module programs import them from.

Most of Rushlight's modules are named as PyTorch's. Those that are not are listed here.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from rushlight import absent

#: Rushlight's module, or the package that the module is in -> PyTorch's -> the classes of the one that are in the other
HOMES = {
    "device": {"torch": "device layout memory_format"},
    "dtypes": {"torch": "dtype finfo iinfo"},
    "size": {"torch": "Size"},
    "storage": {"torch.storage": "TypedStorage UntypedStorage"},
    "overriding": {"torch._C": "DisableTorchFunction DisableTorchFunctionSubclass"},
    "ops.lapack": {"torch._C": "_LinAlgError"},
    "ops.sampling": {"torch._C": "Generator"},
    "tape.modes": {"torch.autograd.grad_mode": "enable_grad inference_mode no_grad set_grad_enabled"},
    "tape.node": {"torch.autograd.graph": "Node", "torch.utils.hooks": "RemovableHandle"},
    "autograd": {"torch.autograd.anomaly_mode": "detect_anomaly set_detect_anomaly"},
    "cuda.old_types": {
        "torch.cuda": "BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor"
        " LongTensor ShortTensor"
    },
    "cuda": {"torch": "OutOfMemoryError", "torch.cuda.streams": "Event Stream"},
    "cuda.amp": {"torch.cuda.amp.autocast_mode": "autocast", "torch.cuda.amp.grad_scaler": "GradScaler"},
    "distributed": {
        "torch._C._distributed_c10d": "HashStore",
        "torch.distributed.distributed_c10d": "Backend GroupMember ProcessGroup ReduceOp Store Work group",
    },
    "distributions": {
        "torch.distributions.transforms": "AbsTransform AffineTransform CatTransform ComposeTransform"
        " CorrCholeskyTransform CumulativeDistributionTransform ExpTransform IndependentTransform"
        " LowerCholeskyTransform PositiveDefiniteTransform PowerTransform ReshapeTransform SigmoidTransform"
        " SoftmaxTransform SoftplusTransform StackTransform StickBreakingTransform TanhTransform Transform"
    },
    "futures": {"torch.jit": "Future"},
    "jit": {"torch.jit._script": "Attribute ScriptModule", "torch.jit._trace": "TracerWarning"},
    "symbolic": {"torch": "SymBool SymFloat SymInt"},
    "nn": {
        "torch.nn.modules.activation": "MultiheadAttention",
        "torch.nn.modules.batchnorm": "_BatchNorm BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d"
        " LazyBatchNorm3d SyncBatchNorm",
        "torch.nn.modules.channelshuffle": "ChannelShuffle",
        "torch.nn.modules.container": "ParameterDict ParameterList",
        "torch.nn.modules.flatten": "Flatten Unflatten",
        "torch.nn.modules.fold": "Fold Unfold",
        "torch.nn.modules.instancenorm": "_InstanceNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d"
        " LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d",
        "torch.nn.modules.linear_cross_entropy_options": "LinearCrossEntropyOptions",
        "torch.nn.modules.loss": "LinearCrossEntropyLoss",
        "torch.nn.modules.module": "_IncompatibleKeys",
        "torch.nn.modules.pixelshuffle": "PixelShuffle PixelUnshuffle",
    },
    "optim": {
        "torch.optim": "Adafactor Muon",
        "torch.optim.adadelta": "Adadelta",
        "torch.optim.adagrad": "Adagrad",
        "torch.optim.adamax": "Adamax",
        "torch.optim.adamw": "AdamW",
        "torch.optim.asgd": "ASGD",
        "torch.optim.lr_scheduler": "ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR"
        " ExponentialLR LambdaLR LinearLR LRScheduler MultiStepLR MultiplicativeLR OneCycleLR PolynomialLR StepLR",
        "torch.optim.nadam": "NAdam",
        "torch.optim.radam": "RAdam",
        "torch.optim.rmsprop": "RMSprop",
        "torch.optim.rprop": "Rprop",
        "torch.optim.sparse_adam": "SparseAdam",
    },
    "utils.benchmark": {
        "torch.utils.benchmark.utils.common": "Measurement TaskSpec",
        "torch.utils.benchmark.utils.compare": "Compare",
        "torch.utils.benchmark.utils.timer": "Timer",
    },
    "profiler": {"torch.profiler.profiler": "profile", "torch.autograd.profiler": "record_function"},
}

#: (module or package of ours, class) -> PyTorch's module
_HOME = {
    (source, name): place
    for source, places in HOMES.items()
    for place, names in places.items()
    for name in names.split()
}
#: PyTorch's modules that have classes of others of ours
PLACES = frozenset(_HOME.values())
#: packages of PyTorch's that are none of ours and have such modules
PACKAGES = frozenset({"torch.utils.benchmark.utils"})
#: our modules that have something of PyTorch's and are not public; the last two have tensors of kinds of their own
SOURCES = frozenset(f"rushlight.{name}" for name in [*HOMES, "deep", "batched"])
#: our modules that are packages in PyTorch
_PACKAGES = tuple(
    f"rushlight.{name}"
    for name in "_C accelerator compiler cpu cuda distributed jit masked mps multiprocessing nn.attention onnx profiler"
    " cuda.amp sparse utils.benchmark utils.data utils.model_zoo xpu".split()
)

#: (PyTorch's module, class) -> the class, if it is loaded
_classes: dict[tuple[str, str], type] = {}


def rename(module: ModuleType, public: bool) -> None:
    """Let the classes of one of our modules say that they are in PyTorch's; `public`: it has a module of this name."""
    own = module.__name__
    same = "torch" + own.removeprefix("rushlight") if public else ""
    for found in list(vars(module).values()):
        if isinstance(found, type) and (place := _place_of(found, own, same)):
            found.__module__ = place
            _classes[place, found.__name__] = found
    if own in _PACKAGES and not hasattr(module, "__path__"):
        module.__path__ = []


def _place_of(cls: type, own: str, same: str) -> str:
    if cls.__module__ == "rushlight":  # said of a class that is elsewhere
        return "torch"
    if cls.__module__ != own:
        return ""
    source, name = own.removeprefix("rushlight."), cls.__name__
    while source:
        if place := _HOME.get((source, name)):
            return place
        source = source.rpartition(".")[0]
    return same


def find(place: str, name: str) -> Any:
    """What a module of PyTorch's has of others of ours.

    Raises AttributeError: it has no such name.
    """
    for source, places in HOMES.items():
        names = places.get(place, "").split()
        if name in names:
            module = import_module(f"rushlight.{source}")
            for known in names:  # loads what holds them
                getattr(module, known, None)
            return _classes[place, name]
    raise absent.of_module(place, name, place)


class Place(ModuleType):
    """A module of PyTorch's that is none of ours: it has the classes that PyTorch keeps there."""

    def __getattr__(self, name: str) -> Any:
        return find(self.__name__, name)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *(name for (_, name), place in _HOME.items() if place == self.__name__)})
