"""How a tensor lies on several devices: what `torch.distributed.tensor` calls placements. They are values; what is placed by them is missing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partial", "Placement", "Replicate", "Shard"]


class Placement:
    """How a tensor lies along one dimension of a mesh of devices."""

    def is_shard(self, dim: int | None = None) -> bool:
        """Whether each device has a part, of the dimension `dim` if one is given.

        Example:
            >>> from rushlight.distributed.placements import Shard
            >>> Shard(0).is_shard(), Shard(0).is_shard(1)
            (True, False)
        """
        return isinstance(self, Shard) and (dim is None or self.dim == dim)

    def is_replicate(self) -> bool:
        """Whether each device has all of it."""
        return isinstance(self, Replicate)

    def is_partial(self, reduce_op: str | None = None) -> bool:
        """Whether it is the sum, or what `reduce_op` says, of what the devices have."""
        return isinstance(self, Partial) and (reduce_op is None or self.reduce_op == reduce_op)


@dataclass(frozen=True)
class Shard(Placement):
    """Each device has a part of dimension `dim`."""

    dim: int

    def __str__(self) -> str:
        return f"S({self.dim})"


@dataclass(frozen=True)
class Replicate(Placement):
    """Each device has all of it."""

    def __str__(self) -> str:
        return "R"


@dataclass(frozen=True, repr=False)
class Partial(Placement):
    """It is the sum, or another reduction, of what the devices have."""

    reduce_op: str = "sum"

    def __repr__(self) -> str:
        return f"Partial({self.reduce_op})"

    def __str__(self) -> str:
        return f"P({self.reduce_op})"
