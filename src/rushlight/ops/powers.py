"""Powers and roots."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from rushlight.batched import NeedsBatching
from rushlight.buffer import Tensor
from rushlight.dtypes import (
    ALL,
    BOOL,
    BY_NUMPY,
    COMPLEX,
    FLOATING,
    INTEGER,
    WIDE_UNSIGNED,
    complex128,
    dtype,
    float64,
    int64,
)
from rushlight.errors import invalid_combination
from rushlight.layout import row_strides
from rushlight.ops.kinds.binary import ONE, check_operands, inplace_operator
from rushlight.ops.kinds.elementwise import floating, not_implemented, same, unary
from rushlight.ops.kinds.pointwise import in_double_2, pointwise
from rushlight.ops.promotion import NUMBERS, checked_number, number, result_type
from rushlight.ops.spec import public
from rushlight.ops.writing import in_place_of

_refuse = not_implemented("pow", BOOL, *WIDE_UNSIGNED)

# ---- roots ----

sqrt = unary(
    "sqrt",
    numpy=np.sqrt,
    dtype=floating,
    vjp=lambda g, out: g / (2 * out.conj()),
    doc="""The square root; nan for negative numbers.

    Example:
        >>> import rushlight as torch
        >>> torch.sqrt(torch.tensor([4.0, -1.0]))
        tensor([2., nan])
    """,
)


rsqrt = unary(
    "rsqrt",
    numpy=lambda x: 1 / np.sqrt(x),
    dtype=floating,
    vjp=lambda g, out: -0.5 * g * out.pow(3).conj(),
    doc="""`1 / sqrt(input)`.""",
)


def _counted(d: dtype) -> tuple[dtype, dtype]:
    """bool squares to int64."""
    return (int64, int64) if d.category == BOOL else (d, d)


square = unary(
    "square",
    node="PowBackward0",
    numpy=np.square,
    dtype=_counted,
    refuse=not_implemented("pow", *WIDE_UNSIGNED),
    vjp=lambda g, x: g * (2 * x).conj(),
    doc="""The square of each element; RuntimeError for unsigned types wider than uint8.""",
)

# ---- powers of arrays ----


def _integer_power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """By repeated squaring, wrapping around; a negative exponent leaves 1, -1 or 0."""
    below = y < 0
    if not np.any(below):
        return np.power(x, y)
    powers = np.power(x, np.where(below, 0, y))
    odd = (y & 1).astype(bool)
    inverse = np.where(x == 1, 1, np.where(x == -1, np.where(odd, -1, 1), 0))
    return np.where(below, inverse, powers).astype(x.dtype)


_float_power = in_double_2(np.power)


def powers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _integer_power(x, y) if x.dtype.kind in "iu" else _float_power(x, y)


#: exponents for which PyTorch multiplies instead of calling `pow`, so that the bits agree
_SPECIAL = {
    0.5: np.sqrt,
    2.0: np.square,
    3.0: lambda x: x * x * x,
    -0.5: lambda x: 1 / np.sqrt(x),
    -1.0: lambda x: 1 / x,
    -2.0: lambda x: 1 / (x * x),
}


def _self_gradient(g: Any, x: Any, exponent: Any) -> Any:
    if exponent == 0:
        return g.new_zeros(g.shape)
    return g * (exponent * x.pow(exponent - 1)).conj()


@pointwise("PowBackward0", rule=same, vjp=(_self_gradient,))
def pow_number(x, *, exponent):
    if x.dtype.kind in "fc":
        special = _SPECIAL.get(exponent) if not isinstance(exponent, complex) else None
        if special is not None and not (x.dtype.kind == "c" and exponent in (0.5, -0.5)):
            return special(x)
        return powers(x, np.asarray(exponent, x.dtype))
    return powers(x, np.asarray(exponent).astype(x.dtype))


def _tensor_self_gradient(g: Any, x: Any, y: Any, out: Any) -> Any:
    """The result is not needed, but as in PyTorch it is kept, and must not be overwritten."""
    return (g * (y * x.pow(y - 1)).conj()).masked_fill(y == 0, 0)


def _exponent_gradient(g: Any, x: Any, y: Any, out: Any) -> Any:
    """0 ** y is constant for y >= 0."""
    if y.is_complex():
        constant = (x == 0) & (y.imag == 0) & (y.real >= 0)
    else:
        constant = (x == 0) & (y >= 0)
    x = x.to(result_type(x, y))
    return g * (out * x.log()).conj().masked_fill(constant, 0)


@pointwise("PowBackward1", rule=same, refuse=_refuse, vjp=(_tensor_self_gradient, _exponent_gradient))
def pow_tensors(x, y):
    return powers(x, y)


def _log(base: Any, wide: bool) -> Any:
    """The logarithm of a number; that of a negative one is complex, if anything is to be (`wide`)."""
    if isinstance(base, complex) or base < 0:
        return cmath.log(base) if wide or isinstance(base, complex) else math.nan
    return math.log(base) if base > 0 else -math.inf


def _number_base_gradient(g: Any, y: Any, out: Any, base: Any) -> Any:
    if base == 0:
        constant = (y.imag == 0) & (y.real >= 0) if y.is_complex() else y >= 0
        return g * (out * _log(base, False)).conj().masked_fill(constant, 0)
    return g * (out * _log(base, y.is_complex())).conj()


@pointwise("PowBackward2", rule=same, refuse=_refuse, vjp=(_number_base_gradient,))
def pow_of_number(y, *, base):
    if base == 1:
        return np.ones_like(y, order="C")
    return powers(np.asarray(number(base, BY_NUMPY[y.dtype])), y).astype(y.dtype, "C", copy=False)


pow_of_number.strides_of = row_strides


# ---- public forms ----


@public(overloaded=True)
def pow(input, exponent):
    """`input ** exponent`, of tensors or numbers (one of them a tensor).

    Raises:
        RuntimeError: integers to a negative integer power that is a number.

    Example:
        >>> import rushlight as torch
        >>> torch.pow(torch.tensor([1.0, 2.0]), 3)
        tensor([1., 8.])
    """
    if isinstance(input, Tensor):
        if isinstance(exponent, Tensor):
            return pow_tensors(input, exponent)
        if isinstance(exponent, NUMBERS):
            return _to_number(input, exponent)
    elif isinstance(input, NUMBERS) and isinstance(exponent, Tensor):
        return _of_number(input, exponent)
    raise invalid_combination("pow", input, exponent)


def _to_number(input: Tensor, exponent: Any) -> Tensor:
    exponent = exponent.item() if isinstance(exponent, np.generic) else exponent
    promoted = result_type(input, exponent)
    if promoted.category == INTEGER:
        if exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        checked_number(exponent, promoted)
    elif promoted.category == BOOL:
        exponent = bool(exponent)
    elif promoted.category == FLOATING:
        exponent = float(exponent)
    if promoted in WIDE_UNSIGNED and exponent not in (0, 1):
        raise not_implemented("pow", promoted)(promoted)
    return pow_number.at(promoted, input, exponent=exponent)


def _of_number(base: Any, exponent: Tensor) -> Tensor:
    base = base.item() if isinstance(base, np.generic) else base
    promoted = result_type(base, exponent)
    return pow_of_number.at(promoted, exponent, base=base)


_square = square.method
_PLAIN = [d.category >= FLOATING for d in ALL]


def power_operator(self: Tensor, exponent: Any, modulo: Any = None) -> Any:
    """`self ** exponent`."""
    if modulo is not None:
        return NotImplemented
    if type(exponent) is int and exponent == 2 and _PLAIN[self._dtype.index]:
        return _square(self)
    if isinstance(exponent, Tensor):
        try:
            return pow_tensors(self, exponent)
        except NeedsBatching:
            return pow(self, exponent)
    return _to_number(self, exponent) if isinstance(exponent, NUMBERS) else NotImplemented


def reflected_power(self: Tensor, base: Any) -> Any:
    """`base ** self`."""
    return pow(base, self) if isinstance(base, (Tensor, *NUMBERS)) else NotImplemented


def _double(value: Any, kind: dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(kind)
    return complex(value) if kind is complex128 else float(value)


inplace_power = inplace_operator(pow)


@public(overloaded=True)
def float_power(input, exponent):
    """`input ** exponent` in float64, or complex128 if either is complex.

    Example:
        >>> import rushlight as torch
        >>> torch.float_power(torch.tensor([1, 2]), -1)
        tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    check_operands("float_power", input, exponent, ONE)
    kinds = [
        v._dtype.category if isinstance(v, Tensor) else COMPLEX * isinstance(v, complex)
        for v in (input, exponent)
    ]
    kind = complex128 if COMPLEX in kinds else float64
    return pow(_double(input, kind), _double(exponent, kind))


_assign_power = float_power.inplace


@in_place_of(float_power)
def _float_power_in_place(self: Tensor, exponent: Any) -> Tensor:
    kind = complex128 if isinstance(exponent, complex) or self._dtype.category == COMPLEX else float64
    if self._dtype is not kind:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self._dtype.legacy} but the operation's result requires dtype "
            f"{kind.legacy}"
        )
    return _assign_power(self, exponent)
