"""`rushlight coverage`: what a program uses of PyTorch is found without running it, and what is missing is named."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_names
from test_cli import rushlight as command

import rushlight
from rushlight import coverage

ROOT = Path(__file__).parents[1]


@pytest.fixture
def found(tmp_path):
    """The (line, name) of every use in a source, and of every missing one."""

    def read(source, **others):
        for name, text in others.items():
            (tmp_path / f"{name}.py").write_text(text)
        path = tmp_path / "program.py"
        path.write_text(source)
        uses = coverage.uses(path)
        return [(use.line, use.name) for use in uses], [
            (use.line, use.name) for use in coverage.missing(uses)
        ]

    return read


# ---- the names of PyTorch ----


def test_the_shipped_names_are_those_of_this_release():
    script = [sys.executable, "-W", "ignore", str(ROOT / "tests" / "torch_names.py")]
    fresh = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "src" / "rushlight" / "torch_names.txt").read_text() == fresh


def test_what_is_counted_as_here_is_here():
    for namespace, _, lacking in coverage.summary():
        names = coverage.torch_names()[namespace]
        holder = rushlight
        for part in namespace.split(".")[1:]:
            holder = getattr(holder, part, None)
        if holder is not None:
            assert lacking == [name for name in names if not hasattr(holder, name)], namespace


def test_the_lists_cover_what_users_import():
    known = coverage.torch_names()
    assert {
        "torch",
        "torch.Tensor",
        "torch.nn.functional",
        "torch.optim",
        "torch.utils.data",
        "torch.cuda",
    } <= {*known}
    assert "Linear" in known["torch.nn"] and "backward" in known["torch.Tensor"]
    described = [namespace for namespace, names in known.items() if names]
    assert described == torch_names.NAMESPACES and torch.__version__.startswith("2.13.")
    assert {"torch.fx.passes.splitter_base", "torch.utils.tensorboard", "torch._dynamo"} <= {*known}


# ---- reading a program ----


def test_names_by_every_way_of_importing(found):
    used, lacking = found(
        "import torch, numpy as np\n"
        "import torch.nn as nn\n"
        "import torch.utils.data\n"
        "from torch.nn import functional as F, Linear\n"
        "from torch import optim\n"
        "x = torch.zeros(2)\n"
        "nn.ReLU()(x), F.relu(x), Linear(2, 2)\n"
        "optim.SGD([x], lr=torch.utils.data.DataLoader)\n"
        "np.zeros(3).sum()\n"
    )
    assert used == [
        (1, "torch"),
        (2, "torch.nn"),
        (3, "torch.utils.data"),
        (4, "torch.nn.Linear"),
        (4, "torch.nn.functional"),
        (5, "torch.optim"),
        (6, "torch.zeros"),
        (7, "torch.nn.Linear"),
        (7, "torch.nn.ReLU"),
        (7, "torch.nn.functional.relu"),
        (8, "torch.optim.SGD"),
        (8, "torch.utils.data.DataLoader"),
    ]
    assert lacking == []


def test_missing_names_have_their_lines(found):
    _, lacking = found(
        "import torch\nimport torch.nothing\nfrom torch import nowhere, ones\n\n"
        "def f(x):\n    from torch.nn import NoLayer\n    return torch.no_such(x) + torch.Tensor.no_method(x)\n"
        'getattr(torch, "nor_this")\nimport torch.layout\n'
    )
    assert lacking == [
        (2, "torch.nothing"),
        (3, "torch.nowhere"),
        (6, "torch.nn.NoLayer"),
        (7, "torch.Tensor.no_method"),
        (7, "torch.no_such"),
        (8, "torch.nor_this"),
    ]  # torch.layout is a class of PyTorch's, which `import torch.layout` fails to import in either


def test_aliases_and_stars_are_followed(found):
    used, lacking = found("import torch\nF = torch.nn.functional\nF.relu(F.nothing)\n")
    assert (3, "torch.nn.functional.relu") in used and lacking == [(3, "torch.nn.functional.nothing")]
    used, _ = found("from torch.nn import *\nnet = Linear(1, 2)\nother = Sequel()\n")
    assert used == [(1, "torch.nn"), (2, "torch.nn.Linear")]


def test_what_lies_behind_a_class_or_a_call_is_not_looked_up(found):
    used, lacking = found(
        "import torch\ntorch.nn.Linear.forward\ntorch.ones(2).shape\ntorch.float32.itemsize\n"
    )
    assert lacking == [] and (2, "torch.nn.Linear") in used


def test_methods_that_only_pytorch_has_are_guessed(found, monkeypatch):
    lacking = next(names for space, _, names in coverage.summary() if space == "torch.Tensor")
    method = next(name for name in lacking if name in coverage._missing_methods())
    source = f"import torch\nx = torch.ones(2)\nx.relu().{method}()\n"
    assert found(source)[1] == [(3, f"torch.Tensor.{method}")]
    assert found(source + f"def {method}(): ...\n")[1] == []
    assert found(source + f"class A:\n    def __init__(self):\n        self.{method} = 1\n")[1] == []


def test_modules_beside_the_program_are_read_once(found):
    used, lacking = found(
        "import torch\nimport model, os\n",
        model="import program, torch\nfrom other import thing\ntorch.absent()\n",
        other="from torch import gone\n",
    )
    assert lacking == [(3, "torch.absent"), (1, "torch.gone")]
    assert used.count((1, "torch")) == 2


# ---- the command ----


def test_the_command_says_what_is_missing_and_fails(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("import torch\nprint('run')\ntorch.ones(2)\ntorch.no_such()\n")
    done = command("coverage", path)
    lines = done.stdout.decode().splitlines()
    assert (done.returncode, done.stderr) == (1, b"")
    assert lines == [
        "here     torch  (1)",
        "missing  torch.no_such  (4)",
        "here     torch.ones  (3)",
        f"{path}:4: Rushlight does not have torch.no_such yet",
        "3 names of PyTorch, 1 missing",
    ]


@pytest.mark.parametrize("program", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_the_examples_are_covered(program):
    assert coverage.missing(coverage.uses(program)) == []


def test_the_command_succeeds_where_nothing_is_missing():
    done = command("coverage", ROOT / "examples" / "notes.py")
    assert done.returncode == 0 and done.stdout.decode().endswith(", 0 missing\n")


@pytest.mark.parametrize("text", [None, b"x = (", b"\xff\xfe\x00"])
def test_what_cannot_be_read_is_said(tmp_path, text):
    path = tmp_path / "program.py"
    if text is not None:
        path.write_bytes(text)
    done = command("coverage", path)
    assert done.returncode == 2 and b"program.py" in done.stderr and b"Traceback" not in done.stderr


def test_the_summary_counts_every_namespace():
    done = command("coverage", "--missing")
    text = done.stdout.decode()
    assert done.returncode == 0 and all(f"\n{namespace} " in text for namespace in torch_names.NAMESPACES)
    assert "torch.nn.init                                     26    26   100%" in text
