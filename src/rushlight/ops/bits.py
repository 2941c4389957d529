"""Logic on truth values, operations on bits, shifts."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, FLOATING, WIDE_UNSIGNED
from rushlight.ops.kinds.binary import NONE, ONE, binary, inplace_operator
from rushlight.ops.kinds.elementwise import boolean, not_implemented, same, same_out, unary
from rushlight.tape.derivative import NOT_DIFFERENTIABLE

# ---- logic ----


def _logical(name: str, numpy: Any, doc: str) -> Any:
    refuse = not_implemented(f"{name}_cpu", *WIDE_UNSIGNED)
    return binary(
        name, numpy=numpy, dtype=boolean, refuse=refuse, vjp=NOT_DIFFERENTIABLE, numbers=NONE, doc=doc
    )


logical_and = _logical("logical_and", np.logical_and, "Whether both elements are not zero.")
logical_or = _logical("logical_or", np.logical_or, "Whether at least one of the elements is not zero.")
logical_xor = _logical("logical_xor", np.logical_xor, "Whether exactly one of the elements is not zero.")
logical_not = unary(
    "logical_not",
    numpy=np.logical_not,
    dtype=boolean,
    refuse=not_implemented("logical_not_cpu", *WIDE_UNSIGNED),
    vjp=NOT_DIFFERENTIABLE,
    doc="Whether each element is zero.",
)

# ---- bits ----


def _bitwise(name: str, numpy: Any, doc: str) -> Any:
    refuse = not_implemented(f"{name}_cpu", FLOATING, COMPLEX)
    return binary(
        name,
        numpy=numpy,
        dtype=same,
        refuse=refuse,
        vjp=NOT_DIFFERENTIABLE,
        numbers=ONE,
        commutes=True,
        doc=doc,
    )


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "The bits set in both; of bools, `and`.")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "The bits set in either; of bools, `or`.")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "The bits set in exactly one; of bools, `!=`.")
bitwise_not = unary(
    "bitwise_not",
    out_check=same_out,
    numpy=np.invert,
    dtype=same,
    refuse=not_implemented("bitwise_not_cpu", FLOATING, COMPLEX, *WIDE_UNSIGNED),
    vjp=NOT_DIFFERENTIABLE,
    doc="The bits that are not set; of bools, `not`.",
)


def invert(self: Tensor) -> Tensor:
    """`~self`, for integers and bools."""
    if self._dtype.category >= FLOATING:
        raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
    return bitwise_not.method(self)


# ---- shifts ----

_UNSHIFTED = (BOOL, FLOATING, COMPLEX, *WIDE_UNSIGNED)


def _shift_left(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bits pushed out are lost; a distance that is negative or too large leaves none."""
    bits = 8 * x.dtype.itemsize
    outside = (y < 0) | (y >= bits)
    return np.where(outside, 0, np.left_shift(x, np.where(outside, 0, y))).astype(x.dtype)


def _shift_right(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sign bit moves in; a distance that is negative or too large leaves nothing else."""
    last = 8 * x.dtype.itemsize - 1
    outside = (y < 0) | (y > last)
    if x.dtype.kind == "u":
        return np.where(outside, 0, np.right_shift(x, np.where(outside, 0, y))).astype(x.dtype)
    return np.right_shift(x, np.where(outside, last, y)).astype(x.dtype)


bitwise_left_shift = binary(
    "bitwise_left_shift",
    numpy=_shift_left,
    numbers=ONE,
    dtype=same,
    refuse=not_implemented("lshift_cpu", *_UNSHIFTED),
    vjp=NOT_DIFFERENTIABLE,
    doc="`input * 2**other` in the bits of the type.",
)
bitwise_right_shift = binary(
    "bitwise_right_shift",
    numpy=_shift_right,
    numbers=ONE,
    dtype=same,
    refuse=not_implemented("rshift_cpu", *_UNSHIFTED),
    vjp=NOT_DIFFERENTIABLE,
    doc="`floor(input / 2**other)`.",
)

# ---- in place, as operators ----

inplace_and = inplace_operator(bitwise_and)
inplace_or = inplace_operator(bitwise_or)
inplace_xor = inplace_operator(bitwise_xor)
inplace_left_shift = inplace_operator(bitwise_left_shift)
inplace_right_shift = inplace_operator(bitwise_right_shift)
