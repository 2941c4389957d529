"""Sums and means of rows of a table, bag by bag, as code: in float64, in the order of the rows, whatever else a task does."""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: the table; results; the numbers of rows, and between which of these each bag is (int64); rows of the table, and
#: bytes from one to the next; bags, and those of a task; elements of a row
WORDS = tuple("source to a b rows from_row bags some width".split())
#: vectors side by side that are summed together
_SIDE = 4


def bags(kind: str, mean: bool, vector_bytes: int) -> str:
    """The text of an LLVM module with the function `kernel`."""
    b = Builder(vector_bytes // 8)
    job = words(b, WORDS)
    many = _SIDE * b.lanes
    whole = b.sub(job["width"], b.rem(job["width"], b.integer(many)))
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        first = b.mul(task, job["some"])
        with b.loop(first, b.least(b.add(first, job["some"]), job["bags"])) as bag:
            bounds = b.at(job["b"], bag, 8)
            start, stop = b.load(bounds, "q", 1), b.load(b.at(bounds, b.integer(8)), "q", 1)
            to = b.at(job["to"], b.mul(bag, job["width"]), SIZES[kind])
            with b.loop(b.integer(0), whole, many) as column:
                _summed(b, job, kind, mean, (start, stop), column, to, [None] * _SIDE)
            with b.loop(whole, job["width"], b.lanes) as column:
                _summed(b, job, kind, mean, (start, stop), column, to, [b.below(b.sub(job["width"], column))])
    return b.function("kernel", PARAMS)


def _summed(
    b: Builder, job: dict[str, V], kind: str, mean: bool, bag: tuple[V, V], column: V, to: V, masks: list
) -> None:
    """Some columns of a bag's result."""
    size = SIZES[kind]
    columns = [b.add(column, b.integer(n * b.lanes)) for n in range(len(masks))]
    totals = [b.room("d") for _ in masks]
    for total in totals:
        b.store(b.const(0, "d"), total)
    with b.loop(*bag) as n:
        row = b.load(b.at(job["a"], n, 8), "q", 1)
        with b.when(b.lt(b.cast(row, "Q"), b.cast(job["rows"], "Q"))):
            line = b.at(job["source"], b.mul(row, job["from_row"]))
            for total, at, mask in zip(totals, columns, masks):
                x = b.cast(b.load(b.at(line, at, size), kind, mask=mask), "d")
                b.store(b.add(b.load(total, "d"), x), total)
    count = b.sub(bag[1], bag[0])
    one = b.integer(1)
    by = b.splat(b.cast(b.select(b.lt(count, one), one, count), "d"))
    for total, at, mask in zip(totals, columns, masks):
        made = b.div(b.load(total, "d"), by) if mean else b.load(total, "d")
        b.store(b.cast(made, kind), b.at(to, at, size), mask=mask)


__all__ = ["WORDS", "bags"]
