"""The largest or smallest element so far along a dimension, and where it is, as code.

Arrays are taken in rows as (outer, along, inner). Of lines that lie side by side as many are followed at a time as a vector has lanes;
of lines that lie one after another a few, so that none waits for its own last comparison.
"""

from __future__ import annotations

from collections.abc import Callable

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import FLOATS, SIZES, V

#: the words of a job: elements, extremes, their numbers (int64); sizes; lines of an outer element that are one task (outer elements, if
#: an inner one is all there is), and tasks that these are
WORDS = tuple("source to a outer along inner some parts".split())
#: lines one after another that are followed at a time
_SIDE = 8


def running_extremes(kind: str, largest: bool, across: bool, vector_bytes: int) -> str:
    """The text of an LLVM module with the function `kernel`; `across`: of lines that lie side by side."""
    b = Builder(vector_bytes // SIZES[kind] if across else 1)
    job = words(b, WORDS)
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        if across:
            first = b.mul(b.div(task, job["parts"]), b.mul(job["along"], job["inner"]))
            start = b.mul(b.rem(task, job["parts"]), job["some"])
            stop = b.least(b.add(start, job["some"]), job["inner"])
            with b.loop(start, stop, b.lanes) as i:
                _followed(b, job, kind, largest, [b.add(first, i)], b.below(b.sub(stop, i)))
        else:
            start = b.mul(task, job["some"])
            stop = b.least(b.add(start, job["some"]), job["outer"])
            whole = b.sub(stop, b.rem(b.sub(stop, start), b.integer(_SIDE)))
            for begin, end, count in ((start, whole, _SIDE), (whole, stop, 1)):
                with b.loop(begin, end, count) as o:
                    lines = [b.mul(b.add(o, b.integer(n)), job["along"]) for n in range(count)]
                    _followed(b, job, kind, largest, lines, None)
    return b.function("kernel", PARAMS)


def _followed(
    b: Builder, job: dict[str, V], kind: str, largest: bool, lines: list[V], mask: V | None
) -> None:
    """Lines that begin at elements of these numbers, from one end to the other."""
    states = [(b.room(kind), b.room("i")) for _ in lines]

    def element(line: V, j: V) -> Callable[[str, int], V]:
        at = b.add(line, b.mul(j, job["inner"]))
        return lambda name, size: b.at(job[name], at, size)

    def kept(j: V, best: V, place: V, there: Callable[[str, int], V], state: tuple[V, V]) -> None:
        b.store(best, state[0])
        b.store(place, state[1])
        b.store(best, there("to", SIZES[kind]), mask=mask)
        b.store(b.cast(place, "q"), there("a", 8), mask=mask)

    none = b.integer(0)
    for line, state in zip(lines, states):
        there = element(line, none)
        x = b.load(there("source", SIZES[kind]), kind, mask=mask)
        kept(none, x, b.const(0, "i"), there, state)
    with b.loop(b.integer(1), job["along"]) as j:
        number = b.splat(b.cast(j, "i"))
        for line, state in zip(lines, states):
            there = element(line, j)
            x = b.load(there("source", SIZES[kind]), kind, mask=mask)
            best = b.load(state[0], kind)
            better = b.ge(x, best) if largest else b.le(x, best)
            if kind in FLOATS:  # (nothing is beyond nan)
                better = b.or_(better, b.isnan(x))
            place = b.select(better, number, b.load(state[1], "i"))
            kept(j, b.select(better, x, best), place, there, state)


__all__ = ["WORDS", "running_extremes"]
