"""Elements at places along one dimension, as code: read, written, or added there.

Arrays are taken as (outer, along, inner). Whatever goes to one place goes there in the order along the dimension, so repeated places
hold the last of what was written, and sums are added in that order, on any number of threads: what one task writes to, no other does.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: the array of which places are meant, what goes there or comes from there, and places (int64); outer, along and
#: inner sizes of the places; outer ones that are a task, inner ones that are, and tasks that these are; bytes from one to the next
#: along the first array's dimensions and its places, and along the dimensions of the second and of the places;
#: how many places there are: what lies beyond is left alone
WORDS = tuple(
    "to source a outer along inner some wide parts to_outer to_along to_inner to_place from_outer from_along from_inner "
    "at_outer at_along at_inner size".split()
)


def placing(what: str, kind: str, vector_bytes: int) -> str:
    """The module with the function `kernel`: `what` is to "read", "write" or "add" elements of this kind."""
    b = Builder(vector_bytes // 8)
    job = words(b, WORDS)
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        first = b.mul(b.div(task, job["parts"]), job["some"])
        start = b.mul(b.rem(task, job["parts"]), job["wide"])
        stop = b.least(b.add(start, job["wide"]), job["inner"])
        with b.loop(first, b.least(b.add(first, job["some"]), job["outer"])) as o:
            to = b.at(job["to"], b.mul(o, job["to_outer"]))
            source = b.at(job["source"], b.mul(o, job["from_outer"]))
            places = b.at(job["a"], b.mul(o, job["at_outer"]))
            with b.loop(b.integer(0), job["along"]) as j:
                row = b.at(places, b.mul(j, job["at_along"]))
                there = b.at(to, b.mul(j, job["to_along"]))
                line = b.at(source, b.mul(j, job["from_along"]))
                done = _read_many(b, job, kind, (start, stop), row, there, line) if what == "read" else start
                with b.loop(done, stop) as i:
                    place = b.load(b.at(row, b.mul(i, job["at_inner"])), "q", 1)
                    with b.when(b.lt(b.cast(place, "Q"), b.cast(job["size"], "Q"))):
                        element = b.at(b.at(there, b.mul(i, job["to_inner"])), b.mul(place, job["to_place"]))
                        _placed(b, what, kind, element, b.at(line, b.mul(i, job["from_inner"])))
    return b.function("kernel", PARAMS)


def _read_many(b: Builder, job: dict[str, V], kind: str, span: tuple[V, V], row: V, there: V, line: V) -> V:
    """Read vectors of elements whose places lie side by side, as what is made of them does; gives the first that is left."""
    start, stop = span
    near = b.and_(b.eq(job["at_inner"], b.integer(8)), b.eq(job["from_inner"], b.integer(SIZES[kind])))
    whole = b.sub(stop, b.rem(b.sub(stop, start), b.integer(b.lanes)))
    done = b.select(near, whole, start)
    steps = b.splat(job["to_place"]), b.splat(job["to_inner"])
    with b.loop(start, done, b.lanes) as i:
        place = b.load(b.at(row, i, 8), "q")
        known = b.lt(b.cast(place, "Q"), b.cast(b.splat(job["size"]), "Q"))
        numbers = V(f"<{', '.join(f'i64 {lane}' for lane in range(b.lanes))}>", "q", b.lanes)
        at = b.mul(b.add(b.splat(i), numbers), steps[1])
        offset = b.add(at, b.mul(b.select(known, place, b.like(0, place)), steps[0]))
        b.store(b.gather(there, offset, kind), b.at(line, i, SIZES[kind]), mask=known)
    return done


def _placed(b: Builder, what: str, kind: str, there: V, here: V) -> None:
    if what == "read":
        b.store(b.load(there, kind, 1), here)
    elif what == "write":
        b.store(b.load(here, kind, 1), there)
    else:
        b.store(b.add(b.load(there, kind, 1), b.load(here, kind, 1)), there)


#: the words of a job: sums, what is added, to which rows and which of them (int64); how many rows there are to add, and elements of one;
#: elements that are a task; bytes from row to row
ADDING = tuple("to source a b count width some to_row from_row".split())


def adding(kind: str, wide: str, vector_bytes: int) -> str:
    """The module that adds rows of one kind to rows of another, one after another: with the function `kernel`."""
    size, wide_size = SIZES[kind], SIZES[wide]
    b = Builder(vector_bytes // wide_size)
    job = words(b, ADDING)

    def add(there: V, here: V, mask: V | None) -> None:
        x = b.cast(b.load(here, kind, mask=mask), wide)
        b.store(b.add(b.load(there, wide, mask=mask), x), there, mask=mask)

    with b.loop(PARAMS[1], PARAMS[2]) as task:
        start = b.mul(task, job["some"])
        stop = b.least(b.add(start, job["some"]), job["width"])
        whole = b.sub(stop, b.rem(b.sub(stop, start), b.integer(b.lanes)))
        with b.loop(b.integer(0), job["count"]) as n:
            place = b.load(b.at(job["a"], n, 8), "q", 1)
            to = b.at(job["to"], b.mul(place, job["to_row"]))
            number = b.load(b.at(job["b"], n, 8), "q", 1)
            source = b.at(job["source"], b.mul(number, job["from_row"]))
            with b.loop(start, whole, b.lanes) as i:
                add(b.at(to, i, wide_size), b.at(source, i, size), None)
            with b.loop(whole, stop, b.lanes) as i:
                add(b.at(to, i, wide_size), b.at(source, i, size), b.below(b.sub(stop, i)))
    return b.function("kernel", PARAMS)


__all__ = ["ADDING", "WORDS", "adding", "placing"]
