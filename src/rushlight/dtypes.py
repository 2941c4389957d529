"""Element types, and which type comes out of an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import absent, late

__all__ = ["dtype", "ALL", "BY_NUMPY", "promote_types", "get_default_dtype", "set_default_dtype"]


class dtype:
    """An element type: `float32`, `int64`, `bool`, ... There is one object per type.

    Attributes:
        name: "float32" and the like.
        numpy: the NumPy dtype of the memory.
        itemsize: bytes per element.
        legacy: the name of PyTorch's typed class ("Float" for float32), used in messages.
        cpp: the name of the C++ type, used in others.

    Example:
        >>> import rushlight as torch
        >>> torch.float32.itemsize, torch.int8.is_signed
        (4, True)
    """

    __slots__ = (
        "name",
        "numpy",
        "itemsize",
        "is_floating_point",
        "is_complex",
        "is_signed",
        "index",
        "legacy",
        "cpp",
        "category",
    )

    def __init__(self, name: str, numpy: object, legacy: str, cpp: str, category: int, index: int) -> None:
        self.name = name
        if numpy is not None:
            self.numpy = np.dtype(numpy)
            self.itemsize = self.numpy.itemsize
        self.legacy = legacy
        self.cpp = cpp
        self.category = category
        self.index = index
        self.is_floating_point = category == FLOATING
        self.is_complex = category == COMPLEX
        self.is_signed = category >= FLOATING or name.startswith("int")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple:
        return by_name, (self.name,)

    def to_complex(self) -> dtype:
        """The complex type whose parts are of this type; raises for integers, as PyTorch does."""
        return _TO_COMPLEX.get(self.name) or self._no_counterpart("complex")

    def to_real(self) -> dtype:
        """The type of the real part; raises for integers, as PyTorch does."""
        return _TO_REAL.get(self.name) or self._no_counterpart("real")

    def _no_counterpart(self, kind: str) -> dtype:
        raise RuntimeError(
            f"to_{kind}: {self!r} has no {kind} counterpart; convert it to a floating type first"
        )


class _Late(dtype):
    """bfloat16 until somebody needs the type of its memory, which is in a module that takes a while to import.

    From then on it is a `dtype` like the others. (`dtype` itself has no `__getattr__`, which would cost each look at an
    attribute.)
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name != "numpy":
            raise AttributeError(f"'dtype' object has no attribute {name!r}")
        found = np.dtype(late.load("ml_dtypes").bfloat16)
        BY_NUMPY[found] = self
        for tell in WAITING:
            tell(found)
        self.numpy = found
        self.__class__ = dtype  # type: ignore[assignment]
        return found


_Late.__name__ = _Late.__qualname__ = "dtype"

#: called with the NumPy type of bfloat16 when that is loaded
WAITING: list[Callable[[np.dtype], Any]] = []

BOOL, INTEGER, FLOATING, COMPLEX = range(4)

ALL: list[dtype] = []


def _make(name: str, numpy: object, legacy: str, cpp: str, category: int) -> dtype:
    made = dtype if numpy is not None else _Late
    ALL.append(made(name, numpy, legacy, cpp, category, len(ALL)))
    return ALL[-1]


bool_ = _make("bool", np.bool_, "Bool", "bool", BOOL)
uint8 = _make("uint8", np.uint8, "Byte", "unsigned char", INTEGER)
int8 = _make("int8", np.int8, "Char", "signed char", INTEGER)
int16 = _make("int16", np.int16, "Short", "short int", INTEGER)
int32 = _make("int32", np.int32, "Int", "int", INTEGER)
int64 = _make("int64", np.int64, "Long", "long int", INTEGER)
uint16 = _make("uint16", np.uint16, "UInt16", "short unsigned int", INTEGER)
uint32 = _make("uint32", np.uint32, "UInt32", "unsigned int", INTEGER)
uint64 = _make("uint64", np.uint64, "UInt64", "long unsigned int", INTEGER)
float16 = _make("float16", np.float16, "Half", "c10::Half", FLOATING)
#: bfloat16, which is not loaded by being named here
BFLOAT16 = _make("bfloat16", None, "BFloat16", "c10::BFloat16", FLOATING)
BFLOAT16.itemsize = 2
float32 = _make("float32", np.float32, "Float", "float", FLOATING)
float64 = _make("float64", np.float64, "Double", "double", FLOATING)
complex32 = _make(
    "complex32", [("real", "<f2"), ("imag", "<f2")], "ComplexHalf", "c10::complex<c10::Half>", COMPLEX
)
complex64 = _make("complex64", np.complex64, "ComplexFloat", "c10::complex<float>", COMPLEX)
complex128 = _make("complex128", np.complex128, "ComplexDouble", "c10::complex<double>", COMPLEX)


class _Named(dtype):
    """A type that libraries name and ask for the limits of, and that no tensor here can have: asking for its memory says so."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        self.name = name
        self.legacy = self.cpp = name.capitalize()
        self.itemsize, self.category = 1, FLOATING
        self.is_floating_point, self.is_complex, self.is_signed = True, False, not name.endswith("e8m0fnu")

    def _refuse(self) -> Any:
        raise NotImplementedError(absent.not_here(f"torch.{self.name}"))

    numpy = property(_refuse)  # type: ignore[assignment]
    index = property(_refuse)  # type: ignore[assignment]

    def to_real(self) -> dtype:
        return self

    def __reduce__(self) -> tuple:
        return _unheld, (self.name,)


def _unheld(name: str) -> dtype:
    return next(d for d in UNHELD if d.name == name)


_Named.__name__ = _Named.__qualname__ = "dtype"

float8_e4m3fn = _Named("float8_e4m3fn")
float8_e4m3fnuz = _Named("float8_e4m3fnuz")
float8_e5m2 = _Named("float8_e5m2")
float8_e5m2fnuz = _Named("float8_e5m2fnuz")
float8_e8m0fnu = _Named("float8_e8m0fnu")
#: the types that are only named
UNHELD = (float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float8_e8m0fnu)

_TO_COMPLEX = {
    "float16": complex32,
    "bfloat16": complex64,
    "float32": complex64,
    "float64": complex128,
    "complex32": complex32,
    "complex64": complex64,
    "complex128": complex128,
}
_TO_REAL = {
    "float16": float16,
    "bfloat16": BFLOAT16,
    "float32": float32,
    "float64": float64,
    "complex32": float16,
    "complex64": float32,
    "complex128": float64,
}

#: complex32 is not here: NumPy knows its memory only as pairs, and an array of such pairs is no tensor's data. bfloat16
#: comes in when it is first used.
BY_NUMPY: dict[np.dtype, dtype] = {d.numpy: d for d in ALL if d not in (BFLOAT16, complex32)}
BY_NAME: dict[str, dtype] = {d.name: d for d in ALL}
#: types whose arithmetic is done in float32 and rounded once
REDUCED = frozenset({float16, BFLOAT16})
#: types that are computed in another one and rounded once -> that one
WIDE = {float16: float32, BFLOAT16: float32, complex32: complex64}
#: unsigned types that PyTorch stores, but does not promote and has few kernels for
WIDE_UNSIGNED = (uint16, uint32, uint64)


def by_name(name: str) -> dtype:
    """The type that is pickled as `name`, loaded."""
    found = BY_NAME[name]
    assert found.numpy is not None
    return found


def __getattr__(name: str) -> Any:
    """`bfloat16`, loaded."""
    if name != "bfloat16":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return by_name(name)


def of_numpy(numpy: np.dtype) -> dtype | None:
    """The element type of an array; None for what a tensor cannot hold."""
    found = BY_NUMPY.get(numpy)
    if found is None and numpy.name == "bfloat16" and numpy == BFLOAT16.numpy:
        return BFLOAT16  # the array is from a program that knows ml_dtypes itself
    return found


def from_numpy_dtype(numpy: np.dtype) -> dtype:
    """The element type of an array; TypeError for what a tensor cannot hold (str, object, ...)."""
    found = of_numpy(numpy)
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type {_numpy_name(numpy)}. The only supported types are: "
            "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
            "uint64, uint32, uint16, uint8, and bool."
        )
    return found


def _numpy_name(numpy: np.dtype) -> str:
    return f"numpy.{numpy.type.__name__}"


# ---- promotion ----


def _promote(a: dtype, b: dtype) -> dtype | None:
    """The smallest type that holds both; None where PyTorch refuses (uint16 with int8, say)."""
    if a is b:
        return a
    low, high = sorted((a, b), key=lambda d: d.category)
    if high.category == COMPLEX:
        return _promote_complex(low, high)
    if high.category == FLOATING:
        return high if low.category < FLOATING else _wider_float(a, b)
    if a in WIDE_UNSIGNED or b in WIDE_UNSIGNED:
        return None
    if low.category == BOOL:
        return high
    if a.is_signed == b.is_signed:
        return max(a, b, key=lambda d: d.itemsize)
    signed = a if a.is_signed else b
    return int16 if signed is int8 else signed


def _wider_float(a: dtype, b: dtype) -> dtype:
    return float32 if a.itemsize == b.itemsize else max(a, b, key=lambda d: d.itemsize)


def _promote_complex(low: dtype, high: dtype) -> dtype | None:
    if low in WIDE_UNSIGNED:
        return None
    return high if low.category < FLOATING else max(low.to_complex(), high, key=lambda d: d.itemsize)


_TABLE: list[list[dtype | None]] = [[_promote(a, b) for b in ALL] for a in ALL]


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type to which both can be converted without loss of kind.

    Raises:
        RuntimeError: uint16, uint32 and uint64 have no common type with other integers.

    Example:
        >>> import rushlight as torch
        >>> torch.promote_types(torch.int32, torch.float16)
        torch.float16
    """
    found = _TABLE[type1.index][type2.index]
    if found is None:
        raise RuntimeError(
            "Promotion for uint16, uint32, uint64 types is not supported, "
            f"attempted to promote {type1.legacy} and {type2.legacy}"
        )
    return found


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a result of type `from_` may be written to memory of type `to` in place.

    A kind may only grow: bool to integer to floating to complex.

    Example:
        >>> import rushlight as torch
        >>> torch.can_cast(torch.float64, torch.float32), torch.can_cast(torch.float32, torch.int64)
        (True, False)
    """
    if from_.is_complex and not to.is_complex:
        return False
    if from_.is_floating_point and to.category < FLOATING:
        return False
    return to.category != BOOL or from_.category == BOOL


# ---- the default type ----

_default = float32


def get_default_dtype() -> dtype:
    """The type of `torch.tensor(1.0)`."""
    return _default


def default_complex() -> dtype:
    return complex128 if _default is float64 else complex64


def set_default_dtype(d: dtype) -> None:
    """Set the type that Python floats and factory functions take.

    Raises:
        TypeError: `d` is not a floating point type.
    """
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default = ALL[d.index]


def of_number(value: object) -> dtype:
    """The type a Python (or NumPy) number has on its own."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return _default
    return default_complex()


def default_float(d: dtype) -> dtype:
    """`d` itself if it is floating or complex, else the default type."""
    return d if d.category >= FLOATING else _default


# ---- limits ----


class finfo:
    """Limits of a floating point type: bits, eps, max, min, tiny, smallest_normal, resolution.

    Example:
        >>> import rushlight as torch
        >>> torch.finfo(torch.float16).max
        65504.0
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, type: dtype | None = None) -> None:
        chosen = _default if type is None else _expect(type, "finfo")
        if chosen.category < FLOATING:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        real = chosen.to_real()
        limits: Any
        if isinstance(real, _Named):
            types = late.load("ml_dtypes")
            limits = types.finfo(getattr(types, real.name))
        else:
            limits = (late.load("ml_dtypes") if real is BFLOAT16 else np).finfo(real.numpy)
        self.bits = int(limits.bits)
        self.eps = float(limits.eps)
        self.max = float(limits.max)
        self.min = float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0 ** -int(limits.precision) if real.itemsize > 1 else 1.0
        self.dtype = real.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:.6g}, min={self.min:.6g}, max={self.max:.6g}, eps={self.eps:.6g}, "
            f"smallest_normal={self.smallest_normal:.6g}, tiny={self.tiny:.6g}, dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type: bits, max, min.

    Example:
        >>> import rushlight as torch
        >>> torch.iinfo(torch.int8).min
        -128
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, type: dtype) -> None:
        chosen = _expect(type, "iinfo")
        if chosen.category == BOOL:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if chosen.category != INTEGER:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
            )
        limits = np.iinfo(chosen.numpy)
        self.bits, self.max, self.min, self.dtype = limits.bits, int(limits.max), int(limits.min), chosen.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


_PYTHON_TYPES = {bool: bool_, int: int64, float: float64, complex: complex128}


def as_dtype(value: Any, operation: str) -> dtype | None:
    """What a `dtype=` argument names: a dtype, None, or one of Python's bool, int, float and complex."""
    if value is None or isinstance(value, dtype):
        return value
    try:
        return _PYTHON_TYPES[value]
    except (KeyError, TypeError):
        raise TypeError(
            f"{operation}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}"
        ) from None


def _expect(value: Any, operation: str) -> dtype:
    if not isinstance(value, dtype):
        raise TypeError(
            f"{operation}(): argument 'type' (position 1) must be torch.dtype, not {value.__class__.__name__}"
        )
    return value
