"""How results lie in memory: for operands in any order, broadcast or overlapping, as PyTorch's.

The strides of dimensions of size 1, which move nothing, must agree too: they decide in which order later results lie.
"""

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
    "isfinite": lambda T, x: x.isfinite(),
    "isfinite of halves": lambda T, x: x.half().isfinite(),
    "isfinite of integers": lambda T, x: x.int().isfinite(),
    "isinf": lambda T, x: x.isinf(),
    "isinf of integers": lambda T, x: x.int().isinf(),
    "isreal": lambda T, x: x.isreal(),
    "isreal of complex": lambda T, x: (x * 1j).isreal(),
    "2 ** x": lambda T, x: 2 ** (x * 0),
    "clamp": lambda T, x: x.clamp(1, 5),
    "bfloat16": lambda T, x: x.bfloat16() * 2,
    "long": lambda T, x: x.long() * 2.5,
    "nan_to_num": lambda T, x: x.nan_to_num(),
    "gelu": lambda T, x: T.nn.functional.gelu(x),
    "where": lambda T, x: T.where(x > 3, x, 0.0),
    "clone": lambda T, x: x.clone(),
    "zeros_like": lambda T, x: T.zeros_like(x),
    "0-d": lambda T, x: x * T.tensor(2.0),
    "0-d first": lambda T, x: T.tensor(2.0) - x,
    "complex": lambda T, x: x * 2j,
    "remainder": lambda T, x: x % 3,
    "masked_fill": lambda T, x: x.masked_fill(x > 2, 3.0),
    "double": lambda T, x: x.double(),
}
BINARY = {
    "*": lambda T, x, y: x * y,
    "<": lambda T, x, y: x < y,
    "maximum": lambda T, x, y: T.maximum(x, y),
    "atan2": lambda T, x, y: T.atan2(x, y),
    "alpha": lambda T, x, y: T.add(x, y, alpha=2),
    "isclose": lambda T, x, y: T.isclose(x, y),
    "isclose of halves": lambda T, x, y: T.isclose(x.half(), y.half(), equal_nan=True),
    "where": lambda T, x, y: T.where(x.bool(), x, y),
    "lerp": lambda T, x, y: T.lerp(x, y, 0.5),
    "addcmul": lambda T, x, y: T.addcmul(y, x, y),
    "promoted first": lambda T, x, y: x.double() * y,
    "promoted second": lambda T, x, y: x * y.to(T.int32),
    "%": lambda T, x, y: x % y,
    "half": lambda T, x, y: x.half() * y.half(),
    "complex": lambda T, x, y: x * y.to(T.complex64),
    "nextafter": lambda T, x, y: T.nextafter(x, y),
    "ldexp": lambda T, x, y: T.ldexp(x, y),
    "where number": lambda T, x, y: T.where(x > 1, y, 0.0),
    "clamp": lambda T, x, y: T.clamp(x, y),
}
TERNARY = {
    "addcmul": lambda T, x, y, z: T.addcmul(x, y, z),
    "lerp": lambda T, x, y, z: T.lerp(x, y, z),
    "where": lambda T, x, y, z: T.where(x.bool(), y, z),
    "where promoted": lambda T, x, y, z: T.where(x > 3, y, z.double()),
    "clamp": lambda T, x, y, z: T.clamp(x, y, z),
}


VIEWS = {
    "unsqueeze": lambda T, x: x.unsqueeze(-1),
    "unsqueeze 0": lambda T, x: x.unsqueeze(0),
    "None": lambda T, x: x[None],
    "view": lambda T, x: x.view(*x.shape, 1),
    "view_as": lambda T, x: x.view_as(x),
    "reshape": lambda T, x: x.reshape(1, *x.shape),
    "squeeze": lambda T, x: x.squeeze(),
    "transpose": lambda T, x: x.transpose(0, -1),
    "expand": lambda T, x: x.expand(2, *x.shape),
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


def odd_layout(pick: random.Random, shape: list[int]) -> tuple[list[int], list[int]]:
    """Sizes and strides; those of dimensions of size 1 are anything at all."""
    order = list(range(len(shape)))
    pick.shuffle(order)
    strides, step = [0] * len(shape), 1
    for dim in order:
        strides[dim] = step
        step *= shape[dim] * pick.choice([1, 1, 1, 2])
    chosen = [pick.choice([0, 1, 2, 3, 5, 7, 12]) if n == 1 else step for step, n in zip(strides, shape)]
    return shape, chosen if pick.random() < 0.7 else [pick.choice([0, 1, 1, 2, 3, 4]) for _ in shape]


def odd_partner(pick: random.Random, shape: list[int]) -> list[int]:
    """Sizes that broadcast with `shape`."""
    if pick.random() < 0.4:
        return shape
    sizes = [n if pick.random() < 0.75 else 1 for n in shape]
    return sizes[pick.randint(0, len(shape)) if pick.random() < 0.4 else 0 :]


def agree(name, function, *layouts, elements=1000.0) -> None:
    theirs, ours = (
        function(T, *[T.arange(elements).as_strided(*one) for one in layouts]) for T in (torch, rushlight)
    )
    assert ours.stride() == theirs.stride(), (name, layouts)


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


@pytest.mark.parametrize("seed", range(4))
def test_odd_strides(seed: int) -> None:
    pick = random.Random(seed)
    for _ in range(40):
        shape = [pick.choice([1, 1, 2, 2, 3, 4]) for _ in range(pick.randint(1, 5))]
        operands = [odd_layout(pick, shape)]
        for functions in (UNARY, BINARY, TERNARY):
            for name, function in functions.items():
                agree(name, function, *operands)
            operands.insert(pick.randint(0, 1), odd_layout(pick, odd_partner(pick, shape)))


def test_odd_strides_of_views() -> None:
    pick = random.Random(0)
    for _ in range(100):
        shape = [pick.choice([1, 1, 2, 3]) for _ in range(pick.randint(2, 4))]
        one = odd_layout(pick, shape)
        for name, function in VIEWS.items():
            if name != "view" and name != "view_as" or torch.arange(1000.0).as_strided(*one).is_contiguous():
                agree(name, function, one)


@pytest.mark.parametrize("seed", range(2))
def test_odd_strides_of_large_results(seed: int) -> None:
    """These wait, and are written to memory that is asked for with their strides."""
    pick = random.Random(seed)
    for _ in range(3):
        shape = pick.sample([1, 1, 120, 160], 4)
        operands = [odd_layout(pick, shape)]
        for functions in (UNARY, BINARY, TERNARY):
            for name, function in functions.items():
                agree(name, function, *operands, elements=200_000.0)
            operands.insert(pick.randint(0, 1), odd_layout(pick, odd_partner(pick, shape)))


def test_strides_that_move_nothing_order_what_follows() -> None:
    for T in (torch, rushlight):
        x = T.arange(3.0).as_strided((3, 1), (1, 3)).unsqueeze(-1)
        x = x % T.tensor([2.0])
        assert x.stride() == (1, 3, 1)
        assert (x + T.ones(3, 1, 2)).stride() == (2, 6, 1)


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


# ---- results that lie in rows, like images, or as the algorithm leaves them ----

LAYOUTS = [
    ((3, 4), (4, 1)),
    ((3, 4), (1, 3)),
    ((3, 4), (0, 1)),
    ((4, 3), (1, 0)),
    ((4, 3), (6, 2)),
    ((2, 6, 4), (24, 4, 1)),
    ((2, 6, 4), (1, 2, 12)),
    ((2, 6, 4), (0, 4, 1)),
    ((2, 6, 4), (24, 1, 6)),
    ((2, 3, 4), (12, 4, 0)),
    ((2, 4, 3, 5), (60, 15, 5, 1)),
    ((2, 4, 3, 5), (60, 1, 20, 4)),
    ((2, 4, 3, 5), (1, 2, 8, 24)),
    ((2, 4, 3, 5), (0, 15, 5, 1)),
    ((2, 4, 3, 5), (120, 30, 10, 2)),
    ((1, 4, 3, 5), (60, 1, 20, 4)),
]
LOSSES = (
    "binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss soft_margin_loss"
).split()
OF_ANY_RANK = {
    "logsigmoid": lambda T, x: T.nn.functional.logsigmoid(x),
    "rrelu": lambda T, x: T.nn.functional.rrelu(x),
    "rrelu in training": lambda T, x: T.nn.functional.rrelu(x, training=True),
    "mvlgamma": lambda T, x: T.mvlgamma(x + 5, 2),
    "renorm": lambda T, x: x.renorm(2, 0, 1.0),
    "layer_norm": lambda T, x: T.nn.functional.layer_norm(x, x.shape[1:]),
    "rms_norm": lambda T, x: T.nn.functional.rms_norm(x, x.shape[-1:], T.ones(x.shape[-1])),
    "batch_norm": lambda T, x: T.nn.functional.batch_norm(x, None, None, training=True),
    "batch_norm, running": lambda T, x: T.nn.functional.batch_norm(
        x, T.zeros(x.shape[1]), T.ones(x.shape[1])
    ),
    "diff": lambda T, x: x.diff(dim=0),
    "diff of order 0": lambda T, x: x.diff(0),
    "diff after others": lambda T, x: x.diff(prepend=x),
    "slice_scatter": lambda T, x: x.slice_scatter(x[1:], 0, 1),
    "slice_scatter with gaps": lambda T, x: x[:, ::2].slice_scatter(x[1:, ::2], 0, 1),
    "select_scatter": lambda T, x: x.select_scatter(x[:, 1], 1, 0),
    "diagonal_scatter": lambda T, x: x.diagonal_scatter(x.diagonal()),
    "complex": lambda T, x: T.complex(x, T.tensor(1.0)),
    "polar": lambda T, x: T.polar(x, x),
    "fft": lambda T, x: T.fft.fft(x, dim=0),
    "ifft": lambda T, x: T.fft.ifft(x, dim=0),
    "fft of complex": lambda T, x: T.fft.fft(x * 1j, 7, dim=1),
    "fftn": lambda T, x: T.fft.fftn(x),
    "fft2 of the first": lambda T, x: T.fft.fft2(x, dim=(0, 1)),
    "rfft2": lambda T, x: T.fft.rfft2(x),
    "rfftn": lambda T, x: T.fft.rfftn(x, dim=(1, 0)),
    "irfft": lambda T, x: T.fft.irfft(x, 5, dim=0),
    "irfftn": lambda T, x: T.fft.irfftn(x, (4, 4), (0, 1)),
    "hfft": lambda T, x: T.fft.hfft(x, 6, dim=1),
    "hfftn": lambda T, x: T.fft.hfftn(x, (4, 4), (0, 1)),
    "ihfft": lambda T, x: T.fft.ihfft(x, dim=0),
    "ihfftn": lambda T, x: T.fft.ihfftn(x),
    "pad": lambda T, x: T.nn.functional.pad(x, (1, 1)),
    **{
        name: lambda T, x, f=name: getattr(T.nn.functional, f)(x / 1000, x / 1000, reduction="none")
        for name in LOSSES
    },
    **{
        f"{name}, mixed": lambda T, x, f=name: getattr(T.nn.functional, f)(
            x / 1000, x.contiguous() / 1000, reduction="none"
        )
        for name in LOSSES
    },
}
OF_CHANNELS = {
    "group_norm": lambda T, x: T.nn.functional.group_norm(x, 1, T.ones(x.shape[1])),
    "instance_norm": lambda T, x: T.nn.functional.instance_norm(x),
}
OF_IMAGES = {
    "conv2d": lambda T, x: T.nn.functional.conv2d(x, T.ones(3, 4, 2, 2)),
    "conv2d, 1 x 1": lambda T, x: T.nn.functional.conv2d(x, T.ones(3, 4, 1, 1)),
    "conv2d with such weights": lambda T, x: T.nn.functional.conv2d(
        x, T.ones(3, 4, 2, 2).to(memory_format=T.channels_last)
    ),
    "conv_transpose2d": lambda T, x: T.nn.functional.conv_transpose2d(x, T.ones(4, 3, 2, 2)),
    "max_pool2d": lambda T, x: T.nn.functional.max_pool2d(x, 2),
    "max_pool2d, places": lambda T, x: T.nn.functional.max_pool2d(x, 2, return_indices=True)[1],
    "avg_pool2d": lambda T, x: T.nn.functional.avg_pool2d(x, 2, 1),
    "adaptive_avg_pool2d": lambda T, x: T.nn.functional.adaptive_avg_pool2d(x, 2),
    "adaptive_max_pool2d": lambda T, x: T.nn.functional.adaptive_max_pool2d(x, 2),
    "interpolate": lambda T, x: T.nn.functional.interpolate(x, scale_factor=2),
    "interpolate, bilinear": lambda T, x: T.nn.functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "interpolate, bicubic": lambda T, x: T.nn.functional.interpolate(x, scale_factor=2, mode="bicubic"),
}
OF_MATRICES = {"addr": lambda T, x: T.addr(x, T.ones(x.shape[0]), T.ones(x.shape[1]))}


@pytest.mark.parametrize("shape, strides", LAYOUTS)
def test_results_that_are_not_elementwise(shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
    functions = dict(OF_ANY_RANK)
    functions |= OF_MATRICES if len(shape) == 2 else OF_CHANNELS
    functions |= OF_IMAGES if len(shape) == 4 else {}
    for name, function in functions.items():
        # (conjugates are computed, where PyTorch's are views: there strides that move nothing become plain)
        if name not in ("ifft", "ihfft") or 1 not in shape:
            agree(name, function, (shape, strides))


def test_logsigmoid_into_out():
    made = []
    for function, T in ((torch._C._nn.log_sigmoid, torch), (rushlight.nn.functional.logsigmoid, rushlight)):
        x, out = T.tensor([[0.0, 1.0]]), T.zeros(1, 2)
        assert function(x, out=out) is out
        made.append(out.tolist())
    assert made[1] == [pytest.approx(made[0][0], rel=1e-6)]
