"""Whether what is read lies in the memory that is written: PyTorch's checks, as far as it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, storage, strides
from rushlight.layout import is_dense, overlaps_itself
from rushlight.memory import address


def check_overlap(t: Tensor, *others: Tensor) -> None:
    """RuntimeError if one of `others` shares elements with `t`, which is to be written; being the same ones is no excuse here."""
    for other in others:
        if other is t or _meet(t, other):
            raise errors.overlapping()


def check_reads_apart(t: Tensor, *arguments: Any) -> None:
    """`check_overlap` with all tensors among the arguments, also those in sequences and in places."""
    read = []
    for value in arguments:
        value = getattr(value, "tensors", value)
        read += [
            x for x in (value if isinstance(value, (tuple, list)) else (value,)) if isinstance(x, Tensor)
        ]
    check_overlap(t, *read)


def _meet(t: Tensor, other: Tensor) -> bool:
    """Whether two tensors without gaps share elements; where there are gaps, PyTorch does not look."""
    a, b = t._a, other._a
    if storage(t).array is not storage(other).array:
        return False  # as in PyTorch, where memory that came in twice is not known to be the same
    if not np.may_share_memory(a, b) or not a.size or not b.size:
        return False
    return is_dense(a.shape, strides(t)) and is_dense(b.shape, strides(other))


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
            raise RuntimeError(f"Expected out tensor to have dtype {wanted.cpp}, but got {got.cpp} instead")
        if read:
            check_apart(out, result, inputs)

    return check


def check_apart(out: Tensor, result: Tensor, inputs: Iterable[Any]) -> None:
    """RuntimeError if `out` shows an element twice, or shares one with an input (also once it is resized)."""
    a = out._a
    if 0 in a.strides and overlaps_itself(a.shape, strides(out)):
        raise errors.shown_twice()
    read = [
        t
        for value in inputs
        for t in ((value,) if isinstance(value, Tensor) else value)
        if isinstance(t, Tensor)
    ]
    if a.shape != result._a.shape and a.size and any(_reaches(out, result, t._a) for t in read):
        check_overlap(out, out)
    check_overlap(out, *read)


def _reaches(out: Tensor, result: Tensor, b: np.ndarray) -> bool:
    """Whether `out`, grown to the result's size within its storage, would lie on `b`."""
    start = address(out._a)
    low, high = np.lib.array_utils.byte_bounds(b)
    return out._buf is not None and b.size > 0 and start < high and low < start + result._a.nbytes
