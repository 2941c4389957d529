"""Rows turned round, as code: the last element first."""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words

#: the words of a job: results and rows, both without gaps; how many rows and elements of one; rows that are a task
WORDS = tuple("to source rows columns some".split())
_COPIED = {1: "B", 2: "H", 4: "I", 8: "Q"}


def reversing(size: int, vector_bytes: int) -> str:
    """The module for elements of so many bytes, with the function `kernel`."""
    kind, lanes = _COPIED[size], min(16, vector_bytes // size)
    b = Builder(lanes)
    job = words(b, WORDS)
    start = b.mul(PARAMS[1], job["some"])
    with b.loop(start, b.least(b.mul(PARAMS[2], job["some"]), job["rows"])) as row:
        first = b.mul(row, job["columns"])
        end = b.add(first, job["columns"])
        to, source = b.at(job["to"], first, size), b.at(job["source"], end, size)
        whole = b.sub(job["columns"], b.rem(job["columns"], b.integer(lanes)))
        for begin, stop, some in ((b.integer(0), whole, lanes), (whole, job["columns"], 1)):
            with b.loop(begin, stop, some) as j:
                x = b.load(b.at(source, b.sub(b.integer(-some), j), size), kind, some)
                b.store(x if some == 1 else b.shuffle(x, None, [*reversed(range(some))]), b.at(to, j, size))
    return b.function("kernel", PARAMS)


__all__ = ["WORDS", "reversing"]
