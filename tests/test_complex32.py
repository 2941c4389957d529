"""complex32 against PyTorch's: promotion, memory, arithmetic and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import rushlight

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf", "ignore:Casting complex")

KINDS = [
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "float16", "bfloat16", "float32", "float64",
    "complex32", "complex64", "complex128",
]  # fmt: skip


def pair(shape=(4, 3), scale=1.0, seed=0):
    """One complex32 tensor in PyTorch and in Rushlight."""
    parts = (np.random.default_rng(seed).standard_normal((*shape, 2)) * scale).astype(np.float16)
    return torch.view_as_complex(torch.from_numpy(parts)), rushlight.view_as_complex(
        rushlight.from_numpy(parts.copy())
    )


def outcome(f, *args):
    try:
        return f(*args)
    except Exception as error:  # the class and the sentence are what is compared
        return type(error).__name__, str(error).split("\n")[0]


def described(value):
    if hasattr(value, "tolist"):
        return str(value.dtype), tuple(value.shape), repr(value.tolist())
    return [described(part) for part in value] if isinstance(value, (tuple, list)) else value


def check(f, scale=1.0):
    (a, x), (b, y) = pair(scale=scale), pair(scale=scale, seed=1)
    expected, found = outcome(f, torch, a, b), outcome(f, rushlight, x, y)
    assert described(found) == described(expected)
    assert described(x) == described(a)


@pytest.mark.parametrize("kind", KINDS)
def test_promotion(kind):
    def promote(M):
        return str(M.promote_types(M.complex32, getattr(M, kind)))

    def with_tensor(M, shape):
        x = M.ones(shape, dtype=getattr(M, kind)) * M.tensor(1j, dtype=M.complex64)
        return str(x.dtype)

    assert outcome(promote, rushlight) == outcome(promote, torch)
    for shape in ((), (2,)):
        assert outcome(with_tensor, rushlight, shape) == outcome(with_tensor, torch, shape)


def test_properties():
    for M in (torch, rushlight):
        d = M.complex32
        assert d is M.chalf and d.itemsize == 4 and d.is_complex and d.is_signed and not d.is_floating_point
        assert d.to_real() is M.float16 and d.to_complex() is d and M.float16.to_complex() is d
        assert M.bfloat16.to_complex() is M.complex64
        assert M.ones(2, 3, dtype=d).nbytes == 24
    assert repr(rushlight.finfo(rushlight.complex32)) == repr(torch.finfo(torch.complex32))


ARITHMETIC = {
    "add": lambda M, x, y: x + y,
    "add number": lambda M, x, y: x + 0.1j,
    "add alpha": lambda M, x, y: M.add(x, y, alpha=0.3),
    "sub": lambda M, x, y: x - y,
    "sub alpha": lambda M, x, y: M.sub(x, y, alpha=-2.7),
    "rsub": lambda M, x, y: 1.5 - x,
    "mul": lambda M, x, y: x * y,
    "mul number": lambda M, x, y: x * (1.1 + 2.2j),
    "half times complex": lambda M, x, y: x.real * (0.1 + 1.2j),
    "addcmul": lambda M, x, y: M.addcmul(x, x, y, value=0.7),
    "neg": lambda M, x, y: -x,
    "abs": lambda M, x, y: x.abs(),
    "conj": lambda M, x, y: x.conj(),
    "eq": lambda M, x, y: x == x,
    "ne": lambda M, x, y: x != y,
    "isnan": lambda M, x, y: x.isnan(),
    "isreal": lambda M, x, y: x.real.to(M.complex32).isreal(),
    "outer": lambda M, x, y: M.outer(x[0], y[1]),
    "add_": lambda M, x, y: x.clone().add_(y),
    "mul_": lambda M, x, y: x.clone().mul_(2),
}


@pytest.mark.parametrize("name", ARITHMETIC)
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e-3, 1e4])
def test_arithmetic(name, scale):
    check(ARITHMETIC[name], scale)


MOVING = {
    "clone": lambda M, x, y: x.clone(),
    "row": lambda M, x, y: x[1],
    "element": lambda M, x, y: x[1, 2],
    "step": lambda M, x, y: x[::2, 1:] + y[1::2, :2],
    "transpose": lambda M, x, y: x.t() + y.t(),
    "index": lambda M, x, y: x[M.tensor([2, 0, 0])],
    "mask": lambda M, x, y: x[x.real > 0],
    "cat": lambda M, x, y: M.cat([x, y], 1),
    "cat mixed": lambda M, x, y: M.cat([x, y.real]),
    "stack": lambda M, x, y: M.stack([x, y]),
    "expand": lambda M, x, y: x[0].expand(2, 3) * 2,
    "repeat": lambda M, x, y: x.repeat(2, 1),
    "roll": lambda M, x, y: x.roll(1),
    "where": lambda M, x, y: M.where(x.real > 0, x, y),
    "masked_fill": lambda M, x, y: x.masked_fill(x.real > 0, 1j),
    "index_select": lambda M, x, y: x.index_select(1, M.tensor([2, 0])),
    "index_put": lambda M, x, y: x.index_put((M.tensor([0, 3]),), y[:2]),
    "tril": lambda M, x, y: x.tril(),
    "diag": lambda M, x, y: x[0].diag(),
    "setitem": lambda M, x, y: x.clone().__setitem__((0, 1), 2 + 1j),
    "fill_": lambda M, x, y: x.clone().fill_(3),
    "zero_": lambda M, x, y: x.clone().zero_(),
    "copy_": lambda M, x, y: x.clone().copy_(y.real),
    "real": lambda M, x, y: x.real,
    "imag": lambda M, x, y: x.imag,
    "view_as_real": lambda M, x, y: M.view_as_real(x),
    "view float16": lambda M, x, y: x.view(M.float16),
    "view int32": lambda M, x, y: x.view(M.int32),
    "nonzero": lambda M, x, y: x.nonzero(),
    "any": lambda M, x, y: [x.any(), x.all(0), x.count_nonzero()],
    "norm": lambda M, x, y: x.norm(),
    "index_add": lambda M, x, y: x.index_add(0, M.tensor([1, 2]), y[:2]),
    "sum dtype": lambda M, x, y: x[:1, :2].sum(dtype=M.complex64),
    "item": lambda M, x, y: [x[0, 0].item(), complex(x[0, 0]), bool(x[0, 0]), x.tolist()],
    "numpy": lambda M, x, y: x.numpy(),
    "equal to itself": lambda M, x, y: x.equal(y),
}


@pytest.mark.parametrize("name", MOVING)
def test_moving(name):
    check(MOVING[name])


@pytest.mark.parametrize("kind", KINDS)
def test_conversion(kind):
    check(lambda M, x, y: x.to(getattr(M, kind)))
    values = [0, 1, 5, 100]
    for M in (torch, rushlight):
        assert M.tensor(values, dtype=getattr(M, kind)).chalf().dtype is M.complex32
    for values in (
        ([0, 1, 100], [70000, 3])
        if kind not in ("bool", "uint8", "int8", "int16", "uint16")
        else ([0, 1, 7],)
    ):
        made = [M.tensor(values).to(getattr(M, kind)).to(M.complex32).tolist() for M in (torch, rushlight)]
        assert made[0] == made[1]


CREATION = {
    "ones": lambda M, d: M.ones(2, 3, dtype=d),
    "zeros": lambda M, d: M.zeros(2, dtype=d),
    "full": lambda M, d: M.full((2,), 1 - 2j, dtype=d),
    "tensor": lambda M, d: M.tensor([[1, 2.5], [1j, 70000]], dtype=d),
    "empty tensor": lambda M, d: M.tensor([], dtype=d),
    "ones_like": lambda M, d: M.ones_like(M.zeros(3, dtype=d)),
    "full_like": lambda M, d: M.full_like(M.zeros(3, dtype=d), 2),
    "new_ones": lambda M, d: M.zeros(3, dtype=d).new_ones(2),
    "complex": lambda M, d: M.complex(M.ones(2, dtype=M.float16), M.tensor([1.5, 2], dtype=M.float16)),
    "rand": lambda M, d: (M.manual_seed(3), M.rand(5, dtype=d))[1],
    "randn": lambda M, d: (M.manual_seed(3), M.randn(20, dtype=d))[1],
    "normal_": lambda M, d: (M.manual_seed(3), M.zeros(20, dtype=d).normal_())[1],
    "eye": lambda M, d: M.eye(2, dtype=d),
    "arange": lambda M, d: M.arange(3, dtype=d),
    "linspace": lambda M, d: M.linspace(0, 1, 3, dtype=d),
}


@pytest.mark.parametrize("name", CREATION)
def test_creation(name):
    expected = outcome(CREATION[name], torch, torch.complex32)
    assert described(outcome(CREATION[name], rushlight, rushlight.complex32)) == described(expected)


REFUSED = [
    "sum", "mean", "prod", "exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "asin", "atanh", "sigmoid", "rsqrt",
    "reciprocal", "square", "expm1", "log10", "angle", "sign", "round", "logical_not", "max", "unique", "sort", "argsort",
    "nansum", "sinc", "nan_to_num", "floor", "erf",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    check(lambda M, x, y: getattr(x, name)())


REFUSED_PAIRS = {
    "div": lambda M, x, y: x / y,
    "pow": lambda M, x, y: x**2,
    "lt": lambda M, x, y: x < y,
    "mm": lambda M, x, y: x @ y.t(),
    "dot": lambda M, x, y: x[0].dot(y[0]),
    "vdot": lambda M, x, y: x[0].vdot(y[0]),
    "gather": lambda M, x, y: x.gather(0, M.tensor([[0]])),
    "scatter_add": lambda M, x, y: x.scatter_add(0, M.tensor([[0]]), y),
    "cumsum": lambda M, x, y: x.cumsum(0),
    "maximum": lambda M, x, y: M.maximum(x, y),
    "bitwise_and": lambda M, x, y: x & y,
    "clamp": lambda M, x, y: x.clamp(0),
    "addcdiv": lambda M, x, y: M.addcdiv(x, y, y),
    "inv": lambda M, x, y: M.linalg.inv(x[:3]),
    "into half": lambda M, x, y: x.real.clone().mul_(1j),
    "shapes": lambda M, x, y: x / y[:, :2],
}


@pytest.mark.parametrize("name", REFUSED_PAIRS)
def test_refused_of_two(name):
    check(REFUSED_PAIRS[name])


def test_printing():
    for scale in (1.0, 1e-3, 3e4):
        a, x = pair(scale=scale)
        assert repr(x) == repr(a) and repr(x[0, 0]) == repr(a[0, 0]) and repr(x[:0]) == repr(a[:0])
        assert f"{x[0, 0]}" == f"{a[0, 0]}"


def test_shares_memory():
    _, x = pair()
    x.real.zero_()
    rushlight.view_as_real(x)[..., 1] = 2
    assert x.tolist() == [[2j] * 3] * 4
    assert x.untyped_storage().nbytes() == 48


def test_gradients():
    for M in (torch, rushlight):
        x = M.tensor([1 + 2j, 3 - 1j], dtype=M.complex32, requires_grad=True)
        M.view_as_real(x * (2 + 1j)).backward(M.ones(2, 2, dtype=M.float16))
        assert x.grad.dtype is M.complex32 and x.grad.tolist() == [3 + 1j, 3 + 1j]


def test_pickle():
    _, x = pair()
    assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist()
    assert pickle.loads(pickle.dumps(rushlight.complex32)) is rushlight.complex32
