"""The windows of an image that a kernel sees, and the three products of a convolution with them, on arrays of one type.

Large products of real numbers are done by kernels, where the processor has any (`runtime.windows`). Else windows are laid out as columns
(Chellapilla, Puri and Simard, 2006) and multiplied with the weights by BLAS, some examples at a time.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from rushlight.layout import Form, numel
from rushlight.ops import columns
from rushlight.ops.kinds.contraction import multiply
from rushlight.runtime.deferral import TIER

#: elements of the columns that are laid out at a time: they stay in the outer cache, and products are large
_COLUMNS = 1 << 20
#: elements of a result, of which fewer are not worth looking for a kernel
_FEW = 1 if TIER == "jit" else 1 << 8

# ---- windows ----


def padded(x: np.ndarray, padding: tuple[int, ...], value: Any = 0) -> np.ndarray:
    """Copies of `value` before and after each spatial dimension."""
    if not any(padding):
        return x
    shape = (*x.shape[:2], *(n + 2 * p for n, p in zip(x.shape[2:], padding)))
    out = np.full(shape, value, x.dtype)
    out[(..., *(slice(p, p + n) for n, p in zip(x.shape[2:], padding)))] = x
    return out


def windows(x: np.ndarray, kernel: tuple, stride: tuple, dilation: tuple, out: tuple) -> np.ndarray:
    """A view (N, C, *kernel, *out) of the windows that a kernel sees; `x` is large enough for all."""
    spatial = x.strides[2:]
    steps = tuple(s * d for s, d in zip(spatial, dilation)) + tuple(s * d for s, d in zip(spatial, stride))
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *steps))


def spread_windows(columns: np.ndarray, shape: tuple, stride: tuple, dilation: tuple) -> np.ndarray:
    """The transpose of `windows`: columns (N, C, *kernel, *out) added up where they were seen."""
    count = (columns.ndim - 2) // 2
    kernel, out = columns.shape[2 : 2 + count], columns.shape[2 + count :]
    made = np.zeros((*columns.shape[:2], *shape), columns.dtype)
    for offset in np.ndindex(kernel):
        places = tuple(
            slice(o * d, o * d + s * (n - 1) + 1, s) for o, d, s, n in zip(offset, dilation, stride, out)
        )
        seen: Any = (..., *places)
        made[seen] += columns[(slice(None), slice(None), *offset)]
    return made


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


# ---- products ----


@functools.cache
def _kernels() -> Any:
    """The module of kernels, which is imported when the first convolution may be worth one."""
    return importlib.import_module("rushlight.runtime.windows")


def convolved(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, form: Form, padding: tuple, groups: int
) -> np.ndarray:
    """The windows of `x` times weights (O, C / groups, *kernel), and `b` added to each channel."""
    o, out = len(w), tuple(map(output_size, x.shape[2:], form.kernel, form.stride, padding, form.dilation))
    if x.dtype.kind == "f" and len(x) * o * numel(out) >= _FEW:
        made = _kernels().convolved(x, w, b, form, padding, out, groups)
        if made is not None:
            return made
    return _biased(_convolved(x, w, form, padding, out, groups), b)


def _convolved(
    x: np.ndarray, w: np.ndarray, form: Form, padding: tuple, out: tuple, groups: int
) -> np.ndarray:
    n, c = x.shape[:2]
    o = len(w)
    rows = w.reshape(groups, o // groups, -1) if w.size else np.zeros((groups, o // groups, 0), w.dtype)
    if 0 < numel(out) < columns.SMALL and rows.size:
        return columns.convolved(x, rows, padding, form, out)
    made = np.empty((n, o, *out), x.dtype)
    x = padded(x, padding)
    step = max(1, _COLUMNS // max(1, c * numel(form.kernel) * numel(out)))
    for start in range(0, n, step):
        seen = windows(x[start : start + step], *form, out)
        laid = seen.reshape(len(seen), groups, rows.shape[2], numel(out))
        made[start : start + step] = multiply(rows, laid).reshape(len(seen), o, *out)
    return made


def _biased(made: np.ndarray, b: np.ndarray | None) -> np.ndarray:
    if b is not None:
        made += b.astype(made.dtype).reshape(-1, *(1,) * (made.ndim - 2))
    return made


def transposed(
    g: np.ndarray, w: np.ndarray, b: np.ndarray | None, form: Form, padding: tuple, size: tuple, groups: int
) -> np.ndarray:
    """The transpose of `convolved` with respect to x, whose sizes are `size`; and `b` added to each channel."""
    if g.dtype.kind == "f" and g.size >= _FEW:
        made = _kernels().transposed(g, w, b, form, padding, size, groups)
        if made is not None:
            return made
    return _biased(_transposed(g, w, form, padding, size, groups), b)


def _transposed(
    g: np.ndarray, w: np.ndarray, form: Form, padding: tuple, size: tuple, groups: int
) -> np.ndarray:
    n, o = g.shape[:2]
    inner, out = w.shape[1], g.shape[2:]
    kernel, stride, dilation = form
    rows = w.reshape(groups, o // groups, -1).swapaxes(1, 2)
    if 0 < numel(out) < columns.SMALL and rows.size:
        return columns.transposed(g, rows, padding, form, size)
    whole = tuple(s + 2 * p for s, p in zip(size, padding))
    made = np.empty((n, groups * inner, *size), g.dtype)
    step = max(1, _COLUMNS // max(1, rows.shape[1] * groups * numel(out)))
    crop = (..., *(slice(p, p + s) for s, p in zip(size, padding)))
    for start in range(0, n, step):
        part = g[start : start + step]
        laid = multiply(rows, part.reshape(len(part), groups, o // groups, -1))
        laid = laid.reshape(len(part), groups * inner, *kernel, *out)
        made[start : start + step] = spread_windows(laid, whole, stride, dilation)[crop]
    return made


def correlated(x: np.ndarray, g: np.ndarray, form: Form, padding: tuple, groups: int) -> np.ndarray:
    """The transpose of `convolved` with respect to w."""
    if x.dtype.kind == "f" and g.size >= _FEW:
        made = _kernels().correlated(x, g, form, padding, groups)
        if made is not None:
            return made
    return _correlated(x, g, form, padding, groups)


def _correlated(x: np.ndarray, g: np.ndarray, form: Form, padding: tuple, groups: int) -> np.ndarray:
    n, c = x.shape[:2]
    o, out, kernel = g.shape[1], g.shape[2:], form.kernel
    inner = c // groups * numel(kernel)
    wide = np.result_type(x.dtype, np.float64) if x.dtype.kind in "fc" else x.dtype
    total = np.zeros((groups, o // groups, inner), wide)
    if 0 < numel(out) < columns.SMALL and total.size:
        columns.correlated(x, g, padding, form, groups, total)
        return total.astype(x.dtype, copy=False).reshape(o, c // groups, *kernel)
    x = padded(x, padding)
    step = max(1, _COLUMNS // max(1, c * numel(kernel) * numel(out), o * inner))
    for start in range(0, n, step):
        seen = windows(x[start : start + step], *form, out)
        laid = seen.reshape(len(seen), groups, inner, numel(out))
        left = g[start : start + step].reshape(len(seen), groups, o // groups, -1)
        total += np.add.reduce(multiply(left, laid.swapaxes(2, 3)), 0, dtype=wide)
    return total.astype(x.dtype, copy=False).reshape(o, c // groups, *kernel)


__all__ = [
    "convolved",
    "correlated",
    "output_size",
    "padded",
    "spread_windows",
    "transposed",
    "windows",
]
