"""Pooling to a given size: the mean or the largest of as many windows as are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.dtypes import FLOATING
from rushlight.errors import WrongArgument
from rushlight.ops.arguments import whole
from rushlight.ops.creation import check_shape
from rushlight.ops.pooling import spread_largest
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single
from rushlight.runtime.resampled import Lines, resampled


def _bounds(size: int, out: int) -> list[tuple[int, int]]:
    """Window i covers floor(i size / out) up to ceil((i + 1) size / out)."""
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def _means(size: tuple[int, ...], out: tuple[int, ...]) -> tuple[Lines, ...]:
    return tuple([Lines.means(_bounds(m, o), m) for m, o in zip(size, out)])


def _adaptive_average(node: str) -> Any:
    def pool(x, *, size, out_size):
        found = resampled(x, _means(size, out_size)) if min(out_size) else None
        if found is not None:
            return found
        made = x.astype(np.float64)
        for n, (m, o) in enumerate(zip(size, out_size)):
            parts = [made.take(range(a, b), 2 + n).mean(2 + n) for a, b in _bounds(m, o)]
            made = (
                np.stack(parts, 2 + n) if parts else np.zeros((*made.shape[: 2 + n], 0, *made.shape[3 + n :]))
            )
        return made.astype(x.dtype)

    def spread(g, x, *, size, out_size):
        found = (
            resampled(g, tuple([line.transposed() for line in _means(size, out_size)]))
            if min(out_size)
            else None
        )
        if found is not None:
            return found
        made = g.astype(np.float64)
        for n, (m, o) in enumerate(zip(size, out_size)):
            wide = np.zeros((*made.shape[: 2 + n], m, *made.shape[3 + n :]))
            for i, (a, b) in enumerate(_bounds(m, o)):
                place = (slice(None),) * (2 + n)
                wide[(*place, slice(a, b))] += made[(*place, slice(i, i + 1))] / (b - a)
            made = wide
        return made.astype(g.dtype)

    pool.__name__, spread.__name__ = node, node + "_spread"
    pooling = primitive(
        node,
        vjp=(lambda g, x, size, out_size: spreading(g, x, size=size, out_size=out_size),),
        like_image=True,
    )(pool)
    spreading = primitive(
        node + "BackwardBackward0",
        vjp=(
            lambda g, size, out_size: pooling(g, size=size, out_size=out_size),
            lambda g, x_meta: g.new_zeros(x_meta.shape),
        ),
    )(spread)
    return pooling


_ADAPTIVE_AVERAGE = {2: _adaptive_average("AdaptiveAvgPool2D"), 3: _adaptive_average("AdaptiveAvgPool3D")}


def _largest(lines: np.ndarray) -> np.ndarray:
    """Where the largest of each line is: of several the first, but of those that are NaN the last, as PyTorch finds them."""
    best = lines.argmax(-1)
    bad = np.isnan(np.take_along_axis(lines, best[..., None], -1)[..., 0])
    if bad.any():
        best = np.where(bad, lines.shape[-1] - 1 - np.isnan(lines[..., ::-1]).argmax(-1), best)
    return best


def _adaptive_max(node: str) -> Any:
    def pool(x, *, out_size):
        size = x.shape[2:]
        values = np.empty((*x.shape[:2], *out_size), x.dtype)
        indices = np.empty(values.shape, np.int64)
        wide = single(x)
        if not values.size:
            return values, indices
        all_bounds = [_bounds(m, o) for m, o in zip(size, out_size)]
        for at in np.ndindex(*out_size):
            chosen = [bounds[i] for bounds, i in zip(all_bounds, at)]
            part = wide[(..., *(slice(a, b) for a, b in chosen))]
            flat = part.reshape(*x.shape[:2], -1)
            best = _largest(flat)
            values[(..., *at)] = np.take_along_axis(flat, best[..., None], -1)[..., 0]
            offsets = np.unravel_index(best, part.shape[2:])
            indices[(..., *at)] = np.ravel_multi_index([a + o for (a, _), o in zip(chosen, offsets)], size)
        return values, indices

    pool.__name__ = node
    return primitive(
        node,
        vjp=(
            lambda g, x, out1: (
                spread_largest(g[0], x, indices=out1._a) if x._a.size else g[0].new_zeros(x._a.shape)
            ),
        ),
        several=True,
        differentiable=(0,),
        like_image=True,
    )(pool)


_ADAPTIVE_MAX = {2: _adaptive_max("AdaptiveMaxPool2D"), 3: _adaptive_max("AdaptiveMaxPool3D")}


def _target_size(name: str, input: Any, count: int, output_size: Any) -> tuple[int, ...]:
    if count == 1:  # (of planes and volumes PyTorch asks for the size first)
        as_tensor(input, name, "input", 1)
    shape = tuple(input.size())
    if count > 1 and (isinstance(output_size, bool) or not isinstance(output_size, (tuple, list, int))):
        raise WrongArgument("output_size", "tuple of ints", output_size)
    if isinstance(output_size, (tuple, list)) and len(shape) <= len(output_size):
        raise ValueError(f"Input dimension should be at least {len(output_size) + 1}")
    if len(shape) not in (count + 1, count + 2):
        ranks = f"{count + 1}D or {count + 2}D"
        raise RuntimeError(f"{name}(): Expected {ranks} tensor, but got {list(shape)}")
    first = 1 if "max" in name else len(shape) - count  # averages may be of no channels
    for dim in range(first, len(shape)):
        if shape[dim] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(shape)} with dimension {dim} being empty"
            )
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * count
    if len(given) != count:
        raise RuntimeError(f"{name}: internal error: output_size.size() must be {count}")
    out = tuple([shape[n - count] if o is None else whole("output_size", o) for n, o in enumerate(given)])
    if min(out, default=0) >= 0:
        check_shape((*shape[:-count], *out), input.dtype)
    return out


def adaptive_average(count: int, input: Any, output_size: Any) -> Any:
    name = f"adaptive_avg_pool{count}d"
    out = _target_size(name, input, count, output_size)
    if min(out) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 "
            f"but received {{{', '.join(map(str, out))}}}"
        )
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{name}\" not implemented for '{input._dtype.legacy}'")
    if count > 1 and set(out) == {1}:
        return input.mean(tuple(range(-count, 0)), True)
    x = input if input._a.ndim == count + 2 else input.unsqueeze(0)
    if count == 1:
        made = _ADAPTIVE_AVERAGE[2](x.unsqueeze(2), size=(1, x._a.shape[2]), out_size=(1, *out)).squeeze(2)
    else:
        made = _ADAPTIVE_AVERAGE[count](x, size=x._a.shape[2:], out_size=out)
    return made if input._a.ndim == count + 2 else made.squeeze(0)


@public(name="nn.functional.adaptive_avg_pool1d", out=False, takes={"output_size": "ints"})
def adaptive_avg_pool1d(input, output_size):
    """Means over `output_size` windows that cover (N, C, L)."""
    return adaptive_average(1, input, output_size)


@public(name="nn.functional.adaptive_avg_pool2d", out=False)
def adaptive_avg_pool2d(input, output_size):
    """Means over `output_size` windows that cover (N, C, H, W)."""
    return adaptive_average(2, input, output_size)


@public(name="nn.functional.adaptive_avg_pool3d", out=False)
def adaptive_avg_pool3d(input, output_size):
    """Means over `output_size` windows that cover (N, C, D, H, W)."""
    return adaptive_average(3, input, output_size)


def _adaptive_max_pool(count: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{count}d"
    out = _target_size(name, input, count, output_size)
    if min(out) < 0:
        shape = [
            *input._a.shape[:-count],
            *([1] if count == 1 else []),
            *out,
        ]  # (a line is pooled as a plane)
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {shape}")
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{name}\" not implemented for '{input._dtype.legacy}'")
    x = input if input._a.ndim == count + 2 else input.unsqueeze(0)
    if count == 1:
        values, indices = (t.squeeze(2) for t in _ADAPTIVE_MAX[2](x.unsqueeze(2), out_size=(1, *out)))
    else:
        values, indices = _ADAPTIVE_MAX[count](x, out_size=out)
    if input._a.ndim == count + 1:
        values, indices = values.squeeze(0), indices.squeeze(0)
    return (values, indices) if return_indices else values


@public(name="nn.functional.adaptive_max_pool1d", out=False, takes={"output_size": "ints"})
def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest of `output_size` windows that cover (N, C, L)."""
    return _adaptive_max_pool(1, input, output_size, return_indices)


@public(name="nn.functional.adaptive_max_pool2d", out=False)
def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest of `output_size` windows that cover (N, C, H, W)."""
    return _adaptive_max_pool(2, input, output_size, return_indices)


@public(name="nn.functional.adaptive_max_pool3d", out=False)
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest of `output_size` windows that cover (N, C, D, H, W)."""
    return _adaptive_max_pool(3, input, output_size, return_indices)
