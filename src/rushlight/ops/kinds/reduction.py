"""Reductions and scans over dimensions: one associative combine with an identity."""

from __future__ import annotations

from typing import Any

from rushlight.layout import wrap_dim


def reduced_dims(dim: Any, ndim: int, operation: str = "") -> tuple[int, ...]:
    """The dimensions that a `dim` argument names: None and () mean all of them.

    Raises:
        IndexError: a dimension out of range.
        RuntimeError: one named twice.
        TypeError: not an integer.
    """
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, int):
        return (wrap_dim(dim, ndim),) if ndim else _of_scalar(dim)
    if isinstance(dim, (tuple, list)):
        dims = tuple(wrap_dim(_index(d, operation), ndim) for d in dim)
        for n, d in enumerate(dims):
            if d in dims[:n]:
                raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
        return (dims if ndim else ()) or tuple(range(ndim))
    return (wrap_dim(_index(dim, operation), ndim),) if ndim else _of_scalar(_index(dim, operation))


def _of_scalar(dim: int) -> tuple[int, ...]:
    wrap_dim(dim, 0)
    return ()


def _index(dim: Any, operation: str) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(
            f"{operation}(): argument 'dim' must be tuple of ints, but found element of type {type(dim).__name__}"
        )
    return dim.__index__()
