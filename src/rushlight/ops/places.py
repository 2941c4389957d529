"""Index tensors as `x[idx]` takes them: where they point, and reading there."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor, version
from rushlight.dtypes import int32, int64
from rushlight.layout import broadcast, contiguous_strides, iteration_strides
from rushlight.ops.positions import added_at
from rushlight.ops.spec import primitive
from rushlight.runtime.results import laid_out
from rushlight.tape.modes import direct
from rushlight.tape.recording import record

MASKS = frozenset({dtypes.bool_, dtypes.uint8})
_INDICES = frozenset({int64, int32}) | MASKS
_ALL = slice(None)


def _broadcast(positions: list[np.ndarray]) -> tuple[int, ...]:
    try:
        return broadcast(*[p.shape for p in positions])
    except RuntimeError:
        shapes = ", ".join(str(list(p.shape)) for p in positions)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None


class Places:
    """Where index tensors point in a tensor: one array of positions for each indexed dimension.

    Attributes:
        of: the shape of the tensor indexed.
        shape: the shape of the result.
        key: the index as NumPy takes it.
    """

    __slots__ = ("of", "shape", "key", "tensors", "versions", "mask", "_found", "result_at", "chosen")

    def __init__(self, x: Tensor, indices: Sequence[Tensor | None]) -> None:
        self.of = x._a.shape
        self.tensors = tuple(t for t in indices if t is not None)
        self.versions = [version(t) for t in self.tensors]
        first = indices[0]
        if len(indices) == 1 and first is not None and first._dtype is int64 and self.of:
            found = [first._a] + [None] * (len(self.of) - 1)
            dims, kept = [0], self.of[1:]
            self.chosen, self.result_at = first._a.shape, 0
        else:
            found = self._positions(indices)
            self.chosen = _broadcast([p for p in found if p is not None])
            found += [None] * (len(self.of) - len(found))
            dims = [d for d, p in enumerate(found) if p is not None]
            kept = tuple([n for n, p in zip(self.of, found) if p is None])
            self.result_at = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
        self.shape = (*kept[: self.result_at], *self.chosen, *kept[self.result_at :])
        self._found = found
        self.key = tuple([_ALL if p is None else p for p in found])
        if 0 not in self.chosen and 0 in [self.of[d] for d in dims]:
            raise IndexError("index is out of bounds for dimension with size 0")
        whole = self.tensors[0]._a if len(self.tensors) == 1 else None
        self.mask = (
            whole if whole is not None and whole.dtype == np.bool_ and whole.shape == self.of else None
        )

    def _positions(self, indices: Sequence[Tensor | None]) -> list[np.ndarray | None]:
        """int64 positions by dimension; a mask stands for as many dimensions as it has."""
        for t in self.tensors:
            if t._dtype not in _INDICES:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        found: list[np.ndarray | None] = []
        for given in indices:
            if given is None:
                found.append(None)
            elif given._dtype in MASKS:
                found += self._mask_positions(given, len(found))
            else:
                found.append(given._a if given._dtype is int64 else given._a.astype(np.int64))
        if len(found) > len(self.of):
            raise IndexError(f"too many indices for tensor of dimension {len(self.of)} (got {len(found)})")
        return found

    def _mask_positions(self, t: Tensor, first: int) -> tuple[np.ndarray, ...]:
        if t._dtype is dtypes.uint8:
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.",
                UserWarning,
                stacklevel=6,
            )
        for j, size in enumerate(t._a.shape):
            if first + j >= len(self.of):
                raise IndexError(f"too many indices for tensor of dimension {len(self.of)}")
            if size != self.of[first + j]:
                raise IndexError(
                    f"The shape of the mask {list(t._a.shape)} at index {j} does not match the shape of the indexed "
                    f"tensor {list(self.of)} at index {first + j}"
                )
        if t._a.ndim == 0:
            raise IndexError("a mask without dimensions cannot be used as an index here; use unsqueeze(0)")
        return t._a.nonzero()

    def check(self) -> None:
        """IndexError for the first position that is out of range."""
        for dim, p in enumerate(self._found):
            if p is not None and p.size:
                size = self.of[dim]
                bad = (p < -size) | (p >= size)
                if bad.any():
                    raise IndexError(
                        f"index {p[bad].flat[0]} is out of bounds for dimension {dim} with size {size}"
                    )

    def fresh(self) -> None:
        """RuntimeError if an index tensor was written to since."""
        for t, expected in zip(self.tensors, self.versions):
            if version(t) != expected:
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[torch.{t._dtype.legacy}Tensor {list(t._a.shape)}] is at version {version(t)}; expected version "
                    f"{expected} instead."
                )

    def strides(self, a: np.ndarray) -> tuple[int, ...] | None:
        """How a result of reading `a` lies in memory (in elements); None if contiguous."""
        arrays = [p for p in self._found if p is not None]
        if a.flags.c_contiguous and all(p.flags.c_contiguous for p in arrays):
            return None
        kept = [step for step, p in zip(a.strides, self._found) if p is None]
        at, lead = self.result_at, len(self.shape) - self.result_at - len(self.chosen)
        source = (*kept[:at], *(0,) * len(self.chosen), *kept[at:])
        others = []
        for p in arrays:
            steps = np.broadcast_to(p, self.chosen).strides
            others.append((0,) * at + steps + (0,) * lead)
        return iteration_strides(self.shape, [source, *others])

    def linear(self) -> np.ndarray:
        """The number of every element chosen, counted row by row; the positions are in range."""
        total = np.zeros((1,) * len(self.shape), np.int64)
        at, after = 0, len(self.chosen)
        steps = contiguous_strides(self.of)
        for dim, p in enumerate(self._found):
            size, step = self.of[dim], steps[dim]
            if p is None:
                place = at if at < self.result_at else at + after
                shape = [1] * len(self.shape)
                shape[place] = size
                total = total + (np.arange(size, dtype=np.int64) * step).reshape(shape)
                at += 1
            else:
                lead = len(self.shape) - self.result_at - after
                part = np.where(p < 0, p + size, p) * step
                total = total + part.reshape((1,) * (after - p.ndim) + p.shape + (1,) * lead)
        return np.broadcast_to(total, self.shape)


def _index_vjp(g: Any, x_meta: Any, places: Places) -> Any:
    from rushlight.ops.scattering import index_put_places

    places.fresh()
    if direct(g):
        if places.mask is None:
            return added_at(g, x_meta.shape, places.key)
        out = np.zeros(x_meta.shape, g._a.dtype)
        out[places.mask] = g._a
        return new_tensor(out, g._dtype)
    return index_put_places(g.new_zeros(x_meta.shape), g, places=places, accumulate=True)


@primitive("Index", vjp=(_index_vjp,))
def index(x, *, places):
    """The elements that index tensors choose, as a fresh array."""
    if 0 in places.shape:
        return laid_out(
            np.empty(places.shape, x.dtype), places.strides(x) or contiguous_strides(places.shape)
        )
    if places.mask is not None:
        out = x[places.mask]
    else:
        try:
            out = x[places.key]
        except IndexError:
            places.check()
            raise
    out = np.asarray(out)
    steps = places.strides(x)
    if steps is None:
        if out.base is not None and not out.flags.owndata and np.may_share_memory(out, x):
            return out.copy()
        return np.ascontiguousarray(out) if out.ndim else out.copy()
    return laid_out(out, steps)


def chosen(x: Tensor, at: Tensor) -> Tensor | None:
    """x[at] in the plain cases: a mask of x's shape, or rows of a contiguous x by number; else None."""
    a, p = x._a, at._a
    if not p.ndim or not a.ndim:
        return None
    if at._dtype is dtypes.bool_:
        if p.shape != a.shape:
            return None
        made = a[p]
    elif at._dtype is int64 and a.size and a.flags.c_contiguous and p.flags.c_contiguous:
        made = a.take(p, 0)
    else:
        return None
    out = new_tensor(made, x._dtype)
    if x._edge is not None:
        record(_INDEX, (x,), {"places": Places(x, (at,))}, out)
    return out


def chosen_at(x: Tensor, key: tuple) -> Tensor | None:
    """x[i, j] and x[:, j] of a row-major matrix and vectors of positions; None for anything else."""
    a = x._a
    if len(key) != 2 or a.ndim != 2 or not a.size or not a.flags.c_contiguous:
        return None
    first, second = key
    if type(second) is not Tensor or second._dtype is not int64 or second._a.ndim != 1:
        return None
    if type(first) is slice and first == _ALL:
        made, indices = a.take(second._a, 1), (None, second)
    elif type(first) is Tensor and first._dtype is int64 and first._a.shape == second._a.shape:
        made, indices = a[first._a, second._a], key
    else:
        return None
    out = new_tensor(made, x._dtype)
    if x._edge is not None:
        record(_INDEX, (x,), {"places": Places(x, indices)}, out)
    return out


_INDEX: Any = index.derivative
