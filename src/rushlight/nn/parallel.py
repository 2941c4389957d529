"""`nn.DataParallel`, which without accelerators passes everything on to its module."""

from __future__ import annotations

from typing import Any

from rushlight.nn.modules.module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """The module `module`; on a CPU there are no devices to share its batches out to.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.DataParallel(torch.nn.Identity())(3)
        3
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
