"""NumPy's scalars as operands of tensors, on either side."""

import numpy as np
import pytest
from both import same

SCALARS = [np.int64(2), np.int32(-3), np.uint8(2), np.int16(7), np.float32(0.5)]
DTYPES = ["uint8", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64", "complex64"]
PROGRAMS = {
    "add": lambda T, x, s: x + s,
    "multiply": lambda T, x, s: x * s,
    "equal": lambda T, x, s: x == s,
    "function": lambda T, x, s: T.sub(x, s),
    "where": lambda T, x, s: T.where(x == 1, x, s),
    "fill": lambda T, x, s: x.clone().fill_(s),
    "write": lambda T, x, s: (lambda y: (y.reshape(-1).__setitem__(0, s), y))(x.clone()),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
def test_operands(scalar, kind, name):
    for shape in ((), (3,)):
        same(
            lambda T, shape=shape: PROGRAMS[name](T, T.ones(shape, dtype=getattr(T, kind)), scalar),
            text=False,
        )


@pytest.mark.parametrize("kind", DTYPES[:4])
def test_numbers_of_an_array_and_of_a_tensor_are_equal(kind):
    def program(T):
        x = T.tensor([1, 2, 100], dtype=getattr(T, kind))
        return [x[at] == value for at, value in enumerate(x.numpy())]

    same(program)


@pytest.mark.parametrize("kind", ["bool", *DTYPES])
def test_filling_with_a_truth(kind):
    same(lambda T: [T.ones(2, dtype=getattr(T, kind)).fill_(np.bool_(value)) for value in (True, False)])
