"""What NumPy's functions of elements are in instructions: (fragment, kind of operands, kind of result, places) -> place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.codegen.words import COMPARISONS
from rushlight.graph.fragment import FLOATS, Fragment, Untraceable


def _verb(verb: str, kinds: str = "") -> Callable:
    def make(into: Fragment, kind: str, result: str, *places: int) -> int:
        if kinds and kind not in kinds:
            raise Untraceable(f"{verb} has no instruction for {kind}")
        return into.emit(verb, "?" if verb in COMPARISONS else result, places)

    return make


def _both_bool(verb: str) -> Callable:
    """logical_and and the like: of anything, by truth."""

    def make(into: Fragment, kind: str, result: str, *places: int) -> int:
        truths = [p if kind == "?" else into.emit("cast", "?", (p,)) for p in places]
        return into.emit(verb, "?", tuple(truths))

    return make


def _reciprocal(into: Fragment, kind: str, result: str, x: int) -> int:
    if kind not in FLOATS:
        raise Untraceable("the reciprocal of integers")
    return into.emit("div", kind, (into.emit("const", kind, (), 1.0), x))


def _isinf(into: Fragment, kind: str, result: str, x: int) -> int:
    if kind not in FLOATS:
        return into.emit("const", "?", (), False)
    return into.emit("eq", "?", (into.emit("abs", kind, (x,)), into.emit("const", kind, (), float("inf"))))


def _isfinite(into: Fragment, kind: str, result: str, x: int) -> int:
    if kind not in FLOATS:
        return into.emit("const", "?", (), True)
    return into.emit("lt", "?", (into.emit("abs", kind, (x,)), into.emit("const", kind, (), float("inf"))))


def _isnan(into: Fragment, kind: str, result: str, x: int) -> int:
    return into.emit("isnan", "?", (x,)) if kind in FLOATS else into.emit("const", "?", (), False)


def _rounding(verb: str) -> Callable:
    def make(into: Fragment, kind: str, result: str, x: int) -> int:
        return into.emit(verb, kind, (x,)) if kind in FLOATS else x

    return make


def _signbit(into: Fragment, kind: str, result: str, x: int) -> int:
    one = into.emit("const", kind, (), 1.0)
    sign = into.emit("copysign", kind, (one, x))
    return into.emit("lt", "?", (sign, into.emit("const", kind, (), 0.0)))


def _integers_too(verb: str) -> Callable:
    def make(into: Fragment, kind: str, result: str, *places: int) -> int:
        if kind == "?":
            raise Untraceable(f"{verb} of bool")
        return into.emit(verb, result, places)

    return make


def _sign(into: Fragment, kind: str, result: str, x: int) -> int:
    """NumPy's keeps NaN."""
    if kind == "?":
        raise Untraceable("the sign of bool")
    sign = into.emit("sign", kind, (x,))
    return into.emit("select", kind, (into.emit("isnan", "?", (x,)), x, sign)) if kind in FLOATS else sign


def _floor_divide(into: Fragment, kind: str, result: str, x: int, y: int) -> int:
    """Of floats, from the remainder, as Python and NumPy do it; x // 0 is x / 0."""
    if kind not in FLOATS:
        raise Untraceable("floor_divide of integers")

    def const(value: float) -> int:
        return into.emit("const", kind, (), value)

    def both(verb: str, first: int, second: int) -> int:
        return into.emit(
            verb, "?" if verb in COMPARISONS or verb in ("and", "xor") else kind, (first, second)
        )

    zero, one = const(0.0), const(1.0)
    rest = both("fmod", x, y)
    exact = both("div", both("sub", x, rest), y)
    below = both("and", both("ne", rest, zero), both("xor", both("lt", y, zero), both("lt", rest, zero)))
    exact = into.emit("select", kind, (below, both("sub", exact, one), exact))
    whole = into.emit("floor", kind, (exact,))
    up = both("gt", both("sub", exact, whole), const(0.5))
    whole = into.emit("select", kind, (up, both("add", whole, one), whole))
    plain = both("div", x, y)
    whole = into.emit("select", kind, (both("ne", exact, zero), whole, both("copysign", zero, plain)))
    return into.emit("select", kind, (both("eq", y, zero), plain, whole))


def _logaddexp(exp: str, scale: float) -> Callable:
    """log(exp(x) + exp(y)) from the larger of the two; equal infinities have no difference. `scale`: 1 / log(base)."""

    def make(into: Fragment, kind: str, result: str, x: int, y: int) -> int:
        if kind not in FLOATS:
            raise Untraceable("logaddexp of what is no float")
        apart = into.emit("neg", kind, (into.emit("abs", kind, (into.emit("sub", kind, (x, y)),)),))
        more = into.emit("log1p", kind, (into.emit(exp, kind, (apart,)),))
        if scale != 1:
            more = into.emit("mul", kind, (more, into.emit("const", kind, (), scale)))
        sum_ = into.emit("add", kind, (into.emit("maximum", kind, (x, y)), more))
        return into.emit(
            "select", kind, (_isinf(into, kind, "?", x), into.emit("maximum", kind, (x, y)), sum_)
        )

    return make


_MATHS = (
    "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh"
    " arcsin:asin arccos:acos arctan:atan arcsinh:asinh arccosh:acosh arctanh:atanh arctan2:atan2 hypot sqrt copysign"
)

UFUNCS: dict[Any, Callable] = {
    np.add: _verb("add"),
    np.subtract: _integers_too("sub"),
    np.multiply: _verb("mul"),
    np.true_divide: _verb("div", FLOATS),
    np.negative: _integers_too("neg"),
    np.positive: lambda into, kind, result, x: x,  # (of bool too, which NumPy refuses: a conversion)
    np.conjugate: lambda into, kind, result, x: x,
    np.absolute: lambda into, kind, result, x: x if kind in "?BHIQ" else into.emit("abs", kind, (x,)),
    np.fabs: _verb("abs", FLOATS),
    np.sign: _sign,
    np.square: lambda into, kind, result, x: into.emit("mul", kind, (x, x)),
    np.reciprocal: _reciprocal,
    np.maximum: _verb("maximum"),
    np.minimum: _verb("minimum"),
    np.fmax: _verb("fmax", FLOATS),
    np.fmin: _verb("fmin", FLOATS),
    np.floor: _rounding("floor"),
    np.ceil: _rounding("ceil"),
    np.trunc: _rounding("trunc"),
    np.rint: _rounding("rint"),
    np.fmod: _verb("fmod", FLOATS),
    np.power: _verb("pow", FLOATS),
    np.floor_divide: _floor_divide,
    np.logaddexp: _logaddexp("exp", 1.0),
    np.logaddexp2: _logaddexp("exp2", 1 / math.log(2)),
    np.less: _verb("lt"),
    np.less_equal: _verb("le"),
    np.greater: _verb("gt"),
    np.greater_equal: _verb("ge"),
    np.equal: _verb("eq"),
    np.not_equal: _verb("ne"),
    np.isnan: _isnan,
    np.isinf: _isinf,
    np.isfinite: _isfinite,
    np.signbit: _signbit,
    np.logical_and: _both_bool("and"),
    np.logical_or: _both_bool("or"),
    np.logical_xor: _both_bool("xor"),
    np.logical_not: _both_bool("not"),
    np.bitwise_and: _verb("and"),
    np.bitwise_or: _verb("or"),
    np.bitwise_xor: _verb("xor"),
    np.invert: _verb("not"),
    **{
        getattr(np, name.partition(":")[0]): _verb(name.partition(":")[2] or name, FLOATS)
        for name in _MATHS.split()
    },
}
