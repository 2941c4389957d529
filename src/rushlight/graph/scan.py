"""Scans: computed when they are called, in one loop with what is pending on their way."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import memory
from rushlight.graph.body import Body, in_order
from rushlight.graph.expr import Pending
from rushlight.graph.fuse import looked_for, memory_of, run_loop
from rushlight.graph.trace import CHARS, char
from rushlight.native.lock import LOCK

_MONOIDS = {np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min"}


def scanned(
    ufunc: np.ufunc, a: Any, dim: int, wide: np.dtype, kind: np.dtype, reverse: bool
) -> np.ndarray | None:
    """`ufunc.accumulate` along `dim`, row-major, in one loop; None if it cannot be one.

    Args:
        wide: the type accumulated in.
        kind: the type of the result.
        reverse: whether to start at the end.
    """
    if (
        char(a.dtype) is None
        or char(wide) is None
        or char(kind) is None
        or ufunc not in _MONOIDS
        or a.shape[dim] == 1
    ):
        return None
    with LOCK:
        body = Body()
        seen: dict[int, int] = {}
        pending = in_order(a) if type(a) is Pending and a.value is None else []
        place = body.cast(body.value(a, seen), CHARS[wide])
        place = body.cast(body.emit("scan", CHARS[wide], (place,), _MONOIDS[ufunc]), CHARS[kind])
        body.names.append("cum" + _MONOIDS[ufunc])
        live = looked_for(pending, a)
        outs = [*map(memory_of, live), memory.array(a.shape, kind)]
        flags = "".join(["s" if d == dim else "k" for d in range(a.ndim)])
        shown = outs
        if reverse:
            behind = a.ndim - dim
            body.inputs = [_turned(x, behind) for x in body.inputs]
            shown = [_turned(x, behind) for x in outs]
        places = [*[seen[id(p)] for p in live], place]
        if not run_loop("scan", body, places, shown, a.shape, a.strides, flags):
            return None
        for p, value in zip(live, outs):
            p.settled(value)
        return outs[-1]


def _turned(x: np.ndarray, behind: int) -> np.ndarray:
    """The array with one dimension, counted from the end, backwards; broadcast ones stay."""
    if x.ndim < behind or x.shape[-behind] == 1:
        return x
    return np.flip(x, x.ndim - behind)
