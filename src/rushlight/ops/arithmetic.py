"""Sums, products, quotients and what is left over."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import (
    BOOL,
    BY_NUMPY,
    COMPLEX,
    FLOATING,
    INTEGER,
    WIDE_UNSIGNED,
    bool_,
    dtype,
    float32,
    float64,
)
from rushlight.graph.expr import array_of
from rushlight.layout import NUMBER
from rushlight.numerics.fused import multiply_add
from rushlight.ops.kinds.binary import ONE, OTHER, answered, binary, check_operands, short_inplace
from rushlight.ops.kinds.elementwise import (
    floating,
    layout_of,
    not_implemented,
    placed,
    same,
    same_out,
    unary,
)
from rushlight.ops.kinds.pointwise import Pointwise, pointwise, undefined_derivative
from rushlight.ops.promotion import NUMBERS, checked_number, operand, result_type
from rushlight.ops.spec import public
from rushlight.runtime.execute import quiet
from rushlight.runtime.results import FEW
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative
from rushlight.tape.modes import direct
from rushlight.tape.recording import record

# ---- linear ----


def _conjugate(value: Any) -> Any:
    return value.conjugate() if isinstance(value, complex) else value


@pointwise(
    "Add",
    rule=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    vjp=(lambda g: g, lambda g, alpha: g * _conjugate(alpha)),
)
def add_scaled(x, y, *, alpha):
    return _multiply_add(x, y, alpha)


@pointwise(
    "Sub",
    rule=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    vjp=(lambda g: g, lambda g, alpha: -g * _conjugate(alpha)),
)
def sub_scaled(x, y, *, alpha):
    return _multiply_add(x, y, -alpha)


@pointwise(
    "Rsub",
    rule=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    vjp=(lambda g, alpha: -g * _conjugate(alpha), lambda g: g),
)
def rsub_tensors(x, y, *, alpha):
    return _multiply_add(y, x, -alpha)


@pointwise(
    "RsubBackward1",
    rule=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    vjp=(lambda g, alpha: -g * _conjugate(alpha), None),
)
def rsub_number(x, y, *, alpha):
    return _multiply_add(y, x, -alpha)


def _multiply_add(x: np.ndarray, y: np.ndarray, alpha: Any) -> np.ndarray:
    """x + alpha y, rounded once: PyTorch uses fused multiply-add."""
    if x.dtype.kind == "b":
        return x | y if alpha else x | np.zeros_like(y)
    return multiply_add(x, y, np.asarray(operand(alpha, BY_NUMPY[x.dtype])))


def _alpha(promoted: dtype, alpha: Any) -> Any:
    """`alpha` as a number that may scale tensors of this type; RuntimeError if it may not."""
    if promoted.category == FLOATING and type(alpha) in (int, float):
        return alpha
    if not isinstance(alpha, (*NUMBERS, Tensor)):
        raise TypeError(f"add(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    alpha = alpha.item() if isinstance(alpha, (Tensor, np.generic)) else alpha
    if isinstance(alpha, bool) and promoted is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, complex) and promoted.category != COMPLEX:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    if isinstance(alpha, (float, complex)) and promoted.category < FLOATING:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if promoted.category == INTEGER:
        checked_number(alpha, promoted)
    return alpha


def _scaled(operation: Pointwise) -> Any:
    def scaled(input: Any, other: Any, alpha: Any) -> Tensor:
        if type(input) is Tensor and type(other) is Tensor and input._dtype is other._dtype:
            promoted = input._dtype
        else:
            promoted = result_type(input, other)
        return operation.at(promoted, input, other, alpha=_alpha(promoted, alpha))

    return scaled


def _no_bools(x: Any, y: Any) -> None:
    """Subtraction refuses bool operands, whatever the other one is."""
    found = [
        value._dtype is bool_ if isinstance(value, Tensor) else isinstance(value, bool) for value in (x, y)
    ]
    if all(found):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    if any(found):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        )


def _scaled_difference(input: Any, other: Any, alpha: Any) -> Tensor:
    _no_bools(input, other)
    return _scaled(sub_scaled)(input, other, alpha)


add = binary(
    "add",
    commutes=True,
    numpy=np.add,
    dtype=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    vjp=(lambda g: g, lambda g: g),
    scaled=_scaled(add_scaled),
    doc="""The sum `input + alpha * other`, elementwise with broadcasting.

    Example:
        >>> import rushlight as torch
        >>> torch.add(torch.tensor([1.0, 2.0]), 10, alpha=2)
        tensor([21., 22.])
    """,
)

sub = binary(
    "sub",
    numpy=np.subtract,
    dtype=same,
    refuse=not_implemented("add_stub", *WIDE_UNSIGNED),
    check=_no_bools,
    vjp=(lambda g: g, lambda g: -g),
    scaled=_scaled_difference,
    doc="""The difference `input - alpha * other`; RuntimeError for bool tensors.

    Example:
        >>> import rushlight as torch
        >>> torch.sub(torch.tensor([3, 4]), torch.tensor([1]))
        tensor([2, 3])
    """,
)
subtract = sub


@public(overloaded=True)
def rsub(input, other, *, alpha=1):
    """The difference `other - alpha * input`.

    Example:
        >>> import rushlight as torch
        >>> torch.rsub(torch.tensor([1.0, 2.0]), 10)
        tensor([9., 8.])
    """
    check_operands("rsub", input, other, OTHER)
    return _difference_from(input, other, alpha)


def _difference_from(x: Tensor, y: Any, alpha: Any = 1) -> Tensor:
    _no_bools(x, y)
    promoted = result_type(x, y)
    operation = rsub_tensors if isinstance(y, Tensor) else rsub_number
    return operation.at(promoted, x, y, alpha=_alpha(promoted, alpha))


_taken_from = Derivative("RsubBackward1", ("x",), (lambda g: -g,))


def reflected_sub(self: Tensor, other: Any) -> Any:
    """`other - self`."""
    kind = self._dtype
    if (kind is float32 or kind is float64) and type(other) in (float, int):
        x = self._a
        if x.size < FEW:
            a = quiet(np.subtract, other, x)
            out = new_tensor(placed(np.asarray(a), (layout_of(self, kind), NUMBER)), kind)
        else:
            out = sub.elementwise.compute((other, self), kind)
        if self._edge is not None:
            record(_taken_from, (self,), None, out)
        return out
    return _difference_from(self, other) if isinstance(other, (Tensor, *NUMBERS)) else NotImplemented


def _no_negative(d: dtype) -> Exception | None:
    if d is bool_:
        return RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use "
            "the `~` or `logical_not()` operator instead."
        )
    return not_implemented("neg_cpu", *WIDE_UNSIGNED)(d)


neg = unary(
    "neg",
    numpy=np.negative,
    out_check=same_out,
    dtype=same,
    refuse=_no_negative,
    vjp=lambda g: -g,
    doc="""The negative of each element; RuntimeError for bool tensors.""",
)
negative = neg


@public(out=False)
def positive(input: Tensor) -> Tensor:
    """`input` itself.

    Raises:
        RuntimeError: a bool tensor, as with PyTorch.

    Example:
        >>> import rushlight as torch
        >>> torch.positive(torch.tensor([-1, 2]))
        tensor([-1,  2])
    """
    if input._dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# ---- products and quotients ----

mul = binary(
    "mul",
    commutes=True,
    numpy=np.multiply,
    dtype=same,
    vjp=(lambda g, y: g * y.conj(), lambda g, x: g * x.conj()),
    exact_numbers=True,
    doc="""The product, elementwise with broadcasting.

    Example:
        >>> import rushlight as torch
        >>> torch.mul(torch.tensor([[1.0], [2.0]]), torch.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """,
)
multiply = mul


def _to_divisor(g: Any, x: Any, y: Any) -> Any:
    if direct(g) and x._dtype is g._dtype is y._dtype:
        return new_tensor(quiet(_divisor_gradient, g._a, array_of(x._a), array_of(y._a)), g._dtype)
    return -g * ((x / y) / y).conj()


def _divisor_gradient(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.negative(g) * ((x / y) / y))


true_quotient = binary(
    "true_divide",
    node="Div",
    numpy=np.divide,
    dtype=floating,
    exact_numbers=True,
    vjp=(lambda g, y: g / y.conj(), _to_divisor),
    doc="""The quotient, a floating type for integers; division by zero gives inf or nan.

    Example:
        >>> import rushlight as torch
        >>> torch.true_divide(torch.tensor([1, 0]), 2)
        tensor([0.5000, 0.0000])
    """,
)
true_divide = true_quotient


def _nonzero(y: Any) -> None:
    if y.dtype.kind in "iu" and not np.all(y):
        raise RuntimeError("ZeroDivisionError")


def floor_quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rounded towards minus infinity; of floats, exactly as Python's `//`, except that x // 0 is x / 0."""
    _nonzero(y)
    return np.floor_divide(x, y)


def trunc_quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Rounded towards zero."""
    _nonzero(y)
    if x.dtype.kind not in "iu":
        return np.trunc(x / y)
    quotient = np.floor_divide(x, y)
    return quotient + ((quotient * y != x) & ((x < 0) != (y < 0)))


_ROUNDED = {"floor": floor_quotient, "trunc": trunc_quotient}


@pointwise(
    "DivBackward2",
    rule=same,
    vjp=(
        lambda g, y: g.new_zeros(g.shape),
        lambda g, x, y: g.new_zeros(g.shape),
    ),  # kept as PyTorch keeps them
    exact_numbers=True,
)
def rounded_quotient(x, y, *, rounding_mode):
    return _ROUNDED[rounding_mode](x, y)


def _refuse_rounded(mode: str, promoted: dtype) -> None:
    refuse = not_implemented(f"div_{mode}_cpu", BOOL, COMPLEX, *WIDE_UNSIGNED)
    error = refuse(promoted)
    if error is not None:
        raise error


@public
def div(input, other, *, rounding_mode=None):
    """The quotient; `rounding_mode` "floor" or "trunc" rounds it and keeps integers integers.

    Raises:
        RuntimeError: division of integers by zero with a rounding mode.

    Example:
        >>> import rushlight as torch
        >>> torch.div(torch.tensor([-7, 7]), 2, rounding_mode="trunc")
        tensor([-3,  3])
    """
    if rounding_mode is None:
        if isinstance(input, Tensor) and isinstance(other, Tensor):
            return answered(true_quotient.operator(input, other))
        return true_quotient(*check_operands("div", input, other))
    if rounding_mode not in _ROUNDED:
        if not isinstance(rounding_mode, str):
            raise TypeError(
                f"div(): argument 'rounding_mode' must be str, not {type(rounding_mode).__name__}"
            )
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    input, other = check_operands("div", input, other)
    _refuse_rounded(rounding_mode, result_type(input, other))
    return rounded_quotient(input, other, rounding_mode=rounding_mode)


div.inplace = div.operation.inplace = short_inplace(np.divide, true_quotient.elementwise.direct, div.inplace)
divide = div

floor_divide = binary(
    "floor_divide",
    numpy=floor_quotient,
    dtype=same,
    refuse=not_implemented("div_floor_cpu", BOOL, COMPLEX, *WIDE_UNSIGNED),
    vjp=undefined_derivative("aten::floor_divide", 2),
    exact_numbers=True,
    doc="""The quotient rounded towards minus infinity, as Python's `//`.

    Raises:
        RuntimeError: division of integers by zero.

    Example:
        >>> import rushlight as torch
        >>> torch.floor_divide(torch.tensor([-7, 7]), 2)
        tensor([-4,  3])
    """,
)


def reflected_div(self: Tensor, other: Any) -> Any:
    """`other / self`, by way of the reciprocal, as PyTorch computes it."""
    try:
        return reciprocal.method(self) * other
    except TypeError:
        return NotImplemented


def floor_remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What is left after `floor`: of y's sign, but a zero keeps x's."""
    _nonzero(y)
    if x.dtype.kind in "iu":
        return np.remainder(x, y)
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


def trunc_remainder(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What is left after `trunc`: of x's sign."""
    _nonzero(y)
    return np.fmod(x, y)


_refuse_remainder = not_implemented("remainder_cpu", BOOL, COMPLEX, *WIDE_UNSIGNED)
_refuse_fmod = not_implemented("fmod_cpu", BOOL, COMPLEX, *WIDE_UNSIGNED)


@pointwise("RemainderBackward0", rule=same, refuse=_refuse_remainder, vjp=(lambda g: g, None))
def remainder_number(x, y):
    return floor_remainder(x, y)


@pointwise(
    "RemainderBackward1",
    rule=same,
    refuse=_refuse_remainder,
    vjp=(lambda g: g, lambda g, x, y: -g * x.div(y, rounding_mode="floor")),
)
def remainder_tensors(x, y):
    return floor_remainder(x, y)


@pointwise("NotImplemented", rule=same, refuse=_refuse_remainder, vjp=NOT_DIFFERENTIABLE)
def remainder_of_number(x, y):
    return floor_remainder(x, y)


remainder_of_number.derivative = undefined_derivative("aten::remainder", 2)


@pointwise("FmodBackward0", rule=same, refuse=_refuse_fmod, vjp=(lambda g: g, None))
def fmod_number(x, y):
    return trunc_remainder(x, y)


@pointwise(
    "FmodBackward1",
    rule=same,
    refuse=_refuse_fmod,
    vjp=(lambda g: g, lambda g, x, y: -g * x.div(y, rounding_mode="trunc")),
)
def fmod_tensors(x, y):
    return trunc_remainder(x, y)


@public(overloaded=True)
def remainder(input, other):
    """What Python's `%` leaves: `input - floor(input / other) * other`, of the sign of `other`.

    Raises:
        RuntimeError: division of integers by zero.

    Example:
        >>> import rushlight as torch
        >>> torch.remainder(torch.tensor([-3.0, 3.0]), 2)
        tensor([1., 1.])
    """
    input, other = check_operands("remainder", input, other, ONE)
    if not isinstance(input, Tensor):
        return remainder_of_number(input, other)
    return remainder_tensors(input, other) if isinstance(other, Tensor) else remainder_number(input, other)


@public(overloaded=True)
def fmod(input, other):
    """What C's `fmod` leaves: `input - trunc(input / other) * other`, of the sign of `input`.

    Raises:
        RuntimeError: division of integers by zero.

    Example:
        >>> import rushlight as torch
        >>> torch.fmod(torch.tensor([-3.0, 3.0]), 2)
        tensor([-1.,  1.])
    """
    check_operands("fmod", input, other, OTHER)
    return fmod_tensors(input, other) if isinstance(other, Tensor) else fmod_number(input, other)


reciprocal = unary(
    "reciprocal",
    numpy=lambda x: 1 / x,
    dtype=floating,
    vjp=lambda g, out: -g * (out * out).conj(),
    doc="""`1 / input`, a floating type for integers.""",
)

# ---- whole numbers ----

gcd = binary(
    "gcd",
    numpy=np.gcd,
    dtype=same,
    refuse=not_implemented("gcd_cpu", BOOL, FLOATING, COMPLEX, *WIDE_UNSIGNED),
    vjp=NOT_DIFFERENTIABLE,
    numbers="none",
    doc="""The greatest common divisor of integers; of 0 and 0, 0.""",
)

lcm = binary(
    "lcm",
    numpy=np.lcm,
    dtype=same,
    refuse=not_implemented("lcm_cpu", BOOL, FLOATING, COMPLEX, *WIDE_UNSIGNED),
    vjp=NOT_DIFFERENTIABLE,
    numbers="none",
    doc="""The least common multiple of integers.""",
)
