"""Views beside PyTorch's: values, strides, offsets, aliasing, node names, gradients to second order, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rushlight

LIBRARIES = (torch, rushlight)

#: name -> how to lay out a 2 x 3 x 4 tensor
LAYOUTS: dict[str, Callable] = {
    "contiguous": lambda T, x: x,
    "transposed": lambda T, x: x.reshape(4, 3, 2).permute(2, 1, 0),
    "sliced": lambda T, x: T.stack([x, x, x], -1)[..., 1],
    "expanded": lambda T, x: x[:1].expand(2, 3, 4),
    "offset": lambda T, x: T.cat([x, x])[2:],
}

#: name -> a view of a 2 x 3 x 4 tensor
VIEWS: dict[str, Callable] = {
    "view": lambda T, x: x.view(2, 3, 2, 2),
    "view inferred": lambda T, x: x.view(2, -1, 4, 1),
    "view_as": lambda T, x: x.view_as(T.zeros(2, 3, 4)),
    "reshape": lambda T, x: x.reshape(6, 4),
    "reshape split": lambda T, x: x.reshape(2, 3, 2, 2),
    "reshape_as": lambda T, x: x.reshape_as(T.zeros(4, 6)),
    "flatten": lambda T, x: x.flatten(1),
    "flatten all": lambda T, x: T.flatten(x),
    "ravel": lambda T, x: x.ravel(),
    "unflatten": lambda T, x: x.unflatten(2, (2, -1)),
    "transpose": lambda T, x: x.transpose(0, -1),
    "swapaxes": lambda T, x: T.swapaxes(x, 0, 1),
    "permute": lambda T, x: x.permute(2, 0, 1),
    "permute negative": lambda T, x: x.permute(-1, 0, -2),
    "movedim": lambda T, x: x.movedim((0, 1), (-1, 0)),
    "mT": lambda T, x: x.mT,
    "mH": lambda T, x: x.mH,
    "t": lambda T, x: x[0].t(),
    "T": lambda T, x: x[0].T,
    "H": lambda T, x: x[0].H,
    "unsqueeze": lambda T, x: x.unsqueeze(1),
    "unsqueeze last": lambda T, x: x.unsqueeze(-1),
    "squeeze": lambda T, x: x[:1].squeeze(),
    "squeeze dim": lambda T, x: x[:, 1:2].squeeze(1),
    "squeeze dims": lambda T, x: x[:1, :1].squeeze((0, 1)),
    "squeeze nothing": lambda T, x: x.squeeze(1),
    "expand": lambda T, x: x[:, :1].expand(5, 2, 3, 4),
    "expand kept": lambda T, x: x[:, :1].expand(-1, 3, -1),
    "expand to one": lambda T, x: x.expand(1, 1, 2, 3, 4),
    "broadcast_to": lambda T, x: T.broadcast_to(x, (2, 2, 3, 4)),
    "select": lambda T, x: x.select(1, -1),
    "narrow": lambda T, x: x.narrow(2, 1, 2),
    "diagonal": lambda T, x: x.diagonal(0, 1, 2),
    "diagonal below": lambda T, x: x.diagonal(-1, 0, 2),
    "unfold": lambda T, x: x.unfold(2, 2, 1),
    "unfold steps": lambda T, x: x.unfold(1, 2, 2),
    "as_strided": lambda T, x: x.as_strided((2, 2), (1, 2), x.storage_offset() + 1),
    "as_strided overlapping": lambda T, x: x.as_strided((2, 2), (1, 1)),
    "atleast_3d": lambda T, x: T.atleast_3d(x[0]),
    "detach": lambda T, x: x.detach(),
}

#: the same for views that come several at a time
MANY: dict[str, Callable] = {
    "split": lambda T, x: x.split(2, 1),
    "split sizes": lambda T, x: x.split([1, 3], 2),
    "chunk": lambda T, x: x.chunk(3, 2),
    "unbind": lambda T, x: x.unbind(1),
    "tensor_split": lambda T, x: x.tensor_split(3, 2),
    "tensor_split at": lambda T, x: x.tensor_split((1, 3), 2),
    "hsplit": lambda T, x: x.hsplit(3),
    "vsplit": lambda T, x: x.vsplit(2),
    "dsplit": lambda T, x: T.dsplit(x, [1]),
    "broadcast_tensors": lambda T, x: T.broadcast_tensors(x, x[:1, :, :1]),
    "meshgrid": lambda T, x: T.meshgrid(x[0, 0], x[0, :, 0], indexing="xy"),
    "iteration": lambda T, x: tuple(x),
}


def made(T: Any, layout: str, requires_grad: bool = False, dtype: str = "float64") -> Any:
    """A 2 x 3 x 4 tensor in a layout, and the leaf it shows."""
    leaf = T.arange(24, dtype=getattr(T, dtype)).reshape(2, 3, 4).clone()
    if requires_grad:
        leaf.requires_grad_()
    return leaf, LAYOUTS[layout](T, leaf)


def outcome(function: Callable, *args: Any) -> Any:
    try:
        return function(*args)
    except Exception as error:
        return error


def look(t: Any) -> tuple:
    """All that can be seen of a tensor."""
    name = type(t.grad_fn).__name__ if t.requires_grad else None
    steps = tuple(step for step, size in zip(t.stride(), t.shape))
    return tuple(t.shape), steps, t.storage_offset(), t.is_contiguous(), str(t.dtype), name, t.tolist()


def same(theirs: Any, ours: Any) -> None:
    assert type(ours).__name__ == type(theirs).__name__
    if isinstance(theirs, Exception):
        first = str(theirs).split("\n")[0]
        assert str(ours).startswith(first[:60]), (str(ours), first)
    elif isinstance(theirs, tuple):
        assert len(theirs) == len(ours)
        for one, other in zip(theirs, ours):
            same(one, other)
    else:
        assert look(ours) == look(theirs)


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("view", [*VIEWS, *MANY])
def test_view_looks_like_pytorchs(view: str, layout: str, requires_grad: bool) -> None:
    function = VIEWS.get(view) or MANY[view]
    theirs, ours = (outcome(function, T, made(T, layout, requires_grad)[1]) for T in LIBRARIES)
    same(theirs, ours)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("view", VIEWS)
def test_writes_go_where_pytorchs_go(view: str, layout: str) -> None:
    def written(T: Any) -> list:
        leaf, x = made(T, layout)
        shown = VIEWS[view](T, x)
        shown.zero_()
        return [
            leaf.tolist(),
            leaf._version,
            shown._version,
            shown.untyped_storage().data_ptr() == x.untyped_storage().data_ptr(),
        ]

    theirs, ours = (outcome(written, T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "int64", "float16", "bfloat16", "float32", "complex64"]
)
@pytest.mark.parametrize(
    "view", ["view", "permute", "expand", "diagonal", "unfold", "as_strided", "squeeze", "unsqueeze"]
)
def test_every_dtype_has_views(view: str, dtype: str) -> None:
    theirs, ours = (
        VIEWS[view](T, made(T, "contiguous", dtype="int64")[0].to(getattr(T, dtype))) for T in LIBRARIES
    )
    same(theirs, ours)


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "expanded"])
@pytest.mark.parametrize("view", [*VIEWS, *MANY])
def test_gradients_to_second_order(view: str, layout: str) -> None:
    function = VIEWS.get(view) or MANY[view]

    def gradients(T: Any) -> list:
        leaf, x = made(T, layout, requires_grad=True)
        shown = function(T, x)
        parts = shown if isinstance(shown, tuple) else (shown,)
        total = sum(((part * part * part).sum() for part in parts[::-2]), T.zeros((), dtype=T.float64))
        if not total.requires_grad:
            return []
        (first,) = T.autograd.grad(total, leaf, create_graph=True)
        (second,) = T.autograd.grad((first * first).sum(), leaf)
        return [first.tolist(), second.tolist()]

    theirs, ours = (outcome(gradients, T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
    else:
        np.testing.assert_allclose(np.array(ours), np.array(theirs), rtol=1e-12)


@pytest.mark.parametrize(
    "view",
    [name for name in VIEWS if name not in ("detach", "expand to one", "unfold", "as_strided overlapping")],
)
def test_gradient_of_a_write_through_a_view(view: str) -> None:
    def gradient(T: Any) -> Any:
        leaf, x = made(T, "contiguous", requires_grad=True)
        base = x * 2.0
        shown = VIEWS[view](T, base)
        shown.mul_(3.0)
        (base * base).sum().backward()
        return leaf.grad.tolist()

    theirs, ours = (outcome(gradient, T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("view", ["split", "split sizes", "chunk", "unbind", "iteration"])
def test_one_of_several_views_may_not_be_written_to(view: str) -> None:
    errors = []
    for T in LIBRARIES:
        base = made(T, "contiguous", requires_grad=True)[1] * 1.0
        with pytest.raises(RuntimeError) as caught:
            MANY[view](T, base)[0].add_(1)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


# ---- empty tensors and dimensions of size one ----

EMPTY: dict[str, Callable] = {
    "view": lambda T, x: x.view(0, 5),
    "view back": lambda T, x: x.view(2, 0, 3),
    "view inferred": lambda T, x: x.view(-1, 2),
    "reshape": lambda T, x: x.reshape(3, 0),
    "transpose": lambda T, x: x.transpose(0, 2),
    "unsqueeze": lambda T, x: x.unsqueeze(0),
    "squeeze": lambda T, x: x.unsqueeze(0).squeeze(0),
    "expand": lambda T, x: x[:1].expand(4, 0, 3),
    "select": lambda T, x: x.select(2, 1),
    "narrow": lambda T, x: x.narrow(2, 1, 1),
    "split": lambda T, x: x.split(2, 1),
    "unbind": lambda T, x: x.unbind(0),
    "diagonal": lambda T, x: x.diagonal(0, 0, 2),
    "slice": lambda T, x: x[1:],
    "flatten": lambda T, x: x.flatten(),
    "as_strided": lambda T, x: x.as_strided((0, 2), (3, 1)),
}


def test_no_parts_of_what_lost_its_place_in_the_graph() -> None:
    for T in LIBRARIES:

        class Flat(T.autograd.Function):  # type: ignore[name-defined]
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x.view(-1)

        x = Flat.apply(T.zeros(0, requires_grad=True))
        with T.no_grad():
            x.mul_(2)
        with pytest.raises(RuntimeError, match="custom Function"):
            x.unbind(0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(0,), (1, 3), (2, 2)])
def test_out_of_a_narrow_copy(shape: tuple, dtype: str) -> None:
    def call(T: Any) -> Any:
        out = T.empty(shape, dtype=getattr(T, dtype))
        made = T.narrow_copy(T.arange(6.0).view(2, 3), 0, 1, 1, out=out)
        return made is out, out.tolist(), str(out.dtype)

    theirs, ours = (outcome(call, T) for T in LIBRARIES)
    assert type(ours) is type(theirs) and (isinstance(ours, Exception) or ours == theirs)


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2,), (2, 1, 3)])
def test_numbers_expand_with_strides_of_zero(shape: tuple) -> None:
    assert [T.ones(()).expand(shape).stride() for T in LIBRARIES] == [(0,) * len(shape)] * 2


@pytest.mark.parametrize("view", EMPTY)
def test_empty_tensors(view: str) -> None:
    theirs, ours = (outcome(EMPTY[view], T, T.zeros(2, 0, 3)) for T in LIBRARIES)
    for one, other in zip(*[(t if isinstance(t, tuple) else (t,)) for t in (theirs, ours)]):
        assert (tuple(other.shape), other.stride()) == (tuple(one.shape), one.stride())


@pytest.mark.parametrize("shape", [(1,), (1, 3), (3, 1), (1, 1), (2, 1, 3), (1, 2, 1)])
def test_dimensions_of_size_one_keep_pytorchs_strides(shape: tuple) -> None:
    for function in (
        lambda T, x: x.view(*shape, 1),
        lambda T, x: x.view(1, *shape),
        lambda T, x: x[None],
        lambda T, x: x[..., None],
        lambda T, x: x.unsqueeze(0).expand(2, *shape),
        lambda T, x: x.expand(1, 2, *shape),
        lambda T, x: x.transpose(0, -1).reshape(-1),
        lambda T, x: x.transpose(0, -1).clone(),
    ):
        theirs, ours = (function(T, T.arange(6.0)[: int(np.prod(shape))].reshape(shape)) for T in LIBRARIES)
        same(theirs, ours)


# ---- the handle in place ----

IN_PLACE: dict[str, Callable] = {
    "t_": lambda x: x[0].t_(),
    "transpose_": lambda x: x.transpose_(0, 2),
    "swapaxes_": lambda x: x.swapaxes_(0, 1),
    "squeeze_": lambda x: x[:1].squeeze_(),
    "squeeze_ dim": lambda x: x[:1].squeeze_(0),
    "unsqueeze_": lambda x: x.unsqueeze_(1),
    "as_strided_": lambda x: x.as_strided_((2, 2), (2, 1)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_views_in_place(name: str) -> None:
    def done(T: Any) -> tuple:
        shown = IN_PLACE[name](made(T, "contiguous")[1])
        return look(shown), shown._version

    theirs, ours = (done(T) for T in LIBRARIES)
    assert ours == theirs


@pytest.mark.parametrize("name", IN_PLACE)
def test_gradients_of_views_in_place(name: str) -> None:
    def gradient(T: Any) -> Any:
        leaf, x = made(T, "contiguous", requires_grad=True)
        y = x * 1.0
        (IN_PLACE[name](y) ** 2).sum().backward()
        return leaf.grad.tolist()

    theirs, ours = (outcome(gradient, T) for T in LIBRARIES)
    assert type(ours) is type(theirs) if isinstance(theirs, Exception) else ours == theirs


# ---- a copy with a part replaced ----

SCATTERS: dict[str, Callable] = {
    "select_scatter": lambda T, x, y: x[0].select_scatter(y[0, 0], 0, 1),
    "slice_scatter": lambda T, x, y: x.slice_scatter(y[:, :, :2], 2, 0, 4, 2),
    "diagonal_scatter": lambda T, x, y: x[0].diagonal_scatter(y[0, 0, :3]),
    "as_strided_scatter": lambda T, x, y: T.as_strided_scatter(x, y[0, 0], (4,), (2,), 1),
    "tril": lambda T, x, y: x.tril(-1) + y.triu(1),
    "diag": lambda T, x, y: T.diag(x[0, 0]) @ T.diag_embed(y[0, 0]),
    "block_diag": lambda T, x, y: T.block_diag(x[0], y[1], x[0, 0]),
}


@pytest.mark.parametrize("name", SCATTERS)
def test_scatters_and_their_gradients(name: str) -> None:
    def results(T: Any) -> list:
        x, y = (made(T, "contiguous", requires_grad=True)[0] for _ in range(2))
        out = SCATTERS[name](T, x, y)
        first = T.autograd.grad((out * out).sum(), (x, y), create_graph=True)
        second = T.autograd.grad(sum((g * g).sum() for g in first), (x, y))
        return [t.tolist() for t in (out, *first, *second)]

    theirs, ours = (results(T) for T in LIBRARIES)
    assert ours == theirs


# ---- complex numbers, other dtypes on the same memory ----


def test_complex_as_real_shares_memory() -> None:
    for T in LIBRARIES:
        z = T.tensor([1 + 2j, 3 - 1j])
        pairs = T.view_as_real(z)
        pairs[0, 1] = 9.0
        assert z.tolist() == [1 + 9j, 3 - 1j]
        assert T.view_as_complex(pairs).data_ptr() == z.data_ptr()


@pytest.mark.parametrize(
    "to", ["uint8", "int16", "int32", "float32", "float64", "int64", "bool", "complex64"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_view_as_another_dtype(to: str, layout: str) -> None:
    def shown(T: Any) -> Any:
        x = made(T, layout, dtype="float32")[1]
        return x.view(getattr(T, to)) if to != "bool" else (x > 3).view(T.uint8)

    theirs, ours = (outcome(shown, T) for T in LIBRARIES)
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
    else:
        same(theirs, ours)


# ---- errors ----

WRONG: dict[str, Callable] = {
    "view": lambda T, x: x.view(5),
    "view twice": lambda T, x: x.view(-1, -1),
    "view negative": lambda T, x: x.view(-2, 3),
    "view of permuted": lambda T, x: x.permute(2, 0, 1).view(24),
    "reshape": lambda T, x: x.reshape(7),
    "expand": lambda T, x: x.expand(3, 3, 4),
    "expand fewer": lambda T, x: x.expand(4),
    "expand leading": lambda T, x: x.expand(-1, 2, 3, 4),
    "permute": lambda T, x: x.permute(0, 1),
    "permute twice": lambda T, x: x.permute(0, 0, 1),
    "permute range": lambda T, x: x.permute(0, 1, 3),
    "transpose": lambda T, x: x.transpose(0, 3),
    "unsqueeze": lambda T, x: x.unsqueeze(5),
    "squeeze": lambda T, x: x.squeeze(3),
    "flatten": lambda T, x: x.flatten(2, 1),
    "unflatten": lambda T, x: x.unflatten(0, (3, 2)),
    "select": lambda T, x: x.select(0, 2),
    "narrow": lambda T, x: x.narrow(0, 1, 2),
    "split": lambda T, x: x.split(0),
    "split sizes": lambda T, x: x.split([1, 2]),
    "chunk": lambda T, x: x.chunk(0),
    "unbind": lambda T, x: x.unbind(3),
    "diagonal": lambda T, x: x.diagonal(0, 1, 1),
    "unfold": lambda T, x: x.unfold(0, 3, 1),
    "unfold step": lambda T, x: x.unfold(0, 1, 0),
    "as_strided": lambda T, x: x.as_strided((30,), (1,)),
    "as_strided negative": lambda T, x: x.as_strided((2,), (-1,)),
    "as_strided offset": lambda T, x: x.as_strided((2,), (1,), -1),
    "as_strided lengths": lambda T, x: x.as_strided((2,), (1, 1)),
    "movedim": lambda T, x: x.movedim((0, 0), (0, 1)),
    "t": lambda T, x: x.t(),
    "mT": lambda T, x: x[0, 0].mT,
    "H": lambda T, x: x.H,
    "hsplit": lambda T, x: x.hsplit(2),
    "view dtype": lambda T, x: x.float()[..., :1].view(T.float64),
    "broadcast": lambda T, x: T.broadcast_tensors(x, T.ones(3)),
    "detach_ of a view": lambda T, x: x[0].detach_(),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_pytorchs(name: str) -> None:
    theirs, ours = (outcome(WRONG[name], T, made(T, "contiguous")[1]) for T in LIBRARIES)
    assert isinstance(theirs, Exception)
    same(theirs, ours)


@pytest.mark.parametrize("size", [2**31, 2**62, 2**63, 2**64, -(2**63)])
def test_huge_layouts_raise(size: int) -> None:
    x = rushlight.ones(3)
    for function in (
        lambda: x.as_strided((size,), (1,)),
        lambda: x.as_strided((2,), (size,)),
        lambda: x.as_strided((2,), (1,), size),
        lambda: x.as_strided((size, size), (0, 1)),
        lambda: x.view(size),
        lambda: x.narrow(0, size, 1),
        lambda: x.narrow(0, 0, size),
        lambda: x.unfold(0, size, 1),
        lambda: x.resize_(size, size),
        lambda: rushlight.empty_strided((size, 2), (size, size)),
    ):
        with pytest.raises((RuntimeError, IndexError, OverflowError, TypeError, ValueError)):
            function()


def test_T_of_other_ranks_warns_once() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert rushlight.zeros(2, 3, 4).T.shape == (4, 3, 2)
        rushlight.zeros(2, 3, 4).T
    assert len(caught) <= 1


def test_a_single_element_keeps_its_stride():
    """Which says where the next would be, and whether two tensors are the same memory."""
    for lib in (torch, rushlight):
        x = lib.arange(12.0).reshape(3, 4)[:, 0][:1]
        for flat in (x.view(-1), x.reshape(-1), x.view(1), x.view(1, 1), x[None].view(-1)):
            assert flat.stride()[-1] == 4 and x.stride() == (4,)
        x.view(-1).add_(x)
        assert x.tolist() == [0.0]


@pytest.mark.parametrize(
    "sizes", [(1, -1, -1), (1, 1, -1, -1), (4, 1, -1, -1), (1, 2, -1, -1), (1, 1, 2, -1), (1, -1, 3)], ids=str
)
@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (2, 1), (0, 3)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_expanded_by_dimensions_of_size_one(sizes: tuple, shape: tuple, turned: bool) -> None:
    def program(T: Any) -> Any:
        x = T.zeros(shape[::-1]).t() if turned else T.zeros(shape)
        return x.expand(sizes).stride(), x.expand(*sizes).stride()

    assert str(outcome(lambda: program(rushlight))) == str(outcome(lambda: program(torch)))
