"""Printing compared with PyTorch, character by character.

Printing is given stand-ins that answer with a PyTorch tensor's values and facts, so that any tensor
PyTorch can make is tried and nothing but printing is tested.
"""

from __future__ import annotations

import itertools
import math
import random

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rushlight import dtypes, printing

NAN, INF = math.nan, math.inf

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
COMPLEX = [torch.complex64, torch.complex128]
UNSIGNED = [torch.uint8, torch.uint16, torch.uint32, torch.uint64]
INTEGERS = [torch.int8, torch.int16, torch.int32, torch.int64, *UNSIGNED]
DTYPES = [torch.bool, *INTEGERS, *FLOATS, *COMPLEX]
BYTES_AS = {  # dtypes that NumPy lacks, and the integers that carry their bits there
    torch.bfloat16: (torch.int16, ml_dtypes.bfloat16),
    torch.float8_e5m2: (torch.int8, ml_dtypes.float8_e5m2),
    torch.float8_e4m3fn: (torch.int8, ml_dtypes.float8_e4m3fn),
}


# ---- stand-ins ----


class Dtype:
    def __init__(self, dtype: torch.dtype) -> None:
        self.name = str(dtype).removeprefix("torch.")
        self.is_floating_point = dtype.is_floating_point
        self.is_complex = dtype.is_complex

    def __repr__(self) -> str:
        return f"torch.{self.name}"


class Node:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class Tensor:
    """What printing may ask of a tensor, answered by a PyTorch tensor."""

    __module__ = "rushlight.tensor"

    def __init__(self, t: torch.Tensor) -> None:
        self._t = t
        self.dtype = Dtype(t.dtype)
        self.requires_grad = t.requires_grad

    @property
    def _a(self) -> np.ndarray:
        return as_numpy(self._t)

    @property
    def grad_fn(self) -> Node | None:
        node = self._t.grad_fn
        return None if node is None else Node(node.name())

    def is_inference(self) -> bool:
        return self._t.is_inference()

    def __repr__(self) -> str:
        return printing.format_tensor(self)

    def __format__(self, spec: str) -> str:
        return printing.format_scalar(self, spec)


class Parameter(Tensor):
    __module__ = "rushlight.nn.parameter"

    def __repr__(self) -> str:
        return printing.format_parameter(self)


class Scores(Tensor):
    __module__ = "user"


class TorchScores(torch.Tensor):
    pass


class Weights(Parameter):
    __module__ = "user"


class TorchWeights(torch.nn.Parameter):
    pass


TorchScores.__name__ = "Scores"
TorchWeights.__name__ = "Weights"


def as_numpy(t: torch.Tensor) -> np.ndarray:
    t = t.detach().resolve_conj().resolve_neg()
    if t.dtype in BYTES_AS:
        carrier, dtype = BYTES_AS[t.dtype]
        return t.view(carrier).numpy().view(dtype)
    return t.numpy()


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


def check(t: torch.Tensor) -> None:
    assert repr(Tensor(t)) == repr(t)


def set_both(**options) -> None:
    torch.set_printoptions(**options)
    printing.set_printoptions(**options)


def set_both_defaults(dtype: torch.dtype) -> None:
    torch.set_default_dtype(dtype)
    dtypes.set_default_dtype(dtypes.by_name(Dtype(dtype).name))


@pytest.fixture(autouse=True)
def _defaults_after_each_test():
    yield
    set_both_defaults(torch.float32)
    set_both(profile="default")


# ---- values ----


NOTABLE = [
    [1.0, 2.0, 3.0],
    [0.5, 1.25, -3.0],
    [0.0, -0.0],
    [-0.0],
    [0.0, 1.5],
    [1e-5, 1.0],
    [1e-4, 1e-2],
    [0.99e-4, 1e-2],
    [1e8, 1.0],
    [1e8, 1e6],
    [1.0000001e8, 1e6],
    [1e30, 1e-30],
    [1000.0, 1.0],
    [1000.0, 0.5],
    [1001.0, 1.0],
    [1.5, 2000.25],
    [999.99999, 1.00001],
    [9.99999, 0.00999],
    [9.9999999e99, 1.0],
    [1e100, -1e-100],
    [5e-324, 1e308],
    [-1e-9, 2.0, -3.25],
    [NAN, 1.0],
    [INF, -INF],
    [NAN],
    [NAN, 0.5, -1.25],
    [INF, 2.0],
    [-INF, 1e10],
    [NAN, 1e-8, 1e8],
    [NAN, INF, -INF, 0.0, -0.0],
    [123456.7],
    [65504.0, 6e-8],
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("values", NOTABLE, ids=str)
def test_notable_floats(values, dtype):
    t = torch.tensor(values, dtype=torch.float64).to(dtype)
    check(t)
    check(t.reshape(1, -1, 1))
    for number in t:
        check(number)


@pytest.mark.parametrize("dtype", COMPLEX)
def test_notable_complex(dtype):
    parts = [0.0, -0.0, 1.0, -2.5, NAN, INF, -INF, 1e-8, 1e9]
    numbers = [complex(re, im) for re, im in itertools.product(parts, parts)]
    for number in numbers:
        check(torch.tensor(number, dtype=dtype))
        check(torch.tensor([number, 1 - 1j], dtype=dtype))
    check(torch.tensor(numbers, dtype=dtype))
    check(torch.tensor(numbers, dtype=dtype).reshape(9, 9).conj())


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype):
    info = torch.iinfo(dtype)
    check(torch.tensor([info.min, info.max, 0, 7], dtype=dtype))
    check(torch.tensor([[info.min], [1]], dtype=dtype))
    check(torch.tensor(info.max, dtype=dtype))


@pytest.mark.parametrize("values", [[True], [False], [True, False], [[True, True]], True, False])
def test_bools(values):
    check(torch.tensor(values))


@pytest.mark.parametrize("bits", [0x7F800001, 0xFFC00001, 0x00000001, 0x80000001, 0x7F7FFFFF])
@pytest.mark.filterwarnings("error")
def test_unusual_bits_of_float32(bits):
    check(torch.tensor(np.array([bits, 0x3FC00000], np.uint32).view(np.float32)))


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float8_e4m3fn])
def test_eight_bit_floats(dtype):
    check(torch.arange(256).to(torch.uint8).view(dtype))
    check(torch.tensor([1.0, 2.5]).to(dtype))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_bit_pattern_of_sixteen_bits(dtype):
    every = torch.arange(2**16).to(torch.uint16).view(dtype)
    for row in every.reshape(-1, 512):
        check(row)


# ---- shapes ----

SHAPES = [
    *[(), (1,), (30,), (1000,), (1001,), (3, 4), (40, 40), (2, 2, 2), (11, 10, 10), (1, 2, 600)],
    *[(600, 2, 1), (2, 1, 2, 1, 2), (7, 6, 7, 6), (4, 4, 4, 4, 4), (1,) * 30],
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (2, 0, 3), (1, 0, 0, 1)])
def test_empty(shape, dtype):
    for default in (torch.float32, torch.float64, torch.float16):
        set_both_defaults(default)
        check(torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape, dtype):
    numbers = torch.arange(math.prod(shape)).reshape(shape)
    check(numbers.to(dtype))
    if dtype.is_floating_point or dtype.is_complex:
        check(numbers.to(dtype) / 7)


def test_views():
    x = torch.arange(24.0).reshape(2, 3, 4) / 3
    for view in (x.mT, x[:, ::2], x[:1].expand(3, 3, 4), x[1, 1, 1], x[None], x.permute(2, 0, 1)):
        check(view)
    check(torch.tensor([1 + 1j, 2.5 - 3j]).conj())
    check(torch.tensor([1 + 1j, 2.5 - 3j]).conj().imag)


def test_only_shown_elements_count():
    x = torch.zeros(2000)
    x[1000] = 1e-9
    check(x)
    check(x.reshape(2, 1000))
    x = x.reshape(20, 100)
    x[1, 1] = 0.5
    check(x)


def test_a_huge_tensor_is_not_read():
    check(torch.tensor(1.5).expand(2**20, 2**20))
    check(torch.tensor([[1], [-20]]).expand(3, 2, 2**40))
    check(torch.tensor(1 - 0.5j).expand(2**40))
    with printing.printoptions(edgeitems=0):
        assert repr(Tensor(torch.tensor(1).expand(2**40))) == "tensor([...], size=(1099511627776,))"


# ---- what follows the values ----


@pytest.mark.parametrize("default", FLOATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_named_unless_it_is_the_default(dtype, default):
    set_both_defaults(default)
    check(torch.ones(2).to(dtype))
    check(torch.ones(()).to(dtype))


def test_gradients():
    w = torch.tensor([1.5, 2.0], requires_grad=True)
    written = w.clone()
    written[0] = 5.0
    for t in (w, w * 2, w.sum(), written, w.detach(), w.double(), w[:0], w.expand(2, 2) + 1, written[1:]):
        check(t)
    for size in range(1, 40):
        check(torch.arange(float(size), requires_grad=True) / 3)
        check(torch.arange(float(size), requires_grad=True, dtype=torch.float64))


@pytest.mark.parametrize("linewidth", range(10, 90, 3))
def test_several_suffixes_on_narrow_lines(linewidth):
    set_both(linewidth=linewidth)
    t = torch.zeros(2, 0, dtype=torch.float64, requires_grad=True)
    for suffixed in (t, t * 2, torch.ones(2, dtype=torch.bfloat16, requires_grad=True)):
        check(suffixed)


def test_custom_function():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    check(Twice.apply(torch.ones(2, requires_grad=True)))


def test_gradient_that_cannot_be_had():
    base = torch.ones(3, requires_grad=True).clone()
    with torch.no_grad():
        view = base[:2]
        view.mul_(2)
    check(view)


def test_inference_tensors():
    with torch.inference_mode():
        check(torch.ones(2))


def test_custom_contents():
    t = torch.ones(2, dtype=torch.float64)
    for contents in ("...", "x" * 60, "a\nb"):
        expected = t.__repr__(tensor_contents=contents)
        assert printing.format_tensor(Tensor(t), tensor_contents=contents) == expected


def test_parameters_and_subclasses():
    for values in (torch.ones(2), torch.arange(300.0) / 7, torch.ones(2, 0), torch.tensor(3.5)):
        parameter = torch.nn.Parameter(values)
        assert repr(Parameter(parameter)) == repr(parameter)
        weights = TorchWeights(values)
        assert repr(Weights(weights)) == repr(weights)
        assert repr(Scores(values)) == repr(values.as_subclass(TorchScores))
        own = torch.nn.Parameter(values.as_subclass(TorchScores))
        scores = Scores(own)
        scores._is_param = True
        assert repr(scores) == repr(own)


# ---- options ----


OPTION_SETS = [
    {"precision": 2},
    {"precision": 8},
    {"precision": 0},
    {"sci_mode": True},
    {"sci_mode": False},
    {"threshold": 0},
    {"threshold": -1},
    {"threshold": 10},
    {"threshold": 10, "edgeitems": 1},
    {"threshold": 10, "edgeitems": 0},
    {"edgeitems": 0},
    {"edgeitems": 100},
    {"linewidth": 40},
    {"linewidth": 1},
    {"linewidth": 0},
    {"linewidth": 300, "threshold": 5},
    {"linewidth": 33.5},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "full", "linewidth": 50},
    {"profile": "nothing"},
    {"profile": "nothing", "precision": 1},
    {"precision": 3, "sci_mode": True, "threshold": 3, "edgeitems": 2, "linewidth": 60},
]


def _specimens():
    fractions = torch.arange(1100.0, dtype=torch.float64) / 7 - 40
    yield from (fractions, fractions.float(), fractions[:77].reshape(7, 11), fractions[0], fractions[:0])
    yield from (fractions[:1100].reshape(11, 10, 10), fractions.reshape(1, 1100).half())
    yield from (torch.arange(1100), torch.arange(400).reshape(20, 20), torch.arange(8.0), torch.tensor(5))
    yield from (torch.tensor([0.0, NAN]), torch.tensor([1e10, 1e-10]), torch.tensor(True), torch.tensor(5.0))
    yield torch.complex(fractions[:60], fractions[60:120].flip(0))
    yield torch.complex(fractions, fractions * 1000).reshape(2, 550)


@pytest.mark.parametrize("options", OPTION_SETS, ids=str)
def test_options(options):
    set_both(**options)
    assert printing.get_printoptions() == torch._tensor_str.get_printoptions()
    for t in _specimens():
        check(t)


@pytest.mark.parametrize("options", [{"precision": -1}, {"precision": "x"}, {"linewidth": INF}], ids=str)
def test_senseless_options_fail_alike(options):
    set_both(**options)
    t = torch.tensor([1.5, 2.0])
    assert outcome(lambda: repr(Tensor(t))) == outcome(lambda: repr(t))


def test_options_last_and_sci_mode_does_not():
    for options in ({"precision": 2, "sci_mode": True}, {"edgeitems": 5}, {"profile": "default"}):
        set_both(**options)
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_an_unknown_profile_changes_nothing():
    for options in (
        {"precision": 7, "edgeitems": 1},
        {"profile": "nothing"},
        {"profile": "", "threshold": 9},
    ):
        set_both(**options)
        assert printing.get_printoptions() == torch._tensor_str.get_printoptions()


def test_options_in_a_block():
    printing.set_printoptions(precision=6, sci_mode=False)
    before = printing.get_printoptions()
    with pytest.raises(KeyError), printing.printoptions(precision=1, profile="short"):
        assert printing.get_printoptions()["edgeitems"] == 2
        assert printing.get_printoptions()["precision"] == 1
        raise KeyError
    assert printing.get_printoptions() == before
    with pytest.raises(TypeError), printing.printoptions(digits=1):
        pass
    assert printing.get_printoptions() == before


# ---- random ----


def _scaled(rng: random.Random, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return numbers of one of several characters: whole, rounded, spread, spoilt by nan and inf."""
    generator = torch.Generator().manual_seed(rng.randrange(2**32))
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    x = x * 10.0 ** rng.uniform(-9, 12) if rng.random() < 0.5 else x * 10.0 ** rng.randint(-3, 3)
    if rng.random() < 0.2:
        x = x * 10.0 ** (torch.randn(shape, generator=generator, dtype=torch.float64) * rng.choice([1, 40]))
    if rng.random() < 0.4:
        x = x.round()
    if rng.random() < 0.3:
        x = x.abs()
    if rng.random() < 0.4:
        spoilers = torch.tensor([NAN, INF, -INF, 0.0, -0.0], dtype=torch.float64)
        pick = torch.randint(len(spoilers), shape, generator=generator)
        x = torch.where(torch.rand(shape, generator=generator) < rng.choice([0.1, 0.9]), spoilers[pick], x)
    return x if dtype.is_floating_point else x.nan_to_num(0, 0, 0).clamp(-(2.0**62), 2.0**62)


def _random_tensor(rng: random.Random) -> torch.Tensor:
    dtype = rng.choice(DTYPES)
    shape = tuple(rng.choice([0, 1, 1, 2, 3, 5, 8, 13]) for _ in range(rng.randrange(5)))
    if dtype in COMPLEX:
        t = torch.complex(_scaled(rng, shape, torch.float64), _scaled(rng, shape, torch.float64)).to(dtype)
    elif dtype in UNSIGNED:
        t = _scaled(rng, shape, dtype).abs().to(torch.int64).to(dtype)
    else:
        t = _scaled(rng, shape, dtype).to(dtype)
    if rng.random() < 0.3 and t.ndim > 1:
        t = t.transpose(0, -1)
    if rng.random() < 0.3 and (dtype.is_floating_point or dtype.is_complex):
        t = t.requires_grad_()
        t = t.clone() if rng.random() < 0.5 else t
    return t


def _random_options(rng: random.Random) -> dict:
    table = {
        "precision": [0, 1, 2, 3, 6, 12],
        "threshold": [0, 1, 10, 50, INF],
        "edgeitems": [0, 1, 2, 4],
        "linewidth": [1, 20, 60, 79, 81, 120],
        "profile": ["default", "short", "full"],
        "sci_mode": [True, False],
    }
    return {name: rng.choice(choices) for name, choices in table.items() if rng.random() < 0.35}


@pytest.mark.parametrize("seed", range(60))
def test_random_tensors_and_options(seed):
    rng = random.Random(seed)
    for _ in range(15):
        set_both(profile="default")
        set_both(**_random_options(rng))
        set_both_defaults(rng.choice(FLOATS))
        t = _random_tensor(rng)
        check(t)


@settings(deadline=None, max_examples=300)
@given(
    values=st.lists(st.floats(width=32), min_size=1, max_size=12),
    precision=st.integers(0, 9),
    sci_mode=st.sampled_from([None, None, True, False]),
    linewidth=st.integers(0, 100),
)
def test_any_float32(values, precision, sci_mode, linewidth):
    set_both(profile="default", precision=precision, sci_mode=sci_mode, linewidth=linewidth)
    t = torch.tensor(values)
    check(t)
    check(torch.complex(t, t.flip(0)))
    check(t[0])


@settings(deadline=None, max_examples=300)
@given(values=st.lists(st.floats(), min_size=1, max_size=8), precision=st.integers(0, 17))
def test_any_float64(values, precision):
    set_both(profile="default", precision=precision)
    check(torch.tensor(values, dtype=torch.float64))


# ---- format() ----


SPECS = ["", ".2f", ">8.3f", "e", "03d", ",", "d", "x", "s", ">6", "%", "b", "nonsense"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_format_of_a_number(dtype, spec):
    for value in (0, 1, 3.14159):
        t = torch.tensor(value).to(dtype)
        assert outcome(lambda t=t: format(Tensor(t), spec)) == outcome(lambda t=t: format(t, spec))


@pytest.mark.parametrize("spec", SPECS)
def test_format_of_other_tensors(spec):
    leaf = torch.tensor(1.5, requires_grad=True)
    for t in (leaf, leaf * 2, torch.ones(1), torch.ones(2), torch.ones(0), torch.ones(1, 1)):
        assert outcome(lambda t=t: format(Tensor(t), spec)) == outcome(lambda t=t: format(t, spec))
    parameter = torch.nn.Parameter(torch.tensor(1.5))
    assert outcome(lambda: format(Parameter(parameter), spec)) == outcome(lambda: format(parameter, spec))
    scores = torch.tensor(1.5).as_subclass(TorchScores)
    assert outcome(lambda: format(Scores(scores), spec)) == outcome(lambda: format(scores, spec))
