"""How many threads BLAS uses: one, for a product that takes less time than waiting for a thread may.

From 2**18 multiplications on (ten microseconds of work), OpenBLAS gives a product to all its threads, and waits for the last
of them. On an idle machine that saves some microseconds. Where something else holds a processor, it costs a time slice, of
milliseconds: measured on two processors, one of them busy, a product of 2**23 multiplications takes 8 ms on two threads
and 0.16 ms on one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

#: multiplications from which OpenBLAS uses several threads
_SHARED_FROM = 1 << 18
#: multiplications from which it may
_WORTH_SHARING = 1 << 23
#: OpenBLAS's functions, as NumPy's wheels and other builds name them
_NAMES = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
)


def multiplied(multiply: Callable, multiplications: int, *args: Any) -> Any:
    """`multiply(*args)`, which makes products of so many multiplications each, on as many threads as they are worth."""
    if _SHARED_FROM < multiplications <= _WORTH_SHARING:
        count, change = _threads()
        if count > 1:
            change(1)
            try:
                return multiply(*args)
            finally:
                change(count)
    return multiply(*args)


@functools.cache
def _threads() -> tuple[int, Callable]:
    """How many threads OpenBLAS has, and the function that changes it; one, where there is no OpenBLAS to ask."""
    import ctypes

    core = import_module("numpy._core._multiarray_umath")
    try:
        library = ctypes.CDLL(core.__file__)  # looks in what NumPy was linked with, too
    except OSError:
        return 1, int
    for get, change in _NAMES:
        if hasattr(library, get) and hasattr(library, change):
            return getattr(library, get)(), getattr(library, change)
    return 1, int


__all__ = ["multiplied"]
