"""The products of convolutions of which every channel has a kernel of its own, as code.

There is nothing to share between channels, so no factor is laid out: a vector of windows takes up one element of the kernel after
another. Where windows lie is said by the tables of `windows`.
"""

from __future__ import annotations

from functools import partial

from rushlight.codegen.builder import Builder
from rushlight.codegen.job import PARAMS, words
from rushlight.codegen.values import V
from rushlight.codegen.windows import Forward, Way

#: the words of both: weights, image, result (or gradients of the result); windows, elements of a kernel; distances of windows and of elements;
#: how vectors of windows lie; what is added to each channel, and whether anything is; bytes from example to example and from channel to
#: channel of the image and of the result; channels, examples
WORDS = tuple(
    "a b c columns depth distances places pieces bias biased b_step b_channel c_step c_channel channels number".split()
)
#: elements of kernels for whose sums there is room
MOST = 128
_STEP = 8  # bytes of a distance


class ChannelForward(Forward):
    """Writes the module whose tasks are channels of examples: windows times weights."""

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b = self.builder()
        job = words(b, WORDS)
        with b.loop(PARAMS[1], PARAMS[2]) as task:
            example, channel = b.div(task, job["channels"]), b.rem(task, job["channels"])
            image = self.of(b, job, "b", example, channel)
            made = self.of(b, job, "c", example, channel)
            weights = b.at(job["a"], b.mul(channel, job["depth"]), self.size)
            start = b.room(self.kind)
            b.store(b.const(0, self.kind), start)
            with b.when(b.gt(job["biased"], b.integer(0))):
                b.store(b.splat(b.load(b.at(job["bias"], channel, self.size), self.kind, 1)), start)
            with b.loop(b.integer(0), job["columns"], self.lanes) as j:
                act = partial(self.vector, b, job, weights, start, b.at(made, j, self.size), j)
                kind, ways = self.ways(b, job, image, j)
                self.choose(b, kind, ways, act)
        return b.module([b.definition("kernel", PARAMS)])

    def of(self, b: Builder, job: dict[str, V], word: str, example: V, channel: V) -> V:
        """Where a channel of an example begins."""
        here = b.at(job[word], b.mul(example, job[f"{word}_step"]))
        return b.at(here, b.mul(channel, job[f"{word}_channel"]))

    def vector(self, b: Builder, job: dict[str, V], weights: V, start: V, to: V, j: V, way: Way) -> None:
        """A vector of the result."""
        total = b.room(self.kind)
        b.store(b.load(start, self.kind), total)
        with b.loop(b.integer(0), job["depth"]) as q:
            weight = b.splat(b.load(b.at(weights, q, self.size), self.kind, 1))
            x = way(b.load(b.at(job["places"], q, _STEP), "q", 1))
            b.store(b.fma(x, weight, b.load(total, self.kind)), total)
        b.store(b.load(total, self.kind), to, mask=b.below(b.sub(job["columns"], j)))


class ChannelBackward(ChannelForward):
    """Writes the module whose tasks are channels: windows times gradients, added up over all examples."""

    def text(self) -> str:
        """The text of an LLVM module with the function `kernel`."""
        b = self.builder()
        job = words(b, WORDS)
        sums = b.room(self.kind, self.lanes, MOST)
        with b.loop(PARAMS[1], PARAMS[2]) as channel:
            with b.loop(b.integer(0), job["depth"]) as q:
                b.store(b.const(0, self.kind), self.sum(b, sums, q))
            with b.loop(b.integer(0), job["number"]) as n:
                image, given = self.of(b, job, "b", n, channel), self.of(b, job, "c", n, channel)
                with b.loop(b.integer(0), job["columns"], self.lanes) as j:
                    mask = b.below(b.sub(job["columns"], j))
                    g = b.load(b.at(given, j, self.size), self.kind, mask=mask)
                    kind, ways = self.ways(b, job, image, j)
                    self.choose(b, kind, ways, partial(self.add, b, job, sums, g, mask))
            with b.loop(b.integer(0), job["depth"]) as q:
                total = b.load(self.sum(b, sums, q), self.kind)
                lanes = [b.cast(b.extract(total, lane), "d") for lane in range(self.lanes)]
                while len(lanes) > 1:
                    lanes = [b.add(x, y) for x, y in zip(lanes[::2], lanes[1::2])]
                to = b.at(b.at(job["a"], b.mul(channel, job["depth"]), self.size), q, self.size)
                b.store(b.cast(lanes[0], self.kind), to)
        return b.module([b.definition("kernel", PARAMS)])

    def sum(self, b: Builder, sums: V, q: V) -> V:
        return b.at(sums, b.mul(q, b.integer(self.lanes * self.size)))

    def add(self, b: Builder, job: dict[str, V], sums: V, g: V, mask: V, way: Way) -> None:
        """What a vector of windows adds to the sums."""
        with b.loop(b.integer(0), job["depth"]) as q:
            x = b.select(mask, way(b.load(b.at(job["places"], q, _STEP), "q", 1)), b.const(0, self.kind))
            total = self.sum(b, sums, q)
            b.store(b.fma(x, g, b.load(total, self.kind)), total)


__all__ = ["MOST", "WORDS", "ChannelBackward", "ChannelForward"]
