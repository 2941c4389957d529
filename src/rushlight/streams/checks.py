"""What a random call may not ask for, said in PyTorch's sentences, and the facts about dtypes those sentences need."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from rushlight.dtypes import BFLOAT16

# dtype name -> the name of PyTorch's scalar type, and of the C++ type as typeid spells it
SCALAR_TYPES = {
    "float16": ("Half", "c10::Half"),
    "bfloat16": ("BFloat16", "c10::BFloat16"),
    "float32": ("Float", "float"),
    "float64": ("Double", "double"),
    "complex32": ("ComplexHalf", "c10::complex<c10::Half>"),
    "complex64": ("ComplexFloat", "c10::complex<float>"),
    "complex128": ("ComplexDouble", "c10::complex<double>"),
    "uint8": ("Byte", "unsigned char"),
    "int8": ("Char", "signed char"),
    "int16": ("Short", "short int"),
    "int32": ("Int", "int"),
    "int64": ("Long", "long int"),
    "bool": ("Bool", "bool"),
    "uint16": ("UInt16", "short unsigned int"),
    "uint32": ("UInt32", "unsigned int"),
    "uint64": ("UInt64", "long unsigned int"),
}

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX_PARTS = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
UNSIGNED = ("uint16", "uint32", "uint64")

# dtype name -> bits of the significand, the hidden one included
DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LARGEST = {
    "float16": 65504.0,
    "bfloat16": float.fromhex("0x1.fep+127"),
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype of a dtype name; bfloat16 comes from a library, which is imported only when asked for."""
    if dtype == "complex32":
        return np.dtype([("real", "<f2"), ("imag", "<f2")])
    if dtype != "bfloat16":
        return np.dtype(dtype)
    return BFLOAT16.numpy


@functools.cache
def name_of(dtype: np.dtype[Any]) -> str:
    """A NumPy dtype's name, which NumPy puts together anew each time."""
    return dtype.name


def require(condition: bool, sentence: str) -> None:
    """Raise RuntimeError with `sentence` unless `condition` holds."""
    if not condition:
        raise RuntimeError(sentence)


def require_dtype(kernel: str, dtype: str, allowed: tuple[str, ...]) -> None:
    """Raise NotImplementedError, as PyTorch's dispatch of `kernel` does, for a dtype it has no code for."""
    if dtype not in allowed:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{SCALAR_TYPES.get(dtype, (dtype.capitalize(),))[0]}'"
        )


def number(value: float) -> str:
    """`value` as a C++ stream prints a double: six significant digits."""
    return f"{value:g}"
