"""`torch.nn.grad`: the gradients of convolutions, as functions of what comes from above."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight import late
from rushlight.autograd.api import grad
from rushlight.buffer import Tensor
from rushlight.ops.convolution import conv1d, conv2d, conv3d
from rushlight.tape.modes import enable_grad, is_grad_enabled

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _of(
    convolution: Callable, with_respect_to: int, x: Tensor, weight: Tensor, g: Tensor, options: tuple
) -> Tensor:
    """The gradient of the input (0) or the weight (1); recorded if what it is computed from is."""
    place = (x, weight)[with_respect_to]
    recorded = is_grad_enabled() and (g.requires_grad or (weight, x)[with_respect_to].requires_grad)
    with enable_grad():
        y = convolution(x, weight, None, *options)
        return grad(y, place, g, create_graph=recorded)[0]


def _zeros(g: Tensor, shape: Any) -> Tensor:
    return g.detach().new_zeros(tuple(shape)).requires_grad_()


def _pair(name: str, convolution: Callable) -> tuple[Callable, Callable]:
    """The functions for one convolution."""

    def of_input(
        input_size: Any,
        weight: Tensor,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        options = (stride, padding, dilation, groups)
        return _of(convolution, 0, _zeros(grad_output, input_size), weight, grad_output, options)

    def of_weight(
        input: Tensor,
        weight_size: Any,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        options = (stride, padding, dilation, groups)
        return _of(convolution, 1, input, _zeros(grad_output, weight_size), grad_output, options)

    of_input.__doc__ = f"The gradient of the input, of shape `input_size`, of `{name}` with this weight."
    of_weight.__doc__ = f"The gradient of the weight, of shape `weight_size`, of `{name}` of this input."
    for made, what in ((of_input, "input"), (of_weight, "weight")):
        made.__name__ = made.__qualname__ = f"{name}_{what}"
    return of_input, of_weight


conv1d_input, conv1d_weight = _pair("conv1d", conv1d)
conv2d_input, conv2d_weight = _pair("conv2d", conv2d)
conv3d_input, conv3d_weight = _pair("conv3d", conv3d)

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.nn.grad")
