"""`matmul` and `@`: products of vectors, matrices and batches of them, by the strict products of `contractions`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor, new_tensor, storage, strides
from rushlight.layout import broadcast, numel
from rushlight.ops.autocasting import STATE, SWITCH
from rushlight.ops.batches import at_once
from rushlight.ops.broadcasting import EXPAND
from rushlight.ops.contractions import bmm, completes, dot, mm, mv, same_out
from rushlight.ops.kinds.contraction import BLAS, batched, product
from rushlight.ops.spec import as_tensor, public
from rushlight.runtime.execute import quiet, view
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import requires_grad
from rushlight.tape.recording import record

_UNSAFE_VIEW = Derivative("UnsafeView", ("x",), (lambda g, x_meta: g.reshape(x_meta.shape),))
_SQUEEZED = Derivative("SqueezeBackward4", ("x",), (lambda g, x_meta: g.reshape(x_meta.shape),))


def unsafe_view(t: Any, shape: tuple[int, ...], derivative: Derivative = _UNSAFE_VIEW) -> Any:
    """A result in another shape; not a view as far as autograd is concerned, since `t` is given up."""
    a = t._a
    out = new_tensor(a.reshape(shape), t._dtype)
    if t._buf is not None and np.may_share_memory(out._a, a):
        out._buf = storage(t)
    if t._edge is not None:
        record(derivative, (t,), None, out)
    return out


@public(name="matmul")
def checked_matmul(input, other):
    as_tensor(input, "matmul", "input", 1)
    as_tensor(other, "matmul", "other", 2)
    return operator(input, other)


def by_rank(input: Any, other: Any) -> Any:
    """The product where an operand has more than two dimensions or none, as PyTorch does it; see Note [Folding]."""
    m, n = input._a.ndim, other._a.ndim
    if m == 0 or n == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D")
    if m == 1 and n == 2:
        made = mm(input.unsqueeze(0), other)
        return unsafe_view(made, made._a.shape[1:], _SQUEEZED)
    if input._edge is None and other._edge is None:
        made = _unrecorded(input, other)
    else:
        made = at_once(input, other) if m == n > 3 else None
    if made is not None:
        return made
    return _fold(input, other) if _folds(input, other) else _by_batches(input, other)


def _unrecorded(x: Tensor, y: Tensor) -> Tensor | None:
    """The product at once if both are batches that fit and nobody wants a gradient."""
    a, b, kind = x._a, y._a, x._dtype
    if kind not in BLAS or kind is not y._dtype or b.ndim < 2 or a.ndim < 2 or a.shape[-1] != b.shape[-2]:
        return None
    m, n = a.shape[:-2], b.shape[:-2]
    if m != n:
        if b.ndim == 2 and a.size and a.flags.c_contiguous:
            rows = quiet(product, a.reshape(-1, a.shape[-1]), b)
            return new_tensor(rows.reshape(a.shape[:-1] + b.shape[1:]), kind)
        broadcast(m, n)
    return new_tensor(quiet(batched, a, b), kind)


# Note [Folding]: a batch times one matrix is one large product of the batch's rows, which costs no
# copy if the batch lies evenly in memory. If the matrix wants a gradient it is always worth it,
# since the matrix would otherwise be expanded, and its gradient made for each of the copies.


def _folds(x: Any, y: Any) -> bool:
    larger, smaller = (x, y) if x._a.ndim >= y._a.ndim else (y, x)
    if larger._a.ndim < 3 or smaller._a.ndim > 2:
        return False
    if MODES.grad and requires_grad(smaller):
        return True
    if x._a.ndim == 2:
        return False
    if not larger._a.size:
        return True
    sizes, steps = larger._a.shape, strides(larger)
    if larger is y:
        sizes, steps = _turned(sizes), _turned(steps)
    return all(steps[i] == steps[i + 1] * sizes[i + 1] for i in range(len(sizes) - 2))


def _turned(values: tuple[int, ...]) -> tuple[int, ...]:
    return (*values[:-2], values[-1], values[-2])


def _fold(x: Any, y: Any) -> Any:
    turned = y._a.ndim > x._a.ndim
    big = y.mT if turned else x
    small = y if not turned else x.t() if x._a.ndim == 2 else x
    lead, inner = big._a.shape[:-1], big._a.shape[-1]
    rows = big.reshape(numel(lead), inner)
    if small._a.ndim == 1:
        return unsafe_view(mv(rows, small), lead)
    made = unsafe_view(mm(rows, small), (*lead, small._a.shape[1]))
    return made.mT.contiguous() if turned else made


def _by_batches(x: Any, y: Any) -> Any:
    a, b = x._a, y._a
    if a.ndim == 3 and b.ndim == 3 and a.shape[0] != b.shape[0]:
        if a.shape[0] == 1 and requires_grad(x):
            return by_rank(x.squeeze(0), y)
        if b.shape[0] == 1 and requires_grad(y):
            return by_rank(x, y.squeeze(0))
    lead = broadcast(a.shape[:-2], b.shape[:-2])
    left, right = a.shape[-2:], b.shape[-2:]
    shape = lead + left[:-1] + right[1:]
    count = numel(lead)
    rows = _expanded(x, (*lead, *left)).reshape(count, *((1, *left) if a.ndim == 1 else left))
    if b.ndim == 1:
        vectors = _expanded(y, (*lead, *right)).reshape(count, *right).unsqueeze(2)
        made = bmm(rows, vectors).squeeze(-1)
    else:
        made = bmm(rows, _expanded(y, (*lead, *right)).reshape(count, *right))
    return unsafe_view(made, shape)


def _expanded(t: Any, shape: tuple[int, ...]) -> Any:
    """`t.expand(shape)`; of what has the shape already, without its checks."""
    a = t._a
    if type(a) is np.ndarray and a.shape == shape and a.size:
        return view(t, a[...], EXPAND, None)
    return t.expand(shape)


@completes(checked_matmul)
def matmul(input, other, *, out=None):
    """The matrix product: vectors, matrices and batches of matrices; batch dimensions are broadcast.

    Raises:
        RuntimeError: a 0-d operand, sizes that do not fit, different dtypes.

    Example:
        >>> import rushlight as torch
        >>> torch.matmul(torch.ones(4, 1, 2, 3), torch.ones(5, 3, 2)).shape
        torch.Size([4, 5, 2, 2])
    """
    if out is not None:
        return _matmul_out(input, other, out)
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        return operator(input, other)
    return checked_matmul(input, other)


def _matmul_out(x: Any, y: Any, out: Any) -> Any:
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        same_out(out, x)
        if x._a.ndim == 1 and y._a.ndim == 2 and isinstance(out, Tensor):
            # As in PyTorch, `out` becomes a matrix of one row, and then that row.
            mm(x.unsqueeze(0), y, out=out)
            out._a = out._a[0]
            return out
    return checked_matmul(x, y, out=out)


@asking
def operator(self: Tensor, other: Any) -> Any:
    """`self @ other`."""
    if not isinstance(other, Tensor):
        return NotImplemented
    try:
        m, n = self._a.ndim, other._a.ndim
    except NeedsBatching:
        return TAKE_OVER.function("matmul", matmul, (self, other), {})
    if m == 2 and n == 2:
        return mm(self, other)
    if SWITCH.on and STATE.fast is not None:
        return checked_matmul(self, other)
    if m == 2:
        if n == 1:
            return mv(self, other)
    elif m == 1 and n == 1:
        return dot(self, other)
    return by_rank(self, other)


def reflected(self: Tensor, other: Any) -> Any:
    """`other @ self`, for an operand that does not know tensors."""
    return checked_matmul(other, self) if isinstance(other, Tensor) else NotImplemented


__all__ = ["matmul", "unsafe_view"]
