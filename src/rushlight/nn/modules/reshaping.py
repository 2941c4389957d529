"""Layers that move elements: flattening, pixel shuffling, folding."""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.stateless import NEEDED, Stateless

__all__ = ["ChannelShuffle", "Flatten", "Fold", "PixelShuffle", "PixelUnshuffle", "Unflatten", "Unfold"]


class Flatten(Stateless):
    """The dimensions from `start_dim` to `end_dim` made one; by default all but the first.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Flatten()(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 12])
    """

    settings = {"start_dim": 1, "end_dim": -1}
    shown = "start_dim={start_dim}, end_dim={end_dim}"

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Stateless):
    """One dimension made several.

    Raises:
        TypeError: `unflattened_size` is no tuple of ints.
    """

    settings = {"dim": NEEDED, "unflattened_size": NEEDED}
    shown = "dim={dim}, unflattened_size={unflattened_size}"

    def prepare(self) -> None:
        size: Any = self.unflattened_size
        if isinstance(self.dim, str):
            raise NotImplementedError("Unflatten: Rushlight has no named dimensions; give dim as an int")
        if not isinstance(size, (tuple, list)):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found type {type(size).__name__}")
        for at, one in enumerate(size):
            if not isinstance(one, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(one).__name__} at pos {at}"
                )

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)


class PixelShuffle(Stateless):
    """(*, C r**2, H, W) to (*, C, H r, W r). arXiv:1609.05158."""

    settings = {"upscale_factor": NEEDED}
    function = F.pixel_shuffle
    shown = "upscale_factor={upscale_factor}"


class PixelUnshuffle(Stateless):
    """(*, C, H r, W r) to (*, C r**2, H, W)."""

    settings = {"downscale_factor": NEEDED}
    function = F.pixel_unshuffle
    shown = "downscale_factor={downscale_factor}"


class ChannelShuffle(Stateless):
    """The channels of (N, C, *), dealt out over `groups`."""

    settings = {"groups": NEEDED}
    function = F.channel_shuffle
    shown = "groups={groups}"


class Unfold(Stateless):
    """The windows of (N, C, H, W) as columns: (N, C * window, count)."""

    settings = {"kernel_size": NEEDED, "dilation": 1, "padding": 0, "stride": 1}
    function = F.unfold
    shown = "kernel_size={kernel_size}, dilation={dilation}, padding={padding}, stride={stride}"


class Fold(Stateless):
    """The sum of windows that overlap: what `Unfold` took apart."""

    settings = {"output_size": NEEDED, "kernel_size": NEEDED, "dilation": 1, "padding": 0, "stride": 1}
    function = F.fold
    shown = (
        "output_size={output_size}, kernel_size={kernel_size}, dilation={dilation}, padding={padding}, "
        "stride={stride}"
    )
