"""Every program in examples/ prints under `rushlight run` what it prints under PyTorch, number by number."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)")


def start(*command: str) -> subprocess.CompletedProcess:
    """One thread, so that PyTorch adds in the order in which it was asked to."""
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env, timeout=300)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_it_prints_what_it_prints_under_pytorch(program):
    commands = [str(program)], ["-m", "rushlight", "run", str(program)]
    with ThreadPoolExecutor() as both:
        wanted, found = both.map(lambda command: start(*command), commands)
    assert (wanted.returncode, wanted.stderr) == (0, "")
    assert (found.returncode, found.stderr) == (0, "")
    assert len(NUMBER.findall(wanted.stdout)) > 10
    for at, (ours, theirs) in enumerate(
        zip(found.stdout.splitlines(), wanted.stdout.splitlines(), strict=True), 1
    ):
        assert NUMBER.findall(ours) == NUMBER.findall(theirs), f"line {at}"
        assert ours == theirs, f"line {at}"


def test_there_is_one_for_each_theme():
    assert {
        "tensor_algebra",
        "gradients",
        "linear_regression",
        "linear_regression_concise",
        "softmax_regression",
        "mlp",
        "saving",
        "modules",
        "lenet",
        "char_rnn",
        "tiny_gpt",
    } < {path.stem for path in PROGRAMS}
