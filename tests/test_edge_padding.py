"""Padding from the input itself, copied by stretches and edges, against PyTorch: widths of every kind, types, layouts, gradients."""

import itertools

import numpy as np
import pytest
import torch

import rushlight

WIDTHS = [0, 1, 3, -1]


def padded(lib, values, kind, pad, mode, turned):
    x = lib.tensor(values).to(getattr(lib, kind))
    x = x.transpose(0, 1).contiguous().transpose(0, 1) if turned else x
    if x.is_floating_point():
        x.requires_grad_()
    made = lib.nn.functional.pad(x, pad, mode)
    found = [made.detach().double().numpy(), made.dtype == x.dtype]
    if x.is_floating_point():
        g = lib.tensor(np.random.default_rng(1).integers(-3, 4, tuple(made.shape))).to(made.dtype)
        found.append(lib.autograd.grad(made, x, g)[0].double().numpy())
    return found


def compared(*given):
    for wanted, ours in zip(*(padded(lib, *given) for lib in (torch, rushlight))):
        np.testing.assert_array_equal(ours, wanted)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_planes(mode):
    values = np.random.default_rng(0).integers(-9, 9, (2, 3, 6, 7))
    for pad in itertools.product(WIDTHS, repeat=4):
        compared(values, "float32", pad, mode, False)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("kind", ["float64", "bfloat16", "float16", "float32"])
def test_lines_volumes_types_and_layouts(kind, mode):
    rng = np.random.default_rng(2)
    for turned in (False, True):
        compared(rng.integers(-9, 9, (3, 2, 5)), kind, (2, 4), mode, turned)
        compared(rng.integers(-9, 9, (2, 3, 4, 5, 6)), kind, (1, 2, 0, 3, 3, 1), mode, turned)
        compared(rng.integers(-9, 9, (4, 30, 33)), kind, (5, 5), mode, turned)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_wide_edges_and_single_elements(mode):
    rng = np.random.default_rng(3)
    compared(rng.integers(-9, 9, (2, 3, 100)), "float32", (90, 80), mode, False)
    compared(rng.integers(-9, 9, (2, 3, 40)), "float32", (31, 33), mode, False)
    compared(rng.integers(-9, 9, (2, 3, 2)), "float32", (1, 1), mode, False)
    if mode != "reflect":
        compared(rng.integers(-9, 9, (2, 3, 1)), "float32", (1, 1), mode, False)


def test_neighbours_alone():
    """`unique_consecutive` without places and counts is what it is with them."""
    rng = np.random.default_rng(4)
    for kind in ("int64", "uint8", "float32", "float64", "bfloat16", "bool"):
        for shape in ((0,), (1,), (5000,), (30, 41)):
            values = rng.integers(0, 2, shape)
            x, y = (lib.tensor(values).to(getattr(lib, kind)) for lib in (torch, rushlight))
            wanted = x.unique_consecutive()
            for made in (
                y.unique_consecutive(),
                y.unique_consecutive(return_counts=True)[0],
                y.t().t().unique_consecutive(),
            ):
                assert made.tolist() == wanted.tolist() and made.dtype is y.dtype
    x = rushlight.tensor([float("nan"), float("nan"), 0.0, -0.0, 1.0])
    assert str(x.unique_consecutive()) == str(
        torch.tensor([float("nan")] * 2 + [0.0, -0.0, 1.0]).unique_consecutive()
    )
