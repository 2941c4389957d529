"""`torch.utils.benchmark`: what it counts, how it tells it, and that what is timed is computed."""

import re

import pytest
import torch.utils.benchmark as theirs
from both import outcome

import rushlight as T
from rushlight.native import jit
from rushlight.utils import benchmark as ours

TIMES = [2.0e-6, 2.5e-6, 2.2e-6, 2.1e-6, 2.3e-6, 2.4e-6, 2.05e-6]


def measurement(library, times=TIMES, number=10, **names):
    return library.Measurement(number, [t * number for t in times], library.TaskSpec("f(x)", "pass", **names))


@pytest.mark.parametrize(
    "times", [TIMES, TIMES[:1], [1e-3, 1.5e-3, 1e-3, 2e-3], [3.0, 3.0, 3.0, 3.1], [5e-9, 5e-9]]
)
@pytest.mark.parametrize(
    "names", [{}, {"label": "f", "sub_label": "small", "description": "d", "num_threads": 3}]
)
def test_measurements_say_what_pytorchs_say(times, names):
    told = []
    for library in (theirs, ours):
        m = measurement(library, times, **names)
        numbers = [m.median, m.mean, m.iqr, m.number_per_run, m.significant_figures]
        told.append(
            (
                [f"{n:.6g}" for n in numbers],
                m.has_warnings, m.meets_confidence(0.5), m.title, m.as_row_name,
                re.sub(r"<.*>", "", repr(m)),
            )
        )  # fmt: skip
    assert told[0] == told[1]


@pytest.mark.parametrize("task", [("f(x)\ng(x)", "a = 1\nb = 2"), ("f(x)", "a = 1")])
@pytest.mark.parametrize(
    "names", [{}, {"sub_label": "s"}, {"label": "l", "sub_label": "s", "description": "d"}]
)
def test_tasks_are_summarised(task, names):
    assert ours.TaskSpec(*task, **names).summarize() == theirs.TaskSpec(*task, **names).summarize()


def test_times_of_one_task_are_merged():
    found = ours.Measurement.merge(
        [measurement(ours, TIMES[:2]), measurement(ours, TIMES[2:], 5), measurement(ours, label="x")]
    )
    assert [len(m.times) for m in found] == [7, 7] and found[0].times == pytest.approx(TIMES)


@pytest.mark.parametrize("t", [3e-9, 2e-6, 4.5e-5, 1e-3, 0.2, 12.0])
def test_units(t):
    assert ours.select_unit(t) == theirs.select_unit(t)
    assert ours.unit_to_english(ours.select_unit(t)[0]) == theirs.unit_to_english(theirs.select_unit(t)[0])


@pytest.mark.parametrize("x, n", [(1234.5, 2), (0.00123, 1), (9.99, 2), (5.0, 3)])
def test_figures(x, n):
    assert ours.trim_sigfig(x, n) == pytest.approx(theirs.trim_sigfig(x, n))


# ---- timing ----


def test_a_statement_is_timed():
    m = ours.Timer("x + 1", globals={"x": T.ones(3)}, label="add").timeit(50)
    assert m.number_per_run == 50 and len(m.times) == 1 and m.median > 0 and m.label == "add"
    m = ours.Timer("time.sleep(0.001)", "import time").blocked_autorange(min_run_time=0.01)
    assert m.median >= 1e-3 and sum(m.raw_times) >= 0.01
    seen = []
    m = ours.Timer("y = x.exp()", globals={"x": T.ones(3)}).blocked_autorange(
        lambda *block: seen.append(block), 0.01
    )
    assert len(seen) == len(m.raw_times) and all(seconds > 0 for _, seconds in seen)
    m = ours.Timer("x * 2", globals={"x": T.ones(3)}).adaptive_autorange(
        0.5, min_run_time=0.001, max_run_time=0.5
    )
    assert m.median > 0


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no loops of our own")
@pytest.mark.parametrize(
    "stmt", ["x * 2 + 1", "y = x * 2 + 1", "a = 1\ny = z = x * 2 + 1", "(x * 2 + 1, [x])"]
)
def test_what_is_timed_is_computed(stmt):
    kernels = []
    T.debug.STATE.listeners.append(kernels.append)
    try:
        ours.Timer(stmt, globals={"x": T.ones(600, 700)}).timeit(5)
    finally:
        T.debug.STATE.listeners.pop()
    assert len(kernels) >= 5 or T.runtime.deferral.TIER != "auto"


def test_threads_are_those_asked_for_and_come_back():
    before, seen = T.get_num_threads(), []
    ours.Timer("note()", globals={"note": lambda: seen.append(T.get_num_threads())}, num_threads=2).timeit(1)
    assert set(seen) == {2} and T.get_num_threads() == before


def test_what_a_timer_refuses():
    with pytest.raises(SyntaxError):
        ours.Timer("x +")
    for call in (lambda: ours.Timer(language="c++"), ours.Timer().repeat, ours.Timer().autorange):
        assert isinstance(outcome(call), NotImplementedError)
    for call in (lambda: ours.Timer(3), lambda: ours.Timer(global_setup="x"), lambda: ours.Compare([3])):
        assert isinstance(outcome(call), ValueError)


# ---- tables ----


def measurements(library):
    return [
        measurement(
            library,
            [t * factor for t in TIMES],
            label=label,
            sub_label=row,
            description=column,
            num_threads=n,
        )
        for label in ("f", "g")
        for n in (2, 1)
        for factor, (row, column) in enumerate([("a", "old"), ("a", "new"), ("long name", "old")], 1)
    ]


def words(text):
    """The table's fields, whatever their widths."""
    return [re.split(r"[\s|\[\]-]+", line.strip()) for line in text.splitlines() if line.strip()]


def test_tables_hold_what_pytorchs_hold(capsys):
    shown = []
    for library in (theirs, ours):
        library.Compare(measurements(library)).print()
        shown.append(capsys.readouterr().out)
    assert [[w for w in line if w] for line in words(shown[1])] == [
        [w for w in line if w] for line in words(shown[0])
    ]
    widths = {len(line) for line in shown[1].splitlines() if line.startswith(("[", "1 threads", "2 threads"))}
    assert len(widths) == 1


def test_tables_are_trimmed_coloured_and_marked():
    table = ours.Compare(measurements(ours))
    table.trim_significant_figures()
    assert " 2 " in str(table) and "2.2" not in str(table)
    table = ours.Compare(
        [
            *measurements(ours),
            measurement(ours, [1e-6, 2e-6, 3e-6, 4e-6], label="f", sub_label="wild", description="new"),
        ]
    )
    table.highlight_warnings()
    assert "(! " in str(table)
    table.colorize()
    assert "\033[92m" in str(table) and "\033[91m" in str(table)
    table.colorize(rowwise=True)
    assert "\033[91m" not in str(ours.Compare(measurements(ours)[:1])) and "\033[92m" in str(table)
