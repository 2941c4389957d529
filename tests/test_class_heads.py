"""A linear layer together with its cross entropy; and pooling that always gives positions."""

import itertools
import weakref

import pytest
import torch
from both import same

import rushlight

# ---- linear_cross_entropy ----


def head(T, options=None, *, batch=(7,), inner=(), bias=False, weighted=False, **more):
    T.manual_seed(0)
    x = T.randn(*batch, 5, dtype=T.float64).requires_grad_()
    w = T.randn(6, *inner, 5, dtype=T.float64).requires_grad_()
    b = T.randn(6, *inner, dtype=T.float64).requires_grad_() if bias else None
    t = T.randint(6, (*batch, *inner))
    if batch:
        t[0] = 1
    weight = T.rand(6, dtype=T.float64) if weighted else None
    if options is not None:
        options = T.nn.LinearCrossEntropyOptions(**options)
    y = T.nn.functional.linear_cross_entropy(x, w, t, linear_bias=b, weight=weight, options=options, **more)
    return y + 0.0, T.autograd.grad(y.square().sum(), [x, w, *([b] if bias else [])])


PIECES = [None, {}, {"batch_chunk_size": 2}, {"batch_chunk_size": 100}, {"chunking_method": "aspect_ratio"},
          {"chunking_method": "aspect_ratio:3"}, {"chunking_method": None}]  # fmt: skip


@pytest.mark.parametrize("options, reduction", itertools.product(PIECES, ["mean", "sum", "none"]))
@pytest.mark.parametrize("given", [{}, {"bias": True, "weighted": True, "ignore_index": 1}, {"batch": ()}])
def test_losses_and_gradients(options, reduction, given):
    given = {k: v for k, v in given.items() if not (k == "ignore_index" and reduction == "")}
    same(lambda T: head(T, options, reduction=reduction, **given))


@pytest.mark.parametrize(
    "given", [{"inner": (2, 3)}, {"inner": (2,), "bias": True}, {"label_smoothing": 0.2}]
)
def test_losses_of_more_dimensions_and_smoothed(given):
    same(lambda T: head(T, **given))
    same(lambda T: head(T, {}, **given))


def test_targets_that_are_probabilities():
    def program(T):
        T.manual_seed(0)
        x, w = T.randn(3, 5), T.randn(4, 5)
        return T.nn.functional.linear_cross_entropy(x, w, T.rand(3, 4), reduction="sum")

    same(program)


def test_pieces_may_be_differentiated_again():
    def loss(x, w):
        options = rushlight.nn.LinearCrossEntropyOptions(batch_chunk_size=2)
        t = rushlight.tensor([0, 2, 1, 3, -100])
        return rushlight.nn.functional.linear_cross_entropy(x, w, t, options=options)

    rushlight.manual_seed(0)
    x, w = (rushlight.randn(s, dtype=rushlight.float64).requires_grad_() for s in ((5, 3), (4, 3)))
    assert rushlight.autograd.gradcheck(loss, (x, w)) and rushlight.autograd.gradgradcheck(loss, (x, w))


def test_logits_of_pieces_are_not_kept(monkeypatch):
    from rushlight.nn import class_heads

    alive, plain = [], class_heads.linear

    def watched(*args):
        made = plain(*args)
        alive.append(weakref.ref(rushlight.buffer.storage(made)))
        return made

    monkeypatch.setattr(class_heads, "linear", watched)
    y, _ = head(rushlight, {"batch_chunk_size": 2})
    assert len(alive) == 8 and not any(ref() is not None for ref in alive) and y.item() > 0


@pytest.mark.parametrize(
    "call",
    [
        "T.ones(2, 2, 3), T.ones(4, 3), T.tensor([0, 1])",
        "T.ones(2, 3), T.ones(3), T.tensor([0, 1])",
        "T.ones(2, 3), T.ones(4, 2), T.tensor([0, 1])",
        "T.ones(2, 3), T.ones(4, 3), T.tensor([0, 1]), linear_bias=T.ones(3)",
        "T.ones(3), T.ones(4, 2, 3), T.tensor([0, 1])",
        "T.ones(2, 3), T.ones(4, 3), T.ones(2, 4), ignore_index=1",
    ],
)
def test_shapes_that_do_not_go_together(call):
    same(lambda T: eval(f"T.nn.functional.linear_cross_entropy({call})"))


@pytest.mark.parametrize(
    "given",
    [{"acc_policy": "x"}, {"chunking_method": "x"}, {"chunking_method": "aspect_ratio:0"}, {"batch_chunk_size": 0},
     {"batch_chunk_size": "a"}, {"acc_dtype": 3}, {}],
)  # fmt: skip
def test_options(given):
    same(lambda T: repr(T.nn.LinearCrossEntropyOptions(**given)))


def test_a_size_and_a_method_that_disagree():
    same(lambda T: head(T, {"batch_chunk_size": 3, "chunking_method": "aspect_ratio"}))


@pytest.mark.parametrize(
    "given", [{}, {"bias": True, "out_features": (2,), "reduction": "sum"}, {"ignore_index": 1, "label_smoothing": 0.1}]
)  # fmt: skip
def test_the_module(given):
    def program(T):
        T.manual_seed(0)
        m = T.nn.LinearCrossEntropyLoss(5, 4, dtype=T.float64, **given)
        x = T.randn(3, 5, dtype=T.float64).requires_grad_()
        y = m(x, T.randint(4, (3, *given.get("out_features", ()))))
        y.backward()
        return repr(m), list(m.state_dict()), y, x.grad, [p.grad for p in m.parameters()]

    same(program)


@pytest.mark.parametrize("given", [{"weight": "T.ones(3)"}, {"label_smoothing": 2.0}])
def test_what_the_module_refuses(given):
    def program(T):
        return T.nn.LinearCrossEntropyLoss(
            5, 4, **{k: eval(v) if isinstance(v, str) else v for k, v in given.items()}
        )

    same(program)


# ---- pooling with positions ----

POOLS = {
    "max_pool1d_with_indices": "x[0], 2",
    "max_pool2d_with_indices": "x, 2, 1, 1, 1, True",
    "max_pool3d_with_indices": "x.unsqueeze(0), (1, 2, 2)",
    "adaptive_max_pool1d_with_indices": "x[0], 3",
    "adaptive_max_pool2d_with_indices": "x, (3, None)",
    "adaptive_max_pool3d_with_indices": "x.unsqueeze(0), 2",
    "fractional_max_pool2d_with_indices": "x, 2, output_size=3, _random_samples=s[:, :, :2]",
    "fractional_max_pool3d_with_indices": "x.unsqueeze(0), 2, output_ratio=0.6, _random_samples=s[:1, :2]",
}


@pytest.mark.parametrize("name", POOLS)
def test_pooling_with_positions(name):
    def program(T):
        T.manual_seed(0)
        x = T.randn(2, 4, 6, 7, dtype=T.float64).requires_grad_()
        s = T.rand(2, 4, 3, dtype=T.float64)
        values, positions = eval(f"T.nn.functional.{name}({POOLS[name]})", {"T": T, "x": x, "s": s})
        return values, positions, T.autograd.grad(values.square().sum(), x)

    same(program)
    assert torch is not rushlight
