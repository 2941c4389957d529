"""Tensors without their batches, and back: derivatives are taken of the ordinary tensors inside.

A graph records operations on ordinary tensors only. So a function's derivative inside of `vmap` is that of all
entries at once: none depends on another's input, and every input, also one that is the same for all, is
repeated for them, so that each entry has a gradient of its own.
"""

from __future__ import annotations

from typing import Any

from rushlight.batched import LEVELS, Batched, Level, batched
from rushlight.buffer import Tensor


def running() -> tuple[Level, ...]:
    return LEVELS.running


def stripped(t: Tensor, levels: tuple[Level, ...]) -> Tensor:
    """`t` with a leading dimension for each of these levels, outermost first.

    What belongs to other levels remains an entry of those.
    """
    for level in reversed(levels):
        t = _without(t, level)
    return t


def _without(t: Any, level: Level) -> Tensor:
    if isinstance(t, Batched):
        if t.level == level.depth:
            return t.inner
        if t.level > level.depth:
            return batched(_without(t.inner, level).movedim(1, 0), t.level)
    return t.expand(level.size, *t.shape)


def clothed(t: Tensor, levels: tuple[Level, ...]) -> Tensor:
    """An entry, in all of these levels, of a tensor with a leading dimension for each.

    The levels must be the outermost ones; what `t` itself belongs to must be further in.
    """
    for at, level in enumerate(levels):
        t = _within(t, level, at)
    return t


def _within(t: Any, level: Level, at: int) -> Tensor:
    if isinstance(t, Batched) and t.level > level.depth:
        return batched(_within(t.inner.movedim(0, 1), level, at), t.level)
    return batched(t, level.depth)
