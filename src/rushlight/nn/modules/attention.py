"""`MultiheadAttention`: several attentions side by side. Vaswani et al., arXiv:1706.03762."""

from __future__ import annotations

import math
from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn import init
from rushlight.nn.modules.linear import NonDynamicallyQuantizableLinear
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter

__all__ = ["MultiheadAttention"]


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
        import warnings

        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead."
        )
    return rushlight.zeros_like(mask, dtype=dtype).masked_fill_(mask, float("-inf")) if is_bool else mask


class MultiheadAttention(Module):
    """softmax(q k' / sqrt(d)) v for each of `num_heads` projections of query, key and value, joined and projected.

    Inputs are (L, N, E), or (N, L, E) with `batch_first`, or (L, E).

    Raises:
        AssertionError: `num_heads` does not divide `embed_dim`; inputs or masks of the wrong shape.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(5, 2, 8)
        >>> output, weights = torch.nn.MultiheadAttention(8, 2)(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = (
            embed_dim,
            num_heads,
            dropout,
            batch_first,
        )
        self.kdim, self.vdim = (
            kdim if kdim is not None else embed_dim,
            vdim if vdim is not None else embed_dim,
        )
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")

        def weight(*shape: int) -> Parameter:
            return Parameter(rushlight.empty(shape, device=device, dtype=dtype))

        apart = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        if self._qkv_same_embed_dim:
            self.in_proj_weight: Any = weight(3 * embed_dim, embed_dim)
            for name in apart:
                self.register_parameter(name, None)
        else:
            for name, size in zip(apart, (embed_dim, self.kdim, self.vdim)):
                setattr(self, name, weight(embed_dim, size))
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias: Any = weight(3 * embed_dim)
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self.bias_k: Any = weight(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v: Any = weight(1, 1, embed_dim) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        if self._qkv_same_embed_dim:
            init.xavier_uniform_(self.in_proj_weight)
        else:
            for t in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
                init.xavier_uniform_(t)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        for t in (self.bias_k, self.bias_v):
            if t is not None:
                init.xavier_normal_(t)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        key_padding_mask = additive(key_padding_mask, "key_padding_mask", attn_mask, "attn_mask", query.dtype)
        attn_mask = additive(attn_mask, "attn_mask", None, "", query.dtype, False)
        batched = self._check_ranks(query, key, value, key_padding_mask, attn_mask)
        if is_causal and attn_mask is None:
            raise RuntimeError(
                "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
                "`generate_square_subsequent_mask` to create this mask."
            )
        if not batched:
            query, key, value = (t.unsqueeze(1) for t in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif self.batch_first:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        if is_causal and key_padding_mask is None and not need_weights:
            attn_mask = None
        else:
            is_causal = False
        output, weights = self._attend(
            query, key, value, key_padding_mask, attn_mask, need_weights, average_attn_weights, is_causal
        )
        if not batched:
            return output.squeeze(1), None if weights is None else weights.squeeze(0)
        return output.transpose(0, 1) if self.batch_first else output, weights

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        padding: Any,
        mask: Any,
        need_weights: bool,
        average: bool,
        causal: bool,
    ) -> tuple[Tensor, Any]:
        """Attention on (L, N, E), with masks that are added."""
        length, batch, size = query.shape
        heads, width = self.num_heads, self.head_dim
        if size != self.embed_dim:
            raise AssertionError(f"was expecting embedding dimension of {self.embed_dim}, but got {size}")
        if self._qkv_same_embed_dim and key.shape != value.shape:
            raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")
        if not self._qkv_same_embed_dim and key.shape[:2] != value.shape[:2]:
            raise AssertionError(
                f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
            )
        q, k, v = self._projected(query, key, value)
        mask = self._checked_mask(mask, length, key.size(0), batch)
        if self.bias_k is not None:
            k = rushlight.cat([k, self.bias_k.repeat(1, batch, 1)])
            v = rushlight.cat([v, self.bias_v.repeat(1, batch, 1)])
            mask, padding = _one_more(mask), _one_more(padding)
        q = q.reshape(length, batch * heads, width).transpose(0, 1)
        k, v = (t.reshape(t.size(0), batch * heads, width).transpose(0, 1) for t in (k, v))
        if self.add_zero_attn:
            zero = k.new_zeros((batch * heads, 1, width))
            k, v = rushlight.cat([k, zero], 1), rushlight.cat([v, zero], 1)
            mask, padding = _one_more(mask), _one_more(padding)
        source = k.size(1)
        if padding is not None:
            if padding.shape[0] != batch or padding.shape[1] != source:
                at, want, got = (
                    (0, batch, padding.shape[0])
                    if padding.shape[0] != batch
                    else (1, source, padding.shape[1])
                )
                raise AssertionError(f"Expected key_padded_mask.shape[{at}] to be {want}, but got {got}")
            padding = (
                padding.view(batch, 1, 1, source).expand(-1, heads, -1, -1).reshape(batch * heads, 1, source)
            )
            mask = padding if mask is None else mask + padding
        dropped = self.dropout if self.training else 0.0
        if need_weights:
            q = q * math.sqrt(1.0 / float(width))
            scores = (
                q.bmm(k.transpose(-2, -1))
                if mask is None
                else rushlight.baddbmm(mask, q, k.transpose(-2, -1))
            )
            weights = F.dropout(scores.softmax(-1), dropped) if dropped > 0 else scores.softmax(-1)
            made = weights.bmm(v).transpose(0, 1).reshape(length * batch, size)
            output = self.out_proj(made).view(length, batch, size)
            weights = weights.view(batch, heads, length, source)
            return output, weights.mean(1) if average else weights
        if mask is not None:
            whole = mask.size(0) == 1 and mask.dim() == 3
            mask = mask.unsqueeze(0) if whole else mask.view(batch, heads, -1, source)
        q, k, v = (t.reshape(batch, heads, -1, width) for t in (q, k, v))
        made = F.scaled_dot_product_attention(q, k, v, mask, dropped, causal)
        made = made.permute(2, 0, 1, 3).reshape(batch * length, size)
        return self.out_proj(made).view(length, batch, size), None

    def _projected(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bias = self.in_proj_bias
        if not self._qkv_same_embed_dim:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            biases = (None,) * 3 if bias is None else bias.chunk(3)
            made = [F.linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases)]
            return made[0], made[1], made[2]
        weight, size = self.in_proj_weight, self.embed_dim
        if query is key is value or (key is value and _same_memory(query, key)):
            q, k, v = F.linear(query, weight, bias).split(size, -1)
            return q, k, v
        weights, biases = weight.split(size), (None,) * 3 if bias is None else bias.split(size)
        made = [F.linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases)]
        return made[0], made[1], made[2]

    def _checked_mask(self, mask: Any, length: int, source: int, batch: int) -> Any:
        """The mask with three dimensions; RuntimeError if it does not fit."""
        if mask is None:
            return None
        wanted = (length, source) if mask.dim() == 2 else (batch * self.num_heads, length, source)
        if mask.shape != wanted:
            raise RuntimeError(
                f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {wanted}."
            )
        return mask.unsqueeze(0) if mask.dim() == 2 else mask

    def _check_ranks(self, query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any) -> bool:
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
        return rank == 3

    def merge_masks(self, attn_mask: Any, key_padding_mask: Any, query: Tensor) -> tuple[Any, Any]:
        """Both masks as one, and its kind: 0 for attention, 1 for padding, 2 for both."""
        if key_padding_mask is None and attn_mask is None:
            return None, None
        if attn_mask is None:
            return key_padding_mask, 1
        batch, length, _ = query.shape
        expanded = (
            attn_mask.view(batch, -1, length, length)
            if attn_mask.dim() == 3
            else attn_mask.view(1, 1, length, length).expand(batch, self.num_heads, -1, -1)
        )
        if key_padding_mask is not None:
            expanded = expanded + key_padding_mask.view(batch, 1, 1, length).expand(
                -1, self.num_heads, -1, -1
            )
        return expanded, 2


def _same_memory(a: Tensor, b: Tensor) -> bool:
    return (
        a.data_ptr() == b.data_ptr() and a.shape == b.shape and a.stride() == b.stride() and a.grad_fn is None
    )


def _one_more(mask: Any) -> Any:
    """A mask for one key more, which nothing hides."""
    return None if mask is None else F.pad(mask, (0, 1))
