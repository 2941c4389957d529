"""The random streams against PyTorch's: every value and every state of the generator equal to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch

import rushlight
from rushlight import streams
from rushlight.streams import Generator
from rushlight.streams.rounding import fma32, fma64

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
UNSIGNED = ("uint16", "uint32", "uint64")
SIZES = (0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 100, 1000, 70001)
SEEDS = (0, 1234, 2**63 - 1)


def of(dtype: str) -> torch.dtype:
    return getattr(torch, dtype)


def empty(n: int, dtype: str = "float32") -> torch.Tensor:
    return torch.empty(n, dtype=of(dtype))


def to_numpy(x: torch.Tensor) -> np.ndarray:
    if x.dtype == torch.bfloat16:
        return x.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def assert_same_stream(
    ours: Callable[[Generator], np.ndarray], theirs: Callable[[], torch.Tensor], seeds=SEEDS
) -> None:
    for seed in seeds:
        torch.manual_seed(seed)
        gen = Generator(seed)
        got, expected = ours(gen), to_numpy(theirs())
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        assert got.tobytes() == expected.tobytes()
        assert np.array_equal(gen.get_state(), torch.get_rng_state().numpy())


def assert_same_error(ours: Callable[[Generator], object], theirs: Callable[[], object]) -> None:
    with pytest.raises(Exception) as expected:
        theirs()
    with pytest.raises(type(expected.value)) as got:
        ours(Generator())
    assert str(got.value).split("\n")[0] == str(expected.value).split("\n")[0]


# ---- the generator ----


@pytest.mark.parametrize("seed", [0, 1, 5489, 2**32, 2**32 + 1, 2**63 - 1, 2**63, 2**64 - 1, -1, -(2**63)])
def test_seeds_give_torch_words_and_state(seed):
    gen, expected = Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    assert gen.initial_seed() == expected.initial_seed()
    assert np.array_equal(gen.get_state(), expected.get_state().numpy())
    words = torch.empty(2000, dtype=torch.int32).random_(0, 2**20, generator=expected)
    assert np.array_equal(gen.words(2000) % 2**20, words.numpy())
    assert np.array_equal(gen.get_state(), expected.get_state().numpy())


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, 1.5, "3", None, True])
def test_bad_seeds_raise_like_torch(seed):
    assert_same_error(lambda g: g.manual_seed(seed), lambda: torch.Generator().manual_seed(seed))


def test_a_new_generator_has_torch_default_seed():
    assert Generator().initial_seed() == torch.Generator().initial_seed()


def test_seed_is_fresh_each_time():
    gen = Generator()
    assert gen.seed() == gen.initial_seed()
    assert gen.seed() != gen.seed()


@pytest.mark.parametrize("drawn", [0, 1, 5, 623, 624, 625, 2000])
def test_states_travel_both_ways(drawn):
    gen = Generator(5)
    gen.words(drawn)
    theirs = torch.Generator()
    theirs.set_state(torch.from_numpy(gen.get_state()))
    again = Generator().set_state(theirs.get_state().numpy())
    assert np.array_equal(again.get_state(), gen.get_state())
    assert again.initial_seed() == 5
    expected = torch.rand(700, generator=theirs).numpy()
    assert np.array_equal(streams.uniform(gen, 700), expected)
    assert np.array_equal(streams.uniform(again, 700), expected)


def test_the_held_normal_is_part_of_the_state():
    gen = Generator(5)
    streams.normal(gen, 3)
    theirs = torch.Generator()
    theirs.set_state(torch.from_numpy(gen.get_state()))
    expected = torch.randn(1, generator=theirs).numpy()
    clone = gen.clone_state()
    assert np.array_equal(streams.normal(gen, 1), expected)
    assert np.array_equal(streams.normal(clone, 1), expected)


def test_bad_states_raise_like_torch():
    for size in (5056, 5055, 0):
        state = np.zeros(size, np.uint8)
        assert_same_error(
            lambda g, s=state: g.set_state(s),
            lambda s=state: torch.Generator().set_state(torch.from_numpy(s)),
        )
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor"):
        Generator().set_state(np.zeros(5056))


def test_single_words():
    gen = Generator(3)
    words = Generator(3).words(3).tolist()
    assert gen.random() == words[0]
    assert gen.random64() == (words[1] << 32) + words[2]


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_dense_outputs_are_filled_in_memory_order(permutation):
    torch.manual_seed(1)
    view = torch.empty(3, 4, 5).permute(permutation)
    expected = view.uniform_().numpy()
    order = streams.memory_order(view.shape, view.stride())
    flat = streams.uniform(Generator(1), view.numel())
    got = flat.reshape([view.shape[d] for d in order]).transpose(np.argsort(order))
    assert np.array_equal(got, expected)


# ---- continuous ----


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.0, 3.0), (-2.3, 3.7), (1e-3, 1.7e-3), (2.0, 2.0)])
def test_uniform(dtype, bounds):
    for n in SIZES:
        assert_same_stream(
            lambda g, n=n: streams.uniform(g, n, dtype, *bounds),
            lambda n=n: empty(n, dtype).uniform_(*bounds),
            SEEDS[:2],
        )


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
@pytest.mark.parametrize("parameters", [(0.0, 1.0), (2.3, 0.7), (0.0, 0.7), (2.3, 1.0), (1.5, 0.0)])
def test_normal(dtype, parameters):
    for n in SIZES:
        assert_same_stream(
            lambda g, n=n: streams.normal(g, n, dtype, *parameters),
            lambda n=n: empty(n, dtype).normal_(*parameters),
            SEEDS[:2],
        )


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX)
def test_normal_of_an_output_that_is_not_contiguous(dtype):
    assert_same_stream(
        lambda g: streams.normal(g, 399, dtype, 2.3, 0.7, contiguous=False),
        lambda: torch.empty(21, 19, dtype=of(dtype)).t().normal_(2.3, 0.7).t().flatten(),
    )


def test_half_a_million_normals():
    assert_same_stream(lambda g: streams.normal(g, 500_000), lambda: torch.randn(500_000), (7,))
    assert_same_stream(
        lambda g: streams.normal(g, 500_000, "float64", 3, 7),
        lambda: empty(500_000, "float64").normal_(3, 7),
        (7,),
    )


def test_normals_hold_one_back_between_other_draws():
    gen, theirs = Generator(9), torch.Generator().manual_seed(9)
    got = [
        streams.normal(gen, 1),
        streams.uniform(gen, 1),
        streams.normal(gen, 20),
        streams.normal(gen, 3),
        streams.normal(gen, 2, "float64"),
    ]
    expected = [
        torch.randn(1, generator=theirs),
        torch.rand(1, generator=theirs),
        torch.randn(20, generator=theirs),
    ]
    expected += [torch.randn(3, generator=theirs), torch.randn(2, dtype=torch.float64, generator=theirs)]
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(got, expected, strict=True))


# PyTorch leaves its own generator for MKL's in these two on Intel processors only.
BY_MKL = torch.backends.mkl.is_available() and "GenuineIntel" in open("/proc/cpuinfo").read()
own_generator = pytest.mark.skipif(BY_MKL, reason="PyTorch draws with MKL on this processor")


@own_generator
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [1.0, 3.7, 1e-30, 1e30, float("inf")])
def test_exponential(dtype, rate):
    for n in (0, 1, 6, 70000):
        assert_same_stream(
            lambda g, n=n: streams.exponential(g, n, dtype, rate),
            lambda n=n: empty(n, dtype).exponential_(rate),
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("parameters", [(0.0, 1.0), (3.7, 0.3), (1e300, 1e290)])
def test_cauchy(dtype, parameters):
    assert_same_stream(
        lambda g: streams.cauchy(g, 20000, dtype, *parameters),
        lambda: empty(20000, dtype).cauchy_(*parameters),
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("parameters", [(1.0, 2.0), (0.7, 0.3), (700.0, 10.0)])
def test_log_normal(dtype, parameters):
    assert_same_stream(
        lambda g: streams.log_normal(g, 20001, dtype, *parameters),
        lambda: empty(20001, dtype).log_normal_(*parameters),
    )


# ---- discrete ----

RANGES = [
    (0, 10),
    (-5, 5),
    (0, 1),
    (0, 3001),
    (0, 2**28 - 1),
    (0, 2**28),
    (0, 2**32),
    (3, 2**32 + 3),
    (0, 2**40),
    (-(2**62), 2**62),
]
RANGES += [
    (-(2**63), 2**63 - 1),
    (-(2**63), None),
    (-(2**63) + 1, 5),
    (5, None),
    (-7, None),
    (0, None),
    (300, 1000),
    (2**62 + 1, 2**63 - 1),
]
RANGES += [
    (2**24 + 1, 2**24 + 5),
    (-(2**24) - 3, -5),
    (2**24, None),
    (2**53 + 1, 2**53 + 9),
    (-(2**53) - 9, 0),
    (0, 65504),
    (0, 65519),
]
RANGES += [
    (-65504, 1),
    (-70000, 3),
    (0, 256),
    (0, 257),
    (-128, 128),
    (-129, 2),
    (0, 2**16),
    (0, 2**31),
    (-(2**31), 2**31),
    (5, 5),
    (7, 5),
]
RANGES += [(0, 2**64)]


def outcome(draw):
    try:
        return draw()
    except Exception as error:
        return type(error), str(error).split("\n")[0]


@pytest.mark.filterwarnings("ignore:.*out of bounds")
@pytest.mark.parametrize("dtype", (*FLOATS, *INTEGERS, *UNSIGNED, "bool", "complex64"))
def test_random_integers_or_the_same_error(dtype):
    for bounds in [(), *RANGES]:
        torch.manual_seed(3)
        expected = outcome(lambda b=bounds: to_numpy(empty(2000, dtype).random_(*b)))
        got = outcome(lambda b=bounds: streams.random(Generator(3), 2000, dtype, *b))
        if isinstance(expected, tuple):
            assert got == expected, bounds
        else:
            assert (got.dtype, got.tobytes()) == (expected.dtype, expected.tobytes()), bounds


def test_a_float_range_with_gaps_warns_like_torch():
    with pytest.warns(
        UserWarning,
        match=r"to - 1 is out of bounds \[-\(2\^24\), 2\^24\]. Due to precision limitations float can",
    ):
        streams.random(Generator(), 1, "float32", 2**24, 2**24 + 8)


def test_randint():
    assert_same_stream(lambda g: streams.randint(g, 70000, 0, 1000), lambda: torch.randint(0, 1000, (70000,)))


@pytest.mark.parametrize("dtype", (*FLOATS, *INTEGERS))
def test_randperm_or_the_same_error(dtype):
    for n in (-1, 0, 1, 2, 10, 100, 127, 128, 129, 255, 256, 257, 258, 1000, 2049, 2050):
        torch.manual_seed(3)
        expected = outcome(lambda n=n: to_numpy(torch.randperm(n, dtype=of(dtype))))
        got = outcome(lambda n=n: streams.randperm(Generator(3), n, dtype))
        if isinstance(expected, tuple):
            assert got == expected, n
        else:
            assert got.tobytes() == expected.tobytes(), n


@pytest.mark.parametrize("n", [16384, 16385, 50000, 300_000])
def test_long_permutations(n):
    assert_same_stream(lambda g: streams.randperm(g, n), lambda: torch.randperm(n))


@own_generator
@pytest.mark.parametrize("dtype", (*FLOATS, *INTEGERS, "bool"))
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_bernoulli(dtype, p):
    for n in (0, 1, 20, 70000):
        assert_same_stream(
            lambda g, n=n: streams.bernoulli(g, n, p, dtype),
            lambda n=n: empty(n, dtype).bernoulli_(p),
            SEEDS[:2],
        )


@pytest.mark.parametrize("dtype", (*FLOATS, "uint8", "int64", "bool"))
@pytest.mark.parametrize("p_dtype", FLOATS)
def test_bernoulli_each(dtype, p_dtype):
    p = torch.linspace(0, 1, 5000, dtype=torch.float64).to(of(p_dtype))
    assert_same_stream(
        lambda g: streams.bernoulli_each(g, to_numpy(p), dtype), lambda: empty(5000, dtype).bernoulli_(p)
    )


@own_generator
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.4, 1.0])
def test_dropout_noise(dtype, p):
    assert_same_stream(
        lambda g: streams.dropout_noise(g, 1000, p, dtype),
        lambda: torch.dropout(torch.ones(1000, dtype=of(dtype)), p, True),
    )


@pytest.mark.parametrize("dtype", (*FLOATS, *INTEGERS))
@pytest.mark.parametrize("p", [0.3, 0.999, 1e-6])
def test_geometric(dtype, p):
    assert_same_stream(
        lambda g: streams.geometric(g, 5000, p, dtype), lambda: empty(5000, dtype).geometric_(p)
    )


# ---- one by one ----


@pytest.mark.parametrize("dtype", FLOATS)
def test_poisson(dtype):
    rates = torch.tensor([0, 0.5, 1, 4, 9.99, 10, 20, 100, 1000, 60000.0] * 100).to(of(dtype))
    assert_same_stream(lambda g: streams.poisson(g, to_numpy(rates)), lambda: torch.poisson(rates))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standard_gamma(dtype):
    alpha = torch.tensor([0, 0.01, 0.3, 1 / 3, 0.99, 1, 1.5, 4, 100, 1e4] * 100).to(of(dtype))
    assert_same_stream(
        lambda g: streams.standard_gamma(g, to_numpy(alpha)), lambda: torch._standard_gamma(alpha)
    )


def test_unread_words_are_given_back():
    gen, theirs = Generator(4), torch.Generator().manual_seed(4)
    for n in (1, 3):
        assert np.array_equal(
            streams.poisson(gen, np.full(n, 30.0)),
            torch.poisson(torch.full((n,), 30.0, dtype=torch.float64), theirs),
        )
        assert np.array_equal(streams.uniform(gen, n), torch.rand(n, generator=theirs))


# ---- multinomial ----


@own_generator
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(4,), (1,), (2, 4), (5, 100), (3, 5000), (0, 3)])
@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(dtype, shape, replacement):
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=of(dtype))
    for samples in (1, 2, 4, 50):
        if replacement or samples <= shape[-1]:
            assert_same_stream(
                lambda g, k=samples: streams.multinomial(g, weights.numpy(), k, replacement),
                lambda k=samples: torch.multinomial(weights, k, replacement),
            )


@own_generator
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial_of_16_bit_weights(dtype, replacement):
    weights = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1.0]]).to(of(dtype))
    for samples in (1, 4) if replacement else (1,):
        assert_same_stream(
            lambda g, k=samples: streams.multinomial(g, to_numpy(weights), k, replacement),
            lambda k=samples: torch.multinomial(weights, k, replacement),
        )


# ---- errors ----

NAN = float("nan")
WRONG = {
    "uniform_ empty range": (
        lambda g: streams.uniform(g, 3, "float32", 3.25, 1.123456789),
        lambda: empty(3).uniform_(3.25, 1.123456789),
    ),
    "uniform_ wide": (
        lambda g: streams.uniform(g, 3, "float32", -3e38, 3e38),
        lambda: empty(3).uniform_(-3e38, 3e38),
    ),
    "uniform_ beyond": (
        lambda g: streams.uniform(g, 3, "float16", 0, 1e5),
        lambda: empty(3, "float16").uniform_(0, 1e5),
    ),
    "uniform_ nan": (lambda g: streams.uniform(g, 3, "float32", NAN, 1), lambda: empty(3).uniform_(NAN, 1)),
    "uniform_ int": (lambda g: streams.uniform(g, 3, "int64"), lambda: empty(3, "int64").uniform_()),
    "normal_ std": (lambda g: streams.normal(g, 3, "float32", 0, -1), lambda: empty(3).normal_(0, -1)),
    "normal_ nan": (lambda g: streams.normal(g, 3, "float32", 0, NAN), lambda: empty(3).normal_(0, NAN)),
    "normal_ int": (lambda g: streams.normal(g, 3, "int32"), lambda: empty(3, "int32").normal_()),
    "exponential_": (
        lambda g: streams.exponential(g, 3, "float32", -1.5),
        lambda: empty(3).exponential_(-1.5),
    ),
    "exponential_ int": (
        lambda g: streams.exponential(g, 3, "int64"),
        lambda: empty(3, "int64").exponential_(),
    ),
    "cauchy_": (lambda g: streams.cauchy(g, 3, "float32", 0, 0), lambda: empty(3).cauchy_(0, 0)),
    "cauchy_ int": (lambda g: streams.cauchy(g, 3, "int64"), lambda: empty(3, "int64").cauchy_()),
    "log_normal_": (lambda g: streams.log_normal(g, 3, "float32", 0, 0), lambda: empty(3).log_normal_(0, 0)),
    "log_normal_ int": (lambda g: streams.log_normal(g, 3, "int64"), lambda: empty(3, "int64").log_normal_()),
    "geometric_": (lambda g: streams.geometric(g, 3, 1.25), lambda: empty(3).geometric_(1.25)),
    "geometric_ bool": (
        lambda g: streams.geometric(g, 3, 0.5, "bool"),
        lambda: empty(3, "bool").geometric_(0.5),
    ),
    "bernoulli_": (lambda g: streams.bernoulli(g, 3, 1.5), lambda: empty(3).bernoulli_(1.5)),
    "bernoulli_ complex": (
        lambda g: streams.bernoulli(g, 3, 0.5, "complex64"),
        lambda: empty(3, "complex64").bernoulli_(0.5),
    ),
    "bernoulli": (
        lambda g: streams.bernoulli_each(g, np.array([0.5, 1.5])),
        lambda: torch.bernoulli(torch.tensor([0.5, 1.5])),
    ),
    "bernoulli nan": (
        lambda g: streams.bernoulli_each(g, np.array([NAN])),
        lambda: torch.bernoulli(torch.tensor([NAN])),
    ),
    "bernoulli int": (
        lambda g: streams.bernoulli_each(g, np.array([1])),
        lambda: torch.bernoulli(torch.tensor([1])),
    ),
    "poisson": (lambda g: streams.poisson(g, np.array([-1.0])), lambda: torch.poisson(torch.tensor([-1.0]))),
    "poisson int": (lambda g: streams.poisson(g, np.array([1])), lambda: torch.poisson(torch.tensor([1]))),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_parameters_raise_like_torch(name):
    assert_same_error(*WRONG[name])


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize(
    "weights", [[-1.0, 1], [0.0, 0], [NAN, 1], [float("inf"), 1], [[1.0, 1], [0, 0]], [[[1.0]]], 1.0]
)
def test_wrong_weights_raise_like_torch(weights, replacement):
    x = np.array(weights, np.float32)
    assert_same_error(
        lambda g: streams.multinomial(g, x, 1, replacement),
        lambda: torch.multinomial(torch.from_numpy(x), 1, replacement),
    )


def test_wrong_multinomial_requests_raise_like_torch():
    assert_same_error(
        lambda g: streams.multinomial(g, np.ones(0), 1, True),
        lambda: torch.multinomial(torch.ones(0), 1, True),
    )
    for x, samples in ((np.ones(4), 5), (np.ones(3), 0), (np.ones(3, np.int64), 1)):
        assert_same_error(
            lambda g, x=x, k=samples: streams.multinomial(g, x, k),
            lambda x=x, k=samples: torch.multinomial(torch.from_numpy(x), k),
        )


# ---- rounding ----


def nearest_float32(exact: Fraction) -> np.float32:
    near = np.float32(float(exact))
    candidates = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(candidates, key=lambda x: (abs(Fraction(float(x)) - exact), int(x.view(np.int32)) & 1))


def test_fma32_rounds_once():
    rng = np.random.default_rng(0)
    a = np.full(
        3000, 1 + 2.0**-12, np.float32
    )  # a*a is just above a midpoint once it is added to a large number
    a[1000:] = rng.integers(1, 2**24, 2000) * 2.0**-24
    b = (a * np.float32(2.0**-30)).astype(np.float32)
    c = rng.choice([1, 0.5, 2**10, 2**25, 2.0**30, -1.5], 3000).astype(np.float32)
    got = fma32(a, b, c)
    for x, y, z, out in zip(a.tolist(), b.tolist(), c.tolist(), got, strict=True):
        assert out == nearest_float32(Fraction(x) * Fraction(y) + Fraction(z))


@pytest.mark.parametrize(("b", "c"), [(3.7, 0.1), (0.7, 2.3), (5.0, -2.0), (1e-3, 1e3), (1e10, -1 / 3)])
def test_fma64_rounds_once(b, c):
    a = np.random.default_rng(0).standard_normal(2000)
    for x, out in zip(a.tolist(), fma64(a, b, c).tolist(), strict=True):
        assert out == float(Fraction(x) * Fraction(b) + Fraction(c))


@pytest.mark.parametrize("drawn", [-(1 << 40), 1 << 40])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "complex64"])
def test_normals_by_arrays_and_by_loops(drawn, dtype, monkeypatch):
    """Whether few were drawn before, or many, they are PyTorch's to the last bit."""
    from rushlight.streams import normals

    monkeypatch.setattr(normals, "_drawn", [drawn])
    for size in (16, 17, 31, 32, 100, 128, 1000, 1025, 8192, 8200, 70001):
        for mean, std in ((0.0, 1.0), (1.5, 0.25), (-3.0, 1e-3), (0.0, 0.0)):
            made = []
            for lib in (torch, rushlight):
                lib.manual_seed(size)
                t = lib.empty(size, dtype=getattr(lib, dtype)).normal_(mean, std)
                made.append(t.to(lib.complex128).numpy().tobytes())
            assert made[0] == made[1], (size, mean, std)
