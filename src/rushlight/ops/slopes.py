"""Derivatives of sampled functions (`gradient`), and slices no longer than a bound (`renorm`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import errors
from rushlight.buffer import Tensor
from rushlight.dtypes import FLOATING, bool_, uint8
from rushlight.layout import wrap_dim
from rushlight.ops.joining import cat
from rushlight.ops.spec import public
from rushlight.tape.modes import no_grad


@public(out=False, takes={"dim": "ints?", "edge_order": "int"})
def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """The derivative along each of `dim`, from the elements' neighbours. Fornberg, 1988.

    Args:
        spacing: the distance of neighbours, one for each dimension, or tensors of the elements' places.
        dim: one dimension or several; all, if None.
        edge_order: 1 or 2: how many neighbours are used at the edges.

    Raises:
        RuntimeError: too few elements, not one distance for each dimension, or bools or bytes, whose differences are none.

    Example:
        >>> import rushlight as torch
        >>> torch.gradient(torch.tensor([1., 4., 9., 16.]))
        (tensor([3., 4., 6., 7.]),)
    """
    rank = input.dim()
    if input._dtype is uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    dims = list(range(rank)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    steps = _steps(spacing, len(dims), dim is None)
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    dims = [wrap_dim(d, rank) for d in dims]
    if len(set(dims)) < len(dims):
        twice = next(d for n, d in enumerate(dims) if d in dims[:n])
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    for d in dims:
        if input.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple([_slope(input, d, step, edge_order) for d, step in zip(dims, steps)])


def _steps(spacing: Any, count: int, every: bool) -> list[Any]:
    """For each of `count` dimensions, which may be all, a number, or the places of the elements."""
    if spacing is None:
        spacing = 1
    if isinstance(spacing, Tensor) and spacing.dim() == 0:
        spacing = spacing.item()
    if isinstance(spacing, (int, float, complex, np.number)):
        return [spacing] * count
    if not isinstance(spacing, (tuple, list)):
        raise errors.WrongArgument("spacing", "Number", spacing, overloaded=True)
    if len(spacing) != count and every:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to 'self.dim() = "
            f"{count}', since dim argument was not given, but got a list of length {len(spacing)}"
        )
    if len(spacing) != count:
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {len(spacing)} and a dim argument of length {count}."
        )
    for places in spacing:
        if isinstance(places, Tensor) and places.dim() != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                f"{places.dim()} dimensions!"
            )
    return list(spacing)


def _slope(x: Any, dim: int, step: Any, order: int) -> Any:
    n = x.shape[dim]
    if x._dtype is bool_:
        x - x  # which says why not
    if x._dtype.category < FLOATING:
        x = x.to(x.new_ones(()).true_divide(1).dtype)

    def part(start: int, length: int) -> Any:
        return x.narrow(dim, start, length)

    if isinstance(step, Tensor):
        return _uneven(x, part, dim, step, order)
    inner = (part(2, n - 2) - part(0, n - 2)) / (2 * step)
    if order == 1:
        first, last = (part(1, 1) - part(0, 1)) / step, (part(n - 1, 1) - part(n - 2, 1)) / step
    else:
        first = (-1.5 * part(0, 1) + 2 * part(1, 1) - 0.5 * part(2, 1)) / step
        last = (0.5 * part(n - 3, 1) - 2 * part(n - 2, 1) + 1.5 * part(n - 1, 1)) / step
    return cat([first, inner, last], dim)


def _uneven(x: Any, part: Any, dim: int, places: Tensor, order: int) -> Any:
    """Second-order differences between places at any distances."""
    n = x.shape[dim]
    if places.shape[0] != n:
        raise RuntimeError("torch.gradient expected each spacing tensor to be of the dimension's size")
    gaps = (places[1:] - places[:-1]).reshape([-1 if d == dim else 1 for d in range(x.dim())])

    def gap(start: int, length: int) -> Any:
        return gaps.narrow(dim, start, length)

    before, after = gap(0, n - 2), gap(1, n - 2)
    inner = (
        part(0, n - 2) * (-after / (before * (before + after)))
        + part(1, n - 2) * ((after - before) / (before * after))
        + part(2, n - 2) * (before / (after * (before + after)))
    )
    if order == 1:
        first = (part(1, 1) - part(0, 1)) / gap(0, 1)
        last = (part(n - 1, 1) - part(n - 2, 1)) / gap(n - 2, 1)
    else:
        a, b = gap(0, 1), gap(1, 1)
        first = (
            part(0, 1) * (-(2 * a + b) / (a * (a + b)))
            + part(1, 1) * ((a + b) / (a * b))
            + part(2, 1) * (-a / (b * (a + b)))
        )
        a, b = gap(n - 3, 1), gap(n - 2, 1)
        last = (
            part(n - 3, 1) * (b / (a * (a + b)))
            + part(n - 2, 1) * (-(a + b) / (a * b))
            + part(n - 1, 1) * ((2 * b + a) / (b * (a + b)))
        )
    return cat([first, inner, last], dim)


@public(takes={"p": "Number", "dim": "int", "maxnorm": "Number"})
def renorm(input, p, dim, maxnorm):
    """The slices along `dim` whose p-norm is above `maxnorm`, scaled down to it.

    Raises:
        RuntimeError: a norm that is not positive, a negative bound, or fewer than two dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.renorm(torch.tensor([[3., 4.], [0., 1.]]), 2, 0, 1)
        tensor([[0.6000, 0.8000],
                [0.0000, 1.0000]])
    """
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    rank = input._a.ndim
    if rank < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {rank} dimensions")
    if input._dtype.category < FLOATING:
        raise RuntimeError("renorm: expected a floating point or complex input")
    dim = wrap_dim(dim, rank)
    lengths = input.norm(p, [d for d in range(rank) if d != dim], True)
    scale = (maxnorm / (lengths + 1e-7)).where(lengths > maxnorm, lengths.new_ones(()))
    return input.contiguous() * scale


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Write a number to the elements whose indices are all equal; `wrap` starts anew below a tall matrix's square part.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 2).fill_diagonal_(1)
        tensor([[1., 0.],
                [0., 1.]])
    """
    rank = self.dim()
    if rank < 2:
        raise RuntimeError("dimensions must larger than 1")
    if rank > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    steps, sizes = self.stride(), self.shape
    with no_grad():
        self.as_strided((min(sizes),), (sum(steps),), self.storage_offset()).fill_(fill_value)
        if wrap and rank == 2 and sizes[0] > sizes[1] + 1:
            for start in range(sizes[1] + 1, sizes[0], sizes[1] + 1):
                self[start:].fill_diagonal_(fill_value)
    return self


renorm_ = renorm.inplace
