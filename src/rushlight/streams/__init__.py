"""PyTorch's CPU random streams, bit for bit, on NumPy arrays and plain Python.

`generator` is the source of random words; `rounding` the exact arithmetic a compiled kernel does; `normals`, `continuous`, `discrete` and
`weighted` are the distributions; `checks` the errors. A fill function takes a generator, the number of elements and a dtype name, and returns a
fresh flat array **in the order in which memory is laid out**: PyTorch fills a dense output by increasing address, so a transposed tensor takes the
values in its storage order (see `memory_order`).
"""

from __future__ import annotations

from rushlight import late
from rushlight.streams.generator import DEFAULT_SEED, Generator, memory_order

#: module -> its functions; it is loaded when one of them is first asked for
_HOMES = {
    "continuous": "cauchy exponential log_normal uniform",
    "discrete": "bernoulli bernoulli_each dropout_noise geometric randint random randperm",
    "normals": "normal",
    "rejection": "binomial dirichlet poisson standard_gamma",
    "weighted": "multinomial",
}

__getattr__, __dir__ = late.names(__name__, _HOMES)

__all__ = ["DEFAULT_SEED", "Generator", "memory_order", *late.listed(_HOMES)]
