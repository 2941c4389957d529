"""Loops that ran before, ready for arrays like those they ran on.

To join instructions, order dimensions and look kernels up takes tens of microseconds, as long as the loop itself takes for 100,000
elements. All of it follows from the operations and from the arrays' layouts; so what was found is kept under these, and the
next call that is alike only brings addresses and numbers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from rushlight import debug, memory
from rushlight.codegen.program import Job, Program
from rushlight.graph.expr import Pending, computed
from rushlight.layout import row_strides
from rushlight.memory import address
from rushlight.native import direct

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

    def steps(self) -> tuple[int, ...]:
        """The strides, in bytes."""
        return row_strides(self.shape, self.kind.itemsize, ()) if self.strides is None else self.strides

    def as_shown(self, made: np.ndarray) -> np.ndarray:
        return made if self.shown is None else made.reshape(self.shown)


class Recipe(NamedTuple):
    """A loop and how it is run.

    Attributes:
        begins: bytes from the first element of each array, inputs and then outputs, to the one where the loop begins.
        outs: how memory for the outputs is made.
        numbers: what follows the numbers of the call.
        quick: the output as a function of the arrays and the numbers of the call, where there is one output; None, if it says so, of
            what is not alike.
    """

    program: Program
    job: Job
    begins: tuple[int, ...]
    outs: tuple[Made, ...]
    numbers: tuple[Any, ...] = ()
    quick: Callable[..., np.ndarray | None] | None = None

    def run(self, arrays: Sequence[np.ndarray], numbers: Sequence[Any] = ()) -> Sequence[np.ndarray]:
        """The outputs, made of arrays whose layouts are those of the recipe."""
        if self.quick is not None:
            made = self.quick(*arrays, *numbers)
            if made is not None:
                return (made,)
        outs = [
            memory.array(shape if shown is None else shown, kind, strides)
            for shape, kind, strides, shown in self.outs
        ]
        self.into(arrays, outs, numbers)
        return outs

    def into(
        self, arrays: Sequence[np.ndarray], outs: Sequence[np.ndarray], numbers: Sequence[Any] = ()
    ) -> None:
        """The same, to memory that exists."""
        addresses = [*map(address, arrays), *map(address, outs)]
        if any(self.begins):
            addresses = list(map(operator.add, addresses, self.begins))
        self.program.do(self.job, addresses, (*numbers, *self.numbers))

    def ready(self, arrays: Sequence[np.ndarray], numbers: Sequence[Any] = ()) -> Recipe:
        """The same, quicker to run if it can be; `arrays`, `numbers`: such as `run` takes."""
        return self._replace(quick=self.function((*arrays, *numbers)))

    def function(
        self, args: Sequence[Any], numbers: Sequence[Any] = ()
    ) -> Callable[..., np.ndarray | None] | None:
        """The output as a function of arrays and numbers like these, in this order; None, if it says so, of what is not alike. None
        where there are several outputs, no arrays, or no such functions.

        Args:
            numbers: what follows the numbers of the call.
        """
        if len(self.outs) > 1 or not any(type(arg) is np.ndarray for arg in args):
            return None
        given: list[direct.Facts | direct.Number] = []
        for arg in args:
            if type(arg) is np.ndarray:
                given.append(facts(arg))
            elif isinstance(arg, np.generic) and arg.nbytes <= 8:
                given.append(direct.Number(arg.dtype))
            else:
                return None
        ((shape, kind, own, shown),) = self.outs
        plain = row_strides(shape, kind.itemsize, ())
        numbers = (*numbers, *self.numbers)
        if math.prod(shape) * kind.itemsize < memory.LARGE and own in (None, plain):
            made = shape if shown is None else shown, kind
            return self.program.direct(self.job, given, made, self.begins, numbers)
        if shown is not None:
            shape, own = shown, None
        strides = row_strides(shape, kind.itemsize, ()) if own is None else own
        given.append((shape, strides, kind))
        call = self.program.direct(self.job, given, None, self.begins, numbers)
        return None if call is None else _into_memory(call, memory.maker(shape, kind, own))


def _into_memory(
    call: Callable[..., np.ndarray | None], make: Callable[[], np.ndarray]
) -> Callable[..., np.ndarray | None]:
    """A function that writes to its last argument, as one that makes it."""

    def run(*args: Any) -> np.ndarray | None:
        return call(*args, make())

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
    shape: list[Any] = []
    arrays: list[Any] = []
    numbers: list[Any] = []
    at: dict[int, int] = {}  # the place of a node, or (negative) of an array
    for p in nodes:
        shape.append(p.outline)
        for arg in p.args:
            if type(arg) is Pending and (arg.value is not None or arg.work is not None):
                arg = arg.look()
            if type(arg) is np.ndarray or type(arg) is Pending:
                found = at.get(id(arg))
                if found is None:
                    found = at[id(arg)] = ~len(arrays)
                    arrays.append(arg)
                shape.append(found)
            else:
                numbers.append(arg)
        numbers += p.outline.given
        at[id(p)] = len(at)
    for operand in operands:
        operand = computed(operand)
        found = at.get(id(operand))
        if found is None:
            found = at[id(operand)] = ~len(arrays)
            arrays.append(operand)
        shape.append((found, *facts(operand)))
    return tuple(shape), arrays, numbers
