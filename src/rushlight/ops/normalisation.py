"""Normalisation to mean 0 and variance 1 over some dimensions; here over the last ones.

Means and variances are taken in double precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import FLOATING, REDUCED, finfo, float32, float64
from rushlight.graph.expr import array_of
from rushlight.layout import numel
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.casting import rounded
from rushlight.runtime.deferral import FROM_MAPPED, reduced
from rushlight.runtime.execute import quiet
from rushlight.runtime.results import is_image
from rushlight.tape.modes import MODES

# ---- what all have in common ----


def double(a: np.ndarray) -> np.ndarray:
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def _standard_rows(x: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of a real matrix at mean 0 and variance 1, their means, and the factors they were multiplied with; in float64."""
    hat = x.astype(np.float64)
    count = x.shape[1]
    mean = np.add.reduce(hat, 1, keepdims=True) / count
    hat -= mean
    scale = 1 / np.sqrt(np.einsum("ij,ij->i", hat, hat)[:, None] / count + eps)
    hat *= scale
    return hat, mean, scale


def standard(x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """(x - mean) / sqrt(variance + eps) and the factor, as tensors, for derivatives."""
    centred = x - x.mean(dims, True)
    scale = ((centred * centred).mean(dims, True) + eps).rsqrt()
    return centred * scale, scale


def standard_gradient(g: Any, x: Any, dims: tuple[int, ...], eps: float) -> Any:
    """What flows back through `standard`: g less its parts along 1 and along the result."""
    hat, scale = standard(x, dims, eps)
    return scale * (g - g.mean(dims, True) - hat * (g * hat).mean(dims, True))


def affine(hat: np.ndarray, weight: Any, bias: Any, kind: np.dtype) -> np.ndarray:
    """`hat`, which is given up, times `weight` plus `bias`, rounded once to `kind`."""
    if weight is not None:
        hat *= weight
    if bias is not None:
        hat += bias
    return hat.astype(kind)


def lifted(t: Any) -> Any:
    """Half types in float32, so that derivatives round once."""
    return t.to(float32) if t is not None and t._dtype in REDUCED else t


# ---- over the last dimensions ----


def _last(x: Any, count: int) -> tuple[int, ...]:
    return tuple(range(x._a.ndim - count, x._a.ndim))


def _layer_gradient(
    g: Any, x: Any, weight: Any, bias_meta: Any, needs: tuple, count: int, eps: float, kept: list
) -> tuple:
    """The gradients of input, weight and bias."""
    if not MODES.grad and g._dtype in (float32, float64) and kept:
        arrays = [None if t is None else array_of(t._a) for t in (g, x, weight)]
        made = quiet(_layer_gradient_values, *arrays, needs, count, *kept)
        return tuple([None if a is None else new_tensor(a, g._dtype) for a in made])
    g, x, weight = lifted(g), lifted(x), lifted(weight)
    hat = standard(x, _last(x, count), eps)[0]
    inner = g if weight is None else g * weight
    return (
        standard_gradient(inner, x, _last(x, count), eps) if needs[0] else None,
        g * hat if needs[1] else None,
        g if needs[2] else None,
    )


def _layer_gradient_values(
    g: np.ndarray, x: np.ndarray, weight: Any, needs: tuple, count: int, mean: np.ndarray, scale: np.ndarray
) -> list:
    """The same of arrays, taken as matrices, given the means and the factors of the rows."""
    shape = x.shape[x.ndim - count :]
    width = numel(shape)
    values, grads = x.reshape(-1, width), g.reshape(-1, width)
    to_input = to_weight = to_bias = None
    if needs[0]:
        weights = () if weight is None else (weight.reshape(-1),)
        to_input = _gradient_of_rows(values, grads, mean, scale, weights).reshape(x.shape)
    if needs[1] or needs[2]:
        to_weight, to_bias = [
            a.astype(x.dtype).reshape(shape) if needed else None
            for a, needed in zip(_gradient_of_columns(values, grads, mean, scale), needs[1:])
        ]
    return [to_input, to_weight, to_bias]


def _gradient_of_rows(
    x: np.ndarray, g: np.ndarray, mean: np.ndarray, scale: np.ndarray, weights: tuple
) -> np.ndarray:
    """scale (inner - mean(inner) - hat mean(inner hat)), where inner is g times the weight."""
    operands = x, g, mean, scale, *weights
    made = reduced(_gradient_row, operands, (1,), True, {"size": x.shape[1]}, x.dtype, FROM_MAPPED)
    if made is not None:
        return made
    inner = g.astype(np.float64)
    if weights:
        inner *= weights[0]
    hat = x - mean
    hat *= scale
    hat *= np.einsum("ij,ij->i", inner, hat)[:, None] / x.shape[1]
    inner -= np.add.reduce(inner, 1, keepdims=True) / x.shape[1]
    inner -= hat
    inner *= scale
    return inner.astype(x.dtype)


def _gradient_row(
    x: np.ndarray, g: np.ndarray, mean: np.ndarray, scale: np.ndarray, *weight: np.ndarray, size: int
) -> np.ndarray:
    inner = g.astype(np.float64)
    if weight:
        inner = inner * weight[0]
    apart = x - mean
    start = np.add.reduce(inner) / size * scale
    slope = np.add.reduce(inner * apart) / size * (scale * scale * scale)
    return inner * scale - apart * slope - start


def _gradient_of_columns(
    x: np.ndarray, g: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What flows back to a weight, and to a bias."""
    made = reduced(_gradient_column, (x, g, mean, scale), (0,), least=FROM_MAPPED)
    if made is not None:
        return made
    g = g.astype(np.float64)
    return np.einsum("ij,ij->j", g, (x - mean) * scale), np.add.reduce(g, 0)


def _gradient_column(
    x: np.ndarray, g: np.ndarray, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    g = g.astype(np.float64)
    return np.add.reduce(g * ((x - mean) * scale)), np.add.reduce(g)


def _layer_row(x: np.ndarray, *given: np.ndarray, size: int, eps: float, weighted: bool, keeps: bool) -> Any:
    """A row, read once and written once; and its mean, and what the differences from that are multiplied with."""
    wide = x.astype(np.float64)
    mean = np.add.reduce(wide) / size
    wide = wide - mean
    scale = 1 / np.sqrt(np.add.reduce(wide * wide) / size + eps)
    hat = wide * scale
    if weighted:
        hat = hat * given[0]
    out = (hat + given[-1] if len(given) > weighted else hat).astype(x.dtype)
    return (out, mean, scale) if keeps else out


@primitive("NativeLayerNorm", vjp=_layer_gradient, row_major=True)
def layer_norm_(x, weight, bias, *, count, eps, kept):
    """`kept`: where to leave the means and factors of rows for the gradient, if anywhere."""
    if not x.size:
        return np.zeros(x.shape, x.dtype)
    width = numel(x.shape[x.ndim - count :])
    if x.size >= FROM_MAPPED:
        rows = (
            x if count == 1 else array_of(x).reshape(-1, width)
        )  # (what is pending becomes part of the loop)
        made = _layer_in_one(rows, weight, bias, eps, kept)
        if made is not None:
            return rounded(made, x.dtype).reshape(x.shape)
    hat, *factors = _standard_rows(x.reshape(-1, width), eps)
    if kept is not None:
        kept[:] = factors
    return affine(hat.reshape(x.shape), weight, bias, x.dtype)


def _layer_in_one(x: np.ndarray, weight: Any, bias: Any, eps: float, kept: list | None) -> Any:
    """Rows read once and written once; None where that is no loop of ours."""
    given = [a.reshape(-1) if a.ndim > 1 else a for a in map(array_of, (weight, bias)) if a is not None]
    attrs = {"size": x.shape[-1], "eps": eps, "weighted": weight is not None, "keeps": kept is not None}
    made = reduced(_layer_row, (x, *given), (x.ndim - 1,), True, attrs, least=FROM_MAPPED)
    if kept is None or made is None:
        return made
    made, *factors = made
    kept[:] = [a.reshape(-1, 1) for a in factors]
    return made


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


#: the kinds of arguments
AFFINE = {"weight": "Tensor?", "bias": "Tensor?", "eps": "float"}


@public(
    name="nn.functional.layer_norm",
    out=False,
    takes=AFFINE | {"normalized_shape": "tuple of ints"},
)
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
    refuse("LayerNormKernelImpl", input)
    kept: list | None = [] if MODES.grad else None
    return layer_norm_(input, weight, bias, count=len(shape), eps=eps, kept=kept)


def refuse(kernel: str, t: Tensor) -> None:
    if t._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


@public(
    name="nn.functional.rms_norm",
    out=False,
    takes={"normalized_shape": "tuple of ints", "weight": "Tensor?", "eps": "float?"},
)
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
    x = lifted(input if is_image(input._a) else input.contiguous())
    eps = finfo(x._dtype).eps if eps is None else eps
    made = x * (x.pow(2).mean(_last(x, len(shape)), True) + eps).rsqrt()
    made = made if weight is None else made * weight
    return made if made._dtype is input._dtype else made.to(input._dtype)
