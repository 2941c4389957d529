"""Multiplication and addition rounded once, as the processor's fused instruction does it."""

from __future__ import annotations

from typing import Any

import numpy as np

#: 2**27 + 1, which cuts a float64 into two halves of 26 bits (Dekker, 1971)
_SPLITTER = 134217729.0


def multiply_add(x: Any, y: Any, z: Any) -> np.ndarray:
    """x + y z. Exact before rounding for float32; for float64 through the errors of the product
    and of the sum; integers and complex numbers have nothing to fuse."""
    char = x.dtype.char
    if char == "f":
        return np.add(x, np.multiply(y, z, dtype=np.float64), dtype=np.float64).astype("f")
    return _double(x, y, z) if char == "d" else x + y * z


def _double(x: Any, y: Any, z: Any) -> np.ndarray:
    product = y * z
    total = x + product
    back = total - x
    lost = (x - (total - back)) + (product - back)
    exact = total + (lost + _product_error(y, z, product))
    return np.where(np.isfinite(exact), exact, total)


def _product_error(y: Any, z: Any, product: Any) -> Any:
    y_high, y_low = _halves(y)
    z_high, z_low = _halves(z)
    return ((y_high * z_high - product) + y_high * z_low + y_low * z_high) + y_low * z_low


def _halves(y: Any) -> tuple[Any, Any]:
    scaled = y * _SPLITTER
    high = scaled - (scaled - y)
    return high, y - high
