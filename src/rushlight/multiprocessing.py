"""`torch.multiprocessing`: Python's `multiprocessing`, and `spawn`.

Tensors go to other processes as copies, apart from those in shared memory (`Tensor.share_memory_`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

from rushlight import late

__all__ = [
    *multiprocessing.__all__,
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
]


def get_all_sharing_strategies() -> set[str]:
    """The ways in which PyTorch shares memory here; whichever is chosen, files without names are shared."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """The way chosen."""
    return _chosen[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Choose a way.

    Raises:
        AssertionError: there is no such way.
    """
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"invalid sharing strategy {new_strategy!r}, expected one of {get_all_sharing_strategies()}"
        )
    _chosen[0] = new_strategy


_chosen = ["file_descriptor"]


def spawn(
    fn: Callable,
    args: tuple = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Run `fn(rank, *args)` in `nprocs` processes started afresh; the processes, unless they are waited for.

    Raises:
        RuntimeError: a process failed; the others are ended.

    Example:
        >>> import rushlight as torch
        >>> import rushlight.multiprocessing as mp
        >>> mp.spawn(print, args=("of", 1), nprocs=1)
    """
    context = multiprocessing.get_context(start_method)
    processes = [
        context.Process(target=fn, args=(rank, *args), daemon=daemon)  # type: ignore[attr-defined]
        for rank in range(nprocs)
    ]
    for process in processes:
        process.start()
    if not join:
        return processes
    _wait(processes)
    return None


def _wait(processes: list[Any]) -> None:
    from multiprocessing.connection import wait

    left = list(processes)
    while left:
        wait([process.sentinel for process in left])
        ended = [
            process for process in left if process.exitcode is not None
        ]  # asked once: others may end now
        failed = [process for process in ended if process.exitcode]
        if failed:
            for process in left:
                process.terminate()
                process.join()
            rank = processes.index(failed[0])
            raise RuntimeError(f"process {rank} terminated with exit code {failed[0].exitcode}")
        left = [process for process in left if process not in ended]


__getattr__ = late.modules("rushlight.multiprocessing")
