"""Programs that ask to be compiled, by `torch.compile` or `torch.jit`: they run as they are."""

import copy
import importlib

import pytest
import torch
from both import same, seen

import rushlight


def options(T, **others):
    """PyTorch without its compiler."""
    return {**({"backend": "eager"} if T is torch else {}), **others}


def test_a_compiled_module_is_a_module_around_it():
    def program(T):
        T.manual_seed(0)
        model = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Dropout(0.5))
        made = T.compile(model, **options(T))
        state = {name: T.zeros_like(t) for name, t in made.state_dict().items()}
        first = made.eval()(T.ones(2, 3))
        made.load_state_dict(state)
        made.mark = 3
        return (
            first, repr(made), list(state), [name for name, _ in made.named_parameters()], made.training, model.training,
            len(made), made(T.ones(1, 3)), model.mark, made.mark, made._orig_mod is model, list(model.state_dict()),
        )  # fmt: skip

    same(program)


def test_training_a_compiled_module():
    def program(T):
        T.manual_seed(0)
        model = T.nn.Linear(3, 1)
        made = T.compile(model, **options(T))
        optimizer = T.optim.SGD(made.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss = made(T.ones(2, 3)).square().sum()
            loss.backward()
            optimizer.step()
        return loss, model.weight, copy.deepcopy(made).state_dict()

    same(program)


def test_a_compiled_function():
    def program(T):
        @T.compile(**options(T))
        def f(x, y=2):
            """Says it."""
            return x * y

        g = T.compile(lambda x: x + 1, **options(T, fullgraph=True, dynamic=False))
        return f(T.ones(2), y=3), g(T.ones(2)), f.__name__, f.__doc__

    same(program)


@pytest.mark.parametrize("given", [{"mode": "x"}, {"mode": "default", "options": {}}])
def test_what_compile_refuses(given):
    same(lambda T: T.compile(lambda x: x, **given))


def test_backends():
    assert seen(lambda T: T.compile(lambda x: x, backend="nothing"), rushlight)[0] == "RuntimeError"
    with pytest.raises(NotImplementedError, match="no graph"):
        rushlight.compile(lambda x: x, backend=lambda graph, inputs: graph)
    assert rushlight.compile(len, disable=True) is len
    with pytest.raises(RuntimeError):
        rushlight.compile(3)
    assert "inductor" in rushlight.compiler.list_backends()


def test_the_compilers_other_words():
    def program(T):
        c = T.compiler

        @c.disable
        def f(x):
            return x + 1

        @c.disable(recursive=False)
        def g(x):
            return x + 2

        c.reset()
        with c.set_stance("force_eager"):
            inside = f(T.ones(1)), g(T.ones(1)), c.allow_in_graph(f)(T.ones(1))
        return inside, c.is_compiling(), c.is_dynamo_compiling(), c.is_exporting()

    same(program)


def test_a_module_may_be_compiled_in_place():
    model = rushlight.nn.Linear(2, 2)
    assert model.compile(fullgraph=True) is None and list(model.state_dict()) == ["weight", "bias"]


# ---- torch.jit ----


def test_scripts_run_as_python():
    def program(T):
        @T.jit.script
        def f(x):
            return x * 2

        class Net(T.nn.Module):
            __constants__ = ("n",)
            n: T.jit.Final[int]

            def __init__(self):
                super().__init__()
                self.n = 3
                self.sizes = T.jit.annotate(list[int], [1, 2])

            @T.jit.export
            def twice(self, x):
                return f(x)

            @T.jit.ignore
            def ignored(self, x):
                return x

            @T.jit.unused
            def unused(self, x):
                return x

            @T.jit.ignore(drop=True)
            def dropped(self, x):
                return x

            def forward(self, x):
                if T.jit.is_scripting():
                    return x
                return self.twice(x) * self.n

        net = Net()
        return net(T.ones(2)), T.jit.is_tracing(), isinstance(net, T.jit.ScriptModule), net.ignored(1)

    same(program)


def test_scripted_functions_give_the_same():
    x = rushlight.ones(2)
    assert rushlight.jit.script(lambda x: x + 1)(x).tolist() == [2, 2]
    linear = rushlight.nn.Linear(2, 2)
    assert rushlight.jit.script(linear) is linear

    class Old(rushlight.jit.ScriptModule):
        @rushlight.jit.script_method
        def forward(self, x):
            return x + 1

    assert Old()(x).tolist() == [2, 2]
    with rushlight.jit.optimized_execution(False):
        pass
    assert rushlight.jit.set_fusion_strategy([("STATIC", 1)]) == [("STATIC", 2), ("DYNAMIC", 10)]
    rushlight.jit.enable_onednn_fusion(True)
    assert rushlight.jit.onednn_fusion_enabled()


@pytest.mark.parametrize(
    "value, kind",
    [
        ("3", "int"), ("3", "float"), ("[1, 2]", "list[int]"), ("[1, 'a']", "list[int]"), ("{'a': 1}", "dict[str, int]"),
        ("{'a': 'b'}", "dict[str, int]"), ("(1, 'a')", "tuple[int, str]"), ("(1,)", "tuple[int, str]"),
        ("None", "__import__('typing').Optional[int]"), ("[[1]]", "list[list[int]]"), ("3", "(str, int)"),
    ],
)  # fmt: skip
def test_types_of_containers(value, kind):
    same(lambda T: T.jit.isinstance(eval(value), eval(kind)))


def test_forks_are_calls():
    same(lambda T: T.jit.wait(T.jit.fork(T.neg, T.ones(2))))


@pytest.mark.parametrize("name", ["load", "save"])
def test_what_makes_files_of_torchscript_is_missing(name):
    with pytest.raises(NotImplementedError, match=f"torch.jit.{name}"):
        getattr(rushlight.jit, name)


def test_they_are_found_as_modules():
    for name in "compiler jit testing types version accelerator cpu mps distributed".split():
        assert importlib.import_module(f"rushlight.{name}") is getattr(rushlight, name)
