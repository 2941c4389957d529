"""Keeping gradients small."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

import rushlight
from rushlight.buffer import Tensor, new_tensor
from rushlight.runtime.execute import quiet
from rushlight.tape.writes import check_write, wrote_all

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]


#: elements up to which a gradient is small: the price of an operation on it is the call's
_PLAIN = 1 << 13


def _gradients(parameters: Any) -> list[Tensor]:
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    elif not isinstance(parameters, list):
        parameters = list(parameters)
        if not parameters:
            warnings.warn(
                "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=4
            )
    return [p.grad for p in parameters if p.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """The norm of all tensors taken as one vector.

    Raises:
        RuntimeError: it is infinite or nan, and `error_if_nonfinite`.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    p = float(norm_type)
    if not tensors:
        return rushlight.tensor(0.0)
    lengths = _lengths(tensors) if p == 2.0 else None
    if lengths is None:
        norms = [rushlight.linalg.vector_norm(t, p) for t in tensors]
        total = rushlight.linalg.vector_norm(rushlight.stack(norms), p)
    else:
        total = new_tensor(np.asarray(quiet(_length, lengths), np.float32), rushlight.float32)
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def _lengths(tensors: list[Tensor]) -> np.ndarray | None:
    """The 2-norms of plain tensors of float32, as float32; None if there are others."""
    kind, found = rushlight.float32, []
    for t in tensors:
        if t._edge is not None or t._dtype is not kind:
            return None
        is_small = t._a.size <= _PLAIN
        found.append(quiet(_length, t._a) if is_small else rushlight.linalg.vector_norm(t, 2.0)._a.item())
    return np.array(found, np.float32)


def _length(a: np.ndarray) -> Any:
    wide = a.astype(np.float64).reshape(-1)
    return np.sqrt(wide.dot(wide))


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Tensor, foreach: Any = None) -> None:
    """Scale the gradients in place as if their norm were `total_norm`."""
    scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    plain, others = [], []
    for g in _gradients(parameters):
        alike = g._dtype is scale._dtype and g._edge is None and g._a.size <= _PLAIN
        (plain if alike and scale._edge is None else others).append(g)
    for g in plain:
        check_write(g, "mul_")
        quiet(np.multiply, g._a, scale._a, g._a)
    wrote_all([(g, 1) for g in plain])
    for g in others:
        g.mul_(scale)


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Tensor:
    """Scale the gradients in place so that their common norm is at most `max_norm`; returns the norm before.

    Raises:
        RuntimeError: the norm is infinite or nan, and `error_if_nonfinite`.

    Example:
        >>> import rushlight as torch
        >>> w = torch.ones(4, requires_grad=True)
        >>> w.sum().backward()
        >>> torch.nn.utils.clip_grad_norm_(w, 1.0)
        tensor(2.)
        >>> w.grad
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    with rushlight.no_grad():
        held = [parameters] if isinstance(parameters, Tensor) else parameters
        held = held if isinstance(held, list) else list(held)
        if not held:
            warnings.warn(
                "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=2
            )
        total = get_total_norm(_gradients(held), norm_type, error_if_nonfinite)
        clip_grads_with_norm_(held, max_norm, total)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The old name of :func:`clip_grad_norm_`."""
    warnings.warn(
        "torch.nn.utils.clip_grad_norm is now deprecated in favor of torch.nn.utils.clip_grad_norm_.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(parameters: Iterable[Tensor] | Tensor, clip_value: float, foreach: Any = None) -> None:
    """Hold every element of the gradients between -clip_value and clip_value, in place."""
    bound = float(clip_value)
    with rushlight.no_grad():
        for g in _gradients(parameters):
            g.clamp_(min=-bound, max=bound)
