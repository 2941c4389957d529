"""`torch.__future__`: what converting a module does to its parameters, where programs may choose."""

from __future__ import annotations

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]

_CHOSEN = {"overwrite": False, "swap": False}


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Whether `module.to(...)` and its like give a module new parameters, instead of new data to those it has.

    Example:
        >>> import rushlight as torch
        >>> module = torch.nn.Linear(2, 2)
        >>> weight = module.weight
        >>> torch.__future__.set_overwrite_module_params_on_conversion(True)
        >>> module.double().weight is weight
        False
        >>> torch.__future__.set_overwrite_module_params_on_conversion(False)
    """
    _CHOSEN["overwrite"] = value


def get_overwrite_module_params_on_conversion() -> bool:
    """What `set_overwrite_module_params_on_conversion` said last; at first False."""
    return _CHOSEN["overwrite"]


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Whether parameters that are converted are exchanged with new ones, their identity kept: here they always keep it.

    Example:
        >>> import rushlight as torch
        >>> torch.__future__.set_swap_module_params_on_conversion(True)
        >>> torch.__future__.get_swap_module_params_on_conversion()
        True
        >>> torch.__future__.set_swap_module_params_on_conversion(False)
    """
    _CHOSEN["swap"] = value


def get_swap_module_params_on_conversion() -> bool:
    """What `set_swap_module_params_on_conversion` said last; at first False."""
    return _CHOSEN["swap"]
