"""`torch.distributed.nn.functional`: collectives through which gradients pass. In a group of one they are copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.buffer import Tensor
from rushlight.distributed import collectives
from rushlight.distributed.world import ReduceOp as _Operations
from rushlight.distributed.world import group, joined

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]


def _copy(tensor: Any, of_group: Any, operation: str) -> Tensor:
    joined(of_group)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{operation}: expected a Tensor, not {type(tensor).__name__}")
    return tensor.clone()


def broadcast(tensor: Tensor, src: int, group: Any = group.WORLD) -> Tensor:
    """What process `src` has; gradients of all come back to it."""
    collectives.broadcast(tensor.detach(), src, group)
    return _copy(tensor, group, "broadcast")


def gather(tensor: Tensor, dst: int = 0, group: Any = group.WORLD) -> tuple[Tensor, ...]:
    """What all processes have, for process `dst`."""
    return (_copy(tensor, group, "gather"),)


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Any = group.WORLD) -> Tensor:
    """This process's part of what `src` has for all."""
    (only,) = tensors
    return _copy(only, group, "scatter")


def reduce(tensor: Tensor, dst: int, op: Any = _Operations.SUM, group: Any = group.WORLD) -> Tensor:
    """The tensors of all processes as one, for process `dst`."""
    return _copy(tensor, group, "reduce")


def reduce_scatter(
    output: Tensor, input_list: Sequence[Tensor], op: Any = _Operations.SUM, group: Any = group.WORLD
) -> Tensor:
    """This process's part of the tensors of all as one."""
    (only,) = input_list
    return _copy(only, group, "reduce_scatter")


def all_gather(tensor: Tensor, group: Any = group.WORLD) -> tuple[Tensor, ...]:
    """What all processes have.

    Example:
        >>> import rushlight as torch, rushlight.distributed.nn
        >>> torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
        >>> x = torch.ones(2, requires_grad=True)
        >>> torch.distributed.nn.all_gather(x)[0].sum().backward()
        >>> x.grad
        tensor([1., 1.])
        >>> torch.distributed.destroy_process_group()
    """
    return (_copy(tensor, group, "all_gather"),)


def all_to_all(
    output_tensor_list: Sequence[Tensor], input_tensor_list: Sequence[Tensor], group: Any = group.WORLD
) -> tuple[Tensor, ...]:
    """What each process has for this one."""
    (only,) = input_tensor_list
    return (_copy(only, group, "all_to_all"),)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Sequence[int] | None = None,
    input_split_sizes: Sequence[int] | None = None,
    group: Any = group.WORLD,
) -> Tensor:
    """What each process has for this one, in one tensor."""
    return _copy(input, group, "all_to_all_single")


def all_reduce(tensor: Tensor, op: Any = _Operations.SUM, group: Any = group.WORLD) -> Tensor:
    """The tensors of all processes as one."""
    return _copy(tensor, group, "all_reduce")
