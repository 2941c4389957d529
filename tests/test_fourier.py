"""torch.fft against PyTorch: values, gradients to second order, frequencies, errors."""

import numpy as np
import pytest
import torch
from both import same

import rushlight

ONE = "fft ifft rfft irfft hfft ihfft".split()
SEVERAL = "fftn ifftn rfftn irfftn hfftn ihfftn fft2 ifft2 rfft2 irfft2 hfft2 ihfft2".split()
REAL = {"rfft", "ihfft", "rfftn", "ihfftn", "rfft2", "ihfft2"}


def draw(T, name, shape=(3, 4, 5), kind="float64"):
    rng = np.random.default_rng(list(shape))
    a = rng.standard_normal(shape)
    if name not in REAL:
        a = a + 1j * rng.standard_normal(shape)
        kind = {"float64": "complex128", "float32": "complex64"}[kind]
    return T.tensor(a.tolist(), dtype=getattr(T, kind))


def close(name, options, kind="float64"):
    found = []
    for T in (torch, rushlight):
        x = draw(T, name, kind=kind).requires_grad_()
        out = getattr(T.fft, name)(x, **options)
        weight = T.arange(float(out.numel()), dtype=T.float64).reshape(out.shape).sin()
        loss = (out * weight).abs().square().sum() if out.is_complex() else (out * weight).sin().sum()
        (g,) = T.autograd.grad(loss, x, create_graph=True)
        second = T.autograd.grad(g.abs().square().sum(), x, allow_unused=True)[0]
        found.append([t.detach().resolve_conj().numpy() for t in (out, g, second)])
        found[-1].append([str(out.dtype).removeprefix("torch."), tuple(out.shape)])
    assert found[1][3] == found[0][3]
    tolerance = 1e-10 if kind == "float64" else 3e-4
    for ours, theirs in zip(found[1][:3], found[0][:3]):
        np.testing.assert_allclose(ours, theirs, tolerance, tolerance)


@pytest.mark.parametrize("norm", [None, "ortho", "forward", "backward"])
@pytest.mark.parametrize("name", ONE)
def test_one_dimension(name, norm):
    for options in ({}, {"dim": 0}, {"n": 3}, {"n": 8, "dim": 1}, {"n": 1}):
        close(name, options | {"norm": norm})
    close(name, {"norm": norm}, "float32")


@pytest.mark.parametrize("name", ONE + SEVERAL)
def test_order_in_memory(name):
    """What is transformed lies innermost; an `out` that is resized is in rows, save for what PyTorch computes as a conjugate."""
    dims = (0, 1, 2) if name in ONE else ((0, 1), (1, 2), (2, 0), (1,), (0, 1, 2))
    for dim in dims:
        for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2)):
            steps = []
            for T in (torch, rushlight):
                x = draw(T, name).permute(order)
                made = getattr(T.fft, name)(x, dim=dim)
                steps.append([made.stride()])
                if not name.startswith(("ihfft2", "ihfftn")):  # (of which PyTorch leaves `out` empty)
                    for given in (x, x.real.contiguous()):
                        out = T.empty(0, dtype=made.dtype)
                        steps[-1].append(getattr(T.fft, name)(given, dim=dim, out=out).stride())
            assert steps[1] == steps[0], (dim, order)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_dimensions(name):
    for options in (
        {},
        {"dim": (0, 2)},
        {"s": (3, 7)},
        {"s": (2, 6), "dim": (0, 1), "norm": "ortho"},
        {"dim": 1},
    ):
        close(name, options)


def test_types():
    for kind in ("float32", "float64", "int64", "bool", "complex64"):
        same(lambda T, kind=kind: T.fft.fft(T.tensor([1, 0, 1, 1]).to(getattr(T, kind))))
        same(lambda T, kind=kind: T.fft.irfft(T.tensor([1, 0, 1]).to(getattr(T, kind))))


def test_frequencies():
    same(
        lambda T: [
            getattr(T.fft, f)(n, d) for f in ("fftfreq", "rfftfreq") for n in (1, 4, 5) for d in (1.0, 0.5)
        ]
    )
    same(lambda T: T.fft.fftfreq(4, dtype=T.float64, requires_grad=True))
    same(
        lambda T: [
            f(T.arange(10).reshape(2, 5), d)
            for f in (T.fft.fftshift, T.fft.ifftshift)
            for d in (None, 1, (0, 1))
        ]
    )


def test_inverses():
    x = draw(rushlight, "fft")
    for forth, back in (("fft", "ifft"), ("fftn", "ifftn"), ("fft2", "ifft2")):
        assert rushlight.allclose(getattr(rushlight.fft, back)(getattr(rushlight.fft, forth)(x)), x)
    r = draw(rushlight, "rfft")
    assert rushlight.allclose(rushlight.fft.irfft(rushlight.fft.rfft(r), 5), r)
    assert rushlight.allclose(rushlight.fft.hfft(rushlight.fft.ihfft(r), 5), r)


def test_out():
    same(lambda T: T.fft.rfft(T.arange(4.0), out=T.empty(0, dtype=T.complex64)))


ERRORS = [
    lambda T: T.fft.fft(T.ones(3), n=0),
    lambda T: T.fft.fft(T.ones(3), norm="x"),
    lambda T: T.fft.fft(T.ones(3), dim=1),
    lambda T: T.fft.fft(T.ones(())),
    lambda T: T.fft.fft(T.ones(0)),
    lambda T: T.fft.fft(T.ones(3).half()),
    lambda T: T.fft.rfft(T.ones(3, dtype=T.complex64)),
    lambda T: T.fft.irfft(T.ones(1)),
    lambda T: T.fft.fftn(T.ones(2, 3), dim=(0, 0)),
    lambda T: T.fft.fftn(T.ones(2, 3), s=(1,), dim=(0, 1)),
    lambda T: T.fft.fftn(T.ones(2), s=(1, 1)),
    lambda T: T.fft.rfftn(T.ones(2), dim=()),
]


@pytest.mark.parametrize("at", range(len(ERRORS)))
def test_errors(at):
    same(ERRORS[at])
