"""Scaled dot product attention."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import COMPLEX, FLOATING, bool_, float32
from rushlight.graph.expr import array_of
from rushlight.layout import broadcast
from rushlight.ops.kinds.contraction import batched
from rushlight.ops.matmul import matmul
from rushlight.ops.sampling import draw_dropout
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.deferral import FROM_MAPPED, reduced
from rushlight.runtime.execute import quiet, wrap
from rushlight.runtime.results import laid_out
from rushlight.tape.modes import MODES

# ---- weights ----


def _safe_softmax_gradient(g: Any, out: Any) -> Any:
    return out * (g - (g * out).sum(-1, True))


@primitive("SafeSoftmax", vjp=(_safe_softmax_gradient,))
def safe_softmax(x):
    """softmax over the last dimension; zeros where every element is -inf."""
    return weights_of(x, (), 1.0)


def weights_of(scores: np.ndarray, masks: tuple, scale: float) -> np.ndarray:
    """The safe softmax of `scores scale`, and a mask to add if there is one."""
    made = None
    if scores.ndim:
        last = (scores.ndim - 1,)
        made = reduced(
            _weights_row, (scores, *masks), last, True, {"scale": scale}, scores.dtype, FROM_MAPPED
        )
    if made is not None:
        return made
    wide = array_of(scores).astype(np.float64) * scale
    for mask in masks:
        wide += mask
    top = wide.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(wide - np.where(top == -np.inf, 0, top))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total)).astype(scores.dtype)


def _weights_row(x: np.ndarray, *masks: np.ndarray, scale: float) -> np.ndarray:
    x = x * scale
    for mask in masks:
        x = x + mask
    top = np.maximum.reduce(x)
    parts = np.exp(x - np.where(top == -np.inf, 0, top))
    total = np.add.reduce(parts, None, np.float64)
    return parts * (1 / np.where(total == 0, 1, total))


def _scores_gradient(weights: np.ndarray, g: np.ndarray, scale: float) -> np.ndarray:
    """What flows back from weights to scores before these are scaled."""
    last = (weights.ndim - 1,)
    made = reduced(
        _scores_gradient_row, (weights, g), last, True, {"scale": scale}, weights.dtype, FROM_MAPPED
    )
    if made is not None:
        return made
    part = np.multiply(weights, g, dtype=np.float64)
    part -= weights * part.sum(-1, keepdims=True)
    return (part * scale).astype(weights.dtype)


def _scores_gradient_row(weights: np.ndarray, g: np.ndarray, scale: float) -> np.ndarray:
    part = np.multiply(weights, g, dtype=np.float64)
    return (part - weights * np.add.reduce(part)) * scale


@lru_cache(16)
def _causal(rows: int, columns: int, kind: np.dtype) -> np.ndarray:
    """What is to be added to scores, so that each position looks at those up to its own."""
    made = _added(np.tri(rows, columns, dtype=bool), kind)
    made.flags.writeable = False
    return made


def _added(looked_at: np.ndarray, kind: np.dtype) -> np.ndarray:
    return np.where(looked_at, 0, -np.inf).astype(kind)


# ---- attention of heads: one operation ----


def _attention_gradient(
    g: Any, query: Any, key: Any, value: Any, mask: Any, out1: Any, needs: tuple, scale: float
) -> tuple:
    """The gradients of query, key and value; the mask has none."""
    if not MODES.grad:
        arrays = [array_of(t._a) for t in (g[0], query, key, value, out1)]
        made = quiet(_attention_gradient_values, *arrays, needs, scale)
        return *[None if a is None else new_tensor(a, query._dtype) for a in made], None
    scores = matmul(query, key.mT) * scale
    weights = safe_softmax(scores if mask is None else scores + mask)
    to_scores = _safe_softmax_gradient(matmul(g[0], value.mT), weights) * scale
    return matmul(to_scores, key), matmul(to_scores.mT, query), matmul(weights.mT, g[0]), None


def _attention_gradient_values(
    g: np.ndarray,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    weights: np.ndarray,
    needs: tuple,
    scale: float,
) -> list[np.ndarray | None]:
    kind = query.dtype
    g, query, key, value = (single(a) for a in (g, query, key, value))
    to_value = batched(weights.mT, g) if needs[2] else None
    to_query = to_key = None
    if needs[0] or needs[1]:
        to_scores = _scores_gradient(weights, batched(g, value.mT), scale)
        to_query = batched(to_scores, key) if needs[0] else None
        to_key = batched(to_scores.mT, query) if needs[1] else None
    return [None if a is None else _by_places(a, kind) for a in (to_query, to_key, to_value)]


def _by_places(a: np.ndarray, kind: np.dtype) -> np.ndarray:
    """What belongs to a place side by side for all heads, as it came from a projection."""
    _, heads, places, width = a.shape
    return laid_out(a.astype(kind, copy=False), (heads * places * width, width, heads * width, 1))


@primitive("ScaledDotProductFlashAttentionForCpu", several=True, differentiable=(0,), vjp=_attention_gradient)
def attend(query, key, value, mask, *, scale):
    """The result, and the weights of the values."""
    kind = query.dtype
    query, key, value = (single(array_of(a)) for a in (query, key, value))
    masks = () if mask is None else (single(array_of(mask)),)
    weights = weights_of(batched(query, key.mT), masks, scale)
    return batched(weights, value).astype(kind, copy=False), weights


def _is_one(query: Tensor, key: Tensor, value: Tensor, mask: Any, dropout: float) -> bool:
    """Whether PyTorch computes this by one kernel: heads of one width, as many in each batch, without gaps."""
    q, k, v = (t._a.shape for t in (query, key, value))
    if query._dtype.category != FLOATING:
        return False
    alike = len(q) == 4 and k == v and (*q[:2], q[3]) == (*k[:2], k[3]) and 0 not in (*q, *k)
    fits = mask is None or not mask.requires_grad and mask._a.ndim in (2, 4)
    return alike and fits and dropout <= 0


def _check(query: Any, key: Any, value: Any, mask: Any) -> None:
    for at, (argument, t) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        as_tensor(t, "scaled_dot_product_attention", argument, at)
    kinds = [t._dtype for t in (query, key, value)]
    if len(set(kinds)) > 1:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: {} key.dtype: {} and "
            "value.dtype: {} instead.".format(*(k.cpp for k in kinds))
        )
    ranks = [t._a.ndim for t in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {} key.dim: {} and "
            "value.dim: {} instead.".format(*ranks)
        )
    if mask is not None:
        if mask._dtype not in (bool_, float32, query._dtype):
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{mask._dtype.cpp} and  query.dtype: {query._dtype.cpp} instead."
            )


def _check_mask_shape(query: tuple, key: tuple, mask: tuple) -> None:
    """A mask is added to the scores in place."""
    scores = (*broadcast(query[:-2], key[:-2]), query[-2], key[-2])
    joined = broadcast(scores, mask)
    if joined != scores:
        raise RuntimeError(
            f"output with shape {list(scores)} doesn't match the broadcast shape {list(joined)}"
        )


@public(
    name="nn.functional.scaled_dot_product_attention",
    out=False,
    takes={"dropout_p": "float", "is_causal": "bool"},
)
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """softmax(query key^T scale + mask) value. Vaswani et al., arXiv:1706.03762.

    Args:
        attn_mask: numbers to add, or booleans: where to look.
        is_causal: look only at positions up to one's own.
        scale: by default 1 / sqrt(the last dimension).
        enable_gqa: let several heads of the query share one of key and value.

    Raises:
        RuntimeError: operands of different types or with fewer than two dimensions, or a mask that does not fit.
        NotImplementedError: complex operands.

    Example:
        >>> import rushlight as torch
        >>> x = torch.eye(2).unsqueeze(0)
        >>> torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0, 0]
        tensor([1., 0.])
    """
    _check(query, key, value, attn_mask)
    if enable_gqa:
        heads = query._a.shape[-3]
        key = key.repeat_interleave(heads // key._a.shape[-3], -3)
        value = value.repeat_interleave(heads // value._a.shape[-3], -3)
    if scale is None:
        scale = 1 / math.sqrt(query._a.shape[-1]) if query._a.shape[-1] else 1.0
    if attn_mask is not None:
        _check_mask_shape(query._a.shape, key._a.shape, attn_mask._a.shape)
    one = _is_one(query, key, value, attn_mask, dropout_p)
    if is_causal and attn_mask is not None and not one:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
        )
    mask = _as_numbers(attn_mask, is_causal, query, key)
    if one:
        return attend(query, key, value, mask, scale=float(scale))[0]
    return _step_by_step(query, key, value, mask, dropout_p, scale)


def _as_numbers(mask: Any, causal: bool, query: Any, key: Any) -> Any:
    """What is to be added to scores."""
    kind = query._dtype.numpy
    if mask is not None and mask._dtype is bool_:
        mask = wrap(quiet(_added, array_of(mask._a), kind))
    if causal:
        until = wrap(_causal(query._a.shape[-2], key._a.shape[-2], kind))
        mask = until if mask is None else mask + until
    return mask


def _step_by_step(query: Any, key: Any, value: Any, mask: Any, dropout: float, scale: Any) -> Any:
    """The same of any operands."""
    root = math.sqrt(abs(scale))
    scores = matmul(query * (-root if scale < 0 else root), key.mT * root)
    if scores._dtype.category == COMPLEX:
        raise NotImplementedError(
            f"\"softmax_lastdim_kernel_impl\" not implemented for '{scores._dtype.legacy}'"
        )
    weights = safe_softmax(scores if mask is None else (scores + mask).to(scores._dtype))
    if dropout > 0:
        weights = weights * draw_dropout(weights.detach(), dropout)
    return matmul(weights, value)


__all__ = ["safe_softmax", "scaled_dot_product_attention"]
