"""Padding: constants, reflections, repetitions around the edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.dtypes import bool_
from rushlight.memory import array
from rushlight.ops.positions import add_along
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single

# ---- constants ----


def _negated(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-n for n in widths)


@primitive(
    "ConstantPadNd",
    like_image=True,
    vjp=(lambda g, widths: constant_pad_(g, widths=_negated(widths), value=0),),
)
def constant_pad_(x, *, widths, value):
    shape, put, take = list(x.shape), [], []
    for n in range(len(widths) // 2):
        before, after = widths[2 * n], widths[2 * n + 1]
        dim = x.ndim - 1 - n
        shape[dim] += before + after
        put.append((dim, slice(max(before, 0), shape[dim] - max(after, 0))))
        take.append((dim, slice(max(-before, 0), x.shape[dim] - max(-after, 0))))
    out = np.full(shape, value, x.dtype)
    out[_slices(x.ndim, put)] = x[_slices(x.ndim, take)]
    return out


def _slices(ndim: int, chosen: list[tuple[int, slice]]) -> tuple[slice, ...]:
    whole = [slice(None)] * ndim
    for dim, part in chosen:
        whole[dim] = part
    return tuple(whole)


@public(name="constant_pad_nd", out=False, takes={"pad": "tuple of ints", "value": "Number"})
def constant_pad_nd(input, pad, value=0):
    """Constants around the last dimensions; negative widths cut off.

    Raises:
        RuntimeError: widths that are no pairs, for more dimensions than there are, or that leave less
            than nothing.

    Example:
        >>> import rushlight as torch
        >>> torch.constant_pad_nd(torch.tensor([1, 2, 3]), (1, -1), 9)
        tensor([9, 1, 2])
    """
    as_tensor(input, "constant_pad_nd", "input", 1)
    shape = input._a.shape
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)}while the input has {len(shape)}dimensions."
        )
    for n in range(len(pad) // 2):
        dim = len(shape) - 1 - n
        size = shape[dim] + pad[2 * n] + pad[2 * n + 1]
        if size < 0:
            raise RuntimeError(
                f"The input size {shape[dim]}, plus negative padding {pad[2 * n]} and {pad[2 * n + 1]} resulted in a "
                "negative output size, which is invalid. Check dimension "
                f"{dim} of your input."
            )
    return constant_pad_(input, widths=tuple(int(n) for n in pad), value=0 if value is None else value)


# ---- from the input itself ----


def _taken(x: np.ndarray, places: tuple) -> np.ndarray:
    """The elements at places along dimensions. What lies side by side is copied as it is, and the edges from there, one dimension after
    another.
    """
    stretches = {dim: _stretch(index) for dim, index in places}
    if not x.size or not all(map(_begins_within, places, stretches.values())):
        for dim, index in places:
            x = np.take(x, index, dim)
        return x
    shape = list(x.shape)
    to: list[Any] = [slice(None)] * x.ndim
    source: list[Any] = [slice(None)] * x.ndim
    for dim, index in places:
        start, stop = stretches[dim]
        shape[dim], to[dim] = len(index), slice(start, stop)
        source[dim] = slice(int(index[start]), int(index[start]) + stop - start)
    out = array(tuple(shape), x.dtype)
    out[tuple(to)] = x[tuple(source)]
    for dim, index in places:
        before, behind = tuple(to[:dim]), tuple(to[dim + 1 :])
        start, stop = stretches[dim]
        for at in (*range(start), *range(stop, len(index))):
            out[(*before, at, *behind)] = out[(*before, int(index[at] - index[start]) + start, *behind)]
        to[dim] = slice(None)
    return out


def _stretch(index: np.ndarray) -> tuple[int, int]:
    """Between which places the longest stretch of numbers is that count up."""
    ends = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
    longest = int(np.diff(ends).argmax())
    return ends[longest], ends[longest + 1]


#: places beside a stretch up to which each is copied by itself
_EDGE = 64


def _begins_within(place: tuple, stretch: tuple[int, int]) -> bool:
    """Whether what lies beside a stretch is little, and all from within it."""
    _, index = place
    start, stop = stretch
    if stop == start or len(index) - (stop - start) > _EDGE:
        return False
    inside = (index >= index[start]) & (index <= index[stop - 1])
    return bool(inside.all())


def _put_back(g: np.ndarray, places: tuple, shape: tuple[int, ...]) -> np.ndarray:
    """The transpose of `_taken`: sums over the places that an element was taken to."""
    wide = single(g)
    for dim, index in reversed(places):
        out = np.zeros((*wide.shape[:dim], shape[dim], *wide.shape[dim + 1 :]), wide.dtype)
        spread = index.reshape(-1, *(1,) * (wide.ndim - 1 - dim))
        add_along(out, np.broadcast_to(spread, wide.shape), wide, dim)
        wide = out
    return wide.astype(g.dtype, copy=False)


def _edge_padding(node: str) -> tuple[Any, Any]:
    """A pair of primitives, each the derivative of the other: take by index, and add back."""

    def take(x, *, places):
        return _taken(x, places)

    def put(g, x, *, places):
        return _put_back(g, places, x.shape)

    take.__name__, put.__name__ = node, node + "_back"
    back = primitive(
        node + "BackwardBackward0",
        vjp=(lambda g, places: forward(g, places=places), lambda g, x_meta: g.new_zeros(x_meta.shape)),
    )(put)
    forward = primitive(node, vjp=(lambda g, x, places: back(g, x, places=places),))(take)
    return forward, back


_REFLECTION = [_edge_padding(f"ReflectionPad{n}D")[0] for n in (1, 2, 3)]
_REPLICATION = [_edge_padding(f"ReplicationPad{n}D")[0] for n in (1, 2, 3)]
_CIRCULAR = _edge_padding("CircularPad")[0]


def _reflected(size: int, before: int, after: int) -> np.ndarray:
    at = np.abs(np.arange(-before, size + after))
    return np.where(at >= size, 2 * (size - 1) - at, at)


def _replicated(size: int, before: int, after: int) -> np.ndarray:
    return np.clip(np.arange(-before, size + after), 0, size - 1)


def _circular(size: int, before: int, after: int) -> np.ndarray:
    """Negative widths cut off first; what is left is repeated around itself."""
    middle = np.arange(max(-before, 0), size - max(-after, 0))
    return middle[np.arange(-max(before, 0), len(middle) + max(after, 0)) % max(len(middle), 1)]


_NOUNS = {"reflect": "reflection", "replicate": "replication"}


def _by_index(x: Any, pad: tuple[int, ...], mode: str) -> Any:
    shape, count = x._a.shape, len(pad) // 2
    index = {"reflect": _reflected, "replicate": _replicated, "circular": _circular}[mode]
    places = []
    for n in range(count):
        dim, before, after = len(shape) - 1 - n, pad[2 * n], pad[2 * n + 1]
        _check_width(mode, shape, dim, before, after, n)
        places.append((dim, index(shape[dim], before, after)))
    if x._dtype is bool_ and mode != "circular":
        raise NotImplementedError(f"\"{_NOUNS[mode]}_pad{count}d\" not implemented for 'Bool'")
    kind = {"reflect": _REFLECTION, "replicate": _REPLICATION}.get(mode)
    return (kind[count - 1] if kind else _CIRCULAR)(x, places=tuple(places))


def _check_width(mode: str, shape: tuple, dim: int, before: int, after: int, n: int) -> None:
    size = shape[dim]
    if mode == "reflect" and (before >= size or after >= size):
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at dimension {dim} of input {list(shape)}"
        )
    if mode == "circular" and (before > size or after > size):
        raise RuntimeError("Padding value causes wrapping around more than once.")
    if size + before + after < (1 if mode != "circular" else 0):
        raise RuntimeError(
            f"input (dim {dim}: {size}) is too small. Calculated output size: {size + before + after}"
        )


@public(name="nn.functional.pad", out=False, takes={"pad": "tuple of ints", "mode": "str", "value": "float?"})
def pad(input, pad, mode="constant", value=None):
    """Pad the last dimensions by pairs of widths, the last dimension's first.

    Args:
        mode: "constant", "reflect", "replicate" or "circular".

    Raises:
        RuntimeError: widths that do not fit.
        NotImplementedError: a mode for other numbers of dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.pad(torch.tensor([1, 2]), (1, 2))
        tensor([0, 1, 2, 0, 0])
    """
    as_tensor(input, "pad", "input", 1)
    pad = tuple(pad)
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input._a.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input._a.ndim}"
        )
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    count = len(pad) // 2
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if count not in (1, 2, 3) or input._a.ndim not in (count + 1, count + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now"
        )
    return _by_index(input, tuple(int(n) for n in pad), mode)


__all__ = ["constant_pad_nd", "pad"]
