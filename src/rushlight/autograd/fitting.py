"""Bringing a gradient to the shape and type of the input it belongs to: where broadcasting and promotion are undone."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import new_tensor
from rushlight.dtypes import FLOATING, dtype, float32
from rushlight.ops.kinds.reduction import own_sum
from rushlight.ops.kinds.short import SMALL
from rushlight.runtime.execute import quiet
from rushlight.runtime.results import FEW
from rushlight.tape.modes import MODES


def fit(g: Any, shape: tuple[int, ...], kind: dtype, source: Any) -> Any:
    """The gradient in the input's shape and dtype: sums what was broadcast, casts what was promoted."""
    if g._a.shape != shape:
        g = sum_to(g, shape, source)
    if g._dtype is not kind:
        if g._dtype.is_complex and not kind.is_complex:
            g = _real_part(g, source)
        elif kind.is_complex and g._dtype.category < FLOATING:
            raise _between_kinds()
        if g._dtype is not kind:
            g = g.to(kind)
    return g


def _real_part(g: Any, source: Any) -> Any:
    """What a complex gradient is to a real input, of which the loss depends along the real axis only."""
    if source is not None and not source.promotes:
        raise _between_kinds()
    return g.real


def _between_kinds() -> RuntimeError:
    return RuntimeError(
        "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == grad_is_complex) to be true, but got false. "
        " (Could this error message be improved?  If so, please report an enhancement request to PyTorch.)"
    )


def sum_to(g: Any, shape: tuple[int, ...], source: Any) -> Any:
    """The sum of `g` over the dimensions along which `shape` was broadcast."""
    have = g._a.shape
    lead = at = len(have) - len(shape)
    ones = []
    fits = lead >= 0
    if fits:
        for n in shape:
            if n != have[at]:
                fits = fits and n == 1
                ones.append(at)
            at += 1
    if not fits:
        name = source.name() if source is not None else "a function"
        raise RuntimeError(
            f"Function {name} returned an invalid gradient at index 0 - got {list(have)} "
            f"but expected shape compatible with {list(shape)}"
        )
    if not MODES.grad and len(have) == 2 and len(ones) + lead == 1 and SMALL < g._a.size <= FEW:
        a = g._a
        if type(a) is np.ndarray and g._dtype is float32:
            return new_tensor(quiet(own_sum, a, (ones[0] if ones else 0,), bool(ones)), float32)
    if not ones:  # without the dimensions that are gone: nothing is left to reshape
        return g.sum(0) if lead == 1 else g.sum([*range(lead)]) if lead else g
    if lead or len(ones) > 1:
        g = g.sum([*range(lead), *ones], True)
        return g.reshape(shape) if lead else g
    return g.sum(ones[0], True)
