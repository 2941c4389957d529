"""Pooling by kernels against PyTorch: values, places, gradients, layouts, and the same bits without a compiler and on any threads."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import pooled

SHAPES = [(2, 3, 33, 31), (3, 20, 6, 6), (4, 5, 7, 9)]
SETTINGS = list(itertools.product([2, (2, 3), 5], [None, 1, 2], [0, 1], [False, True]))


def both(values, kind="float32", channels_last=False):
    x = torch.from_numpy(values).to(getattr(torch, kind))
    y = rushlight.tensor(values).to(getattr(rushlight, kind))
    if channels_last:
        return (t.contiguous(memory_format=lib.channels_last) for t, lib in ((x, torch), (y, rushlight)))
    return x, y


def holed(shape, seed):
    """Numbers, nans and negative infinities; of the first channel nothing else."""
    draws = np.random.default_rng([seed, *shape])
    values = 3 * draws.standard_normal(shape)
    values[draws.random(shape) < 0.02] = math.nan
    values[draws.random(shape) < 0.3] = -math.inf
    values[:, :1] = -math.inf
    return values


def fits(size, kernel, padding, dilation=1):
    kernel = kernel if isinstance(kernel, tuple) else (kernel,) * len(size)
    return all(2 * padding <= k and n + 2 * padding > dilation * (k - 1) for n, k in zip(size, kernel))


@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_largest(shape, kind, channels_last):
    for n, ((kernel, stride, padding, ceil), dilation) in enumerate(itertools.product(SETTINGS, [1, 2])):
        if not fits(shape[2:], kernel, padding, dilation):
            continue
        x, y = both(holed(shape, n), kind, channels_last)
        wanted = torch.nn.functional.max_pool2d(x, kernel, stride, padding, dilation, ceil, True)
        made = rushlight.nn.functional.max_pool2d(y, kernel, stride, padding, dilation, ceil, True)
        assert [t.stride() for t in made] == [t.stride() for t in wanted]
        assert made[1].tolist() == wanted[1].tolist()
        assert made[0].dtype is y.dtype
        np.testing.assert_array_equal(made[0].double().numpy(), wanted[0].double().numpy())


@pytest.mark.parametrize("kind", ["int64", "int32", "int16", "uint8"])
def test_largest_whole_number(kind):
    values = np.random.default_rng(0).integers(0, 9, (2, 8, 31, 33))
    x, y = both(values, kind)
    wanted = torch.nn.functional.max_pool2d(x, 3, 2, 1, return_indices=True)
    made = rushlight.nn.functional.max_pool2d(y, 3, 2, 1, return_indices=True)
    assert [t.tolist() for t in made] == [t.tolist() for t in wanted]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_mean_and_its_gradient(shape, kind):
    bound = {"rtol": 1e-6, "atol": 1e-6} if kind == "float32" else {"rtol": 1e-13, "atol": 1e-13}
    for (kernel, stride, padding, ceil), whole, divisor in itertools.product(
        SETTINGS, (True, False), (None, -3)
    ):
        if not fits(shape[2:], kernel, padding):
            continue
        x, y = both(np.random.default_rng(1).standard_normal(shape), kind)
        wide = x.double().requires_grad_()
        y.requires_grad_()
        given = kernel, stride, padding, ceil, whole, divisor
        wanted = torch.nn.functional.avg_pool2d(wide, *given)
        made = rushlight.nn.functional.avg_pool2d(y, *given)
        np.testing.assert_allclose(made.detach().numpy(), wanted.detach().numpy(), **bound)
        g = np.random.default_rng(2).standard_normal(tuple(wanted.shape))
        g = g.astype(kind).astype("float64")
        wanted.backward(torch.from_numpy(g))
        made.backward(rushlight.tensor(g, dtype=y.dtype))
        assert y.grad.dtype is y.dtype
        np.testing.assert_allclose(y.grad.numpy(), wide.grad.numpy(), **bound)


def test_gradient_of_the_largest_in_windows_that_overlap():
    x, y = both(np.random.default_rng(3).standard_normal((2, 4, 40, 41)))
    x.requires_grad_(), y.requires_grad_()
    for t, lib in ((x, torch), (y, rushlight)):
        made = lib.nn.functional.max_pool2d(t, 3, 1, 1)
        (made * made).sum().backward()
    np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-6)


def test_volumes_and_lines():
    for name, shape in (("3d", (2, 3, 9, 10, 11)), ("1d", (4, 30, 101))):
        x, y = both(np.random.default_rng(4).standard_normal(shape))
        for kind, given in (("max", (3, 2, 1)), ("avg", (2, 1, 1)), ("avg", (3, None, 0))):
            wanted = getattr(torch.nn.functional, f"{kind}_pool{name}")(x, *given)
            made = getattr(rushlight.nn.functional, f"{kind}_pool{name}")(y, *given)
            np.testing.assert_allclose(made.numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)


def test_places_that_are_none_are_refused():
    g = np.ones((2, 4000), np.float32)
    places = np.zeros((2, 4000), np.int64)
    for wrong in (-1, 50):
        places[1, 7] = wrong
        assert pooled.spread(g, places, 50) is None


_PROGRAM = """
import sys, hashlib
import numpy as np
import rushlight as torch
f, found = torch.nn.functional, []
for kind in ("float32", "float64"):
    x = torch.tensor(np.random.default_rng(5).standard_normal((8, 16, 30, 31)), dtype=getattr(torch, kind)).requires_grad_()
    for made in (f.max_pool2d(x, 3, 2, 1), f.avg_pool2d(x, 2), f.avg_pool2d(x, 3, 2, 1)):
        found += [made, torch.autograd.grad((made * made).sum(), x)[0]]
print(hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in found)).hexdigest())
"""


def test_bits_are_those_of_any_number_of_threads():
    def printed(threads):
        environment = dict(os.environ, RUSHLIGHT_NUM_THREADS=threads)
        return subprocess.run(
            [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, check=True
        ).stdout

    assert printed("1") == printed("3")


@pytest.mark.parametrize("name", ["adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"])
def test_the_last_of_several_nan_is_found(name):
    found = []
    for T in (torch, rushlight):
        x = T.tensor([[[1.0, T.nan, 3.0, T.nan], [T.nan, 2.0, 5.0, 7.0]]])
        x = x[None] if name.endswith("3d") else x
        made = getattr(T.nn.functional, name)(x, 1, return_indices=True)
        found.append([made[0].isnan().tolist(), made[1].tolist()])
    assert found[0] == found[1]
