"""Names of PyTorch's that libraries import before they know whether they will be used, and that Rushlight lacks.

torchvision, timm and transformers begin by importing what exports, traces, quantizes or distributes models, whatever a program
does with them. So these names can be imported, asked after (`isinstance(x, torch.fx.Proxy)`, which is false) and derived
from; to call one is a NotImplementedError that says what is missing. `hasattr` of the modules they are in is true, so a name is
listed here only where libraries import it without asking.
"""

from __future__ import annotations

import contextlib
import typing
from importlib import import_module
from types import ModuleType
from typing import Any

from rushlight import absent

#: PyTorch's module -> what it has that is refused when it is called
NAMES = {
    "torch._custom_ops": "",
    "torch._dynamo._trace_wrapped_higher_order_op": "",
    "torch._dynamo.utils": "",
    "torch._tensor_str": "PRINT_OPTS _tensor_str",
    "torch.ao": "",
    "torch.ao.nn": "",
    "torch.ao.nn.quantized": "",
    "torch.ao.quantization": "DeQuantStub QConfig QuantStub convert default_observer fuse_modules fuse_modules_qat"
    " get_default_qat_qconfig get_default_qconfig prepare prepare_qat quantize_dynamic",
    "torch.autograd.profiler": "EventList",
    "torch.cuda": "CUDAGraph graph make_graphed_callables",
    "torch.distributed._composable": "",
    "torch.distributed._composable.fsdp": "fully_shard",
    "torch.distributed._functional_collectives": "all_gather_tensor all_reduce all_to_all_single_autograd"
    " reduce_scatter_tensor wait_tensor",
    "torch.distributed.checkpoint": "load save",
    "torch.distributed.checkpoint.hf_storage": "HuggingFaceStorageReader HuggingFaceStorageWriter",
    "torch.distributed.checkpoint.state_dict": "StateDictOptions get_model_state_dict get_optimizer_state_dict"
    " get_state_dict set_model_state_dict set_optimizer_state_dict set_state_dict",
    "torch.distributed.device_mesh": "DeviceMesh init_device_mesh",
    "torch.distributed.fsdp": "CPUOffload CPUOffloadPolicy FSDPModule FullyShardedDataParallel MixedPrecision"
    " MixedPrecisionPolicy OffloadPolicy ShardingStrategy StateDictType fully_shard",
    "torch.distributed.rpc": "PyRRef RRef init_rpc remote rpc_async rpc_sync shutdown",
    "torch.distributed.tensor": "DTensor distribute_module distribute_tensor",
    "torch.distributed.tensor._utils": "compute_local_shape_and_global_offset",
    "torch.distributed.tensor.placement_types": "_StridedShard",
    "torch.fx": "Graph GraphModule Interpreter Node Proxy Tracer Transformer replace_pattern symbolic_trace",
    "torch.fx.graph": "CodeGen Graph PythonCode",
    "torch.fx.graph_module": "GraphModule _CodeOnlyModule _USER_PRESERVED_ATTRIBUTES_KEY _copy_attr",
    "torch.fx.interpreter": "Interpreter Transformer",
    "torch.fx.node": "Argument Node Target map_aggregate map_arg",
    "torch.fx.proxy": "Proxy TraceError TracerBase",
    "torch.jit.annotations": "BroadcastingList1 BroadcastingList2 BroadcastingList3",
    "torch.nn.attention.flex_attention": "AuxRequest BlockMask create_block_mask create_mask flex_attention",
    "torch.onnx": "OperatorExportTypes export",
    "torch.onnx.symbolic_helper": "",
    "torch.onnx.symbolic_opset11": "",
}

#: PyTorch's module -> what it has that gives functions back as they are, called or with arguments
UNCHANGED = {
    "torch.fx": "wrap",
    "torch.jit": "_overload _overload_method _script_if_tracing",
    "torch.onnx.symbolic_helper": "parse_args",
}

#: PyTorch's module -> our module, and what that has of its
ELSEWHERE = {
    "torch.distributed.tensor": ("rushlight.distributed.placements", "Partial Placement Replicate Shard"),
    "torch.distributed.tensor.placement_types": (
        "rushlight.distributed.placements",
        "Partial Placement Replicate Shard",
    ),
}

#: other values: (PyTorch's module, name) -> value
_VALUES: dict[tuple[str, str], Any] = {
    ("torch.nn.attention.flex_attention", "_DEFAULT_SPARSE_BLOCK_SIZE"): 128,
    ("torch._dynamo._trace_wrapped_higher_order_op", "TransformGetItemToIndex"): contextlib.nullcontext,
    ("torch._dynamo.utils", "is_compile_supported"): lambda device_type: False,
}


class _Refused(type):
    """The class of such names: they can be subscripted and derived from, and not be called."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        owner = next(base for base in cls.__mro__ if type(base) is _Refused and "_is_listed" in vars(base))
        raise NotImplementedError(absent.not_here(f"{owner.__module__}.{owner.__name__}"))

    def __getitem__(cls, item: Any) -> Any:
        return cls


_made: dict[tuple[str, str], Any] = {}


def find(place: str, name: str) -> Any:
    """What stands for a name of PyTorch's that is listed here; None for others.

    Example:
        >>> from rushlight.interop import hollow
        >>> proxy = hollow.find("torch.fx", "Proxy")
        >>> isinstance(3, proxy)
        False
        >>> try:
        ...     proxy()
        ... except NotImplementedError as error:
        ...     print(str(error)[:36])
        Rushlight does not have torch.fx.Pro
    """
    known = _made.get((place, name))
    if known is None and (known := _make(place, name)) is not None:
        _made[place, name] = known
    return known


def _make(place: str, name: str) -> Any:
    if name in NAMES.get(place, "").split():
        return _Refused(name, (), {"__module__": place, "_is_listed": True})
    if name in UNCHANGED.get(place, "").split():
        return _unchanged
    source, names = ELSEWHERE.get(place, ("", ""))
    if name in names.split():
        return getattr(import_module(source), name)
    return _VALUES.get((place, name))


def _unchanged(*given: Any, **options: Any) -> Any:
    return given[0] if len(given) == 1 and callable(given[0]) else lambda function: function


_VALUES |= {
    ("torch.jit.annotations", name): getattr(typing, name)
    for name in ("Dict", "List", "Optional", "Tuple", "Union")
}


def is_module(name: str) -> bool:
    """Whether this is a module of PyTorch's with such names.

    Example:
        >>> from rushlight.interop import hollow
        >>> hollow.is_module("torch.fx"), hollow.is_module("torch.package")
        (True, False)
    """
    return name in NAMES


class Module(ModuleType):
    """A module that has nothing but such names; it is a package, as modules below it are found by name."""

    def __getattr__(self, name: str) -> Any:
        found = find(self.__name__, name)
        if is_module(whole := f"{self.__name__}.{name}"):
            return import_module(whole)
        if found is None:
            raise absent.of_module(self.__name__, name, self.__name__)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *NAMES[self.__name__].split(), *UNCHANGED.get(self.__name__, "").split()})
