"""Planes in other sizes by kernels, where there are enough elements; see `rushlight.codegen.resampling`."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

import numpy as np

from rushlight.memory import address, array
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import loaded

#: elements, of the planes or the result, from which on they are a kernel's
_FROM = 1 if TIER == "jit" else 1 << 12
#: elements of the result that are one task, at least
_TASK = 1 << 14
#: for how many lanes tables have room
_LANES = 8
_JOB = struct.Struct("=21q")
_FLOATS = frozenset("fd")


class Lines(NamedTuple):
    """What each element along a dimension is a weighted sum of.

    Attributes:
        size: how many elements there are to take from.
        starts: (n + 1), where the taps of each of n elements start and end.
        places, weights: of all taps.
    """

    size: int
    starts: np.ndarray
    places: np.ndarray
    weights: np.ndarray

    @property
    def count(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def taking(cls, places: np.ndarray, weights: np.ndarray, size: int) -> Lines:
        """By the places and weights (n, taps) of each element."""
        n, taps = places.shape
        return cls(size, np.arange(n + 1) * taps, places.reshape(-1), weights.reshape(-1))

    @classmethod
    def means(cls, bounds: list[tuple[int, int]], size: int) -> Lines:
        """Of each run of elements the mean."""
        lengths = np.array([b - a for a, b in bounds])
        places = np.concatenate([np.arange(a, b) for a, b in bounds])
        return cls(size, np.concatenate([[0], lengths.cumsum()]), places, np.repeat(1 / lengths, lengths))

    def transposed(self) -> Lines:
        """Sums of what was taken from each element."""
        order = self.places.argsort(kind="stable")
        starts = np.zeros(self.size + 1, np.int64)
        np.bincount(self.places, minlength=self.size).cumsum(out=starts[1:])
        element = np.repeat(np.arange(self.count), np.diff(self.starts))
        return Lines(self.count, starts, element[order], self.weights[order])

    def side_by_side(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Bytes and weights of the first taps of all elements, of the second, ...; and how many elements there is room for.

        Taps that an element does not have are the zero after the last element.
        """
        n = self.count
        padded = n + -n % _LANES
        lengths = np.diff(self.starts)
        taps = max(1, int(lengths.max()))
        places = np.full((taps, padded), self.size, np.int32)
        weights = np.zeros((taps, padded))
        element = np.repeat(np.arange(n), lengths)
        tap = np.arange(len(self.places)) - self.starts[element]
        places[tap, element], weights[tap, element] = self.places, self.weights
        return places * 8, weights, padded


def resampled(x: np.ndarray, lines: tuple[Lines, ...]) -> np.ndarray | None:
    """An image (N, C, ...) along its last dimensions, in float64 before the last rounding; None where NumPy is to compute it."""
    kind = x.dtype if x.dtype.char in _FLOATS else np.dtype(np.float32)
    out = math.prod(x.shape[:2]) * math.prod([line.count for line in lines])
    if (
        max(out, x.size) < _FROM
        or out == 0
        or x.dtype.kind not in "fV"
        or max(x.shape[2:]) >= 1 << 27
        or 0 in x.shape
    ):
        return None
    made = np.ascontiguousarray(x, kind)
    shape = (*x.shape[:2], *[line.count for line in lines])
    final = x.dtype if x.dtype == kind else np.dtype(np.float64)
    *before, rows, columns = (None, None, *lines)[-3:] if len(lines) > 1 else (None, None, lines[0])
    planes = math.prod(x.shape[:2])
    if before[0] is not None:
        whole = _planes(made.reshape(planes, x.shape[2], -1), before[0], None, np.dtype(np.float64))
        if whole is None:
            return None
        made, planes = whole, planes * before[0].count
    width = x.shape[-1]
    found = _planes(made.reshape(planes, -1, width), rows, columns, final)
    return None if found is None else found.reshape(shape).astype(x.dtype, copy=False)


_ONE = Lines(1, np.arange(2), np.zeros(1, np.int64), np.ones(1))


def _planes(x: np.ndarray, rows: Lines | None, columns: Lines | None, kind: np.dtype) -> np.ndarray | None:
    """Planes (n, height, width) in rows, along their rows and columns, as `kind`."""
    rows = _ONE if rows is None else rows
    straight = columns is None
    kernel = loaded(_write, "resampling", x.dtype.char, kind.char, straight)
    if kernel is None:
        return None
    planes, _, width = x.shape
    count = width if columns is None else columns.count
    tables = [rows.starts, rows.places, rows.weights]
    taps = padded = 1
    if columns is not None:
        offsets, factors, padded = columns.side_by_side()
        taps = len(offsets)
        tables += [factors, offsets]
    packed = np.frombuffer(b"".join([np.ascontiguousarray(t).tobytes() for t in tables]), np.uint8)
    begins = [0, *np.cumsum([t.nbytes for t in tables]).tolist()]
    out = array((planes, rows.count, count), kind)
    high = max(1, min(rows.count, _TASK // max(count, 1)))
    parts = -(-rows.count // high)
    some = max(1, _TASK // (high * count))
    tasks = -(-planes * parts // some)
    room = np.zeros((tasks, width + _LANES)) if columns is not None else packed
    at = address(x), address(out), address(packed), address(room)
    sizes = planes, parts, some, high, width, rows.count, count, padded, taps
    where = begins[0], begins[1], begins[2], begins[-2] if straight else begins[4], begins[3]
    job = _JOB.pack(*at, *sizes, *where, x.strides[0], x.strides[1], 8 * (width + _LANES))
    kernel.run(job, tasks, out.size * taps)
    return out


def _write(kind: str, made: str, straight: bool, vector_bytes: int) -> str:
    from rushlight.codegen.resampling import Resampling

    return Resampling(kind, made, straight, vector_bytes).text()


__all__ = ["Lines", "resampled"]
