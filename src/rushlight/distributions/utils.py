"""`torch.distributions.utils`: parameters brought to one shape, probabilities and logits into one another."""

from __future__ import annotations

import functools
from collections.abc import Callable
from numbers import Number
from typing import Any

import rushlight as torch

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

EULER = 0.5772156649015329


def broadcast_all(*values: Any) -> Any:
    """Numbers and tensors as tensors of one shape; a number takes the first tensor's type.

    Raises:
        ValueError: something is neither a number nor a tensor.

    Example:
        >>> from rushlight.distributions.utils import broadcast_all
        >>> import rushlight as torch
        >>> broadcast_all(1.0, torch.zeros(2))
        (tensor([1., 1.]), tensor([0., 0.]))
    """
    if not all(isinstance(v, (torch.Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    kind = next((v.dtype for v in values if isinstance(v, torch.Tensor)), torch.get_default_dtype())
    tensors = [v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=kind) for v in values]
    return torch.broadcast_tensors(*tensors)


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Any:
    """Standard normal numbers; by PyTorch's name, which other libraries' distributions use."""
    return torch.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value: Any, dims: int) -> Any:
    """The sum over the last `dims` dimensions."""
    return value.reshape(*value.shape[:-dims], -1).sum(-1) if dims else value


def _lower(n: int, diag: int) -> Any:
    """Which elements of an n x n matrix lie on or below the diagonal `diag`."""
    return torch.ones(n, n, dtype=torch.bool).tril(diag)


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """Vectors as square matrices: their elements, row by row, on and below the diagonal `diag`.

    Raises:
        ValueError: no triangle has so many elements.

    Example:
        >>> from rushlight.distributions.utils import vec_to_tril_matrix
        >>> import rushlight as torch
        >>> vec_to_tril_matrix(torch.tensor([1.0, 2.0, 3.0]))
        tensor([[1., 0.],
                [2., 3.]])
    """
    size = vec.shape[-1]
    # the positive root of n^2 + (1 + 2 diag) n - |diag| (diag + 1) = 2 size
    b = 1 + 2 * diag
    n = (-b + (b**2 + 8 * size + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {size} which cannot be expressed as the lower triangular part of a square "
            "D x D matrix."
        )
    matrix = vec.new_zeros((*vec.shape[:-1], round(n), round(n)))
    matrix[..., _lower(round(n), diag)] = vec
    return matrix


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The inverse of `vec_to_tril_matrix`.

    Raises:
        ValueError: the matrix has no such diagonal.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _lower(n, diag)]


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """Probabilities from log-odds (binary), or from unnormalised logarithms along the last dimension."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, -1)


def clamp_probs(probs: Any) -> Any:
    """Probabilities moved into the open interval (0, 1) by the type's epsilon."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def inside_unit(x: Any) -> Any:
    """`x` moved into the open interval (0, 1), by as little as its type allows."""
    limits = torch.finfo(x.dtype)
    return x.clamp(min=limits.tiny, max=1.0 - limits.eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """The inverse of `logits_to_probs`."""
    inside = clamp_probs(probs)
    return torch.log(inside) - torch.log1p(-inside) if is_binary else torch.log(inside)


def one_of(probs: Any, logits: Any) -> None:
    """ValueError unless exactly one of both ways to give a parameter was used."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


def binary_cross_entropy(logits: Any, target: Any) -> Any:
    """-log P(target), where 1 has the log-odds `logits`; the mean of that where `target` lies between 0 and 1."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


class lazy_property:
    """A property that is computed when first asked for, with gradients, and then kept in the instance."""

    def __init__(self, wrapped: Callable) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.wrapped.__name__] = value
        return value


class ProbsOrLogits:
    """What a distribution given by `probs` or by `logits` has in common; the one not given is computed when needed."""

    #: whether each number stands for an event of its own, rather than the last dimension for the categories of one
    binary = True

    @lazy_property
    def logits(self) -> Any:
        """The parameter as log-odds, or as logarithms of probabilities."""
        return probs_to_logits(self.probs, self.binary)

    @lazy_property
    def probs(self) -> Any:
        """The parameter as probabilities."""
        return logits_to_probs(self.logits, self.binary)

    @property
    def _param(self) -> Any:
        facts = self.__dict__
        return facts["probs"] if facts.get("_given") == "probs" else facts["logits"]

    def _give(self, probs: Any, logits: Any, total_count: Any = None) -> None:
        """Keep the one that was given; where there is a `total_count`, both in one shape."""
        one_of(probs, logits)
        value = logits if probs is None else probs
        if total_count is None:
            (value,) = broadcast_all(value)
        else:
            count, value = broadcast_all(total_count, value)
            self.total_count = count.type_as(value)
        self._keep("logits" if probs is None else "probs", value)

    def _keep(self, name: str, value: Any) -> None:
        self._given = name
        self.__dict__[name] = value

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter, categories included."""
        return self._param.shape

    def _new(self, *args: Any, **kwargs: Any) -> Any:
        return self._param.new(*args, **kwargs)
