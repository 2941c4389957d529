"""Functions of the public namespaces can be pickled, and files name them as PyTorch does."""

import io
import pickle
import types

import pytest
import torch

import rushlight
import rushlight.fft
import rushlight.linalg
import rushlight.nn.functional
import rushlight.special

SPACES = ["", ".nn.functional", ".linalg", ".special", ".fft"]


def functions(space):
    """The names of functions, but of those that work in place and are methods here."""
    module = rushlight
    for part in space.split(".")[1:]:
        module = getattr(module, part)
    for name in dir(module):
        if not name.startswith("_") and not name.endswith("_"):
            if isinstance(getattr(module, name, None), types.FunctionType):
                yield name, getattr(module, name)


@pytest.mark.parametrize("space", SPACES)
def test_a_pickled_function_comes_back_as_itself(space):
    found = dict(functions(space))
    assert len(found) > 15
    for name, function in found.items():
        assert pickle.loads(pickle.dumps(function)) is function, name


def test_a_layer_with_a_function_can_be_pickled():
    layer = rushlight.nn.TransformerEncoderLayer(4, 2, activation=rushlight.tanh)
    assert pickle.loads(pickle.dumps(layer)).activation is rushlight.tanh


def test_a_file_names_functions_as_pytorch_does():
    def chosen(T):
        return [T.tanh, T.stack, T.nn.functional.relu, T.nn.functional.gelu, T.linalg.norm, T.fft.fft]

    file = io.BytesIO()
    rushlight.save(chosen(rushlight), file)
    file.seek(0)
    assert torch.load(file, weights_only=False) == chosen(torch)
    file.seek(0)
    with rushlight.serialization.safe_globals(chosen(rushlight)):
        assert rushlight.load(file) == chosen(rushlight)
