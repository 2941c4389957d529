"""Whether operations are recorded: `no_grad`, `enable_grad`, `inference_mode`. One state per thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any


#: the bit of `co_flags` that marks a generator function
_GENERATOR = 0x20


class _Modes(threading.local):
    grad = True
    inference = False


MODES = _Modes()


class _Mode:
    """A context manager that also decorates functions, with or without call."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if args and callable(args[0]) and not isinstance(args[0], type):
            return cls()(args[0])
        return super().__new__(cls)

    def __call__(self, function: Callable) -> Callable:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _GENERATOR:
            return self._wrap_generator(function)

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return within

    def _wrap_generator(self, function: Callable) -> Callable:
        """Only the generator's own steps run in the mode, not the code between them."""

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            steps = function(*args, **kwargs)
            try:
                with self._again():
                    value = next(steps)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        with self._again():
                            steps.close()
                        raise
                    except BaseException as error:
                        with self._again():
                            value = steps.throw(error)
                    else:
                        with self._again():
                            value = steps.send(sent)
            except StopIteration as end:
                return end.value

        return within

    def _again(self) -> Any:
        return type(self)()

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *error: Any) -> None:
        MODES.grad, MODES.inference = self._before


class no_grad(_Mode):
    """Record nothing: `with torch.no_grad():` or `@torch.no_grad()`.

    Example:
        >>> import rushlight as torch
        >>> w = torch.ones(2, requires_grad=True)
        >>> with torch.no_grad():
        ...     print((w * 2).requires_grad)
        False
    """

    def __enter__(self) -> None:
        self._before = MODES.grad, MODES.inference
        MODES.grad = False


class enable_grad(_Mode):
    """Record again inside a `no_grad` block."""

    def __enter__(self) -> None:
        self._before = MODES.grad, MODES.inference
        MODES.grad = True


class set_grad_enabled(_Mode):
    """Record or not, by value: a statement (`set_grad_enabled(False)`) or a context manager."""

    def __new__(cls, mode: bool) -> Any:
        return object.__new__(cls)

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self._before = MODES.grad, MODES.inference
        MODES.grad = self.mode

    def __call__(self, function: Callable) -> Callable:
        MODES.grad, MODES.inference = self._before
        return super().__call__(function)

    def _again(self) -> Any:
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        MODES.grad = self.mode


class inference_mode(_Mode):
    """Like `no_grad`; tensors made inside can never be part of a recorded graph."""

    def __new__(cls, mode: Any = True) -> Any:
        if callable(mode):
            return cls()(mode)
        return object.__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def _again(self) -> Any:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self._before = MODES.grad, MODES.inference
        MODES.inference = self.mode
        MODES.grad = not self.mode


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return MODES.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return MODES.inference
