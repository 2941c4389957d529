"""Windows: weights that let a piece of a signal fade in and out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rushlight.buffer import Tensor
from rushlight.device import check_device
from rushlight.dtypes import FLOATING, get_default_dtype
from rushlight.ops.creation import empty, ones
from rushlight.ops.sequences import arange
from rushlight.ops.special_functions import i0


def _window(name: str, length: int, periodic: bool, options: dict[str, Any], values: Callable) -> Tensor:
    """`values(positions, last position)`; of a periodic window of length n, the first n of n + 1."""
    requires = options.pop("requires_grad", False)
    kind = options.pop("dtype", None) or get_default_dtype()
    if unknown := options.keys() - {"layout", "device", "pin_memory"}:
        raise TypeError(f"{name}() got an unexpected keyword argument '{min(unknown)}'")
    check_device(options.get("device"), name)
    if kind.category != FLOATING:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {kind}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if length < 2:
        made = ones(length, dtype=kind) if length else empty(0, dtype=kind)
        return made.requires_grad_(requires)
    count = length + 1 if periodic else length
    made = values(arange(count, dtype=kind), count - 1)
    return (made.narrow(0, 0, length) if periodic else made).requires_grad_(requires)


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """sin(pi n / N)**2.

    Args:
        periodic: leave out the last value, so that windows may follow each other.

    Example:
        >>> import rushlight as torch
        >>> torch.hann_window(4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _cosines("hann_window", window_length, periodic, options, 0.5, 0.5)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any
) -> Tensor:
    """alpha - beta cos(2 pi n / N)."""
    return _cosines("hamming_window", window_length, periodic, options, alpha, beta)


def _cosines(name: str, length: int, periodic: bool, options: dict, alpha: float, beta: float) -> Tensor:
    return _window(
        name,
        length,
        periodic,
        options,
        lambda n, last: n.mul_(2 * math.pi / last).cos_().mul_(-beta).add_(alpha),
    )


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)."""

    def values(n: Tensor, last: int) -> Tensor:
        n = n.mul_(math.pi / last)
        return n.mul(4).cos_().mul_(0.08) - n.mul(2).cos_().mul_(0.5) + 0.42

    return _window("blackman_window", window_length, periodic, options, values)


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """A triangle: 1 - |2 n / N - 1|."""

    def values(n: Tensor, last: int) -> Tensor:
        n = n.mul_(2 / last)
        half = (last >> 1) + 1
        n.narrow(0, half, last + 1 - half).mul_(-1).add_(2)
        return n

    return _window("bartlett_window", window_length, periodic, options, values)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """I0(beta sqrt(1 - (2 n / N - 1)**2)) / I0(beta). Kaiser and Schafer, 1980."""

    def values(n: Tensor, last: int) -> Tensor:
        ratio = (n * (2 / last) - 1).square()
        top = i0((1 - ratio).clamp_min(0).sqrt() * beta)
        return top / i0(n.new_tensor(beta))

    return _window("kaiser_window", window_length, periodic, options, values)
