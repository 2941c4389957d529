"""Normalisations that also give the statistics they used, and dropout that gives its mask: `torch.native_layer_norm` and so on.

The statistics carry no gradient, save those of groups.
"""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor
from rushlight.device import channels_last, channels_last_3d
from rushlight.dtypes import bool_
from rushlight.ops import channel_norms, normalisation
from rushlight.ops.creation import empty, ones_like
from rushlight.ops.sampling import bernoulli
from rushlight.ops.spec import public
from rushlight.ops.statistics import var_mean


def _statistics(x: Tensor, dims: Any, keepdim: bool, eps: float) -> tuple[Tensor, Tensor]:
    """The mean, and one over the standard deviation."""
    variance, mean = var_mean(x, dims, correction=0, keepdim=keepdim)
    return mean, (variance + eps).rsqrt()


@public(takes=normalisation.AFFINE | {"normalized_shape": "tuple of ints"})
def native_layer_norm(input, normalized_shape, weight, bias, eps):
    """`(output, mean, 1 / standard deviation)` of :func:`nn.functional.layer_norm`.

    Example:
        >>> import rushlight as torch
        >>> torch.native_layer_norm(torch.tensor([[1., 3.]]), [2], None, None, 0.0)[1:]
        (tensor([[2.]]), tensor([[1.]]))
    """
    out = normalisation.layer_norm(input, normalized_shape, weight, bias, eps)
    dims = tuple(range(-len(normalized_shape), 0))
    return (out, *_statistics(input.detach(), dims, True, eps))


def _broken(condition: str) -> RuntimeError:
    """PyTorch's sentence about a condition that its own callers meet."""
    return RuntimeError(
        f"Expected {condition} to be true, but got false.  (Could this error message be improved?  If so, please report "
        "an enhancement request to PyTorch.)"
    )


@public(takes=normalisation.AFFINE | {"N": "int", "C": "int", "HxW": "int", "group": "int"})
def native_group_norm(input, weight, bias, N, C, HxW, group, eps):
    """`(output, mean, 1 / standard deviation)` of :func:`nn.functional.group_norm`, the statistics of (N, group).

    Args:
        N, C, HxW: the input's first two dimensions, and the product of the others.

    Raises:
        RuntimeError: an input of another size, or one that is not contiguous, in rows or with its channels last.
    """
    if input._a.size != N * C * HxW:
        raise _broken("X.numel() == N * C * HxW")
    forms = {4: channels_last, 5: channels_last_3d}
    last = input._a.ndim in forms and input.is_contiguous(memory_format=forms[input._a.ndim])
    if not last and not input.is_contiguous():
        raise _broken("X.is_contiguous(memory_format)")
    out = channel_norms.group_norm(input, group, weight, bias, eps)
    return (out, *_statistics(input.reshape(N, group, C // group * HxW), -1, False, eps))


@public(takes=channel_norms.RUNNING | {"training": "bool"})
def native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps):
    """`(output, mean, 1 / standard deviation)` of :func:`nn.functional.batch_norm`; the statistics are empty unless `training`."""
    out = channel_norms.over_batch(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return out, empty(0, dtype=input._dtype), empty(0, dtype=input._dtype)
    dims = [d for d in range(input._a.ndim) if d != 1]
    return (out, *_statistics(input.detach(), dims, False, eps))


@public(out=False)
def native_dropout(input, p, train):
    """`(output, mask)`: elements are set to 0 with probability `p`, and the others scaled up; the mask says which stay.

    Example:
        >>> import rushlight as torch
        >>> torch.native_dropout(torch.ones(2), 0.5, False)[1]
        tensor([True, True])
    """
    if not train or p == 0:
        return input.clone(), ones_like(input, dtype=bool_)
    if p == 1:
        return input * 0, ones_like(input, dtype=bool_).logical_not()
    mask = bernoulli(ones_like(input.detach()) * (1 - p)).to(bool_)
    return input * mask * (1 / (1 - p)), mask


__all__ = ["native_batch_norm", "native_dropout", "native_group_norm", "native_layer_norm"]
