"""What modules and losses do at their edges: settings they refuse, inputs of another rank, classes that count for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from both import same


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
