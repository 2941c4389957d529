"""Losses of classes: how likely the right class, or a target distribution, is by the prediction."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import FLOATING, float32, float64, int64
from rushlight.layout import broadcast
from rushlight.ops.loss_reduction import one_dtype, reduce_tensor, reduced, reduced_by, reduction_of, share
from rushlight.ops.positions import in_range
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.execute import quiet, wrap
from rushlight.tape.modes import direct
from rushlight.tape.recording import record

# ---- of a class ----


def _class_weights(target: np.ndarray, weight: np.ndarray | None, ignored: int, kind: np.dtype) -> np.ndarray:
    """The weight of each example: that of its class, 0 if it is to be ignored."""
    classes = np.where(target == ignored, 0, target)
    made = np.ones(target.shape, kind) if weight is None else weight[classes].astype(kind)
    return np.where(target == ignored, made.dtype.type(0), made)


@primitive(
    "NllLossBackward",
    vjp=(
        lambda g, target, weights: g.gather(1, wrap(target).unsqueeze(1)).squeeze(1) * wrap(weights),
        lambda g, x_meta: g.new_zeros(x_meta.shape),
    ),
)
def spread_nll(g, x, *, target, weights, ignored):
    """Each gradient, times its weight, to the place of its class; of what is ignored none, not even a zero's sign."""
    out = np.zeros(x.shape, g.dtype)
    made = np.where(ignored, g.dtype.type(0), g * weights)
    if x.ndim == 2:
        out[np.arange(len(target)), target] = made
    else:
        np.put_along_axis(out, target[:, None], made[:, None], 1)
    return out


def _counted(target: np.ndarray, ignored: int) -> tuple[np.ndarray, np.ndarray]:
    """The examples that count, and their classes."""
    counts = target != ignored
    if np.count_nonzero(counts) == len(target):
        return np.arange(len(target)), target
    rows = counts.nonzero()[0]
    return rows, target[rows]


def _spread_evenly(g: np.ndarray, shape: tuple, target: np.ndarray, mean: bool, ignored: int) -> np.ndarray:
    """Minus the gradient, or its share, at the class of each example that counts."""
    out = np.zeros(shape, g.dtype)
    rows, classes = _counted(target, ignored)
    share = g.dtype.type(1 / max(1, len(rows))) if mean else g.dtype.type(1)
    out[rows, classes] = -g * share
    return out


def _nll_gradient(g: Any, x: Any, target: Any, weight: Any, reduction: str, ignore_index: int) -> Any:
    x_dtype = x._dtype
    if weight is None and x._a.ndim == 2 and direct(g) and reduction != "none":
        made = _spread_evenly(g._a, x._a.shape, target._a, reduction == "mean", ignore_index)
        return new_tensor(made, g._dtype)
    weights = _class_weights(target._a, None if weight is None else weight._a, ignore_index, x_dtype.numpy)
    if reduction == "mean":
        wide = weights.astype(np.float64)
        weights = quiet(np.divide, wide, wide.sum()).astype(weights.dtype)
    each = g.expand(target._a.shape) if reduction != "none" else g
    ignored = target._a == ignore_index
    at = np.where(ignored, 0, target._a).astype(np.int64)
    weights = np.where(
        ignored, weights.dtype.type(0), -weights
    )  # (where all are, the mean has made them nan)
    return spread_nll(each, x, target=at, weights=weights, ignored=ignored)


def _nll(node: str) -> Any:
    def loss(x, target, weight, *, reduction, ignore_index):
        weights = _class_weights(target, weight, ignore_index, x.dtype)
        ignored = target == ignore_index
        picked = np.take_along_axis(x, np.where(ignored, 0, target).astype(np.int64)[:, None], 1)[:, 0]
        values = np.where(ignored, x.dtype.type(0), -picked * weights)
        if reduction == "mean":
            total = weights.sum(dtype=np.float64)
            return np.asarray(values.sum(dtype=np.float64) / total).astype(x.dtype)
        return reduced(values, reduction, x.dtype, values)

    loss.__name__ = node
    return primitive(node, vjp=(_nll_gradient, None, None))(loss)


_nll_1d, _nll_2d = _nll("NllLoss"), _nll("NllLoss2D")


def _check_classes(target: Tensor, classes: int, ignored: int) -> None:
    a = target._a
    bad = (a != ignored) & ((a < 0) | (a >= classes))
    if bad.any():
        raise IndexError(f"Target {int(a[bad].flat[0])} is out of bounds.")


@public(name="nn.functional.nll_loss", out=False, takes={"weight": "Tensor?"})
def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """Minus the log-probability of each example's class, for (N, C, ...) and class numbers (N, ...).

    Args:
        weight: a weight for each class; the mean is weighted.
        ignore_index: a class number that counts for nothing.

    Raises:
        IndexError: a class out of range.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.nll_loss(torch.tensor([[-1., -2.]]), torch.tensor([1]))
        tensor(2.)
    """
    return _nll_loss(input, target, weight, ignore_index, reduction_of(reduction, size_average, reduce))


def _short_nll(x: Any, target: Any, ignored: int, reduction: str) -> Tensor | None:
    """The mean or sum for a matrix of scores and classes in range; None for anything else."""
    if not isinstance(x, Tensor) or not isinstance(target, Tensor) or target._dtype is not int64:
        return None
    a, b, kind = x._a, target._a, x._dtype
    if (
        a.ndim != 2
        or b.ndim != 1
        or len(a) != len(b)
        or not b.size
        or kind is not float32
        and kind is not float64
    ):
        return None
    if reduction == "none":
        return None
    rows, classes = _counted(b, ignored)
    if not len(rows) or not in_range(classes, a.shape[1]):
        return None
    total = -float(np.add.reduce(a[rows, classes], dtype=np.float64))
    out = new_tensor(np.array(total / len(rows) if reduction == "mean" else total, kind.numpy), kind)
    if x._edge is not None:
        options = {"reduction": reduction, "ignore_index": ignored}
        record(_nll_1d.derivative, (x, target, None), options, out)
    return out


def _nll_loss(input: Any, target: Any, weight: Any, ignored: int, reduction: str) -> Any:
    if weight is None:
        out = _short_nll(input, target, ignored, reduction)
        if out is not None:
            return out
    as_tensor(input, "nll_loss_nd", "input", 1)
    as_tensor(target, "nll_loss_nd", "target", 2)
    a, b = input._a, target._a
    if a.ndim < 1:
        raise ValueError(f"Expected 1 or more dimensions (got {a.ndim})")
    if a.ndim != 1 and b.ndim and a.shape[0] != b.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({a.shape[0]}) to match target batch_size ({b.shape[0]})."
        )
    if a.ndim <= 2:
        _check_flat(input, target, weight)
    else:
        _check_spatial(input, target, weight)
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"nll_loss_out_frame\" not implemented for '{input._dtype.legacy}'")
    if target._dtype is not int64 and target._dtype.name != "uint8":
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target._dtype.legacy}")
    if weight is not None and weight._dtype is not input._dtype:
        raise RuntimeError(f"expected scalar type {input._dtype.legacy} but found {weight._dtype.legacy}")
    _check_classes(target, a.shape[1] if a.ndim > 1 else a.shape[0], ignored)
    options = {"reduction": reduction, "ignore_index": ignored}
    if a.ndim == 1:
        made = _nll_1d(input.unsqueeze(0), target.reshape(1), weight, **options)
        return made.reshape(()) if reduction == "none" else made
    if a.ndim == 2:
        return _nll_1d(input, target, weight, **options)
    if a.ndim == 4:
        return _nll_2d(input, target, weight, **options)
    n, c = a.shape[:2]
    made = _nll_2d(input.reshape(n, c, 1, -1), target.reshape(n, 1, -1), weight, **options)
    return made.reshape(b.shape) if reduction == "none" else made


def _check_flat(input: Tensor, target: Tensor, weight: Any) -> None:
    a, b = input._a, target._a
    if b.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if a.ndim == 1 and b.ndim == 1 and b.size != 1 or a.ndim == 2 and b.ndim == 0:
        raise RuntimeError(f"size mismatch (got input: {list(a.shape)}, target: {list(b.shape)})")
    _check_weight(a.shape[-1], weight)


def _check_spatial(input: Tensor, target: Tensor, weight: Any) -> None:
    a, b = input._a.shape, target._a.shape
    if (a[0], *a[2:]) != b:
        if len(a) == 4:
            if len(b) != 3:
                raise RuntimeError(
                    f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(b)}"
                )
            raise RuntimeError(f"size mismatch (got input: {list(a)} , target: {list(b)})")
        raise RuntimeError(f"Expected target size {[a[0], *a[2:]]}, got {list(b)}")
    _check_weight(a[1], weight)


def _check_weight(classes: int, weight: Any) -> None:
    if weight is not None and weight._a.shape != (classes,):
        got = f"Float{{{list(weight._a.shape)}}}"
        raise RuntimeError(
            "weight tensor should be defined either for all "
            f"{classes} classes or no classes but got weight tensor of shape: {got[5:].strip('{}')}"
        )


@public(name="nn.functional.cross_entropy", out=False)
def cross_entropy(
    input,
    target,
    weight=None,
    size_average=None,
    ignore_index=-100,
    reduce=None,
    reduction="mean",
    label_smoothing=0.0,
):
    """Minus the logarithm of softmax at each example's class, for scores (N, C, ...) or (C).

    `target` holds class numbers (N, ...), or probabilities in the shape of `input`.

    Raises:
        IndexError: a class number is negative or not below C.
        ValueError: batch sizes differ, or the reduction is unknown.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.cross_entropy(torch.tensor([[0., 0.]]), torch.tensor([1]))
        tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    as_tensor(input, "cross_entropy_loss", "input", 1)
    as_tensor(target, "cross_entropy_loss", "target", 2)
    a, b = input._a, target._a
    if a.shape == b.shape and a.ndim:
        if target._dtype.category != FLOATING:
            raise RuntimeError(
                "Expected floating point type for target with class probabilities, got "
                + target._dtype.legacy
            )
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        _check_smoothing(label_smoothing)
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _check_smoothing(label_smoothing)
    dim = 0 if a.ndim == 1 else 1
    log = input.log_softmax(dim)
    if not label_smoothing:
        return _nll_loss(log, target, weight, ignore_index, reduction)
    return _smoothed(log, target, weight, ignore_index, reduction, label_smoothing, dim)


def _check_smoothing(value: float) -> None:
    if not 0 <= value <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {value:g}")


def _soft_cross_entropy(x: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    dim = 0 if x._a.ndim == 1 else 1
    classes = x._a.shape[dim]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    log = x.log_softmax(dim)
    made = log * target
    if weight is not None:
        made = made * _per_class(weight, x._a.ndim, dim)
    if reduction == "none":
        return -made.sum(dim)
    if reduction == "sum":
        return -made.sum()
    return -made.sum() / (x._a.size / classes)


def _per_class(weight: Any, ndim: int, dim: int) -> Any:
    return weight.view([-1 if n == dim else 1 for n in range(ndim)])


def _smoothed(
    log: Any, target: Any, weight: Any, ignored: int, reduction: str, smoothing: float, dim: int
) -> Any:
    """Part of the probability spread evenly over the classes. Szegedy et al., arXiv:1512.00567."""
    classes = log._a.shape[dim]
    hard = _nll_loss(log, target, weight, ignored, reduction)
    spread = -(log if weight is None else log * _per_class(weight, log._a.ndim, dim)).sum(dim)
    mask = wrap(np.asarray(target._a == ignored))
    spread = spread.masked_fill(mask, 0)
    if reduction == "mean":
        kept = target._a[~mask._a].reshape(-1)
        if weight is None:
            spread = spread.sum() / kept.size
        else:
            spread = spread.sum() / weight.gather(0, wrap(kept)).sum()
    elif reduction == "sum":
        spread = spread.sum()
    return hard * (1 - smoothing) + spread * (smoothing / classes)


# ---- of a probability ----


def _bce_values(x: np.ndarray, y: np.ndarray, *weight: np.ndarray) -> np.ndarray:
    x, y = x.astype(np.float64), y.astype(np.float64)
    values = (y - 1) * np.maximum(np.log1p(-x), -100) - y * np.maximum(np.log(x), -100)
    return values * weight[0] if weight else values


def _weighted(t: Any, weight: Any) -> Any:
    return t if weight is None else t * weight


@primitive(
    "BinaryCrossEntropy",
    vjp=(
        lambda g, x, y, weight, reduction: (
            _weighted(share(g, x._a.shape, reduction), weight) * (x - y) / ((1 - x) * x).clamp_min(1e-12)
        ),
        lambda g, x, weight, reduction: (
            _weighted(share(g, x._a.shape, reduction), weight)
            * ((-x).log1p().clamp_min(-100) - x.log().clamp_min(-100))
        ),
        None,
    ),
)
def _bce(x, y, weight, *, reduction):
    arrays = (x, y) if weight is None else (x, y, weight)
    return reduced_by(_bce_values, arrays, reduction, x.dtype)


@public(name="nn.functional.binary_cross_entropy", out=False)
def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """-(y log x + (1 - y) log(1 - x)) for probabilities x; logarithms count as at least -100.

    Raises:
        ValueError: different shapes.
        RuntimeError: probabilities outside [0, 1].

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.]))
        tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is "
            "deprecated. Please ensure they have the same size."
        )
    a, b = input._a, target._a
    if input._dtype.category != FLOATING:
        raise NotImplementedError(f"\"binary_cross_entropy\" not implemented for '{input._dtype.legacy}'")
    if target._dtype is not input._dtype:
        raise RuntimeError(f"Found dtype {target._dtype.legacy} but expected {input._dtype.legacy}")
    if weight is not None:
        weight = weight.expand(broadcast(weight._a.shape, b.shape))
    if a.size and not ((a >= 0) & (a <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    return _bce(input, target, weight, reduction=reduction)


def _logits_slope(x: Any, y: Any, pos_weight: Any) -> Any:
    """d/dx of (1 - y) x + (1 + (p - 1) y) softplus(-x)."""
    if pos_weight is None:
        return x.sigmoid() - y
    return (y * (pos_weight - 1) + 1) * x.sigmoid() - y * pos_weight


def _soft(x: Any) -> Any:
    """log(1 + exp(-x)) as tensors."""
    return (-x.abs()).exp().log1p() + (-x).clamp_min(0)


@primitive(
    "BinaryCrossEntropyWithLogits",
    vjp=(
        lambda g, x, y, weight, pos_weight, reduction: (
            _weighted(share(g, x._a.shape, reduction), weight) * _logits_slope(x, y, pos_weight)
        ),
        lambda g, x, weight, pos_weight, reduction: (
            _weighted(share(g, x._a.shape, reduction), weight)
            * (-x if pos_weight is None else (pos_weight - 1) * _soft(x) - x)
        ),
        None,
        None,
    ),
)
def _bce_logits(x, y, weight, pos_weight, *, reduction):
    if weight is None and pos_weight is None and reduction != "none":
        return reduced_by(_logit_values, (x, y), reduction, x.dtype)
    values = _logit_values(x, y, pos_weight)
    return reduced(values if weight is None else values * weight, reduction, x.dtype, y, x)


def _logit_values(x: np.ndarray, y: np.ndarray, pos_weight: np.ndarray | None = None) -> np.ndarray:
    x, y = x.astype(np.float64), y.astype(np.float64)
    soft = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)
    if pos_weight is not None:
        soft = soft * ((pos_weight.astype(np.float64) - 1) * y + 1)
    return (1 - y) * x + soft


@public(name="nn.functional.binary_cross_entropy_with_logits", out=False)
def binary_cross_entropy_with_logits(
    input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """Binary cross entropy of sigmoid(input), without its loss of small terms.

    Raises:
        ValueError: different shapes.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor([0.]), torch.tensor([1.]))
        tensor(0.6931)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()})")
    if input._dtype.category < FLOATING:
        raise RuntimeError(
            "result type Float can't be cast to the desired output type " + input._dtype.legacy
        )
    input, target = one_dtype(input, target)
    return _bce_logits(input, target, weight, pos_weight, reduction=reduction)


@public(name="nn.functional.kl_div", out=False, takes={"log_target": "bool"})
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target (log target - input), for log-probabilities `input`; the target may be logarithms too.

    Reduction "batchmean" divides the sum by the first dimension, which is the mathematical definition.

    Raises:
        RuntimeError: complex tensors.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.kl_div(torch.tensor([0.]), torch.tensor([1.]), reduction="batchmean")
        tensor(0.)
    """
    as_tensor(input, "kl_div", "input", 1)
    as_tensor(target, "kl_div", "target", 2)
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=3,
        )
    batch = reduction == "batchmean"
    reduction = "sum" if batch else reduction_of(reduction, size_average, reduce)
    if input._dtype.category > FLOATING or target._dtype.category > FLOATING:
        raise RuntimeError("kl_div: Complex inputs not supported.")
    if log_target:
        made = target.exp() * (target - input)
    else:
        made = target.xlogy(target) - target * input
    made = reduce_tensor(made, reduction)
    return made / input._a.shape[0] if batch and input._a.ndim else made
