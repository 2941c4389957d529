"""`torch.testing`: what is close, what is said of what is not, and random tensors."""

import numpy as np
import pytest
import torch
from both import outcome, same, seen

import rushlight

PAIRS = """
1, 1 | 1, 2 | 1, 1.0 | 1.0, 1.0 + 1e-9 | 1.0, 1.1 | 0.0, 1e-9 | float('nan'), float('nan') | float('inf'), float('inf')
1j, 1j + 1e-9 | 1j, 2j | True, True | True, False | None, None | None, 1 | 'a', 'a' | 1, '1' | 1, 0
[1, 2], [1, 2] | [1, 2], [1, 3] | [1], [1, 2] | [1], (1,) | {'a': 1}, {'a': 1} | {'a': 1}, {'b': 1} | {'a': [1, {'b': 2}]}, {'a': [1, {'b': 3}]}
T.tensor([1., 2.]), T.tensor([1., 2.]) | T.tensor([1., 2., 3.]), T.tensor([1., 2.5, 3.1]) | T.tensor([1, 2]), T.tensor([1, 3])
T.tensor([1., 2.]), T.tensor([1., 2.], dtype=T.float64) | T.tensor([1.]), T.tensor(1.) | T.tensor(1.), T.tensor(2.) | T.tensor(1.), T.tensor(0.)
T.ones(2, 3), T.ones(3, 2).T | T.ones(2, 3), T.ones(3, 2) | T.tensor([float('nan')]), T.tensor([float('nan')]) | T.tensor([1+1j]), T.tensor([1+2j])
T.tensor([float('inf'), 1.]), T.tensor([float('inf'), 2.]) | T.tensor([True, False]), T.tensor([True, True]) | T.ones(0), T.ones(0)
[T.ones(2), T.zeros(2)], [T.ones(2), T.ones(2)] | T.ones(2), [1., 1.] | T.ones(2), 1.0 | T.arange(24.).reshape(2, 3, 4), T.arange(24.).reshape(2, 3, 4) + 1e-3
np.ones(2), np.ones(2) | np.ones(2), np.zeros(2) | np.float32(1), np.float32(2) | np.bool_(True), True | np.float64(1), 1.0 | np.ones(2), T.ones(2)
T.tensor([1, 2], dtype=T.uint8), T.tensor([2, 1], dtype=T.uint8) | T.tensor([1.], dtype=T.float16), T.tensor([1.001], dtype=T.float16)
T.tensor([1.], dtype=T.bfloat16), T.tensor([1.05], dtype=T.bfloat16) | T.nn.Parameter(T.ones(2)), T.ones(2) | T.ones(2).requires_grad_(), T.zeros(2) | object, object
""".replace("\n", " | ").strip(" |").split(" | ")  # fmt: skip


def whole(program, T):
    found = outcome(program, T)
    if isinstance(found, Exception):
        text = (
            str(found)
            .replace("rushlight.Tensor", "torch.Tensor")
            .replace("nn.parameter.", "")
            .replace("rushlight.Parameter", "torch.Parameter")
        )
        return type(found).__name__, text
    return found


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    "given",
    [{}, {"check_dtype": False, "equal_nan": True}, {"rtol": 0, "atol": 0}, {"rtol": 0.2, "atol": 0.0}],
)
def test_close_is_what_pytorch_calls_close(pair, given):
    def program(T):
        T.testing.assert_close(*eval(pair, {"T": T, "np": np}), **given)

    assert whole(program, rushlight) == whole(program, torch)


@pytest.mark.parametrize(
    "given",
    [
        {"rtol": 0.1},
        {"atol": 0.1},
        {"check_stride": True},
        {"msg": "no"},
        {"msg": lambda told: "So: " + told},
        {"allow_subclasses": False},
    ],
)
@pytest.mark.parametrize(
    "pair",
    ["T.ones(2, 3), T.ones(3, 2).T", "T.ones(2), T.zeros(2)", "1, 2", "[1, 2], [1, 3]", "T.nn.Parameter(T.ones(2)), T.ones(2)"],
)  # fmt: skip
def test_options(pair, given):
    def program(T):
        T.testing.assert_close(*eval(pair, {"T": T}), **given)

    assert whole(program, rushlight) == whole(program, torch)


def test_a_boolean_is_no_number():
    with pytest.raises(AssertionError, match=r"bool.* != .*int"):
        rushlight.testing.assert_close(True, 1)


def test_mixed_unsigned_types():
    same(lambda T: T.testing.assert_close(T.ones(2, dtype=T.uint16), T.ones(2), check_dtype=False))


@pytest.mark.parametrize(
    "pair", ["T.ones(2), T.ones(2) + 1e-5", "[1., 2.], [1., 2.1]", "T.ones(2), [1., 1.]", "T.tensor(float('nan')), float('nan')"]
)  # fmt: skip
def test_the_older_form(pair):
    for T in (torch, rushlight):
        with pytest.warns(FutureWarning, match="assert_allclose"):
            outcome_of = seen_warning(lambda T=T: T.testing.assert_allclose(*eval(pair, {"T": T})))
        assert outcome_of in ("", "AssertionError")
    same(lambda T: T.testing.assert_allclose(*eval(pair, {"T": T})))


def seen_warning(call):
    try:
        call()
    except AssertionError:
        return "AssertionError"
    return ""


# ---- make_tensor ----

KINDS = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"low": 0, "high": 2},
        {"low": -3.5},
        {"high": 0.5},
        {"noncontiguous": True},
        {"exclude_zero": True},
        {"low": 5, "high": 2},
        {"low": 1e9, "high": 1e300},
        {"low": float("nan")},
        {"noncontiguous": True, "memory_format": "T.contiguous_format"},
    ],
)
def test_tensors_are_the_ones_pytorch_makes(kind, given):
    def program(T):
        T.manual_seed(0)
        options = {k: eval(v, {"T": T}) if isinstance(v, str) else v for k, v in given.items()}
        made = T.testing.make_tensor(3, 4, dtype=getattr(T, kind), device="cpu", **options)
        return made, made.stride()

    found, wanted = seen(program, rushlight), seen(program, torch)
    assert found == wanted


def test_shapes_and_gradients():
    def program(T):
        T.manual_seed(1)
        make = T.testing.make_tensor
        return (
            make((2, 2), dtype=T.float32, device="cpu", requires_grad=True),
            make((), dtype=T.int64, device="cpu"),
            make(0, dtype=T.float64, device="cpu"),
            make((2,), dtype=T.float64, device="cpu", low=-1.7e308, high=1.7e308).isfinite(),
        )

    same(program)
    same(lambda T: T.testing.make_tensor(2, dtype=T.int64, device="cpu", requires_grad=True))
