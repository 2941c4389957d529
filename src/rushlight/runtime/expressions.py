"""Functions of arrays written down as steps: called once with what only notes which ufuncs are asked for.

Whatever cannot be noted (a look at a value, an index, a type other than float32, float64 and bool) ends the attempt.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from rushlight.native.steps import Place, Steps, Unknown, loop, move

_F32, _F64, _BOOL = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.bool_)
#: how a number lies in a word
_WORDS = {_F32: "f4x", _F64: "d", _BOOL: "?7x"}


class Noted(NDArrayOperatorsMixin):
    """Stands for an array while a function of it is written down.

    Attributes:
        place: where its elements are.
        dtype, shape: as those of arrays.
    """

    __slots__ = ("steps", "place", "dtype", "shape")

    def __init__(self, steps: Steps, place: Place, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self.steps, self.place, self.dtype, self.shape = steps, place, dtype, shape

    size = property(lambda self: math.prod(self.shape))
    ndim = property(lambda self: len(self.shape))
    itemsize = property(lambda self: self.dtype.itemsize)
    #: those of any row-major array
    flags = np.zeros(2).flags

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Unknown

    def __bool__(self) -> bool:
        raise Unknown

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **more: Any
    ) -> Any:
        if method != "__call__" or more or ufunc.nout != 1:
            raise Unknown
        asked = [x.dtype if isinstance(x, Noted | np.ndarray | np.generic) else type(x) for x in inputs]
        *kinds, kind = ufunc.resolve_dtypes((*asked, None))
        places = [_as(self, x, wanted) for x, wanted in zip(inputs, kinds)]
        types = "".join([k.char for k in kinds]) + "->" + kind.char
        made = _room(self, kind) if out is None else out[0]
        if type(made) is not Noted or made.dtype != kind:
            raise Unknown
        _do(self, loop(ufunc, types), *places, made.place)
        self.steps.ufuncs.add(ufunc)
        return made

    def __array_function__(self, function: Any, _: Any, args: Any, kwargs: Any) -> Any:
        known = _FUNCTIONS.get(function)
        if known is None or kwargs:
            raise Unknown
        return known(self, *args)

    def astype(self, dtype: Any, *_: Any, **more: Any) -> Noted:
        kind = np.dtype(dtype)
        made = _room(self, kind)
        _do(self, move("copy" + str(kind.itemsize)), _as(self, self, kind), made.place)
        return made

    def copy(self) -> Noted:
        return self.astype(self.dtype)


def _do(like: Noted, how: Any, *places: Any) -> None:
    like.steps.do(how, like.size, 1, *places)


def _room(like: Noted, kind: np.dtype) -> Noted:
    if kind not in _WORDS:
        raise Unknown
    place = like.steps.spare(like.steps.room(like.size), kind.itemsize)
    return Noted(like.steps, place, kind, like.shape)


def _as(like: Noted, x: Any, kind: np.dtype) -> Place | bytes:
    """An operand as this type."""
    if kind not in _WORDS:
        raise Unknown
    if not isinstance(x, Noted):
        if np.ndim(x):
            raise Unknown
        return struct.pack("=" + _WORDS[kind], kind.type(x))
    if x.dtype == kind:
        return x.place
    made = _room(like, kind)
    if x.dtype == _BOOL:
        size = str(kind.itemsize)
        _do(like, move("copy" + size), _as(like, 0.0, kind), made.place)
        _do(like, move("take" + size), x.place, _as(like, 1.0, kind), made.place)
    elif kind == _F64:
        _do(like, move("widen"), x.place, made.place)
    elif kind == _F32:
        _do(like, move("narrow"), x.place, made.place)
    else:
        raise Unknown
    return made.place


def _where(like: Noted, chosen: Any, x: Any, y: Any) -> Noted:
    asked = [v if isinstance(v, int | float) else v.dtype for v in (x, y)]
    kind = np.result_type(*asked)
    if type(chosen) is not Noted or chosen.dtype != _BOOL or kind == _BOOL:
        raise Unknown
    made, size = _room(like, kind), str(kind.itemsize)
    _do(like, move("copy" + size), _as(like, y, kind), made.place)
    _do(like, move("take" + size), chosen.place, _as(like, x, kind), made.place)
    return made


def _filled(value: float) -> Callable[[Noted, Noted], Noted]:
    def fill(like: Noted, x: Noted) -> Noted:
        made = _room(like, x.dtype)
        _do(like, move("copy" + str(x.dtype.itemsize)), _as(like, value, x.dtype), made.place)
        return made

    return fill


_FUNCTIONS: dict[Any, Callable[..., Noted]] = {
    np.where: _where,
    np.empty_like: _filled(0.0),
    np.zeros_like: _filled(0.0),
    np.ones_like: _filled(1.0),
}


def noted(steps: Steps, made: np.ndarray, function: Callable, arrays: tuple, attrs: dict) -> bool:
    """Write down `made = function(*arrays, **attrs)`, of row-major arrays of one shape and of numbers."""
    shape = made.shape
    for a in arrays:
        if a.dtype not in _WORDS or a.shape not in (shape, ()) or not a.flags.c_contiguous:
            return False
    whole = [
        Noted(steps, Place(n, 0, a.itemsize if a.ndim else 0), a.dtype, shape) for n, a in enumerate(arrays)
    ]
    try:
        result = function(*whole, **attrs)
    except Exception:  # what it may be, this function is not for it
        return False
    if type(result) is not Noted or result.dtype != made.dtype:
        return False
    _do(result, move("copy" + str(made.itemsize)), result.place, Place(steps.out, 0, made.itemsize))
    return True
