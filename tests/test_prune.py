"""Pruned weights: masks, hooks and messages equal to PyTorch's."""

import copy
import importlib

import pytest
from both import same

import rushlight


def prune(T):
    return importlib.import_module(f"{T.__name__}.nn.utils.prune")


def layer(T, kind="Linear"):
    T.manual_seed(0)
    return {"Linear": lambda: T.nn.Linear(5, 4), "Conv2d": lambda: T.nn.Conv2d(3, 4, 3)}[kind]().double()


def told(T, m):
    """What can be seen of a module, and what a training step makes of it."""
    names = list(m.state_dict()), [n for n, _ in m.named_parameters()], [n for n, _ in m.named_buffers()]
    y = m(T.ones((2, 3, 5, 5) if m.weight.dim() == 4 else (2, 5), dtype=T.float64))
    y.square().sum().backward()
    return names, list(m.state_dict().values()), y, [p.grad for p in m.parameters()], prune(T).is_pruned(m)


CALLS = [
    "identity(m, 'weight')",
    "identity(m, 'bias')",
    "l1_unstructured(m, 'weight', 3)",
    "l1_unstructured(m, 'weight', 0.3)",
    "l1_unstructured(m, 'weight', 0)",
    "l1_unstructured(m, 'bias', 1.0)",
    "l1_unstructured(m, 'weight', 5, importance_scores=-m.weight.abs())",
    "random_unstructured(m, 'weight', 0.4)",
    "random_unstructured(m, 'weight', 7)",
    "random_structured(m, 'weight', 0.5, 0)",
    "random_structured(m, 'weight', 2, -1)",
    "random_structured(m, 'weight', 0, 1)",
    "ln_structured(m, 'weight', 0.5, 2, 0)",
    "ln_structured(m, 'weight', 2, float('inf'), 1)",
    "ln_structured(m, 'weight', 1, 1, -1, importance_scores=-m.weight)",
    "ln_structured(m, 'weight', 0, 1, -1)",
    "custom_from_mask(m, 'weight', (m.weight > 0))",
]


@pytest.mark.parametrize("kind", ["Linear", "Conv2d"])
@pytest.mark.parametrize("call", CALLS)
def test_pruned_modules(call, kind):
    def program(T):
        m = layer(T, kind)
        found = eval("p." + call, {"p": prune(T), "m": m, "T": T})
        return found is m, told(T, m)

    same(program)


@pytest.mark.parametrize("first", [CALLS[2], CALLS[7], CALLS[9], CALLS[12], CALLS[16]])
@pytest.mark.parametrize("second", [CALLS[3], CALLS[8], CALLS[10], CALLS[13], CALLS[16], CALLS[0]])
def test_pruned_again(first, second):
    def program(T):
        m, p = layer(T, "Conv2d"), prune(T)
        for call in (first, second, first):
            eval("p." + call, {"p": p, "m": m, "T": T})
        (hook,) = m._forward_pre_hooks.values()
        return told(T, m), type(hook).__name__, len(hook), [type(h).__name__ for h in hook]

    same(program)


def test_all_layers_at_once():
    def program(T):
        p = prune(T)
        T.manual_seed(0)
        net = T.nn.Sequential(T.nn.Linear(5, 4), T.nn.ReLU(), T.nn.Linear(4, 3)).double()
        pairs = [(net[0], "weight"), (net[2], "weight"), (net[2], "bias")]
        p.global_unstructured(pairs, pruning_method=p.L1Unstructured, amount=0.4)
        first = [t.clone() for t in net.state_dict().values()]
        p.global_unstructured(
            pairs[:2], p.L1Unstructured, importance_scores={pairs[0]: -net[0].weight.abs()}, amount=3
        )
        p.global_unstructured(pairs[:2], p.RandomUnstructured, amount=2)
        y = net(T.ones(2, 5, dtype=T.float64))
        y.sum().backward()
        return first, list(net.state_dict().items()), y, [q.grad for q in net.parameters()]

    same(program)


def test_pruning_is_removed():
    def program(T):
        m, p = layer(T), prune(T)
        p.l1_unstructured(m, "weight", 0.5)
        p.random_unstructured(m, "weight", 0.5)
        p.remove(m, "weight")
        return told(T, m), isinstance(m.weight, T.nn.Parameter), len(m._forward_pre_hooks)

    same(program)


def test_training_moves_what_counts():
    def program(T):
        m, p = layer(T), prune(T)
        p.ln_structured(m, "weight", 0.5, 2, 0)
        optimizer = T.optim.SGD(m.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            m(T.ones(1, 5, dtype=T.float64)).square().sum().backward()
            optimizer.step()
        return m.weight, m.weight_orig

    same(program)


def test_methods_of_the_programs_own():
    def program(T):
        p = prune(T)

        class EveryOther(p.BasePruningMethod):
            PRUNING_TYPE = "unstructured"

            def compute_mask(self, t, default_mask):
                mask = default_mask.clone()
                mask.view(-1)[::2] = 0
                return mask

        m = layer(T)
        EveryOther.apply(m, "bias")
        EveryOther.apply(m, "bias")
        return m.bias, EveryOther().prune(T.arange(1.0, 5)), p.L1Unstructured(1).prune(T.ones(3), importance_scores=T.arange(3.0))  # fmt: skip

    same(program)


@pytest.mark.parametrize(
    "call",
    [
        "l1_unstructured(m, 'weight', 'a')",
        "l1_unstructured(m, 'weight', -1)",
        "l1_unstructured(m, 'weight', 1.5)",
        "l1_unstructured(m, 'weight', 100)",
        "l1_unstructured(m, 'nothing', 1)",
        "l1_unstructured(m, 'weight', 1, importance_scores=T.ones(3))",
        "random_structured(m, 'bias', 1, 0)",
        "random_structured(m, 'weight', 1, 2)",
        "ln_structured(m, 'weight', 100, 2, 0)",
        "custom_from_mask(m, 'weight', T.ones(3))",
        "remove(m, 'weight')",
        "global_unstructured(3, p.L1Unstructured, amount=1)",
        "global_unstructured([(m, 'weight')], p.L1Unstructured, importance_scores=3, amount=1)",
        "global_unstructured([(m, 'weight')], p.RandomStructured, amount=1)",
        "PruningContainer().add_pruning_method(3)",
    ],
)
def test_errors(call):
    def program(T):
        m = layer(T)
        try:
            eval("p." + call, {"p": prune(T), "m": m, "T": T})
        except Exception as error:
            return type(error).__name__, str(error).replace("rushlight", "torch"), list(m.state_dict())

    same(program)


def test_a_container_takes_methods_of_one_tensor():
    def program(T):
        p = prune(T)
        one, other = p.Identity(), p.Identity()
        one._tensor_name, other._tensor_name = "a", "b"
        container = p.PruningContainer(one)
        try:
            container.add_pruning_method(other)
        except ValueError as error:
            return str(error).partition("PruningContainer")[0], container[0] is one

    same(program)


def test_pruned_modules_are_copied_as_pytorch_copies_them():
    same(lambda T: told(T, copy.deepcopy(prune(T).l1_unstructured(layer(T), "weight", 3))))


def test_pruned_modules_are_saved_by_their_state():
    p = prune(rushlight)
    m = p.l1_unstructured(layer(rushlight), "weight", 3)
    again = p.identity(rushlight.nn.Linear(5, 4).double(), "weight")
    again.load_state_dict(m.state_dict())
    x = rushlight.ones(1, 5).double()
    assert rushlight.equal(again(x), m(x))
