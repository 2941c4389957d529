"""The products of a convolution, as code: the windows of an image are a factor that is never written down.

An element of a window lies at the sum of two distances: that of the window's corner (its place in the result), and that of the element
within a window (its place in the kernel). Both are in tables, so that any stride, dilation and number of dimensions is the same to
the loops (Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014, lay windows out as late as this).

`Forward` multiplies weights by windows: some windows beside each other are laid out in the first cache, where all rows of weights use
them. `Backward` multiplies windows by gradients, which gives the gradient of weights: elements of windows are read where they are.
Tiles are those of `panels`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.panels import DEPTH, HEIGHT, TILE, Tiles
from rushlight.codegen.values import V

#: the words of `Forward`: panels of weights, image, result; rows of weights, windows, elements of a window; bytes from row to row of the
#: result; rows with what fills up the last panel; distances of windows and of elements; how vectors of windows lie (`PIECE_WORDS`); what
#: is added to each row, and whether anything is; bytes from example to example; windows of a task, and tasks of an example
FORWARD = tuple(
    "a b c rows columns depth c_row a_lines distances places pieces bias biased b_step c_step wide across".split()
)
#: the words of `Backward`: image, panels of gradients, result; elements of a window, rows of gradients, windows; bytes from row to row of
#: the result; rows with what fills up the last panel; distances of elements and of windows; bytes from example to example; examples;
#: rows of a task
BACKWARD = tuple("a b c rows columns depth c_row b_lines distances places a_step b_step number high".split())
_STEP = 8  # bytes of a distance
#: what is said of a vector of windows: how many pieces it has that lie side by side (1: it is whole; -2: it has every other element; 0: it
#: has more than `MOST_PIECES`; few mean that many, or less); then of each piece how far it would begin if the vector was whole, and
#: the lane where it ends
MOST_PIECES = 4
PIECE_WORDS = 1 + 2 * MOST_PIECES
#: gives the vector of windows' elements at a distance from the windows' corners
Way = Callable[[V], V]


class Forward(Tiles):
    """Writes the module that multiplies weights by windows."""

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some windows of an example."""
        tile, b = self.tile(), self.builder()
        job = words(b, FORWARD)
        room = b.room(self.kind, self.lanes, DEPTH * self.vectors)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            example = b.div(task, job["across"])
            start = b.mul(b.rem(task, job["across"]), job["wide"])
            stop = b.least(b.add(start, job["wide"]), job["columns"])
            image = b.at(job["b"], b.mul(example, job["b_step"]))
            made = b.at(job["c"], b.mul(example, job["c_step"]))
            with b.loop(start, stop, self.width) as j:
                self.panel(b, job, image, b.at(made, j, self.size), room, j)
        return b.module([tile, b.definition("kernel", PARAMS)])

    def panel(self, b: Builder, job: dict[str, V], image: V, c: V, room: V, j: V) -> None:
        """The part of the result that a panel of windows makes."""
        left = b.sub(job["columns"], j)
        with b.loop(b.integer(0), job["depth"], DEPTH) as p:
            count = b.least(b.integer(DEPTH), b.sub(job["depth"], p))
            self.lay(b, job, image, room, j, p, count)
            first = b.at(job["a"], b.mul(p, job["a_lines"]), self.size)
            with b.loop(b.integer(0), job["rows"], HEIGHT) as i:
                x, to = b.at(first, b.mul(i, count), self.size), b.at(c, b.mul(i, job["c_row"]))
                b.call("tile", [x, room, to, count, p, b.sub(job["rows"], i), left, job["c_row"]])
        with b.when(b.gt(job["biased"], b.integer(0))):
            with b.loop(b.integer(0), job["rows"]) as i:
                value = b.splat(b.load(b.at(job["bias"], i, self.size), self.kind, 1))
                for v in range(self.vectors):
                    to = b.at(b.at(c, b.mul(i, job["c_row"])), b.integer(v * self.lanes), self.size)
                    mask = b.below(b.sub(left, b.integer(v * self.lanes)))
                    b.store(b.add(b.load(to, self.kind, mask=mask), value), to, mask=mask)

    def lay(self, b: Builder, job: dict[str, V], image: V, room: V, j: V, p: V, count: V) -> None:
        """Lay out some elements of the windows of a panel."""
        places = b.at(job["places"], p, _STEP)
        for v in range(self.vectors):
            kind, ways = self.ways(b, job, image, b.add(j, b.integer(v * self.lanes)))
            to = b.at(room, b.integer(v * self.lanes), self.size)
            self.choose(b, kind, ways, partial(self.each, b, to, places, count))

    def ways(self, b: Builder, job: dict[str, V], image: V, window: V) -> tuple[V, list[tuple[int, Way]]]:
        """How the vector of windows from number `window` on lies, and what loads it for each answer."""
        distances = b.at(job["distances"], window, _STEP)
        number = b.mul(b.div(window, b.integer(self.lanes)), b.integer(PIECE_WORDS))
        pieces = [
            b.load(b.at(b.at(job["pieces"], number, _STEP), b.integer(n), _STEP), "q", 1)
            for n in range(PIECE_WORDS)
        ]
        first = b.at(image, b.load(distances, "q", 1))
        ways: list[tuple[int, Way]] = [
            (1, partial(self.whole, b, first)),
            (-2, partial(self.halved, b, first)),
            (2, self.in_pieces(b, image, pieces[1:], 2)),
            (MOST_PIECES, self.in_pieces(b, image, pieces[1:], MOST_PIECES)),
            (0, self.gathered(b, image, distances)),
        ]
        return pieces[0], ways

    def choose(self, b: Builder, kind: V, ways: list[tuple[int, Way]], act: Callable[[Way], None]) -> None:
        """Do what fits the kind of vector."""
        (number, way), *others = ways
        if others:
            b.either(
                b.eq(kind, b.integer(number)), partial(act, way), lambda: self.choose(b, kind, others, act)
            )
        else:
            act(way)

    def each(self, b: Builder, to: V, places: V, count: V, way: Way) -> None:
        """A vector for each of some elements of windows."""
        with b.loop(b.integer(0), count) as q:
            x = way(b.load(b.at(places, q, _STEP), "q", 1))
            b.store(x, b.at(to, b.mul(q, b.integer(self.width)), self.size))

    def whole(self, b: Builder, first: V, place: V) -> V:
        """A vector whose elements lie side by side."""
        return b.load(b.at(first, place), self.kind)

    def halved(self, b: Builder, first: V, place: V) -> V:
        """One of every other element. (The second load ends with the last of them: what follows may be nobody's.)"""
        n = self.lanes
        low = b.load(b.at(first, place), self.kind)
        high = b.load(b.at(b.at(first, place), b.integer(n - 1), self.size), self.kind)
        return b.shuffle(low, high, [2 * k if 2 * k < n else 2 * k + 1 for k in range(n)])

    def in_pieces(self, b: Builder, image: V, words: list[V], most: int) -> Way:
        """A vector of so many pieces, each side by side; of each how far it would begin if it was whole, and where it ends."""
        before, pieces = b.below(b.integer(0)), []
        for n in range(most):
            end = b.below(words[2 * n + 1])
            pieces.append((b.at(image, words[2 * n]), b.and_(end, b.not_(before))))
            before = end

        def way(place: V) -> V:
            found = None
            for first, mask in pieces:
                x = b.load(b.at(first, place), self.kind, mask=mask)
                found = x if found is None else b.select(mask, x, found)
            assert found is not None
            return found

        return way

    def gathered(self, b: Builder, image: V, distances: V) -> Way:
        """A vector of elements that lie anywhere."""
        places = b.load(distances, "q")
        return lambda place: b.gather(b.at(image, place), places, self.kind)


class Backward(Tiles):
    """Writes the module that multiplies windows by gradients."""

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`, a task of which is some elements of windows."""
        tile, b = self.tile(), self.builder()
        job = words(b, BACKWARD)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            start = b.mul(task, job["high"])
            stop = b.least(b.add(start, job["high"]), job["rows"])
            with b.loop(b.integer(0), job["number"]) as n:
                image = b.at(job["a"], b.mul(n, job["a_step"]))
                given = b.at(job["b"], b.mul(n, job["b_step"]))
                with b.loop(b.integer(0), job["depth"], DEPTH) as p:
                    self.block(b, job | {"a": image, "b": given, "more": b.add(n, p)}, start, stop, p)
        return b.module([tile, b.definition("kernel", PARAMS)])

    def block(self, b: Builder, job: dict[str, V], start: V, stop: V, p: V) -> None:
        """What the windows from number p on add to some rows of the result."""
        count = b.least(b.integer(DEPTH), b.sub(job["depth"], p))
        second = b.at(job["b"], b.mul(p, job["b_lines"]), self.size)
        places = b.at(job["places"], p, _STEP)
        with b.loop(b.integer(0), job["columns"], self.width) as j:
            y = b.at(second, b.mul(j, count), self.size)
            with b.loop(start, stop, HEIGHT) as i:
                c = b.at(b.at(job["c"], b.mul(i, job["c_row"])), j, self.size)
                left = [b.sub(stop, i), b.sub(job["columns"], j)]
                distances = [b.at(job["distances"], i, _STEP), places]
                more = b.add(job["more"], p)
                b.call("tile", [job["a"], *distances, y, c, count, more, *left, job["c_row"]])

    def tile(self) -> str:
        """`void tile(image, distances of elements, of windows, ...)`, the rest as that of `Tiles`."""
        b = self.builder()
        image, *rest = TILE
        lines, places = V("%lines", "p"), V("%places", "p")
        rows = [b.at(image, b.load(b.at(lines, b.integer(i), _STEP), "q", 1)) for i in range(HEIGHT)]

        def elements(p: V) -> list[V]:
            place = b.load(b.at(places, p, _STEP), "q", 1)
            return [b.at(row, place) for row in rows]

        self.write_tile(b, elements, *rest)
        return b.definition("tile", [image, lines, places, *rest], internal=True)


__all__ = ["BACKWARD", "FORWARD", "MOST_PIECES", "PIECE_WORDS", "Backward", "Forward", "Way"]
