"""Triangles of large matrices against PyTorch, in every type and layout."""

import itertools

import pytest
import torch

import rushlight

KINDS = [
    "bool",
    "uint8",
    "int16",
    "float16",
    "bfloat16",
    "float32",
    "int64",
    "float64",
    "complex64",
    "complex128",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape", [(150, 130), (130, 150), (3, 100, 90), (2, 2, 70, 65), (1, 20000), (500, 33)]
)
def test_triangles(kind, shape):
    x = (
        torch.arange(1, torch.Size(shape).numel() + 1)
        .reshape(shape)
        .remainder(199)
        .add(1)
        .to(getattr(torch, kind))
    )
    y = rushlight.tensor(x.tolist(), dtype=getattr(rushlight, kind))
    for name, diagonal in itertools.product(("tril", "triu"), (0, 1, -7, 64, 1000, -1000)):
        for layout in (lambda t: t, lambda t: t.mT, lambda t: t[..., 3:, 5:], lambda t: t[..., ::2, ::2]):
            wanted = getattr(torch, name)(layout(x), diagonal)
            made = getattr(rushlight, name)(layout(y), diagonal)
            assert made.dtype is y.dtype
            assert made.stride() == wanted.stride()
            assert made.tolist() == wanted.tolist()


def test_gradient():
    y = rushlight.rand(200, 210, requires_grad=True)
    (y.tril(3) * 2).sum().backward()
    assert y.grad.tolist() == (2 * rushlight.ones(200, 210).tril(3)).tolist()
