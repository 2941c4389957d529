"""The dtype of a result from its operands: PyTorch's three priorities.

Tensors with dimensions decide; 0-d tensors count only if of a higher kind (bool < integer
< floating < complex); Python numbers only if of a higher kind still.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX, FLOATING, INTEGER, dtype, of_number, promote_types

NUMBERS = (bool, int, float, complex, np.number, np.bool_)


def is_number(value: Any) -> bool:
    return isinstance(value, NUMBERS)


def result_type(*operands: Any) -> dtype:
    """The dtype PyTorch gives an arithmetic operation on these tensors and numbers.

    Example:
        >>> import rushlight as torch
        >>> torch.result_type(torch.ones(2, dtype=torch.int32), 1.5)
        torch.float32
    """
    dimensioned = zero_dim = number = None
    for operand in operands:
        if isinstance(operand, Tensor):
            if operand._a.ndim:
                dimensioned = _join(dimensioned, operand._dtype)
            else:
                zero_dim = _join(zero_dim, operand._dtype)
        else:
            number = _join(number, of_number(operand))
    found = _dominate(_dominate(dimensioned, zero_dim), number)
    if found is None:
        raise ValueError("result_type: no operands")
    return found


def _join(have: dtype | None, more: dtype) -> dtype:
    return more if have is None or have is more else promote_types(have, more)


def _dominate(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """The dtype of the higher priority, raised to the lower one's kind if that is higher."""
    if higher is None or lower is None:
        return lower if higher is None else higher
    if lower.category <= higher.category:
        return higher
    if lower.category == COMPLEX and higher.category == FLOATING:
        return dtypes.complex128 if higher is dtypes.float64 else dtypes.complex64
    return lower


def operand(value: Any, kind: dtype) -> Any:
    """An operand as NumPy should see it when computing in `kind`."""
    if isinstance(value, Tensor):
        a = value._a
        return a if value._dtype is kind else execute_cast(a, kind)
    return number(value, kind)


def execute_cast(a: np.ndarray, kind: dtype) -> np.ndarray:
    from rushlight.runtime.casting import convert

    return convert(a, kind)


def number(value: Any, kind: dtype) -> Any:
    """A Python number as a NumPy scalar of `kind`; RuntimeError if an integer does not fit."""
    if kind.category == INTEGER and isinstance(value, (int, np.integer)):
        limits = np.iinfo(kind.numpy)
        if not limits.min <= value <= limits.max and not (value < 0 and kind is not dtypes.int64):
            if kind is dtypes.int64:
                raise RuntimeError("Overflow when unpacking long long")
            raise RuntimeError(f"value cannot be converted to type {kind.name}_t without overflow")
    if kind.category in (INTEGER, FLOATING) and isinstance(value, (complex, np.complexfloating)):
        raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    if kind is dtypes.bfloat16:
        return kind.numpy.type(float(value))
    try:
        return kind.numpy.type(value)
    except OverflowError:
        return np.asarray(value).astype(kind.numpy)[()]


def all_tensors(values: Iterable[Any]) -> bool:
    return all(isinstance(value, Tensor) for value in values)
