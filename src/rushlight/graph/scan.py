"""Scans: computed when they are called, in one loop with what is pending on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rushlight.graph.body import Body, expressions
from rushlight.graph.expr import Pending, computed
from rushlight.graph.fragment import CHARS, char
from rushlight.graph.fuse import looked_for, run_loop
from rushlight.graph.recipes import Made, Recipe, keep, known, signature
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
    call = _Call(ufunc, dim, wide, kind, reverse)
    if type(a) is not Pending:
        return _scanned(call, a, [])
    with LOCK:
        return _scanned(call, computed(a), expressions([a]))


def ready(
    ufunc: np.ufunc, a: np.ndarray, dim: int, wide: np.dtype, kind: np.dtype
) -> Callable[[np.ndarray], np.ndarray | None] | None:
    """The loop that `scanned` ran for a call like this one, as a function of the array; None if there was none, or it is large."""
    recipe = known((_Call(ufunc, dim, wide, kind, False), signature([], [a])[0]))
    return None if recipe is None else recipe.quick


class _Call(NamedTuple):
    """What is asked for, see `scanned`."""

    ufunc: np.ufunc
    dim: int
    wide: np.dtype
    kind: np.dtype
    reverse: bool


def _scanned(call: _Call, a: Any, nodes: list[Pending]) -> np.ndarray | None:
    """The result; `nodes`: what is pending of which `a` consists."""
    facts, arrays, numbers = signature(nodes, [a])
    live = looked_for(nodes, a) if nodes else []
    key = call, facts, *live
    recipe = known(key)
    if recipe is None:
        with LOCK:
            return _anew(call, a, nodes, live, key)
    made = recipe.run(arrays, numbers)
    for n, value in zip(live, made):
        nodes[n].settled(value)
    return made[-1]


def _anew(call: _Call, a: Any, nodes: list[Pending], live: list[int], key: tuple) -> np.ndarray | None:
    """The same for a call that was not seen before; it is kept under `key`."""
    kinds = (char(a.dtype), char(call.wide), char(call.kind))
    if None in kinds or call.ufunc not in _MONOIDS or a.shape[call.dim] == 1:
        return None
    body, monoid = Body(), _MONOIDS[call.ufunc]
    seen: dict[int, int] = {}
    place = body.cast(body.value(a, seen), CHARS[call.wide])
    place = body.cast(body.emit("scan", CHARS[call.wide], (place,), monoid), CHARS[call.kind])
    body.names.append("cum" + monoid)
    made = [Made(p.shape, p.dtype, p.strides) for p in [nodes[n] for n in live]]
    made.append(Made(a.shape, call.kind))
    outs = [m.memory() for m in made]
    flags = "".join(["s" if d == call.dim else "k" for d in range(a.ndim)])
    arrays = [*body.inputs, *outs]
    shown = [_turned(x, a.ndim - call.dim) for x in arrays] if call.reverse else arrays
    inputs = len(body.inputs)
    body.inputs = shown[:inputs]
    places = [*[seen[id(nodes[n])] for n in live], place]
    ran = run_loop("scan", body, places, shown[inputs:], a.shape, a.strides, flags)
    if ran is None:
        return None
    begins = tuple([address(turned) - address(x) for turned, x in zip(shown, arrays)])
    recipe = Recipe(*ran, begins, tuple(made))
    keep(key, recipe if nodes else recipe.ready([a]))
    for n, value in zip(live, outs):
        nodes[n].settled(value)
    return outs[-1]


def _turned(x: np.ndarray, behind: int) -> np.ndarray:
    """The array with one dimension, counted from the end, backwards; broadcast ones stay."""
    if x.ndim < behind or x.shape[-behind] == 1:
        return x
    return np.flip(x, x.ndim - behind)
