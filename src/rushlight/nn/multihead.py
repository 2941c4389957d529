"""`nn.functional.multi_head_attention_forward`: several attentions side by side. Vaswani et al., arXiv:1706.03762."""

from __future__ import annotations

import math
import warnings
from typing import Any

import rushlight
from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops.attention import scaled_dot_product_attention
from rushlight.ops.layers import dropout, linear
from rushlight.ops.padding import pad

__all__ = ["additive", "multi_head_attention_forward"]


@for_batches
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """What `nn.MultiheadAttention` computes, from its parameters: (the output, the weights or None).

    Inputs are (L, N, E) or (L, E).

    Args:
        in_proj_weight: the projections of query, key and value, one below the other; or, with `use_separate_proj_weight`,
            each of `q_proj_weight`, `k_proj_weight` and `v_proj_weight` by itself.
        bias_k, bias_v: a key and value more; add_zero_attn: one more of zeros.
        key_padding_mask: (N, S): keys to hide from everyone; attn_mask: (L, S) or (N heads, L, S): from whom to hide what;
            booleans, or numbers to add.
        static_k, static_v: keys and values of (N heads, S, E / heads), instead of the projected ones.
        average_attn_weights: whether the weights are the heads' mean.
        is_causal: says that `attn_mask` is the causal one.

    Raises:
        AssertionError, RuntimeError: inputs, parameters or masks that do not go together.

    Example:
        >>> import rushlight as torch
        >>> x, w = torch.ones(3, 2, 4), torch.eye(4)
        >>> output, weights = torch.nn.functional.multi_head_attention_forward(
        ...     x, x, x, 4, 2, torch.cat([w, w, w]), None, None, None, False, 0.0, w, None
        ... )
        >>> output.shape, weights[0, 0]
        (torch.Size([3, 2, 4]), tensor([0.3333, 0.3333, 0.3333]))
    """
    batched = check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value = each(lambda t: t.unsqueeze(1), query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    padding = additive(key_padding_mask, "key_padding_mask", attn_mask, "attn_mask", query.dtype)
    check_causal(is_causal, attn_mask)
    causal = is_causal and padding is None and not need_weights
    mask = None if causal else additive(attn_mask, "attn_mask", None, "", query.dtype, False)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    apart = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else None
    q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, apart)
    length, batch, size = query.shape
    mask = _checked_mask(mask, length, key.size(0), batch, num_heads)
    if bias_k is not None and bias_v is not None:
        _check_not_static(static_k, static_v)
        k, v = (rushlight.cat([t, b.repeat(1, batch, 1)]) for t, b in ((k, bias_k), (v, bias_v)))
        mask, padding = _one_more(mask), _one_more(padding)
    elif bias_k is not None or bias_v is not None:
        lacking, given = ("bias_k", "bias_v") if bias_k is None else ("bias_v", "bias_k")
        raise AssertionError(f"{given} is set but {lacking} is None")
    heads = batch * num_heads
    q = _by_head(q, heads)
    k = _by_head(k, heads) if static_k is None else _checked_static("k", static_k, heads, q.size(2))
    v = _by_head(v, heads) if static_v is None else _checked_static("v", static_v, heads, q.size(2))
    if add_zero_attn:
        k, v = (rushlight.cat([t, t.new_zeros((heads, 1, t.size(2)))], 1) for t in (k, v))
        mask, padding = _one_more(mask), _one_more(padding)
    mask = _joined(mask, padding, batch, num_heads, k.size(1))
    dropped = dropout_p if training else 0.0
    if need_weights:
        made, weights = _attended(q, k, v, mask, dropped)
        weights = weights.view(batch, num_heads, length, k.size(1))
        weights = weights.mean(1) if average_attn_weights else weights
    else:
        made, weights = _attended_at_once(q, k, v, mask, dropped, causal, batch), None
    output = linear(made.reshape(length * batch, size), out_proj_weight, out_proj_bias)
    output = output.view(length, batch, output.size(1))
    if not batched:
        return output.squeeze(1), None if weights is None else weights.squeeze(0)
    return output, weights


def each(change: Any, *tensors: Tensor) -> list[Tensor]:
    """What `change` makes of each tensor; the same of the same, so that projections of one input are made at once."""
    made = {id(t): change(t) for t in {id(t): t for t in tensors}.values()}
    return [made[id(t)] for t in tensors]


# ---- masks ----


def additive(mask: Any, name: str, other: Any, other_name: str, dtype: Any, check_other: bool = True) -> Any:
    """A mask as numbers to add: -inf where a bool one is True.

    Raises:
        AssertionError: neither bools nor floating numbers.
    """
    if mask is None:
        return None
    is_bool = mask.dtype == rushlight.bool
    if not is_bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if check_other and other is not None and mask.dtype != other.dtype:
        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    return rushlight.zeros_like(mask, dtype=dtype).masked_fill_(mask, float("-inf")) if is_bool else mask


def check_causal(is_causal: bool, mask: Any) -> None:
    """RuntimeError where attention is said to be causal, without the mask that makes it so."""
    if is_causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )


def _one_more(mask: Any) -> Any:
    """A mask for one key more, which nothing hides."""
    return None if mask is None else pad(mask, (0, 1))


def _checked_mask(mask: Any, length: int, source: int, batch: int, heads: int) -> Any:
    """The mask with three dimensions; RuntimeError if it does not fit."""
    if mask is None:
        return None
    wanted = (length, source) if mask.dim() == 2 else (batch * heads, length, source)
    if mask.shape != wanted:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}."
        )
    return mask.unsqueeze(0) if mask.dim() == 2 else mask


def _joined(mask: Any, padding: Any, batch: int, heads: int, source: int) -> Any:
    """Both masks as one of (1 or N heads, 1 or L, S); AssertionError if the padding's does not fit."""
    if padding is None:
        return mask
    for at, wanted in enumerate((batch, source)):
        if padding.shape[at] != wanted:
            raise AssertionError(
                f"Expected key_padded_mask.shape[{at}] to be {wanted}, but got {padding.shape[at]}"
            )
    padding = padding.view(batch, 1, 1, source).expand(-1, heads, -1, -1).reshape(batch * heads, 1, source)
    return padding if mask is None else mask + padding


# ---- projections ----


def _projected(query: Tensor, key: Tensor, value: Tensor, weight: Any, bias: Any, apart: Any) -> list[Tensor]:
    inputs = (query, key, value)
    if apart is not None:
        for name, w in zip("qkv", apart):
            if w is None:
                raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        return [linear(t, w, b) for t, w, b in zip(inputs, apart, biases)]
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    size = query.size(-1)
    if query is key is value or (key is value and _same_memory(query, key)):
        return list(linear(query, weight, bias).split(size, -1))
    biases = (None,) * 3 if bias is None else bias.split(size)
    return [linear(t, w, b) for t, w, b in zip(inputs, weight.split(size), biases)]


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return (
        a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride() and a.grad_fn is None
    )


def _by_head(t: Tensor, heads: int) -> Tensor:
    """(L, N, E) as (N heads, L, E / heads)."""
    return t.reshape(t.size(0), heads, -1 if t.numel() else t.size(1) * t.size(2) // heads).transpose(0, 1)


# ---- attention, on (N heads, L, width) ----


def _attended(q: Tensor, k: Tensor, v: Tensor, mask: Any, dropped: float) -> tuple[Tensor, Tensor]:
    """The output as (L, N heads, width), and the weights."""
    q = q * math.sqrt(1.0 / float(q.size(2)))
    turned = k.transpose(-2, -1)
    scores = q.bmm(turned) if mask is None else rushlight.baddbmm(mask, q, turned)
    weights = scores.softmax(-1)
    if dropped > 0:
        weights = dropout(weights, dropped)
    return weights.bmm(v).transpose(0, 1), weights


def _attended_at_once(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, dropped: float, causal: bool, batch: int
) -> Tensor:
    """The output as (L, N, heads, width), without the weights."""
    if mask is not None:
        mask = mask.unsqueeze(0) if mask.size(0) == 1 else mask.view(batch, -1, mask.size(1), mask.size(2))
    q, k, v = (t.reshape(batch, -1, t.size(1), t.size(2)) for t in (q, k, v))
    return scaled_dot_product_attention(q, k, v, mask, dropped, causal).permute(2, 0, 1, 3)


# ---- checks ----


def check_ranks(query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any, heads: int) -> bool:
    """Whether there is a batch; AssertionError if the ranks do not go together."""
    rank = query.dim()
    if rank not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {rank}-D query tensor"
        )
    kind = "batched (3-D)" if rank == 3 else "unbatched (2-D)"
    if key.dim() != rank or value.dim() != rank:
        raise AssertionError(
            f"For {kind} `query`, expected `key` and `value` to be {rank}-D but found {key.dim()}-D and "
            f"{value.dim()}-D tensors respectively"
        )
    if padding is not None and padding.dim() != rank - 1:
        raise AssertionError(
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {rank - 1}-D but found "
            f"{padding.dim()}-D tensor instead"
        )
    if mask is not None and mask.dim() not in (2, 3):
        raise AssertionError(
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D tensor instead"
        )
    wanted = (heads, query.shape[0], key.shape[0])
    if rank == 2 and mask is not None and mask.dim() == 3 and mask.shape != wanted:
        raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {mask.shape}")
    return rank == 3


def _check_sizes(query: Tensor, key: Tensor, value: Tensor, wanted: int, heads: int, apart: bool) -> None:
    size = query.size(-1)
    if size != wanted:
        raise AssertionError(f"was expecting embedding dimension of {wanted}, but got {size}")
    if size % heads:
        raise AssertionError(f"embed_dim {size} not divisible by num_heads {heads}")
    if apart and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not apart and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _check_not_static(static_k: Any, static_v: Any) -> None:
    for name, given in (("key", static_k), ("value", static_v)):
        if given is not None:
            raise AssertionError(f"bias cannot be added to static {name}.")


def _checked_static(name: str, t: Tensor, heads: int, width: int) -> Tensor:
    for at, wanted in ((0, heads), (2, width)):
        if t.size(at) != wanted:
            raise AssertionError(f"expecting static_{name}.size({at}) of {wanted}, but got {t.size(at)}")
    return t
