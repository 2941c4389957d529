"""Random tensors: PyTorch's numbers for the same seed, through the public functions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

WEIGHTS = [1.0, 2.0, 3.0, 4.0]

#: name -> what is drawn, given the library
DRAWS = {
    "rand": lambda T: T.rand(3, 5),
    "rand size": lambda T: T.rand(size=(40,)),
    "rand f64": lambda T: T.rand(7, dtype=T.float64),
    "rand f16": lambda T: T.rand(33, dtype=T.float16),
    "rand c64": lambda T: T.rand(5, dtype=T.complex64),
    "randn small": lambda T: T.randn(3),
    "randn 16": lambda T: T.randn(16),
    "randn rows": lambda T: T.randn(9, 7),
    "randn turned": lambda T: T.randn_like(T.zeros(6, 5).t()),
    "randn gapped": lambda T: T.randn_like(T.zeros(6, 10)[:, ::2]),
    "rand_like": lambda T: T.rand_like(T.zeros(4, 5).t()),
    "rand_like to f64": lambda T: T.rand_like(T.zeros(4), dtype=T.float64),
    "randint": lambda T: T.randint(0, 10, (20,)),
    "randint high": lambda T: T.randint(7, (2, 3)),
    "randint names": lambda T: T.randint(low=2, high=9, size=(4,)),
    "randint wide": lambda T: T.randint(0, 2**40, (5,)),
    "randint_like": lambda T: T.randint_like(T.zeros(5), 3, 8),
    "randperm": lambda T: T.randperm(50),
    "normal numbers": lambda T: T.normal(2.0, 0.5, (20,)),
    "normal mean": lambda T: T.normal(T.arange(4.0), 2.0),
    "normal std": lambda T: T.normal(1.0, T.arange(1.0, 5.0)),
    "normal both": lambda T: T.normal(T.zeros(2, 1), T.ones(3)),
    "bernoulli": lambda T: T.bernoulli(T.tensor([0.1, 0.5, 0.9, 0.0, 1.0])),
    "bernoulli turned": lambda T: T.bernoulli(T.full((4, 6), 0.4).t()),
    "bernoulli p": lambda T: T.bernoulli(T.zeros(30), 0.3),
    "multinomial": lambda T: T.multinomial(T.tensor(WEIGHTS), 3),
    "multinomial again": lambda T: T.multinomial(T.tensor([WEIGHTS, WEIGHTS[::-1]]), 6, replacement=True),
    "multinomial turned": lambda T: T.multinomial(T.tensor([WEIGHTS, WEIGHTS[::-1]]).t().contiguous().t(), 2),
    "poisson": lambda T: T.poisson(T.tensor([1.0, 4.0, 20.0])),
    "uniform_": lambda T: T.empty(4, 5).t().uniform_(-2, 3),
    "uniform_ names": lambda T: T.empty(4).uniform_(**{"from": 1.0, "to": 2.0}),
    "normal_": lambda T: T.empty(20).normal_(2, 3),
    "normal_ names": lambda T: T.empty(20).normal_(mean=1.0, std=0.1),
    "normal_ of a part": lambda T: T.zeros(4, 8)[:, ::2].normal_(),
    "random_": lambda T: T.empty(6, dtype=T.int64).random_(),
    "random_ to": lambda T: T.empty(6).random_(10),
    "random_ from to": lambda T: T.empty(6, dtype=T.int32).random_(-5, 5),
    "bernoulli_": lambda T: T.empty(20).bernoulli_(0.3),
    "bernoulli_ each": lambda T: T.empty(3, 2).bernoulli_(T.tensor([0.2, 0.8])),
    "exponential_": lambda T: T.empty(6).exponential_(2.0),
    "exponential_ lambd": lambda T: T.empty(6).exponential_(lambd=0.5),
    "cauchy_": lambda T: T.empty(6).cauchy_(1.0, 2.0),
    "log_normal_": lambda T: T.empty(6).log_normal_(),
    "geometric_": lambda T: T.empty(6).geometric_(0.3),
    "dropout": lambda T: T.nn.functional.dropout(T.ones(30), 0.4),
    "none": lambda T: T.rand(0),
    "own generator": lambda T: T.rand(4, generator=T.Generator().manual_seed(7)),
    "out": lambda T: T.rand(3, out=T.empty(3)),
}


def drawn(T: Any, make: Any, seed: int) -> tuple[np.ndarray, Any]:
    T.manual_seed(seed)
    first = make(T)
    return first.numpy(), T.rand(2).numpy()


@pytest.mark.parametrize("seed", [0, 1234, 2**40 + 3])
@pytest.mark.parametrize("name", sorted(DRAWS))
def test_the_numbers_are_pytorchs(name: str, seed: int) -> None:
    """Bit for bit, and the stream stands where PyTorch's does afterwards."""
    (want, want_next), (got, got_next) = drawn(torch, DRAWS[name], seed), drawn(rushlight, DRAWS[name], seed)
    assert got.dtype == want.dtype and got.shape == want.shape
    assert got.strides == want.strides or got.size == 0
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(got_next, want_next)


#: what the numbers are drawn like
LIKE = {
    "row as column": lambda T: T.ones(1, 3).t(),
    "column of columns": lambda T: T.ones(4, 3).t()[:, :1],
    "turned": lambda T: T.ones(30, 40).t(),
    "channels last": lambda T: T.ones(2, 3, 4, 5).permute(0, 2, 3, 1),
    "permuted": lambda T: T.ones(2, 3, 4, 5, dtype=T.float64).permute(3, 1, 0, 2),
    "partly expanded": lambda T: T.ones(2, 1, 3).expand(2, 4, 3).permute(2, 0, 1),
    "gapped": lambda T: T.ones(4, 6)[::2, ::3],
    "empty": lambda T: T.ones(0, 3).t(),
    "number": lambda T: T.tensor(1.0),
}


@pytest.mark.parametrize("order", [None, "contiguous_format", "preserve_format", "channels_last"])
@pytest.mark.parametrize("layout", sorted(LIKE))
def test_likes_keep_the_layout(layout: str, order: str | None) -> None:
    for call in (lambda T, *a, **k: T.rand_like(*a, **k), lambda T, *a, **k: T.randn_like(*a, **k),
                 lambda T, x, **k: T.randint_like(x, 7, **k)):  # fmt: skip
        found = []
        for T in (torch, rushlight):
            T.manual_seed(3)
            given = {} if order is None else {"memory_format": getattr(T, order)}
            try:
                made = call(T, LIKE[layout](T), **given)
                found.append((made.tolist(), made.stride()))
            except RuntimeError as error:
                found.append(str(error))
        assert found[0] == found[1]


WRONG = {
    "negative size": lambda T: T.rand(-1),
    "size of str": lambda T: T.rand("a"),
    "rand of ints": lambda T: T.rand(2, dtype=T.int64),
    "randn of ints": lambda T: T.randn(2, dtype=T.int64),
    "randint without size": lambda T: T.randint(3),
    "randint empty range": lambda T: T.randint(3, 1, (1,)),
    "randint of floats": lambda T: T.randint(0, 2.5, (2,)),
    "randperm negative": lambda T: T.randperm(-1),
    "negative std": lambda T: T.normal(0.0, -1.0, (2,)),
    "negative stds": lambda T: T.normal(T.zeros(2), -T.ones(2)),
    "normal without size": lambda T: T.normal(0.0, 1.0),
    "probability 2": lambda T: T.bernoulli(T.tensor([2.0])),
    "bernoulli of ints": lambda T: T.bernoulli(T.tensor([1, 0])),
    "bernoulli_ 2": lambda T: T.empty(3).bernoulli_(2.0),
    "geometric_ 0": lambda T: T.empty(3).geometric_(0),
    "exponential_ -1": lambda T: T.empty(3).exponential_(-1),
    "uniform_ backwards": lambda T: T.empty(2).uniform_(2, 1),
    "uniform_ of ints": lambda T: T.empty(2, dtype=T.int64).uniform_(),
    "generator 3": lambda T: T.rand(2, generator=3),
    "too many samples": lambda T: T.multinomial(T.tensor(WEIGHTS), 5),
    "no samples": lambda T: T.multinomial(T.tensor(WEIGHTS), 0),
    "weights of ints": lambda T: T.multinomial(T.tensor([1, 2]), 1),
    "multinomial to floats": lambda T: T.multinomial(T.tensor(WEIGHTS), 1, out=T.empty(1)),
    "on a leaf": lambda T: T.ones(2, requires_grad=True).uniform_(),
    "on expanded memory": lambda T: T.ones(1, 3).expand(2, 3).normal_(),
    "seed too big": lambda T: T.manual_seed(2**64),
    "state of floats": lambda T: T.set_rng_state(T.ones(5056)),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_arguments(name: str) -> None:
    with pytest.raises(Exception) as want:
        WRONG[name](torch)
    with pytest.raises(Exception) as got:
        WRONG[name](rushlight)
    assert builtin(got.value) is builtin(want.value), f"{got.value!r} instead of {want.value!r}"


def builtin(error: BaseException) -> type:
    return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


@pytest.mark.parametrize("fill", ["uniform_", "normal_", "exponential_", "cauchy_", "log_normal_"])
def test_filling_is_a_write(fill: str) -> None:
    """Versions go up, the graph learns of it, and the gradient of what was there is zero."""
    for T in (torch, rushlight):
        x = T.ones(3, requires_grad=True)
        y = x * 2
        view = y[1:]
        before = y._version
        getattr(view, fill)()
        assert y._version == before + 1
        assert y.grad_fn.name().endswith("CopySlices")
        y.sum().backward()
        assert x.grad.tolist() == [2.0, 0.0, 0.0]


def test_names_and_zero_gradients() -> None:
    def seen(T: Any) -> list:
        p = T.full((2,), 0.5, requires_grad=True)
        results = [T.bernoulli(p), T.normal(p, 1.0), T.normal(1.0, p), T.normal(p, p), T.poisson(p)]
        T.stack(results).sum().backward()
        return [r.grad_fn.name() for r in results] + p.grad.tolist()

    assert seen(rushlight) == seen(torch)


def test_a_state_goes_from_one_library_to_the_other() -> None:
    torch.manual_seed(5)
    torch.randn(3)
    rushlight.set_rng_state(rushlight.from_numpy(torch.get_rng_state().numpy()))
    np.testing.assert_array_equal(rushlight.randn(40).numpy(), torch.randn(40).numpy())
    torch.set_rng_state(torch.from_numpy(rushlight.get_rng_state().numpy()))
    np.testing.assert_array_equal(rushlight.rand(4).numpy(), torch.rand(4).numpy())


def test_forking_the_stream() -> None:
    rushlight.manual_seed(3)
    with rushlight.random.fork_rng():
        rushlight.manual_seed(9)
        rushlight.rand(2)
    after = rushlight.rand(2)
    rushlight.manual_seed(3)
    assert after.tolist() == rushlight.rand(2).tolist()


def test_generators_are_apart() -> None:
    one, two = rushlight.Generator().manual_seed(1), rushlight.Generator().manual_seed(1)
    rushlight.rand(5, generator=one)
    again = one.clone_state()
    assert rushlight.rand(3, generator=one).tolist() == rushlight.rand(3, generator=again).tolist()
    assert two.initial_seed() == 1 and str(two.device) == "cpu"
    assert rushlight.default_generator is not copy.copy(one)


@pytest.mark.parametrize(
    "kind, n",
    [("uint8", 256), ("uint8", 257), ("int8", 129), ("float16", 2049), ("float16", 2050), ("bfloat16", 258)],
)
def test_permutations_of_more_numbers_than_a_type_has(kind, n):
    def outcome(T):
        try:
            return T.randperm(n, dtype=getattr(T, kind)).sort().values.tolist()
        except RuntimeError:
            return "RuntimeError"

    assert outcome(rushlight) == outcome(torch)
