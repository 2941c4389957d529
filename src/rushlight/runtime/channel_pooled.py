"""Pooling of images whose channels lie innermost; see `rushlight.codegen.channel_pooling`."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.own_kernels import loaded

#: elements of windows that are one task, at least
_TASK = 1 << 15
_JOB, _SPREADING = struct.Struct("=15q"), struct.Struct("=7q")


def serves(x: np.ndarray) -> bool:
    """Whether elements of (N, C, ...) lie side by side along the channels, enough of them."""
    return x.shape[1] >= 4 and x.strides[1] == x.itemsize


def _images(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Memory for images (N, C, ...) with channels innermost."""
    count, channels, *size = shape
    return np.moveaxis(array((count, *size, channels), kind), -1, 1)


def run(
    x: np.ndarray, shape: tuple[int, ...], w: Any, kind: str, largest: bool
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Results of this shape, and for the largest their places; None where nothing can be compiled.

    Args:
        w: the `rushlight.runtime.pooled.Windows`.
    """
    kernel = loaded(_write, "channel pooling", kind, largest, w.edges)
    if kernel is None:
        return None
    count, images, channels, window = math.prod(shape[2:]), shape[0], shape[1], len(w.offsets)
    out = _images(shape, x.dtype)
    places = _images(shape, np.dtype(np.int64)) if largest else None
    some = max(1, _TASK // (channels * window))
    where = (address(x), address(out), 0 if places is None else address(places))
    tables = address(w.table), address(w.offsets)
    sizes = count, w.table.shape[1], images, x.strides[0], channels, some, window
    job = _JOB.pack(*where, *tables, *sizes, *w.bounds)
    kernel.run(job, -(-images * count // some), images * count * channels * window)
    return out, places


def _write(kind: str, largest: bool, edges: bool, vector_bytes: int) -> str:
    from rushlight.codegen.channel_pooling import ChannelPooling

    return ChannelPooling(kind, largest, edges, vector_bytes).text()


def spread(g: np.ndarray, places: np.ndarray, size: tuple[int, ...]) -> np.ndarray | None:
    """Images of zeros of this size with gradients, images too, added at their places; None where nothing can be compiled, or a place is
    nowhere."""
    kernel = loaded(_write_spreading, "channel spreading", g.dtype.char) if g.dtype.char in "fd" else None
    if kernel is None or places.view(np.uint64).max(initial=0) >= math.prod(size):
        return None
    images, channels, *rest = g.shape
    out = _images((images, channels, *size), g.dtype)
    where = address(g), address(places), address(out)
    job = _SPREADING.pack(*where, math.prod(rest), math.prod(size), channels, images)
    kernel.run(job, images, out.size)
    return out


def _write_spreading(kind: str, vector_bytes: int) -> str:
    from rushlight.codegen.channel_pooling import channel_spreading

    return channel_spreading(kind)


__all__ = ["run", "serves", "spread"]
