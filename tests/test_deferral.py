"""Deferred work: nobody can see it. Large tensors, writes between call and look, aliases, threads; PyTorch says what must come out."""

import copy
import gc
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest
import torch

import rushlight as T
from rushlight.graph import recipes
from rushlight.graph.expr import MOST_DEPTH, Pending
from rushlight.native import jit
from rushlight.runtime.deferral import TIER

SHAPE = (700, 401)

pytestmark = [
    pytest.mark.skipif(not jit.available(), reason="without llvmlite everything is computed at once"),
    pytest.mark.usefixtures("fused"),
]


def pair(seed, shape=SHAPE, kind="f4"):
    """The same numbers here and in PyTorch, in memory that belongs to each alone."""
    a = np.random.default_rng(seed).normal(size=shape).astype(kind)
    return T.tensor(a), torch.tensor(a)


def waiting(t):
    return type(t._a) is Pending and t._a.value is None


def same(ours, theirs):
    ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")


@pytest.mark.parametrize("shape", [SHAPE, (160, 140), (30, 20)])
def test_operands_of_operations_that_do_not_wait(shape):
    """Of several NumPy calls, a strip at a time."""
    x, t = pair(0, shape, "f8")
    made = T.addcmul(x.requires_grad_(), x.tanh(), x.tanh(), value=0.5)
    wanted = torch.addcmul(t, t.tanh(), t.tanh(), value=0.5)
    np.testing.assert_allclose(made.detach().numpy(), wanted.numpy(), rtol=1e-12, atol=1e-14)


# ---- what waits, and what does not ----


def test_it_is_the_size_of_the_result_that_counts():
    """Not that of the first operand: a row times a matrix, what grows by broadcasting, and what waits on the right."""
    (x, t), (row, u), (column, v) = pair(0), pair(1, SHAPE[1:]), pair(2, (SHAPE[0], 1))
    made = row * (x + 1), row - x, column * row, column[:, :, None] - row[:, None]
    assert all(map(waiting, made))
    for ours, theirs in zip(made, (u * (t + 1), u - t, v * u, v[:, :, None] - u[:, None])):
        same(ours, theirs)
    assert TIER == "jit" or not waiting(row * row) and not waiting(column * row[:5])
    with pytest.raises(RuntimeError, match="must match the size"):
        row * T.ones(700, 400)
    assert (T.ones(700, 1) * T.ones(1, 0)).shape == (700, 0)


@pytest.mark.skipif(TIER == "jit", reason="small results wait, too")
def test_large_results_wait_and_small_ones_do_not():
    x, _ = pair(0)
    assert waiting(x * 2) and waiting(x + x)
    small, _ = pair(0, (10, 10))
    assert not waiting(small * 2)


@pytest.mark.parametrize(
    "made", [lambda: T.rand(900, 600), lambda: T.tensor(np.ones((900, 600))), lambda: T.ones(900, 600)]
)
@pytest.mark.parametrize(
    "viewed",
    [
        lambda x: x[:, ::2], T.Tensor.t, T.Tensor.detach, T.Tensor.unbind, lambda x: x.split(200), lambda x: x.unsafe_split(200),
        lambda x: list(x), lambda x: x.expand(2, 900, 600), lambda x: x.as_strided((3, 3), (1, 2)),
    ],
)  # fmt: skip
def test_what_tensors_show_may_wait(made, viewed):
    """Views of memory that nobody else has are no reason to compute at once; an array that others have is."""
    x = made()
    views = viewed(x)
    assert waiting(x + x)
    seen = x.numpy()
    assert not waiting(x + x)
    del views, seen


def test_what_others_show_does_not_wait():
    a = np.ones((900, 600))
    for b in (a, a[:, ::2], a.T, a.reshape(-1)):
        x = T.from_numpy(b)
        view = x[:500]
        assert not waiting(x + x) and not waiting(view + view)


def test_looking_computes_and_the_tensor_keeps_the_array():
    x, t = pair(0)
    y = x * 2 + 1
    assert waiting(y)
    assert y[0, 0].item() == (t * 2 + 1)[0, 0].item()
    assert type(y._a) is np.ndarray


@pytest.mark.parametrize(
    "look",
    [
        str, T.Tensor.tolist, T.Tensor.numpy, T.Tensor.data_ptr, copy.deepcopy, T.Tensor.clone, pickle.dumps, np.asarray,
        lambda y: y[3:5], lambda y: y.t(), lambda y: y.view(-1), lambda y: y @ y.t(), lambda y: y.cumsum(0),
        lambda y: np.from_dlpack(y), lambda y: y.untyped_storage().data_ptr(), lambda y: y.sum(), lambda y: y.sort(0),
    ],
)  # fmt: skip
def test_every_look_sees_the_values(look):
    x, t = pair(1)
    y = (x - 1) * x
    look(y)
    same(y, (t - 1) * t)


def test_shapes_strides_and_types_are_known_while_it_waits():
    x, t = pair(2)
    for ours, theirs in [(x * 2, t * 2), (x.t() * 2, t.t() * 2), (x > 0, t > 0), (x + x[0], t + t[0])]:
        assert ours.shape == tuple(theirs.shape) and ours.stride() == theirs.stride()
        assert ours.is_contiguous() == theirs.is_contiguous() and str(ours.dtype) == str(theirs.dtype)
        assert waiting(ours)


def test_errors_are_raised_by_the_call():
    x, _ = pair(3)
    with pytest.raises(RuntimeError, match="The size of tensor a"):
        x * 2 + T.ones(7)
    with pytest.raises(RuntimeError):
        (x > 0) - (x > 1)


# ---- writes between call and look ----

WRITES = {
    "add_": lambda x: x.add_(1),
    "+=": lambda x: x.__iadd__(1),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(3),
    "copy_": lambda x: x.copy_(x * 0),
    "index": lambda x: x.__setitem__(0, 5.0),
    "rows": lambda x: x.__setitem__(slice(1, 100), -1.0),
    "mask": lambda x: x.__setitem__(x > 0, 0.0),
    "view": lambda x: x.view(-1)[5:].mul_(2),
    "transposed": lambda x: x.t().mul_(2),
    "detach": lambda x: x.detach().add_(1),
    "data": lambda x: x.data.add_(1),
    "out=": lambda x: (T if isinstance(x, T.Tensor) else torch).mul(x, 2, out=x),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, 7.0),
    "index_add_": lambda x: x.index_fill_(0, x[:1, 0].long() * 0, 3.0),
    "scatter_": lambda x: x.scatter_(0, x[:1].long() * 0, 2.0),
    "exp_": lambda x: x.exp_(),
    "uniform_": lambda x: x.uniform_().mul_(0),
    "swap": lambda x: x.set_(x * 0) if False else x.sub_(x),
    "numpy": lambda x: np.add(x.numpy(), 1, out=x.numpy()),
    "asarray": lambda x: np.copyto(np.asarray(x), 4),
    "dlpack": lambda x: np.copyto(np.from_dlpack(x), 4) if False else x.add_(2),
    "storage": lambda x: x.untyped_storage().fill_(0),
    "resize": lambda x: x.resize_(1000, 401).zero_(),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_to_what_is_read(write):
    x, t = pair(4)
    y, want = x * 2 + 1, t * 2 + 1
    WRITES[write](x)
    WRITES[write](t)
    same(y, want)
    same((x + 1), (t + 1)) if write not in ("exp_", "uniform_") else None


@pytest.mark.parametrize("write", [w for w in WRITES if w not in ("exp_", "uniform_")])
def test_a_write_to_what_waits(write):
    x, t = pair(5)
    y, want = x * 2, t * 2
    z, other = y + 1, want + 1
    WRITES[write](y)
    WRITES[write](want)
    same(z, other)
    same(y, want)
    same(x, t)
    same(y * 3, want * 3)


def test_a_write_through_a_handle_made_while_it_waited():
    x, t = pair(6)
    y, want = x * 2, t * 2
    d, e = y.detach(), want.detach()
    z, other = y + 1, want + 1
    d.add_(5)
    e.add_(5)
    same(y, want)
    same(z, other)
    assert y.data_ptr() == d.data_ptr()


def test_numpy_memory_is_never_read_later():
    a = np.ones(SHAPE, np.float32)
    x = T.from_numpy(a)
    y = x * 2
    a[:] = 7
    assert y.numpy().min() == y.numpy().max() == 2
    z, _ = pair(7)
    shown = z.numpy()
    before = shown.copy()
    w = z + 1
    shown[:] = 0
    assert np.array_equal(w.numpy(), before + 1)


def test_an_operand_that_dies():
    x, t = pair(8)
    y, want = (x * 2).neg() + 1, (t * 2).neg() + 1
    del x, t
    gc.collect()
    same(y, want)


# ---- bits ----

CHAINS = {
    "polynomial": lambda x, y: x**2 + 3 * x - y / 7,
    "rows": lambda x, y: (x - y[0]) / (y[1] * y[1] + 1),
    "columns": lambda x, y: x * y[:, :1] + 1,
    "outer": lambda x, y: x[:, :1] * y[:1, :],
    "transposed": lambda x, y: (x.t() * 2 + y.t()) * x.t(),
    "mixed orders": lambda x, y: x[:300, :300].t() + y[:300, :300],
    "strided": lambda x, y: (x[:, ::2] + y[:, 1::2][:, :200][:, :1]) * 3,
    "double": lambda x, y: x.double() * 2 + y,
    "ints": lambda x, y: (x * 10).long() * 3 + (y * 10).int(),
    "bools": lambda x, y: ((x > 0) & ~(y > 0)) | (x == y),
    "where": lambda x, y: (x > 0).logical_or(y > 1).float().mul(x),
    "extremes": lambda x, y: x.maximum(y).minimum(x * 2).clamp(-1, 1.5),
    "rounding": lambda x, y: x.mul(10).floor() + y.mul(10).ceil() - x.trunc() + y.round(),
    "signs": lambda x, y: x.abs().copysign(y) + y.sign() - x.neg(),
    "scalars": lambda x, y: 1 / (x + 3.5) - (2 - y) * x.new_tensor(0.3),
    "half": lambda x, y: (x.half() * 2 + y.half()) * 0.1,
    "bfloat16": lambda x, y: ((x.bfloat16() * 2 + y.bfloat16()) * 0.1).float(),
    "masked": lambda x, y: x.masked_fill(y > 0, -1.0) + 1,
    "relu": lambda x, y: (x + y).relu() * y,
}


@pytest.mark.parametrize("chain", CHAINS)
def test_chains_have_pytorchs_bits(chain):
    (x, t), (y, u) = pair(9), pair(10)
    ours, theirs = CHAINS[chain](x, y), CHAINS[chain](t, u)
    assert ours.stride() == theirs.stride()
    same(ours, theirs)


@pytest.mark.parametrize("chain", CHAINS)
def test_eager_has_the_same_bits(chain):
    (x, _), (y, _) = pair(11), pair(12)
    x, y = x * 2, y * 2
    fused = CHAINS[chain](x, y)
    with T.eager():
        assert T.equal(CHAINS[chain](x, y), fused)


@pytest.mark.parametrize(
    "function", ["exp", "log1p", "sigmoid", "tanh", "sin", "erf", "softmax", "var", "sum", "mean"]
)
def test_eager_has_the_same_bits_for_functions(function):
    x, _ = pair(13)
    x = x.abs()
    call = getattr(T.Tensor, function)
    args = (1,) if function == "softmax" else ()
    fused = call(x * 2 + 1, *args)
    with T.eager():
        assert T.equal(call(x * 2 + 1, *args), fused)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(threads):
    (x, _), (y, _) = pair(14), pair(15)
    before = T.get_num_threads()
    want = [(x * y).sum(), (x * y).sum(0), (x * y + 1), (x - y).softmax(1), (x + y).cumsum(0)]
    try:
        T.set_num_threads(threads)
        got = [(x * y).sum(), (x * y).sum(0), (x * y + 1), (x - y).softmax(1), (x + y).cumsum(0)]
        assert all(map(T.equal, got, want))
    finally:
        T.set_num_threads(before)


# ---- bounds ----


def test_long_chains_are_cut():
    x, t = pair(16)
    deepest = 0
    for n in range(3 * MOST_DEPTH):
        x, t = x * 0.5 + n, t * 0.5 + n
        deepest = max(deepest, x._a.depth if waiting(x) else 0)
    assert deepest <= MOST_DEPTH
    same(x, t)


def test_ten_thousand_operations_without_a_look():
    x = T.ones(*SHAPE)
    y, z = x * 1, x * 1
    before = T.memory.stats().in_use
    for _ in range(5000):
        y = y * 0.999
        z = z + y
    assert T.memory.stats().in_use - before < 64 << 20
    want = np.float32(1)
    for _ in range(5000):
        want = np.float32(want * np.float32(0.999))
    assert y[0, 0].item() == want and waiting(z + 1)


def test_dead_intermediates_take_no_memory():
    x = T.ones(1000, 1000)
    (x * 1 + 1)[0, 0].item()
    T.memory.reset_peak_stats()
    before = T.memory.stats().in_use
    y = ((x * 2 + 1) * 3 - 4) * 5
    y[0, 0].item()
    assert T.memory.stats().peak - before <= 5 << 20
    del y


def test_what_is_still_held_is_computed_with_the_rest():
    x, t = pair(17)
    y = x * 2
    z = y + 1
    z[0, 0].item()
    assert not waiting(y)
    same(y, t * 2)


def test_pending_work_dies_with_its_tensor():
    x, _ = pair(18)
    y = x * 2 + 1
    ref = weakref.ref(y._a)
    del y
    assert ref() is None


# ---- gradients ----


def test_gradients_through_chains():
    (x, t), (y, u) = pair(19), pair(20)
    for leaf in (x, y, t, u):
        leaf.requires_grad_()
    ((x * y + x) * 2 - y / 3).sum().backward()
    ((t * u + t) * 2 - u / 3).sum().backward()
    same(x.grad, t.grad)
    same(y.grad, u.grad)


def test_saved_values_that_were_overwritten():
    x, _ = pair(21)
    x.requires_grad_()
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_training_loop_in_place():
    (x, t), (w, v) = pair(22), pair(23)
    w.requires_grad_()
    v.requires_grad_()
    for _ in range(5):
        ((x * w - 1) ** 2).mean().backward()
        ((t * v - 1) ** 2).mean().backward()
        with T.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
        with torch.no_grad():
            v -= 0.1 * v.grad
            v.grad.zero_()
    assert np.allclose(w.detach().numpy(), v.detach().numpy(), rtol=1e-6, atol=1e-7)


def test_second_order():
    x, t = pair(24)
    x.requires_grad_()
    t.requires_grad_()
    (g,) = T.autograd.grad((x**3 + x).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((t**3 + t).sum(), t, create_graph=True)
    g.sum().backward()
    h.sum().backward()
    same(x.grad, t.grad)


# ---- threads and processes ----


def test_several_python_threads():
    (x, t), (y, u) = pair(25), pair(26)
    want = ((t * u + 1) * t).numpy()
    shared = x * y + 1
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(((x * y + 1) * x).numpy(), want):
                wrong.append("own")
            if not np.array_equal((shared * x).numpy(), want):
                wrong.append("shared")

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_fork_in_the_middle_of_pending_work():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent("""
                import os, rushlight as T
                x = T.ones(400, 700)
                (x + 1)[0, 0].item()
                y = x * 2 + 1
                pid = os.fork()
                if not pid:
                    os._exit(0 if (y.sum().item(), (y * 2)[3, 3].item()) == (840000.0, 6.0) else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
                assert y.sum().item() == 840000.0
            """),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_switches():
    for switch, waits in (
        ("RUSHLIGHT_FUSE=0", False),
        ("RUSHLIGHT_TIER=numpy", False),
        ("RUSHLIGHT_FUSE=1", True),
    ):
        name, _, value = switch.partition("=")
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import rushlight as T\nfrom rushlight.graph.expr import Pending\ny = T.ones(400, 700) * 2 + 1\n"
                "print(type(y._a) is Pending, y.sum().item())",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            env={**__import__("os").environ, name: value},
        )
        assert done.stdout == f"{waits} 840000.0\n", done.stderr


def test_it_works_without_llvmlite():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['llvmlite'] = None\nimport rushlight as T\n"
            "y = T.ones(400, 700) * 2 + 1\nprint(type(y._a).__name__, y.sum().item(), y.softmax(1).sum().item())",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("ndarray 840000.0 "), done.stderr


def test_functions_that_hold_numbers_are_told_apart():
    """The same code with another number in it is another loop: `norm` makes its function anew for each order."""
    x, t = pair(27)
    for order in (1, 2, 3, 0.5, float("inf")):
        assert np.isclose(x.norm(order).item(), t.double().norm(order).item(), rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(1,), (1, 1), (1, 7), (7, 1), (1, 300000), (300000, 1), (300, 1, 1000), (1, 300, 1000)]
)
def test_dimensions_of_one_element(shape):
    x, t = pair(28, shape)
    for dim in range(len(shape)):
        same(x.sum(dim), t.double().sum(dim).float())
        same(x.amax(dim), t.amax(dim))
        assert np.allclose(x.cumsum(dim).numpy(), t.double().cumsum(dim), rtol=1e-6, atol=1e-6)
        assert np.allclose(x.softmax(dim).numpy(), t.softmax(dim), rtol=1e-5, atol=1e-7)
    same(x * 2, t * 2)


def test_a_compiler_that_fails(monkeypatch):
    from rushlight.codegen.program import Program
    from rushlight.graph import fuse

    def refuse(*args):
        raise RuntimeError("LLVM has no such instruction")

    monkeypatch.setattr(Program, "run", refuse)
    monkeypatch.setattr(fuse, "_PROGRAMS", {})
    (x, t), (y, u) = pair(29), pair(30)
    same((x * y[0] + 1).t() - 2, (t * u[0] + 1).t() - 2)
    same((x > y) & (x > 0), (t > u) & (t > 0))
    same(x.add_(y), t.add_(u))
    assert np.isclose((x * y).sum().item(), (t * u).double().sum().item())


def test_a_write_to_what_waits_replaces_what_it_waits_for():
    x, t = pair(31)
    y, want = x * 2, t * 2
    shown, other = y.detach(), want.detach()
    for tensor in (y, want):
        tensor += 1
        tensor *= x if tensor is y else t
    assert waiting(y) and waiting(shown)
    same(shown, other)
    same(y, want)
    assert y._version == want._version and shown.data_ptr() == y.data_ptr()
    data, theirs = (x - 1).data, (t - 1).data
    data.add_(1), theirs.add_(1)
    same(data, theirs)


def test_a_write_of_another_type_or_order():
    x, t = pair(32)
    y, want = x * 2, t * 2
    y += x.double()
    want += t.double()
    same(y, want)
    y, want = x.t() * 2, t.t() * 2
    y += x.t().contiguous()
    want += t.t().contiguous()
    same(y, want)
    assert y.stride() == want.stride()


def test_saved_outputs_keep_what_they_saved():
    x, t = pair(33)
    x.requires_grad_()
    t.requires_grad_()
    y, want = x.exp(), t.exp()
    z, other = y.detach(), want.detach()
    with T.no_grad():
        z += 1
    with torch.no_grad():
        other += 1
    assert np.allclose(y.detach().numpy(), want.detach().numpy(), rtol=1e-6)
    for tensor in (y, want):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            tensor.sum().backward()


def test_gradients_that_are_read_while_more_come():
    x, t = pair(34)
    for leaf in (x, t):
        leaf.requires_grad_()
        (leaf * 2).sum().backward()
    later, want = x.grad * 3, t.grad * 3
    (x * x).sum().backward()
    (t * t).sum().backward()
    same(later, want)
    same(x.grad, t.grad)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_parameters_that_are_read_while_they_are_updated(name):
    x, t = pair(35)
    small, other = pair(36, (5, 4))
    found = []
    for torch_, leaf, little in ((T, x, small), (torch, t, other)):
        leaf.requires_grad_()
        little.requires_grad_()
        step = getattr(torch_.optim, name)([leaf, little], lr=0.1)
        ((leaf * leaf).sum() + little.sum()).backward()
        with torch_.no_grad():
            later = leaf * 3
        step.step()
        found.append((later, leaf))
    same(found[0][0], found[1][0])
    assert np.allclose(x.detach().numpy(), t.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_masked_fill_lies_in_rows():
    x, t = pair(37)
    same(x.t().masked_fill(x.t() > 0, 1.5), t.t().masked_fill(t.t() > 0, 1.5))
    assert x.t().masked_fill(x.t() > 0, 1.5).stride() == t.t().masked_fill(t.t() > 0, 1.5).stride()


OPERANDS = {
    "alike": lambda a, b, row, col: a * b,
    "row": lambda a, b, row, col: a * row,
    "column": lambda a, b, row, col: a + col,
    "both": lambda a, b, row, col: row * col * a,
    "outer": lambda a, b, row, col: row * col,
    "transposed": lambda a, b, row, col: a + b.reshape(b.shape[::-1]).t(),
    "strided": lambda a, b, row, col: a[:, : a.shape[1] // 2 * 2 : 2] * 3,
    "rounded": lambda a, b, row, col: a.float() * 2,
    "heavy": lambda a, b, row, col: (a.exp().sin() + b.tanh()).abs().log1p().sqrt().cos() * a - b,
}


@pytest.mark.parametrize("operands", OPERANDS)
@pytest.mark.parametrize("shape", [(700, 500), (3000, 170), (100000, 5), (5, 100000)])
def test_sums_have_the_same_bits_fused_or_not(operands, shape):
    """In float64, where the order of additions shows."""
    a, _ = pair(38, shape, "f8")
    b, _ = pair(39, shape, "f8")
    a, b = a.abs(), b.abs()
    row, col = b[0].clone(), b[:, :1].clone()
    reductions = [
        "sum()",
        "sum(0)",
        "sum(1)",
        "mean(0)",
        "prod(1)",
        "var(0)",
        "var(1)",
        "softmax(1)",
        "logsumexp(1)",
        "norm()",
    ]
    for code in [*reductions, "cumsum(0)", "cumsum(1)"]:
        reduce = eval(f"lambda x: x.{code}")
        fused = reduce(OPERANDS[operands](a, b, row, col))
        with T.eager():
            assert T.equal(reduce(OPERANDS[operands](a, b, row, col)), fused), code


# ---- what ran before ----


def _written(x, y):
    x = x.clone()
    x.mul_(2).add_(y).clamp_(-1, 1)
    return x


def _held(x, y):
    kept = x * y
    made = kept.sin() + 1
    return T.stack([kept, made])


AGAIN = {
    "numbers": lambda x, y: (x * float(x[0, 0]) + y) * float(y[0, 0]),
    "one operand twice": lambda x, y: (x * x + x).exp(),
    "held on the way": _held,
    "written": _written,
    "sum": lambda x, y: x.sum(1, keepdim=True),
    "variance": lambda x, y: x.var((0, 1)),
    "sum of what waits": lambda x, y: (x * float(y[0, 0]) * y).sum(0),
    "sum of what is held": lambda x, y: (lambda kept: T.cat([kept.sum(0, keepdim=True), kept]))(
        x * y + float(x[0, 0])
    ),
    "mean of one operand twice": lambda x, y: (x * x).mean((0, 1)),
    "rows of what waits": lambda x, y: (x * y).softmax(1),
    "rows and what they are scaled with": lambda x, y: T.nn.functional.layer_norm(
        x * y, x.shape[1:], y[0] * 1, y[1] * 1
    ),
    "scan of what waits": lambda x, y: (x + y * float(y[1, 1])).cumsum(0),
    "scan of what is held": lambda x, y: (lambda kept: kept.cumsum(1) + kept)(x - y),
    "rows": lambda x, y: x.softmax(1),
    "scan": lambda x, y: x.cumsum(1),
    "backwards": lambda x, y: T.autograd.grad(x.requires_grad_().cumsum(0), x, y)[0],
    "mixed kinds": lambda x, y: (x.double() + y) > 0,
}


@pytest.mark.parametrize(
    "turn", [lambda a: a, lambda a: a.t(), lambda a: a[:, ::2]], ids=["rows", "columns", "strided"]
)
@pytest.mark.parametrize("what", AGAIN)
def test_what_ran_before_runs_again_on_other_numbers(what, turn, monkeypatch):
    """A loop that is found by what it did before gives the bits of one that is put together anew."""
    monkeypatch.setattr(recipes, "_KNOWN", {})
    first, second = ([turn(pair(seed, (900, 700))[0]) for seed in seeds] for seeds in ((0, 1), (2, 3)))
    AGAIN[what](*first).numpy()
    known = len(recipes._KNOWN)
    found = AGAIN[what](*[a.detach() for a in second]).numpy()
    assert known and len(recipes._KNOWN) == known
    recipes._KNOWN.clear()
    anew = AGAIN[what](*[a.detach() for a in second]).numpy()
    assert found.tobytes() == anew.tobytes() and found.strides == anew.strides


def test_a_gradient_that_waits_is_kept_as_it_is():
    """What backward made for one leaf alone is not copied for it."""
    x, t = pair(0)
    for z in (x, t):
        z.requires_grad_()
        (z.sigmoid() * z).sum().backward()
    assert waiting(x.grad)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-5, atol=1e-7)
