"""Copying, pickling and saving tensors; files go to PyTorch and come from it."""

from __future__ import annotations

import copy
import fractions
import io
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from both import plain, same

import rushlight

DTYPES = (
    "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
).split()


def things(T):
    x = T.arange(6.0).reshape(2, 3)
    return {
        "x": x,
        "row": x[1],
        "transposed": x.t(),
        "step": x[:, ::2],
        "leaf": T.ones(2, requires_grad=True),
        "empty": T.zeros(0, 3),
        "scalar": T.tensor(3),
        "expanded": T.ones(1, 3).expand(4, 3),
        "nested": [1, 2.5, "a", None, True, (3, {"b": x[0]})],
        "size": x.shape,
        "dtype": T.bfloat16,
        "device": T.device("cpu"),
        "bytes": b"ab",
        **{name: T.ones(2).to(getattr(T, name)) for name in DTYPES},
    }


def layout(value):
    if isinstance(value, (torch.Tensor, rushlight.Tensor)):
        return plain(value), [s for n, s in zip(value.shape, value.stride()) if n > 1], value.storage_offset()
    if isinstance(value, (list, tuple)):
        return [layout(v) for v in value]
    return {k: layout(v) for k, v in value.items()} if isinstance(value, dict) else str(value)


# ---- copy and pickle ----


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles(protocol):
    before = things(rushlight)
    after = pickle.loads(pickle.dumps(before, protocol))
    assert layout(after) == layout(before)
    assert after["dtype"] is rushlight.bfloat16 and type(after["size"]) is rushlight.Size
    after["x"][0, 0] = 99
    assert before["x"][0, 0] == 0


COPIES = {
    "copy shares": lambda T, x: (lambda c: (c is x, c.data_ptr() == x.data_ptr(), c.storage_offset()))(
        copy.copy(x[1:])
    ),
    "copy of a leaf": lambda T, x: copy.copy(T.ones(2, requires_grad=True)),
    "copy of a computed": lambda T, x: copy.copy(T.ones(2, requires_grad=True) * 2).is_leaf,
    "copy counts its own writes": lambda T, x: (lambda c: (c.add_(1), c._version, x._version, x))(
        copy.copy(x)
    ),
    "deepcopy": lambda T, x: (lambda c: (c.add_(1), x, c))(copy.deepcopy(x)),
    "views stay views": lambda T, x: (lambda c: (c[1].zero_(), c[0]))(copy.deepcopy([x, x[1:]])),
    "the same stays the same": lambda T, x: (lambda c: c[0] is c[1])(copy.deepcopy([x, x])),
    "whole storage": lambda T, x: copy.deepcopy(x[1:]).untyped_storage().nbytes(),
    "strides": lambda T, x: copy.deepcopy(x.t()).stride(),
    "computed": lambda T, x: copy.deepcopy(T.ones(2, requires_grad=True) * 2),
    "attributes": lambda T, x: (setattr(x, "note", [1]), copy.deepcopy(x).note, copy.copy(x).note is x.note)[
        1:
    ],
    "pickled attributes": lambda T, x: (setattr(x, "note", 3), pickle.loads(pickle.dumps(x)).note)[1],
    "sharing is lost in pickles": lambda T, x: (lambda c: (c[1].zero_(), c[0]))(
        pickle.loads(pickle.dumps([x, x[1]]))
    ),
    "setstate": lambda T, x: (x.__setstate__((True, None, None)), x)[1],
    "setstate of a computed": lambda T, x: (x.requires_grad_() * 2).__setstate__((True, None, None)),
}


@pytest.mark.parametrize("case", COPIES)
def test_copies(case):
    same(lambda T: COPIES[case](T, T.arange(6.0).reshape(2, 3)))


def test_deepcopy_copies_the_gradient():
    def program(T):
        x = T.ones(2, requires_grad=True)
        (x * 3).sum().backward()
        y = copy.deepcopy(x)
        y.grad.add_(1)
        return x.grad, y.grad, copy.copy(x).grad, pickle.loads(pickle.dumps(x)).grad

    same(program)


# ---- save and load ----


def saved(T, value, **options):
    file = io.BytesIO()
    T.save(value, file, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("writer, reader", [(rushlight, torch), (torch, rushlight), (rushlight, rushlight)])
def test_files_pass_between_the_libraries(writer, reader, protocol):
    file = saved(writer, things(writer), pickle_protocol=protocol)
    options = {"weights_only": protocol == 2} if reader is torch else {}
    back = reader.load(file, **options)
    assert layout(back) == layout(things(reader))
    back["x"][1, 0] = 99
    assert back["row"][0] == back["transposed"][0, 1] == 99 and back["nested"][5][1]["b"][0] == 0
    assert all(isinstance(back[name], reader.Tensor) for name in DTYPES)


def test_modules_weights_come_over():
    module = torch.nn.Linear(2, 3)
    state = rushlight.load(saved(torch, module.state_dict()))
    assert list(state) == ["weight", "bias"]
    assert state["weight"].tolist() == module.weight.tolist()
    parameter = rushlight.load(saved(torch, module.weight))
    assert parameter.requires_grad and parameter.is_leaf


def test_paths_and_layout_of_the_file(tmp_path):
    path = tmp_path / "model.pt"
    rushlight.save({"a": rushlight.arange(3), "b": rushlight.ones(5, dtype=rushlight.uint8)}, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert "model/data.pkl" in archive.namelist() and "model/data/1" in archive.namelist()
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert (info.header_offset + 30 + len(info.filename) + len(info.extra)) % 64 == 0
    assert plain(torch.load(path, mmap=True)) == plain(rushlight.load(str(path)))


class Dangerous:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize("options", [{}, {"weights_only": True}, {"weights_only": False}])
def test_nothing_in_a_file_is_run(options):
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        rushlight.load(saved(torch, Dangerous()), **options)


def test_what_a_program_allows_is_loaded():
    content = saved(rushlight, fractions.Fraction(1, 3)).getvalue()
    with rushlight.serialization.safe_globals([fractions.Fraction]):
        assert rushlight.load(io.BytesIO(content)) == fractions.Fraction(1, 3)
        assert rushlight.serialization.get_safe_globals() == [fractions.Fraction]
    with pytest.raises(pickle.UnpicklingError):
        rushlight.load(io.BytesIO(content))
    rushlight.serialization.add_safe_globals([(fractions.Fraction, "fractions.Fraction")])
    assert rushlight.load(io.BytesIO(content)) == fractions.Fraction(1, 3)
    rushlight.serialization.clear_safe_globals()
    assert rushlight.serialization.get_safe_globals() == []


def test_damaged_files_raise():
    content = saved(rushlight, things(rushlight)).getvalue()
    source = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(source.choice([1, 3, 10])):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        if source.random() < 0.2:
            damaged = damaged[: source.randrange(len(damaged))]
        try:
            rushlight.load(io.BytesIO(bytes(damaged)))
        except Exception as error:
            assert not isinstance(error, (MemoryError, AssertionError)), error


def layout_beyond_the_storage(tmp_path):
    class Lie:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, (torch.ones(2).storage(), 0, (1000,), (1,), False, {})

    return rushlight.load(saved(torch, Lie()))


def test_a_layout_beyond_the_storage_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="out of bounds"):
        layout_beyond_the_storage(tmp_path)


@pytest.mark.parametrize("content", [b"", b"abc", pickle.dumps(3)])
def test_what_is_no_file_of_ours(content):
    with pytest.raises((EOFError, pickle.UnpicklingError, NotImplementedError)):
        rushlight.load(io.BytesIO(content))


def test_wrong_arguments(tmp_path):
    with pytest.raises(AttributeError):
        rushlight.save(1, 3)
    with pytest.raises(AttributeError):
        rushlight.load(3)
    with pytest.raises(FileNotFoundError):
        rushlight.load(tmp_path / "nowhere.pt")
    rushlight.save(1, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used"):
        rushlight.load(tmp_path / "old.pt", mmap=True)
    assert rushlight.load(saved(torch, torch.ones(2), _use_new_zipfile_serialization=False)).tolist() == [
        1,
        1,
    ]
    with pytest.raises(ValueError):
        rushlight.load(io.BytesIO(), mmap=True)


def test_hooks_are_not_saved():
    x = rushlight.ones(2, requires_grad=True)
    x.register_hook(lambda g: g)
    with pytest.warns(UserWarning, match="will not be serialized"):
        pickle.dumps(x)
    y = rushlight.ones(2, requires_grad=True)
    y.register_hook(rushlight.utils.hooks.unserializable_hook(lambda g: g))
    assert rushlight.load(saved(rushlight, y)).requires_grad


def test_parameters_stay_parameters():
    from rushlight.nn import Parameter

    ours = Parameter(rushlight.arange(3.0))
    for made in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(made) is Parameter and made.requires_grad and made.tolist() == [0, 1, 2]
    file = saved(rushlight, {"p": ours})
    assert type(torch.load(file)["p"]) is torch.nn.Parameter
    assert type(rushlight.load(saved(torch, {"p": torch.nn.Parameter(torch.ones(2))}))["p"]) is Parameter


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bool", "int8", "int64", "float16", "bfloat16", "complex64"]
)
@pytest.mark.parametrize("to", ["float32", "float64", "int32", "bfloat16", "bool"])
def test_large_copies(dtype: str, to: str) -> None:
    """Copies in any order of memory: fresh ones and written ones, converted or not."""
    values = np.random.default_rng(0).integers(-100, 100, (520, 6, 170))
    for lay in (
        lambda t: t.permute(2, 0, 1),
        lambda t: t.transpose(0, 1),
        lambda t: t[::2, :, 1:],
        lambda t: t[:1].expand(520, 6, 170),
        lambda t: t.reshape(520, 6, 17, 10).permute(0, 3, 1, 2),
    ):
        results = []
        for lib in (torch, rushlight):
            x = lay(lib.tensor(values, dtype=lib.float64).to(getattr(lib, dtype)))
            target = lib.ones(x.shape, dtype=getattr(lib, to))
            kept = target.flip(0) if target.is_floating_point() else None
            made = [x.clone(), x.contiguous(), x.clone(memory_format=lib.contiguous_format)]
            if not (dtype == "complex64" and to != "complex64"):
                made += [target.copy_(x), target.transpose(0, 1).copy_(x.transpose(0, 1))]
            if x.dim() == 4:
                made.append(x.contiguous(memory_format=lib.channels_last))
            results.append([*made, *([kept] if kept is not None else [])])
        for want, got in zip(*results):
            assert want.stride() == got.stride() and str(want.dtype)[6:] == str(got.dtype).rpartition(".")[2]
            a, b = (t.to(lib.complex128).numpy() for t, lib in ((want, torch), (got, rushlight)))
            assert a.tobytes() == b.tobytes()
