"""Methods of tensors that few programs use, and PyTorch's old ones."""

import copy
import warnings

import pytest
import torch
from both import same

import rushlight

X = "T.arange(4.).reshape(2, 2)"


@pytest.mark.parametrize(
    "call",
    [
        f"{X}.apply_(lambda v: v + 1)",
        f"{X}.T.apply_(lambda v: v + 1)",
        f"{X}[:, 0].apply_(lambda v: -v)",
        "T.tensor([1, 2]).apply_(lambda v: v / 2)",
        "T.tensor([1 + 1j]).apply_(lambda v: v * 2)",
        "T.tensor([True, False]).apply_(lambda v: not v)",
        "T.tensor(3.).apply_(lambda v: v * 2)",
        "T.zeros(0).apply_(lambda v: v * 2)",
        "T.tensor([1.5]).half().apply_(lambda v: v * 2)",
        f"{X}.map_({X}, lambda a, b: a + b * 2)",
        f"{X}.map_(T.ones(2), lambda a, b: a + b)",
        f"{X}.map_(T.ones(3), lambda a, b: a + b)",
        f"{X}.map_({X}.double(), lambda a, b: a + b)",
        f"{X}.map2_({X}, T.ones(2), lambda a, b, c: a + b * c)",
        f"{X}.requires_grad_().apply_(lambda v: v)",
        f"{X}.requires_grad_().map_({X}, lambda a, b: a)",
        f"{X}.apply_(3)",
    ],
)
def test_functions_of_single_elements(call):
    same(lambda T: eval(call))


def test_they_write_to_the_memory():
    def program(T):
        x = T.arange(4.0)
        view = x[1:]
        view.apply_(lambda v: v * 10)
        return x, view.map_(view, lambda a, b: a - b) is view

    same(program)


@pytest.mark.parametrize(
    "call",
    [
        "x.new(2, 3).shape",
        "x.new(T.Size([3])).shape",
        "x.new([1, 2, 3])",
        "x.long().new([1.5])",
        "x.new(x).shape",
        "x.new()",
        "x.new(3, device='cpu').shape",
        "x.bool().new([0, 1])",
        "x.new('a')",
        "x.resize(4)",
        "x.resize_as(T.ones(1, 4))",
        "x.resize_as(T.ones(3))",
        "x.resize(3, 1)",
        "x.dense_dim(), x.sparse_dim(), x.is_distributed(), T.is_distributed(x)",
        "x.const_data_ptr() == x.data_ptr()",
        "x.pin_memory()",
        "x.grad_dtype, x.long().grad_dtype, x.name, x.volatile",
        "x.storage_type().__name__, x.bool().storage_type().__name__",
        "T.frobenius_norm(x, [0, 1])",
        "T.frobenius_norm(x, 0, True)",
        "T.frobenius_norm(x, dim=[])",
        "T.nuclear_norm(x)",
        "T.nuclear_norm(T.ones(2, 3, 4).double(), [1, 2], True)",
        "T.nuclear_norm(x, (0, 1))",
        "T.nuclear_norm(T.ones(2, 3, 4).double())",
    ],
)
def test_old_methods(call):
    def program(T):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return eval(call, {"T": T, "x": T.arange(4.0).reshape(2, 2)})

    same(program)


def test_the_old_resize_warns():
    for T in (torch, rushlight):
        with pytest.warns(UserWarning, match="non-inplace resize is deprecated"):
            T.ones(4).resize(2, 2)


@pytest.mark.parametrize(
    "program",
    [
        "T.ones(3).apply_(lambda v: 'word')",
        "T.ones(3).int().apply_(lambda v: '2')",
        "T.ones(2, 3).dim_order(ambiguity_check=True)",
        "T.ones(1, 3).dim_order(ambiguity_check=True)",
        "T.ones(2, 1, 4, 4).dim_order(ambiguity_check=[T.contiguous_format, T.channels_last])",
        "T.ones(2, 3, 4, 4).dim_order(ambiguity_check=[T.contiguous_format, T.channels_last])",
        "T.ones(2, 3).new(size=(3, 4)).shape",
        "T.Size(T.ones(2))",
        "T.Size(T.ones(2).long())",
        "type(T.Size([T.tensor(2)])[0])",
        "T.ones(4, 4, 4).int().permute(1, 2, 0).view(T.int64)",
        "T.ones(4, 3).int().view(T.int64)",
        "T.ones(()).double().resize_([2, 4, 2**29, 2**29])",
        "T.ones(()).double().resize_([0, 4, 2**61])",
        "T.empty([0, 4, 2**61])",
        "(lambda x: (x.resize_(3), x._version))(T.ones(5))",
        "(lambda x: (x.resize_as_(T.ones(2)), x._version))(T.ones(5))",
        "(lambda x: (x.resize_(5), x._version))(T.ones(5))",
        "delattr(T.ones(2), 'data')",
        "delattr(T.ones(2, requires_grad=True), 'requires_grad')",
        "T.empty(0).set_(T.ones(2).int().storage())",
        "T.empty(0).set_(T.ones(2).storage())",
        "T._check_tensor_all(T.tensor([True, False]), lambda: 'not all')",
        "T.arange(4).roll(1, None)",
        "T.arange(4).roll((1, 2), None)",
        "T.Tensor(T.ones(1), device='cpu')",
        "T.ones(1).new(T.ones(1), device='cpu')",
        "T.Tensor([1.0], device='cpu')",
        "(lambda x: (x.append(x), T.tensor(x)))([])",
        "(lambda x: (x.append(x), T.tensor(x)))([0])",
        "T.asarray(T.utils.dlpack.to_dlpack(T.ones(2)))",
        "T.asarray(T.utils.dlpack.to_dlpack(T.ones(2)), copy=True)",
        "T.asarray(T.ones(2), dtype=T.float64, copy=False)",
        "T.Storage is T.FloatStorage",
        "T._check_tensor_all(T.tensor([True, True]))",
        "T._check_tensor_all(T.tensor([1.0]))",
        "T._check_not_implemented(False, lambda: 'not here')",
        "(lambda x: x.masked_fill_(x > 1, 0))(T.arange(4)).__setitem__(T.tensor([True, True, False, False]), [1.5, 2.5, 3.5])",
        "(lambda m: (T.set_deterministic_debug_mode(m), T.is_deterministic_algorithms_warn_only_enabled(), T.set_deterministic_debug_mode(0)))(1)",
        "(T.use_deterministic_algorithms(False, warn_only=True), T.is_deterministic_algorithms_warn_only_enabled(), T.use_deterministic_algorithms(False))",
    ],
)
def test_rare_uses(program):
    same(lambda T: eval(program, {"T": T}))


def test_deep_copies_of_a_tensor_and_its_storage_share_memory():
    def program(T):
        x = T.arange(4.0)
        tensor, (storage, typed), view = copy.deepcopy([x, [x.untyped_storage(), x.storage()], x[1:]])
        tensor.add_(1)
        return storage.data_ptr() == tensor.data_ptr(), list(typed), view, x

    same(program)


@pytest.mark.parametrize("returned", ["T.ones(2)", "3", "None"])
def test_a_hook_after_accumulating_returns_nothing(returned):
    def program(T):
        x = T.ones(2, requires_grad=True)
        x.register_post_accumulate_grad_hook(lambda p: eval(returned, {"T": T}))
        x.sum().backward()
        return x.grad

    same(program)


@pytest.mark.parametrize("kind", ["float32", "int64", "uint8"])
@pytest.mark.parametrize(
    "call", ["linspace(0, 3, {})", "logspace(0, {0} - 1, {0})", "arange({})", "arange(0, 2 * {}, 2)"]
)
@pytest.mark.parametrize("count", [4, 5])
def test_sequences_in_the_shape_of_as_many_elements(call, kind, count):
    def program(T):
        x = T.zeros(2, 3, dtype=getattr(T, kind))
        name, _, arguments = call.format(count).partition("(")
        made = getattr(T, name)(*eval("(" + arguments[:-1] + ",)"), out=x.narrow(1, 1, 2))
        return x, made.shape, made.stride()

    same(program)
