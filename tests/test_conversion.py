"""Conversions beside PyTorch: every pair of dtypes, forms of `to`, Python's and NumPy's values, properties, devices."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from both import outcome

import rushlight

LIBRARIES = (torch, rushlight)
DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
VALUES = [0, 1, -1, 2, 127, 128, 255, 256, -129, 65504, 70000, 2**31 - 1, 2**31, 2**53 + 1, -(2**40)]
FRACTIONS = [
    0.0,
    -0.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -1.7,
    254.9,
    300.7,
    65519.9,
    65520.1,
    3.4e38,
    1e300,
    float("inf"),
    float("-inf"),
    float("nan"),
]


def same(theirs: Any, ours: Any) -> None:
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), (ours, theirs)
        assert str(ours).startswith(str(theirs).split("\n")[0][:40])
    elif isinstance(theirs, torch.Tensor):
        assert not isinstance(ours, Exception), ours
        assert (tuple(ours.shape), ours.stride(), str(ours.dtype)) == (
            tuple(theirs.shape),
            theirs.stride(),
            str(theirs.dtype),
        )
        np.testing.assert_array_equal(np.array(ours.tolist()), np.array(theirs.tolist()))
    elif isinstance(theirs, (float, complex)) and theirs != theirs:
        assert ours != ours
    else:
        assert ours == theirs and type(ours).__name__ == type(theirs).__name__


# ---- dtypes ----


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "gapped", "expanded", "0-d", "empty"])
@pytest.mark.parametrize("source", DTYPES)
def test_every_pair_of_dtypes(source: str, layout: str) -> None:
    def laid(T: Any) -> Any:
        x = (
            T.tensor([v for v in VALUES if abs(v) < 128][:4] * 3, dtype=T.int16)
            .to(getattr(T, source))
            .reshape(3, 4)
        )
        return {
            "contiguous": x, "transposed": x.t(), "gapped": x[:, ::2], "expanded": x[:1].expand(3, 4), "0-d": x[1, 1],
            "empty": x[3:],
        }[layout]  # fmt: skip

    for target in DTYPES:
        same(*(outcome(lambda T=T: laid(T).to(getattr(T, target))) for T in LIBRARIES))


@pytest.mark.parametrize(
    "target", ["bool", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
)
def test_values_at_the_edges(target: str) -> None:
    for source, values in (("int64", VALUES), ("float64", FRACTIONS), ("float32", FRACTIONS)):
        kept = [
            v for v in values if not (target == "int64" and abs(v) > 2**62 or target == "int64" and v != v)
        ]
        same(*(T.tensor(kept, dtype=getattr(T, source)).to(getattr(T, target)) for T in LIBRARIES))


NAMES = [
    "float",
    "double",
    "half",
    "bfloat16",
    "int",
    "long",
    "short",
    "char",
    "byte",
    "bool",
    "cfloat",
    "cdouble",
]


@pytest.mark.parametrize("name", NAMES)
def test_named_conversions(name: str) -> None:
    for dtype in ("int64", "float32"):
        same(*(getattr(T.arange(6, dtype=getattr(T, dtype)).reshape(2, 3).t(), name)() for T in LIBRARIES))
    x = getattr(rushlight.ones(2), name)()
    assert getattr(x, name)() is x


# ---- to ----

TO: dict[str, Callable] = {
    "dtype": lambda T, x: x.to(T.float64),
    "keyword": lambda T, x: x.to(dtype=T.float32),
    "itself": lambda T, x: x.to(T.int32) is x,
    "nothing": lambda T, x: x.to() is x,
    "None": lambda T, x: x.to(None) is x,
    "device": lambda T, x: x.to("cpu") is x,
    "device and dtype": lambda T, x: x.to("cpu", T.float32),
    "device object": lambda T, x: x.to(T.device("cpu"), dtype=T.int64),
    "device number": lambda T, x: x.to(0),
    "other": lambda T, x: x.to(T.ones(1, dtype=T.float16)),
    "tensor=": lambda T, x: x.to(tensor=T.ones(1)),
    "other=": lambda T, x: x.to(other=T.ones(1)),
    "copy": lambda T, x: x.to(T.int32, copy=True) is x,
    "copy by position": lambda T, x: x.to(T.int32, False, True) is x,
    "non_blocking": lambda T, x: x.to(T.int32, True) is x,
    "contiguous": lambda T, x: x.t().to(T.float32, memory_format=T.contiguous_format),
    "python type": lambda T, x: x.to(float),
    "number": lambda T, x: x.to(1.5),
    "cuda": lambda T, x: x.to("cuda"),
    "cuda()": lambda T, x: x.cuda(),
    "no device": lambda T, x: x.to("foo"),
    "list": lambda T, x: x.to([1]),
    "two dtypes": lambda T, x: x.to(T.int32, T.int32),
    "unknown": lambda T, x: x.to(foo=1),
    "type_as": lambda T, x: x.type_as(T.ones(1)),
    "type_as number": lambda T, x: x.type_as(3),
    "cpu": lambda T, x: x.cpu() is x,
}


@pytest.mark.parametrize("name", TO)
def test_forms_of_to(name: str) -> None:
    same(*(outcome(TO[name], T, T.arange(4, dtype=T.int32).reshape(2, 2)) for T in LIBRARIES))


def test_gradients_pass_through_conversions() -> None:
    for T in LIBRARIES:
        x = T.ones(2, requires_grad=True)
        y = x.to(T.float64)
        assert type(y.grad_fn).__name__ == "ToCopyBackward0" and not x.to(T.int64).requires_grad
        (first,) = T.autograd.grad((y * y * y).sum(), x, create_graph=True)
        (second,) = T.autograd.grad(first.sum(), x)
        assert first.tolist() == [3.0, 3.0] and second.tolist() == [6.0, 6.0] and first.dtype is T.float32


# ---- Python's and NumPy's values ----

CASTS: dict[str, Callable] = {
    "int": int, "float": float, "bool": bool, "complex": complex, "index": operator.index, "len": len, "list": list,
    "iter": lambda x: [t.tolist() for t in x], "item": lambda x: x.item(), "tolist": lambda x: x.tolist(),
    "in": lambda x: 1 in x, "string in": lambda x: "a" in x, "reversed": lambda x: reversed(x).tolist(),
    "numpy": lambda x: x.numpy().tolist(), "forced": lambda x: x.numpy(force=True).tolist(),
}  # fmt: skip
SCALARS: dict[str, Callable] = {
    "float": lambda T: T.tensor(2.5), "int": lambda T: T.tensor(3), "bool": lambda T: T.tensor(True),
    "one": lambda T: T.tensor([[4.0]]), "one int": lambda T: T.tensor([1]), "vector": lambda T: T.tensor([1, 2]),
    "empty": lambda T: T.zeros(0), "nan": lambda T: T.tensor(float("nan")), "inf": lambda T: T.tensor(float("inf")),
    "large": lambda T: T.tensor(1e30), "complex": lambda T: T.tensor(1 + 2j), "real complex": lambda T: T.tensor(1 + 0j),
    "half": lambda T: T.tensor(0.1, dtype=T.float16), "bfloat16": lambda T: T.tensor([0.1], dtype=T.bfloat16),
    "gradient": lambda T: T.ones(1, requires_grad=True), "uint64": lambda T: T.tensor(2**63 - 1, dtype=T.uint64),
}  # fmt: skip


@pytest.mark.parametrize("value", SCALARS)
@pytest.mark.parametrize("cast", [name for name in CASTS if name != "list"])
def test_python_values(cast: str, value: str) -> None:
    same(*(outcome(CASTS[cast], SCALARS[value](T)) for T in LIBRARIES))


def test_numpy_shares_memory_and_strides() -> None:
    x = rushlight.arange(6.0).reshape(2, 3)
    a = x.t().numpy()
    a[0, 1] = 50.0
    x[1, 2] = 60.0
    assert x[1, 0].item() == 50.0 and a[2, 1] == 60.0 and a.strides == (4, 12)


# ---- properties ----

PROPERTIES: dict[str, Callable] = {
    "sizes": lambda T, x: (tuple(x.shape), x.size(-1), x.dim(), x.ndim, x.numel(), x.nelement(), len(x)),
    "bytes": lambda T, x: (x.element_size(), x.itemsize, x.nbytes),
    "places": lambda T, x: (x.storage_offset(), x.stride(), x.stride(0), x.is_contiguous(), x.dim_order()),
    "flags": lambda T, x: (
        x.is_cuda,
        x.is_cpu,
        x.is_sparse,
        x.is_quantized,
        x.is_meta,
        x.is_inference(),
        x.is_shared(),
        x.is_pinned(),
    ),
    "kinds": lambda T, x: (
        x.is_floating_point(),
        x.is_complex(),
        x.is_signed(),
        T.is_tensor(x),
        T.is_tensor(1),
        T.is_storage(x),
    ),
    "texts": lambda T, x: (
        str(x.dtype),
        str(x.device),
        str(x.layout),
        repr(x.device),
        x.type(),
        x.get_device(),
    ),
    "bad dim": lambda T, x: x.size(3),
    "bad stride": lambda T, x: x.stride(-4),
    "dim of 0-d": lambda T, x: T.tensor(1).size(0),
    "string dim": lambda T, x: x.size("a"),
    "is_nonzero": lambda T, x: x.is_nonzero(),
    "sets": lambda T, x: (x.is_set_to(x.view(2, 3, 4)), x.is_set_to(x.clone()), x.is_same_size(x[0])),
    "formats": lambda T, x: (
        x[None].is_contiguous(memory_format=T.channels_last),
        x.is_contiguous(memory_format=T.channels_last),
    ),
    "promotion": lambda T, x: (
        str(T.result_type(x, 1j)),
        str(T.promote_types(T.int8, T.uint8)),
        T.can_cast(T.float32, T.int8),
    ),
    "finfo": lambda T, x: tuple(
        repr(T.finfo(d)) for d in (T.float16, T.bfloat16, T.float32, T.float64, T.complex64)
    ),
    "iinfo": lambda T, x: tuple(repr(T.iinfo(d)) for d in (T.uint8, T.int8, T.int32, T.int64, T.uint64)),
    "finfo of int": lambda T, x: T.finfo(T.int32),
    "iinfo of float": lambda T, x: T.iinfo(T.float32),
    "finfo equal": lambda T, x: T.finfo(T.float32) == T.finfo(T.float32),
    "default": lambda T, x: T.set_default_dtype(T.int32),
    "numel of number": lambda T, x: T.numel(3),
    "item of string": lambda T, x: T.Tensor.item("text"),
    "data_ptr": lambda T, x: (
        x[1:].data_ptr() - x.data_ptr(),
        x[2:].data_ptr(),
        x.untyped_storage().data_ptr() == x.data_ptr(),
    ),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_properties(name: str) -> None:
    same(*(outcome(PROPERTIES[name], T, T.zeros(2, 3, 4, dtype=T.int16)) for T in LIBRARIES))


# ---- devices ----

DEVICES: dict[str, Callable] = {
    "cpu": lambda T: T.device("cpu"), "numbered": lambda T: T.device("cpu", 0), "colon": lambda T: T.device("cpu:1"),
    "cuda": lambda T: T.device("cuda:0"), "unknown": lambda T: T.device("foo"), "empty": lambda T: T.device(""),
    "half": lambda T: T.device("cpu:"), "negative": lambda T: T.device("cpu:-1"), "letter": lambda T: T.device("cpu:a"),
    "twice": lambda T: T.device("cpu:0", 0), "float": lambda T: T.device(1.5), "nothing": lambda T: T.device(),
    "keywords": lambda T: T.device(type="cpu", index=0), "device": lambda T: T.device(T.device("cpu")),
    "negative index": lambda T: T.device("cpu", -1),
}  # fmt: skip


@pytest.mark.parametrize("name", DEVICES)
def test_devices(name: str) -> None:
    theirs, ours = (outcome(DEVICES[name], T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        same(theirs, ours)
    else:
        assert (repr(ours), str(ours), ours.type, ours.index) == (
            repr(theirs),
            str(theirs),
            theirs.type,
            theirs.index,
        )
        assert pickle.loads(pickle.dumps(ours)) == ours and hash(ours) == hash(DEVICES[name](rushlight))


def test_default_dtype_governs_factories() -> None:
    results = []
    for T in LIBRARIES:
        try:
            T.set_default_dtype(T.float64)
            made = T.tensor(1.0), T.tensor(1j), T.ones(1), T.arange(0.5), T.full((1,), 2.0), T.Tensor([1])
        finally:
            T.set_default_dtype(T.float32)
        results.append([str(t.dtype) for t in made])
    assert results[0] == results[1]
