"""What programs that teach deep learning do, and tests of single operations do not see."""

from __future__ import annotations

import inspect
import io

import pytest
import torch
from both import same, seen

import rushlight

LIBRARIES = (torch, rushlight)

# ---- inputs of modules by name ----


def _inputs(module: type) -> list[str]:
    """The names of what `forward` takes."""
    named = getattr(module, "inputs", None)
    if named is not None and inspect.signature(module.forward).parameters.get("inputs") is not None:
        return list(named)
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in inspect.signature(module.forward).parameters.values() if p.kind in kinds][1:]


MODULES = [
    name
    for name, cls in vars(torch.nn).items()
    if isinstance(cls, type) and issubclass(cls, torch.nn.Module) and hasattr(rushlight.nn, name)
]


@pytest.mark.parametrize("name", MODULES)
def test_inputs_have_pytorchs_names(name):
    wanted, found = _inputs(getattr(torch.nn, name)), _inputs(getattr(rushlight.nn, name))
    if wanted != ["input"] or found:  # (containers take whatever their members take)
        assert found[: len(wanted)] == wanted


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.nn.CrossEntropyLoss()(input=T.zeros(3, 3), target=T.tensor([0, 1, 1])),
        lambda T: T.nn.CrossEntropyLoss()(T.zeros(3, 3), target=T.tensor([0, 1, 1])),
        lambda T: T.nn.MSELoss(reduction="sum")(target=T.ones(3), input=T.zeros(3)),
        lambda T: T.nn.PoissonNLLLoss()(log_input=T.zeros(3), target=T.ones(3)),
        lambda T: T.nn.CosineEmbeddingLoss()(T.eye(2), T.ones(2, 2), target=T.tensor([1, -1])),
        lambda T: T.nn.TripletMarginLoss()(anchor=T.eye(2), positive=T.ones(2, 2), negative=T.zeros(2, 2)),
        lambda T: T.nn.ReLU()(input=T.tensor([-1.0, 2.0])),
        lambda T: T.nn.MaxPool2d(2)(input=T.ones(1, 2, 2)),
        lambda T: T.nn.CosineSimilarity()(x1=T.eye(2), x2=T.eye(2)),
        lambda T: T.nn.ReLU()(x=T.ones(2)),
        lambda T: T.nn.MSELoss()(T.ones(2), T.ones(2), target=T.ones(2)),
        lambda T: T.nn.MSELoss()(T.ones(2), target=T.ones(2), weight=T.ones(2)),
        lambda T: T.nn.MSELoss()(target=T.ones(2)),
    ],
)
def test_inputs_by_name(call):
    same(call)


# ---- modules before they know their shapes ----


LAZY = [
    lambda T, p: p.numel(),
    lambda T, p: p.nelement(),
    lambda T, p: p.dim(),
    lambda T, p: p.stride(),
    lambda T, p: p.tolist(),
    lambda T, p: p + 1,
    lambda T, p: T.sum(p),
    lambda T, p: p.norm(),
    lambda T, p: p.detach(),
    lambda T, p: p.clone(),
    lambda T, p: len(p),
    lambda T, p: T.nn.init.xavier_uniform_(p),
    lambda T, p: T.nn.utils.parameters_to_vector([p]),
    lambda T, p: p.backward(),
    lambda T, p: p.requires_grad_(False),
    lambda T, p: p.shape,
    lambda T, p: tuple(p.size()),
    lambda T, p: p.data,
    lambda T, p: p.to(T.float64).dtype,
    lambda T, p: p.float() is p,
    lambda T, p: (p.requires_grad, p.is_leaf, p.ndim, str(p), p.grad is None, p.is_floating_point()),
]


@pytest.mark.parametrize("call", LAZY)
def test_parameters_without_a_shape(call):
    def words(outcome):
        return outcome[0] if isinstance(outcome, tuple) and outcome[0] == "ValueError" else outcome

    answers = [words(seen(lambda T: call(T, T.nn.LazyLinear(2).weight), library)) for library in LIBRARIES]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "change", [lambda m: m, lambda m: m.double(), lambda m: m.half().float(), lambda m: m.cpu()]
)
@pytest.mark.parametrize(
    "made",
    [lambda T: T.nn.LazyBatchNorm1d(), lambda T: T.nn.Sequential(T.nn.LazyLinear(3), T.nn.LazyBatchNorm1d())],
)
def test_lazy_modules_are_converted(made, change):
    def program(T):
        module = change(made(T))
        kind = next(module.parameters()).dtype
        out = module(T.ones(3, 4, dtype=kind))
        return tuple(out.shape), [str(t.dtype) for t in module.state_dict().values()]

    same(program)


def test_lazy_modules_are_saved_as_they_are():
    def program(T):
        file = io.BytesIO()
        T.save(T.nn.LazyLinear(2).state_dict(), file)
        with T.serialization.safe_globals([T.nn.parameter.UninitializedParameter]):
            return str(T.load(io.BytesIO(file.getvalue())))

    same(program)


# ---- memory formats of what is one channel, or one pixel ----


@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 4, 4), (2, 1, 4, 4), (2, 3, 1, 1), (1, 1, 1, 1), (2, 1, 1, 4), (2, 3, 4, 4), (3, 0, 2, 2)],
)
def test_to_a_memory_format(sizes):
    def program(T):
        shown = []
        for x in (
            T.zeros(sizes),
            T.zeros(sizes).contiguous(memory_format=T.channels_last),
            T.zeros(sizes).mT,
        ):
            for wanted in (T.channels_last, T.contiguous_format, T.preserve_format):
                made = x.to(memory_format=wanted)
                shown.append((made.stride(), made is x))
            shown.append(T.nn.ParameterList([x]).to(memory_format=T.channels_last)[0].stride())
        return shown

    same(program)


# ---- to the last bit ----


@pytest.mark.parametrize("sizes", [(1, 1, 28, 28), (1, 1, 30, 7), (1, 1, 3, 5, 9)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_grids_that_change_nothing_are_pytorchs(sizes, align_corners):
    rank = len(sizes) - 2
    same(
        lambda T: T.nn.functional.affine_grid(T.eye(rank, rank + 1)[None], sizes, align_corners=align_corners)
    )


# ---- printing ----


def test_sparse_tensors_are_printed_line_by_line():
    def program(T):
        at = T.arange(48) % 7
        x = T.sparse_coo_tensor(T.stack((at, at)), T.arange(48) / 7, (7, 7))
        return str(x), str(T.zeros(2, 3).to_sparse()), str(x.coalesce())

    same(program)


# ---- what nodes keep ----


SAVED = {
    "exp": (lambda T, x, y: x.exp(), ["result"]),
    "pow": (lambda T, x, y: x**2.5, ["self", "exponent"]),
    "pow of tensors": (lambda T, x, y: x**y, ["self", "exponent", "result"]),
    "mul": (lambda T, x, y: x * y, ["self", "other"]),
    "div": (lambda T, x, y: x / y, ["self", "other"]),
    "sin": (lambda T, x, y: x.sin(), ["self"]),
    "mm": (lambda T, x, y: x @ y, ["self", "mat2"]),
    "bmm": (lambda T, x, y: T.bmm(x[None], y[None]), ["self", "mat2"]),
    "dot": (lambda T, x, y: T.dot(x[0], y[0]), ["self", "tensor"]),
    "addmm": (lambda T, x, y: T.addmm(x, x, y), ["mat1", "mat2"]),
    "mse_loss": (lambda T, x, y: T.nn.functional.mse_loss(x, y), ["self", "target"]),
    "softmax": (lambda T, x, y: T.softmax(x, 1), ["result", "dim"]),
    "where": (lambda T, x, y: T.where(x > 2, x, y), ["condition"]),
    "gather": (lambda T, x, y: x.gather(0, T.zeros(1, 2, dtype=T.int64)), ["self", "index", "dim"]),
    "conv2d": (lambda T, x, y: T.conv2d(x[None, None], y[None, None]), ["input", "weight"]),
}


def _operands(T):
    return T.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), T.full((2, 2), 2.0, requires_grad=True)


@pytest.mark.parametrize("name", SAVED)
def test_what_nodes_keep_has_names(name):
    def program(T):
        x, y = _operands(T)
        out = SAVED[name][0](T, x, y)
        node = out.grad_fn
        return [getattr(node, f"_saved_{what}", "missing") for what in SAVED[name][1]]

    same(program)


def test_kept_values_are_the_inputs_but_not_the_outputs():
    def program(T):
        x, _ = _operands(T)
        square, power = x.pow(2), x.exp()
        return square.grad_fn._saved_self is x, power.grad_fn._saved_result is power

    same(program)


def test_kept_values_are_gone_after_backward_or_once_overwritten():
    def freed(T):
        x, _ = _operands(T)
        out = x.exp().sum()
        node = out.grad_fn.next_functions[0][0]
        out.backward()
        return node._saved_result

    def overwritten(T):
        x = T.ones(2, requires_grad=True) * 1
        out = x.sin()
        x.mul_(2)
        return out.grad_fn._saved_self

    same(freed, text=False)
    same(overwritten, text=False)


@pytest.mark.parametrize("name", ["_raw_saved_self", "_raw_saved_other"])
def test_one_kept_value_has_hooks_of_its_own(name):
    def program(T):
        x, y = _operands(T)
        seen = []
        out = x * y
        kept = getattr(out.grad_fn, name)
        kept.register_hooks(
            lambda t: (seen.append("pack"), t.detach() * 10)[1], lambda t: (seen.append("unpack"), t)[1]
        )
        out.sum().backward()
        return x.grad, y.grad, seen

    same(program)


def test_kept_values_take_one_pair_of_hooks():
    def program(T):
        x, _ = _operands(T)
        out = x.exp()  # (PyTorch's nodes do not live on with what they keep)
        kept = out.grad_fn._raw_saved_result
        kept.register_hooks(lambda t: t.detach(), lambda t: t)
        kept.register_hooks(lambda t: t, lambda t: t)

    same(program)


# ---- conversions and choices ----


def test_conversions_may_make_new_parameters():
    def program(T):
        module = T.nn.Linear(2, 2)
        weight = module.weight
        module(T.ones(1, 2)).sum().backward()
        before = T.__future__.get_overwrite_module_params_on_conversion()
        T.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            module.double()
        finally:
            T.__future__.set_overwrite_module_params_on_conversion(before)
        kept = module.weight is weight, str(weight.dtype), str(module.weight.grad.dtype)
        return kept, module.float().weight is module.weight

    same(program)


def test_parameters_keep_their_identity():
    def program(T):
        T.__future__.set_swap_module_params_on_conversion(True)
        try:
            module = T.nn.Linear(2, 2)
            weight = module.weight
            return module.bfloat16().weight is weight, str(weight.dtype)
        finally:
            T.__future__.set_swap_module_params_on_conversion(False)

    same(program)


@pytest.mark.parametrize("holds", [True, False])
def test_cond(holds):
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)
    found = rushlight.cond(rushlight.tensor(holds), lambda x: x.sin(), lambda x: x * 2, (x,))
    wanted = x.sin() if holds else x * 2
    assert rushlight.equal(found, wanted)
    assert rushlight.cond(holds, lambda: 1, lambda: 2) == (1 if holds else 2)
    with pytest.raises(RuntimeError, match="Expected pred to be bool or single-element tensor"):
        rushlight.cond(x > 0, lambda x: x, lambda x: x, (x,))


def test_classes_derived_from_dict_are_containers():
    class Output(dict):
        pass

    def program(T):
        pytree = __import__(f"{T.__name__}.utils._pytree", fromlist=["tree_map"])
        made = pytree._dict_unflatten([1, 2], ["a", "b"])
        kind = type("Output", (Output,), {})
        pytree.register_pytree_node(
            kind,
            pytree._dict_flatten,
            lambda contents, keys: kind(zip(keys, contents)),
            flatten_with_keys_fn=pytree._dict_flatten_with_keys,
        )
        paths = pytree.tree_flatten_with_path(kind(a=[1, 2], b=3))[0]
        return (
            made,
            [(pytree.keystr(path), leaf) for path, leaf in paths],
            dict(pytree.tree_map(str, kind(made))),
        )

    same(program)
