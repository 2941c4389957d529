"""The command `rushlight`: a program runs as under `python FILE`, with Rushlight for torch."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from rushlight.native import jit

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "examples" / "notes.py"
EXPECTED = (ROOT / "examples" / "notes.expected.txt").read_bytes()


def start(*command, **options):
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), **options.pop("env", {})}
    return subprocess.run([sys.executable, *command], capture_output=True, env=env, timeout=300, **options)


def rushlight(*args, **options):
    return start("-m", "rushlight", *args, **options)


@pytest.fixture
def program(tmp_path):
    """Write a program and return its path."""

    def write(source):
        path = tmp_path / "program.py"
        path.write_text(source)
        return path

    return write


# ---- the notes ----


def test_the_notes_print_what_they_printed():
    for command in (["run", NOTES], [NOTES]):
        done = rushlight(*command)
        assert (done.returncode, done.stderr, done.stdout) == (0, b"", EXPECTED)


def test_pytorch_prints_the_same():
    assert start(NOTES).stdout == EXPECTED


# ---- a program runs as under `python FILE` ----

FACTS = """
import os, sys
print(sys.argv, sys.path[0], __file__, __name__, __spec__, __package__, __doc__, type(__loader__).__name__)
print(sorted(globals()), sys.modules["__main__"].__dict__ is globals(), sys.stdin.read(), os.getcwd())
"""

ENDINGS = {
    "falls off the end": "print('done')",
    "returns a status": "import sys; sys.exit(7)",
    "says why it exits": "raise SystemExit('no more')",
    "raises": "def f(x):\n    return 1 / x\n\nif __name__ == '__main__':\n    f(0)\n",
    "raises from": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error\n",
    "raises while handling": "try:\n    {}['a']\nexcept KeyError:\n    import nowhere_to_be_found\n",
    "does not parse": "x = 1\ny = (2\n",
    "is interrupted": "import atexit, signal\natexit.register(print, 'bye')\nsignal.raise_signal(signal.SIGINT)\n",
    "has its own hook": "import sys\nsys.excepthook = lambda kind, e, tb: print(e, tb.tb_frame.f_code.co_name)\n1 / 0\n",
    "fails in a library": "import json\njson.loads('{')\n",
    "leaves a thread": "import threading\nthreading.Timer(0.1, print, ['late']).start()\nprint('main')\n",
}


def outcome(done):
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_program_sees_what_it_would_see(program, tmp_path):
    path = program(FACTS)
    for name in (path, path.name):
        args = (name, "--help", "-x", "run")
        expected = outcome(start(*args, cwd=tmp_path, input=b"typed"))
        assert expected[0] == 0 and "typed" in expected[1]
        assert outcome(rushlight("run", *args, cwd=tmp_path, input=b"typed")) == expected
        assert outcome(rushlight(*args, cwd=tmp_path, input=b"typed")) == expected


@pytest.mark.parametrize("source", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_program_ends_as_it_would_end(program, source):
    path = program(source)
    assert outcome(rushlight("run", path)) == outcome(start(path))


def test_a_missing_file_is_named():
    done = rushlight("run", "nowhere.py")
    assert done.returncode == 2 and b"nowhere.py" in done.stderr and b"Traceback" not in done.stderr


# ---- import torch ----


def test_torch_is_rushlight(program):
    done = rushlight(
        program(
            "import sys, torch, torch.autograd, torch.autograd as A\nfrom torch import autograd\nimport rushlight\n"
            "assert sys.modules['torch'] is torch is rushlight and torch.__name__ == 'rushlight'\n"
            "assert sys.modules['torch.autograd'] is autograd is A is rushlight.autograd\n"
            "assert autograd.__spec__.name == autograd.__name__ == 'rushlight.autograd'\n"
            "assert isinstance(torch.tensor(1), rushlight.Tensor) and not hasattr(torch, 'no_such_name')\n"
        )
    )
    assert outcome(done) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("torch.no_such_name(2)", "AttributeError: module 'torch' has no attribute 'no_such_name'"),
        (
            "torch.autograd.no_such_name",
            "AttributeError: module 'torch.autograd' has no attribute 'no_such_name'",
        ),
        ("from torch import no_such_name", "ImportError: cannot import name 'no_such_name' from 'torch'"),
        (
            "from torch.autograd import nothing",
            "ImportError: cannot import name 'nothing' from 'torch.autograd'",
        ),
        ("import torch.no_such_name", "ModuleNotFoundError: No module named 'torch.no_such_name'"),
        ("import torch.autograd.nothing", "ModuleNotFoundError: No module named 'torch.autograd.nothing'"),
        ("import torch.buffer", "ModuleNotFoundError: No module named 'torch.buffer'"),  # Rushlight's own
    ],
)
def test_what_is_missing_is_named_at_the_programs_line(program, line, error):
    path = program(f"import torch\n\ndef main():\n    {line}\n\nmain()\n")
    done = rushlight("run", path)
    *above, last = done.stderr.decode().splitlines()
    assert done.returncode == 1 and last.startswith(error)
    assert [text for text in above if text.startswith("  File")] == [
        f'  File "{path}", line 6, in <module>',
        f'  File "{path}", line 4, in main',
    ]


def test_a_missing_name_can_be_caught(program):
    done = rushlight(
        program(
            "import torch\n"
            "try:\n    import torch.nothing\nexcept ImportError:\n    print(1)\n"
            "try:\n    from torch import nothing\nexcept ImportError:\n    print(2)\n"
            "try:\n    torch.nothing\nexcept AttributeError:\n    print(3)\n"
        )
    )
    assert outcome(done) == (0, "1\n2\n3\n", "")


def test_an_error_in_an_operation_starts_at_the_program(program):
    path = program("import torch\ntorch.mm(torch.ones(2, 3), torch.ones(2, 3))\n")
    done = rushlight("run", path)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 1 and lines[1] == f'  File "{path}", line 2, in <module>'
    assert not any("cli.py" in line or "runpy" in line for line in lines)


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_worker_processes_get_rushlight_too(program, method):
    path = program(
        "import multiprocessing, torch\n"
        "def work(i):\n    return torch.__name__, (torch.ones(2) * i).tolist()\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context({method!r}).Pool(1) as pool:\n        print(pool.map(work, range(2)))\n"
    )
    assert outcome(rushlight("run", path)) == (
        0,
        "[('rushlight', [0.0, 0.0]), ('rushlight', [1.0, 1.0])]\n",
        "",
    )


def test_other_processes_keep_their_torch(program):
    code = "import torch; print(torch.__name__)"
    done = rushlight(
        program(f"import subprocess, sys, torch\nsubprocess.run([sys.executable, '-c', {code!r}])\n")
    )
    assert outcome(done) == (0, "torch\n", "")


# ---- info and tour ----


def test_info_names_what_is_installed():
    done = rushlight("info")
    printed = done.stdout.decode()
    assert done.returncode == 0 and "\x1b" not in printed
    assert np.__version__ in printed and metadata.version("ml_dtypes") in printed and "BLAS" in printed


@pytest.mark.skipif(not jit.available(), reason="without llvmlite there are no kernels to name")
def test_info_names_the_jit_the_threads_and_the_cache(tmp_path):
    environment = {"COLUMNS": "300", "RUSHLIGHT_CACHE": str(tmp_path), "RUSHLIGHT_NUM_THREADS": "5"}
    printed = rushlight("info", env=environment).stdout.decode()
    assert metadata.version("llvmlite") in printed and "threads    5 (" in printed
    assert f"{tmp_path}: 0 entries, 0 MiB of at most 64 MiB" in printed
    printed = rushlight("info", env={"RUSHLIGHT_CACHE": "0", "RUSHLIGHT_TIER": "numpy"}).stdout.decode()
    assert "switched off by RUSHLIGHT_TIER" in printed and "not kept on disk" in printed


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_tour_in_a_file_is_plain_text(encoding):
    done = rushlight("tour", env={"PYTHONIOENCODING": encoding, "COLUMNS": "120"})
    printed = done.stdout.decode(encoding)
    assert done.returncode == 0, done.stderr.decode()
    assert "\x1b" not in printed
    for heading in (
        "The notes",
        "What shares memory",
        "What an axis sums",
        "What the graph of b**2 + 3*b holds",
    ):
        assert heading in printed
    assert "AddBackward0" in printed and "tensor(7.)" in printed


def test_the_tour_runs_all_the_notes():
    printed = iter(rushlight("tour", env={"COLUMNS": "120"}).stdout.decode().splitlines())
    for line in EXPECTED.decode().splitlines():
        assert any(shown == line for shown in printed), line  # in their order: the iterator goes on
