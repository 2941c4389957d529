"""Parameters that are joined to vectors or cut to pieces: every bit, version and state is as if each had been updated alone."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from test_optim import OPTIMIZERS

import rushlight
from rushlight import profiler
from rushlight.native import jit
from rushlight.optim import vectors
from rushlight.runtime import blas
from rushlight.runtime.deferral import TIER

KINDS = {
    "float64": ((3, 4), (4,), (), (1,), (0,), (2, 3, 2)),
    "float32": ((5,), (7, 3), (40, 1000), ()),
    "bfloat16": ((3,), (2, 2)),
    "complex64": ((2,),),
}


def params(T, kinds=KINDS):
    """Parameters of all types and shapes, with one that is not row-major and two that share memory."""
    rng = np.random.default_rng(0)
    made = [
        T.tensor(rng.standard_normal(shape).tolist(), dtype=getattr(T, kind)).requires_grad_()
        for kind, shapes in kinds.items()
        for shape in shapes
    ]
    shared = T.tensor(rng.standard_normal(6))
    turned = T.tensor(rng.standard_normal((3, 2))).t().detach().requires_grad_()
    return [*made, turned, shared[:4].detach().requires_grad_(), shared[2:].detach().requires_grad_()]


def give_gradients(T, ps, turn):
    rng = np.random.default_rng(turn)
    for at, p in enumerate(ps):
        g = T.tensor(rng.standard_normal(tuple(p.shape)).tolist()).to(p.dtype)
        p.grad = None if at % 3 == turn else g


def history(T, expression, steps=4, kinds=KINDS):
    """Everything that can be seen of some steps; some parameters have no gradient in some of them."""
    ps = params(T, kinds)
    optimizer = eval("O." + expression, {"O": T.optim, "T": T, "P": ps})
    seen = []
    for turn in range(steps):
        give_gradients(T, ps, turn)
        optimizer.step()
        if turn == 2:
            optimizer.load_state_dict(optimizer.state_dict())
        for p in ps:
            states = [t for t in optimizer.state.get(p, {}).values() if isinstance(t, T.Tensor)]
            seen += [(t.detach().clone(), t._version) for t in (p, *states)]
    return seen


def same_bits(x, y):
    x, y = (rushlight.atleast_1d(t).contiguous() for t in (x, y))
    return (
        x.dtype == y.dtype
        and x.shape == y.shape
        and rushlight.equal(x.view(rushlight.uint8), y.view(rushlight.uint8))
    )


ELEMENTWISE = [each for each in OPTIMIZERS if not each.startswith("LBFGS")]


@pytest.mark.parametrize("expression", ELEMENTWISE)
@pytest.mark.parametrize("loops", [True, False])
def test_joining_and_cutting_change_nothing(loops, expression, monkeypatch):
    """In loops of our own, as vectors and in pieces, or each alone."""
    monkeypatch.setattr(vectors, "PIECE", 1 << 12)
    monkeypatch.setattr(vectors, "FROM_SERIES", 1 if loops else 1 << 60)
    joined = history(rushlight, expression)
    monkeypatch.setattr(vectors, "_is_plain", lambda p, state: False)
    alone = history(rushlight, expression)
    assert len(joined) == len(alone)
    for (x, version), (y, expected) in zip(joined, alone):
        assert version == expected
        assert same_bits(x, y)


#: those whose update is no loop: it looks at elements, or starts a state
APART = ("Rprop", "Adafactor", "Muon", "SparseAdam")


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
@pytest.mark.parametrize("expression", [e for e in ELEMENTWISE if not e.startswith(APART)])
def test_a_step_is_one_loop_for_each_parameter(expression):
    ps = [rushlight.rand(n, requires_grad=True) for n in (3000, 1, 50_000, 300_000)]
    optimizer = eval("O." + expression, {"O": rushlight.optim, "T": rushlight, "P": ps})
    for _ in range(3):  # (what begins a state waits until the second step)
        for p in ps:
            p.grad = rushlight.rand(p.shape)
        with profiler.profile() as seen:
            optimizer.step()
    assert [(row.key, row.runs) for row in seen.key_averages()] == [("map update", 4)]


def test_a_gradient_may_be_the_parameter(monkeypatch):
    """Each statement sees what those before it wrote."""
    monkeypatch.setattr(vectors, "FROM_SERIES", 1)
    found = []
    for T in (torch, rushlight):
        p = T.ones(4, requires_grad=True)
        p.grad = p.detach()
        T.optim.AdamW([p], lr=0.1, weight_decay=0.5).step()
        found.append(p.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "expression", ["Adam(P, lr=0.1)", "SGD(P, lr=0.1, momentum=0.9)", "NAdam(P, lr=0.1)"]
)
def test_pytorch_agrees_on_every_type_and_shape(expression):
    kinds = {kind: shapes for kind, shapes in KINDS.items() if kind != "bfloat16"}
    for (x, _), (y, _) in zip(
        history(rushlight, expression, kinds=kinds), history(torch, expression, kinds=kinds)
    ):
        torch.testing.assert_close(torch.tensor(x.tolist()).to(y.dtype), y, equal_nan=True)


@pytest.mark.skipif(TIER == "jit", reason="loops of ours update the smallest parameters, too")
def test_what_is_joined_is_what_may_be():
    ps = params(rushlight)
    optimizer = rushlight.optim.Adam(ps, lr=0.1)
    give_gradients(rushlight, ps, 9)
    optimizer.step()
    plan = optimizer._plans[0]
    joined = [vector.members for group in plan.groups for vector in group.vectors]
    shapes = [[tuple(ps[at].shape) for at in members] for members in joined]
    assert shapes == [[(3, 4), (4,), (1,), (2, 3, 2)], [(5,), (7, 3)]]
    assert [tuple(ps[at].shape) for group in plan.groups for at in group.cut] == [(40, 1000)]
    assert len(plan.alone) == len(ps) - 7


def test_a_plan_is_kept_and_made_anew_when_it_must():
    ps = [rushlight.ones(3, requires_grad=True) for _ in range(3)]
    optimizer = rushlight.optim.Adam(ps, lr=0.1)

    def step():
        for p in ps:
            p.grad = rushlight.ones(3)
        optimizer.step()
        return optimizer._plans[0]

    plan = step()
    assert step() is plan and len(plan.groups) == 1
    ps[1].data = rushlight.zeros(3)
    assert step() is not plan
    optimizer.state[ps[0]]["step"] += 5  # its bias correction is now another's
    plan = step()
    assert [group.members for group in plan.groups] == [[0], [1, 2]]
    assert [optimizer.state[p]["step"].item() for p in ps] == [9, 4, 4]


def test_momentum_is_joined_once_it_is_there():
    ps = [rushlight.ones(3, requires_grad=True) for _ in range(3)]
    optimizer = rushlight.optim.SGD(ps, lr=0.1, momentum=0.9)
    joined = []
    for _ in range(3):
        for p in ps:
            p.grad = rushlight.ones(3)
        optimizer.step()
        joined.append([group.members for group in optimizer._plans[0].groups])
    assert joined == [[], [[0, 1, 2]], [[0, 1, 2]]]


def test_the_writer_is_the_program():
    ps = [rushlight.ones(3, requires_grad=True) for _ in range(3)]
    optimizer = rushlight.optim.SGD(ps, lr=0.1)
    loss = sum((p * p).sum() for p in ps)
    for p in ps:
        p.grad = rushlight.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"The last write to it was at .*test_optim_vectors\.py, line \d+"):
        loss.backward()


# ---- BLAS ----


def test_small_products_take_one_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(blas, "_threads", lambda: (4, asked.append))
    a = rushlight.ones(64, 64)
    a @ a
    assert asked == []
    a = rushlight.ones(
        128, 128, dtype=rushlight.complex64
    )  # (of real ones there is a kernel on some processors)
    assert (a @ a)[0, 0].item() == 128
    assert asked == [1, 4]
    a = rushlight.ones(8, 128, 128, dtype=rushlight.complex64)
    assert (a @ a)[7, 0, 0].item() == 128
    assert asked == [1, 4, 1, 4]
    a = rushlight.ones(256, 256, dtype=rushlight.complex64)
    a @ a
    assert len(asked) == 4


def test_the_number_of_threads_is_put_back_after_an_error(monkeypatch):
    asked = []
    monkeypatch.setattr(blas, "_threads", lambda: (4, asked.append))
    with pytest.raises(ZeroDivisionError):
        blas.multiplied(lambda: 1 / 0, 1 << 20)
    assert asked == [1, 4]


def test_openblas_is_found_where_numpy_has_it():
    count, change = blas._threads()
    assert count >= 1
    change(count)


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
@pytest.mark.parametrize("expression", ELEMENTWISE)
def test_an_update_that_was_noted_gives_the_bits_of_one_that_is_called(expression, monkeypatch):
    """Also when settings change, and when a state or the whole optimiser is put in its place."""

    def run():
        rng = np.random.default_rng(0)
        ps = [rushlight.tensor(rng.standard_normal(n), dtype=rushlight.float32) for n in (40, 2500)]
        ps = [p.requires_grad_() for p in ps]
        optimizer = eval("O." + expression, {"O": rushlight.optim, "T": rushlight, "P": ps})
        seen = []
        for turn in range(12):
            for p in ps:
                p.grad = rushlight.tensor(rng.standard_normal(p.shape), dtype=rushlight.float32)
            if turn in (4, 5, 9):
                for group in optimizer.param_groups:
                    if type(group["lr"]) is float:
                        group["lr"] *= 0.5
            if turn == 6:
                optimizer.load_state_dict(optimizer.state_dict())
            if turn == 7:
                ps, optimizer = copy.deepcopy((ps, optimizer))
            if turn == 8:
                ps, optimizer = pickle.loads(pickle.dumps((ps, optimizer)))
                for p in ps:
                    p.grad = rushlight.ones_like(p)
            optimizer.step()
            states = [t for p in ps for t in optimizer.state.get(p, {}).values()]
            seen += [t.detach().clone() for t in (*ps, *states) if isinstance(t, rushlight.Tensor)]
        return seen

    noted = run()
    monkeypatch.setattr(vectors.Group, "_noted", lambda self, update, settings: None)
    called = run()
    assert len(noted) == len(called)
    assert all(map(same_bits, noted, called))


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
@pytest.mark.parametrize(
    "expression, calls", [("Adam(P)", 1), ("SGD(P, lr=0.1)", 1), ("RAdam(P)", 0), ("NAdam(P)", 0)]
)
def test_what_is_noted(expression, calls, monkeypatch):
    """Updates that ask for nothing but the count of steps, to reckon with it; they are called once for their settings."""
    p = rushlight.ones(4000, requires_grad=True)
    optimizer = eval("O." + expression, {"O": rushlight.optim, "P": [p]})
    for _ in range(3):
        p.grad = rushlight.ones(4000)
        optimizer.step()
    (group,) = optimizer._plans[0].groups
    assert (group.noted[1] is not None) == bool(calls)
    settings, found = group.noted
    p.grad = rushlight.ones(4000)
    optimizer.step()
    assert group.noted[0] is settings and group.noted[1] is found
    optimizer.param_groups[0]["lr"] = 0.25
    p.grad = rushlight.ones(4000)
    optimizer.step()
    assert group.noted[0] is not settings


def turned(p):
    """A gradient that lies in columns."""
    return rushlight.rand(p.shape[::-1]).t()


#: what may happen between two steps
EVENTS = {
    "setting": lambda ps, optimizer: optimizer.param_groups[0].update(lr=0.3),
    "rate as a tensor": lambda ps, optimizer: optimizer.param_groups[0].update(lr=rushlight.tensor(0.25)),
    "no gradient": lambda ps, optimizer: setattr(ps[0], "grad", None),
    "gradient in columns": lambda ps, optimizer: setattr(ps[1], "grad", turned(ps[1])),
    "gradient shown elsewhere": lambda ps, optimizer: setattr(ps[0], "grad", rushlight.rand(9)[2:9]),
    "gradient with gaps": lambda ps, optimizer: setattr(ps[0], "grad", rushlight.rand(14)[::2]),
    "gradient expanded": lambda ps, optimizer: setattr(ps[0], "grad", rushlight.rand(1).expand(7)),
    "gradient is the parameter": lambda ps, optimizer: setattr(ps[0], "grad", ps[0].detach()),
    "gradient is another": lambda ps, optimizer: setattr(ps[0], "grad", ps[2].detach()),
    "other memory": lambda ps, optimizer: setattr(ps[0], "data", rushlight.ones(7)),
    "another parameter": lambda ps, optimizer: optimizer.param_groups[0]["params"].append(ps[3]),
    "a parameter less": lambda ps, optimizer: optimizer.param_groups[0]["params"].pop(),
    "others in their place": lambda ps, optimizer: optimizer.param_groups[0].update(params=ps[1:]),
    "a group more": lambda ps, optimizer: optimizer.add_param_group({"params": ps[3:], "lr": 0.5}),
    "written to": lambda ps, optimizer: ps[0].detach().mul_(2),
    "state forgotten": lambda ps, optimizer: optimizer.state.clear(),
    "state replaced": lambda ps, optimizer: optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict())),
    "count changed": lambda ps, optimizer: [
        state.update(step=state["step"] + 3)
        for state in list(optimizer.state.values())[:1]
        if "step" in state
    ],
    "count written to": lambda ps, optimizer: [
        state["step"].add_(3) for state in optimizer.state.values() if "step" in state
    ],
    "state written to": lambda ps, optimizer: [
        t.mul_(2) for state in optimizer.state.values() for t in state.values() if t is not None and t.ndim
    ],
    "nothing": lambda ps, optimizer: None,
}


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
@pytest.mark.parametrize(
    "expression",
    ["SGD(P, lr=0.1)", "SGD(P, lr=0.1, momentum=0.9, weight_decay=0.1, maximize=True)", "Adam(P, lr=0.1)"],
)
@pytest.mark.parametrize("event", EVENTS)
def test_a_step_like_the_one_before_gives_the_bits_of_one_that_is_planned(event, expression, monkeypatch):
    monkeypatch.setattr(vectors, "FROM_SERIES", 1)

    def run():
        rushlight.manual_seed(0)
        ps = [rushlight.rand(shape).requires_grad_() for shape in ((7,), (30, 50), (7,), (2,))]
        optimizer = eval("O." + expression, {"O": rushlight.optim, "P": ps[:3]})
        seen = []
        for turn in range(9):
            for p in ps:
                p.grad = rushlight.rand(p.shape) - 0.5
            if turn == 5:
                EVENTS[event](ps, optimizer)
            optimizer.step()
            states = [t for p in ps for t in optimizer.state.get(p, {}).values()]
            seen += [(t.detach().clone(), t._version) for t in (*ps, *states)]
        return seen

    steady = run()
    taken = []
    monkeypatch.setattr(vectors.Plan, "settle", lambda *_: taken.append(1))
    planned = run()
    assert taken and [version for _, version in steady] == [version for _, version in planned]
    assert all(same_bits(x, y) for (x, _), (y, _) in zip(steady, planned, strict=True))


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
def test_what_waits_for_a_parameter_is_computed_before_a_step_like_the_one_before():
    p = rushlight.ones(512, 512, requires_grad=True)
    optimizer = rushlight.optim.SGD([p], lr=1.0)
    for _ in range(3):
        p.grad = rushlight.ones(512, 512)
        optimizer.step()
    waits = p.detach() * 2 + 1
    p.grad = rushlight.ones(512, 512)
    optimizer.step()
    assert waits[0, 0] == -3 and p[0, 0] == -3


@pytest.mark.skipif(TIER != "auto" or not jit.available(), reason="there are always loops, or never")
def test_few_elements_are_loops_once_small_computations_are_written_down(monkeypatch):
    monkeypatch.setattr("rushlight.runtime.repeated.LEFT", [40])
    p = rushlight.ones(3, requires_grad=True)
    optimizer = rushlight.optim.SGD([p], lr=1.0)
    steady = []
    for _ in range(8):
        p.grad = rushlight.ones(3)
        optimizer.step()
        steady.append(optimizer._plans[0].steady is not None)
    assert steady == [False] * 4 + [True] * 4
    assert p.tolist() == [-7.0, -7.0, -7.0]


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops")
def test_how_a_step_is_taken_again_is_found_out_once(monkeypatch):
    """Not where settings change at every step, and not again where one gradient is of another form."""
    from rushlight.optim import steady

    monkeypatch.setattr(vectors, "FROM_SERIES", 1)
    made = []
    make = steady.steady
    monkeypatch.setattr(steady, "steady", lambda *args: made.append(1) or make(*args))
    p = rushlight.ones(6, requires_grad=True)
    optimizer = rushlight.optim.SGD([p], lr=1.0)

    def step(grad):
        p.grad = grad
        optimizer.step()

    for rate in range(6):
        optimizer.param_groups[0]["lr"] = 0.5**rate
        step(rushlight.ones(6))
    assert not made
    for _ in range(3):
        step(rushlight.ones(6))
        step(rushlight.ones(12)[::2])
    assert made == [1]
