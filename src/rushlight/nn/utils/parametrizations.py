"""Weights of a given norm, spectral norm, or with orthogonal columns, as parametrisations."""

from __future__ import annotations

from typing import Any

import rushlight
from rushlight.buffer import Tensor
from rushlight.nn import functional as F
from rushlight.nn.modules.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from rushlight.nn.modules.module import Module
from rushlight.nn.utils import parametrize
from rushlight.ops.norms import norm_except_dim

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def of_module(module: Module, name: str) -> Tensor:
    """The tensor of that name; ValueError if there is none."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


def output_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight that counts outputs, unless another is given."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


# ---- weight norm ----


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except_dim(weight_v, 2, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn a weight as magnitude and direction, one of each for every index of `dim`. Salimans and Kingma, arXiv:1602.07868.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2))
        >>> layer.parametrizations.weight.original0.shape
        torch.Size([2, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(state_dict: dict, prefix: str, *more: Any) -> None:
        """Accept what the older `torch.nn.utils.weight_norm` saved."""
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for n, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{n}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


# ---- spectral norm ----


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which power iteration follows as the weight changes."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        rank = weight.ndim
        if not -rank <= dim < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{rank}, {rank - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % rank
        self.eps = eps
        if rank > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight, self.dim)
            h, w = matrix.size()
            u, v = matrix.new_empty(h).normal_(0, 1), matrix.new_empty(w).normal_(0, 1)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._iterate(matrix, 15)

    @rushlight.no_grad()
    def _iterate(self, matrix: Tensor, count: int) -> None:
        for _ in range(count):
            F.normalize(matrix.mv(self._v), dim=0, eps=self.eps, out=self._u)
            F.normalize(matrix.H.mv(self._u), dim=0, eps=self.eps, out=self._v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        u, v = (
            self._u.clone(),
            self._v.clone(),
        )  # backward needs these, and the next step overwrites the buffers
        return weight / u.vdot(matrix.mv(v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight with `dim` as its rows."""
    if dim != 0:
        weight = weight.permute(dim, *[d for d in range(weight.dim()) if d != dim])
    return weight.flatten(1)


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value. Miyato et al., arXiv:1802.05957.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(4, 4), n_power_iterations=20)
        >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 2)
        1.0
    """
    step = _SpectralNorm(of_module(module, name), n_power_iterations, output_dim(module, dim), eps)
    return parametrize.register_parametrization(module, name, step)


# ---- orthogonal ----

_MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix with orthonormal columns (rows, if it is wide), from one without constraints.

    M. Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", arXiv:1909.09501: `base` is the
    matrix at which the map is the identity.
    """

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.size(-2) < x.size(-1)
        x = x.mT if wide else x
        q = self._reflections(x) if self.orthogonal_map == "householder" else self._rotation(x)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def _rotation(self, x: Tensor) -> Tensor:
        """The image of a skew matrix, which the lower triangle of `x` gives."""
        n, k = x.size(-2), x.size(-1)
        x = x.tril()
        if n != k:
            x = rushlight.cat([x, x.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], -1)
        skew = x - x.mH
        if self.orthogonal_map == "matrix_exp":
            q = rushlight.matrix_exp(skew)
        else:
            one = rushlight.eye(n, dtype=skew.dtype)
            q = rushlight.linalg.solve(one.add(skew, alpha=-0.5), one.add(skew, alpha=0.5))
        return q[..., :k] if n != k else q

    def _reflections(self, x: Tensor) -> Tensor:
        """The product of the reflections at the columns below the diagonal."""
        below = x.tril(-1)
        tau = 2.0 / (1.0 + (below * below).sum(-2))
        q = rushlight.linalg.householder_product(below, tau)
        return q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)

    @rushlight.no_grad()
    def right_inverse(self, q: Tensor) -> Tensor:
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
            )
        wide = q.size(-2) < q.size(-1)
        tall = q.mT if wide else q
        if hasattr(self, "base"):
            self.base = _completed(tall)
            start = rushlight.zeros_like(q)
            start.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return start
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        a, tau = rushlight.geqrf(tall)
        a.diagonal(dim1=-2, dim2=-1).sign_()
        a.diagonal(dim1=-2, dim2=-1)[tau == 0.0] *= -1
        return a.mT if wide else a


def _completed(q: Tensor) -> Tensor:
    """A square orthogonal matrix whose first columns span those of `q`; `q` itself, if it is one."""
    n, k = q.size(-2), q.size(-1)
    if n == k and _is_orthogonal(q):
        return q.clone()
    if n != k:
        more = rushlight.randn(*q.size()[:-2], n, n - k, dtype=q.dtype)
        q = rushlight.cat([q, more], -1)
    x, tau = rushlight.geqrf(q)
    made = rushlight.linalg.householder_product(x, tau)
    return made * x.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.size(-2), q.size(-1)
    tolerance = 10.0 * n * rushlight.finfo(q.dtype).eps
    return rushlight.allclose(q.mH @ q, rushlight.eye(k, dtype=q.dtype), atol=tolerance)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a weight's columns (rows, if it is wide) orthonormal.

    Args:
        orthogonal_map: "matrix_exp", "cayley" or "householder"; by default the first for square or complex weights, the
            last for others.
        use_trivialization: start from the weight's own value.

    Example:
        >>> import rushlight as torch
        >>> q = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(2, 3)).weight
        >>> torch.allclose(q.T @ q, torch.eye(2), atol=1e-6)
        True
    """
    weight = of_module(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    step = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return parametrize.register_parametrization(module, name, step, unsafe=True)
