"""Joining, turning and repeating, held against PyTorch: values, strides, nodes, gradients, errors."""

import numpy as np
import pytest
import torch
from test_indexing import DTYPES, assert_same, chain, outcome

import rushlight


def x_(T, *shape, dtype="float64"):
    return (T.arange(1, 1 + int(np.prod(shape))).reshape(shape) % 7).to(getattr(T, dtype))


INPUTS = {
    "same": lambda T: [x_(T, 2, 3), x_(T, 2, 3) * 2],
    "rows": lambda T: [x_(T, 1, 3), x_(T, 2, 3), x_(T, 4, 3)],
    "columns": lambda T: [x_(T, 2, 1), x_(T, 2, 2)],
    "vectors": lambda T: [x_(T, 3), x_(T, 3)],
    "0-d": lambda T: [T.tensor(1.0), T.tensor(2.0)],
    "cubes": lambda T: [x_(T, 2, 3, 2), x_(T, 2, 3, 2)],
    "turned": lambda T: [x_(T, 3, 2).t(), x_(T, 3, 2).t()],
    "broadcast": lambda T: [x_(T, 3).expand(2, 3), x_(T, 2, 3)],
    "sliced": lambda T: [x_(T, 4, 6)[::2, ::2], x_(T, 2, 3)],
    "one": lambda T: [x_(T, 2, 3)],
    "empty vector": lambda T: [x_(T, 2, 3), T.zeros(0)],
    "empty rows": lambda T: [x_(T, 2, 3), T.zeros(0, 3)],
    "empties": lambda T: [T.zeros(0), T.zeros(0)],
    "types": lambda T: [
        x_(T, 2, 3, dtype="int32"),
        x_(T, 2, 3, dtype="float32"),
        x_(T, 2, 3, dtype="float16"),
    ],
    "bools": lambda T: [x_(T, 2, 3) > 2, x_(T, 2, 3, dtype="uint8")],
    "ranks": lambda T: [x_(T, 2, 3), x_(T, 6)],
    "images": lambda T: [x_(T, 1, 2, 2, 3).permute(0, 3, 1, 2)] * 2,
    "none": lambda T: [],
    "numbers": lambda T: [x_(T, 2, 3), 1],
    "tensor": lambda T: x_(T, 2, 3),
}
JOINS = {
    "cat": [(), (0,), (1,), (-1,), (2,), (5,), ("a",), (True,)],
    "stack": [(), (1,), (-1,), (2,), (-3,), (9,)],
    "hstack": [()],
    "vstack": [()],
    "dstack": [()],
    "column_stack": [()],
}


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize("inputs", INPUTS)
def test_joins(name, inputs):
    for args in JOINS[name]:
        ours, theirs = (
            outcome(lambda T=T, args=args: getattr(T, name)(INPUTS[inputs](T), *args))
            for T in (rushlight, torch)
        )
        assert_same(ours, theirs)
        if isinstance(theirs, Exception) and not isinstance(theirs, TypeError):
            assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", JOINS)
@pytest.mark.parametrize(
    "inputs", ["same", "rows", "columns", "vectors", "cubes", "turned", "empty vector", "types"]
)
def test_gradients_of_joins(name, inputs):
    def run(T, args):
        xs = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in INPUTS[inputs](T)]
        y = getattr(T, name)(xs, *args)
        weights = T.arange(y.numel()).reshape(y.shape)
        wanted = [x for x in xs if x.requires_grad]
        grads = T.autograd.grad((y * y * weights).sum(), wanted, create_graph=True)
        sum((g * g).sum() for g in grads).backward()
        return y.grad_fn.name(), [g.tolist() for g in grads], [x.grad.tolist() for x in wanted]

    for args in JOINS[name]:
        ours, theirs = (outcome(lambda T=T, args=args: run(T, args)) for T in (rushlight, torch))
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), ours
        else:
            assert ours == theirs


def test_memory_is_never_shared():
    for T in (torch, rushlight):
        x = x_(T, 2, 3)
        for y in (T.cat([x]), x.flip(()), x.roll(0, 0), x.rot90(0), x.repeat(1, 1), x.tile(()), T.stack([x])):
            y += 100
        assert x.max().item() < 10


def test_out():
    for T in (torch, rushlight):
        x = x_(T, 2, 3)
        out = T.zeros(4, 3, dtype=T.float64)
        assert T.cat([x, x], out=out) is out and out[2].tolist() == x[0].tolist()
        with pytest.raises(TypeError, match="can't be cast to the desired output type"):
            T.cat([x, x], out=T.zeros(0, dtype=T.int64))
        with pytest.raises(RuntimeError, match="refer to a single memory location"):
            T.cat([x, x[:1]], out=x)


# ---- turning and repeating ----

LAYOUTS = {
    "contiguous": lambda T: x_(T, 2, 3, 2),
    "permuted": lambda T: x_(T, 2, 3, 2).permute(2, 0, 1),
    "sliced": lambda T: x_(T, 4, 3, 4)[::2, :, ::2],
    "broadcast": lambda T: x_(T, 3, 1).expand(2, 3, 2),
    "matrix": lambda T: x_(T, 2, 3),
    "vector": lambda T: x_(T, 4),
    "0-d": lambda T: T.tensor(3.0),
    "empty": lambda T: T.zeros(2, 0, 2),
}
CALLS = {
    "flip": lambda T, x: x.flip(0),
    "flip two": lambda T, x: x.flip(0, -1),
    "flip none": lambda T, x: x.flip(()),
    "flip twice": lambda T, x: x.flip(0, 0),
    "flip far": lambda T, x: x.flip(7),
    "flip by name": lambda T, x: x.flip(dims=[0]),
    "flip function": lambda T, x: T.flip(x, [0]),
    "flip int": lambda T, x: T.flip(x, 0),
    "fliplr": lambda T, x: x.fliplr(),
    "flipud": lambda T, x: x.flipud(),
    "rot90": lambda T, x: x.rot90(),
    "rot90 back": lambda T, x: x.rot90(-1, (1, 0)),
    "rot90 half": lambda T, x: x.rot90(2),
    "rot90 none": lambda T, x: x.rot90(4),
    "rot90 same": lambda T, x: x.rot90(1, (0, 0)),
    "rot90 one": lambda T, x: x.rot90(1, (0,)),
    "roll": lambda T, x: x.roll(1),
    "roll far": lambda T, x: x.roll(-7, 0),
    "roll two": lambda T, x: x.roll((1, 2), (0, 1)),
    "roll misaligned": lambda T, x: x.roll((1, 2), 0),
    "roll no shifts": lambda T, x: x.roll((), ()),
    "repeat": lambda T, x: x.repeat(2, 1, 3),
    "repeat more": lambda T, x: x.repeat(2, 1, 1, 2),
    "repeat zero": lambda T, x: x.repeat((0, 1, 2)),
    "repeat negative": lambda T, x: x.repeat(1, 1, -1),
    "repeat few": lambda T, x: x.repeat(2),
    "repeat nothing": lambda T, x: x.repeat(),
    "tile": lambda T, x: x.tile(2),
    "tile more": lambda T, x: x.tile((2, 1, 1, 2)),
    "interleave": lambda T, x: x.repeat_interleave(2),
    "interleave dim": lambda T, x: x.repeat_interleave(2, -1),
    "interleave none": lambda T, x: x.repeat_interleave(0, 0),
    "interleave negative": lambda T, x: x.repeat_interleave(-1, 0),
    "interleave counts": lambda T, x: x.repeat_interleave(T.tensor([2, 1]), 0),
    "interleave one count": lambda T, x: x.repeat_interleave(T.tensor([3]), 0),
    "interleave size": lambda T, x: x.repeat_interleave(T.tensor([2, 1]), 0, output_size=3),
    "interleave wrong size": lambda T, x: x.repeat_interleave(T.tensor([2, 1]), 0, output_size=4),
    "interleave floats": lambda T, x: x.repeat_interleave(T.tensor([2.0, 1.0]), 0),
    "interleave minus": lambda T, x: x.repeat_interleave(T.tensor([2, -1]), 0),
    "interleave matrix": lambda T, x: x.repeat_interleave(T.ones(2, 2, dtype=T.int64), 0),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_turning_and_repeating(name, layout):
    ours, theirs = (outcome(lambda T=T: CALLS[name](T, LAYOUTS[layout](T))) for T in (rushlight, torch))
    assert_same(ours, theirs)
    if isinstance(theirs, Exception):
        assert str(ours).split("\n")[0] == str(theirs).split("\n")[0]


@pytest.mark.parametrize("name", CALLS)
def test_gradients(name):
    def run(T):
        x = LAYOUTS["contiguous"](T).requires_grad_()
        y = CALLS[name](T, x)
        (g,) = T.autograd.grad((y * y * T.arange(y.numel()).reshape(y.shape)).sum(), x, create_graph=True)
        (g * g).sum().backward()
        return chain(y), g.tolist(), x.grad.tolist()

    ours, theirs = outcome(lambda: run(rushlight)), outcome(lambda: run(torch))
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs), ours
    else:
        assert ours == theirs


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    for f in (
        lambda T, x: T.cat([x, x], 1),
        lambda T, x: T.stack([x, x], -1),
        lambda T, x: x.flip(0),
        lambda T, x: x.roll(1, 1),
        lambda T, x: x.repeat(2, 2),
        lambda T, x: x.repeat_interleave(2, 0),
    ):
        assert_same(f(rushlight, x_(rushlight, 2, 3, dtype=dtype)), f(torch, x_(torch, 2, 3, dtype=dtype)))


def test_counting_alone():
    for counts in ([1, 2, 0], [0], []):
        ours, theirs = (T.repeat_interleave(T.tensor(counts, dtype=T.int32)) for T in (rushlight, torch))
        assert_same(ours, theirs)


def test_one_hot():
    from rushlight.ops.repeating import one_hot

    for args in (([0, 2],), ([[1, 0], [3, 2]],), ([0, 2], 4), ([0, 2], 2), ([-1],), ([],), ([], 3), (2,)):
        ours = outcome(lambda args=args: one_hot(rushlight.tensor(args[0], dtype=rushlight.int64), *args[1:]))
        theirs = outcome(
            lambda args=args: torch.nn.functional.one_hot(torch.tensor(args[0], dtype=torch.int64), *args[1:])
        )
        assert_same(ours, theirs)
        if isinstance(theirs, Exception):
            assert str(ours) == str(theirs)
