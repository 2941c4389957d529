"""Rushlight and PyTorch taking turns at the same statements, one sample of one case each.

Each library runs in a process of its own, so neither's threads, allocator or imports can touch the other's figures. Both
processes are held on one CPU (where the system allows it), so that whatever else the machine does meets both alike. A
sample is `timeit` over as many calls as fill the given time, and counts the process's own time alone, not that of others
in between. The garbage collector stays on: what it costs is part of the price.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Sequence
from typing import Any

LIBRARIES = ("rushlight", "torch")

#: what one case gave: nanoseconds a call, per library, in the order of the rounds
Samples = dict[str, list[float]]


# ---- in a worker: one library ----


def answer_questions(library: str, seconds: float, names: Callable[..., dict[str, Any]]) -> None:
    """For each case read from stdin, write one sample in ns a call to stdout.

    Args:
        names: (torch, *setup) -> what the case's code may name.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch = importlib.import_module(library)
    if library == "torch":
        torch.set_num_threads(1)

    @functools.cache
    def prepared(code: str, *setup: Any) -> tuple[timeit.Timer, int]:
        each = timeit.Timer(
            code, setup="import gc; gc.enable()", timer=time.process_time, globals=names(torch, *setup)
        )
        return each, calls_that_fill(seconds, each)

    print("ready", flush=True)
    for line in sys.stdin:
        each, number = prepared(*json.loads(line))
        print(each.timeit(number) / number * 1e9, flush=True)


def calls_that_fill(seconds: float, each: timeit.Timer) -> int:
    """How many calls make one sample, once the first ones have set up what they need."""
    number = 10
    each.timeit(number)
    while (taken := each.timeit(number)) < seconds / 4:
        number *= 2
    return max(1, round(number * seconds / taken))


# ---- in the parent: taking turns ----


def measure(script: str, cases: Sequence[tuple], rounds: int, seconds: float) -> list[Samples]:
    """The samples of each case (its code, then what `names` is called with), the libraries taking turns."""
    workers = {library: start(script, library, seconds) for library in LIBRARIES}
    samples: list[Samples] = [{library: [] for library in LIBRARIES} for _ in cases]
    for turn in range(rounds):
        for case, taken in zip(cases, samples, strict=True):
            for library in LIBRARIES if turn % 2 == 0 else LIBRARIES[::-1]:
                taken[library].append(ask(workers[library], case))
    for worker in workers.values():
        worker.communicate()
    return samples


def start(script: str, library: str, seconds: float) -> subprocess.Popen[str]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    worker = subprocess.Popen(
        [sys.executable, script, "--worker", library, "--seconds", str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | one_thread,
    )
    assert worker.stdout is not None
    if worker.stdout.readline().strip() != "ready":
        sys.exit(f"{library} did not start (its error is above)")
    return worker


def ask(worker: subprocess.Popen[str], case: tuple) -> float:
    assert worker.stdin is not None and worker.stdout is not None
    print(json.dumps(case), file=worker.stdin, flush=True)
    answer = worker.stdout.readline()
    if not answer:
        sys.exit(f"{case} failed (its error is above)")
    return float(answer)


# ---- what the samples say ----


def ratio(taken: Samples) -> float:
    """Rushlight's time over PyTorch's: the median of the ratios of neighbouring samples."""
    return statistics.median(ours / theirs for ours, theirs in zip(*taken.values(), strict=True))


def times(taken: Samples) -> list[str]:
    """Each library's median and least, in ns."""
    return [f"{statistics.median(taken[library]):.0f} ({min(taken[library]):.0f})" for library in LIBRARIES]
