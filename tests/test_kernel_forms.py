"""Layers' functions as `torch` itself has them, against PyTorch."""

import itertools

import pytest
from both import same

LOSSES = {
    "binary_cross_entropy_with_logits": "x, y.sigmoid(), None, w",
    "kl_div": "x, y.softmax(-1)",
    "poisson_nll_loss": "x, y.exp(), True, True, 1e-8",
    "cosine_embedding_loss": "x, y, t, 0.1",
    "hinge_embedding_loss": "x, (y > 0) * 2.0 - 1, 0.7",
    "margin_ranking_loss": "x, y, (y > 0) * 2.0 - 1, 0.2",
    "triplet_margin_loss": "x, y, y.flip(0), 0.5, 2.0, 1e-6, True",
}


@pytest.mark.parametrize("name, reduction", itertools.product(LOSSES, [None, 0, 1, 2]))
def test_losses(name, reduction):
    def program(T):
        T.manual_seed(0)
        x, y = (T.randn(4, 3, dtype=T.float64).requires_grad_() for _ in range(2))
        t, w = T.tensor([1.0, -1, 1, -1]), T.rand(3, dtype=T.float64)
        args = eval(LOSSES[name], {"x": x, "y": y, "t": t, "w": w})
        if name == "poisson_nll_loss":
            found = T.poisson_nll_loss(*args, 1 if reduction is None else reduction)
        else:
            found = getattr(T, name)(*args, **({} if reduction is None else {"reduction": reduction}))
        return found, T.autograd.grad(found.sin().sum(), [x, y], allow_unused=True)

    same(program)


def test_a_divergence_of_logarithms():
    same(lambda T: T.kl_div(T.tensor([-1.0, -2]), T.tensor([-3.0, -0.5]), 2, log_target=True))


NORMS = {
    "layer": "T.native_layer_norm(x, [4, 5], w, b, 1e-5)",
    "layer plain": "T.native_layer_norm(x, (5,), None, None, 1e-3)",
    "group": "T.native_group_norm(x, c, d, 3, 4, 5, 2, 1e-5)",
    "group plain": "T.native_group_norm(x.unsqueeze(-1), None, None, 3, 4, 5, 4, 1e-2)",
    "batch": "T.native_batch_norm(x, c, d, T.zeros(4).double(), T.ones(4).double(), True, 0.1, 1e-5)",
    "batch kept": "T.native_batch_norm(x, c, d, T.zeros(4).double() + 0.5, T.ones(4).double() * 2, False, 0.1, 1e-5)",
    "batch plain": "T.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)",
}


@pytest.mark.parametrize("name", NORMS)
def test_normalisations_with_their_statistics(name):
    def program(T):
        T.manual_seed(0)
        x = T.randn(3, 4, 5, dtype=T.float64).requires_grad_()
        w, b = (T.randn(4, 5, dtype=T.float64).requires_grad_() for _ in range(2))
        c, d = (T.randn(4, dtype=T.float64).requires_grad_() for _ in range(2))
        found = eval(NORMS[name], {"T": T, "x": x, "w": w, "b": b, "c": c, "d": d})
        return [t.detach() for t in found], T.autograd.grad(found[0].sin().sum(), x)

    same(program)


def test_running_statistics_are_written():
    def program(T):
        mean, var = T.zeros(2).double(), T.ones(2).double()
        T.native_batch_norm(T.arange(12.0).double().reshape(3, 2, 2), None, None, mean, var, True, 0.5, 1e-5)
        return mean, var

    same(program)


@pytest.mark.parametrize("p, train", [(0.5, False), (0.0, True), (1.0, True), (0.4, True)])
def test_dropout_with_its_mask(p, train):
    def program(T):
        T.manual_seed(0)
        x = T.randn(6, dtype=T.float64).requires_grad_()
        y, mask = T.native_dropout(x, p, train)
        return y, mask, T.autograd.grad(y.sum(), x)

    same(program)


@pytest.mark.parametrize("mode, padding, corners", itertools.product([0, 1, 2], [0, 1, 2], [True, False]))
def test_grids(mode, padding, corners):
    def program(T):
        T.manual_seed(0)
        x = T.randn(2, 3, 4, 5, dtype=T.float64).requires_grad_()
        grid = T.affine_grid_generator(T.randn(2, 2, 3, dtype=T.float64), (2, 3, 4, 4), corners)
        found = (
            T.grid_sampler(x, grid, mode, padding, corners),
            T.grid_sampler_2d(x, grid, mode, padding, corners),
        )
        return found, T.autograd.grad(found[0].square().sum(), x)

    same(program)


@pytest.mark.parametrize("mode, padding", itertools.product([0, 1], [0, 1, 2]))
def test_grids_in_space(mode, padding):
    def program(T):
        T.manual_seed(0)
        x = T.randn(1, 2, 3, 4, 5, dtype=T.float64)
        grid = T.rand(1, 2, 2, 2, 3, dtype=T.float64) * 3 - 1.5
        return T.grid_sampler_3d(x, grid, mode, padding, False)

    same(program)


@pytest.mark.parametrize(
    "call",
    [
        "T.max_pool1d_with_indices(x[0], 2)",
        "T.max_pool1d_with_indices(x, 3, 2, 1, 1, True)",
        "T.convolution(x, T.ones(2, 2, 3).double(), None, [2], [1], [1], False, [0], 2)",
        "T.convolution(x, T.ones(4, 2, 3).double(), T.ones(2).double(), [2], [1], [1], True, [1], 1)",
        "T.convolution(x.unsqueeze(-1), T.ones(2, 4, 3, 1).double(), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)",
        "T.conv_tbc(x, T.ones(2, 7, 3).double(), T.ones(3).double(), 1)",
        "T.conv_tbc(x[0], T.ones(2, 7, 3), T.ones(3))",
        "T.conv_tbc(x, T.ones(2, 7), T.ones(3))",
        "T.conv_tbc(x, T.ones(2, 7, 3), T.ones(3, 3))",
    ],
)
def test_layers(call):
    def program(T):
        T.manual_seed(0)
        return eval(call, {"T": T, "x": T.randn(3, 4, 7, dtype=T.float64)})

    same(program)


@pytest.mark.parametrize("name", ["grid_sampler_2d", "grid_sampler_3d"])
@pytest.mark.parametrize("value", ["T.ones(2)", "'text'", "None"])
def test_what_is_no_picture(name, value):
    same(lambda T: getattr(T, name)(eval(value), T.ones(1, 1, 1, 2), 0, 0, False), text=False)
