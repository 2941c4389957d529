"""Evenly spaced numbers and index grids: `arange`, `linspace`, `logspace`, `eye`, `tril_indices`, ..."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.batched import for_batches
from rushlight.buffer import Tensor, new_tensor
from rushlight.device import CPU, ELSEWHERE, MetaAsked
from rushlight.dtypes import COMPLEX, FLOATING, INTEGER, dtype, get_default_dtype
from rushlight.ops.complex_half import refusal
from rushlight.ops.construct import with_grad
from rushlight.ops.creation import allocate, into_out, place
from rushlight.ops.promotion import NUMBERS
from rushlight.ops.scalars import scalar
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet

_INT64_MAX = (1 << 63) - 1
_SMALL = 1 << 31

# Note [Bits of a range]: PyTorch's kernel fills eight lanes of float32 (four of float64, sixteen of
# the halves) from the value at the block's first index, rounded, and what is left of pairs of blocks
# one by one. It fuses multiplication and addition, so we compute in a wider type and round once.
# Doing the same gives the same bits.
_LANES = {"float16": 16, "bfloat16": 16, "float32": 8, "float64": 4}
_UNROLL = 2


def _wide(kind: dtype) -> type:
    return np.float64 if kind in dtypes.REDUCED else np.longdouble


def _refuse(name: str, kind: dtype, *categories: int) -> None:
    """PyTorch has these functions for the dtypes of some categories, and not for uint16 and wider."""
    if kind.category not in categories or kind.name in ("uint16", "uint32", "uint64"):
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind.legacy}'")


# ---- arange ----


def arange(*bounds: Any, start: Any = None, end: Any = None, step: Any = None, out: Any = None, dtype: Any = None,
           layout: Any = None, device: Any = None, pin_memory: Any = False, requires_grad: Any = False) -> Tensor:  # fmt: skip
    """The numbers `start`, `start + step`, ... below `end`: `arange(end)`, `arange(start, end, step)`.

    The dtype is int64 if all of them are integers, else the default one.

    Raises:
        RuntimeError: a step of zero or in the wrong direction, a bound that is not finite, too many elements.

    Example:
        >>> import rushlight as torch
        >>> torch.arange(0, 1, 0.25)
        tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if (
        len(bounds) == 1
        and type(bounds[0]) is int
        and 0 <= bounds[0] < _SMALL
        and start is end is step is out is None
    ):
        if (
            (dtype is None or dtype is dtypes.int64)
            and device is None
            and ELSEWHERE.place is None
            and layout is None
            and not requires_grad
        ):
            return new_tensor(np.arange(bounds[0]), dtypes.int64)
    start, end, step = _bounds(bounds, start, end, step)
    try:
        asked = place(dtype, layout, device, pin_memory, "arange")
    except MetaAsked:
        return arange(start, end, step, dtype=dtype, device=CPU).to("meta").requires_grad_(requires_grad)
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    kind = asked or (
        out._dtype if isinstance(out, Tensor) else dtypes.int64 if whole else get_default_dtype()
    )
    _refuse("arange", kind, INTEGER, FLOATING)
    made = new_tensor(_arange(start, end, step, kind), kind)
    if out is not None:
        return into_out(out, made, asked, "arange", in_order=True)
    return with_grad(made, requires_grad)


def _bounds(given: tuple, start: Any, end: Any, step: Any) -> tuple:
    if len(given) > 3 or (len(given) == 1 and end is not None and start is not None):
        raise _wrong_call("arange", given)
    if len(given) == 1:
        if end is None:
            end = given[0]
            if step is not None and start is None:
                raise _wrong_call("arange", given)
        else:
            start = given[0]
    elif len(given) >= 2:
        start, end = given[:2]
        step = given[2] if len(given) == 3 else step
    if end is None:
        raise _wrong_call("arange", given)
    names = ("start", "end", "step")
    values = (0 if start is None else start, end, 1 if step is None else step)
    return tuple([_bound(value, name, "arange") for name, value in zip(names, values)])


def _wrong_call(name: str, given: tuple) -> TypeError:
    kinds = ", ".join(type(value).__name__ for value in given)
    return TypeError(
        f"{name}() received an invalid combination of arguments - got ({kinds}), but expected one of:"
    )


def _bound(value: Any, argument: str, operation: str) -> Any:
    """A real number from a number or a 0-d tensor."""
    if isinstance(value, Tensor) and value._a.ndim == 0:
        value = value.item()
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, NUMBERS):
        raise TypeError(
            f"{operation}(): argument '{argument}' (position 1) must be Number, not {type(value).__name__}"
        )
    if isinstance(value, complex):
        raise RuntimeError("value cannot be converted to type double without overflow")
    if isinstance(value, int) and not -_INT64_MAX - 1 <= value < 1 << 64:
        raise OverflowError("int too big to convert")
    if isinstance(value, int) and value > _INT64_MAX:
        raise RuntimeError("value cannot be converted to type int64_t without overflow")
    return value


def _arange(start: Any, end: Any, step: Any, kind: dtype) -> np.ndarray:
    _check_range(start, end, step)
    if kind is dtypes.int64 and math.trunc(step) == 0:
        raise ValueError("step must be nonzero")
    count = _count(start, end, step, kind)
    a = allocate((count,), kind)
    if kind.category == INTEGER:
        a[...] = _whole_steps(start, step, count)
    else:
        a[...] = quiet(_spaced, float(start), float(step), count, kind)
    return a


def _whole_steps(start: Any, step: Any, count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * np.int64(math.trunc(step)) + np.int64(math.trunc(start))


def _check_range(start: Any, end: Any, step: Any) -> None:
    if step == 0 or step != step:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {_g(start)} -> {_g(end)}")
    if (step > 0) != (end >= start) and end != start:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


def _g(value: Any) -> str:
    return f"{value:g}" if math.isfinite(value) else str(float(value))


def _count(start: Any, end: Any, step: Any, kind: dtype) -> int:
    if kind is dtypes.int64:
        low, high, by = math.trunc(start), math.trunc(end), math.trunc(step)
        sign = (by > 0) - (by < 0)
        count = (high - low + by - sign) // by
    else:
        count = _ceil((float(end) - float(start)) / float(step))
    if not 0 <= count <= _INT64_MAX:
        raise RuntimeError("invalid size, possible overflow?")
    return count


def _ceil(value: float) -> int:
    if not math.isfinite(value) or value > _INT64_MAX:
        raise RuntimeError("invalid size, possible overflow?")
    return math.ceil(value)


def _spaced(start: Any, step: Any, count: int, kind: dtype) -> np.ndarray:
    """start + i * step, with the bits of Note [Bits of a range]."""
    wide = _wide(kind)
    if kind in dtypes.REDUCED:
        start, step = np.float32(start), np.float32(step)
    first, by = wide(start), wide(step)
    out = _rounded(first + by * np.arange(count), kind)
    lanes = _LANES[kind.name]
    blocks = count // (_UNROLL * lanes) * _UNROLL
    if blocks:
        firsts = out[: blocks * lanes : lanes].astype(wide)
        out[: blocks * lanes] = _rounded((firsts[:, None] + by * np.arange(lanes)).reshape(-1), kind)
    return out


def _rounded(a: np.ndarray, kind: dtype) -> np.ndarray:
    """From the wide type to the kind, through the type that PyTorch's kernel computes in."""
    if kind in dtypes.REDUCED:
        return a.astype(np.float32).astype(kind.numpy)
    return a.astype(np.float64).astype(kind.numpy) if kind is dtypes.float32 else a.astype(kind.numpy)


def range(start: Any = 0, end: Any = None, step: Any = 1, *, out: Any = None, dtype: Any = None, layout: Any = None,
          device: Any = None, pin_memory: Any = False, requires_grad: Any = False) -> Tensor:  # fmt: skip
    """Like :func:`arange`, but with `end` included; deprecated."""
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is inconsistent with "
        "Python's range builtin. Instead, use torch.arange, which produces values in [start, end).",
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    start, end, step = (_bound(v, n, "range") for v, n in ((start, "start"), (end, "end"), (step, "step")))
    asked = place(dtype, layout, device, pin_memory, "range")
    kind = asked or (out._dtype if isinstance(out, Tensor) else get_default_dtype())
    _refuse("range", kind, INTEGER, FLOATING)
    _check_range(start, end, step)
    made = new_tensor(quiet(_closed_range, start, end, step, kind), kind)
    return (
        into_out(out, made, asked, "range", in_order=True)
        if out is not None
        else with_grad(made, requires_grad)
    )


def _closed_range(start: Any, end: Any, step: Any, kind: dtype) -> np.ndarray:
    if kind.category == INTEGER:
        low, high, by = math.trunc(start), math.trunc(end), math.trunc(step)
        if by == 0:
            raise ValueError("step must be nonzero")
        return _whole_steps(low, by, (high - low) // by + 1).astype(kind.numpy)
    return _rounded(start + step * np.arange(math.floor((end - start) / step) + 1, dtype=np.float64), kind)


# ---- linspace, logspace ----


@for_batches
def linspace(start: Any, end: Any, steps: Any, *, out: Any = None, dtype: Any = None, layout: Any = None,
             device: Any = None, pin_memory: Any = False, requires_grad: Any = False) -> Tensor:  # fmt: skip
    """`steps` numbers from `start` to `end`, both included, evenly spaced.

    Example:
        >>> import rushlight as torch
        >>> torch.linspace(0, 1, 3)
        tensor([0.0000, 0.5000, 1.0000])
    """
    try:
        asked = place(dtype, layout, device, pin_memory, "linspace")
    except MetaAsked:
        return linspace(start, end, steps, dtype=dtype, device=CPU).to("meta").requires_grad_(requires_grad)
    start, end, steps = _ends(start, end, steps, "linspace")
    kind = _kind_between("linspace", start, end, steps, asked, out)
    made = new_tensor(quiet(_linspace, start, end, steps, kind), kind)
    return (
        into_out(out, made, asked, "linspace", in_order=True)
        if out is not None
        else with_grad(made, requires_grad)
    )


def _ends(start: Any, end: Any, steps: Any, name: str) -> tuple:
    ends = []
    for what, value in (("start", start), ("end", end)):
        if isinstance(value, Tensor):
            if value._a.ndim:
                raise RuntimeError(
                    f"{name} only supports 0-dimensional start and end tensors, but got {what} with {value._a.ndim} "
                    "dimension(s)."
                )
            value = value.item()
        if not isinstance(value, NUMBERS):
            raise _wrong_call(name, (start, end, steps))
        ends.append(value)
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise _wrong_call(name, (start, end, steps))
    steps = steps.__index__()
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return (*ends, steps)


def _kind_between(name: str, start: Any, end: Any, steps: int, asked: dtype | None, out: Any) -> dtype:
    kind = asked or (out._dtype if isinstance(out, Tensor) else None)
    is_complex = isinstance(start, complex) or isinstance(end, complex)
    if kind is None:
        kind = dtypes.default_complex() if is_complex else get_default_dtype()
    if is_complex and kind.category != COMPLEX:
        raise RuntimeError(
            f"torch.{name}(): inferred dtype {dtypes.default_complex()!r} can't be safely cast to passed dtype {kind!r}"
        )
    if steps > 1:
        _refuse(name, kind, INTEGER, FLOATING, COMPLEX)
    if kind is dtypes.complex32:
        raise refusal(name)
    return kind


def _linspace(start: Any, end: Any, steps: int, kind: dtype) -> np.ndarray:
    """From the nearer end: start + i * step below the middle, end - (steps - 1 - i) * step from it on."""
    if steps < 2:
        return np.full(steps, scalar(start, kind) if kind.category == INTEGER else start).astype(kind.numpy)
    i = np.arange(steps)
    near = i < steps // 2
    if kind.category == INTEGER:
        return _between(*_whole_ends(start, end, kind), steps).astype(np.int64).astype(kind.numpy)
    if kind in dtypes.REDUCED:
        return _linspace_reduced(start, end, steps, kind)
    low, high = kind.numpy.type(start), kind.numpy.type(end)
    step = (high - low) / kind.numpy.type(steps - 1)
    if kind.category == COMPLEX:
        return np.where(
            near, low + step * i.astype(kind.numpy), high - step * (steps - 1 - i).astype(kind.numpy)
        ).astype(kind.numpy)
    # the kernel fuses the multiplication and the addition, so they are rounded once
    wide = np.float64 if kind is dtypes.float32 else np.longdouble
    return np.where(near, wide(low) + wide(step) * i, wide(high) - wide(step) * (steps - 1 - i)).astype(
        kind.numpy
    )


def _whole_ends(start: Any, end: Any, kind: dtype) -> tuple[float, float]:
    return float(scalar(start, kind)), float(scalar(end, kind))


def _between(low: float, high: float, steps: int) -> np.ndarray:
    """In float64, fused."""
    i = np.arange(steps)
    step = np.longdouble((high - low) / (steps - 1))
    return np.where(i < steps // 2, low + step * i, high - step * (steps - 1 - i)).astype(np.float64)


def _linspace_reduced(start: Any, end: Any, steps: int, kind: dtype) -> np.ndarray:
    """Every operation is rounded to the half type."""

    def rounded(x: Any) -> Any:
        return np.asarray(x, np.float32).astype(kind.numpy).astype(np.float32)

    i = np.arange(steps)
    low, high = rounded(start), rounded(end)
    step = rounded(rounded(high - low) / rounded(steps - 1))
    up = rounded(low + rounded(step * rounded(i)))
    down = rounded(high - rounded(step * rounded(steps - 1 - i)))
    return np.where(i < steps // 2, up, down).astype(kind.numpy)


@for_batches
def logspace(start: Any, end: Any, steps: Any, base: float = 10.0, *, out: Any = None, dtype: Any = None,
             layout: Any = None, device: Any = None, pin_memory: Any = False, requires_grad: Any = False) -> Tensor:  # fmt: skip
    """`base` to the powers :func:`linspace` gives.

    Example:
        >>> import rushlight as torch
        >>> torch.logspace(0, 2, 3)
        tensor([  1.,  10., 100.])
    """
    asked = place(dtype, layout, device, pin_memory, "logspace")
    start, end, steps = _ends(start, end, steps, "logspace")
    kind = _kind_between("logspace", start, end, steps, asked, out)
    made = new_tensor(quiet(_logspace, start, end, steps, base, kind), kind)
    return (
        into_out(out, made, asked, "logspace", in_order=True)
        if out is not None
        else with_grad(made, requires_grad)
    )


def _logspace(start: Any, end: Any, steps: int, base: float, kind: dtype) -> np.ndarray:
    if steps < 2:
        return convert(np.power(float(base), np.full(steps, start)), kind)
    if kind.category == INTEGER:
        powers = _between(*_whole_ends(start, end, kind), steps)
        return convert(np.power(float(base), powers), kind)
    powers = _linspace(start, end, steps, kind)
    wide = np.complex128 if kind.category == COMPLEX else np.float64
    return _rounded(np.power(wide(base), powers.astype(wide)), kind)


# ---- matrices and index grids ----


def eye(n: Any, m: Any = None, *, out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
        pin_memory: Any = False, requires_grad: Any = False) -> Tensor:  # fmt: skip
    """Ones on the main diagonal of an n x m matrix of zeros.

    Example:
        >>> import rushlight as torch
        >>> torch.eye(2)
        tensor([[1., 0.],
                [0., 1.]])
    """
    try:
        asked = place(dtype, layout, device, pin_memory, "eye")
    except MetaAsked:
        return eye(n, m, dtype=dtype, device=CPU).to("meta").requires_grad_(requires_grad)
    rows = _side(n, "n", 1)
    columns = rows if m is None else _side(m, "m", 2)
    kind = asked or (out._dtype if isinstance(out, Tensor) else get_default_dtype())
    if kind is dtypes.complex32:
        raise refusal("eye", "eye")
    a = allocate((rows, columns), kind, np.zeros)
    if a.size:
        a.reshape(-1)[:: columns + 1][: min(rows, columns)] = 1
    made = new_tensor(a, kind)
    return into_out(out, made, asked, "eye") if out is not None else with_grad(made, requires_grad)


def _side(value: Any, name: str, position: int) -> int:
    if isinstance(value, (bool, float)) or not hasattr(value, "__index__"):
        raise TypeError(
            f"eye(): argument '{name}' (position {position}) must be int, not {type(value).__name__}"
        )
    value = value.__index__()
    if value < 0:
        raise RuntimeError(f"{name} must be greater or equal to 0, got {value}")
    return value


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None,
                 pin_memory: Any = False) -> Tensor:  # fmt: skip
    """Rows and columns, as a 2 x n tensor, of the places on and below a diagonal.

    Example:
        >>> import rushlight as torch
        >>> torch.tril_indices(2, 2)
        tensor([[0, 1, 1],
                [0, 0, 1]])
    """
    kind = _grid_kind(row, col, dtype, layout, device, pin_memory, "tril_indices")
    return _grid(np.tri(row, col, offset, dtype=np.bool_), kind)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None,
                 pin_memory: Any = False) -> Tensor:  # fmt: skip
    """Rows and columns, as a 2 x n tensor, of the places on and above a diagonal."""
    kind = _grid_kind(row, col, dtype, layout, device, pin_memory, "triu_indices")
    return _grid(~np.tri(row, col, offset - 1, dtype=np.bool_), kind)


def _grid_kind(row: Any, col: Any, dtype: Any, layout: Any, device: Any, pin_memory: Any, name: str) -> dtype:
    kind = place(dtype, layout, device, pin_memory, name) or dtypes.int64
    for position, (argument, value) in enumerate((("row", row), ("col", col)), 1):
        if isinstance(value, (bool, float)) or not hasattr(value, "__index__"):
            raise TypeError(
                f"{name}(): argument '{argument}' (position {position}) must be int, not {type(value).__name__}"
            )
        if value < 0:
            raise RuntimeError(f"{argument} must be non-negative, got{value}")
    if kind.category != INTEGER:
        raise NotImplementedError(f"\"{name}\" not implemented for '{kind.legacy}'")
    return kind


def _grid(mask: np.ndarray, kind: dtype) -> Tensor:
    return new_tensor(np.stack(np.nonzero(mask)).astype(kind.numpy), kind)


__all__ = ["arange", "eye", "linspace", "logspace", "range", "tril_indices", "triu_indices"]
