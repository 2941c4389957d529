"""Copying values and writing them: `clone`, `contiguous`, `copy_`, `fill_`, `zero_`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rushlight import errors
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import Tensor, new_tensor, strides
from rushlight.device import contiguous_format, memory_format, preserve_format
from rushlight.dtypes import FLOATING, complex32, complex128, float32, float64
from rushlight.graph.expr import Pending, array_of
from rushlight.layout import broadcast, kept_strides
from rushlight.memory import address
from rushlight.ops.construct import nested
from rushlight.ops.creation import format_strides, like_strides, strided
from rushlight.ops.kinds.method import method
from rushlight.ops.promotion import NUMBERS
from rushlight.ops.scalars import number_of, scalar
from rushlight.ops.spec import public
from rushlight.ops.views import CLONE
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, launch, tensor_on, written
from rushlight.runtime.execute import quiet
from rushlight.runtime.results import FEW, converted, copy_into, in_rows
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import Node, edge_of, meta_of, requires_grad, start
from rushlight.tape.recording import record, record1
from rushlight.tape.writes import (
    check_inference,
    check_partial_overlap,
    check_recorded,
    check_write,
    rebase,
    wrote,
)

# ---- clone ----


@asking
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with memory of its own that stays in the graph; dense strides are kept.

    Args:
        memory_format: `contiguous_format` or a channels-last format for other strides.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(6).reshape(2, 3).t().clone().stride()
        (1, 3)
    """
    try:
        a = input._a
    except AttributeError:
        raise errors.wrong_type("clone", "input", 1, input) from None
    except NeedsBatching:
        return TAKE_OVER.function("clone", clone, (input,), {"memory_format": memory_format})
    if a.size < FEW:
        copied = a.copy()
        if memory_format is not None or copied.strides != a.strides:
            copied = _copied(input, memory_format)
        out = new_tensor(copied, input._dtype)
    else:
        out = _large_copy(input, memory_format)
    if input._edge is not None:
        record1(CLONE, input, None, out)
    return out


def _large_copy(t: Tensor, wanted: Any) -> Tensor:
    """A copy that may wait to be part of a loop."""
    kind = t._dtype
    if t._a.size >= FROM:
        strides_of: Callable = kept_strides
        if wanted is not None and wanted is not preserve_format:
            like_strides(t, wanted)  # says what is wrong with the format
            strides_of = _strides_in(wanted)
        made = launch("clone", np.positive, (t,), (kind,), kind, strides_of=strides_of)
        if made is not None:
            return tensor_on(made, kind)
    return new_tensor(_copied(t, wanted), kind)


@cache
def _strides_in(wanted: Any) -> Callable:
    """A memory format's strides, as `launch` asks for them; the same function each time, since outlines are known by it."""

    def strides_of(shape: tuple[int, ...], item: int, operands: tuple) -> tuple[int, ...]:
        return tuple([step * item for step in format_strides(shape, wanted)])

    return strides_of


def _copied(t: Tensor, wanted: Any) -> np.ndarray:
    a = t._a
    if wanted is contiguous_format:
        return in_rows(a)
    if wanted is None or wanted is preserve_format:
        if a.size >= FEW and a.flags.forc:
            return converted(a, a.dtype)
        copied = a.copy("K")
        if copied.strides == a.strides:  # so `a` is dense, and its strides are to be kept
            return copied
    made = strided(a.shape, like_strides(t, wanted), t._dtype)
    copy_into(made, a)
    return made


def contiguous(self: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """This tensor itself if its elements lie in row-major order (or the given format), else such a copy."""
    try:
        if memory_format is contiguous_format and self._a.flags.c_contiguous:
            return self
    except AttributeError:
        raise errors.wrong_self("contiguous", self) from None
    if is_contiguous(self, memory_format):
        return self
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return clone(self, memory_format=memory_format)


_FORMAT = memory_format


def is_contiguous(self: Tensor, memory_format: Any = contiguous_format) -> bool:
    """Whether the elements lie in row-major order without gaps, or in the given memory format."""
    try:
        if memory_format is contiguous_format:
            return self._a.flags.c_contiguous
    except AttributeError:
        raise errors.wrong_self("is_contiguous", self) from None
    if not isinstance(memory_format, _FORMAT):
        raise TypeError(
            f"is_contiguous(): argument 'memory_format' must be torch.memory_format, not {type(memory_format).__name__}"
        )
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    shape = self._a.shape
    try:
        wanted = format_strides(shape, memory_format)
    except RuntimeError:
        return False
    return all(n == 1 or have == want for n, have, want in zip(shape, strides(self), wanted))


# ---- copy_ ----


class CopyBackwards(Node):
    """What was written comes from the source; the old value gets no gradient."""

    __slots__ = ()

    def __init__(self, target: Tensor, before: Any, source: Any) -> None:
        start(self, (before, source), (meta_of(target),))

    def name(self) -> str:
        return "torch::autograd::CopyBackwards"

    def run(self, g: Any) -> tuple:
        return (g.new_zeros(g._a.shape) if self.edges[0] is not None else None), g


@method
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the values of `src`, broadcast and converted, to this tensor's memory.

    Raises:
        RuntimeError: `src` does not broadcast to this shape, or this tensor may not be written to.

    Example:
        >>> import rushlight as torch
        >>> torch.zeros(2, 2).copy_(torch.tensor([1, 2]))
        tensor([[1., 2.],
                [1., 2.]])
    """
    if not isinstance(src, Tensor):
        if isinstance(src, NUMBERS):
            return copy_(self, nested(src, None))
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")
    same = src is self or src._buf is not None and self._buf is not None and _shows_same(self, src)
    if not same:
        check_write(self, "copy_")
    else:  # which changes nothing, also where elements are shown twice
        check_inference(self)
        if MODES.grad and requires_grad(self):
            check_recorded(self)
    before = source = None
    if MODES.grad and (self._edge is not None or src._edge is not None) and self._dtype.category >= FLOATING:
        before, source = edge_of(self), edge_of(src)
        if source is not None:
            check_recorded(self)
    check_partial_overlap(self, src)
    a, b = self._a, src._a
    if a.shape != b.shape:
        _check_broadcast(a.shape, b.shape)
    if a.size < FROM or not _copied_by_loop(src, self):
        np.copyto(a, b if src._dtype is self._dtype else quiet(convert, b, self._dtype))
    wrote(self)
    if before is not None or source is not None:
        rebase(self, CopyBackwards(self, before, source))
    return self


def _copied_by_loop(src: Tensor, t: Tensor) -> bool:
    """Write `src`, broadcast and converted, to the memory of `t` by a loop of ours; False if NumPy is to do it."""
    if src._a.shape != t._a.shape or t._a.flags.carray and src._a.flags.carray and src._dtype is t._dtype:
        return False
    made = launch("copy_", np.positive, (src,), (src._dtype,), t._dtype)
    if made is None:
        return False
    if type(made) is not Pending or not written(made, t):
        np.copyto(t._a, array_of(made))
    return True


def _shows_same(t: Tensor, other: Tensor) -> bool:
    """Whether two tensors show the same elements of one storage in the same places."""
    a, b = t._a, other._a
    if t._buf.array is not other._buf.array:  # type: ignore[union-attr]
        return False
    return (
        a.shape == b.shape
        and a.strides == b.strides
        and t._dtype is other._dtype
        and address(a) == address(b)
    )


def _check_broadcast(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    if broadcast(shape, other) != shape:
        raise RuntimeError(
            f"output with shape {list(shape)} doesn't match the broadcast shape {list(broadcast(shape, other))}"
        )


# ---- fill ----


_FILL = [
    Derivative("FillBackward0", ("x",), (lambda g, x_meta: g.new_zeros(x_meta.shape),)),
    Derivative(
        "FillBackward1",
        ("x", "value"),
        (lambda g, x_meta: g.new_zeros(x_meta.shape), lambda g: g.sum()),
        promotes=False,
    ),
]


@public(out=False)
def fill(input, value):
    """A tensor like `input` with every element `value`: a number or a 0-d tensor."""
    out = new_tensor(strided(input._a.shape, like_strides(input), input._dtype), input._dtype)
    _fill_memory(out, value)
    if isinstance(value, Tensor):
        record(_FILL[1], (input, value), None, out)
    elif input._edge is not None:
        record(_FILL[0], (input,), None, out)
    return out


#: types that hold every Python float up to this size, rounded once
_WIDE = frozenset({float32, float64, complex128})
_FITS = 3.4e38


def _fill_memory(t: Tensor, value: Any) -> None:
    if (
        type(value) is int
        and 0 <= value <= 127
        and t._dtype is not complex32
        or type(value) is float
        and -_FITS <= value <= _FITS
        and t._dtype in _WIDE
    ):
        t._a.fill(value)
    elif isinstance(value, Tensor):
        if value._a.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value._a.ndim} dimensions."
            )
        t._a[...] = value._a if value._dtype is t._dtype else quiet(convert, value._a, t._dtype)
    else:
        t._a[...] = scalar(number_of(value, "fill_", "value", 1), t._dtype)


def _check_fill(t: Tensor, operation: str) -> None:
    """One value may be written to memory that is shown twice; all else is as for other writes."""
    if 0 in t._a.strides and t._a.size:
        t = _without_repeats(t)
    check_write(t, operation)


def _without_repeats(t: Tensor) -> Tensor:
    once = tuple([slice(None) if step else slice(0, 1) for step in t._a.strides])
    out = new_tensor(t._a[once], t._dtype)
    out._buf, out._edge = t._buf, t._edge
    return out


def fill_(self: Tensor, value: Any) -> Tensor:
    """Write `value`, a number or a 0-d tensor, to every element."""
    if not isinstance(value, (Tensor, *NUMBERS)):
        raise errors.invalid_combination("fill_", value)
    try:
        check_write(self, "fill_") if isinstance(value, Tensor) else _check_fill(self, "fill_")
    except AttributeError:
        raise errors.wrong_self("fill_", self) from None
    edge = theirs = None
    if MODES.grad and self._dtype.category >= FLOATING:
        theirs = edge_of(value) if isinstance(value, Tensor) else None
        if theirs is not None:
            check_recorded(self)
        edge = edge_of(self) if self._edge is not None else None
    _fill_memory(self, value)
    wrote(self)
    if MODES.grad and self._dtype.category >= FLOATING:
        if edge is not None or theirs is not None:
            rebase(
                self,
                FillBackward3(self, edge, theirs)
                if isinstance(value, Tensor)
                else FillBackward2(self, edge, None),
            )
    return self


class FillBackward2(Node):
    """After `fill_` with a number the old value gets no gradient."""

    __slots__ = ()
    promotes = False

    def __init__(self, t: Tensor, before: Any, value: Any) -> None:
        start(
            self,
            (before, value) if value is not None or type(self) is FillBackward3 else (before,),
            (meta_of(t),),
        )

    def run(self, g: Any) -> tuple:
        zero = g.new_zeros(g._a.shape) if self.edges[0] is not None else None
        return (zero,) if len(self.edges) == 1 else (zero, g.sum())


class FillBackward3(FillBackward2):
    """After `fill_` with a tensor, that gets the whole gradient."""

    __slots__ = ()


class ZeroBackward0(FillBackward2):
    """After `zero_` the old value gets no gradient."""

    __slots__ = ()


@asking
def zero_(self: Tensor) -> Tensor:
    """Write zero to every element."""
    try:
        _check_fill(self, "zero_")
    except AttributeError:
        raise errors.wrong_self("zero_", self) from None
    except NeedsBatching:
        return TAKE_OVER.inplace("zero_", zero_, (self,), {})
    edge = edge_of(self) if self._edge is not None and MODES.grad else None
    self._a.fill(0)
    wrote(self)
    if edge is not None:
        rebase(self, ZeroBackward0(self, edge, None))
    return self


__all__ = ["clone", "copy_", "fill_", "zero_"]
