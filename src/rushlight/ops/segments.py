"""Runs of neighbouring slices, each reduced to one: `segment_reduce`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING
from rushlight.ops.creation import full
from rushlight.ops.scatter_reductions import scatter_reduce
from rushlight.ops.spec import as_tensor, public
from rushlight.runtime.execute import wrap

#: reduction -> what an empty segment gives, and `scatter_reduce`'s name for it
_REDUCTIONS = {
    "sum": (0.0, "sum"),
    "mean": (0.0, "sum"),
    "prod": (1.0, "prod"),
    "max": (-math.inf, "amax"),
    "min": (math.inf, "amin"),
    "amax": (-math.inf, "amax"),
    "amin": (math.inf, "amin"),
}


@public
def segment_reduce(
    data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None
):
    """The "sum", "mean", "prod", "max" or "min" of each run of slices along `axis`.

    Args:
        lengths: of the runs; they add up to the size of `axis`. With more dimensions, of the runs in each of the rows before
            `axis`.
        offsets: where each run begins, and the end of the last, instead of lengths.
        unsafe: whether lengths may add up to less.
        initial: what counts as one more element of each run; without it, empty runs give 0, 1, infinities or, for "mean", NaN.

    Raises:
        RuntimeError: an unknown reduction; neither lengths nor offsets, or such as do not fit.
        NotImplementedError: data of integers, or runs counted in floats.

    Example:
        >>> import rushlight as torch
        >>> torch.segment_reduce(torch.tensor([1., 2., 3.]), "sum", lengths=torch.tensor([2, 0, 1]))
        tensor([3., 0., 3.])
    """
    as_tensor(data, "segment_reduce", "data", 1)
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if data._dtype.category != FLOATING:
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{data._dtype.legacy}'")
    bounds = _bounds(data, lengths, offsets, axis, unsafe)
    empty, name = _REDUCTIONS[reduce]
    lead, tail = data._a.shape[:axis], data._a.shape[axis + 1 :]
    count = bounds.shape[-1] - 1
    # one run more, for the slices that are in none
    base = full((*lead, count + 1, *tail), empty if initial is None else initial, dtype=data._dtype)
    index = wrap(_numbers(bounds, data._a.shape[axis]).reshape(*data._a.shape[: axis + 1], *[1] * len(tail)))
    found = scatter_reduce(
        base, axis, index.expand(data._a.shape), data, name, include_self=initial is not None
    ).narrow(axis, 0, count)
    if reduce != "mean":
        return found.contiguous()
    sizes = wrap(np.diff(bounds).reshape(*lead, count, *[1] * len(tail))).to(data._dtype)
    return found / (sizes if initial is None else sizes.clamp_min(1))


def _bounds(data: Tensor, lengths: Any, offsets: Any, axis: int, unsafe: bool) -> np.ndarray:
    """Where each run begins, and where the last ends; int64, checked."""
    given, name = (lengths, "lengths") if offsets is None else (offsets, "offsets")
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given._dtype.category >= FLOATING:
        raise NotImplementedError(
            f"\"_segment_reduce_{name}_cpu_kernel1\" not implemented for '{given._dtype.legacy}'"
        )
    rank = max(data._a.ndim, 1)
    if not -rank <= axis < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {axis})"
        )
    if axis != given._a.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {name} but got {axis}."
        )
    lead = data._a.shape[:axis]
    if data._a.ndim <= axis or given._a.shape[:-1] != lead or offsets is not None and not given._a.shape[-1]:
        raise RuntimeError(
            f"segment_reduce(): Expected {name} of shape {[*lead, -1]} for data of shape {list(data._a.shape)}, but got "
            f"{list(given._a.shape)}"
        )
    whole = np.asarray(given._a, np.int64)
    if offsets is None:
        whole = np.concatenate((np.zeros((*lead, 1), np.int64), whole.cumsum(-1)), -1)
    size = data._a.shape[axis]
    if whole.shape[-1] > 1 and np.diff(whole).min(initial=0) < 0:
        raise RuntimeError("lengths contains negative value!")
    if offsets is None and not unsafe and (whole[..., -1] != size).any():
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
        )
    if whole.min(initial=0) < 0 or whole.max(initial=0) > size:
        raise RuntimeError(f"segment_reduce(): {name} reach beyond the {size} slices of the data")
    return whole


def _numbers(bounds: np.ndarray, size: int) -> np.ndarray:
    """For each slice the number of its run, or of one past the last."""
    number = (np.arange(size)[:, None] >= bounds[..., None, :]).sum(-1) - 1
    number[number < 0] = bounds.shape[-1] - 1
    return number


__all__ = ["segment_reduce"]
