"""Scans: computed when they are called, in one loop with what is pending on their way."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.graph.body import Body, in_order
from rushlight.graph.expr import Pending
from rushlight.graph.fuse import looked_for, run_loop
from rushlight.graph.recipes import Made, Recipe, facts, keep, known
from rushlight.graph.trace import CHARS, char
from rushlight.lock import LOCK
from rushlight.memory import address

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
    key = (ufunc, dim, wide, kind, reverse, *facts(a)) if type(a) is np.ndarray else None
    recipe = known(key)
    if recipe is not None:
        return recipe.run([a])[0]
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
        live = [pending[n] for n in looked_for(pending, a)]
        made = [*[Made(p.shape, p.dtype, p.strides) for p in live], Made(a.shape, kind)]
        outs = [m.memory() for m in made]
        flags = "".join(["s" if d == dim else "k" for d in range(a.ndim)])
        arrays = [*body.inputs, *outs]
        shown = [_turned(x, a.ndim - dim) for x in arrays] if reverse else arrays
        inputs = len(body.inputs)
        body.inputs = shown[:inputs]
        places = [*[seen[id(p)] for p in live], place]
        ran = run_loop("scan", body, places, shown[inputs:], a.shape, a.strides, flags)
        if ran is None:
            return None
        if key is not None:
            begins = tuple([address(turned) - address(x) for turned, x in zip(shown, arrays)])
            keep(key, Recipe(*ran, begins, tuple(made)).ready())
        for p, value in zip(live, outs):
            p.settled(value)
        return outs[-1]


def _turned(x: np.ndarray, behind: int) -> np.ndarray:
    """The array with one dimension, counted from the end, backwards; broadcast ones stay."""
    if x.ndim < behind or x.shape[-behind] == 1:
        return x
    return np.flip(x, x.ndim - behind)
