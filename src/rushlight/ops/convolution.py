"""Convolutions over one, two or three dimensions, as products of matrices.

Windows of the input are laid out as columns (Chellapilla, Puri and Simard, 2006) and multiplied
with the weights by BLAS, some examples at a time. A convolution, its transpose and the gradient
of its weights are each the derivative of another, so second order comes by itself.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight.buffer import Tensor
from rushlight.dtypes import BOOL
from rushlight.layout import numel
from rushlight.ops import columns
from rushlight.ops.kinds.contraction import multiply
from rushlight.ops.spec import as_tensor, primitive, public

#: elements of the columns that are laid out at a time: they stay in the outer cache, and products are large
_COLUMNS = 1 << 20

# ---- windows ----


def padded(x: np.ndarray, padding: tuple[int, ...], value: Any = 0) -> np.ndarray:
    """Copies of `value` before and after each spatial dimension."""
    if not any(padding):
        return x
    shape = (*x.shape[:2], *(n + 2 * p for n, p in zip(x.shape[2:], padding)))
    out = np.full(shape, value, x.dtype)
    out[(..., *(slice(p, p + n) for n, p in zip(x.shape[2:], padding)))] = x
    return out


def windows(x: np.ndarray, kernel: tuple, stride: tuple, dilation: tuple, out: tuple) -> np.ndarray:
    """A view (N, C, *kernel, *out) of the windows that a kernel sees; `x` is large enough for all."""
    spatial = x.strides[2:]
    steps = tuple(s * d for s, d in zip(spatial, dilation)) + tuple(s * d for s, d in zip(spatial, stride))
    return np.lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *out), (*x.strides[:2], *steps))


def spread_windows(columns: np.ndarray, shape: tuple, stride: tuple, dilation: tuple) -> np.ndarray:
    """The transpose of `windows`: columns (N, C, *kernel, *out) added up where they were seen."""
    count = (columns.ndim - 2) // 2
    kernel, out = columns.shape[2 : 2 + count], columns.shape[2 + count :]
    made = np.zeros((*columns.shape[:2], *shape), columns.dtype)
    for offset in np.ndindex(kernel):
        places = tuple(
            slice(o * d, o * d + s * (n - 1) + 1, s) for o, d, s, n in zip(offset, dilation, stride, out)
        )
        seen: Any = (..., *places)
        made[seen] += columns[(slice(None), slice(None), *offset)]
    return made


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


# ---- the three products ----


def widened(a: np.ndarray) -> np.ndarray:
    """Half types in float32."""
    return a.astype(np.float32) if a.dtype.itemsize == 2 and a.dtype.kind not in "iu" else a


def _convolve(
    x: np.ndarray, w: np.ndarray, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> np.ndarray:
    n, c = x.shape[:2]
    o, kernel = w.shape[0], w.shape[2:]
    out = tuple(map(output_size, x.shape[2:], kernel, stride, padding, dilation))
    made = np.empty((n, o, *out), x.dtype)
    rows = w.reshape(groups, o // groups, -1) if w.size else np.zeros((groups, o // groups, 0), w.dtype)
    if 0 < numel(out) < columns.SMALL and rows.size:
        return columns.convolved(x, rows, padding, (kernel, stride, dilation), out)
    x = padded(x, padding)
    step = max(1, _COLUMNS // max(1, c * numel(kernel) * numel(out)))
    for start in range(0, n, step):
        seen = windows(x[start : start + step], kernel, stride, dilation, out)
        laid = seen.reshape(len(seen), groups, rows.shape[2], numel(out))
        made[start : start + step] = multiply(rows, laid).reshape(len(seen), o, *out)
    return made


def _transposed(
    g: np.ndarray, w: np.ndarray, stride: tuple, padding: tuple, dilation: tuple, size: tuple, groups: int
) -> np.ndarray:
    """The transpose of `_convolve` with respect to x; `size` is x's."""
    n, o = g.shape[:2]
    inner, kernel = w.shape[1], w.shape[2:]
    out = g.shape[2:]
    rows = w.reshape(groups, o // groups, -1).swapaxes(1, 2)
    if 0 < numel(out) < columns.SMALL and rows.size:
        return columns.transposed(g, rows, padding, (kernel, stride, dilation), size)
    whole = tuple(s + 2 * p for s, p in zip(size, padding))
    made = np.empty((n, groups * inner, *size), g.dtype)
    step = max(1, _COLUMNS // max(1, rows.shape[1] * groups * numel(out)))
    crop = (..., *(slice(p, p + s) for s, p in zip(size, padding)))
    for start in range(0, n, step):
        part = g[start : start + step]
        laid = multiply(rows, part.reshape(len(part), groups, o // groups, -1))
        laid = laid.reshape(len(part), groups * inner, *kernel, *out)
        made[start : start + step] = spread_windows(laid, whole, stride, dilation)[crop]
    return made


def _correlate(
    x: np.ndarray, g: np.ndarray, stride: tuple, padding: tuple, dilation: tuple, kernel: tuple, groups: int
) -> np.ndarray:
    """The transpose of `_convolve` with respect to w."""
    n, c = x.shape[:2]
    o, out = g.shape[1], g.shape[2:]
    inner = c // groups * numel(kernel)
    wide = np.result_type(x.dtype, np.float64) if x.dtype.kind in "fc" else x.dtype
    total = np.zeros((groups, o // groups, inner), wide)
    if 0 < numel(out) < columns.SMALL and total.size:
        columns.correlated(x, g, padding, (kernel, stride, dilation), groups, total)
        return total.astype(x.dtype, copy=False).reshape(o, c // groups, *kernel)
    x = padded(x, padding)
    step = max(1, _COLUMNS // max(1, c * numel(kernel) * numel(out), o * inner))
    for start in range(0, n, step):
        seen = windows(x[start : start + step], kernel, stride, dilation, out)
        laid = seen.reshape(len(seen), groups, inner, numel(out))
        left = g[start : start + step].reshape(len(seen), groups, o // groups, -1)
        total += np.add.reduce(multiply(left, laid.swapaxes(2, 3)), 0, dtype=wide)
    total = total.astype(x.dtype, copy=False)
    return total.reshape(o, c // groups, *kernel)


# ---- primitives ----


def _conj(t: Any) -> Any:
    return t.conj() if t._dtype.is_complex else t


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
        lambda g, x, stride, padding, dilation, groups: convolution_(
            x, g, None, stride=stride, padding=padding, dilation=dilation, groups=groups
        ),
    ),
)
def weight_gradient_(x, y, *, stride, padding, dilation, kernel, groups):
    kind = x.dtype
    if kind.kind == "c":
        x = x.conj()
    return _correlate(widened(x), widened(y), stride, padding, dilation, kernel, groups).astype(
        kind, copy=False
    )


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
    made = _convolve(widened(x), widened(w), stride, padding, dilation, groups)
    return _biased(made, b, kind)


def _biased(made: np.ndarray, b: np.ndarray | None, kind: np.dtype) -> np.ndarray:
    if b is not None:
        made += b.astype(made.dtype).reshape(-1, *(1,) * (made.ndim - 2))
    return made.astype(kind, copy=False)


def _cropped(t: Any, shape: tuple[int, ...]) -> Any:
    """Output padding as wide as the stride makes room for windows that the input does not have."""
    for dim in range(2, len(shape)):
        if t._a.shape[dim] > shape[dim]:
            t = t.narrow(dim, 0, shape[dim])
    return t


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
    return _biased(_transposed(widened(x), widened(w), stride, padding, dilation, size, groups), b, kind)


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
