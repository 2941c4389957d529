"""The LKJ distribution of correlation matrices."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.beta import Beta
from rushlight.distributions.distribution import Distribution
from rushlight.distributions.utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices C, with density in proportion to det(C) ** (concentration - 1).

    D. Lewandowski, D. Kurowicka and H. Joe, "Generating random correlation matrices based on vines and extended onion
    method", Journal of Multivariate Analysis 100 (2009); the sections named below are of this article.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.LKJCholesky(3, 0.5).log_prob(torch.eye(3))
        tensor(-2.5310)
    """

    arg_constraints: ClassVar[Any] = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _made = ("_beta",)
    _shared = ("dim",)

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # of the squared length of each row without its diagonal element (section 3.2)
        before = torch.arange(dim - 1, dtype=self.concentration.dtype)
        before = torch.cat([before.new_zeros(1), before])
        rest = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1)
        self._beta = Beta(before + 0.5, rest - 0.5 * before)
        super().__init__(self.concentration.shape, (dim, dim), validate_args=validate_args)

    def sample(self, sample_shape: Any = ()) -> Any:
        """By the onion method of section 3.2, whose matrix w is all that the factor needs."""
        with torch.no_grad():
            squares = self._beta.sample(sample_shape).unsqueeze(-1)
            normal = torch.randn(self._extended_shape(sample_shape), dtype=squares.dtype).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :] = 0.0  # the first row has nothing left of its diagonal
            w = squares.sqrt() * direction
            left = torch.clamp(1 - w.pow(2).sum(-1), min=torch.finfo(w.dtype).tiny)
            return w + left.sqrt().diag_embed()

    def log_prob(self, value: Any) -> Any:
        # det(C) is the squared product of the diagonal L_ii; from C to L the volume changes by their powers dim - i
        diagonal = self._checked(value).diagonal(dim1=-1, dim2=-2)[..., 1:]
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - torch.arange(2, self.dim + 1)
        return (powers * diagonal.log()).sum(-1) - self._log_normaliser()

    def _log_normaliser(self) -> Any:
        # page 1999; `mvlgamma` has (dim - 1) / 2 log(pi) less than is needed
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        return 0.5 * n * math.log(math.pi) + torch.mvlgamma(alpha - 0.5, n) - n * torch.lgamma(alpha)
