"""Names that programs use in passing: lists of tensors, conditions, symbols, futures, what an export or a GPU would need."""

import threading

import pytest
import torch

import rushlight

LIBRARIES = pytest.mark.parametrize("lib", [torch, rushlight], ids=["torch", "rushlight"])


def seen(call, lib):
    try:
        return plain(call(lib), lib)
    except Exception as error:
        return type(error).__name__, str(error).splitlines()[0]


def plain(value, lib):
    if isinstance(value, lib.Tensor):
        return str(value.dtype)[-8:], value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(part, lib) for part in value]
    return value


def same(call):
    assert seen(call, rushlight) == seen(call, torch)


# ---- lists of tensors ----

UNARY = "sqrt rsqrt neg abs exp log sign reciprocal".split()
BINARY = "add sub mul div pow maximum minimum clamp_min clamp_max".split()


def lists(lib, kind="float64"):
    make = [[1.0, 2.0, 3.0], [4.0], [[0.5, 2.5]]]
    return [lib.tensor(part, dtype=getattr(lib, kind)) for part in make]


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_lists(name):
    same(lambda lib: getattr(lib, f"_foreach_{name}")(lists(lib)))

    def inplace(lib):
        xs = lists(lib)
        return getattr(lib, f"_foreach_{name}_")(xs), xs

    same(inplace)


@pytest.mark.parametrize("other", [2.0, 3, [2.0, 1.0, 3.0], "tensors", "short"])
@pytest.mark.parametrize("name", BINARY)
def test_operations_of_lists(name, other):
    def given(lib):
        if other == "tensors":
            return [x + 1 for x in lists(lib)]
        return lists(lib)[:2] if other == "short" else other

    if other == "short":
        for lib in (torch, rushlight):
            with pytest.raises(RuntimeError, match=r"same number of tensors|same length"):
                getattr(lib, f"_foreach_{name}")(lists(lib), given(lib))
        return
    same(lambda lib: getattr(lib, f"_foreach_{name}")(lists(lib), given(lib)))

    def inplace(lib):
        xs = lists(lib)
        return getattr(lib, f"_foreach_{name}_")(xs, given(lib)), xs

    same(inplace)


@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
@pytest.mark.parametrize("value", [1, 0.5, [1.0, 2.0, 3.0]])
def test_products_of_lists(name, value):
    same(lambda lib: getattr(lib, f"_foreach_{name}")(lists(lib), lists(lib), lists(lib), value))

    def inplace(lib):
        xs = lists(lib)
        return getattr(lib, f"_foreach_{name}_")(xs, lists(lib), lists(lib), value), xs

    same(inplace)


def test_other_functions_of_lists():
    same(lambda lib: lib._foreach_norm(lists(lib)))
    same(lambda lib: lib._foreach_norm(lists(lib), 1))
    same(lambda lib: lib._foreach_lerp(lists(lib), [x * 2 for x in lists(lib)], 0.25))
    same(lambda lib: lib._foreach_add(lists(lib), lists(lib), alpha=2))

    def copied(lib):
        xs = lists(lib)
        lib._foreach_zero_(xs[:1])
        lib._foreach_copy_(xs[1:], [x + 1 for x in xs[1:]])
        return xs

    same(copied)
    for lib in (torch, rushlight):
        with pytest.raises(TypeError):
            lib._foreach_sqrt(lib.ones(2))
        with pytest.raises(RuntimeError, match="at least one tensor"):
            lib._foreach_sqrt([])


# ---- conditions and symbols ----


@pytest.mark.parametrize("name", ["_check", "_check_index", "_check_value", "_check_type"])
def test_conditions(name):
    same(lambda lib: getattr(lib, name)(True))
    same(lambda lib: getattr(lib, name)(False))
    same(lambda lib: getattr(lib, name)(False, lambda: "words"))


def test_assertions():
    same(lambda lib: lib._assert(lib.tensor(True), "words"))
    same(lambda lib: lib._assert(1 > 2, "words"))
    for lib in (torch, rushlight):
        lib._assert_async(lib.tensor(1))
        with pytest.raises(RuntimeError):
            lib._assert_async(lib.tensor(0))


def test_symbols():
    same(lambda lib: isinstance(lib.ones(2).shape[0], (lib.SymInt, lib.SymFloat, lib.SymBool)))
    same(lambda lib: (lib.sym_int(2.7), lib.sym_int(-2.7), lib.sym_float(3), lib.sym_not(True)))
    same(lambda lib: (lib.sym_max(1, 2.5), lib.sym_max(3, 2.5), lib.sym_min(1, 2), lib.sym_sum([1, 2])))
    same(lambda lib: (lib.sym_ite(True, 1, 2), lib.sym_sqrt(4)))
    with pytest.raises(NotImplementedError, match=r"torch\.SymInt"):
        rushlight.SymInt(3)


# ---- futures ----


@LIBRARIES
def test_futures(lib):
    future = lib.futures.Future()
    later = future.then(lambda done: done.value() + 1).then(lambda done: done.wait() * 2)
    assert not future.done() and not later.done()
    threading.Thread(target=lambda: future.set_result(3)).start()
    assert future.wait() == 3 and later.wait() == 8 and future.done() and future.value() == 3
    with pytest.raises(RuntimeError, match="completed"):
        future.set_result(4)
    failing = lib.futures.Future()
    failing.set_exception(ValueError("words"))
    with pytest.raises(ValueError, match="words"):
        failing.wait()
    broken = future.then(lambda done: 1 / 0)
    with pytest.raises(Exception, match="division by zero"):
        broken.wait()


@LIBRARIES
def test_several_futures(lib):
    parts = [lib.futures.Future() for _ in range(3)]
    whole, called = lib.futures.collect_all(parts), []
    parts[0].add_done_callback(lambda done: called.append(done.value()))
    for n, part in enumerate(parts):
        part.set_result(n)
    assert [part.value() for part in whole.wait()] == [0, 1, 2] == lib.futures.wait_all(parts)
    assert called == [0] and lib.futures.collect_all([]).wait() == []


# ---- what compilers, exports and GPUs would need ----


@LIBRARIES
def test_settings_of_compilers(lib):
    import importlib

    if lib is rushlight:
        config = importlib.import_module("rushlight._dynamo.config")
        assert config is lib._dynamo.config
        importlib.import_module("rushlight._inductor.config").max_autotune = True
        assert lib._inductor.config.max_autotune
    before, lib._dynamo.config.suppress_errors = lib._dynamo.config.suppress_errors, True
    assert lib._dynamo.config.suppress_errors and not lib._dynamo.is_compiling()
    lib._dynamo.config.suppress_errors = before
    lib._dynamo.reset()
    assert lib._dynamo.disable(len)([1]) == 1 and not lib.onnx.is_in_onnx_export()


@LIBRARIES
def test_gpus_that_are_not_there(lib):
    if lib is torch and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert not isinstance(lib.ones(1), (lib.cuda.FloatTensor, lib.cuda.LongTensor))
    with pytest.raises(TypeError, match=r"torch.cuda.FloatTensor not available"):
        lib.cuda.FloatTensor(2)
    with pytest.raises(RuntimeError, match="NVTX"):
        lib.cuda.nvtx.range_push("step")
    with pytest.warns(FutureWarning, match="memory_reserved"):
        assert lib.cuda.memory_cached() == 0


@LIBRARIES
def test_functions_by_other_names(lib):
    for name in rushlight.functional.__all__:
        assert getattr(lib.functional, name) is getattr(lib, name), name


# ---- methods that say what to do instead ----


@pytest.mark.parametrize("name", ["eig", "symeig", "solve", "lstsq", "reinforce"])
def test_methods_that_are_gone(name):
    args = () if "eig" in name else (1,) if name == "reinforce" else ("matrix",)
    same(lambda lib: getattr(lib.ones(2, 2), name)(*[lib.ones(2, 2) if a == "matrix" else a for a in args]))


@pytest.mark.parametrize(
    "name",
    "coalesce indices values is_coalesced crow_indices col_indices ccol_indices row_indices".split(),
)
def test_methods_of_other_layouts(name):
    same(lambda lib: getattr(lib.ones(2), name)())


def test_methods_of_other_devices():
    same(lambda lib: lib.tensor([1, 2]).dequantize())
    same(lambda lib: lib.ones(2).xpu())


@LIBRARIES
def test_lazy_parameters(lib):
    lazy = lib.nn.LazyLinear(2)
    assert lib.nn.parameter.is_lazy(lazy.weight) and not lib.nn.parameter.is_lazy(lib.ones(1))
    assert isinstance(lazy.weight, lib.nn.parameter.UninitializedTensorMixin)
    lazy(lib.ones(1, 3))
    assert not lib.nn.parameter.is_lazy(lazy.weight)


@LIBRARIES
def test_functions_in_mixed_precision_on_gpus(lib):
    with pytest.warns(FutureWarning, match="custom_fwd"):
        forward = lib.cuda.amp.custom_fwd(lambda ctx, x: x * 2)
    with pytest.warns(FutureWarning, match="custom_bwd"):
        backward = lib.cuda.amp.custom_bwd(lambda ctx, g: g * 2)

    class Double(lib.autograd.Function):
        pass

    Double.forward, Double.backward = staticmethod(forward), staticmethod(backward)
    x = lib.ones(2, requires_grad=True)
    Double.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("name", ["dropout_", "alpha_dropout_", "feature_alpha_dropout_"])
@pytest.mark.parametrize("train", [True, False])
def test_dropping_in_place(name, train):
    def dropped(lib):
        lib.manual_seed(0)
        x = lib.arange(24.0).reshape(2, 3, 4)
        result = getattr(lib, name)(x, 0.5, train)
        return result is x, (x * 1000).round()

    same(dropped)
    for called in (name, name.rstrip("_")):
        same(lambda lib, called=called: getattr(lib, called)(lib.ones(2), 1.5, train))
