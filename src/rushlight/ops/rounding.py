"""Whole parts and fractions, and the make of floating point numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.buffer import Tensor, strides
from rushlight.dtypes import BOOL, COMPLEX, FLOATING, WIDE_UNSIGNED, default_float, dtype
from rushlight.layout import broadcast, contiguous_strides
from rushlight.ops.kinds.binary import NONE, answered, binary
from rushlight.ops.kinds.elementwise import (
    floating,
    floats_only,
    in_order,
    not_implemented,
    same,
    same_out,
    unary,
)
from rushlight.ops.kinds.pointwise import in_double, pointwise, undefined_derivative
from rushlight.ops.promotion import check_tensors, result_type
from rushlight.ops.spec import primitive, public
from rushlight.tape.modes import no_grad
from rushlight.tape.recording import record

# ---- to a whole number ----


def _whole(numpy: Any) -> Any:
    """Integers are whole already."""
    return lambda x: numpy(x) if x.dtype.kind == "f" else x.copy("K")


def _refuse(name: str) -> Any:
    def refuse(d: dtype) -> Exception | None:
        if d.category == COMPLEX:
            return NotImplementedError(f"{name} is not supported for complex inputs")
        return not_implemented(f"{name}_vml_cpu", BOOL)(d)

    return refuse


def _flat(g: Any) -> Any:
    """The gradient of a step function."""
    return g.new_zeros(g.shape)


ceil = unary(
    "ceil",
    out_check=same_out,
    numpy=_whole(np.ceil),
    dtype=same,
    refuse=_refuse("ceil"),
    vjp=_flat,
    doc="The smallest whole number that is not below.",
)
floor = unary(
    "floor",
    out_check=same_out,
    numpy=_whole(np.floor),
    dtype=same,
    refuse=_refuse("floor"),
    vjp=_flat,
    doc="The largest whole number that is not above.",
)
trunc = unary(
    "trunc",
    out_check=same_out,
    numpy=_whole(np.trunc),
    dtype=same,
    refuse=_refuse("trunc"),
    vjp=_flat,
    doc="Without the fraction.",
)
fix = trunc

_round = unary(
    "round",
    out_check=same_out,
    numpy=_whole(np.rint),
    dtype=same,
    refuse=not_implemented("round_vml_cpu", BOOL, COMPLEX),
    vjp=_flat,
)


@pointwise(
    "RoundBackward1",
    rule=same,
    refuse=floats_only("round_cpu"),
    vjp=(_flat,),
)
def round_decimals(x, *, decimals):
    """rint(x 10^d) / 10^d in the type's own precision, as PyTorch computes it."""
    kind = x.dtype.type
    ten = kind(10.0 ** abs(decimals))
    return np.rint(x / ten) * ten if decimals < 0 else np.rint(x * ten) / ten


@public(check=same_out)
def round(input, *, decimals=None):
    """The nearest whole number, or number of `decimals` decimals; halves go to the even one.

    Raises:
        TypeError: `decimals` is no int.
        NotImplementedError: a bool or complex tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.round(torch.tensor([0.5, 1.5, 2.567]))
        tensor([0., 2., 3.])
    """
    if decimals is None:
        return _round.method(input)
    if not isinstance(decimals, int):
        raise TypeError(f"round(): argument 'decimals' must be int, not {type(decimals).__name__}")
    return round_decimals(input, decimals=decimals)


frac = unary(
    "frac",
    out_check=same_out,
    numpy=lambda x: x - np.trunc(x),
    dtype=same,
    refuse=floats_only("frac_cpu"),
    vjp=lambda g: g,
    doc="The fraction: `input - trunc(input)`.",
)

# ---- steps ----


def _check_heaviside(input: Any, values: Any) -> None:
    if input._dtype.category == COMPLEX or values._dtype.category == COMPLEX:
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input._dtype is not values._dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


_heaviside = binary(
    "heaviside",
    numpy=lambda x, values: np.where(x == 0, values, (x > 0).astype(x.dtype)),
    dtype=same,
    refuse=not_implemented("heaviside_cpu", *WIDE_UNSIGNED),
    check=_check_heaviside,
    vjp=undefined_derivative("aten::heaviside", 2),
    numbers=NONE,
)


def _heaviside_out(out: Tensor, result: Tensor, inputs: list) -> None:
    _check_heaviside(out, result)


@public(check=_heaviside_out)
def heaviside(input, values):
    """0 where `input` is negative, 1 where it is positive, `values` where it is 0.

    Raises:
        RuntimeError: different dtypes, or complex ones.

    Example:
        >>> import rushlight as torch
        >>> torch.heaviside(torch.tensor([-1.0, 0.0, 2.0]), torch.tensor(0.5))
        tensor([0.0000, 0.5000, 1.0000])
    """
    check_tensors("heaviside", input=input, values=values)
    _check_heaviside(input, values)
    return answered(_heaviside.operator(input, values))


# ---- mantissa and exponent ----


@primitive("Frexp", several=True, differentiable=(0,), vjp=(lambda g, out: _frexp_gradient(g, out),))
def frexp_values(x):
    wide = x.astype("f") if x.dtype.itemsize == 2 else x
    mantissa, exponent = np.frexp(wide)
    return np.asarray(mantissa).astype(x.dtype), np.asarray(exponent).astype(np.int32)


def _frexp_gradient(g: Any, out: Any) -> Any:
    return None if g[0] is None else g[0] / out[1].to(g[0].dtype).exp2()


@public
def frexp(input):
    """Mantissas in [0.5, 1) and exponents with `input == mantissa * 2**exponent`, as a named tuple.

    Raises:
        RuntimeError: no floats.

    Example:
        >>> import rushlight as torch
        >>> torch.frexp(torch.tensor([3.0])).exponent
        tensor([2], dtype=torch.int32)
    """
    if input._dtype.category != FLOATING:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return return_types.frexp(frexp_values(input))


_power_of_two = in_double(lambda y: np.power(2.0, y))


@pointwise(
    "Ldexp",
    rule=floating,
    vjp=(lambda g, y: g * (2.0**y).conj(), lambda g, out: g * out.conj() * 0.6931471805599453),
    promotes=False,
)
def ldexp_values(x, y):
    return x * _power_of_two(y)


@public
def ldexp(input, other):
    """`input * 2**other`.

    Raises:
        NotImplementedError: exponents of a type that powers are not made of.

    Example:
        >>> import rushlight as torch
        >>> torch.ldexp(torch.tensor([1.0]), torch.tensor([3]))
        tensor([8.])
    """
    check_tensors("ldexp", input=input, other=other)
    if (other._dtype.category == BOOL or other._dtype in WIDE_UNSIGNED) and input._dtype.category == FLOATING:
        raise not_implemented("pow", other._dtype)(other._dtype)
    if other._dtype.category < FLOATING:
        other = other.to(input._dtype if input._dtype.category == FLOATING else default_float(other._dtype))
    mixed = other._dtype is not input._dtype and other._dtype.category >= FLOATING
    if mixed or strides(other) != contiguous_strides(other._a.shape):
        return _ldexp_in_two(input, other)
    return ldexp_values(input, other)


def _ldexp_in_two(input: Tensor, other: Tensor) -> Tensor:
    """The power is rounded to the exponent's type before the product is of the promoted one, and lies in rows."""
    with no_grad():
        out = input * 2.0**other
    record(ldexp_values.derivative, (input, other), None, out)
    return out


@primitive(
    "Nextafter",
    vjp=(lambda g, x, y: g.masked_fill(x == y, 0), lambda g, y_meta: g.new_zeros(y_meta.shape)),
)
def nextafter_values(x, y):
    return in_order(np.asarray(np.nextafter(x, y)), x, y)


@public
def nextafter(input, other):
    """The next number of the type after `input`, towards `other`.

    Raises:
        NotImplementedError: no floats.

    Example:
        >>> import rushlight as torch
        >>> torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0])) > 1
        tensor([True])
    """
    check_tensors("nextafter", input=input, other=other)
    kind = result_type(input, other)
    error = floats_only("nextafter_cpu")(kind)
    if error is not None:
        raise error
    broadcast(input._a.shape, other._a.shape)
    return nextafter_values(input.to(kind), other.to(kind))
