"""Large arrays turned round, against PyTorch: every type and layout."""

import itertools

import pytest
import torch

import rushlight


@pytest.mark.parametrize("kind", ["bool", "int8", "bfloat16", "float32", "int64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(20000,), (150, 131), (3, 4, 40, 37), (9000, 1), (0, 7)])
def test_flip(kind, shape):
    x = torch.arange(torch.Size(shape).numel()).reshape(shape).remainder(200).to(getattr(torch, kind))
    y = rushlight.tensor(x.tolist(), dtype=getattr(rushlight, kind)).reshape(shape)
    for count in range(len(shape) + 1):
        for dims in itertools.combinations(range(len(shape)), count):
            for turn in (lambda t: t, lambda t: t.movedim(0, -1))[: 1 + (min(shape) > 1)]:
                wanted, made = turn(x).flip(dims), turn(y).flip(dims)
                assert made.stride() == wanted.stride()
                assert made.tolist() == wanted.tolist()


def test_gradient():
    y = rushlight.rand(100, 120, requires_grad=True)
    scale = rushlight.rand(100, 120)
    (y.flip(1) * scale).sum().backward()
    assert y.grad.tolist() == scale.flip(1).tolist()
