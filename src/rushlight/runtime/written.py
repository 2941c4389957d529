"""Small computations written down as steps: NumPy's loops, in the order in which NumPy would run them.

What is written down gives the bits that NumPy gave, or is not used: both are compared once. Lines are gone through as NumPy
does: a sum begins with zero and takes up a whole line at once, by pairs; an extreme begins with the line's first element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.native.steps import Loop, Place, Steps, Unknown, loop, move
from rushlight.runtime.deferral import mapped
from rushlight.runtime.expressions import noted
from rushlight.runtime.repeated import FEW

#: what comes out the same however it is computed (IEEE 754): of more elements loops of ours do it
_EXACT = {
    np.add,
    np.subtract,
    np.multiply,
    np.divide,
    np.negative,
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
}
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def written(form: tuple, attrs: tuple, arrays: tuple, made: np.ndarray) -> Callable | None:
    """The computation that made this as a function of its arrays; None if there is no such."""
    name, *told = form
    if made.size >= FEW:
        exact = _is_exact(name, made, *told, *arrays, *attrs)
        return mapped(told[0], arrays, made.shape, made.dtype) if exact else None
    if max([a.size for a in (*arrays, made)]) >= FEW or not all(a.size for a in arrays):
        return None
    steps = Steps(arrays, made.shape, made.dtype)
    try:
        if not _FORMS[name](steps, made, *told, *arrays, *attrs):
            return None
        function = steps.function()
    except (Unknown, RuntimeError):
        return None
    found = None if function is None else function(*arrays)
    return function if found is not None and found.tobytes() == made.tobytes() else None


def _is_exact(name: str, made: np.ndarray, *given: Any) -> bool:
    """Whether this is a function of elements whose bits are the same however it is computed."""
    if name == "expression":
        steps = Steps(given[1:], made.shape, made.dtype)
        alike = all(type(a) is np.ndarray and a.shape == made.shape for a in given[1:])
        return alike and _expression(steps, made, *given) and steps.ufuncs <= _EXACT
    return name == "where" or name == "matrices" and given[0] in _EXACT


class Matrix:
    """Elements in rows and columns, somewhere: of the array of this number, or in scratch memory."""

    def __init__(self, array: int, begin: int, shape: tuple[int, int], strides: tuple[int, int]) -> None:
        self.array, self.begin, self.shape, self.strides = array, begin, shape, strides

    def lines(self, dim: int, first: int = 0) -> tuple[int, int, Place]:
        """How many elements lines along `dim` have from the given one on, how many lines there are, and where they are."""
        begin = self.begin + first * self.strides[dim]
        place = Place(self.array, begin, self.strides[dim], self.strides[1 - dim])
        return self.shape[dim] - first, self.shape[1 - dim], place

    def turned(self) -> Matrix:
        return Matrix(self.array, self.begin, self.shape[::-1], self.strides[::-1])


def _matrix(number: int, a: Any) -> Matrix:
    """An array of two dimensions, or of one: a single row."""
    if a.ndim == 2:
        return Matrix(number, 0, a.shape, a.strides)
    return Matrix(number, 0, (1, a.size), (a.nbytes, a.strides[0] if a.ndim else a.itemsize))


def _spare(steps: Steps, shape: tuple[int, int]) -> Matrix:
    """Room for a row-major matrix of float64."""
    return Matrix(steps.out + 1, steps.room(shape[0] * shape[1]), shape, (8 * shape[1], 8))


def _wide(steps: Steps, a: np.ndarray, to: Matrix | None = None) -> Matrix:
    """The elements as float64, row-major, in scratch memory if nothing else is said."""
    x = _matrix(0, a)
    to = to or _spare(steps, x.shape)
    count, times, place = x.lines(1)
    steps.do(move("widen" if a.dtype == _F32 else "copy8"), count, times, place, to.lines(1)[2])
    return to


def _each(steps: Steps, how: Loop, *matrices: Matrix) -> None:
    """A loop over all elements of matrices of one shape."""
    count, times, _ = matrices[0].lines(1)
    steps.do(how, count, times, *[m.lines(1)[2] for m in matrices])


def _scanned(steps: Steps, ufunc: np.ufunc, x: Matrix, kind: np.dtype, dim: int) -> None:
    """Running results along `dim`, in place: each line takes up the one before it."""
    how = loop(ufunc, f"{kind.char * 2}->{kind.char}")
    across = x if dim == 0 else x.turned()
    if across.shape[0] < 2:
        return
    count, _, first = across.lines(1)
    behind = Place(first.array, first.begin + across.strides[0], first.step, first.next)
    steps.do(how, count, across.shape[0] - 1, first, behind, behind)


def _reduced(
    steps: Steps, ufunc: np.ufunc, kind: np.dtype, x: Matrix, dim: int, out: Place, zero: bool
) -> None:
    """A reduction along `dim` to places whose `next` is from one result to the next, from zero or the first elements on."""
    how = loop(ufunc, f"{kind.char * 2}->{kind.char}")
    copy, first = move(f"copy{kind.itemsize}"), int(not zero)
    results = x.shape[1 - dim]
    line = Place(out.array, out.begin, out.next)
    steps.do(copy, results, 1, 0.0 if zero else Place(x.array, x.begin, x.strides[1 - dim]), line)
    if x.shape[dim] == first:
        return
    if x.strides[dim] > x.strides[1 - dim]:  # as NumPy, along memory
        count, times, place = x.lines(1 - dim)
        start = place.begin + first * x.strides[dim]
        steps.do(how, count, times - first, line, Place(place.array, start, place.step, place.next), line)
    else:
        count, times, place = x.lines(dim, first)
        steps.do(how, count, times, out, place, out)


def _narrow(steps: Steps, x: Matrix, made: np.ndarray) -> None:
    """The elements as the result."""
    _each(steps, move("narrow" if made.dtype == _F32 else "copy8"), x, _result(steps, made, x.shape))


def _result(steps: Steps, made: np.ndarray, shape: tuple[int, int]) -> Matrix:
    return Matrix(steps.out, 0, shape, (made.itemsize * shape[1], made.itemsize))


# ---- the forms: each writes down how `made` is made of its arrays, and says whether it can ----


def _expression(steps: Steps, made: np.ndarray, function: Callable, *given: Any) -> bool:
    """A function of elements, which is whatever ufuncs of NumPy's it asks for."""
    arrays = tuple([a for a in given if type(a) is np.ndarray])
    attrs = given[len(arrays) :]
    return noted(steps, made, function, arrays, dict(attrs[0]) if attrs else {})


def _matrices(steps: Steps, made: np.ndarray, ufunc: np.ufunc, a: np.ndarray, b: np.ndarray) -> bool:
    """An operation on two matrices, of which one may be a single row or column that is repeated, or both."""
    if made.ndim != 2 or a.dtype not in (_F32, _F64) or b.dtype != a.dtype:
        return False
    operands = []
    for number, x in enumerate((a, b)):
        step = [0, 0]
        for dim in range(-x.ndim, 0):
            if x.shape[dim] != 1:
                step[dim] = x.strides[dim]
        operands.append(Matrix(number, 0, made.shape, (step[0], step[1])))
    how = loop(ufunc, f"{a.dtype.char * 2}->{made.dtype.char}")
    _each(steps, how, *operands, _result(steps, made, made.shape))
    return True


def _where(
    steps: Steps, made: np.ndarray, _: Callable, chosen: np.ndarray, a: np.ndarray, b: np.ndarray
) -> bool:
    """One of two where something is true, the other elsewhere: of arrays of one shape, row-major."""
    item = made.itemsize
    if item not in (4, 8) or not made.dtype == a.dtype == b.dtype or chosen.dtype != np.bool_:
        return False
    if not all(x.shape == made.shape and x.flags.c_contiguous for x in (chosen, a, b)):
        return False
    out = Place(steps.out, 0, item)
    steps.do(move(f"copy{item}"), made.size, 1, Place(2, 0, item), out)
    steps.do(move(f"take{item}"), made.size, 1, Place(0, 0, 1), Place(1, 0, item), out)
    return True


def _scan(steps: Steps, made: np.ndarray, ufunc: np.ufunc, a: np.ndarray, dim: int, kind: np.dtype) -> bool:
    """Running results along a dimension, accumulated in float64 or int64."""
    if a.ndim not in (1, 2) or a.dtype.itemsize < 8 and a.dtype != _F32:
        return False
    dim += 2 - a.ndim
    if a.dtype == _F32:
        x = _wide(steps, a)
        _scanned(steps, ufunc, x, _F64, dim)
        _narrow(steps, x, made)
    else:
        x = _wide(steps, a, _result(steps, made, _matrix(0, a).shape))
        _scanned(steps, ufunc, x, a.dtype, dim)
    return True


def _extreme(steps: Steps, made: np.ndarray, ufunc: np.ufunc, a: np.ndarray, dim: int | None) -> bool:
    """The largest or smallest of all elements, or of each line along a dimension."""
    if a.ndim != 2 or a.dtype not in (_F32, _F64) or not a.flags.c_contiguous:
        return False
    x = _matrix(0, a.reshape(-1)) if dim is None else _matrix(0, a)
    out = Place(steps.out, 0, 0, made.itemsize)
    _reduced(steps, ufunc, a.dtype, x, 1 if dim is None else dim, out, False)
    return True


def _softmax(steps: Steps, made: np.ndarray, logarithm: bool, a: np.ndarray, dim: int) -> bool:
    """Exponentials of a line's elements less the largest, and their shares or what the logarithm makes of these."""
    x = _wide(steps, a)
    lines = Place(steps.out + 1, steps.room(x.shape[1 - dim]), 0, 8)
    each = Matrix(lines.array, lines.begin, x.shape, (0, 8) if dim == 0 else (8, 0))
    _reduced(steps, np.maximum, _F64, x, dim, lines, False)
    _each(steps, loop(np.subtract, "dd->d"), x, each, x)
    powers = _spare(steps, x.shape) if logarithm else x
    _each(steps, loop(np.exp, "d->d"), x, powers)
    _reduced(steps, np.add, _F64, powers, dim, lines, True)
    if logarithm:
        line = Place(lines.array, lines.begin, 8)
        steps.do(loop(np.log, "d->d"), x.shape[1 - dim], 1, line, line)
    _each(steps, loop(np.subtract if logarithm else np.divide, "dd->d"), x, each, x)
    _narrow(steps, x, made)
    return True


def _spread(steps: Steps, made: np.ndarray, a: np.ndarray, dim: int | None, root: bool) -> bool:
    """The variance of all elements or along a dimension, or its root."""
    if not a.flags.c_contiguous:
        return False
    x, dim = (_wide(steps, a.reshape(-1)), 1) if dim is None else (_wide(steps, a), dim)
    lines = Place(steps.out + 1, steps.room(x.shape[1 - dim]), 0, 8)
    each = Matrix(lines.array, lines.begin, x.shape, (0, 8) if dim == 0 else (8, 0))
    line, results = Place(lines.array, lines.begin, 8), x.shape[1 - dim]
    _reduced(steps, np.add, _F64, x, dim, lines, True)
    divide = loop(np.divide, "dd->d")
    steps.do(divide, results, 1, line, float(x.shape[dim]), line)
    _each(steps, loop(np.subtract, "dd->d"), x, each, x)
    _each(steps, loop(np.multiply, "dd->d"), x, x, x)
    _reduced(steps, np.add, _F64, x, dim, lines, True)
    steps.do(divide, results, 1, line, float(x.shape[dim] - 1), line)
    if root:
        steps.do(loop(np.sqrt, "d->d"), results, 1, line, line)
    _narrow(steps, Matrix(lines.array, lines.begin, (1, results), (0, 8)), made)
    return True


_FORMS: dict[str, Callable[..., bool]] = {
    "expression": _expression,
    "matrices": _matrices,
    "where": _where,
    "scan": _scan,
    "extreme": _extreme,
    "softmax": _softmax,
    "spread": _spread,
}
