"""`torch.signal.windows`: symmetric windows of M values, or periodic ones (`sym=False`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import rushlight
from rushlight import late
from rushlight.buffer import Tensor
from rushlight.device import check_device

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


def _window(name: str, M: int, options: dict[str, Any], values: Callable, one: bool = False) -> Tensor:
    """`values(dtype)` for at least one position (two, if `one` says that a single value is 1)."""
    requires = options.pop("requires_grad", False)
    kind = options.pop("dtype", None)
    kind = rushlight.get_default_dtype() if kind is None else kind
    layout = options.pop("layout", rushlight.strided)
    check_device(options.pop("device", None), name)
    if options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{min(options)}'")
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not rushlight.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if kind is not rushlight.float32 and kind is not rushlight.float64:
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    if M == 0 or M == 1 and one:
        return rushlight.ones(M, dtype=kind, requires_grad=requires)
    return values(kind).requires_grad_(requires)


def _span(M: int, sym: bool) -> int:
    """How many steps the whole window is long."""
    return M if not sym else M - 1


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, **options: Any
) -> Tensor:
    """exp(-|n - center| / tau)."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = (M if not sym and M > 1 else M - 1) / 2.0 if center is None else center
    step = 1 / tau

    def values(kind: Any) -> Tensor:
        return (-rushlight.linspace(-middle * step, (-middle + (M - 1)) * step, M, dtype=kind).abs()).exp()

    return _window("exponential", M, options, values)


def cosine(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """sin(pi (n + 1/2) / M)."""

    def values(kind: Any) -> Tensor:
        step = math.pi / (M + 1 if not sym and M > 1 else M)
        return rushlight.linspace(0.5 * step, (0.5 + (M - 1)) * step, M, dtype=kind).sin()

    return _window("cosine", M, options, values)


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **options: Any) -> Tensor:
    """exp(-(n / std)**2 / 2), n counted from the middle."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    first = -(M if not sym and M > 1 else M - 1) / 2.0
    step = 1 / (std * math.sqrt(2))

    def values(kind: Any) -> Tensor:
        return (-(rushlight.linspace(first * step, (first + (M - 1)) * step, M, dtype=kind) ** 2)).exp()

    return _window("gaussian", M, options, values)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **options: Any) -> Tensor:
    """I0(sqrt(beta**2 - k**2)) / I0(beta), k from -beta to beta. Kaiser and Schafer, 1980."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")

    def values(kind: Any) -> Tensor:
        limit = rushlight.tensor(beta, dtype=kind)
        end = rushlight.minimum(limit, -limit + (M - 1) * (2.0 * limit / _span(M, sym)))
        k = rushlight.linspace(-limit, end, M, dtype=kind)
        return rushlight.i0((limit * limit - k.pow(2)).sqrt()) / rushlight.i0(limit)

    return _window("kaiser", M, options, values, one=True)


def bartlett(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """A triangle."""

    def values(kind: Any) -> Tensor:
        return 1 - rushlight.linspace(-1, -1 + (M - 1) * (2 / _span(M, sym)), M, dtype=kind).abs()

    return _window("bartlett", M, options, values, one=True)


def general_cosine(M: int, *, a: Iterable, sym: bool = True, **options: Any) -> Tensor:
    """The sum over i of (-1)**i a[i] cos(2 pi i n / N).

    Example:
        >>> import rushlight as torch
        >>> torch.signal.windows.general_cosine(5, a=[0.5, 0.5])
        tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _of_cosines("general_cosine", M, a, sym, options)


def _of_cosines(name: str, M: int, a: Any, sym: bool, options: dict[str, Any]) -> Tensor:
    def values(kind: Any) -> Tensor:
        if not isinstance(a, Iterable):
            raise TypeError("Coefficients must be a list/tuple")
        if not a:
            raise ValueError("Coefficients cannot be empty")
        k = rushlight.linspace(0, (M - 1) * (2 * math.pi / _span(M, sym)), M, dtype=kind)
        weights = rushlight.tensor([(-1) ** i * w for i, w in enumerate(a)], dtype=kind)
        i = rushlight.arange(len(weights), dtype=kind)
        return (weights.unsqueeze(-1) * (i.unsqueeze(-1) * k).cos()).sum(0)

    return _window(name, M, options, values, one=True)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / N)."""
    return _of_cosines("general_cosine", M, [alpha, 1.0 - alpha], sym, options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / N)."""
    return _of_cosines("general_cosine", M, [0.54, 1.0 - 0.54], sym, options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """sin(pi n / N)**2."""
    return _of_cosines("general_cosine", M, [0.5, 0.5], sym, options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N)."""
    return _of_cosines("blackman", M, [0.42, 0.5, 0.08], sym, options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The four cosines of least side lobes. A. Nuttall, 1981."""
    return _of_cosines("general_cosine", M, [0.3635819, 0.4891775, 0.1365995, 0.0106411], sym, options)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.signal.windows")
