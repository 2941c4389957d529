"""Convolutions over one, two or three dimensions, as products of matrices.

A convolution, its transpose and the gradient of its weights are each the derivative of another, so second order comes by itself;
`convolving` computes them.
"""

from __future__ import annotations

import warnings
from typing import Any

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL
from rushlight.layout import Form
from rushlight.ops.convolving import convolved, correlated, transposed
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import single

# ---- primitives ----


def _conj(t: Any) -> Any:
    return t.conj() if t._dtype.is_complex else t


def _cropped(t: Any, shape: tuple[int, ...]) -> Any:
    """Output padding as wide as the stride makes room for windows that the input does not have."""
    for dim in range(2, len(shape)):
        if t._a.shape[dim] > shape[dim]:
            t = t.narrow(dim, 0, shape[dim])
    return t


@primitive(
    "ConvolutionBackwardWeight",
    vjp=(
        lambda g, y, x_meta, stride, padding, dilation, groups: transposed_(
            y,
            _conj(g),
            None,
            stride=stride,
            padding=padding,
            dilation=dilation,
            size=x_meta.shape[2:],
            groups=groups,
        ),
        lambda g, x, y_meta, stride, padding, dilation, groups: _cropped(
            convolution_(x, g, None, stride=stride, padding=padding, dilation=dilation, groups=groups),
            y_meta.shape,
        ),
    ),
)
def weight_gradient_(x, y, *, stride, padding, dilation, kernel, groups):
    kind = x.dtype
    if kind.kind == "c":
        x = x.conj()
    form = Form(kernel, stride, dilation)
    return correlated(single(x), single(y), form, padding, groups).astype(kind, copy=False)


def _spatial_sum(g: Any) -> Any:
    return g.sum((0, *range(2, g._a.ndim)))


@primitive(
    "Convolution",
    like_image=True,
    vjp=(
        lambda g, w, x_meta, stride, padding, dilation, groups: transposed_(
            g,
            _conj(w),
            None,
            stride=stride,
            padding=padding,
            dilation=dilation,
            size=x_meta.shape[2:],
            groups=groups,
        ),
        lambda g, x, w_meta, stride, padding, dilation, groups: weight_gradient_(
            x, g, stride=stride, padding=padding, dilation=dilation, kernel=w_meta.shape[2:], groups=groups
        ),
        lambda g: _spatial_sum(g),
    ),
)
def convolution_(x, w, b, *, stride, padding, dilation, groups):
    kind = x.dtype
    form, b = Form(w.shape[2:], stride, dilation), b if b is None else single(b)
    return convolved(single(x), single(w), b, form, padding, groups).astype(kind, copy=False)


@primitive(
    "Convolution",
    like_image=True,
    vjp=(
        lambda g, w, x_meta, stride, padding, dilation, groups: _cropped(
            convolution_(g, _conj(w), None, stride=stride, padding=padding, dilation=dilation, groups=groups),
            x_meta.shape,
        ),
        lambda g, x, w_meta, stride, padding, dilation, groups: _transposed_weight_gradient(
            g, x, stride, padding, dilation, w_meta.shape[2:], groups
        ),
        lambda g: _spatial_sum(g),
    ),
)
def transposed_(x, w, b, *, stride, padding, dilation, size, groups):
    kind = x.dtype
    form, b = Form(w.shape[2:], stride, dilation), b if b is None else single(b)
    return transposed(single(x), single(w), b, form, padding, size, groups).astype(kind, copy=False)


def _transposed_weight_gradient(
    g: Any, x: Any, stride: tuple, padding: tuple, dilation: tuple, kernel: tuple, groups: int
) -> Any:
    made = weight_gradient_(
        _conj(g), _conj(x), stride=stride, padding=padding, dilation=dilation, kernel=kernel, groups=groups
    )
    return made


# ---- checks ----


def each(value: Any, count: int, argument: str, name: str) -> tuple[int, ...]:
    """One number for all spatial dimensions, or one for each."""
    if isinstance(value, int):
        return (value,) * count
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name}(): argument '{argument}' must be tuple of ints, not {type(value).__name__}")
    values = tuple(int(v) for v in value)
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise RuntimeError(
            f"expected {argument} to be a single integer value or a list of {count} values to match the convolution "
            f"dimensions, but got {argument}={list(values)}"
        )
    return values


def _check_numbers(stride: tuple, padding: tuple, dilation: tuple, groups: int) -> None:
    if any(p < 0 for p in padding):
        raise RuntimeError("negative padding is not supported")
    if any(s <= 0 for s in stride):
        raise RuntimeError("non-positive stride is not supported")
    if any(d <= 0 for d in dilation):
        raise RuntimeError("dilation should be greater than zero")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")


def _check_dtypes(input: Tensor, weight: Tensor, bias: Any, name: str) -> None:
    if input._dtype is not weight._dtype:
        raise RuntimeError(f"expected scalar type {input._dtype.legacy} but found {weight._dtype.legacy}")
    if bias is not None and bias._dtype is not input._dtype:
        raise RuntimeError(
            f"Input type ({input._dtype.legacy}) and bias type ({bias._dtype.legacy}) should be the same"
        )
    if input._dtype.category == BOOL:
        raise NotImplementedError(f"\"{name}\" not implemented for '{input._dtype.legacy}'")


def _batched(input: Any, count: int, name: str) -> Any:
    """The input with a batch of one if it has none."""
    ndim = input._a.ndim
    if ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to {name}, but got input of size: "
            f"{list(input._a.shape)}"
        )
    return input if ndim == count + 2 else input.unsqueeze(0)


def _check_ranks(x: Any, weight: Any) -> None:
    shape, kernel = x._a.shape, weight._a.shape
    if len(kernel) != len(shape):
        raise RuntimeError(
            f"Expected {len(kernel)}-dimensional input for {len(kernel)}-dimensional weight {list(kernel)}, but got "
            f"{len(shape)}-dimensional input of size {list(shape)} instead"
        )


def _check_shapes(x: Any, weight: Any, bias: Any, channels: int, groups: int, transposed: bool) -> None:
    _check_ranks(x, weight)
    shape, kernel = x._a.shape, weight._a.shape
    if kernel[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(kernel)} instead"
        )
    if kernel[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of "
            f"size [{list(kernel)}] instead"
        )
    wanted = kernel[0] if transposed else kernel[1] * groups
    if shape[1] != wanted:
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else f'groups={groups}, '}weight of size {list(kernel)}, expected "
            f"input{list(shape)} to have {wanted} channels, but got {shape[1]} channels instead"
        )
    if bias is not None and bias._a.shape != (channels,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(kernel)}, expected bias to be "
            f"1-dimensional with {channels} elements, but got bias of size {list(bias._a.shape)} instead"
        )


def _check_fits(shape: tuple, kernel: tuple, padding: tuple, dilation: tuple) -> None:
    whole = [n + 2 * p for n, p in zip(shape, padding)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n < k for n, k in zip(whole, reach)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, whole))}). Kernel size: "
            f"({' x '.join(map(str, reach))}). Kernel size can't be greater than actual input size"
        )


def _same_padding(x: Any, kernel: tuple, stride: tuple, dilation: tuple) -> tuple[Any, tuple[int, ...]]:
    """Padding that keeps the size; what is odd goes to the end, by padding the input."""
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation)]
    if any(t % 2 for t in total):
        warnings.warn(
            "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the "
            "input be created",
            stacklevel=5,
        )
        widths = [n for t in reversed(total) for n in (0, t % 2)]
        from rushlight.ops.padding import constant_pad_nd

        x = constant_pad_nd(x, widths)
    return x, tuple(t // 2 for t in total)


# ---- public ----


def _conv(
    count: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    name = f"conv{count}d"
    as_tensor(input, name, "input", 1)
    as_tensor(weight, name, "weight", 2)
    stride, dilation = each(stride, count, "stride", name), each(dilation, count, "dilation", name)
    x = _batched(input, count, name)
    _check_ranks(x, weight)
    if isinstance(padding, str):
        if padding == "same":
            x, padding = _same_padding(x, weight._a.shape[2:], stride, dilation)
        elif padding == "valid":
            padding = 0
        else:
            raise RuntimeError("Invalid padding string: '" + padding + "'")
    padding = each(padding, count, "padding", name)
    _check_numbers(stride, padding, dilation, groups)
    _check_shapes(x, weight, bias, weight._a.shape[0], groups, False)
    _check_dtypes(input, weight, bias, name)
    _check_fits(x._a.shape[2:], weight._a.shape[2:], padding, dilation)
    made = convolution_(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return made if x._a.ndim == input._a.ndim else made.squeeze(0)


@public(name="conv1d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Correlation of (N, C, L) with weights (O, C / groups, K).

    Example:
        >>> import rushlight as torch
        >>> torch.conv1d(torch.tensor([[[1., 2., 3.]]]), torch.ones(1, 1, 2))
        tensor([[[3., 5.]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@public(name="conv2d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Correlation of (N, C, H, W) with weights (O, C / groups, KH, KW).

    The result is (N, O, H', W'). A batch of one image may leave N out.

    Raises:
        RuntimeError: channels, groups or kernel do not fit the input.

    Example:
        >>> import rushlight as torch
        >>> torch.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))
        tensor([[[[4., 4.],
                  [4., 4.]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@public(name="conv3d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Correlation of (N, C, D, H, W) with weights (O, C / groups, KD, KH, KW)."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    count: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    extra: Any,
    groups: int,
    dilation: Any,
) -> Any:
    name = f"conv_transpose{count}d"
    as_tensor(input, name, "input", 1)
    as_tensor(weight, name, "weight", 2)
    x = _batched(input, count, name)
    stride, dilation = each(stride, count, "stride", name), each(dilation, count, "dilation", name)
    padding, extra = each(padding, count, "padding", name), each(extra, count, "output_padding", name)
    _check_numbers(stride, padding, dilation, groups)
    if any(e < 0 for e in extra):
        raise RuntimeError("negative output_padding is not supported")
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding: {list(extra)}, stride: {list(stride)}, dilation: {list(dilation)}"
        )
    channels = weight._a.shape[1] * groups if weight._a.ndim > 1 else 0
    _check_shapes(x, weight, bias, channels, groups, True)
    _check_dtypes(input, weight, bias, name)
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(x._a.shape[2:], stride, padding, dilation, weight._a.shape[2:], extra)
    )
    if any(n <= 0 for n in size):
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, x._a.shape[2:]))}). Calculated output size per "
            f"channel: ({' x '.join(map(str, size))}). Output size is too small"
        )
    made = transposed_(
        x, weight, bias, stride=stride, padding=padding, dilation=dilation, size=size, groups=groups
    )
    return made if x._a.ndim == input._a.ndim else made.squeeze(0)


@public(name="conv_transpose1d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of :func:`conv1d`, for weights (C, O / groups, K)."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(name="conv_transpose2d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of :func:`conv2d`, for weights (C, O / groups, KH, KW)."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@public(name="conv_transpose3d", out=False, takes={"bias": "Tensor?", "groups": "int"})
def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The transpose of :func:`conv3d`, for weights (C, O / groups, KD, KH, KW)."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
