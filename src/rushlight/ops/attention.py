"""Scaled dot product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.dtypes import FLOATING, bool_
from rushlight.ops.matmul import matmul
from rushlight.ops.sampling import draw_dropout
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.execute import wrap


def _safe_softmax_gradient(g: Any, out: Any) -> Any:
    return out * (g - (g * out).sum(-1, True))


@primitive("SafeSoftmax", vjp=(_safe_softmax_gradient,))
def safe_softmax(x):
    """softmax over the last dimension; zeros where every element is -inf."""
    wide = x.astype(np.float64)
    top = wide.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(wide - np.where(top == -np.inf, 0, top))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total)).astype(x.dtype)


def _check(query: Any, key: Any, value: Any, mask: Any, causal: bool) -> None:
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
        if mask._dtype is not bool_ and mask._dtype is not query._dtype and mask._dtype.category != FLOATING:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{mask._dtype.cpp} and  query.dtype: {query._dtype.cpp} instead."
            )
        if causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
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

    Example:
        >>> import rushlight as torch
        >>> x = torch.eye(2).unsqueeze(0)
        >>> torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0, 0]
        tensor([1., 0.])
    """
    _check(query, key, value, attn_mask, is_causal)
    root = (
        math.sqrt(1 / math.sqrt(query._a.shape[-1]) if scale is None else abs(scale))
        if query._a.shape[-1]
        else 1.0
    )
    if enable_gqa:
        heads = query._a.shape[-3]
        key = key.repeat_interleave(heads // key._a.shape[-3], -3)
        value = value.repeat_interleave(heads // value._a.shape[-3], -3)
    sign = -1 if scale is not None and scale < 0 else 1
    scores = matmul(query * (root * sign), key.mT * root)
    if is_causal:
        rows, columns = query._a.shape[-2], key._a.shape[-2]
        attn_mask = wrap(np.tri(rows, columns, dtype=bool))
    if attn_mask is not None:
        if attn_mask._dtype is bool_:
            zeros = np.where(attn_mask._a, 0, -np.inf).astype(query._a.dtype)
            attn_mask = wrap(zeros)
        scores = scores + attn_mask
    weights = safe_softmax(scores)
    if dropout_p > 0:
        weights = weights * draw_dropout(weights.detach(), dropout_p)
    return matmul(weights, value)


__all__ = ["safe_softmax", "scaled_dot_product_attention"]
