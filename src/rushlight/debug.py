"""What the engine says about its work: `RUSHLIGHT_DEBUG=1` to 5, or `with debug.level(2):`.

1: every kernel that runs: its time, the bytes it moves, their rate.
2: also why an operation could not be part of a loop.
3: also the text of every new kernel.
4: also its LLVM IR.
5: also its assembly.

All goes to standard error; 0, the default, is silence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _chosen() -> int:
    chosen = os.environ.get("RUSHLIGHT_DEBUG", "0") or "0"
    if chosen not in ("0", "1", "2", "3", "4", "5"):
        raise ValueError(f"RUSHLIGHT_DEBUG must be a level from 0 to 5, but is {chosen!r}")
    return int(chosen)


class _State:
    """The level now, and who else is told of every kernel that ran."""

    __slots__ = ("level", "listeners")

    def __init__(self) -> None:
        self.level = _chosen()
        self.listeners: list[Callable[[Run], None]] = []


class Run:
    """One run of a kernel.

    Attributes:
        name: the operations that it computes, in order.
        form: map, reduce, rows or scan.
        began, seconds: when it started (as `time.perf_counter` counts) and how long it took.
        bytes: what it read and wrote, each operand once.
        elements: of the domain.
    """

    __slots__ = ("name", "form", "began", "seconds", "bytes", "elements")

    def __init__(
        self, name: str, form: str, began: float, seconds: float, nbytes: int, elements: int
    ) -> None:
        self.name = name
        self.form = form
        self.began = began
        self.seconds = seconds
        self.bytes = nbytes
        self.elements = elements

    def __repr__(self) -> str:
        rate = self.bytes / self.seconds / 1e9 if self.seconds else 0.0
        return (
            f"{self.form} {self.name}: {self.elements} elements, {self.seconds * 1e3:.3f} ms, "
            f"{self.bytes / 1e6:.1f} MB, {rate:.1f} GB/s"
        )


STATE = _State()


def say(level: int, what: str | Callable[[], str]) -> None:
    """Write to standard error if the level is reached; a function is called only then."""
    if STATE.level >= level:
        print("rushlight:", what if isinstance(what, str) else what(), file=sys.stderr)


def listened() -> bool:
    """Whether anybody wants to know of kernels that run."""
    return STATE.level > 0 or bool(STATE.listeners)


def ran(run: Any) -> None:
    """Tell of a kernel that ran."""
    if STATE.level:
        say(1, repr(run))
    for listener in STATE.listeners:
        listener(run)


@contextmanager
def level(n: int) -> Iterator[None]:
    """Another level for a while.

    Raises:
        ValueError: not a level from 0 to 5.

    Example:
        >>> import rushlight as torch
        >>> from rushlight import debug
        >>> with debug.level(0):
        ...     torch.ones(2).sum()
        tensor(2.)
    """
    if n not in range(6):
        raise ValueError(f"a debug level is a number from 0 to 5, not {n!r}")
    before, STATE.level = STATE.level, n
    try:
        yield
    finally:
        STATE.level = before
