"""Hooks on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor
from rushlight.tape.node import Nowhere, RemovableHandle, add_hook, edge_of, extra_of, leaf_extra


def register_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call `hook(grad)` whenever this tensor's gradient is computed; what it returns, if not None, takes its place.

    Raises:
        RuntimeError: the tensor does not require grad.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        >>> handle.remove()
    """
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if edge is self:
        return add_hook(leaf_extra(self), "hooks", hook)
    node, number = edge if type(edge) is tuple else (edge, 0)
    extra = extra_of(node)
    if extra.outputs is None:
        extra.outputs = {}
    hooks: dict[int, Any] = extra.outputs.setdefault(number, {})
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_post_accumulate_grad_hook(self: Tensor, hook: Callable) -> RemovableHandle:
    """Call `hook(tensor)` whenever this leaf's `.grad` has been added to.

    Raises:
        RuntimeError: the tensor does not require grad, or is not a leaf.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda t: print(t.grad))
        >>> x.sum().backward()
        tensor([1., 1.])
    """
    edge = edge_of(self)
    if edge is None:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if edge is not self and type(edge) is not Nowhere:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return add_hook(leaf_extra(self), "after", hook)


def warn_if_has_hooks(t: Tensor) -> None:
    """Warn that the tensor's hooks are not saved with it."""
    extra = getattr(t, "_hooks", None)
    if extra is not None and extra.hooks:
        import warnings

        for hook in extra.hooks.values():
            if not hasattr(hook, "__torch_unserializable__"):
                warnings.warn(
                    f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can decorate "
                    "the function with @torch.utils.hooks.unserializable_hook to suppress this warning",
                    stacklevel=4,
                )
