"""What PyTorch has and Rushlight lacks: its names, and the error that says so.

Programs ask for names that may be missing: `hasattr(torch, "compile")`, `getattr(torch, "xpu", None)`. So the error is
an AttributeError; it is a NotImplementedError, too, where PyTorch has the name. A name that PyTorch lacks as well is a
plain AttributeError, in Python's words.
"""

from __future__ import annotations

import functools
import sys
from typing import Any


@functools.cache
def torch_names() -> dict[str, tuple[str, ...]]:
    """Namespace -> its public names, in PyTorch 2.13."""
    from pathlib import Path

    text = Path(__file__).with_name("torch_names.txt").read_text(encoding="utf-8")
    lines = (line.partition(": ") for line in text.splitlines())
    return {namespace: tuple(names.split()) for namespace, _, names in lines}


def is_torch_name(namespace: str, name: str) -> bool:
    """Whether PyTorch has `name`, a public name or a module of names, in `namespace`."""
    whole = f"{namespace}.{name}"
    known = torch_names()
    return name in known.get(namespace, ()) or any(f"{n}.".startswith(f"{whole}.") for n in known)


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
        near = _nearest(namespace, name)
        hint = f"; the nearest it has {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""
        return f"{told}: Rushlight does not have {namespace}.{name} yet{hint}"


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


#: where a name may be that was looked for elsewhere
_ELSEWHERE = ("torch", "torch.Tensor", "torch.nn.functional", "torch.linalg", "torch.special", "torch.nn")


def _nearest(namespace: str, name: str) -> list[str]:
    """The same name in other namespaces, else those most alike in this one; none where none is near."""
    import difflib

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
