"""The incomplete gamma functions: the distribution function of a gamma variable, and its complement."""

from __future__ import annotations

from typing import Any

from rushlight.numerics import incomplete_gamma
from rushlight.ops.kinds.binary import NONE, binary
from rushlight.ops.kinds.elementwise import floating, floats_only
from rushlight.ops.widening import wide
from rushlight.tape.derivative import no_derivative


def _density(a: Any, x: Any) -> Any:
    return ((a - 1) * x.log() - x - a.lgamma()).exp()


igamma = binary(
    "igamma",
    numpy=wide(incomplete_gamma.lower),
    dtype=floating,
    refuse=floats_only("igamma_cpu"),
    vjp=(no_derivative("igamma: input"), lambda g, x, y: g * _density(x, y)),
    numbers=NONE,
    doc="""The lower incomplete gamma function, regularised: `P(input, other)`, for `input` and `other` >= 0.

    Example:
        >>> import rushlight as torch
        >>> torch.igamma(torch.tensor([4.0]), torch.tensor([3.0]))
        tensor([0.3528])
    """,
)
igammac = binary(
    "igammac",
    numpy=wide(incomplete_gamma.upper),
    dtype=floating,
    refuse=floats_only("igammac_cpu"),
    vjp=(no_derivative("igammac: input"), lambda g, x, y: -g * _density(x, y)),
    numbers=NONE,
    doc="""The upper incomplete gamma function, regularised: `1 - P(input, other)`, without cancellation.

    Example:
        >>> import rushlight as torch
        >>> torch.igammac(torch.tensor([4.0]), torch.tensor([3.0]))
        tensor([0.6472])
    """,
)

igamma_ = igamma.inplace
igammac_ = igammac.inplace

__all__ = ["igamma", "igamma_", "igammac", "igammac_"]
