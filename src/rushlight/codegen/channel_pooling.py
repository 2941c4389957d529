"""Windows over images whose channels lie innermost, as code: the largest element of each, and the mean, of as many channels at a time as
a vector has lanes. Tables and orders are those of `rushlight.codegen.pooling`, and so are the bits of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.pooling import COORDINATES, ELEMENT, FIRST, NUMBER, OFFSET, lowest
from rushlight.codegen.values import FLOATS, SIZES, V

#: the words of a job: what is read; results; places of the largest; tables, windows; results of an image and those of the tables with
#: what fills up the last vector; images, and bytes from one to the next; channels; results that are one task; elements of a window; the
#: sizes of an image
WORDS = tuple("source to a b c count padded images outer_step channels some window size0 size1 size2".split())


#: lanes of vectors that lie side by side; None for all
Masks = Sequence[V | None]
#: vectors side by side that go through a window together
_SIDE = 4


class ChannelPooling:
    """Writes the module for one type.

    Attributes:
        largest: whether windows are asked for their largest element, and where it is, else for their mean.
        edges: whether windows may reach beyond the image.
    """

    def __init__(self, kind: str, largest: bool, edges: bool, vector_bytes: int) -> None:
        self.kind = kind
        self.largest = largest
        self.edges = edges
        self.lanes = vector_bytes // (SIZES[kind] if largest else 8)

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some results of all channels."""
        b = Builder(self.lanes)
        job = words(b, WORDS)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            start = b.mul(task, job["some"])
            stop = b.least(b.add(start, job["some"]), b.mul(job["images"], job["count"]))
            with b.loop(start, stop) as number:
                image = b.at(job["source"], b.mul(b.div(number, job["count"]), job["outer_step"]))
                n = b.rem(number, job["count"])
                source = b.at(image, self.table(b, job, OFFSET, n))
                begins = [self.table(b, job, c, n) for c in COORDINATES] if self.edges else []
                done = b.mul(number, job["channels"])
                some = self.largest_of if self.largest else self.mean_of
                many = _SIDE * self.lanes
                whole = b.sub(job["channels"], b.rem(job["channels"], b.integer(many)))
                with b.loop(b.integer(0), whole, many) as channel:
                    here = b.at(source, channel, SIZES[self.kind])
                    some(b, job, here, n, begins, b.add(done, channel), [None] * _SIDE)
                with b.loop(whole, job["channels"], self.lanes) as channel:
                    mask = b.below(b.sub(job["channels"], channel))
                    here = b.at(source, channel, SIZES[self.kind])
                    some(b, job, here, n, begins, b.add(done, channel), [mask])
        return b.function("kernel", PARAMS)

    def largest_of(
        self, b: Builder, job: dict[str, V], source: V, n: V, begins: list[V], at: V, masks: Masks
    ) -> None:
        """The largest of a window: of equals the first; nan, and the last of them, where there is one."""
        rooms = [(b.room(self.kind), b.room("i")) for _ in masks]
        first = b.splat(b.cast(self.table(b, job, FIRST, n), "i"))
        for best, place in rooms:
            b.store(b.const(lowest(self.kind), self.kind), best)
            b.store(first, place)
        number = self.table(b, job, NUMBER, n)

        def one(element: V, xs: list[V]) -> None:
            here = b.splat(b.cast(b.add(number, self.word(b, element, 1)), "i"))
            for (best, place), x in zip(rooms, xs):
                before = b.load(best, self.kind)
                better = b.gt(x, before)
                if self.kind in FLOATS:
                    better = b.or_(better, b.isnan(x))
                b.store(b.select(better, x, before), best)
                b.store(b.select(better, here, b.load(place, "i")), place)

        self.each(b, job, source, begins, masks, one)
        for (best, place), there, mask in zip(rooms, self.side_by_side(b, at, masks), masks):
            b.store(b.load(best, self.kind), b.at(job["to"], there, SIZES[self.kind]), mask=mask)
            b.store(b.cast(b.load(place, "i"), "q"), b.at(job["a"], there, 8), mask=mask)

    def mean_of(
        self, b: Builder, job: dict[str, V], source: V, n: V, begins: list[V], at: V, masks: Masks
    ) -> None:
        """The sum of a window in float64, in the order of its elements, divided by what it counts for."""
        totals = [b.room("d") for _ in masks]
        for total in totals:
            b.store(b.const(0, "d"), total)

        def one(_: V, xs: list[V]) -> None:
            for total, x in zip(totals, xs):
                b.store(b.add(b.load(total, "d"), b.cast(x, "d")), total)

        self.each(b, job, source, begins, masks, one)
        bits = b.cast(self.table(b, job, FIRST, n), "i")
        by = b.splat(b.cast(b.bits(bits, "f"), "d"))
        for total, there, mask in zip(totals, self.side_by_side(b, at, masks), masks):
            mean = b.cast(b.div(b.load(total, "d"), by), self.kind)
            b.store(mean, b.at(job["to"], there, SIZES[self.kind]), mask=mask)

    def side_by_side(self, b: Builder, at: V, masks: Masks) -> list[V]:
        """The numbers of the elements at which vectors begin."""
        return [b.add(at, b.integer(m * self.lanes)) for m in range(len(masks))]

    def table(self, b: Builder, job: dict[str, V], number: int, n: V) -> V:
        """An entry of a table."""
        at = b.add(b.mul(job["padded"], b.integer(number)), n)
        return b.cast(b.load(b.at(job["b"], at, 4), "i", 1), "q")

    def word(self, b: Builder, element: V, number: int) -> V:
        """A number of an element of the windows."""
        return b.load(b.at(element, b.integer(8 * number)), "q", 1)

    def each(
        self, b: Builder, job: dict[str, V], source: V, begins: list[V], masks: Masks, do: Callable
    ) -> None:
        """For each element of a window that is inside the image: where it is described, and its vectors."""
        with b.loop(b.integer(0), job["window"]) as m:
            element = b.at(job["c"], b.mul(m, b.integer(ELEMENT)))
            inside = None
            for d, begin in enumerate(begins):
                # (what is negative is large without a sign)
                coordinate = b.cast(b.add(begin, self.word(b, element, 2 + d)), "Q")
                within = b.lt(coordinate, b.cast(job[f"size{d}"], "Q"))
                inside = within if inside is None else b.and_(inside, within)

            def taken(element: V = element) -> None:
                here = b.at(source, self.word(b, element, 0))
                places = [b.at(here, c, SIZES[self.kind]) for c in self.side_by_side(b, b.integer(0), masks)]
                do(element, [b.load(there, self.kind, mask=mask) for there, mask in zip(places, masks)])

            if inside is None:
                taken()
            else:
                with b.when(inside):
                    taken()


#: the words of a job: gradients, places, sums of them; of an image how many gradients there are and elements; channels; images
SPREADING = tuple("source a to count size channels images".split())


def channel_spreading(kind: str) -> str:
    """The module that adds numbers at places of images of zeros, one after another, a task being an image: with the function `kernel`."""
    b = Builder(1)
    job, item = words(b, SPREADING), SIZES[kind]
    channels = job["channels"]
    with b.loop(PARAMS[1], PARAMS[2]) as image:
        to = b.at(job["to"], b.mul(image, b.mul(job["size"], channels)), item)
        with b.loop(b.integer(0), b.mul(job["size"], channels)) as n:
            b.store(b.const(0, kind), b.at(to, n, item))
        done = b.mul(image, b.mul(job["count"], channels))
        with b.loop(b.integer(0), job["count"]) as n:
            row = b.add(done, b.mul(n, channels))
            with b.loop(b.integer(0), channels) as channel:
                at = b.add(row, channel)
                place = b.load(b.at(job["a"], at, 8), "q")
                there = b.at(to, b.add(b.mul(place, channels), channel), item)
                b.store(b.add(b.load(there, kind), b.load(b.at(job["source"], at, item), kind)), there)
    return b.function("kernel", PARAMS)


__all__ = ["SPREADING", "WORDS", "ChannelPooling", "channel_spreading"]
