"""How results of elementwise operations lie in memory: for operands in any order, broadcast or overlapping, as PyTorch's."""

from __future__ import annotations

import random

import pytest
import torch

import rushlight

UNARY = {
    "-x": lambda T, x: -x,
    "exp": lambda T, x: (x * 0.001).exp(),
    "2 - x": lambda T, x: 2 - x,
    "x > 2": lambda T, x: x > 2,
    "2 ** x": lambda T, x: 2 ** (x * 0),
    "clamp": lambda T, x: x.clamp(1, 5),
    "bfloat16": lambda T, x: x.bfloat16() * 2,
    "long": lambda T, x: x.long() * 2.5,
    "nan_to_num": lambda T, x: x.nan_to_num(),
    "gelu": lambda T, x: T.nn.functional.gelu(x),
    "where": lambda T, x: T.where(x > 3, x, 0.0),
    "clone": lambda T, x: x.clone(),
}
BINARY = {
    "*": lambda T, x, y: x * y,
    "<": lambda T, x, y: x < y,
    "maximum": lambda T, x, y: T.maximum(x, y),
    "atan2": lambda T, x, y: T.atan2(x, y),
    "alpha": lambda T, x, y: T.add(x, y, alpha=2),
    "isclose": lambda T, x, y: T.isclose(x, y),
    "where": lambda T, x, y: T.where(x.bool(), x, y),
    "lerp": lambda T, x, y: T.lerp(x, y, 0.5),
    "addcmul": lambda T, x, y: T.addcmul(y, x, y),
    "promoted first": lambda T, x, y: x.double() * y,
    "promoted second": lambda T, x, y: x * y.to(T.int32),
}


def layout(pick: random.Random) -> tuple[list[int], list[int]]:
    """Sizes and strides: dense in some order, with gaps or dimensions of stride 0, or with strides that overlap."""
    shape = [pick.choice([2, 2, 3, 4]) for _ in range(pick.randint(1, 4))]
    if pick.random() < 0.3:
        return shape, [pick.choice([0, 1, 1, 2, 3, 4, 6]) for _ in shape]
    order = list(range(len(shape)))
    pick.shuffle(order)
    strides, step = [0] * len(shape), 1
    for dim in order:
        strides[dim] = step
        step *= shape[dim] * pick.choice([1, 1, 2])
    return shape, [0 if pick.random() < 0.15 else step for step in strides]


def partner(pick: random.Random, shape: list[int]) -> tuple[list[int], list[int]]:
    """A layout that broadcasts with `shape`."""
    sizes = [n if pick.random() < 0.8 else 1 for n in shape][pick.randint(0, len(shape) - 1) :]
    return sizes, [1 if n == 1 else pick.choice([0, 1, 2, 3, 4, 6, 12]) for n in sizes]


def strides(t) -> list[int]:
    return [step for step, n in zip(t.stride(), t.shape) if n > 1]


def agree(name, function, *layouts) -> None:
    theirs, ours = (
        function(T, *[T.arange(1000.0).as_strided(*one) for one in layouts]) for T in (torch, rushlight)
    )
    assert strides(ours) == strides(theirs), (name, layouts)


@pytest.mark.parametrize("seed", range(4))
def test_strides_of_results(seed: int) -> None:
    pick = random.Random(seed)
    for _ in range(12):
        one = layout(pick)
        for name, function in UNARY.items():
            agree(name, function, one)
        other = partner(pick, one[0])
        for name, function in BINARY.items():
            agree(name, function, one, other)
            agree(name, function, other, one)


@pytest.mark.parametrize("window", [2, 3])
def test_windows_over_rows(window: int) -> None:
    for name, function in UNARY.items():
        theirs, ours = (
            function(T, T.arange(8.0).view(2, 4).unfold(-1, window, 1)) for T in (torch, rushlight)
        )
        assert ours.stride() == theirs.stride(), name


def test_large_results() -> None:
    """These are written to memory from the pool."""
    for name, function in UNARY.items():
        theirs, ours = (
            function(T, T.zeros(400, 1004).unfold(-1, 5, 1)[:, :, 1:]) for T in (torch, rushlight)
        )
        assert ours.stride() == theirs.stride(), name
