"""Arguments by the names that PyTorch gives them, and by the other names that it knows."""

import pytest
import torch
from both import same

import rushlight

CALLS = {
    "permute": lambda T: T.permute(T.ones(2, 3), dims=(1, 0)).shape,
    "permute, method": lambda T: T.ones(2, 3).permute(dims=[1, 0]).shape,
    "permute, nothing": lambda T: T.ones(2, 3).permute(),
    "reshape": lambda T: T.reshape(input=T.ones(4), shape=(2, 2)).shape,
    "reshape, method": lambda T: T.ones(4).reshape(shape=(2, -1)).shape,
    "reshape, one number": lambda T: T.ones(2, 2).reshape(4).shape,
    "tensor_split by sections": lambda T: T.tensor_split(T.arange(5), sections=2),
    "tensor_split by indices": lambda T: T.arange(5).tensor_split(indices=[1, 3], dim=0),
    "tensor_split by a tensor": lambda T: T.arange(5).tensor_split(tensor_indices_or_sections=T.tensor(2)),
    "cholesky_solve": lambda T: T.cholesky_solve(input=T.ones(2, 1), input2=T.eye(2)),
    "one_hot": lambda T: T.nn.functional.one_hot(input=T.tensor([0, 2]), num_classes=3),
    "inv": lambda T: T.linalg.inv(A=T.eye(2)),
    "det": lambda T: T.linalg.det(A=T.eye(2)),
    "linalg.norm": lambda T: T.linalg.norm(input=T.ones(4)),
    "linalg.norm, NumPy's": lambda T: T.linalg.norm(x=T.ones(4), axis=0, keepdims=True),
    "vector_norm": lambda T: T.linalg.vector_norm(input=T.ones(4), ord=1),
    "matrix_norm": lambda T: T.linalg.matrix_norm(input=T.eye(2)),
    "matrix_power": lambda T: T.linalg.matrix_power(input=T.eye(2), n=2),
    "NumPy's a": lambda T: T.exp(a=T.zeros(2)),
    "NumPy's x": lambda T: T.sqrt(x=T.ones(2)),
    "NumPy's x1 and x2": lambda T: T.add(x1=T.ones(2), x2=T.ones(2)),
    "sum": lambda T: T.sum(a=T.ones(2, 2), axis=0, keepdims=True),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_named_arguments(call):
    same(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.permute(T.ones(2, 3), 1, 0, dims=(1, 0)),
        lambda T: T.ones(4).reshape(2, 2, shape=(2, 2)),
        lambda T: T.tensor_split(T.arange(5), 2, sections=2),
        lambda T: T.tensor_split(T.arange(5)),
    ],
)
def test_what_is_given_twice_or_not_at_all_is_refused(call):
    for library in (torch, rushlight):
        with pytest.raises(TypeError):
            call(library)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "std", "amax", "any", "argmax", "sort", "cumsum"])
@pytest.mark.parametrize("args", [("a",), (0, "a"), ({},), (1.5,), ([1.5],)], ids=repr)
def test_methods_refuse_wrong_types_by_pytorchs_class(name, args):
    same(lambda T: getattr(T.ones(2, 3), name)(*args), text=False)


@pytest.mark.parametrize("name", ["masked_fill", "masked_fill_", "masked_select"])
def test_masks_that_do_not_fit(name):
    def program(T):
        rest = () if name == "masked_select" else (0,)
        return getattr(T.ones(3, 4), name)(T.ones(5, dtype=T.bool), *rest)

    same(program)


@pytest.mark.parametrize(
    "code",
    [
        "T.zeros(2, True)",
        "T.zeros((2, True))",
        "T.zeros([True])",
        "T.zeros(True, 2)",
        "T.ones(3).repeat(2, True)",
        "T.ones(3).repeat((True, 2))",
        "T.ones(3, 2).permute((1, False))",
        "T.ones(2, 3, 4).sum((0, True))",
        "T.ones(2, 3, 4).sum((False, 1))",
        "T.ones(2, 3).flip(0, True)",
        "T.ones(2, 3).roll((1, True), (0, 1))",
        "T.ones(4, 4).tile(2, True)",
        "T.ones(4, 3).vsplit(1, 2)",
        "T.ones(4, 3).hsplit(1, 2)",
        "T.ones(4, 3, 2).dsplit(1, 1)",
        "T.ones(4, 3).hsplit()",
        "T.histogram(T.ones(3))",
    ],
)
def test_sequences_of_ints(code):
    """A bool may stand for an int, but not as the first, which tells what the sequence is of."""
    found = []
    for T in (torch, rushlight):  # noqa: B007 (read by the code)
        try:
            made = eval(code)
            found.append([x.tolist() for x in made] if isinstance(made, tuple) else made.tolist())
        except TypeError as error:
            found.append(type(error))
    assert found[0] == found[1]
