"""The short ways of reductions and scans: few elements, or a plain matrix, without any generic layer.

What they decline is computed by the operation's general form (`reduction`). Up to sixteen elements Python's own numbers
reduce faster than NumPy, whose `reduce` takes half of what PyTorch takes for all.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.debug import STATE
from rushlight.dtypes import ALL, dtype, float32, float64, int64
from rushlight.errors import WrongArgument
from rushlight.graph.expr import Pending
from rushlight.ops.kinds.reduction import NOT_GIVEN, kept, rounded_by_loops, scan_along
from rushlight.runtime.deferral import (
    FROM_REDUCED,
    FROM_SCANNED,
    FROM_TOTAL,
    SWITCHES,
    ready,
    reduced,
    scan_ready,
    total,
)
from rushlight.runtime.execute import enter, quiet
from rushlight.runtime.merging import FROM_MERGED
from rushlight.runtime.repeated import FEW as FEWEST
from rushlight.runtime.repeated import repeated
from rushlight.runtime.results import FEW
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record1

_make = object.__new__
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)

#: references to a tensor that only the method called on it holds: its argument, and `getrefcount`'s. Later releases of
#: CPython do not count the first, so that nothing can be told.
_TEMPORARY = 2 if sys.version_info < (3, 14) else 0


def short_scan(ufunc: np.ufunc, scan: Any, x: Tensor, dim: Any) -> Tensor | None:
    """`scan` (the primitive) of few elements along one dimension, without any generic layer; None for anything else."""
    a, kind = x._a, x._dtype
    if type(dim) is not int or not -a.ndim <= dim < a.ndim or a.size > FEW or not _LISTED[kind.index]:
        return None
    if dim < 0:
        dim += a.ndim
    try:
        if a.size < FROM_SCANNED:
            made: Any = _SMALL_SCANS[ufunc]((dim, kind.numpy), a)
        else:
            made = _scanned_again(ufunc, a, dim, kind)
            if made is None:
                made = enter(scan_along, ufunc, a, dim, kind.numpy)
    except RuntimeError:
        return None
    out = _make(Tensor)
    out._a = made
    out._dtype = kind
    out._buf = out._edge = None
    if x._edge is not None:
        record1(scan.derivative, x, {"dim": dim, "dtype": None, "reverse": False}, out)
    return out


def _scanned_at_once(ufunc: np.ufunc) -> Callable[..., np.ndarray]:
    """`scan_along` of few elements of a type whose accumulating type is known."""

    def scan(a: np.ndarray, dim: int, kind: np.dtype) -> np.ndarray:
        if kind is not _F32:
            made = a.astype(kind, "C")
            return ufunc.accumulate(made, dim, None, made)
        wide = a.astype(_F64, "C")
        return ufunc.accumulate(wide, dim, None, wide).astype(kind)

    return scan


_SMALL_SCANS = {ufunc: repeated(("scan", ufunc), _scanned_at_once(ufunc)) for ufunc in (np.add, np.multiply)}


#: (operation, dim, shape, strides, dtype) -> the loop of ours that scanned an array like this one
_SCANS: dict[tuple, Callable] = {}


def _scanned_again(ufunc: np.ufunc, a: Any, dim: int, kind: dtype) -> np.ndarray | None:
    """By the loop of ours that ran for a call like this one; None if there is none."""
    if type(a) is not np.ndarray or STATE.level or STATE.listeners:
        return None
    key = ufunc, dim, a.shape, a.strides, kind
    run = _SCANS.get(key)
    if run is None:
        run = scan_ready(ufunc, a, dim, kind.numpy if kind is int64 else _F64, kind.numpy)
        if run is None:
            return None
        if len(_SCANS) >= _MOST_KNOWN:
            _SCANS.clear()
        _SCANS[key] = run
    return run(a)


def short_method(function: Callable, short: Callable[[Any, Any], Tensor | None]) -> Callable:
    """The method of what is mostly called with a dimension alone: `short(tensor, dim)`, and where that declines, the function."""

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **given: Any) -> Any:
        if len(args) == 1 and not given:
            try:
                out = short(self, args[0])
            except (
                AttributeError,
                RuntimeError,
            ):  # no tensor, or one that stands for a batch: said, or done, there
                out = None
            if out is not None:
                return out
        return function(self, *args, **given)

    return method


def _given(dim: Any, keepdim: Any) -> dict:
    """The arguments that were passed, by name: NumPy's names for them may be among the others."""
    given = {} if dim is NOT_GIVEN else {"dim": dim}
    return given if keepdim is False else given | {"keepdim": keepdim}


def refuse_out(name: str, given: dict) -> None:
    """Methods take no `out=`: it is how `np.sum` and its like find out that a tensor is no array."""
    if "out" in given:
        raise TypeError(f"{name}() got an unexpected keyword argument 'out'")


def method_of(function: Callable) -> Callable:
    """The method of a reduction that has no shorter path."""

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **given: Any) -> Any:
        refuse_out(function.__name__, given)
        return function(self, *args, **given)

    return method


#: elements of a small matrix, which Python's own numbers reduce faster than NumPy
SMALL = 16
#: whether a dtype's elements lose nothing as Python numbers
_LISTED = [d is float32 or d is float64 or d is int64 for d in ALL]


def recorded(t: Tensor) -> bool:
    """Whether a gradient may go through what is made of this tensor now, and results may wait."""
    return t._edge is not None and MODES.grad and SWITCHES.fuse and requires_grad(t)


def lines(a: np.ndarray, dim: int) -> Any:
    """The elements of a matrix along a dimension, as Python numbers."""
    return a.tolist() if dim else zip(*a.tolist())


class Loops:
    """The loops of ours that compute a reduction of larger arrays, by what a call looks like.

    The first call of a kind takes the long way, at the end of which such a loop runs; the second finds it; the next find it here.

    Attributes:
        known: (dim, keepdim, shape, strides, dtype) -> (the loop as a function of the array, the dims that it reduces).
    """

    __slots__ = ("known", "_function", "_attrs", "_to")

    def __init__(
        self, function: Callable, attrs: Callable | None = None, to: Callable = rounded_by_loops
    ) -> None:
        """Args:
        function: what `runtime.deferral.reduced` is called with for it.
        attrs: (shape, dims) -> its attributes.
        to: of the array's type, the `to` of these calls; the results are of the array's type.
        """
        self.known: dict[tuple, tuple[Callable, tuple[int, ...]]] = {}
        self._function = function
        self._attrs = attrs
        self._to = to

    def look(self, key: tuple, a: np.ndarray) -> tuple[Callable, tuple[int, ...]] | None:
        """What is to be known of a call, if there is something by now; never of one that is an error, or not plain."""
        dim, keepdim, shape, _, kind = key
        if type(keepdim) is not bool or kind is not float32 and kind is not float64:
            return None
        if dim is NOT_GIVEN or dim is None or type(dim) is tuple and not dim:
            dims = tuple(range(a.ndim))
        elif type(dim) is int and -a.ndim <= dim < a.ndim:
            dims = (dim % a.ndim,)
        else:
            return None
        attrs = self._attrs and self._attrs(shape, dims)
        run = ready(self._function, a, dims, keepdim, attrs, self._to(a.dtype))
        if run is None:
            return None
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        found = self.known[key] = run, dims
        return found

    def pending(self, a: Pending, dim: Any) -> tuple[Any, tuple[int, ...]]:
        """What a plain reduction of a large array gives that waits, in one loop with it, and the dims it is over; None if there is no
        such loop."""
        if dim is NOT_GIVEN:
            dims = tuple(range(a.ndim))
        elif type(dim) is int and -a.ndim <= dim < a.ndim:
            dims = (dim % a.ndim,)
        else:
            return _NONE
        attrs = self._attrs and self._attrs(a.shape, dims)
        return reduced(self._function, (a,), dims, False, attrs, self._to(a.dtype)), dims

    def later(self, name: str, t: Tensor, otherwise: Callable) -> Tensor:
        """The sum of all of a tensor that waits itself, computed when somebody looks.

        Args:
            name: the operation's.
            otherwise: array -> the sum, where there is no such loop.
        """
        x: Any = t._a
        shape = x.shape
        dims = tuple(range(len(shape)))
        attrs = self._attrs and self._attrs(shape, dims)
        return total(name, t, (self._function, dims, False, self._to(x.dtype)), attrs, otherwise)


_NONE = None, ()
#: calls that are known of one operation
_MOST_KNOWN = 1024


def again(x: Any, dim: Any, keepdim: Any, loops: Loops) -> tuple[Any, tuple[int, ...]]:
    """What the loop gives that ran for a call like this one, and the dims it reduces; None if there is no such loop."""
    a = x._a
    if (
        not FROM_REDUCED <= a.size < FROM_MERGED
        or type(a) is not np.ndarray
        or type(dim) is not int
        and dim != ()
    ):
        return _NONE
    if STATE.level or STATE.listeners:
        return _NONE
    key = dim, keepdim, a.shape, a.strides, x._dtype
    found = loops.known.get(key) or loops.look(key, a)
    if found is None:
        return _NONE
    run, dims = found
    return run(a), dims


def looped(x: Any, dim: Any, keepdim: Any, loops: Loops, form: Any) -> Tensor | None:
    """A reduction by the loop that ran for a call like this one; None if there is none."""
    made, dims = again(x, dim, keepdim, loops)
    if made is None:
        return None
    out = _make(Tensor)
    out._a = made
    out._dtype = x._dtype
    out._buf = out._edge = None
    if x._edge is not None:
        record1(form.derivative, x, {"dims": dims, "keepdim": keepdim}, out)
    return out


def short_reduction(
    x: Any, dim: Any, keepdim: Any, of_line: Callable, form: Any, **attrs: Any
) -> Tensor | None:
    """A reduction of a small float matrix, over a dimension or all, by Python's own numbers; None for anything else.

    Args:
        of_line: list of floats -> float; if it raises ValueError, NumPy takes over.
        form: the primitive, whose derivative is recorded, with `attrs`.
    """
    a, kind = x._a, x._dtype
    if (
        not 0 < a.size <= SMALL
        or a.ndim != 2
        or keepdim is not False
        or kind is not float32
        and kind is not float64
    ):
        return None
    try:
        if type(dim) is int:
            if not -2 <= dim < 2:
                return None
            dims: tuple = (dim & 1,)
            made: Any = [of_line(line) for line in lines(a, dims[0])]
        elif dim is NOT_GIVEN or dim is None or type(dim) is tuple and not dim:
            dims = (0, 1)
            made = of_line(a.ravel().tolist())
        else:
            return None
        made = enter(np.array, made, kind.numpy)
    except (ValueError, OverflowError, ZeroDivisionError, RuntimeError):
        return None
    out = new_tensor(made, kind)
    if x._edge is not None:
        record1(form.derivative, x, {"dims": dims, "keepdim": False, **attrs}, out)
    return out


def short_lines(x: Any, dim: Any, keepdim: Any, again: Callable, form: Any, *told: Any, **attrs: Any) -> Any:
    """A reduction of a float matrix of few elements, over a dimension or all; None for anything else.

    Args:
        again: (dim or None, *told), array -> array of what is left; see `runtime.repeated`.
        form: the primitive, whose derivative is recorded, with `attrs`; None to record nothing.
    """
    a, kind = x._a, x._dtype
    if (
        a.ndim != 2
        or not 0 < a.size < FEWEST
        or keepdim is not False
        or kind is not float32
        and kind is not float64
    ):
        return None
    if type(dim) is int:
        if not -2 <= dim < 2:
            return None
        dim &= 1
        dims: tuple = (dim,)
    elif dim is NOT_GIVEN or dim is None or type(dim) is tuple and not dim:
        dim, dims = None, (0, 1)
    else:
        return None
    try:
        made = again((dim, *told), a)
    except RuntimeError:
        return None
    out = _make(Tensor)
    out._a = made
    out._dtype = kind
    out._buf = out._edge = None
    if x._edge is not None:
        record1(form.derivative, x, {"dims": dims, "keepdim": False, **attrs}, out)
    return out


def largest(line: Any) -> float:
    """The largest number; ValueError if there may be a nan."""
    total = sum(line)
    if total != total:
        raise ValueError
    return max(line)


def smallest(line: Any) -> float:
    """The smallest number; ValueError if there may be a nan."""
    total = sum(line)
    if total != total:
        raise ValueError
    return min(line)


def hot_reduction(
    call: Callable,
    general: Callable,
    all_form: Any,
    dim_form: Any,
    small_all: Callable,
    small_dim: Callable,
    matrix: Callable,
    loops: Loops,
    integers: Callable | None = None,
) -> Callable:
    """The method of a reduction: of few elements, without any generic layer.

    Args:
        call: the public function; reads arguments that are passed by name.
        general: (input, dim, keepdim, dtype) -> result; computes whatever the short paths decline.
        all_form, dim_form: the primitives, whose derivatives are recorded.
        small_all: list of floats -> float; if it raises or is not finite, `general` takes over.
        small_dim: (rows, or columns, of floats) -> list of floats.
        matrix: (matrix of floats, dims, keepdim) -> result; for what is not that small.
        loops: of what is larger still.
        integers: what stands for `small_all` where the elements are integers, if they may be.
    """
    of_all, of_dim = all_form.derivative, dim_form.derivative
    known, name = loops.known, call.__name__
    array = np.array
    whole: dict[str, Any] = {"dtype": None}
    #: what is recorded for a matrix, by dims and keepdim; also what a short path is looked up with
    over: dict[Any, list[dict[str, Any]]] = {
        dims: [{"dims": dims, "keepdim": keep, "dtype": None} for keep in (False, True)]
        for dims in ((0,), (1,), (0, 1))
    }
    by_dim: dict[Any, Any] = {0: over[0,], 1: over[1,], -1: over[1,], -2: over[0,], (0, 1): over[0, 1]}

    def of_array(a: np.ndarray) -> np.ndarray:
        return quiet(matrix, a, tuple(range(a.ndim)), False)

    def quick(other: Callable) -> Callable:
        def method(self: Tensor, dim: Any = NOT_GIVEN, keepdim: Any = False, **more: Any) -> Any:
            a, kind = self._a, self._dtype
            made = dims = None
            if keepdim is False and 0 < a.size <= SMALL and (kind is float32 or kind is float64) and not more:
                try:
                    if dim is NOT_GIVEN:
                        value = small_all(a.ravel().tolist())
                        if not -3e38 < value < 3e38:
                            return general(self, dim, False, None)
                        made = array(value, kind.numpy)
                    elif type(dim) is not int or a.ndim != 2:
                        return other(self, dim, keepdim)
                    elif dim == 0:
                        made = enter(array, small_dim(zip(*a.tolist())), kind.numpy)
                    elif dim == 1 or dim == -1:
                        made = enter(array, small_dim(a.tolist()), kind.numpy)
                    else:
                        return other(self, dim, keepdim)
                except (OverflowError, ValueError, ZeroDivisionError, RuntimeError):
                    return general(self, dim, False, None)
            elif type(a) is Pending:
                a.temporary = sys.getrefcount(self) <= _TEMPORARY
                if keepdim is False and not more and (kind is float32 or kind is float64):
                    if dim is NOT_GIVEN and a.size >= FROM_TOTAL and recorded(self):
                        out = loops.later(name, self, of_array)
                        record1(of_all, self, whole, out)
                        return out
                    made, dims = loops.pending(a, dim)
            elif FROM_REDUCED <= a.size < FROM_MERGED and keepdim is False and not more:
                if (dim is NOT_GIVEN or type(dim) is int) and not STATE.level and not STATE.listeners:
                    key = dim, False, a.shape, a.strides, kind
                    found = known.get(key) or loops.look(key, a)
                    if found is not None:
                        run, dims = found
                        made = run(a)
            if made is None:
                return other(self, dim, keepdim, **more)
            out = _make(Tensor)
            out._a = made
            out._dtype = kind
            out._buf = out._edge = None
            if self._edge is not None:
                if dim is NOT_GIVEN:
                    record1(of_all, self, whole, out)
                elif dims is None:
                    record1(of_dim, self, by_dim[dim][0], out)
                else:
                    record1(of_dim, self, {"dims": dims, "keepdim": False, "dtype": None}, out)
            return out

        return method

    def other(self: Tensor, dim: Any, keepdim: Any, **more: Any) -> Any:
        a, kind = self._a, self._dtype
        if more:
            if keepdim is False and "keepdims" in more:
                keepdim = more.pop("keepdims")
            if more:
                if len(more) > 1 or dim is not NOT_GIVEN or "axis" not in more:
                    refuse_out(call.__name__, more)
                    return call(self, **_given(dim, keepdim), **more)
                dim = more["axis"]
        if dim is NOT_GIVEN:
            attrs = whole if keepdim is False else None
        else:
            attrs = _attributes(a, dim, keepdim)
        made = None
        if attrs is not None and _LISTED[kind.index]:
            try:
                if a.size <= SMALL:
                    made = _small(a, kind, attrs)
                elif a.ndim == 2 and a.size <= FEW and kind is not int64:
                    dims = (0, 1) if attrs is whole else attrs["dims"]
                    made = enter(matrix, a, dims, attrs is not whole and attrs["keepdim"])
                elif attrs is whole and a.size < FROM_REDUCED and a.flags.c_contiguous and kind is not int64:
                    made = enter(matrix, a.reshape(1, -1), (0, 1), False)
            except (OverflowError, ValueError, ZeroDivisionError, RuntimeError):
                pass
        if made is None:
            return general(self, dim, keepdim, None)
        out = new_tensor(made, kind)
        if self._edge is not None:
            record1(of_all if attrs is whole else of_dim, self, attrs, out)
        return out

    def _attributes(a: np.ndarray, dim: Any, keepdim: Any) -> dict[str, Any] | None:
        """The arguments as they are recorded, for a matrix; None for what is not plain."""
        if a.ndim != 2 or type(keepdim) is not bool:
            return None
        if type(dim) is list and dim == [0, 1]:
            dim = (0, 1)
        if type(dim) is int or type(dim) is tuple:
            found = by_dim.get(dim)
            return found and found[keepdim]
        return None

    def _small(a: np.ndarray, kind: dtype, attrs: dict[str, Any]) -> np.ndarray | None:
        """The result by Python's own numbers; None, or an error, where NumPy must take over."""
        if not a.size or kind is int64 and integers is None:
            return None
        of_line: Any = small_all if kind is not int64 else integers
        if attrs is whole or attrs["dims"] == (0, 1):
            value = of_line(a.ravel().tolist())
            if kind is not int64 and not -3e38 < value < 3e38:
                return None
        elif kind is int64:
            value = [of_line(line) for line in lines(a, attrs["dims"][0])]
        else:
            value = small_dim(lines(a, attrs["dims"][0]))
        made = enter(array, value, kind.numpy)
        return made.reshape(kept(a.shape, attrs["dims"])) if attrs is not whole and attrs["keepdim"] else made

    def worded(self: Tensor, dim: Any, keepdim: Any, **more: Any) -> Any:
        try:
            return other(self, dim, keepdim, **more)
        except WrongArgument as wrong:
            wrong.overloaded = wrong.overloaded and (dim is NOT_GIVEN or wrong.argument != "keepdim")
            by_name = more if keepdim is False else {"keepdim": keepdim, **more}
            raise wrong.worded(
                name, ("dim", "keepdim"), () if dim is NOT_GIVEN else (dim,), by_name
            ) from None

    method: Any = quick(worded)
    method.unworded = quick(other)  # for the function, which knows how its arguments were given
    return method
