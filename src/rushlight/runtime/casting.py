"""Conversion between element types, with PyTorch's results on an x86 processor.

A float outside the range of an integer type is undefined in C. PyTorch's kernels and NumPy
compile to the same instructions here (the "integer indefinite" value, its low bits for the
narrow types), except where this module goes a step at a time:

* half and bfloat16 pass through float32, in both directions;
* complex32, which NumPy does not have, passes through complex64;
* uint32 takes the low bits of int64, as PyTorch does for one element and for strided memory
  (its vectorised kernel for contiguous memory differs from these two).
"""

from __future__ import annotations

import numpy as np

from rushlight.buffer import new_tensor
from rushlight.dtypes import (
    BOOL,
    BY_NUMPY,
    COMPLEX,
    FLOATING,
    REDUCED,
    complex32,
    complex64,
    dtype,
    float32,
    from_numpy_dtype,
    int64,
    uint32,
)
from rushlight.graph.expr import array_of
from rushlight.layout import kept_strides
from rushlight.runtime.deferral import FROM_HALF, launch
from rushlight.runtime.results import FEW, converted


def _step(source: dtype, target: dtype) -> np.dtype | None:
    """The type to pass through on the way from `source` to `target`; None to go straight."""
    if target in REDUCED and source is not target and source not in (float32,):
        return float32.numpy
    if source in REDUCED and source is not target:
        return float32.numpy
    if target is uint32 and source.category == FLOATING:
        return int64.numpy
    return None


#: those of bfloat16 come in when they are first needed
_STEPS = {(s.numpy, t.numpy): _step(s, t) for s in BY_NUMPY.values() for t in BY_NUMPY.values()}
_PAIRS = complex32.numpy
#: the letters of float16 and bfloat16
_HALVES = frozenset("eE")


def convert(a: np.ndarray, kind: dtype) -> np.ndarray:
    """A fresh array of type `kind`, dimensions in the order of `a`'s memory.

    Complex numbers lose their imaginary part on the way to a real type, and are true unless
    both parts are zero.
    """
    target = kind.numpy
    if a.size >= FROM_HALF and (kind in REDUCED or a.dtype.char in _HALVES):
        made = _by_loop(a, kind)
        if made is not None:
            return made
    if a.dtype.kind == "c" and kind.category < COMPLEX and kind.category != BOOL:
        a = a.real
    try:
        step = _STEPS[a.dtype, target]
    except KeyError:
        if a.dtype == _PAIRS:
            return a.copy("K") if kind is complex32 else convert(from_pairs(a), kind)
        if kind is complex32:
            return to_pairs(convert(a, complex64))
        source = from_numpy_dtype(a.dtype.newbyteorder("="))
        step = _STEPS.setdefault((source.numpy, target), _step(source, kind))
    if step is not None and step != a.dtype:
        a = a.astype(step) if a.size < FEW else converted(a, step)
        if target == uint32.numpy and a.dtype == float32.numpy:
            a = a.astype(int64.numpy)
    return a.astype(target) if a.size < FEW else converted(a, target)


def _by_loop(a: np.ndarray, kind: dtype) -> np.ndarray | None:
    """A half as another type, or the other way round; None if NumPy is to do it."""
    source = from_numpy_dtype(a.dtype.newbyteorder("="))
    if source is kind or source.numpy != a.dtype or not (source in REDUCED or kind in REDUCED):
        return None
    made = launch(
        "to", np.positive, (new_tensor(a, source),), (source,), kind, strides_of=kept_strides, least=FROM_HALF
    )
    return None if made is None else array_of(made)


def single(a: np.ndarray) -> np.ndarray:
    """Halves as float32, which NumPy orders, compares and adds in a tenth of the time; any other array as it is."""
    return convert(a, float32) if a.dtype.char in _HALVES else a


def rounded(a: np.ndarray, kind: np.dtype) -> np.ndarray:
    """float32 as a half; an array of that type already as it is, any other rounded once."""
    if a.dtype == kind:
        return a
    return convert(a, BY_NUMPY[kind]) if a.dtype == float32.numpy else a.astype(kind)


def from_pairs(a: np.ndarray) -> np.ndarray:
    """Memory of complex32 as complex64."""
    out = np.empty_like(a, complex64.numpy)
    out.real, out.imag = a["real"], a["imag"]
    return out


def to_pairs(a: np.ndarray) -> np.ndarray:
    """Complex64 as memory of complex32, rounded."""
    out = np.empty_like(a, _PAIRS)
    out["real"], out["imag"] = a.real, a.imag
    return out
