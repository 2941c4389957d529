"""Dropout: noise that is there in training only."""

from __future__ import annotations

from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.stateless import Stateless

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Stateless):
    settings = {"p": 0.5, "inplace": False}

    def prepare(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {self.p}")

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element is 0 with probability `p`, else divided by 1 - p. arXiv:1207.0580."""

    function = F.dropout


class Dropout1d(_Dropout):
    """Dropout of whole channels of (N, C, L)."""

    function = F.dropout1d


class Dropout2d(_Dropout):
    """Dropout of whole channels of (N, C, H, W)."""

    function = F.dropout2d


class Dropout3d(_Dropout):
    """Dropout of whole channels of (N, C, D, H, W)."""

    function = F.dropout3d


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of what SELU gives. arXiv:1706.02515."""

    function = F.alpha_dropout


class FeatureAlphaDropout(_Dropout):
    """Alpha dropout of whole channels."""

    function = F.feature_alpha_dropout
