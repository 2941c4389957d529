"""Images read at points, as code: each is a weighted sum of a few elements of a plane, the same of every channel.

An element is given by its number within the plane (int32, below 0 for none, which counts as 0), and its weight. There are three things to do
with them, each linear in two arrays, and each what the derivatives of the others come to: to read images at the points ("read"), to put
numbers of the points where they were read ("put"), and to find by how much each weight counts ("weigh").
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: images and values at points, of which the second is what "read" makes and the first what "put" makes; numbers of
#: elements, and weights, which "weigh" makes, (elements of a point, images, points); how many elements a point has; images, channels,
#: elements of a plane, points; planes that are one task (points, of "weigh"), and tasks of an image
WORDS = tuple("source to a b taps images channels size points some parts".split())
#: channels that are read together
_SIDE = 4


def point_sampling(what: str, kind: str, vector_bytes: int) -> str:
    """The text of an LLVM module with the function `kernel`: `what` is to "read", "put" or "weigh" numbers of this kind."""
    b = Builder({"read": vector_bytes // SIZES[kind], "put": 1, "weigh": vector_bytes // 8}[what])
    job, item = words(b, WORDS), SIZES[kind]
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        image = b.div(task, job["parts"])
        start = b.mul(b.rem(task, job["parts"]), job["some"])
        stop = b.add(start, job["some"])
        if what == "weigh":
            with b.loop(start, b.least(stop, job["points"]), b.lanes) as p:
                _weigh(b, job, kind, image, p)
        elif what == "put":
            with b.loop(start, b.least(stop, job["channels"])) as channel:
                source, there = _lines(b, job, item, image, channel)
                with b.loop(b.integer(0), job["size"]) as n:
                    b.store(b.const(0, kind), b.at(source, n, item))
                with b.loop(b.integer(0), job["points"]) as p:
                    _put(b, job, kind, image, p, source, b.at(there, p, item))
        else:
            last = b.least(stop, job["channels"])
            whole = b.sub(last, b.rem(b.sub(last, start), b.integer(_SIDE)))
            with b.loop(b.integer(0), job["points"], b.lanes) as p:
                for first, end, count in ((start, whole, _SIDE), (whole, last, 1)):
                    with b.loop(first, end, count) as channel:
                        _read(b, job, kind, image, p, channel, count)
    return b.function("kernel", PARAMS)


def _tap(b: Builder, job: dict[str, V], image: V, tap: V, p: V) -> V:
    """The number of the first of some points' weights and elements."""
    return b.add(b.mul(b.add(b.mul(tap, job["images"]), image), job["points"]), p)


def _elements(b: Builder, job: dict[str, V], kind: str, at: V, mask: V) -> tuple[V, V]:
    """Which points have an element there, and how many bytes after the beginning of the plane it is."""
    number = b.load(b.at(job["a"], at, 4), "i", mask=mask)
    none = b.like(0, number)
    known = b.ge(number, none)
    return known, b.mul(b.select(known, number, none), b.like(SIZES[kind], number))


def _lines(b: Builder, job: dict[str, V], item: int, image: V, channel: V) -> tuple[V, V]:
    """Where a plane begins, and its values at points."""
    plane = b.add(b.mul(image, job["channels"]), channel)
    return b.at(job["source"], b.mul(plane, job["size"]), item), b.at(
        job["to"], b.mul(plane, job["points"]), item
    )


def _read(b: Builder, job: dict[str, V], kind: str, image: V, p: V, channel: V, count: int) -> None:
    """Some channels at a vector of points."""
    mask, item, zero = b.below(b.sub(job["points"], p)), SIZES[kind], b.const(0, kind)
    lines = [_lines(b, job, item, image, b.add(channel, b.integer(n))) for n in range(count)]
    totals = [b.room(kind) for _ in lines]
    for total in totals:
        b.store(zero, total)
    with b.loop(b.integer(0), job["taps"]) as tap:
        at = _tap(b, job, image, tap, p)
        known, offset = _elements(b, job, kind, at, mask)
        weight = b.load(b.at(job["b"], at, item), kind, mask=mask)
        for total, (source, _) in zip(totals, lines):
            x = b.select(known, b.gather(source, offset, kind), zero)
            b.store(b.add(b.load(total, kind), b.mul(x, weight)), total)
    for total, (_, there) in zip(totals, lines):
        b.store(b.load(total, kind), b.at(there, p, item), mask=mask)


def _put(b: Builder, job: dict[str, V], kind: str, image: V, p: V, to: V, source: V) -> None:
    """One point's number, times each weight, where that belongs."""
    x = b.load(source, kind)
    with b.loop(b.integer(0), job["taps"]) as tap:
        at = _tap(b, job, image, tap, p)
        number = b.load(b.at(job["a"], at, 4), "i")
        with b.when(b.ge(number, b.like(0, number))):
            there = b.at(to, b.cast(number, "q"), SIZES[kind])
            part = b.mul(x, b.load(b.at(job["b"], at, SIZES[kind]), kind))
            b.store(b.add(b.load(there, kind), part), there)


def _weigh(b: Builder, job: dict[str, V], kind: str, image: V, p: V) -> None:
    """The sums over the channels of elements times numbers of the points, in float64."""
    mask, item = b.below(b.sub(job["points"], p)), SIZES[kind]
    with b.loop(b.integer(0), job["taps"]) as tap:
        at = _tap(b, job, image, tap, p)
        known, offset = _elements(b, job, kind, at, mask)
        total, zero = b.room("d"), b.const(0, "d")
        b.store(zero, total)
        with b.loop(b.integer(0), job["channels"]) as channel:
            source, there = _lines(b, job, item, image, channel)
            x = b.select(known, b.cast(b.gather(source, offset, kind), "d"), zero)
            y = b.cast(b.load(b.at(there, p, item), kind, mask=mask), "d")
            b.store(b.add(b.load(total, "d"), b.mul(x, y)), total)
        b.store(b.cast(b.load(total, "d"), kind), b.at(job["b"], at, item), mask=mask)


__all__ = ["WORDS", "point_sampling"]
