"""Sums of products over shared dimensions, on arrays of one dtype.

Large products go to kernels, where the processor has any that fit (`runtime.small_products`). Other floating and complex arrays go to
BLAS through NumPy. Half types are multiplied in float32 and rounded once. Integer products wrap around, as PyTorch's do, and are
exact: large ones without a kernel are done by BLAS in float64 on pieces so short that nothing is rounded.
"""

from __future__ import annotations

import numpy as np

from rushlight.dtypes import (
    BOOL,
    WIDE_UNSIGNED,
    complex32,
    dtype,
    float32,
    from_numpy_dtype,
)
from rushlight.ops.autocasting import BLAS
from rushlight.runtime import small_products
from rushlight.runtime.blas import multiplied
from rushlight.runtime.casting import convert
from rushlight.runtime.deferral import FROM, reduced
from rushlight.runtime.results import FEW, array
from rushlight.runtime.small_products import LEAST, WORTH

_REFUSED = frozenset({*WIDE_UNSIGNED, complex32})
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
#: multiplications from which exact integer products are worth splitting for BLAS
_SPLIT_FROM = 1 << 15
#: a left factor of fewer elements is not worth asking whether the product is large
SMALL_FACTOR = 1 << 8


def refuse(kernel: str, kind: dtype) -> None:
    """Raise for the types that PyTorch has no product of."""
    if kind.category == BOOL or kind in _REFUSED:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{kind.legacy}'")


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The matrix product, as `np.matmul` defines it, of arrays of one dtype; always fresh memory."""
    kind = a.dtype
    if kind.kind in "iu":
        return _integer_product(a, b)
    if kind.itemsize == 2:  # float16, bfloat16
        return convert(_float_product(convert(a, float32), convert(b, float32)), from_numpy_dtype(kind))
    if kind.kind == "b":
        return np.zeros(np.matmul(a, b).shape, bool)
    return _float_product(a, b)


def _float_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of arrays of one BLAS type."""
    if a.ndim > 2 or b.ndim > 2:
        return batched(a, b)
    if b.ndim == 2:
        return product(a, b) if a.ndim == 2 else np.asarray(a.dot(b))
    if a.ndim == 2:
        return times_vector(a, b)
    made = dotted(a, b)
    return np.asarray(a.dot(b)) if made is None else made


def times_vector(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The product of a matrix and a vector of one BLAS type."""
    if a.size >= WORTH and a.shape[1:] == x.shape:
        made = small_products.times_vector(a, x)
        if made is not None:
            return made
    return multiplied(a.dot, a.size, x)


def dotted(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The sum of the products of the elements of two long real vectors, on all threads; None if BLAS is to do it, on one."""
    if a.size < FROM or a.shape != b.shape or a.dtype.kind != "f":
        return None
    return reduced(_products_added, (a, b), (0,), False, None, a.dtype)


def _products_added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.add.reduce(a.astype(_F64) * b.astype(_F64), None, _F64)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of two matrices of one BLAS type."""
    (m, k), n = a.shape, b.shape[1]
    if m * k * n >= LEAST and k == b.shape[0]:
        made = small_products.product(a, b)
        if made is not None:
            return made
    if m * n < FEW or k != b.shape[0]:
        return multiplied(a.dot, m * k * n, b)
    return multiplied(a.dot, m * k * n, b, array((m, n), a.dtype))


def batched(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of batches of matrices of one BLAS type."""
    if a.ndim == 3 == b.ndim and a.shape[0] == 1 == b.shape[0]:
        # one matrix: `matmul` takes twice as long to find it, and what is quicker than BLAS takes matrices
        made = product(a[0], b[0])
        return made.reshape(1, *made.shape)
    if a.size >= SMALL_FACTOR and a.ndim > 2:
        products = small_products.batch(a, b)
        if products is not None:
            return products
    out = None
    if a.size >= SMALL_FACTOR and a.flags.c_contiguous and a.ndim == b.ndim and a.shape[:-2] == b.shape[:-2]:
        out = array((*a.shape[:-1], b.shape[-1]), a.dtype)
    return multiplied(
        np.matmul,
        a.shape[-2] * a.shape[-1] * b.shape[-1] if a.ndim > 1 else 0,
        a if a.flags.c_contiguous else _for_blas(a),
        b if b.flags.c_contiguous else _for_blas(b),
        out,
    )


def _for_blas(a: np.ndarray) -> np.ndarray:
    """`a`, copied if BLAS cannot read its matrices; NumPy would fall back to a slow loop."""
    if a.ndim < 2:
        return a
    item, (m, n) = a.itemsize, a.shape[-2:]
    step, inner = a.strides[-2:]
    readable = inner == item and step >= n * item or step == item and inner >= m * item
    return a if readable or m <= 1 or n <= 1 else np.ascontiguousarray(a)


# ---- integers ----


def _integer_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    m = a.shape[-2] if a.ndim > 1 else 1
    n = b.shape[-1] if b.ndim > 1 else 1
    if m * n * a.shape[-1] < _SPLIT_FROM:
        return np.asarray(a.dot(b) if a.ndim <= 2 and b.ndim <= 2 else np.matmul(a, b))
    made = _by_kernel(a, b)
    if made is not None:
        return made
    if _largest(a) * _largest(b) * a.shape[-1] < 1 << 53:  # then float64 rounds nothing
        made = _float_product(a.astype(_F64), b.astype(_F64))
        return np.asarray(made).astype(np.int64).astype(a.dtype)
    if a.itemsize <= 2:
        return _split_product(a, b, 16, 1)
    return _split_product(a, b, 16, 2) if a.itemsize == 4 else _split_product(a, b, 22, 3)


def _by_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The product in whole numbers of 32 or 64 bits, which wrap around as narrower ones do, of anything but batches that are repeated."""
    wide = np.dtype(np.int64 if a.itemsize == 8 else np.int32)
    x, y = a.astype(wide, copy=False), b.astype(wide, copy=False)
    if y.ndim == 1:
        made = small_products.times_vector(x.reshape(-1, x.shape[-1]), y, _SPLIT_FROM)
        made = None if made is None else made.reshape(x.shape[:-1])
    elif x.ndim == 1:
        return None
    else:
        made = small_products.product(x, y) if x.ndim == 2 == y.ndim else small_products.batch(x, y)
    return None if made is None else made.astype(a.dtype, copy=False)


def _largest(a: np.ndarray) -> int:
    return max(int(a.max()), -int(a.min())) if a.size else 0


def _split_product(a: np.ndarray, b: np.ndarray, bits: int, pieces: int) -> np.ndarray:
    """The product modulo 2**64, cut to a's type.

    1. Write each factor as a sum of pieces of `bits` bits, the top one signed.
    2. A product of two pieces is below 2**(2 * bits); float64 adds 2**(53 - 2 * bits) of them exactly.
    3. Add the products of pieces in int64, shifted to their place; what is shifted out at the top
       would have wrapped around anyway.
    """
    kind, inner = a.dtype, a.shape[-1]
    chunk = 1 << (52 - 2 * bits)
    total = None
    for start in range(0, inner, chunk):
        part = slice(start, start + chunk)
        xs = _pieces(a[..., part], bits, pieces)
        ys = _pieces(b[part] if b.ndim == 1 else b[..., part, :], bits, pieces)
        for i in range(pieces):
            for j in range(pieces - i):
                made = _float_product(xs[i], ys[j]).astype(np.int64) << bits * (i + j)
                total = made if total is None else total + made
    return np.asarray(total).astype(kind)


def _pieces(a: np.ndarray, bits: int, pieces: int) -> list[np.ndarray]:
    whole = a.astype(np.int64)
    mask = (1 << bits) - 1
    low = [((whole >> bits * i) & mask).astype(_F64) for i in range(pieces - 1)]
    return [*low, (whole >> bits * (pieces - 1)).astype(_F64)]


__all__ = ["BLAS", "SMALL_FACTOR", "batched", "dotted", "multiply", "product", "refuse", "times_vector"]
