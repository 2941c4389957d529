"""Pooling layers: windows of (N, C, *) or (C, *) made one value."""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.stateless import NEEDED, Stateless

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


def times(value: Any, count: int) -> tuple:
    """A size for each of `count` dimensions: the number repeated, or the tuple as it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


# ---- largest ----


class _MaxPool(Stateless):
    settings = {
        "kernel_size": NEEDED,
        "stride": None,
        "padding": 0,
        "dilation": 1,
        "return_indices": False,
        "ceil_mode": False,
    }
    shown = "kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation}, ceil_mode={ceil_mode}"

    def prepare(self) -> None:
        self.stride = self.kernel_size if self.stride is None else self.stride


class MaxPool1d(_MaxPool):
    """The largest of each window of (N, C, L)."""

    function = F.max_pool1d


class MaxPool2d(_MaxPool):
    """The largest of each window of (N, C, H, W).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.MaxPool2d(2)(torch.arange(4.0).view(1, 2, 2))
        tensor([[[3.]]])
    """

    function = F.max_pool2d


class MaxPool3d(_MaxPool):
    """The largest of each window of (N, C, D, H, W)."""

    function = F.max_pool3d


class _MaxUnpool(Stateless):
    settings = {"kernel_size": NEEDED, "stride": None, "padding": 0}
    shown = "kernel_size={kernel_size}, stride={stride}, padding={padding}"
    count = 0

    def prepare(self) -> None:
        self.kernel_size = times(self.kernel_size, self.count)
        self.stride = times(self.kernel_size if self.stride is None else self.stride, self.count)
        self.padding = times(self.padding, self.count)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return type(self).function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """Values put back where `MaxPool1d(return_indices=True)` found them, zeros elsewhere."""

    function = F.max_unpool1d
    count = 1


class MaxUnpool2d(_MaxUnpool):
    """Values put back where `MaxPool2d(return_indices=True)` found them, zeros elsewhere."""

    function = F.max_unpool2d
    count = 2


class MaxUnpool3d(_MaxUnpool):
    """Values put back where `MaxPool3d(return_indices=True)` found them, zeros elsewhere."""

    function = F.max_unpool3d
    count = 3


# ---- means ----


class _AvgPool(Stateless):
    settings = {
        "kernel_size": NEEDED,
        "stride": None,
        "padding": 0,
        "ceil_mode": False,
        "count_include_pad": True,
        "divisor_override": None,
    }
    shown = "kernel_size={kernel_size}, stride={stride}, padding={padding}"

    def prepare(self) -> None:
        self.stride = self.kernel_size if self.stride is None else self.stride


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L)."""

    settings = {
        "kernel_size": NEEDED,
        "stride": None,
        "padding": 0,
        "ceil_mode": False,
        "count_include_pad": True,
    }
    function = F.avg_pool1d

    def prepare(self) -> None:
        super().prepare()
        for name in ("kernel_size", "stride", "padding"):
            setattr(self, name, times(getattr(self, name), 1))


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W)."""

    function = F.avg_pool2d


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W)."""

    function = F.avg_pool3d


class _LPPool(Stateless):
    settings = {"norm_type": NEEDED, "kernel_size": NEEDED, "stride": None, "ceil_mode": False}
    shown = "norm_type={norm_type}, kernel_size={kernel_size}, stride={stride}, ceil_mode={ceil_mode}"

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool1d(_LPPool):
    """The p-norm of each window of (N, C, L)."""

    function = F.lp_pool1d


class LPPool2d(_LPPool):
    """The p-norm of each window of (N, C, H, W)."""

    function = F.lp_pool2d


class LPPool3d(_LPPool):
    """The p-norm of each window of (N, C, D, H, W)."""

    function = F.lp_pool3d


# ---- to a given size ----


class _AdaptiveAvgPool(Stateless):
    settings = {"output_size": NEEDED}
    shown = "output_size={output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over as many windows of (N, C, L) as `output_size` says."""

    function = F.adaptive_avg_pool1d


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over as many windows of (N, C, H, W) as `output_size` says; None keeps a dimension."""

    function = F.adaptive_avg_pool2d


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over as many windows of (N, C, D, H, W) as `output_size` says; None keeps a dimension."""

    function = F.adaptive_avg_pool3d


class _AdaptiveMaxPool(Stateless):
    settings = {"output_size": NEEDED, "return_indices": False}
    shown = "output_size={output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of as many windows of (N, C, L) as `output_size` says."""

    function = F.adaptive_max_pool1d


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of as many windows of (N, C, H, W) as `output_size` says."""

    function = F.adaptive_max_pool2d


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of as many windows of (N, C, D, H, W) as `output_size` says."""

    function = F.adaptive_max_pool3d


# ---- windows at random places ----


class _FractionalMaxPool(Module):
    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]
    rank = 0
    function: Any

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name, rank = type(self).__name__, self.rank
        if rank == 3 and min(times(kernel_size, 3)) <= 0:
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.kernel_size = times(kernel_size, rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else times(output_size, rank)
        self.output_ratio = None if output_ratio is None else times(output_ratio, rank)
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        return type(self).function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest of windows of (N, C, H, W) whose steps are drawn at random. arXiv:1412.6071."""

    rank = 2
    function = F.fractional_max_pool2d


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest of windows of (N, C, T, H, W) whose steps are drawn at random. arXiv:1412.6071."""

    rank = 3
    function = F.fractional_max_pool3d
