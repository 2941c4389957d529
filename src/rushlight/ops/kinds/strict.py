"""Operations that are strict with types: `out=` must have the result's, or gradients are real."""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor


def same_type(out: Tensor, result: Tensor, inputs: list) -> None:
    """`out` must have the result's dtype exactly."""
    if out._dtype is not result._dtype:
        raise RuntimeError(
            f"Expected out tensor to have dtype {cpp_name(result._dtype)}, but got {cpp_name(out._dtype)} instead"
        )


def real_gradient(name: str, out: Tensor) -> Tensor:
    """The result, unless it is complex and recorded: PyTorch has no derivative there."""
    if out._edge is not None and out._dtype.is_complex:
        raise RuntimeError(f"{name} does not support automatic differentiation for outputs with complex dtype.")
    return out


_CPP = {"int64": "long int", "int32": "int", "float64": "double", "float32": "float", "int16": "short int",
        "int8": "signed char", "uint8": "unsigned char", "bool": "bool", "float16": "c10::Half",
        "bfloat16": "c10::BFloat16", "complex32": "c10::complex<c10::Half>", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>"}  # fmt: skip


def cpp_name(kind: Any) -> str:
    return _CPP.get(kind.name, kind.name)
