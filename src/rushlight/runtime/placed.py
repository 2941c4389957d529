"""Elements and rows at places, by kernels where there are enough; see `rushlight.codegen.placing`.

Callers see to it that positions are in range, and refuse others. (A kernel leaves out what is not, should somebody have written to a
position since.)
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np

from rushlight.memory import address, array
from rushlight.native import threads
from rushlight.numerics import segments
from rushlight.runtime.deferral import TIER
from rushlight.runtime.own_kernels import Kernel, loaded

#: elements from which on they are a kernel's; along a dimension, and in rows
_FROM, _FROM_ROWS = (1, 1) if TIER == "jit" else (1 << 12, 1 << 12)
#: elements that are one task, at least
_TASK = 1 << 14
#: elements side by side, of several rows, that are one task; and how many of the rows that are added to one another
_WIDE, _SIDE = 256, 64
_JOB, _ADDING = struct.Struct("=20q"), struct.Struct("=9q")
_COPIED = {1: "B", 2: "H", 4: "I", 8: "Q"}
_F64 = np.dtype(np.float64)


# ---- along a dimension ----


def _kernel(what: str, kind: np.dtype) -> Kernel | None:
    """What reads, writes or adds elements of a type; None where there is none."""
    if what != "add":
        name = _COPIED.get(kind.itemsize)
    else:
        name = kind.char if kind.char in "fdi" else "q" if kind == np.int64 else None
    return None if name is None else loaded(_write_placing, "placing", what, name)


def _write_placing(what: str, kind: str, vector_bytes: int) -> str:
    from rushlight.codegen.placing import placing

    return placing(what, kind, vector_bytes)


class _Loops(NamedTuple):
    """Three loops over the elements of `values`, and bytes from one to the next: in `a` (but for its places), `values` and `p`.

    Attributes:
        whole: whether the innermost is along the dimension of the places, so that one task must do all of it.
    """

    sizes: tuple[int, ...]
    to: tuple[int, ...]
    source: tuple[int, ...]
    at: tuple[int, ...]
    whole: bool


def _loops(a: np.ndarray, p: np.ndarray, values: np.ndarray, dim: int) -> _Loops | None:
    """The loops over (outer, along, inner) dimensions, or (outer, outer, along) if that is the last one; None where it takes more."""
    axes: list[tuple[int, ...]] = [
        (n, 0 if d == dim else s, v, q)
        for d, (n, s, v, q) in enumerate(zip(p.shape, a.strides, values.strides, p.strides))
    ]
    outer, inner = _merged(axes[:dim]), _merged(axes[dim + 1 :])
    one = (1, 0, 0, 0)
    if not inner and len(outer) <= 2:
        first, second = [one, one, *outer][-2:]
        chosen = [first, second, axes[dim]]
    elif len(outer) <= 1 and len(inner) == 1:
        chosen = [outer[0] if outer else one, axes[dim], inner[0]]
    else:
        return None
    sizes, to, source, at = zip(*chosen)
    return _Loops(sizes, to, source, at, not inner)


def _merged(axes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Dimensions, each a size and steps, as fewer that go through the same elements; those of size 1 are left out."""
    found: list[tuple[int, ...]] = []
    for size, *steps in axes:
        if size == 1:
            continue
        if found and all(before == step * size for before, step in zip(found[-1][1:], steps)):
            found[-1] = (found[-1][0] * size, *steps)
        else:
            found.append((size, *steps))
    return found


def _place(what: str, a: np.ndarray, p: np.ndarray, values: np.ndarray, dim: int) -> bool:
    """Whether a kernel read, wrote or added all elements of `values` at `p` along a dimension of `a`."""
    if (
        p.size < _FROM
        or a.ndim < 1
        or any(n != m for d, (n, m) in enumerate(zip(a.shape, p.shape)) if d != dim)
    ):
        return False
    kernel = _kernel(what, a.dtype)
    if kernel is None:
        return False
    places = p.astype(np.int64, copy=False)
    loops = _loops(a, places, values, dim)
    if loops is None:
        places = np.ascontiguousarray(places)
        loops = _loops(a, places, values, dim)
    if loops is None:
        return False
    outer, along, inner = loops.sizes
    wide = inner if loops.whole else min(inner, _WIDE)
    parts = -(-inner // wide)
    some = max(1, _TASK // (along * wide))
    steps = *loops.to, a.strides[dim], *loops.source, *loops.at
    where = address(a), address(values), address(places)
    job = _JOB.pack(*where, outer, along, inner, some, wide, parts, *steps, a.shape[dim])
    kernel.run(job, -(-outer // some) * parts, p.size)
    return True


def read(a: np.ndarray, p: np.ndarray, dim: int) -> np.ndarray | None:
    """The elements of `a` at `p` along a dimension, in rows; None where NumPy is to read them."""
    if p.size < _FROM or a.dtype.itemsize not in _COPIED:
        return None
    out = array(p.shape, a.dtype)
    return out if _place("read", a, p, out, dim) else None


def write(a: np.ndarray, p: np.ndarray, values: np.ndarray, dim: int) -> bool:
    """Whether a kernel wrote to `a` at `p` along a dimension, of values for one place the last."""
    return values.dtype == a.dtype and _place("write", a, p, np.broadcast_to(values, p.shape), dim)


def add(a: np.ndarray, p: np.ndarray, values: np.ndarray, dim: int) -> bool:
    """Whether a kernel added to `a` at `p` along a dimension, one value after another."""
    return values.dtype == a.dtype and _place("add", a, p, np.broadcast_to(values, p.shape), dim)


# ---- rows ----


def combine_at(ufunc: np.ufunc, a: np.ndarray, key: Any, values: np.ndarray) -> None:
    """`ufunc.at(a, key, values)`, quickly; see `rushlight.numerics.segments.combine_at`."""
    if not (ufunc is np.add and add_rows(a, key, values)):
        segments.combine_at(ufunc, a, key, values)


def add_rows(a: np.ndarray, key: Any, values: np.ndarray) -> bool:
    """Whether a kernel added whole rows, or slices along another dimension."""
    key = list(key) if type(key) is tuple and values.size >= _FROM_ROWS else []
    while key and _is_whole(key[-1]):
        key.pop()
    p = key.pop() if key else None
    if type(p) is not np.ndarray or p.dtype.kind != "i" or not p.size or not all(map(_is_whole, key)):
        return False
    size = a.shape[len(key)]
    places = p.astype(np.int64, copy=False)
    if places.min() < 0:
        places = np.where(places < 0, places + size, places)
    if places.min() < 0 or places.max() >= size or values.dtype != a.dtype or not _numbered(a.dtype):
        return False
    if key:
        return p.ndim == 1 and _add_slices(a, places, values, len(key))
    return a.ndim > 1 and a.flags.c_contiguous and _add_to_rows(a, places, values)


def _is_whole(part: Any) -> bool:
    return isinstance(part, slice) and part == slice(None)


def _numbered(kind: np.dtype) -> bool:
    """Whether kernels add numbers of this type."""
    return kind.char in "fdi" or kind == np.int64


def _add_slices(a: np.ndarray, places: np.ndarray, values: np.ndarray, dim: int) -> bool:
    shape = (*a.shape[:dim], places.size, *a.shape[dim + 1 :])
    wide = np.broadcast_to(places.reshape(-1, *(1,) * (a.ndim - 1 - dim)), shape)
    return add(a, wide, np.broadcast_to(values, shape), dim)


def _add_to_rows(a: np.ndarray, places: np.ndarray, values: np.ndarray) -> bool:
    """Add rows; those of float32 that get more than two in double precision."""
    kind = _char(a.dtype)
    plain, wide = loaded(_write_adding, "adding", kind, kind), loaded(_write_adding, "adding", "f", "d")
    if plain is None or wide is None:
        return False
    rows = np.ascontiguousarray(np.broadcast_to(values, (*places.shape, *a.shape[1:])))
    rows = rows.reshape(places.size, -1)
    a, places = a.reshape(len(a), -1), np.ascontiguousarray(places.reshape(-1))
    numbers = np.arange(places.size)
    if kind == "f":
        often = np.bincount(places, minlength=len(a)) > segments.EXACT
        found = often.nonzero()[0]
        if found.size:
            chosen = often[places]
            sums = a[found].astype(_F64)
            _run_adding(wide, sums, np.searchsorted(found, places[chosen]), rows, numbers[chosen])
            a[found] = sums
            places, numbers = places[~chosen], numbers[~chosen]
    _run_adding(plain, a, places, rows, numbers)
    return True


def _run_adding(
    kernel: Kernel, sums: np.ndarray, places: np.ndarray, rows: np.ndarray, numbers: np.ndarray
) -> None:
    width = rows.shape[1]
    some = max(_SIDE, -(-width // (4 * threads.get_num_threads())) // _SIDE * _SIDE)
    sizes = places.size, width, some, sums.itemsize * width, rows.itemsize * width
    job = _ADDING.pack(address(sums), address(rows), address(places), address(numbers), *sizes)
    kernel.run(job, -(-width // some), places.size * width)


def _char(kind: np.dtype) -> str:
    return "q" if kind == np.int64 else kind.char


def _write_adding(kind: str, wide: str, vector_bytes: int) -> str:
    from rushlight.codegen.placing import adding

    return adding(kind, wide, vector_bytes)


__all__ = ["add", "add_rows", "combine_at", "read", "write"]
