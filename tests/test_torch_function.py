"""`__torch_function__`: classes derived from `Tensor`, and others, are asked what operations on them mean, as under PyTorch."""

import gc
import subprocess
import sys
import threading

import pytest
import torch
from both import same

import rushlight
from rushlight.batched import ASKING

LIBRARIES = pytest.mark.parametrize("lib", [torch, rushlight], ids=["torch", "rushlight"])


def logging(lib):
    """A class that notes what it is asked, and the notes."""
    notes = []

    class Log(lib.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            notes.append((func.__name__, [kind.__name__ for kind in types], [type(a).__name__ for a in args]))
            return super().__torch_function__(func, types, args, kwargs)

    return Log, notes


def plainly(lib, value):
    if isinstance(value, lib.Tensor):
        return type(value).__name__, value.as_subclass(lib.Tensor).tolist()
    if isinstance(value, (tuple, list)):
        return type(value).__name__, [plainly(lib, part) for part in value]
    return value


CALLS = {
    "x + 1": lambda t, x, p: x + 1,
    "x + x": lambda t, x, p: x + x,
    "p + x": lambda t, x, p: p + x,
    "2 * x": lambda t, x, p: 2 * x,
    "1 - x": lambda t, x, p: 1 - x,
    "2 ** x": lambda t, x, p: 2**x,
    "p / x": lambda t, x, p: p / x,
    "x % 2": lambda t, x, p: x % 2,
    "-x": lambda t, x, p: -x,
    "x > p": lambda t, x, p: x > p,
    "p > x": lambda t, x, p: p > x,
    "x @ p": lambda t, x, p: x @ p,
    "p @ x": lambda t, x, p: p @ x[0],
    "p.add": lambda t, x, p: p.add(x),
    "p.add_": lambda t, x, p: p.add_(x[0], alpha=2),
    "p += x": lambda t, x, p: p.__iadd__(x[0]),
    "x += p": lambda t, x, p: x.__iadd__(p),
    "x[0]": lambda t, x, p: x[0],
    "x[i]": lambda t, x, p: x[t.tensor([0, 1])],
    "sum": lambda t, x, p: t.sum(x),
    "x.sum(0)": lambda t, x, p: x.sum(0),
    "x.max(0)": lambda t, x, p: x.max(0),
    "split": lambda t, x, p: t.split(x, 1),
    "cat": lambda t, x, p: t.cat([x, x]),
    "stack": lambda t, x, p: t.stack([p, x[0]]),
    "mm": lambda t, x, p: t.mm(x, x.T),
    "matmul": lambda t, x, p: t.matmul(x, p),
    "where": lambda t, x, p: t.where(x > 1, x, 0.0),
    "exp": lambda t, x, p: t.exp(x * 0),
    "zeros_like": lambda t, x, p: t.zeros_like(x),
    "full_like": lambda t, x, p: t.full_like(x, 2.0),
    "relu": lambda t, x, p: t.nn.functional.relu(x),
    "linear": lambda t, x, p: t.nn.functional.linear(x, t.ones(2, 3)),
    "softmax": lambda t, x, p: t.nn.functional.softmax(x * 0, 0),
    "normalize": lambda t, x, p: t.nn.functional.normalize(x * 0),
    "shape": lambda t, x, p: tuple(x.shape),
    "len": lambda t, x, p: len(x),
    "T": lambda t, x, p: x.T,
    "clone": lambda t, x, p: x.clone(),
    "detach": lambda t, x, p: x.detach(),
    "to": lambda t, x, p: x.to(t.float64),
    "tolist": lambda t, x, p: x.tolist(),
    "equal": lambda t, x, p: t.equal(x, x),
    "bool": lambda t, x, p: bool(x[0, 0]),
    "contains": lambda t, x, p: 1.0 in x,
    "dtype": lambda t, x, p: str(x.dtype)[-7:],
    "fill_": lambda t, x, p: x.fill_(3),
    "view": lambda t, x, p: x.view(-1),
    "numpy": lambda t, x, p: x.numpy().tolist(),
    "clamp": lambda t, x, p: t.clamp(x, min=1),
    "out": lambda t, x, p: t.add(p, p, out=x[0]),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_a_class_is_asked_and_what_comes_of_it(call):
    seen = []
    for lib in (torch, rushlight):
        cls, notes = logging(lib)
        x, p = lib.arange(6.0).reshape(2, 3).as_subclass(cls), lib.ones(3)
        result = CALLS[call](lib, x, p)
        seen.append((plainly(lib, result), list(notes), plainly(lib, p), plainly(lib, x)))
    assert seen[0] == seen[1]


@LIBRARIES
def test_the_function_is_the_one_that_was_called(lib):
    handled = {}

    class Own(lib.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func in handled:
                return handled[func](*args, **(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs)

    x = lib.ones(2, 2).as_subclass(Own)
    F = lib.nn.functional
    for function, args in [
        (lib.mean, ()),
        (lib.add, (x,)),
        (lib.mm, (x,)),
        (lib.matmul, (x,)),
        (lib.Tensor.add, (1,)),
        (lib.nn.functional.linear, (x,)),
        (F.relu, ()),
        (F.softmax, (0,)),
        (F.mse_loss, (x,)),
        (F.gelu, ()),
        (lib.linalg.inv, ()),
        (lib.fft.fft, ()),
        (lib.zeros_like, ()),
    ]:
        handled[function] = lambda *args, **kwargs: "mine"
        assert function(x, *args) == "mine"
        handled.clear()
    handled[lib.Tensor.add] = lambda *args: "mine"
    handled[lib.Tensor.shape.__get__] = lambda *args: "shape"
    assert x.shape == "shape" and x + 1 == "mine" and lib.ones(1) + x == "mine" and 1 + x == "mine"


@LIBRARIES
def test_classes_that_say_nothing_keep_their_class(lib):
    class Plain(lib.Tensor):
        extra = 3

        def double(self):
            return self * 2

    class Derived(Plain): ...

    class Other(lib.Tensor): ...

    x = Plain([1.0, 2.0])
    assert type(x.exp().double()) is Plain and type(lib.exp(x)) is Plain and (x + 1).extra == 3
    assert type(x + x.as_subclass(Derived)) is Derived and type(x.sum()) is Plain
    assert [type(part) for part in x] == [Plain, Plain] and type(x.tolist()[0]) is float
    assert type(lib.nn.Linear(2, 2)(x)) is Plain
    with pytest.raises(TypeError, match="unsupported operand type"):
        x + lib.ones(2).as_subclass(Other)
    with pytest.raises(TypeError, match="__torch_function__"):
        lib.add(x, lib.ones(2).as_subclass(Other))


@LIBRARIES
def test_gradients(lib):
    class Plain(lib.Tensor): ...

    w = lib.tensor([1.0, 2.0]).as_subclass(Plain).requires_grad_()
    loss = (w * w).sum()
    loss.backward()
    assert type(loss) is Plain and w.is_leaf and w.grad.tolist() == [2.0, 4.0]
    (g,) = lib.autograd.grad((w * 3).sum(), w)
    assert g.tolist() == [3.0, 3.0]
    optimizer = lib.optim.SGD([w], lr=0.5)
    optimizer.step()
    assert w.tolist() == [0.0, 0.0]


@LIBRARIES
def test_classes_that_are_no_tensors(lib):
    class Scalar:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__, [kind.__name__ for kind in types], kwargs or {}

    s = Scalar()
    assert lib.mean(s) == ("mean", ["Scalar"], {})
    assert lib.add(lib.ones(1), s) == ("add", ["Scalar"], {})
    assert lib.add(s, 2, alpha=3) == ("add", ["Scalar"], {"alpha": 3})
    assert lib.cat([s, s])[0] == "cat" and lib.nn.functional.mse_loss(s, s)[0] == "mse_loss"
    assert lib.stack((lib.ones(1), s))[:2] == ("stack", ["Scalar"])

    class Unwilling:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    with pytest.raises(TypeError, match="__torch_function__"):
        lib.sum(Unwilling())


@LIBRARIES
def test_nobody_is_asked_where_that_is_switched_off(lib):
    cls, notes = logging(lib)
    x = lib.ones(2).as_subclass(cls)
    with lib._C.DisableTorchFunctionSubclass():
        assert type(x + x) is lib.Tensor and x.shape == (2,) and type(lib.exp(x)) is lib.Tensor
        assert not lib.overrides.has_torch_function((x,))
    assert notes == [] and type(x + x) is cls and lib.overrides.has_torch_function((x,))
    with pytest.raises(ZeroDivisionError), lib._C.DisableTorchFunctionSubclass():
        1 / 0
    assert type(x + x) is cls


@LIBRARIES
def test_parameters_and_what_derives_from_them_are_plain(lib):
    class Weight(lib.nn.Parameter): ...

    class Quiet(lib.Tensor):
        __torch_function__ = lib._C._disabled_torch_function_impl

    for x in (Weight(lib.ones(2)), lib.nn.Parameter(lib.ones(2)), lib.ones(2).as_subclass(Quiet)):
        assert type(x * 2) is lib.Tensor and type(lib.exp(x)) is lib.Tensor
        assert not lib.overrides.has_torch_function((x,))


@LIBRARIES
def test_own_methods_and_mixins_come_first(lib):
    class Mixin:
        def sum(self):
            return "mixin"

    class Own(Mixin, lib.Tensor):
        @property
        def shape(self):
            return "shape"

        def mean(self):
            return "mean"

        def add(self, other):
            return super().add(other).as_subclass(Own)

    x = lib.ones(2).as_subclass(Own)
    assert (x.sum(), x.shape, x.mean()) == ("mixin", "shape", "mean")
    assert type(x.add(1)) is Own and x.add(1).tolist() == [2.0, 2.0]


def test_other_threads_ask_for_themselves():
    class Plain(rushlight.Tensor): ...

    x, seen = rushlight.ones(2).as_subclass(Plain), []
    with rushlight._C.DisableTorchFunctionSubclass():
        worker = threading.Thread(target=lambda: seen.append(type(x + x)))
        worker.start()
        worker.join()
    assert seen == [Plain]


def test_large_tensors_and_saving(tmp_path):
    class Plain(rushlight.Tensor): ...

    x = rushlight.ones(2000, 1000).as_subclass(Plain)
    y = (x * 2 + 1).relu()
    assert type(y) is Plain and float(y.sum()) == 6e6
    del y
    gc.collect()
    rushlight.save({"x": x[:2]}, tmp_path / "file")
    assert rushlight.load(tmp_path / "file")["x"].shape == (2, 1000)


#: functions made of others, each of which asks
_BY_PARTS = {"linear_cross_entropy", "rnn_relu", "rnn_tanh", "spmm"}
#: functions that take part of the work of others, whose code asks; or say what needs no memory
_THEMSELVES = set(
    """autocast convolution get_device is_complex is_conj is_distributed is_floating_point is_inference is_neg is_nonzero
    is_same_size is_signed numel resolve_conj resolve_neg
    sym_float sym_int sym_ite sym_max sym_min sym_not sym_sqrt sym_sum""".split()
)


@pytest.mark.parametrize(
    "place", ["torch", "torch.nn.functional", "torch.linalg", "torch.fft", "torch.special"]
)
def test_every_function_asks(place):
    holder = theirs = None
    for part in place.split("."):
        holder = rushlight if holder is None else getattr(holder, part)
        theirs = torch if theirs is None else getattr(theirs, part)
    silent = set()
    for theirs_function in torch.overrides.get_overridable_functions()[theirs]:
        function = getattr(holder, theirs_function.__name__, None)
        code = getattr(function, "__code__", None)
        asks = code in ASKING or getattr(function, "operation", None) is not None
        if function is not None and not asks:
            silent.add(theirs_function.__name__)
    assert silent <= _THEMSELVES | _BY_PARTS


def test_modes_say_that_they_are_missing():
    class Mode(rushlight.overrides.TorchFunctionMode): ...

    with pytest.raises(NotImplementedError, match="TorchFunctionMode"), Mode():
        pass
    with pytest.raises(NotImplementedError, match="__torch_function__"):
        from rushlight.utils._python_dispatch import TorchDispatchMode  # noqa: F401


def test_a_function_of_the_other_library_refuses_our_tensors():
    for call in (
        torch.pairwise_distance,
        torch.nn.functional.pairwise_distance,
        torch.add,
        torch.nn.functional.relu,
    ):
        with pytest.raises(TypeError):
            call(rushlight.ones(2, 3), rushlight.ones(2, 3))
    with pytest.raises(TypeError):
        torch.nn.functional.relu(rushlight.ones(2))


# ---- what a class replaces and calls ----


@pytest.mark.parametrize(
    "name, args",
    [
        ("sum", ()),
        ("exp", ()),
        ("view", (4,)),
        ("reshape", (4,)),
        ("repeat", (2, 1)),
        ("cumsum", (0,)),
        ("clone", ()),
        ("new_zeros", (2,)),
        ("add", (1,)),
        ("__add__", (1,)),
        ("__rsub__", (1,)),
        ("__neg__", ()),
        ("__eq__", (1,)),
        ("__getitem__", (0,)),
        ("add_", (1,)),
        ("max", (0,)),
        ("split", (1,)),
        ("item", ()),
        ("numpy", ()),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "slots", "mixin", "heir"])
def test_super_gives_the_class(name: str, args: tuple, kind: str) -> None:
    def program(T):
        def method(self, *args):
            return getattr(super(made, self), name)(*args)

        class Mixin: ...

        bases = (Mixin, T.Tensor) if kind == "mixin" else (T.Tensor,)
        facts = {"__slots__": ("tag",)} if kind == "slots" else {}
        made = type("Own", bases, {name: method, **facts})
        cls = type("Heir", (made,), {}) if kind == "heir" else made
        t = T.ones(1) if name == "item" else T.ones(2, 2)
        found = getattr(t.as_subclass(cls), name)(*args)
        parts = found if isinstance(found, tuple) else (found,)
        return [type(part).__name__ for part in parts], isinstance(t.as_subclass(cls), T.Tensor)

    same(program)


def test_properties_by_super() -> None:
    def program(T):
        class Own(T.Tensor):
            @property
            def T(self):
                return super().T

            @property
            def data(self):
                return super().data

        t = T.ones(2, 2).as_subclass(Own)
        return type(t.T).__name__, type(t.data).__name__, issubclass(Own, T.Tensor)

    same(program)


def test_classes_that_are_no_tensors_before_any_derives_from_tensor() -> None:
    code = """
import rushlight as torch
class Other:
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return func.__name__
print(torch.nn.functional.relu(Other()), torch.nn.ReLU()(Other()))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "relu relu\n", ran.stderr
