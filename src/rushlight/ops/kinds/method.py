"""Methods of Tensor that have no function: they check who they are called on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rushlight import errors
from rushlight.buffer import Tensor


def method(function: Callable) -> Any:
    """Word the error of `Tensor.method(something else)` as PyTorch does; costs nothing in a good call's body."""
    name = function.__name__

    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(self, *args, **kwargs)
        except AttributeError:
            if not isinstance(self, Tensor):
                raise errors.wrong_self(name, self) from None
            raise

    return call
