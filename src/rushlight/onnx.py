"""`torch.onnx`, as far as models ask whether they are being exported: they are not. Exporting is missing, and says so."""

from __future__ import annotations

from rushlight import late

__all__ = ["is_in_onnx_export"]


def is_in_onnx_export() -> bool:
    """Whether the program is being exported: never.

    Example:
        >>> import rushlight as torch
        >>> torch.onnx.is_in_onnx_export()
        False
    """
    return False


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.onnx")
