"""The public names of PyTorch, by namespace, as `src/rushlight/torch_names.txt` holds them.

    python tests/torch_names.py > src/rushlight/torch_names.txt

Public is what `__all__` lists; where there is none, what does not begin with an underscore and is PyTorch's own.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

NAMESPACES = """
torch torch.Tensor
torch.nn torch.nn.functional torch.nn.init torch.nn.parameter torch.nn.utils torch.nn.utils.rnn
torch.nn.utils.parametrizations torch.nn.utils.parametrize torch.nn.utils.prune torch.nn.attention
torch.optim torch.optim.lr_scheduler torch.optim.swa_utils torch.utils.data torch.utils.checkpoint
torch.linalg torch.special torch.fft torch.signal.windows
torch.autograd torch.autograd.functional torch.autograd.forward_ad torch.autograd.graph torch.autograd.profiler
torch.func torch.random torch.distributions torch.serialization torch.testing torch.overrides torch.types
torch.sparse torch.nested torch.masked torch.amp torch.jit torch.compiler torch.export torch.profiler
torch.accelerator torch.cpu torch.cuda torch.mps torch.distributed torch.multiprocessing
""".split()


def public(namespace: str) -> list[str]:
    """The names in one namespace, sorted."""
    holder = torch.Tensor if namespace == "torch.Tensor" else importlib.import_module(namespace)
    names = getattr(holder, "__all__", None) or [name for name in dir(holder) if _is_own(holder, name)]
    return sorted({name for name in names if not name.startswith("_") and hasattr(holder, name)})


def _is_own(holder: object, name: str) -> bool:
    value = getattr(holder, name, None)
    home = getattr(value, "__module__", None)
    return not isinstance(value, ModuleType) and (home is None or str(home).split(".")[0] == "torch")


def text() -> str:
    """One line for each namespace: the namespace, a colon, its names."""
    return "".join(f"{namespace}: {' '.join(public(namespace))}\n" for namespace in NAMESPACES)


if __name__ == "__main__":
    print(text(), end="")
