"""What PyTorch has and Rushlight lacks: its names, and the error that says so.

Programs ask for names that may be missing: `hasattr(torch, "compile")`, `getattr(torch, "xpu", None)`. So the error is
an AttributeError; it is a NotImplementedError, too, where PyTorch has the name. A name that PyTorch lacks as well is a
plain AttributeError, in Python's words. With modules it is the same: `try: import torch.fx` with `except ImportError` asks
for one that may be missing, so the error is a ModuleNotFoundError and a NotImplementedError.
"""

from __future__ import annotations

import functools
import sys
from typing import Any


@functools.cache
def torch_names() -> dict[str, tuple[str, ...]]:
    """Namespace -> its public names, in PyTorch 2.13; of the modules that PyTorch does not describe, no names."""
    from pathlib import Path

    text = Path(__file__).with_name("torch_names.txt").read_text(encoding="utf-8")
    lines = (line.partition(":") for line in text.splitlines())
    return {namespace: tuple(names.split()) for namespace, _, names in lines}


def is_torch_name(namespace: str, name: str) -> bool:
    """Whether PyTorch has `name`, a public name or a module of names, in `namespace`."""
    whole = f"{namespace}.{name}"
    known = torch_names()
    return name in known.get(namespace, ()) or any(f"{n}.".startswith(f"{whole}.") for n in known)


def is_torch_module(name: str) -> bool:
    """Whether PyTorch has a module of this name, or of names that begin with it and a dot."""
    return name != "torch.Tensor" and any(f"{known}.".startswith(f"{name}.") for known in torch_names())


class MissingName(AttributeError, NotImplementedError):
    """A name of PyTorch's that is not here; its message names the nearest that is.

    Example:
        >>> import rushlight as torch
        >>> try:
        ...     torch.hspmm
        ... except NotImplementedError as error:
        ...     print(error)
        module 'rushlight' has no attribute 'hspmm': Rushlight does not have torch.hspmm yet; the nearest it has is torch.spmm
    """

    def __init__(self, told: str, namespace: str, name: str) -> None:
        super().__init__(told, namespace, name)
        self.name = name

    def __str__(self) -> str:  # made when it is read: most are caught by `hasattr`
        told, namespace, name = self.args
        return f"{told}: {not_here(f'{namespace}.{name}')}"


class MissingModule(ModuleNotFoundError, NotImplementedError):
    """A module of PyTorch's that is not here; its message names what serves instead.

    Example:
        >>> from rushlight.absent import find_module
        >>> try:
        ...     find_module("rushlight.package")
        ... except ImportError as error:
        ...     print(error)
        No module named 'rushlight.package': Rushlight does not have torch.package yet; the nearest it has is torch.save and torch.load
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing_module, (self.name, self.msg)


def _missing_module(name: str, message: str) -> MissingModule:
    return MissingModule(message, name=name)


def find_module(name: str) -> None:
    """Raise MissingModule for a module of PyTorch's under its own name or under Rushlight's; asked where nothing else has found it."""
    torch_name = "torch" + name.removeprefix("rushlight").removeprefix("torch")
    if is_torch_module(torch_name):
        raise _missing_module(name, f"No module named {name!r}: {not_here(torch_name)}")


class LastFinder:
    """What the import system asks for modules that nobody has: `import rushlight.package` is told what `import torch.package` would be."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Raises MissingModule for a module of PyTorch's; finds none."""
        if name.startswith("rushlight."):
            find_module(name)


def not_here(torch_name: str) -> str:
    """That something of PyTorch's is missing, and what is nearest.

    Example:
        >>> from rushlight.absent import not_here
        >>> not_here("torch.sparse_csr_tensor")
        'Rushlight does not have torch.sparse_csr_tensor yet; the nearest it has is torch.sparse_coo_tensor'
    """
    namespace, _, name = torch_name.rpartition(".")
    near = _nearest(namespace, name)
    hint = f"; the nearest it has {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""
    return f"Rushlight does not have {torch_name} yet{hint}"


def missing(told: str, namespace: str, name: str) -> AttributeError:
    """The error for a name that is not in a namespace of PyTorch's; `told` is how Python would say it."""
    if not name.startswith("_") and is_torch_name(namespace, name):
        return MissingName(told, namespace, name)
    return AttributeError(told, name=name)


def of_module(module: str, name: str, torch_name: str = "") -> AttributeError:
    """The error for a name missing in a module of Rushlight's, which PyTorch calls `torch_name`."""
    namespace = torch_name or "torch" + module.removeprefix("rushlight")
    return missing(f"module {torch_name or module!r} has no attribute {name!r}", namespace, name)


class MissingMethod:
    """Stands in a class for a name that PyTorch's has: a `__getattr__` would slow every other attribute down."""

    def __init__(self, namespace: str, owner: str, name: str) -> None:
        self.facts = namespace, owner, name

    def __get__(self, instance: Any, kind: type) -> Any:
        namespace, owner, name = self.facts
        which = f"type object {owner!r}" if instance is None else f"{owner!r} object"
        raise MissingName(f"{which} has no attribute {name!r}", namespace, name)


#: what serves instead of all that begins so; the longest beginning counts
INSTEAD = {
    "torch.Tensor.to_mkldnn": "the tensor as it is: large computations are compiled anyway",
    "torch.Tensor.to_padded_tensor": "torch.nn.utils.rnn.pad_sequence",
    "torch.Tensor.to_sparse_": "torch.Tensor.to_sparse",
    "torch.ao": "torch.autocast, which computes products in bfloat16",
    "torch.backends": "torch.backends.cpu",
    "torch.compiler": "torch.compile",
    "torch.cuda": "the CPU: torch.cuda.is_available() is False",
    "torch.distributed": "groups of one process, and torch.multiprocessing for processes of one machine",
    "torch.distributed.checkpoint": "torch.save",
    "torch.distributed.fsdp": "torch.nn.parallel.DistributedDataParallel",
    "torch.export": "torch.save of the model's state_dict()",
    "torch.float4": "torch.float16",
    "torch.float8": "torch.float16",
    "torch.fx": "torch.func, for functions made of functions, and rushlight.explain, which shows what a tensor is computed of",
    "torch.jit.save": "torch.save of the module's state_dict()",
    "torch.jit.load": "torch.load",
    "torch.library": "torch.autograd.Function",
    "torch.masked.MaskedTensor": "torch.masked.sum and its kin, which take a mask, and torch.where",
    "torch.masked.maskedtensor": "torch.masked.sum and its kin, which take a mask, and torch.where",
    "torch.monitor": "torch.profiler",
    "torch.mps": "the CPU: torch.mps.is_available() is False",
    "torch.mtia": "the CPU",
    "torch.nested": "torch.nn.utils.rnn.pad_sequence and torch.nn.utils.rnn.pack_padded_sequence",
    "torch.nn.attention": "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.intrinsic": "torch.nn.utils.fuse_conv_bn_eval",
    "torch.nn.qat": "torch.autocast, which computes products in bfloat16",
    "torch.nn.quantizable": "torch.autocast, which computes products in bfloat16",
    "torch.nn.quantized": "torch.autocast, which computes products in bfloat16",
    "torch.onnx": "torch.save of the model's state_dict()",
    "torch.ops": "the functions of torch and torch.nn.functional",
    "torch.package": "torch.save and torch.load",
    "torch.q": "torch.autocast, which computes products in bfloat16",
    "torch.quantization": "torch.autocast, which computes products in bfloat16",
    "torch.quantize": "torch.autocast, which computes products in bfloat16",
    "torch.sparse": "torch.sparse_coo_tensor",
    "torch.utils._python_dispatch": "classes derived from torch.Tensor with __torch_function__",
    "torch.utils.bundled_inputs": "torch.save",
    "torch.utils.collect_env": "the command `rushlight info`",
    "torch.utils.cpp_extension": "torch.autograd.Function, whose code may call compiled functions on Tensor.numpy()",
    "torch.utils.data.datapipes": "torch.utils.data.IterableDataset",
    "torch.utils.flop_counter": "torch.profiler.profile",
    "torch.utils.mkldnn": "torch.compile",
    "torch.utils.mobile_optimizer": "torch.compile",
    "torch.xpu": "the CPU: torch.xpu.is_available() is False",
}

#: where a name may be that was looked for elsewhere
_ELSEWHERE = ("torch", "torch.Tensor", "torch.nn.functional", "torch.linalg", "torch.special", "torch.nn")


def _nearest(namespace: str, name: str) -> list[str]:
    """What is known to serve instead, else the same name in other namespaces, else those most alike in this one; none where none is near."""
    import difflib

    known = [begin for begin in INSTEAD if f"{namespace}.{name}".startswith(begin)]
    if known:
        return [INSTEAD[max(known, key=len)]]
    same = [f"{other}.{name}" for other in _ELSEWHERE if other != namespace and name in _present(other)]
    if same:
        return same
    here = [known for known in _present(namespace) if known[0].isupper() == name[0].isupper()]
    alike = difflib.get_close_matches(name, here, 2, _NEAR) or _ending(name, here)
    return [f"{namespace}.{near}" for near in alike]


#: how alike two names must be; short ones have most letters in common too easily
_NEAR = 0.82


def _ending(name: str, here: list[str]) -> list[str]:
    """The longest name that this one ends with: what `hspmm` and `cudnn_batch_norm` are kinds of."""
    ends = [known for known in here if len(known) > 1 and name.endswith(known) and _is_word(name, known)]
    return [max(ends, key=len)] if ends else []


def _is_word(name: str, end: str) -> bool:
    """Whether a name's end is a word of its own: set off by an underscore, or a kind of product."""
    return name[: -len(end)].endswith("_") or end.endswith("mm")


def _present(namespace: str) -> list[str]:
    """What is here of the names of a namespace that is loaded."""
    if namespace == "torch.Tensor":
        holder: Any = sys.modules["rushlight"].Tensor
    else:
        holder = sys.modules.get("rushlight" + namespace.removeprefix("torch"))
    here = set(dir(holder)) if holder is not None else set()
    return [name for name in torch_names().get(namespace, ()) if name in here and hasattr(holder, name)]
