"""Elementwise operations of any number of operands, with attributes.

`unary` and `binary` (in `elementwise`) give the short paths of common operations. Here is the
general form, for operations of three operands, with attributes, or with several derivatives:

    @pointwise("Lerp", rule=same, vjp=(...))
    def lerp_values(x, end, weight): return x + weight * (end - x)

declares arrays in, array out, as `primitive` does; but the operands may also be numbers, are
promoted and broadcast, and half types are computed in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import dtype
from rushlight.graph.trace import Traced
from rushlight.layout import broadcast
from rushlight.ops.kinds.binary import as_operand
from rushlight.ops.kinds.elementwise import Elementwise, Rule, layout_of, placed
from rushlight.ops.promotion import operand, result_type
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.repeated import FEW, repeated
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative, parameters
from rushlight.tape.modes import MODES, direct
from rushlight.tape.recording import record


class Pointwise(Elementwise):
    """Call it with operands by position and attributes by keyword."""

    __slots__ = ("again",)

    def __init__(
        self, name: str, numpy: Callable, rule: Rule, derivative: Any, refuse: Any, least: int | None = None
    ) -> None:
        super().__init__(name, numpy, rule, derivative, refuse, least)
        self.again = repeated(("expression", numpy), functools.partial(_with_attributes, numpy))

    def __call__(self, *operands: Any, **attrs: Any) -> Tensor:
        # (of what is no tensor, the missing attribute becomes PyTorch's message in `public`)
        first = operands[0]
        kind: Any = first._dtype if isinstance(first, Tensor) or len(operands) == 1 else None
        for value in operands:
            if value is not first and (not isinstance(value, Tensor) or value._dtype is not kind):
                return self.at(result_type(*operands), *operands, **attrs)
        return self.at(kind if kind is not None else result_type(first), *operands, **attrs)

    def at(self, promoted: dtype, *operands: Any, **attrs: Any) -> Tensor:
        """The same, where the caller knows the promoted type."""
        result = self.direct[promoted.index]
        first: Any = operands[0]
        if result is None or isinstance(first, Tensor) and first._a.size >= self.least:
            out = self.compute(operands, promoted, **attrs)
            wanted = any(isinstance(value, Tensor) and value._edge is not None for value in operands)
        else:
            arrays: list[Any] = []
            wanted, ordered, several = False, True, len(operands) > 1
            for value in operands:
                if isinstance(value, Tensor):
                    a = value._a
                    if several:
                        if not a.flags.c_contiguous or arrays and a.shape != arrays[0].shape:
                            ordered = False
                    elif not a.flags.forc:
                        ordered = False
                    if value._dtype is not promoted:
                        a = operand(value, promoted)
                    if value._edge is not None:
                        wanted = True
                else:
                    a = operand(value, promoted)
                arrays.append(a)
            try:
                made = self._made(arrays, attrs)
            except ValueError:
                broadcast(*[np.shape(a) for a in arrays])
                raise
            if type(made) is not np.ndarray or made.dtype is not result.numpy:
                made = np.asarray(made, result.numpy)
            if not ordered or 1 in made.shape:
                made = placed(
                    made, tuple([layout_of(value, promoted) for value in operands]), self.strides_of
                )
            out = new_tensor(made, result)
        if wanted and self.derivative is not None and MODES.grad:
            kept = [as_operand(value, promoted) for value in operands]
            record(self.derivative, kept, attrs or None, out)
        return out

    def _made(self, arrays: list, attrs: dict) -> Any:
        try:
            told = _told(arrays, attrs)
            return enter(self.numpy, *arrays, **attrs) if told is None else self.again(told, *arrays)
        except RuntimeError:
            return quiet(self.numpy, *arrays, **attrs)


_PLAIN = frozenset({float, int, bool, str, type(None)})


def _told(arrays: list, attrs: dict) -> tuple | None:
    """Attributes as `_with_attributes` takes them; None where a computation is not to be written down."""
    for a in arrays:
        if type(a) is not np.ndarray or a.size >= FEW:
            return None
    if not attrs:
        return ()
    if not _PLAIN.issuperset(map(type, attrs.values())):
        return None
    # (what is equal need not be the same: 1, 1.0 and True, 0.0 and -0.0)
    return tuple(attrs.items()), tuple([(type(value), value or repr(value)) for value in attrs.values()])


def _with_attributes(numpy: Callable, *given: Any) -> Any:
    """`numpy` of arrays, and of attributes, if two tuples follow, in the first."""
    return numpy(*given[:-2], **dict(given[-2])) if type(given[-1]) is tuple else numpy(*given)


def pointwise(
    node: str,
    *,
    rule: Rule,
    vjp: Any,
    refuse: Any = None,
    exact_numbers: bool = False,
    promotes: bool = True,
    least: int | None = None,
) -> Callable[[Callable], Pointwise]:
    """Declare an operation on arrays; the positional parameters of `compute` are its operands.

    Args:
        vjp, promotes: see `rushlight.tape.derivative.Derivative`.
        least: see `Elementwise`, if not what is usual for a function.
    """

    def declare(compute: Callable) -> Pointwise:
        code = compute.__code__
        operands = code.co_varnames[: code.co_argcount]
        derivative = None
        if vjp is not NOT_DIFFERENTIABLE:
            derivative = Derivative(node, operands, vjp, promotes=promotes)
            _check(node, derivative, compute)
        made = Pointwise(compute.__name__, compute, rule, derivative, refuse, least)
        made.exact_numbers = exact_numbers
        return made

    return declare


def _check(node: str, derivative: Derivative, compute: Callable) -> None:
    known = {*parameters(compute), "out", "needs", *(name + "_meta" for name in derivative.inputs)}
    for vjp in derivative.vjps:
        unknown = set(parameters(vjp)[1:]) - known if vjp is not None else set()
        if unknown:
            raise TypeError(f"the derivative of {node} asks for {sorted(unknown)}, which it does not have")


def undefined_derivative(name: str, operands: int, node: str = "NotImplemented") -> Derivative:
    """The derivative of what PyTorch records without being able to differentiate it."""

    def backward(g: Any) -> Any:
        raise RuntimeError(f"derivative for {name} is not implemented")

    made: Any = Derivative(node, ("x", "y")[:operands], (backward,) * operands)
    if node == "NotImplemented":
        made.node.__name__ = made.node.__qualname__ = node
        made.node.name = lambda self: "torch::autograd::NotImplemented"
        made.node.touch = made.node.run
    return made


# ---- derivatives on arrays ----


def at_once(compute: Callable, g: Any, *saved: Tensor) -> Tensor | None:
    """A derivative computed on the arrays of a gradient and of what was saved; None if any of them is not in memory,
    row-major and like the others, or the derivative is recorded: then it is computed with tensors.
    """
    if not direct(g):
        return None
    arrays = [g._a]
    shape, kind = g._a.shape, g._dtype
    for t in saved:
        a = t._a
        alike = type(a) is np.ndarray and t._dtype is kind and a.shape == shape
        if not alike or not a.flags.c_contiguous:
            return None
        arrays.append(a)
    if not shape or not g._a.flags.c_contiguous:
        return None
    code = compute.__code__
    again = _REPEATED.get(code)
    if again is None:
        if compute.__closure__ or compute.__defaults__:
            return new_tensor(quiet(compute, *arrays), kind)
        again = _REPEATED[code] = repeated(("expression", compute), compute)
    try:
        return new_tensor(again((), *arrays), kind)
    except RuntimeError:
        return new_tensor(quiet(compute, *arrays), kind)


#: derivatives, by their code: as functions of their own they are made anew for each call
_REPEATED: dict[CodeType, Callable] = {}

_BITS = {"f": np.dtype(np.int32), "d": np.dtype(np.int64)}


def where_kept(keep: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`x` where `keep`, 0 elsewhere: its bits times 0 or 1, since NumPy's `where` guesses wrongly for every other random element,
    which takes it ten times as long.
    """
    bits = _BITS.get(x.dtype.char)
    if bits is None or type(x) is not np.ndarray:
        return np.where(keep, x, x.dtype.type(0))
    return np.multiply(x.view(bits), keep).view(x.dtype)


# ---- computing in double precision ----


#: single precision types, and the double precision type that they are computed in
_DOUBLE = {"f": np.dtype("d"), "F": np.dtype("D")}


def in_double(f: Callable, single_in_kernels: bool = False) -> Callable:
    """`f` of float32 and complex64 arrays, computed in double precision and rounded once.

    NumPy's single precision functions are off by up to 3 ULP; this is within half of one,
    which is also what PyTorch's vector library gives nearly always.

    Args:
        single_in_kernels: kernels, whose functions of float32 are accurate, need no double precision for `f`.
    """
    is_ufunc = isinstance(f, np.ufunc)
    single_in_kernels = single_in_kernels or is_ufunc or hasattr(f, "verb")

    def compute(x: np.ndarray) -> np.ndarray:
        wide = _DOUBLE.get(x.dtype.char)
        if wide is None or single_in_kernels and type(x) is Traced:
            return f(x)
        if type(x) is Traced:
            return f(x.astype(wide)).astype(x.dtype)
        if x.flags.c_contiguous:
            y = x.astype(wide)
        else:  # lays out broadcast memory as PyTorch does, unlike astype
            y = np.positive(x, dtype=wide)
        return (f(y, y) if is_ufunc else f(y)).astype(x.dtype)

    return compute


def in_double_2(f: Callable) -> Callable:
    """The same for functions of two arrays of one type."""
    is_instruction = isinstance(f, np.ufunc)

    def compute(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        wide = _DOUBLE.get(x.dtype.char)
        traced = type(x) is Traced or type(y) is Traced
        if wide is None or traced and is_instruction:
            return f(x, y)
        if traced:
            return f(x.astype(wide), y.astype(wide)).astype(x.dtype)
        if x.flags.c_contiguous and y.flags.c_contiguous:
            return f(x.astype(wide), y.astype(wide)).astype(x.dtype)
        return f(np.positive(x, dtype=wide), np.positive(y, dtype=wide)).astype(x.dtype)

    return compute
