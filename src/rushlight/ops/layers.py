"""Layers that hold a matrix or throw elements away: linear, bilinear, embedding, dropout."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from rushlight import late
from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import int32, int64
from rushlight.layout import numel
from rushlight.memory import zeros
from rushlight.numerics.fused import multiply_add
from rushlight.numerics.segments import added_rows
from rushlight.ops.affine import addmm
from rushlight.ops.contractions import exact_out, same_out
from rushlight.ops.creation import empty_like
from rushlight.ops.einsum import einsum
from rushlight.ops.linear import at_once
from rushlight.ops.matmul import matmul
from rushlight.ops.sampling import draw_dropout
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.ops.writing import resize
from rushlight.runtime import placed
from rushlight.runtime.deferral import before_write
from rushlight.runtime.execute import quiet
from rushlight.tape.modes import direct
from rushlight.tape.node import has_sparse_gradient
from rushlight.tape.writes import wrote

# ---- linear ----


def _linear_out(out: Tensor, input: Tensor, weight: Any = None, *rest: Any) -> None:
    same_out(out, input)
    if (
        input._a.ndim == 1
        and isinstance(weight, Tensor)
        and weight._a.ndim == 2
        and out._a.shape == weight._a.shape[:1]
    ):
        # As in PyTorch, `out` becomes a matrix of one row, and then that row.
        resize(out, (1, *out._a.shape))
        out._a = out._a[0]


@exact_out(_linear_out)
@public(name="nn.functional.linear")
def linear(input, weight, bias=None):
    """input @ weight^T + bias, for weight (out, in) and input (.., in).

    Raises:
        RuntimeError: sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2), torch.zeros(3))
        tensor([[2., 2., 2.]])
    """
    as_tensor(input, "linear", "input", 1)
    as_tensor(weight, "linear", "weight", 2)
    m, n = input._a.ndim, weight._a.ndim
    if m == 0 or n == 0:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {m}D and {n}D")
    if bias is None:
        return matmul(input, weight.t() if n > 1 else weight)
    as_tensor(bias, "linear", "bias", 3)
    shape = input._a.shape
    rows = at_once(input, weight, bias)
    if rows is not None:
        return rows if len(shape) == 2 else rows.view(*shape[:-1], weight._a.shape[0])
    if len(shape) == 2 and weight._a.ndim == 2:
        return addmm(bias, input, weight.t())
    if weight._a.ndim != 2 or not shape:
        return matmul(input, weight.t()) + bias
    made = addmm(bias, input.reshape(numel(shape[:-1]), shape[-1]), weight.t())
    return made.view(*shape[:-1], weight._a.shape[0])


@public(name="bilinear", out=False, takes={"bias": "Tensor?"})
def bilinear(input1, input2, weight, bias=None):
    """x1^T W x2 + bias for weight (out, in1, in2).

    Raises:
        RuntimeError: sizes that do not go together.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.bilinear(torch.ones(1, 2), torch.ones(1, 3), torch.ones(1, 2, 3))
        tensor([[6.]])
    """
    for at, (argument, t) in enumerate((("input1", input1), ("input2", input2), ("weight", weight)), 1):
        as_tensor(t, "bilinear", argument, at)
    if input1._a.ndim != input2._a.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1._a.ndim} and {input2._a.ndim}"
        )
    for n, (m, k) in enumerate(zip(input1._a.shape[:-1], input2._a.shape[:-1])):
        if m != k:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {n}: got {m} and {k}")
    for n, t in enumerate((input1, input2), 1):
        if t._a.shape[-1] != weight._a.shape[n]:
            raise RuntimeError(
                f"bilinear(): input{n} size does not match weight size: got {t._a.shape[-1]} but expected "
                f"{weight._a.shape[n]}"
            )
    kinds = {"input1": input1, "input2": input2, "weight": weight} | ({} if bias is None else {"bias": bias})
    if len({t._dtype for t in kinds.values()}) > 1:
        named = ", ".join([f"{argument}: {t._dtype.cpp}" for argument, t in kinds.items()])
        raise RuntimeError(f"All tensors must have the same dtype, got {named}")
    if bias is not None and bias.size(0) != weight._a.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._a.shape[0]} but expected "
            f"{weight._a.shape[0]}"
        )
    made = einsum("...i,oij,...j->...o", input1, weight, input2)
    return made if bias is None else made + bias


# ---- embedding ----


def embedding_gradient(
    g: Any, indices: Any, weight_meta: Any, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Any:
    rows = indices.reshape(-1)
    g = g.reshape(rows._a.size, *weight_meta.shape[1:])
    if sparse:
        if scale_grad_by_freq:
            raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
        kept = (rows != padding_idx).nonzero().squeeze(1)
        if kept._a.size < rows._a.size:
            rows, g = rows.index_select(0, kept), g.index_select(0, kept)
        else:
            rows = rows.clone()  # what is written to the indices afterwards is no business of the gradient's
        return late.load("rushlight.sparse").of_places(rows.unsqueeze(0), g, weight_meta.shape)
    if padding_idx >= 0:
        g = g.masked_fill((rows == padding_idx).view(-1, *(1,) * (g._a.ndim - 1)), 0)
    if scale_grad_by_freq:
        count = np.bincount(rows._a, minlength=weight_meta.shape[0])[rows._a]
        g = g / g.new_tensor(count.tolist()).view(-1, *(1,) * (g._a.ndim - 1))
    if direct(g):
        out = zeros(weight_meta.shape, g._a.dtype)
        if not placed.add_rows(out, (rows._a,), g._a):
            out = quiet(added_rows, g._a, rows._a, weight_meta.shape[0])
        return new_tensor(out, g._dtype)
    return g.new_zeros(weight_meta.shape).index_add(0, rows, g)


@primitive("Embedding", vjp=(embedding_gradient, None))
def embedding_(weight, indices, *, padding_idx, scale_grad_by_freq, sparse):
    return np.take(weight, indices, 0)


@public(name="nn.functional.embedding", out=False)
def embedding(
    input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False
):
    """Rows of `weight` by number.

    Args:
        padding_idx: a row that gets no gradient.
        max_norm: rows with a larger `norm_type`-norm are scaled down to it first, in place.
        sparse: give `weight` a sparse gradient, of the rows that were asked for.

    Raises:
        RuntimeError: the numbers are not int32 or int64.
        IndexError: a number is not a row.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.embedding(torch.tensor([1, 0]), torch.tensor([[1., 2.], [3., 4.]]))
        tensor([[3., 4.],
                [1., 2.]])
    """
    as_tensor(input, "embedding", "indices", 2)
    as_tensor(weight, "embedding", "weight", 1)
    rows = weight._a.shape[0] if weight._a.ndim else 0
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx = padding_idx + rows if padding_idx < 0 else padding_idx
    if weight._a.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if input._dtype not in (int64, int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{input._dtype.legacy}Tensor instead (while checking arguments for embedding)"
        )
    if input._a.size and (input._a.min() < 0 or input._a.max() >= rows):
        raise IndexError("index out of range in self")
    if max_norm is not None:
        _renormalize(weight, input._a, max_norm, norm_type)
    padding = -1 if padding_idx is None else padding_idx
    sparse = bool(sparse)
    out = embedding_(
        weight, input, padding_idx=padding, scale_grad_by_freq=bool(scale_grad_by_freq), sparse=sparse
    )
    return has_sparse_gradient(out) if sparse else out


def _renormalize(weight: Tensor, rows: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the named rows down to `max_norm`, in place and outside the graph."""
    before_write(weight)
    for row in np.unique(rows):
        line = weight._a[row]
        kind = line.dtype.type
        norm = float(quiet(_norm, line, norm_type))
        if norm > max_norm:
            weight._a[row] = quiet(np.multiply, line, kind(max_norm / (norm + 1e-7)))
    wrote(weight)


def _norm(line: np.ndarray, p: float) -> Any:
    """The p-norm as PyTorch rounds it: in the line's own type."""
    if p == 1:
        return np.add.accumulate(np.abs(line))[-1]
    if p == 2 and line.dtype in (np.float32, np.float64):
        return _length(line)
    return line.dtype.type(np.linalg.norm(line.astype(np.float64), p))


def _length(line: np.ndarray) -> Any:
    """The 2-norm in the order of PyTorch's compiled loop.

    1. Squares are added in as many lanes as fit 32 bytes, and the lanes from first to last.
    2. What is left over follows one by one: four at a time with their squares rounded, the rest fused with the sum.
    """
    lanes = 32 // line.itemsize
    whole = line.size - line.size % lanes
    kind = line.dtype.type
    sums = (
        np.add.accumulate(np.square(line[:whole]).reshape(-1, lanes), 0)[-1:]
        if whole
        else np.zeros((1, lanes), kind)
    )
    total = np.add.accumulate(sums[0])[-1]
    fours = whole + (line.size - whole) // 4 * 4
    for value in line[whole:fours]:
        total = total + value * value
    for value in line[fours:]:
        total = kind(multiply_add(total, value, value))
    return np.sqrt(total)


# ---- dropout ----


def check_probability(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


@public(name="nn.functional.dropout", out=False, takes={"training": "bool"})
def dropout(input, p=0.5, training=True, inplace=False):
    """Each element set to 0 with probability `p`, the others scaled by 1 / (1 - p); the input itself if not training.

    Raises:
        ValueError: `p` is no probability.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.dropout(torch.ones(2), 0.0)
        tensor([1., 1.])
    """
    check_probability(p)
    as_tensor(input, "dropout", "input", 1)
    if p == 0 or not training or not input._a.size:
        return input
    return _times(input, input.new_zeros(()) if p == 1 else draw_dropout(input.detach(), p), inplace)


def _times(x: Any, noise: Any, inplace: bool) -> Any:
    return x.mul_(noise) if inplace else x * noise


def _feature_noise(x: Any, p: float) -> Any:
    """Noise that is the same over all but the first two dimensions."""
    if x._a.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return x.detach().new_empty(*x._a.shape[:2], *(1,) * (x._a.ndim - 2))


def _drop_features(input: Any, p: float, training: bool, inplace: bool, ranks: tuple[int, int]) -> Any:
    """Dropout of whole channels; an input without batch gets one for the time."""
    check_probability(p)
    if input._a.ndim == ranks[0]:
        made = _drop_features(input.unsqueeze(0), p, training, inplace, ranks)
        return input if inplace else made.squeeze(0)
    if p == 0 or not training or not input._a.size:
        return input
    noise = input.new_zeros(()) if p == 1 else draw_dropout(_feature_noise(input, p), p)
    return _times(input, noise, inplace)


@public(name="nn.functional.dropout1d", out=False, takes={"training": "bool"})
def dropout1d(input, p=0.5, training=True, inplace=False):
    """Whole channels of (N, C, L) or (C, L) set to 0 with probability `p`.

    Raises:
        RuntimeError: neither two nor three dimensions.
        ValueError: `p` is no probability.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.dropout1d(torch.ones(1, 2, 3), training=False)
        tensor([[[1., 1., 1.],
                 [1., 1., 1.]]])
    """
    if input._a.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input._a.ndim}D input.")
    return _drop_features(input, p, training, inplace, (2, 3))


@public(name="nn.functional.dropout2d", out=False, takes={"training": "bool"})
def dropout2d(input, p=0.5, training=True, inplace=False):
    """Whole channels of (N, C, H, W) set to 0 with probability `p`; those of (N, C, L), with a warning."""
    if isinstance(input, Tensor):
        _warn_of_ranks("dropout2d", input.dim(), (3, 4))
        if input.dim() == 3:
            warnings.warn(
                "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
                "input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future "
                "release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
                "channel-wise dropout behavior, please switch to using dropout1d instead.",
                stacklevel=3,
            )
    return _drop_features(input, p, training, inplace, (-1, 4))


@public(name="nn.functional.dropout3d", out=False, takes={"training": "bool"})
def dropout3d(input, p=0.5, training=True, inplace=False):
    """Whole channels of (N, C, D, H, W) or (C, D, H, W) set to 0 with probability `p`."""
    if isinstance(input, Tensor):
        _warn_of_ranks("dropout3d", input.dim(), (4, 5))
    return _drop_features(input, p, training, inplace, (4, 5))


def _warn_of_ranks(name: str, rank: int, known: tuple[int, int]) -> None:
    """PyTorch warns of inputs whose channels it may have taken for something else."""
    if rank not in known:
        warnings.warn(
            f"{name}: Received a {rank}-D input to {name}, which is deprecated and will result in an error in a future "
            f"release. To retain the behavior and silence this warning, please use dropout instead. Note that {name} "
            f"exists to provide channel-wise dropout on inputs with {known[0] - 1} spatial dimensions, a channel dimension, "
            f"and an optional batch dimension (i.e. {known[0]}D or {known[1]}D inputs).",
            stacklevel=4,
        )


_ALPHA = 1.7580993408473766


def _alpha(input: Any, p: float, training: bool, inplace: bool, feature: bool) -> Any:
    """Dropout that keeps mean and variance under SELU. Klambauer et al., arXiv:1706.02515."""
    check_probability(p)
    as_tensor(input, "feature_alpha_dropout" if feature else "alpha_dropout", "input", 1)
    if p == 0 or not training or not input._a.size:
        return input
    if p == 1:
        return _times(input, input.new_zeros(()), inplace)
    noise = _feature_noise(input, p) if feature else empty_like(input.detach())
    noise = noise.bernoulli_(1 - p)
    a = 1 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    shift = (noise - 1) * (_ALPHA * a) + _ALPHA * a * p
    noise = noise * a
    return input.mul_(noise).add_(shift) if inplace else input * noise + shift


@public(name="nn.functional.alpha_dropout", out=False, takes={"training": "bool"})
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout that keeps mean and variance under SELU."""
    return _alpha(input, p, training, inplace, False)


@public(name="nn.functional.feature_alpha_dropout", out=False, takes={"training": "bool"})
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Alpha dropout of whole channels."""
    return _alpha(input, p, training, inplace, True)


__all__ = ["dropout", "embedding", "linear"]
