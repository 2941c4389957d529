"""The list of operations is complete, carries PyTorch's names, and one more costs a few lines."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch

import rushlight
from rushlight.ops.kinds.elementwise import floating, unary
from rushlight.ops.spec import REGISTRY

for found in pkgutil.walk_packages(rushlight.__path__, "rushlight."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)

NAMESPACES = ("", "Tensor", "nn.functional", "linalg", "special")


def find(library, path):
    """What `path` names, or None."""
    for name in filter(None, path.split(".")):
        library = getattr(library, name, None)
    return library


def homes(library, name):
    """The namespaces in which an operation is found; messages say "special_zeta" of special.zeta."""
    names = {name, name.replace("special_", "special.", 1)}
    return {space for space in NAMESPACES for n in names if find(find(library, space), n) is not None}


# ---- operations ----


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_operation_is_where_pytorch_has_it(name):
    wanted = homes(torch, name)
    assert wanted, "PyTorch has no such operation"
    assert homes(rushlight, name) == wanted


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_operation_says_what_it_does(name):
    text = (REGISTRY[name].function.__doc__ or "").strip()
    assert len(text.split()) > 2, f"{name} is not described"


@pytest.mark.parametrize("name", sorted(n for n in REGISTRY if hasattr(torch.Tensor, n + "_")))
def test_every_in_place_form_is_there(name):
    method = getattr(rushlight.Tensor, name + "_")
    assert (
        method.__name__.endswith("_")
        and hasattr(torch.Tensor, method.__name__)
        and (method.__doc__ or "").strip()
    )


# ---- names ----

#: the package's own modules; PyTorch's inner modules have other names
OWN = {found.name.rpartition(".")[2] for found in pkgutil.walk_packages(rushlight.__path__, "rushlight.")}
#: what a module imports for its annotations
PYTHON = {"annotations", "Any", "Iterator", "Callable", "Sequence", "Tensor", "TYPE_CHECKING", "rushlight"}
#: names of this library alone, in its first namespace
MORE = {"eager", "explain", "profiler"}
SPACES = (
    "",
    "Tensor",
    "nn",
    "nn.functional",
    "nn.init",
    "nn.utils",
    "linalg",
    "special",
    "autograd",
    "optim",
    "random",
    "utils",
)


@pytest.mark.parametrize("space", SPACES)
def test_no_public_name_is_missing_from_pytorch(space):
    ours, theirs = find(rushlight, space), find(torch, space)
    names = {name for name in dir(ours) if not name.startswith("_")}
    assert {n for n in names if not hasattr(theirs, n)} <= OWN | PYTHON | MORE


@pytest.mark.parametrize("space", ["nn", "linalg", "special", "optim"])
def test_a_star_import_gives_names_of_pytorch_only(space):
    listed = getattr(find(rushlight, space), "__all__", ())
    assert {n for n in listed if not hasattr(find(torch, space), n)} <= OWN
    assert [n for n in listed if not hasattr(find(rushlight, space), n)] == []


# ---- one operation more ----


@pytest.fixture
def softsquare():
    """x**2 / (1 + x**2), declared as any elementwise operation is."""
    made = unary(
        "softsquare",
        numpy=lambda x: x * x / (1 + x * x),
        dtype=floating,
        vjp=lambda g, x: g * 2 * x / (1 + x * x) ** 2,
        doc="The square of each element, bent towards 1.",
    )
    rushlight.Tensor.softsquare, rushlight.Tensor.softsquare_ = made.method, made.inplace
    yield made
    del rushlight.Tensor.softsquare, rushlight.Tensor.softsquare_, REGISTRY["softsquare"]


def test_a_new_operation_has_values_of_every_type(softsquare):
    x = rushlight.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 3.0]])
    assert softsquare(x).tolist() == (x * x / (1 + x * x)).tolist()
    assert x.t().softsquare().tolist() == softsquare(x).t().tolist()
    assert softsquare(rushlight.tensor([1, 2])).dtype is rushlight.float32
    assert softsquare(x.bfloat16()).dtype is rushlight.bfloat16
    assert softsquare(input=x[:0]).shape == (0, 3)
    with pytest.raises(
        TypeError, match=r"softsquare\(\): argument 'input' \(position 1\) must be Tensor, not float"
    ):
        softsquare(1.0)


def test_a_new_operation_has_gradients_to_second_order(softsquare):
    x = rushlight.tensor([-2.0, 0.5, 3.0], dtype=rushlight.float64, requires_grad=True)
    y = x.softsquare()
    assert y.grad_fn.name() == "SoftsquareBackward0"
    assert rushlight.autograd.gradcheck(softsquare, (x,))
    assert rushlight.autograd.gradgradcheck(softsquare, (x,))


def test_a_new_operation_writes_in_place_and_to_out(softsquare):
    x = rushlight.tensor([1.0, 2.0])
    view, before = x[:1], x._version
    assert x.softsquare_() is x and x._version == before + 1
    assert view.tolist() == [0.5]
    out = rushlight.empty(2)
    assert softsquare(rushlight.tensor([1.0, 3.0]), out=out) is out
    np.testing.assert_allclose(out.numpy(), [0.5, 0.9], rtol=1e-7)
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output type Long"):
        rushlight.tensor([1, 2]).softsquare_()
    with pytest.raises(
        RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"
    ):
        x.requires_grad_().softsquare_()


def test_a_new_operation_prints_and_is_documented(softsquare):
    x = rushlight.tensor([1.0, 0.0], requires_grad=True)
    assert repr(softsquare(x)) == "tensor([0.5000, 0.0000], grad_fn=<SoftsquareBackward0>)"
    assert softsquare.__name__ == "softsquare" and "bent towards 1" in softsquare.__doc__
    assert REGISTRY["softsquare"].function is softsquare
