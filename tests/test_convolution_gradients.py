"""`torch.nn.grad`: gradients of convolutions as functions, recorded themselves."""

import pytest
from both import same

CASES = {
    1: ((2, 4, 9), (6, 2, 3), {"groups": 2, "stride": 2, "padding": 1}),
    2: ((2, 3, 6, 7), (4, 3, 2, 3), {"dilation": 2, "padding": (1, 0)}),
    3: ((1, 2, 4, 5, 4), (2, 2, 2, 2, 2), {"stride": (1, 2, 1)}),
}


@pytest.mark.parametrize("dims", CASES)
@pytest.mark.parametrize("which", ["input", "weight"])
def test_gradients_of_convolutions(dims, which):
    def program(T):
        shape, weight_shape, options = CASES[dims]
        T.manual_seed(0)
        x, w = (T.randn(s, dtype=T.float64).requires_grad_() for s in (shape, weight_shape))
        y = getattr(T.nn.functional, f"conv{dims}d")(x, w, **options)
        g = T.randn(y.shape, dtype=T.float64).requires_grad_()
        function = getattr(__import__(f"{T.__name__}.nn.grad").nn.grad, f"conv{dims}d_{which}")
        found = (
            function(shape, w, g, **options) if which == "input" else function(x, weight_shape, g, **options)
        )
        other = w if which == "input" else x
        return found, T.autograd.grad(found.square().sum(), [g, other])

    same(program)


def test_nothing_is_recorded_of_what_needs_no_gradient():
    same(
        lambda T: __import__(f"{T.__name__}.nn.grad").nn.grad.conv1d_input(
            (1, 1, 3), T.ones(1, 1, 2), T.ones(1, 1, 2)
        )
    )


def test_weights_are_laid_out_as_asked():
    def program(T):
        nn = T.nn
        T.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(2, 3, 2), nn.Sequential(nn.ConvTranspose2d(3, 2, 2), nn.Conv3d(2, 2, 2))
        )
        same_net = nn.utils.convert_conv2d_weight_memory_format(net, T.channels_last)
        first = [p.stride() for p in net.parameters()]
        nn.utils.convert_conv3d_weight_memory_format(net, T.channels_last_3d)
        return same_net is net, first, [(p.stride(), p) for p in net.parameters()]

    same(program)


def test_second_order_with_output_padding_wider_than_a_stride():
    def program(T):
        T.manual_seed(0)
        x, w = (T.randn(s, dtype=T.float64).requires_grad_() for s in ((2, 2, 4, 4), (2, 2, 4, 5)))
        y = T.nn.functional.conv_transpose2d(
            x, w, stride=(3, 2), padding=(1, 2), output_padding=(2, 3), dilation=4, groups=2
        )
        g = T.randn(y.shape, dtype=T.float64).requires_grad_()
        first = T.autograd.grad(y, [x, w], g, create_graph=True)
        return T.autograd.grad(sum(f.square().sum() for f in first), [x, w, g])

    same(program)
