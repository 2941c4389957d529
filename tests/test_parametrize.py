"""Parametrised weights, and other parts of torch.nn that are asked for less often, against PyTorch."""

import copy
import warnings
from importlib import import_module

import numpy as np
import pytest
from both import same

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@pytest.fixture(autouse=True)
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def utils(T, name):
    return import_module(f"{T.__name__}.nn.utils.{name}")


def normal(T, *shape, seed=0):
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return T.tensor(values.tolist(), dtype=T.float64).reshape(shape)


def linear(T, rows=3, columns=4):
    layer = T.nn.Linear(columns, rows, dtype=T.float64)
    with T.no_grad():
        layer.weight.copy_(normal(T, rows, columns))
        layer.bias.copy_(normal(T, rows))
    return layer


def symmetric(T):
    class Symmetric(T.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).mT

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def trained(T, layer, columns=4, steps=3):
    """Values, gradients and parameters after a few steps."""
    optimizer = T.optim.SGD(layer.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(normal(T, 2, columns)).square().sum().backward()
        optimizer.step()
    return layer.state_dict(), layer.weight, [p.grad for p in layer.parameters()]


@program
def registered(T):
    P = utils(T, "parametrize")
    layer = P.register_parametrization(linear(T, 3, 3), "weight", symmetric(T))
    names = [name for name, _ in layer.named_parameters()]
    kinds = type(layer).__name__, P.type_before_parametrizations(layer).__name__, repr(layer)
    layer.weight = normal(T, 3, 3, seed=1).triu() + normal(T, 3, 3, seed=1).triu(1).mT
    return names, kinds, P.is_parametrized(layer), P.is_parametrized(layer, "bias"), trained(T, layer, 3)


@program
def two_steps(T):
    P = utils(T, "parametrize")

    class Double(T.nn.Module):
        def forward(self, x):
            return x * 2

        def right_inverse(self, x):
            return x / 2

    layer = linear(T, 3, 3)
    P.register_parametrization(layer, "weight", Double())
    P.register_parametrization(layer, "weight", symmetric(T))
    P.register_parametrization(layer, "bias", Double())
    copied = copy.deepcopy(layer)
    return repr(layer), trained(T, layer, 3), trained(T, copied, 3)


@program
def computed_once(T):
    P = utils(T, "parametrize")
    count = []

    class Counted(T.nn.Module):
        def forward(self, x):
            count.append(1)
            return x

    layer = P.register_parametrization(linear(T), "weight", Counted())
    with P.cached():
        first = layer.weight
        again = layer.weight is first
    return again, layer.weight is first, len(count)


@program
def removed(T):
    P = utils(T, "parametrize")
    found = []
    for leave in (True, False):
        layer = P.register_parametrization(linear(T, 3, 3), "weight", symmetric(T))
        before = layer.weight
        P.remove_parametrizations(layer, "weight", leave_parametrized=leave)
        found += [type(layer).__name__, layer.weight, before, list(layer.state_dict())]
    return found


@program
def transferred(T):
    P = utils(T, "parametrize")
    source = P.register_parametrization(linear(T, 3, 3), "weight", symmetric(T))
    target = P.transfer_parametrizations_and_params(source, T.nn.Linear(3, 3, dtype=T.float64))
    return target.weight, type(target).__name__, list(target.state_dict())


@program
def weight_norm(T):
    layers = [utils(T, "parametrizations").weight_norm(linear(T), dim=dim) for dim in (0, 1, None)]
    return [(repr(layer), trained(T, layer)) for layer in layers]


@program
def weight_norm_reads_the_older_form(T):
    old, new = T.nn.utils.weight_norm(linear(T)), utils(T, "parametrizations").weight_norm(linear(T))
    with T.no_grad():
        old.weight_g.mul_(2)
    return new.load_state_dict(old.state_dict()), new.weight


@program
def older_weight_norm(T):
    layer = T.nn.utils.weight_norm(linear(T), dim=1)
    found = trained(T, layer)
    T.nn.utils.remove_weight_norm(layer)
    return found, list(layer.state_dict()), layer.weight


@program
def spectral_norm(T):
    T.manual_seed(0)
    spectral = utils(T, "parametrizations").spectral_norm
    layers = [spectral(linear(T)), spectral(linear(T), n_power_iterations=3, dim=1)]
    found = [trained(T, layer) for layer in layers]
    vector = spectral(linear(T), "bias")
    return found, layers[0].eval().weight, layers[0].weight, vector.bias, repr(layers[0])


@program
def spectral_norm_of_a_convolution(T):
    T.manual_seed(0)
    conv = T.nn.ConvTranspose2d(2, 3, 2, dtype=T.float64)
    with T.no_grad():
        conv.weight.copy_(normal(T, 2, 3, 2, 2))
    return utils(T, "parametrizations").spectral_norm(conv).weight


@program
def older_spectral_norm(T):
    T.manual_seed(0)
    layer = T.nn.utils.spectral_norm(linear(T))
    found = trained(T, layer)
    again = T.nn.utils.spectral_norm(linear(T))
    loaded = again.load_state_dict(layer.state_dict())
    T.nn.utils.remove_spectral_norm(layer)
    return found, list(layer.state_dict()), layer.weight, loaded, again.weight_u


@program
def orthogonal(T):
    """Squares, tall and wide; random completions are not compared, only that they are orthogonal."""
    orthogonal = utils(T, "parametrizations").orthogonal
    found = []
    for shape in ((3, 3), (4, 3), (3, 4)):
        for name in ("matrix_exp", "cayley", "householder", None):
            layer = orthogonal(linear(T, *shape), orthogonal_map=name, use_trivialization=False)
            q = layer.weight.detach()
            q = q.mT if shape[0] < shape[1] else q
            gradient = T.autograd.grad(layer.weight.sin().sum(), layer.parametrizations.weight.original)[0]
            close = T.allclose(q.mT @ q, T.eye(3, dtype=T.float64), atol=1e-10)
            found += [close, layer.weight + 0.0, [f"{x:.6f}" for x in (gradient + 0.0).flatten().tolist()]]
    return found


@program
def orthogonal_with_a_base(T):
    q = T.linalg.qr(normal(T, 3, 3))[0]
    layer = linear(T, 3, 3)
    with T.no_grad():
        layer.weight.copy_(q)
    utils(T, "parametrizations").orthogonal(layer)
    kept = T.allclose(layer.weight, q)
    layer.weight = -q
    return kept, T.allclose(layer.weight, -q), list(layer.state_dict())


@program
def fused_batch_norm(T):
    T.manual_seed(0)
    x = normal(T, 2, 3, 5, 5)
    conv, turned = (
        T.nn.Conv2d(3, 4, 2).double().eval(),
        T.nn.ConvTranspose2d(3, 4, 2, bias=False).double().eval(),
    )
    bn, line = T.nn.BatchNorm2d(4).double(), T.nn.BatchNorm1d(4).double()
    bn(normal(T, 3, 4, 2, 2)), line(normal(T, 5, 4))
    bn.eval(), line.eval()
    dense = T.nn.Linear(5, 4).double().eval()
    fuse = T.nn.utils.fuse_conv_bn_eval
    return (
        fuse(conv, bn)(x),
        fuse(turned, bn, transpose=True)(x),
        T.nn.utils.fuse_linear_bn_eval(dense, line)(x[0, 0]),
    )


@program
def skipped_initial_values(T):
    T.manual_seed(0)
    layer = T.nn.utils.skip_init(T.nn.Linear, 2, 3)
    return layer.weight.shape, T.rand(1)


@program
def adaptive_softmax(T):
    T.manual_seed(0)
    layer = T.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0, head_bias=True).double()
    x, y = normal(T, 6, 8), T.tensor([0, 3, 4, 11, 19, 7])
    output, loss = layer(x, y)
    loss.backward()
    single = layer(x[0], y[0])
    round5 = lambda t: [f"{v:.5f}" for v in t.flatten().tolist()]
    return (
        round5(output),
        round5(loss),
        round5(layer.log_prob(x)),
        layer.predict(x * 5),
        round5(layer.tail[1][0].weight.grad),
        round5(single.output),
        repr(layer),
    )


@program
def fractional_pooling(T):
    T.manual_seed(0)
    F = T.nn.functional
    x, y = normal(T, 2, 3, 7, 6), normal(T, 2, 5, 6, 7)
    given = T.tensor([[[0.3, 0.7]] * 3] * 2, dtype=T.float64)
    leaf = x.clone().requires_grad_()
    F.fractional_max_pool2d(leaf, 2, output_size=3, _random_samples=given).sin().sum().backward()
    return (
        F.fractional_max_pool2d(x, 2, output_size=(3, 4), return_indices=True),
        F.fractional_max_pool2d(
            x, (2, 3), output_ratio=(0.5, 0.6), return_indices=True, _random_samples=given
        ),
        F.fractional_max_pool3d(y, 2, output_size=(2, 3, 4), return_indices=True),
        T.nn.FractionalMaxPool2d(2, output_size=3)(x),
        T.nn.FractionalMaxPool3d(2, output_ratio=(0.5, 0.5, 0.5))(y),
        repr(T.nn.FractionalMaxPool2d(2, 3)),
        leaf.grad,
    )


@program
def alignments(T):
    F = T.nn.functional
    found = []
    for steps, classes, length in ((8, 5, 3), (12, 4, 5), (3, 4, 3)):
        target = T.tensor(np.random.default_rng(1).integers(1, classes, (3, length)).tolist())
        for reduction in ("none", "mean", "sum"):
            for zero in (False, True):
                x = normal(T, steps, 3, classes).requires_grad_()
                lengths = T.tensor([steps, steps - 1, steps]), T.tensor([length, length - 1, 0])
                loss = F.ctc_loss(x.log_softmax(2), target, *lengths, reduction=reduction, zero_infinity=zero)
                loss.sum().backward()
                found += [loss, [f"{v:.7f}" for v in (x.grad + 0.0).flatten().tolist()]]
    line = F.ctc_loss(normal(T, 6, 2, 5).log_softmax(2), T.tensor([1, 2, 3, 4]), (6, 5), (1, 3))
    single = T.nn.CTCLoss(blank=2)(normal(T, 6, 5).log_softmax(1), T.tensor([1, 3]), T.tensor(6), T.tensor(2))
    return found, line, single


@program
def sampled_grids(T):
    F = T.nn.functional
    x, y = normal(T, 2, 3, 5, 4), normal(T, 1, 2, 3, 4, 5)
    grid, cube = normal(T, 2, 3, 4, 2, seed=1) * 0.9, normal(T, 1, 2, 3, 2, 3, seed=1)
    found = []
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (False, True):
                options = {"mode": mode, "padding_mode": padding, "align_corners": align}
                leaf, points = x.clone().requires_grad_(), grid.clone().requires_grad_()
                out = F.grid_sample(leaf, points, **options)
                gradients = T.autograd.grad(out.sin().sum(), (leaf, points))
                found += [out, [round(v, 6) + 0.0 for g in gradients for v in g.flatten().tolist()]]
                if mode != "bicubic":
                    found.append(F.grid_sample(y, cube, **options))
    return found


@program
def affine_grids(T):
    F = T.nn.functional
    return [
        F.affine_grid(normal(T, 2, d, d + 1), (2, 3, *sizes), align_corners=align)
        for d, sizes in ((2, (4, 5)), (2, (1, 3)), (3, (2, 3, 4)))
        for align in (False, True)
    ]


@program
def in_place_functions(T):
    F = T.nn.functional
    x = normal(T, 3)
    results = [f(x.clone()) for f in (F.relu_, F.elu_, F.selu_, F.celu_, F.hardtanh_, F.leaky_relu_)]
    same_memory = F.relu_(x) is x
    return results, same_memory, F.threshold_(x.clone(), 0.1, 2.0)


@program
def upsampling_by_older_names(T):
    x = normal(T, 1, 2, 3, 3)
    return T.nn.functional.upsample_nearest(x, scale_factor=2), T.nn.functional.upsample_bilinear(x, 5)


@program
def reflections(T):
    a, t = T.geqrf(normal(T, 2, 4, 3))
    product = T.linalg.householder_product
    v = normal(T, 4, 2).requires_grad_()
    w = normal(T, 2).requires_grad_()
    gradients = T.autograd.grad(product(v, w).sin().sum(), (v, w))
    return a, t, product(a, t), T.orgqr(a[0], t[0, :2]), gradients


@program
def norms_but_one_dimension(T):
    return [T.norm_except_dim(normal(T, 2, 3, 4), p, d) for p in (1, 2) for d in (-1, 0, 1, 2)]


@program
def data_parallel(T):
    layer = T.nn.DataParallel(linear(T))
    return layer(normal(T, 2, 4)), list(layer.state_dict()), repr(layer)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    same(PROGRAMS[name])


ERRORS = {
    "no such tensor": lambda T: utils(T, "parametrize").register_parametrization(
        linear(T), "x", symmetric(T)
    ),
    "another shape": lambda T: utils(T, "parametrize").register_parametrization(
        linear(T), "weight", T.nn.Flatten(0)
    ),
    "not parametrised": lambda T: utils(T, "parametrize").remove_parametrizations(linear(T), "weight"),
    "nothing to leave": lambda T: utils(T, "parametrize").remove_parametrizations(
        utils(T, "parametrizations").weight_norm(linear(T)), "weight", leave_parametrized=False
    ),
    "pickled": lambda T: (
        utils(T, "parametrize")
        .register_parametrization(linear(T, 3, 3), "weight", symmetric(T))
        .__getstate__()
    ),
    "assigned without inverse": lambda T: setattr(
        utils(T, "parametrize").register_parametrization(linear(T), "weight", T.nn.Identity()), "weight", 3
    ),
    "spectral of nothing": lambda T: utils(T, "parametrizations").spectral_norm(linear(T), "x"),
    "spectral dim": lambda T: utils(T, "parametrizations").spectral_norm(linear(T), dim=3),
    "spectral iterations": lambda T: utils(T, "parametrizations").spectral_norm(
        linear(T), n_power_iterations=0
    ),
    "older spectral twice": lambda T: T.nn.utils.spectral_norm(T.nn.utils.spectral_norm(linear(T))),
    "older weight norm twice": lambda T: T.nn.utils.weight_norm(T.nn.utils.weight_norm(linear(T))),
    "no weight norm": lambda T: T.nn.utils.remove_weight_norm(linear(T)),
    "no spectral norm": lambda T: T.nn.utils.remove_spectral_norm(linear(T)),
    "orthogonal vector": lambda T: utils(T, "parametrizations").orthogonal(linear(T), "bias"),
    "orthogonal map": lambda T: utils(T, "parametrizations").orthogonal(linear(T), orthogonal_map="x"),
    "cutoffs": lambda T: T.nn.AdaptiveLogSoftmaxWithLoss(4, 5, [3, 2]),
    "no cutoffs": lambda T: T.nn.AdaptiveLogSoftmaxWithLoss(4, 5, []),
    "class out of range": lambda T: T.nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2])(
        T.ones(2, 4), T.tensor([1, 7])
    ),
    "many targets": lambda T: T.nn.AdaptiveLogSoftmaxWithLoss(4, 5, [2])(T.ones(2, 4), T.tensor([[1]])),
    "no pool size": lambda T: T.nn.FractionalMaxPool2d(2),
    "two pool sizes": lambda T: T.nn.FractionalMaxPool2d(2, 3, 0.5),
    "pool ratio": lambda T: T.nn.FractionalMaxPool3d(2, output_ratio=2.0),
    "sampling mode": lambda T: T.nn.functional.grid_sample(T.ones(1, 1, 2, 2), T.ones(1, 1, 1, 2), mode="x"),
    "sampling padding": lambda T: T.nn.functional.grid_sample(
        T.ones(1, 1, 2, 2), T.ones(1, 1, 1, 2), padding_mode="x"
    ),
    "sampling sizes": lambda T: T.nn.functional.grid_sample(T.ones(1, 1, 2, 2), T.ones(2, 1, 1, 2)),
    "grid of integers": lambda T: T.nn.functional.affine_grid(T.ones(1, 2, 3).long(), (1, 1, 2, 2)),
    "grid of three": lambda T: T.nn.functional.affine_grid(T.ones(1, 2, 3), (1, 1, 2)),
    "grid of other matrices": lambda T: T.nn.functional.affine_grid(T.ones(1, 2, 2), (1, 1, 2, 2)),
    "blank": lambda T: T.nn.functional.ctc_loss(T.ones(2, 1, 3), T.ones(1, 1).long(), (2,), (1,), blank=5),
    "fusing in training": lambda T: T.nn.utils.fuse_conv_bn_eval(T.nn.Conv2d(1, 1, 1), T.nn.BatchNorm2d(1)),
    "skipping what is no module": lambda T: T.nn.utils.skip_init(int),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    same(lambda T: ERRORS[name](T))


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 3, 4, 5, 7, 8, 11, 19, 37])
def test_rows_are_scaled_to_pytorchs_bits(kind, width):
    """Both the order of the sum and which products are rounded are the compiled loop's."""
    rows = np.random.default_rng(width).standard_normal((40, width)).astype(kind)

    def run(T):
        table = T.tensor(rows)
        T.nn.functional.embedding(T.arange(40), table, max_norm=0.7)
        return table.numpy().tobytes()

    same(lambda T: run(T).hex())


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 5), (7, 4, 7), (3, 4, 2, 3), (9, 4, 8, 8), (2, 4, 3, 5, 3)])
def test_running_statistics_to_pytorchs_bits(shape):
    draws = np.random.default_rng(0)
    x, mean, variance = draws.standard_normal(shape) * 3 + 1, draws.standard_normal(4), draws.random(4)

    def run(T):
        running = T.tensor(mean), T.tensor(variance)
        T.nn.functional.batch_norm(T.tensor(x), *running, training=True, momentum=0.3)
        return [t.numpy().tobytes().hex() for t in running]

    same(run)
