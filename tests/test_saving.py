"""Files that `save` writes and `load` reads which are no plain paths, beside PyTorch's."""

import gzip
import io

import pytest
import torch

import rushlight


class OnlyWrites:
    def __init__(self):
        self.parts = []

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)

    def flush(self):
        """PyTorch asks for it."""


class OnlyReads:
    """A file that does not say whether it can seek."""

    def __init__(self, data):
        file = io.BytesIO(data)
        self.read, self.readline, self.seek, self.tell = file.read, file.readline, file.seek, file.tell


@pytest.mark.parametrize("save, load", [(rushlight, rushlight), (rushlight, torch), (torch, rushlight)])
@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_other_kinds_are_written_and_read(tmp_path, save, load, zipped):
    value = {"a": save.arange(5), "b": save.ones(3)}

    def same(found):
        return found["a"].tolist() == [0, 1, 2, 3, 4] and found["b"].tolist() == [1, 1, 1]

    with gzip.open(tmp_path / "x.gz", "wb") as file:
        save.save(value, file, _use_new_zipfile_serialization=zipped)
    with gzip.open(tmp_path / "x.gz", "rb") as file:
        assert same(load.load(file))
    file = OnlyWrites()
    save.save(value, file, _use_new_zipfile_serialization=zipped)
    assert same(load.load(OnlyReads(b"".join(file.parts))))
    assert same(load.load(io.BytesIO(b"".join(file.parts))))


@pytest.mark.parametrize("load", [rushlight, torch])
def test_files_are_read_from_their_place_on(load):
    file = io.BytesIO()
    for number in range(3):
        rushlight.save(rushlight.full((4,), number), file, _use_new_zipfile_serialization=False)
    file.seek(0)
    assert [load.load(file)[0].item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(EOFError):
        load.load(file)
    file = io.BytesIO(b"head")
    file.seek(4)
    rushlight.save(rushlight.ones(2), file)
    file.seek(4)
    assert load.load(file).tolist() == [1, 1]


@pytest.mark.parametrize("lib", [rushlight, torch])
@pytest.mark.parametrize("zipped", [True, False])
def test_one_memory_has_one_type_in_a_file(lib, zipped):
    x = lib.ones(4)
    with pytest.raises(
        RuntimeError, match="Cannot save multiple tensors or storages that view the same data"
    ):
        lib.save([x, x.view(lib.int32)], io.BytesIO(), _use_new_zipfile_serialization=zipped)
    lib.save([x, x[1:]], io.BytesIO(), _use_new_zipfile_serialization=zipped)


@pytest.mark.parametrize("save, load", [(rushlight, rushlight), (rushlight, torch), (torch, rushlight)])
def test_parameters_keep_the_attributes_they_were_given(save, load):
    p = save.nn.Parameter(save.ones(2), requires_grad=False)
    p.tag, p.sizes = "bias", [1, 2]
    file = io.BytesIO()
    save.save({"p": p, "plain": save.nn.Parameter(save.zeros(1))}, file)
    file.seek(0)
    found = load.load(file)
    assert type(found["p"]) is load.nn.Parameter and not found["p"].requires_grad
    assert found["p"].tag == "bias" and found["p"].sizes == [1, 2] and vars(found["plain"]) == {}


@pytest.mark.parametrize("save, load", [(rushlight, rushlight), (rushlight, torch), (torch, rushlight)])
@pytest.mark.parametrize("kind", ["complex32", "uint16", "bfloat16", "complex128", "bool"])
def test_types_in_files(save, load, kind):
    file = io.BytesIO()
    save.save(save.tensor([0.0, 1.0, 3.0]).to(getattr(save, kind)), file)
    file.seek(0)
    found = load.load(file)
    assert str(found.dtype) == f"torch.{kind}"
    assert found.to(load.complex128).tolist() == [0, 1, 1 if kind == "bool" else 3]


@pytest.mark.parametrize("lib", [rushlight, torch])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_was_written_is_in_the_file(tmp_path, lib, zipped):
    with open(tmp_path / "x", "wb") as file:
        lib.save(lib.ones(3), file, _use_new_zipfile_serialization=zipped)
        assert lib.load(tmp_path / "x").tolist() == [1, 1, 1]
