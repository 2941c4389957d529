"""Where the sum of a large expression becomes one that waits: of a loss, often the gradient alone is looked at."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, storage, watch
from rushlight.graph.expr import Outline, Pending, forget
from rushlight.graph.fragment import Fragment
from rushlight.graph.total import Call, Total
from rushlight.lock import LOCK
from rushlight.runtime.deferral import MANY, TOTALS, tensor_on


def total(name: str, t: Tensor, call: Call, attrs: dict | None, otherwise: Callable) -> Tensor:
    """The sum (or mean) of all elements of a tensor that waits, computed when somebody looks.

    Args:
        name: the operation's.
        call, attrs, otherwise: see `rushlight.graph.total.Total`.
    """
    x: Any = t._a
    p = Pending(_outline(name, x.dtype), ())
    p.work = Total(call, attrs, x, otherwise)
    readers = watch(storage(t)).readers
    ref = weakref.ref(p)
    with LOCK:
        if TOTALS and (before := TOTALS[0]()) is not None:
            before.look()
        TOTALS[:] = (ref,)
        readers.append(ref)
        if len(readers) > MANY:
            forget(readers)
    return tensor_on(p, t._dtype)


def let_go() -> None:
    """Compute what waits, if it keeps memory that was freed but for it: a graph has gone through which its gradient went."""
    with LOCK:
        for ref in TOTALS:
            p = ref()
            if p is not None and p.value is None and p.work.keeps():
                p.look()


@lru_cache
def _outline(name: str, kind: np.dtype) -> Outline:
    return Outline(name, Fragment(0), (), (), kind, ())


__all__ = ["let_go", "total"]
