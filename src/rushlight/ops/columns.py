"""The three products of a convolution for many small images: columns of all examples side by side, and one product.

Columns of one example are runs as short as a row of its image, of which NumPy copies few in a microsecond, and its product is so small
that BLAS takes longer to begin than to end. With the examples' dimension last, runs are as long as a row of all images.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight.layout import Form, numel
from rushlight.ops.kinds.contraction import multiply

#: places of the result, for each example, below which images are small
SMALL = 256
#: elements of the columns that are laid out at a time: they stay in the cache
_COLUMNS = 1 << 17
#: terms of a product that are added up in the precision of the operands
_TERMS = 1 << 9


def convolved(x: np.ndarray, rows: np.ndarray, padding: tuple, form: Form, out: tuple) -> np.ndarray:
    """The windows of `x` (N, C, *sizes) times the weights `rows` (groups, O / groups, C / groups * kernel)."""
    groups, each, inner = rows.shape
    made = np.empty((len(x), groups * each, *out), x.dtype)
    for part in _parts(len(x), groups * inner * numel(out)):
        columns = _columns(_last(x[part], padding), form, out, groups)
        made[part] = np.moveaxis(_multiplied(rows, columns).reshape(*made.shape[1:], -1), -1, 0)
    return made


def transposed(g: np.ndarray, rows: np.ndarray, padding: tuple, form: Form, size: tuple) -> np.ndarray:
    """The transpose of `convolved` with respect to `x`, whose sizes are `size`; `rows` are transposed already."""
    groups, inner, each = rows.shape
    kernel, stride, dilation = form
    out = g.shape[2:]
    channels = groups * inner // numel(kernel)
    whole = tuple([s + 2 * p for s, p in zip(size, padding)])
    made = np.empty((len(g), channels, *size), g.dtype)
    for part in _parts(len(g), groups * inner * numel(out)):
        given = _last(g[part], (0,) * len(out))
        columns = _multiplied(rows, given.reshape(groups, each, -1))
        columns = columns.reshape(channels, *kernel, *out, given.shape[-1])
        spread = np.zeros((channels, *whole, given.shape[-1]), g.dtype)
        for offset in np.ndindex(kernel):
            seen = spread[(slice(None), *_seen(offset, stride, dilation, out))]
            np.add(seen, columns[(slice(None), *offset)], seen)
        made[part] = np.moveaxis(spread[(slice(None), *_inside(size, padding))], -1, 0)
    return made


def correlated(
    x: np.ndarray, g: np.ndarray, padding: tuple, form: Form, groups: int, total: np.ndarray
) -> None:
    """Add the transpose of `convolved` with respect to `rows` to `total`, a few terms at a time."""
    out, each = g.shape[2:], g.shape[1] // groups
    for part in _parts(len(x), x.shape[1] * numel(form[0]) * numel(out)):
        columns = _columns(_last(x[part], padding), form, out, groups)
        given = _last(g[part], (0,) * len(out)).reshape(groups, each, -1)
        # (many products at once take a third of the time of one after the other, whose factors are pieces of rows)
        whole = given.shape[2] // _TERMS * _TERMS
        if whole:
            left = given[:, :, :whole].reshape(groups, each, -1, _TERMS).swapaxes(1, 2)
            right = columns[:, :, :whole].reshape(groups, columns.shape[1], -1, _TERMS).transpose(0, 2, 3, 1)
            total += np.add.reduce(multiply(left, right), 1, total.dtype)
        if whole < given.shape[2]:
            total += _multiplied(given[:, :, whole:], columns[:, :, whole:].swapaxes(1, 2))


def _parts(n: int, columns: int) -> Iterator[slice]:
    """The examples, so many at a time that their columns stay in the cache; of so many elements for each."""
    step = max(1, _COLUMNS // max(1, columns))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _last(x: np.ndarray, padding: tuple[int, ...]) -> np.ndarray:
    """Examples (N, C, *sizes) as (C, *sizes, N), with zeros around."""
    x = np.moveaxis(x, 0, -1)
    size = x.shape[1:-1]
    whole = (x.shape[0], *[n + 2 * p for n, p in zip(size, padding)], x.shape[-1])
    out = np.zeros(whole, x.dtype) if any(padding) else np.empty(whole, x.dtype)
    out[(slice(None), *_inside(size, padding))] = x
    return out


def _inside(size: tuple[int, ...], padding: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple([slice(p, p + n) for n, p in zip(size, padding)])


def _seen(offset: tuple, stride: tuple, dilation: tuple, out: tuple) -> tuple[slice, ...]:
    """Where the element of a kernel at `offset` looks."""
    return tuple(
        [slice(o * d, o * d + s * (n - 1) + 1, s) for o, d, s, n in zip(offset, dilation, stride, out)]
    )


def _columns(x: np.ndarray, form: Form, out: tuple, groups: int) -> np.ndarray:
    """The windows (groups, C / groups * kernel, out * N) of `x` (C, *sizes, N), which is large enough for all."""
    kernel, stride, dilation = form
    lines = x.strides[1:-1]
    steps = [*[s * d for s, d in zip(lines, dilation)], *[s * d for s, d in zip(lines, stride)]]
    shape = (x.shape[0], *kernel, *out, x.shape[-1])
    seen = np.ndarray(shape, x.dtype, x, 0, (x.strides[0], *steps, x.itemsize))
    return seen.reshape(groups, x.shape[0] // groups * numel(kernel), numel(out) * x.shape[-1])


def _multiplied(a: np.ndarray, b: np.ndarray) -> Any:
    """The products of the groups' matrices; that of a single group is one of two matrices, which BLAS begins sooner."""
    return multiply(a[0], b[0])[None] if len(a) == 1 else multiply(a, b)


__all__ = ["SMALL", "convolved", "correlated", "transposed"]
