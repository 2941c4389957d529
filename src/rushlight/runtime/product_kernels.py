"""The kernels of products of matrices, and who runs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from rushlight.native import cpu
from rushlight.runtime.own_kernels import Kernel, loaded

#: bytes of the vectors that the kernels are written for
VECTOR = 64
#: those of the narrowest vectors of which some lanes can be loaded and stored
_MASKED = 32
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
def narrow(kind: str, along: bool, lines: int) -> Kernel | None:
    """What multiplies a matrix by so many vectors; see `rushlight.codegen.narrow`."""
    from rushlight.codegen.narrow import Along, Down

    form = Along if along else Down
    return _of_any(lambda *facts: form(*facts).text(), f"narrow {form.__name__}", kind, lines)


@cache
def adding_up(kind: str) -> Kernel | None:
    """What adds up the results of parts of such a product."""
    from rushlight.codegen import narrow

    return _of_any(narrow.adding_up, "adding up", kind)


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


def _of_any(write: Callable[..., str], name: str, *facts: str | int) -> Kernel | None:
    """The kernel, on processors that load and store some lanes of a vector as quickly as all."""
    return loaded(write, f"products {name}", *facts) if cpu.vector_bytes() >= _MASKED else None


__all__ = [
    "VECTOR",
    "adding_up",
    "channelwise",
    "laying",
    "narrow",
    "products",
    "run",
    "tiles",
    "turning",
    "windows",
]
