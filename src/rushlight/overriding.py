"""Classes derived from `Tensor`, and others, that say themselves what operations on them mean: `__torch_function__`.

An operation on such a tensor is not computed: the class is asked, with the function that the program called and its arguments.
Unless it says something else, the function is computed as for plain tensors, and tensors among the results are made the
class's own.

Plain tensors must not pay for this, so nobody asks an argument what it is. Instead

1. a class, when it is derived, gets methods and properties of its own, which ask it;
2. its tensors show their memory only to functions that run on behalf of a class that has been asked, and to what no function of
   the program's calls (the engine, optimisers). To others they raise `IsOverridden`;
3. public functions catch that where they catch that a tensor is a batch's, and the outermost of them asks the class.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Set
from types import CodeType, FrameType
from typing import Any

from rushlight import late
from rushlight.batched import ASKING, HASTY, TAKE_OVER, NeedsBatching
from rushlight.buffer import Tensor, as_plain

__all__ = [
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "by_default",
    "is_overriding",
    "overridden",
    "prepare",
    "stand_in",
]


class IsOverridden(NeedsBatching):
    """A function that the program called asked for the memory of a tensor whose class is to be asked first."""


class NoImplementation(TypeError):
    """All classes that were asked give NotImplemented."""


class _State(threading.local):
    disabled = False


_STATE = _State()


class DisableTorchFunctionSubclass:
    """A context in which classes derived from `Tensor` are not asked: operations on them give plain tensors.

    Example:
        >>> import rushlight as torch
        >>> class Named(torch.Tensor): ...
        >>> x = torch.ones(2).as_subclass(Named)
        >>> with torch._C.DisableTorchFunctionSubclass():
        ...     type(x + x) is torch.Tensor
        True
    """

    def __enter__(self) -> None:
        self._before = _STATE.disabled
        _STATE.disabled = True

    def __exit__(self, *error: Any) -> None:
        _STATE.disabled = self._before


class DisableTorchFunction(DisableTorchFunctionSubclass):
    """The same: what it disables beside in PyTorch are modes, and here there are none that ask."""


# ---- who is asked ----


def is_overriding(value: Any) -> bool:
    """Whether the value's class is to be asked what operations on it mean."""
    cls = type(value)
    if cls is Tensor or isinstance(value, Tensor) and _STATE.disabled:
        return False
    found = getattr(cls, "__torch_function__", as_plain)
    return found is not as_plain


def overridden(values: Iterable[Any]) -> list[Any]:
    """One value of each class that is to be asked, from the left; but subclasses before what they derive from."""
    found: list[Any] = []
    for value in values:
        if is_overriding(value) and all(type(value) is not type(known) for known in found):
            at = (n for n, known in enumerate(found) if issubclass(type(value), type(known)))
            found.insert(next(at, len(found)), value)
    return found


def _flat(args: tuple, kwargs: dict) -> Iterator[Any]:
    """The arguments, and what is in those that are sequences."""
    for value in (*args, *kwargs.values()):
        if type(value) in (list, tuple):
            yield from value
        else:
            yield value


def ask(function: Callable, relevant: list[Any], args: tuple, kwargs: dict) -> Any:
    """What the classes of these values make of a call: what the first of them gives that is not NotImplemented.

    Raises:
        TypeError: all of them give that.
    """
    types = tuple(map(type, relevant))
    for value in relevant:
        if type(value) is Tensor:  # which do not know what to do with classes of others
            continue
        result = value.__torch_function__(function, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = getattr(function, "__name__", function)
    lines = "".join(f"\n  - tensor subclass {kind}" for kind in types)
    raise NoImplementation(
        f"Multiple dispatch failed for 'torch.{name}'; all __torch_function__ handlers returned NotImplemented:\n{lines}"
    )


def stand_in(function: Callable, args: tuple, kwargs: dict) -> Any:
    """What the arguments' classes make of a call, NotImplemented if none of them is to be asked.

    Raises IsOverridden within another function, which the program called and which catches it.
    """
    relevant = overridden(_flat(args, kwargs))
    if not relevant:
        return NotImplemented
    TAKE_OVER.override = stand_in  # of classes that are not derived from Tensor, nobody knew before
    if _asking(sys._getframe(1), own=True):
        raise IsOverridden
    operation = getattr(function, "operation", None)  # knows the public function, which may have a short path
    return ask(function if operation is None else operation.function, relevant, args, kwargs)


def _asking(frame: FrameType | None, codes: Set[CodeType] = ASKING, own: bool = False) -> bool:
    """Whether a function that asks is running, from this frame outwards to the first of the program's own.

    Args:
        codes: the functions that are meant.
        own: whether the first that is met is the one that wants to know.
    """
    while frame is not None and frame.f_globals.get("__name__", "").startswith("rushlight"):
        if frame.f_code in codes:
            if not own:
                return True
            own = False
        frame = frame.f_back
    return False


# ---- what is computed of itself ----

#: what gives back what it was given, whatever its class
_NOT_CONVERTED = ("grad", "_base", "_grad")


class _Running(threading.local):
    """The function that `by_default` calls in this thread."""

    function: Any = None


_RUNNING = _Running()


def by_default(cls: Any, func: Any, types: Any, args: Any, kwargs: dict) -> Any:
    """`Tensor.__torch_function__`: the function as it is, its results of class `cls`; NotImplemented among unrelated classes, and
    where the function asks again, as one of PyTorch's own does that was given a tensor of ours."""
    outer = _RUNNING.function
    if func is outer or not all(issubclass(cls, other) for other in types):
        return NotImplemented
    _RUNNING.function = func
    try:
        with DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            return result if _keeps_class(func) else _converted(result, cls)
    finally:
        _RUNNING.function = outer


def _keeps_class(func: Any) -> bool:
    owner = getattr(func, "__self__", None)
    return owner is not None and any(owner is vars(Tensor).get(name) for name in _NOT_CONVERTED)


def _converted(result: Any, cls: type) -> Any:
    if cls is Tensor:
        return result
    if isinstance(result, Tensor) and not isinstance(result, cls):
        result = result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        return type(result)([_converted(part, cls) for part in result])
    return result


# ---- the classes ----


def prepare(cls: Any) -> None:
    """Let a new class be asked: see above."""
    TAKE_OVER.override = stand_in
    own = cls.__mro__[: cls.__mro__.index(Tensor)]
    if not any("_a" in vars(base) for base in own[1:]):
        cls._a = _memory("_a")
        cls._buf = _memory("_buf")
        cls.__iter__ = _iterate
    replaced = {}
    for name, member in vars(Tensor).items():
        if _is_asked(name, member):
            if not any(name in vars(base) for base in own):
                setattr(cls, name, _member(name, member))
            elif name in vars(cls):
                replaced[name] = _member(name, member)
    if replaced and Tensor in cls.__bases__:
        cls.__bases__ = tuple([_replaced(replaced) if base is Tensor else base for base in cls.__bases__])


def _replaced(members: dict[str, Any]) -> type:
    """Stands between a class and `Tensor`: the members that the class replaces, which it may call with `super()`, are asked, too."""
    facts = {"__slots__": (), "__module__": Tensor.__module__, "__torch_function__": staticmethod(as_plain)}
    metaclass: Any = type(Tensor)
    made = metaclass(Tensor.__name__, (Tensor,), facts | members)
    del made.__torch_function__  # (with which it was not prepared itself)
    return made


#: what a class is made of, and what serves Python itself
_LEFT = frozenset(
    "__new__ __init__ __init_subclass__ __torch_function__ __hash__ __module__ __doc__ __slots__ __dict__ __weakref__ "
    "__setstate__ as_subclass".split()
)


def _is_asked(name: str, member: Any) -> bool:
    public = name not in _LEFT and (name.startswith("__") or not name.startswith("_"))
    return public and (callable(member) or isinstance(member, (property, late.Method)))


def _iterate(self: Tensor) -> Iterator[Any]:
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _memory(name: str) -> property:
    """The slot of this name, shown as the second rule says."""
    slot = vars(Tensor)[name]

    def read(self: Tensor) -> Any:
        if not _STATE.disabled and _asking(sys._getframe(1), ASKING | HASTY):
            raise IsOverridden
        return slot.__get__(self)

    return property(read, slot.__set__)


def _member(name: str, member: Any) -> Any:
    """What stands in the class for a member of `Tensor`."""
    if isinstance(member, (property, late.Property)):
        return property(_accessor(name, "__get__"), _accessor(name, "__set__"), _accessor(name, "__delete__"))
    if name in _REFLECTED:
        return _reflected(name)
    return _method(name)


def _of_tensor(name: str) -> Any:
    """The member of `Tensor`, loaded."""
    member = vars(Tensor)[name]
    return member.settle() if isinstance(member, late.Method) else member


def _accessor(name: str, part: str) -> Callable:
    def access(*args: Any) -> Any:
        function = getattr(_of_tensor(name), part)
        if _STATE.disabled:
            return function(*args)
        if _asking(sys._getframe(1)):
            raise IsOverridden
        return ask(function, overridden(args), args, {})

    return access


def _method(name: str) -> Callable:
    meant = _OPERATORS.get(name, name)

    def method(*args: Any, **kwargs: Any) -> Any:
        if _STATE.disabled:
            return _of_tensor(name)(*args, **kwargs)
        if _asking(sys._getframe(1)):
            raise IsOverridden
        try:
            return ask(_of_tensor(meant), overridden(_flat(args, kwargs)), args, kwargs)
        except NoImplementation:
            if name in _BINARY:
                return NotImplemented
            raise

    method.__name__ = name
    return method


#: operators -> the methods that they are to PyTorch; the others are themselves
_OPERATORS = {
    **{f"__{name}__": name for name in "add sub mul pow matmul ne lt le gt ge abs neg".split()},
    **{f"__i{name}__": f"{name}_" for name in "add sub mul pow".split()},
    **{f"__r{name}__": f"bitwise_{name}" for name in "and or xor".split()},
    "__truediv__": "div",
    "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_",
    "__mod__": "remainder",
    "__imod__": "remainder_",
    "__pos__": "positive",
    "__radd__": "add",
    "__rmul__": "mul",
}

#: operators that Python tries from the other side, too
_BINARY = frozenset(
    f"__{name}__"
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift eq ne lt le gt ge".split()
)

#: the method that Python tries where the operand on the right is of a derived class -> what the program wrote
_REFLECTED = {
    f"__r{name}__": f"__{name}__"
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
}


def _reflected(name: str) -> Callable:
    """`tensor + x` where x is of a derived class is what it is from the left, whoever Python asks first."""
    plainly, from_left = _REFLECTED[name], _OPERATORS.get(_REFLECTED[name], _REFLECTED[name])

    def method(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor):
            called, meant, args = plainly, from_left, (other, self)
        else:
            called, meant, args = name, _OPERATORS.get(name, name), (self, other)
        if _STATE.disabled:
            return _of_tensor(called)(*args)
        if _asking(sys._getframe(1)):
            raise IsOverridden
        try:
            return ask(_of_tensor(meant), overridden(args), args, {})
        except NoImplementation:
            return NotImplemented

    method.__name__ = name
    return method
