"""Quantiles, composed of sort, gather and lerp, whose derivatives serve."""

from __future__ import annotations

from typing import Any

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import float32, float64, int64
from rushlight.ops.kinds.reduction import check_keepdim, one_dim
from rushlight.ops.sorting import sort
from rushlight.ops.spec import public

_MODES = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(input: Tensor, q: Any, dim: Any, keepdim: Any, mode: str, skip_nan: bool) -> Tensor:
    """1. Sort along `dim`. 2. Find the rank of each q. 3. Take, and interpolate between, the neighbours."""
    name = "nanquantile" if skip_nan else "quantile"
    q = _checked_q(input, q, name)
    if mode not in _MODES:
        raise RuntimeError(
            f"{name}() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {mode}"
        )
    keepdim = check_keepdim(keepdim, name)
    at = None if dim is None else one_dim(dim, input._a.ndim, name)
    shape = _reduced_shape(input._a.shape, at, keepdim)
    ordered = _sorted_last(input, at)
    ordered = ordered.view(*shape, ordered.shape[-1])
    ranks = _ranks(ordered, q, skip_nan, mode)
    below = ranks.detach().to(int64)
    values = ordered.gather(-1, below)
    if mode in ("linear", "midpoint"):
        weights = ranks.new_full(ranks.shape, 0.5) if mode == "midpoint" else ranks - below
        values = values.lerp(ordered.gather(-1, ranks.detach().ceil().to(int64)), weights)
    if q._a.ndim == 0:
        return values.squeeze(-1)
    return values.unsqueeze(0).transpose(0, -1).squeeze(-1)


def _checked_q(input: Tensor, q: Any, name: str) -> Tensor:
    if not isinstance(q, Tensor):
        if isinstance(q, bool) or not isinstance(q, (int, float)):
            raise errors.WrongArgument("q", "float", q, True)
        if not 0 <= q <= 1:
            raise RuntimeError(f"{name}() q must be in the range [0, 1] but got {q:g}")
        q = input.detach().new_full((), q)
    if not input._a.size:
        raise RuntimeError(f"{name}() input tensor must be non-empty")
    if q._a.ndim > 1:
        raise RuntimeError(f"{name}() q must be a scalar or 1D tensor")
    if input._dtype not in (float32, float64):
        raise RuntimeError(f"{name}() input tensor must be either float or double dtype")
    if q._dtype is not input._dtype:
        raise RuntimeError(f"{name}() q tensor must be same dtype as the input tensor")
    if not ((q._a >= 0) & (q._a <= 1)).all():
        raise RuntimeError(f"{name}() q values must be in the range [0, 1]")
    return q


def _reduced_shape(shape: tuple[int, ...], at: int | None, keepdim: bool) -> list[int]:
    if at is None:
        return [1] * len(shape) if keepdim else []
    return [1 if d == at else n for d, n in enumerate(shape) if keepdim or d != at]


def _sorted_last(input: Tensor, at: int | None) -> Tensor:
    if at is None:
        return sort(input.flatten())[0]
    if at == input._a.ndim - 1:
        return sort(input)[0]
    return sort(input.unsqueeze(-1).transpose(at, -1))[0]


def _ranks(ordered: Tensor, q: Tensor, skip_nan: bool, mode: str) -> Tensor:
    if skip_nan:
        ranks = q * (ordered.isnan().logical_not().sum(-1, keepdim=True) - 1)
        ranks = ranks.masked_fill(ranks < 0, 0)
    else:
        last = ordered.shape[-1] - 1
        ranks = (q * last).masked_fill(ordered.isnan().any(-1, keepdim=True), last)
    if mode == "lower":
        return ranks.floor()
    if mode == "higher":
        return ranks.ceil()
    return ranks.round() if mode == "nearest" else ranks


def _input_dtype(plain: Any, outs: tuple, args: tuple, kwargs: dict) -> Any:
    result = plain(*args, **kwargs)
    if outs[0]._dtype is not result._dtype:
        raise RuntimeError(f"{plain.__name__}() out tensor must be same dtype as the input tensor")
    return result.contiguous()


@public(out=_input_dtype, takes={"interpolation": "str"})
def quantile(
    input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The q-quantiles (q between 0 and 1) of all elements, or along `dim`; a 1-d q adds a first dimension.

    Raises:
        RuntimeError: other dtypes than float32 and float64; q of another dtype or out of range.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0., 1., 2., 3.]).quantile(0.5)
        tensor(1.5000)
    """
    return _quantile(input, q, dim, keepdim, interpolation, False)


@public(out=_input_dtype, takes={"interpolation": "str"})
def nanquantile(
    input: Tensor, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """As `quantile`, of the elements that are not nan.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([0., float("nan"), 2.]).nanquantile(0.5)
        tensor(1.)
    """
    return _quantile(input, q, dim, keepdim, interpolation, True)
