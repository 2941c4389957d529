"""Conversion between dtypes: `to`, `type`, `float()` and the like."""

from __future__ import annotations

from typing import Any

from rushlight import dtypes
from rushlight.buffer import Tensor, new_tensor
from rushlight.device import check_device, device, preserve_format
from rushlight.dtypes import dtype
from rushlight.ops.construct import as_kind
from rushlight.ops.copying import clone
from rushlight.ops.creation import like_strides, strided
from rushlight.runtime.casting import convert
from rushlight.runtime.execute import quiet
from rushlight.tape.node import Derivative, record

_TO_COPY = Derivative("ToCopy", ("x",), (lambda g, x_meta: g.to(x_meta.dtype),))


# ---- to ----


def cast(t: Tensor, kind: dtype, wanted: Any = None) -> Tensor:
    """A copy of another dtype, in the graph; strides as `clone` keeps them."""
    if kind is t._dtype:
        return clone(t, memory_format=wanted)
    a = t._a
    converted = quiet(convert, a, kind)
    if wanted is not None and wanted is not preserve_format or not a.flags.c_contiguous:
        laid = strided(a.shape, like_strides(t, wanted), kind)
        laid[...] = converted
        converted = laid
    out = new_tensor(converted, kind)
    if t._edge is not None:
        record(_TO_COPY, (t,), None, out)
    return out


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
    kind = None
    if args:
        first = args[0]
        if isinstance(first, dtype):
            kind, args = first, ("", *args[1:])
        elif isinstance(first, Tensor):
            kind, args = first._dtype, ("", *args[1:])
        else:
            where(first)
            if len(args) > 1 and not isinstance(args[1], bool):
                kind = as_kind(args[1], "to")
                args = ("", *args[2:])
    elif not kwargs:
        raise TypeError(
            "to() received an invalid combination of arguments - got (), but expected one of:\n * (torch.device device, "
            "torch.dtype dtype, bool non_blocking, bool copy, *, torch.memory_format memory_format)\n * (torch.dtype "
            "dtype, bool non_blocking, bool copy, *, torch.memory_format memory_format)\n * (Tensor tensor, bool "
            "non_blocking, bool copy, *, torch.memory_format memory_format)"
        )
    if kwargs:
        kind, copy, wanted = _keywords(kind, args[1:], kwargs)
    else:
        copy, wanted = len(args) > 2 and args[2], None
    kind = kind or self._dtype
    if kind is self._dtype and not copy:
        return self if wanted is None or wanted is preserve_format else self.contiguous(memory_format=wanted)
    return cast(self, kind, wanted)


def where(value: Any) -> None:
    """Check a positional device of `to`."""
    if value is None:
        raise TypeError("to() received an invalid combination of arguments - got (NoneType)")
    if not isinstance(value, (str, device)) and type(value) is not int:
        raise TypeError(f"to() received an invalid combination of arguments - got ({type(value).__name__})")
    check_device(value, "to")


def _keywords(kind: dtype | None, flags: tuple, kwargs: dict) -> tuple:
    kwargs = dict(kwargs)
    other = kwargs.pop("other", kwargs.pop("tensor", None))
    if other is not None:
        kind = other._dtype
    check_device(kwargs.pop("device", None), "to")
    kind = as_kind(kwargs.pop("dtype", None), "to") or kind
    kwargs.pop("non_blocking", None)
    copy = kwargs.pop("copy", flags[1] if len(flags) > 1 else False)
    wanted = kwargs.pop("memory_format", None)
    if kwargs:
        raise TypeError(f"to() received an invalid combination of arguments - got an unexpected {next(iter(kwargs))}")
    return kind, copy, wanted


def _named_cast(name: str, kind: dtype) -> Any:
    def convert_to(self: Tensor, memory_format: Any = None) -> Tensor:
        if self._dtype is kind and memory_format is None:
            return self
        return to(self, kind, memory_format=memory_format)

    convert_to.__name__ = name
    convert_to.__qualname__ = f"Tensor.{name}"
    convert_to.__doc__ = f"This tensor as {kind.name}: itself if it is, else a copy."
    return convert_to


to_float = _named_cast("float", dtypes.float32)
to_double = _named_cast("double", dtypes.float64)
to_half = _named_cast("half", dtypes.float16)
to_bfloat16 = _named_cast("bfloat16", dtypes.bfloat16)
to_int = _named_cast("int", dtypes.int32)
to_long = _named_cast("long", dtypes.int64)
to_short = _named_cast("short", dtypes.int16)
to_char = _named_cast("char", dtypes.int8)
to_byte = _named_cast("byte", dtypes.uint8)
to_bool = _named_cast("bool", dtypes.bool_)
to_cfloat = _named_cast("cfloat", dtypes.complex64)
to_cdouble = _named_cast("cdouble", dtypes.complex128)
