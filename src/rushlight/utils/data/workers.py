"""Worker processes of a DataLoader: what runs in them, and what they are told and tell.

The parent puts tasks (number, indices) on a queue of each worker and takes results (number, data) off a common one.
None ends a worker. A worker whose stream has ended says so with `Ended`; what it raised comes back as `Raised`.
"""

from __future__ import annotations

import os
import queue
import random
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import rushlight

__all__ = ["Ended", "Raised", "WorkerInfo", "fetcher", "get_worker_info", "work"]

#: seconds after which a waiting process looks whether the other one is still there
PATIENCE = 2.0


@dataclass
class WorkerInfo:
    """What a worker process knows of itself: its number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str = "multiprocessing"

    def __repr__(self) -> str:
        shown = (
            f"{name}={value!r}" if name == "worker_method" else f"{name}={value}"
            for name, value in vars(self).items()
        )
        return f"WorkerInfo({', '.join(shown)})"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What this worker process knows of itself; None in the main process."""
    return _info


@dataclass(frozen=True)
class Ended:
    """The stream of this worker has no more samples."""

    worker: int


class Raised:
    """What a worker raised, as text that travels between processes."""

    def __init__(self, where: str) -> None:
        kind, _, _ = caught = sys.exc_info()
        self.kind: Any = kind
        self.text = (
            f"Caught {kind.__name__} {where}.\nOriginal {''.join(traceback.format_exception(*caught))}"  # type: ignore[union-attr]
        )

    def reraise(self) -> None:
        """Raise the same class of error, its message the worker's traceback."""
        if self.kind is KeyError:
            raise KeyError(_Message(self.text))
        try:
            error = self.kind(self.text)
        except Exception:
            # the class wants other arguments than one message
            raise RuntimeError(self.text) from None
        raise error


class _Message(str):
    """A text whose repr is the text, so that KeyError shows its lines."""

    def __repr__(self) -> str:
        return str(self)


def fetcher(dataset: Any, stream: bool, batched: bool, collate: Callable, drop_last: bool) -> Callable:
    """The function that turns indices into a batch. For a stream they only say how many samples; it raises
    StopIteration at the end."""
    if not stream:
        many = getattr(dataset, "__getitems__", None)

        def fetch(index: Any) -> Any:
            if not batched:
                return collate(dataset[index])
            return collate(many(index) if many else [dataset[at] for at in index])

        return fetch
    samples = iter(dataset)
    ended = False

    def fetch_next(index: Any) -> Any:
        nonlocal ended
        if ended:
            raise StopIteration
        if not batched:
            return collate(next(samples))
        batch = []
        for _ in index:
            try:
                batch.append(next(samples))
            except StopIteration:
                ended = True
                break
        if not batch or drop_last and len(batch) < len(index):
            raise StopIteration
        return collate(batch)

    return fetch_next


def work(
    number: int,
    count: int,
    base_seed: int,
    dataset: Any,
    make_fetch: tuple,
    init: Callable | None,
    tasks: Any,
    results: Any,
) -> None:
    """What a worker process does: seed its generators, then fetch until it is told to stop or its parent is gone."""
    global _info
    parent = os.getppid()
    seed = base_seed + number
    random.seed(seed)
    rushlight.manual_seed(seed)
    np.random.seed(_numpy_seed(base_seed, number))
    _info = WorkerInfo(number, count, seed, dataset)
    failed: Raised | None = None
    fetch: Any = None
    try:
        if init is not None:
            init(number)
        fetch = fetcher(dataset, *make_fetch)
    except Exception:
        failed = Raised(f"in DataLoader worker process {number}")
    try:
        while True:
            try:
                task = tasks.get(timeout=PATIENCE)
            except queue.Empty:
                if os.getppid() != parent:
                    break
                continue
            if task is None:
                break
            at, index = task
            if failed is not None:
                results.put((at, failed))
                continue
            try:
                data = fetch(index)
            except StopIteration:
                data = Ended(number)
            except Exception:
                data = Raised(f"in DataLoader worker process {number}")
            results.put((at, data))
    except KeyboardInterrupt:
        pass
    results.close()


def _numpy_seed(base_seed: int, worker: int) -> np.ndarray:
    """Four words that differ between workers, and between seeds."""
    entropy = [worker, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4)
