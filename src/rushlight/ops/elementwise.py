"""Elementwise arithmetic, comparison, logic and the common functions."""

from __future__ import annotations

import numpy as np

from rushlight.ops.kinds.elementwise import NOT_DIFFERENTIABLE, binary, boolean, floating, same, unary

# ---- linear ----

add = binary("add", numpy=np.add, dtype=same, vjp=(lambda g: g, lambda g: g))
sub = binary("sub", numpy=np.subtract, dtype=same, vjp=(lambda g: g, lambda g: -g))
neg = unary("neg", numpy=np.negative, dtype=same, vjp=lambda g: -g)

# ---- simple ----

mul = binary("mul", numpy=np.multiply, dtype=same, vjp=(lambda g, y: g * y.conj(), lambda g, x: g * x.conj()))
div = binary(
    "div",
    numpy=np.divide,
    dtype=floating,
    vjp=(lambda g, y: g / y.conj(), lambda g, x, y: -g * ((x / y) / y).conj()),
)
exp = unary("exp", numpy=np.exp, dtype=floating, vjp=lambda g, out: g * out.conj())

# ---- comparison ----

eq = binary("eq", numpy=np.equal, dtype=boolean, vjp=NOT_DIFFERENTIABLE)
