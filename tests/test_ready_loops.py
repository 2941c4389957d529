"""Loops that are called again: the short ways to them give the bits of the long one, whatever the call looks like."""

import threading

import numpy as np
import pytest

import rushlight as T
from rushlight.native import jit
from rushlight.ops.kinds.reduction import added
from rushlight.profiler import profile
from rushlight.runtime.deferral import ready

pytestmark = pytest.mark.skipif(not jit.available(), reason="there is no compiler")

CALLS = {
    "sum": lambda x: x.sum(),
    "sum of columns": lambda x: x.sum(0),
    "sum of rows": lambda x: x.sum(-1),
    "sum, kept": lambda x: x.sum(1, keepdim=True),
    "sum of two": lambda x: x.sum((0, 1)),
    "mean": lambda x: x.mean(),
    "mean of columns": lambda x: x.mean(0),
    "mean of rows": lambda x: x.mean(1),
    "largest": lambda x: x.amax(),
    "largest of rows": lambda x: x.amax(-1),
    "smallest of columns": lambda x: x.amin(0),
    "smallest, kept": lambda x: x.amin(1, True),
    "product": lambda x: x.prod(),
    "variance": lambda x: x.var(0),
    "softmax": lambda x: x.softmax(1),
    "softmax of columns": lambda x: x.softmax(0),
    "exp": lambda x: x.exp(),
    "sigmoid": lambda x: x.sigmoid(),
    "sin": lambda x: x.sin(),
    "erf": lambda x: x.erf(),
    "cumsum": lambda x: x.cumsum(0),
    "cumsum along rows": lambda x: x.cumsum(1),
}
LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.t().contiguous().t(),
    "apart": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "cube": lambda x: x.reshape(10, 12, -1),
}


def bits(t):
    return t.shape, t.stride(), t.dtype, t.numpy().tobytes()


@pytest.mark.parametrize("dtype", [T.float32, T.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_a_kind_gives_the_same_bits(call, layout, dtype):
    T.manual_seed(3)
    x = LAYOUTS[layout](T.randn(120, 100, dtype=dtype))
    found = [bits(CALLS[call](x)) for _ in range(4)]
    with profile():  # who listens is told of each kernel, on the long way
        found.append(bits(CALLS[call](x)))
    with T.eager():
        found.append(bits(CALLS[call](x)))
    assert found == found[:1] * len(found)
    other = LAYOUTS[layout](T.randn(120, 100, dtype=dtype))
    assert bits(CALLS[call](other)) != found[0]
    np.testing.assert_allclose(CALLS[call](other), CALLS[call](other.double()), 1e-5, 1e-5)


@pytest.mark.parametrize("shape", [(63, 65), (64, 64), (100, 100), (1, 5000), (10, 20, 30)])
@pytest.mark.parametrize("name", ["exp", "sigmoid", "tanh", "log1p", "cos", "erf", "frac"])
def test_functions_do_not_depend_on_the_layout_nor_on_where_the_result_goes(name, shape):
    for dtype in (T.float32, T.float64):
        x = T.rand(shape, dtype=dtype)
        function, inplace = getattr(T, name), getattr(T.Tensor, name + "_")
        found = [function(x) for _ in range(3)]
        turned = function(x.transpose(0, -1).contiguous().transpose(0, -1))
        sparse = function(x.repeat_interleave(2, -1)[..., ::2])
        out = function(x, out=T.empty_like(x))
        for other in (*found, turned, sparse, out, inplace(x.clone())):
            assert other.numpy().tobytes() == found[0].numpy().tobytes() and other.shape == x.shape


def test_sums_are_those_of_another_library():
    x = T.randn(100, 100)
    wide = x.numpy().astype(np.float64)
    for _ in range(3):
        for dim in (0, 1, -1):
            np.testing.assert_array_equal(x.sum(dim), wide.sum(dim).astype(np.float32))
            np.testing.assert_array_equal(x.amax(dim), x.numpy().max(dim))
        assert x.sum().item() == np.float32(wide.sum())
        assert x.mean().item() == np.float32(wide.sum() / 10_000)


def test_a_gradient_is_recorded_on_the_short_way():
    for _ in range(3):
        x = T.ones(100, 100, requires_grad=True)
        (x.sum() + x.sum(0).sum() + x.mean(1).sum() + x.amax(1).sum() + x.log().sum()).backward()
        np.testing.assert_allclose(x.grad, np.full((100, 100), 3.02, np.float32), rtol=1e-6)


def test_an_error_is_one_however_often_others_were_none():
    x = T.ones(100, 100)
    for _ in range(3):
        x.sum(1), x.amax(1)
    for call in (x.sum, x.mean, x.amax):
        with pytest.raises(IndexError):
            call(2)
        with pytest.raises(TypeError):
            call(True)
        with pytest.raises(TypeError):
            call(1.0)


def test_a_write_is_seen_by_the_next_call():
    x = T.ones(100, 100)
    assert [x.sum().item() for _ in range(3)] == [10_000] * 3
    x[0] = 3
    assert x.sum().item() == 10_200
    assert x[1:].sum().item() == 9_900


def test_nothing_is_ready_for_what_never_ran():
    a = np.ones((97, 101), np.float32)
    assert ready(added, a, (0,), False, None, a.dtype) is None
    T.from_numpy(a).sum(0)
    assert ready(added, a, (0,), False, None, a.dtype)(a).tolist() == [97] * 101
    assert ready(added, a[:1], (0,), False, None, a.dtype) is None


def test_threads_call_at_once():
    arrays = [T.full((100, 100), float(n)) for n in range(4)]
    wrong = []

    def work(n):
        for _ in range(300):
            if arrays[n].sum(0).tolist() != [100.0 * n] * 100 or arrays[n].var().item() != 0:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
