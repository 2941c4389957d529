"""`Compare`: measurements side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rushlight.utils.benchmark.measurement import (
    Measurement,
    select_unit,
    trim_sigfig,
    unit_to_english,
)

__all__ = ["Compare"]

_GREEN, _RED, _PLAIN = "\033[92m", "\033[91m", "\033[0m"


class Compare:
    """Tables of measurements: one for each label, a row for each sub-label, a column for each description.

    Example:
        >>> from rushlight.utils.benchmark import Compare, Measurement, TaskSpec
        >>> tasks = [TaskSpec("f(x)", "", label="f", sub_label="3", description=d) for d in ("old", "new")]
        >>> Compare([Measurement(1, [t], task) for t, task in zip((2e-6, 1e-6), tasks)]).print()
        [-------- f --------]
                 | old | new
        1 threads: ----------
              3  | 2.0 | 1.0
        <BLANKLINE>
        Times are in microseconds (us).
        <BLANKLINE>
    """

    def __init__(self, results: Iterable[Measurement]) -> None:
        self._results: list[Measurement] = []
        self.extend_results(results)
        self._trimmed = self._coloured = self._by_row = self._warned = False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Add measurements.

        Raises:
            ValueError: something else.
        """
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError("Expected an instance of `Measurement`, got " + type(result).__name__)
            self._results.append(result)

    def trim_significant_figures(self) -> None:
        """Show as many figures as are to be believed."""
        self._trimmed = True

    def colorize(self, rowwise: bool = False) -> None:
        """Show the fastest (and what takes at most a tenth longer) in green, and what takes twice as long in red."""
        self._coloured, self._by_row = True, rowwise

    def highlight_warnings(self) -> None:
        """Mark the measurements that vary more than they should."""
        self._warned = True

    def print(self) -> None:
        """Print the tables."""
        print(self)

    def __str__(self) -> str:
        merged = Measurement.merge(self._results)
        labels = dict.fromkeys(m.label for m in merged)
        return "\n".join([self._table([m for m in merged if m.label == label]) for label in labels])

    # ---- one table ----

    def _table(self, found: Sequence[Measurement]) -> str:
        unit, scale = select_unit(min(m.median for m in found))
        columns = list(dict.fromkeys(m.description or "" for m in found))
        rows = list(dict.fromkeys((m.num_threads, m.env, m.as_row_name) for m in found))
        rows.sort(key=lambda row: row[0])
        cells = {(m.num_threads, m.env, m.as_row_name, m.description or ""): m for m in found}
        envs = len({row[1] for row in rows}) > 1
        names = {row: f"      {f'({row[1]}) ' if envs else ''}{row[2]}  " for row in rows}
        first = max([*map(len, names.values()), 8])
        shown = {place: self._shown(m, scale) for place, m in cells.items()}
        widths = [
            max([len(column), *[len(shown.get((*row, column), "")) for row in rows]]) for column in columns
        ]
        lines = [_joined(" " * first, columns, widths)]
        for at, row in enumerate(rows):
            if not at or rows[at - 1][0] != row[0]:
                lines.append(f"{row[0]} threads: ")
            fields = [self._padded(cells, shown, row, c, w, found) for c, w in zip(columns, widths)]
            lines.append(_joined(names[row].ljust(first), fields, [0] * len(fields)))
        total = max([len(lines[0]), 12])
        lines = [line.ljust(total, "-") if line.endswith("threads: ") else line for line in lines]
        head = f" {found[0].label or found[0].stmt} ".center(total - 2, "-")
        foot = f"\nTimes are in {unit_to_english(unit)}s ({unit}).\n"
        if self._warned and any(m.has_warnings for m in found):
            foot += "(! XX%) Measurement has high variance, where XX is the IQR / median * 100.\n"
        return "\n".join([f"[{head}]", *[line.rstrip() for line in lines], foot])

    def _shown(self, m: Measurement, scale: float) -> str:
        value = m.median / scale
        if self._trimmed:
            value = trim_sigfig(value, m.significant_figures)
            text = f"{value:.0f}" if value >= 10 ** (m.significant_figures - 1) else f"{value:g}"
        else:
            text = f"{value:.1f}"
        if self._warned and m.has_warnings:
            text += f" (! {m.iqr / m.median * 100:.0f}%)"
        return text

    def _padded(
        self, cells: dict, shown: dict, row: tuple, column: str, width: int, found: Sequence[Measurement]
    ) -> str:
        """One field, as wide as its column, and coloured if colours are on."""
        m: Any = cells.get((*row, column))
        text = shown.get((*row, column), "").rjust(width)
        if m is None or not self._coloured:
            return text
        rivals = [other for other in found if (other.num_threads, other.as_row_name) == (row[0], row[2])]
        best = min(other.median for other in (rivals if self._by_row else found))
        colour = _GREEN if m.median <= 1.1 * best else _RED if m.median > 2 * best else ""
        return f"{colour}{text}{_PLAIN}" if colour else text


def _joined(name: str, fields: Sequence[str], widths: Sequence[int]) -> str:
    return "|".join([name, *[f" {field.rjust(width)} " for field, width in zip(fields, widths)]])
