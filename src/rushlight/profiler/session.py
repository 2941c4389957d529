"""`profile` notes what runs; `record_function` names a region of the program."""

from __future__ import annotations

import enum
import functools
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rushlight.debug import STATE, Run
from rushlight.profiler.rows import Averages, Row
from rushlight.profiler.steps import ProfilerAction

__all__ = ["ProfilerActivity", "profile", "record_function", "supported_activities"]

_LISTENING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class ProfilerActivity(enum.Enum):
    """Where PyTorch would listen; here it is on the CPU."""

    CPU = 0
    XPU = 1
    CUDA = 2
    HPU = 3
    MTIA = 4
    PrivateUse1 = 5


def supported_activities() -> set[ProfilerActivity]:
    """The CPU."""
    return {ProfilerActivity.CPU}


class record_function:
    """A context, or decorator, that gives a region of the program a row of its own in the profile.

    What is computed later than the region's end, because large operations wait for a look, counts where it is computed.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.profiler import profile, record_function
        >>> with profile() as p:
        ...     with record_function("setup"):
        ...         x = torch.ones(3)
        >>> [(row.key, row.count) for row in p.key_averages()]
        [('setup', 1)]
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *error: Any) -> None:
        if STATE.listeners:
            run = Run(self.name, "", self._began, time.perf_counter() - self._began, 0, 0)
            for listener in STATE.listeners:
                listener(run)

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return within


class profile:
    """Notes every kernel that runs inside its `with` block, and every region that is named there.

    Args:
        schedule: a function of the step's number, such as :func:`schedule` makes, that says when to listen; the program
            counts steps by `step()`. Always, by default.
        on_trace_ready: called with the profile when a scheduled stretch, or the block, has come to its end.
        activities, record_shapes, profile_memory, with_stack, ...: PyTorch's; they say nothing here.

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
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        **other: Any,
    ) -> None:
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.runs: list[Run] = []
        self._action = ProfilerAction.NONE
        self._listener: Callable[[Run], None] | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, as the `with` block does."""
        self._turn(self.schedule(self.step_num))

    def stop(self) -> None:
        """End, as the `with` block does."""
        listened = self._action in _LISTENING
        self._turn(ProfilerAction.NONE, ready=listened)

    def step(self) -> None:
        """Say that the next step begins."""
        self.step_num += 1
        self._turn(self.schedule(self.step_num), ready=self._action is ProfilerAction.RECORD_AND_SAVE)

    def _turn(self, action: ProfilerAction, ready: bool = False) -> None:
        """Go on with another action; `ready` if what was noted so far is to be handed over."""
        if ready or action not in _LISTENING:
            self._unhook()
        self._action = action
        if ready and self.on_trace_ready is not None:
            self.on_trace_ready(self)
        if action in _LISTENING and self._listener is None:
            self.runs = []
            self._listener = self.runs.append
            STATE.listeners.append(self._listener)

    def _unhook(self) -> None:
        if self._listener is not None:
            STATE.listeners.remove(self._listener)
            self._listener = None

    # ---- what was noted ----

    def events(self) -> list[Run]:
        """Every run, in the order in which they ended."""
        return list(self.runs)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> Averages:
        """One row for each kernel and each region."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(f"{run.form} {run.name}".strip(), []).append(run)
        rows = [
            Row(key, len(runs), sum([r.seconds for r in runs]), sum([r.bytes for r in runs]))
            for key, runs in found.items()
        ]
        return Averages(sorted(rows, key=lambda row: -row.seconds))

    def export_chrome_trace(self, path: str | Path, **other: Any) -> None:
        """Write the runs as a trace that chrome://tracing and Perfetto show; times in microseconds. Compressed for `.gz`."""
        events = [
            {
                "name": run.name,
                "cat": run.form or "user_annotation",
                "ph": "X",
                "ts": run.began * 1e6,
                "dur": run.seconds * 1e6,
                "pid": 0,
                "tid": 0,
                "args": {"bytes": run.bytes, "elements": run.elements},
            }
            for run in self.runs
        ]
        data = json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode()
        Path(path).write_bytes(gzip.compress(data) if str(path).endswith(".gz") else data)
