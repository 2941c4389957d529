"""What modules and losses do at their edges: settings they refuse, inputs of another rank, classes that count for nothing."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from both import same

import rushlight


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(
    "arguments",
    [
        ((2.5, 3), {}),
        (("a", 3), {}),
        ((2, 2.5), {}),
        ((0, 3), {}),
        ((2, 0), {}),
        ((2, 3, 0), {}),
        ((2, 3), {"bias": 1}),
        ((2, 3), {"batch_first": None}),
        ((2, 3), {"dropout": 2}),
    ],
    ids=str,
)
def test_recurrent_settings(kind: str, arguments: tuple) -> None:
    args, options = arguments
    same(lambda T: repr(getattr(T.nn, kind)(*args, **options)))


@pytest.mark.parametrize("delta", [1, 0.5, 1j, "1", None])
def test_delta_of_huber_loss(delta: Any) -> None:
    same(lambda T: T.nn.HuberLoss(delta=delta)(T.ones(2), T.zeros(2)))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("rank", range(1, 7))
def test_ranks_of_circular_padding(count: int, rank: int) -> None:
    same(lambda T: getattr(T.nn, f"CircularPad{count}d")(1)(T.arange(2.0**rank).reshape([2] * rank)))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("rank", [0, 1, 2, 6])
def test_ranks_of_max_pooling(count: int, rank: int) -> None:
    same(lambda T: getattr(T.nn, f"MaxPool{count}d")(1)(T.ones([2] * rank)))


@pytest.mark.parametrize("weight", [None, (1.0, 2.0, 3.0), (0.0, 2.0, 3.0)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("inner", [0, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("classes", [(1, 1), (0, 0), (1, 2), (0, 1)])
def test_classes_that_count_for_nothing(
    weight: Any, reduction: str, inner: int, smoothing: float, classes: tuple
) -> None:
    def program(T: Any) -> Any:
        found: list[Any] = []
        for ignored in (1, -100):
            x = T.tensor([[1.0, 2.0, 3.0], [2.0, 1.0, 0.5]], requires_grad=True)
            scores, target = x, T.tensor(classes)
            if inner:
                scores, target = scores[..., None].expand(2, 3, inner), target[:, None].expand(2, inner)
            loss = T.nn.functional.cross_entropy(
                scores,
                target,
                None if weight is None else T.tensor(weight),
                ignore_index=ignored,
                reduction=reduction,
                label_smoothing=smoothing,
            )
            (grad,) = T.autograd.grad(loss.sum(), x)
            found += [str(loss), str(grad)]  # (as text: zeros have signs)
        return found

    same(program)


@pytest.mark.parametrize("kind", ["uint8", "int8", "int32", "float32"])
@pytest.mark.parametrize("threshold, value", [(-9, -9), (0, -9), (1, 300), (1.5, 2.5)])
def test_thresholds_of_every_type(threshold, value, kind):
    same(lambda T: T.nn.functional.threshold(T.tensor([-3, 0, 5]).to(getattr(T, kind)), threshold, value))


@pytest.mark.parametrize(
    "name", ["AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AdaptiveAvgPool2d"]
)
@pytest.mark.parametrize("lead, side", [((0, 4), 6), ((2, 0), 6), ((2, 3), 0)])
def test_adaptive_pooling_of_nothing(lead, side, name):
    def program(T):
        count = int(name[-2])
        x = T.ones(*lead, *(side,) * count, requires_grad=True)
        y = getattr(T.nn, name)(2)(x)
        if lead[1]:  # PyTorch averages no channels, but cannot go back
            y.sum().backward()
        return y.shape, x.grad

    same(program)


def test_adaptive_pooling_to_more_than_memory():
    with pytest.raises(RuntimeError, match="overflow"):
        rushlight.nn.functional.adaptive_avg_pool2d(rushlight.ones(1, 1, 3, 3), (2**30, 2**33))


@pytest.mark.parametrize(
    "call", ["Dropout2d()(T.ones(4, 2, 2))", "Dropout2d()(T.ones(2, 2))", "Dropout3d()(T.ones(2, 2, 2))"]
)
def test_dropout_of_features_warns_of_ranks(call):
    def program(T):
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            eval("T.nn." + call, {"T": T})
        return [str(w.message) for w in given]

    same(program)


@pytest.mark.parametrize("shape", [(0, 0), (2, 0)])
def test_nothing_cannot_be_packed(shape):
    same(lambda T: T.nn.utils.rnn.pack_padded_sequence(T.ones(shape), []))


@pytest.mark.parametrize("name", ["short", "int", "long", "char", "byte", "half", "float", "double"])
def test_packed_sequences_change_type(name):
    same(lambda T: getattr(T.nn.utils.rnn.pack_padded_sequence(T.ones(2, 1), [2]), name)().data)
