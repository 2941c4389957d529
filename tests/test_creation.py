"""Making tensors beside PyTorch: values to the bit, dtypes, strides, errors, hostile input."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from both import outcome
from both import same as alike

import rushlight

LIBRARIES = (torch, rushlight)
DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
]


def same(theirs: Any, ours: Any) -> None:
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (ours, theirs)
        return
    assert not isinstance(ours, Exception), ours
    if isinstance(theirs, tuple):
        assert len(theirs) == len(ours)
        for one, other in zip(theirs, ours):
            same(one, other)
    elif isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.stride() == theirs.stride()
        assert str(ours.dtype) == str(theirs.dtype)
        assert ours.requires_grad == theirs.requires_grad
        np.testing.assert_array_equal(np.array(ours.tolist()), np.array(theirs.tolist()))
    else:
        assert ours == theirs


# ---- tensor() and its kin ----


class Sequence:
    """Sequences that do not do what sequences do."""

    def __init__(self, length: Any, item: Callable) -> None:
        self.length, self.item = length, item

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.item(self, index)


def fail(self: Any, index: int) -> Any:
    raise ValueError("no such thing")


def deep(depth: int) -> list:
    nested: list = []
    for _ in range(depth):
        nested = [nested]
    return nested


def circular() -> list:
    nested: list = []
    nested.append(nested)
    return nested


DATA: dict[str, Callable] = {
    "float": lambda T: 1.5,
    "int": lambda T: 3,
    "bool": lambda T: True,
    "complex": lambda T: 1 + 2j,
    "huge int": lambda T: 2**63,
    "least int": lambda T: -(2**63),
    "huge float": lambda T: 1e300,
    "nan": lambda T: float("nan"),
    "empty": lambda T: [],
    "empties": lambda T: [[], []],
    "mixed": lambda T: [1, 2.5, True],
    "bools and ints": lambda T: [True, 2],
    "complex list": lambda T: [1, 2j],
    "nested": lambda T: [[1, 2], (3, 4)],
    "ranges": lambda T: [range(2), range(2)],
    "ragged": lambda T: [[1, 2], [3]],
    "ragged deeper": lambda T: [[[1, 2], [3, 4]], [[1, 2], [3]]],
    "number and list": lambda T: [1, [2]],
    "list and number": lambda T: [[1], 2],
    "empty and full": lambda T: [[], [1]],
    "full and empty": lambda T: [[1], []],
    "string": lambda T: "a",
    "strings": lambda T: ["a"],
    "bytes": lambda T: b"ab",
    "bytearray": lambda T: bytearray(b"ab"),
    "string inside": lambda T: [[1, 2], [3, "a"]],
    "None": lambda T: None,
    "None inside": lambda T: [1, None],
    "object": lambda T: object(),
    "dict": lambda T: {1: 2},
    "set": lambda T: {1, 2},
    "generator": lambda T: (n for n in range(3)),
    "circular": lambda T: circular(),
    "deep": lambda T: deep(500),
    "failing": lambda T: Sequence(3, fail),
    "endless": lambda T: Sequence(3, lambda self, index: self),
    "negative length": lambda T: Sequence(-1, fail),
    "tensor": lambda T: T.ones(2, 3).t(),
    "tensors": lambda T: [T.tensor(1), T.tensor(2.5)],
    "one-element tensors": lambda T: [T.ones(1), T.ones(1)],
    "longer tensors": lambda T: [T.ones(2), T.ones(2)],
    "array": lambda T: np.arange(6, dtype=np.int16).reshape(2, 3).T,
    "0-d array": lambda T: np.array(2.5),
    "arrays": lambda T: [np.ones(2), np.zeros(2)],
    "list of 0-d array": lambda T: [np.array(1)],
    "scalars": lambda T: [np.float32(1), np.float32(2)],
    "scalars and ints": lambda T: [np.float32(1), 2],
    "int scalars": lambda T: [np.int8(1), np.int16(2)],
    "bool scalar": lambda T: np.bool_(True),
    "half scalar": lambda T: np.float16(1),
    "string array": lambda T: np.array(["a"]),
    "object array": lambda T: np.array([object()]),
    "big-endian": lambda T: np.array([1.0], ">f4"),
    "reversed": lambda T: np.arange(3)[::-1],
    "long double": lambda T: np.longdouble(1),
    "memoryview": lambda T: memoryview(b"abc"),
}


@pytest.mark.parametrize("name", DATA)
def test_tensor(name: str) -> None:
    for function in ("tensor", "as_tensor", "asarray"):
        same(*(outcome(lambda T=T: getattr(T, function)(DATA[name](T))) for T in LIBRARIES))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    [
        "float",
        "int",
        "bool",
        "complex",
        "mixed",
        "nested",
        "nan",
        "huge float",
        "scalars",
        "array",
        "tensors",
    ],
)
def test_tensor_of_a_dtype(name: str, dtype: str) -> None:
    same(*(outcome(lambda T=T: T.tensor(DATA[name](T), dtype=getattr(T, dtype))) for T in LIBRARIES))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "uint64", "float16", "float32"])
@pytest.mark.parametrize(
    "value", [-1, 255, 256, -129, 300, 2**31, 2**63, 2**64, -(2**63) - 1, 3e9, 1e40, float("inf")]
)
def test_numbers_that_may_not_fit(value: Any, dtype: str) -> None:
    same(*(outcome(lambda T=T: T.tensor(value, dtype=getattr(T, dtype))) for T in LIBRARIES))
    same(*(outcome(lambda T=T: T.full((2,), value, dtype=getattr(T, dtype))) for T in LIBRARIES))


def test_tensor_copies_and_as_tensor_shares() -> None:
    a = np.zeros(3)
    copied, shared = rushlight.tensor(a), rushlight.as_tensor(a)
    a[0] = 5.0
    assert copied.tolist() == [0.0, 0.0, 0.0] and shared.tolist() == [5.0, 0.0, 0.0]


def test_read_only_arrays_cannot_be_written_to() -> None:
    a = np.arange(3.0)
    a.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = rushlight.from_numpy(a)
    for write in (
        lambda: x.add_(1),
        lambda: x[1:].zero_(),
        lambda: x.fill_(2),
        lambda: x.detach().copy_(x + 1),
    ):
        with pytest.raises(RuntimeError, match="read-only"):
            write()
    assert a.tolist() == [0.0, 1.0, 2.0] and x.clone().add_(1).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"count": 1},
        {"offset": 4},
        {"offset": 2},
        {"offset": 9},
        {"offset": -1},
        {"count": 3},
        {"count": 0},
        {"count": -2},
    ],
)
def test_frombuffer(kwargs: dict) -> None:
    same(
        *(outcome(lambda T=T: T.frombuffer(bytearray(range(8)), dtype=T.int32, **kwargs)) for T in LIBRARIES)
    )


# ---- sizes ----

SIZES = [
    (),
    (0,),
    (2, 3),
    ((2, 3),),
    ([2, 0],),
    (-1,),
    (2**62,),
    (2**63,),
    (2**64,),
    (2.5,),
    ("a",),
    (None,),
    ((2, None),),
    (True,),
    ([[2]],),
    ((2,), (3,)),
]


@pytest.mark.parametrize("function", ["zeros", "ones"])
@pytest.mark.parametrize("args", SIZES, ids=str)
def test_sizes(function: str, args: tuple) -> None:
    theirs, ours = (outcome(lambda T=T: getattr(T, function)(*args)) for T in LIBRARIES)
    same(theirs, ours)


@pytest.mark.parametrize("args", [*SIZES, (2**50,)], ids=str)
def test_empty(args: tuple) -> None:
    theirs, ours = (outcome(lambda T=T: tuple(T.empty(*args).shape)) for T in LIBRARIES)
    same(theirs, ours)


LIKE: dict[str, Callable] = {
    "contiguous": lambda T: T.ones(2, 3),
    "transposed": lambda T: T.ones(2, 3).t(),
    "permuted": lambda T: T.ones(2, 3, 4).permute(1, 2, 0),
    "expanded": lambda T: T.ones(1, 3).expand(4, 3),
    "partly expanded": lambda T: T.ones(2, 1, 3).expand(2, 4, 3).permute(2, 0, 1),
    "gapped": lambda T: T.ones(4, 6)[::2, ::3],
    "gapped transposed": lambda T: T.ones(4, 6)[::2, ::3].t(),
    "column": lambda T: T.ones(1, 3).t(),
    "empty": lambda T: T.ones(0, 3).t(),
    "0-d": lambda T: T.tensor(1.0),
    "channels last": lambda T: T.empty(2, 3, 4, 5, memory_format=T.channels_last).fill_(1),
}


@pytest.mark.parametrize("layout", LIKE)
def test_like(layout: str) -> None:
    for function in (
        lambda T, x: T.zeros_like(x),
        lambda T, x: T.ones_like(x, dtype=T.int64),
        lambda T, x: T.full_like(x, 2.5),
        lambda T, x: T.full_like(x, 2, memory_format=T.contiguous_format),
        lambda T, x: x.clone(),
        lambda T, x: x.clone(memory_format=T.contiguous_format),
        lambda T, x: x.to(T.float64),
        lambda T, x: x.contiguous(),
        lambda T, x: x.new_zeros(2, 2),
        lambda T, x: x.new_full((2,), 3),
        lambda T, x: x.new_ones(x.shape, dtype=T.bool),
    ):
        same(*(outcome(lambda T=T: function(T, LIKE[layout](T))) for T in LIBRARIES))


# ---- ranges, to the bit ----


def number() -> float:
    return random.choice([random.randint(-20, 20), random.uniform(-20, 20), random.uniform(0, 5)])


@pytest.mark.parametrize(
    "dtype", [None, "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
)
def test_ranges_have_pytorchs_bits(dtype: str | None) -> None:
    random.seed(0)
    for _ in range(150):
        start, end, steps = number(), number(), random.randint(0, 70)
        step = random.choice([1, 2, -1, 0.5, 0.7, -0.3, random.uniform(-2, 2), random.uniform(0.01, 0.1)])
        for call in (
            lambda T, d: T.arange(start, end, step, **d),
            lambda T, d: T.linspace(start, end, steps, **d),
        ):
            same(*(outcome(call, T, {"dtype": getattr(T, dtype)} if dtype else {}) for T in LIBRARIES))


def test_logspace_is_close() -> None:
    for args in ((0, 2, 5), (-1, 1, 7, 2.0), (3, 3, 1), (0, 1, 0)):
        np.testing.assert_allclose(
            rushlight.logspace(*args).numpy(), torch.logspace(*args).numpy(), rtol=1e-6
        )


GRIDS: dict[str, Callable] = {
    "eye": lambda T: T.eye(3, 2),
    "eye bool": lambda T: T.eye(2, dtype=T.bool),
    "eye negative": lambda T: T.eye(-1),
    "tril_indices": lambda T: T.tril_indices(3, 4, 1),
    "triu_indices": lambda T: T.triu_indices(4, 3, -1),
    "tril_indices negative": lambda T: T.tril_indices(-1, 3),
    "tril": lambda T: T.arange(12).reshape(3, 4).tril(1),
    "triu far": lambda T: T.arange(12).reshape(3, 4).triu(-(2**40)),
    "diag": lambda T: T.diag(T.arange(3), -1),
    "diag of a matrix": lambda T: T.diag(T.arange(6).view(2, 3), 1),
    "diagflat": lambda T: T.diagflat(T.arange(4).view(2, 2), 1),
    "diag_embed": lambda T: T.diag_embed(T.arange(6).view(2, 3), 1, 0, 2),
    "vander": lambda T: T.vander(T.tensor([1, 2, 3]), 4),
    "vander increasing": lambda T: T.vander(T.tensor([1.0, 2.0]), increasing=True),
    "meshgrid": lambda T: T.meshgrid(T.arange(2), T.arange(3), indexing="ij"),
    "meshgrid xy": lambda T: T.meshgrid(T.arange(2), T.arange(3), indexing="xy"),
    "meshgrid wrong": lambda T: T.meshgrid(T.arange(2), T.ones(3), indexing="ij"),
    "cartesian_prod": lambda T: T.cartesian_prod(T.arange(2), T.arange(3)),
    "combinations": lambda T: T.combinations(T.arange(4), 3),
    "combinations repeated": lambda T: T.combinations(T.arange(3), 2, True),
    "block_diag": lambda T: T.block_diag(T.ones(2, 1), T.tensor(3), T.arange(2)),
    "scalar_tensor": lambda T: T.scalar_tensor(3),
    "full": lambda T: T.full((2, 2), 7),
    "full bool": lambda T: T.full((1,), False),
    "full complex": lambda T: T.full((1,), 1j),
    "empty_permuted": lambda T: T.empty_permuted((2, 3, 4), (1, 2, 0)).stride(),
    "empty_strided": lambda T: T.empty_strided((2, 3), (1, 2)).stride(),
    "broadcast_shapes": lambda T: tuple(T.broadcast_shapes((2, 1), (3,), 1)),
    "broadcast_shapes wrong": lambda T: T.broadcast_shapes((2, 3), (4,)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_grids(name: str) -> None:
    same(*(outcome(GRIDS[name], T) for T in LIBRARIES))


# ---- out=, requires_grad, devices ----

ARGUMENTS: dict[str, Callable] = {
    "out": lambda T: T.zeros(2, out=T.ones(2)),
    "out resized": lambda T: T.arange(3, out=T.empty(0, dtype=T.int64)),
    "out dtype": lambda T: T.ones(2, out=T.zeros(2), dtype=T.float64),
    "requires_grad": lambda T: T.ones(2, requires_grad=True),
    "requires_grad of ints": lambda T: T.ones(2, dtype=T.int64, requires_grad=True),
    "device": lambda T: T.ones(2, device="cpu"),
    "cuda": lambda T: T.ones(2, device="cuda"),
    "no device": lambda T: T.ones(2, device="foo"),
    "pin_memory": lambda T: T.tensor(1.0, pin_memory=True),
    "wrong dtype": lambda T: T.ones(2, dtype="float32"),
    "python dtype": lambda T: T.ones(2, dtype=float),
    "unknown": lambda T: T.ones(2, foo=1),
    "memory_format": lambda T: T.empty(1, 2, 3, 4, memory_format=T.channels_last).stride(),
    "memory_format rank": lambda T: T.empty(2, memory_format=T.channels_last),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_factories(name: str) -> None:
    same(*(outcome(ARGUMENTS[name], T) for T in LIBRARIES))


# ---- old constructors ----

LEGACY: dict[str, Callable] = {
    "list": lambda T: T.Tensor([1, 2]),
    "sizes": lambda T: tuple(T.Tensor(2, 3).shape),
    "nothing": lambda T: T.Tensor(),
    "tensor": lambda T: T.Tensor(T.ones(2, dtype=T.int32)),
    "number": lambda T: T.Tensor(2.5),
    "string": lambda T: T.Tensor("a"),
    "ragged": lambda T: T.Tensor([[1], [2, 3]]),
    "FloatTensor": lambda T: T.FloatTensor([1, 2]),
    "LongTensor": lambda T: T.LongTensor([1.5, 2]),
    "LongTensor of floats": lambda T: T.LongTensor(T.ones(2)),
    "BoolTensor": lambda T: T.BoolTensor([True]),
    "isinstance": lambda T: (
        isinstance(T.ones(1), T.FloatTensor),
        isinstance(T.ones(1), T.LongTensor),
        isinstance(1, T.LongTensor),
    ),
    "type": lambda T: T.ones(1).type(),
    "type from name": lambda T: T.ones(1).type("torch.DoubleTensor"),
    "type from class": lambda T: T.ones(1).type(T.HalfTensor),
    "type unknown": lambda T: T.ones(1).type("foo"),
    "type wrong": lambda T: T.ones(1).type(3),
    "typename": lambda T: (T.typename(T.ones(1)), T.typename(3)),
}


@pytest.mark.parametrize("name", LEGACY)
def test_old_constructors(name: str) -> None:
    same(*(outcome(LEGACY[name], T) for T in LIBRARIES))


@pytest.mark.parametrize("wanted", [{}, {"requires_grad": True}, {"requires_grad": False}])
@pytest.mark.parametrize("how", [{}, {"copy": True}, {"dtype": "float64"}])
@pytest.mark.parametrize("kind", ["leaf", "computed", "plain", "numbers"])
@pytest.mark.filterwarnings("ignore")
def test_asarray_keeps_a_tensor_in_its_graph(kind, how, wanted):
    def program(T):
        leaf = T.tensor([1.0, 2.0], requires_grad=True)
        obj = {"leaf": leaf, "computed": leaf + 2, "plain": T.ones(2), "numbers": [1.0]}[kind]
        named = {name: getattr(T, value) if name == "dtype" else value for name, value in how.items()}
        made = T.asarray(obj, **named, **wanted)
        return made.detach(), made is obj, made.is_leaf, type(made.grad_fn).__name__, leaf.requires_grad

    alike(program)


def test_asarray_says_that_a_tensor_stays_in_its_graph():
    with pytest.warns(UserWarning, match="unspecified requires_grad now defaults"):
        rushlight.asarray(rushlight.ones(1, requires_grad=True))
