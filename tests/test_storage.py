"""Storage beside PyTorch: who shares memory, versions, `data`, `set_`, `resize_`, writes to every layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from both import outcome

import rushlight

LIBRARIES = (torch, rushlight)


def same(theirs: Any, ours: Any) -> None:
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (ours, theirs)
        assert str(ours).startswith(str(theirs).split("\n")[0][:40])
    else:
        assert ours == theirs


def shared(T: Any) -> Any:
    return T.arange(6.0).reshape(2, 3)


CASES: dict[str, Callable] = {
    "sizes": lambda T, x: (
        x.untyped_storage().nbytes(),
        len(x[1].untyped_storage()),
        x[1].untyped_storage().size(),
    ),
    "identity": lambda T, x: (
        x.untyped_storage() is x.t().untyped_storage(),
        x.untyped_storage() == x.clone().untyped_storage(),
    ),
    "pointers": lambda T, x: x[1:].untyped_storage().data_ptr() == x.data_ptr(),
    "bytes": lambda T, x: (
        x.untyped_storage().tolist(),
        x.untyped_storage()[7],
        x.untyped_storage()[4:8].tolist(),
    ),
    "byte out of range": lambda T, x: x.untyped_storage()[100],
    "filled": lambda T, x: (x.untyped_storage().fill_(0).nbytes(), x.tolist()),
    "copied": lambda T, x: (x.untyped_storage().copy_(T.ones(6).untyped_storage()).nbytes(), x.tolist()),
    "cloned": lambda T, x: x.untyped_storage().clone().data_ptr() == x.data_ptr(),
    "typed": lambda T, x: (x.storage().tolist(), x.storage().size(), str(x.storage().dtype), x.storage()[3]),
    "typed class": lambda T, x: (isinstance(x.storage(), T.FloatStorage), T.LongStorage([1, 2]).tolist()),
    "made": lambda T, x: (T.UntypedStorage(4).nbytes(), T.UntypedStorage([1, 2]).tolist()),
    "grown": lambda T, x: (
        x.untyped_storage().resize_(32).nbytes(),
        x.tolist(),
        x.as_strided((2,), (1,), 4).tolist(),
    ),
    "grown under views": lambda T, x: _grow_under_a_view(x),
    "resize_": lambda T, x: (x.resize_(2, 2).tolist(), x.stride(), x.untyped_storage().nbytes()),
    "resize_ larger": lambda T, x: (x.resize_(4, 3)[:2].tolist(), tuple(x.shape)),
    "resize_ a view": lambda T, x: (x[1].resize_(2).tolist(), x.tolist()),
    "resize_ of a leaf": lambda T, x: x.requires_grad_().resize_(2),
    "resize_ negative": lambda T, x: x.resize_(-1),
    "resize_as_": lambda T, x: x.resize_as_(T.ones(3, 2)).tolist(),
    "set_": lambda T, x: (x.set_(T.ones(2)).tolist(), x.storage_offset()),
    "set_ storage": lambda T, x: T.ones(1).set_(x.untyped_storage(), 1, (2, 2), (3, 1)).tolist(),
    "set_ all": lambda T, x: T.ones(1).set_(x.untyped_storage()).tolist(),
    "set_ nothing": lambda T, x: tuple(x.set_().shape),
    "set_ dtype": lambda T, x: x.set_(T.ones(2, dtype=T.int32)),
    "set_ shares": lambda T, x: (T.ones(1).set_(x).zero_().tolist(), x.tolist()),
    "data": lambda T, x: (x.data.add_(1).tolist(), x.tolist(), x._version, x.data._version),
    "detach": lambda T, x: (x.detach().add_(1).tolist(), x._version, x.detach()._version),
    "versions": lambda T, x: _versions(T, x),
    "data assigned": lambda T, x: _assign_data(T, x),
    "data of another dtype": lambda T, x: (
        setattr(x, "data", T.ones(2, dtype=T.int64)),
        str(x.dtype),
        x.tolist(),
    )[1:],
    "data of no tensor": lambda T, x: setattr(x, "data", 3),
    "detach_": lambda T, x: (x.requires_grad_() * 2).detach_().requires_grad,
    "bases": lambda T, x: (
        x.t()._base is x,
        x.t()[0]._base is x,
        x._base is None,
        x._is_view(),
        x[0]._is_view(),
        x.detach()._is_view(),
    ),
    "leaves": lambda T, x: (
        x.is_leaf,
        x.requires_grad_().is_leaf,
        (x * 1).is_leaf,
        x.detach().is_leaf,
        x[0].is_leaf,
    ),
}


def _grow_under_a_view(x: Any) -> list:
    view = x[0]
    x.resize_(4, 3)
    view.fill_(9.0)
    return x[:2].tolist()


def _versions(T: Any, x: Any) -> list:
    seen = [x._version]
    for write in (
        lambda: x.add_(1), lambda: x[0].mul_(2), lambda: x.t().zero_(), lambda: x.copy_(T.ones(3)), lambda: x.fill_(2),
        lambda: x.__setitem__(0, 1), lambda: x.transpose_(0, 1), lambda: x.clone().add_(1), lambda: T.add(x, x, out=x),
    ):  # fmt: skip
        write()
        seen.append(x._version)
    return seen


def _assign_data(T: Any, x: Any) -> list:
    x.requires_grad_()
    other = T.full((3,), 2.0)
    x.data = other
    x.data[0] = 7.0
    return [
        x.tolist(),
        other.tolist(),
        x.requires_grad,
        x.is_leaf,
        x.data_ptr() == other.data_ptr(),
        x._version,
    ]


@pytest.mark.parametrize("name", CASES)
def test_storage_behaves_like_pytorchs(name: str) -> None:
    same(*(outcome(lambda T=T: CASES[name](T, shared(T))) for T in LIBRARIES))


# ---- writes ----

TARGETS: dict[str, Callable] = {
    "contiguous": lambda T, x: x,
    "transposed": lambda T, x: x.t(),
    "column": lambda T, x: x[:, 1],
    "stepped": lambda T, x: x[:, ::2],
    "0-d": lambda T, x: x[1, 1],
    "empty": lambda T, x: x[2:],
    "expanded": lambda T, x: x[:, :1].expand(2, 3),
    "leaf": lambda T, x: x.clone().requires_grad_(),
    "view of a leaf": lambda T, x: x.clone().requires_grad_()[0],
    "result": lambda T, x: x.clone().requires_grad_() * 2,
}
WRITES: dict[str, Callable] = {
    "fill_": lambda T, t: t.fill_(7),
    "fill_ float": lambda T, t: t.fill_(1.5),
    "fill_ tensor": lambda T, t: t.fill_(T.tensor(3)),
    "fill_ vector": lambda T, t: t.fill_(T.ones(2)),
    "fill_ string": lambda T, t: t.fill_("a"),
    "fill_ complex": lambda T, t: t.fill_(1j),
    "zero_": lambda T, t: t.zero_(),
    "copy_": lambda T, t: t.copy_(T.tensor(4.0)),
    "copy_ int": lambda T, t: t.copy_(T.tensor(5)),
    "copy_ itself": lambda T, t: t.copy_(t),
    "copy_ overlapping": lambda T, t: t.view(-1)[1:].copy_(t.view(-1)[:-1]),
    "copy_ overlapping data": lambda T, t: t.view(-1)[1:].copy_(t.data.view(-1)[:-1]),
    "copy_ data": lambda T, t: t.copy_(t.data),
    "copy_ other strides": lambda T, t: t.view(-1)[:1].copy_(t.view(-1)[0].expand(1)),
    "add_ overlapping data": lambda T, t: t.view(-1)[1:].add_(t.data.view(-1)[:-1]),
    "copy_ wrong": lambda T, t: t.copy_(T.ones(7)),
    "copy_ list": lambda T, t: t.copy_([1.0]),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("write", WRITES)
def test_writes(write: str, target: str) -> None:
    def done(T: Any) -> list:
        x = shared(T)
        t = TARGETS[target](T, x)
        out = WRITES[write](T, t)
        return [
            x.tolist(),
            out.tolist(),
            out is t or out._base is x,
            t._version,
            type(out.grad_fn).__name__ if out.requires_grad else None,
        ]

    theirs, ours = (outcome(done, T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("write", ["fill_ tensor", "copy_", "zero_", "copy_ int"])
def test_gradients_of_writes(write: str) -> None:
    def gradients(T: Any) -> list:
        x = T.arange(6.0).reshape(2, 3).clone().requires_grad_()
        source = T.tensor(3.0, requires_grad=True)
        y = x * 2
        part = y[0]
        if write == "fill_ tensor":
            part.fill_(source)
        elif write == "copy_":
            part.copy_(source * T.ones(3))
        else:
            WRITES[write](T, part)
        (y * y).sum().backward()
        return [x.grad.tolist(), None if source.grad is None else source.grad.item()]

    assert gradients(rushlight) == gradients(torch)


def test_storage_of_tensors_made_elsewhere_is_kept_alive() -> None:
    x = rushlight.arange(1000.0).untyped_storage()
    assert rushlight.ones(1).set_(x)[999].item() == 999.0


def test_files_are_mapped(tmp_path):
    """Private ones keep writes to themselves, shared ones are made as large as is asked for."""
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(8)))
    for lib in (torch, rushlight):
        mapped = lib.UntypedStorage.from_file(str(path), False, 4)
        assert mapped.nbytes() == 4 and mapped.untyped() is mapped and mapped.tolist() == [0, 1, 2, 3]
        mapped[0] = 9
        assert path.read_bytes()[0] == 0
        shared = lib.UntypedStorage.from_file(str(path), True, 16)
        shared[1] = 7
        del shared
        assert path.read_bytes() == bytes([0, 7, *range(2, 8), *bytes(8)])
        path.write_bytes(bytes(range(8)))
        assert lib.UntypedStorage.from_file(str(tmp_path / f"new {lib.__name__}"), True, 3).tolist() == [
            0,
            0,
            0,
        ]
        with pytest.raises(RuntimeError):
            lib.UntypedStorage.from_file(str(path), False, 100)
        with pytest.raises(RuntimeError):
            lib.UntypedStorage.from_file(str(tmp_path / "none"), False, 1)


CASTS = "bool byte char short int long half bfloat16 float double complex_float complex_double".split()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("kind", ["Float", "Int", "Double", "Byte"])
def test_storages_become_others(kind, cast):
    def program(T):
        held = getattr(getattr(T, f"{kind}Storage")([0, 1, 7]), cast)()
        return held.tolist(), str(held.dtype), held.type(), held.resizable()

    assert program(rushlight) == program(torch)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages_of_files(tmp_path):
    def program(T):
        path = str(tmp_path / T.__name__)
        held = T.FloatStorage.from_file(path, True, 4)
        held.fill_(2)
        read = T.FloatStorage.from_file(path, False, 3)
        return held.tolist(), read.tolist(), T.IntStorage.from_file(path, False, 1).tolist()

    assert program(rushlight) == program(torch)


@pytest.mark.parametrize("order", ["native", "little", "big"])
@pytest.mark.parametrize("kind", ["Byte", "Short", "Int", "Float", "Double", "Long"])
def test_storages_of_buffers(kind, order):
    def program(T):
        cls = getattr(T, f"{kind}Storage")
        data = bytearray(range(16))
        return cls.from_buffer(data, order).tolist(), cls.from_buffer(data, order, 1, 8).tolist()

    assert program(rushlight) == program(torch)


def test_buffers_that_are_no_storages():
    for options, words in [(("native",), "multiple of element size"), (("odd",), "invalid byte_order")]:
        for T in (rushlight, torch):
            with pytest.raises(ValueError, match=words):
                T.IntStorage.from_buffer(b"12345", *options)
    for count, offset in [(3, 0), (1, 2), (-1, 9), (1, -1)]:
        with pytest.raises(ValueError):
            rushlight.IntStorage.from_buffer(b"12345", "native", count, offset)
