"""Random numbers inside `vmap`: refused, the same for all entries, or different for each, as it was asked.

Numbers for all entries are drawn at once, from one stretch of the generator's stream, as PyTorch draws them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rushlight.batched import LEVELS, TAKE_OVER, Level
from rushlight.buffer import Tensor
from rushlight.func.dispatch import At, innermost, one_by_one, rule, tensors_in
from rushlight.func.rules.dims import bound
from rushlight.func.rules.elementwise import elementwise
from rushlight.ops.joining import stack
from rushlight.random import get_rng_state, set_rng_state

_REFUSED = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
    "randomness flags on vmap or perform the randomness operation out of vmap"
)
_SAME = "Vmap does not currently support same randomness with a batched tensor input. Please file an issue with functorch"
_UNBATCHED = (
    "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This will appear like same randomness. If "
    "this is necessary for your usage, please file an issue with functorch."
)


@contextlib.contextmanager
def _outside() -> Iterator[Level]:
    """Run as if the innermost `vmap` were not there."""
    before = LEVELS.running
    LEVELS.running = before[:-1]
    try:
        yield before[-1]
    finally:
        LEVELS.running = before


def draw(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    """A random operation for the innermost `vmap` that is running."""
    with _outside() as level:
        if level.randomness == "error":
            raise RuntimeError(_REFUSED)
        at = At(level.depth, level.size, name)
        found = _DRAWS.get(name)
        if found is not None:
            return found(at, level.randomness == "different", function, args, kwargs)
        return _each(at, level.randomness == "different", function, args, kwargs)


def _each(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    """One entry after the other, each with numbers of its own, or all from the same state of the generator."""
    state = get_rng_state()

    def again(*entry: Any, **named: Any) -> Any:
        if not different:
            set_rng_state(state)
        return function(*entry, **named)

    if innermost(args, kwargs) is not None:
        return one_by_one(at.name, again, args, kwargs)
    if not different:
        return function(*args, **kwargs)
    return at.out(stack([function(*args, **kwargs) for _ in range(at.size)]))


_DRAWS: dict[str, Callable] = {}


def _draws(*names: str) -> Callable:
    def declare(function: Callable) -> Callable:
        for name in names:
            _DRAWS[name] = function
        return function

    return declare


@_draws("rand", "randn")
def of_sizes(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    if not different:
        return function(*args, **kwargs)
    size = kwargs.pop("size", None)
    sizes = size if size is not None else args
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    return at.out(function(at.size, *sizes, **kwargs))


@_draws("randint")
def randint(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    if not different:
        return function(*args, **kwargs)
    *given, size = args if "size" not in kwargs else (*args, kwargs.pop("size"))
    return at.out(function(*given, (at.size, *size), **kwargs))


@_draws("rand_like", "randn_like", "randint_like")
def like(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Different numbers are those for all entries; the same are the first entry's."""
    x, *rest = args if args else (kwargs.pop("input"),)
    if different:
        whole = x.inner if at.has(x) else at.full(x).contiguous()
        return at.out(function(whole, *rest, **kwargs))
    return function(x.inner[0] if at.has(x) else x, *rest, **kwargs)


@_draws("bernoulli", "poisson", "multinomial", "normal")
def of_parameters(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Numbers of distributions whose parameters are tensors, of which each entry may have its own."""
    belong = any(map(at.has, tensors_in((args, kwargs))))
    if not different:
        if belong:
            raise RuntimeError(_SAME)
        return function(*args, **kwargs)
    if not belong or at.name == "multinomial" and args[0].ndim != 1:
        return _each(at, True, function, args, kwargs)
    full = [at.full(x).contiguous() if isinstance(x, Tensor) else x for x in args]
    named = {key: at.full(x).contiguous() if isinstance(x, Tensor) else x for key, x in kwargs.items()}
    return at.out(function(*full, **named))


@_draws(
    "uniform_", "normal_", "random_", "bernoulli_", "exponential_", "cauchy_", "log_normal_", "geometric_"
)
def fill(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    x, *rest = args
    if not different and any(map(at.has, tensors_in((rest, kwargs)))):
        raise RuntimeError(_SAME)
    if not at.has(x):
        if different:
            raise RuntimeError(_UNBATCHED)
        return function(x, *rest, **kwargs)
    if different:
        function(x.inner, *[at.inner(value) for value in rest], **kwargs)
    elif at.size:
        x.inner.copy_(function(x.inner[0].clone(), *rest, **kwargs))
    return x


@_draws("nn.functional.dropout", "nn.functional.alpha_dropout", "nn.functional.scaled_dot_product_attention")
def dropout(at: At, different: bool, function: Callable, args: tuple, kwargs: dict) -> Any:
    if not different or any(t.ndim != args[0].ndim for t in tensors_in((args, kwargs))):
        return _each(at, different, function, args, kwargs)
    full = [at.full(x) if isinstance(x, Tensor) else x for x in args]
    return at.out(
        function(*full, **{key: at.full(x) if isinstance(x, Tensor) else x for key, x in kwargs.items()})
    )


@rule("nn.functional.dropout", "nn.functional.alpha_dropout", "nn.functional.dropout1d", "nn.functional.dropout2d",
      "nn.functional.dropout3d", "nn.functional.feature_alpha_dropout")  # fmt: skip
def maybe_dropout(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Dropout draws nothing with probability 0, or outside of training."""
    x = args[0] if args else kwargs["input"]
    p = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", args[2] if len(args) > 2 else "alpha" not in at.name)
    if p == 0 or not training:
        return x
    return TAKE_OVER.random(at.name, function, args, kwargs)


def install() -> None:
    TAKE_OVER.random = draw


@rule("rrelu")
def rrelu(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    if bound("rrelu", args, kwargs)["training"]:
        raise RuntimeError("vmap: we do not yet support aten::rrelu. Please file an issue")
    return elementwise(at, function, args, kwargs)
