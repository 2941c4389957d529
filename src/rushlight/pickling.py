"""How `pickle`, `copy.copy` and `copy.deepcopy` take a tensor apart and put it together."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from rushlight.autograd.hooks import warn_if_has_hooks
from rushlight.buffer import LEAF, Buffer, Tensor, offset, shown, storage, strides
from rushlight.dtypes import dtype
from rushlight.storage import twin
from rushlight.tape.modes import MODES
from rushlight.tape.node import Nowhere, edge_of, requires_grad


def reduce_tensor(self: Tensor, protocol: Any = 2) -> tuple:
    """How `pickle` and `copy.copy` take a tensor apart: its storage's memory, and where in it the tensor lies.

    As in PyTorch, each tensor takes its own copy of the memory along; `save` keeps views views.
    """
    warn_if_has_hooks(self)
    whole = storage(self).bytes()[:]
    state = dict(self.__dict__) or None
    return rebuild_tensor, (
        type(self),
        whole,
        self._dtype,
        offset(self),
        self._a.shape,
        strides(self),
        requires_grad(self),
        state,
    )


def rebuild_tensor(
    cls: type,
    whole: np.ndarray,
    kind: dtype,
    at: int,
    shape: tuple,
    steps: tuple,
    grad: bool,
    state: dict | None,
) -> Tensor:
    """The tensor that `reduce_tensor` took apart."""
    t: Any = object.__new__(cls)
    fill(t, Buffer.of(whole), kind, at, shape, steps, grad)
    if state:
        t.__dict__.update(state)
    return t


def fill(t: Tensor, buffer: Buffer, kind: dtype, at: int, shape: tuple, steps: tuple, grad: bool) -> None:
    """Make `t`, which has nothing yet, the tensor at this place of a memory."""
    t._a = shown(buffer, kind.numpy, tuple(shape), tuple(steps), at)
    t._dtype = kind
    t._buf = buffer
    t._edge = LEAF if grad else None
    buffer.inference = MODES.inference
    buffer.version = buffer.version or 1  # as in PyTorch, where the memory is put into an empty tensor


def copy_tensor(self: Tensor) -> Tensor:
    """What `copy.copy` gives: another leaf on the same storage, whose writes are counted apart."""
    t = object.__new__(type(self))
    fill(t, twin(storage(self)), self._dtype, offset(self), self._a.shape, strides(self), requires_grad(self))
    t.__dict__.update(self.__dict__)
    return t


def deepcopy_tensor(self: Tensor, memo: dict) -> Tensor:
    """A leaf's deep copy: memory (once for all views of it), gradient and attributes.

    Raises:
        RuntimeError: the tensor was computed from one that requires grad.
    """
    edge = edge_of(self)
    if edge is not None and edge is not self and type(edge) is not Nowhere:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  If "
            "you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see "
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    if id(self) in memo:
        return memo[id(self)]
    t = object.__new__(type(self))
    buffer = copied_buffer(storage(self), memo)
    fill(t, buffer, self._dtype, offset(self), self._a.shape, strides(self), edge is not None)
    memo[id(self)] = t
    have = getattr(self, "_grad", None)
    if have is not None:
        t._grad = deepcopy_tensor(have, memo)
    if self.__dict__:
        t.__dict__.update(deepcopy(self.__dict__, memo))
    return t


def copied_buffer(buffer: Buffer, memo: dict) -> Buffer:
    """The one deep copy, in `memo`, of this memory."""
    key = ("storage", id(buffer.array))  # which twins of a buffer share
    if key in memo:
        return twin(memo[key])  # as in PyTorch, the copies' versions are counted apart
    memo[key] = Buffer.of(buffer.bytes().copy())
    memo.setdefault(id(memo), []).append(buffer)
    return memo[key]


def set_state(self: Tensor, state: tuple) -> None:
    """What old pickles call: (requires_grad, _, hooks), or the four arguments of `set_`."""
    edge = edge_of(self)
    if edge is not None and edge is not self:
        raise RuntimeError("__setstate__ can be only called on leaf Tensors")
    if len(state) == 4:
        self.set_(*state)
        return
    if len(state) == 5:
        self.data = state[0]
        state = (state[3], state[4], state[2])
    self.requires_grad = state[0]
