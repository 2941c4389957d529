"""Pooling of images whose channels lie innermost: against PyTorch, and the bits of the same images in planes."""

import itertools
import math

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import channel_pooled

#: channels that fill vectors and blocks of vectors, and more
SHAPES = [(2, 64, 9, 11), (3, 71, 8, 8), (1, 5, 40, 41), (2, 149, 7, 6)]
SETTINGS = [(2, None, 0, False), (3, 2, 1, False), (3, 1, 1, True), ((2, 3), (1, 2), (1, 0), True)]


def images(values, kind, last=True):
    for lib in (torch, rushlight):
        x = lib.tensor(values).to(getattr(lib, kind))
        form = lib.channels_last if x.dim() == 4 else lib.channels_last_3d
        yield lib, (x.contiguous(memory_format=form) if last else x).requires_grad_(x.is_floating_point())


def pooled(lib, name, x, given):
    return getattr(lib.nn.functional, name)(
        x, **dict(zip(("kernel_size", "stride", "padding", "ceil_mode"), given))
    )


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_and_gradients(shape, kind):
    rng = np.random.default_rng([7, *shape])
    values = rng.standard_normal(shape)
    values[:, 1][rng.random(values[:, 1].shape) < 0.2] = math.nan
    values[:, 2] = -math.inf
    bound = {"float32": 1e-5, "float64": 1e-13, "float16": 4e-3, "bfloat16": 3e-2}[kind]
    for name, given in itertools.product(("max_pool2d", "avg_pool2d"), SETTINGS):
        found = []
        for lib, x in images(values if name == "max_pool2d" else np.nan_to_num(values, neginf=0), kind):
            made = pooled(lib, name, x, given)
            g = lib.tensor(np.random.default_rng(3).integers(-4, 5, tuple(made.shape))).to(made.dtype)
            for gradient in (g, g.contiguous(memory_format=lib.channels_last)):
                (back,) = lib.autograd.grad(made, x, gradient, retain_graph=True)
                found.append((back.double().numpy(), back.stride()))
            found.append((made.detach().double().numpy(), made.stride()))
        for (wanted, strides), (ours, laid) in zip(found[:3], found[3:]):
            np.testing.assert_allclose(ours, wanted, rtol=bound, atol=bound)
            assert laid == strides


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_bits_are_those_of_planes(name, kind):
    values = np.random.default_rng(0).standard_normal((3, 150, 13, 12))
    for given in SETTINGS:
        made = []
        for last in (False, True):
            _, (lib, x) = images(values, kind, last)
            y = pooled(lib, name, x, given)
            (back,) = lib.autograd.grad(y, x, lib.ones(y.shape, dtype=y.dtype))
            made.append([t.detach().contiguous().numpy().tobytes() for t in (y, back)])
        assert made[0] == made[1]


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "float32"])
def test_places(kind):
    values = np.random.default_rng(1).integers(0, 5, (2, 67, 12, 9))
    found = []
    for lib, x in images(values, kind):
        made = lib.nn.functional.max_pool2d(x, 3, 2, 1, 1, False, True)
        found.append([(t.tolist(), t.stride()) for t in made])
    assert found[0] == found[1]


def test_volumes():
    values = np.random.default_rng(2).standard_normal((2, 37, 6, 7, 8))
    for name, given in (("max_pool3d", (3, 2, 1)), ("avg_pool3d", (2,)), ("avg_pool3d", (3, 2, 1))):
        found = []
        for lib, x in images(values, "float32"):
            made = pooled(lib, name, x, given)
            (back,) = lib.autograd.grad((made * made).sum(), x)
            found.append((made.detach().numpy(), back.numpy(), made.stride()))
        for wanted, ours in zip(*(one[:2] for one in found)):
            np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6)
        assert name == "avg_pool3d" or found[0][2] == found[1][2]  # (PyTorch lays out those means in rows)


def test_gradient_of_the_gradient():
    values = np.random.default_rng(4).standard_normal((2, 6, 40, 40))
    for name in ("max_pool2d", "avg_pool2d"):
        found = []
        for lib, x in images(values, "float64"):
            made = pooled(lib, name, x, (3, 2, 1))
            (back,) = lib.autograd.grad((made**3).sum(), x, create_graph=True)
            found.append(lib.autograd.grad((back**2).sum(), x)[0].numpy())
        np.testing.assert_allclose(found[1], found[0], rtol=1e-11, atol=1e-11)


def test_no_images_and_places_that_are_none():
    for lib, x in images(np.zeros((0, 8, 6, 6)), "float32"):
        made = lib.nn.functional.max_pool2d(x, 2)
        assert tuple(made.shape) == (0, 8, 3, 3)
    g = np.moveaxis(np.ones((2, 5, 5, 8), np.float32), -1, 1)
    places = np.moveaxis(np.zeros((2, 5, 5, 8), np.int64), -1, 1)
    for wrong in (-1, 100):
        places[1, 2, 3, 4] = wrong
        assert channel_pooled.spread(g, places, (10, 10)) is None
