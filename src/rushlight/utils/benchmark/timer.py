"""`Timer`: how long a statement takes."""

from __future__ import annotations

import ast
import contextlib
import time
import timeit
from collections.abc import Callable, Iterator
from typing import Any

from rushlight.buffer import Tensor
from rushlight.native.threads import get_num_threads, set_num_threads
from rushlight.utils.benchmark.measurement import Measurement, TaskSpec

__all__ = ["Timer", "timer"]

timer = time.perf_counter

#: the name under which a statement finds `_look`
_LOOK = "_rushlight_look"


def _look(value: Any) -> None:
    """Have everything computed that a value waits for."""
    if isinstance(value, Tensor):
        value.data_ptr()
    elif isinstance(value, (tuple, list)):
        for part in value:
            _look(part)


def _looked_at(stmt: str) -> str:
    """The statement, whose last value is looked at: what nobody looks at is not computed, and takes no time."""
    tree = ast.parse(stmt)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.Expr(_call(last.value))
    elif isinstance(last, ast.Assign):
        names = [target for target in last.targets if isinstance(target, ast.Name)]
        tree.body += [ast.Expr(_call(ast.Name(target.id, ast.Load()))) for target in names]
    return ast.unparse(ast.fix_missing_locations(tree))


def _call(value: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(_LOOK, ast.Load()), [value], [])


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(count)
    try:
        yield
    finally:
        set_num_threads(before)


class Timer:
    """Times a statement, on one thread unless told otherwise, after running it a few times.

    The last statement's value is computed before the clock goes on.

    Args:
        stmt, setup: Python; globals: the names that they know.
        label, sub_label, description: the table, row and column that a `Compare` puts it in.
        env: where it runs, to tell builds apart.

    Raises:
        NotImplementedError: C++.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.utils.benchmark import Timer
        >>> Timer("x + 1", globals={"x": torch.ones(3)}).timeit(100).median > 0
        True
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        if str(getattr(language, "name", language)).lower() not in ("python", "py"):
            raise NotImplementedError("Timer: Rushlight times Python only")
        if global_setup:
            raise ValueError("global_setup is C++ only, use `setup` for Python.")
        if not isinstance(stmt, str) or not isinstance(setup, str):
            raise ValueError("Timer: stmt and setup must be strings")
        names = {**(globals or {}), _LOOK: _look}
        self._task_spec = TaskSpec(stmt, setup, "", label, sub_label, description, env, num_threads)
        self._timer = timeit.Timer(_looked_at(stmt), setup, timer, names)

    def _measured(self, number: int, times: list[float]) -> Measurement:
        return Measurement(number, times, self._task_spec)

    def _time(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1000000) -> Measurement:
        """The statement run `number` times."""
        with _threads(self._task_spec.num_threads):
            self._timer.timeit(max(number // 100, 2))
            return self._measured(number, [self._time(number)])

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Not to be used: `blocked_autorange` repeats."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Any = None) -> None:
        """Not to be used: `blocked_autorange` finds the number of runs."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """As many runs as take `min_run_time` seconds, in blocks so long that the clock itself does not count.

        Args:
            callback: called with (number, seconds) of each block.
        """
        with _threads(self._task_spec.num_threads):
            number = self._block(min_run_time)
            times: list[float] = []
            while sum(times) < min_run_time:
                times.append(self._time(number))
                if callback is not None:
                    callback(number, times[-1])
        return self._measured(number, times)

    def _block(self, min_run_time: float) -> int:
        """How many runs a block has: so many that the clock takes a ten-thousandth of it, in at most a thousandth of the time."""
        overhead = max(sorted(self._clock() for _ in range(5))[2], 1e-9)
        number = 1
        while True:
            seconds = self._time(number)
            if overhead / seconds <= 1e-4 and seconds >= min_run_time / 1000 or seconds > min_run_time:
                return number
            number *= 10

    def _clock(self) -> float:
        return self._timer.timeit(0)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """As many runs as it takes until the times vary less than `threshold` of their median, or `max_run_time` is over."""
        with _threads(self._task_spec.num_threads):
            number = self._block(0.05)
            times: list[float] = []
            while True:
                times.append(self._time(number))
                if callback is not None:
                    callback(number, times[-1])
                total = sum(times)
                made = self._measured(number, times)
                steady = len(times) > 3 and made.meets_confidence(threshold)
                if total >= max_run_time or total >= min_run_time and steady:
                    return made
