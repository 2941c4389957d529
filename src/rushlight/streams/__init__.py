"""PyTorch's CPU random streams, bit for bit, on NumPy arrays and plain Python.

`generator` is the source of random words; `rounding` the exact arithmetic a compiled kernel does; `normals`, `continuous`, `discrete` and
`weighted` are the distributions; `checks` the errors. A fill function takes a generator, the number of elements and a dtype name, and returns a
fresh flat array **in the order in which memory is laid out**: PyTorch fills a dense output by increasing address, so a transposed tensor takes the
values in its storage order (see `memory_order`).
"""

from __future__ import annotations

from rushlight import late
from rushlight.streams.generator import DEFAULT_SEED, Generator, memory_order

#: where each function is; a module is loaded when one of its functions is first asked for
_HOMES = {
    "bernoulli": "discrete",
    "bernoulli_each": "discrete",
    "binomial": "rejection",
    "cauchy": "continuous",
    "dirichlet": "rejection",
    "dropout_noise": "discrete",
    "exponential": "continuous",
    "geometric": "discrete",
    "log_normal": "continuous",
    "multinomial": "weighted",
    "normal": "normals",
    "poisson": "rejection",
    "randint": "discrete",
    "random": "discrete",
    "randperm": "discrete",
    "standard_gamma": "rejection",
    "uniform": "continuous",
}

__getattr__ = late.names(__name__, _HOMES)


__all__ = ["DEFAULT_SEED", "Generator", "memory_order", *_HOMES]
