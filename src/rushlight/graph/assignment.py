"""Elementwise changes of arrays by a few statements, as one loop over all of them: what an optimiser does to a parameter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight import debug
from rushlight.codegen.program import Job, Program
from rushlight.graph.body import Body
from rushlight.graph.fragment import Fragment
from rushlight.graph.fuse import made_loop, touched
from rushlight.graph.recipes import facts
from rushlight.graph.trace import Later
from rushlight.lock import LOCK

#: loops by their instructions and the operands that they change, and then by length; None where there is none. Forgotten all at
#: once when there are many
_KNOWN: dict[tuple, dict[int, tuple[Program, Job] | None]] = {}
_MANY = 1024


class Assignment:
    """The results of a fragment, of operands of one type, to some of these operands.

    Args:
        name: for those who listen.
        into: which operand each result goes to.
    """

    def __init__(self, name: str, fragment: Fragment, kind: np.dtype, into: tuple[int, ...]) -> None:
        self.name = name
        self.fragment = fragment
        self.into = into
        self.numbers = fragment.given()
        insts = fragment.insts
        if "const" in [inst[0] for inst in insts]:  # (0.0 is not -0.0, and NaN is NaN)
            insts = [(*inst[:3], repr(inst[3])) for inst in insts]
        key = (fragment.operands, kind, into, *[place for place, _ in fragment.results], *insts)
        if len(_KNOWN) >= _MANY:
            _KNOWN.clear()
        self._loops = _KNOWN.setdefault(key, {})

    def ready(self, operands: Sequence[np.ndarray]) -> bool:
        """Whether there is a loop for flat operands of this length, each in memory of its own, side by side."""
        length = operands[0].size
        loops = self._loops
        if length not in loops:
            with LOCK:
                if len(loops) >= _MANY:
                    loops.clear()
                loops[length] = self._made(operands)
        return loops[length] is not None

    def numbers_at(self, known: Any) -> list[Any]:
        """Its numbers, now that the one which some follow from is known."""
        return [value.of(known) if type(value) is Later else value for value in self.numbers]

    def run(
        self, operands: Sequence[np.ndarray], addresses: Sequence[int], numbers: Sequence[Any] | None = None
    ) -> None:
        """Change these operands, for which it is `ready` and which lie there; `numbers`: others than its own."""
        program, job = self.made(operands)
        began = time.perf_counter()
        program.do(
            job,
            [*addresses, *[addresses[n] for n in self.into]],
            self.numbers if numbers is None else numbers,
        )
        if debug.listened():
            seconds = time.perf_counter() - began
            moved = sum(map(touched, [*operands, *self.outs(operands)]))
            debug.ran(debug.Run(self.name, "map", began, seconds, moved, operands[0].size))

    def direct(self, operands: Sequence[np.ndarray]) -> Callable[..., Any] | None:
        """The same as a function of the operands and then those that it changes, for operands with these layouts, row-major; None
        if it is not that simple. See `rushlight.native.direct`."""
        program, job = self.made(operands)
        given = [facts(a) for a in (*operands, *self.outs(operands))]
        return program.direct(job, given, None, (0,) * len(given), self.numbers)

    def made(self, operands: Sequence[np.ndarray]) -> tuple[Program, Job]:
        """The loop for operands for which it is `ready`."""
        found = self._loops.get(operands[0].size) or self._made([a.reshape(-1) for a in operands])
        assert found is not None
        return found

    def outs(self, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The operands that it changes, one for each result."""
        return [operands[n] for n in self.into]

    def _made(self, operands: Sequence[np.ndarray]) -> tuple[Program, Job] | None:
        body = Body()
        body.names.append(self.name)
        places = body.join(self.fragment, [body.load(a) for a in operands])
        outs = self.outs(operands)
        found = made_loop("map", body, places, outs, outs[0].shape, outs[0].strides)
        return None if found is None else found[:2]


__all__ = ["Assignment"]
