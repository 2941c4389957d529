"""`gradcheck` in forward mode and of batches of gradients, against what PyTorch says of the same functions."""

import pytest
import torch
from both import same

import rushlight

WAYS = [
    {"check_forward_ad": True},
    {"check_forward_ad": True, "check_backward_ad": False},
    {"check_batched_grad": True},
    {"check_forward_ad": True, "check_batched_forward_grad": True, "fast_mode": True},
]


def check(T, function, *shapes, complex_inputs=False, name="gradcheck", **options):
    T.manual_seed(0)
    kind = T.complex128 if complex_inputs else T.float64
    inputs = tuple([T.rand(shape, dtype=kind).add(0.5).requires_grad_() for shape in shapes])
    return getattr(T.autograd, name)(function, inputs, **options)


@pytest.mark.parametrize("options", WAYS, ids=lambda o: "-".join(o))
@pytest.mark.parametrize("complex_inputs", [False, True])
def test_sound_derivatives_pass(options, complex_inputs):
    def function(x, y):
        return x.exp() * y, (x * y).sum()

    for T in (torch, rushlight):
        assert check(T, function, (2, 3), (3,), complex_inputs=complex_inputs, **options)


@pytest.mark.parametrize("options", WAYS[:3], ids=lambda o: "-".join(o))
def test_outputs_that_do_not_depend_on_the_input_and_inputs_without_elements_pass(options):
    for T in (torch, rushlight):
        assert check(T, lambda x, T=T: (x * 2, T.ones(2, dtype=T.float64)), (3,), **options)
        assert check(T, lambda x: x * 2, (0,), **options)


def test_a_direction_that_is_lost_is_found_in_forward_mode():
    def lost(T):
        try:
            check(T, lambda x: x.detach() + x, (3,), check_forward_ad=True, check_backward_ad=False)
        except RuntimeError as error:
            return type(error).__name__, str(error).partition(",")[0]

    same(lost)
    assert lost(rushlight)[1].startswith("Jacobian computed with forward mode mismatch")


def test_a_backward_that_treats_a_batch_otherwise_is_found():
    class Uneven(rushlight.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return rushlight.nonzero(g).sum() * g

    x = rushlight.ones(3, dtype=rushlight.float64, requires_grad=True)
    with pytest.raises(RuntimeError):
        rushlight.autograd.gradcheck(Uneven.apply, (x,), check_batched_grad=True)


@pytest.mark.parametrize(
    "options",
    [
        {"check_batched_grad": True},
        {"check_fwd_over_rev": True},
        {"check_fwd_over_rev": True, "check_rev_over_rev": False, "check_undefined_grad": False},
    ],
    ids=lambda o: "-".join(o),
)
def test_second_derivatives_pass(options):
    for T in (torch, rushlight):
        assert check(T, lambda x, y: x**3 * y, (2,), (2,), name="gradgradcheck", **options)


@pytest.mark.parametrize(
    "name, options",
    [
        ("gradcheck", {"check_backward_ad": False}),
        (
            "gradcheck",
            {
                "check_forward_ad": True,
                "check_backward_ad": False,
                "check_undefined_grad": False,
                "check_batched_grad": True,
            },
        ),
        ("gradcheck", {"check_batched_forward_grad": True}),
        ("gradgradcheck", {"check_fwd_over_rev": True, "check_rev_over_rev": False}),
        ("gradgradcheck", {"check_rev_over_rev": False}),
    ],
)
def test_ways_that_contradict_each_other_are_refused(name, options):
    same(lambda T: check(T, lambda x: x * 2, (2,), name=name, **options))


def test_sparse_outputs_are_refused():
    same(lambda T: check(T, lambda x: x.to_sparse(), (2,)))
