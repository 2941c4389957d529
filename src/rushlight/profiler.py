"""`rushlight.profiler`: which kernels ran, how long, and how close to the speed of memory.

    with rushlight.profiler.profile() as p:
        train_one_step()
    print(p.key_averages().table())
    p.export_chrome_trace("trace.json")

Kernels are the loops of large operations; what NumPy computes (small tensors, products) is not among them.
"""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rushlight import late
from rushlight.debug import STATE, Run

__all__ = ["Averages", "Row", "profile", "streaming_bandwidth"]


class Row(NamedTuple):
    """All runs of one kernel.

    Attributes:
        key: the form and the operations.
        runs: how often it ran.
        seconds: in all.
        bytes: read and written in all.
    """

    key: str
    runs: int
    seconds: float
    bytes: int

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.bytes / self.seconds if self.seconds else 0.0


class Averages(list):
    """Rows, those that took longest first."""

    def table(self, sort_by: str = "seconds", row_limit: int = 100) -> str:
        """The rows as text; the last column is the share of the streaming bandwidth.

        Raises:
            ValueError: `sort_by` is not one of key, runs, seconds, bytes and rate.
        """
        if sort_by not in ("key", "runs", "seconds", "bytes", "rate"):
            raise ValueError(f"table(): sort_by must be key, runs, seconds, bytes or rate, not {sort_by!r}")
        rows = sorted(self, key=lambda row: getattr(row, sort_by), reverse=sort_by != "key")[:row_limit]
        bandwidth = streaming_bandwidth()
        width = max([len("kernel"), *[len(row.key) for row in rows]])
        lines = [f"{'kernel':{width}} {'runs':>6} {'ms':>10} {'MB':>10} {'GB/s':>7} {'of streaming':>12}"]
        for row in rows:
            lines.append(
                f"{row.key:{width}} {row.runs:6} {row.seconds * 1e3:10.3f} {row.bytes / 1e6:10.1f} "
                f"{row.rate / 1e9:7.1f} {row.rate / bandwidth:12.0%}"
            )
        whole = sum([row.seconds for row in self])
        lines.append(
            f"{len(self)} kernels, {whole * 1e3:.3f} ms; memory streams at {bandwidth / 1e9:.1f} GB/s"
        )
        return "\n".join(lines)


class profile:
    """Notes every kernel that runs inside its `with` block; the arguments are PyTorch's and say nothing here.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.profiler import profile
        >>> with profile() as p:
        ...     y = (torch.ones(1000, 1000) * 2 + 1).sum()
        >>> [(row.key, row.runs, row.bytes) for row in p.key_averages()]
        [('reduce mul add sum', 1, 4000004)]
    """

    def __init__(
        self,
        *,
        activities: Any = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        **other: Any,
    ) -> None:
        self.runs: list[Run] = []

    def __enter__(self) -> profile:
        STATE.listeners.append(self.runs.append)
        return self

    def __exit__(self, *error: Any) -> None:
        STATE.listeners.remove(self.runs.append)

    def key_averages(self) -> Averages:
        """One row for each kernel."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(f"{run.form} {run.name}", []).append(run)
        rows = [
            Row(key, len(runs), sum([r.seconds for r in runs]), sum([r.bytes for r in runs]))
            for key, runs in found.items()
        ]
        return Averages(sorted(rows, key=lambda row: -row.seconds))

    def export_chrome_trace(self, path: str | Path) -> None:
        """Write the runs as a trace that chrome://tracing and Perfetto show; times in microseconds."""
        events = [
            {
                "name": run.name,
                "cat": run.form,
                "ph": "X",
                "ts": run.began * 1e6,
                "dur": run.seconds * 1e6,
                "pid": 0,
                "tid": 0,
                "args": {"bytes": run.bytes, "elements": run.elements},
            }
            for run in self.runs
        ]
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))


@functools.cache
def streaming_bandwidth(nbytes: int = 1 << 26) -> float:
    """Bytes per second that a copy of large memory moves, reading and writing, on the threads that kernels use.

    Measured once, over memory that was written before; the best of five.
    """
    from rushlight.ops.creation import ones

    source: Any = ones(nbytes // 4)
    best = 0.0
    for turn in range(6):
        began = time.perf_counter()
        target = (source + 0)._a
        np.asarray(target)
        seconds = time.perf_counter() - began
        if turn:
            best = max(best, 2 * nbytes / seconds)
    return best


#: names that PyTorch has and this module lacks are said to be missing
__getattr__ = late.modules("rushlight.profiler")
