"""What kinds of argument an operation takes, checked before it computes anything.

An operation names the kinds in PyTorch's words: `public(takes={"upper": "bool", "eps": "float", "bias": "Tensor?"})`; a
question mark lets None through. Numbers may come as tensors without dimensions, as PyTorch allows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.errors import WrongArgument
from rushlight.size import Size
from rushlight.tape.node import requires_grad

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1


class _Refused(Exception):
    """The value is not of the kind."""


def _whole(value: Any) -> int:
    if type(value) is int and _LEAST <= value <= _MOST:
        return value
    if isinstance(value, Tensor):
        if value._dtype.is_floating_point or value._dtype.is_complex:
            raise _Refused
        value = _only(value)
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise _Refused
    if not _LEAST <= value <= _MOST:
        raise ValueError("Overflow when unpacking long long")
    return int(value)


def _real(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = _only(value)
    if not isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
        raise _Refused
    return value


def _number(value: Any) -> Any:
    if isinstance(value, Tensor):
        value = _only(value)
    if not isinstance(value, (int, float, complex, np.number, np.bool_)):
        raise _Refused
    if isinstance(value, int) and not _LEAST <= value < 1 << 64:
        raise OverflowError(
            "int too big to convert" if value > 0 else "can't convert negative int to unsigned"
        )
    return value


def _only(value: Tensor) -> Any:
    """The number in a tensor without dimensions."""
    if value._a.ndim or requires_grad(value):
        raise _Refused
    return value.item()


def _wholes(value: Any) -> Any:
    """An int, which stands for as many as are needed, or a sequence of ints."""
    if not isinstance(value, (list, tuple)):
        return _whole(value)
    return type(value)(map(_whole, value)) if set(map(type, value)) - {int} else value


def _several(value: Any) -> Any:
    """A sequence of ints."""
    if not isinstance(value, (list, tuple)):
        raise _Refused
    return _wholes(value)


def _flag(value: Any) -> bool:
    raise _Refused  # (NumPy's truths, too)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused
    return value


def _tensor(value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise _Refused
    return value


#: kind -> the types that pass as they are; what makes any other value one of the kind, or refuses it; PyTorch's words
_KINDS: dict[str, tuple[frozenset[type], Callable[[Any], Any], str]] = {
    "bool": (frozenset({bool}), _flag, "bool"),
    "int": (frozenset(), _whole, "int"),
    "float": (frozenset({float, int}), _real, "float"),
    "Number": (frozenset({float, bool}), _number, "Number"),
    "str": (frozenset({str}), _text, "str"),
    "ints": (frozenset({Size}), _wholes, "tuple of ints"),
    "tuple of ints": (frozenset({Size}), _several, "tuple of ints"),
    "Tensor": (frozenset({Tensor}), _tensor, "Tensor"),
}
_NONE = type(None)


def whole(argument: str, value: Any) -> int:
    """An int; TypeError if it is none, ValueError if it has more than 64 bits."""
    try:
        return _whole(value)
    except _Refused:
        raise WrongArgument(argument, "tuple of ints", value) from None


def checked(function: Callable, names: Sequence[str], takes: Mapping[str, str]) -> Callable:
    """`function`, called only with arguments of these kinds.

    Args:
        names: of its parameters, in order.
        takes: the kinds of some of them.

    Raises:
        KeyError: no such parameter, or no such kind.
    """
    if not takes.keys() <= set(names):
        raise KeyError(f"{function.__name__} has no parameters {sorted(takes.keys() - set(names))}")
    # (by position come those before a `*` only)
    brought = bringer(names[: function.__code__.co_argcount], takes)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*brought(args, kwargs), **kwargs)

    return call


def bringer(names: Sequence[str], takes: Mapping[str, str]) -> Callable[[tuple, dict], tuple]:
    """What brings the arguments of a call to these kinds: (positional ones, those by name) -> the positional ones; the others are
    changed where they are.

    Args:
        names: of the parameters that may be given by position.
    """
    tests = {name: _test(name, kind) for name, kind in takes.items()}
    in_order = [tests.get(name) for name in names]

    def brought(args: tuple, kwargs: dict) -> tuple:
        for at, (value, test) in enumerate(zip(args, in_order)):
            if test is not None and type(value) not in test[0]:
                found = test[1](value)
                if found is not value:
                    args = (*args[:at], found, *args[at + 1 :])
        for name, value in kwargs.items():
            test = tests.get(name)
            if test is not None and type(value) not in test[0]:
                kwargs[name] = test[1](value)
        return args

    return brought


def _test(name: str, kind: str) -> tuple[frozenset[type], Callable[[Any], Any]]:
    types, made, words = _KINDS[kind.rstrip("?")]
    if kind.endswith("?"):
        types |= {_NONE}

    def as_kind(value: Any) -> Any:
        try:
            return made(value)
        except _Refused:
            raise WrongArgument(name, words, value) from None

    return types, as_kind
