"""Random integers, permutations, coin tosses and waiting times."""

from __future__ import annotations

import math
import warnings

import numpy as np

from rushlight.streams.checks import (
    DIGITS,
    FLOATS,
    INTEGERS,
    LARGEST,
    SCALAR_TYPES,
    UNSIGNED,
    name_of,
    number,
    numpy_dtype,
    require,
    require_dtype,
)
from rushlight.streams.generator import Generator
from rushlight.streams.rounding import cast, log, log1p

Array = np.ndarray

LOWEST, HIGHEST = -(2**63), 2**63 - 1
WIDE = 2**28  # ranges from here on take two words, which keeps the skew of the remainder small
LONG = 2**14  # places up to which a shuffle goes one by one
SHUFFLE_IN_PLACE = (2**32 - 1) // 20  # shorter permutations swap in place and take one word an element

# ---- integers ----


def random(gen: Generator, size: int, dtype: str, low: int | None = None, high: int | None = None) -> Array:
    """Tensor.random_: integers in [low, high); without `high`, up to the dtype's largest; without both, its whole non-negative range.

    For floats "largest" means the largest integer up to which all are representable. low=-2**63 without `high` is the full 64-bit range.
    Raises RuntimeError for an empty range and for bounds beyond the dtype.

    >>> random(Generator(0), 3, "int64", 0, 10).tolist()
    [4, 9, 3]
    """
    if low is None and high is None:
        return _random_nonnegative(gen, size, dtype)
    low = 0 if low is None else low
    if any(bound is not None and not LOWEST <= bound <= HIGHEST for bound in (low, high)):
        raise ValueError("Overflow when unpacking long long")
    if high is None and low == LOWEST:
        return _random_full_range(gen, size, dtype)
    low, last = _range_upwards(dtype, low) if high is None else _range_between(dtype, low, high)
    _check_range(dtype, low, last)
    return _from_words(gen, size, dtype, low, last - low + 1)


def randint(gen: Generator, size: int, low: int, high: int, dtype: str = "int64") -> Array:
    """torch.randint: integers in [low, high)."""
    return random(gen, size, dtype, low, high)


def _from_words(gen: Generator, size: int, dtype: str, low: int, count: int) -> Array:
    """`low` plus the remainder of a word, or of two, by `count`."""
    if count >= WIDE:
        offset = gen.words64(size) % np.uint64(count) if count < 2**64 else gen.words64(size)
    else:
        offset = (gen.words(size) % np.uint32(count)).astype(np.uint64)
    offset += np.uint64(low % 2**64)
    return cast(offset.view(np.int64), dtype)


def _random_nonnegative(gen: Generator, size: int, dtype: str) -> Array:
    require_dtype("random_kernel_cpu", dtype, (*INTEGERS, *FLOATS, "bool"))
    draw = gen.words64 if dtype in ("int64", "float64") else gen.words
    words = draw(size)
    return cast((words % words.dtype.type(_choices(dtype))).astype(np.int64), dtype)


def _choices(dtype: str) -> int:
    if dtype in DIGITS:
        return 2 ** DIGITS[dtype] + 1
    return 2 if dtype == "bool" else int(np.iinfo(dtype).max) + 1


def _random_full_range(gen: Generator, size: int, dtype: str) -> Array:
    kernel, handled = "random_full_64_bits_range_kernel_cpu", ("int64", "float64", "float32", "bfloat16")
    require_dtype(kernel, dtype, (*INTEGERS, *handled))
    require(dtype in handled, f"{kernel} handles only int64, double, float and bfloat16")
    return cast(gen.words64(size).view(np.int64), dtype)


def _range_between(dtype: str, low: int, high: int) -> tuple[int, int]:
    require(low < high, f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    if dtype in DIGITS:
        low, high = _next_representable(dtype, low), _previous_representable(dtype, high)
        require(
            low < high,
            f"random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from={low} >= to={high}",
        )
    return low, high - 1


def _range_upwards(dtype: str, low: int) -> tuple[int, int]:
    if dtype not in DIGITS:
        _check_real(dtype, "random_from_to_impl")
        # PyTorch keeps the largest uint64 in an int64, where it is -1.
        return low, {"bool": 1, "uint64": -1}.get(dtype) or int(np.iinfo(dtype).max)
    last = 2 ** DIGITS[dtype]
    low = _next_representable(dtype, low)
    require(
        low < last,
        f"random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, but got from={low} > to_inc={last}",
    )
    return low, last


# Note [Bounds of float ranges]
# Integers are drawn first and cast afterwards, and a cast may round down below `low` or up to `high`. So the bounds are first moved inwards
# to integers the dtype can represent.


def _next_representable(dtype: str, low: int) -> int:
    rounded = _through(dtype, low + 1)
    return rounded + _spacing(dtype, low + 1) if rounded < low else low


def _previous_representable(dtype: str, high: int) -> int:
    rounded = _through(dtype, high - 1)
    return rounded - _spacing(dtype, high - 1) if rounded >= high else high


def _through(dtype: str, value: int) -> int:
    """`value` cast to `dtype` and back to int64; what does not fit becomes the lowest int64, as on x86."""
    rounded = float(cast(np.array([value], np.int64), dtype)[0])
    return int(rounded) if -(2.0**63) <= rounded < 2.0**63 else LOWEST


def _spacing(dtype: str, value: int) -> int:
    return 1 << (abs(value).bit_length() - DIGITS[dtype])


def _check_real(dtype: str, check: str) -> None:
    real = (*INTEGERS, *UNSIGNED, *FLOATS, "bool")
    require(dtype in real, f"{check} handles only integral, floating-point and boolean types")


def _check_range(dtype: str, low: int, last: int) -> None:
    _check_real(dtype, "check_random_bounds")
    smallest, largest = _limits(dtype)
    for name, bound in (("from", low), ("to - 1", last)):
        require(smallest <= bound <= largest, f"{name} is out of bounds for {SCALAR_TYPES[dtype][1]}")
    if dtype in DIGITS:
        _warn_of_gaps(dtype, low, last)


def _limits(dtype: str) -> tuple[float, float]:
    if dtype in FLOATS:
        return -LARGEST[dtype], LARGEST[dtype]
    if dtype == "bool":
        return 0, 1
    return int(np.iinfo(dtype).min), min(int(np.iinfo(dtype).max), HIGHEST)


def _warn_of_gaps(dtype: str, low: int, last: int) -> None:
    digits = DIGITS[dtype]
    for name, bound in (("from", low), ("to - 1", last)):
        if abs(bound) > 2**digits:
            warnings.warn(
                f"{name} is out of bounds [-(2^{digits}), 2^{digits}]. Due to precision limitations {SCALAR_TYPES[dtype][1]} can support"
                " discrete uniform distribution only within this range. This warning will become an error in version 1.7 release, please"
                " fix the code in advance",
                UserWarning,
                stacklevel=4,
            )


# ---- permutations ----


def randperm(gen: Generator, n: int, dtype: str = "int64") -> Array:
    """A random permutation of 0 ... n-1: the Fisher-Yates shuffle (Durstenfeld, CACM 7, 1964).

    Raises RuntimeError for n < 0 and for n beyond what the dtype holds.

    >>> randperm(Generator(0), 5).tolist()
    [4, 0, 1, 3, 2]
    """
    require(n >= 0, f"Trying to create tensor with negative dimension {n}: [{n}]")
    _check_permutation(dtype, n)
    return cast(_swapped(gen, n) if n < SHUFFLE_IN_PLACE else _inserted(gen, n), dtype)


def _swapped(gen: Generator, n: int) -> Array:
    """Swap place i with a random place j >= i, for i = 0, 1, ..."""
    order = np.arange(n)
    if n < 2:
        return order
    places = order[:-1]
    others = gen.words(n - 1) % (n - places) + places
    done = _swap_runs(order, others) if n > LONG else 0
    rest = order[done:].tolist()
    for i, j in enumerate((others[done:] - done).tolist()):
        rest[i], rest[j] = rest[j], rest[i]
    order[done:] = rest
    return order


def _swap_runs(order: Array, others: Array) -> int:
    """Do the swaps in runs that touch no place twice, all swaps of a run at once, until LONG places are left; returns how many are done."""
    n, start = order.size, 0
    first_seen = np.empty(n, np.int64)
    while n - start > LONG:
        window = math.isqrt(n - start) // 2
        targets = others[start : start + window]
        run = _clear_run(targets, start, first_seen)
        here, there = slice(start, start + run), targets[:run]
        moved = order[there]
        order[there] = order[here]
        order[here] = moved
        start += run
    return start


def _clear_run(targets: Array, start: int, first_seen: Array) -> int:
    """How many swaps from `start` on can be done at once: none's target is the place or the target of another."""
    steps = np.arange(targets.size)
    first_seen[targets[::-1]] = steps[::-1]
    again = first_seen[targets] != steps
    unseen = int(again.argmax()) if again.any() else targets.size
    return min(unseen, int(np.where(targets == start + steps, targets.size, targets - start).min()))


def _inserted(gen: Generator, n: int) -> Array:
    """The inside-out variant for sizes where one word is too coarse."""
    order = np.empty(n, np.int64)
    for i in range(n):
        j = gen.random64() % (i + 1)
        order[i] = order[j] if j != i else i
        order[j] = i
    return order


def _check_permutation(dtype: str, n: int) -> None:
    require_dtype("randperm", dtype, (*INTEGERS, *FLOATS))
    if dtype in INTEGERS:
        require(n - 1 <= np.iinfo(dtype).max, f"value cannot be converted to type {dtype}_t without overflow")
    elif dtype != "bfloat16":  # which PyTorch lets repeat itself
        most = 2 ** DIGITS[dtype] + 1
        require(n <= most, f"n cannot be greater than {most} for {SCALAR_TYPES[dtype][0]} type.")


# ---- coin tosses ----


def bernoulli(gen: Generator, size: int, p: float, dtype: str = "float32") -> Array:
    """`size` tosses that are one with probability `p`, a number. Raises RuntimeError unless 0 <= p <= 1.

    These are the numbers PyTorch gives where it uses its own generator; on Intel processors it calls MKL's instead.

    >>> bernoulli(Generator(0), 4, 0.5).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    require(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={number(p)}")
    require_dtype("bernoulli_scalar_cpu_", dtype, (*INTEGERS, *FLOATS, "bool"))
    return (gen.doubles(size) < p).astype(numpy_dtype(dtype))


def bernoulli_each(gen: Generator, p: Array, dtype: str | None = None) -> Array:
    """One toss for each probability in `p`, flat, in the order of `p` (broadcast it to the output, in the output's memory order, first).

    A float64 `p` is compared with double uniforms, any other float with single ones. `dtype` is p's own by default.
    """
    dtype = name_of(p.dtype) if dtype is None else dtype
    require_dtype("bernoulli_tensor_cpu_self_", dtype, (*INTEGERS, *FLOATS, "bool"))
    require_dtype("bernoulli_tensor_cpu_p_", name_of(p.dtype), FLOATS)
    flat = np.ravel(p)
    flat = flat if flat.dtype == np.float64 else flat.astype(np.float32)
    _check_probabilities(flat)
    u = gen.doubles(flat.size) if flat.dtype == np.float64 else gen.floats(flat.size)
    return (u < flat).astype(numpy_dtype(dtype))


def _check_probabilities(p: Array) -> None:
    bad = ~((p >= 0) & (p <= 1))
    if bad.any():
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error message be improved?  If so, please report an"
            f" enhancement request to PyTorch.)\nbernoulli: every probability must lie in [0, 1], but one is {number(float(p[bad][0]))}."
        )


def dropout_noise(gen: Generator, size: int, p: float, dtype: str = "float32") -> Array:
    """What dropout multiplies its input by: 0 with probability `p`, else 1 / (1 - p).

    The noise lies in memory like `empty_like(input)` (feature dropout: one value for each of the first two dimensions). As in PyTorch nothing is
    drawn when p is 0 or 1; in evaluation there is no noise to ask for.
    """
    if p in (0, 1):
        return np.full(size, 1 - p).astype(numpy_dtype(dtype))
    kept = bernoulli(gen, size, 1 - p, dtype)
    wide = kept if dtype == "float64" else kept.astype(np.float32)
    return cast(wide / wide.dtype.type(1 - p), dtype)


# ---- waiting times ----


def geometric(gen: Generator, size: int, p: float, dtype: str = "float32") -> Array:
    """`size` samples of the geometric distribution, counted from 1: ceil(log u / log(1 - p)). Raises RuntimeError unless 0 < p < 1."""
    require(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={number(p)}")
    require_dtype("geometric_cpu", dtype, (*INTEGERS, *FLOATS))
    return cast(np.ceil(log(gen.doubles(size)) / log1p(np.array([-p]))), dtype)
