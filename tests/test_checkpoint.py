"""Checkpointed functions: the same values and gradients as without, PyTorch's errors, and less memory."""

import gc
import importlib
import weakref

import pytest
import torch
from both import same, seen

import rushlight

FORMS = pytest.mark.parametrize("reentrant", [False, True])


def module(T):
    return importlib.import_module(f"{T.__name__}.utils.checkpoint")


def data(T, *shape, grad=True):
    T.manual_seed(3)
    return T.randn(*shape, dtype=T.float64).requires_grad_(grad)


# ---- values and gradients ----


def layers(T):
    T.manual_seed(0)
    nn = T.nn
    return nn.Sequential(
        nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.4), nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3)
    ).double()  # fmt: skip


@FORMS
@pytest.mark.parametrize("preserve", [True, False])
def test_a_model_gets_the_gradients_it_gets_without(reentrant, preserve):
    def program(T):
        model, x = layers(T), data(T, 5, 4)
        if not preserve:
            model.eval()
        y = module(T).checkpoint(model, x, use_reentrant=reentrant, preserve_rng_state=preserve)
        y.square().sum().backward()
        return y, x.grad, [p.grad for p in model.parameters()], T.rand(2)

    same(program)


@FORMS
@pytest.mark.parametrize("segments", [1, 2, 3, 7])
def test_parts_of_a_sequential(reentrant, segments):
    def program(T):
        model, x = layers(T), data(T, 5, 4)
        y = module(T).checkpoint_sequential(model, segments, x, use_reentrant=reentrant)
        y.sin().sum().backward()
        return y, x.grad, [p.grad for p in model.parameters()]

    same(program)


@FORMS
def test_several_arguments_and_results(reentrant):
    def program(T):
        a, b, c = data(T, 3), data(T, 3) + 1, data(T, 2, grad=False)

        def function(a, n, b, c, nothing):
            return a * b**n, c.exp(), (a + b).cumsum(0)

        y, z, w = module(T).checkpoint(function, a, 3, b, c, None, use_reentrant=reentrant)
        (y.sum() + w.prod() + z.sum()).backward()
        return y, z, w, a.grad

    same(program)


def test_derivatives_of_second_order():
    def program(T):
        x, w = data(T, 4), data(T, 4) + 2
        y = module(T).checkpoint(lambda x: (x * w).sin().exp() * w.detach(), x, use_reentrant=False)
        (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
        return g, T.autograd.grad(g.square().sum(), x)

    same(program)


def test_gradients_check():
    def function(x, w):
        return rushlight.utils.checkpoint.checkpoint(
            lambda x: x.softmax(-1) @ w.tanh(), x, use_reentrant=False
        )

    x, w = data(rushlight, 3, 4), data(rushlight, 4, 2)
    assert rushlight.autograd.gradcheck(function, (x, w))
    assert rushlight.autograd.gradgradcheck(function, (x, w))


def test_chosen_gradients_keywords_and_captured_tensors():
    def program(T):
        x, w = data(T, 4), data(T, 4)
        y = module(T).checkpoint(lambda x, *, power: w * x**power, x, use_reentrant=False, power=3)
        return T.autograd.grad(y.sum(), [x, w])

    same(program)


def test_checkpoints_within_checkpoints():
    def program(T):
        checkpoint, x = module(T).checkpoint, data(T, 4)
        calls = []

        def inner(x):
            calls.append("inner")
            return x.sin() * x

        def outer(x):
            calls.append("outer")
            return checkpoint(inner, x.exp(), use_reentrant=False).square() + x.tanh()

        checkpoint(outer, x, use_reentrant=False).sum().backward()
        return x.grad, calls[:2]

    same(program)


def test_a_custom_function_and_views():
    def program(T):
        class Cube(T.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x, x * x)
                return x**3

            @staticmethod
            def backward(ctx, g):
                _, square = ctx.saved_tensors
                return 3 * square * g

        x = data(T, 4, 3)
        y = module(T).checkpoint(lambda x: Cube.apply(x.T[1:].reshape(-1)).exp(), x, use_reentrant=False)
        y.sum().backward()
        return x.grad

    same(program)


def test_writes_in_place_inside():
    def program(T):
        def function(x):
            y = x * 2
            y[0] = 5.0
            y.mul_(x.detach()).add_(1)
            return y.sin()

        x = data(T, 4)
        module(T).checkpoint(function, x, use_reentrant=False).sum().backward()
        return x.grad

    same(program)


def test_backward_twice_and_in_parts():
    def program(T):
        x = data(T, 4)
        y = module(T).checkpoint(lambda x: (x.sin().exp(), x.cos().exp()), x, use_reentrant=False)
        y[0].sum().backward(retain_graph=True)
        first = x.grad.clone()
        y[0].sum().backward()
        y[1].sum().backward()
        return first, x.grad

    same(program)


def test_backward_within_the_function():
    def program(T):
        def function(x):
            y = x.sin().exp()
            with T.enable_grad():
                (g,) = T.autograd.grad(y.sum(), x, retain_graph=True)
            return y * g.detach()

        x = data(T, 4)
        module(T).checkpoint(function, x, use_reentrant=False).sum().backward()
        return x.grad

    same(program)


def test_contexts_of_the_programs_own():
    def program(T):
        seen = []

        class Note:
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                seen.append(self.name)

            def __exit__(self, *error):
                seen.append("end of " + self.name)

        x = data(T, 4)
        y = module(T).checkpoint(
            lambda x: x.sin().exp(),
            x,
            use_reentrant=False,
            context_fn=lambda: (Note("first"), Note("second")),
        )
        y.sum().backward()
        return seen, x.grad

    same(program)


@FORMS
def test_without_gradients_it_is_a_call(reentrant):
    def program(T):
        with T.no_grad():
            return module(T).checkpoint(T.exp, data(T, 3), use_reentrant=reentrant)

    same(program)


@pytest.mark.parametrize("stop", [True, False])
@pytest.mark.parametrize("globally", [True, False])
def test_the_repetition_stops_early_if_it_may(stop, globally):
    def program(T):
        steps = []

        def function(x):
            y = x.sin()
            steps.append("sin")
            z = y.exp()
            steps.append("exp")
            return z + 1

        x = data(T, 4)
        if globally:
            with module(T).set_checkpoint_early_stop(stop):
                y = module(T).checkpoint(function, x, use_reentrant=False)
        else:
            y = module(T).checkpoint(function, x, use_reentrant=False, early_stop=stop)
        y.sum().backward()
        return steps, x.grad

    same(program)


# ---- errors ----


def counted(T, first, then, **options):
    """A function that computes something else the second time."""
    calls = []

    def function(x):
        calls.append(0)
        return (first if len(calls) == 1 else then)(x)

    x = data(T, 4)
    module(T).checkpoint(function, x, use_reentrant=False, **options).sum().backward()
    return x.grad


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (lambda x: x.sin().sin(), lambda x: x.sin()),
        (lambda x: x.sin(), lambda x: x[:2].sin()),
        (lambda x: x.sin(), lambda x: x.float().sin()),
    ],
)
def test_a_difference_is_an_error(first, then):
    wanted = seen(lambda T: counted(T, first, then), torch)
    assert wanted[0] == "CheckpointError"
    same(lambda T: counted(T, first, then))


def test_more_the_second_time_is_an_error():
    def program(T):
        return counted(T, lambda x: x.sin(), lambda x: x.sin().sin().sin(), early_stop=False)

    same(program)


def test_a_difference_that_is_not_looked_for():
    same(lambda T: counted(T, lambda x: x.sin(), lambda x: x.cos()))
    same(lambda T: counted(T, lambda x: x.sin(), lambda x: x.float().sin(), determinism_check="none"))


def test_debug_says_where():
    def function():
        counted(rushlight, lambda x: x.sin().sin(), lambda x: x.sin(), debug=True)

    with pytest.raises(RuntimeError, match=r"(?s)original forward.*test_checkpoint\.py.*recomputation"):
        function()
    with rushlight.utils.checkpoint.set_checkpoint_debug_enabled(True):
        with pytest.raises(RuntimeError, match=r"test_checkpoint\.py"):
            counted(rushlight, lambda x: x.sin().sin(), lambda x: x.sin())


@pytest.mark.parametrize(
    "options",
    [
        {"use_reentrant": True, "power": 3},
        {"use_reentrant": True, "debug": True},
        {"use_reentrant": True, "context_fn": lambda: None},
        {"use_reentrant": False, "determinism_check": "all"},
        {"use_reentrant": False, "debug": True, "context_fn": lambda: None},
    ],
)
def test_options_that_do_not_go_together(options):
    same(lambda T: module(T).checkpoint(lambda x, **k: x, data(T, 2), **options))


@pytest.mark.parametrize("end", ["grad", "inputs"])
def test_the_reentrant_form_wants_all_leaves(end):
    def program(T):
        x = data(T, 3)
        y = module(T).checkpoint(T.exp, x, use_reentrant=True).sum()
        return T.autograd.grad(y, x) if end == "grad" else y.backward(inputs=[x])

    same(program)


def test_the_reentrant_form_wants_something_to_differentiate():
    def program(T):
        x = data(T, 3)
        module(T).checkpoint(lambda x: x.detach().exp(), x, use_reentrant=True).sum().backward()

    same(program)


@FORMS
def test_an_error_inside_passes(reentrant):
    def program(T):
        module(T).checkpoint(lambda x: x @ x.new_ones(7), data(T, 3), use_reentrant=reentrant)

    same(program, text=False)


def test_a_context_that_swallows_an_error():
    def program(T):
        import contextlib

        def context():
            return contextlib.suppress(ValueError), contextlib.nullcontext()

        def function(x):
            raise ValueError

        module(T).checkpoint(function, data(T, 3), use_reentrant=False, context_fn=context)

    same(program)


def test_an_argument_that_was_overwritten():
    def program(T):
        x = data(T, 3) * 1
        y = module(T).checkpoint(T.exp, x, use_reentrant=False)
        x.zero_()
        y.sum().backward()

    wanted, found = seen(program, torch, False), seen(program, rushlight, False)
    assert found == wanted and wanted[0] == "RuntimeError"


def test_the_form_has_to_be_said():
    for T in (torch, rushlight):
        with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
            module(T).checkpoint(T.exp, data(T, 2))
        with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
            module(T).checkpoint_sequential([T.exp, T.sin], 2, data(T, 2))
        with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
            module(T).checkpoint(T.exp, data(T, 2, grad=False), use_reentrant=True)


def test_helpers():
    def program(T):
        c = module(T)
        parts = c.detach_variable((data(T, 2) * 1, 5, data(T, 2, grad=False)))
        return [getattr(p, "is_leaf", p) for p in parts], parts[0], c.detach_variable([1])

    same(program)


# ---- memory ----


@FORMS
def test_nothing_computed_inside_is_kept(reentrant):
    alive = []

    def function(x):
        y = x.sin()
        z = y.exp()
        alive.append(weakref.ref(rushlight.buffer.storage(y)))
        return z.square()

    x = data(rushlight, 50)
    out = rushlight.utils.checkpoint.checkpoint(function, x, use_reentrant=reentrant)
    gc.collect()
    assert alive[0]() is None
    out.sum().backward()
    gc.collect()
    assert len(alive) == 2 and alive[1]() is None
    expected = data(rushlight, 50)
    expected.sin().exp().square().sum().backward()
    assert rushlight.equal(x.grad, expected.grad)


def test_parts_are_freed_one_by_one_in_backward():
    """While one part's values are computed again, those of the part before are gone."""
    alive = []

    def part(x):
        assert not any(ref() is not None for ref in alive)
        y = x.sin()
        alive.append(weakref.ref(rushlight.buffer.storage(y)))
        return y.exp().square()

    y = data(rushlight, 20)
    for _ in range(4):
        y = rushlight.utils.checkpoint.checkpoint(part, y, use_reentrant=False)
    y.sum().backward()
    assert len(alive) == 8


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("enabled", [False, True])
def test_the_second_run_is_cast_as_the_first(enabled, reentrant):
    def program(T):
        x, w, seen = T.full((3, 3), 0.5, requires_grad=True), T.eye(3, requires_grad=True), []

        def function(x, w):
            y = T.mm(x, w)
            seen.append(str(y.dtype))
            return T.mm(y, w)

        with T.autocast("cpu", enabled=enabled, dtype=T.bfloat16):
            out = T.utils.checkpoint.checkpoint(function, x, w, use_reentrant=reentrant).float().sum()
        out.backward()
        return seen, x.grad, w.grad

    same(program)
