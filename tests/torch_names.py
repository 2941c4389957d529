"""The public names of PyTorch, by namespace, as `src/rushlight/torch_names.txt` holds them.

    python tests/torch_names.py > src/rushlight/torch_names.txt

Public is what `__all__` lists; where there is none, what does not begin with an underscore and is PyTorch's own. The namespaces
are those that PyTorch's documentation describes. Its other modules have no names in the file: it is enough to know that there
are such modules.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch

NAMESPACES = """
torch torch.Tensor torch.functional torch.return_types torch.storage torch.types torch.version
torch.nn torch.nn.functional torch.nn.init torch.nn.parameter torch.nn.common_types torch.nn.grad torch.nn.parallel
torch.nn.modules torch.nn.modules.batchnorm torch.nn.modules.conv torch.nn.modules.container torch.nn.modules.loss
torch.nn.modules.module torch.nn.modules.utils torch.nn.utils torch.nn.utils.rnn torch.nn.utils.clip_grad
torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune torch.nn.utils.stateless
torch.nn.attention torch.nn.attention.bias torch.nn.attention.flex_attention torch.nn.attention.varlen
torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.optim.optimizer torch.optim.adam torch.optim.sgd
torch.utils torch.utils.data torch.utils.data.dataloader torch.utils.data.dataset torch.utils.data.distributed
torch.utils.data.sampler torch.utils.data.datapipes.iter torch.utils.data.datapipes.map torch.utils.benchmark
torch.utils.bundled_inputs torch.utils.checkpoint torch.utils.collect_env torch.utils.cpp_extension
torch.utils.dlpack torch.utils.flop_counter torch.utils.hooks torch.utils.mkldnn torch.utils.mobile_optimizer
torch.utils.module_tracker torch.utils.weak
torch.linalg torch.special torch.fft torch.signal.windows
torch.autograd torch.autograd.function torch.autograd.functional torch.autograd.forward_ad torch.autograd.grad_mode
torch.autograd.gradcheck torch.autograd.graph torch.autograd.profiler
torch.func torch.random torch.quasirandom torch.distributions torch.distributions.constraints torch.distributions.kl
torch.distributions.transforms torch.hub torch.library torch.serialization torch.testing torch.overrides
torch.sparse torch.nested torch.masked torch.amp torch.jit torch.compiler torch.futures torch.monitor torch.package
torch.export torch.export.exported_program torch.export.graph_signature torch.export.dynamic_shapes
torch.fx torch.fx.graph torch.fx.graph_module torch.fx.interpreter torch.fx.node torch.fx.proxy torch.fx.subgraph_rewriter
torch.fx.passes.graph_drawer torch.fx.passes.shape_prop torch.fx.passes.split_module torch.onnx
torch.profiler torch.accelerator torch.backends.cpu torch.backends.cuda torch.backends.mkl
torch.backends.mps torch.backends.openmp
torch.cpu torch.cpu.amp torch.cuda torch.cuda.amp torch.cuda.comm torch.cuda.graphs torch.cuda.memory torch.cuda.nccl
torch.cuda.nvtx torch.cuda.profiler torch.cuda.random torch.cuda.streams torch.mps torch.mtia torch.xpu
torch.ao.nn.intrinsic torch.ao.nn.quantized torch.ao.nn.quantized.dynamic.modules torch.ao.nn.quantized.functional
torch.ao.ns.fx.utils torch.ao.pruning torch.ao.quantization torch.ao.quantization.quantize_fx torch.quantization
torch.nn.intrinsic torch.nn.quantized
torch.distributed torch.distributed.algorithms.join torch.distributed.autograd torch.distributed.checkpoint
torch.distributed.checkpoint.state_dict torch.distributed.device_mesh torch.distributed.elastic.multiprocessing.errors
torch.distributed.fsdp torch.distributed.fsdp.wrap torch.distributed.nn.functional torch.distributed.optim
torch.distributed.pipelining torch.distributed.rpc torch.distributed.tensor torch.distributed.tensor.parallel
torch.multiprocessing torch.multiprocessing.reductions torch.multiprocessing.spawn
""".split()


def public(namespace: str) -> list[str]:
    """The names in one namespace, sorted."""
    holder = torch.Tensor if namespace == "torch.Tensor" else importlib.import_module(namespace)
    names = getattr(holder, "__all__", None) or [name for name in dir(holder) if _is_own(holder, name)]
    return sorted({name for name in names if _is_public(name) and hasattr(holder, name)})


#: private modules that public programs import, and modules that are no files
OTHERS = (
    "torch._C torch._dynamo torch._inductor torch._utils torch._subclasses torch.utils._python_dispatch torch.ops torch.classes"
).split()
#: what is for PyTorch's own tests and builds
_INTERNAL = ("torch.testing._internal", "torch.utils.hipify", "torch.utils.benchmark.examples")


def modules() -> list[str]:
    """All modules that have no name beginning with an underscore in their path, sorted: as files, without importing them."""
    root = Path(torch.__file__).parent
    found = {
        ".".join(("torch", *path.relative_to(root).with_suffix("").parts)) for path in root.rglob("*.py")
    }
    names = {name.removesuffix(".__init__") for name in found}
    public = {
        name for name in names if all(map(_is_public, name.split("."))) and not name.startswith(_INTERNAL)
    }
    return sorted((public | {*OTHERS}).difference(NAMESPACES))


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _is_own(holder: object, name: str) -> bool:
    value = getattr(holder, name, None)
    home = getattr(value, "__module__", None)
    return not isinstance(value, ModuleType) and (home is None or str(home).split(".")[0] == "torch")


def text() -> str:
    """One line for each namespace: the namespace, a colon, its names; then one for each other module."""
    named = [f"{namespace}: {' '.join(public(namespace))}\n" for namespace in NAMESPACES]
    return "".join([*named, *(f"{module}:\n" for module in modules())])


if __name__ == "__main__":
    print(text(), end="")
