"""Results written to tensors that are there: the `out=` forms of operations, and their in-place forms."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import errors, late
from rushlight.batched import TAKE_OVER, NeedsBatching, asking
from rushlight.buffer import LEAF, Tensor, is_guarded, new_tensor, shown, storage, strides
from rushlight.buffer import offset as offset_of
from rushlight.dtypes import FLOATING, can_cast, complex32, of_number
from rushlight.graph.expr import Pending
from rushlight.layout import contiguous_strides, is_dense, numel, overlaps_itself
from rushlight.ops.kinds.overlap import check_reads_apart
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import written
from rushlight.tape.derivative import Derivative
from rushlight.tape.modes import MODES
from rushlight.tape.node import Node, edge_of, requires_grad
from rushlight.tape.recording import record
from rushlight.tape.writes import check_partial_overlap, check_recorded, check_write, rebase, wrote

# ---- out= ----


def plainly(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """The rule for `out=` of most operations: compute as always, and copy."""
    return plain(*args, **kwargs)


def in_rows(plain: Callable, outs: tuple, args: tuple, kwargs: dict) -> Any:
    """The rule for an `out=` that PyTorch copies the result to: in rows, where it is resized."""
    return plain(*args, **kwargs).contiguous()


def into_out(
    name: str, plain: Callable, rule: Callable, out: Any, args: tuple, kwargs: dict, check: Callable | None
) -> Any:
    """What `plain(*args, **kwargs, out=out)` returns; see `public` for the rule and the check."""
    if check is None and rule is plainly and type(out) is Tensor and not kwargs:
        done = _into_alike(plain, out, args)
        if done is not None:
            return done
    outs = out if isinstance(out, (tuple, list)) else (out,)
    for t in outs:
        if isinstance(t, (bool, int, float, complex)):
            _refuse_number(name, plain(*args, **kwargs), t)
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(t).__name__}")
        if t._buf is not None:
            for value in (*args, *kwargs.values()):
                if isinstance(value, Tensor):
                    check_partial_overlap(t, value)
    if MODES.grad and any(map(_wants_grad, (*args, *kwargs.values(), *outs))):
        raise errors.no_out_gradient(name)
    before = MODES.grad
    MODES.grad = False
    try:
        result = rule(plain, outs, args, kwargs)
    finally:
        MODES.grad = before
    results = result if isinstance(result, tuple) else (result,)
    if len(results) != len(outs):
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(results)} Tensors")
    for t, r in zip(outs, results):
        if check is not None:
            check(
                t,
                r,
                [value for value in (*args, *kwargs.values()) if isinstance(value, (Tensor, tuple, list))],
            )
        check_out(name, t, r)
    for t, r in zip(outs, results):
        store_out(t, r)
    return out if len(outs) == 1 and isinstance(out, Tensor) else type(result)(outs)


def _into_alike(plain: Callable, out: Tensor, args: tuple) -> Tensor | None:
    """`plain(*args)` in `out`, where nothing wants a gradient and `out` is memory of its own; else None."""
    for value in args:
        if isinstance(value, Tensor):
            if value._edge is not None or value._buf is not None and value._buf is out._buf:
                return None
        elif type(value) not in (int, float):
            return None
    a, buffer = out._a, out._buf
    if out._edge is not None or not a.flags.carray or buffer is not None and is_guarded(buffer):
        return None
    result = plain(*args)
    if type(result) is not Tensor:
        return None
    if result._dtype is out._dtype and result._a.shape == a.shape:
        a[...] = result._a
        wrote(out)
        return out
    check_out(plain.__name__, out, result)
    store_out(out, result)
    return out


def _refuse_number(name: str, result: Any, out: Any) -> None:
    """A number is no place for a result; where its type would not do either, PyTorch says that first."""
    kind = of_number(out)
    if isinstance(result, Tensor) and not can_cast(result._dtype, kind):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {kind.legacy}"
        )


def _wants_grad(value: Any) -> bool:
    if isinstance(value, Tensor):
        return requires_grad(value)
    return isinstance(value, (tuple, list)) and any(map(_wants_grad, value))


def check_out(name: str, out: Tensor, result: Tensor) -> None:
    if not can_cast(result._dtype, out._dtype):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {out._dtype.legacy}"
        )
    if out._a.shape == result._a.shape:
        check_write(out, name)


def store_out(out: Tensor, result: Tensor) -> None:
    """Write `result` to `out`, which takes its shape; a wrong shape that held data is warned about."""
    a, r = out._a, result._a
    if a.shape != r.shape:
        if a.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(a.shape)}, which does not "
                f"match the required output shape {list(r.shape)}. This behavior is deprecated, and in a future "
                "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse "
                "an out tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
                stacklevel=5,
            )
        resize(out, r.shape, strides(result) if is_dense(r.shape, strides(result)) else None)
        a = out._a
    np.copyto(a, convert(r, out._dtype) if r.dtype != a.dtype else r, casting="unsafe")
    wrote(out)


def resize(t: Tensor, shape: tuple[int, ...], steps: tuple[int, ...] | None = None) -> None:
    """Give the tensor other sizes from its offset on, contiguous or with the dense strides `steps`.

    Its storage grows if it must, and aliases see it.
    """
    buffer = storage(t)
    start = offset_of(t)
    need = (start + numel(shape)) * t._a.itemsize
    if numel(shape) and need > buffer.bytes().size:
        late.load("rushlight.storage").resize(buffer, need, alone=sys.getrefcount(buffer) <= 3)
    t._a = shown(buffer, t._dtype.numpy, shape, steps or contiguous_strides(shape), start)


# ---- in place ----


def make_inplace(name: str, function: Callable, into: Callable | None, apart: bool = False) -> Callable:
    """`x.name_(...)`: the function's result, written to x's memory."""
    called = name + "_"

    def inplace(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        try:
            if not apart and _plain(self, args) and (not kwargs or _plain(self, kwargs.values())):
                if into is None or self._dtype is complex32 or not into(self, *args, **kwargs):
                    result = function(self, *args, **kwargs)
                    if result._dtype is self._dtype and result._a.shape == self._a.shape:
                        if not (type(result._a) is Pending and written(result._a, self)):
                            self._a[...] = result._a
                    else:
                        check_result(called, self, result)
                        np.copyto(self._a, convert(result._a, self._dtype), casting="unsafe")
                wrote(self)
                return self
            recorded = _recorded(self, args, kwargs)
            if recorded:
                check_recorded(self)
            check_write(self, called)
            if apart:
                check_reads_apart(self, *args, *kwargs.values())
            elif self._buf is not None:
                for value in args:
                    if isinstance(value, Tensor):
                        check_partial_overlap(self, value)
            if recorded:
                return _inplace_recorded(called, function, into, self, args, kwargs)
            if into is not None and self._dtype is not complex32 and into(self, *args, **kwargs):
                wrote(self)
                return self
            before = MODES.grad
            MODES.grad = False
            try:
                result = function(self, *args, **kwargs)
            finally:
                MODES.grad = before
            check_result(called, self, result)
            overwrite(self, result)
            return self
        except NeedsBatching:
            pass
        except TypeError:
            from rushlight.ops import old_signatures  # which few programs need

            older = old_signatures.reordered(called, (self, *args), kwargs)
            if older is None:
                raise
            return inplace(*older[0], **older[1], **kwargs)  # type: ignore[misc]
        return TAKE_OVER.inplace(called, inplace, (self, *args), kwargs)

    asking(inplace)
    inplace.__name__ = called
    inplace.__qualname__ = f"Tensor.{called}"
    inplace.__module__ = "rushlight"
    inplace.__doc__ = (
        f"In-place form of :func:`{name}`: writes the result to this tensor's memory and returns it."
    )
    return inplace


def _plain(t: Tensor, values: Any) -> bool:
    """Whether `t` is memory of its own that may be written, and none of the tensors among `values` is recorded or shares it."""
    buffer = t._buf
    if t._edge is not None or not t._a.flags.carray or buffer is not None and is_guarded(buffer):
        return False
    for value in values:
        if isinstance(value, Tensor):
            if value._edge is not None or buffer is not None and value._buf is buffer:
                return False
        elif isinstance(value, (tuple, list)):
            return False
    return True


def in_place_of(operation: Any) -> Callable:
    """Declare another in-place form of a public function than the one that was made for it."""

    def declare(inplace: Any) -> Any:
        called = operation.operation.name + "_"
        inplace.__name__, inplace.__qualname__ = called, f"Tensor.{called}"
        inplace.__doc__ = inplace.__doc__ or operation.inplace.__doc__
        operation.inplace = operation.operation.inplace = inplace
        return inplace

    return declare


def _recorded(t: Tensor, args: tuple, kwargs: dict) -> bool:
    """Whether a write to `t` with these arguments belongs on the tape."""
    if not MODES.grad:
        return False
    if t._edge is not None and requires_grad(t):
        return True
    for value in args:
        if isinstance(value, Tensor):
            if value._edge is not None and requires_grad(value):
                return True
        elif _wants_grad(value):
            return True
    return bool(kwargs) and any(map(_wants_grad, kwargs.values()))


def check_result(called: str, t: Tensor, result: Tensor) -> None:
    """Whether a result may be written to `t`: its shape must be t's, its kind no higher."""
    if result._a.shape != t._a.shape:
        raise RuntimeError(
            f"output with shape {list(t._a.shape)} doesn't match the broadcast shape {list(result._a.shape)}"
        )
    if not can_cast(result._dtype, t._dtype):
        raise RuntimeError(
            f"result type {result._dtype.legacy} can't be cast to the desired output type {t._dtype.legacy}"
        )


def overwrite(t: Tensor, result: Tensor) -> None:
    r = result._a
    if type(r) is Pending and written(r, t):
        wrote(t)
        return
    np.copyto(t._a, convert(r, t._dtype) if r.dtype != t._a.dtype else r, casting="unsafe")
    wrote(t)


def _inplace_recorded(
    called: str, function: Callable, into: Callable | None, t: Tensor, args: tuple, kwargs: dict
) -> Tensor:
    """In place on the tape.

    1. Compute out of place on a snapshot of `t`, so that what backward needs of the old value survives.
    2. Write the result to t's memory; every alias sees a new version.
    3. t's history is now the result's (through its base, if t is a view).
    """
    before = object.__new__(Tensor)
    before._a, before._dtype, before._buf = t._a.copy("K"), t._dtype, None
    source = edge_of(t)
    before._edge = LEAF if isinstance(source, Tensor) else source
    result = function(before, *args, **kwargs)
    check_result(called, t, result)
    kept = result._dtype.category < FLOATING
    if result._dtype is not t._dtype:
        result = _converted(result, t)
    if kept and called in REPLACING:
        other = args[0] if args else kwargs["other"]
        record(REPLACING[called][not isinstance(other, Tensor)], (before, other), None, result)
        kept = False
    made = result._a  # which is pending, perhaps, until it is copied
    if 0 in t._a.strides and into is not None and overlaps_itself(t._a.shape, t._a.strides):
        into(t, *args, **kwargs)  # what the other elements of an expanded tensor keep must not be written
    else:
        np.copyto(t._a, made)
    wrote(t)
    if not kept:
        _adopt(t, result, made)
    return t


def _converted(result: Tensor, t: Tensor) -> Tensor:
    """The result in the type of `t`, on the node that made it; backward then gets gradients of that type."""
    edge = result._edge
    if isinstance(edge, Node):
        edge.metas = ((t._a.shape, t._dtype),)
    out = new_tensor(convert(result._a, t._dtype), t._dtype)
    out._edge = edge
    return out


#: comparison in place -> its derivatives, if the other operand is a tensor or a number: the old values get zero.
#: What other operations without a derivative write leaves the history as it was.
REPLACING: dict[str, tuple[Derivative, Derivative]] = {}


def _adopt(t: Tensor, result: Tensor, made: Any) -> None:
    """Make the history of `result` that of `t`, whose memory already holds its values.

    If its node has kept the values, which were `made`, it now keeps those of `t`, which later writes change.
    """
    edge = edge_of(result)
    out = getattr(edge, "out", None)
    if out is not None and len(out) == 1 and out[0][0] is made:
        edge.out = ((t._a, t._dtype, t._buf, t._buf.version),)
    rebase(t, edge)
