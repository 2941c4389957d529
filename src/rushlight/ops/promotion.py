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
from rushlight.dtypes import (
    COMPLEX,
    FLOATING,
    INTEGER,
    WIDE,
    complex32,
    dtype,
    float32,
    float64,
    int64,
    of_number,
    promote_types,
)
from rushlight.errors import wrong_type
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet

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
        return higher.to_complex()
    return lower


def operand(value: Any, kind: dtype) -> Any:
    """An operand as NumPy should see it when computing in `kind`."""
    if isinstance(value, Tensor):
        a = value._a
        if value._dtype is kind:
            return a
        return _converted_once(a, kind) if 0 in a.strides else convert(a, kind)
    if (kind is float32 or kind is float64) and type(value) in (float, int) and -_EXACT < value < _EXACT:
        return np.array(value, kind.numpy)  # NumPy takes it in half the time of a scalar
    if kind is int64 and type(value) is int and -_EXACT < value < _EXACT:
        return np.array(value)
    return number(value, kind)


def _converted_once(a: np.ndarray, kind: dtype) -> Any:
    """`convert`, but what is broadcast stays so: it has no say in the order of the result's dimensions."""
    once = a[
        tuple([slice(0, 1) if step == 0 and n > 1 else slice(None) for n, step in zip(a.shape, a.strides)])
    ]
    return np.broadcast_to(convert(once, kind), a.shape)


def half_operand(value: Any, kind: dtype, exact_numbers: bool) -> Any:
    """An operand of an operation on float16, bfloat16 or complex32, in the type that this is computed in.

    Numbers and 0-d tensors of another type are rounded to `kind` first, like any operand,
    unless the operation reads them in full (`exact_numbers`): PyTorch's mul and div do.
    """
    wide = WIDE[kind]
    exact_numbers = exact_numbers and kind is not complex32
    if isinstance(value, Tensor):
        a, own = value._a, value._dtype
        to = _converted_once if 0 in a.strides else convert
        if own is kind or exact_numbers and not a.ndim:
            return to(a, wide)
        return to(to(a, kind), wide)
    exact = number(value, wide)
    return exact if exact_numbers else convert(quiet(convert, np.asarray(exact), kind), wide)


def number(value: Any, kind: dtype) -> Any:
    """A Python number as a NumPy scalar of `kind`; integers wrap around.

    Raises:
        OverflowError: an integer that 64 bits do not hold.
    """
    if isinstance(value, (int, np.integer)):
        if not -(2**63) <= value < 2**64:
            raise OverflowError("int too big to convert")
        if kind.category == INTEGER:
            return np.asarray(int(value) & MASK).astype(np.uint64).astype(kind.numpy)[()]
    return quiet(convert, np.asarray(value), kind)[()]


MASK = 2**64 - 1
#: the integers up to here are numbers of float64
_EXACT = 2**53


def checked_number(value: Any, kind: dtype) -> Any:
    """A number as `number` gives it, for operations that refuse what `kind` cannot hold.

    Raises:
        RuntimeError: the value is out of range for `kind`, or complex where `kind` is not.
    """
    if kind.category == COMPLEX:
        return number(value, kind)
    if isinstance(value, (complex, np.complexfloating)):
        if value.imag != 0:
            raise _overflow(kind)
        value = value.real
    if kind.category == INTEGER:
        limits = np.iinfo(kind.numpy)
        # an unsigned type takes negative integers, as C does
        low = limits.min if kind.is_signed or isinstance(value, (float, np.floating)) else -limits.max
        if not low <= value <= limits.max:
            raise _overflow(kind)
        value = int(value)
    elif kind.category == FLOATING and _LARGEST[kind.index] < abs(value) < float("inf"):
        raise _overflow(kind)
    return number(value, kind)


#: of each floating type: the bits after its point, and its largest exponent
_RANGES = {"float16": (10, 15), "bfloat16": (7, 127), "float32": (23, 127), "float64": (52, 1023)}
#: the largest finite number of each floating type, by its index
_LARGEST = [
    (2 - 0.5 ** _RANGES[d.name][0]) * 2.0 ** _RANGES[d.name][1] if d.category == FLOATING else 0.0
    for d in dtypes.ALL
]


def _overflow(kind: dtype) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {C_NAMES[kind.name]} without overflow")


#: what PyTorch's messages call the types
C_NAMES = {d.name: f"{d.name}_t" for d in dtypes.ALL} | {
    "bool": "bool",
    "float16": "at::Half",
    "bfloat16": "at::BFloat16",
    "float32": "float",
    "float64": "double",
    "complex32": "c10::complex<c10::Half>",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def check_tensors(operation: str, **arguments: Any) -> None:
    """TypeError for the first of the arguments, given in order, that is not a tensor."""
    for position, (name, value) in enumerate(arguments.items(), 1):
        if not isinstance(value, Tensor):
            raise wrong_type(operation, name, position, value)


def all_tensors(values: Iterable[Any]) -> bool:
    return all(isinstance(value, Tensor) for value in values)
