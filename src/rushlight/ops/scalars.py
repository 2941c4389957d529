"""One number as one element: what an argument that is a number comes to in a dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.buffer import Tensor
from rushlight.dtypes import dtype
from rushlight.ops.construct import nested
from rushlight.ops.promotion import NUMBERS


def number_of(value: Any, operation: str, argument: str, position: int = 2) -> Any:
    """A Python number from a number or a tensor of one element."""
    if isinstance(value, Tensor):
        if value._a.ndim:
            raise TypeError(
                f"{operation}(): argument '{argument}' (position {position}) must be Number, not Tensor"
            )
        return value.item()
    if not isinstance(value, NUMBERS):
        raise TypeError(
            f"{operation}(): argument '{argument}' (position {position}) must be Number, not {type(value).__name__}"
        )
    return bool(value) if isinstance(value, np.bool_) else value


def scalar(value: Any, kind: dtype) -> Any:
    """A number as one element of `kind`; RuntimeError if it does not fit, as `fill_` raises."""
    if type(value) is float and (kind is dtypes.float32 or kind is dtypes.float64) and -1e38 < value < 1e38:
        return np.array(value, kind.numpy)
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(
            "int too big to convert" if value > 0 else "can't convert negative int to unsigned"
        )
    if isinstance(value, (complex, np.complexfloating)) and kind.category not in (
        dtypes.BOOL,
        dtypes.COMPLEX,
    ):
        if value.imag != 0:
            raise RuntimeError(f"value cannot be converted to type {_c_name(kind)} without overflow")
        value = value.real
    if kind.category == dtypes.INTEGER:
        return _integer(value, kind)
    if kind.category == dtypes.FLOATING:
        return _floating(value, kind)
    return nested(value, kind)._a


def _integer(value: Any, kind: dtype) -> np.ndarray:
    low, high = (int(n) for n in (np.iinfo(kind.numpy).min, np.iinfo(kind.numpy).max))
    whole = int(value) if value - value == 0 else None
    wraps = low == 0 and not isinstance(value, (float, np.floating))
    if whole is None or not (low <= value <= high or (wraps and -high <= whole < 0)):
        raise RuntimeError(f"value cannot be converted to type {_c_name(kind)} without overflow")
    return np.array(whole & high if low == 0 else whole, kind.numpy)


def _floating(value: Any, kind: dtype) -> np.ndarray:
    value = float(value)
    if kind is not dtypes.float64 and value - value == 0:
        limit = dtypes.finfo(kind).max
        if abs(value) > limit:
            raise RuntimeError(f"value cannot be converted to type {_c_name(kind)} without overflow")
    return nested(value, kind)._a


_C_NAMES = {
    "float16": "at::Half", "bfloat16": "at::BFloat16", "float32": "float", "float64": "double", "bool": "bool",
    "complex32": "c10::complex<c10::Half>", "complex64": "c10::complex<float>", "complex128": "c10::complex<double>", "int32": "int", "int64": "int64_t",
}  # fmt: skip


def _c_name(kind: dtype) -> str:
    return _C_NAMES.get(kind.name, f"{kind.name}_t")
