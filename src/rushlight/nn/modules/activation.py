"""Activation functions as modules."""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.stateless import NEEDED, Stateless
from rushlight.nn.parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]

# ---- without settings ----


class Sigmoid(Stateless):
    """1 / (1 + exp(-x)) of each element."""

    def forward(self, input: Tensor) -> Tensor:
        return rushlight.sigmoid(input)


class Tanh(Stateless):
    """The hyperbolic tangent of each element."""

    def forward(self, input: Tensor) -> Tensor:
        return rushlight.tanh(input)


class LogSigmoid(Stateless):
    """log(1 / (1 + exp(-x))) of each element."""

    function = F.logsigmoid


class Softsign(Stateless):
    """x / (1 + |x|) of each element."""

    function = F.softsign


class Tanhshrink(Stateless):
    """x - tanh(x) of each element."""

    function = F.tanhshrink


# ---- only in place or not ----


class ReLU(Stateless):
    """max(x, 0) of each element.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    settings = {"inplace": False}
    function = F.relu


class SiLU(Stateless):
    """x * sigmoid(x) of each element."""

    settings = {"inplace": False}
    function = F.silu


class Mish(Stateless):
    """x * tanh(softplus(x)) of each element."""

    settings = {"inplace": False}
    function = F.mish


class SELU(Stateless):
    """The scaled exponential unit, whose fixed point is mean 0 and variance 1. arXiv:1706.02515."""

    settings = {"inplace": False}
    function = F.selu


class _Quiet(Stateless):
    settings = {"inplace": False}

    def extra_repr(self) -> str:
        return ""


class Hardsigmoid(_Quiet):
    """(x + 3) / 6, held between 0 and 1."""

    function = F.hardsigmoid


class Hardswish(_Quiet):
    """x * hardsigmoid(x)."""

    function = F.hardswish


# ---- with numbers ----


class Hardtanh(Stateless):
    """Each element, held between `min_val` and `max_val`."""

    settings = {"min_val": -1.0, "max_val": 1.0, "inplace": False}
    function = F.hardtanh
    shown = "min_val={min_val}, max_val={max_val}"

    def __init__(self, *args: Any, min_value: Any = None, max_value: Any = None, **kwargs: Any) -> None:
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                import warnings

                warnings.warn(
                    f"keyword argument `{old}` is deprecated and rename to `{new}`",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = value
        super().__init__(*args, **kwargs)

    def prepare(self) -> None:
        if not self.max_val > self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")


class ReLU6(Hardtanh):
    """Each element, held between 0 and 6."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Threshold(Stateless):
    """Each element that is above `threshold`, `value` for others."""

    settings = {"threshold": NEEDED, "value": NEEDED, "inplace": False}
    function = F.threshold
    shown = "threshold={threshold}, value={value}"


class LeakyReLU(Stateless):
    """x where positive, else `negative_slope` * x."""

    settings = {"negative_slope": 1e-2, "inplace": False}
    function = F.leaky_relu
    shown = "negative_slope={negative_slope}"


class RReLU(Stateless):
    """x where positive, else x by a slope drawn from [lower, upper], or their mean in evaluation."""

    settings = {"lower": 1.0 / 8, "upper": 1.0 / 3, "inplace": False}
    shown = "lower={lower}, upper={upper}"

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class ELU(Stateless):
    """x where positive, else alpha * (exp(x) - 1)."""

    settings = {"alpha": 1.0, "inplace": False}
    function = F.elu
    shown = "alpha={alpha}"


class CELU(Stateless):
    """x where positive, else alpha * (exp(x / alpha) - 1)."""

    settings = {"alpha": 1.0, "inplace": False}
    function = F.celu
    shown = "alpha={alpha}"


class GELU(Stateless):
    """x by the normal distribution function of x; `approximate="tanh"` for the approximation."""

    settings = {"approximate": "none"}
    function = F.gelu
    shown = "approximate={approximate!r}"


class GLU(Stateless):
    """a * sigmoid(b) for the two halves of the input along `dim`."""

    settings = {"dim": -1}
    function = F.glu
    shown = "dim={dim}"


class Softplus(Stateless):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x is above `threshold`."""

    settings = {"beta": 1.0, "threshold": 20.0}
    function = F.softplus
    shown = "beta={beta}, threshold={threshold}"


class Hardshrink(Stateless):
    """x outside [-lambd, lambd], 0 inside."""

    settings = {"lambd": 0.5}
    function = F.hardshrink
    shown = "{lambd}"


class Softshrink(Stateless):
    """x moved towards 0 by `lambd`, 0 within it."""

    settings = {"lambd": 0.5}
    function = F.softshrink
    shown = "{lambd}"


# ---- along a dimension ----


class Softmax(Stateless):
    """exp(x) over its sum along `dim`."""

    settings = {"dim": None}
    function = F.softmax
    shown = "dim={dim}"


class Softmin(Stateless):
    """exp(-x) over its sum along `dim`."""

    settings = {"dim": None}
    function = F.softmin
    shown = "dim={dim}"


class LogSoftmax(Stateless):
    """The logarithm of softmax along `dim`."""

    settings = {"dim": None}
    function = F.log_softmax
    shown = "dim={dim}"


class Softmax2d(Stateless):
    """softmax over the channels of (N, C, H, W) or (C, H, W); ValueError for other ranks."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.dim()}D instead")
        return F.softmax(input, -3)


# ---- learned ----


class PReLU(Module):
    """x where positive, else a learned slope by x: one slope, or one for each channel. arXiv:1502.01852."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(rushlight.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to `init`."""
        with rushlight.no_grad():
            self.weight.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
