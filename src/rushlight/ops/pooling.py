"""Pooling: the largest or the mean of each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL, COMPLEX, FLOATING
from rushlight.layout import numel
from rushlight.ops.contractions import exact_out, same_out
from rushlight.ops.convolving import padded, spread_windows, windows
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime import channel_pooled, pooled
from rushlight.runtime.execute import wrap
from rushlight.runtime.results import image_without_gaps, is_image, with_inner_channels

# ---- sizes ----


def _out_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Windows along one dimension; in ceil mode a last one may hang over, if it starts inside."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def tuple_of(value: Any, count: int, argument: str, name: str) -> tuple[int, ...]:
    if isinstance(value, (tuple, list)):
        if len(value) not in (1, count):
            raise RuntimeError(
                f"{name}: {argument} must either be a single int, or a tuple of {_WORDS[count]} ints"
                if count > 1
                else f"{name}() {argument} must be an int or int list of size 1 but got {len(value)}"
            )
        return tuple(int(v) for v in value) * (count if len(value) == 1 else 1)
    return (int(value),) * count


_WORDS = {2: "two", 3: "three"}


class _Plan:
    """The geometry of one pooling: all sizes as tuples, and the sizes of the result."""

    def __init__(
        self,
        name: str,
        input: Tensor,
        count: int,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        ceil: bool,
    ) -> None:
        self.kernel = tuple_of(kernel, count, "kernel_size", name)
        omitted = stride is None or isinstance(stride, (tuple, list)) and not stride
        self.stride = self.kernel if omitted else tuple_of(stride, count, "stride", name)
        self.padding = tuple_of(padding, count, "padding", name)
        self.dilation = tuple_of(dilation, count, "dilation", name)
        self._check(name, input, count)
        spatial = input._a.shape[-count:]
        self.out = tuple(
            _out_size(n, k, s, p, d, ceil)
            for n, k, s, p, d in zip(spatial, self.kernel, self.stride, self.padding, self.dilation)
        )
        if min(self.out) < 1:
            raise RuntimeError(
                f"Given input size: ({'x'.join(map(str, input._a.shape[-count - 1 :]))}). Calculated output size: "
                f"({'x'.join(map(str, (input._a.shape[-count - 1], *self.out)))}). Output size is too small"
            )

    def _check(self, name: str, input: Tensor, count: int) -> None:
        for k, p in zip(self.kernel, self.padding):
            if p < 0 or p > k // 2:
                raise RuntimeError(
                    f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and "
                    "dilation=1"
                    if p > 0
                    else f"pad must be non-negative, but got pad: {p}"
                )
        shape = input._a.shape
        ranks = count + 1, count + 2
        if len(shape) not in ranks and (count == 3 or count == 2 and "max" in name):
            raise RuntimeError(f"non-empty {ranks[0]}D or {ranks[1]}D (batch mode) tensor expected for input")
        if len(shape) not in ranks or 0 in shape[-count:] or len(shape) == count + 1 and not shape[0]:
            if count == 1:
                raise RuntimeError(f"Expected 2D or 3D input tensor, but got {list(shape)}")
            raise RuntimeError(
                f"Expected {count + 1}D or {count + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
                f"but got: {list(shape)}"
            )
        if min(self.kernel) <= 0:
            raise RuntimeError("kernel size should be greater than zero, but got " + _named("k", self.kernel))
        if min(self.stride) <= 0:
            raise RuntimeError(
                "stride should not be zero" if 0 in self.stride else "stride must be greater than zero"
            )
        if min(self.dilation) <= 0:
            raise RuntimeError(
                "dilation should be greater than zero, but got " + _named("dilation", self.dilation)
            )

    def attrs(self) -> dict:
        return {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "out_size": self.out,
        }


def _named(prefix: str, values: tuple[int, ...]) -> str:
    letters = "TWH"[: len(values)] if len(values) == 1 else ("HW" if len(values) == 2 else "TWH")
    return " ".join(f"{prefix}{letter}: {v}" for letter, v in zip(letters, values))


def _reaching(x: np.ndarray, padding: tuple, reach: tuple, value: Any) -> np.ndarray:
    """The padded input, longer where windows hang over its end."""
    x = padded(x, padding, value)
    if any(r > n for r, n in zip(reach, x.shape[2:])):
        longer = np.full((*x.shape[:2], *map(max, reach, x.shape[2:])), value, x.dtype)
        longer[(..., *(slice(0, n) for n in x.shape[2:]))] = x
        return longer
    return x


def _reach_of(kernel: tuple, stride: tuple, dilation: tuple, out_size: tuple) -> tuple[int, ...]:
    return tuple((o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(out_size, stride, dilation, kernel))


# ---- the largest ----


def _lowest(kind: np.dtype) -> Any:
    return np.iinfo(kind).min if kind.kind in "iu" else -np.inf


@primitive(
    "MaxPoolBackward",
    vjp=(
        lambda g, indices: (
            g.reshape(*indices.shape[:2], -1)
            .gather(2, wrap(indices.reshape(*indices.shape[:2], -1)))
            .reshape(indices.shape)
        ),
        lambda g, x_meta: g.new_zeros(x_meta.shape),
    ),
)
def spread_largest(g, x, *, indices):
    """Each gradient to the place in its plane that the largest came from."""
    if is_image(x):
        return _spread_over_images(g, x, indices)
    planes, size = x.shape[0] * x.shape[1], numel(x.shape[2:])
    g, indices = g.reshape(planes, -1), indices.reshape(planes, -1)
    out = pooled.spread(g, indices, size)
    if out is None:
        out = np.zeros((planes, size), g.dtype)
        np.add.at(out, (np.arange(planes)[:, None], indices), g)
    return out.reshape(x.shape)


def _spread_over_images(g: np.ndarray, x: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The same of images whose channels lie innermost."""
    g, indices = image_without_gaps(g), image_without_gaps(indices)
    out = channel_pooled.spread(g, indices, x.shape[2:])
    if out is None:
        out = with_inner_channels(np.zeros(x.shape, g.dtype))
        images = np.arange(x.shape[0]).reshape(-1, *(1,) * (x.ndim - 1))
        channels = np.arange(x.shape[1]).reshape(-1, *(1,) * (x.ndim - 2))
        np.add.at(out, (images, channels, *np.unravel_index(indices, x.shape[2:])), g)
    return out


def _like(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """`a` with channels innermost if x has them so, else in rows."""
    if is_image(x):
        return image_without_gaps(a)
    return np.ascontiguousarray(a)


def _max_pooling(node: str) -> Any:
    def pool(x, *, kernel, stride, padding, dilation, out_size):
        wide = x.astype(_WIDE[x.dtype.kind]) if x.dtype.itemsize <= 2 else x
        geometry = pooled.Geometry.of(x.shape[2:], kernel, stride, padding, dilation, out_size)
        found = pooled.largest(wide, geometry) or _largest(wide, geometry, x.ndim - 2)
        return found[0].astype(x.dtype, copy=False), found[1]

    pool.__name__ = node
    return primitive(
        node,
        vjp=(lambda g, x, out1: spread_largest(g[0], x, indices=out1._a),),
        several=True,
        differentiable=(0,),
        like_image=True,
    )(pool)


#: types in which small ones are compared
_WIDE = {"f": np.float32, "V": np.float32, "i": np.int32, "u": np.int32}


def _largest(x: np.ndarray, geometry: pooled.Geometry, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each window, and where in its plane it is: of equals the first, of nans the last."""
    size, kernel, stride, padding, dilation, out = (sizes[3 - count :] for sizes in geometry)
    lowest = _lowest(x.dtype)
    reach = _reach_of(kernel, stride, dilation, out)
    seen = windows(_reaching(x, padding, reach, lowest), kernel, stride, dilation, out)
    flat = seen.reshape(*x.shape[:2], numel(kernel), *out)
    best = flat.argmax(2)
    values = np.take_along_axis(flat, best[:, :, None], 2)[:, :, 0]
    missing = values != values
    if missing.any():
        last = numel(kernel) - 1 - (flat != flat)[:, :, ::-1].argmax(2)
        best = np.where(missing, last, best)
    places = _plane_index(best, size, kernel, stride, padding, dilation, out)
    # (where nothing is above the padding, the first element inside)
    return values, np.where(values == lowest, geometry.first().reshape(out), places)


def _plane_index(
    best: np.ndarray, size: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, out: tuple
) -> np.ndarray:
    """From the number within a window to the number within the plane."""
    offsets = np.unravel_index(best, kernel)
    total = np.zeros(best.shape, np.int64)
    for n, (offset, s, p, d) in enumerate(zip(offsets, stride, padding, dilation)):
        start = np.arange(out[n]).reshape(-1, *(1,) * (len(out) - 1 - n)) * s - p
        total = total * size[n] + np.clip(start + offset * d, 0, size[n] - 1)
    return total


_MAX = {2: _max_pooling("MaxPool2DWithIndices"), 3: _max_pooling("MaxPool3DWithIndices")}


def _max_pool(
    count: int,
    input: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
    return_indices: bool,
) -> Any:
    name = f"max_pool{count}d"
    as_tensor(input, name, "input", 1)
    if input._dtype.category in (BOOL, COMPLEX):
        raise NotImplementedError(f"\"{name}\" not implemented for '{input._dtype.legacy}'")
    plan = _Plan(name, input, count, kernel, stride, padding, dilation, ceil)
    attrs = plan.attrs()
    x = input if input._a.ndim == count + 2 else input.unsqueeze(0)
    if count == 1:
        attrs = {key: (1, *value) for key, value in attrs.items()} | {"padding": (0, *plan.padding)}
        values, indices = (t.squeeze(2) for t in _MAX[2](x.unsqueeze(2), **attrs))
    else:
        values, indices = _MAX[count](x, **attrs)
    if input._a.ndim == count + 1:
        values, indices = values.squeeze(0), indices.squeeze(0)
    return (values, indices) if return_indices else values


#: the kinds of arguments
_WINDOWS = {"kernel_size": "ints", "stride": "ints?", "padding": "ints", "ceil_mode": "bool"}
_AVERAGED = _WINDOWS | {"count_include_pad": "bool"}


@public(
    name="nn.functional.max_pool1d",
    out=False,
    takes=_WINDOWS | {"dilation": "ints"},
)
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, L)."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public(
    name="nn.functional.max_pool2d",
    out=False,
    takes=_WINDOWS | {"dilation": "ints"},
)
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, H, W), and where in its plane it is if `return_indices`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.max_pool2d(torch.tensor([[[1., 2.], [3., 4.]]]), 2)
        tensor([[[4.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public(
    name="nn.functional.max_pool3d",
    out=False,
    takes=_WINDOWS | {"dilation": "ints"},
)
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest of each window of (N, C, D, H, W)."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# ---- the mean ----


def _divisor(
    size: tuple, kernel: tuple, stride: tuple, padding: tuple, out: tuple, whole: bool
) -> int | np.ndarray:
    """By how much each window is divided: its elements, with or without the padding; one number if all have as many."""
    reach = _reach_of(kernel, stride, (1,) * len(kernel), out)
    if all(r <= n + 2 * p if whole else r <= n and not p for r, n, p in zip(reach, size, padding)):
        return numel(kernel)
    total = np.ones((1,) * len(out))
    for n, (m, k, s, p, o) in enumerate(zip(size, kernel, stride, padding, out)):
        start = np.arange(o) * s - p
        stop = np.minimum(start + k, m + p)
        count = stop - start if whole else np.minimum(stop, m) - np.maximum(start, 0)
        total = total * count.reshape(-1, *(1,) * (len(out) - 1 - n))
    return total


def _summed(seen: np.ndarray, kernel: tuple) -> np.ndarray:
    """Windows (N, C, *kernel, *out) summed; those of few elements one offset after the other, over long rows."""
    if numel(kernel) > 16:
        return seen.sum(tuple(range(2, 2 + len(kernel))))
    offsets = iter(np.ndindex(kernel))
    total = seen[(slice(None), slice(None), *next(offsets))].copy()
    for offset in offsets:
        total += seen[(slice(None), slice(None), *offset)]
    return total


def _tiles(size: tuple, kernel: tuple, stride: tuple, padding: tuple, out: tuple) -> bool:
    """Whether the windows lie side by side and leave nothing out."""
    return stride == kernel and not any(padding) and all(n == k * o for n, k, o in zip(size, kernel, out))


def _tiled(x: np.ndarray, kernel: tuple, out: tuple) -> np.ndarray:
    """A row-major array in tiles, as windows (N, C, *kernel, *out) on the same memory."""
    count = len(kernel)
    parts = x.reshape(*x.shape[:2], *[n for pair in zip(out, kernel) for n in pair])
    return parts.transpose(0, 1, *range(3, 2 * count + 2, 2), *range(2, 2 * count + 2, 2))


def _avg_pooling(node: str) -> Any:
    """Average pooling and its transpose, each the derivative of the other."""

    def pool(x, *, size, kernel, stride, padding, out_size, whole, divisor):
        ones = (1,) * len(kernel)
        geometry = pooled.Geometry.of(size, kernel, stride, padding, ones, out_size)
        by = divisor or _divisor(size, kernel, stride, padding, out_size, whole)
        found = pooled.mean(x, geometry, by)
        if found is not None:
            return found
        if _tiles(size, kernel, stride, padding, out_size):
            seen = _tiled(x.astype(np.float64, "C"), kernel, out_size)
        else:
            reach = _reach_of(kernel, stride, ones, out_size)
            seen = windows(_reaching(x.astype(np.float64), padding, reach, 0), kernel, stride, ones, out_size)
        return (_summed(seen, kernel) / by).astype(x.dtype)

    def spread(g, x, *, size, kernel, stride, padding, out_size, whole, divisor):
        ones = (1,) * len(kernel)
        by = divisor or _divisor(size, kernel, stride, padding, out_size, whole)
        geometry = pooled.Geometry.of(size, kernel, stride, padding, ones, out_size)
        g = _like(x, g)
        shares = g if isinstance(by, int) else g.astype(np.float64) / by
        found = pooled.mean_back(shares, geometry, by if isinstance(by, int) else 1)
        if found is not None:
            return found.astype(g.dtype, copy=False)
        each = (g.astype(np.float64) / by)[(slice(None), slice(None), *(None,) * len(kernel))]
        if _tiles(size, kernel, stride, padding, out_size):
            made = np.empty((*g.shape[:2], *size), g.dtype)
            _tiled(made, kernel, out_size)[...] = each.astype(g.dtype)
            return _like(x, made)
        columns = np.broadcast_to(each, (*g.shape[:2], *kernel, *out_size))
        reach = _reach_of(kernel, stride, ones, out_size)
        shape = tuple(max(r, n + 2 * p) for r, n, p in zip(reach, size, padding))
        made = spread_windows(columns, shape, stride, ones)
        return _like(x, made[(..., *(slice(p, p + n) for p, n in zip(padding, size)))].astype(g.dtype))

    pool.__name__, spread.__name__ = node, node + "_spread"

    def back(g, x, size, kernel, stride, padding, out_size, whole, divisor):
        return spreading(
            g,
            x,
            size=size,
            kernel=kernel,
            stride=stride,
            padding=padding,
            out_size=out_size,
            whole=whole,
            divisor=divisor,
        )

    def forth(g, size, kernel, stride, padding, out_size, whole, divisor):
        return pooling(
            g,
            size=size,
            kernel=kernel,
            stride=stride,
            padding=padding,
            out_size=out_size,
            whole=whole,
            divisor=divisor,
        )

    pooling = primitive(node, vjp=(back,), like_image=True)(pool)
    spreading = primitive(
        node + "BackwardBackward0", vjp=(forth, lambda g, x_meta: g.new_zeros(x_meta.shape))
    )(spread)
    return pooling


_AVERAGE = {2: _avg_pooling("AvgPool2D"), 3: _avg_pooling("AvgPool3D")}


def _avg_pool(
    count: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, whole: bool, divisor: Any
) -> Any:
    name = f"avg_pool{count}d"
    as_tensor(input, name, "input", 1)
    plan = _Plan(name, input, count, kernel, stride, padding, 1, ceil)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if input._dtype.category != FLOATING and input._dtype.name != "int64":
        raise NotImplementedError(f"\"avg_pool2d\" not implemented for '{input._dtype.legacy}'")
    x = input if input._a.ndim == count + 2 else input.unsqueeze(0)
    attrs = plan.attrs() | {"size": x._a.shape[2:]}
    del attrs["dilation"]
    if count == 1:
        attrs = {key: (1, *value) for key, value in attrs.items()} | {"padding": (0, *plan.padding)}
        x = x.unsqueeze(2)
    made = _AVERAGE[max(count, 2)](x, **attrs, whole=bool(whole), divisor=divisor)
    made = made.squeeze(2) if count == 1 else made
    return made if input._a.ndim == count + 2 else made.squeeze(0)


@public(
    name="nn.functional.avg_pool1d",
    out=False,
    takes=_AVERAGED,
)
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window of (N, C, L)."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@exact_out(same_out)
@public(
    name="nn.functional.avg_pool2d",
    takes=_AVERAGED | {"divisor_override": "int?"},
)
def avg_pool2d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, H, W); padding counts unless `count_include_pad` is false.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.avg_pool2d(torch.tensor([[[1., 2.], [3., 4.]]]), 2)
        tensor([[[2.5000]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@exact_out(same_out)
@public(
    name="nn.functional.avg_pool3d",
    takes=_AVERAGED | {"divisor_override": "int?"},
)
def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """The mean of each window of (N, C, D, H, W)."""
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@public(name="nn.functional.lp_pool1d", out=False)
def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (N, C, L)."""
    made = avg_pool1d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (made.sign() * made.relu() * kernel_size).pow(1.0 / norm_type)


@public(name="nn.functional.lp_pool2d", out=False)
def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of each window of (N, C, H, W)."""
    made = avg_pool2d(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (made.sign() * made.relu() * numel(tuple_of(kernel_size, 2, "kernel_size", "lp_pool2d"))).pow(
        1.0 / norm_type
    )
