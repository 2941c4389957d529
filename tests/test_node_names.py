"""What `print` says made a tensor: the nodes of the graph have PyTorch's names, and its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from numpy.testing import assert_allclose

import rushlight


def unpooled(T: Any, x: Any, count: int) -> Any:
    places = T.arange(x.numel()).reshape(x.shape) % 2 + 2 * (
        T.arange(x.numel()).reshape(x.shape) % x[0, 0].numel()
    )
    return getattr(T.nn.functional, f"max_unpool{count}d")(
        x, places, (2,) + (1,) * (count - 1) if count > 1 else 2
    )


MADE: dict[str, Callable[[Any, Any], Any]] = {
    **{
        f"pdist {p}": lambda T, x, p=p: T.pdist(x.flatten(1)[:, :4], p)
        for p in (0.0, 1.0, 2.0, 3.0, float("inf"))
    },
    "max_unpool1d": lambda T, x: unpooled(T, x.flatten(2), 1),
    "max_unpool2d": lambda T, x: unpooled(T, x, 2),
    "max_unpool2d of one": lambda T, x: T.nn.functional.max_unpool2d(
        x[0], T.arange(36).reshape(3, 3, 4) % 12 * 4, 2
    ),
    "max_unpool3d": lambda T, x: unpooled(T, x.unsqueeze(2), 3),
    "fft": lambda T, x: T.fft.fft(x),
    "fft of complex": lambda T, x: T.fft.fft(x * 1j),
    "ifft": lambda T, x: T.fft.ifft(x, 5),
    "rfft": lambda T, x: T.fft.rfft(x),
    "rfft2": lambda T, x: T.fft.rfft2(x),
    "rfftn": lambda T, x: T.fft.rfftn(x, dim=(2, 1)),
    "ihfft": lambda T, x: T.fft.ihfft(x, dim=0),
    "ihfftn": lambda T, x: T.fft.ihfftn(x),
    "irfft": lambda T, x: T.fft.irfft(x),
    "hfftn": lambda T, x: T.fft.hfftn(x),
    "logsigmoid": lambda T, x: T.nn.functional.logsigmoid(x.mT),
    "mvlgamma": lambda T, x: T.mvlgamma(x.abs() + 5, 2),
    "rrelu": lambda T, x: T.nn.functional.rrelu(x.mT),
    "slice_scatter": lambda T, x: x.mT.slice_scatter(x.mT[1:], 0, 1),
}


@pytest.mark.parametrize("name", MADE)
def test_nodes_and_gradients(name: str) -> None:
    found = []
    for T in (torch, rushlight):
        x = ((T.arange(72.0, dtype=T.float64) * 7 % 31) - 12).reshape(2, 3, 3, 4).requires_grad_()
        y = MADE[name](T, x)
        size = T.view_as_real(y.resolve_conj()) if y.is_complex() else y
        (grad,) = T.autograd.grad((size * size.detach().cos()).sum(), x)
        found.append((y.grad_fn.name(), size.detach().numpy(), grad.numpy()))
    theirs, ours = found
    assert ours[0] == theirs[0]
    assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-9)
    assert_allclose(ours[2], theirs[2], rtol=1e-9, atol=1e-9)


def test_places_written_to_after_unpooling() -> None:
    for T in (torch, rushlight):
        places = T.tensor([[[3]]])
        y = T.nn.functional.max_unpool2d(T.ones(1, 1, 1, requires_grad=True), places, 2)
        places.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
