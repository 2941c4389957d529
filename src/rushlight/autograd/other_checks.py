"""What `gradcheck` compares with backward and with finite differences when it is asked to: forward mode and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rushlight import late
from rushlight.autograd.api import grad
from rushlight.autograd.forward_ad import dual_level, make_dual, unpack_dual
from rushlight.buffer import Tensor, new_tensor
from rushlight.ops.creation import zeros_like
from rushlight.ops.joining import stack
from rushlight.tape.node import requires_grad

#: how many directions a batch has
_MANY = 2


def along(func: Callable, xs: tuple, which: int, direction: Tensor) -> list[Tensor]:
    """The derivatives of the floating-point outputs of `func` when its input `which` moves in a direction."""
    with dual_level():
        given = [
            make_dual(x.detach(), direction if n == which else zeros_like(x)) if _varies(x) else x
            for n, x in enumerate(xs)
        ]
        outputs = func(*given)
        found = []
        for y in outputs if isinstance(outputs, (tuple, list)) else (outputs,):
            if isinstance(y, Tensor) and (y.is_floating_point() or y.is_complex()):
                primal, tangent = unpack_dual(y)
                found.append(zeros_like(primal) if tangent is None else tangent)
    return found


def _varies(x: Any) -> bool:
    return isinstance(x, Tensor) and requires_grad(x)


def forward_table(func: Callable, xs: tuple, which: int, flat: Callable) -> np.ndarray:
    """The Jacobian of all floating-point outputs by forward mode: one row for each real number of an input."""
    rows = []
    for direction in _units(xs[which]):
        parts = [flat(t._a) for t in along(func, xs, which, direction)]
        rows.append(np.concatenate(parts) if parts else np.zeros(0))
    return np.stack(rows) if rows else np.zeros((0, 0))


def _units(x: Tensor) -> Iterator[Tensor]:
    for index in np.ndindex(x._a.shape):
        for step in (1, 1j) if x._dtype.is_complex else (1,):
            unit = np.zeros(x._a.shape, x._a.dtype)
            unit[index] = step
            yield new_tensor(unit, x._dtype)


def _random(t: Tensor, seed: int) -> Tensor:
    """Directions between -1 and 1; the global random stream stays untouched."""
    source = np.random.default_rng(seed)
    values = source.uniform(-1, 1, t._a.shape)
    if t._dtype.is_complex:
        values = values + 1j * source.uniform(-1, 1, t._a.shape)
    return new_tensor(np.asarray(values).astype(t._a.dtype), t._dtype)


def batched_backward(outputs: tuple, wanted: list) -> str:
    """What is wrong with gradients of many weights at once; nothing, where they are those of one after the other."""
    for at, y in enumerate(outputs):
        weights = [_random(y, seed) for seed in range(_MANY)]
        ask = {"retain_graph": True, "allow_unused": True}
        single = [grad(y, wanted, weight, **ask) for weight in weights]
        try:
            together = grad(y, wanted, stack(weights), is_grads_batched=True, **ask)
        except RuntimeError as error:
            return f"While computing batched gradients, got: {error}\n\n{_FAILED}"
        for n, (one, many) in enumerate(zip(zip(*single), together)):
            if many is not None and not _close(stack(one), many):
                return f"For output {at} and input {n}:\nbatched:{many}\none by one:{stack(one)}\n\n{_FAILED}"
    return ""


def batched_forward(func: Callable, xs: tuple) -> str:
    """The same of directions, in forward mode."""
    for n, x in enumerate(xs):
        if not _varies(x):
            continue
        directions = [_random(x, seed) for seed in range(_MANY)]
        single = [stack(same) for same in zip(*[along(func, xs, n, v) for v in directions])]
        try:
            together = late.load("rushlight.func.vmap").vmap(lambda v, n=n: tuple(along(func, xs, n, v)))(
                stack(directions)
            )
        except RuntimeError as error:
            return f"While computing batched gradients, got: {error}\n\n{_FAILED}"
        for at, (one, many) in enumerate(zip(single, together)):
            if not _close(one, many):
                return f"For output {at} and input {n}, in forward mode:\nbatched:{many}\none by one:{one}\n\n{_FAILED}"
    return ""


def _close(x: Tensor, y: Tensor) -> bool:
    return bool(np.allclose(x._a, y._a, equal_nan=True))


_FAILED = (
    "gradcheck or gradgradcheck failed while testing batched gradient computation: torch.vmap, which autograd.grad with "
    "is_grads_batched, functional.jacobian with vectorize and torch.func use, cannot compute these gradients or computes "
    "others. Pass check_batched_grad=False where they are not needed."
)
