"""The products of convolutions by kernels, where these take less time than BLAS; see `rushlight.codegen.windows`.

Images are (N, C, *sizes), weights (O, C / groups, *kernel), on arrays of one type. What adds up gradients for the image is the same
product again: of other weights, by windows of the gradient. With strides it is several, one for each place between two windows
(Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016).
"""

from __future__ import annotations

import itertools
import struct
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from rushlight.codegen.channelwise import MOST
from rushlight.codegen.panels import HEIGHT
from rushlight.codegen.windows import MOST_PIECES, PIECE_WORDS
from rushlight.layout import Form
from rushlight.memory import address, array
from rushlight.native import threads
from rushlight.runtime.deferral import TIER, can_compile
from rushlight.runtime.large_products import lay
from rushlight.runtime.product_kernels import VECTOR, channelwise, laying, run, windows

_FORWARD, _BACKWARD, _CHANNELS = (struct.Struct(f"={n}q") for n in (17, 14, 16))
_CHARS = {np.dtype(np.float32): "f", np.dtype(np.float64): "d"}
#: multiplications from which on a convolution is worth a kernel; windows and weights of which fewer leave too much idle
_WORTH, _WINDOWS, _ROWS = (1, 1, 1) if TIER == "jit" else (1 << 18, 8, 3)
#: windows of an example below which they are few
_SHORT = 128
#: tasks that each thread should have; the most elements of windows that are one
_TASKS, _HIGH = 4, 64


# ---- tables ----


@lru_cache(512)
def _distances(counts: tuple[int, ...], steps: tuple[int, ...], multiple: int) -> np.ndarray:
    """Bytes from the first of a grid's places to each, so many along each dimension, and 0 until there are a multiple."""
    total = np.zeros((), np.int64)
    for count, step in zip(counts, steps):
        total = np.add.outer(total, np.arange(count) * step)
    found = np.zeros(total.size + -total.size % multiple, np.int64)
    found[: total.size] = total.ravel()
    return found


@lru_cache(512)
def _pieces(
    counts: tuple[int, ...], steps: tuple[int, ...], item: int, lanes: int, multiple: int
) -> np.ndarray:
    """How vectors of places lie; see `PIECE_WORDS`. (Beyond the last place there is nobody's memory.)"""
    distances = _distances(counts, steps, multiple).reshape(-1, lanes)
    valid = np.arange(distances.size).reshape(distances.shape) < prod(counts)
    gaps = np.diff(distances, axis=1)
    of = np.zeros(distances.shape, np.int64)
    np.cumsum(gaps != item, 1, out=of[:, 1:])
    found = np.zeros((len(distances), PIECE_WORDS), np.int64)
    number, full = np.where(valid, of, -1).max(1) + 1, valid.all(1)
    found[:, 0] = np.where(number <= MOST_PIECES, np.where(number <= 2, 2, MOST_PIECES), 0)
    found[full & (number == 1), 0] = 1
    found[full & (gaps == 2 * item).all(1), 0] = -2
    ends = np.zeros(len(distances), np.int64)
    for n in range(MOST_PIECES):
        begins = np.minimum(ends, lanes - 1)
        found[:, 1 + 2 * n] = np.take_along_axis(distances, begins[:, None], 1)[:, 0] - begins * item
        ends = ((of <= n) & valid).sum(1)
        found[:, 2 + 2 * n] = ends
    return found


# ---- products ----


def _multiply(
    image: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    lines: tuple[tuple[int, ...], tuple[int, ...]],
    bias: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """Products of weights (rows, elements of a window) by the windows of images; `out`: (N, rows, windows), of which rows are dense.

    Args:
        image: begins where the first element of the first window is.
        places: bytes to an element of a window from its first.
        lines: how many windows there are along each dimension, and bytes from one to the next.

    Few windows of many examples are taken together where they would leave too much of vectors idle.
    """
    item, kind = image.itemsize, _CHARS[image.dtype]
    lanes = VECTOR // item
    (count, depth), n = rows.shape, out.shape[2]
    vectors = _vectors(n, lanes)
    width = vectors * lanes
    if n < _SHORT and len(out) > 1 and -n % width > n // 8:
        (counts, between), examples = lines, len(out)
        lines = (examples, *counts), (image.strides[0], *between)
        made = array((1, count, examples * n), image.dtype)
        _multiply(image[:1], rows, places, lines, bias, made)
        out[...] = made.reshape(count, examples, n).swapaxes(0, 1)
        return
    kernel = windows(kind, vectors)
    assert kernel is not None  # where others of the kind are, it is
    padded = count + -count % HEIGHT
    room = array((padded, depth), image.dtype)
    lay(address(room), rows.T, count, depth, HEIGHT)
    distances, pieces = _distances(*lines, width), _pieces(*lines, item, lanes, width)
    panels = -(-n // width)
    wide = width * max(1, min(panels, panels * len(out) // (_TASKS * threads.get_num_threads())))
    across = -(-n // wide)
    sizes = (count, n, depth, out.strides[1], padded, address(distances), address(places), address(pieces))
    added = (0, 0) if bias is None else (address(bias), 1)
    steps = (image.strides[0], out.strides[0], wide, across)
    job = _FORWARD.pack(address(room), address(image), address(out), *sizes, *added, *steps)
    run(kernel, job, across * len(out), len(out) * count * depth * n)


def _vectors(number: int, lanes: int) -> int:
    """How many vectors beside each other waste the least of so many windows."""
    return 1 if -(-number // lanes) % 2 and number < 4 * lanes else 2


def _multiply_groups(
    image: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    lines: tuple[tuple[int, ...], tuple[int, ...]],
    bias: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """As `_multiply`, of groups of channels and the weights (groups, rows, elements of a window) of each."""
    bias = None if bias is None else np.ascontiguousarray(bias)
    groups, count = rows.shape[:2]
    if count == 1 == image.shape[1] // groups:
        _multiply_channels(image, np.ascontiguousarray(rows), places, lines, bias, out)
        return
    for group, part, own in _groups(groups, image.shape[1] // groups, count):
        added = None if bias is None else bias[own]
        _multiply(image[:, part], rows[group], places, lines, added, out[:, own])


def _multiply_channels(
    image: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    lines: tuple[tuple[int, ...], tuple[int, ...]],
    bias: np.ndarray | None,
    out: np.ndarray,
    backward: bool = False,
) -> None:
    """As `_multiply`, of one row of weights for each channel of the image; or, `backward`, what the weights are of `out`."""
    item, kind = image.itemsize, _CHARS[image.dtype]
    lanes, (n, channels, number), depth = VECTOR // item, out.shape, len(places)
    kernel = channelwise(kind, backward)
    assert kernel is not None  # where others of the kind are, it is
    distances, pieces = _distances(*lines, lanes), _pieces(*lines, item, lanes, lanes)
    sizes = (number, depth, address(distances), address(places), address(pieces))
    added = (0, 0) if bias is None else (address(bias), 1)
    steps = (*image.strides[:2], *out.strides[:2], channels, n)
    job = _CHANNELS.pack(address(rows), address(image), address(out), *sizes, *added, *steps)
    run(kernel, job, channels if backward else n * channels, n * channels * number * depth)


def _fits(kind: np.dtype, groups: int, rows: int, inner: int, depth: int, number: int, work: int) -> bool:
    """Whether kernels are to do products of groups of so many rows of weights, for so many channels of the image and so deep, by so many
    windows of each example."""
    char = _CHARS.get(kind)
    if char is None or work < _WORTH or number < _WINDOWS or not depth:
        return False
    if rows < _ROWS and not (rows == 1 == inner and groups >= _ROWS):
        return False
    if not can_compile() or laying(kind.itemsize) is None:
        return False
    return (
        channelwise(char) if rows == 1 else windows(char, _vectors(number, VECTOR // kind.itemsize))
    ) is not None


def convolved(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, form: Form, padding: tuple, out: tuple, groups: int
) -> np.ndarray | None:
    """The convolution, with sizes `out`; None where BLAS is to compute it."""
    n, o, depth, number = len(x), len(w) // groups, prod(w.shape[1:]), prod(out)
    if not _fits(x.dtype, groups, o, w.shape[1], depth, number, n * len(w) * depth * number):
        return None
    image = _framed(x, padding, padding)
    made = array((n, groups * o, *out), x.dtype)
    flat = made.reshape(n, groups * o, number)
    rows = np.ascontiguousarray(w).reshape(groups, o, depth)  # whose elements are laid out as neighbours
    steps = image.strides[2:]
    inner = tuple([s * d for s, d in zip(steps, form.dilation)])
    places = _distances(w.shape[1:], (image.strides[1], *inner), 1)
    lines = (out, tuple([s * d for s, d in zip(steps, form.stride)]))
    _multiply_groups(image, rows, places, lines, bias, flat)
    return made


def transposed(
    g: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    form: Form,
    padding: tuple,
    size: tuple,
    groups: int,
) -> np.ndarray | None:
    """The transpose of `convolved` with respect to `x`, whose sizes are `size`; None where BLAS is to compute it."""
    n, o, inner = len(g), len(w) // groups, w.shape[1]
    out = g.shape[2:]
    number = min(size) and prod(-(-m // s) for m, s in zip(size, form.stride))
    work = n * len(w) * inner * prod(form.kernel) * prod(out)
    if not _fits(g.dtype, groups, inner, o, o, number, work):
        return None
    phases = [_phases(*each) for each in zip(form.kernel, form.stride, form.dilation, padding, size)]
    low = [max(0, -min([min(p.shifts, default=0) for p in dim])) for dim in phases]
    high = [
        max(0, max([p.number + max(p.shifts, default=0) for p in dim]) - m) for dim, m in zip(phases, out)
    ]
    image = _framed(g, tuple(low), tuple(high))
    made = array((n, groups * inner, *size), g.dtype)
    steps = image.strides[2:]
    weights = w.reshape(groups, o, inner, *form.kernel)
    for phase in itertools.product(*phases):
        counts = tuple([p.number for p in phase])
        if not all(counts):
            continue
        where = (..., *[slice(p.first, None, s) for p, s in zip(phase, form.stride)])
        if not all(p.taps for p in phase):
            made[where] = 0 if bias is None else bias.reshape(-1, *(1,) * len(size))
            continue
        taps: tuple[Any, ...] = (..., *np.ix_(*[p.taps for p in phase]))
        chosen = weights[taps]
        rows = np.ascontiguousarray(chosen.swapaxes(1, 2)).reshape(groups, inner, -1)
        places = _sums(o, image.strides[1], [np.array(p.shifts) + m for p, m in zip(phase, low)], steps)
        whole = made if prod(form.stride) == 1 else array((n, groups * inner, *counts), g.dtype)
        flat = whole.reshape(n, groups * inner, -1)
        _multiply_groups(image, rows, places, (counts, steps), bias, flat)
        if whole is not made:
            made[where] = whole
    return made


def correlated(x: np.ndarray, g: np.ndarray, form: Form, padding: tuple, groups: int) -> np.ndarray | None:
    """The transpose of `convolved` with respect to `w`; None where BLAS is to compute it."""
    n, o, inner, out = len(x), g.shape[1] // groups, x.shape[1] // groups, g.shape[2:]
    rows, number, item = inner * prod(form.kernel), prod(out), x.itemsize
    if not _fits(x.dtype, groups, o, inner, rows, number, n * groups * o * rows * number):
        return None
    if o == 1 == inner:
        return _correlated_channels(x, g, form, padding)
    lanes = VECTOR // item
    vectors = 1 if o <= lanes else 2
    width = vectors * lanes
    kernel = windows(_CHARS[x.dtype], vectors, True)
    assert kernel is not None  # where others of the kind are, it is
    image = _framed(x, padding, padding)
    steps = image.strides[2:]
    dilated = tuple([s * d for s, d in zip(steps, form.dilation)])
    elements = _distances((inner, *form.kernel), (image.strides[1], *dilated), HEIGHT)
    flat = np.ascontiguousarray(g).reshape(n, groups * o, number)
    counts, between = out, tuple([s * d for s, d in zip(steps, form.stride)])
    if number < _SHORT and n > 1:  # those of all examples are one long sum
        counts, between = (n, *out), (image.strides[0], *between)
        flat = np.ascontiguousarray(flat.swapaxes(0, 1)).reshape(1, groups * o, n * number)
        n, number = 1, n * number
    corners = _distances(counts, between, 1)
    padded = o + -o % width
    room, made = array((n, padded, number), x.dtype), array((groups, rows, o), x.dtype)
    high = min(_HIGH, max(1, rows // (HEIGHT * _TASKS * threads.get_num_threads())) * HEIGHT)
    for group, part, own in _groups(groups, inner, o):
        lay(address(room), flat[:, own].swapaxes(1, 2), o, number, width)
        sizes = (rows, o, number, o * item, padded, address(elements), address(corners))
        ends = (image.strides[0], padded * number * item, n, high)
        job = _BACKWARD.pack(address(image[:, part]), address(room), address(made[group]), *sizes, *ends)
        run(kernel, job, -(-rows // high), n * o * rows * number)
    return made.swapaxes(1, 2).reshape(groups * o, inner, *form.kernel)


def _correlated_channels(x: np.ndarray, g: np.ndarray, form: Form, padding: tuple) -> np.ndarray | None:
    """`correlated`, where every channel has a kernel of its own."""
    if prod(form.kernel) > MOST:
        return None
    image, out = _framed(x, padding, padding), g.shape[2:]
    steps = image.strides[2:]
    made = array((x.shape[1], 1, *form.kernel), x.dtype)
    places = _distances(form.kernel, tuple([s * d for s, d in zip(steps, form.dilation)]), 1)
    lines = (out, tuple([s * d for s, d in zip(steps, form.stride)]))
    flat = np.ascontiguousarray(g).reshape(*g.shape[:2], -1)
    _multiply_channels(image, made, places, lines, None, flat, True)
    return made


def _groups(groups: int, inner: int, outer: int) -> list[tuple[int, slice, slice]]:
    """Of each group its number, its channels of the image, and those of the result."""
    return [(n, slice(n * inner, (n + 1) * inner), slice(n * outer, (n + 1) * outer)) for n in range(groups)]


class _Phase(NamedTuple):
    """Every so many elements of an image: the first, how many, the elements of a kernel that windows have over these, and how far
    from the element of the result with the same number the window is."""

    first: int
    number: int
    taps: list[int]
    shifts: list[int]


def _phases(kernel: int, stride: int, dilation: int, padding: int, size: int) -> list[_Phase]:
    found = []
    for first in range(stride):
        taps = [t for t in range(kernel) if (first + padding - t * dilation) % stride == 0]
        shifts = [(first + padding - t * dilation) // stride for t in taps]
        found.append(_Phase(first, -(-(size - first) // stride) if size > first else 0, taps, shifts))
    return found


def _sums(count: int, step: int, shifts: list[np.ndarray], steps: tuple[int, ...]) -> np.ndarray:
    """Bytes to the elements of windows: of each of so many channels those at the sums of shifts."""
    total = np.arange(count) * step
    for shift, each in zip(shifts, steps):
        total = np.add.outer(total, shift * each)
    return np.ascontiguousarray(total.ravel(), np.int64)


def _framed(x: np.ndarray, low: tuple[int, ...], high: tuple[int, ...]) -> np.ndarray:
    """An image with so many zeros around it; elements along the last dimension lie side by side."""
    if not any(low) and not any(high):
        return x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)
    sizes = x.shape[2:]
    made = array((*x.shape[:2], *[a + m + z for a, m, z in zip(low, sizes, high)]), x.dtype)
    for dim, (a, m, z) in enumerate(zip(low, sizes, high), 2):
        before = (slice(None),) * dim
        made[(*before, slice(0, a))] = 0
        made[(*before, slice(a + m, a + m + z))] = 0
    made[(..., *[slice(a, a + m) for a, m in zip(low, sizes)])] = x
    return made


__all__ = ["convolved", "correlated", "transposed"]
