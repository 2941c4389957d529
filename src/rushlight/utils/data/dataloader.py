"""`DataLoader`: batches of a dataset, made here or in worker processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from rushlight.utils.data import workers
from rushlight.utils.data.collate import default_collate, default_convert
from rushlight.utils.data.dataset import IterableDataset
from rushlight.utils.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, drawn_seed

__all__ = ["DataLoader"]

T = TypeVar("T")

_EACH_WORKER = (
    "For multiprocessing data-loading, this could be caused by not properly configuring the IterableDataset replica at "
    "each worker. Please see https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for examples."
)


class _Endless(Sampler):
    """None for ever: what a stream needs instead of indices."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader(Generic[T]):
    """Batches of a dataset, shuffled in PyTorch's order for the same seed.

    Args:
        dataset: samples by index, or a stream (an `IterableDataset`).
        batch_size: samples in a batch; None for the samples themselves.
        shuffle, sampler, batch_sampler: in which order; at most one of them.
        num_workers: processes that fetch; 0 fetches here. `prefetch_factor` batches of each are made ahead.
        collate_fn: makes a list of samples a batch.
        timeout: seconds to wait for a worker's batch, 0 for ever.
        worker_init_fn: called with its number in each worker.
        in_order: whether batches keep their order though another worker is done earlier.

    Raises:
        ValueError: options that exclude each other.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.utils.data import DataLoader
        >>> for batch in DataLoader(range(5), batch_size=2):
        ...     print(batch)
        tensor([0, 1])
        tensor([2, 3])
        tensor([4])
    """

    _fixed = frozenset(
        ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
    )
    _made = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset, self.num_workers = dataset, num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory, self.pin_memory_device, self.timeout = pin_memory, pin_memory_device, timeout
        self.worker_init_fn, self.in_order = worker_init_fn, in_order
        self.multiprocessing_context = multiprocessing_context
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream:
            _check_stream(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        if sampler is None:
            if self._stream:
                sampler = _Endless()
            else:
                sampler = (
                    RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
                )
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        if collate_fn is None:
            collate_fn = default_collate if self._auto_collation else default_convert
        self.collate_fn, self.persistent_workers = collate_fn, persistent_workers
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._made and name in self._fixed:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started; None is the system's default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        if context is not None:
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got "
                    f"num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(
                        "multiprocessing_context option should specify a valid start method in "
                        f"{methods!r}, but got multiprocessing_context={context!r}"
                    )
                context = multiprocessing.get_context(context)
            elif not isinstance(context, multiprocessing.context.BaseContext):
                raise TypeError(
                    "multiprocessing_context option should be a valid context object or a string specifying the start "
                    f"method, but got multiprocessing_context={context}"
                )
        self._context = context

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self._auto_collation else self.sampler

    def __iter__(self) -> Iterator[Any]:
        return (
            _SingleProcessDataLoaderIter(self)
            if self.num_workers == 0
            else _MultiProcessingDataLoaderIter(self)
        )

    def __len__(self) -> int:
        if not self._stream:
            return len(self._index_sampler)
        length = self._warned_length = len(self.dataset)
        if self.batch_size is not None:
            whole, rest = divmod(length, self.batch_size)
            length = whole if self.drop_last or not rest else whole + 1
        return length

    def _fetching(self) -> tuple:
        """What `workers.fetcher` needs beside the dataset."""
        return self._stream, self._auto_collation, self.collate_fn, self.drop_last


def _check_workers(count: int, timeout: float, prefetch: int | None, persistent: bool) -> None:
    if count < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if count == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing."
            "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and count == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    for name, given in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
        if given is not None:
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={given}"
            )


# ---- one pass over the data ----


class _BaseDataLoaderIter:
    """One pass: asks the sampler, counts, and warns if a stream is longer than it said."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.indices = iter(loader._index_sampler)
        self.base_seed = drawn_seed(loader.generator)
        self.count = 0

    def __iter__(self) -> Any:
        return self

    def __len__(self) -> int:
        return len(self.loader._index_sampler)

    def __next__(self) -> Any:
        data = self.following()
        self.count += 1
        said = getattr(self.loader, "_warned_length", None)
        if self.loader._stream and said is not None and self.count > len(self.loader):
            warnings.warn(
                f"Length of IterableDataset {self.loader.dataset} was reported to be {said}"
                f"(when accessing len(dataloader)), but {self.count} samples have been fetched. "
                + (_EACH_WORKER if self.loader.num_workers else "")
            )
        return data

    def following(self) -> Any:
        raise NotImplementedError


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """A pass that fetches in this process."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self.fetch = workers.fetcher(loader.dataset, *loader._fetching())

    def following(self) -> Any:
        return self.fetch(next(self.indices))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """A pass whose batches worker processes fetch, in turn, `prefetch_factor` ahead."""

    def __init__(self, loader: DataLoader) -> None:
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing
        count = loader.num_workers
        self.results: Any = context.Queue()
        self.tasks = [context.Queue() for _ in range(count)]
        self.processes = []
        self.parent = os.getpid()
        for number, tasks in enumerate(self.tasks):
            tasks.cancel_join_thread()
            process = context.Process(
                target=workers.work,
                args=(
                    number,
                    count,
                    self.base_seed,
                    loader.dataset,
                    loader._fetching(),
                    loader.worker_init_fn,
                    tasks,
                    self.results,
                ),
                daemon=True,
            )
            process.start()
            self.processes.append(process)
        self.turn = itertools.cycle(range(count))
        self.active = [True] * count
        self.sent = self.returned = 0
        #: task -> its worker, in the order sent; results that came before their turn
        self.waiting: dict[int, int] = {}
        self.early: dict[int, Any] = {}
        for _ in range((loader.prefetch_factor or 0) * count):
            self.send()

    def send(self) -> None:
        """Give the next worker that is active its next task."""
        for _ in self.processes:
            worker = next(self.turn)
            if self.active[worker]:
                break
        else:
            return
        try:
            index = next(self.indices)
        except StopIteration:
            return
        self.tasks[worker].put((self.sent, index))
        self.waiting[self.sent] = worker
        self.sent += 1

    def following(self) -> Any:
        while True:
            if not self.waiting:
                self.send()
            if not self.waiting:
                self.close()
                raise StopIteration
            number = next(iter(self.waiting)) if self.loader.in_order else None
            if number in self.early:
                data = self.early.pop(number)
            else:
                got, data = self.receive()
                if number is not None and got != number:
                    self.early[got] = data
                    continue
                number = got
            del self.waiting[number]
            if isinstance(data, workers.Ended):
                if self.active[data.worker]:
                    self.active[data.worker] = False
                    self.tasks[data.worker].put(None)
                self.send()
                continue
            self.send()
            if isinstance(data, workers.Raised):
                self.close()
                data.reraise()
            return data

    def receive(self) -> tuple[int, Any]:
        """The next result of any worker; RuntimeError if none comes in time, or a worker is gone."""
        timeout = self.loader.timeout
        end = time.monotonic() + timeout
        while True:
            wait = min(workers.PATIENCE, end - time.monotonic()) if timeout else workers.PATIENCE
            try:
                return self.results.get(timeout=max(wait, 0))
            except queue.Empty:
                dead = [
                    process.pid
                    for process, active in zip(self.processes, self.active)
                    if active and not process.is_alive()
                ]
                if dead:
                    self.close()
                    pids = ", ".join(map(str, dead))
                    raise RuntimeError(f"DataLoader worker (pid(s) {pids}) exited unexpectedly") from None
                if timeout and time.monotonic() >= end:
                    self.close()
                    raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None

    def close(self) -> None:
        """Stop the workers."""
        if os.getpid() != self.parent:
            return  # a worker of another pass, which inherited this object
        for worker, tasks in enumerate(self.tasks):
            if self.active[worker]:
                self.active[worker] = False
                tasks.put(None)
        deadline = time.monotonic() + workers.PATIENCE
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.terminate()
        self.waiting.clear()
        self.indices = iter(())

    def __del__(self) -> None:
        if getattr(self, "processes", None):
            self.close()
