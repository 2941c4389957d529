"""Pooling by kernels, where there are enough elements; see `rushlight.codegen.pooling`."""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime import channel_pooled
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements of all windows together from which on they are a kernel's
_FROM = 1 if TIER == "jit" else 1 << 12
#: elements of windows that are one task, at least
_TASK = 1 << 15
#: results of a plane up to which its tables are kept
_KEPT = 1 << 14
_JOB, _SPREADING = struct.Struct("=16q"), struct.Struct("=7q")
_KINDS = frozenset("fdiq")


class Geometry(NamedTuple):
    """Windows over planes, by their three dimensions."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    out: tuple[int, ...]

    @classmethod
    def of(cls, *sizes: tuple[int, ...]) -> Geometry:
        """Of two dimensions or three, in the order of the attributes."""
        size, kernel, stride, padding, dilation, out = sizes
        missing = 3 - len(size)
        one, none = (1,) * missing, (0,) * missing
        return cls(one + size, one + kernel, one + stride, none + padding, one + dilation, one + out)

    def starts(self, dim: int) -> np.ndarray:
        """The coordinate at which each window begins."""
        return np.arange(self.out[dim]) * self.stride[dim] - self.padding[dim]

    def first(self) -> np.ndarray:
        """The number of the first element inside the plane of each window."""
        starts = [self.starts(d) for d in range(3)]
        return _numbers([s + -(np.minimum(s, 0) // n) * n for s, n in zip(starts, self.dilation)], self.size)

    def inside(self) -> bool:
        """Whether no window reaches beyond the plane."""
        return not any(self.padding) and all(
            (o - 1) * s + (k - 1) * d < n
            for n, k, s, d, o in zip(self.size, self.kernel, self.stride, self.dilation, self.out)
        )


def _numbers(coordinates: list[np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """Elements by their coordinates of each dimension, counted row by row."""
    return _added([c * math.prod(size[d + 1 :]) for d, c in enumerate(coordinates)])


def _added(parts: list[np.ndarray]) -> np.ndarray:
    depth, rows, columns = parts
    return (depth[:, None, None] + rows[:, None] + columns).reshape(-1)


class Windows(NamedTuple):
    """What a kernel knows of windows.

    Attributes:
        table: where they begin, and more; see `rushlight.codegen.pooling`.
        offsets: what belongs to one.
        edges: whether some of that may lie outside.
        bounds: below which coordinates are inside.
    """

    table: np.ndarray
    offsets: np.ndarray
    edges: bool
    bounds: tuple[int, ...]


def _apart(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Numbers of each dimension as tables of all places."""
    zeros = [np.zeros_like(part) for part in parts]
    return [
        _added([part if n == d else z for n, (part, z) in enumerate(zip(parts, zeros))]) for d in range(3)
    ]


def _divided(divisor: Any, shape: tuple[int, ...]) -> np.ndarray:
    """A table of the bits of divisors."""
    by = np.broadcast_to(np.asarray(divisor, np.float32), shape)
    return np.ascontiguousarray(by).reshape(-1).view(np.int32)


def _laid_out(parts: list[np.ndarray], lanes: int) -> np.ndarray:
    """Tables whose last vectors are full."""
    count = parts[0].size
    table = np.empty((len(parts), count + -count % lanes), np.int32)
    for row, part in zip(table, parts):
        row[:count] = part
        row[count:] = part[0]
    return table


def _described(offsets: list[np.ndarray], steps: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """The elements of a window."""
    places = [_added([o * n for o, n in zip(offsets, steps)]), _numbers(offsets, size)]
    return np.ascontiguousarray(np.stack(places + _apart(offsets), 1), np.int64)


def _windows(g: Geometry, steps: tuple[int, ...], lanes: int, divisor: Any) -> Windows:
    """Those of a pooling; `divisor` is None for the largest."""
    starts = [g.starts(d) for d in range(3)]
    parts = [_added([s * n for s, n in zip(starts, steps)]), _numbers(starts, g.size)]
    parts.append(g.first() if divisor is None else _divided(divisor, g.out))
    edges = not g.inside()
    parts += _apart(starts) if edges else []
    offsets = [np.arange(k) * d for k, d in zip(g.kernel, g.dilation)]
    return Windows(_laid_out(parts, lanes), _described(offsets, steps, g.size), edges, g.size)


def _covering(g: Geometry, steps: tuple[int, ...], lanes: int, divisor: int) -> Windows:
    """The windows that each element of a plane is in, from the last one down, as windows over a plane of windows."""
    lasts, more, offsets = [], [], []
    for n, k, s, p, o in zip(g.size, g.kernel, g.stride, g.padding, g.out):
        at = np.arange(n) + p
        last, first = np.minimum(at // s, o - 1), np.maximum(-((k - 1 - at) // s), 0)
        lasts.append(last)
        more.append(last - first)
        offsets.append(-np.arange(-(-k // s)))
    parts = [_added([s * n for s, n in zip(lasts, steps)]), _numbers(lasts, g.out), _divided(divisor, g.size)]
    table = _laid_out(parts + _apart(more), lanes)
    return Windows(table, _described(offsets, steps, g.out), True, (1 << 30,) * 3)


_kept_windows, _kept_covering = lru_cache(32)(_windows), lru_cache(32)(_covering)


def _write(kind: str, largest: bool, edges: bool, vector_bytes: int) -> str:
    from rushlight.codegen.pooling import Pooling

    return Pooling(kind, largest, edges, vector_bytes).text()


def _planes(x: np.ndarray, shape: tuple[int, ...], window: int) -> str | None:
    """The kind of planes (N, C, ...) of which a kernel is to make some of this shape, taking so many elements for each; or None."""
    kind = "q" if x.dtype == np.int64 else x.dtype.char
    # (int32 must tell all elements of a plane)
    reach = sum([(n - 1) * abs(step) for n, step in zip(x.shape[2:], x.strides[2:])])
    small = max(reach, math.prod(shape[2:]), window) < 1 << 28
    return kind if kind in _KINDS and math.prod(shape) * window >= _FROM and small else None


def _run(
    x: np.ndarray, shape: tuple[int, ...], w: Windows, kind: str, largest: bool
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Results of this shape, and for the largest their places; None where nothing can be compiled."""
    if channel_pooled.serves(x):
        return channel_pooled.run(x, shape, w, kind, largest)
    kernel = loaded(_write, "pooling", kind, largest, w.edges)
    if kernel is None:
        return None
    count, planes, window = math.prod(shape[2:]), shape[0] * shape[1], len(w.offsets)
    out = array(shape, x.dtype)
    places = array(shape, np.dtype(np.int64)) if largest else None
    some = max(1, _TASK // (count * window))
    at = (
        address(x),
        address(out),
        0 if places is None else address(places),
        address(w.table),
        address(w.offsets),
    )
    batches = x.shape[1], x.strides[0], x.strides[1]
    words = (*at, count, w.table.shape[1], planes, some, *batches, window, *w.bounds)
    kernel.run(_JOB.pack(*words), -(-planes // some), planes * count * window)
    return out, places


def _steps(x: np.ndarray) -> tuple[int, ...]:
    return (0,) * (5 - x.ndim) + x.strides[2:]


def _of_planes(g: Geometry, sizes: tuple[int, ...], x: np.ndarray) -> tuple[int, ...]:
    return (*x.shape[:2], *sizes[5 - x.ndim :])


def largest(x: np.ndarray, g: Geometry) -> tuple[np.ndarray, np.ndarray] | None:
    """The largest element of each window, and its number in its plane; None where NumPy is to find them."""
    shape = _of_planes(g, g.out, x)
    kind = _planes(x, shape, math.prod(g.kernel))
    if kind is None:
        return None
    make = _kept_windows if math.prod(g.out) <= _KEPT else _windows
    found: Any = _run(x, shape, make(g, _steps(x), _lanes(x), None), kind, True)
    return found


def mean(x: np.ndarray, g: Geometry, divisor: int | np.ndarray) -> np.ndarray | None:
    """The sums of the windows divided by one number, or by what each window counts for; None where NumPy is to do it."""
    shape = _of_planes(g, g.out, x)
    kind = _planes(x, shape, math.prod(g.kernel))
    if kind is None or x.dtype.kind != "f" or np.abs(divisor).max() >= 1 << 24:
        return None
    make: Any = _kept_windows if isinstance(divisor, int) and math.prod(g.out) <= _KEPT else _windows
    found = _run(x, shape, make(g, _steps(x), _lanes(x), divisor), kind, False)
    return None if found is None else found[0]


def mean_back(y: np.ndarray, g: Geometry, divisor: int) -> np.ndarray | None:
    """The transpose of `mean`: for each element the sum of what its windows have, divided by one number."""
    shape = _of_planes(g, g.size, y)
    kind = _planes(y, shape, math.prod([-(-k // s) for k, s in zip(g.kernel, g.stride)]))
    if kind is None or y.dtype.kind != "f" or abs(divisor) >= 1 << 24:
        return None
    make = _kept_covering if math.prod(g.size) <= _KEPT else _covering
    found = _run(y, shape, make(g, _steps(y), _lanes(y), divisor), kind, False)
    return None if found is None else found[0]


def _lanes(x: np.ndarray) -> int:
    """Of the longest vectors, for which tables have room."""
    return 64 // x.itemsize


def spread(g: np.ndarray, places: np.ndarray, size: int) -> np.ndarray | None:
    """Planes of zeros with gradients (planes, n) added at their places; None where NumPy is to add them."""
    g, places = np.ascontiguousarray(g), np.ascontiguousarray(places)
    kind = g.dtype.char
    if kind not in "fd" or g.size < _FROM or places.view(np.uint64).max() >= size:
        return None
    kernel = loaded(_write_spreading, "spreading", kind)
    if kernel is None:
        return None
    planes, count = g.shape
    out = array((planes, size), g.dtype)
    some = max(1, _TASK // max(size, 1))
    words = (address(g), address(places), address(out), count, size, planes, some)
    kernel.run(_SPREADING.pack(*words), -(-planes // some), out.size)
    return out


def _write_spreading(kind: str, vector_bytes: int) -> str:
    from rushlight.codegen.pooling import spreading

    return spreading(kind)


__all__ = ["Geometry", "largest", "mean", "mean_back", "spread"]
