"""What PyTorch has and Rushlight lacks is said to be missing; what neither has is an AttributeError, as in PyTorch."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import subprocess
import sys

import pytest
import torch

import rushlight
from rushlight.absent import INSTEAD, MissingModule, MissingName, is_torch_module, is_torch_name, torch_names
from rushlight.coverage import summary

NAMESPACES = (
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.linalg",
    "torch.special",
    "torch.optim",
    "torch.func",
)


def _holder(library, namespace):
    for part in namespace.split(".")[1:]:
        library = getattr(library, part)
    return library


@pytest.mark.parametrize(
    "namespace,lacking", [(n, names) for n, _, names in summary() if n in NAMESPACES and names]
)
def test_every_missing_name_is_said_to_be_missing(namespace, lacking):
    holder = _holder(rushlight, namespace)
    for name in lacking:
        with pytest.raises(NotImplementedError, match=f"Rushlight does not have {namespace}.{name} yet"):
            getattr(holder, name)
        assert not hasattr(holder, name) and getattr(holder, name, 3) == 3


def test_methods():
    t = rushlight.ones(2)
    with pytest.raises(NotImplementedError, match=r"'Tensor' object has no attribute 'to_sparse_csr'"):
        t.to_sparse_csr()
    with pytest.raises(AttributeError) as caught:
        t.sspaddmm
    assert "torch.Tensor.sspaddmm" in str(caught.value)
    assert not hasattr(t, "to_mkldnn") and not hasattr(rushlight.Tensor, "to_mkldnn")


def test_methods_said_to_be_missing_are_those_that_are():
    lacking = next(names for name, _, names in summary() if name == "torch.Tensor")
    assert importlib.import_module("rushlight.tensor")._LACKING == lacking


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("name", ["no_such_name", "_private", "__wrapped__", "__path_of_nothing__"])
def test_what_pytorch_lacks_too_is_a_plain_error(namespace, name):
    with pytest.raises(AttributeError) as theirs:
        getattr(_holder(torch, namespace), name)
    with pytest.raises(AttributeError) as mine:
        getattr(_holder(rushlight, namespace), name)
    assert type(mine.value) is AttributeError
    assert str(mine.value).replace("rushlight", "torch") == str(theirs.value)


def test_the_nearest_name_is_told():
    assert "torch.nn.functional.kl_div" in str(rushlight.absent.of_module("rushlight", "kl_div"))
    assert "torch.spmm" in str(rushlight.absent.of_module("rushlight", "hspmm"))
    assert str(rushlight.absent.of_module("rushlight", "cudnn_batch_norm")).endswith(
        "has is torch.batch_norm"
    )


@pytest.mark.parametrize("name", ["jit", "AVG", "Tag", "parse_ir", "classes"])
def test_no_name_is_told_that_is_not_near(name):
    words = str(rushlight.absent.MissingName("no such name", "torch", name))
    assert words == f"no such name: Rushlight does not have torch.{name} yet"


@pytest.mark.parametrize("begin", INSTEAD)
def test_what_serves_instead_is_told_of_what_pytorch_has(begin):
    names = torch_names()
    known = {*names, *(f"{space}.{name}" for space, held in names.items() for name in held)}
    found = [name for name in known if name.startswith(begin)]
    told = found and max((known for known in INSTEAD if found[0].startswith(known)), key=len)
    assert found and INSTEAD[told] in rushlight.absent.not_here(found[0])


def test_the_error_can_be_pickled_and_copied():
    error = rushlight.absent.of_module("rushlight", "sparse_csr_tensor")
    assert isinstance(error, MissingName)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is MissingName and str(again) == str(error) and again.name == "sparse_csr_tensor"


# ---- modules ----


@pytest.mark.parametrize("name", ["fx", "fx.passes.shape_prop", "ao.quantization", "quantization", "package"])
def test_importing_a_missing_module(name):
    for error in (ImportError, NotImplementedError):
        with pytest.raises(error, match=r"Rushlight does not have torch.*; the nearest it has is"):
            importlib.import_module(f"rushlight.{name}")


@pytest.mark.parametrize("name", ["no_such_module", "fxx", "ops.no_such_module"])
def test_importing_what_pytorch_lacks_too(name):
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(f"rushlight.{name}")
    assert type(caught.value) is ModuleNotFoundError


def test_programs_may_try_to_import():
    try:
        import rushlight.package  # noqa: F401
    except ImportError as error:
        for again in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (
                type(again) is MissingModule
                and again.name == "rushlight.package"
                and str(again) == str(error)
            )
    else:
        pytest.fail("it is here by now")
    assert importlib.util.find_spec("rushlight.nn") is not None


def test_importing_a_missing_name_is_an_import_error():
    with pytest.raises(ImportError, match="cannot import name 'sparse_csr_tensor'"):
        from rushlight import sparse_csr_tensor  # noqa: F401


def test_namespaces_are_names():
    assert is_torch_name("torch", "jit") and is_torch_name("torch.nn", "utils")
    assert not is_torch_name("torch", "ji") and not is_torch_name("torch", "no_such_name")


def test_modules_are_modules():
    assert (
        is_torch_module("torch.fx")
        and is_torch_module("torch.ao")
        and is_torch_module("torch.utils.tensorboard")
    )
    assert not is_torch_module("torch.f") and not is_torch_module("torch.Tensor")


def test_the_list_is_not_read_at_import():
    code = "import rushlight, rushlight.nn, rushlight.optim; print(rushlight.absent.torch_names.cache_info().misses)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
