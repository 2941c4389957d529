"""Files in the safetensors format, to and from PyTorch's; mapped, checked, and under `rushlight run`."""

import os
import struct
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import rushlight
import rushlight.nn

safetensors = pytest.importorskip("safetensors")
ours = import_module("rushlight.safetensors")

KINDS = "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()
SHAPES = [(), (3,), (2, 3), (0, 4), (2, 1, 2)]


def tensors(T):
    found = {}
    for kind in KINDS:
        for shape in SHAPES:
            values = np.arange(int(np.prod(shape))) % 3
            t = T.tensor(values.tolist(), dtype=T.int64).to(getattr(T, kind)).reshape(shape)
            found[f"{kind}{list(shape)}"] = t
    return found


def alike(found, wanted):
    assert set(found) == set(wanted)
    for name, t in wanted.items():
        assert str(found[name].dtype) == str(t.dtype) and tuple(found[name].shape) == tuple(t.shape)
        assert found[name].tolist() == t.tolist()


def theirs():
    from safetensors import torch as module

    return module


def test_a_file_of_pytorch_is_read(tmp_path):
    theirs().save_file(tensors(torch), tmp_path / "x", {"made": "there"})
    for backend in ("mmap", "pread"):
        alike(ours.load_file(tmp_path / "x", backend=backend), tensors(torch))


def test_pytorch_reads_a_file(tmp_path):
    ours.save_file(tensors(rushlight), tmp_path / "x", {"made": "here"})
    alike(theirs().load_file(tmp_path / "x"), tensors(rushlight))
    with safetensors.safe_open(tmp_path / "x", "np") as file:
        assert file.metadata() == {"made": "here"}


def test_bytes():
    alike(theirs().load(ours.save(tensors(rushlight))), tensors(rushlight))
    alike(ours.load(theirs().save(tensors(torch))), tensors(torch))
    loaded = ours.load(ours.save({"a": rushlight.ones(2)}))["a"]
    assert loaded.add_(1).tolist() == [2, 2]


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="no list of mapped files")
def test_nothing_is_read_before_it_is_used(tmp_path):
    path = tmp_path / "large"
    ours.save_file({"a": rushlight.zeros(1 << 20), "b": rushlight.ones(1 << 20)}, path)
    loaded = ours.load_file(path)
    with open("/proc/self/maps") as maps:
        mapped = str(path) in maps.read()
    assert mapped
    loaded["a"][0] = 5.0
    assert loaded["a"][:2].tolist() == [5, 0] and loaded["b"][0] == 1
    assert ours.load_file(path)["a"][0] == 0, "a write reached the file"
    assert loaded["a"].untyped_storage().nbytes() == 4 << 20
    assert loaded["a"].sum() == 5


def test_data_that_is_not_aligned(tmp_path):
    """A header of odd length puts float64 where it must not be read in place."""
    header = b'{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}'
    header += b" " * (3 - len(header) % 8 if len(header) % 8 < 3 else 11 - len(header) % 8)
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header + np.array([1.5, 2.5]).tobytes())
    loaded = ours.load_file(tmp_path / "x")["a"]
    assert loaded.tolist() == [1.5, 2.5] and loaded.data_ptr() % 8 == 0


HOSTILE = {
    "empty": b"",
    "short": b"\x01",
    "a header beyond the end": struct.pack("<Q", 1 << 40) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"abcd",
    "offsets beyond the end": struct.pack("<Q", 55)
    + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(55),
    "a shape that does not fit": struct.pack("<Q", 56)
    + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'.ljust(56)
    + b"1234",
    "an unknown type": struct.pack("<Q", 56)
    + b'{"a":{"dtype":"X32","shape":[1],"data_offsets":[0,4]}}'.ljust(56)
    + b"1234",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name, tmp_path):
    (tmp_path / "x").write_bytes(HOSTILE[name])
    with pytest.raises(safetensors.SafetensorError):
        ours.load_file(tmp_path / "x")
    with pytest.raises(safetensors.SafetensorError):
        ours.load(HOSTILE[name])


def test_types_that_are_missing(tmp_path):
    theirs().save_file({"a": torch.ones(2).to(torch.float8_e5m2)}, tmp_path / "x")
    with pytest.raises(NotImplementedError, match="F8_E5M2"):
        ours.load_file(tmp_path / "x")
    with pytest.raises(NotImplementedError, match="complex64"):
        ours.save({"a": rushlight.ones(2, dtype=rushlight.complex128)})


def outcome(module, T, name):
    x = T.arange(6.0)
    given = {
        "no dictionary": [x],
        "no tensor": {"a": 3},
        "not contiguous": {"a": x.reshape(2, 3).t()},
        "shared": {"a": x, "b": x[2:]},
        "parts apart": {"a": x[:3], "b": x[3:]},
    }[name]
    try:
        return len(module.save(given))
    except Exception as error:
        return type(error).__name__, str(error).replace(str(type(x)), "Tensor")


@pytest.mark.parametrize("name", ["no dictionary", "no tensor", "not contiguous", "shared", "parts apart"])
def test_what_is_refused(name):
    wanted, found = outcome(theirs(), torch, name), outcome(ours, rushlight, name)
    if name == "shared":
        assert wanted[0] == found[0] and "Some tensors share memory" in found[1]
    else:
        assert found == wanted


def test_other_devices_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="only 'cpu'"):
        ours.load_file(tmp_path / "x", device="cuda")


def model(T, tied=True):
    T.manual_seed(0)
    found = T.nn.Sequential(T.nn.Linear(3, 3, bias=False), T.nn.Linear(3, 3, bias=False))
    if tied:
        found[1].weight = found[0].weight
    return found


def test_models_with_shared_parameters(tmp_path):
    ours.save_model(model(rushlight), tmp_path / "x", {"k": "v"})
    loaded = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False))
    loaded[1].weight = loaded[0].weight
    assert theirs().load_model(loaded, tmp_path / "x") == (set(), [])
    theirs().save_model(model(torch), tmp_path / "y")
    target = model(rushlight)
    rushlight.nn.init.zeros_(target[0].weight)
    assert ours.load_model(target, tmp_path / "y") == (set(), [])
    assert target[1].weight.tolist() == loaded[0].weight.tolist()


def test_models_that_differ(tmp_path):
    ours.save_model(model(rushlight), tmp_path / "x")
    seen = []
    for module, T in ((theirs(), torch), (ours, rushlight)):
        with pytest.raises(RuntimeError) as caught:
            module.load_model(model(T, tied=False), tmp_path / "x")
        seen.append(str(caught.value))
        seen.append(module.load_model(model(T, tied=False), tmp_path / "x", strict=False))
    assert seen[:2] == seen[2:]


PROGRAM = """
import torch
from safetensors.torch import load_file, save_file
from safetensors import safe_open
save_file({"a": torch.ones(2, 3)}, "x", {"k": "v"})
print(load_file("x"))
with safe_open("x", "pt") as f:
    print(f.get_tensor("a").sum(), f.get_slice("a")[:, 1:].shape)
"""


def test_unmodified_programs(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    env = os.environ | {"PYTHONPATH": str(Path(rushlight.__file__).parents[1])}
    options = {"cwd": tmp_path, "env": env, "capture_output": True, "text": True, "check": True}
    printed = [
        subprocess.run([sys.executable, *command, "program.py"], **options).stdout
        for command in (["-m", "rushlight"], [])
    ]
    assert printed[0] == printed[1]
