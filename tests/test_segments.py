"""Histograms of points, runs reduced to one, positions in fixed numbers, and bits combined: against PyTorch."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from both import same, seen

import rushlight

# ---- segment_reduce ----

LENGTHS = {"lengths": [2, 0, 1, 3], "offsets": [0, 2, 2, 3, 6]}
REDUCTIONS = ["sum", "mean", "prod", "max", "min"]


@pytest.mark.parametrize("reduce, by", itertools.product(REDUCTIONS, LENGTHS))
@pytest.mark.parametrize("initial", [None, 2.0])
@pytest.mark.parametrize("tail", [(), (2,), (2, 0)])
def test_segments(reduce, by, initial, tail):
    def program(T):
        T.manual_seed(0)
        x = T.randn(6, *tail, dtype=T.float64).requires_grad_()
        y = T.segment_reduce(x, reduce, **{by: T.tensor(LENGTHS[by])}, initial=initial)
        y.nan_to_num(0, 0, 0).square().sum().backward()
        return y, x.grad + 0.0

    same(program)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_segments_of_rows(reduce):
    def program(T):
        T.manual_seed(0)
        x = T.randn(2, 5, 3, dtype=T.float64).requires_grad_()
        y = T.segment_reduce(x, reduce, lengths=T.tensor([[1, 3, 1], [2, 0, 3]]), axis=1, initial=1)
        y.square().sum().backward()
        return y, x.grad + 0.0

    same(program)


@pytest.mark.parametrize("reduce", ["prod", "max", "min"])
def test_equal_elements_and_zeros(reduce):
    def program(T):
        x = T.tensor([1.0, 1, 0, 2, 0, 0], dtype=T.float64).requires_grad_()
        T.segment_reduce(x, reduce, lengths=T.tensor([2, 1, 3])).sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_derivatives_of_segments(reduce):
    x = rushlight.tensor([1.0, -2, 3, 0.5, 4, -1], dtype=rushlight.float64, requires_grad=True)
    lengths = rushlight.tensor([2, 1, 3])
    assert rushlight.autograd.gradcheck(lambda x: rushlight.segment_reduce(x, reduce, lengths=lengths), x)
    assert rushlight.autograd.gradgradcheck(lambda x: rushlight.segment_reduce(x, reduce, lengths=lengths), x)


@pytest.mark.parametrize(
    "call",
    [
        "T.arange(6.), 'sum', lengths=T.tensor([2, 3])",
        "T.arange(6.), 'sum', lengths=T.tensor([2, 3]), unsafe=True",
        "T.arange(6.).reshape(2, 3), 'sum', lengths=T.tensor([[1, 1], [1, 2]]), axis=1, unsafe=True",
        "T.arange(6.), 'sum', offsets=T.tensor([1, 2, 5])",
        "T.arange(6.), 'sum', offsets=T.tensor([0, 6]), lengths=T.tensor([3, 3])",
        "T.arange(6.), 'sum'",
        "T.arange(6.), 'median', lengths=T.tensor([6])",
        "T.arange(6), 'sum', lengths=T.tensor([6])",
        "T.arange(6.), 'sum', lengths=T.tensor([6.])",
        "T.arange(6.), 'sum', offsets=T.tensor([0., 6.])",
        "T.arange(6.), 'sum', indices=T.tensor([0, 6])",
        "T.arange(6.), 'sum', lengths=T.tensor([-1, 7])",
        "T.arange(6.), 'sum', lengths=T.tensor([6]), axis=1",
        "T.ones(0), 'mean', lengths=T.tensor([0, 0])",
        "T.tensor([1., float('nan')]), 'max', lengths=T.tensor([2])",
        "T.arange(6.).half(), 'sum', lengths=T.tensor([2, 4])",
    ],
)
def test_segments_that_fit_or_do_not(call):
    same(lambda T: eval(f"T.segment_reduce({call})"))


@pytest.mark.parametrize("offsets", [[0, 4, 2], [0, 9], [-1, 6]])
def test_offsets_outside_the_data_are_refused(offsets):
    with pytest.raises(RuntimeError):
        rushlight.segment_reduce(rushlight.arange(6.0), "sum", offsets=rushlight.tensor(offsets))


def test_long_segments_are_exact():
    x = rushlight.ones(1 << 20)
    assert rushlight.segment_reduce(x, "sum", lengths=rushlight.tensor([1 << 20])).item() == 1 << 20


# ---- histogramdd ----


@pytest.mark.parametrize(
    "call",
    [
        "p, bins=[3, 2]",
        "p, 4",
        "p, (2, 5), density=True",
        "p, [2, 2], range=[-1., 1., 0., 2.]",
        "p, [2, 2], weight=T.arange(12.).double()",
        "p.reshape(3, 4, 2), 3, weight=T.arange(12.).double().reshape(3, 4)",
        "p, [T.tensor([-1., 0., 3.]).double(), T.tensor([-2., 2.]).double()]",
        "p.float(), 2",
        "p[:0], 2",
        "p.reshape(4, 6)[:, :3], [2, 1, 2], density=True",
        "p, bins=[3]",
        "p.long(), 2",
        "p[:, 0], 2",
        "p, [0, 2]",
        "p, [T.tensor([0., 1.]).double(), T.tensor([0., 1.])]",
        "p, [T.tensor([0.]).double(), T.tensor([0., 1.]).double()]",
        "p, 2, range=[0., 1.]",
        "p, 2, range=[1., 0., 0., 1.]",
        "p, 2, weight=T.ones(3).double()",
        "p * float('inf'), 2",
    ],
)
def test_histograms_of_points(call):
    def program(T):
        T.manual_seed(1)
        p = T.randn(12, 2, dtype=T.float64)
        found = eval(f"T.histogramdd({call})", {"T": T, "p": p})
        return found.hist, list(found.bin_edges), type(found.bin_edges).__name__

    assert seen(program, rushlight) == seen(program, torch)


def test_points_are_counted_as_numpy_counts_them():
    p = np.random.default_rng(0).standard_normal((500, 3))
    wanted, edges = np.histogramdd(p, (3, 4, 5))
    found = rushlight.histogramdd(rushlight.tensor(p), (3, 4, 5))
    assert np.array_equal(found.hist.numpy(), wanted)
    for e, f in zip(edges, found.bin_edges):
        np.testing.assert_allclose(f.numpy(), e)


# ---- nonzero_static ----


@pytest.mark.parametrize("size", [0, 1, 2, 7, -1])
@pytest.mark.parametrize("values", ["T.tensor([[1, 0], [0, 2]])", "T.tensor(5)", "T.ones(0, 3)", "T.eye(3) > 0", "T.tensor([0j, 1j])"])  # fmt: skip
def test_positions_in_fixed_numbers(values, size):
    same(lambda T: T.nonzero_static(eval(values), size=size, fill_value=9))
    same(lambda T: eval(values).nonzero_static(size=size))


# ---- hash_tensor ----

TYPES = "uint8 int8 int16 int32 int64 bool float16 bfloat16 float32 float64".split()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "given", [{}, {"dim": 0}, {"dim": (0, 1), "keepdim": True}, {"dim": -1, "keepdim": True}]
)
def test_bits_combined(kind, given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(lambda T: T.hash_tensor(T.tensor([[3, -2, 0], [1, 7, 5]]).to(getattr(T, kind)), **given))


@pytest.mark.parametrize(
    "call", ["T.ones(2, dtype=T.complex64)", "T.ones(0)", "T.ones(0, 3), 0", "T.ones(0, 3), 1", "T.ones(2), mode=1", "T.ones(2), 4", "T.ones(2), out=T.ones(1)"]
)  # fmt: skip
def test_what_cannot_be_combined(call):
    same(lambda T: eval(f"T.hash_tensor({call})"))
