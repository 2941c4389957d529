"""Products of matrices and vectors."""

from __future__ import annotations

import numpy as np

from rushlight.ops.spec import primitive, public


@primitive(
    "Mm",
    vjp=(lambda g, y: mm_(g, y.t().conj()), lambda g, x: mm_(x.t().conj(), g)),
)
def mm_(x, y):
    return np.dot(x, y)


@public
def mm(input, mat2):
    """Matrix product of (n, m) and (m, p)."""
    a, b = input._a, mat2._a
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0] or input._dtype is not mat2._dtype:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({a.shape} and {b.shape})")
    return mm_(input, mat2)
