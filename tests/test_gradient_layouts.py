"""How gradients of products lie in memory: programs flatten them with `view(-1)`, so it is not for anybody's eyes only."""

from __future__ import annotations

from typing import Any

import pytest
from both import same

LAYOUTS = {
    "rows": lambda T, m, n: T.ones(m, n),
    "columns": lambda T, m, n: T.ones(n, m).t(),
    "gaps": lambda T, m, n: T.ones(m, 2 * n)[:, ::2],
    "broadcast": lambda T, m, n: T.ones(1, n).expand(m, n),
    "part": lambda T, m, n: T.ones(m + 2, n + 3)[1:-1, 1:-2],
}


def gradients(T: Any, function: Any, operands: list[Any], create_graph: bool) -> list[Any]:
    leaves = [t.detach().requires_grad_() for t in operands]
    out = function(*leaves)
    return [(g, g.stride()) for g in T.autograd.grad((out * out).sum(), leaves, create_graph=create_graph)]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 4, 1), (3, 1, 1), (1, 1, 5), (40, 300, 20)])
def test_factors_in_any_order(left: str, right: str, sizes: tuple[int, ...], create_graph: bool) -> None:
    rows, inner, columns = sizes

    def program(T: Any) -> Any:
        x, y = LAYOUTS[left](T, rows, inner), LAYOUTS[right](T, inner, columns)
        bias = T.zeros(columns)
        return [
            gradients(T, T.mm, [x, y], create_graph),
            gradients(T, T.matmul, [x, y], create_graph),
            gradients(T, lambda *them: T.addmm(bias, *them, alpha=2), [x, y], create_graph),
            gradients(T, lambda x, y: T.nn.functional.linear(x, y.t()), [x, y], create_graph),
            gradients(T, lambda x, y: T.nn.functional.linear(x, y.t(), bias), [x, y], create_graph),
            gradients(T, T.mm, [x * 1j, y * 1j], create_graph),
        ]

    same(program)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", ["Linear", "RNNCell", "LSTMCell", "GRUCell", "LSTM", "GRU", "RNN"])
def test_parameters_as_one_vector(kind: str, create_graph: bool) -> None:
    def program(T: Any) -> Any:
        T.manual_seed(0)
        layer = getattr(T.nn, kind)(4, 3)
        x = T.ones(2, 2, 4) if kind in ("LSTM", "GRU", "RNN") else T.ones(2, 4)
        made = layer(x)
        while not isinstance(made, T.Tensor):
            made = made[0]
        found = T.autograd.grad(made.square().sum(), list(layer.parameters()), create_graph=create_graph)
        return T.cat([g.view(-1) for g in found]).numel(), [g.stride() for g in found]

    same(program)
