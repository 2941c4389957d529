"""Overflow, division by zero and invalid values are results here, not news: no warning of NumPy's reaches the user."""

from __future__ import annotations

import itertools
import operator
import threading
import warnings

import numpy as np
import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import rushlight as T
from rushlight.runtime import execute

#: what spoils arithmetic: too much, too little, nothing at all and no number; and numbers in between
SPOILT = (np.inf, 1.0, -np.inf, 0.0, np.nan, -1.0, 3e38, -0.0, 1e-45, -3e38, 0.5, 700.0)
#: sample inputs of an operation that are tried in each type
SAMPLES = 2


def spoilt(t, first):
    """A tensor of Rushlight's like one of PyTorch's, with values that spoil arithmetic in place of numbers."""
    a = t.detach().resolve_conj().resolve_neg().numpy().copy()
    if a.dtype.kind in "fc":
        values = itertools.islice(
            itertools.cycle(SPOILT), first, first + (1 + (a.dtype.kind == "c")) * a.size
        )
        with np.errstate(all="ignore"):
            filled = np.array(list(values)).astype(a.real.dtype)
        a = np.ascontiguousarray(filled).view(a.dtype).reshape(a.shape)
    return T.from_numpy(a).requires_grad_(t.requires_grad)


def mapped(value, first):
    if isinstance(value, torch.Tensor):
        return spoilt(value, first)
    if isinstance(value, torch.dtype):
        return getattr(T, str(value).removeprefix("torch."))
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(part, first) for part in value)
    if isinstance(value, dict):
        return {key: mapped(part, first) for key, part in value.items()}
    return value


def operation(name):
    """Rushlight's function of PyTorch's name, or its method, if it has one."""
    for place in (T, T.Tensor):
        for part in name.split("."):
            place = getattr(place, part, None)
        if callable(place):
            return place
    return None


def samples(info):
    """A few of PyTorch's sample inputs, in single precision, complex and half."""
    for kind in (torch.float32, torch.complex64, torch.float16):
        if kind in info.dtypes:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = list(info.sample_inputs("cpu", kind, requires_grad=info.supports_autograd))
            yield from found[:: -(-len(found) // SAMPLES)]


def backward(made):
    for out in made if isinstance(made, (list, tuple)) else [made]:
        if isinstance(out, T.Tensor) and out.requires_grad:
            out.backward(T.full_like(out, 3e4), retain_graph=True)


def attempt(function, *args, **kwargs):
    """The result, or None where there is an error."""
    try:
        return function(*args, **kwargs)
    except Exception:
        return None


@pytest.fixture(autouse=True)
def silence():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    assert not [str(w) for w in seen if issubclass(w.category, RuntimeWarning)]


OPERATIONS = {}
for _info in op_db:
    if operation(_info.name) is not None and not _info.name.startswith(
        "sparse."
    ):  # (of layouts that are not here)
        OPERATIONS.setdefault(_info.name, []).append(_info)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_nothing_of_values_that_are_no_numbers(name):
    function = operation(name)
    for info in OPERATIONS[name]:
        for n, sample in enumerate(samples(info)):
            first = 5 * n % len(SPOILT)
            args = mapped([sample.input, *sample.args], first)
            made = attempt(function, *args, **mapped(sample.kwargs, first))
            attempt(backward, made)


PRODUCTS = {
    "mm": lambda x: T.mm(x, x) + x @ x.T,
    "mv": lambda x: T.mv(x, x[0]) + x @ x[0],
    "dot": lambda x: T.dot(x[0], x[1]) + x[0] @ x[1] + T.vdot(x[0], x[1]),
    "bmm": lambda x: x.expand(2, *x.shape) @ x.expand(2, *x.shape),
    "fold": lambda x: x.expand(2, *x.shape) @ x,
    "addmm": lambda x: T.addmm(x, x, x),
    "inner": lambda x: T.inner(x, x) + T.tensordot(x, x, 1),
    "linear": lambda x: T.nn.functional.linear(x, x, x[0]),
    "einsum": lambda x: T.einsum("ij,jk->ik", x, x),
}


@pytest.mark.parametrize("size", [3, 40, 300])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_say_nothing(name, size):
    for first in range(0, len(SPOILT), 5):
        x = spoilt(torch.ones(size, size), first).requires_grad_()
        backward(PRODUCTS[name](x))


def test_products_say_nothing_while_another_thread_computes():
    """The context in which NumPy is silent is one thread's at a time; the others find another way."""
    x = spoilt(torch.ones(3, 3), 0)
    results = []

    def inside():
        results.extend(PRODUCTS[name](x) for name in PRODUCTS)

    def hold():
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()

    execute.quiet(hold)
    for name, made in zip(PRODUCTS, results, strict=True):
        assert T.equal(made.isnan(), PRODUCTS[name](x).isnan())


@pytest.mark.parametrize(
    "name", "SGD Adam AdamW NAdam RAdam Adamax RMSprop Adagrad Adadelta Rprop ASGD".split()
)
def test_optimizers_say_nothing(name):
    for size in (12, 3000):
        parameters = [spoilt(torch.ones(size), 0).requires_grad_() for _ in range(3)]
        optimizer = getattr(T.optim, name)(parameters, lr=0.1)
        for step in range(3):
            for p in parameters:
                p.grad = spoilt(torch.ones(size), 5 * step % len(SPOILT))
            attempt(optimizer.step)


@pytest.mark.parametrize("kind", [T.float16, T.bfloat16, T.float32])
@pytest.mark.parametrize("recorded", [False, True])
def test_numbers_that_a_type_cannot_hold(kind, recorded):
    x = T.ones(3, dtype=kind, requires_grad=recorded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for value, op in itertools.product(
            (1e6, -1e39, 1e300, 10**6), (operator.mul, operator.add, operator.sub, operator.truediv)
        ):
            expected = op(torch.ones(3, dtype=getattr(torch, str(kind).split(".")[1])), value)
            np.testing.assert_array_equal(op(x, value).detach().tolist(), expected.tolist())
