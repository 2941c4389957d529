"""What a kernel means: an interpreter on NumPy arrays, slow and obvious, one array for each instruction.

>>> import numpy as np
>>> from rushlight.codegen.kernel import Inst, Kernel, Operand, Store
>>> x = np.float32([1, 2, 3])
>>> out = np.empty_like(x)
>>> body = (Inst("load", "f", (), 0), Inst("square", "f", (0,)))
>>> run(Kernel("map", "k", (Operand("f", "c"),), "", body, (Store(Operand("f", "c"), 1),)), [x], [out])
>>> out
array([1., 4., 9.], dtype=float32)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from rushlight.codegen.kernel import Inst, Kernel
from rushlight.codegen.monoids import identity
from rushlight.codegen.scans import CHUNK

Array = np.ndarray


_HALVES = np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)


def kind_of(kind: str) -> np.dtype:
    """NumPy's type of a kind."""
    return np.dtype(ml_dtypes.bfloat16 if kind == "E" else kind)


def run(
    kernel: Kernel,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    scalars: Sequence[float] = (),
    shape: tuple[int, ...] | None = None,
) -> None:
    """Compute. Inputs have size 1 where they stay; of an output's reduced dimensions only the first place counts.

    Args:
        shape: of the domain, if that is more than the inputs broadcast together.
    """
    shape = shape or np.broadcast_shapes((1,) * len(kernel.dims), *[a.shape for a in inputs])
    values: list[Array] = []
    with np.errstate(all="ignore"):
        for inst in kernel.body:
            values.append(_value(kernel, inst, [values[a] for a in inst.args], inputs, scalars, shape))
    for store, out in zip(kernel.outputs, outputs):
        here = tuple(slice(0, 1) if step == 0 else slice(None) for step in _steps(kernel, store.to.walk))
        value = values[store.value]
        value = np.broadcast_to(value, np.broadcast_shapes(value.shape, out[here].shape))
        out[here] = value[here]


def _steps(kernel: Kernel, walk: str) -> list[int]:
    return [int(not (dim == "r" and step == "b")) for dim, step in zip(kernel.dims, walk)]


def _value(
    kernel: Kernel,
    inst: Inst,
    args: list[Array],
    inputs: Sequence[Array],
    scalars: Sequence[float],
    domain: tuple[int, ...],
) -> Array:
    kind = kind_of(inst.kind)
    shape: tuple[int, ...] = (1,) * len(kernel.dims)
    match inst.verb:
        case "load":
            return inputs[inst.attr]  # type: ignore[index]
        case "param":
            return np.full(shape, scalars[inst.attr], kind)  # type: ignore[index, arg-type]
        case "const":
            return np.full(shape, inst.attr, kind)
        case "cast":
            return cast(args[0], kind)
        case "reduce":
            return _reduced(kernel, inst, np.broadcast_to(args[0], domain))
        case "place":
            dim = kernel.dims.index("s")
            length = max(a.shape[dim] for a in inputs)
            return np.arange(length).reshape([-1 if d == dim else 1 for d in range(len(kernel.dims))])
        case "scan":
            return _scanned(kernel, inst, args[0], inputs)
    return np.asarray(VALUES[inst.verb](*args)).astype(kind)


def cast(x: Array, kind: np.dtype) -> Array:
    """Halves pass through float32, both ways, and floats through int64 to uint32."""
    if kind != x.dtype and kind != np.dtype(bool) and (x.dtype in _HALVES or kind in _HALVES):
        x = x.astype(np.float32)
    if kind == np.dtype(np.uint32) and x.dtype.kind == "f":
        x = x.astype(np.int64)
    return x.astype(kind)


def _reduced(kernel: Kernel, inst: Inst, x: Array) -> Array:
    dims = tuple(n for n, dim in enumerate(kernel.dims) if dim == "r")
    match inst.attr:
        case "sum" if x.dtype.kind == "f":
            return _apply(math.fsum, x, dims)
        case "sum":
            return np.add.reduce(x, dims, x.dtype, keepdims=True)
        case "prod":
            return np.multiply.reduce(x, dims, x.dtype, keepdims=True)
        case "max" | "min" if x.size == 0 or not all(x.shape[d] for d in dims):
            least = identity(str(inst.attr), inst.kind)
            return np.full([1 if d in dims else n for d, n in enumerate(x.shape)], least, x.dtype)
        case "max":
            return np.maximum.reduce(x, dims, keepdims=True)
        case "min":
            return np.minimum.reduce(x, dims, keepdims=True)
        case "any":
            return np.logical_or.reduce(x, dims, keepdims=True)
    return np.logical_and.reduce(x, dims, keepdims=True)


def _apply(function: Callable, x: Array, dims: tuple[int, ...]) -> Array:
    """Each reduced part to one number, whatever order the sum takes."""
    kept = [n for n in range(x.ndim) if n not in dims]
    parts = x.transpose(*kept, *dims).reshape(
        *[x.shape[n] for n in kept], math.prod(x.shape[n] for n in dims)
    )
    found = np.empty(parts.shape[:-1], x.dtype)
    for index in np.ndindex(found.shape):
        found[index] = _sum(function, parts[index])
    return np.expand_dims(found, dims)


def _sum(function: Callable, part: Array) -> float:
    finite = np.isfinite(part).all()
    return function(part.tolist()) if finite else part.sum()


def _scanned(kernel: Kernel, inst: Inst, x: Array, inputs: Sequence[Array]) -> Array:
    """See Note [Association] in `rushlight.codegen.scans`."""
    dim = kernel.dims.index("s")
    x = np.moveaxis(np.broadcast_to(x, np.broadcast_shapes(x.shape, *[a.shape for a in inputs])), dim, 0)
    out = np.empty_like(x)
    before = np.full(x.shape[1:], identity(str(inst.attr), inst.kind), x.dtype)
    for start in range(0, len(x), CHUNK):
        local = np.full_like(before, identity(str(inst.attr), inst.kind))
        for i in range(start, min(start + CHUNK, len(x))):
            local = _combined(str(inst.attr), local, x[i])
            out[i] = _combined(str(inst.attr), before, local)
        before = _combined(str(inst.attr), before, local)
    return np.moveaxis(out, 0, dim)


def _combined(monoid: str, x: Array, y: Array) -> Array:
    """x, which came first, with y; the last of equals, and NaN where there is one."""
    match monoid:
        case "max":
            return np.where((x > y) | (x != x), x, y)
        case "min":
            return np.where((x < y) | (x != x), x, y)
    return {"sum": np.add, "prod": np.multiply, "any": np.logical_or, "all": np.logical_and}[monoid](x, y)


def _shift(x: Array, y: Array, left: bool) -> Array:
    width = 8 * x.dtype.itemsize
    outside = (y < 0) | (y >= width)
    y = np.where(outside, 0, y).astype(x.dtype)
    over = 0 if left or x.dtype.kind == "u" else np.where(x < 0, -1, 0)
    return np.where(outside, over, np.left_shift(x, y) if left else np.right_shift(x, y))


def _quotient(x: Array, y: Array) -> Array:
    """Rounded towards zero."""
    if x.dtype.kind == "f":
        return np.divide(x, y)
    quotient = np.floor_divide(x, y)
    return quotient + ((quotient < 0) & (quotient * y != x))


def _sign(x: Array) -> Array:
    return (
        (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype) if x.dtype.kind != "u" else (x > 0).astype(x.dtype)
    )


def _rounded(function: Callable) -> Callable:
    return lambda x: function(x) if x.dtype.kind == "f" else x


def _through_double(function: Callable) -> Callable:
    """Of float32 computed in float64, so that the rounding at the end is the only one that counts."""
    return lambda *xs: function(*[x.astype(np.float64) for x in xs]).astype(xs[0].dtype)


#: mathematical functions
FUNCTIONS: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
    "ndtr": np.vectorize(lambda x: math.erfc(-x * math.sqrt(0.5)) / 2, otypes=[np.float64]),
    "gelu": lambda x: x * FUNCTIONS["ndtr"](x),
    "gelu_slope": lambda x: FUNCTIONS["ndtr"](x) + x * np.exp(x * x / -2) / math.sqrt(2 * math.pi),
    "gelu_tanh": lambda x: x * FUNCTIONS["sigmoid"](math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)),
    "silu": lambda x: x * FUNCTIONS["sigmoid"](x),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
}

#: verb -> its meaning
VALUES: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": lambda x, y: np.subtract(x, y) if x.dtype.kind != "b" else np.logical_xor(x, y),
    "mul": np.multiply,
    "div": _quotient,
    "rem": np.fmod,
    "fmod": np.fmod,
    "copysign": np.copysign,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fmax": np.fmax,
    "fmin": np.fmin,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": lambda x, y: _shift(x, y, True),
    "shr": lambda x, y: _shift(x, y, False),
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "neg": np.negative,
    "abs": np.abs,
    "sign": _sign,
    "not": np.invert,
    "isnan": np.isnan,
    "sqrt": np.sqrt,
    "floor": _rounded(np.floor),
    "ceil": _rounded(np.ceil),
    "trunc": _rounded(np.trunc),
    "rint": _rounded(np.rint),
    "square": lambda x: x * x,
    "select": np.where,
    **{verb: _through_double(function) for verb, function in FUNCTIONS.items()},
}
