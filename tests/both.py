"""Running one small program on PyTorch and on Rushlight, and comparing everything it shows."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import rushlight


def same(program: Callable, *, text: bool = True) -> None:
    """Fail unless `program(library)` gives the same on both: values, or the class (and words) of the error."""
    wanted, found = seen(program, torch, text), seen(program, rushlight, text)
    assert found == wanted, f"\ntorch:     {wanted}\nrushlight: {found}"


def outcome(function: Callable, *args: Any) -> Any:
    """What the function returns, or the error that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(*args)
        except Exception as error:
            return error


def seen(program: Callable, T: Any, text: bool = True) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(program(T))
        except Exception as error:
            return type(error).__name__, _words(error) if text else ""


def _words(error: Exception) -> str:
    first = str(error).split("\n")[0].strip()
    first = re.sub(r" \(Triggered internally.*", "", first)
    first = re.sub(r" The last write to it was at .*", "", first)
    return re.sub(r"0x[0-9a-f]+", "", first)


def plain(value: Any) -> Any:
    """What can be compared between libraries; floats to nine digits."""
    if isinstance(value, (torch.Tensor, rushlight.Tensor)):
        shown = value.detach()
        return (
            "tensor",
            str(value.dtype),
            tuple(value.shape),
            bool(value.requires_grad),
            plain(shown.tolist()),
        )
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.shape, plain(value.tolist()))
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, complex):
        return plain([value.real, value.imag])
    if value is None or isinstance(value, (int, str, bool)):
        return value
    return (
        str(value)
        if type(value).__module__.partition(".")[0] in ("torch", "rushlight")
        else type(value).__name__
    )


def numbers(t: Any) -> np.ndarray:
    """The values of a tensor of either library, in float64."""
    return t.detach().double().numpy()


def assert_near(mine: Any, theirs: Any, near: float) -> None:
    """Fail unless tensors are as near to one another as that many times the largest element, or 1: PyTorch adds up in another order, and
    in the precision of the operands, so that small results may be far off relative to themselves."""
    for p, q in zip(mine, theirs, strict=True):
        bound = near * max(1, np.abs(numbers(q)).max(initial=0))
        np.testing.assert_allclose(numbers(p), numbers(q), rtol=0, atol=bound)
