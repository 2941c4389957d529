"""How many elements, or points, fall between given edges: `histogram`, `histogramdd`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import dtype, float32, float64
from rushlight.ops.kinds.reduction import same_scalar_type
from rushlight.ops.sequences import linspace
from rushlight.ops.spec import public


@public(out=same_scalar_type, takes={"weight": "Tensor?", "density": "bool"})
def histogram(input, bins=100, *, range=None, weight=None, density=False):
    """`(hist, bin_edges)`: the count, or the sum of weights, of the elements in each bin; the last bin has both its edges.

    Args:
        bins: how many bins of equal width, or a tensor of increasing edges.
        range: the outermost edges; those of the data, if None.
        density: divide by the total and the bins' widths, so that the integral is 1.

    Raises:
        NotImplementedError: neither float32 nor float64.
        RuntimeError: no bins, edges that do not increase, or weights of another shape.

    Example:
        >>> import rushlight as torch
        >>> torch.histogram(torch.tensor([1., 2., 2.]), 2, range=(0., 4.)).hist
        tensor([1., 2.])
    """
    if input._dtype not in (float32, float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{input._dtype.legacy}'")
    if weight is not None and weight._a.shape != input._a.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding "
            "its innermost dimension"
        )
    edges = _edges(input._a.reshape(-1, 1), [bins], range, input._dtype)
    hist = _counted(input._a.reshape(-1, 1), edges, None if weight is None else weight._a.ravel(), density)
    return return_types.histogram((new_tensor(hist, input._dtype), edges[0]))


@public(out=False, takes={"weight": "Tensor?", "density": "bool"})
def histogramdd(input, bins, range=None, weight=None, density=False):
    """`(hist, bin_edges)` of points in D dimensions, which are the last dimension: a count in each of the D-dimensional bins.

    Args:
        bins: how many bins of equal width in every dimension, or D such numbers, or D tensors of increasing edges.
        range: the outermost edges, 2 D numbers; those of the data, if None.
        weight: of each point; density: divide by the total and the bins' volumes, so that the integral is 1.

    Raises:
        NotImplementedError: neither float32 nor float64.
        RuntimeError: bins, edges, weights or ranges that do not fit.
        TypeError: `bins` is nothing of the kind.

    Example:
        >>> import rushlight as torch
        >>> torch.histogramdd(torch.tensor([[0., 1.], [1., 0.], [2., 0.]]), bins=[2, 2]).hist
        tensor([[0., 1.],
                [2., 0.]])
    """
    if input._a.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    count = input._a.shape[-1]
    if isinstance(bins, int):
        bins = [bins] * count
    elif not isinstance(bins, (tuple, list)):
        raise TypeError(
            "histogramdd() received an invalid combination of arguments: bins must be an int, ints or Tensors, not "
            f"{type(bins).__name__}"
        )
    if len(bins) != count:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    if input._dtype not in (float32, float64):
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{input._dtype.legacy}'")
    if weight is not None and weight._a.shape != input._a.shape[:-1]:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor excluding its "
            f"innermost dimension, but got input with shape {list(input._a.shape)} and weight with shape "
            f"{list(weight._a.shape)}"
        )
    if range is not None and len(range) != 2 * count:
        raise RuntimeError(
            f"torch.histogramdd: for a {count}-dimensional histogram range should have {2 * count} elements, but got "
            f"{len(range)}"
        )
    points = input._a.reshape(-1, count)
    edges = _edges(points, bins, range, input._dtype)
    hist = _counted(points, edges, None if weight is None else weight._a.ravel(), density)
    return return_types.histogramdd((new_tensor(hist, input._dtype), edges))


def _edges(points: np.ndarray, bins: Any, limits: Any, kind: dtype) -> tuple[Tensor, ...]:
    """The edges in each dimension."""
    chosen: Any = [None] * len(bins) if limits is None else zip(limits[::2], limits[1::2])
    return tuple(
        [
            _given(b, kind, at) if isinstance(b, Tensor) else _even(points[:, at], b, bounds, kind, at)
            for at, (b, bounds) in enumerate(zip(bins, chosen))
        ]
    )


def _given(edges: Tensor, kind: dtype, at: int) -> Tensor:
    if edges._a.ndim != 1:
        raise RuntimeError("torch.histogramdd: bins tensor should have one dimension")
    if edges._a.size < 2:
        raise RuntimeError(
            f"torch.histogram(): bins must be > 0, but got {edges._a.size - 1} for dimension {at}"
        )
    if edges._dtype is not kind:
        raise RuntimeError(
            "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
            f"{kind.cpp} and bins for dimension {at} with dtype {edges._dtype.cpp}"
        )
    return edges.detach().clone()


def _even(x: np.ndarray, count: int, bounds: Any, kind: dtype, at: int) -> Tensor:
    if count <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {count} for dimension {at}")
    low, high = _limits(x, bounds, at)
    return linspace(low, high, count + 1, dtype=kind)


def _limits(x: np.ndarray, bounds: Any, at: int) -> tuple[float, float]:
    if bounds is not None:
        low, high = map(float, bounds)
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {at}"
            )
    elif x.size:
        low, high = float(x.min()), float(x.max())
        if not np.isfinite([low, high]).all():
            raise RuntimeError(f"torch.histogramdd: dimension {at}'s range [{low}, {high}] is not finite")
    else:
        low, high = 0.0, 1.0
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _counted(points: np.ndarray, edges: tuple[Tensor, ...], weights: Any, density: bool) -> np.ndarray:
    """How many points, or of which weight, are in each bin."""
    shape = tuple([t._a.size - 1 for t in edges])
    inside = np.ones(len(points), bool)
    number = np.zeros(len(points), np.intp)  # of the bin, counted row by row
    for at, t in enumerate(edges):
        x, e = points[:, at], t._a
        place = np.searchsorted(e, x, "right") - 1
        place[x == e[-1]] = shape[at] - 1
        inside &= (x >= e[0]) & (x <= e[-1])
        number = number * shape[at] + place
    chosen = None if weights is None else weights[inside].astype(np.float64)
    flat = np.bincount(number[inside], chosen, minlength=math.prod(shape)).astype(np.float64)
    hist = flat.reshape(shape)
    if density:
        with np.errstate(all="ignore"):
            hist = hist / hist.sum()
            for at, t in enumerate(edges):
                widths = np.diff(t._a.astype(np.float64))
                hist = hist / widths.reshape([-1 if d == at else 1 for d in range(len(shape))])
    return hist.astype(points.dtype)
