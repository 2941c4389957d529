"""Transforms made of others, each of which gets a part of one dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.transform import Transform
from rushlight.distributions.utils import _sum_rightmost

__all__ = ["CatTransform", "StackTransform"]


class _Parted(Transform):
    """`transforms`, side by side along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    #: what the size of the dimension must equal, in words
    _wanted = "len(transforms) "

    @property
    def _size(self) -> int:
        return len(self.transforms)

    def _cut(self, value: Any) -> Any:
        """One part for each transform."""
        raise NotImplementedError

    def _joined(self, parts: list) -> Any:
        raise NotImplementedError

    bijective = property(lambda self: all(t.bijective for t in self.transforms))

    def _parts(self, value: Any, name: str, told: str = "tensor") -> Any:
        if not -value.dim() <= self.dim < value.dim():
            raise AssertionError(f"dim {self.dim} out of range for {told} with {value.dim()} dimensions")
        if value.size(self.dim) != self._size:
            raise AssertionError(
                f"{name}.size({self.dim}) = {value.size(self.dim)} must equal {self._wanted}{self._size}"
            )
        return self._cut(value)

    def _call(self, x: Any) -> Any:
        return self._joined([t(part) for t, part in zip(self.transforms, self._parts(x, "x"), strict=True)])

    def _inverse(self, y: Any) -> Any:
        parts = zip(self.transforms, self._parts(y, "y"), strict=True)
        return self._joined([t.inv(part) for t, part in parts])

    def _slopes(self, x: Any, y: Any) -> list:
        parts = zip(self.transforms, self._parts(x, "x", "x"), self._parts(y, "y", "y"), strict=True)
        return [t.log_abs_det_jacobian(a, b) for t, a, b in parts]


class CatTransform(_Parted):
    """Transforms of stretches of one dimension, `lengths` long (1 where none are given), as `torch.cat` joins them.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> D.CatTransform([D.ExpTransform(), D.identity_transform], lengths=[1, 2])(torch.zeros(3))
        tensor([1., 0., 0.])
    """

    _wanted = "length "

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})"
            )

    def _again(self, cache_size: int) -> Any:
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    event_dim = property(lambda self: max(t.event_dim for t in self.transforms))
    length = _size = property(lambda self: sum(self.lengths))  # type: ignore[assignment]

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)

    def _cut(self, value: Any) -> Any:
        return value.split(self.lengths, self.dim)

    def _joined(self, parts: list) -> Any:
        return torch.cat(parts, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        event_dim = self.event_dim
        slopes = [
            _sum_rightmost(slope, event_dim - t.event_dim)
            for t, slope in zip(self.transforms, self._slopes(x, y), strict=True)
        ]
        # a dimension of the batch is joined again, one of the event summed up
        dim = self.dim - x.dim() if self.dim >= 0 else self.dim
        return torch.cat(slopes, dim + event_dim) if dim + event_dim < 0 else sum(slopes)


class StackTransform(_Parted):
    """Transforms of the slices of one dimension, as `torch.stack` joins them.

    Example:
        >>> import rushlight as torch
        >>> D = torch.distributions
        >>> D.StackTransform([D.ExpTransform(), D.identity_transform], dim=1)(torch.zeros(1, 2))
        tensor([[1., 0.]])
    """

    def _again(self, cache_size: int) -> Any:
        return StackTransform(self.transforms, self.dim, cache_size)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)

    def _cut(self, value: Any) -> Any:
        return value.unbind(self.dim)

    def _joined(self, parts: list) -> Any:
        return torch.stack(parts, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self._joined(self._slopes(x, y))
