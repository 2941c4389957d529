"""NumPy's functions, DLPack and hashing on tensors, compared with PyTorch."""

from __future__ import annotations

import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from both import same

import rushlight

NUMPY = {
    "sin": lambda T, x: np.sin(x),
    "sin of integers": lambda T, x: np.sin(T.arange(3)),
    "greater": lambda T, x: np.greater(x, 1),
    "add": lambda T, x: np.add(x, x),
    "add array": lambda T, x: np.add(x, np.ones(3)),
    "array add": lambda T, x: np.add(np.ones(3), x),
    "array + tensor": lambda T, x: np.ones(3) + x,
    "tensor + array": lambda T, x: x + np.ones(3),
    "array * tensor": lambda T, x: np.ones(3) * x,
    "cumsum": lambda T, x: np.cumsum(x),
    "cumsum of a matrix": lambda T, x: np.cumsum(x.reshape(1, 3)),
    "cumsum along": lambda T, x: np.cumsum(x.reshape(1, 3), axis=0),
    "cumprod": lambda T, x: np.cumprod(x),
    "argmax": lambda T, x: np.argmax(x),
    "sort": lambda T, x: np.sort(x),
    "argsort": lambda T, x: np.argsort(x),
    "reshape": lambda T, x: np.reshape(x, (3, 1)),
    "transpose": lambda T, x: np.transpose(x.reshape(1, 3)),
    "sqrt of 0-d": lambda T, x: np.sqrt(T.tensor(4.0)),
    "where": lambda T, x: np.where(x > 1, x, 0),
    "dot": lambda T, x: np.dot(x, x),
    "concatenate": lambda T, x: np.concatenate([x, x]),
    "stack": lambda T, x: np.stack([x, x]),
    "take": lambda T, x: np.take(x, [0]),
    "isnan": lambda T, x: np.isnan(x),
    "outer": lambda T, x: np.multiply.outer(x, x),
    "linalg.norm": lambda T, x: np.linalg.norm(x),
    "copy": lambda T, x: np.copy(x),
    "array": lambda T, x: np.array(x),
    "asarray": lambda T, x: np.asarray(x),
    "asarray of a type": lambda T, x: np.asarray(x, dtype=np.float64),
    "array of tensors": lambda T, x: np.array([T.tensor(1), T.tensor(2)]),
    "index": lambda T, x: np.arange(5)[T.tensor([0, 2])],
    "recorded": lambda T, x: np.sin(x.requires_grad_()),
    "asarray recorded": lambda T, x: np.asarray(x.requires_grad_()),
    "bfloat16": lambda T, x: np.asarray(x.bfloat16()),
    "protocol": lambda T, x: x.__array__(np.float64),
    "wrong type": lambda T, x: x.__array__(3),
    "wrap": lambda T, x: x.__array_wrap__(np.ones(2)),
    "wrap bool": lambda T, x: x.__array_wrap__(np.ones(2, bool)),
    "priority": lambda T, x: x.__array_priority__,
    "absent protocols": lambda T, x: [
        hasattr(x, f"__array_{name}__") for name in ("interface", "struct", "ufunc", "function", "prepare")
    ],
}


@pytest.mark.parametrize("case", NUMPY)
def test_numpy(case):
    same(lambda T: NUMPY[case](T, T.arange(3.0)), text=False)


def test_arrays_share_memory_both_ways():
    x = rushlight.zeros(2, 3)
    a = np.asarray(x)
    a[0, 1] = 5
    x[1, 2] = 7
    assert x.tolist() == [[0, 5, 0], [0, 0, 7]] == a.tolist()
    assert np.asarray(x.t()).strides == (4, 12)
    assert np.asarray(x, copy=False) is not None and not np.shares_memory(np.array(x), a)
    with pytest.raises(ValueError):
        np.asarray(x, dtype=np.float64, copy=False)
    y = rushlight.from_numpy(a)
    y[0, 0] = 9
    assert x[0, 0].item() == 9


def test_a_wrapped_result_is_on_its_array():
    x = rushlight.ones(2).__array_wrap__(a := np.zeros(2))
    a[0] = 3
    assert x.tolist() == [3.0, 0.0]


# ---- DLPack ----

DLPACK = {
    "device": lambda T, x: (tuple(map(int, x.__dlpack_device__())), x.__dlpack_device__()[0].name),
    "to numpy": lambda T, x: np.from_dlpack(x),
    "round trip": lambda T, x: T.from_dlpack(x),
    "capsule": lambda T, x: T.from_dlpack(x.__dlpack__()),
    "versioned": lambda T, x: T.from_dlpack(x.__dlpack__(max_version=(1, 0))),
    "utils": lambda T, x: T.utils.dlpack.from_dlpack(T.utils.dlpack.to_dlpack(x)),
    "transposed": lambda T, x: T.from_dlpack(x.t()),
    "bfloat16": lambda T, x: T.from_dlpack(x.bfloat16()),
    "bool": lambda T, x: T.from_dlpack(x > 1),
    "complex": lambda T, x: T.from_dlpack(np.array([1j, 2])),
    "0-d": lambda T, x: T.from_dlpack(np.array(3.0)),
    "empty": lambda T, x: T.from_dlpack(np.zeros((0, 2))),
    "device argument": lambda T, x: T.from_dlpack(x, device="cpu"),
    "copy": lambda T, x: T.from_dlpack(x, copy=True),
    "capsule twice": lambda T, x: (lambda c: (T.from_dlpack(c), T.from_dlpack(c)))(x.__dlpack__()),
    "list": lambda T, x: T.from_dlpack([1, 2]),
    "number": lambda T, x: T.from_dlpack(3),
    "text array": lambda T, x: T.from_dlpack(np.array(["a"])),
    "recorded": lambda T, x: T.from_dlpack(x.requires_grad_()),
    "stream": lambda T, x: x.__dlpack__(stream=1),
    "stream text": lambda T, x: x.__dlpack__(stream="a"),
    "no tensor": lambda T, x: T.utils.dlpack.to_dlpack(3),
    **{
        name: (lambda T, x, n=name: T.from_dlpack(np.ones(2, n)))
        for name in ("int8", "uint16", "float16", "complex64")
    },
}


@pytest.mark.parametrize("case", DLPACK)
def test_dlpack(case):
    same(lambda T: DLPACK[case](T, T.arange(6.0).reshape(2, 3)), text=False)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "bool", "int64", "complex128"])
def test_memory_is_shared_with_pytorch(kind):
    ours = rushlight.zeros(2, 2).to(getattr(rushlight, kind))
    theirs = torch.from_dlpack(ours)
    ours[0, 1] = 1
    assert theirs.data_ptr() == ours.data_ptr() and str(theirs.dtype) == str(ours.dtype)
    assert theirs.tolist() == ours.tolist()
    back = rushlight.from_dlpack(theirs.t())
    theirs[1, 0] = 1
    assert back.tolist() == ours.t().tolist() and back.stride() == (1, 2)


def test_negative_strides_are_refused():
    with pytest.raises(ValueError, match="negative"):
        rushlight.from_dlpack(np.ones(3)[::-1])


def test_the_memory_outlives_its_maker():
    x = rushlight.from_dlpack(np.full(1000, 7.0))
    y = rushlight.from_dlpack(rushlight.full((1000,), 3.0).bfloat16())
    garbage = [np.zeros(1000) for _ in range(50)]
    assert x.tolist() == [7.0] * 1000 and y.tolist() == [3.0] * 1000 and len(garbage) == 50


# ---- tensors as Python objects ----


def test_identity_hash_and_weak_references():
    x = rushlight.ones(2)
    assert len({x, x.view(2), x}) == 2 and {x: 1}[x] == 1
    gone = []
    held = weakref.ref(x, gone.append)
    assert held() is x
    del x
    assert gone and held() is None


def test_attributes_of_the_users_own():
    x = rushlight.ones(2)
    x.note = [1]
    assert x.note == [1] and "note" in dir(x) and vars(x) == {"note": [1]}
    assert rushlight.ones(1).__dict__ == {}


def test_capsules_share_memory_that_can_be_written() -> None:
    def program(T):
        t = T.arange(4)
        shared = T.from_dlpack(T.utils.dlpack.to_dlpack(t))
        shared[0] = -9
        del shared
        return t

    same(program)


def test_arrays_where_no_gradients_are_recorded() -> None:
    def program(T):
        p = T.nn.Parameter(T.ones(2))
        with T.no_grad():
            p.numpy()[0] = 7
            seen = [np.asarray(p), np.array(p, dtype=float), np.concatenate([p, p]), p.view(-1).numpy()]
        with T.inference_mode():
            seen.append(p.numpy())
        return seen, p.detach(), T.utils.dlpack.to_dlpack(p) is None

    same(program)
    same(lambda T: T.nn.Parameter(T.ones(2)).numpy())
    same(lambda T: np.asarray(T.nn.Parameter(T.ones(2))))


@pytest.mark.parametrize("convert", ["float", "int", "complex", "bool", "math.sqrt"])
@pytest.mark.parametrize("recorded", [True, False])
def test_numbers_of_tensors_that_require_grad(convert: str, recorded: bool) -> None:
    text = f"""
import warnings, torch, math
s = torch.ones(2, requires_grad=True).sum()
torch.set_grad_enabled({recorded})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print({convert}(s))
print([str(w.message).split(chr(10))[0] for w in caught])
"""
    # PyTorch warns once in a process, so each case has its own
    outputs = [
        subprocess.run(
            [sys.executable, "-c", text.replace("torch,", name)], capture_output=True, text=True, check=True
        ).stdout
        for name in ("torch,", "rushlight as torch,")
    ]
    assert outputs[0] == outputs[1]


def test_modules_with_names_of_pythons_own_are_found() -> None:
    text = (
        "from rushlight.interop import aliasing; aliasing.install(); import torch.__future__ as f, torch;"
        "print(f is torch.__future__, f.get_swap_module_params_on_conversion())"
    )
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert found.stdout == "True False\n"
