"""Small computations that come again and again: NumPy's at first, then its loops alone.

A computation that NumPy was asked for often is written down as steps (`rushlight.native.steps`), which give the same bits in a
fraction of the time. To load what runs them takes some 40 ms, once, if nothing else needed a compiler before: twice as long as
the small computations have taken by then. So what a program computes never depends on it, and what it costs little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.runtime.deferral import can_compile
from rushlight.runtime.execute import enter

#: calls that are left until the first of them is written down
LEFT = [1 << 13]
#: calls of one kind before it is; kinds that one computation keeps; elements from which on there are not few any more
_OFTEN, _MOST = 50, 1024
FEW = 1 << 11
#: elements of a line that NumPy may add up one after the other without losing what PyTorch keeps
LINE = 128


def repeated(form: tuple, compute: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """`compute(*arrays, *attrs)`, which makes a fresh array of the arrays' values, as a function of (attrs, *arrays).

    Args:
        form: how it is written down, see `rushlight.runtime.written`: the name of the form and what it is told.

    Raises:
        RuntimeError: another thread is in the quiet context, see `execute.enter`.
    """
    last: dict[tuple, Callable] = {}
    known: dict[tuple, Any] = {}

    def run(attrs: tuple, *arrays: Any) -> np.ndarray:
        quick = last.get(attrs)
        if quick is not None:
            made = quick(*arrays)
            if made is not None:
                return made
        left = LEFT[0]
        if left > 0:
            LEFT[0] = left - 1 if left & 255 else _left(left)
            made = enter(compute, *arrays, *attrs)
            return made if type(made) is np.ndarray else np.asarray(made)
        return again(attrs, arrays)

    def again(attrs: tuple, arrays: tuple) -> np.ndarray:
        key = attrs, *[(a.shape, a.strides, a.dtype) for a in arrays]
        quick = known.get(key, 0)
        if quick is not None and type(quick) is not int:
            made = quick(*arrays)
            if made is not None:
                last[attrs] = quick
                return made
        made = np.asarray(enter(compute, *arrays, *attrs))
        if type(quick) is int:
            if len(known) >= _MOST:
                known.clear()
                last.clear()
            known[key] = quick + 1 if quick < _OFTEN else _written(form, attrs, arrays, made)
        return made

    return run


def written_down(calls: int) -> bool:
    """Whether small computations are written down by now; if not, so many more calls of them are counted."""
    left = LEFT[0]
    if left > 0:
        after = max(left - calls, 0)
        LEFT[0] = after if after >> 8 == left >> 8 else _left(after + 1)
    return LEFT[0] <= 0


def _left(left: int) -> int:
    """How many calls are left after this one: none once a compiler is there, all of them where none can be."""
    if not can_compile.cache_info().currsize:
        return left - 1
    return 0 if can_compile() else left


def _written(form: tuple, attrs: tuple, arrays: tuple, made: np.ndarray) -> Callable | None:
    """The computation that made this as a function of its arrays; None if it cannot be one."""
    from rushlight.native import jit

    if not jit.available():
        LEFT[0] = 256
        return None
    if not made.flags.c_contiguous or any(type(a) is not np.ndarray for a in arrays):
        return None
    from rushlight.runtime.written import written

    return written(form, attrs, arrays, made)
