"""gather, scatter, index_*, take, masked_*, where, nonzero, held against PyTorch."""

import numpy as np
import pytest
import torch
from test_indexing import DTYPES, assert_same, outcome

import rushlight

LAYOUTS = {
    "contiguous": lambda T: T.arange(12.0).reshape(3, 4),
    "turned": lambda T: T.arange(12.0).reshape(4, 3).t(),
    "sliced": lambda T: T.arange(48.0).reshape(6, 8)[::2, ::2],
    "broadcast": lambda T: T.arange(4.0).expand(3, 4),
    "vector": lambda T: T.arange(4.0),
    "0-d": lambda T: T.tensor(3.0),
    "empty": lambda T: T.zeros(0, 4),
}


def index(T, *values, dtype="int64"):
    return T.tensor(list(values), dtype=getattr(T, dtype))


def across(T, x, values):
    """An index with the dimensions of x: `values` along each row."""
    return index(T, *values).reshape((1,) * max(x.ndim - 1, 0) + (-1,)) if x.ndim else index(T, *values)


def source(T, *shape, start=10.0):
    return T.arange(start, start + int(np.prod(shape))).reshape(shape)


def like(T, x, dim, count):
    shape = list(x.shape)
    if shape:
        shape[dim] = count
    return source(T, *shape)


MASK = [[True, False, True, True], [False, False, True, False], [True, True, False, False]]

CALLS = {
    "gather": lambda T, x: x.gather(-1, across(T, x, [0, 2, 1, 0])),
    "gather rows": lambda T, x: x.gather(0, across(T, x, [0, 2])),
    "gather int32": lambda T, x: x.gather(0, across(T, x, [0]).int()),
    "gather int16": lambda T, x: x.gather(0, across(T, x, [0]).short()),
    "gather negative": lambda T, x: x.gather(0, across(T, x, [-1])),
    "gather far": lambda T, x: x.gather(0, across(T, x, [7])),
    "gather wide": lambda T, x: x.gather(0, across(T, x, [0] * 9)),
    "gather rank": lambda T, x: x.gather(0, T.zeros(1, 1, 1, dtype=T.int64)),
    "gather nothing": lambda T, x: x.gather(0, T.zeros(0, dtype=T.int64)),
    "gather dim": lambda T, x: x.gather(4, across(T, x, [0])),
    "gather list": lambda T, x: x.gather(0, [0]),
    "scatter": lambda T, x: x.scatter(-1, across(T, x, [0, 2]), source(T, *x.shape)),
    "scatter number": lambda T, x: x.scatter(-1, across(T, x, [0, 2]), 7),
    "scatter value": lambda T, x: x.scatter(-1, across(T, x, [0, 2]), value=2.5),
    "scatter far": lambda T, x: x.scatter(-1, across(T, x, [9]), 7),
    "scatter negative": lambda T, x: x.scatter(-1, across(T, x, [-1]), 7),
    "scatter wide": lambda T, x: x.scatter(0, across(T, x, [0] * 9), 7),
    "scatter type": lambda T, x: x.scatter(0, across(T, x, [0]), source(T, *x.shape).long()),
    "scatter small src": lambda T, x: x.scatter(-1, across(T, x, [0, 1, 2]), across(T, x, [1]).float()),
    "scatter add": lambda T, x: x.scatter(-1, across(T, x, [0, 0]), 7, reduce="add"),
    "scatter other": lambda T, x: x.scatter(-1, across(T, x, [0, 0]), 7, reduce="or"),
    "scatter_add": lambda T, x: x.scatter_add(-1, across(T, x, [0, 0, 2]), source(T, *x.shape)),
    "scatter_add far": lambda T, x: x.scatter_add(-1, across(T, x, [0, 8]), source(T, *x.shape)),
    **{
        f"scatter_reduce {how}{'' if own else ' alone'}": (
            lambda T, x, how=how, own=own: x.scatter_reduce(
                -1,
                across(T, x, [0, 0, 2]),
                source(T, *x.shape) * (source(T, *x.shape) - 11),
                how,
                include_self=own,
            )
        )
        for how in ("sum", "prod", "mean", "amax", "amin", "none")
        for own in (True, False)
    },
    **{
        f"index_reduce {how}{'' if own else ' alone'}": (
            lambda T, x, how=how, own=own: x.index_reduce(
                0, index(T, 0, 0, 2), like(T, x, 0, 3) * (like(T, x, 0, 3) - 11), how, include_self=own
            )
        )
        for how in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    },
    "index_select": lambda T, x: x.index_select(0, index(T, 2, 0, 0)),
    "index_select last": lambda T, x: x.index_select(-1, index(T, 2, 0, 0)),
    "index_select one": lambda T, x: x.index_select(0, T.tensor(0)),
    "index_select none": lambda T, x: x.index_select(0, index(T)),
    "index_select far": lambda T, x: x.index_select(0, index(T, 3)),
    "index_select far column": lambda T, x: x.index_select(1, index(T, 9)),
    "index_select negative": lambda T, x: x.index_select(0, index(T, -1)),
    "index_select matrix": lambda T, x: x.index_select(0, index(T, 1).reshape(1, 1)),
    "index_select int8": lambda T, x: x.index_select(0, index(T, 1, dtype="int8")),
    "index_add": lambda T, x: x.index_add(0, index(T, 0, 0, 2), like(T, x, 0, 3)),
    "index_add last": lambda T, x: x.index_add(-1, index(T, 0, 0), like(T, x, -1, 2), alpha=-2),
    "index_add far": lambda T, x: x.index_add(0, index(T, 9, 0), like(T, x, 0, 2)),
    "index_add count": lambda T, x: x.index_add(0, index(T, 0, 0), like(T, x, 0, 3)),
    "index_add shape": lambda T, x: x.index_add(0, index(T, 0, 0), T.ones(2, 9)),
    "index_add type": lambda T, x: x.index_add(0, index(T, 0), like(T, x, 0, 1).double()),
    "index_copy": lambda T, x: x.index_copy(0, index(T, 2, 0), like(T, x, 0, 2)),
    "index_copy last": lambda T, x: x.index_copy(-1, index(T, 2, 0), like(T, x, -1, 2)),
    "index_copy far": lambda T, x: x.index_copy(0, index(T, 7), like(T, x, 0, 1)),
    "index_copy negative": lambda T, x: x.index_copy(0, index(T, -1), like(T, x, 0, 1)),
    "index_fill": lambda T, x: x.index_fill(0, index(T, 0, -1), 7),
    "index_fill tensor": lambda T, x: x.index_fill(-1, index(T, 0, 2), T.tensor(7.0)),
    "index_fill far": lambda T, x: x.index_fill(0, index(T, 5), 7),
    "index_fill vector": lambda T, x: x.index_fill(0, index(T, 0), T.ones(1)),
    "index_put": lambda T, x: x.index_put((index(T, 0, 2),), source(T, *x.shape[1:])),
    "index_put adding": lambda T, x: x.index_put(
        (index(T, 0, 0, -1),), source(T, *x.shape[1:]), accumulate=True
    ),
    "index_put pair": lambda T, x: x.index_put(
        (index(T, 0, 0), index(T, 1, -1)), source(T, 2), accumulate=True
    ),
    "index_put broadcast": lambda T, x: x.index_put(
        (index(T, 0, 1).reshape(2, 1), index(T, 1, 2)), T.tensor(9.0)
    ),
    "index_put mask": lambda T, x: x.index_put((T.tensor(MASK),), T.tensor(5.0)),
    "index_put mask adding": lambda T, x: x.index_put((T.tensor(MASK),), T.tensor(5.0), accumulate=True),
    "index_put far": lambda T, x: x.index_put((index(T, 9),), T.tensor(5.0)),
    "index_put shape": lambda T, x: x.index_put((index(T, 0),), T.ones(7)),
    "index_put type": lambda T, x: x.index_put((index(T, 0),), T.tensor(1)),
    "index_put int": lambda T, x: x.index_put((0,), T.tensor(1.0)),
    "index_put many": lambda T, x: x.index_put((index(T, 0),) * 3, T.tensor(1.0)),
    "take": lambda T, x: x.take(index(T, 0, -1, 2)),
    "take matrix": lambda T, x: x.take(index(T, 0, 1).reshape(2, 1)),
    "take far": lambda T, x: x.take(index(T, 12)),
    "take nothing": lambda T, x: x.take(index(T)),
    "put": lambda T, x: x.put(index(T, 1, -1), source(T, 2)),
    "put adding": lambda T, x: x.put(index(T, 1, 1, -1), source(T, 3), accumulate=True),
    "put far": lambda T, x: x.put(index(T, 99), source(T, 1)),
    "put count": lambda T, x: x.put(index(T, 1, 2), source(T, 1)),
    "take_along_dim": lambda T, x: x.take_along_dim(across(T, x, [2, 0]), -1),
    "take_along_dim rows": lambda T, x: x.take_along_dim(across(T, x, [2]), 0),
    "take_along_dim flat": lambda T, x: x.contiguous().take_along_dim(index(T, 2, 0)),
    "masked_fill": lambda T, x: x.masked_fill(T.tensor(MASK), 7),
    "masked_fill tensor": lambda T, x: x.masked_fill(T.tensor(MASK), T.tensor(2.5)),
    "masked_fill row": lambda T, x: x.masked_fill(T.tensor(MASK[0]), -1.5),
    "masked_fill floats": lambda T, x: x.masked_fill(x, 7),
    "masked_fill shape": lambda T, x: x.masked_fill(T.tensor([True] * 5), 7),
    "masked_select": lambda T, x: x.masked_select(T.tensor(MASK)),
    "masked_select row": lambda T, x: x.masked_select(T.tensor(MASK[0])),
    "masked_select one": lambda T, x: x.masked_select(T.tensor(True)),
    "masked_scatter": lambda T, x: x.masked_scatter(T.tensor(MASK), source(T, 20)),
    "masked_scatter row": lambda T, x: x.masked_scatter(T.tensor(MASK[0]), source(T, 20)),
    "masked_scatter few": lambda T, x: x.masked_scatter(T.tensor(MASK), source(T, 2)),
    "where": lambda T, x: T.where(T.tensor(MASK), x, -x),
    "where number": lambda T, x: T.where(T.tensor(MASK), x, 2),
    "where numbers": lambda T, x: T.where(x > 2, 1, 2.5),
    "where row": lambda T, x: x.where(T.tensor(MASK[0]), T.tensor(9.0)),
    "where types": lambda T, x: T.where(T.tensor(MASK), x.long(), x.half()),
    "where shape": lambda T, x: T.where(T.tensor([True] * 5), x, x),
    "where floats": lambda T, x: T.where(x, x, x),
    "where two": lambda T, x: T.where(x > 1, x),
    "nonzero": lambda T, x: x.nonzero(),
    "argwhere": lambda T, x: T.argwhere(x > 1),
}


def layouts_of(name):
    """Every layout; but for no rows these three say things that come from within PyTorch."""
    odd = name.startswith(("index_reduce", "index_copy", "index_fill"))
    return [(layout, make) for layout, make in LAYOUTS.items() if not (odd and layout == "empty")]


@pytest.mark.parametrize("name", CALLS)
def test_values(name):
    for layout, make in layouts_of(name):
        ours, theirs = (outcome(lambda T=T, make=make: CALLS[name](T, make(T))) for T in (rushlight, torch))
        try:
            assert_same(ours, theirs)
        except AssertionError as error:
            raise AssertionError(f"{name}, {layout}") from error


@pytest.mark.parametrize("name", CALLS)
def test_gradients(name):
    def run(T, make):
        x = make(T).double().requires_grad_()
        y = CALLS[name](T, x.float() if "where" not in name else x)
        (g,) = T.autograd.grad((y * y * T.arange(y.numel()).reshape(y.shape)).sum(), x, create_graph=True)
        (g * g).sum().backward()
        return y.grad_fn.name(), np.array(g.tolist()), np.array(x.grad.tolist())

    for layout, make in layouts_of(name):
        ours, theirs = (outcome(lambda T=T, make=make: run(T, make)) for T in (rushlight, torch))
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), (layout, ours, theirs)
            continue
        assert not isinstance(ours, Exception), (layout, ours)
        assert ours[0] == theirs[0]
        for mine, wanted in zip(ours[1:], theirs[1:]):
            np.testing.assert_allclose(mine, wanted, rtol=1e-5, err_msg=layout)


#: operation -> what is called in place, with a source that may want a gradient
INPLACE = {
    "index_put_": lambda T, x, v: x.index_put_((index(T, 0, 0),), v[0], accumulate=True),
    "index_add_": lambda T, x, v: x.index_add_(0, index(T, 1, 1), v[:2], alpha=3),
    "index_copy_": lambda T, x, v: x.index_copy_(0, index(T, 2, 0), v[:2]),
    "index_fill_": lambda T, x, v: x.index_fill_(1, index(T, 0), v[0, 0]),
    "index_reduce_": lambda T, x, v: x.index_reduce_(0, index(T, 0, 0), v[:2], "mean"),
    "scatter_": lambda T, x, v: x.scatter_(1, index(T, 2, 0).reshape(1, 2), v[:1, :2]),
    "scatter_ number": lambda T, x, v: x.scatter_(1, index(T, 2, 0).reshape(1, 2), 4),
    "scatter_add_": lambda T, x, v: x.scatter_add_(1, index(T, 2, 2).reshape(1, 2), v[:1, 1:3]),
    "scatter_reduce_": lambda T, x, v: x.scatter_reduce_(1, index(T, 2, 2).reshape(1, 2), v[:1, :2], "amax"),
    "put_": lambda T, x, v: x.put_(index(T, 2, 2), v[0, :2], accumulate=True),
    "masked_fill_": lambda T, x, v: x.masked_fill_(T.tensor(MASK), v[0, 0]),
    "masked_fill_ number": lambda T, x, v: x.masked_fill_(T.tensor(MASK[0]), 2),
    "masked_scatter_": lambda T, x, v: x.masked_scatter_(T.tensor(MASK), v),
}


@pytest.mark.parametrize("name", INPLACE)
def test_in_place(name):
    """Values, identity and version, for every layout; what shares the memory sees the write."""
    for layout in ("contiguous", "turned", "sliced"):

        def run(T, layout=layout):
            x = LAYOUTS[layout](T)
            alias, version = x.detach(), x._version
            out = INPLACE[name](T, x, source(T, 3, 4))
            return out is x, x._version - version, alias.tolist(), x.stride()

        assert run(rushlight) == run(torch), layout


@pytest.mark.parametrize("name", INPLACE)
@pytest.mark.parametrize("wants", ["both", "source", "target"])
def test_in_place_on_the_tape(name, wants):
    def run(T):
        x = LAYOUTS["contiguous"](T).requires_grad_(wants != "source")
        v = source(T, 3, 4).requires_grad_(wants != "target")
        y = x * 2
        INPLACE[name](T, y[:] if wants == "both" else y, v * v)
        (y * y).sum().backward() if y.requires_grad else None
        return [None if t.grad is None else t.grad.tolist() for t in (x, v)]

    ours, theirs = outcome(lambda: run(rushlight)), outcome(lambda: run(torch))
    assert ours == theirs or type(ours) is type(theirs) is RuntimeError


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    for name in CALLS:
        if not any(name.startswith(word) for word in ("where", "index_reduce", "scatter_reduce")):
            make = LAYOUTS["contiguous"]

            def run(T, make=make, name=name):
                kind = getattr(T, dtype)
                x = make(T).to(kind) if dtype != "bool" else make(T) > 5
                return CALLS[name](_Typed(T, kind), x)

            assert_same(outcome(lambda run=run: run(rushlight)), outcome(lambda run=run: run(torch)))


class _Typed:
    """A namespace whose `arange` and `ones` give one type, so that sources agree with their targets."""

    def __init__(self, T, kind):
        self.T, self.kind = T, kind

    def __getattr__(self, name):
        return getattr(self.T, name)

    def arange(self, *args):
        return self.T.arange(*args).to(self.kind)

    def ones(self, *shape, dtype=None):
        return self.T.ones(*shape, dtype=dtype or self.kind)


def test_sums_are_added_in_order():
    """Repeated places are summed one after another, so that the bits are PyTorch's."""
    numbers = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    places = np.random.default_rng(1).integers(0, 7, 2000)
    for dtype in ("float32", "float16", "bfloat16"):
        made = []
        for T in (rushlight, torch):
            v, at = T.from_numpy(numbers).to(getattr(T, dtype)), T.from_numpy(places)
            zero = T.zeros(7, dtype=getattr(T, dtype))
            sums = (
                zero.index_put((at,), v, accumulate=True),
                zero.scatter_add(0, at, v),
                zero.index_add(0, at, v),
            )
            made.append([s.float().tolist() for s in sums])
        assert made[0] == made[1]


def test_out():
    for T in (torch, rushlight):
        x, at = T.arange(6.0).reshape(2, 3), T.tensor([[0, 1, 1]])
        with pytest.raises(
            RuntimeError, match="Expected out tensor to have dtype float, but got double instead"
        ):
            T.gather(x, 0, at, out=T.zeros(0, dtype=T.float64))
        with pytest.raises(RuntimeError, match="single memory location"):
            T.gather(x, 0, at, out=x)
        out = T.zeros(0)
        assert T.take(x, at, out=out) is out and out.tolist() == [[0.0, 1.0, 1.0]]


def test_overlap():
    for T in (torch, rushlight):
        x, at = T.arange(6.0).reshape(2, 3), T.tensor([0])
        for write in (
            lambda: x.index_add_(0, at, x[:1]),
            lambda: x.index_copy_(0, at, x[:1]),
            lambda: x.scatter_(0, at.reshape(1, 1), x),
            lambda: x.index_put_((at,), x[:1]),
        ):
            with pytest.raises(RuntimeError, match="single memory location"):
                write()


def test_as_tuple():
    for name in ("unravel", "where", "nonzero", "scalar"):
        calls = {
            "unravel": lambda T: T.unravel_index(T.tensor([4, 7, -1]), (2, 3)),
            "where": lambda T: T.where(T.tensor(MASK)),
            "nonzero": lambda T: T.tensor(MASK).nonzero(as_tuple=True),
            "scalar": lambda T: T.tensor(3).nonzero(as_tuple=True),
        }
        ours, theirs = calls[name](rushlight), calls[name](torch)
        assert len(ours) == len(theirs)
        for mine, wanted in zip(ours, theirs):
            assert_same(mine, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bfloat16", "complex64"])
@pytest.mark.parametrize(
    ("rows", "picked", "width"), [(50, 60, 40), (3, 3000, 7), (1, 5000, 1), (400, 300, 3)]
)
@pytest.mark.parametrize("dim", [0, 1])
def test_many_rows_added_at_places(rows, picked, width, dim, dtype):
    """However often a row comes, all of them are added, as exactly as PyTorch does."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, rows, picked)
    start, source = rng.integers(-100, 100, (rows, width)), rng.integers(-100, 100, (picked, width)) / 8
    exact = start.astype(np.float64)
    np.add.at(exact, index, source.astype("i4") if dtype == "int32" else source)
    for name in ("index_add", "index_put", "getitem"):
        x, s = (rushlight.tensor(a).to(getattr(rushlight, dtype)) for a in (start, source))
        at = rushlight.tensor(index)
        if name == "index_add":
            x, s = (x, s) if dim == 0 else (x.t(), s.t())
            got = x.index_add(dim, at, s)
            got = got if dim == 0 else got.t()
        elif name == "index_put" and not (dtype == "bfloat16" and picked > 100):
            got = x.index_put((at,), s, accumulate=True)
        elif dtype == "int32":
            continue
        elif dtype == "bfloat16" and picked > 100:
            continue  # adds up one by one in bfloat16, as PyTorch does, and is as far off
        else:
            x.requires_grad_()
            (x[at] * s).sum().backward() if dtype != "complex64" else (x[at] * s).real.sum().backward()
            got = x.grad + x.detach()
        # eighths of small whole numbers add up exactly, but in bfloat16
        tolerance = 0.05 if dtype == "bfloat16" else 0
        wanted = torch.from_numpy(exact)
        np.testing.assert_allclose(
            got.detach().to(rushlight.complex128).numpy(),
            wanted.numpy(),
            rtol=tolerance,
            atol=tolerance * 100,
        )
