"""Reductions that wait for one another: those of one array over the same dimensions are computed in one read of it.

A reduction of a large array in memory is a `Pending` with `work`. When somebody looks at one, all that wait for the same
elements become one loop. A sum takes the elements up in the same order in either, so that its bits do not depend on company.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rushlight.codegen.kernel import Kernel
from rushlight.graph.body import Body, domain
from rushlight.graph.expr import Pending
from rushlight.graph.fuse import MOST_OUTPUTS, planned_loop, run_loop
from rushlight.graph.recipes import Made, Recipe, facts, keep, known
from rushlight.graph.reduction import are_results, form_of, fragment, key_of, place_results, results


class Work(NamedTuple):
    """What a waiting reduction computes.

    Attributes:
        call: function, dims, keepdim and the type of the result, as `rushlight.graph.reduction.reduced` is given them.
        attrs: of the function.
        operands: the array that is reduced, and others that are read with it.
        alone: computes it by itself.
        readers: the pending arrays that are to read the memory which is reduced.
        doubted: whether a second result of the function says which elements of the first are right.
    """

    call: tuple[Callable, tuple[int, ...], bool, np.dtype]
    attrs: dict
    operands: tuple[np.ndarray, ...]
    alone: Callable[[], np.ndarray]
    readers: list[weakref.ref]
    doubted: bool = False

    @property
    def results(self) -> int:
        return 1 + self.doubted

    def compute(self, p: Pending) -> None:
        """Compute the reduction that has this work, and those that can be computed with it."""
        group = company(p)
        made = _in_one(group) if len(group) > 1 else None
        if made is None:
            group, made = [p], [self.alone()]
        for one, value in zip(group, made):
            one.settled(value)


def company(p: Pending) -> list[Pending]:
    """A waiting reduction, and those that wait for the same elements in the same order."""
    work: Work = p.work
    a, dims = work.operands[0], work.call[1]
    found, outputs = [p], work.results
    for other in _waiting(work.readers):
        theirs: Work = other.work
        b = theirs.operands[0]
        same = b is a or facts(b) == facts(a) and b.ctypes.data == a.ctypes.data
        if other is not p and same and theirs.call[1] == dims and outputs + theirs.results <= MOST_OUTPUTS:
            found.append(other)
            outputs += theirs.results
    return found


def _waiting(readers: list[weakref.ref]) -> Iterator[Pending]:
    for ref in readers:
        p = ref()
        if p is not None and p.value is None and type(p.work) is Work:
            yield p


def _in_one(group: list[Pending]) -> Sequence[np.ndarray] | None:
    """What they are, by one loop; None if there is none."""
    works: list[Work] = [p.work for p in group]
    arrays, places = _operands(works)
    named = [key_of(work.call, work.attrs, *place) for work, place in zip(works, places)]
    key = None if None in named else ("together", *named, *map(facts, arrays))
    recipe = known(key)
    if recipe is not None:
        return _settled(works, recipe.run(arrays))
    joined = _joined(works)
    if joined is None:
        return None
    form, body, stored, made, flags = joined
    a = works[0].operands[0]
    outs = [m.memory() for m in made]
    ran = run_loop(form, body, stored, outs, a.shape, a.strides, flags)
    if ran is None:
        return None
    if key is not None:
        keep(key, Recipe(*ran, (0,) * (len(arrays) + len(outs)), tuple(made), tuple(body.numbers)))
    return _settled(works, [m.as_shown(out) for m, out in zip(made, outs)])


def _settled(works: list[Work], made: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The result of each, computed alone where it is not right."""
    found, left = [], iter(made)
    for work in works:
        value = next(left)
        found.append(work.alone() if work.doubted and not next(left).all() else value)
    return found


def _operands(works: list[Work]) -> tuple[list[np.ndarray], list[tuple[int, ...]]]:
    """The arrays that are read, each once, and which of them each reduction reads."""
    arrays: list[np.ndarray] = []
    at: dict[int, int] = {}
    places = []
    for work in works:
        for x in work.operands:
            if id(x) not in at:
                at[id(x)] = len(arrays)
                arrays.append(x)
        places.append(tuple([at[id(x)] for x in work.operands]))
    return arrays, places


def _joined(works: list[Work]) -> tuple[str, Body, list[int], list[Made], str] | None:
    """The form of their loop, the instructions of all, where their results are, memory for these, and the dimensions' flags; None if
    they are no one loop."""
    a, dims = works[0].operands[0], works[0].call[1]
    flags = "".join(["r" if d in dims else "k" for d in range(a.ndim)])
    body = Body()
    stored: list[int] = []
    made: list[Made] = []
    alone = []
    for work in works:
        function, _, keepdim, to = work.call
        own = fragment(function, work.attrs, work.operands, dims)
        if own is None:
            return None
        found = place_results(body, own, [body.load(x) for x in work.operands], to)
        if len(found) != work.results or not are_results(body, found):
            return None
        outs = results(body, found, dims, keepdim, a.shape)
        stored += found
        made += outs
        alone.append(_sizes(a, work.operands, outs, flags))
    if any(sizes != alone[0] for sizes in [*alone, _sizes(a, body.inputs, made, flags)]):
        return None
    form = form_of(body)
    return form, body, stored, made, flags.replace("r", "R") if form == "rows" else flags


def _sizes(a: np.ndarray, arrays: Sequence[np.ndarray], outs: list[Made], flags: str) -> tuple[int, ...]:
    """The sizes of the loops, from which the order of additions follows."""
    each = [(x.shape, x.strides, x.itemsize) for x in arrays]
    each += [(m.shape, m.steps(), m.kind.itemsize) for m in outs]
    return domain(a.shape, a.strides, tuple(each), flags)[0]


def planned(p: Pending) -> tuple[Kernel, int] | None:
    """The kernel that would compute a waiting reduction and its company now, and the bytes it would move; None if there is
    no such loop."""
    group = company(p)
    joined = _joined([one.work for one in group])
    if joined is None:
        return None
    form, body, stored, made, flags = joined
    a = p.work.operands[0]
    return planned_loop(form, body, stored, [m.memory() for m in made], a.shape, a.strides, flags)


__all__ = ["Work", "company", "planned"]
