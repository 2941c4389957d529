"""Memory that processes share: `Tensor.share_memory_`.

Shared memory is a file without a name, mapped by each process. Forked processes have the mapping as it is. To others, which
`multiprocessing` starts afresh or reaches through its queues, a tensor goes as that file's descriptor and a layout.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Any

import numpy as np

from rushlight.buffer import Buffer, Tensor, expose, new_tensor, offset, shown, storage, strides
from rushlight.dtypes import BY_NAME
from rushlight.nn.parameter import Parameter
from rushlight.storage import move


class Mapping(mmap.mmap):
    """A file's memory, and the descriptor by which other processes get it."""

    descriptor = -1

    @classmethod
    def of(cls, descriptor: int, nbytes: int) -> Mapping:
        made = cls(descriptor, nbytes)
        made.descriptor = descriptor
        return made

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def share(t: Tensor) -> Tensor:
    """Move the storage to memory that processes share, and return the tensor; its views move along.

    What forked processes, or those that get the tensor through `torch.multiprocessing`, write to it all of them see.

    Raises:
        MemoryError: there is no such memory left.
        RuntimeError: the memory is not the tensor's to move, as that of a read-only array.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2).share_memory_().is_shared()
        True
    """
    buffer = storage(t)
    expose(buffer)
    if mapping_of(buffer) is None:
        if not buffer.array.flags.writeable:
            raise RuntimeError(
                "share_memory_: read-only memory cannot be moved; share a clone() of the tensor"
            )
        nbytes = buffer.bytes().size
        move(buffer, _mapped(nbytes))
        _announce()
    return t


def _mapped(nbytes: int) -> np.ndarray:
    descriptor = _new_file()
    try:
        os.ftruncate(descriptor, max(nbytes, 1))
        memory = Mapping.of(descriptor, max(nbytes, 1))
    except (OSError, ValueError) as error:
        os.close(descriptor)
        raise MemoryError(f"cannot share {nbytes} bytes of memory: {error}") from None
    return np.frombuffer(memory, np.uint8, nbytes)


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rushlight")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def mapping_of(buffer: Buffer) -> Mapping | None:
    """The file that a storage lies in, if it is shared."""
    found: Any = buffer.array
    while found is not None and not isinstance(found, Mapping):
        found = found.obj if isinstance(found, memoryview) else getattr(found, "base", None)
    return found


def is_shared(t: Tensor) -> bool:
    """Whether the memory is shared with other processes, see `share_memory_`."""
    return t._buf is not None and mapping_of(t._buf) is not None


# ---- to other processes ----


def _announce() -> None:
    """Let `multiprocessing` send shared tensors so; what is not shared goes as a copy."""
    from multiprocessing.reduction import ForkingPickler

    for kind in (Tensor, Parameter):
        ForkingPickler.register(kind, _sent)


def _sent(t: Tensor) -> Any:
    mapping = mapping_of(storage(t))
    if mapping is None or t._edge is not None and not t.is_leaf:
        return t.__reduce_ex__(2)
    from multiprocessing.reduction import DupFd

    layout = t._dtype.name, tuple(t._a.shape), strides(t), offset(t)
    return _received, (type(t), DupFd(mapping.descriptor), storage(t).bytes().size, layout, t.requires_grad)


def _received(kind: type, file: Any, nbytes: int, layout: tuple, requires_grad: bool) -> Tensor:
    name, shape, steps, at = layout
    buffer = Buffer.of(np.frombuffer(Mapping.of(file.detach(), max(nbytes, 1)), np.uint8, nbytes))
    expose(buffer)
    _announce()
    t = new_tensor(shown(buffer, BY_NAME[name].numpy, shape, steps, at), BY_NAME[name])
    t._buf = buffer
    return kind(t, requires_grad) if kind is not Tensor else t.requires_grad_(requires_grad)


__all__ = ["is_shared", "mapping_of", "share"]
