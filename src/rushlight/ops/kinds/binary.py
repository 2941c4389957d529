"""Operations of two operands: operators, their reflected and in-place forms, and the functions behind them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor, is_guarded, new_tensor
from rushlight.deep import Deep
from rushlight.deep import elementwise as deep_elementwise
from rushlight.dtypes import (
    BOOL,
    FLOATING,
    INTEGER,
    bool_,
    can_cast,
    complex32,
    default_float,
    dtype,
    of_number,
)
from rushlight.layout import NUMBER, broadcast, numel, row_strides
from rushlight.ops.kinds.elementwise import (
    Elementwise,
    Rule,
    boolean,
    camel,
    derivative_of,
    finish,
    in_order,
    layout_of,
    placed,
)
from rushlight.ops.promotion import NUMBERS, result_type
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, large
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.repeated import FEW, repeated
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record2
from rushlight.tape.writes import wrote

_make = object.__new__
_ndarray = np.ndarray
_asarray = np.asarray

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
    derived = vjp if isinstance(vjp, Derivative) else derivative_of(node or camel(name), ("x", "y"), vjp)
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
                        a, b = x._a, y._a
                        size, other = a.size, b.size
                        if size * other >= least and (
                            size >= least
                            or other >= least
                            or a.shape != b.shape
                            and numel(broadcast(a.shape, b.shape)) >= least
                        ):
                            return large_result(x, y, kind, False)
                        if a.flags.c_contiguous:
                            if (
                                other == size
                                and (size < _LINE or a.shape == b.shape)
                                or not b.ndim
                                or a.ndim == b.ndim > 2
                                and max(size, other) < FEW
                            ):
                                made = enter(numpy, a, b)
                            else:
                                made = spread((), a, b)
                            if 1 in made.shape:
                                if made.strides != a.strides or other > 1 and b.strides != a.strides:
                                    made = in_order(made, a, b)
                            elif made.size != size and not b.flags.c_contiguous:
                                made = in_order(made, a, b)
                        elif turned is not None and a.flags.f_contiguous and a.ndim == 2:
                            made = turned(a, b)
                        else:
                            made = enter(ordered, a, b)
                    except (RuntimeError, ValueError):
                        return of_tensors(x, y)
                    if type(made) is not _ndarray:
                        made = _asarray(made)
                    out = _make(Tensor)
                    out._a = made
                    out._dtype = kind
                    out._buf = None
                    out._edge = None
                    if x._edge is None and y._edge is None or derivative is None:
                        return out
                    record2(derivative, x, y, None, out)
                    return out
            return of_tensors(x, y)
        if type(y) in plain_numbers:
            kind = x._dtype
            result = direct[kind.index]
            if result is not None and (
                kind.category >= FLOATING or kind.category == INTEGER and wraps and type(y) is int
            ):
                try:
                    a = x._a
                    if a.size >= least:
                        return large_result(x, y, result, y_unused)
                    a = enter(numpy, a, y)
                except (RuntimeError, OverflowError):
                    return slow(x, y)
                if type(a) is not _ndarray:
                    a = _asarray(a)
                elif not x._a.flags.forc or 1 in a.shape and a.strides != x._a.strides:
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

    def of_tensors(x: Tensor, y: Tensor) -> Any:
        try:
            return slow(x, y)
        except NeedsBatching:
            _ = x._a  # (if it is this one that has no memory, that is an error here)
            return NotImplemented  # the other is asked next

    def large_result(x: Tensor, y: Any, result: Any, y_unused: bool) -> Tensor:
        """The result of a large tensor and another, or a number, that take the short way."""
        kind = x._dtype
        out = op.at_large(x, y, kind, result)
        if out is None:
            return slow(x, y)
        if derivative is not None and (x._edge is not None or isinstance(y, Tensor) and y._edge is not None):
            record2(derivative, x, None if y_unused else as_operand(y, kind), None, out)
        return out

    ordered = functools.partial(_ordered, numpy)
    turned = _turned(numpy) if plain_numbers else None
    spread: Callable = (
        repeated(("matrices", numpy), numpy) if plain_numbers else functools.partial(_entered, numpy)
    )

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
    made = finish(name, function, operator, into, doc, op, overloaded=numbers in (ONE, OTHER))
    if isinstance(numpy, np.ufunc):
        made.inplace = short_inplace(numpy, direct, made.inplace)
    made.operator = operator
    made.reflected = reflected
    return made


#: elements of a row and a column that make a matrix which is worth finding out that they are these
_LINE = 64
#: elements of a matrix that is sooner copied than walked against its order
_FEW = 1 << 10


def _turned(numpy: Callable) -> Callable[[Any, Any], Any]:
    """The operation on a matrix that lies in columns, and so does the result, and another of its shape."""

    def by_columns(a: Any, b: Any) -> Any:
        # (alike, they need no iterator of NumPy's, which takes longer than to copy few elements)
        return numpy(a, b if b.flags.c_contiguous or a.size > _FEW else b.copy())

    again = repeated(("matrices", numpy), by_columns)

    def operate(a: Any, b: Any) -> Any:
        if a.shape != b.shape or 1 in a.shape or type(a) is not _ndarray or type(b) is not _ndarray:
            return enter(_ordered, numpy, a, b)
        return again((), a.T, b.T).T

    return operate


def _entered(numpy: Callable, _: tuple, a: Any, b: Any) -> Any:
    return enter(numpy, a, b)


def _ordered(numpy: Callable, a: Any, b: Any) -> Any:
    """`numpy(a, b)`, where `a` does not lie in rows, with its dimensions in PyTorch's order."""
    number = a.base
    if type(number) is _ndarray and not number.ndim and number.dtype is a.dtype and b.flags.c_contiguous:
        # expanded, it has no order; and what is no array of dimensions costs NumPy a third
        if a.shape == b.shape and (1 not in a.shape or b.strides == row_strides(a.shape, b.itemsize, ())):
            return numpy(number, b)
    if a.shape != b.shape or 1 in a.shape:
        return in_order(numpy(a, b), a, b)
    if a.flags.f_contiguous and isinstance(numpy, np.ufunc):
        return numpy(a, b, order="F")
    return in_order(numpy(a, b), a, b)


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
        try:
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
                plain = (
                    type(y) is float and kind.category == FLOATING or type(y) is int and kind.category != BOOL
                )
            plain = plain and (self._edge is None or not MODES.grad or not requires_grad(self))
            if plain and a.flags.carray and (buffer is None or not is_guarded(buffer)):
                try:
                    enter(numpy, a, b, a)
                except (RuntimeError, OverflowError):
                    return general(self, y)
                wrote(self)
                return self
            return general(self, y)
        except NeedsBatching:
            return TAKE_OVER.inplace(general.__name__, inplace, (self, *args), kwargs)

    return asking(inplace)


def as_operand(value: Any, kind: dtype) -> Tensor:
    """A number as the 0-d tensor that backward may keep."""
    if isinstance(value, Tensor):
        return value
    kind = default_float(kind) if isinstance(value, (float, np.floating)) else kind
    a = np.asarray(value)
    if kind is complex32:
        return new_tensor(convert(a, kind), kind)
    if type(value) in (int, float) and -_SURE <= value <= _SURE:
        return new_tensor(a.astype(kind.numpy), kind)
    return new_tensor(quiet(a.astype, kind.numpy), kind)


#: numbers as large as this every floating type holds: others may overflow, of which NumPy would warn
_SURE = 65504


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


def answered(made: Any) -> Any:
    """What the `.operator` of two tensors made, in a function that does not ask one of them for its own."""
    if made is NotImplemented:
        raise NeedsBatching
    return made


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
