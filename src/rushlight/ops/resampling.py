"""Images in other sizes: interpolation, and pixels moved between channels and space."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.dtypes import FLOATING
from rushlight.ops.adaptive_pooling import adaptive_average
from rushlight.ops.spec import as_one_node, as_tensor, primitive, public
from rushlight.runtime.resampled import Lines, resampled
from rushlight.tape.derivative import Derivative

# Interpolation along one dimension takes a few taps of the input with weights; several
# dimensions are done one after another, and the derivative adds back along the same taps.

Taps = tuple[int, np.ndarray, np.ndarray]  # (dimension, places (out, taps), weights (out, taps))


def _take(x: np.ndarray, taps: tuple[Taps, ...]) -> np.ndarray:
    for dim, places, weights in taps:
        shape = (-1, *(1,) * (x.ndim - 1 - dim))
        parts = [np.take(x, places[:, k], dim) * weights[:, k].reshape(shape) for k in range(places.shape[1])]
        x = parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])
    return x


def _put(g: np.ndarray, taps: tuple[Taps, ...], size: tuple[int, ...]) -> np.ndarray:
    for (dim, places, weights), n in zip(reversed(taps), reversed(size)):
        out = np.zeros((*g.shape[:dim], n, *g.shape[dim + 1 :]))
        shape = (-1, *(1,) * (g.ndim - 1 - dim))
        for k in range(places.shape[1]):
            np.add.at(
                np.moveaxis(out, dim, 0), places[:, k], np.moveaxis(g * weights[:, k].reshape(shape), dim, 0)
            )
        g = out
    return g


def _interpolation(node: str) -> Any:
    """A primitive and its transpose, each the derivative of the other."""

    def take(x, *, taps, size):
        if x.dtype.kind != "u":
            made = resampled(x, tuple([Lines.taking(*tap[1:], n) for tap, n in zip(taps, size)]))
            return _take(x.astype(np.float64), taps).astype(x.dtype) if made is None else made
        for one in reversed(taps):  # rounded between, as PyTorch does
            x = np.clip(np.rint(_take(x.astype(np.float64), (one,))), 0, 255).astype(np.uint8)
        return x

    def put(x, *, taps, size):
        made = resampled(x, tuple([Lines.taking(*tap[1:], n).transposed() for tap, n in zip(taps, size)]))
        return _put(x.astype(np.float64), taps, size).astype(x.dtype) if made is None else made

    take.__name__, put.__name__ = node, node + "_put"
    taking = primitive(node, vjp=(lambda g, taps, size: putting(g, taps=taps, size=size),), like_image=True)(
        take
    )
    putting = primitive(
        node + "BackwardBackward0", vjp=(lambda g, taps, size: taking(g, taps=taps, size=size),)
    )(put)
    return taking


_KINDS = {
    ("nearest", 1): _interpolation("UpsampleNearest1D"),
    ("nearest", 2): _interpolation("UpsampleNearest2D"),
    ("nearest", 3): _interpolation("UpsampleNearest3D"),
    ("nearest-exact", 1): _interpolation("UpsampleNearestExact1D"),
    ("nearest-exact", 2): _interpolation("UpsampleNearestExact2D"),
    ("nearest-exact", 3): _interpolation("UpsampleNearestExact3D"),
    ("linear", 1): _interpolation("UpsampleLinear1D"),
    ("bilinear", 2): _interpolation("UpsampleBilinear2D"),
    ("bicubic", 2): _interpolation("UpsampleBicubic2D"),
    ("trilinear", 3): _interpolation("UpsampleTrilinear3D"),
}
#: those that take a mean of more of the input where they shrink it
_SMOOTH = {
    "bilinear": _interpolation("UpsampleBilinear2DAa"),
    "bicubic": _interpolation("UpsampleBicubic2DAa"),
    "lanczos": _interpolation("UpsampleLanczos2DAa"),
}


def _sources(size: int, out: int, scale: float | None, align: bool) -> np.ndarray:
    """Where each element of the result lies in the input, in its coordinates."""
    at = np.arange(out, dtype=np.float64)
    if align:
        return at * ((size - 1) / (out - 1) if out > 1 else 0.0)
    step = 1 / scale if scale else size / out
    return (at + 0.5) * step - 0.5


def _taps(mode: str, dim: int, size: int, out: int, scale: float | None, align: bool) -> Taps:
    if mode.startswith("nearest"):
        step = np.float32(1 / scale if scale else size / out)
        at = np.arange(out, dtype=np.float32)
        at = (at + np.float32(0.5 if mode == "nearest-exact" else 0)) * step
        places = np.minimum(np.floor(at).astype(np.int64), size - 1)[:, None]
        return dim, places, np.ones(places.shape)
    source = _sources(size, out, scale, align)
    if mode == "bicubic":
        return _cubic_taps(dim, size, source)
    source = np.maximum(source, 0)
    low = np.minimum(np.floor(source).astype(np.int64), size - 1)
    part = np.clip(source - low, 0, 1)
    high = np.minimum(low + 1, size - 1)
    return dim, np.stack((low, high), 1), np.stack((1 - part, part), 1)


def _cubic_taps(dim: int, size: int, source: np.ndarray) -> Taps:
    """Keys' kernel with a = -0.75. R. Keys, IEEE Trans. ASSP 29 (1981) 1153."""
    base = np.floor(source).astype(np.int64)
    t = (source - base)[:, None]
    places = base[:, None] + np.arange(-1, 3)
    return dim, np.clip(places, 0, size - 1), _cubic(np.abs(t - np.arange(-1, 3)), -0.75)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel at distances x >= 0."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


#: mode -> how far its kernel reaches, and the kernel at distances x >= 0; Keys' with a = -0.5, and Lanczos, "Applied
#: analysis" (1956), with three lobes
_KERNELS: dict[str, tuple[int, Callable]] = {
    "bilinear": (1, lambda x: np.maximum(1 - x, 0)),
    "bicubic": (2, lambda x: _cubic(x, -0.5)),
    "lanczos": (3, lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0.0)),
}


def _smooth_taps(mode: str, dim: int, size: int, out: int, scale: float | None, align: bool) -> Taps:
    """The kernel stretched over as many elements as one of the result stands for; weights add up to 1."""
    reach, kernel = _KERNELS[mode]
    step = ((size - 1) / (out - 1) if out > 1 else 0.0) if align else 1 / scale if scale else size / out
    stretch = max(step, 1.0)
    centre = step * (np.arange(out) + 0.5)
    first = np.maximum((centre - reach * stretch + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + reach * stretch + 0.5).astype(np.int64), size)
    places = first[:, None] + np.arange(max(1, int((last - first).max())))
    weights = kernel(np.abs(places - centre[:, None] + 0.5) / stretch) * (places < last[:, None])
    return dim, np.minimum(places, size - 1), weights / weights.sum(1, keepdims=True)


@public(name="nn.functional.interpolate", out=False)
def interpolate(
    input,
    size=None,
    scale_factor=None,
    mode="nearest",
    align_corners=None,
    recompute_scale_factor=None,
    antialias=False,
):
    """(N, C, ...) in another size, by "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area".

    Args:
        antialias: take a mean of all of the input that an element of the result stands for; in two dimensions, also by "lanczos".

    Raises:
        ValueError: neither or both of `size` and `scale_factor`, or as many as do not fit.
        NotImplementedError: a mode for another number of dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.interpolate(torch.tensor([[[1., 2.]]]), scale_factor=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    rank = input.dim()
    if antialias and (mode not in _SMOOTH or rank != 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                "trilinear"
            )
    count = input._a.ndim - 2
    spatial = input._a.shape[2:]
    out, scales = _new_size(spatial, size, scale_factor, count)
    if recompute_scale_factor or size is not None:
        scales = [None] * count
    if mode == "area":
        return adaptive_average(count, input, out)
    if mode == "lanczos" and rank == 4 and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    if (mode, count) not in _KINDS and not antialias:
        known = sorted({m for m, _ in _KINDS})
        if mode in known and 1 <= count <= 3:
            wanted = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5}[mode]
            raise NotImplementedError(f"Got {count + 2}D input, but {mode} mode needs {wanted}D input")
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{count + 2}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact "
            f"(got {mode})"
        )
    if 0 in spatial or min(out) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({', '.join(map(str, spatial))}) and "
            f"output ({', '.join(map(str, out))})"
        )
    if input._dtype.category != FLOATING and input._dtype.name != "uint8":
        raise NotImplementedError(
            f"\"compute_indices_weights_{mode}\" not implemented for '{input._dtype.legacy}'"
        )
    choose, kinds = (_smooth_taps, _SMOOTH[mode]) if antialias else (_taps, _KINDS[mode, count])
    taps = tuple(
        choose(mode, 2 + n, m, o, s, bool(align_corners))
        for n, (m, o, s) in enumerate(zip(spatial, out, scales))
    )
    return kinds(input, taps=taps, size=spatial)


def _new_size(spatial: tuple, size: Any, scale: Any, count: int) -> tuple[tuple[int, ...], list]:
    if size is not None and scale is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale is None:
        raise ValueError("either size or scale_factor should be defined")
    given = size if size is not None else scale
    values = list(given) if isinstance(given, (tuple, list)) else [given] * count
    if len(values) != count:
        what = "output" if size is not None else "scale_factor"
        raise ValueError(
            f"Input and {what} must have the same number of spatial dimensions, but got input with spatial dimensions "
            f"of {list(spatial)} and {'output size' if size is not None else 'scale_factor'} of {given}. Please "
            "provide input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
        )
    if size is not None:
        return tuple(int(v) for v in values), [None] * count
    return tuple(math.floor(n * s) for n, s in zip(spatial, values)), values


# ---- pixels between channels and space ----


@public(name="pixel_shuffle", out=False, takes={"upscale_factor": "int"})
def pixel_shuffle(input, upscale_factor):
    """(.., C r^2, H, W) to (.., C, H r, W r). Shi et al., arXiv:1609.05158.

    Raises:
        RuntimeError: fewer than three dimensions, or channels that no r x r pixels can be made of.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.pixel_shuffle(torch.arange(4.0).reshape(1, 4, 1, 1), 2)
        tensor([[[[0., 1.],
                  [2., 3.]]]])
    """
    as_tensor(input, "pixel_shuffle", "input", 1)
    shape, r = input._a.shape, upscale_factor
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    c = shape[-3]
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={c} is not divisible by {r * r}"
        )
    return as_one_node(_SHUFFLE, input, _shuffled, r=r)


def _shuffled(x: Any, r: int) -> Any:
    *lead, c, h, w = x._a.shape
    n = len(lead)
    parts = x.reshape(*lead, c // (r * r), r, r, h, w)
    turned = parts.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2).contiguous()
    return (turned.clone() if r == 1 else turned).view(*lead, c // (r * r), h * r, w * r)


@public(name="pixel_unshuffle", out=False, takes={"downscale_factor": "int"})
def pixel_unshuffle(input, downscale_factor):
    """(.., C, H r, W r) to (.., C r^2, H, W): the inverse of :func:`pixel_shuffle`.

    Raises:
        RuntimeError: fewer than three dimensions, or a height or width that r does not divide.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.pixel_unshuffle(torch.arange(4.0).reshape(1, 1, 2, 2), 2).shape
        torch.Size([1, 4, 1, 1])
    """
    as_tensor(input, "pixel_unshuffle", "input", 1)
    shape, r = input._a.shape, downscale_factor
    if len(shape) < 3:
        raise RuntimeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    h, w = shape[-2:]
    for side, size in (("height", h), ("width", w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {side} to be divisible by downscale_factor, but input.size(-"
                f"{2 if side == 'height' else 1})={size} is not divisible by {r}"
            )
    return as_one_node(_UNSHUFFLE, input, _unshuffled, r=r)


def _unshuffled(x: Any, r: int) -> Any:
    *lead, c, h, w = x._a.shape
    n = len(lead)
    parts = x.reshape(*lead, c, h // r, r, w // r, r)
    turned = parts.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3).contiguous()
    return (turned.clone() if r == 1 else turned).view(*lead, c * r * r, h // r, w // r)


_SHUFFLE = Derivative("PixelShuffle", ("x",), (lambda g, r: pixel_unshuffle(g, r),))
_UNSHUFFLE = Derivative("PixelUnshuffle", ("x",), (lambda g, r: pixel_shuffle(g, r),))


__all__ = ["interpolate", "pixel_shuffle"]
