"""Views, writes and gradients in random programs: every observable must be PyTorch's.

A program is a list of steps on a growing list of tensors. It runs on both libraries; after each step the kind of error,
and at the end values, versions, flags, node names and gradients (of first and second order) are compared.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import warnings

import pytest
import torch

import rushlight

# ---- steps: each takes (library, tensor, another tensor, random choices) and returns what joins the list ----

VIEWS = {
    "view": lambda T, x, y, r: x.view(-1),
    "reshape": lambda T, x, y, r: x.reshape(-1),
    "row": lambda T, x, y, r: x[r.randrange(2)] if x.dim() else x,
    "slice": lambda T, x, y, r: x[1:] if x.dim() else x,
    "step": lambda T, x, y, r: x[::2] if x.dim() else x,
    "t": lambda T, x, y, r: x.t() if x.dim() <= 2 else x.permute(2, 0, 1),
    "unsqueeze": lambda T, x, y, r: x.unsqueeze(0),
    "squeeze": lambda T, x, y, r: x.squeeze(),
    "expand": lambda T, x, y, r: x.unsqueeze(0).expand(2, *x.shape),
    "diagonal": lambda T, x, y, r: x.diagonal() if x.dim() == 2 else x,
    "narrow": lambda T, x, y, r: x.narrow(0, 0, 1) if x.dim() else x,
    "unbind": lambda T, x, y, r: x.unbind(0)[0],
    "split": lambda T, x, y, r: x.split(1)[-1],
    "chunk": lambda T, x, y, r: x.chunk(2)[0],
    "detach": lambda T, x, y, r: x.detach(),
    "data": lambda T, x, y, r: x.data,
    "view_as": lambda T, x, y, r: x.view_as(x),
    "as_strided": lambda T, x, y, r: x.as_strided((2,), (1,)),
    "alias": lambda T, x, y, r: x,
}
WRITES = {
    "add_": lambda T, x, y, r: x.add_(r.choice([1, 0.5])),
    "mul_": lambda T, x, y, r: x.mul_(r.choice([2, 0.5])),
    "mul_ tensor": lambda T, x, y, r: x.mul_(y),
    "add_ tensor": lambda T, x, y, r: x.add_(y),
    "sin_": lambda T, x, y, r: x.sin_(),
    "exp_": lambda T, x, y, r: x.exp_(),
    "sigmoid_": lambda T, x, y, r: x.sigmoid_(),
    "zero_": lambda T, x, y, r: x.zero_(),
    "fill_": lambda T, x, y, r: x.fill_(0.75),
    "copy_": lambda T, x, y, r: x.copy_(y),
    "setitem": lambda T, x, y, r: x.__setitem__(0, 0.25),
    "setitem tensor": lambda T, x, y, r: x.__setitem__(slice(0, 1), y.sum()),
    "setitem all": lambda T, x, y, r: x.__setitem__(..., y.clone()),
    "iadd": lambda T, x, y, r: x.__iadd__(y),
    "requires_grad_": lambda T, x, y, r: x.requires_grad_(),
    "detach_": lambda T, x, y, r: x.detach_(),
    "retain_grad": lambda T, x, y, r: x.retain_grad(),
}
VALUES = {
    "clone": lambda T, x, y, r: x.clone(),
    "mul": lambda T, x, y, r: x * y,
    "square": lambda T, x, y, r: x * x,
    "add": lambda T, x, y, r: x + y,
    "exp": lambda T, x, y, r: x.exp(),
    "sin": lambda T, x, y, r: x.sin(),
    "sigmoid": lambda T, x, y, r: x.sigmoid(),
    "sum": lambda T, x, y, r: x.sum(),
    "scale": lambda T, x, y, r: x * 3,
    "contiguous": lambda T, x, y, r: x.contiguous(),
    "leaf": lambda T, x, y, r: T.full((2, 3), 0.5, dtype=T.float64, requires_grad=True),
    "plain": lambda T, x, y, r: T.full((2, 3), 0.25, dtype=T.float64),
}
STEPS = {**VIEWS, **WRITES, **VALUES}


def program(seed: int, length: int) -> list[tuple]:
    """(step, tensor, other tensor, in no_grad, seed of its choices), the tensors as fractions of the list."""
    source = random.Random(seed)
    kinds = [VIEWS] * 3 + [WRITES] * 3 + [VALUES] * 2
    return [
        (
            source.choice(list(source.choice(kinds))),
            source.random(),
            source.random(),
            source.random() < 0.1,
            source.random(),
        )
        for _ in range(length)
    ]


def run(T, steps: list[tuple]) -> tuple[list, list]:
    """The tensors, and what happened at each step."""
    tensors = [
        T.arange(6, dtype=T.float64).reshape(2, 3).div(4).requires_grad_(),
        T.arange(6, dtype=T.float64).reshape(2, 3).add(1).div(5),
    ]
    tensors.append(tensors[0] * 1)
    log = []
    for name, at, other, quiet, choices in steps:
        # newer tensors are likelier
        x, y = tensors[-1 - int(at * at * len(tensors))], tensors[-1 - int(other * len(tensors))]
        try:
            with T.set_grad_enabled(not (quiet and x.requires_grad)):
                made = STEPS[name](T, x, y, random.Random(choices))
            log.append("done")
        except Exception as error:
            log.append(failure(error))
            made = None
        if isinstance(made, T.Tensor) and made.numel() <= 64 and made.dim() <= 4:
            tensors.append(made)
    return tensors, log


#: where Rushlight is known to differ: it counts a kept view that no gradient reaches, PyTorch forgets it; PyTorch
#: does not look for overlap where a tensor is copied to itself
KNOWN = (
    "its base or another view of its base",
    "leaf variable has been moved",
    "detached in-place",
    "written-to tensor",
)


def failure(error: Exception) -> tuple[str, str]:
    text = re.sub(r" The last write to it was at .*", "", str(error).split("\n")[0])
    text = re.sub(r", which is output \d+ of [\w:]+,", "", text)
    telling = ("inplace", "in-place", "leaf", *KNOWN)
    return type(error).__name__, text if any(word in text for word in telling) else ""


def ask(question) -> object:
    try:
        return question()
    except Exception as error:
        return failure(error)


def facts(t) -> dict:
    """What a user can see of a tensor."""
    return {
        "requires_grad": ask(lambda: t.requires_grad),
        "grad_fn": ask(
            lambda: None if t.grad_fn is None else t.grad_fn.name().replace("ReshapeAlias", "View")
        ),
        "leaf": ask(lambda: t.is_leaf),
        "version": t._version,
        "view": t._is_view(),
        "shape": tuple(t.shape),
        "strides": [step for n, step in zip(t.shape, t.stride()) if n > 1],
        "offset": t.storage_offset() if t.numel() else 0,
        "values": t.detach().tolist(),
    }


def gradients(T, tensors: list) -> object:
    """First and second order, of a sum over everything that requires grad."""
    roots = [
        t
        for t in tensors
        if ask(lambda: t.requires_grad) is True and ask(lambda: t.grad_fn.name()) is not None
    ]
    leaves = [t for t in tensors if ask(lambda: t.requires_grad and t.is_leaf) is True]
    seen: list = []
    for root in roots[-4:]:
        found = ask(
            lambda: T.autograd.grad((root * root).sum(), leaves, create_graph=True, allow_unused=True)
        )
        if not isinstance(found, tuple) or isinstance(found[0], str):
            seen.append(found)
            if found[1] == "":  # PyTorch cannot differentiate some writes to expanded memory; see `compare`
                return seen
            continue
        seen.append([None if g is None else g.detach().tolist() for g in found])
        again = [g for g in found if g is not None and g.requires_grad]
        second = ask(
            lambda: T.autograd.grad(
                sum((g * g).sum() for g in again), leaves, retain_graph=True, allow_unused=True
            )
        )
        seen.append(
            {"second": [g if not isinstance(g, T.Tensor) else g.tolist() for g in second]} if again else {}
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t in tensors:
            t.grad = None
        for root in roots[-2:]:
            seen.append(ask(lambda: root.sum().backward(retain_graph=True)))
        seen.append([None if t.grad is None else t.grad.tolist() for t in tensors])
    return seen


def close(a, b) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return a == b or a != a and b != b or abs(a - b) <= 1e-9 * max(1, abs(a), abs(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):  # a gradient that is zero may or may not be recorded
        return all(close(a[k], b[k]) for k in a.keys() & b.keys())
    return a == b


def known(a, b) -> bool:
    return any(isinstance(x, tuple) and any(text in x[1] for text in KNOWN) for x in (a, b))


def compare(seed: int, length: int) -> None:
    steps = program(seed, length)
    theirs, their_log = run(torch, steps)
    ours, our_log = run(rushlight, steps)
    for number, (a, b) in enumerate(zip(their_log, our_log)):
        if a != b and known(a, b):
            return
        assert a == b, f"seed {seed}, step {number} of {[s[0] for s in steps]}: torch {a}, rushlight {b}"
    assert len(theirs) == len(ours)
    for number, (a, b) in enumerate(zip(theirs, ours)):
        wanted, found = facts(a), facts(b)
        differing = {k: (wanted[k], found[k]) for k in wanted if not close(wanted[k], found[k])}
        assert not differing, f"seed {seed}, tensor {number} of {[s[0] for s in steps]}: {differing}"
    wanted, found = gradients(torch, theirs), gradients(rushlight, ours)
    if wanted and wanted[-1] == ("RuntimeError", ""):
        return
    for number, (a, b) in enumerate(zip(wanted, found)):
        if not close(a, b) and known(a, b):
            return
        assert close(a, b), (
            f"seed {seed}, gradient {number} of {[s[0] for s in steps]}: torch {a}, rushlight {b}"
        )


@pytest.mark.parametrize("block", range(20))
def test_random_programs(block):
    for seed in range(block * 20, block * 20 + 20):
        compare(seed, 4 + seed % 12)


@pytest.mark.parametrize("name", ["index_add", "index_copy"])
def test_the_source_of_rows_must_not_be_overwritten(name):
    for torch_ in (rushlight, torch):
        x = torch_.ones(2, 3, requires_grad=True)
        source = torch_.ones(1, 3, requires_grad=True) * 1
        y = getattr(x, name)(0, torch_.tensor([0]), source)
        with torch_.no_grad():
            source.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize("name", ["max", "min", "median", "nanmedian"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_an_extreme_whose_elements_were_changed_unseen(name, layout):
    """Where no element is the largest any more, none gets a gradient; and it lies in rows."""
    found = []
    for T in (torch, rushlight):
        x = T.tensor([[1.0, 2.0, 5.0], [3.0, 3.0, 9.0]])
        x = (x.t() if layout == "columns" else x).requires_grad_()
        top = getattr(x, name)()
        before = T.autograd.grad(top, x, retain_graph=True, create_graph=True)[0]
        x.detach().numpy()[...] *= 20
        after = T.autograd.grad(top, x, T.tensor(float("inf")))[0]
        found.append((before.tolist(), before.stride(), after.tolist(), after.stride()))
    assert found[0] == found[1]


@pytest.mark.parametrize("side", [3, 600])
@pytest.mark.parametrize("name", ["sigmoid_", "exp_", "tanh_", "sqrt_", "relu_", "reciprocal_"])
def test_results_in_place_are_kept_where_they_were_written(name: str, side: int) -> None:
    """A later write is noticed by the backward pass, also if work waited in between."""
    for lib in (torch, rushlight):
        x = lib.full((side, side), 0.25, dtype=lib.float64, requires_grad=True)
        y = x * 2
        getattr(y, name)()
        y.mul_(3) if name == "relu_" else y.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.parametrize("mode", ["enable_grad", "no_grad", "inference_mode"])
@pytest.mark.parametrize("made_in", ["enable_grad", "inference_mode"])
def test_an_expanded_tensor_written_to_itself(made_in: str, mode: str) -> None:
    """Changes nothing and is allowed; anything else is not."""
    outcomes = []
    for lib in (torch, rushlight):
        with getattr(lib, made_in)():
            x = lib.arange(6.0).reshape(2, 3).t().expand(2, 3, 2)
        found = []
        for write in (
            lambda x: x.__setitem__(..., x),
            lambda x: x.__setitem__(slice(None), x),
            lambda x: x.copy_(x),
            lambda x: x.copy_(x.view(2, 3, 2)),
            lambda x: x.__setitem__(..., x + 0),
            lambda x: x.__setitem__(slice(None), 1.0),
        ):
            try:
                with getattr(lib, mode)():
                    write(x)
                found.append("done")
            except RuntimeError as error:
                found.append(str(error).partition("\n")[0])
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]


def test_everything_by_kernels() -> None:
    """The same holds where the smallest tensors wait, too, and loops of ours compute them."""
    from rushlight.native import jit

    if not jit.available() or os.environ.get("RUSHLIGHT_TIER"):
        pytest.skip("everything is computed one way")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "RUSHLIGHT_TIER": "jit"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
