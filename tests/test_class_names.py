"""What classes say of themselves: under `rushlight run`, that they are PyTorch's, and where PyTorch keeps them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import rushlight
from rushlight.interop import hollow

#: enumerations in Python here; another name of a class
OWN = {
    "torch.Future",
    "torch.distributed.ReduceOp",
    "torch.nn.attention.SDPBackend",
    "torch.profiler.ProfilerActivity",
    "torch.types.Storage",
}
#: names that can be imported and not be used: whose classes they are nobody asks
HOLLOW = {
    place: f"{hollow.NAMES.get(place, '')} {hollow.ELSEWHERE.get(place, ('', ''))[1]}"
    for place in hollow.NAMES
}
SOURCE = str(Path(__file__).parents[1] / "src")

NAMED = """
import importlib, inspect, pickle, sys, warnings
warnings.simplefilter("ignore")
import torch
for namespace, names in {namespaces!r}.items():
    try:
        module = importlib.import_module(namespace)
    except ImportError:
        continue
    for name in names:
        cls = getattr(module, name, None)
        if inspect.isclass(cls):
            try:
                again = pickle.loads(pickle.dumps(cls)) is cls
            except Exception as error:
                again = error
            print(f"{{namespace}}.{{name}} {{cls}}", again)
"""


def lines(path, *command, **variables):
    done = subprocess.run(
        [sys.executable, *command, path], capture_output=True, env=os.environ | variables, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def under_rushlight(path):
    return lines(path, "-m", "rushlight", PYTHONPATH=SOURCE)


@pytest.fixture
def program(tmp_path):
    def write(source):
        path = tmp_path / "program.py"
        path.write_text(source)
        return path

    return write


def test_classes_are_where_pytorch_keeps_them(program):
    path = program(NAMED.format(namespaces=dict(rushlight.absent.torch_names())))
    found, wanted = under_rushlight(path), set(lines(path))
    assert len(found) > 300
    own = {line.split()[0] for line in found if line not in wanted}
    own -= {f"{place}.{name}" for place in HOLLOW for name in HOLLOW[place].split()}
    assert own == OWN, [line for line in found if line.split()[0] in own ^ OWN]


def test_classes_are_ones_own_elsewhere():
    assert (str(rushlight.Tensor), rushlight.nn.Linear.__module__) == (
        "<class 'rushlight.Tensor'>",
        "rushlight.nn.modules.linear",
    )


IMPORTS = """
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.activation import MultiheadAttention
from torch.optim.adamw import AdamW
from torch.amp.grad_scaler import GradScaler
import torch, torch.nn.modules.flatten
print(issubclass(torch.nn.BatchNorm2d, _BatchNorm), MultiheadAttention is torch.nn.MultiheadAttention)
print(AdamW is torch.optim.AdamW, GradScaler is torch.amp.GradScaler)
print(torch.nn.modules.flatten.Flatten, type(torch.ones(2).max(0)), type(torch.ones([1] * 70)))
print(torch.distributions.LogNormal(0.0, 1.0).expand([2]), type(torch.Generator()))
try:
    torch.linalg.inv(torch.zeros(2, 2))
except torch.linalg.LinAlgError as error:
    print(type(error))
try:
    torch.nn.modules.flatten.no_such_name
except AttributeError as error:
    print(error)
try:
    torch.nn.functional.no_such_name
except AttributeError as error:
    print(error)
"""


def test_programs_import_them_from_there(program):
    path = program(IMPORTS)
    assert under_rushlight(path) == lines(path)


def test_loky_workers_get_rushlight_too(program):
    pytest.importorskip("joblib")
    path = program(
        "import joblib, torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "def work(net, i):\n    return torch.__name__, str(type(net)), net(torch.ones(2)).shape\n"
        "print(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(net, i) for i in range(2)))\n"
    )
    one = ("rushlight", "<class 'torch.nn.modules.linear.Linear'>", rushlight.Size([1]))
    assert under_rushlight(path) == [str([one, one])]


# ---- what a parameter prints ----


SHOWN = {"str": str, "repr": repr, "format": format, "braces": "{}".format, "percent": "%s".__mod__}


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("values", [[1.0, 2.0], 3.0, np.ones((2, 2), np.float32)], ids=["1d", "0d", "2d"])
def test_a_parameter_says_what_it_is(show, values):
    found, wanted = (show(T.nn.Parameter(T.tensor(values))) for T in (rushlight, torch))
    assert found == wanted


def test_a_subclass_prints_as_it_says():
    class Told(rushlight.Tensor):
        def __repr__(self):
            return "told"

    t = rushlight.ones(2).view_as(rushlight.ones(2))
    t.__class__ = Told
    assert (str(t), repr(t), f"{t}") == ("told",) * 3
