"""Multiplication and addition rounded once, as the processor's fused instruction does it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.graph.trace import Traced, instruction

#: 2**27 + 1, which cuts a float64 into two halves of 26 bits (Dekker, 1971)
_SPLITTER = np.array(134217729.0)
_F64 = np.dtype(np.float64)
#: elements computed at a time, so that what lies between stays in the cache
_STRIP = 2048


def multiply_add(x: Any, y: Any, z: Any) -> Any:
    """x + y z. Exact before rounding for float32; for float64 through the errors of the product
    and of the sum; integers and complex numbers have nothing to fuse."""
    char = x.dtype.char
    if char != "f" and char != "d":
        return x + y * z
    if type(x) is Traced:
        return instruction("fma", x, y, z, x)
    exact = _scaled(x, y, z) if not z.ndim else _scaled(x, z, y) if not y.ndim else None
    if exact is not None:
        return exact
    if char == "f":
        return _single(x, y, z)
    if type(x) is np.ndarray and x.size > _STRIP:
        return _in_strips(x, y, z)
    return _double(x, y, z)


def _single(x: Any, y: Any, z: Any) -> np.ndarray:
    """In float64, where a product of two float32 is exact."""
    if not z.ndim and x.shape == y.shape and x.flags.c_contiguous and y.flags.c_contiguous and x.ndim:
        product = y.astype(_F64)
        product *= z
        product += x
        return product.astype("f")
    operands = [v for v in (x, y, z) if v.ndim]
    if not all(v.flags.c_contiguous for v in operands):  # NumPy finds the order of the result's dimensions
        return np.add(x, np.multiply(y, z, dtype=_F64), dtype=_F64).astype("f")
    most, other = (y, z) if y.ndim else (z, y)
    shapes = {v.shape for v in operands}
    product = most.astype(_F64)
    if len(shapes) > 1 or not most.ndim:
        return np.add(x.astype(_F64), np.multiply(product, other.astype(_F64))).astype("f")
    product *= other  # in place, which leaves one array of float64 to write and to read
    product += x
    return product.astype("f")


def _scaled(x: Any, y: Any, z: Any) -> Any:
    """The same where z is a power of two or 0, so that the product has nothing to round; None if it has."""
    factor = float(z)
    if math.frexp(factor)[0] not in (0.5, -0.5, 0.0):
        return None
    product = y * z
    total = x + product
    if abs(factor) >= 1:  # may overflow on the way
        exact = np.count_nonzero(np.isfinite(total)) == total.size
    else:  # may underflow
        exact = not factor or np.count_nonzero(product * (1 / factor) == y) == product.size
    return total if exact else None


def _in_strips(x: Any, y: Any, z: Any) -> np.ndarray:
    """A strip at a time, where all lie in memory in one order."""
    arrays = [v for v in (x, y, z) if v.ndim]
    if not all(v.flags.c_contiguous and v.shape == x.shape for v in arrays):
        return _double(x, y, z)
    out = np.empty(x.shape)
    flat = out.reshape(-1)
    lines = [v.reshape(-1) if v.ndim else v for v in (x, y, z)]
    for at in range(0, flat.size, _STRIP):
        part = slice(at, at + _STRIP)
        flat[part] = _double(*[line[part] if line.ndim else line for line in lines])
    return out


def _double(x: Any, y: Any, z: Any) -> np.ndarray:
    exact, total = _sums(x, y, z)
    return exact if np.isfinite(exact).all() else np.where(np.isfinite(exact), exact, total)


def _sums(x: Any, y: Any, z: Any) -> tuple[Any, Any]:
    """x plus the rounded product, corrected by what both roundings lost (Knuth's and Dekker's error terms); and not corrected."""
    product = y * z
    total = x + product
    back = total - x
    lost = x - (total - back)
    lost += product - back
    lost += _product_error(y, z, product)
    return total + lost, total


def _product_error(y: Any, z: Any, product: Any) -> Any:
    y_high, y_low = _halves(y)
    z_high, z_low = _halves(z)
    error = y_high * z_high - product
    error += y_high * z_low
    error += y_low * z_high
    y_low = y_low * z_low
    error += y_low
    return error


def _halves(y: Any) -> tuple[Any, Any]:
    scaled = y * _SPLITTER
    high = scaled - (scaled - y)
    return high, y - high
