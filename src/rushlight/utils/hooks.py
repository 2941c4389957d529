"""`torch.utils.hooks`: what registering a hook returns."""

from __future__ import annotations

from collections.abc import Callable

from rushlight.autograd.hooks import warn_if_has_hooks
from rushlight.tape.node import RemovableHandle

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]


def unserializable_hook(f: Callable) -> Callable:
    """Mark a hook that need not be saved with its tensor, so that saving does not warn.

    Example:
        >>> import rushlight as torch
        >>> @torch.utils.hooks.unserializable_hook
        ... def double(g):
        ...     return g * 2
    """
    f.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return f
