"""torch.nn.functional against PyTorch: values, gradients to second order, random streams, errors."""

import copy
import pickle

import mpmath
import numpy as np
import pytest
import torch
from both import same

import rushlight

F64 = "float64"


def draw(shape, seed=0, low=None):
    draws = np.random.default_rng([seed, *shape])
    values = draws.standard_normal(shape) if low is None else draws.uniform(low, 1 - low, shape)
    return [lib.tensor(values.tolist(), dtype=lib.float64).reshape(shape) for lib in (torch, rushlight)]


def classes(shape, count, seed=0):
    values = np.random.default_rng([seed, *shape]).integers(0, count, shape)
    return [lib.tensor(values.tolist()).reshape(shape) for lib in (torch, rushlight)]


def array(t):
    return np.asarray(t.detach().tolist(), dtype=object if t.dtype is None else None).reshape(tuple(t.shape))


def constant(shape, seed=9, low=None):
    """A tensor that no gradient is asked for, by library."""
    made = draw(shape, seed, low)
    return lambda lib: made[lib is rushlight]


def target(shape, count):
    made = classes(shape, count)
    return lambda lib: made[lib is rushlight]


X = [(2, 3, 8)]
IMAGE = [(2, 4, 6, 7)]
VOLUME = [(1, 2, 4, 5, 4)]

#: name -> (shapes of the tensors that get gradients, function of (library, functional, tensors))
CASES = {
    "linear": ([(2, 5, 3), (4, 3), (4,)], lambda t, f, x, w, b: f.linear(x, w, b)),
    "linear 2-D": ([(5, 3), (4, 3)], lambda t, f, x, w: f.linear(x, w)),
    "linear 1-D": ([(3,), (4, 3), (4,)], lambda t, f, x, w, b: f.linear(x, w, b)),
    "bilinear": ([(2, 3), (2, 4), (5, 3, 4), (5,)], lambda t, f, x, y, w, b: f.bilinear(x, y, w, b)),
    "embedding": ([(5, 3)], lambda t, f, w: f.embedding(t.tensor([[1, 2], [4, 1]]), w, padding_idx=2)),
    "embedding by frequency": ([(5, 3)], lambda t, f, w: f.embedding(t.tensor([1, 1, 4]), w, scale_grad_by_freq=True)),
    "pad": (X, lambda t, f, x: f.pad(x, (1, 2, -1, 1), value=3.0)),
    "pad reflect": (X, lambda t, f, x: f.pad(x, (3, 2), "reflect")),
    "pad replicate": (IMAGE, lambda t, f, x: f.pad(x, (3, 2, 1, 4), "replicate")),
    "pad circular": (IMAGE, lambda t, f, x: f.pad(x, (3, -2, 1, 4), "circular")),
    "layer_norm": ([(4, 3, 5), (3, 5), (3, 5)], lambda t, f, x, w, b: f.layer_norm(x, (3, 5), w, b)),
    "rms_norm": ([(4, 5), (5,)], lambda t, f, x, w: f.rms_norm(x, (5,), w)),
    "group_norm": ([(2, 4, 3), (4,), (4,)], lambda t, f, x, w, b: f.group_norm(x, 2, w, b)),
    "batch_norm": ([(5, 3, 2), (3,), (3,)], lambda t, f, x, w, b: f.batch_norm(x, None, None, w, b, training=True)),
    "batch_norm evaluation": (
        [(5, 3), (3,), (3,)],
        lambda t, f, x, w, b: f.batch_norm(x, t.ones(3, dtype=t.float64), t.full((3,), 2.0, dtype=t.float64), w, b),
    ),
    "instance_norm": ([(2, 3, 4), (3,)], lambda t, f, x, w: f.instance_norm(x, weight=w)),
    "local_response_norm": ([(2, 4, 3)], lambda t, f, x: f.local_response_norm(x, 2)),
    "normalize": (X, lambda t, f, x: f.normalize(x, 3.0, 2)),
    "cosine_similarity": ([(3, 4), (1, 4)], lambda t, f, x, y: f.cosine_similarity(x, y)),
    "pairwise_distance": ([(3, 4), (3, 4)], lambda t, f, x, y: f.pairwise_distance(x, y)),
    "conv1d": ([(2, 4, 9), (6, 2, 3), (6,)], lambda t, f, x, w, b: f.conv1d(x, w, b, 2, 1, 2, 2)),
    "conv1d same": ([(2, 9), (3, 2, 4)], lambda t, f, x, w: f.conv1d(x, w, padding="same")),
    "conv2d": ([(2, 4, 6, 7), (6, 4, 3, 2), (6,)], lambda t, f, x, w, b: f.conv2d(x, w, b, (2, 1), (1, 2))),
    "conv3d": ([(1, 2, 4, 5, 4), (3, 2, 2, 3, 2)], lambda t, f, x, w: f.conv3d(x, w, dilation=(1, 2, 1))),
    "conv_transpose1d": ([(2, 4, 5), (4, 3, 3), (6,)], lambda t, f, x, w, b: f.conv_transpose1d(x, w, b, 2, 1, 1, 2)),
    "conv_transpose2d": ([(1, 3, 4, 4), (3, 2, 3, 3)], lambda t, f, x, w: f.conv_transpose2d(x, w, stride=2, dilation=2)),
    "max_pool1d": (X, lambda t, f, x: f.max_pool1d(x, 3, 2, 1)),
    "max_pool2d": (IMAGE, lambda t, f, x: f.max_pool2d(x, (2, 3), dilation=(1, 2), ceil_mode=True)),
    "max_pool3d": (VOLUME, lambda t, f, x: f.max_pool3d(x, 2, 1)),
    "avg_pool1d": (X, lambda t, f, x: f.avg_pool1d(x, 3, 2, 1, True)),
    "avg_pool2d": (IMAGE, lambda t, f, x: f.avg_pool2d(x, 3, 2, 1, True, False)),
    "avg_pool2d divisor": (IMAGE, lambda t, f, x: f.avg_pool2d(x, 3, divisor_override=2)),
    "adaptive_avg_pool1d": (X, lambda t, f, x: f.adaptive_avg_pool1d(x, 3)),
    "adaptive_avg_pool2d": (IMAGE, lambda t, f, x: f.adaptive_avg_pool2d(x, (4, 3))),
    "adaptive_max_pool2d": (IMAGE, lambda t, f, x: f.adaptive_max_pool2d(x, (4, 3))),
    "lp_pool1d": (X, lambda t, f, x: f.lp_pool1d(x, 2, 3)),
    "unfold": (IMAGE, lambda t, f, x: f.unfold(x, (2, 3), stride=2, padding=1)),
    "fold": ([(2, 8, 9)], lambda t, f, x: f.fold(x, (4, 4), 2)),
    "interpolate nearest": (IMAGE, lambda t, f, x: f.interpolate(x, scale_factor=(1.5, 2))),
    "interpolate exact": (X, lambda t, f, x: f.interpolate(x, 5, mode="nearest-exact")),
    "interpolate linear": (X, lambda t, f, x: f.interpolate(x, 13, mode="linear")),
    "interpolate bilinear": (IMAGE, lambda t, f, x: f.interpolate(x, (9, 4), mode="bilinear", align_corners=True)),
    "interpolate bicubic": (IMAGE, lambda t, f, x: f.interpolate(x, scale_factor=1.7, mode="bicubic")),
    "interpolate area": (IMAGE, lambda t, f, x: f.interpolate(x, (3, 4), mode="area")),
    "pixel_shuffle": (IMAGE, lambda t, f, x: f.pixel_shuffle(x, 2)),
    "pixel_unshuffle": ([(1, 2, 4, 6)], lambda t, f, x: f.pixel_unshuffle(x, 2)),
    "mse_loss": ([(3, 4), (3, 4)], lambda t, f, x, y: f.mse_loss(x, y)),
    "mse_loss none": ([(3, 4), (3, 4)], lambda t, f, x, y: f.mse_loss(x, y, reduction="none")),
    "l1_loss": ([(3, 4), (3, 4)], lambda t, f, x, y: f.l1_loss(x, y, reduction="sum")),
    "smooth_l1_loss": ([(3, 4), (3, 4)], lambda t, f, x, y: f.smooth_l1_loss(x, y, beta=0.7)),
    "huber_loss": ([(3, 4), (3, 4)], lambda t, f, x, y: f.huber_loss(x, y, delta=0.7)),
    "cross_entropy": ([(4, 3)], lambda t, f, x: f.cross_entropy(x, target((4,), 3)(t))),
    "cross_entropy options": (
        [(4, 3, 2)],
        lambda t, f, x: f.cross_entropy(
            x, target((4, 2), 3)(t), constant((3,), low=0.1)(t), ignore_index=1, label_smoothing=0.2
        ),
    ),
    "cross_entropy probabilities": (
        [(4, 3), (4, 3)],
        lambda t, f, x, y: f.cross_entropy(x, y, constant((3,), low=0.1)(t), label_smoothing=0.1),
    ),
    "nll_loss": ([(4, 3)], lambda t, f, x: f.nll_loss(x, target((4,), 3)(t), ignore_index=2, reduction="none")),
    "nll_loss images": ([(2, 3, 4, 2)], lambda t, f, x: f.nll_loss(x, target((2, 4, 2), 3)(t), constant((3,))(t))),
    "binary_cross_entropy_with_logits": (
        [(3, 4), (3, 4)],
        lambda t, f, x, y: f.binary_cross_entropy_with_logits(x, y, constant((4,))(t), pos_weight=constant((4,), 3)(t)),
    ),
    "binary_cross_entropy": (
        [(3, 4)],
        lambda t, f, x: f.binary_cross_entropy(x.sigmoid(), constant((3, 4), low=0.1)(t), constant((4,))(t)),
    ),
    "kl_div": ([(3, 4)], lambda t, f, x: f.kl_div(x, constant((3, 4), low=0.1)(t), reduction="batchmean")),
    "kl_div logarithms": ([(3, 4), (3, 4)], lambda t, f, x, y: f.kl_div(x, y, reduction="sum", log_target=True)),
    "cosine_embedding_loss": ([(3, 4), (3, 4)], lambda t, f, x, y: f.cosine_embedding_loss(x, y, t.tensor([1, -1, 1]))),
    "hinge_embedding_loss": ([(3,)], lambda t, f, x: f.hinge_embedding_loss(x, t.tensor([1.0, -1.0, 1.0]))),
    "margin_ranking_loss": ([(3,), (3,)], lambda t, f, x, y: f.margin_ranking_loss(x, y, t.tensor([1, -1, 1]), 0.1)),
    "triplet_margin_loss": ([(3, 4)] * 3, lambda t, f, x, y, z: f.triplet_margin_loss(x, y, z, swap=True)),
    "soft_margin_loss": ([(3,)], lambda t, f, x: f.soft_margin_loss(x, t.tensor([1.0, -1.0, 1.0], dtype=t.float64))),
    "multi_margin_loss": ([(3, 4)], lambda t, f, x: f.multi_margin_loss(x, t.tensor([1, 0, 3]))),
    "poisson_nll_loss": ([(3,)], lambda t, f, x: f.poisson_nll_loss(x, t.tensor([1.0, 2.0, 5.0], dtype=t.float64), full=True)),
    "gaussian_nll_loss": ([(3,), (3,)], lambda t, f, x, y: f.gaussian_nll_loss(x, y, t.full((3,), 2.0, dtype=t.float64))),
    "attention": ([(2, 3, 4), (2, 5, 4), (2, 5, 6)], lambda t, f, q, k, v: f.scaled_dot_product_attention(q, k, v)),
    "attention causal": ([(3, 4), (3, 4), (3, 4)], lambda t, f, q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "attention mask": (
        [(2, 3, 4), (2, 2, 4), (2, 2, 4)],
        lambda t, f, q, k, v: f.scaled_dot_product_attention(
            q, k, v, t.tensor([[True, False], [False, False], [True, True]]), scale=0.3
        ),
    ),
    "glu": ([(3, 4)], lambda t, f, x: f.glu(x)),
    "pdist": ([(4, 3)], lambda t, f, x: f.pdist(x)),
    "softmin": ([(3, 4)], lambda t, f, x: f.softmin(x, 1)),
}  # fmt: skip


#: PyTorch has no second derivative of these
FIRST_ORDER = {"embedding by frequency", "multi_margin_loss", "pdist"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    shapes, function = CASES[name]
    found = []
    for at, lib in enumerate((torch, rushlight)):
        inputs = [draw(shape, n)[at].requires_grad_() for n, shape in enumerate(shapes)]
        out = function(lib, lib.nn.functional, *inputs)
        first = lib.autograd.grad((out * out).sum(), inputs, create_graph=True)
        second = []
        if name not in FIRST_ORDER:
            second = lib.autograd.grad(sum((g * g).sum() for g in first), inputs, allow_unused=True)
        found.append([out, *first, *[t for t in second if t is not None]])
    assert len(found[0]) == len(found[1])
    for expected, got in zip(*found):
        assert tuple(got.shape) == tuple(expected.shape)
        np.testing.assert_allclose(array(got), array(expected), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "layer_norm", "group_norm", "avg_pool2d", "max_pool2d", "mse_loss"]
)
def test_other_dtypes(name, dtype):
    shapes, function = CASES[name]
    outs = []
    for at, lib in enumerate((torch, rushlight)):
        inputs = [draw(shape, n)[at].to(getattr(lib, dtype)) for n, shape in enumerate(shapes)]
        outs.append(function(lib, lib.nn.functional, *inputs))
    tolerance = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}[dtype]
    assert str(outs[1].dtype) == str(outs[0].dtype)
    np.testing.assert_allclose(array(outs[1]), array(outs[0]), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "name", ["dropout", "alpha_dropout", "dropout1d", "dropout2d", "feature_alpha_dropout"]
)
@pytest.mark.parametrize("turned", [False, True])
def test_dropout_draws_pytorchs_numbers(name, turned):
    """In the order of memory."""
    outs = []
    for at, lib in enumerate((torch, rushlight)):
        lib.manual_seed(3)
        x = draw((2, 3, 4) if name == "dropout1d" else (2, 3, 4, 2))[at]
        x = x.permute(*reversed(range(x.dim()))) if turned else x
        outs.append(getattr(lib.nn.functional, name)(x, 0.4, training=True))
    np.testing.assert_allclose(array(outs[1]), array(outs[0]), rtol=1e-12)


def test_dropout_that_drops_nothing_is_the_input():
    x = rushlight.ones(3)
    assert rushlight.nn.functional.dropout(x, training=False) is x
    assert rushlight.nn.functional.dropout(x, 0.0) is x


def test_batch_norm_moves_its_statistics():
    found = []
    for at, lib in enumerate((torch, rushlight)):
        mean, variance = lib.zeros(3), lib.ones(3)
        lib.nn.functional.batch_norm(
            draw((4, 3, 5))[at].to(lib.float32), mean, variance, training=True, momentum=0.3
        )
        found.append((mean.tolist(), variance.tolist()))
    assert found[0] == found[1]


def test_max_pool_gives_indices():
    for name, shape in (
        ("max_pool2d", (2, 3, 6, 7)),
        ("adaptive_max_pool2d", (2, 3, 6, 7)),
        ("max_pool1d", (2, 3, 8)),
    ):
        outs = [
            getattr(lib.nn.functional, name)(x, 2, return_indices=True)[1].tolist()
            for lib, x in zip((torch, rushlight), draw(shape))
        ]
        assert outs[0] == outs[1]


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "adaptive_max_pool2d", "max_pool3d"])
def test_what_a_max_pool_found_may_be_overwritten_but_not_where(name):
    shape = (2, 3) + (4,) * int(name[-2])
    grads = []
    for lib, x in zip((torch, rushlight), draw(shape)):
        x.requires_grad_()
        y = getattr(lib.nn.functional, name)(x, 2)
        y += 1
        (y * y).sum().backward()
        grads.append(x.grad.tolist())
        values, places = getattr(lib.nn.functional, name)(x, 2, return_indices=True)
        places += 1
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            values.sum().backward()
    assert grads[0] == grads[1]


# ---- errors ----

WRONG = {
    "linear": lambda t, f: f.linear(t.ones(2, 3), t.ones(4, 2)),
    "embedding index": lambda t, f: f.embedding(t.tensor([5]), t.ones(3, 2)),
    "embedding float": lambda t, f: f.embedding(t.tensor([1.0]), t.ones(3, 2)),
    "dropout": lambda t, f: f.dropout(t.ones(2), 1.5),
    "pad odd": lambda t, f: f.pad(t.ones(2), (1,)),
    "layer_norm": lambda t, f: f.layer_norm(t.ones(2, 3), (2,)),
    "group_norm": lambda t, f: f.group_norm(t.ones(2, 3), 2),
    "batch_norm": lambda t, f: f.batch_norm(t.ones(1, 3), None, None, training=True),
    "conv2d channels": lambda t, f: f.conv2d(t.ones(1, 3, 4, 4), t.ones(2, 2, 3, 3)),
    "conv2d kernel": lambda t, f: f.conv2d(t.ones(1, 3, 2, 2), t.ones(2, 3, 3, 3)),
    "conv2d stride": lambda t, f: f.conv2d(t.ones(1, 3, 4, 4), t.ones(2, 3, 3, 3), stride=0),
    "conv2d groups": lambda t, f: f.conv2d(t.ones(1, 4, 4, 4), t.ones(3, 2, 3, 3), groups=2),
    "max_pool2d padding": lambda t, f: f.max_pool2d(t.ones(1, 4, 4), 2, padding=2),
    "avg_pool2d divisor": lambda t, f: f.avg_pool2d(t.ones(1, 4, 4), 2, divisor_override=0),
    "nll_loss class": lambda t, f: f.nll_loss(t.ones(2, 3), t.tensor([0, 3])),
    "nll_loss batch": lambda t, f: f.nll_loss(t.ones(2, 3), t.tensor([0])),
    "binary_cross_entropy": lambda t, f: f.binary_cross_entropy(t.full((2,), 2.0), t.ones(2)),
    "bce sizes": lambda t, f: f.binary_cross_entropy_with_logits(t.ones(2), t.ones(3)),
    "huber": lambda t, f: f.huber_loss(t.ones(2), t.ones(2), delta=0),
    "reduction": lambda t, f: f.mse_loss(t.ones(2), t.ones(2), reduction="x"),
    "interpolate": lambda t, f: f.interpolate(t.ones(1, 1, 2)),
    "pixel_shuffle": lambda t, f: f.pixel_shuffle(t.ones(1, 3, 2, 2), 2),
    "attention": lambda t, f: f.scaled_dot_product_attention(t.ones(2), t.ones(2), t.ones(2)),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_have_pytorchs_words(name):
    messages = []
    for lib in (torch, rushlight):
        with pytest.raises((RuntimeError, ValueError, IndexError)) as caught:
            WRONG[name](lib, lib.nn.functional)
        messages.append((caught.type.__name__, str(caught.value).splitlines()[0]))
    assert messages[1] == messages[0]


# ---- parameters ----


def test_parameter():
    data = rushlight.ones(2)
    p = rushlight.nn.Parameter(data)
    assert isinstance(p, rushlight.Tensor) and p.requires_grad and p.is_leaf
    assert p.data_ptr() == data.data_ptr()
    assert not isinstance(p * 2, rushlight.nn.Parameter)
    assert repr(p) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    (p * p).sum().backward()
    assert p.grad.tolist() == [2.0, 2.0]
    for other in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert isinstance(other, rushlight.nn.Parameter)
        assert other.tolist() == [1.0, 1.0] and other.requires_grad and other.data_ptr() != p.data_ptr()
    with pytest.raises(RuntimeError, match="floating point"):
        rushlight.nn.Parameter(rushlight.ones(2, dtype=rushlight.int64))


SOFT_MARGIN = "float32 float64 float16 bfloat16 int64 bool complex64".split()


@pytest.mark.parametrize("target", SOFT_MARGIN)
@pytest.mark.parametrize("dtype", SOFT_MARGIN)
def test_soft_margin_loss_keeps_the_type_of_its_input(dtype, target):
    def program(T):
        x, y = T.tensor([0.25, -2.0]).to(getattr(T, dtype)), T.tensor([1.0, -1.0]).to(getattr(T, target))
        made = T.nn.functional.soft_margin_loss(x, y, reduction="none")
        return str(made.dtype), tuple(made.shape)

    same(program, text=False)


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3)), ((3,), ()), ((0,), (1,)), ((1,), (0,))])
def test_soft_margin_loss_keeps_the_shape_of_its_input(shapes):
    one, other = shapes
    same(lambda T: T.nn.functional.soft_margin_loss(T.ones(one), T.ones(other), reduction="none"))


def test_soft_margin_loss_has_no_gradient_for_targets():
    same(lambda T: T.nn.functional.soft_margin_loss(T.ones(3), T.ones(3, requires_grad=True)))


def test_functions_have_pytorchs_names():
    assert rushlight.nn.functional.relu.__name__ == torch.nn.functional.relu.__name__


# ---- gradients computed on arrays at once ----


@pytest.mark.parametrize("rows, count", [(0, 3), (1, 1), (50, 4), (50, 2000)])
def test_rows_of_an_embedding_are_added_in_double(rows: int, count: int) -> None:
    rng = np.random.default_rng(0)
    at, g = rng.integers(0, count, rows), rng.standard_normal((rows, 3)).astype(np.float32)
    weight = rushlight.zeros(count, 3, requires_grad=True)
    out = rushlight.nn.functional.embedding(rushlight.tensor(at), weight)
    out.backward(rushlight.tensor(g))
    wanted = np.zeros((count, 3))
    np.add.at(wanted, at, g.astype(np.float64))
    np.testing.assert_array_equal(weight.grad.numpy(), wanted.astype(np.float32))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_cut_gradients_are_the_same_bits_or_zero(kind: str) -> None:
    """What passes keeps its bits, those of nan and of -0 too; what does not is +0, also of inf and nan."""
    values = [1.0, -0.0, float("nan"), float("inf"), -2.0, float("-inf")]
    g = rushlight.tensor([values, values], dtype=getattr(rushlight, kind))
    x = rushlight.tensor([[1.0] * 6, [-1.0] * 6], dtype=g.dtype, requires_grad=True)
    for out in (x.relu(), x.masked_fill(rushlight.tensor([[False], [True]]), 5.0)):
        (made,) = rushlight.autograd.grad(out, x, g)
        assert made[0].numpy().tobytes() == g[0].numpy().tobytes()
        assert made[1].numpy().tobytes() == bytes(g[1].numpy().nbytes)


@pytest.mark.parametrize("kind, tolerance", [("float32", 3e-6), ("float64", 1e-13)])
@pytest.mark.parametrize("sizes", [(1, 9), (70, 9), (3, 24), (0, 9)])
@pytest.mark.parametrize("stride, padding, dilation, groups", [(1, 0, 1, 1), (2, 3, 2, 2), (3, 1, 1, 4)])
def test_convolutions_of_small_and_large_images(kind, tolerance, sizes, stride, padding, dilation, groups):
    """The layouts of the columns, for few and many examples, give what PyTorch gives in float64."""
    n, side = sizes
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((n, 4, side, side)), rng.standard_normal((8, 4 // groups, 3, 2)), np.ones(8)
    asked = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

    def gradients(T, precision):
        leaves = [T.tensor(a.tolist(), dtype=precision).reshape(a.shape).requires_grad_() for a in (x, w, b)]
        out = T.nn.functional.conv2d(*leaves, **asked)
        (out * out).sum().backward()
        return [out, *[leaf.grad for leaf in leaves]]

    for wanted, found in zip(gradients(torch, torch.float64), gradients(rushlight, getattr(rushlight, kind))):
        scale = wanted.abs().max().item() if wanted.numel() else 1.0
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), 0, tolerance * scale)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignored", [-100, -1, 0, 2])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (352, 3), (200, 130), (3, 200)])
def test_ignored_classes_count_for_nothing(shape: tuple[int, int], ignored: int, reduction: str) -> None:
    rng = np.random.default_rng(0)
    scores, classes = rng.normal(size=shape).astype("f4"), rng.integers(0, shape[1], shape[0])
    for chosen in (slice(0, 0), slice(None, None, 2), slice(None)):  # those that are so by chance, some, all
        classes[chosen] = ignored
        found = []
        for lib in (torch, rushlight):
            x = lib.tensor(scores, requires_grad=True)
            loss = lib.nn.functional.cross_entropy(
                x, lib.tensor(classes), ignore_index=ignored, reduction=reduction
            )
            loss.backward()
            found.append((loss.detach().numpy(), x.grad.numpy()))
        for right, ours in zip(*found):
            np.testing.assert_allclose(ours, right, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("count", [5, 3000, 40_000])
def test_gelu_is_accurate_in_its_tail(count: int, kind: str) -> None:
    """Where 1 + erf(x / sqrt(2)), which PyTorch takes, has lost all digits; on arrays and in loops."""
    values = np.random.default_rng(0).uniform(-6, 6, count).astype(kind)
    x = rushlight.tensor(values, requires_grad=True)
    y = rushlight.nn.functional.gelu(x)
    (slope,) = rushlight.autograd.grad(y.sum(), x, create_graph=True)
    (again,) = rushlight.autograd.grad(y.sum(), x)
    wide = values.astype(np.longdouble)
    below = np.array([mpmath.ncdf(v) for v in values[:500].tolist()], np.longdouble)
    density = np.array([mpmath.npdf(v) for v in values[:500].tolist()], np.longdouble)
    eps = np.finfo(kind).eps
    right = below * wide[:500]
    bound = 1.5 if kind == "float32" else 60  # (of arrays, the error of x / sqrt(2) counts 2 x^2 times)
    assert (np.abs(y.detach().numpy()[:500] - right) <= bound * eps * np.abs(right)).all()
    for found in (slope.detach(), again):
        np.testing.assert_allclose(
            found.numpy()[:500], (below + wide[:500] * density).astype(kind), atol=4 * eps
        )
    (ours,) = rushlight.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(
        ours.numpy()[:500], ((2 - wide[:500] ** 2) * density).astype(kind), atol=20 * eps
    )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(
    "loss", "mse_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits".split()
)
def test_losses_of_many_values(loss, dtype, reduction):
    """One loop over memory, rows or not, gives what PyTorch gives in float64."""
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 300, 400)) * 0.98 + 0.01
    weight = rng.random((300, 400))
    for turned in (False, True):
        kinds = [L.from_numpy(a).to(getattr(L, dtype)) for L in (torch, rushlight) for a in (x, y, weight)]
        if turned:
            kinds[0], kinds[3] = (a.t().contiguous().t() for a in (kinds[0], kinds[3]))
        for weighted in (False, True) if "binary" in loss else (False,):
            args = {"reduction": reduction}
            want = getattr(torch.nn.functional, loss)(
                *[a.double() for a in kinds[:2]],
                **args,
                **({"weight": kinds[2].double()} if weighted else {}),
            )
            got = getattr(rushlight.nn.functional, loss)(
                *kinds[3:5], **args, **({"weight": kinds[5]} if weighted else {})
            )
            assert str(got.dtype).endswith(dtype)
            # one rounding of the result; differences of halves and float32 are rounded before they are squared
            tolerance = {"float32": 1e-6, "float64": 1e-12, "bfloat16": 4e-3}[dtype]
            np.testing.assert_allclose(got.double().item(), want.item(), rtol=tolerance)


@pytest.mark.parametrize("dtype", "int64 int32 uint8 float16 bfloat16 float32 float64".split())
@pytest.mark.parametrize("margin", [1.0, 1.7, 2, 0.3])
def test_margin_of_hinge_embedding_has_the_input_s_type(dtype, margin):
    found = []
    for lib in (torch, rushlight):
        x, signs = lib.arange(4).to(getattr(lib, dtype)), lib.tensor([1, -1, 1, -1])
        loss = lib.nn.functional.hinge_embedding_loss(x, signs, margin, reduction="none")
        found.append((str(loss.dtype), loss.tolist()))
        if not x.is_floating_point():
            with pytest.raises(RuntimeError, match="could not infer output dtype"):
                lib.nn.functional.hinge_embedding_loss(x, signs, margin)
    assert found[0] == found[1]


@pytest.mark.parametrize("targets", [(3, 29), (29,), (54,)])
@pytest.mark.parametrize("inputs", [[50, 50, 50], [50, -1, 50], [51, 50, 50]])
@pytest.mark.parametrize("wanted", [[9, 9, 9], [30, 25, 20], [9, 9, -1], [9, 0, 20], [18, 18, 18]])
def test_lengths_of_alignments_are_checked(targets, inputs, wanted):
    def outcome(T):
        x = T.zeros(50, 3, 15).log_softmax(2)
        try:
            T.nn.functional.ctc_loss(x, T.ones(targets, dtype=T.int64), inputs, wanted)
        except RuntimeError:
            return "refused"
        return "taken"

    assert outcome(rushlight) == outcome(torch)
