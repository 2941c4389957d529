"""Products of large matrices, as code.

Both factors are laid out in panels first, so that the innermost loop reads memory in the order in which it lies: a panel of the first
factor has `HEIGHT` of its rows, one of the second as many of its columns as fit in two vectors; at each place along the shared
dimension their elements lie side by side, and zeros where a factor ends. A tile of the product, one panel by another, stays in
registers while it takes up `DEPTH` products for each element (Goto and van de Geijn, "Anatomy of high-performance matrix
multiplication", 2008; Van Zee and van de Geijn, "BLIS", 2015).

Every element is a sum of products in their order, by fused operations, of which `DEPTH` are added up at a time: the same bits
whatever the other rows and columns are, and on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rushlight.codegen.builder import Builder
from rushlight.codegen.copying import edge, lines, turn
from rushlight.codegen.job import PARAMS, added, words
from rushlight.codegen.values import SIZES, V

#: rows of the first factor's panels, and of a tile
HEIGHT = 8
#: vectors beside each other in the second factor's panels, and in a tile
VECTORS = 2
#: factors whose products are added up at a time: two panels of so many fit in the first cache
DEPTH = 256
#: the words of a job: addresses, sizes, bytes from row to row, sizes with what fills up the last panels; whether to add to what is
#: there; rows and columns of the product that are one task
WORDS = tuple("a b c rows columns depth c_row a_lines b_lines more high wide".split())
#: those of laying out a factor: its rows (or columns), places along the shared dimension, bytes from one to the next of both; how many
#: rows (or columns) a panel has, a task, and all of them with what fills up the last panel; tasks of a factor, of which there may be
#: several, and bytes from one to the next
LAYING = tuple("to source lines depth from_line from_depth panel some all parts to_step from_step".split())
#: the parameters of the function that makes a tile
TILE = [V(f"%{x}", "p") for x in "abc"] + [V(f"%{x}", "q") for x in ("depth", "more", "h", "w", "row")]


def laying(size: int, vector_bytes: int) -> str:
    """The module that lays out a factor of so large elements, some panels a task: with the function `kernel`.

    The elements of its lines, or those along the shared dimension, lie side by side.
    """
    b = Builder(1)
    copiers = [lines(size, vector_bytes, b.declared), edge(size, vector_bytes, b.declared)]
    copiers += [turn(size, HEIGHT * size, b.declared)]
    job, unit = words(b, LAYING), b.integer(size)
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        factor = b.div(task, job["parts"])
        target = b.at(job["to"], b.mul(factor, job["to_step"]))
        origin = b.at(job["source"], b.mul(factor, job["from_step"]))
        start = b.mul(b.rem(task, job["parts"]), job["some"])
        stop = b.least(b.add(start, job["some"]), job["all"])
        with b.loop(b.integer(0), job["depth"], DEPTH) as p:
            count = b.least(b.integer(DEPTH), b.sub(job["depth"], p))
            block = b.at(target, b.mul(p, job["all"]), size)
            there = b.at(origin, b.mul(p, job["from_depth"]))
            with b.loop(start, stop, job["panel"]) as line:
                to = b.at(block, b.mul(line, count), size)
                source = b.at(there, b.mul(line, job["from_line"]))
                few = b.least(job["panel"], b.sub(job["lines"], line))
                with b.when(b.lt(few, job["panel"])):
                    with b.loop(b.integer(0), b.mul(count, job["panel"])) as n:
                        b.store(b.const(0, {4: "i", 8: "q"}[size], 1), b.at(to, n, size))
                steps = [b.mul(job["panel"], unit), unit, job["from_depth"], job["from_line"]]
                args = [to, source, count, few, *steps]
                copy, turned = partial(b.call, f"lines{size}", args), partial(b.call, f"turn{size}", args)
                b.either(b.eq(job["from_line"], unit), copy, turned)
    return b.module([*copiers, b.definition("kernel", PARAMS)])


class Tiles:
    """Writes the module that multiplies panels of one type."""

    def __init__(self, kind: str, vector_bytes: int, vectors: int = VECTORS) -> None:
        self.kind = kind
        self.size = SIZES[kind]
        self.lanes = vector_bytes // self.size
        self.vectors = vectors
        self.width = vectors * self.lanes
        self.declared: set[str] = set()

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some rows by some columns of the product."""
        tile, b = self.tile(), self.builder()
        job = words(b, WORDS)
        across = b.div(b.add(job["columns"], b.sub(job["wide"], b.integer(1))), job["wide"])
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            row = b.mul(b.div(task, across), job["high"])
            column = b.mul(b.rem(task, across), job["wide"])
            with b.loop(b.integer(0), job["depth"], DEPTH) as p:
                self.block(b, job, row, column, p)
        return b.module([tile, b.definition("kernel", PARAMS)])

    def builder(self) -> Builder:
        b = Builder(self.lanes)
        b.declared = self.declared
        b.masks = True
        return b

    def block(self, b: Builder, job: dict[str, V], row: V, column: V, p: V) -> None:
        """What `DEPTH` products from number p on give a task's part of the product."""
        count = b.least(b.integer(DEPTH), b.sub(job["depth"], p))
        first = b.at(job["a"], b.mul(p, job["a_lines"]), self.size)
        second = b.at(job["b"], b.mul(p, job["b_lines"]), self.size)
        last_row = b.least(b.add(row, job["high"]), job["rows"])
        last_column = b.least(b.add(column, job["wide"]), job["columns"])
        with b.loop(column, last_column, self.width) as j:
            y = b.at(second, b.mul(j, count), self.size)
            with b.loop(row, last_row, HEIGHT) as i:
                x = b.at(first, b.mul(i, count), self.size)
                c = b.at(b.at(job["c"], b.mul(i, job["c_row"])), j, self.size)
                left = [b.sub(job["rows"], i), b.sub(job["columns"], j)]
                b.call("tile", [x, y, c, count, b.add(job["more"], p), *left, job["c_row"]])

    def tile(self) -> str:
        """`void tile(a, b, c, depth, whether to add to c, rows and columns that are left, bytes from row to row of c)`."""
        b = self.builder()
        a, second, *rest = TILE

        def elements(p: V) -> list[V]:
            column = b.at(a, b.mul(p, b.integer(HEIGHT * self.size)))
            return [b.at(column, b.integer(i), self.size) for i in range(HEIGHT)]

        self.write_tile(b, elements, second, *rest)
        return b.definition("tile", TILE, internal=True)

    def write_tile(
        self,
        b: Builder,
        elements: Callable[[V], list[V]],
        second: V,
        c: V,
        depth: V,
        more: V,
        height: V,
        width: V,
        c_row: V,
    ) -> None:
        """The body of a function that makes a tile; `elements` gives the addresses of a column of the first factor."""
        sums = [[b.room(self.kind) for _ in range(self.vectors)] for _ in range(HEIGHT)]
        for total in [total for row in sums for total in row]:
            b.store(b.const(0, self.kind), total)
        with b.loop(b.integer(0), depth) as p:
            row = b.at(second, b.mul(p, b.integer(self.width * self.size)))
            ys = [
                b.load(b.at(row, b.integer(v * self.lanes), self.size), self.kind)
                for v in range(self.vectors)
            ]
            for place, totals in zip(elements(p), sums):
                x = b.splat(b.load(place, self.kind, 1))
                for y, total in zip(ys, totals):
                    b.store(added(b, x, y, b.load(total, self.kind)), total)
        whole = b.and_(b.ge(height, b.integer(HEIGHT)), b.ge(width, b.integer(self.width)))

        def write(whole: bool) -> None:
            for i, totals in enumerate(sums):
                to = b.at(c, b.mul(b.integer(i), c_row))
                if whole:
                    self.write_row(b, totals, to, more, None)
                else:
                    with b.when(b.gt(height, b.integer(i))):
                        self.write_row(b, totals, to, more, width)

        b.either(whole, lambda: write(True), lambda: write(False))

    def write_row(self, b: Builder, row: list[V], to: V, more: V, width: V | None) -> None:
        """A row of a tile; of which so many elements count, if not all."""
        for v, total in enumerate(row):
            place = b.at(to, b.integer(v * self.lanes), self.size)
            mask = None if width is None else b.below(b.sub(width, b.integer(v * self.lanes)))
            with b.when(b.gt(more, b.integer(0))):
                before = b.load(place, self.kind, mask=mask)
                b.store(b.add(before, b.load(total, self.kind)), total)
            b.store(b.load(total, self.kind), place, mask=mask)


__all__ = ["DEPTH", "HEIGHT", "LAYING", "TILE", "VECTORS", "WORDS", "Tiles", "laying"]
