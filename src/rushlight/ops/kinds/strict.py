"""Operations that are strict with types: `out=` must have the result's, or gradients are real."""

from __future__ import annotations

from rushlight.buffer import Tensor


def same_type(out: Tensor, result: Tensor, inputs: list) -> None:
    """`out` must have the result's dtype exactly."""
    if out._dtype is not result._dtype:
        raise RuntimeError(
            f"Expected out tensor to have dtype {result._dtype.cpp}, but got {out._dtype.cpp} instead"
        )


def real_gradient(name: str, out: Tensor) -> Tensor:
    """The result, unless it is complex and recorded: PyTorch has no derivative there."""
    if out._edge is not None and out._dtype.is_complex:
        raise RuntimeError(
            f"{name} does not support automatic differentiation for outputs with complex dtype."
        )
    return out
