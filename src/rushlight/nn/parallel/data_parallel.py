"""`nn.DataParallel`, which without accelerators passes everything on to its module."""

from __future__ import annotations

from typing import Any

from rushlight.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


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


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: Any = None,
) -> Any:
    """What the module makes of the inputs; on a CPU there are no devices to share them out to.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.parallel.data_parallel(torch.nn.Identity(), 3)
        3
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*given, **(module_kwargs or {}))
