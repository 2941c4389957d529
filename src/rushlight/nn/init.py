"""`torch.nn.init`: filling parameters with their first values.

Every function writes into its tensor, outside the tape, and returns it. Random ones draw from the generator exactly
as PyTorch's do, so that a seed gives the same network.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import rushlight
from rushlight import late
from rushlight.buffer import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = frozenset(
    "linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d sigmoid".split()
)


def calculate_gain(nonlinearity: str, param: Any = None) -> float:
    """The factor on the standard deviation that keeps activations' size through a nonlinearity.

    Raises:
        ValueError: a nonlinearity that is not known, or a slope that is no number.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.init.calculate_gain("tanh")
        1.6666666666666667
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


# ---- one distribution ----


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers in [a, b)."""
    with rushlight.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers."""
    with rushlight.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal numbers between a and b: those outside are drawn again, all places together, until none is left.

    Where less than 0.3 of the normal numbers would fit, uniform ones are drawn, and kept with a probability in
    proportion to the normal density. Robert, 1995, arXiv:0907.4010.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = (a - mean) / std, (b - mean) / std
    share = (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0))) / 2

    def normal(t: Tensor) -> Tensor:
        t.normal_(mean, std, generator=generator)
        return (t >= a) & (t <= b)

    def uniform(t: Tensor) -> Tensor:
        t.uniform_(a, b, generator=generator)
        densest = max(low, min(0.0, high))
        chance = ((densest**2 - ((t - mean) / std) ** 2) / 2).exp()
        return rushlight.empty_like(t).uniform_(generator=generator) <= chance

    with rushlight.no_grad():
        draw = normal if share > 0.3 else uniform
        wanting = ~draw(tensor)
        while wanting.any():
            again = rushlight.empty_like(tensor)
            fits = wanting & draw(again)
            tensor.copy_(rushlight.where(fits, again, tensor))
            wanting &= ~fits
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    with rushlight.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    with rushlight.no_grad():
        return tensor.zero_()


# ---- identities ----


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; ValueError unless there are two dimensions."""
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with rushlight.no_grad():
        return tensor.copy_(rushlight.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weights that hand on as many channels as there are, in each group."""
    if tensor.ndimension() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out, channels, *window = tensor.size()
    if out % groups:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = out // groups
    centre = tuple(size // 2 for size in window)
    with rushlight.no_grad():
        tensor.zero_()
        for group in range(groups):
            for channel in range(min(per_group, channels)):
                tensor[(group * per_group + channel, channel, *centre)] = 1
    return tensor


# ---- by fan ----


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    out, channels, *window = tensor.shape
    area = math.prod(window)
    return channels * area, out * area


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform, of variance 2 / (fan in + fan out). Glorot and Bengio, 2010."""
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal, of variance 2 / (fan in + fan out). Glorot and Bengio, 2010."""
    std = gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform, of variance gain**2 / fan. He et al., arXiv:1502.01852."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal, of variance gain**2 / fan. He et al., arXiv:1502.01852."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


# ---- matrices ----


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi) orthogonal matrix: the Q of a normal one, with the signs of R's diagonal. Saxe et al., arXiv:1312.6120."""
    if tensor.ndimension() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.size(0)
    columns = tensor.numel() // rows
    drawn = rushlight.empty(rows, columns, dtype=tensor.dtype).normal_(0, 1, generator=generator)
    with rushlight.no_grad():
        q, r = rushlight.linalg.qr(drawn.t() if rows < columns else drawn)
        q = q * r.diagonal().sign()
        if rows < columns:
            q = q.t()
        tensor.view_as(q).copy_(q)
        return tensor.mul_(gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal numbers with a share of zeros in every column. Martens, 2010."""
    if tensor.ndimension() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with rushlight.no_grad():
        tensor.normal_(0, std, generator=generator)
        for column in range(columns):
            tensor[rushlight.randperm(rows)[:zeros], column] = 0
    return tensor


# ---- the names of before PyTorch 0.4 ----


def _renamed(function: Any) -> Any:
    old, new = function.__name__[:-1], function.__name__

    def deprecated(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(
            f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    deprecated.__name__ = old
    deprecated.__doc__ = f"The old name of :func:`{new}`."
    return deprecated


uniform = _renamed(uniform_)
normal = _renamed(normal_)
constant = _renamed(constant_)
eye = _renamed(eye_)
dirac = _renamed(dirac_)
xavier_uniform = _renamed(xavier_uniform_)
xavier_normal = _renamed(xavier_normal_)
kaiming_uniform = _renamed(kaiming_uniform_)
kaiming_normal = _renamed(kaiming_normal_)
orthogonal = _renamed(orthogonal_)
sparse = _renamed(sparse_)

#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.nn.init")
