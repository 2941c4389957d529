"""`skip_init`: a module without its initial values."""

from __future__ import annotations

import inspect
from typing import Any

from rushlight.nn.modules.module import Module
from rushlight.random import get_rng_state, set_rng_state

__all__ = ["skip_init"]


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """A module of this class whose parameters hold any values; no random number is drawn.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.utils.skip_init(torch.nn.Linear, 2, 3)
        Linear(in_features=2, out_features=3, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    state = get_rng_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        set_rng_state(state)
