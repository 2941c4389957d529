"""Comparisons, tests of values, the larger and the smaller, closeness."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import (
    COMPLEX,
    FLOATING,
    WIDE_UNSIGNED,
    bool_,
    complex32,
    default_float,
    dtype,
    of_numpy,
)
from rushlight.layout import NUMBER, Operand, Shape, result_strides
from rushlight.ops.complex_half import refusal
from rushlight.ops.creation import ones_like, zeros_like
from rushlight.ops.kinds.binary import NONE, OTHER, binary
from rushlight.ops.kinds.elementwise import bool_out, boolean, not_implemented, same, unary
from rushlight.ops.promotion import check_tensors, result_type
from rushlight.ops.spec import public
from rushlight.ops.writing import REPLACING
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative

# ---- comparisons ----


def _no_gradient(g: Any) -> Any:
    return g.new_zeros(g.shape)


def _comparison(name: str, numpy: Any, ordered: bool, says: str) -> Any:
    refuse = not_implemented(f"{name}_cpu", COMPLEX, *WIDE_UNSIGNED) if ordered else None
    node = f"{name.capitalize()}Backward"
    REPLACING[name + "_"] = (
        Derivative(node + "1", ("x", "y"), (_no_gradient, _no_gradient)),
        Derivative(node + "0", ("x", "y"), (_no_gradient, None)),
    )
    return binary(
        name,
        numpy=numpy,
        dtype=boolean,
        refuse=refuse,
        vjp=NOT_DIFFERENTIABLE,
        numbers=OTHER,
        doc=f"Whether `input {says} other`, elementwise: a bool tensor.",
    )


eq = _comparison("eq", np.equal, False, "==")
ne = _comparison("ne", np.not_equal, False, "!=")
lt = _comparison("lt", np.less, True, "<")
le = _comparison("le", np.less_equal, True, "<=")
gt = _comparison("gt", np.greater, True, ">")
ge = _comparison("ge", np.greater_equal, True, ">=")


def equals(self: Tensor, other: Any) -> Any:
    """`self == other`; a NumPy array counts as a tensor, anything else that is none is unequal."""
    out = eq.operator(self, other)
    if out is NotImplemented and isinstance(other, np.ndarray):
        kind = of_numpy(other.dtype)
        if kind is not None:
            return eq.operator(self, new_tensor(other, kind))
    return out


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge

# ---- tests of values ----


def _no_complex(name: str) -> Any:
    def refuse(d: dtype) -> Exception | None:
        return RuntimeError(f"{name} does not support complex inputs.") if d.category == COMPLEX else None

    return refuse


def _no_complex_signbit(d: dtype) -> Exception | None:
    return (
        NotImplementedError("signbit is not implemented for complex tensors.")
        if d.category == COMPLEX
        else None
    )


isnan = unary(
    "isnan",
    numpy=np.isnan,
    dtype=boolean,
    vjp=NOT_DIFFERENTIABLE,
    doc="""Whether each element is not a number.

    Example:
        >>> import rushlight as torch
        >>> torch.isnan(torch.tensor([1.0, float("nan")]))
        tensor([False,  True])
    """,
)


def _isinf_strides(shape: Shape, item: int, operands: tuple[Operand, ...]) -> Shape:
    """Those of `abs(x) == inf`, which PyTorch computes."""
    magnitude = shape, result_strides(shape, item, operands), item, False
    return result_strides(shape, item, (magnitude, NUMBER))


def _isfinite_strides(shape: Shape, item: int, operands: tuple[Operand, ...]) -> Shape:
    """Those of `(x == x) * (abs(x) != inf)`, which PyTorch computes."""
    parts = result_strides(shape, item, operands * 2), _isinf_strides(shape, item, operands)
    return result_strides(shape, item, tuple([(shape, strides, item, False) for strides in parts]))


_isinf = unary(
    "isinf",
    numpy=np.isinf,
    dtype=boolean,
    vjp=NOT_DIFFERENTIABLE,
    strides=_isinf_strides,
)
_isfinite = unary(
    "isfinite",
    numpy=np.isfinite,
    dtype=boolean,
    vjp=NOT_DIFFERENTIABLE,
    strides=_isfinite_strides,
)


@public(out=False)
def isinf(input):
    """Whether each element is infinite.

    Example:
        >>> import rushlight as torch
        >>> torch.isinf(torch.tensor([1.0, -torch.inf, torch.nan]))
        tensor([False,  True, False])
    """
    check_tensors("isinf", input=input)
    return _isinf(input) if input._dtype.category >= FLOATING else zeros_like(input, dtype=bool_)


@public(out=False)
def isfinite(input):
    """Whether each element is neither infinite nor not a number.

    Example:
        >>> import rushlight as torch
        >>> torch.isfinite(torch.tensor([1.0, -torch.inf, torch.nan]))
        tensor([ True, False, False])
    """
    check_tensors("isfinite", input=input)
    return _isfinite(input) if input._dtype.category >= FLOATING else ones_like(input, dtype=bool_)


@public(out=False)
def isreal(input):
    """Whether each element has no imaginary part.

    Example:
        >>> import rushlight as torch
        >>> torch.isreal(torch.tensor([1.0, 1.0 + 1.0j]))
        tensor([ True, False])
    """
    check_tensors("isreal", input=input)
    return eq(input.imag, 0) if input._dtype.category == COMPLEX else ones_like(input, dtype=bool_)


isposinf = unary(
    "isposinf",
    out_check=bool_out("isposinf"),
    numpy=lambda x: x == np.inf,
    dtype=boolean,
    refuse=_no_complex("isposinf"),
    vjp=NOT_DIFFERENTIABLE,
    doc="Whether each element is +inf.",
)
isneginf = unary(
    "isneginf",
    out_check=bool_out("isneginf"),
    numpy=lambda x: x == -np.inf,
    dtype=boolean,
    refuse=_no_complex("isneginf"),
    vjp=NOT_DIFFERENTIABLE,
    doc="Whether each element is -inf.",
)
signbit = unary(
    "signbit",
    out_check=bool_out("signbit"),
    numpy=lambda x: np.signbit(x) if x.dtype.kind == "f" else x < np.zeros((), x.dtype),
    dtype=boolean,
    refuse=_no_complex_signbit,
    vjp=NOT_DIFFERENTIABLE,
    doc="Whether the sign bit is set: of negative numbers and of -0.0.",
)

# ---- the larger and the smaller ----


def _refuse_extremum(name: str, kernel: str) -> Any:
    """Complex numbers have no order."""
    unsupported = not_implemented(f"{kernel}_cpu", *WIDE_UNSIGNED)

    def refuse(d: dtype) -> Exception | None:
        if d.category == COMPLEX:
            return RuntimeError(f"{name} not implemented for complex tensors.")
        return unsupported(d)

    return refuse


def _shared(chosen: str) -> Any:
    """The gradient of an extremum: whole to the operand chosen, half to each where they are equal."""

    def gradient(g: Any, x: Any, y: Any) -> Any:
        lost = x < y if chosen == "x larger" or chosen == "y smaller" else x > y
        return g.where(x != y, g / 2).masked_fill(lost, 0)

    return gradient


maximum = binary(
    "maximum",
    numpy=np.maximum,
    dtype=same,
    refuse=_refuse_extremum("maximum", "maximum"),
    vjp=(_shared("x larger"), _shared("y larger")),
    numbers=NONE,
    doc="""The larger of two, elementwise; nan where either is nan.

    Example:
        >>> import rushlight as torch
        >>> torch.maximum(torch.tensor([1, 5]), torch.tensor([3, 4]))
        tensor([3, 5])
    """,
)
minimum = binary(
    "minimum",
    numpy=np.minimum,
    dtype=same,
    refuse=_refuse_extremum("minimum", "minimum"),
    vjp=(_shared("x smaller"), _shared("y smaller")),
    numbers=NONE,
    doc="""The smaller of two, elementwise; nan where either is nan.

    Example:
        >>> import rushlight as torch
        >>> torch.minimum(torch.tensor([1, 5]), torch.tensor([3, 4]))
        tensor([1, 4])
    """,
)
fmax = binary(
    "fmax",
    numpy=np.fmax,
    dtype=same,
    refuse=_refuse_extremum("fmax", "maximum"),
    vjp=(
        lambda g, x, y: g.masked_fill(((x >= y) | y.isnan()).logical_not(), 0),
        lambda g, x, y: g.masked_fill((x >= y) | y.isnan(), 0),
    ),
    numbers=NONE,
    doc="The larger of two, elementwise; where one is nan, the other.",
)
fmin = binary(
    "fmin",
    numpy=np.fmin,
    dtype=same,
    refuse=_refuse_extremum("fmin", "minimum"),
    vjp=(
        lambda g, x, y: g.masked_fill(((x <= y) | y.isnan()).logical_not(), 0),
        lambda g, x, y: g.masked_fill((x <= y) | y.isnan(), 0),
    ),
    numbers=NONE,
    doc="The smaller of two, elementwise; where one is nan, the other.",
)

# ---- closeness ----


def _check_close(name: str, input: Any, other: Any, rtol: float, atol: float) -> None:
    check_tensors(name, input=input, other=other)
    if input._dtype is not other._dtype:
        raise RuntimeError(f"{input._dtype.legacy} did not match {other._dtype.legacy}")
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol:g}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol:g}")


@public(out=False, takes={"rtol": "float", "atol": "float", "equal_nan": "bool"})
def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether `|input - other| <= atol + rtol * |other|`, elementwise.

    Raises:
        RuntimeError: different dtypes, or a negative tolerance.

    Example:
        >>> import rushlight as torch
        >>> torch.isclose(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1]))
        tensor([ True, False])
    """
    _check_close("isclose", input, other, rtol, atol)
    input, other = input.detach(), other.detach()
    # step by step as PyTorch does it: rounding, and the order of the result's dimensions, are those of the steps
    close = eq(input, other)
    if equal_nan:
        close |= ne(input, input) & ne(other, other)
    if rtol == 0 and atol == 0:
        return close
    if input._dtype.category < FLOATING:
        kind = default_float(input._dtype)
        input, other = input.to(kind), other.to(kind)
    actual = (input - other).abs()
    close |= isfinite(actual).logical_and_(actual <= (other * rtol).abs() + atol)
    return close


@public(out=False, takes={"rtol": "float", "atol": "float", "equal_nan": "bool"})
def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close: a Python bool. See `isclose`.

    Example:
        >>> import rushlight as torch
        >>> torch.allclose(torch.tensor([1.0]), torch.tensor([1.0 + 1e-9]))
        True
    """
    return bool(isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan).all())


@public(out=False)
def equal(input, other):
    """Whether two tensors have the same shape and the same elements: a Python bool.

    Raises:
        TypeError: one of them is no tensor.

    Example:
        >>> import rushlight as torch
        >>> torch.equal(torch.tensor([1, 2]), torch.tensor([1, 2]))
        True
    """
    if type(input) is Tensor and type(other) is Tensor and input._dtype is other._dtype:
        a, b = input._a, other._a
        if a.shape == b.shape and input._dtype is not complex32:
            return int(np.count_nonzero(np.equal(a, b))) == a.size
    check_tensors("equal", input=input, other=other)
    if input._a.shape != other._a.shape:
        return False
    if complex32 in (input._dtype, other._dtype):
        raise refusal("equal")
    if input._dtype is not other._dtype:
        kind = result_type(input, other)
        return bool(quiet(np.array_equal, convert(input._a, kind), convert(other._a, kind)))
    return bool(quiet(np.array_equal, input._a, other._a))
