"""Batch norm in evaluation, worked into the weights of the layer before it."""

from __future__ import annotations

import copy
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _check_eval(*modules: Module) -> None:
    if any(m.training for m in modules):
        raise AssertionError("Fusion only for eval!")


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A copy of `conv` that does what `conv` followed by `bn` does in evaluation.

    Example:
        >>> import rushlight as torch
        >>> conv, bn = torch.nn.Conv2d(1, 2, 3).eval(), torch.nn.BatchNorm2d(2).eval()
        >>> x = torch.ones(1, 1, 4, 4)
        >>> torch.allclose(torch.nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
        True
    """
    _check_eval(conv, bn)
    _check_statistics(bn)
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def _check_statistics(bn: Any) -> None:
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Any,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused convolution; `transpose` for a transposed one."""
    bias = rushlight.zeros_like(bn_rm) if conv_b is None else conv_b
    scale = rushlight.rsqrt(bn_rv + bn_eps)
    gain = scale if bn_w is None else bn_w * scale
    shape = [1, -1] if transpose else [-1, 1]
    weight = (conv_w * gain.reshape(shape + [1] * (conv_w.dim() - 2))).to(conv_w.dtype)
    shift = (bias - bn_rm) * scale
    shift = shift if bn_w is None else shift * bn_w
    shift = shift if bn_b is None else shift + bn_b
    kind = conv_w.dtype if conv_b is None else conv_b.dtype
    return Parameter(weight, conv_w.requires_grad), Parameter(shift.to(kind), bias.requires_grad)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A copy of `linear` that does what `linear` followed by `bn` does in evaluation."""
    _check_eval(linear, bn)
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features="
            f"{linear.out_features} and bn.num_features={bn.num_features}"
        )
    _check_statistics(bn)
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Any, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor, bn_b: Tensor
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the fused linear layer."""
    bias = rushlight.zeros_like(bn_rm) if linear_b is None else linear_b
    scale = bn_w * rushlight.rsqrt(bn_rv + bn_eps)
    kind = linear_w.dtype if linear_b is None else linear_b.dtype
    weight = linear_w * scale.unsqueeze(-1).to(linear_w.dtype)
    shift = ((bias - bn_rm) * scale + bn_b).to(kind)
    return Parameter(weight, linear_w.requires_grad), Parameter(shift, bias.requires_grad)
