"""Conversion between element types, with PyTorch's results on this processor."""

from __future__ import annotations

import numpy as np

from rushlight.dtypes import BOOL, COMPLEX, FLOATING, INTEGER, dtype, from_numpy_dtype

_INT64 = np.dtype(np.int64)


def convert(a: np.ndarray, kind: dtype) -> np.ndarray:
    """A fresh array of type `kind`, dimensions in the order of `a`'s memory.

    A float outside the range of an integer type is undefined in C; PyTorch's kernels go
    through int64 (x86's conversion) and keep the low bits, so this does too.
    """
    source = from_numpy_dtype(a.dtype)
    if source.category == COMPLEX and kind.category < COMPLEX and kind.category != BOOL:
        a = a.real
    if kind.category == INTEGER and source.category >= FLOATING and kind.itemsize < 8:
        a = _clean(a).astype(_INT64)
    return a.astype(kind.numpy)


def _clean(a: np.ndarray) -> np.ndarray:
    return a
