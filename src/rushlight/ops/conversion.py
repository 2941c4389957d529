"""Conversion between dtypes: `to`, `type`, `float()` and the like."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes, late
from rushlight.buffer import Tensor, new_tensor
from rushlight.device import MetaAsked, check_device, device, preserve_format
from rushlight.dtypes import FLOATING, REDUCED, as_dtype, dtype
from rushlight.layout import kept_strides
from rushlight.ops.creation import like_strides, strided, told_by_strides
from rushlight.ops.kinds.method import method
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, FROM_COSTLY, FROM_HALF, launch, tensor_on
from rushlight.runtime.execute import quiet
from rushlight.tape.derivative import Derivative
from rushlight.tape.recording import record

_dtype = dtype

_TO_COPY = Derivative("ToCopy", ("x",), (lambda g, x_meta: g.to(x_meta.dtype),))


# ---- to ----


def cast(t: Tensor, kind: dtype, wanted: Any = None) -> Tensor:
    """A copy of another dtype, in the graph; strides as `clone` keeps them."""
    a = t._a
    half = kind in REDUCED or t._dtype in REDUCED
    least = FROM_HALF if half else FROM
    if a.size >= least and kind is not t._dtype and wanted in (None, preserve_format):
        waits = FROM_COSTLY if half else 0
        kinds = (t._dtype,)
        made = launch("to", np.positive, (t,), kinds, kind, strides_of=kept_strides, least=least, waits=waits)
        if made is not None:
            out = tensor_on(made, kind)
            if t._edge is not None and kind.category >= FLOATING:
                record(_TO_COPY, (t,), None, out)
            return out
    converted = quiet(convert, a, kind) if kind is not t._dtype else a.copy()
    if (
        wanted is not None
        and wanted is not preserve_format
        or not a.flags.c_contiguous
        or 1 in a.shape
        or not a.size
    ):
        laid = strided(a.shape, like_strides(t, wanted), kind)
        laid[...] = converted
        converted = laid
    out = new_tensor(converted, kind)
    if t._edge is not None and kind.category >= FLOATING:
        record(_TO_COPY, (t,), None, out)
    return out


@method
def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor with another dtype or device: `to(dtype)`, `to(device, dtype)`, `to(other)`.

    The tensor itself is returned if nothing changes and `copy` is not asked for.

    Args:
        non_blocking: accepted; without meaning on the CPU.
        copy: always return a copy.
        memory_format: the order of the copy's dimensions in memory.

    Raises:
        TypeError: an argument is none of these.
        AssertionError: a CUDA device.

    Example:
        >>> import rushlight as torch
        >>> torch.tensor([1.7, -1.7]).to(torch.int64)
        tensor([ 1, -1])
    """
    try:
        return _converted(self, args, kwargs)
    except MetaAsked:
        return late.load("rushlight.meta").moved(self, args, kwargs)


def _converted(self: Tensor, args: tuple, kwargs: dict) -> Tensor:
    kind, flags, wanted = None, args, None
    if args:
        first, flags = args[0], args[1:]
        if isinstance(first, _dtype):
            kind = first
        elif isinstance(first, Tensor):
            kind = first._dtype
            check_device(first.device, "to")
        elif first is float or first is int:
            kind = as_dtype(first, "to")
        elif isinstance(first, float):
            kind = dtypes.float64
        else:
            _check_place(first, args)
            if flags and not isinstance(flags[0], bool):
                kind, flags = _kind_after_place(flags[0], args), flags[1:]
    if kwargs:
        kind, copy, wanted = _keywords(kind, flags, kwargs)
    else:
        if len(flags) > 2 or flags and not all(isinstance(flag, bool) for flag in flags):
            raise _wrong_call(args)
        copy = len(flags) > 1 and flags[1]
    kind = kind or self._dtype
    if kind is self._dtype and not copy:
        if wanted is None or wanted is preserve_format or told_by_strides(self) is wanted:
            return self
    return cast(self, kind, wanted)


def _wrong_call(given: tuple) -> TypeError:
    kinds = ", ".join(type(value).__name__ for value in given)
    return TypeError(
        f"to() received an invalid combination of arguments - got ({kinds}), but expected one of:"
    )


def _check_place(value: Any, given: tuple) -> None:
    if value is not None and not isinstance(value, (str, device)) and type(value) is not int:
        raise _wrong_call(given)
    check_device(value, "to")


def _kind_after_place(value: Any, given: tuple) -> dtype | None:
    try:
        return as_dtype(value, "to")
    except TypeError:
        raise _wrong_call(given) from None


def _keywords(kind: dtype | None, flags: tuple, kwargs: dict) -> tuple:
    kwargs = dict(kwargs)
    other = kwargs.pop("tensor", None)
    if other is not None:
        kind = other._dtype
    check_device(kwargs.pop("device", None), "to")
    kind = as_dtype(kwargs.pop("dtype", None), "to") or kind
    kwargs.pop("non_blocking", None)
    copy = kwargs.pop("copy", flags[1] if len(flags) > 1 else False)
    wanted = kwargs.pop("memory_format", None)
    if kwargs:
        name, value = next(iter(kwargs.items()))
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({name}={type(value).__name__}, ), but expected one of:"
        )
    return kind, copy, wanted


@method
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of another."""
    if not isinstance(other, Tensor):
        raise TypeError(
            f"type_as(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
        )
    return to(self, other._dtype)


@method
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor: it is on the CPU."""
    return self if memory_format is None else to(self, memory_format=memory_format)


@method
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """Raises AssertionError: there is no CUDA here."""
    raise AssertionError("Torch not compiled with CUDA enabled")


def _named_cast(name: str, kind: dtype) -> Any:
    def convert_to(self: Tensor, memory_format: Any = None) -> Tensor:
        if self._dtype is kind and memory_format is None:
            return self
        return to(self, kind, memory_format=memory_format)

    convert_to.__name__ = name
    convert_to.__qualname__ = f"Tensor.{name}"
    convert_to.__doc__ = f"This tensor as {kind.name}: itself if it is, else a copy."
    return method(convert_to)


to_float = _named_cast("float", dtypes.float32)
to_double = _named_cast("double", dtypes.float64)
to_half = _named_cast("half", dtypes.float16)
to_bfloat16 = _named_cast("bfloat16", dtypes.BFLOAT16)
to_int = _named_cast("int", dtypes.int32)
to_long = _named_cast("long", dtypes.int64)
to_short = _named_cast("short", dtypes.int16)
to_char = _named_cast("char", dtypes.int8)
to_byte = _named_cast("byte", dtypes.uint8)
to_bool = _named_cast("bool", dtypes.bool_)
to_chalf = _named_cast("chalf", dtypes.complex32)
to_cfloat = _named_cast("cfloat", dtypes.complex64)
to_cdouble = _named_cast("cdouble", dtypes.complex128)
