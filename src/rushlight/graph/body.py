"""One loop from many expressions: instructions joined, inputs found, dimensions put in order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.codegen.kernel import FIXED, STEPS, UNIT, Inst
from rushlight.graph.expr import Pending, computed
from rushlight.graph.fragment import CHARS, Fragment


class Body:
    """Instructions that are being joined; equal ones are one.

    Attributes:
        insts: (verb, kind, args, attr), in order.
        inputs: the arrays that are loaded.
        numbers: the values of the run-time scalars, and their kinds.
        names: the operations that were joined.
    """

    def __init__(self) -> None:
        self.insts: list[tuple] = []
        self.known: dict[tuple, int] = {}
        self.inputs: list[np.ndarray] = []
        self.places: dict[int, int] = {}
        self.numbers: list[Any] = []
        self.params: list[str] = []
        self.names: list[str] = []

    def emit(self, verb: str, kind: str, args: tuple[int, ...] = (), attr: Any = None) -> int:
        key = (verb, kind, args, repr(attr) if type(attr) is float else attr)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = len(self.insts)
            self.insts.append((verb, kind, args, attr))
        return found

    def cast(self, place: int, kind: str) -> int:
        return place if self.insts[place][1] == kind else self.emit("cast", kind, (place,))

    def read(self, arg: Any) -> Any:
        """The array, where it is to be loaded; an expression, or a number, itself."""
        return computed(arg)

    def load(self, a: Any) -> int:
        """An array's elements; one that was loaded before is not loaded again."""
        place = self.places.get(id(a))
        if place is None:
            self.inputs.append(a)
            place = self.places[id(a)] = self.emit("load", CHARS[a.dtype], (), len(self.inputs) - 1)
        return place

    def number(self, value: Any, kind: str) -> int:
        self.numbers.append(value)
        self.params.append(kind)
        return self.emit("param", kind, (), len(self.numbers) - 1)

    def join(self, fragment: Fragment, places: list[int]) -> list[int]:
        """The fragment's instructions, on these operands; gives the places of the results."""
        places = list(places)
        numbers = fragment.numbers
        for verb, kind, args, attr in fragment.insts:
            if verb == "param":
                places.append(self.number(*reversed(numbers[attr])))
            else:
                places.append(self.emit(verb, kind, tuple([places[n] for n in args]), attr))
        return [places[place] for place, _ in fragment.results]

    def value(self, arg: Any, seen: dict[int, int]) -> int:
        """The elements of a pending array (its expression joined) or of an array, in the kind of its memory."""
        arg = self.read(arg)
        if type(arg) is not Pending or arg.work is not None:
            return self.load(arg)
        for p in in_order(arg):
            if id(p) not in seen:
                seen[id(p)] = self._expression(p, seen)
        return seen[id(arg)]

    def _expression(self, p: Pending, seen: dict[int, int]) -> int:
        places = []
        outline = p.outline
        self.names.append(outline.name)
        for arg, casts in zip(p.args, outline.casts):
            arg = self.read(arg)
            if type(arg) is Pending and arg.work is None:
                place = seen[id(arg)]
            elif type(arg) is np.ndarray or type(arg) is Pending:
                place = self.load(arg)
            else:
                place = self.number(arg, casts[0])
            for kind in casts:
                place = self.cast(place, kind)
            places.append(place)
        return self.cast(self.join(outline.fragment, places)[0], CHARS[p.dtype])

    def instructions(self) -> tuple[Inst, ...]:
        return tuple([Inst(*inst) for inst in self.insts])


def in_order(root: Pending) -> list[Pending]:
    """The pending arrays that `root` is made of, operands first, itself last. (No recursion: expressions may be deep.)"""
    found: list[Pending] = []
    done: set[int] = set()
    stack = [root]
    while stack:
        p = stack[-1]
        if id(p) in done:
            stack.pop()
            continue
        height = len(stack)
        for a in p.args:
            if type(a) is Pending and a.value is None and a.work is None and id(a) not in done:
                stack.append(a)
        if len(stack) == height:
            done.add(id(p))
            found.append(stack.pop())
    return found


def expressions(roots: Sequence[Any]) -> list[Pending]:
    """What some operands consist of that is pending, in order, each once."""
    if len(roots) == 1:
        (root,) = roots
        return in_order(root) if type(root) is Pending and root.value is None else []
    found: list[Pending] = []
    seen: set[int] = set()
    for root in roots:
        if type(root) is Pending and root.value is None and root.work is None:
            found += [p for p in in_order(root) if id(p) not in seen]
            seen |= {id(p) for p in found}
    return found


@functools.lru_cache(4096)
def domain(
    shape: tuple[int, ...],
    lead: tuple[int, ...],
    operands: tuple[tuple[tuple[int, ...], tuple[int, ...], int], ...],
    flags: str = "",
) -> tuple[tuple[int, ...], list[tuple[int, ...]], list[str], str]:
    """The loop nest: sizes, byte strides of each operand, how each walks, and the dimensions' flags.

    1. Operands are broadcast to `shape`; dimensions of size 1 go.
    2. The rest is ordered as what has the strides `lead` lies in memory; of a row program, rows go last.
    3. Neighbours of one flag that every operand walks through evenly become one.

    Args:
        operands: (shape, strides, itemsize) of each.
        flags: "k" or "r" or "s" for each dimension of `shape`; all kept if not given. Upper case: to go last.
    """
    flags = flags or "k" * len(shape)
    ndim = len(shape)
    steps = []
    for own, strides, _ in operands:
        gap = ndim - len(own)
        steps.append([0] * gap + [s if n == m else 0 for n, m, s in zip(own, shape[gap:], strides)])
    dims = sorted([d for d in range(ndim) if shape[d] != 1], key=lambda d: (flags[d].isupper(), -lead[d]))
    sizes: list[int] = []
    kept = ""
    merged: list[list[int]] = [[] for _ in operands]
    for d in dims:
        if sizes and kept[-1] == flags[d] and all(m[-1] == s[d] * shape[d] for m, s in zip(merged, steps)):
            sizes[-1] *= shape[d]
            for m, s in zip(merged, steps):
                m[-1] = s[d]
        else:
            sizes.append(shape[d])
            kept += flags[d]
            for m, s in zip(merged, steps):
                m.append(s[d])
    if not sizes:
        sizes, merged, kept = [1], [[0] for _ in operands], "k"
    walks = []
    for m, (_, _, item) in zip(merged, operands):
        inner = UNIT if m[-1] == item else FIXED if m[-1] == 0 and sizes[-1] != 1 else STEPS
        outer = [FIXED if step == 0 and flag != "k" else STEPS for step, flag in zip(m, kept.lower())]
        walks.append("".join(outer[:-1]) + inner)
    return tuple(sizes), [tuple(m) for m in merged], walks, kept.lower()
