"""Orthogonal polynomials of the degrees `n`: `torch.special`.

Degrees are cut to whole numbers; of a negative one the polynomial is 0. PyTorch has no derivatives of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.dtypes import COMPLEX, REDUCED
from rushlight.numerics import orthogonal
from rushlight.ops.kinds.binary import ONE, check_operands
from rushlight.ops.kinds.elementwise import floating, not_implemented
from rushlight.ops.kinds.pointwise import pointwise
from rushlight.ops.spec import public
from rushlight.ops.widening import wide
from rushlight.tape.derivative import NOT_DIFFERENTIABLE


def _polynomial(name: str, compute: Callable, doc: str) -> Any:
    called, compute = f"special_{name}", wide(compute)
    refuse = not_implemented(f"{name}_cpu", COMPLEX, *REDUCED)

    @pointwise(called, rule=floating, refuse=refuse, vjp=NOT_DIFFERENTIABLE)
    def values(x: Any, n: Any) -> Any:
        return compute(x, n)

    def function(x: Any, n: Any) -> Any:
        return values(*check_operands(called, x, n, ONE))

    function.__name__ = called  # which messages say
    function.__doc__ = doc
    return public(function, name=called, overloaded=True)


chebyshev_polynomial_t = _polynomial(
    "chebyshev_polynomial_t",
    orthogonal.chebyshev_t,
    """Chebyshev's polynomial of the first kind: `cos(n * a)` of `x = cos(a)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.chebyshev_polynomial_t(torch.tensor([0.5, 2.0]), 3)
        tensor([-1., 26.])
    """,
)
chebyshev_polynomial_u = _polynomial(
    "chebyshev_polynomial_u",
    orthogonal.chebyshev_u,
    """Chebyshev's polynomial of the second kind: `sin((n + 1) * a) / sin(a)` of `x = cos(a)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.chebyshev_polynomial_u(torch.tensor([0.5, 2.0]), 3)
        tensor([-1., 56.])
    """,
)
chebyshev_polynomial_v = _polynomial(
    "chebyshev_polynomial_v",
    orthogonal.chebyshev_v,
    """Chebyshev's polynomial of the third kind: `cos((n + 1/2) * a) / cos(a / 2)` of `x = cos(a)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.chebyshev_polynomial_v(torch.tensor([0.5, 2.0]), 3)
        tensor([-1., 41.])
    """,
)
chebyshev_polynomial_w = _polynomial(
    "chebyshev_polynomial_w",
    orthogonal.chebyshev_w,
    """Chebyshev's polynomial of the fourth kind: `sin((n + 1/2) * a) / sin(a / 2)` of `x = cos(a)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.chebyshev_polynomial_w(torch.tensor([0.5, 2.0]), 3)
        tensor([-1., 71.])
    """,
)
shifted_chebyshev_polynomial_t = _polynomial(
    "shifted_chebyshev_polynomial_t",
    orthogonal.shifted_t,
    """`chebyshev_polynomial_t` of `2 * x - 1`, which is at home on [0, 1].

    Example:
        >>> import rushlight as torch
        >>> torch.special.shifted_chebyshev_polynomial_t(torch.tensor([0.25, 2.0]), 3)
        tensor([ 1., 99.])
    """,
)
shifted_chebyshev_polynomial_u = _polynomial(
    "shifted_chebyshev_polynomial_u",
    orthogonal.shifted_u,
    """`chebyshev_polynomial_u` of `2 * x - 1`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.shifted_chebyshev_polynomial_u(torch.tensor([0.25, 2.0]), 3)
        tensor([  1., 204.])
    """,
)
shifted_chebyshev_polynomial_v = _polynomial(
    "shifted_chebyshev_polynomial_v",
    orthogonal.shifted_v,
    """`chebyshev_polynomial_v` of `2 * x - 1`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.shifted_chebyshev_polynomial_v(torch.tensor([0.25, 2.0]), 3)
        tensor([  1., 169.])
    """,
)
shifted_chebyshev_polynomial_w = _polynomial(
    "shifted_chebyshev_polynomial_w",
    orthogonal.shifted_w,
    """`chebyshev_polynomial_w` of `2 * x - 1`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.shifted_chebyshev_polynomial_w(torch.tensor([0.25, 2.0]), 3)
        tensor([  1., 239.])
    """,
)
hermite_polynomial_h = _polynomial(
    "hermite_polynomial_h",
    orthogonal.hermite_h,
    """The physicists' Hermite polynomial, of the weight `exp(-x**2)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.hermite_polynomial_h(torch.tensor([0.5, 2.0]), 3)
        tensor([-5., 40.])
    """,
)
hermite_polynomial_he = _polynomial(
    "hermite_polynomial_he",
    orthogonal.hermite_he,
    """The probabilists' Hermite polynomial, of the weight `exp(-x**2 / 2)`.

    Example:
        >>> import rushlight as torch
        >>> torch.special.hermite_polynomial_he(torch.tensor([0.5, 2.0]), 3)
        tensor([-1.3750,  2.0000])
    """,
)
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l",
    orthogonal.laguerre,
    """Laguerre's polynomial, of the weight `exp(-x)` from 0 on.

    Example:
        >>> import rushlight as torch
        >>> torch.special.laguerre_polynomial_l(torch.tensor([0.5, 2.0]), 2)
        tensor([ 0.1250, -1.0000])
    """,
)
legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p",
    orthogonal.legendre,
    """Legendre's polynomial, of the weight 1 on [-1, 1].

    Example:
        >>> import rushlight as torch
        >>> torch.special.legendre_polynomial_p(torch.tensor([0.5, 2.0]), 2)
        tensor([-0.1250,  5.5000])
    """,
)
