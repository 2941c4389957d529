"""Layers on a batch: their own batch dimension takes the entries in, or their channels do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.batched import TAKE_OVER
from rushlight.buffer import Tensor
from rushlight.func.dispatch import At, rule, tensors_in
from rushlight.func.rules.dims import bound
from rushlight.ops.sequences import arange


def _last(name: str) -> str:
    return name.rpartition(".")[2]


# ---- the entries' examples become one batch ----

#: how many dimensions follow channels
_SPATIAL = {"1d": 1, "2d": 2, "3d": 3}


def _folded(at: At, x: Tensor, example: int, function: Callable) -> Any:
    """`function` of all examples: those of an entry have `example` dimensions, one more if there are several."""
    if x.ndim == example:
        return at.out(function(x.inner))
    if x.ndim != example + 1:
        return NotImplemented
    count = x.shape[0]
    made = function(x.inner.flatten(0, 1))
    return at.out(_unfolded(made, at.size, count))


def _unfolded(made: Any, size: int, count: int) -> Any:
    if isinstance(made, tuple):
        return type(made)([_unfolded(part, size, count) for part in made])
    return made.unflatten(0, (size, count))


_POOLS = [
    f"nn.functional.{kind}{dims}"
    for kind in ("max_pool", "avg_pool", "lp_pool", "adaptive_avg_pool", "adaptive_max_pool")
    for dims in _SPATIAL
    if kind + dims != "lp_pool3d"
]


@rule(*_POOLS)
def pool(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound(at.name, args, kwargs)
    x = given.pop("input")
    if not at.has(x) or not at.size:
        return NotImplemented
    return _folded(at, x, 1 + _SPATIAL[at.name[-2:]], lambda t: function(t, **given))


@rule("nn.functional.interpolate")
def interpolate(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("nn.functional.interpolate", args, kwargs)
    x = given.pop("input")
    if not at.has(x) or not at.size or x.ndim < 3:
        return NotImplemented
    return _folded(at, x, x.ndim - 1, lambda t: function(t, **given))


@rule("nn.functional.unfold", "nn.functional.fold")
def patches(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound(at.name, args, kwargs)
    x = given.pop("input")
    if not at.has(x) or not at.size:
        return NotImplemented
    return _folded(at, x, 3 if at.name.endswith("unfold") else 2, lambda t: function(t, **given))


@rule("nn.functional.pad", "constant_pad_nd")
def pad(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    if at.name == "constant_pad_nd":
        return at.out(function(args[0].inner, *args[1:], **kwargs)) if at.has(args[0]) else NotImplemented
    given = bound("nn.functional.pad", args, kwargs)
    x = given.pop("input")
    if given["mode"] == "constant":
        return at.out(function(x.inner, **given)) if len(given["pad"]) <= 2 * x.ndim else NotImplemented
    example = 1 + len(given["pad"]) // 2
    return _folded(at, x, example, lambda t: function(t, **given)) if at.size else NotImplemented


# ---- the entries become groups of channels ----


@rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def convolution(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """With one kernel for all, entries are examples; with a kernel for each, they are groups of channels."""
    given = bound(_last(at.name), args, kwargs)
    x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias")
    spatial = _SPATIAL[at.name[-2:]]
    if not at.size:
        return NotImplemented
    if not at.has(weight) and not at.has(bias):
        return _folded(at, x, 1 + spatial, lambda t: function(t, weight, bias, **given))
    if x.ndim not in (spatial + 1, spatial + 2):
        return NotImplemented
    single = x.ndim == spatial + 1
    images = at.full(x).unsqueeze(1) if single else at.full(x)
    kernels = at.full(weight)
    given["groups"] *= at.size
    made = function(images.transpose(0, 1).flatten(1, 2), kernels.flatten(0, 1), **given)
    made = made.unflatten(1, (at.size, made.shape[1] // at.size)).transpose(0, 1)
    out = at.out(made.squeeze(1) if single else made)
    return out if bias is None else out + bias.reshape(-1, *(1,) * spatial)


# ---- normalisation ----


@rule("nn.functional.layer_norm", "nn.functional.rms_norm")
def over_last_dimensions(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound(at.name, args, kwargs)
    x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
    if not at.has(x) or x.ndim < len(given["normalized_shape"]):
        return NotImplemented
    out = at.out(function(x.inner, **given))
    return _scaled(out, weight, bias)


def _scaled(out: Any, weight: Any, bias: Any) -> Any:
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _per_channel(t: Any, rank: int) -> Any:
    return None if t is None else t.reshape(-1, *(1,) * (rank - 2))


@rule("nn.functional.group_norm")
def group_norm(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("nn.functional.group_norm", args, kwargs)
    x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias")
    if not at.has(x) or x.ndim < 2 or not at.size:
        return NotImplemented
    out = at.out(function(x.inner.flatten(0, 1), **given).unflatten(0, (at.size, x.shape[0])))
    return _scaled(out, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


_NOT_BATCHED = (
    "Batch norm got a batched tensor as input while the running_mean or running_var, which will be updated in place, "
    "were not batched.\nIf you are using a module and do not need eval mode, please set `track_running_stats` to be "
    "False.If you are using a prebuilt module and do not need eval mode, please see the functorch website for resources "
    "on how to patch your module to work with vmap"
)


@rule("nn.functional.batch_norm", "nn.functional.instance_norm")
def batch_norm(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    """Every entry's channels are channels of one long batch norm."""
    of_instances = at.name.endswith("instance_norm")
    given = bound(at.name, args, kwargs)
    x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias")
    mean, variance = given.pop("running_mean"), given.pop("running_var")
    updates = given.get("training", given.get("use_input_stats"))
    if updates and at.has(x) and any(t is not None and not at.has(t) for t in (mean, variance)):
        raise RuntimeError(_NOT_BATCHED)
    if x.ndim < 2 or not at.size or of_instances and x.ndim < 3:
        return NotImplemented
    joined = at.full(x).transpose(0, 1).flatten(1, 2)
    stats: list[Any] = [None if t is None else at.full(t).flatten(0, 1) for t in (mean, variance)]
    made = function(joined, *stats, **given)
    for t, moved in zip((mean, variance), stats):
        if updates and at.has(t) and t.inner.data_ptr() != moved.data_ptr():
            t.inner.copy_(moved.reshape(t.inner.shape))
    out = at.out(made.unflatten(1, (at.size, x.shape[1])).transpose(0, 1))
    return _scaled(out, _per_channel(weight, x.ndim), _per_channel(bias, x.ndim))


# ---- lookup, attention ----


@rule("nn.functional.embedding")
def embedding(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("nn.functional.embedding", args, kwargs)
    numbers, weight = given.pop("input"), given.pop("weight")
    if given["max_norm"] is not None:
        return NotImplemented
    if not at.has(weight):
        return at.out(function(numbers.inner, weight, **given))
    rows = weight.inner.shape[1]
    if given["padding_idx"] is not None or given["scale_grad_by_freq"] or not at.size or not rows:
        return NotImplemented
    every = at.full(numbers)
    first = arange(0, at.size * rows, rows).reshape(-1, *(1,) * numbers.ndim)
    return at.out(function(every + first, weight.inner.flatten(0, 1), **given))


@rule("nn.functional.scaled_dot_product_attention")
def attention(at: At, function: Callable, args: tuple, kwargs: dict) -> Any:
    given = bound("nn.functional.scaled_dot_product_attention", args, kwargs)
    query, key, value, mask = (given.pop(name) for name in ("query", "key", "value", "attn_mask"))
    ranks = {t.ndim for t in (query, key, value)}
    if given["dropout_p"]:
        return TAKE_OVER.random(at.name, function, args, kwargs)
    if len(ranks) > 1 or any(map(at.has, tensors_in(list(given.values())))):
        return NotImplemented
    if mask is not None and at.has(mask):
        (rank,) = ranks
        mask = mask.inner[(slice(None),) + (None,) * (rank - mask.ndim)]
    return at.out(function(at.full(query), at.full(key), at.full(value), attn_mask=mask, **given))
