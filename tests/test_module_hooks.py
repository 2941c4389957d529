"""Hooks on backward of a module's last operation, hooks of modules that are copied, and warnings of full backward hooks."""

import collections
import copy
import pickle
import warnings

import pytest
from both import same

Pair = collections.namedtuple("Pair", "first second")


def shapes(grads):
    return [None if g is None else tuple(g.shape) for g in grads]


def told(T, module, *inputs, full=False):
    """What a backward hook is told, and the warnings on the way."""
    seen = []
    register = module.register_full_backward_hook if full else module.register_backward_hook
    register(lambda m, before, after: seen.append([type(m).__name__, shapes(before), shapes(after)]))
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        made = module(*inputs)
        while not isinstance(made, T.Tensor):
            made = next(iter(made.values())) if isinstance(made, dict) else made[0]
        made.sum().backward()
    return seen, type(made).__name__, [[w.category.__name__, str(w.message)] for w in given]


def computed(T, *shape):
    return T.ones(shape, requires_grad=True) * 1


def giving(T, function):
    class Module(T.nn.Module):
        def forward(self, *inputs):
            return function(*inputs)

    return Module()


MODULES = {
    "one operation": lambda T: (T.nn.ReLU(), computed(T, 2, 3)),
    "parameters": lambda T: (T.nn.Linear(3, 4), computed(T, 2, 3)),
    "a leaf": lambda T: (T.nn.Linear(3, 4), T.ones(2, 3)),
    "a convolution": lambda T: (T.nn.Conv2d(1, 2, 3), computed(T, 1, 1, 5, 5)),
    "several": lambda T: (T.nn.Sequential(T.nn.Linear(3, 4), T.nn.ReLU()), computed(T, 2, 3)),
    "a tuple": lambda T: (giving(T, lambda x: (x * 2, x * 3)), computed(T, 2)),
    "a named tuple": lambda T: (giving(T, lambda x: Pair(x * 2, x * 3)), computed(T, 2)),
    "a dictionary": lambda T: (giving(T, lambda x: {"y": x * 2}), computed(T, 2)),
    "a number": lambda T: (giving(T, lambda x, n: x * n), computed(T, 2), 3),
}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", MODULES)
def test_what_hooks_are_told(name, full):
    same(lambda T: told(T, *MODULES[name](T), full=full))


def test_a_named_tuple_stays_one():
    def program(T):
        module = giving(T, lambda x: Pair(x * 2, x * 3))
        module.register_full_backward_hook(lambda *args: None)
        return type(module(computed(T, 2))).__name__

    same(program)


def test_a_hook_on_the_last_operation_may_change_the_gradient():
    def program(T):
        module, x = T.nn.ReLU(), T.ones(2, requires_grad=True)
        handle = module.register_backward_hook(lambda m, before, after: (before[0] * 3,))
        module(x * 1).sum().backward()
        handle.remove()
        module(x * 1).sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("first", ["register_backward_hook", "register_full_backward_hook"])
def test_a_module_has_hooks_of_one_kind(first):
    def program(T):
        module = T.nn.ReLU()
        getattr(module, first)(lambda *args: None)
        for name in ("register_backward_hook", "register_full_backward_hook"):
            getattr(module, name)(lambda *args: None)

    same(program)


def test_hooks_on_all_modules():
    def program(T):
        seen, model = [], T.nn.Sequential(T.nn.Linear(2, 2), T.nn.ReLU())
        handle = T.nn.modules.module.register_module_backward_hook(
            lambda m, *grads: seen.append(type(m).__name__)
        )
        try:
            model(computed(T, 1, 2)).sum().backward()
            T.nn.modules.module.register_module_full_backward_hook(print)
        except RuntimeError as error:
            return sorted(seen), str(error)
        finally:
            handle.remove()

    same(program)


def test_second_derivatives_pass_by_full_hooks():
    def program(T):
        x, module, seen = T.arange(3.0).requires_grad_(), T.nn.MSELoss(), []
        module.register_full_backward_hook(lambda *args: seen.append(1))
        (g,) = T.autograd.grad(module(x * 1, T.zeros(3)), x, create_graph=True)
        g.sum().backward()
        return len(seen), x.grad

    same(program)


@pytest.mark.parametrize("returned", ["None", "(None,)", "(T.ones(1, 2),)"])
def test_full_hooks_where_no_input_wants_a_gradient(returned):
    def program(T):
        module = T.nn.Linear(2, 2)
        module.register_full_backward_hook(lambda *args: eval(returned, {"T": T}))
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            module(T.ones(1, 2)).sum().backward()
        return [str(w.message) for w in given]

    same(program)


LOADED = []


def note(module, *args):
    LOADED.append((id(module), len(args)))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_hooks_before_loading_are_copied_with_the_module(again):
    def program(T):
        LOADED.clear()
        module = T.nn.Linear(2, 2)
        module.register_load_state_dict_pre_hook(note)
        other = again(module)
        other.load_state_dict(module.state_dict())
        return [(which == id(other), count) for which, count in LOADED]

    same(program)


def test_switches_of_cudnn():
    def program(T):
        cudnn = T.backends.cudnn
        with cudnn.flags(enabled=False, benchmark=True):
            inside = cudnn.enabled, cudnn.benchmark
        return inside, cudnn.enabled, cudnn.benchmark, T.nn.functional.grad is T.nn.grad

    same(program)
