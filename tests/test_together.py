"""Reductions of one large array that wait for one another: one read, the same bits, seen by nobody."""

import gc

import numpy as np
import pytest
import torch

import rushlight as T
from rushlight.graph.expr import Pending
from rushlight.native import jit
from rushlight.profiler import profile

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="without llvmlite everything is computed at once"),
    pytest.mark.usefixtures("fused"),
]

SHAPE = (2200, 2000)


@pytest.fixture(scope="module")
def numbers():
    a = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    a[3, 5], a[5, 3] = -0.0, 0.0
    return a


def pair(a):
    return T.tensor(a), torch.tensor(a)


def waiting(t):
    return type(t._a) is Pending and t._a.value is None


def kernels(function):
    """The kernels that run for it, in the order in which they do."""
    with profile() as p:
        function()
    return [f"{run.form} {run.name}" for run in p.events()]


#: what is computed of a matrix, with the digits that PyTorch's float32 sums are good for
REDUCTIONS = {
    "sum": (lambda x, d: x.sum(d), 2e-3),
    "mean": (lambda x, d: x.mean(d), 1e-6),
    "amax": (lambda x, d: x.amax(d), 0),
    "amin": (lambda x, d: x.amin(d), 0),
    "std": (lambda x, d: x.std(d), 1e-6),
    "var": (lambda x, d: x.var(d, correction=0), 1e-6),
}


@pytest.mark.parametrize("layout", ["rows", "columns", "every other"])
@pytest.mark.parametrize("dims", [0, 1, (0, 1)])
def test_one_read_gives_what_each_gives_alone(numbers, dims, layout):
    a = np.concatenate([numbers, numbers], 1) if layout == "every other" else numbers
    x, t = pair(a)
    if layout == "columns":
        x, t = x.t(), t.t()
    elif layout == "every other":
        x, t = x[:, ::2], t[:, ::2]
    with T.eager():
        alone = {name: call(x, dims) for name, (call, _) in REDUCTIONS.items()}
    together = {name: call(x, dims) for name, (call, _) in REDUCTIONS.items()}
    assert all(map(waiting, together.values()))
    ran = kernels(together["amax"].tolist)
    assert len(ran) == 1 and not any(map(waiting, together.values()))
    for name, (call, error) in REDUCTIONS.items():
        assert together[name].numpy().tobytes() == alone[name].numpy().tobytes(), name
        np.testing.assert_allclose(together[name].numpy(), call(t, dims).numpy(), rtol=1e-5, atol=error)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("count", [2, 3, 4, 8])
@pytest.mark.parametrize("dim", [0, 1])
def test_lines_of_a_few_elements(kind, count, dim):
    """Their variances are taken about their own means, in the same read as these."""
    a = np.random.default_rng(1).normal(size=(count, (1 << 22) // count + 3)).astype(kind)
    x, t = pair(a if dim == 0 else np.ascontiguousarray(a.T))
    with T.eager():
        alone = {name: call(x, dim) for name, (call, _) in REDUCTIONS.items()}
    together = {name: call(x, dim) for name, (call, _) in REDUCTIONS.items()}
    assert all(map(waiting, together.values()))
    assert len(kernels(together["std"].tolist)) == 1
    for name, (call, _) in REDUCTIONS.items():
        assert together[name].numpy().tobytes() == alone[name].numpy().tobytes(), name
        np.testing.assert_allclose(
            together[name].numpy(), call(t.double(), dim).numpy(), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("dims", [0, (0, 1)])
def test_variances_of_float64(numbers, dims, far):
    """They are read with the mean, about a guess of it; where that was far from it, once more."""
    a = numbers.astype("f8")
    if far:
        a[:128, :128] += 1e9
    x, t = pair(a)
    calls = (lambda x: x.mean(dims, True), lambda x: x.std(dims), lambda x: x.amin(dims))
    with T.eager():
        alone = [call(x) for call in calls]
    together = [call(x) for call in calls]
    assert all(map(waiting, together))
    ran = kernels(together[0].tolist)
    assert len(ran) == 1 or far
    assert not any(map(waiting, together))
    for got, wanted, call in zip(together, alone, calls):
        assert got.numpy().tobytes() == wanted.numpy().tobytes()
        np.testing.assert_allclose(got.numpy(), call(t).numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["f8", "i8"])
def test_wider_kinds(numbers, kind):
    x, t = pair((numbers * 1000).astype(kind))
    total, most, least = x.sum(), x.max(), x.min()
    assert kernels(total.item) == ["reduce sum max min"]
    assert most.item() == t.max().item() and least.item() == t.min().item()
    np.testing.assert_allclose(total.item(), t.sum().item(), rtol=1e-9)
    assert total.dtype is x.dtype


def test_what_does_not_go_together(numbers):
    """Other dimensions, other memory, other types."""
    x, _ = pair(numbers)
    rows, columns = x.sum(1), x.sum(0)
    assert len(kernels(rows.tolist)) == 1 and waiting(columns)
    y, _ = pair(numbers)
    other = y.sum()
    assert waiting(other) and not waiting(columns), "the memory of two would be kept"
    assert not waiting(x.half().sum()) and not waiting(x[:30].sum()) and not waiting(x.cfloat().sum())


def test_nan_counts(numbers):
    a = numbers.copy()
    a[7, 9] = np.nan
    x, t = pair(a)
    found = [x.sum(0), x.amax(0), x.std(0), x.amin(0)]
    wanted = [t.sum(0), t.amax(0), t.std(0), t.amin(0)]
    for ours, theirs in zip(found, wanted):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=2e-3)


def test_a_write_finds_them_done(numbers):
    x, t = pair(numbers)
    most, mean = x.amax(), x.mean(0)
    later = mean * 2
    row = x[4]
    row += 100
    assert not waiting(most) and most.item() == t.amax().item()
    np.testing.assert_allclose(later.numpy(), t.mean(0).numpy() * 2, rtol=1e-5, atol=1e-6)
    assert x.amax().item() == t[4].add(100).amax().item()


def test_memory_that_others_may_write_to_is_read_at_once(numbers):
    a = numbers.copy()
    x = T.from_numpy(a)
    most = x.amax()
    assert not waiting(most)
    y = T.tensor(numbers)
    least, shown = y.amin(), y.numpy()
    shown[0, 0] = -1000
    assert least.item() == numbers.min()


def test_results_are_written_to_like_any(numbers):
    x, t = pair(numbers)
    most = x.amax(0)
    alias = most.detach()
    most += 1
    into = T.zeros(SHAPE[1])
    into.copy_(x.amin(0))
    out = T.empty(SHAPE[1])
    T.amax(x, 1, out=out.resize_(SHAPE[0]))
    assert np.array_equal(alias.numpy(), t.amax(0).numpy() + 1)
    assert np.array_equal(into.numpy(), t.amin(0).numpy())
    assert np.array_equal(out.numpy(), t.amax(1).numpy())


def test_gradients(numbers):
    x, t = pair(numbers)
    for z in (x, t):
        z.requires_grad_()
        (z.mean() * 3 + z.std() + z.amax(0).sum()).backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-5, atol=1e-9)
    assert x.mean().grad_fn.name() == "MeanBackward0" and x.amax(0).requires_grad


def test_an_expression_waits_for_them(numbers):
    """Standardising columns: the matrix is read twice, not three times."""
    x, t = pair(numbers)
    z = (x - x.mean(0)) / x.std(0)
    told = T.explain(z)
    assert told.waiting and told.passes == 2 and waiting(z)
    assert [kernel.split()[0] for kernel in told.kernels] == ["reduce", "map"]
    assert told.expression[1].startswith("a = mean(b) f32")
    assert kernels(z.data_ptr) == ["reduce sum", "map sub true_divide"]
    np.testing.assert_allclose(z.numpy(), ((t - t.mean(0)) / t.std(0)).numpy(), rtol=1e-4, atol=1e-5)
    with T.eager():
        assert T.equal(z, (x - x.mean(0)) / x.std(0))


def test_explain_computes_nothing(numbers):
    x, _ = pair(numbers)
    total, most = x.sum(), x.amax()
    told = T.explain(total)
    assert told.passes == 1 and told.bytes == x.nbytes + 8 and "reduce f32 'max'" in told.kernels[0]
    assert waiting(total) and waiting(most)


def test_the_memory_of_one_array_is_kept_at_most(numbers):
    gc.collect()
    before = T.memory.stats().in_use
    kept = []
    for n in range(5):
        x = T.tensor(numbers * n)
        kept.append(x.amax())
        del x
    assert T.memory.stats().in_use - before < 2 * numbers.nbytes
    assert [m.item() for m in kept] == [(torch.tensor(numbers) * n).amax().item() for n in range(5)]


def test_many_of_one_array(numbers):
    """As many as one loop may have results are computed together; there is no end to how many may be asked for."""
    x, _ = pair(numbers)
    found = [x.amax() if n % 2 else x.amin() for n in range(40)]
    assert sum(map(waiting, found)) <= 16
    assert {f.item() for f in found} == {numbers.max(), numbers.min()}
