"""Gamma, Dirichlet and binomial samples; the first two with gradients by their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors, streams
from rushlight.buffer import Tensor, new_tensor
from rushlight.layout import broadcast
from rushlight.numerics import reparameterised
from rushlight.ops.sampling import source
from rushlight.ops.spec import primitive, public
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, Derivative, no_derivative
from rushlight.tape.recording import record

# ---- how samples move with their parameters ----


@primitive(
    "StandardGammaGrad", vjp=(no_derivative("_standard_gamma_grad"), no_derivative("_standard_gamma_grad"))
)
def gamma_slopes(x, sample):
    return reparameterised.gamma_slope(x, sample).astype(x.dtype)


@primitive("DirichletGrad", vjp=NOT_DIFFERENTIABLE)
def dirichlet_slopes(x, concentration):
    total = concentration.sum(-1, keepdims=True, dtype=np.float64)
    return reparameterised.dirichlet_slope(x, concentration, total).astype(x.dtype)


def _dirichlet_gradient(g: Any, x: Any, out: Any) -> Any:
    """The coordinates of a sample move together: what one gains, the others lose in proportion."""
    return dirichlet_slopes(out, x) * (g - (out * g).sum(-1, keepdim=True))


_GAMMA = Derivative("StandardGamma", ("x",), (lambda g, x, out: g * gamma_slopes(x, out),))
_DIRICHLET = Derivative("Dirichlet", ("x",), (_dirichlet_gradient,))
_BINOMIAL = Derivative("Binomial", ("count", "prob"), (no_derivative("binomial"), no_derivative("binomial")))


# ---- samples ----


def _sampled(draw: Any, derivative: Derivative, generator: Any, *inputs: Tensor) -> Tensor:
    first = inputs[0]
    arrays = [np.ascontiguousarray(t._a) for t in inputs]
    out = new_tensor(draw(source(generator, draw.__name__), *arrays).reshape(first._a.shape), first._dtype)
    record(derivative, inputs, None, out)
    return out


@public(out=False)
def _standard_gamma(input, generator=None):
    """A sample of the gamma distribution of rate 1 for each shape in `input`, differentiable by the shape."""
    return _sampled(streams.standard_gamma, _GAMMA, generator, input)


@public(out=False)
def _sample_dirichlet(input, generator=None):
    """A sample of the Dirichlet distribution for each row of concentrations, differentiable by them."""
    return _sampled(streams.dirichlet, _DIRICHLET, generator, input)


@public(out=False)
def binomial(count, prob, generator=None):
    """How many of `count` trials succeed, each with probability `prob`: one sample for each pair, broadcast.

    Raises:
        ValueError: `count` is not of a floating type.
        RuntimeError: the two types differ.

    Example:
        >>> import rushlight as torch
        >>> torch.binomial(torch.tensor([3.0, 5.0]), torch.tensor([0.0, 1.0]))
        tensor([0., 5.])
    """
    for position, (name, value) in enumerate((("count", count), ("prob", prob)), 1):
        if not isinstance(value, Tensor):
            raise errors.wrong_type("binomial", name, position, value)
    if not count._dtype.is_floating_point:
        raise ValueError(
            f"binomial only supports floating-point dtypes for count, got: {count._dtype.legacy}"
        )
    if prob._dtype is not count._dtype:
        raise RuntimeError(f"Found dtype {prob._dtype.legacy} but expected {count._dtype.legacy}")
    shape = broadcast(count._a.shape, prob._a.shape)
    return _sampled(streams.binomial, _BINOMIAL, generator, count.expand(shape), prob.expand(shape))
