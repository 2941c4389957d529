"""Products of small matrices, as code.

A matrix of some ten to some hundred rows fits in the cache, so that most of what BLAS does for large ones, copying both factors to
blocks, is not needed. Here the second factor is read where it is, row by row (if its columns lie side by side instead, it is
turned first), and a block of the product stays in registers while it takes up one column of the first factor and one row of
the second after another (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008).

Every element is a sum of products in their order (of floats by fused operations); those of `DEPTH` factors are added up at a time, which keeps
chains of additions short.
"""

from __future__ import annotations

from rushlight.codegen.builder import Builder
from rushlight.codegen.copying import edge, turn
from rushlight.codegen.job import PARAMS, added, of_batch, words
from rushlight.codegen.values import SIZES, V

#: the words of a job: addresses, sizes, bytes from row to row, and from column to column; rows and columns of one task, how many tasks
#: are beside each other, and how many a matrix is; of batches (outer and inner ones) how many matrices an inner one has, and bytes from
#: one to the next
WORDS = tuple(
    "a b c rows depth columns a_row a_column b_row c_row high wide across parts "
    "inner a_outer a_inner b_outer b_inner c_step".split()
)
#: those of turning factors, each a task: where its rows are to lie in one piece each, and where its columns do; sizes; bytes from row
#: to row there, and from column to column here; of batches as above
TURNING = tuple("to source rows columns to_row from_column inner to_step from_outer from_inner".split())
#: factors whose products are added up at a time
DEPTH = 128
#: vectors beside each other in a block: rows, as many as are left
_HEIGHTS = {2: (8, 4, 1), 1: (8, 1)}
_BLOCK = [V(f"%{x}", "p") for x in "abc"] + [
    V(f"%{x}", "q") for x in ("more", "n", "ar", "ac", "br", "cr", "w")
]


def turning(size: int, vector_bytes: int) -> str:
    """The module that lays the rows of factors of so large elements side by side, whose columns were: with the function `kernel`."""
    b = Builder(1)
    copiers = [write(size, vector_bytes, b.declared) for write in (turn, edge)]
    job, unit = words(b, TURNING), b.integer(size)
    steps = [job["to_row"], unit, unit, job["from_column"]]
    with b.loop(PARAMS[1], PARAMS[2]) as task:
        to = b.at(job["to"], b.mul(task, job["to_step"]))
        source = of_batch(b, job["source"], task, job["inner"], job["from_outer"], job["from_inner"])
        b.call(f"turn{size}", [to, source, job["rows"], job["columns"], *steps])
    return b.module([*copiers, b.definition("kernel", PARAMS)])


class Products:
    """Writes the module for one type, on a processor whose loads of some lanes cost no more than those of all."""

    def __init__(self, kind: str, vector_bytes: int) -> None:
        self.kind = kind
        self.size = SIZES[kind]
        self.vector_bytes = vector_bytes
        self.lanes = vector_bytes // self.size
        self.declared: set[str] = set()

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some rows by some columns of one product."""
        blocks = [self.block(height, vectors) for vectors, heights in _HEIGHTS.items() for height in heights]
        b = self.builder()
        job = words(b, WORDS)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            part = b.rem(task, job["parts"])
            row = b.mul(b.div(part, job["across"]), job["high"])
            column = b.mul(b.rem(part, job["across"]), job["wide"])
            self.task(b, job, b.div(task, job["parts"]), row, column)
        return b.module([*blocks, b.definition("kernel", PARAMS)])

    def task(self, b: Builder, job: dict[str, V], matrix: V, row: V, column: V) -> None:
        """What a task makes of a product, from this row and column on."""
        a = of_batch(b, job["a"], matrix, job["inner"], job["a_outer"], job["a_inner"])
        second = of_batch(b, job["b"], matrix, job["inner"], job["b_outer"], job["b_inner"])
        c = b.at(b.at(job["c"], b.mul(matrix, job["c_step"])), b.mul(row, job["c_row"]))
        part = job | {
            "a": b.at(a, b.mul(row, job["a_row"])),
            "c": b.at(c, column, self.size),
            "rows": b.least(job["high"], b.sub(job["rows"], row)),
            "columns": b.least(job["wide"], b.sub(job["columns"], column)),
        }
        second = b.at(second, column, self.size)
        with b.loop(b.integer(0), job["depth"], DEPTH) as p:
            deep = {
                "a": b.at(part["a"], b.mul(p, job["a_column"])),
                "b": b.at(second, b.mul(p, job["b_row"])),
                "depth": b.least(b.integer(DEPTH), b.sub(job["depth"], p)),
                "more": p,
            }
            self.panels(b, part | deep)

    def builder(self) -> Builder:
        b = Builder(self.lanes)
        b.declared = self.declared
        b.masks = True
        return b

    # ---- blocks ----

    def panels(self, b: Builder, job: dict[str, V]) -> None:
        """The product, some columns at a time; added to what is there if there is `more` than nothing."""
        columns, pair = job["columns"], 2 * self.lanes
        left = b.rem(columns, b.integer(pair))
        # (what is left after whole pairs needs a pair once more if it is longer than one vector)
        whole = b.select(b.gt(left, b.integer(self.lanes)), columns, b.sub(columns, left))
        for start, stop, vectors in ((b.integer(0), whole, 2), (whole, columns, 1)):
            with b.loop(start, stop, pair) as j:
                self.panel(b, job, j, vectors)

    def panel(self, b: Builder, job: dict[str, V], j: V, vectors: int) -> None:
        """Some columns from number j on, in blocks as high as fit into what is left of the rows."""
        second, c = b.at(job["b"], j, self.size), b.at(job["c"], j, self.size)
        width, done = b.sub(job["columns"], j), b.integer(0)
        steps = [job[word] for word in ("more", "depth", "a_row", "a_column", "b_row", "c_row")]
        for height in _HEIGHTS[vectors]:
            stop = b.sub(job["rows"], b.rem(b.sub(job["rows"], done), b.integer(height)))
            with b.loop(done, stop, height) as i:
                a = b.at(job["a"], b.mul(i, job["a_row"]))
                b.call(
                    f"block{height}x{vectors}", [a, second, b.at(c, b.mul(i, job["c_row"])), *steps, width]
                )
            done = stop

    def block(self, height: int, vectors: int) -> str:
        """`void block<height>x<vectors>(a, b, c, more, depth, steps of a, of b and of c, columns that are left)`."""
        b = self.builder()
        a, second, c, more, depth, a_row, a_column, b_row, c_row, width = _BLOCK
        places = [b.integer(v * self.lanes) for v in range(vectors)]
        masks = [b.below(b.sub(width, place)) for place in places]
        sums = [[b.room(self.kind) for _ in places] for _ in range(height)]
        for total in [total for row in sums for total in row]:
            b.store(b.const(0, self.kind), total)
        with b.loop(b.integer(0), depth) as p:
            column, row = b.at(a, b.mul(p, a_column)), b.at(second, b.mul(p, b_row))
            ys = [
                b.load(b.at(row, place, self.size), self.kind, mask=mask)
                for place, mask in zip(places, masks)
            ]
            for i in range(height):
                x = b.splat(b.load(b.at(column, b.mul(b.integer(i), a_row)), self.kind, 1))
                for y, total in zip(ys, sums[i]):
                    b.store(added(b, x, y, b.load(total, self.kind)), total)
        ends = [
            (b.at(b.at(c, b.mul(b.integer(i), c_row)), place, self.size), mask, total)
            for i in range(height)
            for place, mask, total in zip(places, masks, sums[i])
        ]
        with b.when(b.gt(more, b.integer(0))):
            for to, mask, total in ends:
                b.store(b.add(b.load(to, self.kind, mask=mask), b.load(total, self.kind)), total)
        for to, mask, total in ends:
            b.store(b.load(total, self.kind), to, mask=mask)
        return b.definition(f"block{height}x{vectors}", _BLOCK, internal=True)


__all__ = ["DEPTH", "TURNING", "WORDS", "Products", "turning"]
