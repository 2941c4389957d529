"""Windows over planes, as code: the largest element of each, and the mean.

A plane's results are taken as many at a time as a vector has lanes, in their order, whatever rows and planes they belong to. Where
each window begins is in tables, which all planes share, so that one loop serves all sizes, steps and layouts; what lies between
the elements of a window is a short list.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import FLOATS, SIZES, V

#: the words of a job: what is read; results; places of the largest; tables, windows; results of a plane, those of the tables with
#: what fills up the last vector; planes, and how many are one task; of batches of planes how many an inner one has, and bytes from
#: one to the next; elements of a window; the sizes of a plane
WORDS = tuple(
    "source to a b c count padded planes some inner outer_step inner_step window size0 size1 size2".split()
)
#: the tables, of int32: bytes from the beginning of a plane to that of each window; for the largest the number of the element there and
#: of the first that is inside; its coordinates where windows may reach beyond the plane; for means by how much sums are divided, the bits
#: of floats
OFFSET, NUMBER, FIRST, COORDINATES = 0, 1, 2, (3, 4, 5)
#: bytes of an element of the windows: five numbers, bytes and elements from the beginning of the window, and the difference of coordinates
ELEMENT = 40


class Pooling:
    """Writes the module for one type.

    Attributes:
        largest: whether windows are asked for their largest element, and where it is, else for their mean.
        edges: whether windows may reach beyond the plane.
    """

    def __init__(self, kind: str, largest: bool, edges: bool, vector_bytes: int) -> None:
        self.kind = kind
        self.largest = largest
        self.edges = edges
        self.lanes = vector_bytes // SIZES[kind]

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some planes."""
        b = Builder(self.lanes)
        job = words(b, WORDS)
        size = SIZES[self.kind]
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            start = b.mul(task, job["some"])
            with b.loop(start, b.least(b.add(start, job["some"]), job["planes"])) as plane:
                outer = b.mul(b.div(plane, job["inner"]), job["outer_step"])
                inner = b.mul(b.rem(plane, job["inner"]), job["inner_step"])
                source = b.at(b.at(job["source"], outer), inner)
                done = b.mul(plane, job["count"])
                with b.loop(b.integer(0), job["count"], self.lanes) as n:
                    some = self.largest_of if self.largest else self.mean_of
                    at = b.add(done, n)
                    some(b, job, source, n, b.at(job["to"], at, size), at)
        return b.function("kernel", PARAMS)

    def largest_of(self, b: Builder, job: dict[str, V], source: V, n: V, to: V, at: V) -> None:
        """The largest of some windows: of equals the first; nan, and the last of them, where there is one."""
        best, place = b.room(self.kind), b.room("i")
        b.store(b.const(lowest(self.kind), self.kind), best)
        b.store(self.table(b, job, FIRST, n), place)
        number = self.table(b, job, NUMBER, n)
        with self.elements(b, job, source, n) as (x, inside, element):
            before = b.load(best, self.kind)
            better = b.gt(x, before)
            if self.kind in FLOATS:
                better = b.or_(better, b.isnan(x))
            if inside is not None:
                better = b.and_(better, inside)
            here = b.add(number, self.word(b, element, 1))
            b.store(b.select(better, x, before), best)
            b.store(b.select(better, here, b.load(place, "i")), place)
        mask = b.below(b.sub(job["count"], n))
        b.store(b.load(best, self.kind), to, mask=mask)
        b.store(b.cast(b.load(place, "i"), "q"), b.at(job["a"], at, 8), mask=mask)

    def mean_of(self, b: Builder, job: dict[str, V], source: V, n: V, to: V, at: V) -> None:
        """The sums of some windows in float64, in the order of their elements, divided by what each counts for."""
        total = b.room("d")
        b.store(b.const(0, "d"), total)
        with self.elements(b, job, source, n) as (x, inside, _):
            x = b.cast(x, "d")
            if inside is not None:
                x = b.select(inside, x, b.const(0, "d"))
            b.store(b.add(b.load(total, "d"), x), total)
        by = b.cast(b.bits(self.table(b, job, FIRST, n), "f"), "d")
        mask = b.below(b.sub(job["count"], n))
        b.store(b.cast(b.div(b.load(total, "d"), by), self.kind), to, mask=mask)

    def table(self, b: Builder, job: dict[str, V], number: int, n: V) -> V:
        """Entries of a table from number n on."""
        return b.load(b.at(job["b"], b.add(b.mul(job["padded"], b.integer(number)), n), 4), "i")

    def word(self, b: Builder, element: V, number: int) -> V:
        """A number of an element of the windows, in all lanes."""
        return b.splat(b.cast(b.load(b.at(element, b.integer(8 * number)), "q", 1), "i"))

    def elements(self, b: Builder, job: dict[str, V], source: V, n: V) -> _Elements:
        return _Elements(self, b, job, source, n)


class _Elements:
    """The loop over the elements of some windows: what they are, which are inside the plane, and where they are described."""

    def __init__(self, pooling: Pooling, b: Builder, job: dict[str, V], source: V, n: V) -> None:
        self.pooling, self.b, self.job, self.source, self.n = pooling, b, job, source, n

    def __enter__(self) -> tuple[V, V | None, V]:
        b, job, p = self.b, self.job, self.pooling
        offset = p.table(b, job, OFFSET, self.n)
        begins = [p.table(b, job, c, self.n) for c in COORDINATES] if p.edges else []
        sizes = [b.splat(b.cast(job[f"size{d}"], "I")) for d in range(3)]
        self.loop = b.loop(b.integer(0), job["window"])
        element = b.at(job["c"], b.mul(self.loop.__enter__(), b.integer(ELEMENT)))
        at = b.add(offset, p.word(b, element, 0))
        inside = None
        for d, begin in enumerate(begins):
            # (what is negative is large without a sign)
            within = b.lt(b.bits(b.add(begin, p.word(b, element, 2 + d)), "I"), sizes[d])
            inside = within if inside is None else b.and_(inside, within)
        if inside is not None:
            at = b.select(inside, at, b.const(0, "i"))
        return b.gather(self.source, at, p.kind), inside, element

    def __exit__(self, *error: object) -> None:
        self.loop.__exit__(None, None, None)


def lowest(kind: str) -> float | int:
    return float("-inf") if kind in FLOATS else -(1 << 8 * SIZES[kind] - 1)


#: the words of a job: gradients, places, sums of them; of a plane how many gradients there are, and elements; planes, and those of a task
SPREADING = tuple("source a to count size planes some".split())


def spreading(kind: str) -> str:
    """The module that adds numbers at places of planes of zeros, one after another: with the function `kernel`."""
    b = Builder(1)
    job, item = words(b, SPREADING), SIZES[kind]
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        start = b.mul(task, job["some"])
        with b.loop(start, b.least(b.add(start, job["some"]), job["planes"])) as plane:
            to = b.at(job["to"], b.mul(plane, job["size"]), item)
            with b.loop(b.integer(0), job["size"]) as n:
                b.store(b.const(0, kind), b.at(to, n, item))
            done = b.mul(plane, job["count"])
            with b.loop(done, b.add(done, job["count"])) as n:
                there = b.at(to, b.load(b.at(job["a"], n, 8), "q"), item)
                b.store(b.add(b.load(there, kind), b.load(b.at(job["source"], n, item), kind)), there)
    return b.function("kernel", PARAMS)


__all__ = [
    "COORDINATES",
    "ELEMENT",
    "FIRST",
    "NUMBER",
    "OFFSET",
    "SPREADING",
    "WORDS",
    "Pooling",
    "lowest",
    "spreading",
]
