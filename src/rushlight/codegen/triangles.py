"""Triangles of matrices, as code: of each row a part is copied, and the rest is zeros."""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import V

#: the words of a job: results and matrices; how many matrices, their rows and columns; rows (of all matrices) that are a task; elements of
#: the first row before the border; which side is zeros, 1 for what is behind the border; bytes from matrix to matrix, and from row to row
WORDS = tuple("to source count rows columns some border behind from_matrix from_row".split())
_COPIED = {1: "B", 2: "H", 4: "I", 8: "Q"}


def triangles(size: int, vector_bytes: int) -> str:
    """The module for elements of so many bytes, with the function `kernel`."""
    kind = _COPIED[size]
    b = Builder(min(16, vector_bytes // size))
    job = words(b, WORDS)
    zero = b.integer(0)
    start = b.mul(PARAMS[1], job["some"])
    stop = b.least(b.mul(PARAMS[2], job["some"]), b.mul(job["count"], job["rows"]))
    with b.loop(start, stop) as number:
        row = b.rem(number, job["rows"])
        matrix = b.mul(b.div(number, job["rows"]), job["from_matrix"])
        source = b.at(b.at(job["source"], matrix), b.mul(row, job["from_row"]))
        to = b.at(job["to"], b.mul(number, job["columns"]), size)
        border = b.least(b.add(job["border"], row), job["columns"])
        border = b.select(b.lt(border, zero), zero, border)
        lower = b.gt(job["behind"], zero)
        copied = b.select(lower, zero, border), b.select(lower, border, job["columns"])
        blank = b.select(lower, border, zero), b.select(lower, job["columns"], border)
        for (first, last), read in ((copied, True), (blank, False)):
            whole = b.sub(last, b.rem(b.sub(last, first), b.integer(b.lanes)))
            for begin, end, full in ((first, whole, True), (whole, last, False)):
                with b.loop(begin, end, b.lanes) as j:
                    _move(
                        b,
                        kind,
                        size,
                        b.at(source, j, size) if read else None,
                        b.at(to, j, size),
                        None if full else b.sub(last, j),
                    )
    return b.function("kernel", PARAMS)


def _move(b: Builder, kind: str, size: int, source: V | None, to: V, left: V | None) -> None:
    """A vector of what is there, or of zeros; of the elements that are `left`, if they are fewer than it has."""
    mask = None if left is None else b.below(left)
    b.store(b.const(0, kind) if source is None else b.load(source, kind, mask=mask), to, mask=mask)


__all__ = ["WORDS", "triangles"]
