"""What ran, added up, and a table of it."""

from __future__ import annotations

import functools
import time
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Averages", "Row", "streaming_bandwidth"]

#: PyTorch's names of what a table may be sorted by -> ours
_SORTS = {
    "cpu_time": "seconds",
    "cpu_time_total": "seconds",
    "self_cpu_time_total": "seconds",
    "count": "runs",
    "cpu_memory_usage": "bytes",
    "self_cpu_memory_usage": "bytes",
}


class Row(NamedTuple):
    """All runs of one kernel, or of one region that the program named.

    Attributes:
        key: the form and the operations, or the region's name.
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

    # PyTorch's names, in its microseconds (`count` is a tuple's method elsewhere)

    @property
    def count(self) -> int:  # type: ignore[override]
        """How often it ran."""
        return self.runs

    @property
    def cpu_time_total(self) -> float:
        """Microseconds in all."""
        return self.seconds * 1e6

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds in all."""
        return self.seconds * 1e6

    @property
    def cpu_time(self) -> float:
        """Microseconds a run."""
        return self.seconds * 1e6 / self.runs


class Averages(list):
    """Rows, those that took longest first."""

    def table(self, sort_by: str | None = None, row_limit: int = 100, **other: Any) -> str:
        """The rows as text; the last column is the share of the streaming bandwidth.

        Args:
            sort_by: key, runs, seconds (the default), bytes or rate; or PyTorch's cpu_time_total and its like.
            row_limit: how many rows to show; all, if negative.

        Raises:
            ValueError: another `sort_by`.
        """
        sort_by = _SORTS.get(sort_by or "seconds", sort_by or "seconds")
        if sort_by not in ("key", "runs", "seconds", "bytes", "rate"):
            raise ValueError(f"table(): sort_by must be key, runs, seconds, bytes or rate, not {sort_by!r}")
        rows = sorted(self, key=lambda row: getattr(row, sort_by), reverse=sort_by != "key")
        rows = rows if row_limit < 0 else rows[:row_limit]
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
