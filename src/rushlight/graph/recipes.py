"""Loops that ran before, ready for arrays like those they ran on.

To join instructions, order dimensions and look kernels up takes tens of microseconds, as long as the loop itself takes for 100,000
elements. All of it follows from the operations and from the arrays' layouts; so what was found is kept under these, and the
next call that is alike only brings addresses and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight import debug, memory
from rushlight.codegen.program import Job, Program
from rushlight.graph.expr import Pending, computed
from rushlight.memory import address

#: recipes that are kept
_MOST = 4096


class Made(NamedTuple):
    """How memory for an output is made.

    Attributes:
        strides: in bytes; row-major if not given.
        shown: the shape in which it is given back; None if that is its own.
    """

    shape: tuple[int, ...]
    kind: np.dtype
    strides: tuple[int, ...] | None = None
    shown: tuple[int, ...] | None = None

    def memory(self) -> np.ndarray:
        return memory.array(self.shape, self.kind, self.strides)

    def as_shown(self, made: np.ndarray) -> np.ndarray:
        return made if self.shown is None else made.reshape(self.shown)


class Recipe(NamedTuple):
    """A loop and how it is run.

    Attributes:
        begins: bytes from the first element of each array, inputs and then outputs, to the one where the loop begins.
        outs: how memory for the outputs is made.
        numbers: what follows the numbers of the call.
        quick: the outputs as a function of the arrays, where the loop is small and there are no other numbers.
    """

    program: Program
    job: Job
    begins: tuple[int, ...]
    outs: tuple[Made, ...]
    numbers: tuple[Any, ...] = ()
    quick: Callable[..., Sequence[np.ndarray]] | None = None

    def run(self, arrays: Sequence[np.ndarray], numbers: Sequence[Any] = ()) -> Sequence[np.ndarray]:
        """The outputs, made of arrays whose layouts are those of the recipe."""
        if self.quick is not None:
            return self.quick(*arrays)
        outs = [made.memory() for made in self.outs]
        self.into(arrays, outs, numbers)
        return [made.as_shown(out) for made, out in zip(self.outs, outs)]

    def into(
        self, arrays: Sequence[np.ndarray], outs: Sequence[np.ndarray], numbers: Sequence[Any] = ()
    ) -> None:
        """The same, to memory that exists."""
        addresses = [address(a) + begin for a, begin in zip((*arrays, *outs), self.begins)]
        self.program.do(self.job, addresses, (*numbers, *self.numbers))

    def ready(self) -> Recipe:
        """The same, quicker to run if it can be."""
        call = None if any(self.begins) else self.program.direct(self.job, self.numbers)
        if call is None or any(made.strides is not None for made in self.outs):
            return self
        return self._replace(
            quick=_one(self.outs[0], call) if len(self.outs) == 1 else _several(self.outs, call)
        )


def _one(made: Made, call: Callable[..., None]) -> Callable[..., tuple[np.ndarray]]:
    empty, shape, kind = np.empty, made.shape if made.shown is None else made.shown, made.kind

    def run(*arrays: np.ndarray) -> tuple[np.ndarray]:
        out = empty(shape, kind)
        call(*arrays, out)
        return (out,)

    return run


def _several(outs: tuple[Made, ...], call: Callable[..., None]) -> Callable[..., list[np.ndarray]]:
    def run(*arrays: np.ndarray) -> list[np.ndarray]:
        made = [one.memory() for one in outs]
        call(*arrays, *made)
        return [one.as_shown(out) for one, out in zip(outs, made)]

    return run


_KNOWN: dict[tuple, Recipe] = {}


def known(key: tuple | None) -> Recipe | None:
    """The recipe of a call, if there is one, and nobody wants to be told of what runs."""
    return None if key is None or debug.listened() else _KNOWN.get(key)


def keep(key: tuple, recipe: Recipe) -> None:
    if len(_KNOWN) >= _MOST:
        _KNOWN.clear()
    _KNOWN[key] = recipe


def facts(a: np.ndarray) -> tuple:
    """What a loop depends on, of an array."""
    return a.shape, a.strides, a.dtype


def signature(
    nodes: Sequence[Pending], operands: Sequence[Any] = ()
) -> tuple[tuple, Sequence[np.ndarray], Sequence[Any]]:
    """What tells work from other work, the arrays it reads, and its numbers; both as `Body` finds them.

    Args:
        nodes: the expressions that it begins with, operands before what is made of them.
        operands: what it goes on with: some of the nodes, and arrays.
    """
    if not nodes and (len(operands) == 1 or len(set(map(id, operands))) == len(operands)):
        return tuple(map(facts, operands)), operands, ()
    shape: list[tuple] = []
    arrays: list[np.ndarray] = []
    numbers: list[Any] = []
    at: dict[int, int] = {}

    def place(arg: Any) -> int:
        """That of a node, or (negative) of an array."""
        arg = computed(arg)
        found = at.get(id(arg))
        if found is None:
            found = at[id(arg)] = ~len(arrays)
            arrays.append(arg)
        return found

    for p in nodes:
        refs: list[int | None] = []
        for arg in p.args:
            if type(arg) is Pending or type(arg) is np.ndarray:
                refs.append(place(arg))
            else:
                numbers.append(arg)
                refs.append(None)
        numbers += p.fragment.given()
        shape.append((p.fragment, p.casts, p.dtype, *refs))
        at[id(p)] = len(shape)
    given = [(place(operand), operand.shape, operand.strides) for operand in operands]
    return (*shape, *given, *map(facts, arrays)), arrays, numbers
