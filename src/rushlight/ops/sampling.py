"""Random tensors: the numbers of `rushlight.streams`, as PyTorch's functions give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes, errors, streams
from rushlight.batched import check_random, for_batches
from rushlight.buffer import LEAF, Tensor, new_tensor, strides
from rushlight.deep import MOST, from_core
from rushlight.device import ELSEWHERE, MetaAsked, check_device
from rushlight.dtypes import COMPLEX, FLOATING, as_dtype, dtype, finfo, get_default_dtype, iinfo, int64
from rushlight.layout import broadcast, numel, sizes
from rushlight.ops.creation import empty_as, without_data
from rushlight.ops.spec import REGISTRY, Operation, public
from rushlight.tape.derivative import Derivative
from rushlight.tape.recording import record


class Generator(streams.Generator):
    """A source of random numbers; the same seed gives PyTorch's numbers.

    Example:
        >>> import rushlight as torch
        >>> torch.rand(2, generator=torch.Generator().manual_seed(0))
        tensor([0.4963, 0.7682])
    """

    def __init__(self, device: Any = "cpu") -> None:
        if str(device) != "cpu":
            raise RuntimeError(f"Generator(): device type {device} is not supported; only 'cpu' is")
        super().__init__()

    @property
    def device(self) -> Any:
        from rushlight.device import device

        return device("cpu")

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor of 5056 elements, in PyTorch's layout."""
        return new_tensor(super().get_state(), dtypes.uint8)

    def set_state(self, state: Any) -> Generator:
        """Go on from a state that `get_state` gave; TypeError if it is no uint8 tensor."""
        if not isinstance(state, Tensor) or state._dtype is not dtypes.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        super().set_state(np.ascontiguousarray(state._a))
        return self

    def clone_state(self) -> Generator:
        """A new generator in the same state."""
        return Generator().set_state(self.get_state())


default_generator = Generator()


def source(generator: Any, operation: str) -> Generator:
    check_random()
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{operation}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    return generator


# ---- results ----


def _fresh(flat: np.ndarray, shape: tuple[int, ...], kind: dtype, requires: bool = False) -> Tensor:
    out = new_tensor(flat.reshape(shape), kind)
    if requires:
        out.requires_grad = True
    return out


def _shape(args: tuple, size: Any, operation: str) -> tuple[int, ...]:
    shape = sizes(args if size is None else (size,), operation)
    for n in shape:
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def _kind(chosen: Any, default: dtype, operation: str, device: Any = None) -> dtype:
    """The dtype asked for, else the default; where the numbers are to be is checked, too."""
    if device is not None or ELSEWHERE.place is not None:
        check_device(ELSEWHERE.place if device is None else device, operation)
    return as_dtype(chosen, operation) or default


def ordered(t: Tensor) -> np.ndarray:
    """The elements of `t` with dimensions in the order of memory, in which the streams fill."""
    return t._a.transpose(streams.memory_order(t._a.shape, strides(t)))


def _like(x: Tensor, kind: dtype, make: Callable, wanted: Any = None) -> Tensor:
    """A tensor laid out as `x` is, or as `wanted` says, filled in the order of its memory by `make(size, whether it is
    contiguous)`."""
    a = empty_as(x, kind, wanted)
    out = new_tensor(a, kind)
    place = ordered(out)
    place[...] = make(a.size, a.flags.c_contiguous).reshape(place.shape)
    return out


# ---- functions that make tensors ----


def _draw_as(out: Tensor, shape: tuple[int, ...], draw: Callable) -> Tensor:
    """What `draw(size, dtype name, whether it is contiguous)` fills `out` with once it has that shape.

    The numbers are in the order of its memory, and as PyTorch draws them for memory with gaps.
    """
    kind = out._dtype
    plain = out._a.shape != shape or out._a.flags.c_contiguous
    flat = draw(numel(shape), kind.name, plain)
    if plain:
        return _fresh(flat, shape, kind)
    made = np.empty(shape, kind.numpy)
    place = made.transpose(streams.memory_order(shape, strides(out)))
    place[...] = flat.reshape(place.shape)
    return new_tensor(made, kind)


def _check_asked(asked: Any, out: Tensor, operation: str) -> None:
    kind = _kind(asked, out._dtype, operation)
    if kind is not out._dtype:
        raise RuntimeError(f"dtype {kind.legacy} does not match dtype of out parameter ({out._dtype.legacy})")


def _maker(name: str, doc: str, draw: Callable) -> Any:
    """`name(*size, ...)`, of numbers that `draw(stream, size, dtype name, contiguous)` gives."""

    def fill(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Tensor:
        out = outs[0]
        _check_asked(kwargs.get("dtype"), out, name)
        stream = source(kwargs.get("generator"), name)
        return _draw_as(out, _shape(args, kwargs.get("size"), name), lambda *how: draw(stream, *how))

    def make(
        *args: Any,
        size: Any = None,
        generator: Any = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        shape = _shape(args, size, name)
        if len(shape) > MOST:
            return from_core(
                lambda core: make(core, generator=generator, dtype=dtype, requires_grad=requires_grad), shape
            )
        try:
            kind = _kind(dtype, get_default_dtype(), name, device)
        except MetaAsked:
            return without_data(shape, dtype, get_default_dtype(), requires_grad, name)
        flat = draw(source(generator, name), numel(shape), kind.name, True)
        return _fresh(flat, shape, kind, requires_grad)

    make.__name__ = name
    make.__doc__ = doc
    return public(make, name=name, out=fill)


rand = _maker(
    "rand",
    """Uniform numbers in [0, 1), of the given sizes: PyTorch's numbers for the same seed.

    Example:
        >>> import rushlight as torch
        >>> _ = torch.manual_seed(0)
        >>> torch.rand(2)
        tensor([0.4963, 0.7682])
    """,
    lambda g, n, name, plain: streams.uniform(g, n, name),
)
randn = _maker(
    "randn",
    """Numbers of the normal distribution with mean 0 and standard deviation 1.

    Example:
        >>> import rushlight as torch
        >>> _ = torch.manual_seed(0)
        >>> torch.randn(2)
        tensor([ 1.5410, -0.2934])
    """,
    lambda g, n, name, plain: streams.normal(g, n, name, contiguous=plain),
)


@public
def randint(*args, low=0, high=None, size=None, generator=None, dtype=None, layout=None, device=None,
            requires_grad=False, pin_memory=False):  # fmt: skip
    """Integers from `low` (0) up to but not including `high`, in a tensor of shape `size`.

    Called as `randint(high, size)` or `randint(low, high, size)`.

    Raises:
        TypeError: arguments that are no numbers and a shape.
        RuntimeError: no number lies between `low` and `high`.

    Example:
        >>> import rushlight as torch
        >>> torch.randint(5, 6, (2,))
        tensor([5, 5])
    """
    given = list(args)
    if size is None:
        if not given or not isinstance(given[-1], (tuple, list)):
            raise TypeError(
                "randint(): argument 'size' must be tuple of ints, as the last positional argument"
            )
        size = given.pop()
    if len(given) == 2:
        low, high = given
    elif len(given) == 1:
        high = given[0]
    if high is None or len(given) > 2 or not _integer(low) or not _integer(high):
        raise TypeError(
            "randint() takes (int high, tuple of ints size) or (int low, int high, tuple of ints size)"
        )
    shape, kind = _shape((size,), None, "randint"), _kind(dtype, int64, "randint", device)
    flat = streams.randint(source(generator, "randint"), numel(shape), int(low), int(high), kind.name)
    return _fresh(flat, shape, kind, requires_grad)


def _integer(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, (tuple, list))


@public
def randperm(
    n, *, generator=None, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """The integers 0 to n - 1 in random order.

    Raises:
        RuntimeError: `n` is negative, or the type does not have all whole numbers below it.

    Example:
        >>> import rushlight as torch
        >>> torch.randperm(4).sort().values
        tensor([0, 1, 2, 3])
    """
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    kind = _kind(dtype, int64, "randperm", device)
    if not kind.is_complex:
        _check_numbers_below(n, kind)
    return _fresh(streams.randperm(source(generator, "randperm"), n, kind.name), (n,), kind, requires_grad)


def _check_numbers_below(n: int, kind: Any) -> None:
    if not kind.is_floating_point:
        if n > 0 and n - 1 > (1 if kind.name == "bool" else iinfo(kind).max):
            raise RuntimeError(
                f"value cannot be converted to type {kind.name} without overflow: randperm of {n} numbers"
            )
        return
    exact = int(2 / finfo(kind).eps) + 1
    if n > exact and kind.name != "bfloat16":  # of which PyTorch does not ask it
        raise RuntimeError(f"n cannot be greater than {exact} for {kind.legacy} type.")


@for_batches
def rand_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, generator=None
):
    """`rand` with the shape, dtype and layout of `input`."""
    return _filled_like(
        "rand_like",
        lambda g, n, name, plain: streams.uniform(g, n, name),
        input,
        dtype,
        requires_grad,
        generator,
        memory_format,
        device,
    )


@for_batches
def randn_like(
    input, *, dtype=None, layout=None, device=None, requires_grad=False, memory_format=None, generator=None
):
    """`randn` with the shape, dtype and layout of `input`."""
    return _filled_like(
        "randn_like",
        lambda g, n, name, plain: streams.normal(g, n, name, contiguous=plain),
        input,
        dtype,
        requires_grad,
        generator,
        memory_format,
        device,
    )


def _filled_like(
    name: str, draw: Callable, x: Any, kind: Any, requires: bool, generator: Any, wanted: Any, device: Any
) -> Tensor:
    if not isinstance(x, Tensor):
        raise errors.wrong_type(name, "input", 1, x)
    check_random()
    kind = _kind(kind, x._dtype, name, device)
    out = _like(x, kind, lambda n, plain: draw(source(generator, name), n, kind.name, plain), wanted)
    if requires:
        out.requires_grad = True
    return out


@for_batches
def randint_like(input, low=0, high=None, *, dtype=None, layout=None, device=None, requires_grad=False,
                 memory_format=None, generator=None):  # fmt: skip
    """`randint` with the shape, dtype and layout of `input`: `randint_like(x, high)` or `(x, low, high)`."""
    low, high = (0, low) if high is None else (low, high)
    return _filled_like(
        "randint_like",
        lambda g, n, name, plain: streams.randint(g, n, int(low), int(high), name),
        input,
        dtype,
        requires_grad,
        generator,
        memory_format,
        device,
    )


for _function in (rand_like, randn_like, randint_like):
    REGISTRY[_function.__name__] = Operation(_function.__name__, _function, _function, None)  # type: ignore[arg-type]


def _normal_into(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Tensor:
    """Drawn in the dtype of `out`. PyTorch lets its shape take part where one of the two is a number."""
    out = outs[0]
    given = dict(zip(("mean", "std", "size"), args)) | kwargs
    mean, std, size = given.get("mean", 0.0), given.get("std", 1.0), given.get("size")
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    if out._dtype.category == COMPLEX or not tensors and size is None:
        return plain(*args, **kwargs)
    stream = source(given.get("generator"), "normal")
    if not tensors:
        _check_asked(given.get("dtype"), out, "normal")
        shape, spread = _shape((size,), None, "normal"), (mean, std)
    else:
        _check_spread(std)
        shape = broadcast(
            *[v._a.shape for v in tensors],
            *([] if mean is not tensors[0] or len(tensors) > 1 else [out._a.shape]),
        )
        spread = 0.0, 1.0 if isinstance(std, Tensor) else std
    made = _draw_as(
        out, shape, lambda n, name, plain: streams.normal(stream, n, name, *spread, contiguous=plain)
    )
    if isinstance(std, Tensor):
        made = made.mul(std)
    return made.add(mean) if tensors else made


def _check_spread(std: Any) -> None:
    if isinstance(std, Tensor) and std._a.size and not bool((std._a >= 0).all()):
        raise RuntimeError("normal expects all elements of std >= 0.0")


@public(out=_normal_into)
def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, layout=None, device=None,
           requires_grad=False, pin_memory=False):  # fmt: skip
    """Normal numbers with the given means and standard deviations (numbers or tensors, broadcast).

    Raises:
        RuntimeError: a standard deviation is negative.
    """
    stream = source(generator, "normal")
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal(): with two numbers, argument 'size' must be given")
        shape, kind = _shape((size,), None, "normal"), _kind(dtype, get_default_dtype(), "normal", device)
        return _fresh(streams.normal(stream, numel(shape), kind.name, mean, std), shape, kind, requires_grad)
    return _normal_of_tensors(stream, mean, std)


def _normal_of_tensors(stream: Generator, mean: Any, std: Any) -> Tensor:
    like = mean if isinstance(mean, Tensor) else std
    kind = like._dtype
    shape = broadcast(*[v._a.shape for v in (mean, std) if isinstance(v, Tensor)])
    _check_spread(std)
    spread = 1.0 if isinstance(std, Tensor) else std
    out = _fresh(streams.normal(stream, numel(shape), kind.name, 0.0, spread), shape, kind)
    with_std = out.mul(std.detach()) if isinstance(std, Tensor) else out
    out = with_std.add(mean.detach() if isinstance(mean, Tensor) else mean)
    node = _NORMAL[isinstance(mean, Tensor) + 2 * isinstance(std, Tensor)]
    record(node, tuple(v if isinstance(v, Tensor) else None for v in (mean, std)), None, out)
    return out


def _zeros(g: Any, needs: Any) -> tuple:
    return tuple(g.new_zeros(g.shape) if need else None for need in needs)


_NORMAL = {
    1: Derivative("NormalBackward1", ("mean", "std"), _zeros),
    2: Derivative("NormalBackward2", ("mean", "std"), _zeros),
    3: Derivative("NormalBackward3", ("mean", "std"), _zeros),
}


def no_gradient(node: str) -> Derivative:
    """A result that is random: its gradient exists, and is zero."""
    return Derivative(node, ("x",), (lambda g: g.new_zeros(g.shape),))


def _as_out(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """Zeros and ones fit every dtype."""
    return plain(*args, **kwargs).to(outs[0]._dtype)


@public(out=_as_out, takes={"p": "float?"})
def bernoulli(input, p=None, *, generator=None):
    """Ones with the probabilities in `input`, zeros otherwise (or with probability `p` everywhere).

    Raises:
        RuntimeError: a probability outside [0, 1].
    """
    stream = source(generator, "bernoulli")
    kind = input._dtype
    if p is not None:
        out = _fresh(streams.bernoulli(stream, input._a.size, p, kind.name), input._a.shape, kind)
    else:
        if kind.category < FLOATING:
            raise NotImplementedError(f"\"bernoulli_tensor_cpu_p_\" not implemented for '{kind.legacy}'")
        out = _fresh(streams.bernoulli_each(stream, np.ascontiguousarray(input._a)), input._a.shape, kind)
    record(_BERNOULLI, (input,), None, out)
    return out


_BERNOULLI = no_gradient("Bernoulli")
_POISSON = no_gradient("Poisson")


@public(out=False)
def poisson(input, generator=None):
    """Counts of the Poisson distribution with the rates in `input`."""
    stream = source(generator, "poisson")
    drawn = streams.poisson(stream, np.ascontiguousarray(input._a))
    out = new_tensor(drawn.reshape(input._a.shape), input._dtype)
    record(_POISSON, (input,), None, out)
    return out


def _only_long(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    if outs[0]._dtype is not int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {outs[0]._dtype.legacy}")
    return plain(*args, **kwargs)


@public(out=_only_long, takes={"num_samples": "int", "replacement": "bool"})
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn with the weights in `input` (one row, or a matrix of rows), as int64.

    Raises:
        RuntimeError: negative, infinite or all-zero weights; more samples than categories without replacement.
    """
    drawn = streams.multinomial(source(generator, "multinomial"), input._a, num_samples, replacement)
    return new_tensor(drawn, int64)


def draw_dropout(x: Tensor, p: float) -> Tensor:
    """The factors by which dropout multiplies `x`: 0 with probability `p`, else 1 / (1 - p)."""
    check_random()
    kind = x._dtype
    return _like(x, kind, lambda n, plain: streams.dropout_noise(default_generator, n, p, kind.name))


__all__ = ["Generator", "LEAF", "default_generator", "draw_dropout"]
