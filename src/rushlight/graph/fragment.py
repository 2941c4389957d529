"""Instructions: what an operation is written in, for loops that compute several at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.dtypes import WAITING

#: the kind of bfloat16
BFLOAT16 = "E"
#: the kinds that kernels know, by NumPy dtype; half types and bfloat16 are loaded and stored, not computed in
CHARS = {np.dtype(c): c for c in "?bBhHiIqQefd"}
for _alias, _c in (("l", "q"), ("L", "Q"), ("p", "q"), ("P", "Q")):
    CHARS.setdefault(np.dtype(_alias), _c)
#: and the other way round
DTYPES = {c: np.dtype(c) for c in "?bBhHiIqQefd"}
#: the kinds of floating point that loops compute in
FLOATS = "fd"


def char(dtype: np.dtype) -> str | None:
    """The kind of kernels that this type is; None for those that kernels do not know."""
    return CHARS.get(dtype)


def _know_bfloat16(dtype: np.dtype) -> None:
    CHARS[dtype], DTYPES[BFLOAT16] = BFLOAT16, dtype


WAITING.append(_know_bfloat16)


class Untraceable(Exception):
    """The function does what no loop over elements can do; says what."""


class Fragment:
    """The instructions of one call of an operation.

    Attributes:
        insts: (verb, kind, args, attr); an argument counts from 0 through the operands and on through the instructions.
        numbers: the run-time scalars that `param` instructions name, as (kind, value).
        results: the places of the results, and their kinds.
    """

    __slots__ = ("insts", "numbers", "operands", "results")

    def __init__(self, operands: int) -> None:
        self.insts: list[tuple[str, str, tuple[int, ...], Any]] = []
        self.numbers: list[tuple[str, Any]] = []
        self.operands = operands
        self.results: list[tuple[int, str]] = []

    def emit(self, verb: str, kind: str, args: tuple[int, ...] = (), attr: Any = None) -> int:
        self.insts.append((verb, kind, args, attr))
        return self.operands + len(self.insts) - 1

    def number(self, value: Any, kind: str) -> int:
        self.numbers.append((kind, value))
        return self.emit("param", kind, (), len(self.numbers) - 1)

    def given(self) -> list[Any]:
        """The values of its numbers, in the order of the instructions that bring them."""
        return [value for _, value in self.numbers]
