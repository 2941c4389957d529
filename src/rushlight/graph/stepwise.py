"""Loops that run once for each step in time: what a recurrent unit does between its products.

A step of a unit on small matrices is a dozen operations of a few microseconds each. Here they are one loop, which is looked up once
for a whole sequence; the next step brings other addresses and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from rushlight import debug
from rushlight.graph.body import Body
from rushlight.graph.fragment import CHARS, Untraceable, char
from rushlight.graph.fuse import made_loop, touched
from rushlight.graph.recipes import Recipe, facts, keep, known
from rushlight.graph.trace import trace
from rushlight.lock import LOCK
from rushlight.memory import address


def stepwise(
    function: Callable, arrays: Sequence[np.ndarray], outs: Sequence[np.ndarray]
) -> Callable[[int], None] | None:
    """What computes `function` of the t-th entries of `arrays` into the t-th entries of `outs`; None if it is no loop.

    The function gives as many results as there are outputs, of the shape of the first one's entries. An output may be an
    array of the next step, or of the same one, where both have the same layout.
    """
    operands = [*arrays, *outs]
    firsts = [a[0] for a in operands]
    key = ("step", function, *map(facts, firsts))
    recipe = known(key)
    if recipe is None:
        with LOCK:
            recipe = _recipe(function, firsts[: len(arrays)], firsts[len(arrays) :])
        if recipe is None:
            return None
        keep(key, recipe)
    program, job, numbers = recipe.program, recipe.job, recipe.numbers
    places = np.array([address(a) for a in operands]) + np.outer(
        np.arange(len(outs[0])), [a.strides[0] for a in operands]
    )
    run = program.series(job, places, numbers)
    if run is not None and not debug.listened():
        return run

    def step(t: int) -> None:
        began = time.perf_counter()
        program.do(job, places[t].tolist(), numbers)
        if debug.listened():
            debug.ran(_run(function, began, firsts, outs[0][0].size))

    return step


def _run(function: Callable, began: float, operands: list[np.ndarray], elements: int) -> debug.Run:
    seconds = time.perf_counter() - began
    return debug.Run(_name(function), "map", began, seconds, sum(map(touched, operands)), elements)


def _name(function: Callable) -> str:
    return function.__name__.strip("_")


def _recipe(function: Callable, arrays: list[np.ndarray], outs: list[np.ndarray]) -> Recipe | None:
    kinds = [char(a.dtype) for a in arrays]
    try:
        fragment = trace(function, tuple([kind or "" for kind in kinds]), {}) if None not in kinds else None
    except Untraceable:
        return None
    if fragment is None:
        return None
    body = Body()
    body.names.append(_name(function))
    results = body.join(fragment, [body.load(a) for a in arrays])
    places = [body.cast(place, CHARS[out.dtype]) for place, out in zip(results, outs)]
    found = made_loop("map", body, places, outs, outs[0].shape, outs[0].strides)
    return None if found is None else Recipe(*found[:2], (), (), tuple(body.numbers))


__all__ = ["stepwise"]
