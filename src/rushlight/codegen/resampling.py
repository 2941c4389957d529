"""Planes in other sizes, as code: each row of the result is a weighted sum of rows, then each of its elements one of elements.

Sums are in float64, in the order of their taps. A task is some rows of one plane or of several; a row of which elements are to be taken
lies in memory that belongs to the task, with a zero after it, which is what elements that are none point to.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: planes, and those of the result; tables; room for one row a task; planes and parts of one, how many parts are one
#: task, and rows of one; elements of a row; rows and elements of a row of the result, and those with what fills up the last vector; taps
#: of an element; where tables begin: of each row the first tap (and beyond), of each tap of rows its row and weight, of each tap of elements
#: (all first ones, then all second ones) bytes and weight; bytes from plane to plane, row to row, and of the room
WORDS = tuple(
    "source to a b planes parts some high width rows columns padded taps "
    "starts lines shares offsets factors from_plane from_row room".split()
)


class Resampling:
    """Writes the module for one type and that of the result.

    Attributes:
        straight: whether rows alone are summed, and their elements are the result's.
    """

    def __init__(self, kind: str, made: str, straight: bool, vector_bytes: int) -> None:
        self.kind = kind
        self.made = made
        self.straight = straight
        self.lanes = vector_bytes // 8

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b = Builder(self.lanes)
        job = words(b, WORDS)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            room = b.at(job["b"], b.mul(task, job["room"]))
            first = b.mul(task, job["some"])
            all_parts = b.mul(job["planes"], job["parts"])
            with b.loop(first, b.least(b.add(first, job["some"]), all_parts)) as number:
                plane = b.div(number, job["parts"])
                start = b.mul(b.rem(number, job["parts"]), job["high"])
                source = b.at(job["source"], b.mul(plane, job["from_plane"]))
                with b.loop(start, b.least(b.add(start, job["high"]), job["rows"])) as row:
                    at = b.mul(b.add(b.mul(plane, job["rows"]), row), job["columns"])
                    to = b.at(job["to"], at, SIZES[self.made])
                    self.row(b, job, source, row, to if self.straight else room)
                    if not self.straight:
                        self.elements(b, job, room, to)
        return b.function("kernel", PARAMS)

    def row(self, b: Builder, job: dict[str, V], source: V, row: V, to: V) -> None:
        """The weighted sum of the rows that a row of the result is made of."""
        entry = b.at(b.at(job["a"], job["starts"]), row, 8)
        first, stop = b.load(entry, "q", 1), b.load(b.at(entry, b.integer(8)), "q", 1)
        made = self.made if self.straight else "d"
        with b.loop(b.integer(0), job["width"], self.lanes) as j:
            mask = b.below(b.sub(job["width"], j))
            total = b.room("d")
            b.store(b.const(0, "d"), total)

            def part(tap: V, j: V = j, mask: V = mask) -> V:
                place = b.load(b.at(b.at(job["a"], job["lines"]), tap, 8), "q", 1)
                weight = b.load(b.at(b.at(job["a"], job["shares"]), tap, 8), "d", 1)
                line = b.at(source, b.mul(place, job["from_row"]))
                x = b.cast(b.load(b.at(line, j, SIZES[self.kind]), self.kind, mask=mask), "d")
                return b.mul(x, b.splat(weight))

            with b.when(b.lt(first, stop)):
                b.store(part(first), total)
            with b.loop(b.add(first, b.integer(1)), stop) as tap:
                b.store(b.add(b.load(total, "d"), part(tap)), total)
            b.store(b.cast(b.load(total, "d"), made), b.at(to, j, SIZES[made]), mask=mask)

    def elements(self, b: Builder, job: dict[str, V], row: V, to: V) -> None:
        """The weighted sums of the elements that those of a row of the result are made of."""
        with b.loop(b.integer(0), job["columns"], self.lanes) as n:

            def part(tap: V, n: V = n) -> V:
                at = b.add(b.mul(tap, job["padded"]), n)
                offset = b.load(b.at(b.at(job["a"], job["offsets"]), at, 4), "i")
                weight = b.load(b.at(b.at(job["a"], job["factors"]), at, 8), "d")
                return b.mul(b.gather(row, offset, "d"), weight)

            total = b.room("d")
            b.store(part(b.integer(0)), total)
            with b.loop(b.integer(1), job["taps"]) as tap:
                b.store(b.add(b.load(total, "d"), part(tap)), total)
            made = b.cast(b.load(total, "d"), self.made)
            b.store(made, b.at(to, n, SIZES[self.made]), mask=b.below(b.sub(job["columns"], n)))


__all__ = ["WORDS", "Resampling"]
