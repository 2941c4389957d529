"""`torch.onnx`, as far as models ask whether they are being exported: they are not. Exporting is missing, and says so."""

from __future__ import annotations

import re
from collections.abc import Callable

from rushlight import late

__all__ = ["is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic"]


def is_in_onnx_export() -> bool:
    """Whether the program is being exported: never.

    Example:
        >>> import rushlight as torch
        >>> torch.onnx.is_in_onnx_export()
        False
    """
    return False


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Callable, opset_version: int) -> None:
    """Say how an operation of the program's own would be exported: nothing is.

    Raises:
        ValueError: the name is not "domain::operation".

    Example:
        >>> import rushlight as torch
        >>> torch.onnx.register_custom_op_symbolic("mine::half", lambda g, x: x, 11)
    """
    if not re.fullmatch(r"[a-zA-Z0-9-_]+::[a-zA-Z-_]+[a-zA-Z0-9-_]*", symbolic_name):
        raise ValueError(
            f"Failed to register operator {symbolic_name}. The symbolic name must match the format domain::name, and "
            "should start with a letter and contain only alphanumerical characters"
        )


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Take it back."""


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.onnx")
