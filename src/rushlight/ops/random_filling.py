"""Methods that fill a tensor with random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors, streams
from rushlight.batched import check_random, for_batches
from rushlight.buffer import Tensor, new_tensor, strides
from rushlight.ops import arguments
from rushlight.ops.promotion import is_number
from rushlight.ops.sampling import Generator, no_gradient, ordered, source
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record
from rushlight.tape.writes import check_write, rebase, wrote


def _filler(name: str, doc: str, draw: Callable, takes: dict[str, str], overloaded: bool = False) -> Any:
    """`Tensor.<name>(...)`: writes numbers drawn by `draw(stream, size, dtype name, *arguments)`, which are of the kinds `takes`."""
    names = tuple(takes)
    brought = arguments.bringer(names, takes)
    derivative = no_gradient("".join(part.capitalize() for part in name.rstrip("_").split("_")))

    def fill(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        if not isinstance(self, Tensor):
            raise errors.wrong_self(name, self)
        try:
            args = brought(args, kwargs)
        except errors.WrongArgument as wrong:
            wrong.overloaded = overloaded
            raise wrong.worded(name, names, args, kwargs) from None
        check_random()
        check_write(self, name)
        place = ordered(self)
        place[...] = draw(self, source(generator, name), *args, **kwargs).reshape(place.shape)
        wrote(self)
        if MODES.grad and self._edge is not None and requires_grad(self):
            out = new_tensor(self._a, self._dtype)
            record(derivative, (self,), None, out)
            rebase(self, out._edge)
        return self

    fill.__name__ = name
    fill.__qualname__ = f"Tensor.{name}"
    fill.__doc__ = doc
    return for_batches(fill)


def _draws(name: str, **names: str) -> Callable:
    """A stream's fill function with PyTorch's argument names."""

    def draw(t: Tensor, stream: Generator, *args: Any, **kwargs: Any) -> np.ndarray:
        kwargs = {names.get(key, key): value for key, value in kwargs.items()}
        return getattr(streams, name)(stream, t._a.size, t._dtype.name, *args, **kwargs)

    return draw


def _draw_uniform(t: Tensor, stream: Generator, *args: Any, **kwargs: Any) -> np.ndarray:
    low, high = (list(args) + [kwargs.pop("from", 0.0), kwargs.pop("to", 1.0)][len(args) :])[:2]
    if kwargs or len(args) > 2:
        raise TypeError(f"uniform_() takes (float from = 0, float to = 1), not {sorted(kwargs) or len(args)}")
    return streams.uniform(stream, t._a.size, t._dtype.name, low, high)


def _draw_normal(t: Tensor, stream: Generator, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    return streams.normal(stream, t._a.size, t._dtype.name, mean, std, contiguous=t._a.flags.c_contiguous)


def _draw_random(t: Tensor, stream: Generator, *args: Any, **kwargs: Any) -> np.ndarray:
    given = list(args) + [kwargs[key] for key in ("from", "to") if key in kwargs]
    if len(given) == 2:
        low, high = given
        if high is None:
            return streams.random(stream, t._a.size, t._dtype.name, low, None)
        return streams.random(stream, t._a.size, t._dtype.name, low, high)
    if len(given) == 1:
        return streams.random(stream, t._a.size, t._dtype.name, 0, given[0])
    return streams.random(stream, t._a.size, t._dtype.name)


def _draw_bernoulli(t: Tensor, stream: Generator, p: Any = 0.5) -> np.ndarray:
    if isinstance(p, Tensor):
        shown = p.expand(t._a.shape)._a
        order = streams.memory_order(t._a.shape, strides(t))
        flat = np.ascontiguousarray(shown.transpose(order))
        return streams.bernoulli_each(stream, flat, t._dtype.name)
    if not is_number(p):
        raise errors.wrong_type("bernoulli_", "p", 1, p, "float")
    return streams.bernoulli(stream, t._a.size, p, t._dtype.name)


def _draw_geometric(t: Tensor, stream: Generator, p: float) -> np.ndarray:
    return streams.geometric(stream, t._a.size, p, t._dtype.name)


uniform_ = _filler(
    "uniform_",
    "Fill with uniform numbers in [from, to); (0, 1) if not given.",
    _draw_uniform,
    {"from": "float", "to": "float"},
)
normal_ = _filler(
    "normal_",
    "Fill with normal numbers of the given mean (0) and std (1).",
    _draw_normal,
    {"mean": "float", "std": "float"},
)
random_ = _filler(
    "random_",
    "Fill with integers in [from, to); all that the dtype holds exactly if not given.",
    _draw_random,
    {"from": "int", "to": "int?"},
    overloaded=True,
)
bernoulli_ = _filler(
    "bernoulli_",
    "Fill with ones with probability `p` (a number or a tensor), else zeros.",
    _draw_bernoulli,
    {},
)
exponential_ = _filler(
    "exponential_",
    "Fill with exponentially distributed numbers of rate `lambd` (1).",
    _draws("exponential", lambd="rate"),
    {"lambd": "float"},
)
cauchy_ = _filler(
    "cauchy_",
    "Fill with Cauchy numbers of the given median (0) and sigma (1).",
    _draws("cauchy"),
    {"median": "float", "sigma": "float"},
)
log_normal_ = _filler(
    "log_normal_",
    "Fill with exp of normal numbers of the given mean (1) and std (2).",
    _draws("log_normal"),
    {"mean": "float", "std": "float"},
)
geometric_ = _filler(
    "geometric_",
    "Fill with geometric counts: trials up to the first success of probability `p`.",
    _draw_geometric,
    {"p": "float"},
)
