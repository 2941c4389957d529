"""Products of small matrices, as code.

A matrix of some ten to some hundred rows fits in the cache, so that most of what BLAS does for large ones, copying both factors to
blocks, is not needed. Here the second factor is read where it is, row by row (if its columns lie side by side instead, it is
turned first), and a block of the product stays in registers while it takes up one column of the first factor and one row of
the second after another (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008).

Every element is a sum of products in their order, by fused operations; those of `DEPTH` factors are added up at a time, which keeps
chains of additions short.
"""

from __future__ import annotations

from rushlight.codegen.builder import SIZES, Builder, V
from rushlight.codegen.copying import copy, narrow, turn

#: the words of a job: addresses, `room` being that of memory as large as the second factor, which only one that is turned needs;
#: sizes; bytes from row to row, and from column to column
WORDS = tuple("a b c room rows depth columns a_row a_column b_row b_column c_row".split())
#: factors whose products are added up at a time
DEPTH = 128
#: rows of a block, as many as are left; vectors beside each other in it
_HEIGHTS, _VECTORS = (8, 4, 2, 1), (2, 1)
_POINTERS = frozenset(WORDS[:4])
_BLOCK = [V(f"%{x}", "p") for x in "abc"] + [V(f"%{x}", "q") for x in ("n", "ar", "ac", "br", "cr", "w")]


class Products:
    """Writes the module for one type, on a processor whose loads of some lanes cost no more than those of all."""

    def __init__(self, kind: str, vector_bytes: int) -> None:
        self.kind = kind
        self.size = SIZES[kind]
        self.vector_bytes = vector_bytes
        self.lanes = vector_bytes // self.size
        self.declared: set[str] = set()

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, which does a job as one task."""
        turning = [make(self.size, self.vector_bytes, self.declared) for make in (copy, narrow, turn)]
        blocks = [
            self.block(height, vectors, more)
            for height in _HEIGHTS
            for vectors in _VECTORS
            for more in (False, True)
        ]
        b = self.builder()
        job = self.job(b)
        self.turned(b, job)
        with b.loop(b.integer(0), job["depth"], DEPTH) as p:
            count = b.least(b.integer(DEPTH), b.sub(job["depth"], p))
            part = job | {
                "a": b.at(job["a"], b.mul(p, job["a_column"])),
                "b": b.at(job["b"], b.mul(p, job["b_row"])),
                "depth": count,
            }
            b.either(
                b.eq(p, b.integer(0)),
                lambda: self.panels(b, part, False),
                lambda: self.panels(b, part, True),
            )
        params = [V("%params", "p"), V("%first", "q"), V("%last", "q")]
        return b.module([*turning, *blocks, b.definition("kernel", params)])

    def builder(self) -> Builder:
        b = Builder(self.lanes)
        b.declared = self.declared
        b.masks = True
        return b

    def job(self, b: Builder) -> dict[str, V]:
        params = V("%params", "p")
        return {
            word: b.load(b.at(params, b.integer(8 * n)), "p" if word in _POINTERS else "q", 1)
            for n, word in enumerate(WORDS)
        }

    def turned(self, b: Builder, job: dict[str, V]) -> None:
        """See to it that the rows of the second factor lie in one piece each."""
        unit, pitch = b.integer(self.size), b.mul(job["columns"], b.integer(self.size))
        at, row = b.room("p", 1), b.room("q", 1)
        b.store(job["b"], at)
        b.store(job["b_row"], row)
        with b.when(b.ne(job["b_column"], unit)):
            steps = [pitch, unit, job["b_row"], job["b_column"]]
            b.call(f"turn{self.size}", [job["room"], job["b"], job["depth"], job["columns"], *steps])
            b.store(job["room"], at)
            b.store(pitch, row)
        job["b"], job["b_row"] = b.load(at, "p", 1), b.load(row, "q", 1)

    # ---- blocks ----

    def panels(self, b: Builder, job: dict[str, V], more: bool) -> None:
        """The product, some columns at a time; `more`: added to what is there."""
        columns, pair = job["columns"], _VECTORS[0] * self.lanes
        left = b.rem(columns, b.integer(pair))
        # (what is left after whole pairs needs a pair once more if it is longer than one vector)
        whole = b.select(b.gt(left, b.integer(self.lanes)), columns, b.sub(columns, left))
        for start, stop, vectors in ((b.integer(0), whole, _VECTORS[0]), (whole, columns, _VECTORS[1])):
            with b.loop(start, stop, pair) as j:
                self.panel(b, job, j, f"x{vectors}{'more' if more else ''}")

    def panel(self, b: Builder, job: dict[str, V], j: V, form: str) -> None:
        """Some columns from number j on, in blocks as high as fit into what is left of the rows."""
        second, c = b.at(job["b"], j, self.size), b.at(job["c"], j, self.size)
        width, done = b.sub(job["columns"], j), b.integer(0)
        steps = [job[word] for word in ("depth", "a_row", "a_column", "b_row", "c_row")]
        for height in _HEIGHTS:
            stop = b.sub(job["rows"], b.rem(b.sub(job["rows"], done), b.integer(height)))
            with b.loop(done, stop, height) as i:
                a = b.at(job["a"], b.mul(i, job["a_row"]))
                b.call(f"block{height}{form}", [a, second, b.at(c, b.mul(i, job["c_row"])), *steps, width])
            done = stop

    def block(self, height: int, vectors: int, more: bool) -> str:
        """`void block<height>x<vectors>(a, b, c, depth, steps of a, of b and of c, columns that are left)`."""
        b = self.builder()
        a, second, c, depth, a_row, a_column, b_row, c_row, width = _BLOCK
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
                    b.store(b.fma(x, y, b.load(total, self.kind)), total)
        for i in range(height):
            row = b.at(c, b.mul(b.integer(i), c_row))
            for place, mask, total in zip(places, masks, sums[i]):
                to, x = b.at(row, place, self.size), b.load(total, self.kind)
                if more:
                    x = b.add(b.load(to, self.kind, mask=mask), x)
                b.store(x, to, mask=mask)
        name = f"block{height}x{vectors}{'more' if more else ''}"
        return b.definition(name, _BLOCK, internal=True)


__all__ = ["DEPTH", "WORDS", "Products"]
