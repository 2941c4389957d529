"""Sums of large expressions that wait while their gradient is wanted: the same bits, seen by nobody."""

import copy
import gc
import os
import threading

import numpy as np
import pytest
import torch

import rushlight as T
from rushlight.graph.expr import Pending
from rushlight.native import jit
from rushlight.profiler import profile
from rushlight.runtime.deferral import FROM_TOTAL, TOTALS

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="without llvmlite everything is computed at once"),
    pytest.mark.usefixtures("fused"),
]

SHAPE = (1060, 500)
LOSSES = {
    "product": lambda A, B, lib: (A * B).sum(),
    "polynomial": lambda A, B, lib: ((A**2 + 3 * A) * B).mean(),
    "saved results": lambda A, B, lib: (lib.sigmoid(2 * A + B) * A).sum(),
    "saved twice": lambda A, B, lib: (A.exp() * A.exp()).mean(),
    "residuals": lambda A, B, lib: ((A - B) ** 2).mean(),
    "rows": lambda A, B, lib: (A * B[0]).sum(),
    "columns": lambda A, B, lib: (A * B[:, :1]).mean(),
    "turned": lambda A, B, lib: (A.t() * 2 + B.t()).sum(),
    "of memory": lambda A, B, lib: A.cumsum(0).mean(),
    "reshaped": lambda A, B, lib: (A * B).reshape(-1).sum(),
}


@pytest.fixture(scope="module")
def numbers():
    a, b = np.random.default_rng(0).normal(size=(2, *SHAPE))
    return a, b


def operands(numbers, kind="f4", lib=T):
    a, b = (lib.tensor(n.astype(kind)) for n in numbers)
    return a.requires_grad_(), b


def waiting(t):
    return type(t._a) is Pending and t._a.value is None


def kernels(function):
    """The forms of the kernels that run for it, in the order in which they do."""
    with profile() as p:
        function()
    return [run.form for run in p.events()]


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("name", LOSSES)
def test_bits_do_not_depend_on_when_it_is_looked_at(numbers, name, kind):
    A, B = operands(numbers, kind)
    with T.eager():
        at_once = LOSSES[name](A, B, T)
        assert not waiting(at_once)
        (g,) = T.autograd.grad(at_once, A)
    first, last, written = (LOSSES[name](A, B, T) for _ in range(3))
    assert not waiting(first) and not waiting(last)  # the next one computes the one before
    assert waiting(written) or name in ("of memory", "reshaped")
    looked = LOSSES[name](A, B, T)
    value = looked.item()
    (one,) = T.autograd.grad(looked, A)
    unseen = LOSSES[name](A, B, T)
    (two,) = T.autograd.grad(unseen, A)
    two.data_ptr()
    for t in (first, last, written, looked, unseen):
        assert t.detach().numpy().tobytes() == at_once.detach().numpy().tobytes()
    assert value == at_once.item()
    assert one.numpy().tobytes() == two.numpy().tobytes() == g.numpy().tobytes()
    C, D = operands(numbers, kind, torch)
    theirs = LOSSES[name](C, D, torch)
    theirs.backward()
    np.testing.assert_allclose(value, theirs.item(), rtol=2e-5 if kind == "f4" else 1e-12, atol=1e-3)
    np.testing.assert_allclose(two.numpy(), C.grad.numpy(), rtol=1e-5, atol=1e-6 if kind == "f4" else 1e-12)


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in ("of memory", "reshaped")])
def test_a_loss_that_nobody_looks_at_is_not_computed(numbers, name):
    A, B = operands(numbers)

    def gradient():
        (g,) = T.autograd.grad(LOSSES[name](A, B, T), A)
        g.data_ptr()

    assert kernels(gradient) == ["map"]


@pytest.mark.parametrize("which", ["A", "B"])
@pytest.mark.parametrize("name", ["product", "polynomial", "saved results", "residuals", "turned"])
def test_a_write_computes_it_before_and_stores_nothing_else(numbers, name, which):
    A, B = operands(numbers)
    with T.eager():
        expected = LOSSES[name](A, B, T).item()
    loss = LOSSES[name](A, B, T)

    def write():
        with T.no_grad():
            {"A": A, "B": B}[which].mul_(2)

    with profile() as p:
        write()
    first, then = p.events()
    saved = name in ("saved results", "residuals")  # for the gradient
    assert (first.form, first.bytes) == ("reduce", (2 + saved) * A.nbytes + 4)
    assert then.form == "map" and not waiting(loss) and loss.item() == expected


def test_what_the_gradient_stored_is_read(numbers):
    A, B = operands(numbers)
    loss = ((A - B) ** 2).mean()
    (g,) = T.autograd.grad(loss, A)
    with T.eager():
        expected = ((A - B) ** 2).mean().item()
    g.data_ptr()
    A.detach().zero_()
    assert T.explain(loss).bytes == A.nbytes + 4
    assert loss.item() == expected


def test_a_write_through_a_view_and_what_others_may_write(numbers):
    A, B = operands(numbers)
    expected = (A * B).sum().item()
    loss = (A * B).sum()
    with T.no_grad():
        A[3:5].zero_()
    assert not waiting(loss) and loss.item() == expected
    A, B = operands(numbers)
    loss = (A * B).sum()
    shared = B.numpy()
    assert not waiting(loss)
    shared[:] = 0
    assert loss.item() == expected
    assert type((A * B)._a) is np.ndarray  # somebody may write to B unseen: its readers are computed at once


def test_a_write_to_what_is_summed(numbers):
    A, B = operands(numbers)
    X = A * B
    with T.eager():
        expected = (A * B).sum().item()
    loss = X.sum()
    with T.no_grad():
        X.add_(1)
    assert loss.item() == expected
    np.testing.assert_array_equal(X.detach().numpy(), (A * B + 1).detach().numpy())
    X = A * B
    loss = X.sum()
    str(X)
    assert waiting(loss) and not waiting(X)
    with T.no_grad():
        X.detach()[0].fill_(7)
    assert loss.item() == expected


def test_one_at_most_waits(numbers):
    A, B = operands(numbers)
    kept = []
    for k in range(5):
        kept.append((A * k + B).sum())
        assert [waiting(t) for t in kept] == [False] * k + [True]
    assert len(TOTALS) == 1


def test_no_memory_is_kept_for_it_behind_its_gradient(numbers):
    """What only the graph held is free after backward, as if the loss had been computed."""
    A, B = operands(numbers)
    loss = ((A.cumsum(0) - B) ** 2).mean()
    assert waiting(loss)
    loss.backward()
    assert not waiting(loss)
    A, B = operands(numbers)
    loss = ((A - B) ** 2).mean()
    loss.backward(retain_graph=True)
    assert waiting(loss)
    A.grad.data_ptr()
    loss.backward()  # (the difference was stored for the gradient, and is held by the loss alone now)
    assert not waiting(loss)


def test_training_loops_see_the_losses_of_pytorch(numbers):
    seen = []
    for lib in (T, torch):
        A, B = operands(numbers, "f8", lib)
        losses, last = [], None
        for step in range(6):
            loss = (lib.sigmoid(A * B) - B).pow(2).mean()
            loss.backward()
            with lib.no_grad():
                A -= 0.5 * A.grad
            A.grad = None
            if step % 2:
                losses.append(loss.item())
            losses.append(loss.detach())
            last = loss
        seen.append([each.detach().item() if hasattr(each, "item") else each for each in [*losses, last]])
    np.testing.assert_allclose(*seen, rtol=1e-12)


def test_what_does_not_wait(numbers):
    A, B = operands(numbers)
    with T.no_grad():
        assert not waiting((A * B).sum())
    with T.inference_mode():
        assert not waiting((A * B).sum())
    with T.eager():
        assert not waiting((A * B).sum())
    assert not waiting((A.detach() * B).sum())
    small = A[:20, :20]
    assert waiting((small * small).sum()) == (small.numel() >= FROM_TOTAL)
    assert not waiting((A * B).sum(0))
    assert not waiting((A * B).half().sum())


@pytest.mark.parametrize(
    "use",
    [
        lambda t: t.item(),
        lambda t: t.detach().tolist(),
        lambda t: t.detach().numpy().item(),
        lambda t: t.clone().item(),
        lambda t: (t + 0).item(),
        lambda t: float(copy.deepcopy(t.detach())),
        lambda t: float(np.asarray(t.detach())),
        lambda t: T.stack([t, t])[1].item(),
        lambda t: t.detach().mul_(1).item(),
        lambda t: t.reshape(1, 1)[0, 0].item(),
        lambda t: t.expand(3)[2].item(),
        lambda t: t.double().item(),
        lambda t: t.data.item(),
    ],
)
def test_every_way_to_look(numbers, use):
    A, B = operands(numbers)
    with T.eager():
        expected = (A * B).sum().item()
    assert use((A * B).sum()) == expected
    loss = (A * B).sum()
    assert repr(loss) == repr(loss) and "grad_fn=<SumBackward0>" in repr(loss)
    assert (loss.shape, loss.dtype, loss.requires_grad, loss.is_leaf) == (T.Size([]), T.float32, True, False)


def test_writing_to_the_loss_itself(numbers):
    A, B = operands(numbers)
    with T.eager():
        expected = (A * B).sum() * 2 + 1
    loss = (A * B).sum()
    seen = loss.detach()
    loss *= 2
    loss += 1
    assert loss.item() == seen.item() == expected.item()
    loss.backward()
    np.testing.assert_array_equal(A.grad.numpy(), (B * 2).numpy())


def test_hooks_and_higher_orders(numbers):
    A, B = operands(numbers, "f8")
    loss = (A**3 * B).sum()
    seen = []
    loss.register_hook(lambda g: seen.append(g.item()))
    (g,) = T.autograd.grad(loss, A, create_graph=True)
    total = g.sum()
    assert waiting(total) and seen == [1.0]
    (h,) = T.autograd.grad(total, A)
    np.testing.assert_allclose(h.numpy(), 6 * numbers[0] * numbers[1], rtol=1e-12)
    np.testing.assert_allclose(loss.item(), (numbers[0] ** 3 * numbers[1]).sum(), rtol=1e-10)


def test_it_is_explained(numbers):
    A, B = operands(numbers)
    loss = (A * B).sum()
    said = T.explain(loss)
    assert said.waiting and said.passes == 1 and waiting(loss)
    assert said.expression[-2:] == ["c = mul(a, b) f32 (1060, 500)", "d = sum(c) f32 ()"]
    assert said.kernels[0].startswith("reduce")
    assert said.bytes == 2 * A.nbytes + 4
    loss.item()
    assert not T.explain(loss).waiting


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_between(numbers):
    A, B = operands(numbers)
    expected = (A * B).sum().item()
    loss = (A * B).sum()
    child = os.fork()
    if not child:
        os._exit(0 if waiting(loss) and loss.item() == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert waiting(loss) and loss.item() == expected


def test_threads_at_once(numbers):
    A, B = operands(numbers)
    with T.eager():
        expected = [(A * k + B).sum().item() for k in range(20)]
    found = [[], []]

    def work(mine):
        for k in range(20):
            mine.append((A * k + B).sum())

    threads = [threading.Thread(target=work, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[t.item() for t in mine] for mine in found] == [expected, expected]


#: what random programs do between making losses and looking at them
STEPS = {
    "write A": lambda A, B, state: A.mul_(0.5),
    "write B": lambda A, B, state: B[1:].add_(0.25),
    "write X": lambda A, B, state: state["X"].detach().mul_(2),
    "look X": lambda A, B, state: state["X"].detach()[0, 0].item(),
    "lend X": lambda A, B, state: state["X"].detach().numpy(),
    "drop X": lambda A, B, state: state.pop("X"),
    "backward": lambda A, B, state: state["losses"][-1].backward(retain_graph=True),
    "gradient": lambda A, B, state: state["grads"].append(
        T.autograd.grad(state["losses"][-1], A, retain_graph=True)[0]
    ),
    "look": lambda A, B, state: state["losses"][-1].item(),
    "drop": lambda A, B, state: state["losses"].pop(),
    "collect": lambda A, B, state: gc.collect(),
}


def run(numbers, names, loss):
    A, B = operands(numbers)
    state = {"losses": [], "grads": []}
    seen = []
    for name in names:
        if name == "loss":
            state["X"] = (T.sigmoid(A) * B).exp()
            state["losses"].append(loss(state["X"]))
            continue
        try:
            with T.no_grad():
                STEPS[name](A, B, state)
        except (RuntimeError, IndexError, KeyError) as error:  # written since, no loss any more, no X
            seen.append((name, type(error)))
    grads = [*state["grads"], *([A.grad] if A.grad is not None else [])]
    return seen, [t.detach().numpy().tobytes() for t in (*state["losses"], *grads, A, B)]


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_are_as_eager_ones(numbers, seed):
    rng = np.random.default_rng(seed)
    names = ["loss", *rng.choice([*STEPS, "loss", "loss", "loss"], 14)]
    form = [lambda X: X.sum(), lambda X: X.mean(), lambda X: (X + 1).sum(), lambda X: (X * X).mean()][
        seed % 4
    ]
    few = tuple(n[:1060, :496] for n in numbers)
    with T.eager():
        expected = run(few, names, form)
    assert run(few, names, form) == expected


@pytest.mark.parametrize("kind", [T.float32, T.float64])
def test_the_gradient_of_a_mean_is_divided_once(kind):
    x = T.ones(700, 800, dtype=kind, requires_grad=True)
    (g,) = T.autograd.grad(x.mean() * 3, x)
    y = torch.ones(700, 800, dtype=getattr(torch, str(kind).split(".")[1]), requires_grad=True)
    (expected,) = torch.autograd.grad(y.mean() * 3, y)
    assert waiting(g) and g.stride() == expected.stride()
    (seen,) = T.autograd.grad((x * 2).mean(), x)
    assert "div" not in str(T.explain(seen))
    np.testing.assert_array_equal(g.numpy(), expected.numpy())
    with T.eager():
        (at_once,) = T.autograd.grad(x.mean() * 3, x)
    np.testing.assert_array_equal(at_once.numpy(), expected.numpy())
    half = T.ones(700, 800, dtype=T.float16, requires_grad=True)
    (few,) = T.autograd.grad(half.mean(), half)  # (as many as no half can count)
    assert few[0, 0].item() == float(np.float16(np.float32(1) / np.float32(560000)))
