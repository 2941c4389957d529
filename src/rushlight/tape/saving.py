"""Saved-tensor hooks: what is kept for backward may be kept in another form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import LEAF, Buffer, Tensor, storage
from rushlight.dtypes import dtype
from rushlight.tape.modes import MODES
from rushlight.tape.node import Node, meta_of, start

_make = object.__new__

#: the pairs (pack, unpack) of the hooks now on
SAVING: list[tuple[Callable, Callable]] = []


class Packed:
    """A kept tensor in the form that a pair of saved-tensor hooks gave it."""

    __slots__ = ("form", "unpacker")

    def __init__(self, form: Any, unpacker: Callable) -> None:
        self.form = form
        self.unpacker = unpacker

    def unpack(self) -> Any:
        t = self.unpacker(self.form)
        if not isinstance(t, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t)}"
            )
        return t


class Through(Node):
    """Leads to a leaf from a copy of it that came back from a saved-tensor hook."""

    __slots__ = ()

    def __init__(self, leaf: Tensor) -> None:
        start(self, (leaf,), (meta_of(leaf),))

    def run(self, g: Any) -> tuple:
        return (g,)


def unpacked(packed: Packed, edge: Any) -> Any:
    """What a hook gives back, with the place in the graph of what it was given."""
    t = packed.unpack()
    if edge is None or not MODES.grad:
        return t
    return with_edge(t._a, t._dtype, storage(t), Through(edge) if isinstance(edge, Tensor) else edge)


def packed(t: Tensor, hooks: tuple[Callable, Callable] | None = None) -> Packed:
    """A kept tensor as these saved-tensor hooks, or those that are on, want it."""
    pack, unpack = hooks or SAVING[-1]
    before, MODES.grad = MODES.grad, False
    try:
        return Packed(pack(with_edge(t._a, t._dtype, storage(t), None)), unpack)
    finally:
        MODES.grad = before


def with_edge(array: np.ndarray, kind: dtype, buffer: Buffer | None, edge: Any) -> Tensor:
    t = _make(Tensor)
    t._a, t._dtype, t._buf = array, kind, buffer
    t._edge = LEAF if isinstance(edge, Tensor) else edge
    return edge if isinstance(edge, Tensor) else t
