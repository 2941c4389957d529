"""`torch.masked`: what a mask lets count, reduced and normalised as PyTorch does it."""

import itertools

import pytest
from both import same

import rushlight

REDUCTIONS = {
    "sum": "m.sum(x, dim, keepdim=keep, mask=mask)",
    "prod": "m.prod(x, dim, keepdim=keep, mask=mask)",
    "amax": "m.amax(x, dim, keepdim=keep, mask=mask)",
    "amin": "m.amin(x, dim, keepdim=keep, mask=mask)",
    "mean": "m.mean(x, dim, keepdim=keep, mask=mask)",
    "logsumexp": "m.logsumexp(x, dim, keepdim=keep, mask=mask)",
    "norm": "m.norm(x, 3.0, dim, keepdim=keep, mask=mask)",
    "norm -inf": "m.norm(x, -float('inf'), dim, keepdim=keep, mask=mask)",
    "var": "m.var(x, dim, keepdim=keep, mask=mask)",
    "var biased": "m.var(x, dim, False, keepdim=keep, mask=mask)",
    "std": "m.std(x, dim, correction=2, keepdim=keep, mask=mask)",
}
LINES = {
    "cumsum": "m.cumsum(x, dim, mask=mask)",
    "cumprod": "m.cumprod(x, dim, mask=mask)",
    "softmax": "m.softmax(x, dim, mask=mask)",
    "log_softmax": "m.log_softmax(x, dim, mask=mask)",
    "softmin": "m.softmin(x, dim, mask=mask)",
    "normalize": "m.normalize(x, 2.0, dim, mask=mask)",
    "median": "m.median(x, dim, mask=mask)",
    "argmax": "m.argmax(x, dim, mask=mask)",
    "argmin": "m.argmin(x, dim, keepdim=True, mask=mask)",
}
MASKS = {
    "none": "None",
    "row": "T.tensor([True, False, True, True])",
    "column": "T.tensor([[True], [True], [False]])",
    "some": "T.tensor([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]]).bool()",
    "nothing": "T.zeros(3, 4, dtype=T.bool)",
}


def given(T, mask, **more):
    T.manual_seed(0)
    x = T.randn(3, 4, dtype=T.float64).requires_grad_()
    return {"T": T, "m": T.masked, "x": x, "mask": eval(MASKS[mask], {"T": T}), **more}


@pytest.mark.parametrize("name, mask", itertools.product(REDUCTIONS, MASKS))
@pytest.mark.parametrize("dim, keep", [(None, False), (0, True), (-1, False), ((0, 1), True), ((), False)])
def test_reductions(name, mask, dim, keep):
    def program(T):
        names = given(T, mask, dim=dim, keep=keep)
        found = eval(REDUCTIONS[name], names)
        (g,) = T.autograd.grad(found.nan_to_num(0, 0, 0).sin().sum(), names["x"])
        return found, g.nan_to_num(0, 0, 0).abs() + 0.0

    same(program)


@pytest.mark.parametrize("name, mask", itertools.product(LINES, MASKS))
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_along_lines(name, mask, dim):
    def program(T):
        names = given(T, mask, dim=dim)
        found = eval(LINES[name], names)
        if not found.requires_grad:
            return found
        (g,) = T.autograd.grad(found.nan_to_num(0, 0, 0).sin().sum(), names["x"])
        return found, g.nan_to_num(0, 0, 0).abs() + 0.0

    same(program)


@pytest.mark.parametrize("kind", ["int32", "int64", "uint8", "float32", "complex64", "bool"])
@pytest.mark.parametrize(
    "call",
    ["sum(x, 0, mask=k)", "prod(x, mask=k)", "amax(x, 1, mask=k)", "amin(x, mask=k)", "mean(x, mask=k)", "mean(x, dtype=T.float64)",
     "argmax(x, mask=k)", "median(x, 1, mask=k)", "var(x, 1)", "std(x, mask=k)", "logsumexp(x, 0, mask=k)",
     "softmax(x, 0, dtype=T.float64, mask=k)", "norm(x, mask=k)", "sum(x, dtype=T.float32, mask=k)"],
)  # fmt: skip
def test_types(call, kind):
    def program(T):
        x, k = T.tensor([[3, 0, 1], [2, 5, 4]]).to(getattr(T, kind)), T.tensor([True, False, True])
        return eval("T.masked." + call, {"T": T, "x": x, "k": k})

    same(program, text=False)


def test_two_masks():
    def program(T):
        x, y = T.tensor([1.0, 2, 3]), T.tensor([3.0, 2, 1])
        k = T.tensor([True, False, True])
        return T.masked.logaddexp(x, y), T.masked.logaddexp(
            x, y, input_mask=k, other_mask=~k, dtype=T.float64
        )

    same(program)


@pytest.mark.parametrize(
    "call",
    [
        "sum(T.ones(3), mask=T.ones(2, 3).bool())",
        "sum(T.ones(2, 3), (0, 0))",
        "sum(T.ones(2, 3), 2)",
        "amax(T.ones(2, dtype=T.complex64), mask=T.ones(2).bool())",
        "mean(T.ones(2, dtype=T.int64))",
        "mean(T.ones(2), dtype=T.int64)",
        "median(T.ones(2, dtype=T.int64), mask=T.zeros(2).bool())",
        "std(T.ones(2), unbiased=True, correction=1)",
    ],
)
def test_errors(call):
    same(lambda T: eval("T.masked." + call))


def test_masked_tensors_are_missing():
    with pytest.raises(NotImplementedError, match=r"torch.masked.MaskedTensor"):
        rushlight.masked.MaskedTensor
