"""Calls with the factors in front, as PyTorch once took them and still does."""

import subprocess
import sys

import pytest
import torch
from both import same

import rushlight

#: operation -> the shapes of its tensors
SHAPES = {
    "add": [(2, 3), (3,)],
    "sub": [(2, 3), (2, 3)],
    "addcmul": [(2, 3), (3,), (2, 1)],
    "addcdiv": [(2, 3), (3,), (2, 1)],
    "addmm": [(2, 3), (2, 4), (4, 3)],
    "addmv": [(2,), (2, 3), (3,)],
    "addr": [(2, 3), (2,), (3,)],
    "addbmm": [(2, 3), (5, 2, 4), (5, 4, 3)],
    "baddbmm": [(5, 2, 3), (5, 2, 4), (5, 4, 3)],
}
FACTORS = [(name, count) for name in SHAPES for count in (1, 2) if count == 1 or name[3:4] not in ("", "c")]


def drawn(lib, name):
    return [
        lib.linspace(1, 2, lib.Size(shape).numel(), dtype=lib.float64).reshape(shape)
        for shape in SHAPES[name]
    ]


@pytest.mark.parametrize(("name", "count"), FACTORS)
@pytest.mark.parametrize("form", ["method", "inplace", "function", "out", "gradient"])
@pytest.mark.filterwarnings("ignore:This overload")
def test_factors_in_front(name, count, form):
    def program(lib):
        first, *others = drawn(lib, name)
        factors = (2, 0.5)[:count]
        if form == "method":
            return getattr(first, name)(*factors, *others)
        if form == "inplace":
            made = getattr(first, name + "_")(*factors, *others)
            return made is first, first
        if form == "gradient":
            others[0].requires_grad_()
            getattr(first, name)(*factors, *others).sum().backward()
            return others[0].grad
        in_front = len(name) > 3 and not name.startswith("addc")
        args = [factors[0], first, *factors[1:]] if in_front else [first, *factors]
        out = {"out": lib.empty(0, dtype=lib.float64)} if form == "out" else {}
        return getattr(lib, name)(*args, *others, **out)

    same(program)


WRONG = {
    "a tensor for a factor": lambda t: t.ones(2).add_(t.ones(2), t.ones(2)),
    "too many factors": lambda t: t.ones(2).add(1, 2, t.ones(2)),
    "a word": lambda t: t.ones(2).add_("x", t.ones(2)),
    "too few tensors": lambda t: t.ones(2).addcmul(2, t.ones(2)),
    "another operation": lambda t: t.ones(2).mul(2, t.ones(2)),
    "twice": lambda t: t.ones(2).add(2, t.ones(2), alpha=3),
    "twice, matrices": lambda t: t.ones(2, 2).addmm(2, t.ones(2, 2), t.ones(2, 2), beta=3),
    "matrices for factors": lambda t: t.ones(2, 2).addmm(t.ones(2, 2), t.ones(2, 2), t.ones(2, 2)),
    "at the end": lambda t: t.ones(2).addcmul(t.ones(2), t.ones(2), 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_was_never_taken(name):
    for lib in (torch, rushlight):
        with pytest.raises(TypeError):
            WRONG[name](lib)


def test_the_first_call_warns():
    code = (
        "import warnings, rushlight as T\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always'); x = T.ones(2); x.add_(-0.5, x.clone()); x.addcmul_(2, x, x)\n"
        "print(x.tolist(), *[w.message for w in seen])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == (
        "[1.0, 1.0] This overload of add_ is deprecated:\n\tadd_(Number alpha, Tensor other)\n"
        "Consider using one of the following signatures instead:\n\tadd_(Tensor other, *, Number alpha = 1)\n"
    )
