"""`embedding_bag` against PyTorch: values and gradients, of few rows and of as many as a kernel sums."""

import numpy as np
import pytest
import torch

import rushlight
from rushlight.runtime import bagged

BOUND = {"float32": 2e-6, "float64": 1e-14, "float16": 2e-3, "bfloat16": 2e-2}


def bag(lib, rows, table, offsets, kind, **given):
    """The result, its gradient, and whether it has the table's type; PyTorch computes in float64."""
    table = lib.tensor(table).to(getattr(lib, kind))
    table = (table.double() if lib is torch else table).requires_grad_()
    starts = None if offsets is None else lib.tensor(offsets)
    made = lib.nn.functional.embedding_bag(lib.tensor(rows), table, starts, **given)
    g = lib.tensor(np.random.default_rng(8).integers(-3, 4, tuple(made.shape))).to(made.dtype)
    (back,) = lib.autograd.grad(made, table, g)
    return made.detach().double().numpy(), back.double().numpy(), made.dtype == table.dtype


def compared(*given, kind="float32", **options):
    theirs, ours = (bag(lib, *given, kind, **options) for lib in (torch, rushlight))
    for wanted, made in zip(theirs[:2], ours[:2]):
        np.testing.assert_allclose(made, wanted, rtol=BOUND[kind], atol=4 * BOUND[kind])
    assert ours[2]


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("width", [1, 7, 32, 129])
def test_rows_of_a_matrix_and_runs(width, mode, kind):
    rng = np.random.default_rng(width)
    table = rng.standard_normal((50, width))
    for count in (5, 400):
        compared(rng.integers(0, 50, (count, 9)), table, None, kind=kind, mode=mode)
        starts = np.sort(rng.integers(0, 9 * count, count))
        starts[:2] = 0  # (the first bag is empty)
        flat = rng.integers(0, 50, 9 * count)
        compared(flat, table, starts, kind=kind, mode=mode)
        compared(flat.astype(np.int32), table, starts.astype(np.int32), kind=kind, mode=mode)
        compared(flat, table, np.append(starts, flat.size), kind=kind, mode=mode, include_last_offset=True)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_padding(mode):
    rng = np.random.default_rng(2)
    table, rows = rng.standard_normal((20, 40)), rng.integers(0, 20, (100, 6))
    rows[3] = 7
    for padding in (7, -13):
        compared(rows, table, None, mode=mode, padding_idx=padding)


def test_gradients_by_how_often_rows_come():
    """As `embedding` has it. (PyTorch divides by the counts of other rows.)"""
    rng = np.random.default_rng(3)
    rows, table = rushlight.tensor(rng.integers(0, 20, (60, 6))), rushlight.randn(20, 40).requires_grad_()
    g = rushlight.randn(60, 40)
    for mode in ("sum", "mean"):
        found = []
        for made in (
            rushlight.nn.functional.embedding_bag(rows, table, mode=mode, scale_grad_by_freq=True),
            getattr(rushlight.nn.functional.embedding(rows, table, scale_grad_by_freq=True), mode)(1),
        ):
            found.append(rushlight.autograd.grad(made, table, g)[0].numpy())
        np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


def test_gradient_of_the_gradient():
    rng = np.random.default_rng(4)
    rows, table = rng.integers(0, 6, (4, 3)), rng.standard_normal((6, 5))
    for mode in ("sum", "mean"):
        t = rushlight.tensor(table).requires_grad_()
        assert rushlight.autograd.gradgradcheck(
            lambda t, mode=mode: rushlight.nn.functional.embedding_bag(rushlight.tensor(rows), t, mode=mode),
            (t,),
        )
        made = rushlight.nn.functional.embedding_bag(rushlight.tensor(rows), t, mode=mode)
        assert type(made.grad_fn).__name__ == "EmbeddingBagBackward0"


def test_tables_of_any_layout_and_numbers_that_are_none():
    rng = np.random.default_rng(5)
    rows, table = rng.integers(0, 60, (300, 8)), rng.standard_normal((60, 70))
    table[7] = np.nan
    table[8] = np.inf
    wanted = rushlight.nn.functional.embedding_bag(rushlight.tensor(rows), rushlight.tensor(table))
    turned = rushlight.tensor(table.T.copy()).t()
    every_other = rushlight.tensor(np.repeat(table, 2, 0))[::2]
    for t in (turned, every_other):
        made = rushlight.nn.functional.embedding_bag(rushlight.tensor(rows), t)
        np.testing.assert_array_equal(made.numpy(), wanted.numpy())
    theirs = torch.nn.functional.embedding_bag(torch.from_numpy(rows), torch.from_numpy(table)).numpy()
    np.testing.assert_allclose(wanted.numpy(), theirs, rtol=1e-12, atol=1e-12)


def test_no_rows_and_no_bags():
    table = rushlight.ones(5, 3)
    none = rushlight.zeros(0, dtype=rushlight.int64)
    assert rushlight.nn.functional.embedding_bag(none, table, none).shape == (0, 3)
    starts = rushlight.zeros(4, dtype=rushlight.int64)
    assert rushlight.nn.functional.embedding_bag(none, table, starts).tolist() == [[0.0] * 3] * 4


def test_the_kernel_has_numpys_sums():
    rng = np.random.default_rng(6)
    table, rows = rng.standard_normal((90, 65)).astype("f"), rng.integers(0, 90, 3000)
    bounds = np.append(np.sort(rng.integers(0, 3000, 200)), 3000)
    bounds[0] = 0
    for mean in (False, True):
        made = bagged.summed(table, rows, bounds, mean)
        for k, (start, stop) in enumerate(zip(bounds, bounds[1:])):
            total = table[rows[start:stop]].astype("d").sum(0) / (max(stop - start, 1) if mean else 1)
            np.testing.assert_allclose(made[k], total, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("starts", [[1, 1, 2], [0, 1, 100], [0, 5, 3], [0, -5, 3], [0, 3, 12], [0, 12, 12]])
def test_bags_begin_within_their_input_and_in_order(mode, starts):
    def outcome(T):
        bag = T.nn.EmbeddingBag(10, 2, mode=mode)
        with T.no_grad():
            bag.weight.copy_(T.arange(20.0).view(10, 2))
        try:
            return bag(T.arange(12) % 10, T.tensor(starts)).tolist()
        except (RuntimeError, IndexError):
            return "refused"

    if starts == [0, 5, 3] or starts == [
        0,
        -5,
        3,
    ]:  # PyTorch answers for sums and maxima, with what is in the memory
        assert outcome(rushlight) == "refused"
    else:
        assert outcome(rushlight) == outcome(torch)


def test_weights_of_samples_have_the_type_of_the_rows():
    for T in (torch, rushlight):
        bag = T.nn.EmbeddingBag(10, 2, mode="sum")
        with pytest.raises(
            RuntimeError, match="to have the same type as tensor for argument #1 'per_sample_weights'"
        ):
            bag(T.arange(4), T.tensor([0]), T.ones(4, dtype=T.float64))
