"""What a NumPy function computes, as instructions: the function is called with stand-ins for its arrays.

An operation says once what it means, as NumPy on arrays. Called with `Traced` operands, the same lines give the body
of a fused loop: the same steps, in the same kinds, in the same order, hence the same bits. A function that looks at
values (`if np.any(x < 0)`), writes to parts of arrays or calls what has no instruction is `Untraceable`, and is left
to NumPy.

Numbers in the text of a function become run-time scalars, so that `x * 2` and `x * 3` share their machine code.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import debug
from rushlight.graph.fragment import CHARS, DTYPES, FLOATS, Fragment, Untraceable
from rushlight.graph.ufuncs import UFUNCS


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
    make = UFUNCS.get(ufunc)
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
    if like.kind not in FLOATS:
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
