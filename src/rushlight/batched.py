"""A tensor inside `vmap`: one example, standing for all of a batch, which are computed at once.

A `Batched` holds an ordinary tensor whose first dimension is the batch and behaves as one of its entries. It
has no memory of its own: whoever asks for it raises `NeedsBatching`, and the public function around
catches that and has the operation done for the whole batch (`rushlight.func` says how). So nothing
on the way of ordinary tensors asks whether a tensor is one of these.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple, NoReturn

from rushlight.buffer import Tensor, as_plain


class NeedsBatching(RuntimeError):
    """Something asked for the memory of a batched tensor, or for its value."""

    def __init__(self, message: str = "this operation does not work inside of vmap") -> None:
        super().__init__(message)


class DrawsRandomly(NeedsBatching):
    """Random numbers are wanted inside `vmap`; whether each example gets its own is vmap's to say."""


class Level(NamedTuple):
    """One `vmap` that is running: how deep it is nested (from 1), its batch's size, and its `randomness`."""

    depth: int
    size: int
    randomness: str


class _Levels(threading.local):
    running: tuple[Level, ...] = ()


LEVELS = _Levels()


for _error in (NeedsBatching, DrawsRandomly):  # outside of this package they are what PyTorch raises
    _error.__name__ = _error.__qualname__ = "RuntimeError"
    _error.__module__ = "builtins"


def _no_memory(self: Tensor) -> NoReturn:
    raise NeedsBatching


class Batched(Tensor):
    """One entry of a batch: see above.

    Attributes:
        inner: the tensor of all entries; may itself be an entry of a batch of an outer level.
        level: the depth of the `vmap` that the batch belongs to.
    """

    __slots__ = ("inner", "level")
    __torch_function__ = staticmethod(as_plain)

    inner: Tensor
    level: int

    _a = property(_no_memory)
    _buf = property(_no_memory)
    _dtype = property(lambda self: self.inner._dtype)
    # the history is the inner tensor's; what is computed from the entry is computed, and recorded, from that
    _edge = property(lambda self: None)


Batched.__name__ = Batched.__qualname__ = "Tensor"
Batched.__module__ = "rushlight"


def batched(inner: Tensor, level: int) -> Batched:
    """Any entry of `inner` along its first dimension."""
    t = object.__new__(Batched)
    t.inner = inner
    t.level = level
    return t


def check_random() -> None:
    """Raise DrawsRandomly inside of `vmap`."""
    if LEVELS.running:
        raise DrawsRandomly


class _TakeOver:
    """Who does an operation that its own function could not, having asked for memory that is not there.

    Attributes:
        of_batch, of_batch_inplace, random: how it is done for a batch; set by `rushlight.func`, without which there are no
            batched tensors. They are called with the operation's name, its function, and the arguments.
        backward: the same for a walk and the gradients that it is to send down, some of which are of a batch.
        override: what the `__torch_function__` of an argument's class makes of a function and its arguments, NotImplemented
            where no class has one; set by `rushlight.overriding`, without which there are no such classes.
    """

    __slots__ = ("of_batch", "of_batch_inplace", "random", "backward", "override")

    def __init__(self) -> None:
        self.of_batch: Callable[[str, Callable, tuple, dict], Any] = _nobody
        self.of_batch_inplace: Callable[[str, Callable, tuple, dict], Any] = _nobody
        self.random: Callable[[str, Callable, tuple, dict], Any] = _nobody
        self.backward: Callable[[Any, Any], None] = _nobody
        self.override: Callable[[Callable, tuple, dict], Any] = _no_override

    def function(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        result = self.override(function, args, kwargs)
        return self.of_batch(name, function, args, kwargs) if result is NotImplemented else result

    def inplace(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        result = self.override(function, args, kwargs)
        return self.of_batch_inplace(name, function, args, kwargs) if result is NotImplemented else result


def _nobody(*args: Any) -> NoReturn:
    raise NeedsBatching


def _no_override(*call: Any) -> Any:
    return NotImplemented


#: the code of functions that ask `TAKE_OVER` where memory is not there
ASKING: set[CodeType] = set()


#: the code of functions with a short path, which leave to one that asks what they cannot do
HASTY: set[CodeType] = set()


def asking(function: Any) -> Any:
    """Declare such a function."""
    ASKING.add(function.__code__)
    return function


def for_batches(function: Callable) -> Any:
    """Let a function that is not `public` take batched tensors too."""
    name = function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except DrawsRandomly:
            take_over = TAKE_OVER.random
        except NeedsBatching:
            take_over = TAKE_OVER.inplace if name.endswith("_") else TAKE_OVER.function
        return take_over(name, call, args, kwargs)

    return asking(call)


TAKE_OVER = _TakeOver()
