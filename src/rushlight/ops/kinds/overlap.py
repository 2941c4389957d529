"""Whether what is read lies in the memory that is written: PyTorch's checks, as far as it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, offset, strides
from rushlight.layout import is_dense, overlaps_itself, span
from rushlight.ops.kinds.contraction import CPP_NAMES


def check_overlap(t: Tensor, *others: Tensor) -> None:
    """RuntimeError if one of `others` shares elements with `t`, which is to be written."""
    for other in others:
        if other._buf is None or other._buf is not t._buf or not t._a.size or not other._a.size:
            continue
        if is_dense(t._a.shape, strides(t)) and is_dense(other._a.shape, strides(other)):
            a, b = offset(t), offset(other)
            if a < b + span(other._a.shape, strides(other)) and b < a + span(t._a.shape, strides(t)):
                raise RuntimeError(
                    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
                    "single memory location. Please clone() the tensor before performing the operation."
                )


def apart(values: np.ndarray, a: np.ndarray) -> np.ndarray:
    """`values`, copied if they may lie in the memory of `a`."""
    return values.copy() if np.may_share_memory(values, a) else values


def exact_out(sentence: str = "", *, read: bool = True) -> Callable:
    """A check for `out=`: it must have the result's type, and share no memory with what is read.

    Args:
        sentence: what to say of another type; {wanted} and {got} are PyTorch's names of the types.
        read: whether memory shared with the inputs is refused.
    """

    def check(out: Tensor, result: Tensor, inputs: Iterable[Any]) -> None:
        wanted, got = result._dtype, out._dtype
        if wanted is not got:
            if sentence:
                raise RuntimeError(sentence.format(wanted=wanted.legacy, got=got.legacy))
            raise RuntimeError(
                f"Expected out tensor to have dtype {CPP_NAMES[wanted.name]}, but got {CPP_NAMES[got.name]} instead"
            )
        check_apart(out, inputs) if read else None

    return check


def check_apart(out: Tensor, inputs: Iterable[Any]) -> None:
    """RuntimeError if `out` shows an element twice, or shares one with an input."""
    if 0 in out._a.strides and overlaps_itself(out._a.shape, strides(out)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    for value in inputs:
        members = (value,) if isinstance(value, Tensor) else value
        check_overlap(out, *[t for t in members if isinstance(t, Tensor)])
