"""PyTorch's CPU random streams, bit for bit, on NumPy arrays and plain Python.

`generator` is the source of random words; `rounding` the exact arithmetic a compiled kernel does; `normals`, `continuous`, `discrete` and
`multinomial` are the distributions; `checks` the errors. A fill function takes a generator, the number of elements and a dtype name, and returns a
fresh flat array **in the order in which memory is laid out**: PyTorch fills a dense output by increasing address, so a transposed tensor takes the
values in its storage order (see `memory_order`).
"""

from rushlight.streams.continuous import cauchy, exponential, log_normal, uniform
from rushlight.streams.discrete import (
    bernoulli,
    bernoulli_each,
    dropout_noise,
    geometric,
    randint,
    random,
    randperm,
)
from rushlight.streams.generator import DEFAULT_SEED, Generator, memory_order
from rushlight.streams.multinomial import multinomial
from rushlight.streams.normals import normal
from rushlight.streams.rejection import poisson, standard_gamma

__all__ = [
    "DEFAULT_SEED",
    "Generator",
    "bernoulli",
    "bernoulli_each",
    "cauchy",
    "dropout_noise",
    "exponential",
    "geometric",
    "log_normal",
    "memory_order",
    "multinomial",
    "normal",
    "poisson",
    "randint",
    "random",
    "randperm",
    "standard_gamma",
    "uniform",
]
