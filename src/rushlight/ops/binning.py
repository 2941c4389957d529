"""How many elements fall between given edges: `histogram`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import return_types
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import float32, float64
from rushlight.ops.kinds.reduction import same_scalar_type
from rushlight.ops.sequences import linspace
from rushlight.ops.spec import public


@public(out=same_scalar_type)
def histogram(input, bins, *, range=None, weight=None, density=False):
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
    edges = _edges(input, bins, range)
    hist = _counted(input._a.ravel(), edges._a, None if weight is None else weight._a.ravel(), density)
    return return_types.histogram((new_tensor(hist, input._dtype), edges))


def _edges(x: Tensor, bins: Any, limits: Any) -> Tensor:
    if isinstance(bins, Tensor):
        if bins._a.ndim != 1 or bins._a.size < 2:
            raise RuntimeError(
                "torch.histogramdd: bins tensor should have one dimension and at least two edges"
            )
        if bins._dtype is not x._dtype:
            raise RuntimeError("torch.histogramdd: input tensor and bins tensors should have the same dtype")
        return bins.detach().clone()
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = _limits(x, limits)
    return linspace(low, high, bins + 1, dtype=x._dtype)


def _limits(x: Tensor, limits: Any) -> tuple[float, float]:
    if limits is not None:
        low, high = map(float, limits)
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension 0"
            )
    elif x._a.size:
        low, high = float(x._a.min()), float(x._a.max())
        if not np.isfinite([low, high]).all():
            raise RuntimeError(f"torch.histogramdd: dimension 0's range [{low}, {high}] is not finite")
    else:
        low, high = 0.0, 1.0
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _counted(x: np.ndarray, edges: np.ndarray, weights: Any, density: bool) -> np.ndarray:
    place = np.searchsorted(edges, x, "right") - 1
    place[x == edges[-1]] = edges.size - 2
    inside = (x >= edges[0]) & (x <= edges[-1])
    chosen = None if weights is None else weights[inside].astype(np.float64)
    hist = np.bincount(place[inside], chosen, minlength=edges.size - 1).astype(np.float64)
    if density:
        with np.errstate(all="ignore"):
            hist = hist / hist.sum() / np.diff(edges.astype(np.float64))
    return hist.astype(x.dtype)
