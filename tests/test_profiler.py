"""What the engine tells of its work: `explain`, the profiler, the debug levels."""

import json
import os
import subprocess
import sys

import pytest

import rushlight as T
from rushlight import debug
from rushlight.profiler import profile, streaming_bandwidth
from rushlight.runtime.deferral import TIER

pytestmark = pytest.mark.skipif(TIER != "auto", reason="everything is computed otherwise")


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
