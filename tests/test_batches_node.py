"""The one node of a product of batches stands for PyTorch's several: nothing that can be seen of it differs."""

from __future__ import annotations

from typing import Any

import pytest
from both import same

#: how the operands lie in memory: in rows, to be copied, seen without a copy, expanded
LAYOUTS = ("rows", "turned", "exchanged", "sliced", "expanded")
PAIRS = [(a, b) for a in LAYOUTS for b in LAYOUTS if "rows" in (a, b) or a == b or a == "turned"]


def batch(T: Any, shape: tuple[int, ...], layout: str) -> tuple[Any, Any]:
    """A leaf of whole numbers, so that no order of additions shows, and what is made of it in this layout."""
    *lead, n, m = shape
    made = {
        "rows": shape,
        "turned": (*lead, m, n),
        "exchanged": (*lead[1:-1], n, lead[-1], m) if len(lead) == 2 else shape,
        "sliced": (*lead, n, 2 * m),
        "expanded": (1, *shape[1:]),
    }[layout]
    if layout == "exchanged":
        made = (lead[0], *lead[1:-1], n, lead[-1], m)
    count = 1
    for size in made:
        count *= size
    leaf = (T.arange(float(count)) % 7 - 3).reshape(made).requires_grad_()
    shown = {
        "rows": lambda: leaf,
        "turned": lambda: leaf.transpose(-1, -2),
        "exchanged": lambda: leaf.transpose(-2, -3),
        "sliced": lambda: leaf[..., ::2],
        "expanded": lambda: leaf.expand(shape),
    }[layout]()
    return leaf, shown


def names(node: Any) -> Any:
    """The graph behind a node, by the names of its nodes."""
    return node and [node.name(), [names(following) for following, _ in node.next_functions]]


def operands(T: Any, pair: tuple[str, str] = ("rows", "rows"), lead: tuple = (2, 3)) -> list[Any]:
    return [batch(T, (*lead, *size), layout) for size, layout in zip(((4, 5), (5, 2)), pair)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("wanted", [(1, 1), (1, 0), (0, 1)])
def test_the_graph_and_the_gradients(pair: tuple[str, str], wanted: tuple[int, int]) -> None:
    def program(T: Any, look: bool) -> Any:
        (a, x), (b, y) = operands(T, pair)
        x, y = (t if on else t.detach() for t, on in zip((x, y), wanted))
        out = x @ y
        seen = names(out.grad_fn) if look else None
        weights = (T.arange(float(out.numel())) % 5 - 2).reshape(out.shape)
        (out * weights).sum().backward()
        return seen, out, out.stride(), out.grad_fn.name(), a.grad, b.grad

    same(lambda T: program(T, True))
    same(lambda T: program(T, False))


@pytest.mark.parametrize("lead", [(1, 1), (3, 1), (2, 1, 3), (4, 2, 1, 2)])
def test_more_dimensions(lead: tuple[int, ...]) -> None:
    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T, ("rows", "turned"), lead)
        out = T.matmul(x * 2, y + 1)
        out.sum().backward()
        return names(out.grad_fn), out, a.grad, b.grad

    same(program)


@pytest.mark.parametrize("pair", PAIRS)
def test_gradients_of_gradients(pair: tuple[str, str]) -> None:
    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T, pair)
        first = T.autograd.grad(((x @ y) ** 2).sum(), (a, b), create_graph=True)
        total = sum([(g * g).sum() for g in first])
        return [names(g.grad_fn)[0] for g in first], T.autograd.grad(total, (a, b))

    same(program)


def test_a_graph_that_is_freed_as_gradients_of_gradients_are_made() -> None:
    def program(T: Any) -> Any:
        (a, x), (_, y) = operands(T)
        out = (x @ y).sum()
        T.autograd.grad(out, a, create_graph=True, retain_graph=False)
        return T.autograd.grad(out, a)

    same(program)


@pytest.mark.parametrize("pair", [("rows", "rows"), ("turned", "rows"), ("rows", "exchanged")])
@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_operands_that_were_overwritten(pair: tuple[str, str], looked: bool, which: int) -> None:
    """What was copied may be; what is kept may not."""

    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T, pair)
        x, y = x * 1, y * 1
        if pair[0] == "turned":
            x = a.transpose(-1, -2)
        out = x @ y
        before = names(out.grad_fn) if looked else None
        with T.no_grad():
            (a, b)[which].mul_(2)
            (x, y)[which].detach().mul_(3)
        out.sum().backward()
        return before, a.grad, b.grad

    same(program)


def test_hooks() -> None:
    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T, ("rows", "turned"))
        out = x @ y
        seen: list[Any] = []
        out.grad_fn.register_hook(lambda grads, outputs: seen.append((grads, outputs)))
        out.grad_fn.register_prehook(lambda outputs: (outputs[0] * 2,))
        product = out.grad_fn.next_functions[0][0]
        product.register_hook(lambda grads, outputs: tuple([g * 3 for g in grads]))
        for following, _ in product.next_functions:
            following.register_hook(lambda grads, outputs: seen.append(grads))
        out.sum().backward()
        return seen, a.grad, b.grad

    same(program)


def test_calling_the_node() -> None:
    def program(T: Any) -> Any:
        (_, x), (_, y) = operands(T)
        out = x @ y
        return out.grad_fn(T.ones(out.shape))

    same(program)


@pytest.mark.parametrize("looked", [False, True])
def test_backward_a_second_time(looked: bool) -> None:
    def program(T: Any) -> Any:
        (_, x), (_, y) = operands(T)
        out = x @ y
        out.sum().backward()
        after = names(out.grad_fn) if looked else None
        out.sum().backward()
        return after

    same(program)


def test_looking_between_two_walks() -> None:
    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T, ("rows", "turned"))
        out = x @ y
        out.sum().backward(retain_graph=True)
        seen = names(out.grad_fn)
        out.sum().backward()
        return seen, a.grad, b.grad

    same(program)


def test_writes_to_the_result() -> None:
    def program(T: Any) -> Any:
        (a, x), (b, y) = operands(T)
        out = x @ y
        out.relu_()
        out[0].mul_(2)
        out.sum().backward()
        return a.grad, b.grad

    same(program)


def test_a_square() -> None:
    def program(T: Any) -> Any:
        a, x = batch(T, (2, 2, 3, 3), "rows")
        out = x @ x @ x.mT
        out.sum().backward()
        return names(out.grad_fn), a.grad

    same(program)


def test_an_operand_that_was_detached_in_place() -> None:
    def program(T: Any) -> Any:
        (_, x), (_, y) = operands(T)
        x, y = x * 1, y * 1
        out = x @ y
        x.detach_()
        out.sum().backward()

    same(program)


def test_saved_tensor_hooks_see_what_pytorch_keeps() -> None:
    def program(T: Any) -> Any:
        (_, x), (b, y) = operands(T)
        seen: list[Any] = []
        with T.autograd.graph.saved_tensors_hooks(lambda t: seen.append(tuple(t.shape)) or t, lambda t: t):
            out = x @ y
        out.sum().backward()
        return sorted(seen), b.grad

    same(program)


def test_the_order_of_nodes() -> None:
    """A node that is made later is walked first: their numbers say so, whether one stands for many or not."""

    def program(T: Any) -> Any:
        (_, x), (_, y) = operands(T, ("rows", "turned"))
        before = x * 2
        out = before @ y
        after = out * 2
        numbers = [t.grad_fn._sequence_nr() for t in (before, out, after)]
        product = out.grad_fn.next_functions[0][0]
        behind = [node for node, _ in product.next_functions]
        numbers += [product._sequence_nr(), *[node._sequence_nr() for node in behind]]
        return [n - numbers[0] for n in numbers]

    same(program)
