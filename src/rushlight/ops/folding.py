"""Windows as columns, and columns added up to images: unfold, fold."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.layout import numel
from rushlight.ops.convolving import output_size, padded, spread_windows, windows
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single


@primitive(
    "Im2Col",
    vjp=(
        lambda g, x_meta, kernel, dilation, padding, stride: fold_(
            g, size=x_meta.shape[2:], kernel=kernel, dilation=dilation, padding=padding, stride=stride
        ),
    ),
)
def unfold_(x, *, kernel, dilation, padding, stride):
    out = tuple(map(output_size, x.shape[2:], kernel, stride, padding, dilation))
    seen = windows(padded(x, padding), kernel, stride, dilation, out)
    return seen.reshape(x.shape[0], x.shape[1] * numel(kernel), numel(out))


@primitive(
    "Col2Im",
    vjp=(
        lambda g, kernel, dilation, padding, stride: unfold_(
            g, kernel=kernel, dilation=dilation, padding=padding, stride=stride
        ),
    ),
)
def fold_(x, *, size, kernel, dilation, padding, stride):
    out = tuple(map(output_size, size, kernel, stride, padding, dilation))
    columns = single(x).reshape(x.shape[0], x.shape[1] // numel(kernel), *kernel, *out)
    made = spread_windows(columns, tuple(n + 2 * p for n, p in zip(size, padding)), stride, dilation)
    crop = tuple(slice(p, p + n) for n, p in zip(size, padding))
    return np.ascontiguousarray(made[(..., *crop)]).astype(x.dtype, copy=False)


def _pairs(name: str, **values: Any) -> dict[str, tuple[int, ...]]:
    made = {}
    for argument, value in values.items():
        pair = (value,) * 2 if isinstance(value, int) else tuple(value)
        if len(pair) not in (1, 2):
            raise RuntimeError(f"It is expected {argument} equals to 2, but got size {len(pair)}")
        made[argument] = pair * 2 if len(pair) == 1 else pair
        least = 0 if argument == "padding" else 1
        if min(made[argument]) < least:
            what = argument.replace("kernel", "kernel size") if argument != "size" else "output_size"
            wanted = "non-negative" if least == 0 else "greater than zero"
            raise RuntimeError(
                f"{what} should be {wanted}, but got {argument}_height: {made[argument][0]} {argument}_width: "
                f"{made[argument][1]}"
            )
    return made


@public(
    name="nn.functional.unfold",
    out=False,
    takes={"kernel_size": "ints", "dilation": "ints", "padding": "ints", "stride": "ints"},
)
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of (N, C, H, W) as columns (N, C * KH * KW, number of windows).

    Raises:
        RuntimeError: neither (C, H, W) nor (N, C, H, W), or an image smaller than the window.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.unfold(torch.arange(9.0).reshape(1, 1, 3, 3), 2).shape
        torch.Size([1, 4, 4])
    """
    as_tensor(input, "im2col", "input", 1)
    options = _pairs("im2col", kernel=kernel_size, dilation=dilation, padding=padding, stride=stride)
    shape = input._a.shape
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(shape)}"
        )
    x = input if len(shape) == 4 else input.unsqueeze(0)
    out = tuple(
        map(
            output_size,
            shape[-2:],
            options["kernel"],
            options["stride"],
            options["padding"],
            options["dilation"],
        )
    )
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(shape[-2:])}, kernel_size={options['kernel']}, "
            f"dilation={options['dilation']}, padding={options['padding']}, calculated shape of the array of sliding "
            f"blocks as {out}, but its components must be at least one."
        )
    made = unfold_(x, **options)
    return made if len(shape) == 4 else made.squeeze(0)


@public(
    name="nn.functional.fold",
    out=False,
    takes={"kernel_size": "ints", "dilation": "ints", "padding": "ints", "stride": "ints"},
)
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns added up to images: the transpose of :func:`unfold`.

    Raises:
        RuntimeError: neither two nor three dimensions, or sizes that no such windows have.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.fold(torch.ones(1, 4, 4), (3, 3), 2)
        tensor([[[[1., 2., 1.],
                  [2., 4., 2.],
                  [1., 2., 1.]]]])
    """
    as_tensor(input, "col2im", "input", 1)
    options = _pairs(
        "col2im", size=output_size, kernel=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    shape = input._a.shape
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {list(shape)}"
        )
    _check_fold(shape, options)
    x = input if len(shape) == 3 else input.unsqueeze(0)
    made = fold_(x, **options)
    return made if len(shape) == 3 else made.squeeze(0)


def _check_fold(shape: tuple, options: dict) -> None:
    area = numel(options["kernel"])
    if shape[-2] % area:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={options['kernel']}."
        )
    blocks = tuple(
        map(output_size, options["size"], *(options[k] for k in ("kernel", "stride", "padding", "dilation")))
    )
    if numel(blocks) != shape[-1] or min(blocks) < 1:
        raise RuntimeError(
            f"Given output_size={options['size']}, kernel_size={options['kernel']}, dilation={options['dilation']}, "
            f"padding={options['padding']}, stride={options['stride']}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {blocks[0]} * {blocks[1]} = {numel(blocks)}, but got "
            f"input.size(2)={shape[-1]}."
        )
