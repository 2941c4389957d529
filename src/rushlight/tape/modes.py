"""Whether operations are recorded: `no_grad`, `enable_grad`, `inference_mode`. One state per thread.

Note [Marking inference tensors]: what is made inside `inference_mode` must be known later, but the functions
that make tensors must not pay for asking. All of them store None in the slot `_buf` of a new tensor; so while a
thread is in the mode, and only then, `Tensor._buf` is a property that stores a marked Buffer instead.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Buffer, Tensor
from rushlight.dtypes import float32, float64

#: the bit of `co_flags` that marks a generator function
_GENERATOR = 0x20


class _Modes(threading.local):
    grad = True
    inference = False


MODES = _Modes()


#: bytes of a gradient up to which a derivative is computed on arrays at once; larger ones may wait, and be fused
_FEW = 1 << 17


def unrecorded(g: Any) -> bool:
    """Whether a derivative may be computed by an operation that has none itself: it is not recorded, and `g` is ordinary."""
    return not MODES.grad and type(g) is Tensor


def direct(g: Any) -> bool:
    """Whether a derivative may be computed on arrays at once: it is not recorded, and `g` is small and ordinary."""
    return (
        not MODES.grad
        and type(g) is Tensor
        and (g._dtype is float32 or g._dtype is float64)
        and type(g._a) is np.ndarray
        and g._a.nbytes <= _FEW
    )


class _Mode:
    """A context manager that also decorates functions, with or without call."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise TypeError(
                f"{cls.__name__}.__new__() got an unexpected keyword argument {next(iter(kwargs))!r}"
            )
        return cls()(args[0]) if args else super().__new__(cls)

    def __call__(self, function: Callable) -> Callable:
        if isinstance(function, type):
            warnings.warn(_NO_CLASSES, FutureWarning, stacklevel=2)
        code = getattr(function, "__code__", None)
        if code is not None and code.co_flags & _GENERATOR:
            return self._wrap_generator(function)

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return within

    def _again(self) -> Any:
        return type(self)()

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

    _before: tuple[bool, bool]

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(self, *error: Any) -> None:
        MODES.grad, MODES.inference = self._before


_NO_CLASSES = (
    "Decorating classes is deprecated and will be disabled in future versions. You should only decorate functions or "
    "methods. To preserve the current behavior of class decoration, you can directly decorate the `__init__` method "
    "and nothing else."
)


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
        if type(mode) is not bool:
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self.mode = mode
        self._before = MODES.grad, MODES.inference
        MODES.grad = self.mode

    def __call__(self, function: Callable) -> Callable:
        MODES.grad, MODES.inference = self._before
        return super().__call__(function)

    def __repr__(self) -> str:
        return f"torch.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    def _again(self) -> Any:
        return set_grad_enabled(self.mode)

    def __enter__(self) -> None:
        MODES.grad = self.mode


class inference_mode(_Mode):
    """Like `no_grad`; tensors made inside can never be part of a recorded graph."""

    def __new__(cls, mode: Any = True) -> Any:
        return object.__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = bool(mode)

    def _again(self) -> Any:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self._before = MODES.grad, MODES.inference
        if self.mode:
            _mark(1)
        MODES.inference = self.mode
        MODES.grad = not self.mode

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if self.mode:
            _mark(-1)


# ---- marking what is made in inference mode: see the Note above ----

_slot: Any = Tensor.__dict__["_buf"]
_lock = threading.Lock()
_blocks = 0


def _set_marked(t: Tensor, buffer: Buffer | None) -> None:
    if buffer is None and MODES.inference:
        buffer = Buffer.of(t._a)
        buffer.inference = True
    _slot.__set__(t, buffer)


_marking = property(_slot.__get__, _set_marked)


def _mark(step: int) -> None:
    """Count the blocks that all threads are in; marking is on while there is one."""
    global _blocks
    with _lock:
        _blocks += step
        Tensor._buf = _marking if _blocks else _slot  # type: ignore[attr-defined]


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return MODES.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return MODES.inference
