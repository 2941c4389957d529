"""What a NumPy function computes, as instructions: the function is called with stand-ins for its arrays.

An operation says once what it means, as NumPy on arrays. Called with `Traced` operands, the same lines give the body
of a fused loop: the same steps, in the same kinds, in the same order, hence the same bits. A function that looks at
values (`if np.any(x < 0)`), writes to parts of arrays or calls what has no instruction is `Untraceable`, and is left
to NumPy.

Numbers in the text of a function become run-time scalars, so that `x * 2` and `x * 3` share their machine code.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import debug
from rushlight.codegen.words import COMPARISONS
from rushlight.dtypes import WAITING

_BOOL = np.dtype(bool)
#: the kind of bfloat16
BFLOAT16 = "E"
#: the kinds that kernels know, by NumPy dtype; half types and bfloat16 are loaded and stored, not computed in
CHARS = {np.dtype(c): c for c in "?bBhHiIqQefd"}
for _alias, _c in (("l", "q"), ("L", "Q"), ("p", "q"), ("P", "Q")):
    CHARS.setdefault(np.dtype(_alias), _c)
#: and the other way round
DTYPES = {c: np.dtype(c) for c in "?bBhHiIqQefd"}
_FLOATS = "fd"


def char(dtype: np.dtype) -> str | None:
    """The kind of kernels that this type is; None for those that kernels do not know."""
    return CHARS.get(dtype)


def _know_bfloat16(dtype: np.dtype) -> None:
    CHARS[dtype], DTYPES[BFLOAT16] = BFLOAT16, dtype


WAITING.append(_know_bfloat16)


class Untraceable(Exception):
    """The function does what no loop over elements can do; says what."""


class Fragment:
    """The instructions of one call of an operation.

    Attributes:
        insts: (verb, kind, args, attr); an argument counts from 0 through the operands and on through the instructions.
        numbers: the run-time scalars that `param` instructions name, as (kind, value).
        results: the places of the results, and their kinds.
    """

    __slots__ = ("insts", "numbers", "operands", "results")

    def __init__(self, operands: int) -> None:
        self.insts: list[tuple[str, str, tuple[int, ...], Any]] = []
        self.numbers: list[tuple[str, Any]] = []
        self.operands = operands
        self.results: list[tuple[int, str]] = []

    def emit(self, verb: str, kind: str, args: tuple[int, ...] = (), attr: Any = None) -> int:
        self.insts.append((verb, kind, args, attr))
        return self.operands + len(self.insts) - 1

    def number(self, value: Any, kind: str) -> int:
        self.numbers.append((kind, value))
        return self.emit("param", kind, (), len(self.numbers) - 1)

    def given(self) -> list[Any]:
        """The values of its numbers, in the order of the instructions that bring them."""
        return [value for _, value in self.numbers]


class Traced:
    """Stands for an array while the function that computes with it is traced."""

    __slots__ = ("into", "place", "kind")

    def __init__(self, into: Fragment, place: int, kind: str) -> None:
        self.into = into
        self.place = place
        self.kind = kind

    dtype = property(lambda self: DTYPES[self.kind])
    itemsize = property(lambda self: self.dtype.itemsize)
    real = property(lambda self: self)

    def conj(self) -> Traced:
        return self

    def _next(self, verb: str, kind: str, args: tuple[int, ...], attr: Any = None) -> Traced:
        return Traced(self.into, self.into.emit(verb, kind, args, attr), kind)

    def cast(self, kind: str) -> Traced:
        return self if kind == self.kind else self._next("cast", kind, (self.place,))

    def astype(self, dtype: Any, order: str = "K", *, copy: bool = True) -> Traced:
        return self.cast(_char(np.dtype(dtype)))

    def copy(self, order: str = "K") -> Traced:
        return self

    def __bool__(self) -> bool:
        raise Untraceable("it depends on the values")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise Untraceable("it calls a function that has no instruction")

    def __getattr__(self, name: str) -> Any:
        raise Untraceable(f"it uses .{name} of an array")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce":
            return _reduce(self, ufunc, *inputs, **kwargs)
        if method != "__call__" or kwargs.keys() - {"dtype", "out"} or kwargs.get("out") is not None:
            raise Untraceable(f"{ufunc.__name__} is called with {', '.join(kwargs) or method}")
        return _ufunc(self, ufunc, inputs, kwargs.get("dtype"))

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        traced = _FUNCTIONS.get(function)
        if traced is None:
            raise Untraceable(f"{getattr(function, '__name__', function)} has no instruction")
        return traced(self, *args, **kwargs)


class Later:
    """A number of the arithmetic that is traced, which follows from another one that is only known when the loop runs.

    Attributes:
        of: the number, as a function of that other one. It does what would have been done with a number, in the same order.
    """

    __slots__ = ("of",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, of: Callable[[Any], Any]) -> None:
        self.of = of

    def then(self, function: Callable[[Any], Any]) -> Later:
        of = self.of
        return Later(lambda n: function(of(n)))

    def __neg__(self) -> Later:
        return self.then(operator.neg)

    def _known(self, *others: Any) -> Any:
        raise Untraceable("it depends on a number")

    __bool__ = __float__ = __int__ = __index__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _known


def _on_later(function: Callable, swapped: bool) -> Callable:
    def method(self: Later, other: Any) -> Any:
        of = self.of
        if type(other) is Later:
            its = other.of
            return Later(lambda n: function(of(n), its(n)))
        if type(other) is not int and type(other) is not float:
            return NotImplemented
        if swapped:
            return Later(lambda n: function(other, of(n)))
        return Later(lambda n: function(of(n), other))

    return method


for _name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(Later, f"__{_name}__", _on_later(getattr(operator, _name), False))
    setattr(Later, f"__r{_name}__", _on_later(getattr(operator, _name), True))


def _char(dtype: np.dtype) -> str:
    try:
        return CHARS[dtype]
    except KeyError:
        raise Untraceable(f"{dtype} is no kind of a kernel") from None


def _operator(ufunc: np.ufunc, swapped: bool = False) -> Callable:
    if swapped:
        return lambda self, other: _ufunc(self, ufunc, (other, self), None)
    return lambda self, *others: _ufunc(self, ufunc, (self, *others), None)


for _name, _function in {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}.items():
    setattr(Traced, f"__{_name}__", _operator(_function))
    setattr(Traced, f"__r{_name}__", _operator(_function, True))
for _name, _only in {
    "neg": np.negative,
    "pos": np.positive,
    "abs": np.absolute,
    "invert": np.invert,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}.items():
    setattr(Traced, f"__{_name}__", _operator(_only))


def _place(like: Traced, value: Any, kind: str) -> int:
    """An operand, converted to `kind`."""
    if isinstance(value, Traced):
        return value.cast(kind).place
    if isinstance(value, np.ndarray):
        if value.ndim:
            raise Untraceable("it brings an array of its own")
        value = value[()]
    to = DTYPES[kind].type
    return like.into.number(value.then(to) if type(value) is Later else to(value), kind)


def _ufunc(like: Traced, ufunc: np.ufunc, inputs: tuple, dtype: Any) -> Traced:
    kinds: list[Any] = [
        value.kind
        if type(value) is Traced
        else value.dtype
        if isinstance(value, (np.ndarray, np.generic))
        else float
        if type(value) is Later
        else type(value)
        for value in inputs
    ]
    make, chars = _made_by(ufunc, dtype, *kinds)
    if make is None:  # the array itself, in another type
        return inputs[0].cast(chars[-1])
    places = [
        value.place if kind is char else _place(like, value, char)
        for value, kind, char in zip(inputs, kinds, chars)
    ]
    at = make(like.into, chars[0], chars[-1], *places)
    return Traced(like.into, at, chars[-1])


@functools.cache
def _made_by(ufunc: np.ufunc, dtype: Any, *kinds: Any) -> tuple[Callable | None, list[str]]:
    """What writes the instructions of a ufunc, and the kinds of its operands and result; these are given as kinds of arrays
    that stand for others, types of arrays, or Python's types."""
    make = _UFUNCS.get(ufunc)
    if make is None:
        raise Untraceable(f"{ufunc.__name__} has no instruction")
    if dtype is None:
        given = tuple([DTYPES[kind] if isinstance(kind, str) else kind for kind in kinds])
        resolved = given * 2 if ufunc is np.positive else _resolved(ufunc, given)
    else:
        resolved = (np.dtype(dtype),) * (ufunc.nin + ufunc.nout)
    return None if ufunc is np.positive else make, [_char(d) for d in resolved]


@functools.cache
def _resolved(ufunc: np.ufunc, kinds: tuple) -> tuple:
    try:
        return ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout))
    except TypeError as error:
        raise Untraceable(str(error)) from None


# ---- what ufuncs are in instructions: (fragment, kind of operands, kind of result, places) -> place ----


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
    if kind not in _FLOATS:
        raise Untraceable("the reciprocal of integers")
    return into.emit("div", kind, (into.emit("const", kind, (), 1.0), x))


def _isinf(into: Fragment, kind: str, result: str, x: int) -> int:
    if kind not in _FLOATS:
        return into.emit("const", "?", (), False)
    return into.emit("eq", "?", (into.emit("abs", kind, (x,)), into.emit("const", kind, (), float("inf"))))


def _isfinite(into: Fragment, kind: str, result: str, x: int) -> int:
    if kind not in _FLOATS:
        return into.emit("const", "?", (), True)
    return into.emit("lt", "?", (into.emit("abs", kind, (x,)), into.emit("const", kind, (), float("inf"))))


def _isnan(into: Fragment, kind: str, result: str, x: int) -> int:
    return into.emit("isnan", "?", (x,)) if kind in _FLOATS else into.emit("const", "?", (), False)


def _rounding(verb: str) -> Callable:
    def make(into: Fragment, kind: str, result: str, x: int) -> int:
        return into.emit(verb, kind, (x,)) if kind in _FLOATS else x

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
    return into.emit("select", kind, (into.emit("isnan", "?", (x,)), x, sign)) if kind in _FLOATS else sign


def _floor_divide(into: Fragment, kind: str, result: str, x: int, y: int) -> int:
    """Of floats, from the remainder, as Python and NumPy do it; x // 0 is x / 0."""
    if kind not in _FLOATS:
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
        if kind not in _FLOATS:
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

_UFUNCS: dict[Any, Callable] = {
    np.add: _verb("add"),
    np.subtract: _integers_too("sub"),
    np.multiply: _verb("mul"),
    np.true_divide: _verb("div", _FLOATS),
    np.negative: _integers_too("neg"),
    np.positive: lambda into, kind, result, x: x,  # (of bool too, which NumPy refuses: a conversion)
    np.conjugate: lambda into, kind, result, x: x,
    np.absolute: lambda into, kind, result, x: x if kind in "?BHIQ" else into.emit("abs", kind, (x,)),
    np.fabs: _verb("abs", _FLOATS),
    np.sign: _sign,
    np.square: lambda into, kind, result, x: into.emit("mul", kind, (x, x)),
    np.reciprocal: _reciprocal,
    np.maximum: _verb("maximum"),
    np.minimum: _verb("minimum"),
    np.fmax: _verb("fmax", _FLOATS),
    np.fmin: _verb("fmin", _FLOATS),
    np.floor: _rounding("floor"),
    np.ceil: _rounding("ceil"),
    np.trunc: _rounding("trunc"),
    np.rint: _rounding("rint"),
    np.fmod: _verb("fmod", _FLOATS),
    np.power: _verb("pow", _FLOATS),
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
        getattr(np, name.partition(":")[0]): _verb(name.partition(":")[2] or name, _FLOATS)
        for name in _MATHS.split()
    },
}


def _where(like: Traced, condition: Any, x: Any, y: Any) -> Traced:
    kinds = [v.dtype if isinstance(v, (Traced, np.ndarray, np.generic)) else v for v in (x, y)]
    kind = _char(np.result_type(*kinds))
    chosen = condition.cast("?").place if isinstance(condition, Traced) else _place(like, condition, "?")
    place = like.into.emit("select", kind, (chosen, _place(like, x, kind), _place(like, y, kind)))
    return Traced(like.into, place, kind)


def _full_like(like: Traced, x: Any, value: Any = 0, dtype: Any = None, **other: Any) -> Traced:
    kind = x.kind if dtype is None else _char(np.dtype(dtype))
    return Traced(like.into, _place(like, value, kind), kind)


_FUNCTIONS: dict[Callable, Callable] = {
    np.where: _where,
    np.full_like: _full_like,
    np.zeros_like: lambda like, x, dtype=None, **other: _full_like(like, x, 0, dtype),
    np.ones_like: lambda like, x, dtype=None, **other: _full_like(like, x, 1, dtype),
    np.clip: lambda like, x, low, high: np.minimum(np.maximum(x, low), high),
    np.iscomplexobj: lambda like, x: False,
    np.real: lambda like, x: x,
}


def instruction(verb: str, like: Traced, *operands: Any) -> Traced:
    """One instruction on operands of the kind of `like`, which must be a floating one."""
    if like.kind not in _FLOATS:
        raise Untraceable(f"{verb} of {like.dtype}")
    return like._next(verb, like.kind, tuple([_place(like, x, like.kind) for x in operands]))


def constant(like: Traced, value: float) -> Traced:
    """A number of the kind of `like` that belongs to the function, such as a coefficient, and not to the call."""
    return like._next("const", like.kind, (), value)


def has_verb(verb: str) -> Callable:
    """Declare that a NumPy function of floating arrays is one instruction of kernels, which `f.verb` names."""

    def declare(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*arrays: Any, **attrs: Any) -> Any:
            for a in arrays:
                if type(a) is Traced:
                    return instruction(verb, a, *arrays)
            return function(*arrays, **attrs)

        call.verb = verb  # type: ignore[attr-defined]
        return call

    return declare


_MONOIDS = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_or: "any",
    np.logical_and: "all",
}


def _reduce(
    like: Traced, ufunc: np.ufunc, x: Any, axis: Any = None, dtype: Any = None, *other: Any, **named: Any
) -> Traced:
    """`ufunc.reduce` over the dimensions that the loop reduces: which these are, its caller knows."""
    monoid = _MONOIDS.get(ufunc)
    if monoid is None or not isinstance(x, Traced):
        raise Untraceable(f"{ufunc.__name__} is not reduced with")
    if monoid in ("any", "all"):
        x = x.cast("?")
    elif dtype is not None:
        x = x.cast(_char(np.dtype(dtype)))
    return x._next("reduce", x.kind, (x.place,), monoid)


#: verbs that are not computed
_STRUCTURE = frozenset(("param", "const", "cast", "reduce"))

#: fragments of calls seen before; None where there is none. Forgotten all at once when there are many.
_KNOWN: dict[tuple, Fragment | Untraceable] = {}
_MANY = 4096


def trace(function: Callable, kinds: tuple[str, ...], attrs: dict) -> Fragment:
    """The instructions of `function(*operands, **attrs)`.

    Args:
        kinds: of the operands, as the function is to see them.

    Raises:
        Untraceable: it has none.
    """
    key: tuple | None = (function, kinds)
    if attrs:
        facts = [(name, identity(value)) for name, value in attrs.items()]
        key = None if any(fact is None for _, fact in facts) else (function, kinds, *facts)
    found = _KNOWN.get(key) if key is not None else None
    if found is None:
        try:
            found = _traced(function, kinds, attrs)
        except Untraceable as reason:
            found = reason
        if key is not None:
            if len(_KNOWN) >= _MANY:
                _KNOWN.clear()
            _KNOWN[key] = found
    if isinstance(found, Untraceable):
        debug.say(
            2, f"{getattr(function, '__name__', function)} of {' '.join(kinds)} is no part of a loop: {found}"
        )
        raise found
    return found


def identity(value: Any) -> Any:
    """What tells an attribute from others: not equality, since 2 and 2.0, 0.0 and -0.0 are equal; None if nothing does.

    A function written where it is used is a new object each time: its code is what stays, if it holds nothing but numbers.
    """
    if value is None or isinstance(value, (bool, int, float, str, np.generic, np.dtype)):
        return type(value), repr(value)
    code = getattr(value, "__code__", None)
    if code is None or value.__defaults__ or value.__kwdefaults__:
        return None
    held = [identity(cell.cell_contents) for cell in value.__closure__ or ()]
    return None if None in held else (code, *held)


def _traced(function: Callable, kinds: tuple[str, ...], attrs: dict) -> Fragment:
    into = Fragment(len(kinds))
    operands = [Traced(into, n, kind) for n, kind in enumerate(kinds)]
    try:
        made = function(*operands, **attrs)
    except Untraceable:
        raise
    except (
        Exception
    ) as error:  # it was written for arrays; what it makes of a stand-in, NumPy may well compute
        raise Untraceable(f"{type(error).__name__}: {error}") from None
    from rushlight.codegen.body import emission  # (which brings the compiler with it: only when first needed)

    for verb, kind, _, _ in into.insts:
        if verb not in _STRUCTURE and emission(verb, kind) is None:
            raise Untraceable(f"{verb} has no code")
    for value in made if type(made) is tuple else (made,):
        if not isinstance(value, Traced):
            raise Untraceable("its result does not depend on its operands")
        into.results.append((value.place, value.kind))
    return into
