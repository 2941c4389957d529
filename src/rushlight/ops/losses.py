"""Losses: how far a prediction is from its target, as one number or one for each example."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.buffer import Tensor, new_tensor
from rushlight.dtypes import FLOATING, bool_, int64
from rushlight.layout import broadcast, numel
from rushlight.ops.spec import as_tensor, primitive, public
from rushlight.runtime.execute import wrap

# ---- reduction ----


def reduction_of(reduction: str, size_average: Any = None, reduce: Any = None) -> str:
    """The reduction asked for, also by PyTorch's two older arguments."""
    if size_average is None and reduce is None:
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{reduction} is not a valid value for reduction")
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    chosen = "none" if not reduce else "mean" if size_average else "sum"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' instead.",
        stacklevel=4,
    )
    return chosen


def _reduced(values: np.ndarray, reduction: str, kind: np.dtype) -> np.ndarray:
    """Values reduced in double precision, and rounded to `kind`."""
    if reduction == "none":
        return values.astype(kind)
    total = values.sum(dtype=np.complex128 if values.dtype.kind == "c" else np.float64)
    if reduction == "mean":
        total = total / values.size if values.size else np.nan
    return np.asarray(total).astype(kind)


def _share(g: Any, shape: tuple[int, ...], reduction: str) -> Any:
    """The gradient of each value that `_reduced` took together."""
    if reduction == "none":
        return g
    g = g.expand(shape)
    return g / numel(shape) if reduction == "mean" else g


def reduce_tensor(t: Any, reduction: str) -> Any:
    """`_reduced` for tensors."""
    return t if reduction == "none" else t.mean() if reduction == "mean" else t.sum()


def _same_shape(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Both broadcast to one shape, with PyTorch's warning if that changes something."""
    a, b = tuple(input.size()), tuple(target.size())
    if a == b:
        return input, target
    warnings.warn(
        f"Using a target size (torch.Size({list(b)})) that is different to the input size (torch.Size({list(a)})). "
        "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        stacklevel=4,
    )
    shape = broadcast(a, b)
    return input.expand(shape), target.expand(shape)


def _one_dtype(x: Any, y: Any) -> tuple[Any, Any]:
    from rushlight.ops.promotion import result_type

    kind = result_type(x, y)
    return tuple(t if t._dtype is kind else t.to(kind) for t in (x, y))


# ---- of the difference ----


def _of_difference(node: str, values: Callable, slope: Callable) -> Any:
    """A loss that is a function of input - target: its values, and its slope as tensors."""

    def loss(x, y, *, reduction, width):
        kind = x.dtype
        if kind.itemsize == 2:
            x, y = x.astype(np.float32), y.astype(np.float32)
        return _reduced(values(x - y, width), reduction, kind)

    def at_x(g, x, y, reduction, width):
        return _share(g, x._a.shape, reduction) * slope(x - y, width)

    loss.__name__ = node
    return primitive(node, vjp=(at_x, lambda g, x, y, reduction, width: -at_x(g, x, y, reduction, width)))(
        loss
    )


_mse = _of_difference("MseLoss", lambda d, width: d * d, lambda d, width: 2 * d)


def _smooth(d: np.ndarray, width: float) -> np.ndarray:
    size = np.abs(d)
    with np.errstate(all="ignore"):
        return np.where(size < width, 0.5 * size * size / width if width else 0, size - 0.5 * width)


_smooth_l1 = _of_difference(
    "SmoothL1Loss",
    _smooth,
    lambda d, width: (d / width).clamp(-1, 1) if width else d.sign(),
)
_huber = _of_difference(
    "HuberLoss",
    lambda d, width: np.where(np.abs(d) <= width, 0.5 * d * d, width * (np.abs(d) - 0.5 * width)),
    lambda d, width: d.clamp(-width, width),
)


def _floating(kernel: str, t: Tensor) -> None:
    if t._dtype.category != FLOATING:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{t._dtype.legacy}'")


@public(name="nn.functional.mse_loss", out=False)
def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of the squared differences.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.mse_loss(torch.tensor([1., 2.]), torch.tensor([1., 4.]))
        tensor(2.)
    """
    reduction = reduction_of(reduction, size_average, reduce)
    x, y = _one_dtype(*_same_shape("mse_loss", input, target))
    if weight is not None:
        if weight._a.shape != input._a.shape:
            raise ValueError("Weights and input must have the same size.")
        weighted = (x - y).square() * weight
        if reduction == "mean":
            return weighted.sum() / weight.sum()
        return reduce_tensor(weighted, reduction)
    _floating("mse_cpu", x)
    return _mse(x, y, reduction=reduction, width=0)


@public(name="nn.functional.l1_loss", out=False)
def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """The mean (or sum, or each) of the absolute differences."""
    reduction = reduction_of(reduction, size_average, reduce)
    x, y = _same_shape("l1_loss", input, target)
    made = (x - y).abs()
    if weight is not None:
        if reduction == "mean":
            return (made * weight).sum() / weight.sum()
        made = made * weight
    return reduce_tensor(made, reduction)


@public(name="nn.functional.smooth_l1_loss", out=False)
def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """Squares of differences below `beta`, absolute differences beyond. Girshick, arXiv:1504.08083."""
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    x, y = _same_shape("smooth_l1_loss", input, target)
    if beta == 0:
        return reduce_tensor((x - y).abs(), reduction)
    x, y = _one_dtype(x, y)
    _floating("smooth_l1_cpu", x)
    return _smooth_l1(x, y, reduction=reduction, width=float(beta))


@public(name="nn.functional.huber_loss", out=False)
def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Half the squares of differences up to `delta`, and their tangents beyond. Huber, 1964."""
    reduction = reduction_of(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    x, y = _one_dtype(*_same_shape("huber_loss", input, target))
    _floating("huber_cpu", x)
    if weight is not None:
        made = _huber(x, y, reduction="none", width=float(delta)) * weight
        return made.sum() / weight.sum() if reduction == "mean" else reduce_tensor(made, reduction)
    return _huber(x, y, reduction=reduction, width=float(delta))


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
def spread_nll(g, x, *, target, weights):
    """Each gradient, times its weight, to the place of its class."""
    out = np.zeros(x.shape, g.dtype)
    np.put_along_axis(out, target[:, None], (g * weights)[:, None], 1)
    return out


def _nll_gradient(g: Any, x: Any, target: Any, weight: Any, reduction: str, ignore_index: int) -> Any:
    x_dtype = x._dtype
    weights = _class_weights(target._a, None if weight is None else weight._a, ignore_index, x_dtype.numpy)
    if reduction == "mean":
        wide = weights.astype(np.float64)
        weights = (wide / wide.sum()).astype(weights.dtype)
    each = g.expand(target._a.shape) if reduction != "none" else g
    at = np.where(target._a == ignore_index, 0, target._a).astype(np.int64)
    return spread_nll(each, x, target=at, weights=-weights)


def _nll(node: str) -> Any:
    def loss(x, target, weight, *, reduction, ignore_index):
        weights = _class_weights(target, weight, ignore_index, x.dtype)
        at = np.where(target == ignore_index, 0, target).astype(np.int64)[:, None]
        picked = np.take_along_axis(x, at, 1)[:, 0]
        values = -np.where(weights == 0, x.dtype.type(0), picked) * weights
        if reduction == "mean":
            total = weights.sum(dtype=np.float64)
            return np.asarray(values.sum(dtype=np.float64) / total).astype(x.dtype)
        return _reduced(values, reduction, x.dtype)

    loss.__name__ = node
    return primitive(node, vjp=(_nll_gradient, None, None))(loss)


_nll_1d, _nll_2d = _nll("NllLoss"), _nll("NllLoss2D")


def _check_classes(target: Tensor, classes: int, ignored: int) -> None:
    a = target._a
    bad = (a != ignored) & ((a < 0) | (a >= classes))
    if bad.any():
        raise IndexError(f"Target {int(a[bad].flat[0])} is out of bounds.")


@public(name="nn.functional.nll_loss", out=False)
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


def _nll_loss(input: Any, target: Any, weight: Any, ignored: int, reduction: str) -> Any:
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
        raise RuntimeError(f"expected scalar type Long but found {target._dtype.legacy}")
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


def _bce_values(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (y - 1) * np.maximum(np.log1p(-x), -100) - y * np.maximum(np.log(x), -100)


def _weighted(t: Any, weight: Any) -> Any:
    return t if weight is None else t * weight


@primitive(
    "BinaryCrossEntropy",
    vjp=(
        lambda g, x, y, weight, reduction: (
            _weighted(_share(g, x._a.shape, reduction), weight) * (x - y) / ((1 - x) * x).clamp_min(1e-12)
        ),
        lambda g, x, weight, reduction: (
            _weighted(_share(g, x._a.shape, reduction), weight)
            * ((-x).log1p().clamp_min(-100) - x.log().clamp_min(-100))
        ),
        None,
    ),
)
def _bce(x, y, weight, *, reduction):
    kind = x.dtype
    values = _bce_values(*(a.astype(np.float64) for a in (x, y)))
    return _reduced(values if weight is None else values * weight, reduction, kind)


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
            _weighted(_share(g, x._a.shape, reduction), weight) * _logits_slope(x, y, pos_weight)
        ),
        lambda g, x, weight, pos_weight, reduction: (
            _weighted(_share(g, x._a.shape, reduction), weight)
            * (-x if pos_weight is None else (pos_weight - 1) * _soft(x) - x)
        ),
        None,
        None,
    ),
)
def _bce_logits(x, y, weight, pos_weight, *, reduction):
    kind = x.dtype
    x, y = x.astype(np.float64), y.astype(np.float64)
    soft = np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)
    if pos_weight is not None:
        soft = soft * ((pos_weight.astype(np.float64) - 1) * y + 1)
    values = (1 - y) * x + soft
    return _reduced(values if weight is None else values * weight, reduction, kind)


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
    input, target = _one_dtype(input, target)
    return _bce_logits(input, target, weight, pos_weight, reduction=reduction)


@public(name="nn.functional.kl_div", out=False)
def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target (log target - input), for log-probabilities `input`; the target may be logarithms too.

    Reduction "batchmean" divides the sum by the first dimension, which is the mathematical definition.

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


# ---- of pairs and margins ----


def _margin_result(t: Any, reduction: str, size_average: Any, reduce: Any) -> Any:
    return reduce_tensor(t, reduction_of(reduction, size_average, reduce))


@public(name="nn.functional.hinge_embedding_loss", out=False)
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """x where the target is 1, max(0, margin - x) where it is -1."""
    zeros = input.new_zeros(())
    apart = (margin - input).clamp_min(0).where(target != 1, zeros)
    near = input.where(target != -1, zeros)
    return _margin_result(apart + near, reduction, size_average, reduce)


@public(name="nn.functional.margin_ranking_loss", out=False)
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, -y (x1 - x2) + margin)."""
    ranks = [t._a.ndim for t in (input1, input2, target)]
    if len(set(ranks)) > 1:
        sizes = [f"{list(t._a.shape)}" for t in (input1, input2, target)]
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: "
            f"torch.Size({sizes[0]}), input2: torch.Size({sizes[1]}), target: torch.Size({sizes[2]}) "
        )
    made = (-target * (input1 - input2) + margin).clamp_min(0)
    return _margin_result(made, reduction, size_average, reduce)


@public(name="nn.functional.cosine_embedding_loss", out=False)
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""
    ranks = (input1._a.ndim, input2._a.ndim)
    if not (target._a.ndim == 1 and ranks == (2, 2) or target._a.ndim == 0 and ranks == (1, 1)):
        if target._a.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        wanted = (
            "1D target tensor expects 2D input tensors"
            if target._a.ndim
            else "0D target tensor expects 1D input tensors"
        )
        raise RuntimeError(
            f"{wanted}, but found inputs with sizes {list(input1._a.shape)} and {list(input2._a.shape)}."
        )
    eps = 1e-12
    squares = ((input1 * input1).sum(-1) + eps) * ((input2 * input2).sum(-1) + eps)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    zeros = cosine.new_zeros(())
    made = (1 - cosine).where(target == 1, zeros) + (cosine - margin).clamp_min(0).where(target == -1, zeros)
    return _margin_result(made, reduction, size_average, reduce)


@public(name="nn.functional.triplet_margin_loss", out=False)
def triplet_margin_loss(
    anchor,
    positive,
    negative,
    margin=1.0,
    p=2,
    eps=1e-06,
    swap=False,
    size_average=None,
    reduce=None,
    reduction="mean",
):
    """max(0, |anchor - positive| - |anchor - negative| + margin). Balntas et al., BMVC 2016."""
    for at, (argument, t) in enumerate(
        (("anchor", anchor), ("positive", positive), ("negative", negative)), 1
    ):
        as_tensor(t, "triplet_margin_loss", argument, at)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if len({t._a.ndim for t in (anchor, positive, negative)}) > 1:
        ranks = [t._a.ndim for t in (anchor, positive, negative)]
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {ranks[0]}D, positive {ranks[1]}D, and negative {ranks[2]}D inputs"
        )
    from rushlight.ops.normalisation import pairwise_distance

    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return _margin_result((margin + near - far).clamp_min(0), reduction, size_average, reduce)


@primitive(
    "SoftMarginLoss",
    vjp=(
        lambda g, x, y, reduction: _share(g, x._a.shape, reduction) * (-y) * (-y * x).sigmoid(),
        lambda g, x, y, reduction: _share(g, x._a.shape, reduction) * (-x) * (-y * x).sigmoid(),
    ),
)
def _soft_margin(x, y, *, reduction):
    z = -y.astype(np.float64) * x
    return _reduced(np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0), reduction, x.dtype)


@public(name="nn.functional.soft_margin_loss", out=False)
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """log(1 + exp(-y x)) for targets 1 and -1."""
    as_tensor(input, "soft_margin_loss", "input", 1)
    as_tensor(target, "soft_margin_loss", "target", 2)
    shape = broadcast(input._a.shape, target._a.shape)
    x, y = _one_dtype(input.expand(shape), target.expand(shape))
    return _soft_margin(x, y, reduction=reduction_of(reduction, size_average, reduce))


@public(name="nn.functional.multilabel_soft_margin_loss", out=False)
def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Binary cross entropy of each class with logits, the mean over classes."""
    from rushlight.ops.activations import logsigmoid

    made = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    made = made if weight is None else made * weight
    dim = input._a.ndim - 1
    return _margin_result(made.sum(dim) / input._a.shape[dim], reduction, size_average, reduce)


@public(name="nn.functional.poisson_nll_loss", out=False)
def poisson_nll_loss(
    input, target, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction="mean"
):
    """exp(x) - y x for a rate given by its logarithm; `full` adds Stirling's approximation of log y!."""
    chosen = reduction_of(reduction, size_average, reduce)
    made = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        made = made + stirling.masked_fill(target <= 1, 0)
    return reduce_tensor(made, chosen)


@public(name="nn.functional.gaussian_nll_loss", out=False)
def gaussian_nll_loss(input, target, var, full=False, eps=1e-06, reduction="mean"):
    """(log var + (x - y)^2 / var) / 2, with variances of at least `eps`."""
    if not isinstance(var, Tensor):
        var = input.new_full(input._a.shape, var)
    if var._a.size and (var._a < 0).any():
        raise ValueError("var has negative entry/entries")
    if var._a.shape != input._a.shape:
        if input._a.shape[:-1] == var._a.shape:
            var = var.unsqueeze(-1)
        elif input._a.shape[:-1] != var._a.shape[:-1] or var._a.shape[-1] != 1:
            if input._a.ndim != var._a.ndim or any(
                n not in (1, m) for m, n in zip(input._a.shape, var._a.shape)
            ):
                raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(reduction + " is not valid")
    var = var.clone()
    detached = var.detach()
    np.maximum(detached._a, detached._a.dtype.type(eps), out=detached._a)
    made = 0.5 * (var.log() + (input - target) ** 2 / var)
    if full:
        made = made + 0.5 * math.log(2 * math.pi)
    return reduce_tensor(made, reduction)


@public(name="nn.functional.multi_margin_loss", out=False)
def multi_margin_loss(
    input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """The mean over classes of max(0, margin - x[y] + x[i])^p, without the right one."""
    chosen = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    flat = input._a.ndim < 2
    x = input.reshape(1, -1) if flat else input
    y = target.reshape(-1)
    if x._a.ndim != 2 or y._a.size != x._a.shape[0] or not x._a.shape[1]:
        raise RuntimeError(
            f"inconsistent target size, expected {x._a.shape[0]} but got {list(target._a.shape)}"
        )
    if y._a.size and ((y._a < 0) | (y._a >= x._a.shape[1])).any():
        raise RuntimeError("target out of range")
    right = x.gather(1, y.unsqueeze(1))
    made = (margin - right + x).clamp_min(0)
    made = made if p == 1 else made * made
    if weight is not None:
        made = made * weight.gather(0, y).unsqueeze(1)
    mask = np.zeros(x._a.shape, bool)
    mask[np.arange(y._a.size), y._a] = True
    made = made.masked_fill(new_tensor(mask, bool_), 0).sum(1) / x._a.shape[1]
    made = reduce_tensor(made, chosen)
    return made.reshape(()) if flat and chosen == "none" and not target._a.ndim else made


__all__ = ["cross_entropy", "mse_loss"]
