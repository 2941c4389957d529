"""Elements and rows at places by kernels, against PyTorch and NumPy."""

import itertools

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import placed

KINDS = ["float32", "float64", "int32", "int64", "int16", "uint8", "bool", "bfloat16", "complex64"]


def draw(shape, kind="float32", seed=0):
    values = np.random.default_rng([seed, *shape]).integers(-9, 9, shape)
    return [lib.tensor(values.tolist()).to(getattr(lib, kind)) for lib in (torch, rushlight)]


def positions(shape, size, seed=1):
    values = np.random.default_rng([seed, *shape]).integers(0, size, shape)
    return [lib.tensor(values.tolist()) for lib in (torch, rushlight)]


def agree(made, wanted):
    assert made.stride() == wanted.stride()
    assert str(made.dtype) == str(wanted.dtype)
    assert made.tolist() == wanted.tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "dim"), [((70, 90), 0), ((70, 90), 1), ((9, 30, 20), 1), ((3, 5, 20, 20), 2), ((5000,), 0)]
)
def test_along_a_dimension(kind, shape, dim):
    wide = list(shape)
    wide[dim] = 101
    (x, y), (v, w) = draw(shape, kind), draw(tuple(wide), kind, 2)
    p, q = positions(tuple(wide), shape[dim])
    agree(y.gather(dim, q), x.gather(dim, p))
    agree(y.gather(dim, q.int()), x.gather(dim, p.int()))
    agree(y.scatter(dim, q, w), x.scatter(dim, p, v))
    agree(y.scatter(dim, q, 1), x.scatter(dim, p, 1))
    agree(y.scatter_add(dim, q, w), x.scatter_add(dim, p, v))


@pytest.mark.parametrize("dim", [0, 1])
def test_what_lies_otherwise(dim):
    (x, y), (v, w) = draw((90, 70)), draw((140, 180), seed=2)
    p, q = positions((90, 70), 70)
    agree(y.t().gather(dim, q.t()), x.t().gather(dim, p.t()))
    agree(
        y.t().scatter_add(dim, q.t(), w[::2, ::2][:70, :90]),
        x.t().scatter_add(dim, p.t(), v[::2, ::2][:70, :90]),
    )
    into, there = y.clone().t(), x.clone().t()
    into.scatter_(dim, q.t(), 3.0), there.scatter_(dim, p.t(), 3.0)
    agree(into, there)


@pytest.mark.parametrize("count", [1, 3, 400])
@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "int32"])
def test_rows_are_added(count, kind):
    (x, y), (v, w) = draw((count, 37), kind), draw((600, 37), kind, 2)
    p, q = positions((600,), count)
    agree(y.index_add(0, q, w), x.index_add(0, p, v))
    agree(y.index_put((q,), w, accumulate=True), x.index_put((p,), v, accumulate=True))
    agree(y.index_put((q - count,), w, accumulate=True), x.index_put((p,), v, accumulate=True))
    agree(y.t().contiguous().index_add(1, q, w.t()), x.t().contiguous().index_add(1, p, v.t()))


def test_gradients():
    p, q = positions((400,), 30)
    r, s = positions((30, 400), 200)
    for read in (
        lambda t, f, i, j: t[i],
        lambda t, f, i, j: f.embedding(i.reshape(20, 20), t),
        lambda t, f, i, j: t.index_select(0, i),
        lambda t, f, i, j: t.index_select(1, i),
        lambda t, f, i, j: t.gather(1, j),
        lambda t, f, i, j: t.cummax(1)[0],
    ):
        (x, y), found = draw((30, 200), "float64"), []
        for t, lib, i, j in ((x, torch, p, r), (y, rushlight, q, s)):
            t.requires_grad_()
            made = read(t, lib.nn.functional, i, j)
            (g,) = lib.autograd.grad((made * made).sum(), t, create_graph=True)
            (h,) = lib.autograd.grad((g * g).sum(), t)
            found.append((g.tolist(), h.tolist()))
        assert found[0] == found[1]


def test_rows_that_are_added_often_are_added_in_double():
    draws = np.random.default_rng(3)
    values = draws.standard_normal((5000, 8)).astype(np.float32)
    at = draws.integers(0, 40, 5000)
    wanted = np.zeros((40, 8))
    np.add.at(wanted, at, values.astype(np.float64))
    made = rushlight.zeros(40, 8).index_add(0, rushlight.tensor(at), rushlight.tensor(values))
    assert made.numpy().tobytes() == wanted.astype(np.float32).tobytes()


def test_positions_outside_are_refused():
    x = rushlight.zeros(50, 200)
    for wrong, call in itertools.product(
        (-1, 200, 2**40),
        (
            lambda i: x.gather(1, i),
            lambda i: x.scatter(1, i, 1.0),
            lambda i: x.scatter_add(1, i, x),
        ),
    ):
        p = rushlight.zeros(50, 200, dtype=rushlight.int64)
        p[7, 9] = wrong
        with pytest.raises(RuntimeError, match="out of bounds"):
            call(p)
    p = rushlight.zeros(50, dtype=rushlight.int64)
    p[9] = 50
    with pytest.raises(IndexError):
        x.index_put((p,), x, accumulate=True)


def test_positions_that_changed_since_write_nowhere():
    a = np.zeros((50, 200), np.float32)
    p = np.full((50, 200), 10**9)
    placed.add(a, p, np.ones_like(a), 1)
    assert not a.any()


@pytest.mark.parametrize("dim", [1, 2])
def test_positions_that_several_share(dim):
    (x, y), (p, q) = draw((4, 30, 900)), positions((4, 1, 700), 30)
    if dim == 2:
        agree(y.gather(2, q.expand(4, 30, 700)), x.gather(2, p.expand(4, 30, 700)))
        (v, w) = draw((4, 30, 700), seed=2)
        agree(y.scatter_add(2, q.expand(4, 30, 700), w), x.scatter_add(2, p.expand(4, 30, 700), v))
    else:
        agree(y[:, :, :700].gather(1, q.expand(4, 55, 700)), x[:, :, :700].gather(1, p.expand(4, 55, 700)))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_gradients_of_padding(mode):
    found = []
    for t, lib in zip(draw((6, 20, 30, 31), "float64"), (torch, rushlight)):
        t.requires_grad_()
        made = lib.nn.functional.pad(t, (3, 2, 1, 4), mode=mode)
        (made * made).sum().backward()
        found.append(t.grad.tolist())
    assert found[0] == found[1]
