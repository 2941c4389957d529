"""The kernels of products of matrices, and who runs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from rushlight.native import cpu
from rushlight.runtime.own_kernels import Kernel, loaded

#: bytes of the vectors that the kernels are written for
VECTOR = 64
#: multiplications from which on a job is worth several threads
_SHARED = 1 << 21


def run(kernel: Kernel, job: bytes, tasks: int, work: int) -> None:
    """Do a job of so many multiplications, on all threads if it is worth that."""
    kernel.run(job, tasks, work, _SHARED)


@cache
def products(kind: str) -> Kernel | None:
    """What multiplies by factors that fit in the cache."""
    from rushlight.codegen.products import Products

    return _loaded(lambda *facts: Products(*facts).text(), "direct", kind)


@cache
def turning(size: int) -> Kernel | None:
    """What turns such factors, of so large elements."""
    from rushlight.codegen import products

    return _loaded(products.turning, "turning", size)


@cache
def tiles(kind: str) -> Kernel | None:
    """What multiplies factors that are laid out in panels."""
    from rushlight.codegen.panels import Tiles

    return _loaded(lambda *facts: Tiles(*facts).text(), "tiles", kind)


@cache
def laying(size: int) -> Kernel | None:
    """What lays them out."""
    from rushlight.codegen import panels

    return _loaded(panels.laying, "laying", size)


@cache
def windows(kind: str, vectors: int, backward: bool = False) -> Kernel | None:
    """What multiplies weights by windows, or windows by gradients, so many vectors beside each other."""
    from rushlight.codegen.windows import Backward, Forward

    make = Backward if backward else Forward
    return _loaded(lambda kind, vectors, size: make(kind, size, vectors).text(), make.__name__, kind, vectors)


@cache
def channelwise(kind: str, backward: bool = False) -> Kernel | None:
    """The same of channels that have a kernel each."""
    from rushlight.codegen.channelwise import ChannelBackward, ChannelForward

    make = ChannelBackward if backward else ChannelForward
    return _loaded(lambda kind, size: make(kind, size, 1).text(), make.__name__, kind)


def _loaded(write: Callable[..., str], name: str, *facts: str | int) -> Kernel | None:
    """The kernel, on processors for whose vectors it is written."""
    return loaded(write, f"products {name}", *facts) if cpu.vector_bytes() >= VECTOR else None


__all__ = ["VECTOR", "channelwise", "laying", "products", "run", "tiles", "turning", "windows"]
