"""Sizes and signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, WIDE_UNSIGNED, dtype
from rushlight.ops.kinds.binary import OTHER, check_operands
from rushlight.ops.kinds.elementwise import floating, not_implemented, same, same_out, unary
from rushlight.ops.kinds.pointwise import pointwise
from rushlight.ops.spec import public
from rushlight.ops.writing import in_place_of


def magnitude(d: dtype) -> tuple[dtype, dtype]:
    """A complex type computes its real counterpart."""
    return d, d.to_real() if d.category == COMPLEX else d


def _magnitude(x: np.ndarray) -> np.ndarray:
    return np.hypot(x.real.astype("d"), x.imag.astype("d")).astype("f") if x.dtype.char == "F" else np.abs(x)


abs = unary(
    "abs",
    numpy=_magnitude,
    out_check=same_out,
    dtype=magnitude,
    refuse=not_implemented("abs_cpu", BOOL, *WIDE_UNSIGNED),
    vjp=lambda g, x: g * x.sgn(),
    doc="""The absolute value; of a complex number, a real one.

    Example:
        >>> import rushlight as torch
        >>> torch.abs(torch.tensor([-1.0, 2.0]))
        tensor([1., 2.])
    """,
)
absolute = abs

_overwrite_with_size = abs.inplace


@in_place_of(abs)
def _abs_in_place(self: Tensor) -> Tensor:
    """In-place form of :func:`abs`; RuntimeError for complex tensors, whose sizes are real."""
    if self._dtype.category == COMPLEX:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return _overwrite_with_size(self)


def _no_complex_sign(d: dtype) -> Exception | None:
    if d.category == COMPLEX:
        return NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )
    return not_implemented("sign_cpu", *WIDE_UNSIGNED)(d)


def signs(x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1; a nan counts as 0, as it does with PyTorch."""
    if x.dtype.kind == "b":
        return x.copy("K")
    if x.dtype.kind == "c":
        size = np.abs(x)
        return np.divide(x, size, out=np.zeros_like(x), where=size != 0)
    if x.dtype.kind != "f" or x.dtype.itemsize == 2 or type(x) is not np.ndarray:
        return np.subtract(x > 0, x < 0, dtype=np.int8).astype(x.dtype)
    zero = np.array(0, x.dtype)
    above, below = np.greater(x, zero), np.less(x, zero)
    return np.subtract(above.view(np.int8), below.view(np.int8)).astype(x.dtype)


def _sgn_gradient(g: Any, x: Any, out: Any) -> Any:
    if not x.is_complex():
        return g.new_zeros(g.shape)
    size = x.abs()
    return ((g / size) - (g * out.conj()).real * out / size).masked_fill(size == 0, 0)


sign = unary(
    "sign",
    numpy=signs,
    out_check=same_out,
    dtype=same,
    refuse=_no_complex_sign,
    vjp=lambda g: g.new_zeros(g.shape),
    doc="""-1, 0 or 1 for each element.""",
)

sgn = unary(
    "sgn",
    numpy=signs,
    out_check=same_out,
    dtype=same,
    refuse=not_implemented("sign_cpu", *WIDE_UNSIGNED),
    vjp=_sgn_gradient,
    doc="""The sign; of a complex number, the number of size 1 in its direction.""",
)


def _copysign_gradient(g: Any, x: Any, out: Any) -> Any:
    return g * (out / x).masked_fill(x == 0, 0)


_refuse_copysign = not_implemented("copysign_cpu", COMPLEX)


@pointwise(
    "CopysignBackward0",
    rule=floating,
    refuse=_refuse_copysign,
    vjp=(_copysign_gradient, lambda g: g.new_zeros(g.shape)),
)
def copysign_tensors(x, y):
    return np.copysign(x, y)


@pointwise("CopysignBackward1", rule=floating, refuse=_refuse_copysign, vjp=(_copysign_gradient, None))
def copysign_number(x, y):
    return np.copysign(x, y)


@public(overloaded=True)
def copysign(input, other):
    """The size of `input` with the sign of `other`.

    Example:
        >>> import rushlight as torch
        >>> torch.copysign(torch.tensor([1.0, -2.0]), -1)
        tensor([-1., -2.])
    """
    check_operands("copysign", input, other, OTHER)
    return copysign_tensors(input, other) if isinstance(other, Tensor) else copysign_number(input, other)
