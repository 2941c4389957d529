"""Files in the format of PyTorch before 1.6: both libraries read what either wrote, and hostile ones do no harm."""

import io
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

import rushlight
from rushlight import pickle_memo

BOTH = (torch, rushlight)


def saved(lib, thing, **options):
    file = io.BytesIO()
    lib.save(thing, file, _use_new_zipfile_serialization=False, **options)
    return file.getvalue()


def content(lib):
    base = lib.arange(12.0).view(3, 4)
    kinds = "float64 float16 bfloat16 int8 int16 int32 int64 uint8 bool complex64".split()
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3))
    return {
        "base": base,
        "row": base[1],
        "turned": base.t(),
        "empty": lib.zeros(0, 2),
        "scalar": lib.tensor(3),
        "parameter": lib.nn.Parameter(lib.ones(2)),
        "kinds": [lib.ones(2).to(getattr(lib, kind)) for kind in kinds],
        "state": model.state_dict(),
        "others": [1, "two", 3.0, None, {"four": (5,)}, OrderedDict(six=6)],
        "dtype": lib.float16,
        "size": base.shape,
    }


@pytest.mark.parametrize(
    ("writer", "reader", "protocol"),  # (PyTorch reads the newer protocols only where code may run)
    [
        (torch, rushlight, 2),
        (torch, rushlight, 4),
        (rushlight, torch, 2),
        (rushlight, rushlight, 2),
        (rushlight, rushlight, 4),
    ],
)
def test_either_reads_what_either_wrote(writer, reader, protocol):
    made = content(writer)
    found = reader.load(io.BytesIO(saved(writer, made, pickle_protocol=protocol)))
    assert list(found) == list(made)
    for name in ("base", "row", "turned", "empty", "scalar", "parameter"):
        assert isinstance(found[name], reader.Tensor)
        assert found[name].tolist() == made[name].tolist()
        assert tuple(found[name].stride()) == tuple(made[name].stride())
    assert isinstance(found["parameter"], reader.nn.Parameter) and found["parameter"].requires_grad
    assert [str(t.dtype) for t in found["kinds"]] == [str(t.dtype) for t in made["kinds"]]
    assert [t.tolist() for t in found["kinds"]] == [t.tolist() for t in made["kinds"]]
    assert {k: t.tolist() for k, t in found["state"].items()} == {
        k: t.tolist() for k, t in made["state"].items()
    }
    assert found["others"] == made["others"]
    assert str(found["dtype"]) == "torch.float16"
    assert tuple(found["size"]) == (3, 4)
    found["base"][1, 0] = 99.0
    assert found["row"][0] == 99 and found["turned"][0, 1] == 99


def test_paths(tmp_path):
    rushlight.save(rushlight.ones(2), tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert torch.load(tmp_path / "a.pt").tolist() == [1, 1]
    assert rushlight.load(str(tmp_path / "a.pt")).tolist() == [1, 1]


def test_files_of_big_endian_machines():
    data = saved(torch, torch.tensor([1.0, 2.0, -3.5]))
    assert data.count(b"little_endian") == 1
    at = data.index(b"little_endian") + len(b"little_endian")
    at = data.index(b"\x88", at)  # True
    data = data[:at] + b"\x89" + data[at + 1 : -12] + np.array([1.0, 2.0, -3.5], ">f4").tobytes()
    assert rushlight.load(io.BytesIO(data)).tolist() == [1, 2, -3.5]


def test_nothing_in_a_file_runs():
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    start = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    for data in (pickle.dumps(Evil(), 2), start + pickle.dumps(Evil(), 2)):
        with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
            rushlight.load(io.BytesIO(data))


@pytest.mark.parametrize("thing", [{}, [1, 2], 0x1950A86A20F9469CFC6C + 1])
def test_other_pickles_are_refused(thing):
    with pytest.raises(pickle.UnpicklingError, match=r"no file that torch\.save wrote"):
        rushlight.load(io.BytesIO(pickle.dumps(thing, 2)))


def test_storages_are_not_larger_than_the_file():
    data = saved(rushlight, rushlight.ones(1000))
    for huge in (10**4, 2**31 - 1):
        swapped = data.replace(b"M" + struct.pack("<H", 1000), b"J" + struct.pack("<i", huge), 1)
        assert swapped != data
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            rushlight.load(io.BytesIO(swapped))


def test_damaged_files_raise():
    data = saved(
        rushlight, {"a": rushlight.arange(6.0).view(2, 3), "b": rushlight.ones(2, dtype=rushlight.int64)}
    )
    for length in range(1, len(data)):
        with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError, ValueError)):
            rushlight.load(io.BytesIO(data[:length]))
    keys = data.index(b"]q", len(data) - 120)  # what follows the object: the list of keys, and the data
    for at in range(keys - 2, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x55
        try:
            rushlight.load(io.BytesIO(bytes(damaged)))
        except (
            RuntimeError,
            EOFError,
            pickle.UnpicklingError,
            ValueError,
            TypeError,
            IndexError,
            AttributeError,
            KeyError,
        ):
            pass


# ---- what a pickle remembers ----


def puts(place):
    return [b"\x80\x02Nr" + struct.pack("<I", place) + b".", b"Np%d\n." % place]


@pytest.mark.parametrize("place", [10**6, 10**9, 2**32 - 1])
def test_no_memory_is_taken_for_what_is_not_there(place):
    for data in puts(place):
        for start in (b"", b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {}))):
            if (start + data)[:1] == b"\x80":
                with pytest.raises(pickle.UnpicklingError, match="remembers more"):
                    rushlight.load(io.BytesIO(start + data + bytes(100)))
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a/data.pkl", data)
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="remembers more"):
            rushlight.load(file)


def test_every_opcode_is_known():
    """The lengths of arguments are those that the standard library documents."""
    things = [
        None,
        True,
        1,
        300,
        70000,
        -5,
        2**40,
        2**3000,
        1.5,
        "text",
        "t" * 300,
        b"b",
        b"b" * 300,
        bytearray(b"x"),
    ]
    things += [
        (1, 2, 3, 4),
        [1] * 300,
        {i: str(i) for i in range(300)},
        {1, 2},
        frozenset([3]),
        OrderedDict(a=1),
        complex,
        len,
    ]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(things, protocol)
        pickle_memo.check(data)  # a pickler's own places are never too large
        pickle_memo.check(pickletools.optimize(data))
        for at, mark in (
            (len(data) - 1, b"r" + struct.pack("<I", 2**31)),
            (len(data) - 1, b"p%d\n" % 10**25),
        ):
            with pytest.raises(pickle.UnpicklingError):  # it is seen behind all of these arguments
                pickle_memo.check(data[:at] + mark + b".")
    lengths = {ord(op.code): op.arg.n if op.arg else 0 for op in pickletools.opcodes}
    for opcode, length in lengths.items():
        found = pickle_memo._ARGUMENTS[opcode]
        assert found == length if length >= 0 else found < 0


def test_damaged_pickles_are_left_to_the_unpickler():
    for data in (b"", b"\x80", b"\xff", b"X\xff\xff\xff\xff", b"cno newline", b"Np12", b"r\x01"):
        pickle_memo.check(data)
