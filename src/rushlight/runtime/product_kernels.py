"""The kernels of products of matrices, and who runs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from rushlight.native import cpu, jit, threads

#: bytes of the vectors that the kernels are written for
VECTOR = 64
#: multiplications from which on a job is worth several threads
_SHARED = 1 << 21


class Kernel(NamedTuple):
    """A kernel: its address, and what runs it on the caller's thread."""

    address: int
    call: Callable[[int | bytes, int, int], None]


def run(kernel: Kernel, job: bytes, tasks: int, work: int) -> None:
    """Do a job of so many multiplications, on all threads if it is worth that."""
    if work < _SHARED:
        kernel.call(job, 0, tasks)
    else:
        threads.run(kernel.address, job, tasks)


@cache
def products(kind: str) -> Kernel | None:
    """What multiplies by factors that fit in the cache."""
    from rushlight.codegen.products import Products

    return _loaded(f"products {kind} {VECTOR}", lambda: Products(kind, VECTOR).text())


@cache
def turning(size: int) -> Kernel | None:
    """What turns such factors, of so large elements."""
    from rushlight.codegen import products

    return _loaded(f"products turning {size} {VECTOR}", lambda: products.turning(size, VECTOR))


@cache
def tiles(kind: str) -> Kernel | None:
    """What multiplies factors that are laid out in panels."""
    from rushlight.codegen.panels import Tiles

    return _loaded(f"products tiles {kind} {VECTOR}", lambda: Tiles(kind, VECTOR).text())


@cache
def laying(size: int) -> Kernel | None:
    """What lays them out."""
    from rushlight.codegen import panels

    return _loaded(f"products laying {size} {VECTOR}", lambda: panels.laying(size, VECTOR))


@cache
def windows(kind: str, vectors: int, backward: bool = False) -> Kernel | None:
    """What multiplies weights by windows, or windows by gradients, so many vectors beside each other."""
    from rushlight.codegen.windows import Backward, Forward

    make = Backward if backward else Forward
    text = f"products {make.__name__} {kind} {vectors} {VECTOR}"
    return _loaded(text, lambda: make(kind, VECTOR, vectors).text())


@cache
def channelwise(kind: str, backward: bool = False) -> Kernel | None:
    """The same of channels that have a kernel each."""
    from rushlight.codegen.channelwise import ChannelBackward, ChannelForward

    make = ChannelBackward if backward else ChannelForward
    return _loaded(f"products {make.__name__} {kind} {VECTOR}", lambda: make(kind, VECTOR, 1).text())


def _loaded(text: str, ir: Callable[[], str]) -> Kernel | None:
    """The kernel, on processors for whose vectors it is written."""
    if cpu.vector_bytes() < VECTOR:
        return None
    try:
        address = jit.load("products", text, ir).address
    except RuntimeError:  # LLVM cannot compile it here
        return None
    return Kernel(address, threads.kernel(address))


__all__ = ["VECTOR", "Kernel", "channelwise", "laying", "products", "run", "tiles", "turning", "windows"]
