"""Optimisers and schedules against live PyTorch, step by step in float64."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from both import same

import rushlight
import rushlight.nn
import rushlight.optim

OPTIMIZERS = [
    "SGD(P, lr=0.1)",
    "SGD(P, lr=0.1, momentum=0.9)",
    "SGD(P, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)",
    "SGD(P, lr=0.01, momentum=0.9, dampening=0.3, maximize=True)",
    "SGD(P, lr=T.tensor(0.1))",
    "Adam(P, lr=0.1)",
    "Adam(P, lr=0.1, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, amsgrad=True)",
    "Adam(P, lr=0.1, maximize=True, decoupled_weight_decay=True, weight_decay=0.1)",
    "AdamW(P, lr=0.1)",
    "AdamW(P, lr=0.1, amsgrad=True, weight_decay=0.3)",
    "Adamax(P, lr=0.1, weight_decay=0.1)",
    "NAdam(P, lr=0.1)",
    "NAdam(P, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)",
    "NAdam(P, lr=0.1, weight_decay=0.1, momentum_decay=0.1)",
    "RAdam(P, lr=0.1)",
    "RAdam(P, lr=0.1, betas=(0.9, 0.7), weight_decay=0.1)",
    "RMSprop(P)",
    "RMSprop(P, lr=0.1, alpha=0.9, momentum=0.5, centered=True, weight_decay=0.1)",
    "Adagrad(P, lr=0.1)",
    "Adagrad(P, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.2)",
    "Adadelta(P, lr=0.5)",
    "Adadelta(P, rho=0.5, eps=1e-3, weight_decay=0.1, maximize=True)",
    "ASGD(P, lr=0.1, weight_decay=0.1)",
    "ASGD(P, lr=0.1, lambd=0.1, alpha=0.5, t0=5)",
    "Rprop(P, lr=0.1)",
    "Rprop(P, lr=0.1, etas=(0.3, 1.5), step_sizes=(1e-3, 0.2), maximize=True)",
    "LBFGS(P)",
    "LBFGS(P, lr=0.5, max_iter=4, history_size=2)",
    "LBFGS(P, max_iter=6, line_search_fn='strong_wolfe')",
    "LBFGS(P, max_iter=15, lr=5.0, line_search_fn='strong_wolfe')",
    "SGD([{'params': P[:2], 'lr': 0.5}, {'params': P[2:]}], lr=0.1, momentum=0.5)",
]

rng = np.random.default_rng(0)
X, Y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
FIRST = [rng.standard_normal(shape) for shape in ((3, 4), (4,), (4, 2), (2,))]


class Training:
    """A small network in float64 and its optimiser, on one of the libraries."""

    def __init__(self, T: Any, expression: str) -> None:
        self.T = T
        self.x, self.y = T.tensor(X), T.tensor(Y)
        self.params = [T.tensor(a).requires_grad_() for a in FIRST]
        self.optimizer = self.make(expression)

    def make(self, expression: str, **names: Any) -> Any:
        return eval("O." + expression, {"O": self.T.optim, "T": self.T, "P": self.params, **names})

    def closure(self) -> Any:
        self.optimizer.zero_grad()
        a, b, c, d = self.params
        loss = (((self.x @ a + b).tanh() @ c + d - self.y) ** 2).mean() + (c**4).sum() * 0.01
        loss.backward()
        return loss

    def step(self) -> float:
        return self.optimizer.step(self.closure).item()

    def values(self) -> list:
        return [p.detach().numpy() for p in self.params]


def flat(value: Any) -> Any:
    """A state with its tensors as lists."""
    if isinstance(value, dict):
        return {key: flat(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [flat(inner) for inner in value]
    return np.asarray(value.tolist()) if isinstance(value, (torch.Tensor, rushlight.Tensor)) else value


def close(wanted: Any, found: Any, tolerance: float = 1e-10) -> None:
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            close(wanted[key], found[key], tolerance)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for a, b in zip(wanted, found):
            close(a, b, tolerance)
    elif isinstance(wanted, (float, np.ndarray)):
        np.testing.assert_allclose(found, wanted, tolerance, tolerance)
    else:
        assert found == wanted


@pytest.mark.parametrize("expression", OPTIMIZERS)
def test_steps(expression: str) -> None:
    theirs, ours = Training(torch, expression), Training(rushlight, expression)
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    tolerance = 1e-5 if "LBFGS" in expression else 1e-12
    for at in range(20):
        np.testing.assert_allclose(ours.step(), theirs.step(), tolerance, tolerance)
        for wanted, found in zip(theirs.values(), ours.values()):
            np.testing.assert_allclose(found, wanted, tolerance, tolerance, err_msg=f"step {at}")
    if "LBFGS" in expression:
        assert set(ours.optimizer.state_dict()["state"][0]) == set(theirs.optimizer.state_dict()["state"][0])
        return
    close(flat(theirs.optimizer.state_dict()), flat(ours.optimizer.state_dict()), 1e-6)


@pytest.mark.parametrize("expression", [e for e in OPTIMIZERS if "LBFGS" not in e])
def test_state_continues(expression: str) -> None:
    """Loading a state, and copying or pickling an optimiser, goes on as if nothing had happened."""
    first = Training(rushlight, expression)
    for _ in range(3):
        first.step()
    second = Training(rushlight, expression)
    for p, q in zip(second.params, first.params):
        p.data.copy_(q.data)
    second.optimizer.load_state_dict(pickle.loads(pickle.dumps(first.optimizer.state_dict())))
    third = Training(rushlight, expression)
    third.params, third.optimizer = copy.deepcopy((first.params, first.optimizer))
    for training in (first, second, third):
        for _ in range(3):
            training.step()
    for training in (second, third):
        for a, b in zip(first.values(), training.values()):
            np.testing.assert_allclose(a, b, 1e-6, 1e-7)  # some scalars are float32 until they are loaded


def momentum_begins(T: Any, w: Any, o: Any) -> None:
    o.param_groups[0]["momentum"] = 0.9


def momentum_ends(T: Any, w: Any, o: Any) -> None:
    o.param_groups[0]["momentum"] = 0


def start_again(T: Any, w: Any, o: Any) -> None:
    o.load_state_dict(T.optim.SGD([w], lr=0.1, momentum=0.9).state_dict())


@pytest.mark.parametrize("change", [momentum_begins, momentum_ends, start_again])
@pytest.mark.parametrize("momentum", [0, 0.5])
@pytest.mark.parametrize("size", [2, 100_000])
def test_settings_that_change_what_is_held(change: Any, momentum: float, size: int) -> None:
    def program(T: Any) -> Any:
        w = T.nn.Parameter(T.arange(size, dtype=T.float64))
        o = T.optim.SGD([w], lr=0.1, momentum=momentum)
        w.grad = T.ones(size, dtype=T.float64)
        o.step()
        o.step()
        change(T, w, o)
        o.step()
        o.step()
        return w.data[-3:], [t[-3:] for s in o.state.values() for t in s.values() if t is not None]

    same(program)


def test_float32() -> None:
    """In float32 the commonest ones agree to the last bit or two after ten steps; PyTorch contracts some products."""
    for expression in ("SGD([w], 0.1, 0.9)", "Adam([w], 0.1)", "AdamW([w], 0.1)"):
        seen = []
        for T in (torch, rushlight):
            w = T.tensor(FIRST[0].astype(np.float32)).requires_grad_()
            optimizer = eval("T.optim." + expression, {"T": T, "w": w})
            for _ in range(10):
                optimizer.zero_grad()
                (w * w * 0.5).sum().backward()
                optimizer.step()
            seen.append(w.tolist())
        np.testing.assert_allclose(seen[1], seen[0], 3e-7, 1e-7, err_msg=expression)


def test_complex() -> None:
    """Complex parameters are optimised as their real and imaginary parts."""
    for expression in OPTIMIZERS[:-1]:
        if "maximize" in expression or "LBFGS" in expression:
            continue
        seen = []
        for T in (torch, rushlight):
            w = T.tensor([1 + 2j, -0.5j, 3.0]).to(T.complex128).requires_grad_()
            optimizer = eval("T.optim." + expression, {"T": T, "P": [w]})
            for _ in range(5):
                optimizer.zero_grad()
                ((w - 1j).abs() ** 2).sum().backward()
                optimizer.step()
            seen.append(w.detach().numpy())
        np.testing.assert_allclose(seen[1], seen[0], 1e-11, 1e-11, err_msg=expression)


ERRORS = """
SGD([], lr=.1)
SGD(p, lr=.1)
SGD([p], lr=-1)
SGD([p], lr=.1, momentum=-1)
SGD([p], lr=.1, weight_decay=-1)
SGD([p], lr=.1, nesterov=True)
SGD([3])
SGD([p * 2])
SGD([{'params': p}, {'params': [p]}])
SGD([{'params': {p}}])
SGD({p})
SGD([{'lr': 3}])
SGD({'a': 1})
SGD([p]).add_param_group(3)
SGD([p]).load_state_dict({'param_groups': [], 'state': {}})
SGD([p]).load_state_dict({'param_groups': [{'params': [0, 1]}], 'state': {}})
Adam([p], lr=-1)
Adam([p], eps=-1)
Adam([p], betas=(1.0, .5))
Adam([p], betas=(.5, 1.0))
Adam([p], weight_decay=-1)
Adamax([p], betas=(.5, 1.0))
NAdam([p], momentum_decay=-1)
RAdam([p], eps=-1)
RMSprop([p], alpha=-1)
RMSprop([p], momentum=-1)
Adagrad([p], lr_decay=-1)
Adagrad([p], initial_accumulator_value=-1)
Adadelta([p], rho=2)
ASGD([p], weight_decay=-1)
Rprop([p], etas=(2, 3))
Adam([p], foreach=True, fused=True)
Adam([p], lr=T.tensor(.1), foreach=True)
SGD([p], lr=T.ones(2))
LBFGS([{'params': [p]}, {'params': [q]}])
Adam([('a', p), q])
Adam([('a', p)]).state_dict()
SGD([p]).state_dict()
SGD([p, q]).param_groups[0]['lr']
lr_scheduler.StepLR(3, 2)
lr_scheduler.StepLR(O.SGD([p]), 2, last_epoch=3)
lr_scheduler.OneCycleLR(O.SGD([p]), .5)
lr_scheduler.OneCycleLR(O.SGD([p]), .5, total_steps=-1)
lr_scheduler.OneCycleLR(O.SGD([p]), .5, epochs=-1, steps_per_epoch=2)
lr_scheduler.OneCycleLR(O.SGD([p]), .5, 3, pct_start=3.)
lr_scheduler.OneCycleLR(O.SGD([p]), .5, 3, anneal_strategy='f')
lr_scheduler.OneCycleLR(O.Adagrad([p]), .5, 3)
lr_scheduler.CyclicLR(O.Adagrad([p]), .1, .5)
lr_scheduler.CyclicLR(O.SGD([p]), .1, .5, mode='foo')
lr_scheduler.CyclicLR(O.SGD([p]), [.1, .1], .5)
lr_scheduler.LinearLR(O.SGD([p]), start_factor=2)
lr_scheduler.LinearLR(O.SGD([p]), end_factor=2)
lr_scheduler.ConstantLR(O.SGD([p]), 3)
lr_scheduler.LambdaLR(O.SGD([p]), [1, 2])
lr_scheduler.SequentialLR(O.SGD([p]), [], [])
lr_scheduler.SequentialLR(s.optimizer, [s], [1])
lr_scheduler.SequentialLR(s.optimizer, [s, O.lr_scheduler.StepLR(O.SGD([p]), 1)], [1])
lr_scheduler.ChainedScheduler([])
lr_scheduler.ReduceLROnPlateau(O.SGD([p]), factor=1)
lr_scheduler.ReduceLROnPlateau(O.SGD([p]), mode='f')
lr_scheduler.ReduceLROnPlateau(O.SGD([p]), threshold_mode='f')
lr_scheduler.ReduceLROnPlateau(O.SGD([p]), min_lr=[1, 2])
lr_scheduler.CosineAnnealingWarmRestarts(O.SGD([p]), 0)
lr_scheduler.CosineAnnealingWarmRestarts(O.SGD([p]), 1, 0)
lr_scheduler.CosineAnnealingWarmRestarts(O.SGD([p]), 1).step(-1)
""".strip().splitlines()


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression: str) -> None:
    def program(T: Any) -> Any:
        p, q = T.ones(2, requires_grad=True), T.ones(1, requires_grad=True)
        s = T.optim.lr_scheduler.StepLR(T.optim.SGD([p]), 1)
        return eval("O." + expression, {"O": T.optim, "T": T, "p": p, "q": q, "s": s})

    same(program)


# ---- schedules ----

SCHEDULES = [
    "StepLR(o, 3)",
    "StepLR(o, 2, 0.5)",
    "MultiStepLR(o, [2, 5, 5, 7], 0.3)",
    "ExponentialLR(o, 0.8)",
    "ConstantLR(o)",
    "ConstantLR(o, 0.1, 3)",
    "LinearLR(o)",
    "LinearLR(o, 0.5, 0.1, 7)",
    "PolynomialLR(o, 6, 2.0)",
    "CosineAnnealingLR(o, 4)",
    "CosineAnnealingLR(o, 5, 0.01)",
    "CosineAnnealingWarmRestarts(o, 3)",
    "CosineAnnealingWarmRestarts(o, 2, 2, 0.01)",
    "LambdaLR(o, lambda e: 0.9 ** e)",
    "LambdaLR(o, [lambda e: 0.9 ** e, lambda e: e])",
    "MultiplicativeLR(o, lambda e: 0.9 + e / 100)",
    "OneCycleLR(o, 0.5, 20)",
    "OneCycleLR(o, [0.5, 0.3], epochs=5, steps_per_epoch=4, anneal_strategy='linear', three_phase=True)",
    "OneCycleLR(o, 0.5, 18, cycle_momentum=False, pct_start=0.5)",
    "CyclicLR(o, 0.1, 0.5, 3)",
    "CyclicLR(o, 0.1, [0.5, 0.4], 3, 2, mode='triangular2')",
    "CyclicLR(o, 0.1, 0.5, 3, mode='exp_range', gamma=0.9, cycle_momentum=False)",
    "CyclicLR(o, 0.1, 0.5, 3, scale_fn=lambda x: 1 / x, scale_mode='cycle')",
    "SequentialLR(o, [L.ConstantLR(o, 0.1, 2), L.ExponentialLR(o, 0.9)], [4])",
    "SequentialLR(o, [L.LinearLR(o, 0.1, total_iters=3), L.CosineAnnealingLR(o, 5), L.StepLR(o, 2)], [3, 9])",
    "ChainedScheduler([L.ConstantLR(o, 0.1, 2), L.ExponentialLR(o, 0.9)])",
    "ReduceLROnPlateau(o, patience=1)",
    "ReduceLROnPlateau(o, 'max', 0.5, 0, 0.1, 'abs', 2, [0.01, 0.02])",
]
OF = [
    "SGD([{'params': [p]}, {'params': [q], 'lr': 0.3}], lr=0.1, momentum=0.5)",
    "Adam([{'params': [p]}, {'params': [q], 'lr': T.tensor(0.3)}], lr=0.1)",
]


def rates(T: Any, of: str, expression: str, jumps: bool = False) -> list:
    names = {
        "T": T,
        "p": T.ones(2, requires_grad=True),
        "q": T.ones(1, requires_grad=True),
        "L": T.optim.lr_scheduler,
    }
    names["o"] = optimizer = eval("T.optim." + of, names)
    scheduler = eval("L." + expression, names)
    metrics = [5, 4, 4.5, 4.2, 4.1, 4, 3.9999, 3, 3, 3, 3, 3.1, 3.2, 2, 2, 2, 2, 2]
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at in range(18):
            optimizer.step()
            group = [
                {n: flat(g[n]) for n in ("lr", "initial_lr", "momentum", "betas") if n in g}
                for g in optimizer.param_groups
            ]
            last = [float(rate) for rate in scheduler.get_last_lr()]
            seen.append([group, last, flat(saved(scheduler))])
            if "Plateau" in expression:
                scheduler.step(metrics[at])
            elif jumps and at % 4 == 3:
                scheduler.step(at // 2)
            else:
                scheduler.step()
            if at == 9:
                scheduler.load_state_dict(copy.deepcopy(saved(scheduler)))
    return seen


def saved(scheduler: Any) -> dict:
    return scheduler.state_dict()


@pytest.mark.parametrize("of", OF)
@pytest.mark.parametrize("expression", SCHEDULES)
def test_schedule(expression: str, of: str) -> None:
    close(rates(torch, of, expression), rates(rushlight, of, expression), 1e-6 if "tensor" in of else 1e-14)


@pytest.mark.parametrize(
    "expression",
    [
        e
        for e in SCHEDULES
        if e.split("LR")[0]
        in ("Step", "MultiStep", "Exponential", "Constant", "Linear", "Polynomial", "CosineAnnealing")
        or "Warm" in e
    ],
)
def test_schedule_by_epoch(expression: str) -> None:
    close(rates(torch, OF[0], expression, True), rates(rushlight, OF[0], expression, True), 1e-14)


def test_warnings() -> None:
    def program(T: Any) -> list:
        o = T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.1)
        s = T.optim.lr_scheduler.StepLR(o, 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            s.step()
            s.step(3)
            s.get_lr()
            o.add_param_group({"params": [T.ones(1, requires_grad=True)]})
        return [[str(w.message), w.category.__name__] for w in caught]

    assert program(rushlight) == program(torch)


def test_hooks() -> None:
    def program(T: Any) -> list:
        seen = []
        o = T.optim.SGD([T.ones(1, requires_grad=True)], lr=0.1)
        o.register_step_pre_hook(lambda *a: seen.append("before"))
        after = o.register_step_post_hook(lambda *a: seen.append("after"))
        o.register_state_dict_pre_hook(lambda o: seen.append("saving"))
        o.register_state_dict_post_hook(lambda o, d: {**d, "more": 1})
        o.register_load_state_dict_pre_hook(lambda o, d: seen.append(sorted(d)))
        o.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
        o.step()
        after.remove()
        o.step()
        o.load_state_dict(o.state_dict())
        return seen

    assert program(rushlight) == program(torch)


# ---- settings ----


@pytest.mark.parametrize(
    "name",
    ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "ASGD", "RMSprop", "Rprop", "Adagrad", "Adadelta"],
)
def test_rate_as_a_tensor_with_foreach(name: str) -> None:
    def program(T: Any) -> Any:
        p = T.nn.Parameter(T.ones(2, 2))
        optimizer = getattr(T.optim, name)([p], lr=T.tensor(0.125), foreach=True)
        (p * p).sum().backward()
        optimizer.step()
        return p.detach()

    same(program)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(
    "betas", [(0.5, 0.75), (0, 0.5), (0.5, "tensor"), ("tensor", "tensor"), ("row", "row"), ("two", "tensor")]
)
def test_betas_are_of_one_kind(name: str, foreach: bool, betas: tuple) -> None:
    def program(T: Any) -> Any:
        made = {"tensor": T.tensor(0.5), "row": T.tensor([0.5]), "two": T.tensor([0.5, 0.5])}
        p = T.nn.Parameter(T.ones(2, 2))
        optimizer = getattr(T.optim, name)(
            [p], betas=tuple(made.get(beta, beta) for beta in betas), foreach=foreach
        )
        (p * p).sum().backward()
        optimizer.step()
        return p.detach(), str(optimizer)

    same(program)


def test_fused_takes_real_parameters_only() -> None:
    def program(T: Any, name: str) -> Any:
        p = T.nn.Parameter(T.ones(2) * 1j)
        optimizer = getattr(T.optim, name)([p], fused=True)
        p.abs().sum().backward()
        optimizer.step()

    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        same(lambda T, name=name: program(T, name))


def test_groups_have_names_or_not() -> None:
    def program(T: Any, named_first: bool) -> Any:
        plain, named = {"params": [T.nn.Parameter(T.ones(1))]}, {"params": [("w", T.nn.Parameter(T.ones(1)))]}
        return T.optim.SGD([named, plain] if named_first else [plain, named])

    same(lambda T: program(T, True))
    same(lambda T: program(T, False))


@pytest.mark.parametrize("make", ["plateau", "chained", "sequential"])
def test_the_last_rate_is_no_alias(make: str) -> None:
    def program(T: Any) -> Any:
        optimizer = T.optim.SGD([T.nn.Parameter(T.ones(1))], lr=T.tensor(1.0))
        S = T.optim.lr_scheduler
        scheduler = {
            "plateau": lambda: S.ReduceLROnPlateau(optimizer, patience=0),
            "chained": lambda: S.ChainedScheduler([S.ExponentialLR(optimizer, 0.5)]),
            "sequential": lambda: S.SequentialLR(
                optimizer, [S.ConstantLR(optimizer, 0.5, 2), S.ExponentialLR(optimizer, 0.5)], [1]
            ),
        }[make]()
        seen = []
        for step in range(4):
            optimizer.step()
            scheduler.step(*[float(step)][: make == "plateau"])
            seen.append(scheduler.get_last_lr())
        return seen

    same(program)


@pytest.mark.parametrize(
    "name, options",
    [
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.2, "base_momentum": 0.8, "max_momentum": 0.9}),
        ("OneCycleLR", {"max_lr": 0.1, "total_steps": 10, "base_momentum": 0.85, "max_momentum": 0.95}),
        ("SWALR", {"swa_lr": 0.05}),
    ],
)
def test_schedules_keep_numbers_of_their_own(name, options):
    def program(T):
        home = T.optim.swa_utils if name == "SWALR" else T.optim.lr_scheduler
        given = {
            key: T.tensor(value) if isinstance(value, float) else value for key, value in options.items()
        }
        optimizer = T.optim.SGD([T.nn.Parameter(T.zeros(1))], lr=T.tensor(0.1), momentum=0.5)
        scheduler = getattr(home, name)(optimizer, **given)
        for value in given.values():
            if isinstance(value, T.Tensor):
                value.mul_(0.5)
        rows = []
        for _ in range(3):
            optimizer.step()
            scheduler.step()
            rows.append(
                [
                    round(float(v), 5)
                    for k, v in sorted(optimizer.param_groups[0].items())
                    if "lr" in k or "mom" in k
                ]
            )
        return rows

    same(program)
