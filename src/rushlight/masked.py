"""`torch.masked`: reductions and normalisations of the elements that a mask lets count.

`mask` is True where an element counts, and broadcasts to the input; without it, all do. A reduction of no elements is the
operation's identity (0 for sums, -inf for maxima), or NaN where there is none. Normalisations fill the places that do not count.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

from rushlight import dtypes, late
from rushlight.buffer import Tensor
from rushlight.dtypes import COMPLEX, FLOATING, dtype, iinfo
from rushlight.ops import extremes, functions, masking, reductions, scans, softmaxes, sorting
from rushlight.ops.broadcasting import broadcast_to
from rushlight.ops.creation import full, ones
from rushlight.ops.matrix_functions import vector_norm

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median", "norm",
    "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip

Dims = int | tuple[int, ...] | list[int] | None


# ---- masks ----


def _mask(input: Tensor, mask: Tensor) -> Tensor:
    """The mask in the input's shape."""
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
        )
    return broadcast_to(mask, input.shape).to(dtypes.bool_)


def _filled(input: Tensor, mask: Tensor | None, value: Any) -> Tensor:
    """The input with `value` in the places that do not count."""
    return (
        input
        if mask is None
        else masking.where(_mask(input, mask), input, full((), value, dtype=input.dtype))
    )


def _lowest(kind: dtype, name: str) -> float:
    if kind.category == FLOATING:
        return -math.inf
    if kind is dtypes.bool_:
        raise NotImplementedError(f"identity of {name} on {kind} input")
    return iinfo(kind).min


def _highest(kind: dtype, name: str) -> float:
    if kind.category == FLOATING:
        return math.inf
    _lowest(kind, name)
    return iinfo(kind).max


def _dims(dim: Dims, rank: int) -> tuple[int, ...]:
    if dim is None or dim == () or dim == []:
        return tuple(range(rank))
    rank = builtins.max(rank, 1)
    found: list[int] = []
    for d in (dim,) if isinstance(dim, int) else dim:
        if not -rank <= d < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {d})"
            )
        if d % rank in found:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        found.append(d % rank)
    return tuple(sorted(found))


def _summed_type(kind: dtype) -> dtype:
    """int64 for the smaller integers."""
    small = (dtypes.uint8, dtypes.bool_, dtypes.int8, dtypes.int16, dtypes.int32)
    return dtypes.int64 if kind in small else kind


# ---- reductions ----


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: Any = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The sum of what counts.

    Example:
        >>> import rushlight as torch
        >>> torch.masked.sum(torch.tensor([[1, 2], [3, 4]]), 1, mask=torch.tensor([True, False]))
        tensor([1, 3])
    """
    kind = dtype or _summed_type(input.dtype)
    return reductions.sum(_filled(input, mask, 0), _dims(dim, input.ndim), bool(keepdim), dtype=kind)


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: Any = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The product of what counts."""
    made = _filled(input, mask, 1).to(dtype or _summed_type(input.dtype))
    for d in reversed(_dims(dim, input.ndim)):
        made = made.prod(d, keepdim=bool(keepdim))
    return made


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: Any = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The largest of what counts."""
    made = input if mask is None else _filled(input, mask, _lowest(input.dtype, "amax"))
    return extremes.amax(made, _dims(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: Any = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The smallest of what counts."""
    made = input if mask is None else _filled(input, mask, _highest(input.dtype, "amin"))
    return extremes.amin(made, _dims(dim, input.ndim), bool(keepdim)).to(dtype or input.dtype)


def argmax(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: Any = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Where the largest of what counts is, as a number of the input's type."""
    kind = dtype or input.dtype
    made = input if mask is None else _filled(input, mask, _lowest(input.dtype, "argmax"))
    return extremes.argmax(made, dim, bool(keepdim)).to(kind)


def argmin(
    input: Tensor,
    dim: int | None = None,
    *,
    keepdim: Any = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Where the smallest of what counts is, as a number of the input's type."""
    kind = dtype or input.dtype
    made = input if mask is None else _filled(input, mask, _highest(input.dtype, "argmin"))
    return extremes.argmin(made, dim, bool(keepdim)).to(kind)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """How many elements count."""
    which = ones(input.shape, dtype=dtypes.int64) if mask is None else _mask(input, mask)
    return reductions.sum(which, _dims(dim, input.ndim), keepdim)


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: Any = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean of what counts; NaN of nothing.

    Raises:
        ValueError: the result would be of integers.

    Example:
        >>> import rushlight as torch
        >>> torch.masked.mean(torch.tensor([1., 2., 9.]), mask=torch.tensor([True, True, False]))
        tensor(1.5000)
    """
    kind = dtype or input.dtype
    if kind.category < FLOATING:
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {kind}"
        )
    total = sum(input, dim, keepdim=keepdim, dtype=kind, mask=mask)
    return total / _count(input, dim, bool(keepdim), mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The median of what counts, the lower of two; NaN of nothing.

    Raises:
        ValueError: nothing counts, and the result would be of integers.
    """
    exact = input.dtype.category == FLOATING
    made = _filled(input if exact else input.to(dtypes.float32), mask, math.nan)
    found = sorting.nanmedian(made, _dims(dim, input.ndim)[0], keepdim)[0]
    if exact:
        return found
    if found.isnan().any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return found.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of the exponentials of what counts."""
    lowest = -math.inf if input.dtype.category == COMPLEX else 0
    made = input if mask is None else _filled(input, mask, lowest or _lowest(input.dtype, "logsumexp"))
    return softmaxes.logsumexp(made, _dims(dim, input.ndim), keepdim).to(dtype or input.dtype)


def norm(
    input: Tensor,
    ord: float | None = 2.0,
    dim: Dims = None,
    *,
    keepdim: Any = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The `ord`-norm of what counts, as vectors."""
    made = _filled(input, mask, math.inf if ord == -math.inf else 0)
    return vector_norm(
        made, 2 if ord is None else ord, _dims(dim, input.ndim), bool(keepdim), dtype=dtype or input.dtype
    )


def _variance(
    input: Tensor, dim: Dims, unbiased: Any, correction: Any, keepdim: Any, dtype: Any, mask: Any
) -> Tensor:
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    freedom = (1.0 if unbiased is None or unbiased else 0.0) if correction is None else float(correction)
    kind = dtype or (input.dtype if input.dtype.category >= FLOATING else dtypes.float32)
    wide = kind if kind.category >= FLOATING else dtypes.float32
    count = _count(input, dim, True, mask)
    away = input - sum(input, dim, keepdim=True, dtype=kind, mask=mask) / count
    total = sum(away * away.conj(), dim, keepdim=keepdim, dtype=wide, mask=mask)
    count = count if keepdim else count.reshape(total.shape)
    if freedom:
        count = (count.to(total.real.dtype if total.is_complex() else wide) - freedom).clamp_min(0)
    return (total / count).to(kind)


def var(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: Any = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of what counts; the sum of squares is divided by the count less `correction`, by default 1."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input: Tensor,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: Any = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The standard deviation of what counts: the root of :func:`var`."""
    return _variance(input, dim, unbiased, correction, keepdim, dtype, mask).sqrt()


# ---- normalisations ----


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The running sum of what counts."""
    kind = dtype or input.dtype
    return scans.cumsum(_filled(input, mask, 0), _dims(dim, input.ndim)[0], dtype=kind).to(kind)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The running product of what counts."""
    kind = dtype or input.dtype
    return scans.cumprod(_filled(input, mask, 1), _dims(dim, input.ndim)[0], dtype=kind).to(kind)


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """exp(x) over its sum along `dim`, of what counts; 0 for the rest, and NaN where nothing counts.

    Example:
        >>> import rushlight as torch
        >>> torch.masked.softmax(torch.zeros(3), 0, mask=torch.tensor([True, True, False]))
        tensor([0.5000, 0.5000, 0.0000])
    """
    made = input if mask is None else _filled(input, mask, _lowest(input.dtype, "amax"))
    return softmaxes.softmax(made, _dims(dim, input.ndim)[0], dtype=dtype or input.dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of :func:`softmax`."""
    made = input if mask is None else _filled(input, mask, _lowest(input.dtype, "amax"))
    return softmaxes.log_softmax(made, _dims(dim, input.ndim)[0], dtype=dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """:func:`softmax` of -x."""
    kind = dtype or input.dtype
    made = input if mask is None else _filled(input, mask, _highest(input.dtype, "amin"))
    return softmaxes.softmax(-made, _dims(dim, input.ndim)[0], dtype=kind)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """What counts over its `ord`-norm along `dim`, or over `eps` if that is larger; 0 for the rest."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype or input.dtype, mask=mask)
    return _filled(input, mask, 0) / length.clamp_min(eps)


def logaddexp(
    input: Tensor,
    other: Tensor,
    *,
    dtype: Any = None,
    input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:
    """log(exp(x) + exp(y)), in which what does not count counts as -inf."""
    kind = dtype or input.dtype
    x, y = (
        t if mask is None else _filled(t, mask, _lowest(t.dtype, "logaddexp"))
        for t, mask in ((input, input_mask), (other, other_mask))
    )
    return functions.logaddexp(x, y).to(kind)


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.masked")
