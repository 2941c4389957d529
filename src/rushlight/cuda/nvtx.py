"""`torch.cuda.nvtx`: marks in the timeline of NVIDIA's profiler, which there is none of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

from rushlight import late

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


def _missing(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")


def mark(msg: str) -> Any:
    """Mark a moment: RuntimeError, as in PyTorch without CUDA."""
    _missing()


def range_push(msg: str) -> Any:
    """Begin a range: RuntimeError, as in PyTorch without CUDA.

    Example:
        >>> import rushlight as torch
        >>> torch.cuda.nvtx.range_push("step") if torch.cuda.is_available() else None
    """
    _missing()


def range_pop() -> Any:
    """End a range: RuntimeError, as in PyTorch without CUDA."""
    _missing()


def range_start(msg: str) -> Any:
    """Begin a range of any thread: RuntimeError, as in PyTorch without CUDA."""
    _missing()


def range_end(range_id: int) -> None:
    """End a range of any thread: RuntimeError, as in PyTorch without CUDA."""
    _missing()


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """A context that is a range: RuntimeError, as in PyTorch without CUDA."""
    _missing()
    yield


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.cuda.nvtx")
