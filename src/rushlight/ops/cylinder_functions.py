"""Bessel functions of the first and the second kind, modified ones, and Airy's: `torch.special`.

PyTorch has no derivatives of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.dtypes import COMPLEX, REDUCED
from rushlight.numerics import airy, bessel, cylinder, macdonald
from rushlight.ops.kinds.elementwise import floating, not_implemented, unary
from rushlight.ops.widening import wide
from rushlight.runtime.deferral import FROM_PIECES
from rushlight.tape.derivative import NOT_DIFFERENTIABLE


def _function(name: str, numpy: Callable, doc: str) -> Any:
    return unary(
        f"special_{name}",
        numpy=wide(numpy),
        least=FROM_PIECES,
        dtype=floating,
        refuse=not_implemented(f"{name}_cpu", COMPLEX, *REDUCED),
        vjp=NOT_DIFFERENTIABLE,
        doc=doc,
    )


bessel_j0 = _function(
    "bessel_j0",
    cylinder.j0,
    """The Bessel function of the first kind, of order 0.

    Example:
        >>> import rushlight as torch
        >>> torch.special.bessel_j0(torch.tensor([0.0, 2.0, 5.0]))
        tensor([ 1.0000,  0.2239, -0.1776])
    """,
)
bessel_j1 = _function(
    "bessel_j1",
    cylinder.j1,
    """The Bessel function of the first kind, of order 1.

    Example:
        >>> import rushlight as torch
        >>> torch.special.bessel_j1(torch.tensor([0.0, 2.0, 5.0]))
        tensor([ 0.0000,  0.5767, -0.3276])
    """,
)
bessel_y0 = _function(
    "bessel_y0",
    cylinder.y0,
    """The Bessel function of the second kind, of order 0: -inf at 0, nan below.

    Example:
        >>> import rushlight as torch
        >>> torch.special.bessel_y0(torch.tensor([0.0, 2.0, 5.0]))
        tensor([   -inf,  0.5104, -0.3085])
    """,
)
bessel_y1 = _function(
    "bessel_y1",
    cylinder.y1,
    """The Bessel function of the second kind, of order 1: -inf at 0, nan below.

    Example:
        >>> import rushlight as torch
        >>> torch.special.bessel_y1(torch.tensor([0.0, 2.0, 5.0]))
        tensor([   -inf, -0.1070,  0.1479])
    """,
)
spherical_bessel_j0 = _function(
    "spherical_bessel_j0",
    cylinder.spherical_j0,
    """The spherical Bessel function of the first kind, of order 0: `sin(input) / input`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.spherical_bessel_j0(torch.tensor([0.0, 2.0]))
        tensor([1.0000, 0.4546])
    """,
)
modified_bessel_i0 = _function(
    "modified_bessel_i0",
    bessel.i0,
    """The modified Bessel function of the first kind, of order 0; see `i0`, which has a derivative.

    Example:
        >>> import rushlight as torch
        >>> torch.special.modified_bessel_i0(torch.tensor([0.0, 2.0]))
        tensor([1.0000, 2.2796])
    """,
)
modified_bessel_i1 = _function(
    "modified_bessel_i1",
    bessel.i1,
    """The modified Bessel function of the first kind, of order 1; see `i1`, which has a derivative.

    Example:
        >>> import rushlight as torch
        >>> torch.special.modified_bessel_i1(torch.tensor([0.0, 2.0]))
        tensor([0.0000, 1.5906])
    """,
)
modified_bessel_k0 = _function(
    "modified_bessel_k0",
    macdonald.k0,
    """The modified Bessel function of the second kind, of order 0: inf at 0, nan below.

    Example:
        >>> import rushlight as torch
        >>> torch.special.modified_bessel_k0(torch.tensor([0.0, 2.0]))
        tensor([   inf, 0.1139])
    """,
)
modified_bessel_k1 = _function(
    "modified_bessel_k1",
    macdonald.k1,
    """The modified Bessel function of the second kind, of order 1: inf at 0, nan below.

    Example:
        >>> import rushlight as torch
        >>> torch.special.modified_bessel_k1(torch.tensor([0.0, 2.0]))
        tensor([   inf, 0.1399])
    """,
)
scaled_modified_bessel_k0 = _function(
    "scaled_modified_bessel_k0",
    macdonald.k0e,
    """`exp(x) * modified_bessel_k0(x)`, which does not underflow.

    Example:
        >>> import rushlight as torch
        >>> torch.special.scaled_modified_bessel_k0(torch.tensor([2.0, 1000.0]))
        tensor([0.8416, 0.0396])
    """,
)
scaled_modified_bessel_k1 = _function(
    "scaled_modified_bessel_k1",
    macdonald.k1e,
    """`exp(x) * modified_bessel_k1(x)`, which does not underflow.

    Example:
        >>> import rushlight as torch
        >>> torch.special.scaled_modified_bessel_k1(torch.tensor([2.0, 1000.0]))
        tensor([1.0335, 0.0396])
    """,
)
airy_ai = _function(
    "airy_ai",
    airy.ai,
    """Airy's function Ai, the solution of `y'' = x y` that falls to 0 on the right.

    Example:
        >>> import rushlight as torch
        >>> torch.special.airy_ai(torch.tensor([-2.0, 0.0, 2.0]))
        tensor([0.2274, 0.3550, 0.0349])
    """,
)
