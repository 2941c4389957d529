"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.covariance import GivenByCovariance, the_one_given
from rushlight.distributions.exp_family import ExponentialFamily

__all__ = ["Wishart"]


class Wishart(GivenByCovariance, ExponentialFamily):
    """The sum of x x^T over `df` normal vectors x of mean 0 and the given covariance (or precision, or factor).

    `df` need not be whole, but more than the number of dimensions less 1.

    Example:
        >>> import rushlight as torch
        >>> torch.distributions.Wishart(3, torch.eye(2)).mean
        tensor([[3., 0.],
                [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _made = ("_chi2",)

    @property
    def arg_constraints(self) -> Any:
        return {**self.matrix_constraints, "df": constraints.greater_than(self.event_shape[-1] - 1)}

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        given = the_one_given(
            covariance_matrix=covariance_matrix, precision_matrix=precision_matrix, scale_tril=scale_tril
        )
        if given is None:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        name, matrix = given
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch dimensions"
            )
        number = isinstance(df, Number)
        shape = matrix.shape[:-2] if number else torch.broadcast_shapes(matrix.shape[:-2], df.shape)
        self.df = torch.tensor(df, dtype=matrix.dtype) if number else df.expand(shape)
        n = matrix.shape[-1]
        if self.df.le(n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        if self.df.lt(n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._cover(name, matrix, shape, matrix.shape[-2:], validate_args)
        freedom = self.df.unsqueeze(-1) - torch.arange(n, dtype=matrix.dtype)
        self._chi2 = Chi2(freedom.expand(*shape, n))

    mean = property(lambda self: self.df[..., None, None] * self.covariance_matrix)

    @property
    def mode(self) -> Any:
        factor = self.df - self._event_shape[-1] - 1
        return factor.masked_fill(factor <= 0, math.nan)[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        return self.df[..., None, None] * (v.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    # ---- samples ----

    def _bartlett(self, sample_shape: Any) -> Any:
        """A A^T, A = L B: B is lower triangular, its diagonal from chi distributions and the rest standard normal.

        M. S. Bartlett, "On the theory of statistical regression", Proc. Royal Society of Edinburgh 53 (1933).
        """
        n, roots = self._event_shape[-1], self._chi2.rsample(sample_shape).sqrt()
        below = torch.randn((*roots.shape[:-1], n * (n - 1) // 2), dtype=roots.dtype)
        b = roots.clamp(min=torch.finfo(roots.dtype).eps).diag_embed()
        row, column = torch.tril_indices(n, n, offset=-1)
        b[..., row, column] = below
        a = self._unbroadcasted_scale_tril @ b
        return a @ a.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Any:
        """Samples; those that rounding made singular are drawn again, up to `max_try_correction` times (10)."""
        x = self._bartlett(torch.Size(sample_shape))
        # PyTorch's first test is the wrong way round, and so it draws all good samples twice: the same numbers come
        # from the same stream only if that is done here, too.
        again = self._any(self.support.check(x))
        for _ in range(10 if max_try_correction is None else max_try_correction):
            if not again.any():
                break
            new = self._bartlett((int(again.sum()),))
            x[again] = new
            singular = self._any(~self.support.check(new))
            if singular.any():
                warnings.warn("Singular sample detected.", stacklevel=2)
            again = again.masked_scatter(again, singular)
        return x

    def _any(self, which: Any) -> Any:
        """Whether anything in the batch is: samples are drawn again for the whole batch."""
        return which.amax([-1 - i for i in range(len(self._batch_shape))]) if self._batch_shape else which

    # ---- probabilities ----

    def _log_scale(self) -> Any:
        """log det(sqrt(2) L)."""
        return self._event_shape[-1] * math.log(2) / 2 + self._half_log_det()

    def log_prob(self, value: Any) -> Any:
        value, nu, n = self._checked(value), self.df, self._event_shape[-1]
        log_det = torch.linalg.slogdet(value).logabsdet
        trace = torch.cholesky_solve(value, self._unbroadcasted_scale_tril).diagonal(dim1=-2, dim2=-1).sum(-1)
        normaliser = nu * self._log_scale() + torch.mvlgamma(nu / 2, n)
        return (nu - n - 1) / 2 * log_det - trace / 2 - normaliser

    def entropy(self) -> Any:
        nu, n = self.df, self._event_shape[-1]
        slopes = torch.digamma(nu.unsqueeze(-1) / 2 - torch.arange(n, dtype=nu.dtype) / 2).sum(-1)
        rest = torch.mvlgamma(nu / 2, n) - (nu - n - 1) / 2 * slopes + nu * n / 2
        return (n + 1) * self._log_scale() + rest

    @property
    def _natural_params(self) -> Any:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (n * math.log(2) - torch.linalg.slogdet(-2 * x).logabsdet) + torch.mvlgamma(half, n)
