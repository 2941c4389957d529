"""Loops over elements that lie apart: every few elements of a line, narrow rows, rows that repeat. NumPy says what must come out."""

import ctypes
import mmap
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import rushlight as T
from rushlight.native import jit

pytestmark = pytest.mark.skipif(not jit.available(), reason="these are compiled loops")

KINDS = ["float32", "float64", "uint8", "int16", "float16"]
#: enough elements for maps to be compiled
ENOUGH = 1 << 18


def numbers(shape, kind):
    return (np.random.default_rng(0).random(shape) * 100).astype(kind)


def equal(ours, theirs):
    np.testing.assert_array_equal(ours.numpy(), theirs, strict=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("shape", [(270, 1000), (15421, 17), (4100, 65), (1, ENOUGH + 5), (ENOUGH + 5, 1)])
def test_every_few_elements(kind, step, shape):
    a = numbers((shape[0], shape[1] * step), kind)
    x, y = T.tensor(a)[:, ::step], a[:, ::step]
    equal(x + x, y + y)
    for dim in (0, 1):
        equal(x.amax(dim), y.max(dim))
        np.testing.assert_allclose(x.sum(dim, dtype=T.float64).numpy(), y.sum(dim, dtype="f8"), rtol=1e-12)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_ends_of_lines_of_every_length(step):
    for count in range(ENOUGH, ENOUGH + 34):
        a = numbers((count - 1) * step + 1, "float32")
        equal(T.tensor(a)[::step] + 1, a[::step] + np.float32(1))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is protected by Linux's own call")
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_nothing_is_read_past_the_last_of_every_other_element(kind):
    size, page = np.dtype(kind).itemsize, mmap.PAGESIZE
    room = mmap.mmap(-1, (2 * ENOUGH + 8192) * size // page * page + page)
    memory = np.frombuffer(room, kind)
    last = len(memory) - page // size  # (the page from here on may not be touched)
    memory[:last] = numbers(last, kind)
    libc = ctypes.CDLL(None)
    fence = ctypes.c_void_p(memory.ctypes.data + last * size)
    assert libc.mprotect(fence, ctypes.c_size_t(page), 0) == 0
    try:
        for count in range(ENOUGH, ENOUGH + 17):
            a = memory[last - 2 * count + 1 : last : 2]
            x = T.from_numpy(a)
            equal(x + 1, a + np.dtype(kind).type(1))
            assert x.amax() == a.max()
            np.testing.assert_allclose(x.sum(dtype=T.float64).item(), a.sum(dtype="f8"), rtol=1e-12)
    finally:
        libc.mprotect(fence, ctypes.c_size_t(page), mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 16])
def test_narrow_rows(kind, columns):
    a = numbers((ENOUGH + 7, columns), kind)
    x = T.tensor(a)
    equal(x.amax(1), a.max(1))
    np.testing.assert_allclose(x.sum(1, dtype=T.float64).numpy(), a.sum(1, dtype="f8"), rtol=1e-12)
    turned = T.tensor(np.ascontiguousarray(a.T))
    equal(x + turned.T, a + a)
    equal(turned + x.T, a.T + a.T)
    if kind.startswith("float") and kind != "float16":
        e = np.exp(a.astype("f8") - a.max(1, keepdims=True))
        np.testing.assert_allclose(x.softmax(1).numpy(), e / e.sum(1, keepdims=True), rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("columns", [1, 2, 3, 7, 63, 64, 65, 300])
def test_a_row_for_all(columns, step):
    rows = ENOUGH // columns + 3
    a, c = numbers((rows, columns), "float64"), numbers(columns * step, "float64")[::step]
    x, row = T.tensor(a), T.tensor(np.repeat(c, step))[::step]
    equal(x - row, a - c)
    for dim in (0, 1):
        equal((x - row).amax(dim), (a - c).max(dim))
        np.testing.assert_allclose((x - row).sum(dim).numpy(), (a - c).sum(dim), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("dims", [0, 1, (0, 1)])
@pytest.mark.parametrize(
    "make", [lambda m: m[:, ::2], lambda m: m[:, ::3], lambda m: m.T, lambda m: m[::2, :700]]
)
def test_sums_of_what_lies_apart_have_the_bits_of_sums_of_what_was_computed_before(make, dims):
    x, y = make(T.tensor(numbers((1500, 1400), "float32"))), make(T.tensor(numbers((1500, 1400), "float32")))
    fused = (x * y + x).sum(dims)
    with T.eager():
        eager = (x * y + x).sum(dims)
    equal(fused, eager.numpy())


@pytest.mark.parametrize("kind", [*KINDS, "bool", "complex64", "complex128", "bfloat16"])
@pytest.mark.parametrize(
    "turn",
    [
        lambda a: a.transpose(0, 1), lambda a: a[:, ::2], lambda a: a[::3], lambda a: a[:, 100:],
        lambda a: a.reshape(60, 10, 13, 77).permute(0, 2, 3, 1), lambda a: a.reshape(60, 10, 13, 77).permute(3, 1, 0, 2),
        lambda a: a[:, :1].expand(600, 1001), lambda a: a[:1].expand(600, 1001),
    ],
)  # fmt: skip
def test_copies_have_every_bit(kind, turn):
    """Of whatever type, not-a-number with whatever payload: in rows, in a given order, and over what was there."""
    bits = np.random.default_rng(0).integers(0, 256, 600 * 1001 * 16, np.uint8)
    x = (
        T.from_numpy(bits % 2 if kind == "bool" else bits)
        .view(getattr(T, kind))[: 600 * 1001]
        .view(600, 1001)
    )
    shown = turn(x)
    wanted = as_bytes(shown)
    for made in (
        shown.contiguous(),
        shown.reshape(-1).view(shown.shape),
        T.empty_like(x).resize_(shown.shape).copy_(shown),
    ):
        assert made.is_contiguous() and as_bytes(made).tobytes() == wanted.tobytes()
    again = shown.clone()
    assert as_bytes(again).tobytes() == wanted.tobytes()
    target = turn(T.zeros_like(x)) if 0 not in shown.stride() else T.zeros_like(again)
    assert as_bytes(target.copy_(shown)).tobytes() == wanted.tobytes()


def as_bytes(t):
    """The elements' memory, in order, whatever their type; copied by NumPy."""
    return np.array(t._a, order="C").view(np.uint8)


@pytest.mark.parametrize("dim", [0, 1])
def test_parts_that_lie_in_another_order_are_joined(dim):
    a, b = numbers((700, 600), "float32"), numbers((700, 600), "float32")[::-1]
    x, y = T.tensor(np.ascontiguousarray(a.T)).t(), T.tensor(np.ascontiguousarray(b))
    equal(T.cat([x, y, x], dim), np.concatenate([a, b, a], dim))
    equal(T.stack([x, y], dim), np.stack([a, b], dim))
    with pytest.raises(RuntimeError):
        T.cat([x, y[:, 1:][1:]], dim)


def test_bfloat16_asks_nothing_of_the_processor():
    """For LLVM's own type it calls functions, which are not there in a process, where a processor does not know it."""
    code = """
        import rushlight as T
        x = T.ones(700, 401, dtype=T.bfloat16)
        x.cumsum(0), x.cumprod(1), (x * 2 + 1).exp().sum(), x.softmax(1), x.t().contiguous(), x.sum(0), x[:, ::2].float() + 1
    """
    environment = os.environ | {
        "RUSHLIGHT_DEBUG": "4", "RUSHLIGHT_CACHE": "", "RUSHLIGHT_TIER": "auto", "RUSHLIGHT_FUSE": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    command = [sys.executable, "-c", textwrap.dedent(code)]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stderr
    modules = said.split("rushlight: IR of ")[1:]
    assert sum("i16" in module for module in modules) >= 5
    assert not any("bfloat" in module for module in modules)
