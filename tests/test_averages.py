"""Adafactor and Muon, and averages of models, against PyTorch, step by step."""

import warnings

import numpy as np
import pytest
import torch
from both import same

import rushlight
import rushlight.optim

rng = np.random.default_rng(0)
FIRST = [rng.standard_normal(shape) for shape in ((6, 4), (4,), (2, 3, 5), ())]
X = rng.standard_normal((8, 6))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.3, "weight_decay": 0.1},
        {"lr": 0.1, "eps": (1e-3, 1e-2), "d": 2.0, "beta2_decay": -0.5},
        {"maximize": True},
    ],
)
def test_adafactor(options):
    def run(T):
        params = [T.tensor(a).requires_grad_() for a in FIRST]
        optimizer = T.optim.Adafactor(params, **options)
        for _ in range(6):
            optimizer.zero_grad()
            sum((p.sin() * p).sum() for p in params).backward()
            optimizer.step()
        state = optimizer.state_dict()["state"]
        return params, [list(s) for s in state.values()], list(optimizer.defaults)

    same(run)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.1, "momentum": 0.5, "nesterov": False},
        {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3, "weight_decay": 0.0},
        {"adjust_lr_fn": "original"},
    ],
)
def test_muon(options):
    """The iteration runs in bfloat16, whose products PyTorch adds in another order.

    The entries of an update, a nearly orthogonal matrix, are about 1 at most and come of 5 steps of 3 products: 15 roundings to
    8 bits, each off by up to 2^-9, are 0.03 for each of the 4 updates.
    """
    found = []
    for T in (torch, rushlight):
        params = [T.tensor(a).requires_grad_() for a in (FIRST[0], FIRST[0].T.copy())]
        optimizer = T.optim.Muon(params, **options)
        for _ in range(4):
            optimizer.zero_grad()
            sum((p.sin() * p).sum() for p in params).backward()
            optimizer.step()
        found.append(np.concatenate([p.detach().numpy().ravel() for p in params]))
    rate = options.get("lr", 1e-3)
    np.testing.assert_allclose(found[1], found[0], atol=4 * rate * 0.03)


ERRORS = [
    "Adafactor([p], lr=-1.)",
    "Adafactor([p], beta2_decay=1)",
    "Adafactor([p], eps=(-1, 1))",
    "Adafactor([p], eps=(None, -1))",
    "Adafactor([p], d=.5)",
    "Adafactor([p], weight_decay=-1)",
    "Muon([p.sum()])",
    "Muon([p], lr=-1)",
    "Muon([p], momentum=-1)",
    "Muon([p], weight_decay=-1)",
    "Muon([p], adjust_lr_fn='x')",
    "swa_utils.get_ema_avg_fn(2)",
    "swa_utils.SWALR(SGD([p]), 1., anneal_strategy='x')",
    "swa_utils.SWALR(SGD([p]), 1., anneal_epochs=-1)",
]


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression):
    same(
        lambda T: eval(
            "O." + expression.replace("SGD", "O.SGD"), {"O": T.optim, "p": T.ones(2, 2).requires_grad_()}
        )
    )


def network(T):
    T.manual_seed(0)
    return T.nn.Sequential(T.nn.Linear(6, 4), T.nn.BatchNorm1d(4), T.nn.Linear(4, 1)).double()


AVERAGES = {
    "mean": lambda S: {},
    "mean of lists": lambda S: {"multi_avg_fn": S.get_swa_multi_avg_fn()},
    "exponential": lambda S: {"avg_fn": S.get_ema_avg_fn(0.9)},
    "exponential of lists": lambda S: {"multi_avg_fn": S.get_ema_multi_avg_fn(0.9)},
    "with buffers": lambda S: {"multi_avg_fn": S.get_ema_multi_avg_fn(0.9), "use_buffers": True},
    "mean with buffers": lambda S: {"use_buffers": True},
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averaged_model(name):
    def run(T):
        from importlib import import_module

        S = import_module(f"{T.__name__}.optim.swa_utils")
        model = network(T)
        averaged = S.AveragedModel(model, **AVERAGES[name](S))
        optimizer = T.optim.SGD(model.parameters(), 0.1)
        schedule = S.SWALR(optimizer, swa_lr=0.05, anneal_epochs=3, anneal_strategy="linear")
        rates = []
        for _ in range(5):
            optimizer.zero_grad()
            model(T.tensor(X)).square().mean().backward()
            optimizer.step()
            averaged.update_parameters(model)
            schedule.step()
            rates.append(schedule.get_last_lr())
        S.update_bn([T.tensor(X[:4]), (T.tensor(X[4:]), 0)], averaged)
        return averaged.state_dict(), averaged(T.tensor(X)), rates, averaged.training

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        same(run)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 4])
def test_swa_rates(strategy, epochs):
    def run(T):
        from importlib import import_module

        S = import_module(f"{T.__name__}.optim.swa_utils")
        a, b = T.zeros(1).requires_grad_(), T.zeros(1).requires_grad_()
        optimizer = T.optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.1)
        schedule = S.SWALR(optimizer, [0.05, 0.2], epochs, strategy)
        rates = []
        for _ in range(7):
            optimizer.step()
            schedule.step()
            rates.append([group["lr"] for group in optimizer.param_groups])
        return rates

    same(run)
