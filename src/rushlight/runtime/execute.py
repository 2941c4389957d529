"""Where NumPy carries operations out, quietly, and where results and views become tensors.

What is large goes to loops of our own instead: see `deferral` for what decides.
"""

from __future__ import annotations

import contextvars
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.buffer import Buffer, Tensor, offset, shown, storage, watch
from rushlight.dtypes import BY_NUMPY, dtype
from rushlight.graph.expr import Pending, array_of
from rushlight.runtime.deferral import FROM_COSTLY
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import INFERENCE, PLAIN, UNRECORDED, ViewMeta
from rushlight.tape.recording import record1

_make = object.__new__

# Note [Quiet NumPy]: overflow, division by zero and invalid operations are values here, not
# warnings. NumPy keeps its error state in a context variable, so running inside a context of our
# own silences it without touching the caller's settings, at a tenth of the price of `np.errstate`.
_CONTEXT = contextvars.Context()
_CONTEXT.run(np.seterr, all="ignore")
_INSIDE = contextvars.ContextVar("_INSIDE", default=False)
_CONTEXT.run(_INSIDE.set, True)
#: runs a function in the quiet context; RuntimeError if another thread is inside it
enter = _CONTEXT.run


def quiet(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call `function` with NumPy's floating point warnings off."""
    if _INSIDE.get():
        return function(*args, **kwargs)
    try:
        return enter(function, *args, **kwargs)
    except RuntimeError as error:
        if "already entered" not in str(error):
            raise
    with np.errstate(all="ignore"):
        return function(*args, **kwargs)


def wrap(a: Any) -> Tensor:
    """A tensor on a fresh array (or NumPy scalar)."""
    if type(a) is not np.ndarray:
        a = np.asarray(a)
    t = _make(Tensor)
    t._a = a
    t._dtype = BY_NUMPY[a.dtype]
    t._buf = None
    t._edge = None
    return t


def view(
    base: Tensor, a: np.ndarray, derivative: Derivative | None, attrs: dict | None, creation: int = PLAIN
) -> Tensor:
    """A tensor showing `a`, which is memory of `base`."""
    buffer = base._buf
    if buffer is None:
        buffer = viewed(base, (a,))
    t = _make(Tensor)
    t._a = a
    t._dtype = base._dtype
    t._buf = buffer
    edge = base._edge
    t._edge = meta = _make(ViewMeta)
    meta.base = base
    meta.edge = None
    meta.version = buffer.version
    meta.creation = creation
    if type(edge) is ViewMeta:
        meta.base = edge.base
        if creation == PLAIN:
            meta.creation = edge.creation
    if not MODES.grad:
        meta.creation = INFERENCE if MODES.inference else UNRECORDED
    elif edge is not None and derivative is not None:
        record1(derivative, base, attrs, t)
    return t


def viewed(base: Tensor, views: Sequence[np.ndarray]) -> Buffer:
    """The buffer of a tensor of which views were made.

    Whether others have views, too, is found out with the first: later these could not be told from those of tensors.
    """
    buffer = base._buf
    if buffer is None:
        buffer = storage(base)
        array = buffer.array
        if array.base is not None and array.size >= FROM_COSTLY:
            watch(buffer, sum([a.base is array.base for a in views]))
    return buffer


def alias(t: Tensor) -> Tensor:
    """Another handle on the same memory and version, outside the graph: what `detach` gives."""
    out = _make(Tensor)
    out._a = t._a
    out._dtype = t._dtype
    out._buf = t._buf or storage(t)
    out._edge = None
    if type(out._a) is Pending:
        out._a.holders.append(weakref.ref(out))
    return out


def restrided(t: Tensor, shape: tuple[int, ...], steps: tuple[int, ...], at: int | None = None) -> np.ndarray:
    """An array of exactly this layout (in elements) on the tensor's storage; bounds are checked.

    Where `at` is not given, the layout starts where the tensor does.
    """
    if at is None:
        a = t._a
        if a.flags.c_contiguous:
            found = within(a, shape, steps)
            if found is not None:
                return found
    a = array_of(t._a)
    if at is None and a.flags.c_contiguous and a.size and 0 not in shape and min(steps, default=0) >= 0:
        item = a.itemsize
        reach = 1
        for n, step in zip(shape, steps):
            reach += (n - 1) * step
        if reach <= a.size:
            return np.ndarray(shape, a.dtype, a, 0, tuple([step * item for step in steps]))
    start = offset(t) if at is None else at
    return shown(storage(t), t._dtype.numpy, shape, steps, start)


def within(a: np.ndarray, shape: tuple[int, ...], steps: tuple[int, ...]) -> np.ndarray | None:
    """A layout that stays inside a row-major array, from its first element; None if it does not."""
    a = array_of(a)
    item = a.itemsize
    reach, bytes_ = 1, []
    for n, step in zip(shape, steps):
        if n < 1 or step < 0:
            return None
        reach += (n - 1) * step
        bytes_.append(step * item)
    return np.ndarray(shape, a.dtype, a, 0, bytes_) if reach <= a.size else None


def cast(a: np.ndarray, kind: dtype) -> np.ndarray:
    """Fresh memory of another type, with PyTorch's conversions; keeps the order of dimensions."""
    from rushlight.runtime.casting import convert

    return convert(a, kind)
