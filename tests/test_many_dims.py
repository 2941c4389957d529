"""Tensors of more than 64 dimensions against PyTorch's."""

from __future__ import annotations

import pytest
import torch

import rushlight

DEEP = (1,) * 65


def made(M, name):
    if name == "ones":
        return M.ones(1).reshape(DEEP)
    if name == "rows":
        return M.arange(6.0).reshape((1,) * 63 + (2, 3))
    if name == "between":
        return M.arange(6).view((1,) * 30 + (2,) + (1,) * 40 + (3,))
    if name == "strided":
        return M.arange(12.0).reshape(3, 4).t().unsqueeze(1).reshape((4,) + (1,) * 70 + (3,))
    return M.empty((0,) + (1,) * 64)


def outcome(f, *args):
    try:
        return described(f(*args))
    except Exception as error:  # the class and the sentence are what is compared
        return type(error).__name__, str(error).split("\n")[0]


def described(value):
    if hasattr(value, "stride"):
        steps = value.stride() if value.numel() else None  # those of empty results are nobody's business
        return (
            tuple(value.shape),
            steps,
            str(value.dtype),
            repr(value.reshape(-1).tolist()),
            type(value).__name__,
        )
    return [described(part) for part in value] if isinstance(value, (list, tuple)) else value


ASKED = {
    "shape": lambda M, x: (
        tuple(x.shape),
        tuple(x.size()),
        x.size(-1),
        x.ndim,
        x.dim(),
        x.numel(),
        x.nbytes,
        len(x),
    ),
    "stride": lambda M, x: (x.stride(), x.stride(-1), x.is_contiguous(), x.storage_offset()),
    "tolist": lambda M, x: x.tolist(),
    "repr": lambda M, x: repr(x),
    "str": lambda M, x: f"{x}",
    "item": lambda M, x: x.item(),
    "float": lambda M, x: [float(x), bool(x)],
    "flatten": lambda M, x: [x.flatten(), M.flatten(x), x.ravel(), x.flatten(0, 62)],
    "reshape": lambda M, x: [
        x.reshape(-1) if x.numel() else x.reshape(0),
        x.reshape(x.shape),
        M.reshape(x, x.shape),
    ],
    "view": lambda M, x: x.view((*x.shape, 1)),
    "view as": lambda M, x: x.view_as(x),
    "wrong view": lambda M, x: x.view(7),
    "squeeze": lambda M, x: [x.squeeze(), M.squeeze(x), x.squeeze(1)],
    "unsqueeze": lambda M, x: [x.unsqueeze(0), x.unsqueeze(-1), M.unsqueeze(x, 5)],
    "permute": lambda M, x: [x.permute(list(range(x.dim()))[::-1]), x.transpose(0, -1), x.swapaxes(3, 4)],
    "expand": lambda M, x: [x.expand(x.shape), x.expand((2, *x.shape))],
    "index": lambda M, x: [x[..., 0], x[None], x[:, 0], x[0], x[(0,) * x.dim()]],
    "wrong index": lambda M, x: x[:, :, 4],
    "iterate": lambda M, x: list(x),
    "clone": lambda M, x: [x.clone(), x.detach(), x.contiguous(), x.to(M.int64), x.double(), x.data],
    "arithmetic": lambda M, x: [x + 1, 2 * x, x - x, x * M.ones(1), x == x, -x, x > 0],
    "functions": lambda M, x: [M.exp(x), x.abs(), M.isnan(x), M.neg(x)],
    "broadcast": lambda M, x: x + M.arange(3).reshape((1,) * 65 + (1, 3)),
    "sum": lambda M, x: [x.sum(), M.sum(x), x.prod()],
    "mean": lambda M, x: x.double().mean(),
    "extremes": lambda M, x: [x.amax(), x.max(), M.amin(x), x.argmax()],
    "zeros_like": lambda M, x: [M.zeros_like(x), M.ones_like(x)],
}


@pytest.mark.parametrize("name", ["ones", "rows", "between", "strided", "empty"])
@pytest.mark.parametrize("asked", ASKED)
def test_same(name, asked):
    f = ASKED[asked]
    assert outcome(f, rushlight, made(rushlight, name)) == outcome(f, torch, made(torch, name))


REFUSED = {
    "sum of one": lambda M, x: x.sum(0),
    "amax of one": lambda M, x: x.amax(0),
    "amin of one": lambda M, x: M.amin(x, dim=-1),
    "any": lambda M, x: x.any(),
    "all": lambda M, x: M.all(x),
    "logsumexp": lambda M, x: x.logsumexp(0),
    "squeeze of several": lambda M, x: x.squeeze((1, 2, 3)),
    "flip": lambda M, x: x.flip(0),
    "allclose": lambda M, x: M.allclose(x, x),
    "numpy": lambda M, x: x.numpy(),
}


@pytest.mark.parametrize("asked", REFUSED)
def test_refused(asked):
    f = REFUSED[asked]
    assert outcome(f, rushlight, made(rushlight, "rows")) == outcome(f, torch, made(torch, "rows"))


CREATED = {
    "zeros": lambda M: M.zeros(DEEP),
    "ones": lambda M: M.ones(*DEEP, 2, dtype=M.int32),
    "full": lambda M: M.full(DEEP, 3.5),
    "empty": lambda M: M.empty((2, 0) + DEEP),
    "rand": lambda M: (M.manual_seed(0), M.rand((3,) + DEEP))[1],
    "randn": lambda M: (M.manual_seed(0), M.randn((3,) + DEEP))[1],
    "expand": lambda M: M.ones(1).expand(DEEP),
    "broadcast_to": lambda M: M.broadcast_to(M.arange(3), (*DEEP, 2, 3)),
    "unsqueeze": lambda M: M.ones((1,) * 64).unsqueeze(0),
    "none": lambda M: M.ones((1,) * 63 + (2,))[None],
    "tensor": lambda M: M.tensor(nested(65)),
    "too deep": lambda M: M.tensor(nested(129)),
    "back": lambda M: M.zeros(DEEP)[0],
}


def nested(depth):
    value = 1.5
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("name", CREATED)
def test_created(name):
    assert outcome(CREATED[name], rushlight) == outcome(CREATED[name], torch)


def test_is_a_tensor():
    x = rushlight.zeros(DEEP)
    assert isinstance(x, rushlight.Tensor) and type(x).__name__ == "Tensor" and rushlight.is_tensor(x)


def test_shares_memory():
    for M in (torch, rushlight):
        flat = M.zeros(2)
        deep = flat.view((1,) * 64 + (2,))
        flat[1] = 3
        assert deep.flatten().tolist() == [0, 3]
        deep.fill_(4)
        assert flat.tolist() == [4, 4]


def test_gradient():
    for M in (torch, rushlight):
        x = M.ones(2, requires_grad=True)
        deep = x.reshape((1,) * 64 + (2,))
        assert deep.requires_grad and not deep.is_leaf and repr(deep).endswith("grad_fn=<ViewBackward0>)")
        (deep * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]
        leaf = M.ones(DEEP, requires_grad=True)
        assert leaf.is_leaf and leaf.grad is None
        (leaf * 2).sum().backward()
        assert leaf.grad.shape == DEEP and leaf.grad.item() == 2
