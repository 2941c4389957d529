"""What was timed, and what came out."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["Measurement", "TaskSpec", "select_unit", "trim_sigfig", "unit_to_english"]

_UNITS = {
    "ns": ("nanosecond", 1e-9),
    "us": ("microsecond", 1e-6),
    "ms": ("millisecond", 1e-3),
    "s": ("second", 1.0),
}
#: shares of the median that the middle half of the times may span before it is called doubtful, and useless
_DOUBTFUL, _USELESS = 0.1, 0.25
#: seconds below which no difference is believed
_LEAST_INTERVAL = 25e-9


def select_unit(t: float) -> tuple[str, float]:
    """The unit to tell a time in, and its seconds.

    Example:
        >>> from rushlight.utils.benchmark import select_unit
        >>> select_unit(2.5e-4)
        ('us', 1e-06)
    """
    unit = {-3: "ns", -2: "us", -1: "ms"}.get(int(math.log10(t) // 3), "s") if t > 0 else "ns"
    return unit, _UNITS[unit][1]


def unit_to_english(u: str) -> str:
    """The unit's name: "us" is a "microsecond"."""
    return _UNITS[u][0]


def trim_sigfig(x: float, n: int) -> float:
    """`x` with `n` significant figures.

    Example:
        >>> from rushlight.utils.benchmark import trim_sigfig
        >>> trim_sigfig(1234.5, 2)
        1200.0
    """
    if n != int(n):
        raise AssertionError("Number of significant figures must be an integer")
    return float(f"{x:.{max(int(n), 1) - 1}e}")


@dataclass(frozen=True)
class TaskSpec:
    """What is timed: a statement, what comes before it, and how tables name it."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """What a measurement is headed by."""
        inner = self.sub_label
        if self.label is not None:
            return self.label + (f": {inner}" if inner else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {inner}" if inner else "")
        return f"stmt:{f' ({inner})' if inner else ''}\n{textwrap.indent(self.stmt, '  ')}"

    def setup_str(self) -> str:
        """What comes before it, unless that is nothing."""
        if self.setup == "pass" or not self.setup:
            return ""
        return (
            f"setup:\n{textwrap.indent(self.setup, '  ')}" if "\n" in self.setup else f"setup: {self.setup}"
        )

    def summarize(self) -> str:
        """Title, description and setup."""
        parts = [part for part in (self.title, self.description or "", self.setup_str()) if part]
        return "\n".join([f"{part}\n" if "\n" in part else part for part in parts])


@dataclass(repr=False)
class Measurement:
    """Times of one task.

    Attributes:
        number_per_run: how often the statement was run for each of `raw_times`, which are in seconds.
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    @property
    def times(self) -> list[float]:
        """Seconds of a single statement, for each run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The middle of the times."""
        return statistics.median(self.times)

    @property
    def mean(self) -> float:
        """The mean of the times."""
        return statistics.fmean(self.times)

    @property
    def iqr(self) -> float:
        """What the middle half of the times spans."""
        low, high = self._quartiles()
        return high - low

    def _quartiles(self) -> tuple[float, float]:
        times = self.times
        if len(times) < 2:
            return times[0], times[0]
        low, _, high = statistics.quantiles(times, n=4, method="inclusive")
        return low, high

    @property
    def significant_figures(self) -> int:
        """How many figures of the median are to be believed, 1 to 4: as many as its interval of confidence leaves."""
        times = sorted(self.times)
        middle = times[len(times) // 4 : math.ceil(3 * len(times) / 4)]
        spread = 1.645 * statistics.pstdev(middle) / math.sqrt(len(middle))
        interval = max(spread, _LEAST_INTERVAL)
        return min(max(math.floor(math.log10(self.median / interval)), 1), 4)

    def meets_confidence(self, threshold: float = _DOUBTFUL) -> bool:
        """Whether the middle half of the times spans less than this share of the median."""
        return self.iqr / self.median < threshold

    @property
    def has_warnings(self) -> bool:
        """Whether the times vary more than they should."""
        return not self.meets_confidence(_DOUBTFUL)

    # ---- names ----

    @property
    def title(self) -> str:
        """What it is headed by."""
        return self.task_spec.title

    @property
    def label(self) -> str | None:
        """The name of the table that it belongs to."""
        return self.task_spec.label

    @property
    def sub_label(self) -> str | None:
        """The name of the row."""
        return self.task_spec.sub_label

    @property
    def description(self) -> str | None:
        """The name of the column."""
        return self.task_spec.description

    @property
    def stmt(self) -> str:
        """The statement."""
        return self.task_spec.stmt

    @property
    def num_threads(self) -> int:
        """On how many threads it ran."""
        return self.task_spec.num_threads

    @property
    def env(self) -> str:
        """Where it ran."""
        return "Unspecified env" if self.task_spec.env is None else self.task_spec.env

    @property
    def as_row_name(self) -> str:
        """How a table names the row."""
        return self.sub_label or self.stmt or "[Unknown]"

    def __repr__(self) -> str:
        lines = [super().__repr__(), self.task_spec.summarize()]
        count, (unit, scale) = len(self.raw_times), select_unit(self.median)
        if count > 1:
            lines.append(f"  Median: {self.median / scale:.2f} {unit}")
        else:
            lines.append(f"  {self.median / scale:.2f} {unit}")
        if count >= 4:
            low, high = self._quartiles()
            lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} ({low / scale:.2f} to {high / scale:.2f})")
        runs = f"{count} measurement{'s' if count > 1 else ''}, {self.number_per_run} runs"
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        lines.append(f"  {runs} {'per measurement' if count > 1 else ''}, {threads}")
        if self.has_warnings:
            useless = not self.meets_confidence(_USELESS)
            lines.append(
                f"  WARNING: Interquartile range is {self.iqr / self.median * 100:.1f}% of the median measurement.\n           "
                + (
                    "This suggests significant environmental influence."
                    if useless
                    else "This could indicate system fluctuation."
                )
            )
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """One measurement for each task, of all its times."""
        groups: dict[TaskSpec, list[float]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).extend(m.times)
        return [Measurement(1, times, task) for task, times in groups.items()]
