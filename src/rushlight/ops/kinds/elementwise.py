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

from rushlight.buffer import Tensor, is_guarded, new_tensor
from rushlight.debug import STATE
from rushlight.deep import Deep
from rushlight.deep import elementwise as deep_elementwise
from rushlight.dtypes import (
    ALL,
    BOOL,
    COMPLEX,
    FLOATING,
    INTEGER,
    REDUCED,
    WIDE,
    bool_,
    complex32,
    default_float,
    dtype,
)
from rushlight.graph.expr import array_of
from rushlight.layout import NUMBER, Operand, broadcast, result_strides
from rushlight.ops.complex_half import STEPWISE, check_elementwise
from rushlight.ops.promotion import half_operand, operand
from rushlight.ops.spec import public
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import (
    FROM,
    FROM_COSTLY,
    FROM_HALF,
    FROM_MAPPED,
    large,
    launch,
    mapped,
    tensor_on,
)
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.repeated import FEW as FEWEST
from rushlight.runtime.repeated import repeated
from rushlight.runtime.results import FEW, array, elementwise
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record1
from rushlight.tape.writes import wrote

_make = object.__new__
_ndarray = np.ndarray
_asarray = np.asarray

_NEW: Any = object()
#: shapes for which an operation keeps its loop
_MOST_LOOPS = 256

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
        waits: the size from which on it may wait to be computed.
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
        "waits",
    )

    def __init__(
        self, name: str, numpy: Callable, rule: Rule, derivative: Any, refuse: Any, least: int | None = None
    ) -> None:
        self.name = name
        self.numpy = numpy
        self.rule = rule
        self.derivative = derivative
        self.refuse = refuse
        self.exact_numbers = False
        self.strides_of: Callable = result_strides
        self.least = self.waits = least or (FROM if isinstance(numpy, np.ufunc) else FROM_COSTLY)
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

    def at_large(self, x: Tensor, y: Any, kind: dtype, result: dtype) -> Tensor | None:
        """What `compute` gives for a large tensor and another, or a number, of the type that they are computed in; None if that is not
        to be a loop of ours."""
        numpy, strides_of = self.numpy, self.strides_of
        a = launch(
            self.name, numpy, (x, y), (kind, kind), result, None, operand, strides_of, self.least, self.waits
        )
        return None if a is None else tensor_on(a, result)

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
        least, waits = self.least, self.waits
        if any(isinstance(value, Tensor) and value._dtype in REDUCED for value in operands):
            least, waits = min(least, FROM_HALF), min(waits, FROM_COSTLY)
        if computed in WIDE:
            if computed is complex32:
                numpy = STEPWISE.get(self.name, numpy)
            entering = functools.partial(half_operand, exact_numbers=self.exact_numbers)
        else:
            entering = operand
        kinds = (computed,) * len(operands)
        a = launch(
            self.name,
            numpy,
            operands,
            kinds,
            result,
            attrs,
            entering,
            self.strides_of,
            least,
            waits,
        )
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


def floats_only(name: str) -> Callable[[dtype], Any]:
    """Refuse all but real floating point types."""
    return not_implemented(name, BOOL, INTEGER, COMPLEX)


def derivative_of(node: str, names: tuple[str, ...], vjp: Any) -> Derivative | None:
    return None if vjp is NOT_DIFFERENTIABLE else Derivative(node, names, vjp)


def camel(name: str) -> str:
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
    least: int | None = None,
    doc: str = "",
) -> Any:
    """Declare `name(input)`. `vjp` is one function of (g[, x][, out]) or NOT_DIFFERENTIABLE.

    The returned function has `.method` (for Tensor) and `.inplace`.

    Args:
        out: whether `out=` is taken.
        out_check: what `out` must be; see `public`.
        strides: see `Elementwise.strides_of`.
        least: see `Elementwise`, if not what is usual for a function.
    """
    vjps = vjp if vjp is NOT_DIFFERENTIABLE else (vjp,)
    op = Elementwise(name, numpy, dtype, derivative_of(node or camel(name), ("x",), vjps), refuse, least)
    op.strides_of = strides
    if op.least <= FROM_COSTLY:
        op.least, op.waits = min(op.least, FROM_MAPPED), FROM_COSTLY
    direct, derivative, least = op.direct, op.derivative, op.least
    loops: dict[tuple, Any] = {}
    again = None if isinstance(numpy, np.ufunc) else repeated(("expression", numpy), numpy)

    def method(self: Tensor) -> Tensor:
        kind = direct[self._dtype.index]
        if kind is not None:
            try:
                x = self._a
                if x.size >= least:
                    return slow(self) if x.size >= op.waits else at_once(self, kind)
                a = enter(numpy, x) if again is None or x.size >= FEWEST else again((), x)
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

    def at_once(self: Tensor, kind: Any) -> Tensor:
        """By the loop of ours that ran for an array like this one."""
        x = self._a
        rows = x.flags.c_contiguous
        if not rows and x.flags.f_contiguous:
            x = x.T
        elif not rows:
            return slow(self)
        if kind is not self._dtype or 1 in x.shape or STATE.level or STATE.listeners:
            return slow(self)
        key = x.shape, kind
        run = loops.get(key, _NEW)
        if run is _NEW:
            if len(loops) >= _MOST_LOOPS:
                loops.clear()
            run = loops[key] = mapped(numpy, (x,), x.shape, x.dtype) if x.size else None
        a = None if run is None else run(x)
        if a is None:
            return slow(self)
        out = _make(Tensor)
        out._a = a if rows else a.T
        out._dtype = kind
        out._buf = out._edge = None
        if self._edge is not None and derivative is not None:
            record1(derivative, self, None, out)
        return out

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

    made = finish(name, function, method, into, doc, op, out, out_check)
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


def finish(
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
    method.__module__ = "rushlight"
    method.__doc__ = doc
    made.method = method
    made.elementwise = op
    return made
