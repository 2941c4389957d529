"""Elementwise operations: each element of the result depends on one element of each operand.

Note [The short path]: a 3x3 addition costs NumPy 0.2 µs and a Python call 0.05 µs, so the
functions that serve operators and methods are closures which look nothing up twice. They
take the case of equal dtypes that NumPy computes directly, and hand everything else over. What is
large goes through `results.elementwise`, which finds memory for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes, errors
from rushlight.buffer import Tensor, is_guarded, new_tensor
from rushlight.deep import Deep
from rushlight.deep import elementwise as deep_elementwise
from rushlight.dtypes import (
    ALL,
    BOOL,
    FLOATING,
    INTEGER,
    WIDE,
    bool_,
    can_cast,
    complex32,
    default_float,
    dtype,
    of_number,
)
from rushlight.graph.expr import array_of
from rushlight.layout import NUMBER, Operand, broadcast, result_strides
from rushlight.ops.complex_half import STEPWISE, check_elementwise
from rushlight.ops.promotion import NUMBERS, half_operand, operand, result_type
from rushlight.ops.spec import Operation, public
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, FROM_COSTLY, large, launch, tensor_on
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.results import FEW, array, elementwise
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record1, record2
from rushlight.tape.writes import wrote

_make = object.__new__
_ndarray = np.ndarray
_asarray = np.asarray

Rule = Callable[[dtype], tuple[dtype, dtype]]

# ---- dtype rules: from the promoted type of the operands to (type computed in, type of the result) ----


def same(d: dtype) -> tuple[dtype, dtype]:
    return d, d


def floating(d: dtype) -> tuple[dtype, dtype]:
    """Integers become the default floating type."""
    d = default_float(d)
    return d, d


def boolean(d: dtype) -> tuple[dtype, dtype]:
    return d, bool_


class Elementwise:
    """What the functions made for one operation share.

    Attributes:
        numpy: the meaning, on arrays of one dtype.
        rule: dtypes, see above.
        refuse: dtype -> what to raise if the operation is not defined there, else None.
        exact_numbers: whether half types take numbers in float32, without rounding them first.
        strides_of: the strides that the result gets, see `rushlight.layout`.
        least: the size of a result, in elements, from which on it is a loop of ours.
    """

    __slots__ = (
        "name",
        "numpy",
        "rule",
        "derivative",
        "refuse",
        "direct",
        "exact_numbers",
        "strides_of",
        "least",
    )

    def __init__(self, name: str, numpy: Callable, rule: Rule, derivative: Any, refuse: Any) -> None:
        self.name = name
        self.numpy = numpy
        self.rule = rule
        self.derivative = derivative
        self.refuse = refuse
        self.exact_numbers = False
        self.strides_of: Callable = result_strides
        self.least = FROM if isinstance(numpy, np.ufunc) else FROM_COSTLY
        #: per dtype: the result's dtype where NumPy computes it directly, else None
        self.direct = [self._direct(d) for d in ALL]

    def _direct(self, d: dtype) -> dtype | None:
        if d in WIDE or (self.refuse is not None and self.refuse(d)):
            return None
        if self.rule is floating and d.category < FLOATING:
            return None
        computed, result = self.rule(d)
        return result if computed is d else None

    def types(self, d: dtype) -> tuple[dtype, dtype]:
        if self.refuse is not None:
            error = self.refuse(d)
            if error is not None:
                raise error
        if d is complex32:
            check_elementwise(self.name, getattr(self.refuse, "kernel", None))
        return self.rule(d)

    def compute(self, operands: tuple, promoted: dtype, **attrs: Any) -> Tensor:
        """The values, in the right dtype; half types are computed in float32 and rounded once."""
        try:
            computed, result = self.types(promoted)
        except (RuntimeError, NotImplementedError):
            broadcast(
                *[value._a.shape for value in operands if isinstance(value, Tensor)]
            )  # shapes are checked first
            raise
        numpy: Any = self.numpy
        entering: Callable
        if computed in WIDE:
            if computed is complex32:
                numpy = STEPWISE.get(self.name, numpy)
            entering = functools.partial(half_operand, exact_numbers=self.exact_numbers)
        else:
            entering = operand
        kinds = (computed,) * len(operands)
        a = launch(self.name, numpy, operands, kinds, result, attrs, entering, self.strides_of, self.least)
        if a is not None:
            return tensor_on(a, result)
        arrays = [array_of(entering(value, computed)) for value in operands]
        try:
            if max([a.size for a in arrays]) >= FEW and (result is computed or result is bool_):
                made = bool_.numpy if result is bool_ else arrays[0].dtype
                a = quiet(elementwise, functools.partial(numpy, **attrs) if attrs else numpy, made, *arrays)
            else:
                a = quiet(numpy, *arrays, **attrs)
        except ValueError:
            broadcast(*[a.shape for a in arrays])
            raise
        if type(a) is not _ndarray:
            a = _asarray(a)
        if a.dtype != result.numpy:
            a = quiet(convert, a, result)
        a = placed(a, tuple([layout_of(value, promoted) for value in operands]), self.strides_of)
        return new_tensor(a, result)


def layout_of(value: Any, kind: dtype) -> Operand:
    """The layout of an operand that is used as type `kind`."""
    if not isinstance(value, Tensor):
        return NUMBER
    a = value._a
    return a.shape, a.strides, a.itemsize, value._dtype is not kind


def in_order(a: Any, *operands: Any) -> Any:
    """The result with its dimensions in PyTorch's order, which NumPy's often is not; of operands that are not converted."""
    return placed(a, tuple([(x.shape, x.strides, x.itemsize, False) for x in operands]))


def placed(a: Any, operands: tuple[Operand, ...], strides_of: Callable = result_strides) -> Any:
    """The result with the strides that PyTorch gives it."""
    if not np.ndim(a) or not a.size:
        return a
    wanted = strides_of(a.shape, a.itemsize, operands)
    if a.strides == wanted:
        return a
    out = array(a.shape, a.dtype, wanted)
    out[...] = a
    return out


def not_implemented(name: str, *kinds: Any) -> Callable[[dtype], Any]:
    """Refuse dtypes, given one by one or by category, with PyTorch's sentence."""

    def refuse(d: dtype) -> Exception | None:
        if d.category in kinds or d in kinds:
            return NotImplementedError(f"\"{name}\" not implemented for '{d.legacy}'")
        return None

    refuse.kernel = name  # type: ignore[attr-defined]
    return refuse


def _derivative(node: str, names: tuple[str, ...], vjp: Any) -> Derivative | None:
    return None if vjp is NOT_DIFFERENTIABLE else Derivative(node, names, vjp)


def _camel(name: str) -> str:
    """The node's name as PyTorch derives it: logical_and -> LogicalAndBackward0."""
    return "".join(part.capitalize() for part in name.split("_")) + "Backward0"


# ---- unary ----


def unary(
    name: str,
    *,
    numpy: Callable,
    dtype: Rule,
    vjp: Any,
    node: str = "",
    refuse: Any = None,
    out: bool = True,
    out_check: Callable | None = None,
    strides: Callable = result_strides,
    doc: str = "",
) -> Any:
    """Declare `name(input)`. `vjp` is one function of (g[, x][, out]) or NOT_DIFFERENTIABLE.

    The returned function has `.method` (for Tensor) and `.inplace`.

    Args:
        out: whether `out=` is taken.
        out_check: what `out` must be; see `public`.
        strides: see `Elementwise.strides_of`.
    """
    vjps = vjp if vjp is NOT_DIFFERENTIABLE else (vjp,)
    op = Elementwise(name, numpy, dtype, _derivative(node or _camel(name), ("x",), vjps), refuse)
    op.strides_of = strides
    direct, derivative, least = op.direct, op.derivative, op.least

    def method(self: Tensor) -> Tensor:
        kind = direct[self._dtype.index]
        if kind is not None:
            try:
                x = self._a
                if x.size >= least:
                    return slow(self)
                a = enter(numpy, x)
            except RuntimeError:
                return slow(self)
            if type(a) is not _ndarray:
                a = _asarray(a)
            elif not x.flags.c_contiguous:
                if 1 in a.shape or not x.flags.f_contiguous:
                    a = placed(a, ((x.shape, x.strides, x.itemsize, False),), strides)
            out = _make(Tensor)
            out._a = a
            out._dtype = kind
            out._buf = None
            out._edge = None
            if self._edge is not None and derivative is not None:
                record1(derivative, self, None, out)
            return out
        return slow(self)

    def slow(self: Tensor) -> Tensor:
        if isinstance(self, Deep):
            return deep_elementwise(method, self)
        out = op.compute((self,), self._dtype)
        if derivative is not None:
            record1(derivative, self, None, out)
        return out

    def function(input: Tensor) -> Tensor:
        return method(input)

    def into(self: Tensor) -> bool:
        if direct[self._dtype.index] is not self._dtype or not isinstance(numpy, np.ufunc):
            return False
        # NumPy 2.4 negates numbers of 4 bytes that lie 16 apart wrongly
        if large(self._a) or not self._a.flags.c_contiguous:
            return False
        quiet(numpy, self._a, self._a)
        return True

    made = _finish(name, function, method, into, doc, op, out, out_check)
    made.inplace = _short_inplace_unary(numpy, direct, least, made.inplace)
    return made


def _short_inplace_unary(numpy: Any, direct: list, least: int, general: Callable) -> Callable:
    """`x.name_()` at once for plain x; `general` for everything else."""
    is_ufunc = isinstance(numpy, np.ufunc)

    @functools.wraps(general)
    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kind, a, buffer = self._dtype, self._a, self._buf
        if (
            direct[kind.index] is kind
            and (self._edge is None or not MODES.grad or not requires_grad(self))
            and a.flags.carray
            and a.size < least
            and (buffer is None or not is_guarded(buffer))
            and not args
            and not kwargs
        ):
            try:
                if is_ufunc:
                    enter(numpy, a, a)
                else:
                    a[...] = enter(numpy, a)
            except RuntimeError:
                return general(self)
            wrote(self)
            return self
        return general(self, *args, **kwargs)

    return inplace


def same_out(out: Tensor, result: Tensor, inputs: list) -> None:
    """`out` must have the result's dtype exactly."""
    if out._dtype is not result._dtype:
        raise RuntimeError(f"Found dtype {out._dtype.legacy} but expected {result._dtype.legacy}")


def bool_out(name: str) -> Callable:
    """`out` must be bool."""

    def check(out: Tensor, result: Tensor, inputs: list) -> None:
        if out._dtype is not bool_:
            raise RuntimeError(f"{name} does not support non-boolean outputs.")

    return check


def _finish(
    name: str,
    function: Callable,
    method: Callable,
    into: Any,
    doc: str,
    op: Elementwise,
    out: bool = True,
    out_check: Callable | None = None,
    overloaded: bool = False,
) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    made = public(function, name=name, out=out, into=into, check=out_check, overloaded=overloaded)
    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = doc
    made.method = method
    made.elementwise = op
    return made


# ---- binary ----


OPERANDS = (Tensor, *NUMBERS)
#: which operands may be numbers: both, either, the second, none
ANY, ONE, OTHER, NONE = "any", "one", "other", "none"


def binary(
    name: str,
    *,
    numpy: Callable,
    dtype: Rule,
    vjp: Any,
    node: str = "",
    refuse: Any = None,
    check: Callable | None = None,
    numbers: str = ANY,
    exact_numbers: bool = False,
    scaled: Callable | None = None,
    commutes: bool = False,
    doc: str = "",
) -> Any:
    """Declare `name(input, other)`. `vjp` is a pair of functions of (g[, x][, y][, out]).

    The returned function has `.operator` (x op y), `.reflected` (y op x) and `.inplace`.

    Args:
        check: raises for operands that do not go together, where their promoted type does not tell.
        numbers: which operands may be numbers.
        exact_numbers: see `Elementwise`.
        scaled: what `name(input, other, alpha=alpha)` does.
        commutes: whether the operands may be exchanged.
    """
    derived = vjp if isinstance(vjp, Derivative) else _derivative(node or _camel(name), ("x", "y"), vjp)
    op = Elementwise(name, numpy, dtype, derived, refuse)
    op.exact_numbers = exact_numbers
    if check is not None:
        op.direct[bool_.index] = None
    # NumPy compares an integer that does not fit its type by value; PyTorch lets it wrap around
    wraps = dtype is not boolean
    direct, derivative, least = op.direct, op.derivative, op.least
    y_unused = derivative is None or not derivative.needs(0, "y")
    plain_numbers = (float, int) if isinstance(numpy, np.ufunc) else ()

    def operator(x: Tensor, y: Any) -> Any:
        if isinstance(y, Tensor):
            kind = x._dtype
            if kind is y._dtype:
                kind = direct[kind.index]
                if kind is not None:
                    try:
                        a = x._a
                        if a.size >= least:
                            return slow(x, y)
                        a = enter(numpy, a, y._a)
                    except (RuntimeError, ValueError):
                        return slow(x, y)
                    if type(a) is not _ndarray:
                        a = _asarray(a)
                    elif not x._a.flags.c_contiguous:
                        # (an expanded number has no order)
                        if any(x._a.strides) or not y._a.flags.c_contiguous or 1 in a.shape:
                            a = in_order(a, x._a, y._a)
                    elif 1 in (shape := a.shape) or x._a.shape != shape and not y._a.flags.c_contiguous:
                        a = in_order(a, x._a, y._a)
                    out = _make(Tensor)
                    out._a = a
                    out._dtype = kind
                    out._buf = None
                    out._edge = None
                    if x._edge is None and y._edge is None or derivative is None:
                        return out
                    record2(derivative, x, y, None, out)
                    return out
            return slow(x, y)
        if type(y) in plain_numbers:
            kind = x._dtype
            result = direct[kind.index]
            if result is not None and (
                kind.category >= FLOATING or kind.category == INTEGER and wraps and type(y) is int
            ):
                try:
                    a = x._a
                    if a.size >= least:
                        return slow(x, y)
                    a = enter(numpy, a, y)
                except (RuntimeError, OverflowError):
                    return slow(x, y)
                if type(a) is not _ndarray:
                    a = _asarray(a)
                elif 1 in a.shape or not x._a.flags.forc:
                    a = placed(a, (layout_of(x, kind), NUMBER))
                out = _make(Tensor)
                out._a = a
                out._dtype = result
                out._buf = None
                out._edge = None
                if x._edge is not None and derivative is not None:
                    record2(derivative, x, None if y_unused else as_operand(y, kind), None, out)
                return out
            return slow(x, y)
        return slow(x, y) if isinstance(y, NUMBERS) else NotImplemented

    def reflected(x: Tensor, y: Any) -> Any:
        if not isinstance(x, Tensor):
            raise errors.wrong_self(f"__r{name}__", x)
        if commutes or isinstance(y, Tensor):
            return operator(x, y) if commutes else operator(y, x)
        return slow(y, x) if isinstance(y, NUMBERS) else NotImplemented

    def slow(x: Any, y: Any) -> Tensor:
        if isinstance(x, Deep) or isinstance(y, Deep):
            return deep_elementwise(function, x, y)
        if check is not None:
            check(x, y)
        promoted = result_type(x, y)
        out = op.compute((x, y), promoted)
        if derivative is not None and (
            isinstance(x, Tensor) and x._edge or isinstance(y, Tensor) and y._edge
        ):
            record2(derivative, as_operand(x, promoted), as_operand(y, promoted), None, out)
        return out

    def function(input: Any, other: Any) -> Tensor:
        if isinstance(input, Tensor) and (numbers is not NONE or isinstance(other, Tensor)):
            out = operator(input, other)
            if out is not NotImplemented:
                return out
        return slow(*check_operands(name, input, other, numbers))

    if scaled is not None:
        unscaled = function

        def function(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:  # type: ignore[misc]
            if type(alpha) is int and alpha == 1:
                return unscaled(input, other)
            return scaled(*check_operands(name, input, other, numbers), alpha)

    def into(self: Tensor, other: Any, **attrs: Any) -> bool:
        if check is not None:
            check(self, other)
        if not isinstance(other, Tensor):
            return isinstance(other, NUMBERS) and check_kinds(self, other)
        a, b = self._a, other._a
        if a.shape != b.shape:
            check_fits(a.shape, broadcast(a.shape, b.shape))
        if other._dtype is not self._dtype:
            return check_kinds(self, other)
        if (
            attrs
            or direct[self._dtype.index] is not self._dtype
            or not isinstance(numpy, np.ufunc)
            or large(a)
        ):
            return False
        quiet(numpy, a, b, a)
        return True

    def check_kinds(self: Tensor, other: Any) -> bool:
        """A result that does not fit is refused before an operation that is not defined."""
        promoted = result_type(self, other)
        if op.refuse is not None and op.refuse(promoted) is not None:
            result = op.rule(promoted)[1]
            if not can_cast(result, self._dtype):
                raise errors.cannot_cast(result, self._dtype)
        return False

    operator.__name__ = name
    made = _finish(name, function, operator, into, doc, op, overloaded=numbers in (ONE, OTHER))
    if isinstance(numpy, np.ufunc):
        made.inplace = short_inplace(numpy, direct, made.inplace)
    made.operator = operator
    made.reflected = reflected
    return made


def check_fits(shape: tuple[int, ...], result: tuple[int, ...]) -> None:
    """Whether a result of this shape can be written in place; PyTorch checks it before the dtypes."""
    if shape != result:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape {list(result)}"
        )


def short_inplace(numpy: Any, direct: list, general: Callable) -> Callable:
    """`x.name_(y)` at once for plain x and y of one dtype (or y a number); `general` for everything else."""

    @functools.wraps(general)
    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kind = self._dtype
        if len(args) != 1 or kwargs or direct[kind.index] is not kind:
            return general(self, *args, **kwargs)
        if self._a.size >= FROM:
            return general(self, args[0])
        y, a, buffer = args[0], self._a, self._buf
        if isinstance(y, Tensor):
            b = y._a
            plain = y._dtype is kind and a.shape == b.shape
            plain = plain and (buffer is None or y._buf is None or buffer.array is not y._buf.array)
            plain = plain and (y._edge is None or not MODES.grad or not requires_grad(y))
        else:
            b = y
            plain = type(y) is float and kind.category == FLOATING or type(y) is int and kind.category != BOOL
        plain = plain and (self._edge is None or not MODES.grad or not requires_grad(self))
        if plain and a.flags.carray and (buffer is None or not is_guarded(buffer)):
            try:
                enter(numpy, a, b, a)
            except (RuntimeError, OverflowError):
                return general(self, y)
            wrote(self)
            return self
        return general(self, y)

    return inplace


def as_operand(value: Any, kind: dtype) -> Tensor:
    """A number as the 0-d tensor that backward may keep."""
    if isinstance(value, Tensor):
        return value
    kind = default_float(kind) if isinstance(value, (float, np.floating)) else kind
    a = np.asarray(value)
    return new_tensor(convert(a, kind) if kind is complex32 else a.astype(kind.numpy), kind)


def check_operands(name: str, input: Any, other: Any, numbers: str = ANY) -> tuple[Any, Any]:
    """The operands if they are tensors, or numbers where these are allowed; TypeError otherwise."""
    first, second = isinstance(input, Tensor), isinstance(other, Tensor)
    if numbers is OTHER:
        if first and (second or isinstance(other, NUMBERS)):
            return input, other
        raise errors.invalid_combination(name, input, other)
    if numbers is ONE:
        if (first or second) and isinstance(input, OPERANDS) and isinstance(other, OPERANDS):
            return input, other
        raise errors.invalid_combination(name, input, other)
    if not first and not (numbers is ANY and isinstance(input, NUMBERS)):
        raise errors.wrong_type(name, "input", 1, input)
    if not second and not (numbers is ANY and isinstance(other, NUMBERS)):
        raise errors.wrong_type(name, "other", 2, other)
    if not first and not second:
        input = as_operand(input, of_number(input))
    return input, other


def operator(operation: Any) -> Callable:
    """`x op y` for Tensor: NotImplemented for what is neither tensor nor number."""

    def operate(self: Tensor, other: Any) -> Any:
        return operation(self, other) if isinstance(other, OPERANDS) else NotImplemented

    return operate


def reflected(operation: Any) -> Callable:
    """`y op x` for Tensor: NotImplemented for what is neither tensor nor number."""

    def operate(self: Tensor, other: Any) -> Any:
        return operation(other, self) if isinstance(other, OPERANDS) else NotImplemented

    return operate


def inplace_operator(operation: Any) -> Callable:
    """`x op= y` for Tensor: NotImplemented for what is neither tensor nor number."""
    inplace = operation.inplace

    def operate(self: Tensor, other: Any) -> Any:
        if isinstance(other, OPERANDS):
            return inplace(self, other)
        return NotImplemented

    return operate


__all__ = [
    "ANY",
    "NONE",
    "ONE",
    "OTHER",
    "Operation",
    "binary",
    "bool_out",
    "boolean",
    "dtypes",
    "floating",
    "inplace_operator",
    "not_implemented",
    "operator",
    "reflected",
    "same",
    "same_out",
    "unary",
]
