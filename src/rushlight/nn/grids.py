"""Sampling images at given points: `affine_grid`, `grid_sample`. Jaderberg et al., arXiv:1506.02025."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import rushlight
from rushlight.batched import for_batches
from rushlight.buffer import Tensor
from rushlight.ops.spec import all_tensors

_DEFAULT = (
    "Default {} behavior has changed to align_corners=False since 1.3.0. Please specify align_corners=True if the old "
    "behavior is desired. See the documentation of grid_sample for details."
)


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
    return line if align_corners else line * ((n - 1) / n)


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

    def at(self, index: list[Tensor]) -> Tensor:
        """The pixels at whole positions, (N, C, ...)."""
        n, c, *sizes = self.image.shape
        flat = index[0].new_zeros(())
        known = None
        for place, size in zip(index, sizes):
            within = (place >= 0) & (place < size)
            known = within if known is None else known & within
            flat = flat * size + place.clamp(0, size - 1)
        shape = flat.shape[1:]
        where = flat.reshape(n, 1, -1).expand(n, c, -1)
        found = self.image.flatten(2).gather(2, where).reshape(n, c, *shape)
        return found.masked_fill(~known.unsqueeze(1), 0) if self.padding == "zeros" else found  # type: ignore[union-attr]

    def nearest(self, places: list[Tensor]) -> Tensor:
        sizes = self.image.shape[2:]
        found = self.at([_whole(self.inside(x, n).detach().round()) for x, n in zip(places, sizes)])
        for x in places:
            if x.requires_grad:  # the positions' gradient exists, and is zero
                found = found + x.masked_fill(x == x, 0).nan_to_num(0.0).unsqueeze(1)
        return found

    def linear(self, places: list[Tensor]) -> Tensor:
        """The sum over the corners of the cell around each position."""
        places = [self.inside(x, n) for x, n in zip(places, self.image.shape[2:])]
        lows = [x.detach().floor() for x in places]
        parts = [x - low for x, low in zip(places, lows)]
        total: Any = 0
        for corner in product((0, 1), repeat=len(places)):
            weight: Any = 1
            for part, side in zip(parts, corner):
                weight = weight * (part if side else 1 - part)
            pixel = self.at([_whole(low + side) for low, side in zip(lows, corner)])
            total = total + pixel * weight.unsqueeze(1)
        return total

    def cubic(self, places: list[Tensor]) -> Tensor:
        """Cubic convolution (R. Keys, 1981, a = -3/4) over four by four pixels."""
        lows = [x.detach().floor() for x in places]
        weights = [_keys(x - low) for x, low in zip(places, lows)]
        sizes = self.image.shape[2:]
        total: Any = 0
        for steps in product(range(4), repeat=2):
            index = [_whole(self.inside(low + (s - 1), n)) for low, s, n in zip(lows, steps, sizes)]
            weight = weights[0][steps[0]] * weights[1][steps[1]]
            total = total + self.at(index) * weight.unsqueeze(1)
        return total


def _whole(x: Tensor) -> Tensor:
    """Positions as integers; what is no number, or far outside, is outside."""
    return x.nan_to_num(-1.0, 2.0**40, -(2.0**40)).clamp(-(2.0**40), 2.0**40).long()


def _keys(t: Tensor) -> list[Tensor]:
    """The weights of the four pixels around a position `t` behind the second."""
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Tensor) -> Tensor:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]
