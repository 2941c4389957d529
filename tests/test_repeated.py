"""What small computations give does not depend on how often they were asked for."""

import itertools
import threading

import numpy as np
import pytest

import rushlight as T
import rushlight.nn.functional as F
from rushlight.native import direct, jit, steps
from rushlight.runtime import repeated, written
from rushlight.runtime.deferral import TIER

compiled = pytest.mark.skipif(
    not jit.available() or direct._start() is None, reason="there are no such functions here"
)

CALLS = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "sin": lambda x: x.sin(),
    "expm1": lambda x: x.expm1(),
    "cumsum": lambda x: x.cumsum(0),
    "cumsum along rows": lambda x: x.cumsum(-1),
    "cumprod": lambda x: x.cumprod(0),
    "largest": lambda x: x.amax(),
    "largest of rows": lambda x: x.amax(-1),
    "largest of columns": lambda x: x.amax(0),
    "smallest of rows": lambda x: x.amin(1),
    "smallest of columns": lambda x: x.amin(-2),
    "softmax": lambda x: x.softmax(-1),
    "softmax of columns": lambda x: x.softmax(0),
    "log_softmax": lambda x: x.log_softmax(1),
    "log_softmax of columns": lambda x: x.log_softmax(-2),
    "var": lambda x: x.var(),
    "var of rows": lambda x: x.var(1),
    "var of columns": lambda x: x.var(0),
    "std of rows": lambda x: x.std(-1),
    "std of columns": lambda x: x.std(0),
    "less a row": lambda x: x - x[-1],
    "a row less it": lambda x: x[-1] - x,
    "less a column": lambda x: x - x[:, -1:],
    "a column less it": lambda x: x[:, :1].contiguous() - x,
    "a row of a matrix less it": lambda x: x[-1:] - x,
    "by a column": lambda x: x / x.abs()[:, :1],
    "a column less a row": lambda x: x[:, :1].contiguous() - x[-1:],
    "a column less a vector": lambda x: x[:, :1].contiguous() - x[0],
    "a vector less a column": lambda x: x[0] - x[:, :1],
    "times every other": lambda x: x * x.repeat_interleave(2, 1)[0, ::2],
    "turned, less it": lambda x: x.t() - x.abs().t().contiguous(),
    "above a row": lambda x: x > x[0],
    "sigmoid": lambda x: x.sigmoid(),
    "the larger": lambda x: T.where(x > 0.5, x, x.cos().reshape(x.shape)),
}
LAYOUTS = {
    "rows": lambda x: x,
    "columns": lambda x: x.t().contiguous().t(),
    "apart": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "repeated": lambda x: x[:, :1].expand(x.shape),
}
SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (4, 9), (9, 4), (8, 17), (40, 40), (3, 130), (70, 65)]


def bits(t):
    return t.shape, t.stride(), t.dtype, t.numpy().tobytes()


EXPRESSIONS = {
    **{
        name: lambda x, y, name=name: getattr(F, name)(x)
        for name in """gelu silu softplus elu selu celu relu relu6 mish leaky_relu hardswish hardsigmoid hardtanh softsign tanhshrink
        logsigmoid""".split()
    },
    **{
        name: lambda x, y, name=name: getattr(x, name)()
        for name in """rsqrt round frac reciprocal logit log1p sinc erf exp2 log2 sign trunc deg2rad isfinite isinf atanh digamma
        erfinv nan_to_num""".split()
    },
    **{
        name: lambda x, y, name=name: getattr(T, name)(x, y)
        for name in "xlogy fmod remainder logaddexp copysign hypot pow fmax nextafter atan2 ldexp".split()
    },
    "lerp": lambda x, y: T.lerp(x, y, x.abs()),
    "lerp by a number": lambda x, y: T.lerp(x, y, 0.25),
    "addcmul": lambda x, y: T.addcmul(x, y, y, value=0.5),
    "addcdiv": lambda x, y: T.addcdiv(x, y, y),
    "clamp": lambda x, y: x.clamp(-0.5, 0.25),
    "clamp between": lambda x, y: x.clamp(y, y.abs()),
    "threshold": lambda x, y: F.threshold(x, 0.0, -0.0),
    "threshold the other way": lambda x, y: F.threshold(x, -0.0, 0.0),
    "alpha": lambda x, y: x.add(y, alpha=3),
    "sigmoid's gradient": lambda x, y: gradient(T.sigmoid, x, y),
    "tanh's gradient": lambda x, y: gradient(T.tanh, x, y),
    "relu's gradient": lambda x, y: gradient(T.relu, x, y),
    "gelu's gradient": lambda x, y: gradient(F.gelu, x, y),
}


def gradient(function, x, y):
    x = x.detach().requires_grad_()
    return T.autograd.grad(function(x), x, y)[0]


@pytest.fixture
def often(monkeypatch):
    """Everything is written down the second time."""
    monkeypatch.setattr(repeated, "LEFT", [0])
    monkeypatch.setattr(repeated, "_OFTEN", 0)


def values(shape, dtype, special, seed=0):
    T.manual_seed(seed)
    x = T.randn(shape, dtype=dtype)
    if special:
        chosen = T.tensor([0.0, -0.0, T.inf, -T.inf, T.nan, 1e-40, -3e38], dtype=dtype)
        x = T.where(T.rand(shape) < 0.4, chosen[T.randint(7, shape)], x)
    return in_memory(x)


def in_memory(x):
    """Computed, if it waited: the sign of a nan that two others make depends on what a loop adds first."""
    x.data_ptr()
    return x


@compiled
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize("dtype", [T.float32, T.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_a_kind_gives_the_same_bits(call, layout, dtype, monkeypatch):
    for shape, special in itertools.product(SHAPES, (False, True)):
        xs = [in_memory(LAYOUTS[layout](values(shape, dtype, special, seed))) for seed in range(3)]
        monkeypatch.setattr(repeated, "LEFT", [1 << 60])
        expected = [bits(CALLS[call](x)) for x in xs]
        monkeypatch.setattr(repeated, "LEFT", [0])
        monkeypatch.setattr(repeated, "_OFTEN", 0)
        found = [[bits(CALLS[call](x)) for x in xs] for _ in range(4)]
        assert found == [expected] * 4, shape


@compiled
@pytest.mark.parametrize("dtype", [T.float32, T.float64])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_give_the_same_bits(name, dtype, monkeypatch):
    for shape, special in itertools.product(
        [(3, 3), (), (5,), (2, 3, 4), (1, 1), (0, 3), (40, 40), (60, 70)], (False, True)
    ):
        pairs = [(values(shape, dtype, special, n), values(shape, dtype, special, n + 3)) for n in range(3)]
        monkeypatch.setattr(repeated, "LEFT", [1 << 60])
        expected = [bits(EXPRESSIONS[name](x, y)) for x, y in pairs]
        monkeypatch.setattr(repeated, "LEFT", [0])
        monkeypatch.setattr(repeated, "_OFTEN", 0)
        assert [[bits(EXPRESSIONS[name](x, y)) for x, y in pairs] for _ in range(4)] == [expected] * 4, shape


@compiled
def test_numbers_that_are_equal_and_not_the_same(often):
    x = T.full((3, 3), -1.0)
    for _ in range(4):
        for value in (0.0, -0.0):
            assert T.signbit(F.threshold(x, 0.5, value)).all().item() is (str(value) == "-0.0")
            assert T.signbit(T.clamp(x, value, 5.0)).any().item() is (str(value) == "-0.0")


@compiled
@pytest.mark.skipif(TIER == "jit", reason="loops of ours compute the smallest arrays, too")
@pytest.mark.parametrize("call", CALLS)
def test_it_is_written_down(call, often, monkeypatch):
    made = []
    original = written.written

    def write(*args):
        made.append(original(*args))
        return made[-1]

    monkeypatch.setattr(written, "written", write)
    x = values((5, 6), T.float32, False)
    for _ in range(3):
        CALLS[call](x)
    assert made and made[0] is not None


@compiled
def test_calls_that_take_turns(often):
    xs = [values(shape, T.float32, False) for shape in SHAPES]
    expected = [x.double().softmax(1).float() for x in xs]
    for _ in range(4):
        for x, y in zip(xs, expected):
            T.testing.assert_close(x.softmax(1), y)


@compiled
def test_gradients_and_writes_are_those_of_any_call(often):
    x = T.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    for _ in range(4):
        y = x.cumsum(0)
        y.mul_(2)
        assert y.tolist() == [[2, 4], [8, 14]]
        (g,) = T.autograd.grad(y.sum(), x)
        assert g.tolist() == [[4, 4], [2, 2]]
        assert T.autograd.grad(x.amax(1).sum(), x)[0].tolist() == [[0, 1], [0, 1]]
        np.testing.assert_allclose(T.autograd.grad(x.var(0).sum(), x)[0], [[-2, -3], [2, 3]])


@compiled
def test_integers_wrap_around(often):
    x = T.tensor([[2**62, 3], [2**62, 4], [2**62, 5]])
    for _ in range(4):
        assert x.cumsum(0).tolist() == [[2**62, 3], [-(2**63), 7], [-(2**62), 12]]


@compiled
def test_what_does_not_repeat_the_bits_is_not_used(often):
    calls = []

    def compute(a, dim):
        calls.append(a)
        return np.maximum.reduce(a, dim) + 1

    again = repeated.repeated(("extreme", np.maximum), compute)
    a = np.ones((3, 3), np.float32)
    for _ in range(5):
        assert again((1,), a).tolist() == [2, 2, 2]
    assert len(calls) == 5


def test_nothing_is_loaded_for_a_few_calls(monkeypatch):
    asked = []
    monkeypatch.setattr(repeated, "LEFT", [100])
    monkeypatch.setattr(repeated, "_written", lambda *args: asked.append(args))
    monkeypatch.setattr(repeated, "can_compile", _Never())
    again = repeated.repeated(("function", np.exp), np.exp)
    for _ in range(100):
        assert again((), np.zeros(3)).tolist() == [1, 1, 1]
    assert not asked
    for _ in range(100):
        assert again((), np.zeros(3)).tolist() == [1, 1, 1]
    assert len(asked) == 1


class _Never:
    """Nobody knows yet whether there is a compiler; asking is an error."""

    class cache_info:
        currsize = 0


def test_without_a_compiler_nobody_asks_again(monkeypatch):
    asked = []
    monkeypatch.setattr(repeated, "LEFT", [0])
    monkeypatch.setattr(repeated, "_OFTEN", 0)
    monkeypatch.setattr(jit, "available", lambda: asked.append(0))
    monkeypatch.setattr(repeated, "_left", lambda left: left)
    again = repeated.repeated(("function", np.exp), np.exp)
    for _ in range(1000):
        assert again((), np.zeros(3)).tolist() == [1, 1, 1]
    assert len(asked) == 1


LOOKS = {
    "at a value": lambda x: x + 1 if x.sum() > 0 else x,
    "at an element": lambda x: x + x[0],
    "at truth": lambda x: x + 1 if x > 0 else x,
    "at all of it": lambda x: np.sort(x),
    "at the array": lambda x: np.asarray(x) + 1,
    "at other types": lambda x: x.astype(np.int64).astype(x.dtype),
    "at its attributes": lambda x: x.real + 1,
    "at other memory": lambda x: np.add(x, 1, np.zeros(3)),
    "at nothing": lambda x: np.zeros(3),
}


@compiled
@pytest.mark.parametrize("what", LOOKS)
def test_a_function_that_looks_is_not_written_down(what, monkeypatch):
    a = np.ones(3)
    monkeypatch.setattr(written, "noted", lambda *args, original=written.noted: noted.append(original(*args)))
    noted = []
    assert written.written(("expression", LOOKS[what]), (), (a,), np.ones(3)) is None
    assert noted in ([False], [])


@compiled
def test_loops_that_are_not_there():
    for ufunc, types in ((np.exp, "ll->l"), (np.divmod, "dd->dd"), (np.add, "dd->")):
        with pytest.raises(steps.Unknown):
            steps.loop(ufunc, types)


@compiled
def test_threads_call_at_once(often):
    wrong = []

    def work(n):
        for _ in range(300):
            try:
                if T.full((3, 4), float(n)).cumsum(0).tolist() != [[n] * 4, [2.0 * n] * 4, [3.0 * n] * 4]:
                    wrong.append(n)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@compiled
def test_large_arrays_are_told_from_others(often):
    """A loop of many elements does not look at what it is given."""
    for _ in range(4):
        for shape in ((500, 100), (3, 4), (400, 300), (2, 100)):
            x = T.ones(shape)
            assert (x - x[0]).abs().sum() == 0 and (x + 2 * x[0]).tolist() == T.full(shape, 3.0).tolist()
