"""Convolution layers, and those that go the other way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.lazy import LazyModuleMixin
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.pooling import times
from rushlight.nn.parameter import Parameter, UninitializedParameter

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all share. A subclass says how many dimensions are convolved (`count`) and by what (`function`)."""

    count: ClassVar[int]
    function: ClassVar[Callable]
    transposed = False
    weight: Any
    bias: Any

    def _configure(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        Module.__init__(self)
        _check(in_channels, out_channels, groups, stride, padding, padding_mode)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.dilation, self.output_padding = (
            times(value, self.count) for value in (kernel_size, stride, dilation, output_padding)
        )
        if not isinstance(padding, str):
            padding = times(padding, self.count)
        elif any(step != 1 for step in self.stride) and padding == "same":
            raise ValueError("padding='same' is not supported for strided convolutions")
        self.padding, self.groups, self.padding_mode = padding, groups, padding_mode
        self._reversed_padding_repeated_twice = self._edges()
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(rushlight.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(rushlight.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _edges(self) -> list[int]:
        """The padding as `F.pad` takes it: before and after, last dimension first."""
        if self.padding == "valid":
            return [0] * (2 * self.count)
        if self.padding == "same":
            widths = [reach * (size - 1) for reach, size in zip(self.dilation, self.kernel_size)]
            return [side for width in reversed(widths) for side in (width // 2, width - width // 2)]
        return [width for width in reversed(self.padding) for _ in range(2)]

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniform in +-1/sqrt(fan in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        ]
        if self.padding != (0,) * self.count:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * self.count:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * self.count:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _check(in_channels: int, out_channels: int, groups: int, stride: Any, padding: Any, mode: str) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str) and padding not in ("valid", "same"):
        raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
    if mode not in _MODES:
        raise ValueError(f"padding_mode must be one of {set(_MODES)}, but got padding_mode={mode!r}")


# ---- convolution ----


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self._configure(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, self.padding_mode)
            padding = (0,) * self.count
        return type(self).function(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Conv):
    """Learned filters slid over (N, C, L) or (C, L)."""

    count, function = 1, F.conv1d


class Conv2d(_Conv):
    """Learned filters slid over (N, C, H, W) or (C, H, W).

    Raises:
        ValueError: channels that `groups` does not divide; an unknown padding.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Conv2d(3, 8, kernel_size=3, padding=1)(torch.ones(1, 3, 5, 5)).shape
        torch.Size([1, 8, 5, 5])
    """

    count, function = 2, F.conv2d


class Conv3d(_Conv):
    """Learned filters slid over (N, C, D, H, W) or (C, D, H, W)."""

    count, function = 3, F.conv3d


# ---- transposed ----


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._configure(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, tuple(output_size))
        return type(self).function(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The output padding that gives the wanted size; ValueError if there is none."""
        count, rank = self.count, input.dim()
        lead = rank - count
        if len(wanted) == lead + count:
            wanted = wanted[lead:]
        if len(wanted) != count:
            raise ValueError(
                f"ConvTranspose{count}D: for {rank}D input, output_size must have {count} or {lead + count} elements "
                f"(got {len(wanted)})"
            )
        least = [
            (size - 1) * step - 2 * pad + reach * (kernel - 1) + 1
            for size, step, pad, reach, kernel in zip(
                input.shape[lead:], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        most = [low + step - 1 for low, step in zip(least, self.stride)]
        if any(not low <= size <= high for low, size, high in zip(least, wanted, most)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {least} to {most} "
                f"(for an input of {input.shape[lead:]})"
            )
        return tuple(size - low for size, low in zip(wanted, least))


class ConvTranspose1d(_ConvTranspose):
    """The derivative of `Conv1d` with respect to its input, as a layer."""

    count, function = 1, F.conv_transpose1d


class ConvTranspose2d(_ConvTranspose):
    """The derivative of `Conv2d` with respect to its input, as a layer.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.ConvTranspose2d(1, 1, 2, stride=2)(torch.ones(1, 1, 3, 3)).shape
        torch.Size([1, 1, 6, 6])
    """

    count, function = 2, F.conv_transpose2d


class ConvTranspose3d(_ConvTranspose):
    """The derivative of `Conv3d` with respect to its input, as a layer."""

    count, function = 3, F.conv_transpose3d


# ---- lazy ----


class _LazyConvolution(LazyModuleMixin):
    """`in_channels` is the number of channels of the first input."""

    def __init__(self, out_channels: int, kernel_size: Any, *args: Any, **kwargs: Any) -> None:
        names = self.arguments
        given = dict(zip(names, args)) | kwargs
        device, dtype, bias = given.get("device"), given.get("dtype"), given.get("bias", True)
        super().__init__(0, 0, kernel_size, **{**given, "bias": False})
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, once they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Give the parameters the shapes that fit `input`."""
        if not self.has_uninitialized_params():
            return
        rank, count = input.dim(), self.count
        if rank not in (count + 1, count + 2):
            raise RuntimeError(
                f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {type(self).__name__}, but got "
                f"input of size: {input.shape}"
            )
        self.in_channels = input.shape[rank - count - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        first, second = self.out_channels, self.in_channels
        if self.transposed:
            first, second = second, first
        self.weight.materialize((first, second // self.groups, *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


_CONV = ("stride", "padding", "dilation", "groups", "bias", "padding_mode", "device", "dtype")
_TRANSPOSE = (
    "stride",
    "padding",
    "output_padding",
    "groups",
    "bias",
    "dilation",
    "padding_mode",
    "device",
    "dtype",
)


class LazyConv1d(_LazyConvolution, Conv1d):
    """A `Conv1d` that counts the channels of its first input."""

    cls_to_become, arguments = Conv1d, _CONV


class LazyConv2d(_LazyConvolution, Conv2d):
    """A `Conv2d` that counts the channels of its first input."""

    cls_to_become, arguments = Conv2d, _CONV


class LazyConv3d(_LazyConvolution, Conv3d):
    """A `Conv3d` that counts the channels of its first input."""

    cls_to_become, arguments = Conv3d, _CONV


class LazyConvTranspose1d(_LazyConvolution, ConvTranspose1d):
    """A `ConvTranspose1d` that counts the channels of its first input."""

    cls_to_become, arguments = ConvTranspose1d, _TRANSPOSE


class LazyConvTranspose2d(_LazyConvolution, ConvTranspose2d):
    """A `ConvTranspose2d` that counts the channels of its first input."""

    cls_to_become, arguments = ConvTranspose2d, _TRANSPOSE


class LazyConvTranspose3d(_LazyConvolution, ConvTranspose3d):
    """A `ConvTranspose3d` that counts the channels of its first input."""

    cls_to_become, arguments = ConvTranspose3d, _TRANSPOSE
