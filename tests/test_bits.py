"""Random programs give the same bits however they are computed: at once or later, by any number of threads, again.

`python tests/test_bits.py MINUTES [SEED]` looks for longer than the tests do; with RUSHLIGHT_TIER=jit our loops compute the
smallest tensors, too. That the values are right is not said here, but by `test_fuzz.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from typing import Any

import pytest
from hypothesis import given, seed, settings
from large_steps import LARGE_LEAVES
from test_fuzz import OPERATIONS, POOL, RELAXED, Step, attempt, in_mode, large_programs

import rushlight
from rushlight.native import jit
from rushlight.runtime.deferral import SWITCHES

#: how a program is run: whether every operation is computed when it is called, and by how many threads
WAYS = [(False, 1), (False, 2), (False, 3), (True, 1), (True, 2), (True, 3)]
#: what was seen: names, and bytes of values
Seen = list[tuple[str, Any]]


@contextlib.contextmanager
def way(eager: bool, threads: int) -> Any:
    before = rushlight.get_num_threads()
    rushlight.set_num_threads(threads)
    try:
        with rushlight.eager() if eager else contextlib.nullcontext():
            yield
    finally:
        rushlight.set_num_threads(before)


def run(steps: list[Step]) -> Seen:
    """Run a program, and say all that it shows: errors, what it looks at in between, and everything in the end."""
    pool: list[Any] = [LARGE_LEAVES["large matrix"](rushlight, 0, 0, 0)]
    seen: Seen = []
    for name, numbers, mode in steps:
        if name == "look":
            seen.append((name, bits(pool[numbers[0] % len(pool)])))
            continue
        if name in LARGE_LEAVES:
            made, error = LARGE_LEAVES[name](rushlight, *numbers), None
        else:
            function = OPERATIONS[name]
            chosen = [pool[n % len(pool)] for n in numbers[: function.__code__.co_argcount - 1]]
            made, error = attempt(lambda: in_mode(rushlight, mode, function, chosen))
        seen.append((name, error))
        several = made if isinstance(made, (tuple, list)) else [made]
        for one in several:
            if isinstance(one, rushlight.Tensor):
                if not any(one is known for known in pool):
                    pool.append(one)
            else:
                seen.append((name, one))
        del pool[:-POOL]
    return (
        seen
        + [("end", bits(t)) for t in pool]
        + [("gradient", attempt(lambda t=t: t.is_leaf and bits(t.grad))) for t in pool]
    )


def bits(t: Any) -> Any:
    """All of a tensor: layout and values."""
    if t is None:
        return None
    return str(t.dtype), tuple(t.shape), t.stride(), t.detach().numpy().tobytes()


def check(steps: list[Step]) -> None:
    first = None
    for eager, threads in WAYS:
        with way(eager, threads):
            seen = run(steps)
        first = first or seen
        assert len(seen) == len(first)
        for number, (ours, theirs) in enumerate(zip(seen, first)):
            text = "\n  ".join(str(step) for step in steps)
            said = "eager" if eager else "deferred"
            assert ours == theirs, f"{said}, {threads} threads: {number}, {theirs[0]} differs in\n  {text}"


@settings(max_examples=15, derandomize=True, **RELAXED)
@given(large_programs(20))
def test_bits_do_not_depend_on_how_a_program_is_run(steps: list[Step]) -> None:
    check(steps)


MATHS = """abs acos acosh asin asinh atan atanh ceil cos cosh digamma erf erfc erfinv exp exp2 expm1 floor frac lgamma log log10
log1p log2 logit neg reciprocal round rsqrt sigmoid sign sin sinc sinh sqrt square tan tanh trunc""".split()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", MATHS)
def test_bits_in_place(name: str, dtype: str) -> None:
    """Results do not depend on where they go, on either side of the sizes from which on loops of ours compute them."""
    for size in (5, (1 << 12) + 3, (1 << 14) + 3, (1 << 18) + 3):
        x = rushlight.linspace(-3, 3, size, dtype=rushlight.float64).to(getattr(rushlight, dtype))
        into = rushlight.empty_like(x)
        getattr(rushlight, name)(x, out=into)
        there = getattr(x.clone(), name + "_")()
        fresh = getattr(rushlight, name)(x)
        assert bits(fresh) == bits(there) == bits(into), size


def test_the_comparison_sees_a_bit() -> None:
    """A last bit, and a layout."""
    x = rushlight.ones(3, 3)
    y = x.clone()
    y[2, 2] = 1 + 2**-23
    assert bits(x) == bits(x.clone()) != bits(y)
    assert bits(x) != bits(x.t())
    assert bits(rushlight.zeros(2)) != bits(-rushlight.zeros(2))


@pytest.mark.skipif(not (jit.available() and SWITCHES.fuse), reason="everything is computed at once")
@pytest.mark.parametrize(("eager", "threads"), WAYS)
def test_the_way_is_taken(eager: bool, threads: int) -> None:
    """Work waits, or does not, while a program runs that way."""
    with way(eager, threads):
        assert rushlight.get_num_threads() == threads
        assert str(rushlight.explain(rushlight.ones(1 << 20) * 2)).startswith("waiting") is not eager


def search(minutes: float, first: int) -> None:
    """Run new random programs, 50 for each seed from `first` on, until the time is over."""
    end, programs = time.monotonic() + 60 * minutes, 0

    @settings(max_examples=50, database=None, **RELAXED)
    @given(large_programs(30))
    def look(steps: list[Step]) -> None:
        nonlocal programs
        check(steps)
        programs += 1

    for number in itertools.count(first):
        if time.monotonic() > end:
            break
        seed(number)(look)()
        print(f"seed {number}: {programs} programs, each in {len(WAYS)} ways, nothing found", flush=True)


if __name__ == "__main__":
    given_numbers = [float(value) for value in sys.argv[1:]]
    search(given_numbers[0] if given_numbers else 20, int(given_numbers[1]) if len(given_numbers) > 1 else 0)
