"""`multi_head_attention_forward` and its module, against PyTorch; and the switches of PyTorch's attention kernels."""

import importlib
import itertools

import pytest
import torch
from both import same

import rushlight

E, H, L, S, N = 4, 2, 3, 5, 2
MASKS = {
    "none": lambda T, shape: None,
    "bool": lambda T, shape: T.rand(shape) > 0.6,
    "float": lambda T, shape: T.randn(shape, dtype=T.float64),
}


def call(T, *, batched=True, apart=False, bias=True, extra=False, zero=False, mask="none", padding="none", deep=False,
         static=False, weights=True, average=True, **other):  # fmt: skip
    T.manual_seed(4)
    lead = (N,) if batched else ()

    def made(*shape):
        return T.randn(*shape, dtype=T.float64).requires_grad_()

    q, k, v = made(L, *lead, E), made(S, *lead, E), made(S, *lead, E)
    w = [made(E, E) for _ in range(3)]
    n = N if batched else 1
    given = {
        "in_proj_weight": None if apart else T.cat(w),
        "in_proj_bias": made(3 * E) if bias else None,
        "bias_k": made(1, 1, E) if extra else None,
        "bias_v": made(1, 1, E) if extra else None,
        "add_zero_attn": zero,
        "dropout_p": 0.0,
        "out_proj_weight": made(E, E),
        "out_proj_bias": made(E) if bias else None,
        "key_padding_mask": MASKS[padding](T, (*lead, S)),
        "attn_mask": MASKS[mask](T, (n * H, L, S) if deep else (L, S)),
        "need_weights": weights,
        "average_attn_weights": average,
        "static_k": made(n * H, S, E // H) if static else None,
        "static_v": made(n * H, S, E // H) if static else None,
        **other,
    }
    if apart:
        given |= dict(
            zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), w), use_separate_proj_weight=True
        )
    output, found = T.nn.functional.multi_head_attention_forward(q, k, v, E, H, **given)
    total = output.sin().sum() + (0 if found is None else found.square().sum())
    leaves = [t for t in (q, k, v, *w) if not (static and t is not q and t is not w[0])]
    return output, found, T.autograd.grad(total, leaves, allow_unused=True)


@pytest.mark.parametrize("batched, apart, extra, zero", itertools.product([True, False], repeat=4))
@pytest.mark.parametrize("mask, padding", [("none", "none"), ("float", "float"), ("none", "bool")])
@pytest.mark.parametrize("weights", [True, False])
def test_every_form(batched, apart, extra, zero, mask, padding, weights):
    same(
        lambda T: call(T, batched=batched, apart=apart, extra=extra, zero=zero, mask=mask, padding=padding, weights=weights)
    )  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"deep": True, "mask": "float"},
        {"deep": True, "mask": "float", "batched": False},
        {"static": True},
        {"bias": False, "average": False},
        {"mask": "float", "is_causal": True, "weights": False},
        {"training": False, "dropout_p": 0.5},
        {"static": True, "extra": True},
        {"is_causal": True},
        {"bias_k": 3},
        {"bias_v": 3},
        {"in_proj_weight": None},
        {"apart": True, "in_proj_weight": None, "out_proj_bias": None},
    ],
)
def test_special_cases(given):
    same(lambda T: call(T, **given))


def modules(T, **given):
    T.manual_seed(0)
    return T.nn.MultiheadAttention(E, H, dtype=T.float64, **given)


@pytest.mark.parametrize(
    "given", [{}, {"batch_first": True}, {"bias": False}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 3, "vdim": 6}]
)  # fmt: skip
@pytest.mark.parametrize("weights", [True, False])
def test_the_module(given, weights):
    def program(T):
        m = modules(T, **given)
        first = given.get("batch_first")
        q = T.randn(*((N, L) if first else (L, N)), E, dtype=T.float64).requires_grad_()
        k, v = (
            T.randn(*((N, S) if first else (S, N)), given.get(d, E), dtype=T.float64)
            for d in ("kdim", "vdim")
        )
        y, w = m(q, k, v, need_weights=weights)
        y.square().sum().backward()
        return (
            y,
            w,
            q.grad,
            [p.grad.round(decimals=10).abs() for p in m.parameters()],
        )  # a key's bias counts for nothing

    same(program)


@pytest.mark.parametrize("first", [True, False])
def test_attention_to_oneself(first):
    def program(T):
        m = modules(T, batch_first=first)
        x = T.randn(L, N, E, dtype=T.float64).requires_grad_()
        y, w = m(*[x.sin()] * 3)
        y.square().sum().backward()
        return y, w, x.grad

    same(program)


@pytest.mark.parametrize(
    "shapes",
    [((3,), (3,), (3,)), ((3, 4), (3, 2, 4), (3, 4)), ((3, 2, 6), (3, 2, 6), (3, 2, 6)), ((3, 2, 4), (5, 2, 4), (6, 2, 4))],
)  # fmt: skip
def test_shapes_that_do_not_go_together(shapes):
    same(lambda T: modules(T)(*[T.ones(s, dtype=T.float64) for s in shapes]))


@pytest.mark.parametrize("name, shape", [("attn_mask", (2, 2)), ("attn_mask", (3, 3, 3)), ("attn_mask", (3,)), ("key_padding_mask", (3, 5)), ("key_padding_mask", (2,)), ("key_padding_mask", (2, 4))])  # fmt: skip
def test_masks_that_do_not_fit(name, shape):
    same(
        lambda T: modules(T)(
            *[T.ones(3, 2, 4, dtype=T.float64)] * 3, **{name: T.ones(shape, dtype=T.float64)}
        )
    )


def test_integers_are_no_mask():
    same(lambda T: modules(T)(*[T.ones(3, 2, 4, dtype=T.float64)] * 3, attn_mask=T.ones(3, 3, dtype=T.int64)))


# ---- nn.attention ----


def test_kernels_are_switched_in_a_block():
    def program(T):
        a = importlib.import_module(f"{T.__name__}.nn.attention")
        b = T.backends.cuda
        x = T.ones(1, 2, 3)
        with a.sdpa_kernel([a.SDPBackend.MATH, a.SDPBackend.FLASH_ATTENTION]):
            inside = (
                b.math_sdp_enabled(),
                b.flash_sdp_enabled(),
                b.mem_efficient_sdp_enabled(),
                b.cudnn_sdp_enabled(),
            )
            y = T.nn.functional.scaled_dot_product_attention(x, x, x)
        return inside, b.flash_sdp_enabled(), y, str(a.SDPBackend.MATH), int(a.SDPBackend.CUDNN_ATTENTION)

    same(program)
    same(lambda T: importlib.import_module(f"{T.__name__}.nn.attention").sdpa_kernel("math").__enter__())
    assert rushlight.nn.attention.SDPBackend is not torch.nn.attention.SDPBackend
