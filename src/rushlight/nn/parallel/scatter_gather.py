"""Batches in parts for several GPUs: there is none, so only what holds no tensors can be shared out."""

from __future__ import annotations

from typing import Any

from rushlight.buffer import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs: Any, target_gpus: Any, dim: int = 0) -> Any:
    """`inputs`, once for each GPU, tensors in them in parts.

    Raises:
        RuntimeError: there is a tensor in them, and no GPU that could take a part.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.parallel.scatter({"scale": 2}, [0, 1])
        [{'scale': 2}, {'scale': 2}]
    """
    _refuse_tensors(inputs)
    return [inputs for _ in target_gpus]


def _refuse_tensors(value: Any) -> None:
    if isinstance(value, Tensor):
        raise RuntimeError("scatter: there is no GPU that could take a part of a tensor")
    for part in (
        value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    ):
        _refuse_tensors(part)


def scatter_kwargs(inputs: Any, kwargs: Any, target_gpus: Any, dim: int = 0) -> tuple[Any, Any]:
    """`scatter` of positional and of named arguments."""
    count = len(target_gpus)
    return (
        tuple(scatter(inputs, target_gpus, dim) if inputs else [()] * count),
        tuple(scatter(kwargs, target_gpus, dim) if kwargs else [{}] * count),
    )


def gather(outputs: Any, target_device: Any, dim: int = 0) -> Any:
    """The parts of a batch from several GPUs as one; AssertionError, as tensors on the CPU are no such parts."""
    raise AssertionError("Gather function not implemented for CPU tensors")
