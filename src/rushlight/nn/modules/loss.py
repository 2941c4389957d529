"""Loss functions as modules. All but CTC take `reduction`: "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any, ClassVar

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.distance import PairwiseDistance
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.stateless import Stateless
from rushlight.ops.loss_reduction import reduction_of

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

#: what reduction was called before it had a name
_OLD: dict[str, Any] = {"size_average": None, "reduce": None}
_REDUCTION: dict[str, Any] = {**_OLD, "reduction": "mean"}


class _Loss(Stateless):
    """A loss: its settings, of which tensors (`weight`) are buffers, are passed to `function` by name.

    Programs derive losses of their own from it, and call its constructor with (size_average, reduce, reduction).
    """

    settings = _REDUCTION
    inputs: ClassVar[tuple[str, ...]] = ("input", "target")

    #: settings that are tensors or None
    weights: ClassVar[tuple[str, ...]] = ()

    def prepare(self) -> None:
        facts = self.__dict__
        size_average, reduce = facts.pop("size_average", None), facts.pop("reduce", None)
        if size_average is not None or reduce is not None:
            self.reduction = reduction_of(self.reduction, size_average, reduce)
        for name in self.weights:
            self.register_buffer(name, facts.pop(name))

    def forward(self, *inputs: Any, **named: Any) -> Any:
        if named:
            inputs = self.in_order(inputs, named)
        facts, held = self.__dict__, self._buffers
        given = {
            name: held[name] if name in held else facts[name] for name in self.settings if name not in _OLD
        }
        return type(self).function(*inputs, **given)


class _WeightedLoss(_Loss):
    """A loss with a weight for each class."""

    settings: ClassVar[dict[str, Any]] = {"weight": None, **_REDUCTION}
    weights = ("weight",)


# ---- of differences ----


class L1Loss(_Loss):
    """|x - y|."""

    settings = _REDUCTION
    function = F.l1_loss


class MSELoss(_Loss):
    """(x - y)**2.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.MSELoss()(torch.ones(2), torch.zeros(2))
        tensor(1.)
    """

    settings = _REDUCTION
    function = F.mse_loss


class SmoothL1Loss(_Loss):
    """(x - y)**2 / (2 beta) where |x - y| < beta, else |x - y| - beta / 2."""

    settings = {**_REDUCTION, "beta": 1.0}
    function = F.smooth_l1_loss


class HuberLoss(_Loss):
    """(x - y)**2 / 2 where |x - y| < delta, else delta * (|x - y| - delta / 2)."""

    settings = {"reduction": "mean", "delta": 1.0}
    function = F.huber_loss

    def prepare(self) -> None:
        if not isinstance(self.delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(self.delta)}")


# ---- of classes ----


class NLLLoss(_WeightedLoss):
    """-x[target], for log-probabilities x."""

    settings = {
        "weight": None,
        "size_average": None,
        "ignore_index": -100,
        "reduce": None,
        "reduction": "mean",
    }
    function = F.nll_loss


class NLLLoss2d(NLLLoss):
    """The old name of :class:`NLLLoss`."""


class CrossEntropyLoss(_WeightedLoss):
    """The negative log-likelihood of log_softmax(x); targets are classes or probabilities.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.CrossEntropyLoss()(torch.zeros(1, 2), torch.tensor([1]))
        tensor(0.6931)
    """

    settings = {
        "weight": None,
        "size_average": None,
        "ignore_index": -100,
        "reduce": None,
        "reduction": "mean",
        "label_smoothing": 0.0,
    }
    function = F.cross_entropy


class BCELoss(_WeightedLoss):
    """-(y log x + (1 - y) log(1 - x))."""

    function = F.binary_cross_entropy


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of sigmoid(x), computed without overflow."""

    settings = {"weight": None, **_REDUCTION, "pos_weight": None}
    weights = ("weight", "pos_weight")
    function = F.binary_cross_entropy_with_logits


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of the binary cross entropy of sigmoid(x)."""

    function = F.multilabel_soft_margin_loss


# ---- of distributions ----


class KLDivLoss(_Loss):
    """y * (log y - x), for log-probabilities x; `log_target` says that y is one too."""

    settings = {**_REDUCTION, "log_target": False}
    function = F.kl_div


class PoissonNLLLoss(_Loss):
    """exp(x) - y x, or x - y log(x + eps) if not `log_input`; `full` adds Stirling's term."""

    settings = {
        "log_input": True,
        "full": False,
        "size_average": None,
        "eps": 1e-8,
        "reduce": None,
        "reduction": "mean",
    }
    inputs = ("log_input", "target")
    function = F.poisson_nll_loss


class GaussianNLLLoss(_Loss):
    """(log var + (x - y)**2 / var) / 2."""

    settings = {"full": False, "eps": 1e-6, "reduction": "mean"}
    inputs = ("input", "target", "var")
    function = F.gaussian_nll_loss

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(full, eps, reduction)


class CTCLoss(_Loss):
    """The likelihood of a sequence over all its alignments. Graves et al., 2006."""

    settings = {"blank": 0, "reduction": "mean", "zero_infinity": False}
    inputs = ("log_probs", "targets", "input_lengths", "target_lengths")
    function = F.ctc_loss


# ---- with margins ----


class HingeEmbeddingLoss(_Loss):
    """x where y is 1, max(0, margin - x) where it is -1."""

    settings = {"margin": 1.0, **_REDUCTION}
    function = F.hinge_embedding_loss


class MarginRankingLoss(_Loss):
    """max(0, -y (x1 - x2) + margin)."""

    settings = {"margin": 0.0, **_REDUCTION}
    inputs = ("input1", "input2", "target")
    function = F.margin_ranking_loss


class SoftMarginLoss(_Loss):
    """log(1 + exp(-y x))."""

    settings = _REDUCTION
    function = F.soft_margin_loss


class CosineEmbeddingLoss(_Loss):
    """1 - cos(x1, x2) where y is 1, max(0, cos(x1, x2) - margin) where it is -1."""

    settings = {"margin": 0.0, **_REDUCTION}
    inputs = ("input1", "input2", "target")
    function = F.cosine_embedding_loss


class MultiMarginLoss(_WeightedLoss):
    """The sum over other classes of max(0, margin - x[y] + x[i])**p, over the number of classes."""

    settings = {"p": 1, "margin": 1.0, "weight": None, **_REDUCTION}
    function = F.multi_margin_loss

    def prepare(self) -> None:
        if self.p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        weight = self.__dict__["weight"]
        if weight is not None and weight.dim() != 1:
            raise ValueError(
                f"MultiMarginLoss: expected weight to be None or 1D tensor, got {weight.dim()}D instead"
            )
        super().prepare()


class MultiLabelMarginLoss(_Loss):
    """The sum over pairs of a target class and another of max(0, 1 - x[y] + x[i]), over the number of classes."""

    settings = _REDUCTION
    function = F.multilabel_margin_loss


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin)."""

    settings = {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, **_REDUCTION}
    inputs = ("anchor", "positive", "negative")
    function = F.triplet_margin_loss

    def prepare(self) -> None:
        if self.margin <= 0:
            raise ValueError(
                f"TripletMarginLoss: expected margin to be greater than 0, got {self.margin} instead"
            )
        super().prepare()


class TripletMarginWithDistanceLoss(Module):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) for a distance of the caller's."""

    def __init__(
        self,
        *,
        distance_function: Any = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if margin <= 0:
            raise ValueError(
                f"TripletMarginWithDistanceLoss: expected margin to be greater than 0, got {margin} instead"
            )
        self.reduction = reduction
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
