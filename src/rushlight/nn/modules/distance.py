"""Distances between vectors as modules."""

from __future__ import annotations

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.stateless import Stateless

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(Stateless):
    """The cosine of the angle between x1 and x2 along `dim`."""

    settings = {"dim": 1, "eps": 1e-8}
    inputs = ("x1", "x2")
    function = F.cosine_similarity


class PairwiseDistance(Stateless):
    """The p-norm of x1 - x2 + eps along the last dimension."""

    settings = {"p": 2.0, "eps": 1e-6, "keepdim": False}

    def prepare(self) -> None:
        self.norm = self.__dict__.pop("p")

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
