"""Versions as PyTorch compares them, and the one that programs see where Rushlight answers for PyTorch."""

import itertools
import operator
import subprocess
import sys

import pytest
from torch.torch_version import TorchVersion as Theirs

import rushlight
from rushlight.torch_version import TorchVersion

VERSIONS = (
    "2.13.0 2.13 2.8 2.13.0+cpu 2.13.0+cu121 2.13.0a0+git12 2.14.0.dev20260101 1.0.post1 1.0 2.0rc1 2.0 v1.2 10.0 1.0a2 1.0b1.dev3"
    " 2.13.0+rushlight.0.1.0"
).split()


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.eq, operator.gt, operator.ge])
def test_versions_are_ordered_as_versions(compare):
    for a, b in itertools.product(VERSIONS, VERSIONS):
        assert compare(TorchVersion(a), b) == compare(Theirs(a), b), (a, b)


def test_versions_are_compared_with_tuples_and_strings():
    version = TorchVersion("2.1")
    assert version > (2, 0) and version == (2, 1) and version >= [2, 1] and version < (2, 10)
    assert version != "2.2" and version != "none" and version == "2.1.0"
    assert isinstance(version, str) and version[0] == "2" and {version: 1}["2.1"] == 1


def test_nothing_else_can_be_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        assert TorchVersion("2.1") > 2


def test_programs_see_the_release_that_is_followed():
    code = (
        "import rushlight; own = rushlight.__version__; from rushlight.interop import aliasing; aliasing.install();"
        "import torch, torch.version; from packaging.version import Version;"
        "assert torch.__version__ == torch.version.__version__ == '2.13.0+rushlight.' + own;"
        "assert torch.__version__ >= (2, 8) and torch.__version__ > '2.8' and Version(torch.__version__) > Version('2.13');"
        "print(type(torch.__version__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert not done.returncode, done.stderr
    assert done.stdout == "<class 'torch.torch_version.TorchVersion'>\n"
    assert rushlight.__version__[0] == "0"
