"""Reading and writing by index, held against PyTorch: values, views, nodes, gradients, errors."""

import itertools
import warnings

import numpy as np
import pytest
import torch

import rushlight

FLOATS = ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]
DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", *FLOATS]


def cube(T, dtype="float32"):
    x = T.arange(24).reshape(2, 3, 4)
    return (x % 2 == 0) if dtype == "bool" else x.to(getattr(T, dtype))


LAYOUTS = {
    "contiguous": lambda T: cube(T),
    "permuted": lambda T: T.arange(24.0).reshape(4, 2, 3).permute(1, 2, 0),
    "sliced": lambda T: T.arange(96.0).reshape(4, 3, 8)[::2, :, ::2],
    "broadcast": lambda T: T.arange(4.0).expand(2, 3, 4),
    "empty": lambda T: T.zeros(2, 0, 4),
    "0-d": lambda T: T.tensor(3.0),
    "vector": lambda T: T.arange(5.0),
    "no rows": lambda T: T.zeros(0, 3),
}


def indices(T):
    t = T.tensor
    mask = T.arange(24).reshape(2, 3, 4) % 5 == 0
    return {
        "int": 1,
        "negative": -1,
        "far": 7,
        "pair": (1, 2),
        "full": (1, -1, 3),
        "too many": (0, 0, 0, 0),
        "all": slice(None),
        "start": slice(1, None),
        "stop": slice(None, 1),
        "beyond": slice(5, 9),
        "step": slice(None, None, 2),
        "long step": slice(0, 2, 10),
        "backwards": slice(None, None, -1),
        "no step": slice(None, None, 0),
        "backward bounds": slice(2, 1),
        "tensor bounds": slice(t(0), t(1)),
        "inner slice": (slice(None), slice(1, 3)),
        "inner empty": (slice(None), slice(1, 1)),
        "inner step": (slice(None), slice(None, None, 2), 0),
        "whole slices": (slice(0, 100), slice(None)),
        "ellipsis": ...,
        "ellipsis first": (..., 0),
        "ellipsis middle": (0, ..., 1),
        "ellipsis last": (0, ...),
        "two ellipses": (..., 0, ...),
        "None": None,
        "None first": (None, 0),
        "None inside": (slice(None), None, 1),
        "None last": (..., None),
        "empty tuple": (),
        "True": True,
        "False": False,
        "True inside": (0, True),
        "False inside": (slice(None), False),
        "list": [0, 1, 0],
        "list inside": (0, [0, 2]),
        "lists": ([0, 1], [2, 0]),
        "bools": [True, False],
        "tuple of tuple": ((0, 1),),
        "empty list": [],
        "range": range(2),
        "rows": t([1, 0]),
        "row matrix": t([[0, 1], [1, 1]]),
        "negative rows": t([-1, 0]),
        "far rows": t([0, 5]),
        "int32": t([1, 0], dtype=T.int32),
        "int16": t([1, 0], dtype=T.int16),
        "float": t([0.5]),
        "0-d": t(1),
        "0-d uint8": t(1, dtype=T.uint8),
        "0-d int8": t(-1, dtype=T.int8),
        "0-d True": t(True),
        "0-d False": t(False),
        "0-d float": t(1.0),
        "adjacent": (slice(None), t([0, 2]), t([1, 1])),
        "separated": (t([0, 1]), slice(None), t([3, 0])),
        "int and tensor": (1, slice(None), t([0, 3])),
        "tensor and None": (t([0, 1]), None),
        "broadcast": (t([[0], [1]]), t([0, 2])),
        "broadcast over slice": (slice(None), t([[0], [1]]), t([0, 2])),
        "do not broadcast": (t([0, 1]), t([0, 1, 2])),
        "turned": t([[0, 1], [1, 0]]).t(),
        "mask": mask,
        "row mask": t([True, False]),
        "matrix mask": mask[:, :, 0],
        "inner mask": (0, t([True, False, True])),
        "mask and tensor": (t([True, True]), t([0, 2])),
        "mask and int": (t([True, True]), 0),
        "wrong mask": t([True, False, True]),
        "large mask": T.ones(2, 3, 5, dtype=T.bool),
        "empty rows": T.zeros(0, dtype=T.int64),
        "numpy int": np.int64(1),
        "numpy bool": np.bool_(True),
        "numpy rows": np.array([1, 0]),
        "numpy mask": np.array([True, False]),
        "numpy 0-d": np.array(1),
        "number": 1.0,
        "str": "a",
        "dict": {},
        "object": 1j,
        "huge": 2**70,
        "list with slice": [slice(None), 0],
    }


NAMES = list(indices(torch))


def outcome(f):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f()
        except Exception as error:
            return error


def bits(x):
    """Values as something that compares exactly, NaN included."""
    if x.dtype in (torch.bfloat16, rushlight.bfloat16):
        x = x.float()
    return np.array(x.detach().tolist(), dtype=object)


def assert_same(ours, theirs):
    if isinstance(theirs, Exception):
        assert isinstance(ours, Exception), f"no error; expected {theirs!r}"
        assert type(ours) is type(theirs), f"{ours!r}; expected {theirs!r}"
        return
    if isinstance(ours, Exception):
        raise ours
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype) == str(theirs.dtype)
    assert np.array_equal(bits(ours), bits(theirs))
    for size, mine, wanted in zip(theirs.shape, ours.stride(), theirs.stride()):
        assert mine == wanted or size == 1 and not theirs._is_view(), (ours.stride(), theirs.stride())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading(layout):
    for name in NAMES:
        ours, theirs = (outcome(lambda T=T: LAYOUTS[layout](T)[indices(T)[name]]) for T in (rushlight, torch))
        try:
            assert_same(ours, theirs)
        except AssertionError as error:
            raise AssertionError(f"x[{name}]") from error
        if isinstance(theirs, torch.Tensor):
            assert ours._is_view() == theirs._is_view(), name
            if theirs._is_view() and theirs.untyped_storage().nbytes():
                assert ours.storage_offset() == theirs.storage_offset(), name
        elif isinstance(theirs, IndexError):
            assert str(theirs).split(" (got")[0] in str(ours), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_reading_every_dtype(dtype):
    for name in (
        "int",
        "full",
        "step",
        "rows",
        "mask",
        "row mask",
        "separated",
        "broadcast",
        "0-d True",
        "empty list",
    ):
        assert_same(
            cube(rushlight, dtype)[indices(rushlight)[name]], cube(torch, dtype)[indices(torch)[name]]
        )


def chain(t):
    names, node = [], t.grad_fn
    while node is not None:
        names.append(node.name())
        node = node.next_functions[0][0] if node.next_functions else None
    return names


@pytest.mark.parametrize("name", NAMES)
def test_nodes_and_gradients(name):
    def run(T):
        x = cube(T, "float64").requires_grad_()
        y = x[indices(T)[name]]
        z = (y * y * T.arange(1.0, y.numel() + 1).reshape(y.shape).double()).sum()
        (g,) = T.autograd.grad(z, x, create_graph=True)
        g.pow(2).sum().backward()
        return chain(y), g.tolist(), x.grad.tolist()

    ours, theirs = outcome(lambda: run(rushlight)), outcome(lambda: run(torch))
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), ours
    else:
        assert ours == theirs


# ---- writing ----

VALUES = {
    "number": lambda T: 5,
    "float": lambda T: 2.75,
    "bool": lambda T: True,
    "0-d": lambda T: T.tensor(7.0),
    "row": lambda T: T.arange(4.0),
    "column": lambda T: T.arange(3.0).reshape(3, 1),
    "ones": lambda T: T.full((1, 1, 1, 1, 1), 9.0),
    "all": lambda T: T.arange(24.0).reshape(2, 3, 4) * 10,
    "wrong": lambda T: T.ones(7),
    "empty": lambda T: T.ones(0),
    "ints": lambda T: T.tensor(3),
    "list": lambda T: [1.0],
    "None": lambda T: None,
}


#: "turned" names places twice, and which value stays is left open
ONCE = [name for name in NAMES if name not in ("turned", "row matrix")]


@pytest.mark.parametrize("value", VALUES)
def test_writing(value):
    for name, layout in itertools.product(ONCE, ("contiguous", "permuted", "sliced", "0-d", "empty")):

        def run(T, layout=layout, name=name):
            x = LAYOUTS[layout](T)
            x[indices(T)[name]] = VALUES[value](T)
            return x

        ours, theirs = outcome(lambda run=run: run(rushlight)), outcome(lambda run=run: run(torch))
        try:
            assert_same(ours, theirs)
        except AssertionError as error:
            raise AssertionError(f"x[{name}] = {value}, {layout}") from error


@pytest.mark.parametrize("dtype", DTYPES)
def test_writing_every_dtype(dtype):
    for name, value in itertools.product(
        ("int", "full", "step", "rows", "mask", "separated"), (1, 0, 3, 1.5, True, -1)
    ):

        def run(T, name=name, value=value):
            x = cube(T, dtype)
            x[indices(T)[name]] = value
            return x

        assert_same(outcome(lambda run=run: run(rushlight)), outcome(lambda run=run: run(torch)))


@pytest.mark.parametrize("value", ["number", "0-d", "row", "all", "column"])
@pytest.mark.parametrize("view", [False, True])
def test_writing_on_the_tape(value, view):
    def run(T, name):
        x = cube(T, "float64").requires_grad_()
        v = VALUES[value](T)
        if not isinstance(v, int):
            v = v.double().requires_grad_()
        y = x * 2
        part = y[:] if view else y
        part[indices(T)[name]] = v * v
        (y * y * y).sum().backward()
        given = () if isinstance(v, int) or v.grad is None else v.grad.tolist()
        return y.grad_fn.name(), y._version, y.tolist(), x.grad.tolist(), given

    for name in ONCE:
        ours, theirs = (
            outcome(lambda name=name: run(rushlight, name)),
            outcome(lambda name=name: run(torch, name)),
        )
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), f"{name}: {ours!r}; expected {theirs!r}"
        else:
            assert ours == theirs, name


def test_rules_of_writing():
    for T in (torch, rushlight):
        leaf = T.ones(3, requires_grad=True)
        for index in (0, slice(1, None), [0], T.tensor([True, False, True])):
            with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
                leaf[index] = 1.0
        x = T.zeros(2, 3)
        with pytest.raises(RuntimeError, match="single memory location"):
            x.expand(2, 2, 3)[:, 0] = 1
        x.expand(2, 2, 3)[0] = 1
        assert x.tolist() == [[1.0] * 3] * 2
        with pytest.raises(TypeError, match="does not support deleting"):
            del x[0]
        version = x._version
        x[0, 1] = 4
        x[x > 3] = 2
        x[T.tensor([0])] = T.ones(3)
        assert x._version == version + 3


def test_a_write_spoils_what_backward_needs():
    for T in (torch, rushlight):
        x = T.ones(3, requires_grad=True)
        y = x * 2
        z = y * y
        y[0] = 5
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()
        index = T.tensor([0, 1])
        z = x[index].sum()
        index[0] = 2
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.backward()


def test_swapping_and_repeating():
    for T in (torch, rushlight):
        x = T.arange(6.0).reshape(3, 2)
        x[[0, 1]] = x[[1, 0]]
        assert x.tolist() == [[2, 3], [0, 1], [4, 5]]
        x[[0, 0]] += 1
        assert x.tolist() == [[3, 4], [0, 1], [4, 5]]
        x[0][1] = 9
        assert x[0, 1].item() == 9


def test_uint8_masks_warn():
    for T in (torch, rushlight):
        with pytest.warns(UserWarning, match="indexing with dtype torch.uint8 is now deprecated"):
            T.ones(2)[T.tensor([1, 0], dtype=T.uint8)]
