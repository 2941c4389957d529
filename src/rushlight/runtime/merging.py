"""Where a reduction of a large array becomes one that waits, for others of the same array to be read with it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rushlight.buffer import Tensor, storage, watch
from rushlight.dtypes import BY_NUMPY
from rushlight.graph.expr import Outline, Pending, forget
from rushlight.graph.fragment import Fragment
from rushlight.layout import row_strides
from rushlight.lock import LOCK
from rushlight.runtime.deferral import MANY, SWITCHES, TIER, can_compile, tensor_on

#: elements from which on a reduction may wait: another read of as many takes longer than to find out that it can be saved
FROM_MERGED = 1 if TIER == "jit" else 1 << 22
#: reductions of one array that wait at most
MOST_WAITING = 16


class Loop(NamedTuple):
    """A reduction as one loop over an array, and others that are read with it.

    Attributes:
        function, dims, keepdim, attrs: as `runtime.deferral.reduced` takes them.
        result: the type of the result.
        like: the other arrays, of the shape with the reduced dimensions at size one.
        doubted: if a second result says which elements of the first are right: what computes it alone, unless all are.
    """

    function: Callable
    dims: tuple[int, ...]
    keepdim: bool
    result: np.dtype
    attrs: dict[str, Any]
    like: tuple[np.ndarray, ...] = ()
    doubted: Callable[[], np.ndarray] | None = None


_NOTHING = Fragment(0)
#: those that wait, weakly. They keep the memory of one array, whose handles may be gone: never that of several.
_WAITING: list[weakref.ref[Pending]] = []


def waiting(name: str, t: Tensor, loop: Loop, alone: Callable[[], np.ndarray]) -> Tensor | None:
    """The result of a reduction of `t`, computed when somebody looks; None if it is to be computed now.

    Args:
        alone: computes it.
    """
    a = t._a
    if type(a) is not np.ndarray or not SWITCHES.fuse or not can_compile():
        return None
    found = watch(storage(t))
    if found.exposed:
        return None
    from rushlight.graph.together import Work

    dims = loop.dims
    kept = [n for d, n in enumerate(a.shape) if d not in dims]
    shape = tuple([1 if d in dims else n for d, n in enumerate(a.shape)] if loop.keepdim else kept)
    kind = loop.result
    strides = row_strides(shape, kind.itemsize, ())
    p = Pending(Outline(name, _NOTHING, (), shape, kind, strides), ())
    call = loop.function, dims, loop.keepdim, kind
    doubted = loop.doubted is not None
    p.work = Work(call, loop.attrs, (a, *loop.like), loop.doubted or alone, found.readers, doubted)
    ref = weakref.ref(p)
    with LOCK:
        _others(found.readers)
        _WAITING.append(ref)
        found.readers.append(ref)
        if len(found.readers) > MANY:
            forget(found.readers)
    return tensor_on(p, BY_NUMPY[kind])


def _others(readers: list) -> None:
    """Compute the reductions that wait for other memory, or if there are many all. The engine's lock is held."""
    alive = [p for ref in _WAITING if (p := ref()) is not None and p.work is not None]
    for p in alive:
        work = p.work
        if work is not None and (work.readers is not readers or len(alive) >= MOST_WAITING):
            p.look()
    _WAITING[:] = [ref for ref in _WAITING if (q := ref()) is not None and q.work is not None]


__all__ = ["FROM_MERGED", "Loop", "waiting"]
