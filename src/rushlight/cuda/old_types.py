"""`torch.cuda.FloatTensor` and its kin, which programs name before they ask whether there is a GPU: no tensor is one."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
]


class _TensorType(type):
    """No tensor is on a GPU."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


class _OnGpu(metaclass=_TensorType):
    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled."
        )


class FloatTensor(_OnGpu):
    """Tensors of float32 on a GPU.

    Example:
        >>> import rushlight as torch
        >>> isinstance(torch.ones(1), torch.cuda.FloatTensor)
        False
    """


class DoubleTensor(_OnGpu):
    """Tensors of float64 on a GPU."""


class HalfTensor(_OnGpu):
    """Tensors of float16 on a GPU."""


class BFloat16Tensor(_OnGpu):
    """Tensors of bfloat16 on a GPU."""


class ByteTensor(_OnGpu):
    """Tensors of uint8 on a GPU."""


class CharTensor(_OnGpu):
    """Tensors of int8 on a GPU."""


class ShortTensor(_OnGpu):
    """Tensors of int16 on a GPU."""


class IntTensor(_OnGpu):
    """Tensors of int32 on a GPU."""


class LongTensor(_OnGpu):
    """Tensors of int64 on a GPU."""


class BoolTensor(_OnGpu):
    """Tensors of bool on a GPU."""
