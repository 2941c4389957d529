"""The one node of `linear` stands for PyTorch's several: nothing that can be seen of it differs."""

from __future__ import annotations

from typing import Any

import pytest
from both import same

SHAPES = ((4, 3), (2, 4, 3), (2, 1, 2, 3))


def layer(T: Any) -> tuple[Any, Any]:
    """Weight and bias, of whole numbers, so that no order of additions shows."""
    weight = (T.arange(15.0).reshape(5, 3) % 4 - 1).requires_grad_()
    return weight, T.arange(5.0).requires_grad_()


def rows(T: Any, shape: tuple[int, ...]) -> Any:
    count = 1
    for n in shape:
        count *= n
    return (T.arange(float(count)).reshape(shape) % 5 - 2).requires_grad_()


def names(node: Any) -> Any:
    """The graph behind a node, by the names of its nodes."""
    return node and [node.name(), [names(following) for following, _ in node.next_functions]]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "wanted", [(1, 1, 1), (0, 1, 1), (1, 0, 0), (0, 0, 1), (0, 1, 0), (1, 1, 0), (0, 0, 0)]
)
def test_the_graph_and_the_gradients(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    def program(T: Any, look: bool) -> Any:
        operands = [t.detach().requires_grad_(bool(on)) for t, on in zip((rows(T, shape), *layer(T)), wanted)]
        out = T.nn.functional.linear(*operands)
        seen = names(out.grad_fn) if look else None
        if out.requires_grad:
            (out * rows(T, tuple(out.shape)).detach()).sum().backward()
        return (
            seen,
            out.shape,
            out.grad_fn and out.grad_fn.name(),
            [(t.grad, t.grad is not None and t.grad.stride()) for t in operands],
        )

    same(lambda T: program(T, True))
    same(lambda T: program(T, False))


@pytest.mark.parametrize("shape", SHAPES)
def test_behind_other_operations(shape: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, shape), layer(T)
        inner = x * 2
        out = T.nn.functional.linear(inner, weight * 3, bias + 1)
        out.sum().backward()
        return names(out.grad_fn), x.grad, weight.grad, bias.grad

    same(program)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_gradients(shape: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, shape), layer(T)
        first = T.autograd.grad(
            (T.nn.functional.linear(x, weight, bias) ** 2).sum(), (x, weight, bias), create_graph=True
        )
        total = sum([(g * g).sum() for g in first])
        return [g.grad_fn.name() for g in first[:2]], T.autograd.grad(total, (x, weight, bias))

    same(program)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("which", ["x", "weight", "bias"])
def test_operands_that_were_overwritten(shape: tuple[int, ...], looked: bool, which: str) -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, shape), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        before = names(out.grad_fn) if looked else None
        with T.no_grad():
            {"x": x, "weight": weight, "bias": bias}[which].mul_(2)
        out.sum().backward()
        return before, x.grad, weight.grad, bias.grad

    same(program)


def test_a_write_to_what_is_not_kept() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (4, 3)), layer(T)
        out = T.nn.functional.linear(x.detach(), weight, bias)
        with T.no_grad():
            weight.mul_(2)  # is only wanted for the input's gradient
        out.sum().backward()
        return weight.grad, bias.grad

    same(program)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_hooks(shape: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, shape), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        product = out.grad_fn if len(shape) == 2 else out.grad_fn.next_functions[0][0]
        seen: list[Any] = []
        product.register_hook(lambda grads, outputs: seen.append((grads, outputs)))
        product.register_prehook(lambda outputs: (outputs[0] * 2,))
        out.sum().backward()
        return seen, x.grad, weight.grad, bias.grad

    same(program)


def test_hooks_on_the_nodes_behind_it() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (2, 4, 3)), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        product = out.grad_fn.next_functions[0][0]
        for following, _ in product.next_functions[1:]:
            following.register_hook(lambda grads, outputs: tuple([g * 3 for g in grads]))
        out.sum().backward()
        return x.grad, weight.grad, bias.grad

    same(program)


def test_calling_the_node() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (4, 3)), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        return list(out.grad_fn(T.ones(4, 5)))

    same(program)


@pytest.mark.parametrize("looked", [False, True])
def test_backward_a_second_time(looked: bool) -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (4, 3)), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        out.sum().backward()
        after = names(out.grad_fn) if looked else None
        out.sum().backward()
        return after

    same(program)


def test_looking_between_two_walks() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (2, 4, 3)), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        out.sum().backward(retain_graph=True)
        seen = names(out.grad_fn)
        out.sum().backward()
        return seen, x.grad, weight.grad, bias.grad

    same(program)


def test_some_gradients_only() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (2, 4, 3)), layer(T)
        out = T.nn.functional.linear(T.nn.functional.linear(x, weight, bias)[..., :3], weight, bias)
        return [T.autograd.grad(out.sum(), t, retain_graph=True) for t in (x, weight, bias)]

    same(program)


def test_writes_to_the_result() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (2, 4, 3)), layer(T)
        out = T.nn.functional.linear(x, weight, bias)
        out.relu_()
        out[0].mul_(2)
        out.sum().backward()
        return x.grad, weight.grad, bias.grad

    same(program)


def test_saved_tensor_hooks_see_what_pytorch_keeps() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (2, 4, 3)), layer(T)
        seen: list[Any] = []
        with T.autograd.graph.saved_tensors_hooks(lambda t: seen.append(tuple(t.shape)) or t, lambda t: t):
            out = T.nn.functional.linear(x, weight, bias)
        out.sum().backward()
        return sorted(seen), weight.grad

    same(program)


def test_a_weight_with_two_layers() -> None:
    def program(T: Any) -> Any:
        x, (weight, bias) = rows(T, (4, 3)), layer(T)
        F = T.nn.functional
        out = F.linear(F.linear(x, weight[:3], bias[:3]), weight, bias) + F.linear(x, weight, bias)
        out.sum().backward()
        return x.grad, weight.grad, bias.grad

    same(program)
