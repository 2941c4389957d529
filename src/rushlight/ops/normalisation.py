"""Normalisation: to mean 0 and variance 1 over some dimensions, or to length 1.

Means and variances are taken in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import BY_NUMPY, FLOATING, REDUCED, finfo, float32, float64
from rushlight.graph.expr import array_of
from rushlight.layout import numel
from rushlight.numerics.fused import multiply_add
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.deferral import FROM_COSTLY, FROM_MAPPED, launch, reduced
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import MODES
from rushlight.tape.writes import check_write, wrote

# ---- what all have in common ----


def _double(a: np.ndarray) -> np.ndarray:
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def _standard_rows(x: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a real matrix at mean 0 and variance 1, and the factor that each was multiplied with; in float64."""
    hat = x.astype(np.float64)
    count = x.shape[1]
    hat -= np.add.reduce(hat, 1, keepdims=True) / count
    scale = 1 / np.sqrt(np.einsum("ij,ij->i", hat, hat)[:, None] / count + eps)
    hat *= scale
    return hat, scale


def _standardized(x: np.ndarray, dims: tuple[int, ...], eps: float) -> np.ndarray:
    wide = _double(x)
    wide -= wide.mean(dims, keepdims=True)
    wide /= np.sqrt(np.square(wide).mean(dims, keepdims=True) + eps)
    return wide


def _standard(x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(x - mean) / sqrt(variance + eps) and the factor, as tensors, for derivatives."""
    centred = x - x.mean(dims, True)
    scale = ((centred * centred).mean(dims, True) + eps).rsqrt()
    return centred * scale, scale


def _standard_gradient(g: Any, x: Any, dims: tuple[int, ...], eps: float) -> Any:
    """What flows back through `_standard`: g less its parts along 1 and along the result."""
    hat, scale = _standard(x, dims, eps)
    return scale * (g - g.mean(dims, True) - hat * (g * hat).mean(dims, True))


def _affine(hat: np.ndarray, weight: Any, bias: Any, kind: np.dtype) -> np.ndarray:
    """`hat`, which is given up, times `weight` plus `bias`, rounded once to `kind`."""
    if weight is not None:
        hat *= weight
    if bias is not None:
        hat += bias
    return hat.astype(kind)


def _lifted(t: Any) -> Any:
    """Half types in float32, so that derivatives round once."""
    return t.to(float32) if t is not None and t._dtype in REDUCED else t


# ---- over the last dimensions ----


def _last(x: Any, count: int) -> tuple[int, ...]:
    return tuple(range(x._a.ndim - count, x._a.ndim))


def _layer_gradient(
    g: Any, x: Any, weight: Any, bias_meta: Any, needs: tuple, count: int, eps: float
) -> tuple:
    """The gradients of input, weight and bias."""
    if not MODES.grad and g._dtype in (float32, float64) and x._a.size:
        made = quiet(
            _layer_gradient_values, g._a, x._a, None if weight is None else weight._a, needs, count, eps
        )
        return tuple([None if a is None else new_tensor(a, g._dtype) for a in made])
    g, x, weight = _lifted(g), _lifted(x), _lifted(weight)
    hat = _standard(x, _last(x, count), eps)[0]
    inner = g if weight is None else g * weight
    return (
        _standard_gradient(inner, x, _last(x, count), eps) if needs[0] else None,
        g * hat if needs[1] else None,
        g if needs[2] else None,
    )


def _layer_gradient_values(
    g: np.ndarray, x: np.ndarray, weight: Any, needs: tuple, count: int, eps: float
) -> list:
    """The same of arrays, taken as matrices; what weight and bias share is summed here."""
    width = numel(x.shape[x.ndim - count :])
    made = _layer_gradient_in_loops(
        g.reshape(-1, width), x.reshape(-1, width), None if weight is None else weight.reshape(-1), needs, eps
    )
    if made is not None:
        shapes = x.shape, x.shape[x.ndim - count :], x.shape[x.ndim - count :]
        return [a if a is None else a.astype(x.dtype, copy=False).reshape(to) for a, to in zip(made, shapes)]
    hat, scale = _standard_rows(x.reshape(-1, width), eps)
    g = g.reshape(-1, width).astype(np.float64)
    to_weight = np.einsum("ij,ij->j", g, hat) if needs[1] else None
    to_bias = np.add.reduce(g, 0) if needs[2] else None
    if needs[0]:
        if weight is not None:
            g *= weight.reshape(-1)
        hat *= np.einsum("ij,ij->i", g, hat)[:, None] / width
        g -= np.add.reduce(g, 1, keepdims=True) / width
        g -= hat
        g *= scale
    shape = x.shape[x.ndim - count :]
    made = (g if needs[0] else None, x.shape), (to_weight, shape), (to_bias, shape)
    return [a if a is None else a.astype(x.dtype).reshape(to) for a, to in made]


def _layer_gradient_in_loops(
    g: np.ndarray, x: np.ndarray, weight: Any, needs: tuple, eps: float
) -> tuple | None:
    """The same of large matrices, in a pass along the rows and one along the columns; None where these are no loops of ours."""
    attrs = {"size": x.shape[1], "eps": eps}
    given = () if weight is None else (weight,)
    if needs[0]:
        made = reduced(_layer_gradient_row, (x, g, *given), (1,), True, attrs, least=FROM_MAPPED)
    else:
        made = reduced(_row_factors, (x,), (1,), True, attrs, least=FROM_MAPPED)
    if made is None:
        return None
    *to_input, mean, scale = made
    sums = (
        reduced(_layer_gradient_column, (g, x, mean, scale), (0,), least=FROM_MAPPED)
        if needs[1] or needs[2]
        else (None, None)
    )
    return None if sums is None else (*(to_input or (None,)), *sums)


def _row_factors(x: np.ndarray, size: int, eps: float) -> tuple:
    """The mean of a row, and what the differences from it are multiplied with."""
    wide = x.astype(np.float64)
    mean = np.add.reduce(wide) / size
    wide = wide - mean
    return mean, 1 / np.sqrt(np.add.reduce(wide * wide) / size + eps)


def _layer_gradient_column(
    g: np.ndarray, x: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What flows back to a weight, and to a bias."""
    g = g.astype(np.float64)
    return np.add.reduce(g * ((x - mean) * scale)), np.add.reduce(g)


def _layer_gradient_row(x: np.ndarray, g: np.ndarray, *weight: np.ndarray, size: int, eps: float) -> tuple:
    """What flows back to the elements of a row, and its `_row_factors`."""
    mean, scale = _row_factors(x, size, eps)
    hat = (x - mean) * scale
    inner = g.astype(np.float64)
    if weight:
        inner = inner * weight[0]
    made = scale * (inner - np.add.reduce(inner) / size - hat * (np.add.reduce(inner * hat) / size))
    return made.astype(x.dtype), mean, scale


def _layer_in_one(x: np.ndarray, weight: Any, bias: Any, eps: float) -> Any:
    """Rows of the last dimension, read once and written once; None where that is no loop of ours."""
    given = [a for a in (weight, bias) if a is not None]
    attrs = {"size": x.shape[-1], "eps": eps, "weighted": weight is not None}
    return reduced(_layer_row, (x, *given), (x.ndim - 1,), True, attrs, x.dtype, FROM_MAPPED)


def _layer_row(x: np.ndarray, *given: np.ndarray, size: int, eps: float, weighted: bool) -> np.ndarray:
    wide = x.astype(np.float64)
    wide = wide - np.add.reduce(wide) / size
    hat = wide * (1 / np.sqrt(np.add.reduce(wide * wide) / size + eps))
    if weighted:
        hat = hat * given[0]
    return hat + given[-1] if len(given) > weighted else hat


@primitive("NativeLayerNorm", vjp=_layer_gradient)
def layer_norm_(x, weight, bias, *, count, eps):
    made = _layer_in_one(x, weight, bias, eps) if count == 1 else None
    if made is not None:
        return made
    width = numel(x.shape[x.ndim - count :])
    hat = _standard_rows(x.reshape(-1, width), eps)[0] if x.size else np.zeros(x.shape)
    return _affine(hat.reshape(x.shape), weight, bias, x.dtype)


def _check_last(name: str, input: Any, shape: tuple[int, ...], weight: Any, bias: Any) -> None:
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            f"normalized_shape = {list(shape)}"
        )
    for argument, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._a.shape != shape:
            raise RuntimeError(
                f"Expected {argument} to be of same shape as normalized_shape, but got {argument} of shape "
                f"{list(t._a.shape)} and normalized_shape = {list(shape)}"
            )
    if input._a.shape[-len(shape) :] != shape:
        wanted = "".join(f", {n}" for n in shape)
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{wanted}], but got input of size"
            f"{list(input._a.shape)}"
        )


def _shape_of(normalized_shape: Any) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


@public(name="nn.functional.layer_norm", out=False)
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05):
    """Mean 0 and variance 1 over the last dimensions, then times `weight` plus `bias`. Ba et al., arXiv:1607.06450.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.layer_norm(torch.tensor([1., 3.]), (2,), eps=0.0)
        tensor([-1.,  1.])
    """
    as_tensor(input, "layer_norm", "input", 1)
    shape = _shape_of(normalized_shape)
    _check_last("layer_norm", input, shape, weight, bias)
    _refuse("LayerNormKernelImpl", input)
    return layer_norm_(input, weight, bias, count=len(shape), eps=eps)


def _refuse(kernel: str, t: Tensor) -> None:
    if t._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


@public(name="nn.functional.rms_norm", out=False)
def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divided by the root of the mean square over the last dimensions. Zhang and Sennrich, arXiv:1910.07467.

    Raises:
        NotImplementedError: no floats.
        RuntimeError: sizes that are not those of the last dimensions.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.rms_norm(torch.tensor([3., 3.]), (2,))
        tensor([1., 1.])
    """
    as_tensor(input, "rms_norm", "input", 1)
    shape = _shape_of(normalized_shape)
    _check_last("rms_norm", input, shape, weight, None)
    if input._dtype.category < FLOATING:
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{input._dtype.legacy}'")
    x = _lifted(input)
    eps = finfo(x._dtype).eps if eps is None else eps
    made = x * (x.pow(2).mean(_last(x, len(shape)), True) + eps).rsqrt()
    made = made if weight is None else made * weight
    return made if made._dtype is input._dtype else made.to(input._dtype)


# ---- over batch and space ----


def _channels(t: Any, ndim: int) -> Any:
    """A value per channel, shaped to fit (N, C, ...)."""
    return None if t is None else t.reshape(1, -1, *(1,) * (ndim - 2))


def _around(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _batch_hat(x: Any, mean: Any, variance: Any, training: bool, eps: float) -> Any:
    if training:
        return _standard(x, _around(x._a.ndim), eps)[0]
    return (x - _channels(mean, x._a.ndim)) * _channels((variance + eps).rsqrt(), x._a.ndim)


def _batch_gradient(g: Any, x: Any, weight: Any, mean: Any, variance: Any, training: bool, eps: float) -> Any:
    g, x, weight = _lifted(g), _lifted(x), _lifted(weight)
    ndim = x._a.ndim
    g = g if weight is None else g * _channels(weight, ndim)
    if training:
        return _standard_gradient(g, x, _around(ndim), eps)
    return g * _channels((variance + eps).rsqrt(), ndim)


def _channels_in_one(x: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Any:
    """Elements less their channel's mean, and so on, read once and written once; None where that is no loop of ours."""
    given = [array_of(a) for a in (x, mean, variance, weight, bias) if a is not None]
    kinds = tuple([BY_NUMPY[a.dtype] for a in given])
    attrs = {"eps": eps, "weighted": weight is not None}
    # (nobody else knows the tensors made here, so that their result must not wait)
    operands = tuple(map(new_tensor, given, kinds))
    made = launch("batch_norm", _channel_values, operands, kinds, kinds[0], attrs, least=FROM_COSTLY)
    return array_of(made)


def _channel_values(x: Any, mean: Any, variance: Any, *given: Any, eps: float, weighted: bool) -> Any:
    hat = x.astype(np.float64) - mean.astype(np.float64)
    hat = hat * (1 / np.sqrt(variance.astype(np.float64) + eps))
    if weighted:
        hat = hat * given[0]
    return hat + given[-1] if len(given) > weighted else hat


@primitive(
    "NativeBatchNorm",
    vjp=(
        _batch_gradient,
        lambda g, x, mean, variance, training, eps: (
            _lifted(g) * _batch_hat(_lifted(x), mean, variance, training, eps)
        ).sum(_around(g._a.ndim)),
        lambda g: g.sum(_around(g._a.ndim)),
        None,
        None,
    ),
)
def batch_norm_(x, weight, bias, mean, variance, *, training, eps):
    per_channel = (1, -1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else a.reshape(per_channel) for a in (weight, bias))
    if (
        not training and x.size >= FROM_COSTLY and x.dtype.char in "fd"
    ):  # (kernels round float64 to halves twice)
        moments = mean.reshape(per_channel), variance.reshape(per_channel)
        made = _channels_in_one(x, *moments, weight, bias, eps)
        if made is not None:
            return made
    if training:
        hat = _standardized(x, _around(x.ndim), eps)
    else:
        hat = _double(x) - _double(mean).reshape(per_channel)
        hat = hat * (1 / np.sqrt(_double(variance).reshape(per_channel) + eps))
    return _affine(hat, weight, bias, x.dtype)


def _track(running_mean: Any, running_var: Any, x: np.ndarray, momentum: float) -> None:
    """Move the running mean and (sample) variance towards those of a batch, in place; see `_batch_moments`.

    PyTorch's numbers to the bit: in single precision the variance is moved by a fused multiply and add, the mean is not.
    """
    mean, variance = quiet(_batch_moments, x)
    for running, now, fused in ((running_mean, mean, False), (running_var, variance, True)):
        if running is not None:
            check_write(running, "batch_norm")
            running._a[...] = quiet(_moved, running._a, now, now.dtype.type(momentum), fused)
            wrote(running)


def _moved(a: np.ndarray, now: np.ndarray, momentum: Any, fused: bool) -> np.ndarray:
    """`(1 - momentum) a + momentum now`, where the product is rounded unless it is fused with the sum."""
    kept = now.dtype.type(1 - momentum) * a.astype(now.dtype)
    moved = _double(now) * momentum + kept if fused else now * momentum + kept
    return moved.astype(a.dtype)


def _batch_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the sample variance of each channel.

    PyTorch's numbers to the bit: the mean is rounded, differences and their squares too (but see
    `_squares_in_order`), and sums run through a channel in double precision from first to last.
    """
    kind = np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype
    flat = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(kind)
    count = flat.shape[1]
    mean = (_in_order(_double(flat)) / count).astype(kind)
    squares = _squares_in_order(flat - mean[:, None], x[0, 0].size).astype(kind)
    return mean, squares / kind.type(max(count - 1, 1))


def _in_order(a: np.ndarray) -> np.ndarray:
    """The sum of each row, added from first to last."""
    return np.add.accumulate(a, 1)[:, -1]


def _squares_in_order(d: np.ndarray, plane: int) -> np.ndarray:
    """The sum of each row's squares, added from first to last, for rows that consist of planes.

    PyTorch's compiled loop over a plane takes elements in pairs. A last one without a partner is squared and added without
    rounding in between, where both are done in double precision.
    """
    if d.dtype != np.float64 or plane % 2 == 0:
        return _in_order(_double(np.square(d)))
    total = np.zeros((len(d), 1))
    for start in range(0, d.shape[1], plane):
        pairs = np.square(d[:, start : start + plane - 1])
        total = np.add.accumulate(np.concatenate([total, pairs], 1), 1)[:, -1:]
        last = d[:, start + plane - 1 : start + plane]
        total = multiply_add(total, last, last)
    return total[:, 0]


@public(name="nn.functional.batch_norm", out=False)
def batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05
):
    """Mean 0 and variance 1 per channel of (N, C, ...). Ioffe and Szegedy, arXiv:1502.03167.

    In training the batch's own statistics are used, and move the running ones, in place.

    Raises:
        ValueError: one value per channel in training.
        RuntimeError: statistics of another size.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.batch_norm(torch.tensor([[1.], [3.]]), None, None, training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])
    """
    shape = tuple(input.size())
    if not input._a.size:
        return _of_nothing(input, weight, bias)
    if training and numel(shape[:1] + shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size torch.Size({list(shape)})"
        )
    if len(shape) < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got 1)"
        )
    for argument, t in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if t is not None and t._a.size != shape[1]:
            raise RuntimeError(f"{argument} should contain {shape[1]} elements not {t._a.size}")
        if t is None and not training and argument.startswith("running"):
            raise RuntimeError(f"Expected {argument} to be defined in evaluation mode")
    _refuse("batch_norm", input)
    if training and (running_mean is not None or running_var is not None) and input._a.size:
        _track(running_mean, running_var, input._a, momentum)
    mean, variance = (None, None) if training else (running_mean, running_var)
    return batch_norm_(input, weight, bias, mean, variance, training=bool(training), eps=eps)


def _of_nothing(x: Any, weight: Any, bias: Any) -> Any:
    made = x.clone()
    made = made if weight is None else made * weight[0]
    return made if bias is None else made + bias[0]


@public(name="nn.functional.instance_norm", out=False)
def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-05,
):
    """Mean 0 and variance 1 per channel of each example of (N, C, ...). Ulyanov et al., arXiv:1607.08022.

    Raises:
        ValueError: one element a channel.
        RuntimeError: statistics are to be used and there are none.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """
    shape = tuple(input.size())
    if use_input_stats and numel(shape[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size torch.Size({list(shape)})"
        )
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    n, c = shape[:2]
    repeated = [None if t is None else t.repeat(n) for t in (weight, bias, running_mean, running_var)]
    flat = input.contiguous().view(1, n * c, *shape[2:])
    made = batch_norm(
        flat, repeated[2], repeated[3], repeated[0], repeated[1], use_input_stats, momentum, eps
    )
    for running, now in ((running_mean, repeated[2]), (running_var, repeated[3])):
        if running is not None and use_input_stats:
            running.detach().copy_(now.view(n, c).mean(0))
    return made.view(shape)


def _group_dims(x: Any) -> tuple[int, ...]:
    return tuple(range(2, x._a.ndim))


def _grouped(t: Any, groups: int) -> Any:
    n, c, *rest = t._a.shape
    return t.reshape(n, groups, c // groups, *rest)


def _group_gradient(g: Any, x: Any, weight: Any, groups: int, eps: float) -> Any:
    g, x, weight = _lifted(g), _lifted(x), _lifted(weight)
    g = g if weight is None else g * _channels(weight, x._a.ndim)
    g, x = _grouped(g, groups), _grouped(x, groups)
    made = _standard_gradient(g, x, _group_dims(x), eps)
    n, count, width, *rest = made._a.shape
    return made.reshape(n, count * width, *rest)


def _group_weight_gradient(g: Any, x: Any, groups: int, eps: float) -> Any:
    g, x = _lifted(g), _grouped(_lifted(x), groups)
    hat = _standard(x, _group_dims(x), eps)[0].reshape(g._a.shape)
    return (g * hat).sum(_around(g._a.ndim))


@primitive(
    "NativeGroupNorm",
    vjp=(_group_gradient, _group_weight_gradient, lambda g: g.sum(_around(g._a.ndim))),
)
def group_norm_(x, weight, bias, *, groups, eps):
    n, c, *rest = x.shape
    parts = x.reshape(n, groups, c // groups, *rest)
    hat = _standardized(parts, tuple(range(2, parts.ndim)), eps).reshape(x.shape)
    per_channel = (1, -1, *(1,) * (x.ndim - 2))
    weight, bias = (None if a is None else a.reshape(per_channel) for a in (weight, bias))
    return _affine(hat, weight, bias, x.dtype)


@public(name="nn.functional.group_norm", out=False)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-05):
    """Mean 0 and variance 1 over groups of channels of each example. Wu and He, arXiv:1803.08494.

    Raises:
        RuntimeError: fewer than two dimensions, groups that do not divide the channels, or not one weight
            a channel.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0]]), 1)
        tensor([[-1.0000,  1.0000]])
    """
    input.dim()
    shape = input._a.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{list(shape)} and num_groups={num_groups}"
        )
    for argument, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._a.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {argument} to be a vector of size equal to the number of channels in input, but got "
                f"{argument} of shape {list(t._a.shape)} and input of shape {list(shape)}"
            )
    _refuse("GroupNormKernelImpl", input)
    return group_norm_(input, weight, bias, groups=num_groups, eps=eps)


# ---- to length 1, and likeness ----


@public(name="nn.functional.normalize")
def normalize(input, p=2.0, dim=1, eps=1e-12):
    """Divided by the `p`-norm along `dim`, or by `eps` if that is larger.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.normalize(torch.tensor([[3., 4.]]))
        tensor([[0.6000, 0.8000]])
    """
    return input / input.norm(p, dim, True).clamp_min(eps).expand_as(input)


@public(name="cosine_similarity", out=False)
def cosine_similarity(x1, x2, dim=1, eps=1e-08):
    """The cosine of the angle between vectors along `dim`; each length counts as at least `eps`.

    Raises:
        RuntimeError: no floats, or shapes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> torch.cosine_similarity(torch.tensor([[1., 0.]]), torch.tensor([[0., 2.]]))
        tensor([0.])
    """
    from rushlight.ops.matrix_functions import vector_norm
    from rushlight.ops.promotion import result_type

    as_tensor(x1, "cosine_similarity", "x1", 1)
    as_tensor(x2, "cosine_similarity", "x2", 2)
    kind = result_type(x1, x2)
    if kind.category < FLOATING:
        raise RuntimeError("expected common dtype to be floating point, yet common dtype is " + kind.legacy)
    x1, x2 = (t if t._dtype is kind else t.to(kind) for t in (x1, x2))
    shape = np.broadcast_shapes(x1._a.shape, x2._a.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    unit1 = x1 / vector_norm(x1, 2, dim, True).clamp_min(eps)
    unit2 = x2 / vector_norm(x2, 2, dim, True).clamp_min(eps)
    return (unit1 * unit2).sum(dim)


@public(name="pairwise_distance", out=False)
def pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False):
    """The `p`-norm of x1 - x2 + eps along the last dimension."""
    as_tensor(x1, "pairwise_distance", "x1", 1)
    as_tensor(x2, "pairwise_distance", "x2", 2)
    return (x1 - x2 + eps).norm(p, -1, keepdim)


__all__ = ["batch_norm", "layer_norm", "normalize"]
