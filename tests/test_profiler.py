"""What the engine tells of its work: `explain`, the profiler, the debug levels."""

import gzip
import json
import os
import subprocess
import sys

import pytest
from both import same

import rushlight as T
from rushlight import debug
from rushlight import profiler as torch_profiler
from rushlight.native import jit
from rushlight.profiler import profile, record_function, streaming_bandwidth
from rushlight.runtime.deferral import TIER

pytestmark = [
    pytest.mark.skipif(TIER != "auto" or not jit.available(), reason="everything is computed otherwise"),
    pytest.mark.usefixtures("fused"),
]


def test_explain_names_operations_and_one_pass():
    x, y = T.ones(600, 700), T.ones(600, 700)
    told = T.explain((x * y + 1).relu())
    assert told.waiting and told.passes == 1 and told.bytes == 3 * 4 * 600 * 700
    assert [line.split(" = ")[1].split("(")[0].split()[0] for line in told.expression] == [
        "memory", "memory", "mul", "add", "relu",
    ]  # fmt: skip
    assert "maximum f32" in told.kernels[0] and str(told).startswith(
        "waiting: 1 pass over memory, 5040000 bytes"
    )


def test_explain_computes_nothing_and_counts_what_will_be_stored():
    x = T.ones(600, 700)
    y = x * 2
    z = y + 1
    assert T.explain(z).bytes == 3 * 4 * 600 * 700  # x read; y, which is still held, and z written
    assert T.explain(z).waiting
    z[0]
    assert not T.explain(z).waiting and repr(T.explain(y)) == f"computed: {4 * 600 * 700} bytes of memory"
    with pytest.raises(TypeError, match="must be Tensor"):
        T.explain(3)


def test_a_broadcast_operand_is_read_once():
    x, row = T.ones(600, 700), T.ones(700)
    assert T.explain(x + row).bytes == 2 * 4 * 600 * 700 + 4 * 700


def test_profile_notes_each_kernel(tmp_path):
    x = T.ones(600, 700)
    with profile() as p:
        for _ in range(3):
            (x * 2 + 1)[0]
        x.sum()
    x.sum()
    rows = {row.key: row for row in p.key_averages()}
    assert rows["map mul add"].runs == 3 and rows["map mul add"].bytes == 3 * 2 * 4 * 600 * 700
    assert rows["reduce sum"].runs == 1 and rows["reduce sum"].bytes == 4 * 600 * 700 + 4
    assert all(row.seconds > 0 and row.rate > 0 for row in rows.values())
    table = p.key_averages().table()
    assert "map mul add" in table and "memory streams at" in table
    assert p.key_averages().table(sort_by="key", row_limit=1).count("\n") == 2
    with pytest.raises(ValueError, match="sort_by"):
        p.key_averages().table(sort_by="cuda_time")
    p.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(events) == 4 and all(e["ph"] == "X" and e["dur"] > 0 for e in events)


def test_tables_know_pytorchs_names():
    with profile(activities=[torch_profiler.ProfilerActivity.CPU], record_shapes=True) as p:
        with record_function("mine"):
            (T.ones(600, 700) * 2)[0]
    averages = p.key_averages(group_by_input_shape=True)
    for name in ("cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "count", None):
        assert "mine" in averages.table(sort_by=name, row_limit=-1)
    row = next(row for row in averages if row.key == "mine")
    assert (row.count, row.cpu_time_total) == (
        1,
        row.seconds * 1e6,
    ) and row.cpu_time == row.self_cpu_time_total
    assert [event.name for event in p.events()] == ["mul", "mine"]


def test_a_region_is_a_decorator_and_costs_nothing_when_nobody_listens():
    @record_function("double")
    def double(x):
        """Twice."""
        return x * 2

    assert double(T.ones(2)).tolist() == [2, 2] and double.__doc__ == "Twice."
    with T.autograd.profiler.profile(use_cuda=False) as p, pytest.raises(ValueError):
        double(T.ones(2))
        with T.autograd.profiler.record_function("fails"):
            raise ValueError
    assert sorted(row.key for row in p.key_averages()) == ["double", "fails"] and "fails" in p.table()
    with T.autograd.profiler.profile(enabled=False) as p:
        double(T.ones(2))
    assert p.key_averages() == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "given",
    [
        {"wait": 1, "warmup": 1, "active": 2},
        {"wait": 0, "warmup": 0, "active": 1, "repeat": 2},
        {"wait": 2, "warmup": 1, "active": 1, "skip_first": 3, "repeat": 1},
        {"wait": 2, "warmup": 1, "active": 1, "skip_first": 3, "skip_first_wait": 1},
        {"wait": -1, "warmup": 1, "active": 1},
        {"wait": 1, "warmup": 1, "active": 0},
    ],
)
def test_schedules_are_pytorchs(given):
    same(lambda T: [T.profiler.schedule(**given)(step).name for step in range(12)])
    same(lambda T: T.profiler.schedule(**given)(-1))


def test_a_profile_listens_when_its_schedule_says(tmp_path):
    seen = []

    def ready(p):
        seen.append([row.key for row in p.key_averages()])

    with profile(schedule=torch_profiler.schedule(wait=1, warmup=1, active=2), on_trace_ready=ready) as p:
        for step in range(9):
            with record_function(f"step {step}"):
                pass
            p.step()
    assert [sorted(keys) for keys in seen] == [["step 2", "step 3"], ["step 6", "step 7"]]
    assert not debug.STATE.listeners

    for zipped in (False, True):
        handler = torch_profiler.tensorboard_trace_handler(str(tmp_path / "log"), "me", use_gzip=zipped)
        with profile(on_trace_ready=handler), record_function("traced"):
            pass
    plain, packed = sorted((tmp_path / "log").iterdir(), key=lambda file: file.suffix == ".gz")
    for text in (plain.read_bytes(), gzip.decompress(packed.read_bytes())):
        assert [event["name"] for event in json.loads(text)["traceEvents"]] == ["traced"]


def test_a_profile_may_be_started_by_hand():
    p = profile()
    p.start()
    with record_function("first"):
        pass
    p.stop()
    with record_function("second"):
        pass
    assert [row.key for row in p.key_averages()] == ["first"]


def test_profiles_may_be_nested():
    x = T.ones(600, 700)
    with profile() as outer:
        with profile() as inner:
            x.sum()
        x.amax()
    assert (len(inner.runs), len(outer.runs)) == (1, 2)


def test_the_bandwidth_is_plausible():
    assert 1e8 < streaming_bandwidth() < 1e13


def run(level):
    done = subprocess.run(
        [sys.executable, "-c", "import rushlight as T\nx = T.ones(600, 700)\n(x * 2 + 1)[0]\nx.frexp()"],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "RUSHLIGHT_DEBUG": level, "RUSHLIGHT_CACHE": "0"},
    )
    return done


@pytest.mark.parametrize(
    "level, seen",
    [
        ("0", ""),
        ("1", "map mul add: 420000 elements"),
        ("3", "%2 = mul f32"),
        ("4", "define void"),
        ("5", "ret"),
    ],
)
def test_levels(level, seen):
    done = run(level)
    assert done.returncode == 0 and seen in done.stderr
    assert bool(done.stderr) == (level != "0")


def test_an_unknown_level():
    assert "RUSHLIGHT_DEBUG must be a level from 0 to 5" in run("9").stderr
    with pytest.raises(ValueError, match="0 to 5"), debug.level(7):
        pass
