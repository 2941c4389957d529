"""Methods of Tensor that have no function: they check who they are called on."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from rushlight import errors
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor
from rushlight.tape.derivative import parameters

_WARNED: set[str] = set()


def warn_once(message: str) -> None:
    """A UserWarning at the caller of the caller, the first time in the process; so PyTorch warns of old habits."""
    if message not in _WARNED:
        _WARNED.add(message)
        warnings.warn(message, stacklevel=4)


def method(function: Callable) -> Any:
    """Word the error of `Tensor.method(something else)` as PyTorch does; costs nothing in a good call's body."""
    name = function.__name__
    names = parameters(function)[1:]

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(self, *args, **kwargs)
        except NeedsBatching:
            take_over = TAKE_OVER.inplace if name.endswith("_") else TAKE_OVER.function
        except AttributeError as error:
            if not isinstance(self, Tensor):
                raise errors.wrong_self(name, self) from None
            if error.name in ("_a", "_dtype", "_buf"):
                raise errors.wrong_type(name, "other", 1, error.obj) from None
            raise
        except errors.WrongArgument as wrong:
            raise wrong.worded(name, names, args, kwargs) from None
        return take_over(name, call, (self, *args), kwargs)

    asking(call)
    return call
