"""A softmax over many classes, the rare ones in clusters that cost less."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from rushlight.buffer import Tensor
from rushlight.nn.modules.container import ModuleList, Sequential
from rushlight.nn.modules.linear import Linear
from rushlight.nn.modules.module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """The log-probability of each example's class, and the mean loss. Grave et al., arXiv:1609.04309.

    Classes must be numbered from the most frequent to the least. The head tells the first `cutoffs[0]` classes and the
    clusters apart; each cluster, a product of two smaller layers, its own classes.

    Raises:
        ValueError: cutoffs that do not increase, or are no class numbers.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10])
        >>> torch.allclose(layer.log_prob(torch.ones(3, 8)).exp().sum(1), torch.ones(3))
        True
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        made = {"device": device, "dtype": dtype}
        super().__init__()
        cutoffs = list(cutoffs)
        _check(cutoffs, n_classes)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = cutoffs + [n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for n, (low, high) in enumerate(pairwise(self.cutoffs)):
            inner = int(in_features // div_value ** (n + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, inner, bias=False, **made),
                    Linear(inner, high - low, bias=False, **made),
                )
            )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        _check_sizes(input_, target_)
        single = target_.dim() == 0
        x, target = (input_.unsqueeze(0), target_.unsqueeze(0)) if single else (input_, target_)
        head = self.head(x).log_softmax(1)
        output = x.new_zeros(target.size(0))
        column = target.new_empty(target.size(0))
        used = 0
        for n, (low, high) in enumerate(pairwise([0, *self.cutoffs])):
            mask = (target >= low) & (target < high)
            rows = mask.nonzero().squeeze(1)
            used += rows.numel()
            if not rows.numel():
                continue
            if n == 0:
                column.index_copy_(0, rows, target[mask])
                continue
            column.index_fill_(0, rows, self.shortlist_size + n - 1)
            inside = self.tail[n - 1](x.index_select(0, rows)).log_softmax(1)
            output.index_copy_(0, rows, inside.gather(1, (target[mask] - low).unsqueeze(1)).squeeze(1))
        if used != target.size(0):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{target.min().item()}, "
                f"{target.max().item()}] were found. "
            )
        output += head.gather(1, column.unsqueeze(1)).squeeze()
        return _ASMoutput(output.squeeze(0) if single else output, (-output).mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """The log-probabilities of all classes, (N, n_classes)."""
        return self._all(input, self.head(input))

    def _all(self, x: Tensor, head_output: Tensor) -> Tensor:
        head = head_output.log_softmax(1)
        out = x.new_empty((head.size(0), self.n_classes))
        out[:, : self.shortlist_size] = head[:, : self.shortlist_size]
        for n, (low, high) in enumerate(pairwise(self.cutoffs)):
            out[:, low:high] = self.tail[n](x).log_softmax(1) + head[:, self.shortlist_size + n].unsqueeze(1)
        return out

    def predict(self, input: Tensor) -> Tensor:
        """The likeliest class of each example; clusters are only looked into where the head prefers one."""
        head = self.head(input)
        output = head.argmax(1)
        rare = output >= self.shortlist_size
        if rare.any():
            output[rare] = self._all(input[rare], head[rare]).argmax(1)
        return output


def _check(cutoffs: list[int], classes: int) -> None:
    if not cutoffs:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    if (
        cutoffs != sorted(set(cutoffs))
        or min(cutoffs) <= 0
        or max(cutoffs) > classes - 1
        or any(int(c) != c for c in cutoffs)
    ):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
            "between 1 and n_classes-1"
        )


def _check_sizes(x: Tensor, target: Tensor) -> None:
    if target.dim() > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.dim() == 1 and x.size(0) != target.size(0):
        raise RuntimeError("Input and target should have the same size in the batch dimension.")
    if x.dim() != target.dim() + 1:
        raise RuntimeError(
            f"{target.dim()}D target tensor expects {target.dim() + 1}D input tensors, but found inputs with size {x.size()}"
        )
