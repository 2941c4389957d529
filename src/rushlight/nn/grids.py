"""Sampling images at given points: `affine_grid`, `grid_sample`. Jaderberg et al., arXiv:1506.02025."""

from __future__ import annotations

import functools
import math
import operator
import warnings
from itertools import product
from typing import Any

import numpy as np

import rushlight
from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops.point_sampling import GRID_SAMPLER
from rushlight.ops.spec import all_tensors

_DEFAULT = (
    "Default {} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old "
    "behavior is desired. See the documentation of grid_sample for details."
)

#: whole numbers of pixels, for planes smaller than 2 ** the first number; and a step that no others lead back from
_NUMBERS = ((29, np.int32(-(1 << 29))), (61, np.int64(-(1 << 61))))


@for_batches
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The points at which `grid_sample` shows an image transformed by `theta`, (N, 2, 3) or (N, 3, 4).

    Args:
        size: of the image to be made, (N, C, H, W) or (N, C, D, H, W).
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their outer edges.

    Example:
        >>> import rushlight as torch
        >>> same = torch.eye(2, 3).unsqueeze(0)
        >>> torch.nn.functional.affine_grid(same, (1, 1, 1, 2), align_corners=True)
        tensor([[[[-1.,  0.],
                  [ 1.,  0.]]]])
    """
    if align_corners is None:
        warnings.warn(_DEFAULT.format("grid_sample and affine_grid"), stacklevel=2)
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    rank = {4: 2, 5: 3}.get(len(size))
    if rank is None:
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{tuple(size)}."
        )
    if theta.dim() != 3 or theta.shape[-2:] != (rank, rank + 1):
        raise ValueError(
            f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {tuple(size)}. Got "
            f"{theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    spatial = tuple(size[2:])
    axes = [_centres(n, theta, align_corners) for n in spatial]
    points = [
        axis.reshape([-1 if d == at else 1 for d in range(rank)]).expand(spatial)
        for at, axis in enumerate(axes)
    ]
    base = rushlight.stack([*reversed(points), theta.new_ones(spatial)], -1).reshape(-1, rank + 1)
    return (base @ theta.mT).reshape(size[0], *spatial, rank)


def _centres(n: int, like: Tensor, align_corners: bool) -> Tensor:
    """The coordinates of the pixels of one dimension, from -1 to 1."""
    if n <= 1:
        return like.new_zeros(1)
    line = rushlight.linspace(-1, 1, n, dtype=like.dtype)
    # Multiplied and divided, as in PyTorch: to the last bit, since the grid of a transformation that changes nothing lies on the
    # pixels' centres, where derivatives jump.
    return line if align_corners else line * (n - 1) / n


@for_batches
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The values of (N, C, H, W) or (N, C, D, H, W) at the points of `grid`, (N, ..., 2) or (N, ..., 3), x first.

    Args:
        mode: "bilinear", "nearest" or, in two dimensions, "bicubic".
        padding_mode: what is outside: "zeros", the nearest "border", or a "reflection".
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their outer edges.

    Raises:
        ValueError: another mode.
        RuntimeError: sizes that do not fit.

    Example:
        >>> import rushlight as torch
        >>> image = torch.tensor([[[[0., 10.]]]])
        >>> torch.nn.functional.grid_sample(image, torch.zeros(1, 1, 1, 2), align_corners=True)
        tensor([[[[5.]]]])
    """
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: "
            f"'{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(_DEFAULT.format("grid_sample and affine_grid"), stacklevel=2)
        align_corners = False
    all_tensors("grid_sampler", input=input, grid=grid)
    _check(input, grid, mode)
    sampler = _Sampler(input, padding_mode, align_corners)
    places = [sampler.position(grid[..., at], n) for at, n in enumerate(reversed(input.shape[2:]))]
    return {"nearest": sampler.nearest, "bilinear": sampler.linear, "bicubic": sampler.cubic}[mode](
        places[::-1]
    )


def _check(x: Tensor, grid: Tensor, mode: str) -> None:
    if x.dtype is not grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {x.dtype} and grid has {grid.dtype}"
        )
    if x.dim() not in (4, 5) or x.dim() != grid.dim():
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{list(x.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != x.dim() - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.dim() - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if 0 in x.shape[2:]:
        raise RuntimeError(
            "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
            f"{list(x.shape)} with dimension {2 + x.shape[2:].index(0)} being empty"
        )
    if x.dim() == 5 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


class _Sampler:
    """Values of one image at positions counted in pixels, with what is outside of it."""

    def __init__(self, image: Tensor, padding: str, align_corners: bool) -> None:
        self.image = image
        self.padding = padding
        self.align = align_corners

    def position(self, x: Tensor, n: int) -> Tensor:
        """From [-1, 1] to pixels."""
        return (x + 1) / 2 * (n - 1) if self.align else ((x + 1) * n - 1) / 2

    def inside(self, x: Tensor, n: int) -> Tensor:
        """A position with that of the pixel that stands for it, where it is outside."""
        if self.padding == "zeros":
            return x
        if self.padding == "reflection":
            x = self._reflected(x, n)
        return x.clamp(0, n - 1)

    def _reflected(self, x: Tensor, n: int) -> Tensor:
        low, span = (0.0, n - 1) if self.align else (-0.5, n)
        if span == 0:
            return x * 0
        far = (x - low).abs()
        extra, flips = far.fmod(span), (far.detach() / span).floor()
        return extra.where(flips % 2 == 0, span - extra) + low

    def read(self, taps: list[tuple[list[np.ndarray], Tensor]]) -> Tensor:
        """The sum over some pixels, each where the steps of the dimensions lead, with weights (N, ...)."""
        places = [functools.reduce(np.add, steps) for steps, _ in taps]
        weights = rushlight.stack([weight for _, weight in taps])
        return GRID_SAMPLER[len(self.image.shape) - 2](
            self.image,
            weights.flatten(2),
            places=np.stack(places).reshape(*weights.shape[:2], math.prod(weights.shape[2:])),
            shape=tuple(weights.shape[2:]),
        )

    def steps(self, place: Tensor, dim: int) -> np.ndarray:
        """How far the pixels at whole positions of a dimension of the plane are from its beginning; of those that are outside, or at no
        number, so far before it that no other step leads back."""
        sizes = self.image.shape[2:]
        outside = next(none for bits, none in _NUMBERS if math.prod(sizes) < 1 << bits)
        place = place.detach()
        at = (place.float() if place.dtype in (rushlight.float16, rushlight.bfloat16) else place).numpy()
        with np.errstate(invalid="ignore"):
            inside = (at >= 0) & (at < sizes[dim])
            step = outside.dtype.type(math.prod(sizes[dim + 1 :]))
            return np.where(inside, at.astype(outside.dtype) * step, outside)

    def nearest(self, places: list[Tensor]) -> Tensor:
        sizes = self.image.shape[2:]
        steps = [
            self.steps(self.inside(x, n).detach().round(), dim)
            for dim, (x, n) in enumerate(zip(places, sizes))
        ]
        weight: Any = places[0].new_ones(()).expand(places[0].shape)
        for x in places:
            if x.requires_grad:  # the positions' gradient exists, and is zero
                weight = weight + x.masked_fill(x == x, 0).nan_to_num(0.0)
        return self.read([(steps, weight)])

    def linear(self, places: list[Tensor]) -> Tensor:
        """The sum over the corners of the cell around each position."""
        places = [self.inside(x, n) for x, n in zip(places, self.image.shape[2:])]
        lows = [x.detach().floor() for x in places]
        weights = [(1 - (x - low), x - low) for x, low in zip(places, lows)]
        steps = [(self.steps(low, dim), self.steps(low + 1, dim)) for dim, low in enumerate(lows)]
        return self.read(_combined(steps, weights))

    def cubic(self, places: list[Tensor]) -> Tensor:
        """Cubic convolution (R. Keys, 1981, a = -3/4) over four by four pixels."""
        lows = [x.detach().floor() for x in places]
        weights = [_keys(x - low) for x, low in zip(places, lows)]
        steps = [
            [self.steps(self.inside(low + (s - 1), n), dim) for s in range(4)]
            for dim, (low, n) in enumerate(zip(lows, self.image.shape[2:]))
        ]
        return self.read(_combined(steps, weights))


def _combined(steps: list, weights: list) -> list[tuple[list[np.ndarray], Tensor]]:
    """Each choice of one pixel a dimension, with the product of its weights."""
    return [
        (list(chosen), functools.reduce(operator.mul, parts))
        for chosen, parts in zip(product(*steps), product(*weights))
    ]


def _keys(t: Tensor) -> list[Tensor]:
    """The weights of the four pixels around a position `t` behind the second."""
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]
