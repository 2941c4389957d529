"""Mathematical functions of float32 and float64, written with the verbs of a builder.

Every function but those of `activations` is within one unit in the last place and exact where the result is (see docs/engine.md
for what was measured), and the same operations are done for every lane, so that a scalar and a vector have the same bits.
"""

from __future__ import annotations

from collections.abc import Callable

from rushlight.codegen.builder import V
from rushlight.codegen.maths.activations import gelu, gelu_slope, gelu_tanh, silu, softplus
from rushlight.codegen.maths.error_function import erf, erfc, ndtr
from rushlight.codegen.maths.exponential import exp, exp2, expm1
from rushlight.codegen.maths.hyperbolic import acosh, asinh, atanh, cosh, sigmoid, sinh, tanh
from rushlight.codegen.maths.inverse_trigonometry import acos, asin, atan, atan2
from rushlight.codegen.maths.logarithms import log, log1p, log2, log10
from rushlight.codegen.maths.powers import hypot, pow, rsqrt
from rushlight.codegen.maths.trigonometry import cos, sin, tan

#: verb -> function of a builder and one value, or two
MATHS: dict[str, Callable[..., V]] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "log": log,
    "log2": log2,
    "log10": log10,
    "log1p": log1p,
    "sigmoid": sigmoid,
    "sin": sin,
    "cos": cos,
    "tan": tan,
    "asin": asin,
    "acos": acos,
    "atan": atan,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
    "erf": erf,
    "erfc": erfc,
    "ndtr": ndtr,
    "gelu": gelu,
    "gelu_slope": gelu_slope,
    "gelu_tanh": gelu_tanh,
    "silu": silu,
    "softplus": softplus,
    "rsqrt": rsqrt,
    "pow": pow,
    "atan2": atan2,
    "hypot": hypot,
}
BINARY = frozenset({"pow", "atan2", "hypot"})
