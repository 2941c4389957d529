"""`torch.utils.data.distributed`: which samples each of several processes takes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import rushlight
from rushlight.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index, from `rank` on; so that all get equally many, some indices come twice or are left out.

    The order is drawn from `seed` plus the epoch that `set_epoch` told, so that it is the same in all processes.

    Raises:
        ValueError: `rank` is not below `num_replicas`; they are not given, and `torch.distributed` has no group to ask.

    Example:
        >>> from rushlight.utils.data.distributed import DistributedSampler
        >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in range(2)]
        [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        num_replicas = rushlight.distributed.get_world_size() if num_replicas is None else num_replicas
        rank = rushlight.distributed.get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        count = len(dataset)
        left_out = count % num_replicas if drop_last else 0
        self.num_samples = math.ceil((count - left_out) / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        order = self._order()
        if not self.drop_last:
            order = list(itertools.islice(itertools.cycle(order), self.total_size))
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def _order(self) -> list[int]:
        count = len(self.dataset)
        if not self.shuffle:
            return list(range(count))
        generator = rushlight.Generator()
        generator.manual_seed(self.seed + self.epoch)
        return rushlight.randperm(count, generator=generator).tolist()

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Order the samples anew from here on."""
        self.epoch = epoch
