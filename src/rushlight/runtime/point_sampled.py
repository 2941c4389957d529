"""Images (N, C, S) read at points, (T, N, P) elements and weights; by kernels where there are enough, see
`rushlight.codegen.point_sampling`. Elements are whole numbers, below 0 for none; the caller knows the others to be inside.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements read from which on they are a kernel's, and that are one task at least
_FROM, _TASK = 1 if TIER == "jit" else 1 << 12, 1 << 15
_JOB = struct.Struct("=11q")


def read(images: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sum over T of weights times what is read, (N, C, P)."""
    out = array((*images.shape[:2], places.shape[2]), images.dtype)
    if _run("read", images, out, places, weights):
        return out
    found = np.zeros(out.shape, _wide(images.dtype))
    for place, weight in zip(places, weights):
        found += np.where(place[:, None] >= 0, _taken(images, place), 0).astype(found.dtype) * weight[:, None]
    return found.astype(images.dtype)


def put(values: np.ndarray, places: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    """Images of zeros, (N, C, size), with weights times values (N, C, P) added where they would be read."""
    out = array((*values.shape[:2], size), values.dtype)
    if _run("put", out, values, places, weights):
        return out
    found = np.zeros(out.shape, _wide(values.dtype))
    for n, (place, weight) in enumerate(zip(places.swapaxes(0, 1), weights.swapaxes(0, 1))):
        for at, by in zip(place, weight):
            known = at >= 0
            key: Any = (slice(None), at[known])
            np.add.at(found[n], key, (values[n] * by)[:, known])
    return found.astype(values.dtype)


def weigh(images: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """By how much each weight counts: the sums over the channels of what is read times values, (T, N, P)."""
    out = array(places.shape, images.dtype)
    if _run("weigh", images, values, places, out):
        return out
    for place, to in zip(places, out):
        seen = np.where(place[:, None] >= 0, _taken(images, place), 0).astype(np.float64)
        to[...] = (seen * values).sum(1)
    return out


def _wide(kind: np.dtype) -> np.dtype:
    return np.dtype(np.float64 if kind.itemsize == 8 else np.float32)


def _taken(images: np.ndarray, place: np.ndarray) -> np.ndarray:
    shape = (*images.shape[:2], place.shape[-1])
    return np.take_along_axis(images, np.broadcast_to(place.clip(0)[:, None], shape), 2)


def _run(what: str, images: np.ndarray, values: np.ndarray, places: np.ndarray, weights: np.ndarray) -> bool:
    """Whether a kernel did it. What is not made lies in rows, or is copied."""
    kind, count = images.dtype.char, values.size * len(places)
    size = images.shape[2]
    small = places.dtype == np.int32 and size * images.itemsize < 1 << 31
    if kind not in "fd" or count < _FROM or not small:
        return False
    kernel = loaded(_write, "point sampling", what, kind)
    if kernel is None:
        return False
    images, values, places, weights = map(np.ascontiguousarray, (images, values, places, weights))
    batch, channels, points = values.shape
    each = points if what == "weigh" else channels
    # (tasks of "weigh" begin at whole vectors)
    some = max(1, _TASK * each // (channels * points * len(places)))
    some = min(each, -(-some // 64) * 64 if what == "weigh" else some)
    parts = -(-each // some)
    where = address(images), address(values), address(places), address(weights)
    job = _JOB.pack(*where, len(places), batch, channels, size, points, some, parts)
    kernel.run(job, batch * parts, count)
    return True


def _write(what: str, kind: str, vector_bytes: int) -> str:
    from rushlight.codegen.point_sampling import point_sampling

    return point_sampling(what, kind, vector_bytes)


__all__ = ["put", "read", "weigh"]
