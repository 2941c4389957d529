"""Methods of tensors that few programs use, and PyTorch's old ones."""

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
