"""Images with channels innermost that are parts of larger ones: what is computed of them, and of gradients that lie so, is that of copies in rows."""

import numpy as np
import pytest

import rushlight as torch

F = torch.nn.functional
PARTS = {
    "every other channel": lambda x: x[:, ::2],
    "the first channels": lambda x: x[:, :4],
    "the last channels": lambda x: x[:, -4:],
    "every other column": lambda x: x[..., ::2],
    "some rows": lambda x: x[:, :, 1:7],
    "every other image": lambda x: x[::2],
    "all": lambda x: x,
}
WEIGHTS = torch.manual_seed(3) and torch.randn(3, 4, 3, 3)
OPERATIONS = {
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool2d dilated": lambda x: F.max_pool2d(x, 2, 1, 1, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "avg_pool2d in tiles": lambda x: F.avg_pool2d(x, 2),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 3),
    "lp_pool2d": lambda x: F.lp_pool2d(x.abs() + 1, 2, 2),
    "interpolate nearest": lambda x: F.interpolate(x, scale_factor=2),
    "interpolate bilinear": lambda x: F.interpolate(x, size=(7, 9), mode="bilinear"),
    "interpolate bicubic": lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"),
    "conv2d": lambda x: F.conv2d(x, WEIGHTS[:, : x.shape[1]].repeat(1, x.shape[1] // WEIGHTS[:, : x.shape[1]].shape[1], 1, 1)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "instance_norm": F.instance_norm,
    "group_norm": lambda x: F.group_norm(x, 2),
    "reflected": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "repeated": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "softmax": lambda x: x.softmax(1),
    "cat": lambda x: torch.cat([x, x * 2], 1),
    "sum": lambda x: x.sum((2, 3), keepdim=True),
    "gelu": F.gelu,
    "unfold": lambda x: F.unfold(x, 2).unsqueeze(1).transpose(1, 2),
}  # fmt: skip


def image(shape, part, seed):
    numbers = np.random.default_rng(seed).permutation(np.prod(shape)).reshape(shape).astype(np.float32) / 50
    return PARTS[part](torch.tensor(numbers).contiguous(memory_format=torch.channels_last))


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_results_and_gradients(name, part):
    operation = OPERATIONS[name]
    x = image((4, 8, 10, 12), part, 0)
    in_rows = x.clone(memory_format=torch.contiguous_format).requires_grad_()
    x = x.detach().requires_grad_()
    out, wanted = operation(x), operation(in_rows)
    torch.testing.assert_close(out, wanted)
    n, c, *size = out.shape
    for g in (
        image((n, 2 * c, *size), "every other channel", 1),
        image((2 * n, c, *size), "every other image", 2),
        image((n, c + 4, *size), "the first channels", 3)[:, :c]
        if c <= 4
        else image((n, c, *size), "all", 3),
        torch.ones(()).expand(out.shape),
    ):
        (found,) = torch.autograd.grad(out, x, g, retain_graph=True)
        (right,) = torch.autograd.grad(wanted, in_rows, g.contiguous(), retain_graph=True)
        torch.testing.assert_close(found, right)
