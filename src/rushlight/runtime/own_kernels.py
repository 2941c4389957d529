"""Kernels that are written by hand: loaded where there is a compiler, and run on as many threads as their work is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rushlight.native import cpu, jit, threads
from rushlight.runtime.deferral import can_compile

#: steps of a loop from which on a job is worth several threads
SHARED = 1 << 15


class Kernel(NamedTuple):
    """A kernel: its address, and what runs it on the caller's thread."""

    address: int
    call: Callable[[int | bytes, int, int], None]

    def run(self, job: bytes, tasks: int, work: int, shared: int = SHARED) -> None:
        """Do a job of so many steps, on all threads if these are as many as is worth that."""
        if work < shared:
            self.call(job, 0, tasks)
        else:
            threads.run(self.address, job, tasks, in_order=True)


_LOADED: dict[tuple, Kernel | None] = {}


def loaded(write: Callable[..., str], name: str, *facts: str | int | bool) -> Kernel | None:
    """The kernel whose module `write(*facts, bytes of a vector)` makes; None where nothing can be compiled.

    Args:
        name: with the facts, what tells it from all others.
    """
    key = (name, *facts)
    if key in _LOADED:
        return _LOADED[key]
    made = None
    if can_compile():
        vector = cpu.vector_bytes()
        text = " ".join(map(str, (*key, vector)))
        try:
            address = jit.load(name, text, lambda: write(*facts, vector)).address
            made = Kernel(address, threads.kernel(address))
        except RuntimeError:  # LLVM cannot compile it here
            made = None
    _LOADED[key] = made
    return made


__all__ = ["SHARED", "Kernel", "loaded"]
