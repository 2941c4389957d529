"""The order of dimensions in the memory of convolutions' weights."""

from __future__ import annotations

from typing import Any

from rushlight.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from rushlight.nn.modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]


def _convert(module: Module, memory_format: Any, kinds: tuple[type[Module], ...]) -> Module:
    for part in module.modules():
        if isinstance(part, kinds):
            weight: Any = part.weight
            weight.data = weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Lay out the weights of all `Conv2d` and `ConvTranspose2d` within so; returns the module.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.Conv2d(2, 3, 2)
        >>> torch.nn.utils.convert_conv2d_weight_memory_format(layer, torch.channels_last).weight.stride()
        (8, 1, 4, 2)
    """
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Lay out the weights of all `Conv3d` and `ConvTranspose3d` within so; returns the module."""
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
