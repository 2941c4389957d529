"""What the processes of a group tell each other: of one process, its own tensors."""

from __future__ import annotations

import pickle
from typing import Any

from rushlight.buffer import Tensor
from rushlight.distributed.world import Work, joined

__all__ = [
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_reduce",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "broadcast",
    "broadcast_object_list",
    "gather",
    "gather_object",
    "irecv",
    "isend",
    "monitored_barrier",
    "recv",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
    "send",
]


def _done(async_op: bool) -> Work | None:
    return Work() if async_op else None


def _check_tensor(value: Any, name: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(value)} instead."
        )


def _check_root(rank: int | None, operation: str) -> None:
    if rank not in (None, 0):
        raise RuntimeError(f"ProcessGroupGloo::{operation}: invalid root rank: {rank}")


def _only(values: Any, operation: str, which: str = "output") -> Any:
    """The one entry of a list that has an entry for each process."""
    if len(values) != 1:
        raise RuntimeError(
            f"ProcessGroupGloo::{operation}: invalid {which} tensor list at index 0 (expected length 1, got {len(values)})"
        )
    return values[0]


def _put(target: Tensor, source: Tensor, operation: str) -> None:
    """Write what a process sent into memory of the same size and type."""
    _check_tensor(target, "output")
    _check_tensor(source, "input")
    if target.dtype != source.dtype:
        raise ValueError(
            f"Invalid usage of tensors with different dtypesFound {target.dtype} and  {source.dtype}"
        )
    if target.numel() != source.numel():
        raise RuntimeError(
            f"ProcessGroupGloo::{operation}: invalid tensor size at index 0 (expected "
            f"({', '.join(map(str, source.shape))}), got ({', '.join(map(str, target.shape))}))"
        )
    target.detach().copy_(source.detach().view_as(target))


# ---- tensors ----


def all_reduce(tensor: Tensor, op: Any = None, group: Any = None, async_op: bool = False) -> Work | None:
    """Make of every process's tensor the sum (or another `op`) of all: of one, itself.

    Raises:
        ValueError: there is no group.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.init_process_group("gloo", world_size=1, rank=0)
        >>> loss = torch.tensor(2.0)
        >>> torch.distributed.all_reduce(loss, op=torch.distributed.ReduceOp.SUM)
        >>> loss
        tensor(2.)
        >>> torch.distributed.destroy_process_group()
    """
    _check_tensor(tensor, "tensor")
    joined(group)
    return _done(async_op)


def reduce(
    tensor: Tensor,
    dst: int | None = None,
    op: Any = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: Any = None,
) -> Work | None:
    """The same for the process `dst`."""
    _check_tensor(tensor, "tensor")
    joined(group)
    _check_root(dst, "reduce")
    return _done(async_op)


def broadcast(
    tensor: Tensor, src: int | None = None, group: Any = None, async_op: bool = False, group_src: Any = None
) -> Work | None:
    """Give all processes the tensor of the process `src`."""
    _check_tensor(tensor, "tensor")
    joined(group)
    _check_root(src, "broadcast")
    return _done(async_op)


def all_gather(tensor_list: Any, tensor: Tensor, group: Any = None, async_op: bool = False) -> Work | None:
    """Put the tensors of all processes into a list of as many."""
    joined(group)
    _put(_only(tensor_list, "allgather"), tensor, "allgather")
    return _done(async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Put the tensors of all processes into one, one after the other."""
    joined(group)
    _put(output_tensor, input_tensor, "allgather")
    return _done(async_op)


def gather(
    tensor: Tensor,
    gather_list: Any = None,
    dst: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_dst: Any = None,
) -> Work | None:
    """Put the tensors of all processes into a list of the process `dst`."""
    joined(group)
    if dst not in (None, 0):
        raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")
    if not gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    _put(_only(gather_list, "gather"), tensor, "gather")
    return _done(async_op)


def scatter(
    tensor: Tensor,
    scatter_list: Any = None,
    src: int | None = None,
    group: Any = None,
    async_op: bool = False,
    group_src: Any = None,
) -> Work | None:
    """Give each process one of the tensors of the process `src`."""
    joined(group)
    if not scatter_list:
        raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
    _put(tensor, _only(scatter_list, "scatter", "input"), "scatter")
    return _done(async_op)


def reduce_scatter(
    output: Tensor, input_list: Any, op: Any = None, group: Any = None, async_op: bool = False
) -> Work | None:
    """Give each process the sum of one of all processes' tensors."""
    joined(group)
    _put(output, _only(input_list, "reduce_scatter", "input"), "reduce_scatter")
    return _done(async_op)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: Any = None, group: Any = None, async_op: bool = False
) -> Work | None:
    """Give each process its part of the sum of all processes' tensors."""
    joined(group)
    _put(output, input, "reduce_scatter")
    return _done(async_op)


def all_to_all(
    output_tensor_list: Any, input_tensor_list: Any, group: Any = None, async_op: bool = False
) -> Work | None:
    """Send each process one tensor, and get one from each."""
    joined(group)
    _put(_only(output_tensor_list, "alltoall"), _only(input_tensor_list, "alltoall", "input"), "alltoall")
    return _done(async_op)


def all_to_all_single(
    output: Tensor,
    input: Tensor,
    output_split_sizes: Any = None,
    input_split_sizes: Any = None,
    group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Send each process a part of a tensor, and get a part from each."""
    joined(group)
    _put(output, input, "alltoall")
    return _done(async_op)


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Wait until all processes are here."""
    joined(group)
    return _done(async_op)


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Wait until all processes are here, and say who is missing."""
    joined(group)


# ---- objects ----


def _sent(value: Any) -> Any:
    """What arrives of an object that is sent: a copy."""
    return pickle.loads(pickle.dumps(value))


def all_gather_object(object_list: list, obj: Any, group: Any = None) -> None:
    """Put the objects of all processes into a list of as many."""
    joined(group)
    _only(object_list, "allgather")
    object_list[0] = _sent(obj)


def broadcast_object_list(
    object_list: list, src: int | None = None, group: Any = None, device: Any = None, group_src: Any = None
) -> None:
    """Give all processes the objects of the process `src`."""
    joined(group)
    _check_root(src, "broadcast")


def gather_object(
    obj: Any,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: Any = None,
) -> None:
    """Put the objects of all processes into a list of the process `dst`."""
    joined(group)
    if not object_gather_list:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    object_gather_list[0] = _sent(obj)


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: Any = None,
) -> None:
    """Give each process one of the objects of the process `src`."""
    joined(group)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    if not scatter_object_input_list:
        raise ValueError("source rank must provide non-None scatter_object_input_list")
    scatter_object_output_list[0] = _sent(scatter_object_input_list[0])


# ---- from one process to another ----


def _nobody(tensor: Any, rank: int | None, group: Any, which: str) -> None:
    """There is no process to exchange messages with but oneself."""
    _check_tensor(tensor, "tensor")
    joined(group)
    if rank in (None, 0):
        raise ValueError(
            f"Invalid {which} rank: {which} rank should not be the same as the rank of the current process."
        )
    raise ValueError(f"Invalid {which} rank: the group has one process, and none of rank {rank}")


def send(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: Any = None
) -> None:
    """Send another process a tensor: there is none, ValueError."""
    _nobody(tensor, dst, group, "destination")


def isend(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: Any = None
) -> None:
    """Send another process a tensor: there is none, ValueError."""
    _nobody(tensor, dst, group, "destination")


def recv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: Any = None
) -> None:
    """Wait for another process's tensor: there is none, ValueError."""
    _nobody(tensor, src, group, "source")


def irecv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: Any = None
) -> None:
    """Wait for another process's tensor: there is none, ValueError."""
    _nobody(tensor, src, group, "source")
