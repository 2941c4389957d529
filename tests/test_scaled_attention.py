"""`scaled_dot_product_attention` against PyTorch: values, gradients of both orders, masks, layouts, nodes and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from both import assert_near

import rushlight

SMALL, LARGE = ((2, 3, 4, 5), (2, 3, 6, 5)), ((2, 4, 64, 16), (2, 4, 33, 16))
#: of the largest element: some units in the last place of the type, which two products and a row of exponentials may be off
NEAR = {"float64": 1e-12, "float32": 3e-6, "bfloat16": 2e-2, "float16": 3e-3}


def drawn(L, shape, dtype="float64", seed=0):
    a = np.random.default_rng((seed, *shape)).standard_normal(shape)
    return L.tensor(a).to(getattr(L, dtype))


def operands(L, sizes, dtype):
    query, key = sizes
    return [drawn(L, s, dtype, n).requires_grad_() for n, s in enumerate((query, key, key))]


def places(sizes):
    return sizes[0][-2], sizes[1][-2]


#: what is given beside query, key and value: (library, sizes, type) -> arguments
GIVEN = {
    "nothing": lambda L, sizes, dtype: {},
    "causal": lambda L, sizes, dtype: {"is_causal": True},
    "numbers": lambda L, sizes, dtype: {"attn_mask": drawn(L, places(sizes), dtype)},
    # (float32 for float64 scores PyTorch reads as something else)
    "single numbers": lambda L, sizes, dtype: {
        "attn_mask": drawn(L, places(sizes), "float64" if dtype == "float64" else "float32")
    },
    "of batches": lambda L, sizes, dtype: {"attn_mask": drawn(L, (2, 1, 1, places(sizes)[1]), dtype)},
    "truths": lambda L, sizes, dtype: {"attn_mask": drawn(L, places(sizes)) > 0},
    "of three dimensions": lambda L, sizes, dtype: {"attn_mask": drawn(L, (1, *places(sizes)), dtype)},
    "truths and causal": lambda L, sizes, dtype: {
        "attn_mask": drawn(L, places(sizes)) > 0,
        "is_causal": True,
    },
    "scale": lambda L, sizes, dtype: {"scale": 0.3},
    "negative scale": lambda L, sizes, dtype: {"scale": -0.3},
    "no scale": lambda L, sizes, dtype: {"scale": 0.0},
}


def attended(L, sizes, dtype, given):
    inputs = operands(L, sizes, dtype)
    out = L.nn.functional.scaled_dot_product_attention(*inputs, **GIVEN[given](L, sizes, dtype))
    return inputs, out


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("sizes", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("given", GIVEN)
def test_values_and_gradients(given, sizes, dtype):
    step_by_step = given == "of three dimensions"
    found = []
    for L in (rushlight, torch):
        inputs, out = attended(L, sizes, dtype, given)
        found.append([out, *L.autograd.grad(out, inputs, drawn(L, sizes[0], dtype, 9))])
        assert out.dtype is getattr(L, dtype)
    assert_near(*found, NEAR[dtype])
    mine, theirs = found
    if not step_by_step or dtype.startswith("float") and dtype != "float16":
        assert type(mine[0].grad_fn).__name__ == type(theirs[0].grad_fn).__name__
    assert [p.stride() for p in mine] == [q.stride() for q in theirs]


@pytest.mark.parametrize("given", GIVEN)
def test_second_order(given):
    """PyTorch has it for its composite only, which shapes of three dimensions take."""
    found = []
    for L, cut in ((rushlight, False), (torch, True)):
        inputs, _ = attended(L, SMALL, "float64", "nothing")
        rest = GIVEN[given](L, SMALL, "float64")
        shaped = [t.flatten(0, 1) for t in inputs] if cut else inputs
        mask = rest.get("attn_mask")
        if cut and mask is not None:
            rest["attn_mask"] = mask.expand(2, 3, *places(SMALL)).flatten(0, 1)
        if rest.get("is_causal") and mask is not None:
            del rest["is_causal"]
            rest["attn_mask"] = rest["attn_mask"].logical_and(L.ones(places(SMALL)).tril() > 0)
        out = L.nn.functional.scaled_dot_product_attention(*shaped, **rest)
        first = L.autograd.grad(out, inputs, drawn(L, SMALL[0]).view(out.shape), create_graph=True)
        found.append(L.autograd.grad(sum((g * g).sum() for g in first), inputs))
    assert_near(*found, NEAR["float64"])


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)], ids=str)
def test_gradients_of_some(wanted):
    """And an incoming gradient that is one number, repeated."""
    found = []
    for L in (rushlight, torch):
        inputs = [t.detach().requires_grad_(n in wanted) for n, t in enumerate(operands(L, LARGE, "float32"))]
        out = L.nn.functional.scaled_dot_product_attention(*inputs)
        found.append(L.autograd.grad(out.sum(), [inputs[n] for n in wanted]))
    assert_near(*found, NEAR["float32"])


def test_gradient_of_a_mask():
    found = []
    for L in (rushlight, torch):
        mask = drawn(L, places(LARGE)).requires_grad_()
        inputs = operands(L, LARGE, "float64")
        out = L.nn.functional.scaled_dot_product_attention(*inputs, mask)
        found.append(L.autograd.grad(out.sin().sum(), [mask, *inputs]))
    assert_near(*found, NEAR["float64"])


@pytest.mark.parametrize("sizes", [SMALL, LARGE], ids=["small", "large"])
def test_who_may_look_nowhere_gets_zeros(sizes):
    found = []
    for L in (rushlight, torch):
        inputs = operands(L, sizes, "float32")
        mask = L.ones(places(sizes), dtype=L.bool)
        mask[1] = False
        out = L.nn.functional.scaled_dot_product_attention(*inputs, mask)
        found.append([out, *L.autograd.grad(out, inputs, drawn(L, sizes[0], "float32", 9))])
        assert (out[:, :, 1] == 0).all()
    assert_near(*found, NEAR["float32"])


def test_shared_heads():
    found = []
    for L in (rushlight, torch):
        inputs = [drawn(L, (2, heads, 20, 8)).requires_grad_() for heads in (6, 3, 3)]
        out = L.nn.functional.scaled_dot_product_attention(*inputs, enable_gqa=True)
        found.append([out, *L.autograd.grad(out.sin().sum(), inputs)])
    assert_near(*found, NEAR["float64"])


@pytest.mark.parametrize("sizes", [((2, 3, 0, 5), (2, 3, 6, 5)), ((2, 3, 4, 5), (2, 3, 0, 5)), ((2, 3, 4, 0), (2, 3, 6, 0)),
                                   ((0, 3, 4, 5), (0, 3, 6, 5))], ids=str)  # fmt: skip
def test_nothing(sizes):
    found = []
    for L in (rushlight, torch):
        inputs, out = attended(L, sizes, "float32", "nothing")
        found.append([out, *L.autograd.grad(out.sum(), inputs)])
    assert_near(*found, NEAR["float32"])
    assert found[0][0].shape == tuple(found[1][0].shape)


def test_same_bits_on_any_threads_and_at_once():
    def made():
        inputs, out = attended(rushlight, ((4, 4, 64, 32), (4, 4, 64, 32)), "float32", "causal")
        grads = rushlight.autograd.grad(out, inputs, rushlight.ones_like(out))
        return [t.detach().numpy().tobytes() for t in (out, *grads)]

    expected, before = made(), rushlight.get_num_threads()
    with rushlight.eager():
        assert made() == expected
    try:
        for threads in (1, 2, 3):
            rushlight.set_num_threads(threads)
            assert made() == expected
    finally:
        rushlight.set_num_threads(before)


ERRORS = {
    "mask of another width": lambda L, q, k: {"attn_mask": drawn(L, (4, 5), "float32")},
    "mask of more batches": lambda L, q, k: {"attn_mask": drawn(L, (3, 3, 4, 6), "float32")},
    "mask of more dimensions": lambda L, q, k: {"attn_mask": drawn(L, (1, 2, 3, 4, 6), "float32")},
    "mask of another type": lambda L, q, k: {"attn_mask": drawn(L, (4, 6), "float64")},
    "mask of halves": lambda L, q, k: {"attn_mask": drawn(L, (4, 6), "bfloat16")},
    "value of another type": lambda L, q, k: {"value": drawn(L, k, "float64")},
    "complex": lambda L, q, k: {n: L.ones(k, dtype=L.complex64) for n in ("query", "key", "value")},
    "integers": lambda L, q, k: {n: L.ones(k, dtype=L.int64) for n in ("query", "key", "value")},
}


def test_step_by_step_a_mask_is_all():
    for L in (rushlight, torch):
        x = L.ones(3, 4, 4)
        with pytest.raises(RuntimeError, match="Explicit attn_mask should not be set when is_causal=True"):
            L.nn.functional.scaled_dot_product_attention(x, x, x, x, is_causal=True)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_pytorchs_words(name):
    raised = []
    for L in (rushlight, torch):
        q, k, v = operands(L, SMALL, "float32")
        with pytest.raises((RuntimeError, NotImplementedError)) as error:
            L.nn.functional.scaled_dot_product_attention(
                **{"query": q, "key": k, "value": v} | ERRORS[name](L, *SMALL)
            )
        raised.append(error.value)
    assert type(raised[0]) is type(raised[1])
    assert str(raised[0]) == str(raised[1])
