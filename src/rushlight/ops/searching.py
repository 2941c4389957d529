"""Distinct values, places in sorted sequences, and counts: unique, searchsorted, bincount, histc."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BOOL, COMPLEX, INTEGER, int64
from rushlight.ops.kinds.reduction import one_dim, refuse_kinds, same_dtype
from rushlight.ops.promotion import NUMBERS, operand, result_type
from rushlight.ops.spec import primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.execute import wrap
from rushlight.tape.derivative import NOT_DIFFERENTIABLE, no_derivative

# ---- unique ----


def _rows(a: np.ndarray, dim: int) -> np.ndarray:
    """What is compared, one row each: the slices along `dim`."""
    lines = np.moveaxis(a, dim, 0)
    return lines.reshape(len(lines), math.prod(lines.shape[1:]))


def _distinct(a: np.ndarray, dim: int | None, in_order: bool) -> tuple:
    """Values, the place of each row among them, and how often they occur.

    1. Put equal rows beside each other (sorted, unless only neighbours count).
    2. A group begins where a row differs from the one before it.
    """
    if dim is None:
        return _distinct_elements(a, in_order)
    rows = _rows(a, dim)
    keys = single(rows)
    at = np.arange(len(rows)) if in_order or not keys.shape[1] else np.lexsort(keys.T[::-1])
    ordered = keys[at]
    begins = np.ones(len(rows), bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(1)
    first = np.flatnonzero(begins)
    inverse = np.empty(len(rows), np.int64)
    inverse[at] = np.cumsum(begins) - 1
    counts = np.diff(first, append=len(rows))
    shape = (len(first), *(n for d, n in enumerate(a.shape) if d != dim))
    return np.moveaxis(rows[at[first]].reshape(shape), 0, dim), inverse, counts


def _distinct_elements(a: np.ndarray, in_order: bool) -> tuple:
    """The same of elements; whole numbers that are not far apart are counted."""
    flat = a.reshape(-1)
    if not in_order and flat.dtype.kind in "iu" and flat.size:
        low = int(flat.min())
        span = int(flat.max()) - low + 1
        if span <= 2 * flat.size:
            wide = flat if flat.itemsize == 8 else flat.astype(np.int64)
            return _counted(a, (wide - wide.dtype.type(low)).astype(np.int64), low, span)
    keys = single(flat)
    at = None if in_order else keys.argsort(kind="stable")
    ordered = keys if at is None else keys[at]
    begins = np.ones(flat.size, bool)
    np.not_equal(ordered[1:], ordered[:-1], begins[1:])
    first = begins.nonzero()[0]
    counts = np.diff(first, append=flat.size)
    groups = np.repeat(np.arange(first.size), counts)
    if at is None:
        return flat[first], groups.reshape(a.shape), counts
    inverse = np.empty(flat.size, np.int64)
    inverse[at] = groups
    return flat[at[first]], inverse.reshape(a.shape), counts


def _counted(a: np.ndarray, above: np.ndarray, low: int, span: int) -> tuple:
    """Distinct whole numbers by how far they lie above the lowest."""
    counts = np.bincount(above, minlength=span)
    found = counts.nonzero()[0]
    number = np.empty(span, np.int64)
    number[found] = np.arange(found.size)
    values = found.astype(a.dtype) + a.dtype.type(low)
    return values, number[above].reshape(a.shape), counts[found]


_UNIQUE: dict[str, Any] = {"several": True, "differentiable": (0,)}


@primitive("Unique2Backward0", **_UNIQUE, vjp=(no_derivative("_unique2"),))
def unique_all(x):
    return _distinct(x, None, False)


@primitive("UniqueDim", **_UNIQUE, vjp=(no_derivative("unique_dim"),))
def unique_dim(x, *, dim):
    return _distinct(x, dim, False)


@primitive("UniqueConsecutive", **_UNIQUE, vjp=(no_derivative("unique_consecutive"),))
def unique_neighbours(x, *, dim, alone):
    """`alone`: the values alone."""
    if alone and dim is None:
        keys = single(x.reshape(-1))
        begins = np.ones(keys.size, bool)
        np.not_equal(keys[1:], keys[:-1], begins[1:])
        return (x.reshape(-1)[begins],)
    return _distinct(x, dim, True)


def _slices(input: Tensor, dim: Any, operation: str) -> int:
    """The dimension whose slices are compared; they must not be empty."""
    shape = input._a.shape
    dim = one_dim(dim, len(shape), operation)
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    if 0 in shape and not (shape[dim] == 0 and all(n for d, n in enumerate(shape) if d != dim)):
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )
    return dim


def _chosen(found: tuple, return_inverse: bool, return_counts: bool) -> Any:
    values, inverse, counts = found
    if not return_inverse and not return_counts:
        return values
    return (values, *[inverse] * bool(return_inverse), *[counts] * bool(return_counts))


@public(out=False, takes={"sorted": "bool", "return_inverse": "bool", "return_counts": "bool"})
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: Any = None,
) -> Any:
    """The distinct elements in order, or the distinct slices along `dim`.

    Also, if asked for: for every element its place among them, and how often each occurs.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([3, 1, 3]).unique(return_counts=True)
        (tensor([1, 3]), tensor([1, 2]))
    """
    if dim is None:
        refuse_kinds("unique", input, COMPLEX, unsigned=False)
        return _chosen(unique_all(input), return_inverse, return_counts)
    refuse_kinds("unique_dim", input, COMPLEX, unsigned=False)
    return _chosen(unique_dim(input, dim=_slices(input, dim, "unique")), return_inverse, return_counts)


@public(out=False, takes={"return_inverse": "bool", "return_counts": "bool"})
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The elements (or slices along `dim`) without those equal to the one before.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1, 1, 2, 1]).unique_consecutive()
        tensor([1, 2, 1])
    """
    refuse_kinds("unique", input, COMPLEX, unsigned=False)
    if dim is not None:
        dim = _slices(input, dim, "unique_consecutive")
    alone = not return_inverse and not return_counts
    found = unique_neighbours(input, dim=dim, alone=alone)
    return found[0] if alone else _chosen(found, return_inverse, return_counts)


# ---- places ----


def _place(boundaries: np.ndarray, values: np.ndarray, side: str, sorter: Any, small: bool) -> np.ndarray:
    boundaries, values = (a if a.dtype.kind in "biuf" else a.astype(np.float32) for a in (boundaries, values))
    kind = np.int32 if small else np.int64
    if boundaries.ndim == 1:
        return np.asarray(np.searchsorted(boundaries, values, side, sorter), kind)
    out = np.empty(values.shape, kind)
    if not out.size:
        return out
    lines = boundaries.reshape(math.prod(boundaries.shape[:-1]), boundaries.shape[-1])
    sorters = [None] * len(lines) if sorter is None else sorter.reshape(lines.shape)
    width = values.shape[-1]
    for line, order, found, wanted in zip(lines, sorters, out.reshape(-1, width), values.reshape(-1, width)):
        found[:] = np.searchsorted(line, wanted, side, order)
    return out


def _into_places(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    result = plain(*args, **kwargs)
    if outs[0]._dtype is not result._dtype:
        raise RuntimeError(
            "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
            f"on whether out_int32 flag is True, but we got output tensor's dtype {outs[0]._dtype.legacy} and "
            f"out_int32 flag is {bool(kwargs.get('out_int32'))}"
        )
    return result


@public(out=_into_places, takes={"out_int32": "bool", "right": "bool", "side": "str?", "sorter": "Tensor?"})
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: Any = None,
    sorter: Any = None,
) -> Tensor:
    """Where each value would be inserted in a sequence sorted along its last dimension.

    `right=True` (or `side="right"`) puts it after its equals. A 1-d sequence serves all values; one of
    more dimensions serves the values with the same leading dimensions.

    Raises:
        RuntimeError: shapes that do not go together, or `side` and `right` that say different things.
        TypeError: values that are neither tensor nor number.

    Example:
        >>> import rushlight as torch
        >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([3, 6]))
        tensor([1, 3])
    """
    name = "torch.searchsorted()"
    if not isinstance(sorted_sequence, Tensor) or not isinstance(input, (Tensor, *NUMBERS)):
        raise errors.WrongArgument("input", "Tensor or Number", input, True)
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"{name}: side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            f"{name}: side and right can't be set to opposites, got side of left while right was True"
        )
    edges = sorted_sequence._a
    values = input._a if isinstance(input, Tensor) else np.asarray(input)
    if not edges.ndim:
        raise RuntimeError(f"{name}: boundaries tensor should have positive dimension, but got 0 dimension")
    if edges.ndim != 1 and edges.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            f"{name}: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and "
            f"input value tensor must match, but we got boundaries tensor {list(edges.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    if isinstance(input, Tensor) and values.size:
        refuse_kinds("searchsorted_out_cpu", input, BOOL, COMPLEX)
    if sorter is not None:
        _check_sorter(sorter, edges, name)
    if out_int32 and edges.shape[-1] >= 2**31 - 1:
        raise RuntimeError(
            f"{name}: the size of boundaries' last dimension should be less than 2147483647, but we got "
            f"{edges.shape[-1]}"
        )
    chosen = "right" if right or side == "right" else "left"
    return wrap(_place(edges, values, chosen, None if sorter is None else sorter._a, out_int32))


def _check_sorter(sorter: Tensor, edges: np.ndarray, name: str) -> None:
    if sorter._a.shape != edges.shape:
        raise RuntimeError(
            f"{name}: boundary and sorter must have the same size, but got boundary tensor {list(edges.shape)}and "
            f"got sorter tensor {list(sorter._a.shape)}"
        )
    if sorter._dtype is not int64:
        raise RuntimeError(
            f"{name}: sorter must be a tensor of long dtype but got dtype {sorter._dtype.legacy}"
        )
    if sorter._a.size and (sorter._a.min() < 0 or sorter._a.max() >= edges.shape[-1]):
        raise RuntimeError(f"{name}: sorter index out of range")


@public(out=_into_places, takes={"out_int32": "bool", "right": "bool"})
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """The bucket of each value, between sorted 1-d boundaries; `right` as in `searchsorted`.

    Raises:
        RuntimeError: the boundaries are no vector.
        TypeError: values that are neither tensor nor number.

    Example:
        >>> import rushlight as torch
        >>> torch.bucketize(torch.tensor([2, 3]), torch.tensor([1, 3, 5]))
        tensor([1, 1])
    """
    if not isinstance(boundaries, Tensor) or not isinstance(input, (Tensor, *NUMBERS)):
        raise errors.WrongArgument("input", "Tensor or Number", input, True)
    if boundaries._a.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries._a.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@public(out=same_dtype)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the others (or is not, with `invert`); one of the two may be a number.

    Raises:
        TypeError: neither is a tensor.
        RuntimeError: a type that is not compared.

    Example:
        >>> import rushlight as torch
        >>> torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2, 5]))
        tensor([False,  True, False])
    """
    for value in (elements, test_elements):
        if not isinstance(value, (Tensor, *NUMBERS)):
            raise errors.WrongArgument("elements", "Tensor or Number", value, True)
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise errors.WrongArgument("elements", "Tensor", elements, True)
    kind = result_type(elements, test_elements)
    for value in (elements, test_elements):
        if isinstance(value, Tensor) and value._dtype.category in (BOOL, COMPLEX):
            raise RuntimeError(f"Unsupported input type encountered for isin(): {value._dtype.legacy}")
    a, b = (single(np.asarray(operand(value, kind))) for value in (elements, test_elements))
    return wrap(np.isin(a, b, invert=invert))


# ---- counts ----


@primitive("Bincount", vjp=no_derivative("bincount"))
def bincount_weighted(weights, *, places, count):
    wide = weights if weights.dtype in (np.float32, np.float64) else weights.astype(np.float64)
    return np.bincount(places, wide, count).astype(wide.dtype)


@public(out=False)
def bincount(input: Tensor, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs among 1-d integers, or the sum of the weights of each.

    Raises:
        RuntimeError: negative integers, other shapes or dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0, 2, 2]).bincount()
        tensor([1, 0, 2])
    """
    a = input._a
    if input._dtype.category != INTEGER:
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{input._dtype.legacy}'")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if a.ndim == 1 and not a.size:
        return new_tensor(np.zeros(minlength, np.int64), int64)
    if a.ndim != 1 or a.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return wrap(np.bincount(a, None, minlength).astype(np.int64, copy=False))
    if weights._a.shape != a.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    return bincount_weighted(weights, places=a, count=minlength)


@primitive("Histc", vjp=NOT_DIFFERENTIABLE)
def histc_counts(x, *, bins, low, high):
    """Counts in equal bins between two bounds, both inside; what lies outside is left out."""
    a = x.reshape(-1)
    a = a[(a >= low) & (a <= high)].astype(np.float64)
    place = ((a - low) / (high - low) * bins).astype(np.int64)
    return np.bincount(np.minimum(place, bins - 1), None, bins).astype(x.dtype)


@public
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """A histogram of `bins` equal bins between min and max (the data's own, if both are 0).

    Raises:
        RuntimeError: `bins` is not above 0, or `min` and `max` are no finite range.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1., 2., 1.]).histc(bins=4, min=0, max=3)
        tensor([0., 2., 1., 0.])
    """
    refuse_kinds("histogram_cpu", input, BOOL, INTEGER, COMPLEX)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = float(min), float(max)
    if low == high and input._a.size:
        low, high = float(input._a.min()), float(input._a.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    return histc_counts(input, bins=bins, low=low, high=high)
