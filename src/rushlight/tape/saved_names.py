"""What a node kept for backward, under PyTorch's names: `node._saved_self`, `node._saved_result`, `node._saved_dim`.

Programs that draw graphs read them; `node._raw_saved_self.register_hooks(pack, unpack)` has one of them kept in another form from
then on. PyTorch names an operation's tensors in the order of its arguments, `self` first; what they
are called is said here where it is not `self` and `other`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.tape.saving import Packed, packed, with_edge

_USUAL = ("self", "other")
_NAMES = {
    "PowBackward0": ("self",),
    "PowBackward1": ("self", "exponent"),
    "PowBackward2": ("exponent",),
    "MmBackward0": ("self", "mat2"),
    "BmmBackward0": ("self", "mat2"),
    "MvBackward0": ("self", "vec"),
    "DotBackward0": ("self", "tensor"),
    "AddmmBackward0": ("self", "mat1", "mat2"),
    "AddcmulBackward0": ("self", "tensor1", "tensor2"),
    "AddcdivBackward0": ("self", "tensor1", "tensor2"),
    "BaddbmmBackward0": ("self", "batch1", "batch2"),
    "GatherBackward0": ("self", "index"),
    "LinalgDetBackward0": ("A",),
    "MseLossBackward0": ("self", "target"),
    "SmoothL1LossBackward0": ("self", "target"),
    "NativeBatchNormBackward0": ("input", "weight"),
    "NativeGroupNormBackward0": ("input", "weight"),
    "NativeLayerNormBackward0": ("input", "weight"),
    "WhereBackward0": ("condition", "self", "other"),
    "ConvolutionBackward0": ("input", "weight", "bias"),
}

_PREFIX = "_saved_"
_RAW = "_raw_saved_"


def tensors(node: Any) -> dict[str, tuple[Any, int]]:
    """PyTorch's name of each tensor that was kept -> how the node finds it."""
    plan, derivative = node.plan, node.derivative
    found: dict[str, tuple[Any, int]] = {}
    if derivative.variadic:
        if plan.keep:
            found[derivative.variadic] = type(node).all_inputs, 0
    else:
        names = _NAMES.get(type(node).__name__, _USUAL)
        for where, at in enumerate(plan.keep):
            name = names[at] if at < len(names) else derivative.inputs[at]
            found[name] = type(node).input, where
    if plan.keep_out:
        found["result"] = type(node).output, 0
    return found


def listed(node: Any) -> list[str]:
    """The names of what is kept: tensors, and other arguments."""
    return [_PREFIX + name for name in (*tensors(node), *(node.attrs or ()))]


def find(node: Any, name: str) -> Any:
    """What is kept under a name.

    Raises:
        AttributeError: nothing is.
        RuntimeError: it has been freed, or overwritten.
    """
    if name.startswith(_RAW) and name.removeprefix(_RAW) in tensors(node):
        return SavedTensor(node, *tensors(node)[name.removeprefix(_RAW)])
    if name.startswith(_PREFIX):
        own = name.removeprefix(_PREFIX)
        kept = tensors(node)
        if own in kept:
            get, where = kept[own]
            return get(node, where)
        if node.attrs and own in node.attrs:
            return node.attrs[own]
        if own in (*_NAMES.get(type(node).__name__, _USUAL), "result"):
            return None  # PyTorch has it, and so little needs a gradient that it was not kept
    raise AttributeError(f"{type(node).__name__!r} object has no attribute {name!r}", name=name, obj=node)


class SavedTensor:
    """A tensor that a node keeps: what `get(node, where)` finds."""

    def __init__(self, node: Any, get: Callable, where: int) -> None:
        self._node, self._get, self._where = node, get, where

    def register_hooks(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        """Keep what `pack_hook` makes of the tensor, from which `unpack_hook` makes it again for backward.

        Raises:
            RuntimeError: it has hooks already, or is freed.
        """
        node, where, of_output = self._node, self._where, self._get is type(self._node).output
        self._get(node, where)
        kept = node.out if of_output else node.saved
        held = kept[where][0] if of_output else kept[where]
        if type(held) is Packed:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of "
                "hooks is allowed at a time."
            )
        hooks = pack_hook, unpack_hook
        if of_output:
            array, dtype, buffer, version = kept[where]
            made = packed(with_edge(array, dtype, buffer, None), hooks), dtype, buffer, version
            node.out = (*kept[:where], made, *kept[where + 1 :])
        elif held is not None:
            node.saved = [packed(t, hooks) if at == where else t for at, t in enumerate(kept)]
